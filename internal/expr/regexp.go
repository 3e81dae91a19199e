package expr

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// regexpFunctions match and replace by regular expressions, which are
// constants.
func regexpFunctions() []*Function {
	const text, integer, boolean = column.Text, column.Int4, column.Bool
	const arrays = "arrays are not supported; take the match with regexp_substr(text, pattern)"
	const places = "start, number and flags are not supported here; cut the text with substring first"
	return []*Function{
		matching(line("~", kinds(text, text), boolean, regexpMatches(true), "matches a regular expression")),
		matching(line("~*", kinds(text, text), boolean, regexpMatches(true), "matches a regular expression in any case")),
		matching(line("!~", kinds(text, text), boolean, regexpMatches(false), "doesn't match a regular expression")),
		matching(line("!~*", kinds(text, text), boolean, regexpMatches(false), "doesn't match a regular expression in any case")),
		matching(line("regexp_like", kinds(text, text), boolean, regexpMatches(true), "matches a regular expression")),
		matching(line("regexp_like", kinds(text, text, text), boolean, regexpMatches(true), "the same with flags: `i` for any case")),
		matching(line("regexp_count", kinds(text, text), integer, regexpCount, "number of matches")),
		matching(line("regexp_substr", kinds(text, text), text, regexpSubstring, "first match")),
		matching(line("regexp_replace", kinds(text, text, text), text, regexpReplace, "first match replaced by a text, in which `\\&` stands for the match")),
		matching(line("regexp_replace", kinds(text, text, text, text), text, regexpReplace, "the same with flags: `g` for all matches, `i` for any case")),
		matching(line("substring", kinds(text, text), text, regexpSubstring, "first match of a regular expression: `substring(s from 'pattern')`")),
		refused("substring", kinds(text, text, text), text, "write substring(s from 'pattern') with a regular expression"),
		refused("regexp_match", kinds(text, text), column.Unknown, arrays),
		refused("regexp_match", kinds(text, text, text), column.Unknown, arrays),
		refused("regexp_count", kinds(text, text, integer), integer, places),
		refused("regexp_count", kinds(text, text, integer, text), integer, places),
		refused("regexp_substr", kinds(text, text, integer), text, places),
		refused("regexp_substr", kinds(text, text, integer, integer), text, places),
		refused("regexp_substr", kinds(text, text, integer, integer, text), text, places),
		refused("regexp_substr", kinds(text, text, integer, integer, text, integer), text, places),
		refused("regexp_replace", kinds(text, text, text, integer), text, places),
		refused("regexp_replace", kinds(text, text, text, integer, integer), text, places),
		refused("regexp_replace", kinds(text, text, text, integer, integer, text), text, places),
	}
}

// matching marks a function whose pattern is checked when it is bound.
func matching(f *Function) *Function {
	f.check = checkPattern
	return f
}

// checkPattern demands that pattern, flags and replacement are literals that
// mean the same here and in PostgreSQL.
func checkPattern(call *Call) error {
	for i, a := range call.Args[1:] {
		if _, ok := a.(*Const); !ok {
			return problem(codeConstantRequired, fmt.Sprintf("%s needs a literal as argument %d", call.Function.Name, i+2), "write the regular expression, the replacement and the flags as literals")
		}
	}
	f, literals := call.Function, make([]string, len(call.Args))
	for i, a := range call.Args[1:] {
		v := a.(*Const).Value
		if v.Null[0] {
			return nil
		}
		literals[i+1] = string(v.Bytes(0))
	}
	flags := flagsOf(f, func(arg int) string { return literals[arg] })
	if strings.Trim(flags, "gi") != "" || strings.Contains(flags, "g") && f.Name != "regexp_replace" {
		return problem(codeUnsupported, fmt.Sprintf("the flags %q of a regular expression are not supported", flags), "flags are i and, of regexp_replace, g")
	}
	p, err := compilePattern(literals[1], strings.Contains(flags, "i"))
	switch {
	case err != nil:
		return problem(codeUnsupported, err.Error(), "the SQL reference lists what regular expressions may have")
	case f.Name == "substring" && p.groups:
		return problem(codeUnsupported, "parentheses in substring(text from pattern) are not supported", "write (?:…), or regexp_substr for the whole match")
	case f.Name == "regexp_replace" && refersToGroup(literals[2]):
		return problem(codeUnsupported, "\\1 to \\9 in a replacement are not supported", "take the parts out with split_part or regexp_substr")
	}
	return nil
}

