package expr

import (
	"encoding/base64"
	"encoding/hex"
	"strings"

	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// byteCode is a way to write bytes as text.
type byteCode struct {
	encode func(dst, b []byte) []byte
	decode func(dst, text []byte) ([]byte, *sqlerr.Error)
}

var byteCodes = map[string]byteCode{
	"hex":    {hex.AppendEncode, datum.AppendHex},
	"base64": {appendBase64, decodeBase64},
	"escape": {escapeBytes, datum.AppendEscaped},
}

// code finds the way that an argument names, or fails the row.
func (f *frame) code(i int32) (byteCode, bool) {
	name := f.bytes(1, i)
	c, ok := byteCodes[strings.ToLower(string(name))]
	if !ok {
		f.fail(i, sqlerr.New(sqlerr.InvalidParameterValue, "unrecognized encoding: \"%s\"", name))
	}
	return c, ok
}

func encodeBytes(f *frame) {
	for _, i := range f.sel {
		if c, ok := f.code(i); ok {
			start := len(f.out.Buf)
			f.out.Buf = c.encode(f.out.Buf, f.bytes(0, i))
			f.finish(i, start)
		}
	}
}

func decodeText(f *frame) {
	for _, i := range f.sel {
		c, ok := f.code(i)
		if !ok {
			continue
		}
		start := len(f.out.Buf)
		buf, err := c.decode(f.out.Buf, f.bytes(0, i))
		if err != nil {
			f.fail(i, err)
			continue
		}
		f.out.Buf = buf
		f.finish(i, start)
	}
}

// base64Line is how many bytes PostgreSQL writes into a line of base64: 76
// characters.
const base64Line = 57

func appendBase64(dst, b []byte) []byte {
	for len(b) >= base64Line {
		dst = append(base64.StdEncoding.AppendEncode(dst, b[:base64Line]), '\n')
		b = b[base64Line:]
	}
	return base64.StdEncoding.AppendEncode(dst, b)
}

var errBase64End = sqlerr.New(sqlerr.InvalidParameterValue, "invalid base64 end sequence")

// decodeBase64 reads base64 with spaces and line ends anywhere. What a group
// of four that ends in = leaves over is dropped, and another group may follow.
func decodeBase64(dst, text []byte) ([]byte, *sqlerr.Error) {
	group, places, end := uint32(0), 0, 0
	for at, c := range text {
		var value uint32
		switch c {
		case ' ', '\t', '\n', '\r':
			continue
		case '=':
			if end == 0 {
				if places < 2 {
					return dst, sqlerr.New(sqlerr.InvalidParameterValue, "unexpected \"=\" while decoding base64 sequence")
				}
				end = places - 1
			}
		default:
			v, ok := base64Value(c)
			if !ok {
				return dst, sqlerr.New(sqlerr.InvalidParameterValue, "invalid symbol \"%s\" found while decoding base64 sequence", text[at:at+characterLength(text[at:])])
			}
			value = v
		}
		group = group<<6 | value
		if places++; places < 4 {
			continue
		}
		dst = append(dst, byte(group>>16))
		if end == 0 || end > 1 {
			dst = append(dst, byte(group>>8))
		}
		if end == 0 || end > 2 {
			dst = append(dst, byte(group))
		}
		group, places = 0, 0
	}
	if places != 0 {
		return dst, errBase64End
	}
	return dst, nil
}

func base64Value(c byte) (uint32, bool) {
	switch {
	case c >= 'A' && c <= 'Z':
		return uint32(c - 'A'), true
	case c >= 'a' && c <= 'z':
		return uint32(c-'a') + 26, true
	case c >= '0' && c <= '9':
		return uint32(c-'0') + 52, true
	case c == '+':
		return 62, true
	case c == '/':
		return 63, true
	}
	return 0, false
}

// escapeBytes writes what isn't ASCII, and zeros, as \ and three octal
// digits.
func escapeBytes(dst, b []byte) []byte {
	for _, c := range b {
		switch {
		case c == 0 || c >= 0x80:
			dst = append(dst, '\\', '0'+c>>6, '0'+c>>3&7, '0'+c&7)
		case c == '\\':
			dst = append(dst, '\\', '\\')
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
