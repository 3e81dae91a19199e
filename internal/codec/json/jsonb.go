package json

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// maxExpansion bounds the digits that the exponents in one jsonb value write
// out: 1e131071 is eight bytes in and 131,072 out, and a record has room for
// millions of them.
const maxExpansion = 1 << 20

// plainJSONB is the longest text of which jsonb refuses nothing, if no number
// in it has an exponent: numeric holds that many digits on either side of the
// point.
const plainJSONB = 16383

// jsonb sets value i of v to raw in jsonb's canonical form.
func jsonb(t *target, raw []byte, v *column.Vector, i int) (verdict, *sqlerr.Error) {
	v.Null[i] = false
	if canonical(raw) {
		v.SetBytes(i, raw)
		return plainVerdict, nil
	}
	growth, exponents := expansion(raw)
	if growth > maxExpansion {
		return expanded, sqlerr.New(sqlerr.ProgramLimitExceeded,
			"exponents in a jsonb value write out more than the limit of %d digits", maxExpansion)
	}
	if !t.Needed && !exponents && len(raw) <= plainJSONB {
		return plainVerdict, nil
	}
	start := len(v.Buf)
	buf, err := datum.JSONBFromText(v.Buf, raw)
	if err != nil {
		return plainVerdict, err
	}
	v.Buf = buf
	v.FinishBytes(i, start)
	return plainVerdict, nil
}

// canonical tells some values that jsonb prints as they are: words, short
// whole numbers, empty objects and arrays, strings without escapes.
func canonical(raw []byte) bool {
	switch c := raw[0]; {
	case c == 't' || c == 'f':
		return true
	case c == '{' || c == '[':
		return len(raw) == 2
	case c == '0':
		return len(raw) == 1
	case c == '"':
		for _, c := range raw {
			if c == '\\' {
				return false
			}
		}
		return true
	case c != '-':
		for _, c := range raw {
			if c < '0' || c > '9' {
				return false
			}
		}
		return len(raw) < 1000
	}
	return false
}

// expansion adds up the exponents of the numbers in a JSON text, without
// their signs.
func expansion(raw []byte) (digits int, exponents bool) {
	for p := 0; p < len(raw); {
		switch c := raw[p]; {
		case c == '"':
			p = stringEnd(raw, p+1)
		case (c == 'e' || c == 'E') && p > 0 && raw[p-1]-'0' <= 9:
			exponents = true
			p++
			if raw[p] == '+' || raw[p] == '-' {
				p++
			}
			n := 0
			for ; p < len(raw) && raw[p]-'0' <= 9; p++ {
				n = min(n*10+int(raw[p]-'0'), maxNumericExponent)
			}
			if n < maxNumericExponent { // else numeric refuses the number
				digits += n
			}
		default:
			p++
		}
	}
	return digits, exponents
}

// maxNumericExponent is beyond what numeric takes as an exponent.
const maxNumericExponent = 1 << 20

func stringEnd(raw []byte, p int) int {
	for raw[p] != '"' {
		if raw[p] == '\\' {
			p++
		}
		p++
	}
	return p + 1
}
