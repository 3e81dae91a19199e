package expr

import "github.com/millstream-dev/millstream/internal/sqlerr"

var errPatternEnd = sqlerr.New(sqlerr.InvalidEscapeSequence, "LIKE pattern must not end with escape character")

// like matches text with patterns; holds is the result for a match.
func like(holds bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			switch matchLike(f.bytes(0, i), f.bytes(1, i)) {
			case likeMatch:
				f.setBool(i, holds)
			case likeBroken:
				f.fail(i, errPatternEnd)
			default:
				f.setBool(i, !holds)
			}
		}
	}
}

type likeOutcome uint8

const (
	likeMatch    likeOutcome = iota
	likeNoMatch              // differs
	likeTooShort             // the text ended before the pattern: a longer rest can't match either
	likeBroken               // the pattern ends in its escape character
)

// matchLike matches s with pattern p: % any text, _ one character, \ makes
// the next one ordinary. As in PostgreSQL, a pattern that ends in a backslash
// fails only where matching gets to it.
func matchLike(s, p []byte) likeOutcome {
	for len(s) > 0 && len(p) > 0 {
		switch p[0] {
		case '\\':
			if len(p) < 2 {
				return likeBroken
			}
			if p[1] != s[0] {
				return likeNoMatch
			}
			s, p = s[1:], p[2:]
		case '%':
			return matchAfterPercent(s, p[1:])
		case '_':
			s, p = s[characterLength(s):], p[1:]
		default:
			if p[0] != s[0] {
				return likeNoMatch
			}
			s, p = s[1:], p[1:]
		}
	}
	if len(s) > 0 {
		return likeNoMatch
	}
	for len(p) > 0 && p[0] == '%' {
		p = p[1:]
	}
	if len(p) == 0 {
		return likeMatch
	}
	return likeTooShort
}

// matchAfterPercent tries the rest of the pattern at each place where it can
// begin.
func matchAfterPercent(s, p []byte) likeOutcome {
	for len(p) > 0 && (p[0] == '%' || p[0] == '_') {
		if p[0] == '_' {
			if len(s) == 0 {
				return likeTooShort
			}
			s = s[characterLength(s):]
		}
		p = p[1:]
	}
	if len(p) == 0 {
		return likeMatch
	}
	first := p[0]
	if first == '\\' {
		if len(p) < 2 {
			return likeBroken
		}
		first = p[1]
	}
	for len(s) > 0 {
		if s[0] == first {
			if r := matchLike(s, p); r != likeNoMatch {
				return r
			}
		}
		s = s[characterLength(s):]
	}
	return likeTooShort
}

var errEscapeLength = sqlerr.New(sqlerr.InvalidEscapeSequence, "invalid escape string")

// likeEscape rewrites a pattern with an escape character of its own, or none
// (an empty text), to one with a backslash.
func likeEscape(f *frame) {
	for _, i := range f.sel {
		pattern, escape := f.bytes(0, i), f.bytes(1, i)
		if len(escape) > 0 && characterLength(escape) != len(escape) {
			f.fail(i, errEscapeLength)
			continue
		}
		start := len(f.out.Buf)
		f.out.Buf = appendEscaped(f.out.Buf, pattern, escape)
		f.finish(i, start)
	}
}

func appendEscaped(dst, pattern, escape []byte) []byte {
	if string(escape) == `\` {
		return append(dst, pattern...)
	}
	afterEscape := false
	for len(pattern) > 0 {
		c := pattern[:characterLength(pattern)]
		pattern = pattern[len(c):]
		switch {
		case len(escape) > 0 && string(c) == string(escape) && !afterEscape:
			dst = append(dst, '\\')
			afterEscape = true
			continue
		case c[0] == '\\' && !afterEscape:
			dst = append(dst, `\\`...)
		default:
			dst = append(dst, c...)
		}
		afterEscape = false
	}
	return dst
}
