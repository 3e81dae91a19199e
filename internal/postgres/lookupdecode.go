package postgres

import (
	"encoding/binary"
	"fmt"
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
)

// binarySizes are the lengths of values in PostgreSQL's binary format, where
// a type has one.
var binarySizes = map[column.Kind]int{
	column.Bool: 1, column.Int2: 2, column.Int4: 4, column.Date: 4, column.Float4: 4, column.UUID: 16,
	column.Int8: 8, column.Timestamp: 8, column.Timestamptz: 8, column.Time: 8, column.Float8: 8,
}

// setBinary sets value i, which is NULL, to what stands in PostgreSQL's binary
// format: datum.AppendBinary the other way.
func setBinary(v *column.Vector, i int, b []byte) error {
	kind := v.Type.Kind
	if size, ok := binarySizes[kind]; ok && len(b) != size {
		return fmt.Errorf("a %s came in %d bytes", kind, len(b))
	}
	be := binary.BigEndian
	v.Null[i] = false
	switch kind {
	case column.Bool:
		v.Int[i] = int64(b[0])
	case column.Int2:
		v.Int[i] = int64(int16(be.Uint16(b)))
	case column.Int4, column.Date:
		v.Int[i] = int64(int32(be.Uint32(b)))
	case column.Int8, column.Timestamp, column.Timestamptz, column.Time:
		v.Int[i] = int64(be.Uint64(b))
	case column.Float4:
		v.Float[i] = float64(math.Float32frombits(be.Uint32(b)))
	case column.Float8:
		v.Float[i] = math.Float64frombits(be.Uint64(b))
	case column.Numeric:
		text, err := numericText(b)
		if err != nil {
			return err
		}
		d, problem := decimal.Parse(text)
		if problem != nil {
			return problem
		}
		start := len(v.Buf)
		v.Buf = d.Encode(v.Buf)
		v.FinishBytes(i, start)
	case column.JSONB:
		if len(b) < 1 || b[0] != 1 {
			return fmt.Errorf("a jsonb came in an unknown version of its format")
		}
		v.SetBytes(i, b[1:])
	case column.Text, column.Varchar, column.UUID, column.Bytea:
		v.SetBytes(i, b)
	case column.Inet, column.Cidr:
		if len(b) < 4 || len(b) != 4+int(b[3]) || b[3] != 4 && b[3] != 16 {
			return fmt.Errorf("an %s came in an unknown format", kind)
		}
		start := len(v.Buf)
		v.Buf = datum.AppendNetwork(v.Buf, datum.Network{Address: b[4:], Bits: int(b[1])})
		v.FinishBytes(i, start)
	default:
		if kind.IsArray() {
			return setBinaryArray(v, i, b)
		}
		return fmt.Errorf("a value of type %s can't be read", kind)
	}
	return nil
}

// setBinaryArray sets value i to an array of at most one dimension, whose
// first index is 1.
func setBinaryArray(v *column.Vector, i int, b []byte) error {
	be := binary.BigEndian
	broken := fmt.Errorf("a %s came in an unknown format", v.Type.Kind)
	elements := column.NewVector(v.Type.Elem(), 0)
	if len(b) < 12 {
		return broken
	}
	dimensions, rest := be.Uint32(b), b[12:]
	switch {
	case dimensions == 0:
	case dimensions > 1 || len(rest) < 8 || be.Uint32(rest[4:]) != 1:
		return datum.ErrDimensions
	default:
		n := int(be.Uint32(rest))
		rest = rest[8:]
		for range n {
			if len(rest) < 4 {
				return broken
			}
			length := int(int32(be.Uint32(rest)))
			rest = rest[4:]
			j := elements.Grow()
			if length < 0 {
				continue
			}
			if length > len(rest) {
				return broken
			}
			if err := setBinary(elements, j, rest[:length]); err != nil {
				return err
			}
			rest = rest[length:]
		}
	}
	v.Null[i] = false
	start := len(v.Buf)
	v.Buf = datum.AppendArray(v.Buf, elements)
	v.FinishBytes(i, start)
	return nil
}

// The sign word of a numeric in the binary format.
const (
	numericNegative = 0x4000
	numericNaN      = 0xC000
	numericInfinity = 0xD000
	numericNegInf   = 0xF000
)

// numericText writes a numeric of the binary format, which has digits to the
// base 10,000, as text.
func numericText(b []byte) ([]byte, error) {
	be := binary.BigEndian
	if len(b) < 8 || len(b) != 8+2*int(be.Uint16(b)) {
		return nil, fmt.Errorf("a numeric came in %d bytes", len(b))
	}
	n, weight, sign, scale := int(be.Uint16(b)), int(int16(be.Uint16(b[2:]))), be.Uint16(b[4:]), int(be.Uint16(b[6:]))
	switch sign {
	case numericNaN:
		return []byte("NaN"), nil
	case numericInfinity:
		return []byte("Infinity"), nil
	case numericNegInf:
		return []byte("-Infinity"), nil
	}
	digit := func(i int) uint16 {
		if i < 0 || i >= n {
			return 0
		}
		return be.Uint16(b[8+2*i:])
	}
	var out []byte
	if sign == numericNegative {
		out = append(out, '-')
	}
	out = append(out, '0')
	for i := range weight + 1 {
		out = fmt.Appendf(out, "%04d", digit(i))
	}
	if scale == 0 {
		return out, nil
	}
	out = append(out, '.')
	start := len(out)
	for i := weight + 1; len(out)-start < scale; i++ {
		out = fmt.Appendf(out, "%04d", digit(i))
	}
	return out[:start+scale], nil
}
