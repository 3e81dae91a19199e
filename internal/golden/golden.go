// Package golden runs tests that are texts: cases in files, each with what it
// is given and what it gives.
//
//	=== name
//	input
//	---
//	what it gives
//
// With the flag -update the second halves are written anew: read the
// difference.
package golden

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Update is the flag of tests that rewrite what they expect.
var Update = flag.Bool("update", false, "rewrite what the golden files expect")

// Case is one of a file.
type Case struct{ Name, Input, Want string }

// Read gives a file's cases.
func Read(t testing.TB, path string) []Case {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []Case
	for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		input, want, _ := strings.Cut(rest, "\n---\n")
		cases = append(cases, Case{name, input, strings.TrimRight(want, "\n")})
	}
	return cases
}

func write(t *testing.T, path string, cases []Case) {
	t.Helper()
	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "=== %s\n%s\n---\n%s\n\n", c.Name, strings.TrimRight(c.Input, "\n"), c.Want)
	}
	if err := os.WriteFile(path, []byte(strings.TrimRight(b.String(), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Run runs the cases of all *.txt files of a folder, of which there are at
// least so many.
func Run(t *testing.T, folder string, atLeast int, run func(t *testing.T, input string) string) {
	t.Helper()
	folder, err := filepath.Abs(folder) // cases may go elsewhere
	if err != nil {
		t.Fatal(err)
	}
	paths, err := filepath.Glob(filepath.Join(folder, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files in %s: %v", folder, err)
	}
	total := 0
	for _, path := range paths {
		cases := Read(t, path)
		total += len(cases)
		for i, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt")+"/"+c.Name, func(t *testing.T) {
				got := strings.TrimRight(run(t, c.Input), "\n")
				if *Update {
					cases[i].Want = got
				} else if diff := cmp.Diff(c.Want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
		if *Update {
			write(t, path, cases)
		}
	}
	if total < atLeast {
		t.Errorf("%d cases in %s, at least %d are expected", total, folder, atLeast)
	}
}
