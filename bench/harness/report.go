package harness

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Find gives a set by its name.
func Find(name string) (Set, bool) {
	for _, s := range Sets {
		if s.Name == name {
			return s, true
		}
	}
	return Set{}, false
}

// ResultsOf is the folder of the results.
func ResultsOf(repository string) string { return filepath.Join(repository, "bench/results") }

// page is the document whose tables are written.
const page = "docs/benchmarks.md"

// Report writes the page's tables from the results: what stands between
// <!-- bench:NAME --> and <!-- /bench:NAME -->.
func Report(repository string) error {
	files, err := Load(ResultsOf(repository))
	if err != nil {
		return err
	}
	path := filepath.Join(repository, page)
	text, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	out := string(text)
	for _, s := range sections {
		if out, err = between(out, s.name, s.write(files)); err != nil {
			return fmt.Errorf("%s: %w", page, err)
		}
	}
	return os.WriteFile(path, []byte(out), 0o644)
}

// sections are the marked places of the page.
var sections = []struct {
	name  string
	write func([]*File) string
}{
	{"goals", goalTable},
	{"drain", func(files []*File) string { return printed(files, "y", "s", "u", "u-large", "y1m") }},
	{"peers", func(files []*File) string { return printed(files, "peers") }},
	{"latency", func(files []*File) string { return printed(files, "latency", "stalls") }},
	{"growth", func(files []*File) string {
		return printed(files, "partitions", "windows", "columns", "views", "restart")
	}},
}

const notRun = "Not recorded yet.\n"

// printed gives the tables of some sets.
func printed(files []*File, names ...string) string {
	var b strings.Builder
	for _, name := range names {
		if f := set(files, name); f != nil {
			b.WriteString(strings.TrimSpace(Print(f)) + "\n\n")
		}
	}
	if b.Len() == 0 {
		return notRun
	}
	return strings.TrimSpace(b.String()) + "\n"
}

func set(files []*File, name string) *File {
	for _, f := range files {
		if f.Set == name {
			return f
		}
	}
	return nil
}

// between replaces what stands between a section's marks.
func between(text, name, content string) (string, error) {
	opening, closing := "<!-- bench:"+name+" -->\n", "<!-- /bench:"+name+" -->"
	before, rest, ok := strings.Cut(text, opening)
	if !ok {
		return "", fmt.Errorf("the mark %s is missing", strings.TrimSpace(opening))
	}
	_, after, ok := strings.Cut(rest, closing)
	if !ok {
		return "", fmt.Errorf("the mark %s is missing", closing)
	}
	return before + opening + "\n" + content + "\n" + closing + after, nil
}
