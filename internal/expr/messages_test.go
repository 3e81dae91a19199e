package expr

import (
	"flag"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millstream-dev/millstream/internal/diag"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestMessages holds what a person is told to testdata/errors.golden: each
// block is an expression and, indented, the place, code and message of its
// diagnostic, then detail and hint. An expression that is accepted has its
// SQL.
func TestMessages(t *testing.T) {
	const file = "testdata/errors.golden"
	golden, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	used := map[string]bool{}
	selected := false // aggregates are allowed
	for _, line := range strings.Split(string(golden), "\n") {
		switch {
		case strings.HasPrefix(line, "#"):
			selected = line == selectedMark
			out.WriteString(line + "\n")
		case line != "" && !strings.HasPrefix(line, "\t"):
			out.WriteString(line + "\n" + explain(t, line, selected, used) + "\n")
		}
	}
	if *update {
		if err := os.WriteFile(file, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if d := cmp.Diff(string(golden), out.String()); d != "" {
		t.Errorf("messages differ (go test -run TestMessages -update writes them anew):\n%s", d)
	}
	for code := range Codes() {
		if !used[code] && code != codeTooDeep {
			t.Errorf("no expression shows %s", code)
		}
	}
}

// selectedMark begins the expressions of a SELECT list over groups.
const selectedMark = "# aggregates of groups"

func explain(t *testing.T, sql string, selected bool, used map[string]bool) string {
	n, err := parseExpression(sql)
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	b := testBinder()
	if b.Aggregates = selected; !selected {
		b.Clause = "WHERE"
	}
	// The parser counts from the beginning of "SELECT ".
	b.Position = func(offset int32) diag.Position {
		return diag.Position{Line: 1, Column: int(offset) - len("SELECT ") + 1}
	}
	e, err := b.BindTyped(n)
	if err != nil {
		d := diag.From(err)[0]
		used[d.Code] = true
		text := "\t" + d.Pos.String() + " " + d.Code + " " + d.Message + "\n"
		if d.Detail != "" {
			text += "\tdetail: " + d.Detail + "\n"
		}
		if d.Hint != "" {
			text += "\thint: " + d.Hint + "\n"
		}
		return text
	}
	return "\t" + SQL(e) + "\n"
}

// TestTooDeep binds an expression that is nested deeper than any sensible one.
func TestTooDeep(t *testing.T) {
	sql := "i4" + strings.Repeat(" + 1", maxDepth+10)
	_, err := bindSQL(sql)
	if d := diag.From(err); d == nil || d[0].Code != codeTooDeep {
		t.Errorf("%d operators: %v", maxDepth+10, err)
	}
	if _, err := bindSQL("i4" + strings.Repeat(" + 1", maxDepth/2)); err != nil {
		t.Errorf("%d operators: %v", maxDepth/2, err)
	}
}
