package codes_test

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millstream-dev/millstream/internal/codes"
	"github.com/millstream-dev/millstream/internal/golden"
)

// TestEachCodeHasAPage compares the codes with the pages. That the examples
// give them, TestExplainedExamples in cmd/millstream sees.
func TestEachCodeHasAPage(t *testing.T) {
	pages, err := codes.Pages()
	if err != nil {
		t.Fatal(err)
	}
	all := codes.All()
	for code := range all {
		if pages[code] == nil {
			t.Errorf("%s has no page: write one in internal/codes/pages, with a title, an example that gives it, and the cure", code)
		}
	}
	for code := range pages {
		if all[code] == "" {
			t.Errorf("there is a page of %s, which no package gives", code)
		}
	}
	if len(all) < 100 {
		t.Errorf("only %d codes were found", len(all))
	}
}

// TestDocument holds docs/errors.md to the pages; -update writes it.
func TestDocument(t *testing.T) {
	const path = "../../docs/errors.md"
	want, err := codes.Document()
	if err != nil {
		t.Fatal(err)
	}
	if *golden.Update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/errors.md is not what the pages say: go test ./internal/codes -update\n%s", diff)
	}
	for code := range codes.All() {
		if !strings.Contains(want, "### "+code+": ") {
			t.Errorf("%s belongs to no chapter", code)
		}
	}
}
