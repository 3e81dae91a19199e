package datum

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// An array's value is the number of its elements as a uvarint, and for each
// a byte, 0 for NULL, with the element behind it: 8 bytes for IntStorage and
// FloatStorage, 16 for IntervalStorage, a length as a uvarint and so many
// bytes for BytesStorage. Arrays have one dimension, and their first index
// is 1.

// Limits of arrays.
const (
	// MaxArrayElements bounds what an expression can make of a small row.
	MaxArrayElements = 1 << 20
	arrayNull        = 0
	arrayValue       = 1
)

// ErrDimensions is what an array of several dimensions, or one whose first
// index isn't 1, is refused with: PostgreSQL takes them.
var ErrDimensions = sqlerr.New(sqlerr.FeatureNotSupported, "arrays of several dimensions, or with another first index than 1, are not supported")

// AppendArray appends an array of the elements of v.
func AppendArray(dst []byte, v *column.Vector) []byte {
	dst = binary.AppendUvarint(dst, uint64(v.Len()))
	for i := range v.Len() {
		dst = AppendElement(dst, v, i)
	}
	return dst
}

// AppendElement appends element i of v as it stands in an array, behind the
// number of elements that AppendArray begins with.
func AppendElement(dst []byte, v *column.Vector, i int) []byte {
	if v.Null[i] {
		return append(dst, arrayNull)
	}
	dst = append(dst, arrayValue)
	le := binary.LittleEndian
	switch v.Type.Kind.Storage() {
	case column.IntStorage:
		return le.AppendUint64(dst, uint64(v.Int[i]))
	case column.FloatStorage:
		return le.AppendUint64(dst, math.Float64bits(v.Float[i]))
	case column.IntervalStorage:
		t := v.Interval[i]
		dst = le.AppendUint64(dst, uint64(t.Micros))
		dst = le.AppendUint32(dst, uint32(t.Days))
		return le.AppendUint32(dst, uint32(t.Months))
	}
	b := v.Bytes(i)
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// ArrayLength is an array's number of elements.
func ArrayLength(array []byte) int {
	n, _ := binary.Uvarint(array)
	return int(n)
}

// ReadArray makes v the elements of an array of kind k. v.Buf is the array
// itself, which v's spans point into: nothing is copied.
func ReadArray(v *column.Vector, t column.Type, array []byte) {
	n, at := binary.Uvarint(array)
	v.Reset(t.Elem(), int(n))
	v.Buf = array
	le := binary.LittleEndian
	storage := v.Type.Kind.Storage()
	for i := range v.Null {
		v.Null[i] = array[at] == arrayNull
		if at++; v.Null[i] {
			continue
		}
		switch storage {
		case column.IntStorage:
			v.Int[i] = int64(le.Uint64(array[at:]))
			at += 8
		case column.FloatStorage:
			v.Float[i] = math.Float64frombits(le.Uint64(array[at:]))
			at += 8
		case column.IntervalStorage:
			v.Interval[i] = column.IntervalValue{Micros: int64(le.Uint64(array[at:])), Days: int32(le.Uint32(array[at+8:])), Months: int32(le.Uint32(array[at+12:]))}
			at += 16
		default:
			length, width := binary.Uvarint(array[at:])
			at += width
			v.Span[i] = column.Span{Start: uint32(at), Length: uint32(length)}
			at += int(length)
		}
	}
}

// elements gives the elements of value i of an array vector.
func elements(v *column.Vector, i int) *column.Vector {
	out := &column.Vector{}
	ReadArray(out, v.Type, v.Bytes(i))
	return out
}

// appendArrayText prints an array as {1,NULL,"a b"}.
func appendArrayText(dst []byte, v *column.Vector, i int) []byte {
	e := elements(v, i)
	dst = append(dst, '{')
	var word []byte
	for j := range e.Len() {
		if j > 0 {
			dst = append(dst, ',')
		}
		if e.Null[j] {
			dst = append(dst, "NULL"...)
			continue
		}
		word = Append(word[:0], e, j)
		dst = appendArrayWord(dst, word)
	}
	return append(dst, '}')
}

// appendArrayWord prints an element, in quotes where it needs them.
func appendArrayWord(dst, word []byte) []byte {
	plain := len(word) > 0 && !equalFold(word, "null")
	for _, c := range word {
		if c == '"' || c == '\\' || c == '{' || c == '}' || c == ',' || isSpace(c) {
			plain = false
		}
	}
	if plain {
		return append(dst, word...)
	}
	dst = append(dst, '"')
	for _, c := range word {
		if c == '"' || c == '\\' {
			dst = append(dst, '\\')
		}
		dst = append(dst, c)
	}
	return append(dst, '"')
}

// inputArray reads {…} and sets value i, which is not null then.
func inputArray(v *column.Vector, i int, text []byte) *sqlerr.Error {
	e := column.NewVector(v.Type.Elem(), 0)
	err := eachArrayWord(text, func(word []byte, null bool) *sqlerr.Error {
		j := e.Grow()
		if null {
			return nil
		}
		return Input(e, j, word)
	})
	if err != nil {
		return err
	}
	start := len(v.Buf)
	v.Buf = AppendArray(v.Buf, e)
	v.FinishBytes(i, start)
	return nil
}

// eachArrayWord calls take for each element of an array's text form.
func eachArrayWord(text []byte, take func(word []byte, null bool) *sqlerr.Error) *sqlerr.Error {
	s := trimSpace(text)
	if len(s) > 0 && s[0] == '[' {
		return withBounds(s, text)
	}
	malformed := malformedArray(text)
	if len(s) < 2 || s[0] != '{' {
		return malformed
	}
	s = skipSpace(s[1:])
	if s[0] == '{' {
		return dimensions(text, malformed)
	}
	if s[0] == '}' {
		if len(s) > 1 {
			return malformed
		}
		return nil
	}
	// All is looked over before any element is read: a text that is malformed
	// at its end has no other fault.
	if !wellFormedArray(s) {
		return malformed
	}
	var word []byte
	for {
		var quoted bool
		word, quoted, s, _ = arrayWord(word[:0], s)
		if err := take(word, !quoted && equalFold(word, "null")); err != nil {
			return err
		}
		if s[0] == '}' {
			return nil
		}
		s = s[1:]
	}
}

func malformedArray(text []byte) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "malformed array literal: \"%s\"", text)
}

