package doctor_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	checkName = regexp.MustCompile(`"((?:millstream|postgres|pipeline|local|api|spark)\.[a-z_]+)"`)
	ofCluster = regexp.MustCompile(`c\.label ?\+ ?"(\.[a-z]+)"`)
)

// TestChecksAreDocumented holds docs/doctor.md to the checks that there are.
func TestChecksAreDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/doctor.md")
	if err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]bool{}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(f, "_test.go") {
			continue
		}
		for _, m := range checkName.FindAllStringSubmatch(string(text), -1) {
			known[m[1]] = true
		}
		for _, m := range ofCluster.FindAllStringSubmatch(string(text), -1) {
			known["kafka"+m[1]] = true
		}
	}
	if len(known) < 30 {
		t.Fatalf("only %d checks were found", len(known))
	}
	for check := range known {
		if !strings.Contains(string(page), "`"+check+"`") {
			t.Errorf("docs/doctor.md does not list the check %s", check)
		}
	}
	for _, m := range regexp.MustCompile("`([a-z]+\\.[a-z_]+)`").FindAllStringSubmatch(string(page), -1) {
		if !known[m[1]] {
			t.Errorf("docs/doctor.md lists %s, which is no check", m[1])
		}
	}
}
