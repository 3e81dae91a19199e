package filter

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"
)

// scanner reads one parameter's value.
type scanner struct {
	*parser
	parameter string
	text      string
	at        int // byte
}

// place gives the place of a byte of the text.
func (s *scanner) place(at int) Place {
	return Place{s.parameter, utf8.RuneCountInString(s.text[:at]) + 1}
}

func (s *scanner) fail(at int, message, hint string) *Error {
	return &Error{Kind: Syntax, Place: s.place(at), Message: message, Hint: hint}
}

func (s *scanner) limit(at int, message, hint string) *Error {
	return &Error{Kind: Limit, Place: s.place(at), Message: message, Hint: hint}
}

func (s *scanner) rest() string { return s.text[s.at:] }

// spaces skips blanks around punctuation.
func (s *scanner) spaces() {
	for s.at < len(s.text) && s.text[s.at] == ' ' {
		s.at++
	}
}

// punct takes one punctuation character with the blanks around it.
func (s *scanner) punct(c byte) bool {
	at := s.at
	s.spaces()
	if s.at < len(s.text) && s.text[s.at] == c {
		s.at++
		s.spaces()
		return true
	}
	s.at = at
	return false
}

// end fails when something is left over.
func (s *scanner) end() *Error {
	if s.at < len(s.text) {
		return s.fail(s.at, fmt.Sprintf("unexpected %s", quote(s.rest())), "")
	}
	return nil
}

// arrow begins each step of a path.
const arrow = "->"

// until gives the text up to the first of the characters or an arrow, or to
// the end.
func (s *scanner) until(stops string) string {
	n := len(s.rest())
	if stops != "" {
		if at := strings.IndexAny(s.rest(), stops); at >= 0 {
			n = at
		}
	}
	if at := strings.Index(s.rest(), arrow); at >= 0 {
		n = min(n, at)
	}
	word := s.text[s.at : s.at+n]
	s.at += n
	return word
}

// upTo is until, where an arrow is nothing special.
func (s *scanner) upTo(stops string) string {
	n := strings.IndexAny(s.rest(), stops)
	if n < 0 {
		n = len(s.rest())
	}
	word := s.text[s.at : s.at+n]
	s.at += n
	return word
}

// quoted reads a string in double quotes, where \ takes the next character as
// it is.
func (s *scanner) quoted() (string, *Error) {
	start := s.at
	var b strings.Builder
	for s.at++; s.at < len(s.text); s.at++ {
		switch c := s.text[s.at]; c {
		case '"':
			s.at++
			return b.String(), nil
		case '\\':
			if s.at++; s.at < len(s.text) {
				b.WriteByte(s.text[s.at])
			}
		default:
			b.WriteByte(c)
		}
	}
	return "", s.fail(start, "a quotation mark is not closed", "")
}

// nameStops end an unquoted name.
const nameStops = `.,:()"`

// name reads a name, quoted or not.
func (s *scanner) name() (Name, *Error) {
	at := s.at
	if strings.HasPrefix(s.rest(), `"`) {
		text, err := s.quoted()
		if err == nil && text == "" {
			err = s.fail(at, "a name is empty", "")
		}
		return Name{Text: text, Place: s.place(at)}, err
	}
	text := strings.TrimRight(s.until(nameStops), " ")
	if text == "" {
		return Name{}, s.fail(at, "a column's name is missing", `put a name with . , : ( or ) into double quotes`)
	}
	return Name{Text: text, Place: s.place(at)}, nil
}

// field reads a column's name and the path after it.
func (s *scanner) field() (Name, *Error) {
	n, err := s.name()
	if err == nil {
		n.Path, err = s.path(nameStops)
	}
	return n, err
}

