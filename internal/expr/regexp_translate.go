package expr

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// PostgreSQL's regular expressions and Go's have much in common, and some
// constructs that mean something else. A pattern is read by the rules of the
// former, what both can do is written in the syntax of the latter, and all
// else is refused: look-around, back references, lazy quantifiers, word
// boundaries. A match is the leftmost longest one, as PostgreSQL's.

// maxRepeat is PostgreSQL's limit of {m,n}.
const maxRepeat = 255

// pattern is a regular expression, ready to match.
type pattern struct {
	*regexp.Regexp
	// after matches behind the start of a text, where ^ doesn't hold.
	after  *regexp.Regexp
	groups bool // has capturing parentheses
}

// compilePattern reads a pattern. The error says what isn't supported.
func compilePattern(text string, anyCase bool) (*pattern, error) {
	t := translator{rest: text, anyCase: anyCase}
	if strings.HasPrefix(text, "***") || strings.HasPrefix(text, "(?") && !strings.HasPrefix(text, "(?:") {
		return nil, fmt.Errorf("options in a regular expression (%.4s) are not supported", text)
	}
	if err := t.alternatives(0); err != nil {
		return nil, err
	}
	p := &pattern{groups: t.groups}
	for i, target := range []**regexp.Regexp{&p.Regexp, &p.after} {
		anchor := [2]string{`\A`, nothing}[i]
		re, err := regexp.Compile("(?s)" + strings.ReplaceAll(t.out.String(), anchorMark, anchor))
		if err != nil {
			return nil, fmt.Errorf("the regular expression is too large: %w", err)
		}
		re.Longest()
		*target = re
	}
	return p, nil
}

const (
	nothing    = `[^\x{0}-\x{10FFFF}]`
	anchorMark = "\x00" // stands for ^, since no pattern has one
)

// Character classes as C.UTF-8 has them.
const (
	digitSet = `0-9`
	spaceSet = `\t-\r \x{1680}\x{2000}-\x{2006}\x{2008}-\x{200A}\x{2028}\x{2029}\x{205F}\x{3000}`
)

// wordSet are letters and digits of all scripts, as isAlphanumeric has them.
var wordSet = sync.OnceValue(func() string {
	var b strings.Builder
	b.WriteString(`\p{L}\p{Nl}\p{Nd}`)
	for _, r := range unicode.Other_Alphabetic.R16 {
		for c := uint32(r.Lo); c <= uint32(r.Hi); c += uint32(r.Stride) {
			fmt.Fprintf(&b, `\x{%X}`, c)
		}
	}
	for _, r := range unicode.Other_Alphabetic.R32 {
		for c := r.Lo; c <= r.Hi; c += r.Stride {
			fmt.Fprintf(&b, `\x{%X}`, c)
		}
	}
	return b.String()
})

// translator writes a pattern in Go's syntax.
type translator struct {
	rest    string
	out     strings.Builder
	anyCase bool
	groups  bool
}

func (t *translator) next() rune {
	r, n := utf8.DecodeRuneInString(t.rest)
	t.rest = t.rest[n:]
	return r
}

// alternatives translates up to the end of the pattern or of a group.
func (t *translator) alternatives(depth int) error {
	if depth > 100 {
		return fmt.Errorf("the regular expression is nested too deeply")
	}
	atom := false // something that a quantifier can follow
	for t.rest != "" {
		c := t.next()
		var err error
		switch c {
		case '|':
			t.out.WriteByte('|')
			atom = false
			continue
		case ')':
			if depth == 0 {
				return fmt.Errorf("a parenthesis is closed in the regular expression that was not opened")
			}
			return nil
		case '*', '+', '?', '{':
			if !atom {
				return fmt.Errorf("a quantifier (%c) in the regular expression follows nothing that it could repeat", c)
			}
			err, atom = t.quantifier(c), false
			if err != nil {
				return err
			}
			continue
		case '^':
			t.out.WriteString(anchorMark)
			atom = false
			continue
		case '$':
			t.out.WriteString(`\z`)
			atom = false
			continue
		case '(':
			err = t.group(depth)
		case '[':
			err = t.bracket()
		case '\\':
			atom, err = t.escape()
			if err != nil {
				return err
			}
			continue
		case '.':
			t.out.WriteByte('.')
		default:
			t.literal(c)
		}
		if err != nil {
			return err
		}
		atom = true
	}
	if depth > 0 {
		return fmt.Errorf("a parenthesis in the regular expression is not closed")
	}
	return nil
}

