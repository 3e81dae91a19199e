// Package sqlfile reads pipeline files: one `.sql` file, or a folder of them
// in name order, becomes a list of parsed statements that know their places.
//
// PostgreSQL's own parser does the work, so syntax, quoting and case folding
// are PostgreSQL's. A statement that does not parse doesn't hide the others:
// the file is then cut at its semicolons by PostgreSQL's scanner and each
// piece is parsed by itself, so that all errors come at once.
package sqlfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/diag"
)

// MaxBytes is the longest file that is read: far above anything written by
// hand, and far below what the parser would choke on.
const MaxBytes = 8 << 20

// File is a pipeline's definition: the statements of one file or of a folder.
type File struct {
	Name       string // as it was given: a file or a folder
	Sources    []*Source
	Statements []*Statement // of all sources, in order
	// Unparsed are the texts of the statements that did not parse: who looks
	// for a name that one of them may have made need not complain again.
	Unparsed []string
}

// Source is one file on disk.
type Source struct {
	Name string // for messages
	Text string
}

// Statement is one parsed statement.
type Statement struct {
	Node   *pg_query.Node
	Text   string // as written, without its semicolon and what stands around it
	Source *Source
	// base is the byte in the source where the offsets in Node count from,
	// start the byte where Text begins.
	base, start int
}

// Text gives the whole definition as it was read, the sources one after the
// other.
func (f *File) Text() string {
	if len(f.Sources) == 1 {
		return f.Sources[0].Text
	}
	var b strings.Builder
	for _, s := range f.Sources {
		fmt.Fprintf(&b, "-- %s\n%s", filepath.Base(s.Name), s.Text)
		if !strings.HasSuffix(s.Text, "\n") {
			b.WriteByte('\n')
		}
	}
	return b.String()
}

// Position gives the place of a byte offset as the parse tree has them. A
// negative offset is the statement's beginning.
func (s *Statement) Position(offset int32) diag.Position {
	if offset < 0 {
		return s.Source.position(s.start)
	}
	return s.Source.position(s.base + int(offset))
}

// Find gives the place of the first occurrence of a word in the statement, at
// or after offset, case aside: for nodes that have no place of their own. If
// it doesn't occur, it is the statement's beginning.
func (s *Statement) Find(word string, offset int32) diag.Position {
	from := s.start
	if offset > 0 {
		from = max(from, s.base+int(offset))
	}
	end := s.start + len(s.Text)
	if from > end {
		return s.Position(-1)
	}
	text, word := strings.ToLower(s.Source.Text[from:end]), strings.ToLower(word)
	for at := 0; ; {
		i := strings.Index(text[at:], word)
		if i < 0 {
			return s.Position(-1)
		}
		i += at
		if !wordByte(text, i-1) && !wordByte(text, i+len(word)) {
			return s.Source.position(from + i)
		}
		at = i + 1
	}
}

func wordByte(text string, i int) bool {
	if i < 0 || i >= len(text) {
		return false
	}
	c := text[i]
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= utf8.RuneSelf
}

// position turns a byte of the source into line and column.
func (s *Source) position(at int) diag.Position {
	at = min(max(at, 0), len(s.Text))
	before := s.Text[:at]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return diag.Position{File: s.Name, Line: line, Column: column}
}

// Load reads a pipeline file, or all `.sql` files of a folder in name order.
func Load(path string) (*File, diag.List) {
	names, err := sourceNames(path)
	if err != nil {
		return nil, diag.List{err}
	}
	file := &File{Name: path}
	var problems diag.List
	for _, name := range names {
		text, err := readSource(name)
		if err != nil {
			problems = append(problems, err)
			continue
		}
		problems = append(problems, file.add(&Source{Name: name, Text: text})...)
	}
	return file, problems
}

// Parse parses a text as if it stood in a file of that name.
func Parse(name, text string) (*File, diag.List) {
	file := &File{Name: name}
	return file, file.add(&Source{Name: name, Text: text})
}

func (f *File) add(s *Source) diag.List {
	f.Sources = append(f.Sources, s)
	if problem := s.checkBytes(); problem != nil {
		return diag.List{problem}
	}
	statements, unparsed, problems := s.parse()
	f.Statements = append(f.Statements, statements...)
	f.Unparsed = append(f.Unparsed, unparsed...)
	return problems
}

// checkBytes refuses what PostgreSQL's scanner can't hold.
func (s *Source) checkBytes() *diag.Diagnostic {
	for i, r := range s.Text {
		var bad string
		switch {
		case r == 0:
			bad = "a NUL byte"
		case r == utf8.RuneError && !strings.HasPrefix(s.Text[i:], "\uFFFD"):
			bad = "bytes that are not UTF-8"
		case r == '\uFEFF' && i == 0:
			bad = "a byte order mark"
		default:
			continue
		}
		return &diag.Diagnostic{
			Code: CodeUnreadable, Pos: s.position(i),
			Message: "the file holds " + bad,
			Hint:    "save it as UTF-8 text without a byte order mark",
		}
	}
	return nil
}

func sourceNames(path string) ([]string, *diag.Diagnostic) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	if !info.IsDir() {
		return []string{path}, nil
	}
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, unreadable(path, err)
	}
	var names []string
	for _, e := range entries {
		if !e.IsDir() && strings.EqualFold(filepath.Ext(e.Name()), ".sql") && !strings.HasPrefix(e.Name(), ".") {
			names = append(names, filepath.Join(path, e.Name()))
		}
	}
	if len(names) == 0 {
		return nil, &diag.Diagnostic{
			Code: CodeUnreadable, Pos: diag.Position{File: path},
			Message: fmt.Sprintf("there is no .sql file in folder %q", path),
			Hint:    "name a pipeline file, or a folder that holds some",
		}
	}
	sort.Strings(names)
	return names, nil
}

func readSource(name string) (string, *diag.Diagnostic) {
	info, err := os.Stat(name)
	if err == nil && info.Size() > MaxBytes {
		err = fmt.Errorf("it has %d bytes, and at most %d are read", info.Size(), MaxBytes)
	}
	if err != nil {
		return "", unreadable(name, err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", unreadable(name, err)
	}
	return string(text), nil
}

func unreadable(path string, err error) *diag.Diagnostic {
	d := &diag.Diagnostic{Code: CodeUnreadable, Pos: diag.Position{File: path}}
	var pathError *fs.PathError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		d.Message = fmt.Sprintf("there is no file or folder %q", path)
		if near := neighbour(path); near != "" {
			d.Hint = fmt.Sprintf("did you mean %q?", near)
		}
	case errors.As(err, &pathError):
		d.Message = fmt.Sprintf("can't read %q: %v", path, pathError.Err)
	default:
		d.Message = fmt.Sprintf("can't read %q: %v", path, err)
	}
	return d
}

// neighbour gives the pipeline file beside path whose name is most like it.
func neighbour(path string) string {
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil {
		return ""
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() || strings.EqualFold(filepath.Ext(e.Name()), ".sql") {
			names = append(names, e.Name())
		}
	}
	if near := diag.Closest(filepath.Base(path), names); near != "" {
		return filepath.Join(filepath.Dir(path), near)
	}
	return ""
}
