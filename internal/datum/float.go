package datum

import (
	"math"
	"math/big"
	"strconv"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// parseFloat reads what C's strtod reads: decimal and hexadecimal numbers,
// nan, inf and infinity.
func parseFloat(text []byte, bits int, typeName string) (float64, *sqlerr.Error) {
	s := text
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	f, length, lost := parseFloatPrefix(s, bits)
	if length == 0 {
		return 0, invalidSyntax(typeName, text)
	}
	if lost {
		// The message of real has the whole text, that of double precision the
		// number alone.
		if s = s[:length]; bits == 32 {
			s = text
		}
		return 0, sqlerr.New(sqlerr.NumericValueOutOfRange, "\"%s\" is out of range for type %s", s, typeName)
	}
	for _, c := range s[length:] {
		if !isSpace(c) {
			return 0, invalidSyntax(typeName, text)
		}
	}
	return f, nil
}

// parseFloatPrefix reads the longest number that s begins with. lost tells
// that it became 0 or infinite.
func parseFloatPrefix(s []byte, bits int) (f float64, length int, lost bool) {
	sign := 0
	if len(s) > 0 && (s[0] == '-' || s[0] == '+') {
		sign = 1
	}
	body := s[sign:]
	if len(body) > 2 && body[0] == '0' && body[1]|0x20 == 'x' {
		if f, n, lost := parseHexFloat(body, bits); n > 0 {
			if s[0] == '-' {
				f = -f
			}
			return f, sign + n, lost
		}
	}
	end, zero := decimalLength(body)
	if end == 0 {
		f, end = parseFloatWord(body)
		if sign > 0 && s[0] == '-' {
			f = -f
		}
		if end == 0 {
			return 0, 0, false
		}
		return f, sign + end, false
	}
	f, _ = strconv.ParseFloat(bytesAsString(s[:sign+end]), bits)
	return f, sign + end, math.IsInf(f, 0) || f == 0 && !zero
}

// decimalLength is the length of the decimal number, without a sign, that s
// begins with. zero tells that all of its digits are 0.
func decimalLength(s []byte) (length int, zero bool) {
	i, digits := 0, 0
	zero = true
	for point := false; i < len(s); i++ {
		if s[i] == '.' && !point {
			point = true
			continue
		}
		if !isDigit(s[i]) {
			break
		}
		digits++
		zero = zero && s[i] == '0'
	}
	if digits == 0 {
		return 0, false
	}
	return i + exponentLength(s[i:], 'e'), zero
}

// exponentLength is the length of the exponent that s begins with; it counts
// only if it has digits.
func exponentLength(s []byte, letter byte) int {
	if len(s) == 0 || s[0]|0x20 != letter {
		return 0
	}
	i := 1
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	start := i
	for i < len(s) && isDigit(s[i]) {
		i++
	}
	if i == start {
		return 0
	}
	return i
}

func parseFloatWord(s []byte) (f float64, length int) {
	has := func(word string) bool { return len(s) >= len(word) && equalFold(s[:len(word)], word) }
	switch {
	case has("infinity"):
		return math.Inf(1), len("infinity")
	case has("inf"):
		return math.Inf(1), len("inf")
	case !has("nan"):
		return 0, 0
	}
	length = len("nan")
	// C lets letters and digits in parentheses follow.
	if length < len(s) && s[length] == '(' {
		for i := length + 1; i < len(s); i++ {
			if s[i] == ')' {
				return math.NaN(), i + 1
			}
			if !isAlpha(s[i]) && !isDigit(s[i]) && s[i] != '_' {
				break
			}
		}
	}
	return math.NaN(), length
}

// parseHexFloat reads 0x1.8p3; the exponent may be missing.
func parseHexFloat(s []byte, bits int) (f float64, length int, lost bool) {
	i, digits, zero := 2, 0, true
	for point := false; i < len(s); i++ {
		if s[i] == '.' && !point {
			point = true
			continue
		}
		if hexDigit(s[i]) > 15 {
			break
		}
		digits++
		zero = zero && s[i] == '0'
	}
	if digits == 0 {
		return 0, 0, false
	}
	n := exponentLength(s[i:], 'p')
	number := string(s[:i+n])
	if n == 0 {
		number += "p0"
	}
	f, _ = strconv.ParseFloat(number, bits)
	return f, i + n, math.IsInf(f, 0) || f == 0 && !zero
}

// Where a shortest decimal can lie exactly between two floats: below, such a
// number has more digits than any shortest one, above it has a factor of 5
// too many.
const (
	leastBetween32, greatestBetween32 = 1 << 20, 1e20
	leastBetween64, greatestBetween64 = 1 << 53, 1e40
)

// appendFloat prints the shortest decimal that reads back as the same number,
// as PostgreSQL does: with an exponent of at least two digits where it is
// below -4, or above 14 (double precision) or 5 (real).
func appendFloat(dst []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(dst, "NaN"...)
	case math.IsInf(f, 1):
		return append(dst, "Infinity"...)
	case math.IsInf(f, -1):
		return append(dst, "-Infinity"...)
	}
	least, limit, between, beyond := 1e-4, 1e15, float64(leastBetween64), float64(greatestBetween64)
	if bits == 32 {
		least, limit, between, beyond = float64(float32(1e-4)), 1e6, leastBetween32, greatestBetween32
	}
	a := math.Abs(f)
	precision := -1
	if a >= between && a < beyond {
		precision = safePrecision(a, bits)
	}
	if a == 0 || a >= least && a < limit {
		if precision >= 0 {
			// At least 2^20: there are no more than 6 digits before the point.
			return strconv.AppendFloat(dst, f, 'g', precision+1, bits)
		}
		return strconv.AppendFloat(dst, f, 'f', -1, bits)
	}
	return strconv.AppendFloat(dst, f, 'e', precision, bits)
}

// safePrecision gives the digits behind the point of the mantissa that print
// f without standing on the border to the next float: Go's shortest form may,
// PostgreSQL's doesn't, for readers that round halves in another way. -1 is
// the shortest form.
func safePrecision(f float64, bits int) int {
	text := strconv.AppendFloat(nil, f, 'e', -1, bits)
	if !onBorder(text, f, bits) {
		return -1
	}
	precision := max(len(text)-len("1.e+00"), 0)
	for {
		precision++
		text = strconv.AppendFloat(text[:0], f, 'e', precision, bits)
		if back, _ := strconv.ParseFloat(string(text), bits); back == f && !onBorder(text, f, bits) {
			return precision
		}
	}
}

// borderPrecision holds any number below 1e40 with a half unit exactly.
const borderPrecision = 256

// onBorder tells whether a decimal lies halfway between f and a neighbor.
func onBorder(text []byte, f float64, bits int) bool {
	below, above := math.Nextafter(f, 0), math.Nextafter(f, math.Inf(1))
	if bits == 32 {
		below = float64(math.Nextafter32(float32(f), 0))
		above = float64(math.Nextafter32(float32(f), float32(math.Inf(1))))
	}
	decimal, _, err := big.ParseFloat(string(text), 10, borderPrecision, big.ToNearestEven)
	if err != nil {
		return false
	}
	twice := new(big.Float).SetPrec(borderPrecision).Add(decimal, decimal)
	for _, neighbor := range []float64{below, above} {
		sum := new(big.Float).SetPrec(borderPrecision).Add(big.NewFloat(f), big.NewFloat(neighbor))
		if sum.Cmp(twice) == 0 {
			return true
		}
	}
	return false
}
