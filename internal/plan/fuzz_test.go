package plan_test

import (
	"path/filepath"
	"testing"

	"github.com/millstream-dev/millstream/internal/golden"
	"github.com/millstream-dev/millstream/internal/plan"
)

// FuzzBuild: every text gives a plan or diagnostics with a code and a
// message, and never both.
func FuzzBuild(f *testing.F) {
	for _, folder := range []string{"good", "bad"} {
		paths, _ := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
		for _, path := range paths {
			for _, c := range golden.Read(f, path) {
				f.Add(c.Input)
			}
		}
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, problems := build(text)
		if (p == nil) != (problems.Err() != nil) {
			t.Errorf("a plan: %v, an error: %v", p != nil, problems.Err())
		}
		for _, d := range problems {
			if d.Code == "" || d.Message == "" {
				t.Errorf("%+v", d)
			}
		}
		if p != nil {
			plan.Explain(p)
			plan.Zones(p)
		}
	})
}
