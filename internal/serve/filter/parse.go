package filter

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/diag"
)

// Parse reads a raw query string, without its question mark.
func Parse(raw string) (*Query, *Error) {
	if len(raw) > MaxQueryBytes {
		return nil, &Error{Kind: TooLong, Message: fmt.Sprintf("the query string has %d bytes, at most %d are read", len(raw), MaxQueryBytes)}
	}
	p := &parser{query: &Query{}, seen: map[string]bool{}}
	if raw == "" {
		return p.query, nil
	}
	parts := strings.Split(raw, "&")
	if len(parts) > MaxParameters {
		return nil, &Error{Kind: Limit, Message: fmt.Sprintf("%d parameters, at most %d are read", len(parts), MaxParameters)}
	}
	for _, part := range parts {
		if part == "" {
			continue
		}
		if err := p.parameter(part); err != nil {
			return nil, err
		}
	}
	return p.query, nil
}

// parser holds what the parameters of one query string share.
type parser struct {
	query      *Query
	seen       map[string]bool // parameters that may stand once
	conditions int
	values     int
}

func (p *parser) parameter(part string) *Error {
	rawName, rawValue, _ := strings.Cut(part, "=")
	name, err := unescape(rawName)
	if err != "" {
		return &Error{Place: Place{Parameter: rawName}, Message: "the parameter's name " + err}
	}
	value, err := unescape(rawValue)
	if err != "" {
		return &Error{Place: Place{Parameter: name}, Message: "the value " + err}
	}
	switch name {
	case "select", "order", "limit", "offset", "cursor", "final":
		if p.seen[name] {
			return &Error{Place: Place{Parameter: name}, Message: fmt.Sprintf("%s is given twice", name), Hint: "give it once, with commas between its items"}
		}
		p.seen[name] = true
	}
	s := &scanner{parser: p, parameter: name, text: value}
	return p.dispatch(name, value, s)
}

func (p *parser) dispatch(name, value string, s *scanner) *Error {
	switch name {
	case "select":
		return s.selection()
	case "order":
		return s.order()
	case "limit":
		n, err := s.count(MaxLimit, "leave limit out to get all rows")
		p.query.Limit = &n
		return err
	case "offset":
		n, err := s.count(MaxOffset, "go on from the last row with a filter on the key instead")
		p.query.Offset = n
		return err
	case "final":
		return p.final(value, s)
	case "and", "or", "not.and", "not.or":
		tree, err := s.tree(strings.HasSuffix(name, "or"), strings.HasPrefix(name, "not."), 1)
		if err != nil {
			return err
		}
		p.query.Where = append(p.query.Where, tree)
		return s.end()
	case "not":
		return s.fail(0, "not does not stand alone", "write not.and=(…), not.or=(…) or column=not.op.value")
	case "cursor":
		if value == "" {
			return s.fail(0, "cursor is empty", "take it from the Link header of the page before; the first page has none")
		}
		p.query.Cursor = value
		return nil
	}
	return p.column(name, s)
}

func (p *parser) final(value string, s *scanner) *Error {
	p.query.FinalPlace = s.place(0)
	switch value {
	case "true":
		p.query.Final = FinalOnly
	case "false":
		p.query.Final = OpenOnly
	default:
		return s.fail(0, fmt.Sprintf("final is %s, want true or false", quote(value)), "")
	}
	return nil
}

// column reads column=op.value, where the column may be quoted and have a
// path.
func (p *parser) column(name string, s *scanner) *Error {
	bare := Place{Parameter: name}
	if name == "" || name == `""` {
		return &Error{Place: bare, Message: "a parameter has no name", Hint: "write column=eq.value"}
	}
	n := &scanner{parser: p, parameter: name, text: name}
	column := Name{}
	if strings.HasPrefix(name, `"`) {
		text, err := n.quoted()
		if err != nil || n.at < len(name) && !strings.HasPrefix(n.rest(), arrow) {
			return &Error{Place: bare, Message: "the column's name is not well quoted", Hint: `write "na.me", with \" for a quotation mark in it`}
		}
		column.Text = text
	} else if column.Text = n.until(""); column.Text == "" {
		return &Error{Place: bare, Message: "a path has no column", Hint: "write column->key=eq.value"}
	}
	var err *Error
	if column.Path, err = n.path(""); err != nil {
		err.Place = bare
		return err
	}
	column.Place = bare
	c := &Condition{Column: column}
	if err := s.condition(c, true); err != nil {
		return err
	}
	p.query.Where = append(p.query.Where, c)
	return s.end()
}

// unescape decodes a part of the URL; its message says what is wrong.
func unescape(raw string) (string, string) {
	s, err := url.QueryUnescape(raw)
	switch {
	case err != nil:
		return "", "is not well percent-encoded"
	case !utf8.ValidString(s):
		return "", "is not UTF-8"
	case strings.ContainsRune(s, 0):
		return "", "has a NUL character, which PostgreSQL can't hold"
	}
	return s, ""
}

// count reads a number of rows.
func (s *scanner) count(most int64, hint string) (int64, *Error) {
	for i := range len(s.text) {
		if c := s.text[i]; c < '0' || c > '9' {
			return 0, s.fail(i, fmt.Sprintf("%s is %s, want a whole number of rows", s.parameter, quote(s.text)), "")
		}
	}
	if s.text == "" {
		return 0, s.fail(0, s.parameter+" is empty, want a whole number of rows", "")
	}
	n, err := strconv.ParseInt(s.text, 10, 64)
	if err != nil || n > most {
		return 0, s.limit(0, fmt.Sprintf("%s is %s, at most %d", s.parameter, s.text, most), hint)
	}
	return n, nil
}

// unknownOp says what is wrong with an operator.
func (s *scanner) unknownOp(at int, word string) *Error {
	if strings.HasSuffix(word, "fts") {
		return s.fail(at, fmt.Sprintf("full text search (%s) is not supported here", quote(word)), "use ilike or imatch, or make a view that searches")
	}
	names := make([]string, len(Ops))
	for i, op := range Ops {
		names[i] = string(op)
	}
	if close := diag.Closest(word, names); close != "" {
		return s.fail(at, fmt.Sprintf("unknown operator %s", quote(word)), fmt.Sprintf("did you mean %q?", close))
	}
	return s.fail(at, fmt.Sprintf("unknown operator %s", quote(word)), "write column=eq.value; the operators are "+strings.Join(names, ", "))
}

// maxQuoted is how much of the input a message repeats.
const maxQuoted = 60

func quote(s string) string {
	if r := []rune(s); len(r) > maxQuoted {
		s = string(r[:maxQuoted]) + "…"
	}
	return strconv.Quote(s)
}
