package datum

import (
	"github.com/millstream-dev/millstream/internal/column"
)

// AppendJSON appends value i as PostgreSQL's to_json gives it, null as null.
func AppendJSON(dst []byte, v *column.Vector, i int) []byte {
	if v.Null[i] {
		return append(dst, "null"...)
	}
	switch v.Type.Kind {
	case column.Bool:
		if v.Int[i] != 0 {
			return append(dst, "true"...)
		}
		return append(dst, "false"...)
	case column.Int2, column.Int4, column.Int8, column.JSONB:
		return Append(dst, v, i)
	case column.Float4, column.Float8, column.Numeric:
		start := len(dst)
		dst = Append(dst, v, i)
		// NaN and the infinities are no JSON numbers.
		if last := dst[len(dst)-1]; last == 'N' || last == 'y' {
			dst = append(dst, 0, '"')
			copy(dst[start+1:], dst[start:len(dst)-2])
			dst[start] = '"'
		}
		return dst
	case column.Timestamp:
		return append(appendTimestamp(append(dst, '"'), v.Int[i], 'T', ""), '"')
	case column.Timestamptz:
		return append(appendTimestamp(append(dst, '"'), v.Int[i], 'T', "+00:00"), '"')
	case column.Text, column.Varchar, column.Unknown:
		return AppendJSONString(dst, v.Bytes(i))
	case column.Bytea:
		// The backslash in front is escaped.
		return append(Append(append(dst, '"', '\\'), v, i), '"')
	}
	if v.Type.Kind.IsArray() {
		return appendArrayJSON(dst, v, i)
	}
	return append(Append(append(dst, '"'), v, i), '"')
}

// AppendJSONString appends s as a JSON string, escaped as PostgreSQL does it.
func AppendJSONString(dst, s []byte) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	done := 0
	for i, c := range s {
		if c >= ' ' && c != '"' && c != '\\' {
			continue
		}
		dst = append(dst, s[done:i]...)
		done = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
	}
	return append(append(dst, s[done:]...), '"')
}