// path reads ->key->>key…, where a key without quotes ends at stops.
func (s *scanner) path(stops string) ([]Step, *Error) {
	var steps []Step
	for strings.HasPrefix(s.rest(), arrow) {
		at := s.at
		step := Step{}
		s.at += len(arrow)
		if strings.HasPrefix(s.rest(), ">") {
			s.at++
			step.Text = true
		}
		if len(steps) > 0 && steps[len(steps)-1].Text {
			return nil, s.fail(at, "a path goes on after ->>, which gives text", "use ->> for the last step only")
		}
		if len(steps) == MaxPath {
			return nil, s.limit(at, fmt.Sprintf("a path has more than %d steps", MaxPath), "")
		}
		if strings.HasPrefix(s.rest(), `"`) {
			key, err := s.quoted()
			if err != nil {
				return nil, err
			}
			step.Key = key
		} else {
			step.Key = strings.TrimRight(s.until(stops), " ")
			step.Index = isIndex(step.Key)
			if step.Key == "" {
				return nil, s.fail(s.at, "a path ends without a key", "write column->key or column->0")
			}
		}
		steps = append(steps, step)
	}
	return steps, nil
}

// isIndex tells an array's index, which fits into PostgreSQL's integer.
func isIndex(key string) bool {
	digits := strings.TrimPrefix(key, "-")
	if digits == "" || len(digits) > 9 {
		return false
	}
	for _, c := range digits {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// tree reads ( node, … ).
func (s *scanner) tree(or, not bool, depth int) (*Logic, *Error) {
	if depth > MaxDepth {
		return nil, s.limit(s.at, fmt.Sprintf("and and or are nested deeper than %d", MaxDepth), "")
	}
	at := s.at
	if !s.punct('(') {
		return nil, s.fail(s.at, "an opening parenthesis is missing", "write and=(a.eq.1,b.gt.2)")
	}
	l := &Logic{Or: or, Not: not}
	for {
		node, err := s.node(depth)
		if err != nil {
			return nil, err
		}
		l.Nodes = append(l.Nodes, node)
		if s.punct(',') {
			continue
		}
		if s.punct(')') {
			return l, nil
		}
		if s.at == len(s.text) {
			return nil, s.fail(at, "a parenthesis is not closed", "")
		}
		return nil, s.fail(s.at, fmt.Sprintf("unexpected %s, want a comma or a closing parenthesis", quote(s.rest())), `put a value with a comma or parenthesis into double quotes`)
	}
}

// logicWords begin a tree inside of a tree.
var logicWords = []struct {
	word    string
	or, not bool
}{{"and", false, false}, {"or", true, false}, {"not.and", false, true}, {"not.or", true, true}}

func (s *scanner) node(depth int) (Node, *Error) {
	for _, l := range logicWords {
		if after, ok := strings.CutPrefix(s.rest(), l.word); ok && strings.HasPrefix(strings.TrimLeft(after, " "), "(") {
			s.at += len(l.word)
			return s.tree(l.or, l.not, depth+1)
		}
	}
	name, err := s.field()
	if err != nil {
		return nil, err
	}
	if !strings.HasPrefix(s.rest(), ".") {
		return nil, s.fail(s.at, fmt.Sprintf("column %s has no operator", quote(name.Text)), fmt.Sprintf("write %s.eq.value", name.Text))
	}
	s.at++
	c := &Condition{Column: name}
	return c, s.condition(c, false)
}

// condition reads [not.]op.value into c. At the top level the value reaches
// to the end of the text.
func (s *scanner) condition(c *Condition, top bool) *Error {
	if s.conditions++; s.conditions > MaxConditions {
		return s.limit(s.at, fmt.Sprintf("more than %d conditions", MaxConditions), "")
	}
	start := s.at
	if strings.HasPrefix(s.rest(), "not.") {
		s.at += len("not.")
		c.Not = true
	}
	at := s.at
	word := s.upTo(".,()")
	if strings.HasPrefix(s.rest(), "(") {
		if err := s.quantifier(c, at, word); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(s.rest(), ".") {
		if slices.Contains(Ops, Op(word)) {
			return s.fail(s.at, fmt.Sprintf("operator %s has no value", quote(word)), fmt.Sprintf("write %s.value", word))
		}
		hint := ""
		if top {
			hint = fmt.Sprintf("did you mean %s=eq.%s?", s.parameter, s.text[start:])
		}
		return s.fail(start, fmt.Sprintf("%s has no operator", quote(s.text[start:])), hint)
	}
	if !slices.Contains(Ops, Op(word)) {
		return s.unknownOp(at, word)
	}
	s.at++
	c.Op, c.Place = Op(word), s.place(s.at)
	return s.operand(c, top)
}

// quantifier reads (any) or (all) after an operator.
func (s *scanner) quantifier(c *Condition, at int, op string) *Error {
	for _, q := range []Quantifier{Any, All} {
		text := "(" + string(q) + ")"
		if !strings.HasPrefix(s.rest(), text) {
			continue
		}
		if !slices.Contains(Ops, Op(op)) {
			return s.unknownOp(at, op)
		}
		if !slices.Contains(quantified, Op(op)) {
			return s.fail(s.at, fmt.Sprintf("operator %s does not take %s", quote(op), q), "any and all go with eq, gt, gte, lt, lte, like, ilike, match and imatch")
		}
		s.at += len(text)
		c.Quantifier = q
		return nil
	}
	if !slices.Contains(Ops, Op(op)) {
		return s.unknownOp(at, op)
	}
	return s.fail(s.at, fmt.Sprintf("unexpected %s after an operator", quote(s.rest())), "write op.value, op(any).{a,b} or op(all).{a,b}")
}

func (s *scanner) operand(c *Condition, top bool) (err *Error) {
	switch c.Op {
	case In:
		c.Values, err = s.list()
		return err
	case IsOp:
		return s.is(c)
	}
	value := s.rest()
	if top {
		s.at = len(s.text)
	} else if value, err = s.value(); err != nil {
		return err
	}
	if c.Quantifier != One && !strings.HasPrefix(value, "{") {
		return &Error{Kind: Syntax, Place: c.Place, Message: fmt.Sprintf("%s wants a list in braces", c.Quantifier), Hint: fmt.Sprintf("write %s(%s).{a,b}", c.Op, c.Quantifier)}
	}
	c.Values = []string{value}
	return nil
}

func (s *scanner) is(c *Condition) *Error {
	at := s.at
	word := s.upTo(",)")
	switch is := Is(strings.ToLower(strings.TrimRight(word, " "))); is {
	case IsNull, IsNotNull, IsTrue, IsFalse, IsUnknown:
		c.Is = is
		return nil
	}
	return s.fail(at, fmt.Sprintf("is.%s: want null, not_null, true, false or unknown", word), "to compare with a value: eq."+word)
}

// value reads a value in a tree or list: a quoted string or an array literal
// that the item ends with, otherwise what stands up to the next , or ).
func (s *scanner) value() (string, *Error) {
	start := s.at
	switch {
	case strings.HasPrefix(s.rest(), `"`):
		if text, err := s.quoted(); err == nil && s.atItemEnd() {
			return text, nil
		}
	case strings.HasPrefix(s.rest(), "{"):
		if n := strings.IndexByte(s.rest(), '}'); n > 0 {
			if s.at += n + 1; s.atItemEnd() {
				return s.text[start:s.at], nil
			}
		}
	}
	s.at = start
	return s.upTo(",)"), nil
}

func (s *scanner) atItemEnd() bool {
	return s.at == len(s.text) || s.text[s.at] == ',' || s.text[s.at] == ')'
}

// list reads ( value, … ); () is the empty list.
func (s *scanner) list() ([]string, *Error) {
	at := s.at
	if !strings.HasPrefix(s.rest(), "(") {
		return nil, s.fail(s.at, "in wants a list in parentheses", "write in.(a,b,c)")
	}
	s.at++
	values := []string{}
	if strings.HasPrefix(s.rest(), ")") {
		s.at++
		return values, nil
	}
	for {
		if s.values++; s.values > MaxValues {
			return nil, s.limit(s.at, fmt.Sprintf("more than %d values in lists", MaxValues), "")
		}
		v, err := s.value()
		if err != nil {
			return nil, err
		}
		values = append(values, v)
		switch {
		case strings.HasPrefix(s.rest(), ","):
			s.at++
		case strings.HasPrefix(s.rest(), ")"):
			s.at++
			return values, nil
		default:
			return nil, s.fail(at, "the list's parenthesis is not closed", "")
		}
	}
}
