package expr

import (
	"bytes"
	"slices"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// fromCharFunctions read times in formats.
func fromCharFunctions() []*Function {
	const text = column.Text
	return []*Function{
		stable(line("to_timestamp", kinds(text, text), column.Timestamptz, fromChar(timestampOfFields),
			"a time read in a format such as `'YYYY-MM-DD HH24:MI:SS'`, in UTC unless the text has an offset for `TZH` and `TZM`")),
		stable(line("to_date", kinds(text, text), column.Date, fromChar(dateOfFields), "a date read in a format such as `'DD.MM.YYYY'`")),
	}
}

// inputNode is a part of a format that a text is read by: a pattern, or a
// character if pattern is "".
type inputNode struct {
	pattern   string
	character string
	plain     bool // FM: as many digits as there are
	ordinal   bool // TH: skips two characters
	digit     bool // a pattern of digits, or a digit as character
	separator bool // a space, or printable ASCII that is neither letter nor digit
}

// inputFormat reads a format as PostgreSQL does for to_timestamp: fewer
// things are text than for to_char, and each character of a text counts.
func inputFormat(s string) []inputNode {
	var out []inputNode
	for s != "" {
		node := inputNode{}
		for _, prefix := range []string{"FM", "fm", "TM", "tm"} {
			if strings.HasPrefix(s, prefix) {
				node.plain, s = prefix == "FM" || prefix == "fm", s[2:]
				break
			}
		}
		if s == "" {
			break
		}
		if node.pattern = patternOf(s); node.pattern != "" {
			s = s[len(node.pattern):]
			node.digit = digitPattern(node.pattern)
			for _, suffix := range []string{"TH", "th", "SP"} {
				if strings.HasPrefix(s, suffix) {
					node.ordinal, s = suffix != "SP", s[2:]
					break
				}
			}
			out = append(out, node)
			continue
		}
		if s[0] == '"' {
			var quoted string
			for quoted, s = quotedText(s[1:]); quoted != ""; quoted = quoted[len(out[len(out)-1].character):] {
				out = append(out, characterNode(quoted, false))
			}
			continue
		}
		if strings.HasPrefix(s, `\"`) {
			s = s[1:]
		}
		node = characterNode(s, true)
		out = append(out, node)
		s = s[len(node.character):]
	}
	return out
}

func characterNode(s string, mayPart bool) inputNode {
	c := s[:characterLength([]byte(s))]
	return inputNode{character: c, digit: len(c) == 1 && isDigit(c[0]), separator: mayPart && (isSeparator(c[0]) || isSpaceByte(c[0]))}
}

// patternOf finds the pattern that a format begins with.
func patternOf(s string) string {
	for _, p := range []string{"FX", "fx"} {
		if strings.HasPrefix(s, p) {
			return p
		}
	}
	at := slices.IndexFunc(timePatterns, func(p string) bool { return strings.HasPrefix(s, p) })
	if at < 0 {
		return ""
	}
	return timePatterns[at]
}

// wordPatterns are the patterns that stand for something else than digits.
var wordPatterns = strings.Fields("A.D. A.M. AD AM B.C. BC DAY DY MONTH MON OF P.M. PM RM TZH TZ FX")

func digitPattern(p string) bool { return !slices.Contains(wordPatterns, strings.ToUpper(p)) }

func isDigit(c byte) bool { return c-'0' <= 9 }

func isSpaceByte(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

func isSeparator(c byte) bool {
	return c > ' ' && c < 0x7f && !isDigit(c) && (c|0x20 < 'a' || c|0x20 > 'z')
}

// fromChar is a function of a text and a format: finish makes the result of
// the fields that were read.
func fromChar(finish func(r *timeReader, text []byte) (int64, *sqlerr.Error)) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			text, format := f.bytes(0, i), f.bytes(1, i)
			nodes, ok := f.cached.([]inputNode)
			if !ok || !bytes.Equal(format, f.word) {
				nodes = inputFormat(string(format))
				f.word, f.cached = append(f.word[:0], format...), nodes
			}
			r := timeReader{rest: text, text: text}
			err := r.read(nodes)
			if err == nil {
				err = r.resolve()
			}
			if err == nil {
				f.out.Int[i], err = finish(&r, text)
			}
			if err != nil {
				f.fail(i, err)
			}
		}
	}
}

func timestampOfFields(r *timeReader, _ []byte) (int64, *sqlerr.Error) {
	micros, ok := r.civil.StoredWest(-r.east)
	if !ok {
		return 0, errTimestampRange
	}
	if digits := r.fractionDigits; digits > 0 {
		unit := int64(power10Int(6 - digits))
		if micros >= 0 {
			return (micros + unit/2) / unit * unit, nil
		}
		return -((-micros + unit/2) / unit * unit), nil
	}
	return micros, nil
}

func power10Int(n int) int {
	p := 1
	for range n {
		p *= 10
	}
	return p
}

func dateOfFields(r *timeReader, text []byte) (int64, *sqlerr.Error) {
	c := r.civil
	days := int64(datum.JulianDay(c.Year, c.Month, c.Day) - datum.EpochJulian)
	if !datum.ValidDate(days) {
		return 0, sqlerr.New(sqlerr.DatetimeFieldOverflow, "date out of range: \"%s\"", text)
	}
	return days, nil
}
