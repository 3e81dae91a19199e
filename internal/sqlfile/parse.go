package sqlfile

import (
	"errors"
	"strings"
	"unicode/utf8"

	pg_query "github.com/pganalyze/pg_query_go/v6"
	parser "github.com/wasilibs/go-pgquery"
	parsererr "github.com/wasilibs/go-pgquery/parser"

	"github.com/millstream-dev/millstream/internal/diag"
)

// The stable codes of this package's diagnostics.
const (
	CodeSyntax     = "MS1001"
	CodeUnreadable = "MS1002"
)

// Codes describes the stable codes of this package's diagnostics.
func Codes() map[string]string {
	return map[string]string{
		CodeSyntax:     "PostgreSQL's parser does not accept the statement. The message is PostgreSQL's own; the place is where the parser stopped, and the slip often stands just before it.",
		CodeUnreadable: "The pipeline file or folder can't be read: it does not exist, holds no .sql file, is too long, or is not UTF-8 text.",
	}
}

// parse gives the statements of a source, and the texts of those that don't
// parse with what is wrong with them.
func (s *Source) parse() (statements []*Statement, unparsed []string, problems diag.List) {
	tree, err := parser.Parse(s.Text)
	if err == nil {
		return s.statements(tree, 0, len(s.Text)), nil, nil
	}
	whole := diag.List{s.syntaxError(err, 0, s.Text)}
	pieces, ok := s.split()
	if !ok {
		return nil, []string{s.Text}, whole
	}
	for _, p := range pieces {
		text := s.Text[p.start:p.end]
		tree, err := parser.Parse(text)
		if err != nil {
			problems = append(problems, s.syntaxError(err, p.start, text))
			unparsed = append(unparsed, text)
			continue
		}
		statements = append(statements, s.statements(tree, p.start, p.end)...)
	}
	if len(problems) == 0 {
		// The pieces parse and the whole does not: the cut was wrong (the body
		// of a function in SQL), so the first error is the only one known.
		return nil, []string{s.Text}, whole
	}
	return statements, unparsed, problems
}

func (s *Source) statements(tree *pg_query.ParseResult, base, end int) []*Statement {
	out := make([]*Statement, 0, len(tree.Stmts))
	for _, raw := range tree.Stmts {
		start := base + int(raw.StmtLocation)
		stop := end
		if raw.StmtLen > 0 {
			stop = start + int(raw.StmtLen)
		}
		start += leading(s.Text[start:stop])
		text := strings.TrimRight(strings.TrimSpace(s.Text[start:stop]), "; \t\r\n")
		out = append(out, &Statement{Node: raw.Stmt, Text: text, Source: s, base: base, start: start})
	}
	return out
}

// leading counts the bytes of space and comments before a statement.
func leading(text string) int {
	at := 0
	for at < len(text) {
		switch rest := text[at:]; {
		case strings.HasPrefix(rest, "--"):
			n := strings.IndexByte(rest, '\n')
			if n < 0 {
				return at
			}
			at += n + 1
		case strings.HasPrefix(rest, "/*"):
			n := comment(rest)
			if n < 0 {
				return at
			}
			at += n
		case strings.ContainsRune(" \t\r\n\f\v;", rune(rest[0])):
			at++
		default:
			return at
		}
	}
	return 0
}

// comment gives the length of the comment that text begins with, those
// within it included, or -1 if it doesn't end.
func comment(text string) int {
	depth := 0
	for i := 0; i+1 < len(text); i++ {
		switch text[i : i+2] {
		case "/*":
			depth++
			i++
		case "*/":
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return -1
}

type piece struct{ start, end int }

// split cuts the source at the semicolons outside of brackets. ok is false
// if the scanner doesn't accept the text (a quote that never ends).
func (s *Source) split() ([]piece, bool) {
	scan, err := parser.Scan(s.Text)
	if err != nil {
		return nil, false
	}
	var pieces []piece
	start, empty := 0, true
	for _, t := range scan.Tokens {
		switch t.Token {
		case pg_query.Token_ASCII_59: // a semicolon ends a statement even in an open bracket: that is the slip
			if !empty {
				pieces = append(pieces, piece{start, int(t.Start)})
			}
			start, empty = int(t.End), true
		case pg_query.Token_SQL_COMMENT, pg_query.Token_C_COMMENT:
		default:
			empty = false
		}
	}
	if !empty {
		pieces = append(pieces, piece{start, len(s.Text)})
	}
	return pieces, true
}

func (s *Source) syntaxError(err error, base int, text string) *diag.Diagnostic {
	d := &diag.Diagnostic{Code: CodeSyntax, Message: err.Error(), Pos: s.position(base + leading(text))}
	var parse *parsererr.Error
	if !errors.As(err, &parse) {
		return d
	}
	d.Message = parse.Message
	if parse.Cursorpos > 0 {
		// The parser counts characters from 1.
		at := byteOf(text, parse.Cursorpos-1)
		d.Pos = s.position(base + at)
		d.Hint = syntaxHint(text, at, parse.Message)
	}
	return d
}

// byteOf gives the byte at which character n of text begins.
func byteOf(text string, n int) int {
	at := 0
	for ; n > 0 && at < len(text); n-- {
		_, size := utf8.DecodeRuneInString(text[at:])
		at += size
	}
	return at
}
