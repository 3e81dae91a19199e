package house

import (
	"regexp"
	"slices"
	"testing"

	"github.com/millstream-dev/millstream/internal/config"
)

// TestMigratingVariables: each variable that docs/migrating.md maps is one that
// settings know.
func TestMigratingVariables(t *testing.T) {
	const page = "docs/migrating.md"
	var known []string
	for _, s := range config.Settings {
		known = append(append(known, s.Env), s.Aliases...)
	}
	found := regexp.MustCompile("`([A-Z][A-Z_]*[A-Z])`").FindAllStringSubmatch(read(t, page), -1)
	if len(found) < 15 {
		t.Fatalf("only %d variables were found in %s", len(found), page)
	}
	for _, m := range found {
		if m[1] != "CREATE" && !slices.Contains(known, m[1]) {
			t.Errorf("%s names the variable %s, which no setting has", page, m[1])
		}
	}
}