func refersToGroup(replacement string) bool {
	for i := 0; i+1 < len(replacement); i++ {
		if replacement[i] == '\\' {
			if i++; replacement[i] >= '1' && replacement[i] <= '9' {
				return true
			}
		}
	}
	return false
}

// flagsOf gives the flags of a call, those that the operator has included.
func flagsOf(f *Function, arg func(int) string) string {
	switch {
	case strings.HasSuffix(f.Name, "~*"):
		return "i"
	case f.Name == "regexp_like" && len(f.Args) == 3:
		return arg(2)
	case f.Name == "regexp_replace" && len(f.Args) == 4:
		return arg(3)
	}
	return ""
}

// pattern gives the compiled pattern, a constant that was checked.
func (f *frame) pattern(i int32) (p *pattern, global bool) {
	flags := flagsOf(f.function, func(arg int) string { return string(f.bytes(arg, i)) })
	if kept, ok := f.cached.(*pattern); ok && bytes.Equal(f.word, f.bytes(1, i)) {
		return kept, strings.Contains(flags, "g")
	}
	p, err := compilePattern(string(f.bytes(1, i)), strings.Contains(flags, "i"))
	if err != nil {
		return nil, false
	}
	f.word, f.cached = append(f.word[:0], f.bytes(1, i)...), p
	return p, strings.Contains(flags, "g")
}

var errPattern = sqlerr.New(sqlerr.FeatureNotSupported, "the regular expression is not supported")

// eachPattern calls do for the selected rows with the pattern.
func (f *frame) eachPattern(do func(i int32, p *pattern, global bool)) {
	for _, i := range f.sel {
		if p, global := f.pattern(i); p != nil {
			do(i, p, global)
		} else {
			f.fail(i, errPattern)
		}
	}
}

func regexpMatches(holds bool) kernel {
	return func(f *frame) {
		f.eachPattern(func(i int32, p *pattern, _ bool) { f.setBool(i, p.Match(f.bytes(0, i)) == holds) })
	}
}

// find gives the first match at or behind a place.
func (p *pattern) find(s []byte, from int) (start, end int, ok bool) {
	re := p.after
	if from == 0 {
		re = p.Regexp
	}
	at := re.FindIndex(s[from:])
	if at == nil {
		return 0, 0, false
	}
	return from + at[0], from + at[1], true
}

// each calls visit for the matches from left to right until it gives false.
// Behind an empty match the next one begins a character later.
func (p *pattern) each(s []byte, visit func(start, end int) bool) {
	for from := 0; from <= len(s); {
		start, end, ok := p.find(s, from)
		if !ok || !visit(start, end) {
			return
		}
		if from = end; start == end {
			if from == len(s) {
				return
			}
			_, n := utf8.DecodeRune(s[from:])
			from += n
		}
	}
}

func regexpCount(f *frame) {
	f.eachPattern(func(i int32, p *pattern, _ bool) {
		n := int64(0)
		p.each(f.bytes(0, i), func(int, int) bool { n++; return true })
		f.out.Int[i] = n
	})
}

func regexpSubstring(f *frame) {
	f.eachPattern(func(i int32, p *pattern, _ bool) {
		s := f.bytes(0, i)
		start, end, ok := p.find(s, 0)
		if f.out.Null[i] = !ok; ok {
			f.out.SetBytes(int(i), s[start:end])
		}
	})
}

func regexpReplace(f *frame) {
	f.eachPattern(func(i int32, p *pattern, global bool) {
		s, by, begin, done := f.bytes(0, i), f.bytes(2, i), len(f.out.Buf), 0
		limit := len(s) + len(by) + maxGrowth
		p.each(s, func(start, end int) bool {
			f.out.Buf = append(f.out.Buf, s[done:start]...)
			f.out.Buf = appendReplacement(f.out.Buf, by, s[start:end])
			done = end
			return global && len(f.out.Buf)-begin <= limit
		})
		if len(f.out.Buf)-begin > limit {
			f.out.Buf = f.out.Buf[:begin]
			f.fail(i, errGrowth)
			return
		}
		f.out.Buf = append(f.out.Buf, s[done:]...)
		f.finish(i, begin)
	})
}

// appendReplacement appends a replacement, in which \& is the match and \\ a
// backslash.
func appendReplacement(dst, by, match []byte) []byte {
	for i := 0; i < len(by); i++ {
		switch {
		case by[i] == '\\' && i+1 < len(by) && by[i+1] == '&':
			dst = append(dst, match...)
			i++
		case by[i] == '\\' && i+1 < len(by) && by[i+1] == '\\':
			dst = append(dst, '\\')
			i++
		default:
			dst = append(dst, by[i])
		}
	}
	return dst
}
