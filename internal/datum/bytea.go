package datum

import (
	"encoding/hex"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// appendBytea appends the bytes that text stands for: hexadecimal digits
// behind \x, or else characters of which a backslash escapes octal digits and
// itself.
func appendBytea(dst, text []byte) ([]byte, *sqlerr.Error) {
	if len(text) >= 2 && text[0] == '\\' && text[1] == 'x' {
		return AppendHex(dst, text[2:])
	}
	return AppendEscaped(dst, text)
}

// AppendEscaped appends the bytes of a text in which a backslash stands
// before three octal digits or another backslash.
func AppendEscaped(dst, text []byte) ([]byte, *sqlerr.Error) {
	start := len(dst)
	for i := 0; i < len(text); i++ {
		switch rest := text[i:]; {
		case rest[0] != '\\':
			dst = append(dst, rest[0])
		case len(rest) >= 4 && rest[1]-'0' <= 3 && rest[2]-'0' <= 7 && rest[3]-'0' <= 7:
			dst = append(dst, (rest[1]-'0')<<6|(rest[2]-'0')<<3|(rest[3]-'0'))
			i += 3
		case len(rest) >= 2 && rest[1] == '\\':
			dst = append(dst, '\\')
			i++
		default:
			return dst[:start], sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type bytea")
		}
	}
	return dst, nil
}

// AppendHex appends the bytes that hexadecimal digits stand for. Spaces may
// stand between two bytes.
func AppendHex(dst, digits []byte) ([]byte, *sqlerr.Error) {
	start := len(dst)
	for i := 0; i < len(digits); i++ {
		c := digits[i]
		if c == ' ' || c == '\n' || c == '\t' || c == '\r' {
			continue
		}
		hi := hexDigit(c)
		if hi > 15 {
			return dst[:start], invalidHexDigit(digits[i:])
		}
		if i++; i == len(digits) {
			return dst[:start], sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal data: odd number of digits")
		}
		lo := hexDigit(digits[i])
		if lo > 15 {
			return dst[:start], invalidHexDigit(digits[i:])
		}
		dst = append(dst, hi<<4|lo)
	}
	return dst, nil
}

func invalidHexDigit(rest []byte) *sqlerr.Error {
	_, n := utf8.DecodeRune(rest)
	return sqlerr.New(sqlerr.InvalidParameterValue, "invalid hexadecimal digit: \"%s\"", rest[:n])
}

// appendByteaText prints bytes as \x and hexadecimal digits.
func appendByteaText(dst, b []byte) []byte { return hex.AppendEncode(append(dst, '\\', 'x'), b) }
