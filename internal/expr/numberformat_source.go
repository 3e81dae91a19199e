package expr

import (
	"bytes"
	"math"
	"strconv"
	"strings"

	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// numberSource gives a writer the digits of row i's number.
type numberSource func(f *frame, i int32, w *numberWriter) *sqlerr.Error

// accept takes a number's text: its sign goes, and it must fit the places
// before the point, else they are filled with #.
func (w *numberWriter) accept(text []byte) {
	if w.negative = text[0] == '-'; w.negative {
		text = text[1:]
	}
	length := bytes.IndexByte(text, '.')
	if length < 0 {
		length = len(text)
	}
	w.number = text
	switch {
	case length < w.before:
		w.spaces = w.before - length
	case length > w.before:
		w.number = bytes.Repeat([]byte("#"), w.before+w.after+1)
		w.number[w.before] = '.'
	}
}

// acceptInteger gives an integer the zeros behind its point.
func (w *numberWriter) acceptInteger(n int64) {
	text := strconv.AppendInt(nil, n, 10)
	if w.after > 0 {
		text = append(append(text, '.'), bytes.Repeat([]byte("0"), w.after)...)
	}
	w.accept(text)
}

// acceptExponent takes a number with an exponent; a space stands for a plus.
func (w *numberWriter) acceptExponent(text []byte) {
	if text[0] != '-' {
		text = append([]byte(" "), text...)
	}
	w.number = text
}

// noExponent is what EEEE gives for NaN and infinities.
func (w *numberWriter) noExponent() {
	w.number = bytes.Repeat([]byte("#"), w.before+w.after+6)
	w.number[0] = ' '
	w.number[w.before+1] = '.'
}

var (
	romanUnits    = strings.Fields("I II III IV V VI VII VIII IX")
	romanTens     = strings.Fields("X XX XXX XL L LX LXX LXXX XC")
	romanHundreds = strings.Fields("C CC CCC CD D DC DCC DCCC CM")
)

// maxRoman is the greatest number that is written in Roman numerals.
const maxRoman = 3999

func (w *numberWriter) acceptRoman(n int64) {
	if n < 1 || n > maxRoman {
		w.number = bytes.Repeat([]byte("#"), 15)
		return
	}
	text := strings.Repeat("M", int(n/1000))
	for _, p := range []struct {
		digits []string
		digit  int64
	}{{romanHundreds, n / 100 % 10}, {romanTens, n / 10 % 10}, {romanUnits, n % 10}} {
		if p.digit > 0 {
			text += p.digits[p.digit-1]
		}
	}
	w.number = []byte(text)
}

func int4Source(f *frame, i int32, w *numberWriter) *sqlerr.Error {
	n := f.args[0].Int[i]
	switch {
	case w.roman:
		w.acceptRoman(n)
	case w.exponent:
		w.acceptExponent(strconv.AppendFloat(nil, float64(n), 'e', w.after, 64))
	default:
		if w.shifted {
			// Computed in 32 bits, without a check.
			factor := math.Pow10(w.shift)
			by := int32(math.MinInt32)
			if factor <= math.MaxInt32 {
				by = int32(factor)
			}
			n = int64(int32(n) * by)
			w.before += w.shift
		}
		w.acceptInteger(n)
	}
	return nil
}

func int8Source(f *frame, i int32, w *numberWriter) *sqlerr.Error {
	n := f.args[0].Int[i]
	switch {
	case w.roman && n != int64(int32(n)):
		return errIntegerRange
	case w.roman:
		w.acceptRoman(n)
	case w.exponent:
		w.acceptExponent(decimalExponent(decimal.FromInt64(n), w.after))
	default:
		if w.shifted {
			factor := math.Pow10(w.shift)
			if factor >= math.MaxInt64 {
				return errBigintRange
			}
			product, ok := multiplyInt64(n, int64(factor))
			if !ok {
				return errBigintRange
			}
			n = product
			w.before += w.shift
		}
		w.acceptInteger(n)
	}
	return nil
}

func multiplyInt64(a, b int64) (int64, bool) {
	if a == 0 || b == 0 {
		return 0, true
	}
	c := a * b
	return c, c/b == a
}

func decimalSource(f *frame, i int32, w *numberWriter) *sqlerr.Error {
	d := f.decimal(0, i)
	switch {
	case w.roman:
		n, err := d.Int32()
		if err == nil {
			w.acceptRoman(int64(n))
		}
		return err
	case w.exponent && (d.IsNaN() || d.IsInf() != 0):
		w.noExponent()
		return nil
	case w.exponent:
		w.acceptExponent(decimalExponent(d, w.after))
		return nil
	}
	var err *sqlerr.Error
	if w.shifted {
		factor, err := decimal.Parse([]byte("1e" + strconv.Itoa(w.shift)))
		if err != nil {
			return err
		}
		if d, err = d.Mul(factor); err != nil {
			return err
		}
		w.before += w.shift
	}
	if d, err = d.Round(int32(w.after)); err != nil {
		return err
	}
	w.accept(d.Append(nil))
	return nil
}

// decimalExponent writes d with one digit before the point, so many after it,
// and an exponent. The digits may round up to 10.
func decimalExponent(d decimal.Decimal, digits int) []byte {
	c, scale := d.Coefficient()
	text := c.String()
	length := len(strings.TrimPrefix(text, "-"))
	exponent := 0
	if d.Sign() != 0 {
		exponent = length - 1 - int(scale)
	}
	significand, _ := decimal.FromBig(c, int32(length-1)).Round(int32(digits)) // fewer digits than any limit
	out := significand.Append(nil)
	out = append(out, 'e', '+')
	if exponent < 0 {
		out[len(out)-1], exponent = '-', -exponent
	}
	if exponent < 10 {
		out = append(out, '0')
	}
	return strconv.AppendInt(out, int64(exponent), 10)
}

// floatSource writes a real or a double, of which so many digits count.
func floatSource(bits, digits int) numberSource {
	return func(f *frame, i int32, w *numberWriter) *sqlerr.Error {
		x := f.args[0].Float[i]
		special := math.IsNaN(x) || math.IsInf(x, 0)
		switch {
		case w.roman:
			n := int64(maxRoman + 1)
			if x = math.RoundToEven(x); x >= 0 && x < maxRoman+1 {
				n = int64(x)
			}
			w.acceptRoman(n)
		case w.exponent && special:
			w.noExponent()
		case w.exponent:
			w.acceptExponent(strconv.AppendFloat(nil, x, 'e', w.after, 64))
		default:
			if w.shifted {
				if x *= math.Pow10(w.shift); bits == 32 {
					x = float64(float32(f.args[0].Float[i]) * float32(math.Pow10(w.shift)))
				}
				w.before += w.shift
			}
			length := len(fixedFloat(math.Abs(x), 0))
			w.after = max(min(w.after, digits-length), 0)
			w.accept(fixedFloat(x, w.after))
		}
		return nil
	}
}

// fixedFloat is C's %.*f as PostgreSQL prints it.
func fixedFloat(x float64, digits int) []byte {
	switch {
	case math.IsNaN(x):
		return []byte("NaN")
	case math.IsInf(x, 1):
		return []byte("Infinity")
	case math.IsInf(x, -1):
		return []byte("-Infinity")
	}
	return strconv.AppendFloat(nil, x, 'f', digits, 64)
}
