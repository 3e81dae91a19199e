package expr

import (
	"bytes"
	"strings"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// numberFormatFunctions write numbers in formats.
func numberFormatFunctions() []*Function {
	const text = column.Text
	const doc = "a number in a format such as `'999,990.00'`, with the signs and separators of the C locale"
	write := func(k column.Kind, of numberSource) *Function {
		return stable(line("to_char", kinds(k, text), text, numberToChar(of), doc))
	}
	return []*Function{
		write(column.Int4, int4Source), write(column.Int8, int8Source), write(column.Numeric, decimalSource),
		write(column.Float4, floatSource(32, 6)), write(column.Float8, floatSource(64, 15)),
	}
}

// numberFormat is a format of a number, read.
type numberFormat struct {
	nodes     []numberNode
	before    int // digits before the point
	after     int // digits after it
	shift     int // digits behind V: the number is multiplied
	zeroStart int // place of the first 0, from 1; 0 for none
	zeroEnd   int // place of the last one
	lead      int // digits before S

	point, zero, fill, brackets, minus, plus, roman, exponent, blank, shifted bool
	sign                                                                      signPlace
}

// signPlace is where S puts the sign.
type signPlace int8

const (
	noSign     signPlace = 0
	signBefore signPlace = -1
	signAfter  signPlace = 1
)

// numberNode is a pattern, or a text if pattern is "".
type numberNode struct{ pattern, text string }

// numberPatterns are the patterns in the order in which PostgreSQL tries
// those that begin alike.
var numberPatterns = strings.Fields(", . 0 9 B C D EEEE FM G L MI PL PR RN SG SP S TH V b c d eeee fm g l mi pl pr rn sg sp s th v")

func parseNumberFormat(s string) (*numberFormat, *sqlerr.Error) {
	f := &numberFormat{}
	for s != "" {
		pattern := ""
		for _, p := range numberPatterns {
			if strings.HasPrefix(s, p) {
				pattern = p
				break
			}
		}
		switch {
		case pattern != "":
			s = s[len(pattern):]
			if err := f.add(strings.ToUpper(pattern)); err != nil {
				return nil, err
			}
			if pattern != "rn" && pattern != "th" {
				pattern = strings.ToUpper(pattern)
			}
			f.nodes = append(f.nodes, numberNode{pattern: pattern})
		case s[0] == '"':
			var quoted string
			quoted, s = quotedText(s[1:])
			f.nodes = append(f.nodes, numberNode{text: quoted})
		default:
			if strings.HasPrefix(s, `\"`) {
				s = s[1:]
			}
			n := characterLength([]byte(s))
			f.nodes = append(f.nodes, numberNode{text: s[:n]})
			s = s[n:]
		}
	}
	return f, nil
}

func formatError(text string) *sqlerr.Error { return sqlerr.New(sqlerr.SyntaxError, "%s", text) }

// add takes a pattern into account.
func (f *numberFormat) add(pattern string) *sqlerr.Error {
	if f.exponent && pattern != "EEEE" {
		return formatError(`"EEEE" must be the last pattern used`)
	}
	switch pattern {
	case "9", "0":
		return f.addDigit(pattern)
	case "D", ".":
		switch {
		case f.point:
			return formatError("multiple decimal points")
		case f.shifted:
			return formatError(`cannot use "V" and decimal point together`)
		}
		f.point = true
	case "B":
		f.blank = f.blank || f.before == 0 && f.after == 0 && !f.zero
	case "FM":
		f.fill = true
	case "RN":
		f.roman = true
	case "V":
		if f.point {
			return formatError(`cannot use "V" and decimal point together`)
		}
		f.shifted = true
	case "EEEE":
		switch {
		case f.exponent:
			return formatError(`cannot use "EEEE" twice`)
		case f.blank, f.fill, f.sign != noSign, f.brackets, f.minus, f.plus, f.roman, f.shifted:
			return formatError(`"EEEE" is incompatible with other formats`)
		}
		f.exponent = true
	default:
		return f.addSign(pattern)
	}
	return nil
}

func (f *numberFormat) addDigit(pattern string) *sqlerr.Error {
	zero := pattern == "0"
	switch {
	case f.brackets:
		return formatError(`"` + pattern + `" must be ahead of "PR"`)
	case !zero && f.shifted:
		f.shift++
		return nil
	case zero && !f.zero && !f.point:
		f.zero, f.zeroStart = true, f.before+1
	}
	if f.point {
		f.after++
	} else {
		f.before++
	}
	if zero {
		f.zeroEnd = f.before + f.after
	}
	return nil
}

func (f *numberFormat) addSign(pattern string) *sqlerr.Error {
	switch pattern {
	case "S":
		switch {
		case f.sign != noSign:
			return formatError(`cannot use "S" twice`)
		case f.plus || f.minus || f.brackets:
			return formatError(`cannot use "S" and "PL"/"MI"/"SG"/"PR" together`)
		}
		if f.sign = signAfter; !f.point {
			f.sign, f.lead = signBefore, f.before
		}
	case "MI", "PL", "SG":
		if f.sign != noSign {
			return formatError(`cannot use "S" and "` + pattern + `" together`)
		}
		f.minus = f.minus || pattern != "PL"
		f.plus = f.plus || pattern != "MI"
	case "PR":
		if f.sign != noSign || f.plus || f.minus {
			return formatError(`cannot use "PR" and "S"/"PL"/"MI"/"SG" together`)
		}
		f.brackets = true
	}
	return nil
}

// numberToChar writes numbers; of gives their digits.
func numberToChar(of numberSource) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			format := f.bytes(1, i)
			if len(format) == 0 {
				f.out.SetBytes(int(i), nil)
				continue
			}
			parsed, ok := f.cached.(*numberFormat)
			if !ok || !bytes.Equal(format, f.word) {
				var err *sqlerr.Error
				if parsed, err = parseNumberFormat(string(format)); err != nil {
					f.fail(i, err)
					continue
				}
				f.word, f.cached = append(f.word[:0], format...), parsed
			}
			w := numberWriter{numberFormat: *parsed}
			err := of(f, i, &w)
			if err == nil {
				err = w.write()
			}
			if err != nil {
				f.fail(i, err)
				continue
			}
			start := len(f.out.Buf)
			f.out.Buf = append(f.out.Buf, w.out...)
			f.finish(i, start)
		}
	}
}