func (t *translator) group(depth int) error {
	switch {
	case strings.HasPrefix(t.rest, "?:"):
		t.rest = t.rest[2:]
	case strings.HasPrefix(t.rest, "?"):
		return fmt.Errorf("look-around (%.3s…) in a regular expression is not supported", "("+t.rest)
	default:
		t.groups = true
	}
	t.out.WriteString("(?:")
	before := len(t.rest)
	if err := t.alternatives(depth + 1); err != nil {
		return err
	}
	if before == len(t.rest)+1 {
		return fmt.Errorf("empty parentheses in a regular expression are not supported")
	}
	t.out.WriteByte(')')
	return nil
}

// quantifier translates *, +, ? and {m,n}; no other may follow.
func (t *translator) quantifier(c rune) error {
	text := string(c)
	if c == '{' {
		end := strings.IndexByte(t.rest, '}')
		if end < 0 {
			return fmt.Errorf("a brace in the regular expression is not closed")
		}
		low, high, two := strings.Cut(t.rest[:end], ",")
		m, err := strconv.Atoi(low)
		n := m
		if err == nil && two && high != "" {
			n, err = strconv.Atoi(high)
		}
		if err != nil || m < 0 || n < m || n > maxRepeat {
			return fmt.Errorf("the repetition {%s} in the regular expression is not one of 0 to %d times", t.rest[:end], maxRepeat)
		}
		text = "{" + t.rest[:end] + "}"
		t.rest = t.rest[end+1:]
	}
	if t.rest != "" && strings.ContainsRune("*+?{", rune(t.rest[0])) {
		return fmt.Errorf("lazy and repeated quantifiers (%s%c) in a regular expression are not supported", text, t.rest[0])
	}
	t.out.WriteString(text)
	return nil
}

// literal writes one character, in any case if that is wanted.
func (t *translator) literal(c rune) {
	if t.anyCase {
		if low, up := toLower(c), toUpper(c); low != c || up != c {
			fmt.Fprintf(&t.out, `[%s]`, quoteRune(c)+quoteRune(low)+quoteRune(up))
			return
		}
	}
	t.out.WriteString(quoteRune(c))
}

func quoteRune(c rune) string { return fmt.Sprintf(`\x{%X}`, c) }

// classOf gives the set behind an escape such as \d.
func classOf(c rune) (set string, negated, ok bool) {
	switch c {
	case 'd', 'D':
		set = digitSet
	case 's', 'S':
		set = spaceSet
	case 'w', 'W':
		set = wordSet() + "_"
	default:
		return "", false, false
	}
	return set, c < 'a', true
}

