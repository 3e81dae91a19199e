package pipelines

import (
	"context"
	"testing"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/testbed"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// opener gives subjects whose databases are dropped with the test.
func opener(t *testing.T) pipetest.Opener {
	return testbed.Opener(testbed.Options{NewDatabase: func(context.Context) (string, func() error, error) {
		return pgtest.Database(t), func() error { return nil }, nil
	}})
}
