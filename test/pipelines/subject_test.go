package pipelines

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/testbed"
)

// engineVariable makes the test binary an engine that a test crashes.
const engineVariable = "MILLSTREAM_PIPELINES_TEST_ENGINE"

func TestMain(m *testing.M) {
	if os.Getenv(engineVariable) != "" {
		if err := testbed.RunEngine(context.Background(), os.Stdin, os.Stdout, slog.New(slog.NewTextHandler(os.Stderr, nil))); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	pgtest.Main(m)
}

// opener gives subjects whose databases are dropped with the test.
func opener(t *testing.T) pipetest.Opener {
	return testbed.Opener(testbed.Options{Engine: []string{os.Args[0]}, EngineEnv: []string{engineVariable + "=1"}, NewDatabase: func(context.Context) (string, func() error, error) {
		return pgtest.Database(t), func() error { return nil }, nil
	}})
}