// controls are the escapes that stand for a control character.
var controls = map[rune]rune{'a': '\a', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v', 'e': '\x1b'}

func (t *translator) escaped() (rune, error) {
	if t.rest == "" {
		return 0, fmt.Errorf("the regular expression ends in a backslash")
	}
	c := t.next()
	isWord := c == '_' || c >= '0' && c <= '9' || c|0x20 >= 'a' && c|0x20 <= 'z'
	if control, ok := controls[c]; ok {
		return control, nil
	}
	if isWord || c >= utf8.RuneSelf {
		return 0, fmt.Errorf(`\%c in a regular expression is not supported`, c)
	}
	return c, nil
}

// escape translates what follows a backslash; it tells whether that is
// something to repeat.
func (t *translator) escape() (atom bool, err error) {
	c, n := utf8.DecodeRuneInString(t.rest)
	if set, negated, ok := classOf(c); ok {
		t.rest = t.rest[n:]
		t.out.WriteString(map[bool]string{false: "[", true: "[^"}[negated] + set + "]")
		return true, nil
	}
	switch c {
	case 'A':
		t.rest = t.rest[n:]
		t.out.WriteString(anchorMark)
		return false, nil
	case 'Z':
		t.rest = t.rest[n:]
		t.out.WriteString(`\z`)
		return false, nil
	}
	if c, err = t.escaped(); err == nil {
		t.literal(c)
	}
	return true, err
}

// maxFolded is how many characters a range may have whose letters match in
// any case.
const maxFolded = 1000

// bracket translates [...].
func (t *translator) bracket() error {
	t.out.WriteByte('[')
	if strings.HasPrefix(t.rest, "^") {
		t.rest = t.rest[1:]
		t.out.WriteByte('^')
	}
	for first := true; ; first = false {
		if t.rest == "" {
			return fmt.Errorf("a bracket in the regular expression is not closed")
		}
		if t.rest[0] == ']' && !first {
			t.rest = t.rest[1:]
			t.out.WriteByte(']')
			return nil
		}
		if err := t.bracketItem(first); err != nil {
			return err
		}
	}
}

var namedSets = map[string]func() string{
	"digit": func() string { return digitSet }, "space": func() string { return spaceSet }, "alnum": func() string { return wordSet() },
}

func (t *translator) bracketItem(first bool) error {
	if strings.HasPrefix(t.rest, "[:") {
		name, _, _ := strings.Cut(t.rest[2:], ":]")
		set, ok := namedSets[name]
		if !ok {
			return fmt.Errorf("the class [:%.10s:] in a regular expression is not supported", name)
		}
		t.rest = t.rest[len("[:")+len(name)+len(":]"):]
		t.out.WriteString(set())
		return t.noRange()
	}
	if strings.HasPrefix(t.rest, `\`) {
		c, n := utf8.DecodeRuneInString(t.rest[1:])
		if set, negated, ok := classOf(c); ok {
			if negated {
				return fmt.Errorf(`\%c in brackets of a regular expression is not supported`, c)
			}
			t.rest = t.rest[1+n:]
			t.out.WriteString(set)
			return t.noRange()
		}
	}
	low, err := t.bracketCharacter(first)
	if err != nil {
		return err
	}
	high := low
	if strings.HasPrefix(t.rest, "-") && !strings.HasPrefix(t.rest, "-]") {
		t.rest = t.rest[1:]
		if high, err = t.bracketCharacter(false); err != nil {
			return err
		}
	}
	if high < low {
		return fmt.Errorf("the range %c-%c in the regular expression is empty", low, high)
	}
	t.out.WriteString(quoteRune(low) + "-" + quoteRune(high))
	if t.anyCase {
		if high-low > maxFolded {
			return fmt.Errorf("the range %c-%c in the regular expression is too large to match in any case", low, high)
		}
		for c := low; c <= high; c++ {
			t.out.WriteString(quoteRune(toLower(c)) + quoteRune(toUpper(c)))
		}
	}
	return nil
}

// noRange refuses a - behind a class.
func (t *translator) noRange() error {
	if strings.HasPrefix(t.rest, "-") && !strings.HasPrefix(t.rest, "-]") {
		return fmt.Errorf("a class can't begin a range in a regular expression")
	}
	return nil
}

func (t *translator) bracketCharacter(first bool) (rune, error) {
	if t.rest == "" {
		return 0, fmt.Errorf("a bracket in the regular expression is not closed")
	}
	switch c := t.next(); {
	case c == '\\':
		return t.escaped()
	case c == '[' && t.rest != "" && strings.ContainsRune(".=:", rune(t.rest[0])):
		return 0, fmt.Errorf("[%c in brackets of a regular expression is not supported", t.rest[0])
	case c == '-' && !first && !strings.HasPrefix(t.rest, "]"):
		return 0, fmt.Errorf("write a - in brackets of a regular expression first or last")
	case c == ']' && !first:
		return 0, fmt.Errorf("a range in the regular expression has no end")
	default:
		return c, nil
	}
}