// withBounds refuses an array whose indexes are written before its braces: s,
// which is text without the space around it. PostgreSQL complains of what
// follows the indexes alone once they are read.
func withBounds(s, text []byte) *sqlerr.Error {
	for len(s) > 0 && s[0] == '[' {
		last, rest, ok := arrayBound(s[1:])
		first := 1
		if ok && bytes.HasPrefix(rest, []byte(":")) {
			first = last
			last, rest, ok = arrayBound(rest[1:])
		}
		if !ok || !bytes.HasPrefix(rest, []byte("]")) {
			return malformedArray(text)
		}
		if last < first {
			return sqlerr.New(sqlerr.ArraySubscriptError, "upper bound cannot be less than lower bound")
		}
		s = skipSpace(rest[1:])
	}
	values, ok := bytes.CutPrefix(s, []byte("="))
	values = skipSpace(values)
	if !ok || len(values) == 0 || values[0] != '{' {
		return malformedArray(text)
	}
	return dimensions(text, malformedArray(values))
}

// arrayBound reads an index as PostgreSQL does, which takes signs anywhere and
// stops counting at the second.
func arrayBound(s []byte) (n int, rest []byte, ok bool) {
	end := 0
	for end < len(s) && (isDigit(s[end]) || s[end] == '-' || s[end] == '+') {
		end++
	}
	digits := s[:end]
	negative := end > 0 && digits[0] == '-'
	if end > 0 && !isDigit(digits[0]) {
		digits = digits[1:]
	}
	for _, c := range digits {
		if !isDigit(c) {
			break
		}
		n = min(n*10+int(c-'0'), math.MaxInt32)
	}
	if negative {
		n = -n
	}
	return n, s[end:], end > 0
}

// wellFormedArray tells whether elements, commas between them and a brace
// at the end are all there is.
func wellFormedArray(s []byte) bool {
	var word []byte
	for {
		var ok bool
		if word, _, s, ok = arrayWord(word[:0], s); !ok {
			return false
		}
		if s[0] == '}' {
			return len(s) == 1
		}
		s = s[1:]
	}
}

