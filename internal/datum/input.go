package datum

import (
	"bytes"
	"unicode/utf8"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Input reads text as the input function of v's type does, modifier included,
// and sets value i, which is then not null. An error leaves the value void.
func Input(v *column.Vector, i int, text []byte) *sqlerr.Error {
	var err *sqlerr.Error
	switch v.Type.Kind {
	case column.Text, column.Varchar, column.Unknown, column.JSONB, column.Bytea:
		if err = validate(text); err == nil {
			err = inputText(v, i, text)
		}
	default:
		if v.Type.Kind.IsArray() {
			if err = validate(text); err == nil {
				err = inputArray(v, i, text)
			}
			break
		}
		// What these types take is ASCII: only a refusal can be for the
		// encoding, which PostgreSQL looks at first.
		if err = inputFixed(v, i, text); err != nil {
			if invalid := validate(text); invalid != nil {
				err = invalid
			}
		}
	}
	if err == nil {
		v.Null[i] = false
	}
	return err
}

// inputText reads the types whose values are text.
func inputText(v *column.Vector, i int, text []byte) *sqlerr.Error {
	switch v.Type.Kind {
	case column.Varchar:
		kept, err := cutVarchar(text, v.Type.Length)
		if err != nil {
			return err
		}
		v.SetBytes(i, kept)
	case column.JSONB:
		start := len(v.Buf)
		buf, err := JSONBFromText(v.Buf, text)
		if err != nil {
			return err
		}
		v.Buf = buf
		v.FinishBytes(i, start)
	case column.Bytea:
		start := len(v.Buf)
		buf, err := appendBytea(v.Buf, text)
		if err != nil {
			return err
		}
		v.Buf = buf
		v.FinishBytes(i, start)
	default:
		v.SetBytes(i, text)
	}
	return nil
}

// inputFixed reads the types whose values are not text.
func inputFixed(v *column.Vector, i int, text []byte) (err *sqlerr.Error) {
	switch v.Type.Kind {
	case column.Bool:
		v.Int[i], err = parseBool(text)
	case column.Int2:
		v.Int[i], err = parseInt(text, 16, "smallint")
	case column.Int4:
		v.Int[i], err = parseInt(text, 32, "integer")
	case column.Int8:
		v.Int[i], err = parseInt(text, 64, "bigint")
	case column.Float4:
		v.Float[i], err = parseFloat(text, 32, "real")
	case column.Float8:
		v.Float[i], err = parseFloat(text, 64, "double precision")
	case column.Date:
		v.Int[i], err = parseDate(text)
	case column.Timestamp:
		v.Int[i], err = parseTimestamp(text, false)
	case column.Timestamptz:
		v.Int[i], err = parseTimestamp(text, true)
	case column.Time:
		v.Int[i], err = parseTime(text)
	case column.Interval:
		v.Interval[i], err = parseInterval(text)
	case column.Inet, column.Cidr:
		var n Network
		if n, err = parseNetwork(text, v.Type.Kind == column.Cidr); err == nil {
			start := len(v.Buf)
			v.Buf = AppendNetwork(v.Buf, n)
			v.FinishBytes(i, start)
		}
	case column.Numeric:
		var d decimal.Decimal
		if d, err = decimal.ParseFit(text, v.Type.Precision, v.Type.Scale); err == nil {
			start := len(v.Buf)
			v.Buf = d.Encode(v.Buf)
			v.FinishBytes(i, start)
		}
	case column.UUID:
		id, ok := parseUUID(text)
		if !ok {
			return invalidSyntax("uuid", text)
		}
		v.SetBytes(i, id[:])
	default:
		err = sqlerr.New(sqlerr.FeatureNotSupported, "type %s has no input", v.Type)
	}
	return err
}

// validate refuses what can't be text in a UTF8 database. The message names
// the first bad character, as PostgreSQL's encoding check does.
func validate(text []byte) *sqlerr.Error {
	if utf8.Valid(text) {
		if bytes.IndexByte(text, 0) < 0 {
			return nil
		}
		return invalidByteSequence([]byte{0})
	}
	for i := 0; i < len(text); {
		c := text[i]
		r, n := utf8.DecodeRune(text[i:])
		if c == 0 || r == utf8.RuneError && n == 1 {
			return invalidByteSequence(text[i:min(i+sequenceLength(c), len(text))])
		}
		i += n
	}
	return nil
}

// sequenceLength is what the first byte of a character promises.
func sequenceLength(c byte) int {
	switch {
	case c&0xe0 == 0xc0:
		return 2
	case c&0xf0 == 0xe0:
		return 3
	case c&0xf8 == 0xf0:
		return 4
	}
	return 1
}

func invalidByteSequence(b []byte) *sqlerr.Error {
	const hex = "0123456789abcdef"
	var text []byte
	for _, c := range b {
		if len(text) > 0 {
			text = append(text, ' ')
		}
		text = append(text, '0', 'x', hex[c>>4], hex[c&15])
	}
	return sqlerr.New(sqlerr.CharacterNotInRepertoire, "invalid byte sequence for encoding \"UTF8\": %s", text)
}

// cutVarchar holds text to n characters; only spaces may be cut.
func cutVarchar(text []byte, n int32) ([]byte, *sqlerr.Error) {
	if n == 0 || len(text) <= int(n) {
		return text, nil
	}
	end := 0
	for range n {
		if end == len(text) {
			return text, nil
		}
		_, size := utf8.DecodeRune(text[end:])
		end += size
	}
	for _, c := range text[end:] {
		if c != ' ' {
			return nil, sqlerr.New(sqlerr.StringDataRightTruncation, "value too long for type character varying(%d)", n)
		}
	}
	return text[:end], nil
}

func invalidSyntax(typeName string, text []byte) *sqlerr.Error {
	return sqlerr.New(sqlerr.InvalidTextRepresentation, "invalid input syntax for type %s: \"%s\"", typeName, text)
}

func outOfRange(typeName string, text []byte) *sqlerr.Error {
	return sqlerr.New(sqlerr.NumericValueOutOfRange, "value \"%s\" is out of range for type %s", text, typeName)
}

func isSpace(c byte) bool { return c == ' ' || c-'\t' <= '\r'-'\t' }

func isDigit(c byte) bool { return c-'0' <= 9 }

func isAlpha(c byte) bool { return (c|0x20)-'a' < 26 }

func trimSpace(s []byte) []byte {
	for len(s) > 0 && isSpace(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isSpace(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}
