package plan_test

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

const reference = "../../docs/sql.md"

// TestReferenceIsCurrent: the lists in docs/sql.md are what the tables in the
// code say. Run with -update to write them.
func TestReferenceIsCurrent(t *testing.T) {
	raw, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	text := section(t, string(raw), "functions", strings.TrimSpace(expr.Document()))
	text = section(t, text, "codes", codeTable())
	if text == string(raw) {
		return
	}
	if !*update {
		t.Fatal("docs/sql.md is not what the code says: run go test ./internal/plan -run TestReferenceIsCurrent -update")
	}
	if err := os.WriteFile(reference, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// section replaces what stands between two marks.
func section(t *testing.T, text, name, content string) string {
	t.Helper()
	from := regexp.MustCompile(`(?m)^<!-- ` + name + `:.*-->\n`).FindStringIndex(text)
	to := strings.Index(text, "<!-- end of "+name+" -->")
	if from == nil || to < from[1] {
		t.Fatalf("docs/sql.md has no section %s", name)
	}
	return text[:from[1]] + "\n" + content + "\n\n" + text[to:]
}

func codeTable() string {
	codes := plan.Codes()
	maps.Copy(codes, expr.Codes())
	var b strings.Builder
	b.WriteString("| code | |\n| --- | --- |\n")
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		fmt.Fprintf(&b, "| %s | %s |\n", code, strings.ReplaceAll(codes[code], "|", "\\|"))
	}
	return strings.TrimSpace(b.String())
}

// TestReferenceExamples: the pipeline files in docs/sql.md can be run.
func TestReferenceExamples(t *testing.T) {
	raw, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?s)```sql\n(.*?)```").FindAllStringSubmatch(string(raw), -1)
	if len(blocks) < 2 {
		t.Fatalf("%d examples", len(blocks))
	}
	for _, b := range blocks {
		if p, problems := build(b[1]); p == nil {
			t.Errorf("%s\n%s", b[1], printed(problems))
		}
	}
}
