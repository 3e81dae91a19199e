package datum

import (
	"encoding/binary"
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// jsonbVersion stands before the text in jsonb's binary format.
const jsonbVersion = 1

// The bits of the NaN that PostgreSQL makes: Go's differ, and nothing may
// depend on which one a value has.
const (
	binaryNaN32 = 0x7fc0 << 16
	binaryNaN64 = 0x7ff8 << 48
)

// AppendBinary appends value i, which is not null, as its type's send
// function gives it, without a length in front.
func AppendBinary(dst []byte, v *column.Vector, i int) []byte {
	be := binary.BigEndian
	switch v.Type.Kind {
	case column.Bool:
		return append(dst, byte(v.Int[i]))
	case column.Int2:
		return be.AppendUint16(dst, uint16(v.Int[i]))
	case column.Int4, column.Date:
		return be.AppendUint32(dst, uint32(v.Int[i]))
	case column.Int8, column.Timestamp, column.Timestamptz, column.Time:
		return be.AppendUint64(dst, uint64(v.Int[i]))
	case column.Float4:
		if math.IsNaN(v.Float[i]) {
			return be.AppendUint32(dst, binaryNaN32)
		}
		return be.AppendUint32(dst, math.Float32bits(float32(v.Float[i])))
	case column.Float8:
		if math.IsNaN(v.Float[i]) {
			return be.AppendUint64(dst, binaryNaN64)
		}
		return be.AppendUint64(dst, math.Float64bits(v.Float[i]))
	case column.Numeric:
		return decimal.Decode(v.Bytes(i)).AppendBinary(dst)
	case column.Interval:
		t := v.Interval[i]
		dst = be.AppendUint64(dst, uint64(t.Micros))
		dst = be.AppendUint32(dst, uint32(t.Days))
		return be.AppendUint32(dst, uint32(t.Months))
	case column.JSONB:
		dst = append(dst, jsonbVersion)
	}
	if k := v.Type.Kind; k == column.Inet || k == column.Cidr {
		return appendNetworkBinary(dst, v.Bytes(i), k == column.Cidr)
	}
	if v.Type.Kind.IsArray() {
		return appendArrayBinary(dst, v, i)
	}
	return append(dst, v.Bytes(i)...)
}
