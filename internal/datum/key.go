package datum

import (
	"encoding/binary"
	"math"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// First byte of a key.
const (
	keyNull byte = iota
	keyValue
)

// AppendKey appends a key of value i, null included: values that the type's =
// holds equal give equal bytes, others different ones, and no key of a type
// is the beginning of another.
func AppendKey(dst []byte, v *column.Vector, i int) []byte {
	if v.Null[i] {
		return append(dst, keyNull)
	}
	dst = append(dst, keyValue)
	switch v.Type.Kind {
	case column.Bool:
		return append(dst, byte(v.Int[i]))
	case column.Float4, column.Float8:
		return binary.LittleEndian.AppendUint64(dst, floatKey(v.Float[i]))
	case column.Numeric:
		return decimal.AppendKey(dst, v.Bytes(i))
	case column.UUID:
		return append(dst, v.Bytes(i)...)
	case column.Interval:
		hi, lo := intervalSpan(v.Interval[i])
		dst = binary.LittleEndian.AppendUint64(dst, uint64(hi))
		return binary.LittleEndian.AppendUint64(dst, lo)
	case column.JSONB:
		return appendJSONBKey(dst, v.Bytes(i))
	case column.Text, column.Varchar, column.Unknown, column.Bytea, column.Inet, column.Cidr:
		b := v.Bytes(i)
		dst = binary.AppendUvarint(dst, uint64(len(b)))
		return append(dst, b...)
	}
	if v.Type.Kind.IsArray() {
		return appendArrayKey(dst, v, i)
	}
	return binary.LittleEndian.AppendUint64(dst, uint64(v.Int[i]))
}

func floatKey(f float64) uint64 {
	switch {
	case f == 0:
		return 0
	case f != f:
		return math.Float64bits(math.NaN())
	}
	return math.Float64bits(f)
}

// intervalSpan is what PostgreSQL compares: microseconds in 128 bits, a month
// being 30 days and a day 24 hours.
func intervalSpan(v column.IntervalValue) (hi int64, lo uint64) {
	days := int64(v.Months)*30 + int64(v.Days)
	h, l := bits.Mul64(uint64(days), Day)
	if days < 0 {
		h -= Day
	}
	l, carry := bits.Add64(l, uint64(v.Micros), 0)
	h, _ = bits.Add64(h, uint64(v.Micros>>63), carry)
	return int64(h), l
}
