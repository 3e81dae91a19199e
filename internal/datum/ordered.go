package datum

import (
	"encoding/binary"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// Ordered tells the kinds that AppendOrdered takes: those with a btree order,
// but for jsonb.
func Ordered(k column.Kind) bool {
	switch k {
	case column.Bool, column.Int2, column.Int4, column.Int8, column.Float4, column.Float8, column.Numeric, column.Text, column.Varchar, column.UUID,
		column.Date, column.Timestamp, column.Timestamptz, column.Interval:
		return true
	}
	return false
}

const signBit = 1 << 63

// AppendOrdered appends value i, which is not null, as bytes that compare as
// the type's btree order does: equal values give equal bytes, and none is the
// beginning of another's, so that several can follow each other.
func AppendOrdered(dst []byte, v *column.Vector, i int) []byte {
	switch v.Type.Kind {
	case column.Float4, column.Float8:
		return binary.BigEndian.AppendUint64(dst, OrderedFloat(v.Float[i]))
	case column.Numeric:
		return decimal.AppendOrdered(dst, v.Bytes(i))
	case column.UUID:
		return append(dst, v.Bytes(i)...)
	case column.Interval:
		hi, lo := intervalSpan(v.Interval[i])
		dst = binary.BigEndian.AppendUint64(dst, uint64(hi)^signBit)
		return binary.BigEndian.AppendUint64(dst, lo)
	case column.Text, column.Varchar, column.Unknown:
		return append(append(dst, v.Bytes(i)...), 0) // no text holds a zero byte
	}
	return binary.BigEndian.AppendUint64(dst, uint64(v.Int[i])^signBit)
}

// OrderedFloat gives a number that orders as f does: 0 and -0 are one, and so
// are NaNs, which come last.
func OrderedFloat(f float64) uint64 {
	b := floatKey(f)
	if b&signBit != 0 {
		return ^b
	}
	return b | signBit
}
