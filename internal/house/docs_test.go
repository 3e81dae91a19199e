package house

import (
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/config"
	"github.com/millstream-dev/millstream/internal/failpoint"
)

var (
	link    = regexp.MustCompile(`!?\[[^\]]*\]\(([^)\s]+)\)`)
	fence   = regexp.MustCompile("(?ms)^```.*?^```")
	heading = regexp.MustCompile(`(?m)^#+ +(.+)$`)
	notSlug = regexp.MustCompile(`[^\p{L}\p{N}_ -]`)
)

// TestLinks follows the links within the documents.
func TestLinks(t *testing.T) {
	for _, file := range withSuffix(tracked(t), ".md") {
		text := fence.ReplaceAllString(read(t, file), "")
		for _, m := range link.FindAllStringSubmatch(text, -1) {
			target, anchor, _ := strings.Cut(m[1], "#")
			if strings.Contains(target, "://") {
				continue
			}
			to := file
			if target != "" {
				to = path.Join(path.Dir(file), target)
			}
			if _, err := os.Stat(filepath.Join(root, to)); err != nil {
				t.Errorf("%s: the link %s leads nowhere: there is no %s", file, m[1], to)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, to)), anchor) {
				t.Errorf("%s: the link %s leads nowhere: %s has no heading %q; it has %s", file, m[1], to, anchor, strings.Join(anchors(read(t, to)), ", "))
			}
		}
	}
}

// anchors gives the names by which a page's headings are linked to.
func anchors(text string) []string {
	var out []string
	for _, m := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		slug := notSlug.ReplaceAllString(strings.ToLower(m[1]), "")
		out = append(out, strings.ReplaceAll(slug, " ", "-"))
	}
	return out
}

var (
	testName = regexp.MustCompile("`(?:([a-z_/]+)\\.)?((?:Test|Fuzz)[A-Z]\\w*)(?:/[^`]*)?`")
	testFunc = regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)[A-Z]\w*)\(`)
	dotTest  = regexp.MustCompile("`([\\w/-]+\\.test)`")
)

// TestGuaranteesHaveTests holds docs/guarantees.md to what it says: each of
// its points names a test, and each test that it names exists.
func TestGuaranteesHaveTests(t *testing.T) {
	const page = "docs/guarantees.md"
	files := tracked(t)
	known := map[string]bool{}
	for _, f := range withSuffix(files, "_test.go") {
		for _, m := range testFunc.FindAllStringSubmatch(read(t, f), -1) {
			known[path.Dir(f)+"."+m[1]] = true
		}
	}
	for i, line := range strings.Split(read(t, page), "\n") {
		point := strings.HasPrefix(line, "- ")
		names := testName.FindAllStringSubmatch(line, -1)
		scripts := dotTest.FindAllStringSubmatch(line, -1)
		if point && len(names)+len(scripts) == 0 {
			t.Errorf("%s:%d: nothing backs this sentence: name the test that does, or leave it out:\n%s", page, i+1, line)
		}
		for _, m := range names {
			if m[1] == "" {
				t.Errorf("%s:%d: %s: say which folder's test it is, as in `internal/engine.TestDecide`", page, i+1, m[2])
			} else if !known[m[1]+"."+m[2]] {
				t.Errorf("%s:%d: there is no test %s in %s: it was renamed or removed, and the sentence needs another", page, i+1, m[2], m[1])
			}
		}
		for _, m := range scripts {
			if !slices.Contains(files, m[1]) {
				t.Errorf("%s:%d: there is no %s", page, i+1, m[1])
			}
		}
	}
}

// TestSettingsTable holds docs/operations.md to the table of settings.
func TestSettingsTable(t *testing.T) {
	written(t, "docs/operations.md", "settings", settingsTable())
}

// TestPointsTable holds docs/testing.md to the points at which tests crash.
func TestPointsTable(t *testing.T) {
	var b strings.Builder
	b.WriteString("| point | what has just happened there |\n| --- | --- |\n")
	for _, name := range failpoint.List() {
		b.WriteString("| " + code(name) + " | " + failpoint.Meaning(name) + " |\n")
	}
	written(t, "docs/testing.md", "points", b.String())
}

// written holds what stands between two lines of a page to what the source
// says, and with -update writes it.
func written(t *testing.T, page, what, want string) {
	t.Helper()
	first, last := "<!-- "+what+": written by `go test ./internal/house -update` -->", "<!-- end of "+what+" -->"
	text := read(t, page)
	begin, end := strings.Index(text, first), strings.Index(text, last)
	if begin < 0 || end < begin {
		t.Fatalf("%s: the lines %q and %q must stand around the table of %s", page, first, last, what)
	}
	begin += len(first)
	want = "\n" + want + "\n"
	if text[begin:end] == want {
		return
	}
	if !*update {
		t.Fatalf("%s: the table of %s is not that of the source: go test ./internal/house -update", page, what)
	}
	text = text[:begin] + want + text[end:]
	if err := os.WriteFile(filepath.Join(root, page), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func settingsTable() string {
	defaults := config.Loaded{Config: config.Default()}
	var b strings.Builder
	b.WriteString("| in `millstream.yaml` | variable | flag | default | meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, s := range config.Settings {
		variables := code(s.Env)
		for _, alias := range s.Aliases {
			variables += ", " + code(alias)
		}
		if file := s.FileVariable(s.Env); file != "" {
			variables += ", " + code(file)
		}
		flag := ""
		if s.Flag != "" {
			flag = code("--" + s.Flag)
		}
		b.WriteString("| " + strings.Join([]string{code(s.Key), variables, flag, code(defaults.Value(s)), s.Doc}, " | ") + " |\n")
	}
	return b.String()
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}

// TestMetricsList holds the list of metrics in docs/operations.md to the
// metrics that there are.
func TestMetricsList(t *testing.T) {
	const page, source = "docs/operations.md", "internal/telemetry/metrics.go"
	_, text, _ := strings.Cut(read(t, page), "\n## Metrics")
	documented := names(text, regexp.MustCompile("`(millstream_[a-z_]+)`"))
	made := names(read(t, source), regexp.MustCompile(`"(millstream_[a-z_]+)"`))
	for _, m := range made {
		if !slices.Contains(documented, m) {
			t.Errorf("%s does not list the metric %s", page, m)
		}
	}
	for _, m := range documented {
		if !slices.Contains(made, m) {
			t.Errorf("%s lists the metric %s, which %s does not make", page, m, source)
		}
	}
}

func names(text string, pattern *regexp.Regexp) []string {
	var out []string
	for _, m := range pattern.FindAllStringSubmatch(text, -1) {
		out = append(out, m[1])
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// TestDecisionsAreNumberedOnce holds that a decision is found by its number.
func TestDecisionsAreNumberedOnce(t *testing.T) {
	seen := map[string]string{}
	for _, file := range withSuffix(tracked(t), ".md") {
		if path.Dir(file) != "docs/decisions" {
			continue
		}
		number, _, _ := strings.Cut(path.Base(file), "-")
		if other := seen[number]; other != "" {
			t.Errorf("%s and %s have the same number", other, file)
		}
		seen[number] = file
	}
}
