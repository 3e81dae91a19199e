package aggregate

import (
	"encoding/binary"
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// extreme is min and max: the least or greatest value by the type's btree
// order. Among equal values that may print differently the one with the
// greatest position stays.
type extreme struct {
	max    bool
	images bool       // equal values may print differently
	value  valueStore // by group; Null: no value yet
	at     []Position // by group, with images only
}

func newExtreme(maximum bool, arg column.Type) *extreme {
	return &extreme{max: maximum, images: arg.Kind.Images(), value: newValueStore(arg)}
}

func (a *extreme) Grow(n int) {
	a.value.grow(n)
	if a.images {
		a.at = grow(a.at, n)
	}
}

func (a *extreme) Update(rows *Rows, arg *column.Vector) {
	if !a.images && a.value.Type.Kind.Storage() == column.IntStorage {
		a.updateInts(rows, arg)
		return
	}
	for k, g := range rows.Groups {
		if r := rows.Rows[k]; !arg.Null[r] {
			a.offer(g, arg, int(r), rows.position(k))
		}
	}
}

func (a *extreme) updateInts(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := rows.Rows[k]
		if arg.Null[r] {
			continue
		}
		v := arg.Int[r]
		if a.value.Null[g] || (v > a.value.Int[g]) == a.max && v != a.value.Int[g] {
			a.value.Null[g] = false
			a.value.Int[g] = v
		}
	}
}

// offer takes value i of src if it beats what group g has.
func (a *extreme) offer(g uint32, src *column.Vector, i int, at Position) {
	if !a.value.Null[g] {
		c := datum.Compare(src, i, a.value.Vector, int(g))
		if c == 0 {
			if !a.images || !a.at[g].Less(at) {
				return
			}
		} else if (c > 0) != a.max {
			return
		}
	}
	a.value.put(g, src, i)
	if a.images {
		a.at[g] = at
	}
}

func (a *extreme) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*extreme)
	if s.value.Null[g] {
		return
	}
	var at Position
	if s.images {
		at = s.at[g]
	}
	a.offer(into, s.value.Vector, int(g), at)
}

func (a *extreme) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	a.value.result(g, out, i)
	return nil
}

func (a *extreme) Encode(dst []byte, g uint32) []byte {
	dst = a.value.encode(dst, g)
	if a.images && !a.value.Null[g] {
		dst = EncodePosition(dst, a.at[g])
	}
	return dst
}

func (a *extreme) Decode(src []byte, g uint32) (rest []byte, err error) {
	if src, err = a.value.decode(src, g); err == nil && a.images && !a.value.Null[g] {
		a.at[g], src, err = DecodePosition(src)
	}
	return src, err
}

func (a *extreme) Clear() {
	a.value.clear()
	a.at = a.at[:0]
}

func (a *extreme) Bytes() int64 { return a.value.size() + int64(16*cap(a.at)) }

// EncodeValue appends value i of v, which is not null, for DecodeValue.
func EncodeValue(dst []byte, v *column.Vector, i int) []byte {
	switch v.Type.Kind.Storage() {
	case column.IntStorage:
		return binary.AppendVarint(dst, v.Int[i])
	case column.FloatStorage:
		return binary.LittleEndian.AppendUint64(dst, math.Float64bits(v.Float[i]))
	default:
		b := v.Bytes(i)
		dst = binary.AppendUvarint(dst, uint64(len(b)))
		return append(dst, b...)
	}
}

// DecodeValue sets value i of v from the front of src and gives the rest.
func DecodeValue(src []byte, v *column.Vector, i int) (rest []byte, err error) {
	switch v.Type.Kind.Storage() {
	case column.IntStorage:
		v.Int[i], rest, err = takeVarint(src)
		return rest, err
	case column.FloatStorage:
		if len(src) < 8 {
			return nil, ErrCorrupt
		}
		v.Float[i] = math.Float64frombits(binary.LittleEndian.Uint64(src))
		return src[8:], nil
	default:
		b, rest, err := takeBytes(src)
		if err != nil {
			return nil, err
		}
		v.SetBytes(i, b)
		return rest, nil
	}
}

// EncodePosition appends p for DecodePosition.
func EncodePosition(dst []byte, p Position) []byte {
	dst = binary.AppendVarint(dst, int64(p.Source))
	dst = binary.AppendVarint(dst, int64(p.Partition))
	return binary.AppendVarint(dst, p.Offset)
}

// DecodePosition gives the position at the front of src and the rest.
func DecodePosition(src []byte) (p Position, rest []byte, err error) {
	var source, partition int64
	if source, rest, err = takeVarint(src); err != nil {
		return p, nil, err
	}
	if partition, rest, err = takeVarint(rest); err != nil {
		return p, nil, err
	}
	p.Source, p.Partition = int32(source), int32(partition)
	p.Offset, rest, err = takeVarint(rest)
	return p, rest, err
}
