package plan_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/golden"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

var update = golden.Update

// A golden case (package golden) is a pipeline file, and what it gives: the
// plan, or all diagnostics as the command line prints them.
func runGolden(t *testing.T, folder string, atLeast int, run func(t *testing.T, input string) string) {
	t.Helper()
	golden.Run(t, filepath.Join("testdata", folder), atLeast, run)
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
