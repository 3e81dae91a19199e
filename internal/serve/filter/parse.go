package filter

import (
	"fmt"
	"net/url"
	"slices"
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
	case "select", "order", "limit", "offset", "final":
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
		return s.fail(0, "cursor is reserved, and not a column", "to filter a column of this name: and=(cursor.eq.value)")
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

// column reads column=op.value, where the column may be quoted.
func (p *parser) column(name string, s *scanner) *Error {
	column := name
	if name == "" || name == `""` {
		return &Error{Place: Place{Parameter: name}, Message: "a parameter has no name", Hint: "write column=eq.value"}
	}
	if strings.HasPrefix(name, `"`) {
		q := &scanner{parser: p, parameter: name, text: name}
		text, err := q.quoted()
		if err != nil || q.at < len(name) {
			return &Error{Place: Place{Parameter: name}, Message: "the column's name is not well quoted", Hint: `write "na.me", with \" for a quotation mark in it`}
		}
		column = text
	}
	c := &Condition{Column: Name{column, Place{Parameter: name}}}
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

// elsewhere are operators of PostgREST that are not read here, with what to
// use.
var elsewhere = map[string]string{
	"match": "use like with * as wildcard", "imatch": "use ilike with * as wildcard",
	"fts": "", "plfts": "", "phfts": "", "wfts": "",
	"cs": "", "cd": "", "ov": "", "sl": "", "sr": "", "nxr": "", "nxl": "", "adj": "",
}

func (s *scanner) unknownOp(at int, word string) *Error {
	base, _, _ := strings.Cut(word, "(")
	if hint, ok := elsewhere[base]; ok {
		return s.fail(at, fmt.Sprintf("operator %s of PostgREST is not supported here", quote(base)), hint)
	}
	if base != word && slices.Contains(Ops, Op(base)) {
		return s.fail(at, fmt.Sprintf("%s: any and all are not supported here", quote(word)), "use in.(…) or or=(…)")
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
