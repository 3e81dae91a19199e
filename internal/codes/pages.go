package codes

import (
	"embed"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

//go:embed pages/*.txt
var pageFiles embed.FS

// Page tells all about a code.
type Page struct {
	Code    string
	Title   string // in a few words
	Why     string // what it means: the description of the package that gives it
	Kind    string // what Example is: one of Kinds, maybe with more words
	Example string // that gives the code
	Cure    string
}

// Kinds says of each kind of example what it is.
var Kinds = map[string]string{
	"file":     "a pipeline file",
	"query":    "a materialized view's query, where orders is a topic",
	"command":  "a command line",
	"database": "a pipeline file that is run",
	"test":     "a line of a test file",
	"spark":    "a pipeline file with --engine spark",
	"request":  "a request to the API of the skeleton pipeline",
	"none":     "seen only with",
}

// KindText says what a page's example is.
func (p *Page) KindText() string {
	kind, more, _ := strings.Cut(p.Kind, " ")
	if more != "" {
		more = ", " + more
	}
	return Kinds[kind] + more
}

// Orders is what the queries of examples read.
const Orders = `CREATE FOREIGN TABLE orders (id bigint, k text, qty integer, amount numeric(12, 2), ok boolean, label text, at timestamptz)
    SERVER kafka OPTIONS (event_time 'at', watermark '5 minutes');
CREATE TABLE IF NOT EXISTS kinds (kind text PRIMARY KEY, label text);`

var readPages = sync.OnceValues(func() (map[string]*Page, error) {
	pages, why := map[string]*Page{}, All()
	names, err := pageFiles.ReadDir("pages")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := pageFiles.ReadFile("pages/" + name.Name())
		if err != nil {
			return nil, err
		}
		for _, part := range strings.Split("\n"+string(text), "\n=== ")[1:] {
			p, err := parsePage(part)
			if err != nil {
				return nil, fmt.Errorf("pages/%s: %w", name.Name(), err)
			}
			if pages[p.Code] != nil {
				return nil, fmt.Errorf("pages/%s: a second page of %s", name.Name(), p.Code)
			}
			p.Why = why[p.Code]
			pages[p.Code] = p
		}
	}
	return pages, nil
})

// parsePage reads a page: a line with code and title, "--- kind" and the
// example, "--- cure" and the cure.
func parsePage(text string) (*Page, error) {
	head, rest, _ := strings.Cut(text, "\n")
	code, title, _ := strings.Cut(head, " ")
	kind, rest, ok := strings.Cut(strings.TrimPrefix(rest, "--- "), "\n")
	example, cure, ok2 := strings.Cut(rest, "\n--- cure\n")
	p := &Page{Code: code, Title: title, Kind: kind, Example: strings.Trim(example, "\n"), Cure: strings.TrimSpace(cure)}
	word, _, _ := strings.Cut(kind, " ")
	if !ok || !ok2 || title == "" || p.Example == "" || p.Cure == "" || Kinds[word] == "" {
		return nil, fmt.Errorf("the page of %q lacks a title, an example of a kind that there is, or a cure", code)
	}
	return p, nil
}

// Pages gives all pages by code.
func Pages() (map[string]*Page, error) { return readPages() }

// areas are the chapters of the list, by the codes' beginnings.
var areas = []struct{ prefix, title, about string }{
	{"MS1", "Statements and options of a pipeline file", ""},
	{"MS2", "Expressions", "The queries are those of a materialized view over this topic:\n\n```sql\n" + Orders + "\n```\n"},
	{"MS3", "Queries", "The topic is the one above."},
	{"MS4", "The database", ""},
	{"MS5", "Settings", ""},
	{"MS7", "The API", "The requests go to a server that runs [the skeleton's pipeline](../examples/skeleton/pipeline.sql)."},
	{"MS8", "Test files", ""},
	{"MS9", "Spark", ""},
}

// Document gives docs/errors.md.
func Document() (string, error) {
	pages, err := Pages()
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("# Error codes\n\n<!-- written by `go test ./internal/codes -update` -->\n\n" +
		"Each error of a pipeline file, a setting, a test file or a request carries a stable code. `millstream explain CODE` shows its page.\n" +
		"Each example gives its code: a test runs them all. In them `«x*9»` stands for nine `x`.\n")
	for _, area := range areas {
		fmt.Fprintf(&b, "\n## %s\n", area.title)
		if area.about != "" {
			fmt.Fprintf(&b, "\n%s\n", strings.TrimRight(area.about, "\n"))
		}
		for _, code := range slices.Sorted(maps.Keys(pages)) {
			if strings.HasPrefix(code, area.prefix) {
				pages[code].markdown(&b)
			}
		}
	}
	return b.String(), nil
}

func (p *Page) markdown(b *strings.Builder) {
	fmt.Fprintf(b, "\n### %s: %s\n\n%s\n\n", p.Code, p.Title, p.Why)
	kind := p.KindText()
	if p.Kind == "none" {
		fmt.Fprintf(b, "%s: %s\n\n", upper(kind), p.Example)
	} else {
		language := ""
		if word, _, _ := strings.Cut(p.Kind, " "); word == "file" || word == "query" || word == "database" || word == "spark" {
			language = "sql"
		}
		fmt.Fprintf(b, "Example (%s):\n\n```%s\n%s\n```\n\n", kind, language, p.Example)
	}
	fmt.Fprintf(b, "Cure: %s\n", p.Cure)
}

// Text gives a page as `millstream explain` prints it.
func (p *Page) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s  %s\n\n%s\n\n", p.Code, p.Title, p.Why)
	if p.Kind == "none" {
		fmt.Fprintf(&b, "%s:\n", upper(p.KindText()))
	} else {
		fmt.Fprintf(&b, "Example, %s:\n", p.KindText())
	}
	if p.Kind == "query" {
		fmt.Fprintf(&b, "\n%s\n", indent(Orders))
	}
	fmt.Fprintf(&b, "\n%s\n\n→ %s\n", indent(p.Example), p.Cure)
	return b.String()
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

func upper(s string) string { return strings.ToUpper(s[:1]) + s[1:] }