// dimensions tells an array that PostgreSQL takes and this program doesn't
// from one that both refuse, as far as braces and quotes tell it.
func dimensions(text []byte, malformed *sqlerr.Error) *sqlerr.Error {
	depth, quoted := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{':
			depth++
		case c == '}':
			depth--
		}
		if depth < 0 {
			return malformed
		}
	}
	if depth != 0 || quoted || bytes.IndexByte(text, '{') < 0 {
		return malformed
	}
	return ErrDimensions
}

func skipSpace(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	return s
}

// arrayWord reads an element up to the comma or brace behind it, which rest
// begins with. A word that is quoted, or has a backslash, is never NULL.
func arrayWord(dst, s []byte) (word []byte, quoted bool, rest []byte, ok bool) {
	s = skipSpace(s)
	kept := 0 // up to where spaces belong to the word
	inQuotes, begun, escaped := false, false, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\':
			if i++; i == len(s) || quoted && !inQuotes {
				return dst, quoted, nil, false
			}
			dst = append(dst, s[i])
			kept, begun, escaped = len(dst), true, true
		case c == '"':
			if !inQuotes && (quoted || begun) {
				return dst, quoted, nil, false
			}
			inQuotes, quoted, kept = !inQuotes, true, len(dst)
		case inQuotes:
			dst = append(dst, c)
			kept = len(dst)
		case c == '{':
			return dst, quoted, nil, false
		case c == ',' || c == '}':
			dst = dst[:kept]
			return dst, quoted || escaped, s[i:], quoted || begun
		case isSpace(c):
			dst = append(dst, c)
		default:
			if quoted {
				return dst, quoted, nil, false
			}
			dst = append(dst, c)
			kept, begun = len(dst), true
		}
	}
	return dst, quoted, nil, false
}

// appendArrayJSON prints an array as to_json does.
func appendArrayJSON(dst []byte, v *column.Vector, i int) []byte {
	e := elements(v, i)
	dst = append(dst, '[')
	for j := range e.Len() {
		if j > 0 {
			dst = append(dst, ',')
		}
		dst = AppendJSON(dst, e, j)
	}
	return append(dst, ']')
}

// appendArrayBinary is array_send.
func appendArrayBinary(dst []byte, v *column.Vector, i int) []byte {
	be := binary.BigEndian
	e := elements(v, i)
	if e.Len() == 0 {
		dst = be.AppendUint64(dst, 0) // no dimension, no nulls
		return be.AppendUint32(dst, e.Type.Kind.OID())
	}
	nulls := uint32(0)
	for _, null := range e.Null {
		if null {
			nulls = 1
		}
	}
	dst = be.AppendUint32(dst, 1) // dimensions
	dst = be.AppendUint32(dst, nulls)
	dst = be.AppendUint32(dst, e.Type.Kind.OID())
	dst = be.AppendUint32(dst, uint32(e.Len()))
	dst = be.AppendUint32(dst, 1) // the first index
	for j := range e.Len() {
		if e.Null[j] {
			dst = be.AppendUint32(dst, math.MaxUint32)
			continue
		}
		at := len(dst)
		dst = AppendBinary(be.AppendUint32(dst, 0), e, j)
		be.PutUint32(dst[at:], uint32(len(dst)-at-4))
	}
	return dst
}

// appendArrayKey appends the keys of all elements.
func appendArrayKey(dst []byte, v *column.Vector, i int) []byte {
	e := elements(v, i)
	dst = binary.AppendUvarint(dst, uint64(e.Len()))
	for j := range e.Len() {
		dst = AppendKey(dst, e, j)
	}
	return dst
}

// compareArrays compares element by element, NULLs being greater than all
// else and equal; of two that agree the longer one is greater.
func compareArrays(a *column.Vector, i int, b *column.Vector, j int) int {
	x, y := elements(a, i), elements(b, j)
	for k := range min(x.Len(), y.Len()) {
		if order := CompareNullsLast(x, k, y, k); order != 0 {
			return order
		}
	}
	return cmp.Compare(x.Len(), y.Len())
}

// CompareNullsLast is Compare with NULL equal to itself and greater than all
// else.
func CompareNullsLast(a *column.Vector, i int, b *column.Vector, j int) int {
	switch {
	case a.Null[i] && b.Null[j]:
		return 0
	case a.Null[i]:
		return 1
	case b.Null[j]:
		return -1
	}
	return Compare(a, i, b, j)
}
