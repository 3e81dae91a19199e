package house

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var (
	fenced    = regexp.MustCompile("(?ms)^```[^\n]*\n(.*?)^```")
	inline    = regexp.MustCompile("`([^`\n]+)`")
	anyLink   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	levels    = regexp.MustCompile(`(?m)^(#+) `)
	tableLine = regexp.MustCompile(`(?m)^\|`)
)

// TestTranslatedReadme holds README.fr.md to README.md: the same headings, as
// far as their levels go, the same blocks of code, the same names and links,
// and as many lines in each table. The sentences are the translator's, and so
// is the order of what stands in them.
func TestTranslatedReadme(t *testing.T) {
	original, translated := sectionsOf(read(t, "README.md")), sectionsOf(read(t, "README.fr.md"))
	if len(original) != len(translated) {
		t.Fatalf("README.fr.md has %d sections and README.md %d: give both the same headings in the same order", len(translated), len(original))
	}
	for i := range original {
		if diff := cmp.Diff(outline(original[i]), outline(translated[i])); diff != "" {
			title, _, _ := strings.Cut(original[i], "\n")
			t.Errorf("README.fr.md differs from README.md in the section %q (-README.md +README.fr.md): translate what has changed\n%s", strings.TrimLeft(title, "# "), diff)
		}
	}
}

// sectionsOf cuts a page at its headings.
func sectionsOf(text string) []string {
	plain := fence.ReplaceAllStringFunc(text, func(s string) string { return strings.ReplaceAll(s, "\n#", "\n\x00") })
	var out []string
	starts := append(levels.FindAllStringIndex(plain, -1), []int{len(plain), len(plain)})
	for i, at := range starts[:len(starts)-1] {
		out = append(out, strings.ReplaceAll(plain[at[0]:starts[i+1][0]], "\x00", "#"))
	}
	return out
}

// shape is what both languages share of a section.
type shape struct {
	Level  int
	Blocks []string // code, as it stands
	Names  []string // what stands in `…`
	Links  []string
	Rows   int // of tables
}

func outline(section string) shape {
	s := shape{Level: len(levels.FindStringSubmatch(section)[1]), Rows: len(tableLine.FindAllString(section, -1))}
	for _, m := range fenced.FindAllStringSubmatch(section, -1) {
		s.Blocks = append(s.Blocks, m[1])
	}
	text := fence.ReplaceAllString(section, "")
	for _, m := range inline.FindAllStringSubmatch(text, -1) {
		s.Names = append(s.Names, m[1])
	}
	for _, m := range anyLink.FindAllStringSubmatch(text, -1) {
		s.Links = append(s.Links, m[1])
	}
	slices.Sort(s.Names)
	slices.Sort(s.Links)
	return s
}
