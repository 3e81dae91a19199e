package datum

import (
	"math"

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
	limit := uint64(1) << (bits - 1) // of a negative number
	var n uint64
	for ; i < len(text) && isDigit(text[i]); i++ {
		if n > math.MaxUint64/10-1 {
			return 0, outOfRange(typeName, text)
		}
		n = n*10 + uint64(text[i]-'0')
	}
	// The range goes before what stands behind the number, as in PostgreSQL,
	// which reads all numbers as negative ones.
	if n > limit {
		return 0, outOfRange(typeName, text)
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
	if n == limit {
		return 0, outOfRange(typeName, text)
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
