package datum

import (
	"math"
	"strconv"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// boolWords are the words of boolean input. Each may be cut to a beginning of
// at least its number of letters.
var boolWords = []struct {
	word  string
	least int
	value int64
}{
	{"true", 1, 1}, {"false", 1, 0}, {"yes", 1, 1}, {"no", 1, 0},
	{"on", 2, 1}, {"off", 2, 0}, {"1", 1, 1}, {"0", 1, 0},
}

func parseBool(text []byte) (int64, *sqlerr.Error) {
	s := trimSpace(text)
	for _, w := range boolWords {
		if len(s) >= w.least && len(s) <= len(w.word) && equalFold(s, w.word[:len(s)]) {
			return w.value, nil
		}
	}
	return 0, invalidSyntax("boolean", text)
}

// equalFold compares with a word in lower case.
func equalFold(s []byte, word string) bool {
	if len(s) != len(word) {
		return false
	}
	for i, c := range s {
		if c-'A' < 26 {
			c |= 0x20
		}
		if c != word[i] {
			return false
		}
	}
	return true
}

// parseInt reads decimal integers; space may stand around them, a sign in
// front.
func parseInt(text []byte, bits int, typeName string) (int64, *sqlerr.Error) {
	i := 0
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	negative := false
	if i < len(text) && (text[i] == '-' || text[i] == '+') {
		negative = text[i] == '-'
		i++
	}
	start := i
	limit := uint64(1)<<(bits-1) - 1
	if negative {
		limit++
	}
	var n uint64
	for ; i < len(text) && isDigit(text[i]); i++ {
		// The value is refused for its range as soon as it has left it,
		// whatever comes behind, as PostgreSQL does.
		digit := uint64(text[i] - '0')
		if n > (limit-digit)/10 && n*10+digit > limit || n > math.MaxUint64/10 {
			return 0, outOfRange(typeName, text)
		}
		n = n*10 + digit
	}
	if i == start {
		return 0, invalidSyntax(typeName, text)
	}
	for i < len(text) && isSpace(text[i]) {
		i++
	}
	if i < len(text) {
		return 0, invalidSyntax(typeName, text)
	}
	if negative {
		return -int64(n), nil
	}
	return int64(n), nil
}

// parseUUID reads 32 hexadecimal digits with hyphens behind any group of four
// and braces around all.
func parseUUID(s []byte) (id [16]byte, ok bool) {
	if len(s) > 0 && s[0] == '{' {
		if s[len(s)-1] != '}' {
			return id, false
		}
		s = s[1 : len(s)-1]
	}
	for i := range id {
		if len(s) < 2 {
			return id, false
		}
		hi, lo := hexDigit(s[0]), hexDigit(s[1])
		if hi|lo > 15 {
			return id, false
		}
		id[i] = hi<<4 | lo
		s = s[2:]
		if len(s) > 0 && s[0] == '-' && i%2 == 1 && i < 15 {
			s = s[1:]
		}
	}
	return id, len(s) == 0
}

func hexDigit(c byte) byte {
	switch {
	case c-'0' <= 9:
		return c - '0'
	case (c|0x20)-'a' < 6:
		return (c | 0x20) - 'a' + 10
	}
	return 255
}

// parseFloat reads what C's strtod reads: decimal and hexadecimal numbers,
// nan, inf and infinity.
func parseFloat(text []byte, bits int, typeName string) (float64, *sqlerr.Error) {
	s := trimSpace(text)
	zero, ok := scanFloat(s)
	if !ok {
		return parseFloatSlowly(s, text, bits, typeName)
	}
	f, _ := strconv.ParseFloat(bytesAsString(s), bits)
	if math.IsInf(f, 0) || f == 0 && !zero {
		return 0, floatOutOfRange(s, typeName)
	}
	return f, nil
}

// PostgreSQL's message has the number without what stands around it.
func floatOutOfRange(s []byte, typeName string) *sqlerr.Error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "\"%s\" is out of range for type %s", s, typeName)
}

// scanFloat tells whether all of s is a decimal number, and whether all of
// its digits are 0.
func scanFloat(s []byte) (zero, ok bool) {
	i, digits := 0, 0
	zero = true
	if i < len(s) && (s[i] == '-' || s[i] == '+') {
		i++
	}
	point := false
	for ; i < len(s); i++ {
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
		return false, false
	}
	if i < len(s) && s[i]|0x20 == 'e' {
		i++
		if i < len(s) && (s[i] == '-' || s[i] == '+') {
			i++
		}
		start := i
		for i < len(s) && isDigit(s[i]) {
			i++
		}
		if i == start {
			return false, false
		}
	}
	return zero, i == len(s)
}

func parseFloatSlowly(s, text []byte, bits int, typeName string) (float64, *sqlerr.Error) {
	body, sign := s, 1.0
	if len(body) > 0 && (body[0] == '-' || body[0] == '+') {
		if body[0] == '-' {
			sign = -1
		}
		body = body[1:]
	}
	switch {
	case equalFold(body, "nan"):
		return math.NaN(), nil
	case equalFold(body, "inf"), equalFold(body, "infinity"):
		return math.Inf(int(sign)), nil
	case len(body) > 2 && body[0] == '0' && body[1]|0x20 == 'x':
		if f, zero, ok := parseHexFloat(body, bits); ok {
			if math.IsInf(f, 0) || f == 0 && !zero {
				return 0, floatOutOfRange(s, typeName)
			}
			return sign * f, nil
		}
	}
	return 0, invalidSyntax(typeName, text)
}

// parseHexFloat reads 0x1.8p3; the exponent may be missing.
func parseHexFloat(s []byte, bits int) (f float64, zero, ok bool) {
	number, zero, exponent := string(s), true, false
	for i, c := range s[2:] {
		if c|0x20 == 'p' {
			exponent = true
			break
		}
		if c == '_' {
			return 0, false, false
		}
		zero = zero && (c == '0' || c == '.')
		_ = i
	}
	if !exponent {
		number += "p0"
	}
	f, err := strconv.ParseFloat(number, bits)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false, false
	}
	return f, zero, true
}
