package expr

import (
	"bytes"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

// A jsonb value is stored as its text, as PostgreSQL prints it: no space but
// one after each colon and comma outside of strings, keys unique. That text
// is well formed, so the functions below look for a value's place in it
// without checking.

// jsonFunctions are the functions and operators of jsonb.
func jsonFunctions() []*Function {
	const doc, text, integer = column.JSONB, column.Text, column.Int4
	return []*Function{
		line("->", kinds(doc, text), doc, jsonMember(false), "member of an object, as jsonb"),
		line("->", kinds(doc, integer), doc, jsonElement(false), "element of an array (from 0, negative from the end), as jsonb"),
		line("->>", kinds(doc, text), text, jsonMember(true), "member of an object, as text"),
		line("->>", kinds(doc, integer), text, jsonElement(true), "element of an array (from 0, negative from the end), as text"),
	}
}

func jsonMember(asText bool) kernel {
	return func(f *frame) {
		for _, i := range f.sel {
			f.scratch = datum.AppendJSONString(f.scratch[:0], f.bytes(1, i))
			value, ok := jsonFindMember(f.bytes(0, i), f.scratch)
			f.setJSON(i, value, ok, asText)
		}
	}
}

func jsonElement(asText bool) kernel {
	return func(f *frame) {
		index := f.args[1].Int
		for _, i := range f.sel {
			value, ok := jsonFindElement(f.bytes(0, i), index[i])
			f.setJSON(i, value, ok, asText)
		}
	}
}

// setJSON sets a value found in a document: NULL if it was not found, or is
// null where text is wanted.
func (f *frame) setJSON(i int32, value []byte, ok, asText bool) {
	if !ok || asText && value[0] == 'n' {
		f.out.Null[i] = true
		return
	}
	start := len(f.out.Buf)
	if asText && value[0] == '"' {
		f.out.Buf = appendUnquoted(f.out.Buf, value)
	} else {
		f.out.Buf = append(f.out.Buf, value...)
	}
	f.finish(i, start)
}

// jsonFindMember finds the value of a key, given in quotes as it is stored.
func jsonFindMember(doc, key []byte) ([]byte, bool) {
	if doc[0] != '{' || doc[1] == '}' {
		return nil, false
	}
	for at := 1; ; at += len(", ") {
		keyEnd := skipJSON(doc, at)
		valueAt := keyEnd + len(": ")
		end := skipJSON(doc, valueAt)
		if bytes.Equal(doc[at:keyEnd], key) {
			return doc[valueAt:end], true
		}
		if doc[end] == '}' {
			return nil, false
		}
		at = end
	}
}

// jsonFindElement finds an element by its number. PostgreSQL stores a scalar
// as an array of one element, and finds it as such.
func jsonFindElement(doc []byte, index int64) ([]byte, bool) {
	switch {
	case doc[0] == '{':
		return nil, false
	case doc[0] != '[':
		return doc, index == 0 || index == -1
	case doc[1] == ']':
		return nil, false
	}
	if index < 0 {
		index += jsonLength(doc)
		if index < 0 {
			return nil, false
		}
	}
	for at := 1; ; at += len(", ") {
		end := skipJSON(doc, at)
		if index == 0 {
			return doc[at:end], true
		}
		if doc[end] == ']' {
			return nil, false
		}
		index--
		at = end
	}
}

// jsonLength counts the elements of an array that isn't empty.
func jsonLength(doc []byte) int64 {
	n := int64(1)
	for at := skipJSON(doc, 1); doc[at] != ']'; n++ {
		at = skipJSON(doc, at+len(", "))
	}
	return n
}

// skipJSON gives the end of the value that begins at from.
func skipJSON(doc []byte, from int) int {
	depth := 0
	for at := from; ; at++ {
		switch doc[at] {
		case '"':
			at++
			for doc[at] != '"' {
				if doc[at] == '\\' {
					at++
				}
				at++
			}
		case '{', '[':
			depth++
			continue
		case '}', ']':
			depth--
		default:
			if depth == 0 {
				return at + scalarLength(doc[at:])
			}
			continue
		}
		if depth == 0 {
			return at + 1
		}
	}
}

// scalarLength is the length of a number or a word.
func scalarLength(s []byte) int {
	if n := bytes.IndexAny(s, ",]}"); n >= 0 {
		return n
	}
	return len(s)
}

// appendUnquoted appends a stored string without its quotes and escapes.
func appendUnquoted(dst, quoted []byte) []byte {
	s := quoted[1 : len(quoted)-1]
	for len(s) > 0 {
		if s[0] != '\\' {
			next := bytes.IndexByte(s, '\\')
			if next < 0 {
				next = len(s)
			}
			dst = append(dst, s[:next]...)
			s = s[next:]
			continue
		}
		c, length := s[1], 2
		switch c {
		case 'b':
			c = '\b'
		case 'f':
			c = '\f'
		case 'n':
			c = '\n'
		case 'r':
			c = '\r'
		case 't':
			c = '\t'
		case 'u':
			dst = utf8.AppendRune(dst, hexRune(s[2:6]))
			s = s[6:]
			continue
		}
		dst = append(dst, c)
		s = s[length:]
	}
	return dst
}

// hexRune reads four hexadecimal digits. Stored strings write only control
// characters so.
func hexRune(digits []byte) rune {
	var r rune
	for _, c := range digits {
		r <<= 4
		switch {
		case c <= '9':
			r |= rune(c - '0')
		default:
			r |= rune(c|0x20-'a') + 10
		}
	}
	return r
}
