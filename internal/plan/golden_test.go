package plan_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

var update = flag.Bool("update", false, "rewrite what the golden files expect")

// The golden files hold cases one after the other:
//
//	=== name
//	a pipeline file
//	---
//	what it gives: the plan, or all diagnostics as the command line prints them
//
// Run the tests with -update to rewrite the second halves, and read the
// difference.

type goldenCase struct{ name, input, want string }

func readGolden(t testing.TB, path string) []goldenCase {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var cases []goldenCase
	for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
		name, rest, _ := strings.Cut(part, "\n")
		input, want, _ := strings.Cut(rest, "\n---\n")
		cases = append(cases, goldenCase{name, input, strings.TrimRight(want, "\n")})
	}
	return cases
}

func writeGolden(t *testing.T, path string, cases []goldenCase) {
	t.Helper()
	var b strings.Builder
	for _, c := range cases {
		fmt.Fprintf(&b, "=== %s\n%s\n---\n%s\n\n", c.name, strings.TrimRight(c.input, "\n"), c.want)
	}
	if err := os.WriteFile(path, []byte(strings.TrimRight(b.String(), "\n")+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
}

// runGolden runs the cases of all files of a folder.
func runGolden(t *testing.T, folder string, atLeast int, run func(t *testing.T, input string) string) {
	paths, err := filepath.Glob(filepath.Join("testdata", folder, "*.txt"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("no golden files in %s: %v", folder, err)
	}
	total := 0
	for _, path := range paths {
		cases := readGolden(t, path)
		total += len(cases)
		for i, c := range cases {
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txt")+"/"+c.name, func(t *testing.T) {
				got := strings.TrimRight(run(t, c.input), "\n")
				if *update {
					cases[i].want = got
				} else if diff := cmp.Diff(c.want, got); diff != "" {
					t.Errorf("-want +got:\n%s", diff)
				}
			})
		}
		if *update {
			writeGolden(t, path, cases)
		}
	}
	if total < atLeast {
		t.Errorf("%d cases in %s, at least %d are expected", total, folder, atLeast)
	}
}

// TestGood has pipeline files that can be run.
func TestGood(t *testing.T) {
	runGolden(t, "good", 40, func(t *testing.T, input string) string {
		p, problems := build(input)
		if problems.Err() != nil {
			t.Errorf("the file is refused:\n%s", printed(problems))
		}
		if p == nil {
			return printed(problems)
		}
		return printed(problems) + plan.Explain(p)
	})
}

// TestBad has pipeline files that are refused.
func TestBad(t *testing.T) {
	codes := plan.Codes()
	for code, text := range exprCodes() {
		codes[code] = text
	}
	runGolden(t, "bad", 60, func(t *testing.T, input string) string {
		p, problems := build(input)
		if p != nil || problems.Err() == nil {
			t.Error("the file is accepted")
		}
		for _, d := range problems {
			if codes[d.Code] == "" {
				t.Errorf("code %q of %q is not described", d.Code, d.Message)
			}
			if d.Pos.Line == 0 {
				t.Errorf("%q has no place", d.Message)
			}
		}
		return printed(problems)
	})
}

// build plans a text as the command line does.
func build(text string) (*plan.Pipeline, diag.List) {
	file, problems := sqlfile.Parse("p.sql", text)
	p, more := plan.Build(file, plan.Options{})
	all := append(problems, more...)
	all.Sort()
	if all.Err() != nil {
		p = nil
	}
	return p, all
}

// printed gives diagnostics as the command line prints them.
func printed(list diag.List) string {
	var b strings.Builder
	for _, d := range list {
		mark := "✗"
		if d.Warning {
			mark = "!"
		}
		fmt.Fprintf(&b, "%s %s %s [%s]\n", mark, d.Pos, d.Message, d.Code)
		if strings.HasPrefix(d.Code, "MS2") {
			continue // what package expr advises is held by its own tests
		}
		if d.Detail != "" {
			fmt.Fprintf(&b, "  %s\n", d.Detail)
		}
		if d.Hint != "" {
			fmt.Fprintf(&b, "  → %s\n", d.Hint)
		}
	}
	return b.String()
}
