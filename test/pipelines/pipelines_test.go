// Package pipelines runs the project's pipeline tests: each .test file here
// and beside the examples, in every mode.
package pipelines

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/pipetest"
)

// scriptLimit bounds a script in one mode.
const scriptLimit = time.Minute

func TestPipelines(t *testing.T) {
	var files []string
	for _, pattern := range []string{"*.test", "../../examples/*/*.test"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for _, file := range files {
		script, err := pipetest.Load(file)
		if err != nil {
			t.Error(err)
			continue
		}
		t.Run(strings.TrimSuffix(filepath.Base(file), ".test"), func(t *testing.T) {
			for _, mode := range pipetest.Modes {
				t.Run(mode.Name, func(t *testing.T) {
					t.Parallel()
					ctx, cancel := context.WithTimeout(t.Context(), scriptLimit)
					defer cancel()
					err := pipetest.Run(ctx, script, "", opener(t), mode)
					if errors.Is(err, pipetest.ErrSkipped) {
						t.Skip(err)
					}
					if err != nil {
						t.Error(err)
					}
				})
			}
		})
	}
}
