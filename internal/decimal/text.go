package decimal

import (
	"bytes"
	"math"
	"math/big"
	"strconv"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Parse reads a numeric as PostgreSQL's numeric_in does.
func Parse(s []byte) (Decimal, *sqlerr.Error) { return ParseFit(s, 0, 0) }

// ParseFit reads a numeric(precision, scale); precision 0 is a numeric
// without modifier. A number outside of numeric's own limits is still rounded
// to the modifier's first, as PostgreSQL does it.
func ParseFit(s []byte, precision, scale int32) (Decimal, *sqlerr.Error) {
	n, ok := scan(s)
	if !ok {
		if d, ok := parseSpecial(s); ok {
			return d.Fit(precision, scale)
		}
		return Decimal{}, syntaxError(s)
	}
	if n.overflow {
		return Decimal{}, overflow()
	}
	if precision > 0 {
		// Far below the last digit that is kept there is only a zero.
		if n.digits == 0 || n.leading() < -int64(scale)-1 {
			return Decimal{}.rescale(max(scale, 0), false), nil
		}
		if n.leading() >= int64(precision-scale) {
			return Decimal{}, fieldOverflow()
		}
		// One digit behind the last that is kept decides how it is rounded:
		// millions of others need not be read.
		drop := max(n.scale()-int64(max(scale, 0))-1, 0)
		return n.value(s, int(drop)).Fit(precision, scale)
	}
	if n.scale() > MaxScale || n.digits > 0 && n.leading() >= MaxIntegerDigits {
		return Decimal{}, overflow()
	}
	return checked(n.value(s, 0))
}

// smallDigits always fit an int64.
const smallDigits = 18

// number is a scanned numeric: digits / 10^fraction * 10^exponent.
type number struct {
	negative   bool
	start, end int   // of digits and point in the text
	digits     int   // significant ones, without zeros in front
	fraction   int   // digits behind the point
	exponent   int64 // as written
	small      int64 // the digits as a number, up to smallDigits of them
	overflow   bool  // an exponent that PostgreSQL refuses as such
}

// scale is the display scale, which may be above MaxScale.
func (n *number) scale() int64 { return max(int64(n.fraction)-n.exponent, 0) }

// leading is the power of ten of the first significant digit.
func (n *number) leading() int64 {
	return int64(n.digits) - 1 - int64(n.fraction) + n.exponent
}

// value makes the number of it, without its last drop digits.
func (n *number) value(s []byte, drop int) Decimal {
	var d Decimal
	if n.digits <= smallDigits && drop == 0 {
		d.small = n.small
	} else {
		text := make([]byte, 0, n.end-n.start)
		for _, c := range s[n.start:n.end] {
			if c != '.' {
				text = append(text, c)
			}
		}
		c, _ := new(big.Int).SetString(string(text[:len(text)-drop]), 10)
		d = FromBig(c, 0)
	}
	power := n.exponent - int64(n.fraction) + int64(drop)
	if power > 0 {
		d = d.times(int(power))
	}
	d.scale = int32(max(-power, 0))
	if n.negative {
		d = d.Neg()
	}
	return d
}

// maxExponent is where PostgreSQL refuses an exponent before it looks at the
// number.
const maxExponent = math.MaxInt32 / 2

func scan(s []byte) (n number, ok bool) {
	i := skipSpace(s, 0)
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		n.negative = s[i] == '-'
		i++
	}
	n.start = i
	point, seen := false, false
	for ; i < len(s); i++ {
		c := s[i]
		if c == '.' && !point {
			point = true
			// PostgreSQL wants a digit in front of or behind the point.
			if !seen && (i+1 == len(s) || !isDigit(s[i+1])) {
				return n, false
			}
			continue
		}
		if !isDigit(c) {
			break
		}
		seen = true
		if n.digits > 0 || c != '0' {
			if n.digits++; n.digits <= smallDigits {
				n.small = n.small*10 + int64(c-'0')
			}
		}
		if point {
			n.fraction++
		}
	}
	n.end = i
	if !seen {
		return n, false
	}
	if i < len(s) && (s[i] == 'e' || s[i] == 'E') {
		if i = n.scanExponent(s, i+1); i < 0 {
			return n, false
		}
		if n.overflow {
			return n, true
		}
	}
	return n, skipSpace(s, i) == len(s)
}

// scanExponent reads with strtol's habits: space and a sign may stand in
// front. It gives -1 when there is no number.
func (n *number) scanExponent(s []byte, i int) int {
	i = skipSpace(s, i)
	negative := false
	if i < len(s) && (s[i] == '+' || s[i] == '-') {
		negative = s[i] == '-'
		i++
	}
	start := i
	for ; i < len(s) && isDigit(s[i]); i++ {
		n.exponent = min(n.exponent*10+int64(s[i]-'0'), maxExponent)
	}
	if i == start {
		return -1
	}
	n.overflow = n.exponent >= maxExponent
	if negative {
		n.exponent = -n.exponent
	}
	return i
}

func isDigit(c byte) bool { return c-'0' <= 9 }

func skipSpace(s []byte, i int) int {
	for i < len(s) && (s[i] == ' ' || s[i]-'\t' <= '\r'-'\t') {
		i++
	}
	return i
}

func parseSpecial(s []byte) (Decimal, bool) {
	s = s[skipSpace(s, 0):]
	for len(s) > 0 && skipSpace(s, len(s)-1) == len(s) {
		s = s[:len(s)-1]
	}
	if bytes.EqualFold(s, []byte("NaN")) {
		return NaN(), true
	}
	sign := 1
	if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
		if s[0] == '-' {
			sign = -1
		}
		s = s[1:]
	}
	if equalFold(s, "infinity") || equalFold(s, "inf") {
		return Inf(sign), true
	}
	return Decimal{}, false
}

// equalFold compares with a lower-case ASCII word.
func equalFold(s []byte, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i, c := range s {
		if c|0x20 != word[i] {
			return false
		}
	}
	return true
}

func syntaxError(s []byte) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type numeric: \"%s\"", s)
}

// Append appends the number as PostgreSQL prints it.
func (d Decimal) Append(dst []byte) []byte {
	switch d.form {
	case nan:
		return append(dst, "NaN"...)
	case positiveInfinity:
		return append(dst, "Infinity"...)
	case negativeInfinity:
		return append(dst, "-Infinity"...)
	}
	start := len(dst)
	if d.big != nil {
		dst = d.big.Append(dst, 10)
	} else {
		dst = strconv.AppendInt(dst, d.small, 10)
	}
	if d.scale == 0 {
		return dst
	}
	if dst[start] == '-' {
		start++
	}
	// The point stands scale digits from the end, behind at least one digit.
	scale := int(d.scale)
	if missing := scale + 1 - (len(dst) - start); missing > 0 {
		for range missing {
			dst = append(dst, '0')
		}
		copy(dst[start+missing:], dst[start:len(dst)-missing])
		for i := range missing {
			dst[start+i] = '0'
		}
	}
	dst = append(dst, 0)
	point := len(dst) - 1 - scale
	copy(dst[point+1:], dst[point:])
	dst[point] = '.'
	return dst
}

func (d Decimal) String() string { return string(d.Append(nil)) }
