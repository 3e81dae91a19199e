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
	images bool           // equal values may print differently
	value  *column.Vector // by group; Null: no value yet
	at     []Position     // by group, with images only
	waste  int            // bytes of value.Buf that no span points to
}

// compactAt is how many wasted bytes an extreme over text puts up with before
// it copies what is alive, as a multiple of what is alive.
const compactAt = 4

func newExtreme(maximum bool, arg column.Type) *extreme {
	return &extreme{max: maximum, images: arg.Kind.Images(), value: column.NewVector(arg, 0)}
}

func (a *extreme) Grow(n int) {
	for a.value.Len() < n {
		a.value.Grow()
	}
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
		c := datum.Compare(src, i, a.value, int(g))
		if c == 0 {
			if !a.images || !a.at[g].Less(at) {
				return
			}
		} else if (c > 0) != a.max {
			return
		}
	}
	a.put(g, src, i)
	if a.images {
		a.at[g] = at
	}
}

func (a *extreme) put(g uint32, src *column.Vector, i int) {
	fresh := a.value.Null[g]
	a.value.Null[g] = false
	switch a.value.Type.Kind.Storage() {
	case column.IntStorage:
		a.value.Int[g] = src.Int[i]
	case column.FloatStorage:
		a.value.Float[g] = src.Float[i]
	case column.BytesStorage:
		if !fresh {
			a.waste += int(a.value.Span[g].Length)
			a.compact()
		}
		a.value.SetBytes(int(g), src.Bytes(i))
	}
}

// compact copies the live bytes when most of the buffer is waste.
func (a *extreme) compact() {
	live := len(a.value.Buf) - a.waste
	if a.waste < 1<<16 || a.waste < compactAt*live {
		return
	}
	buf := make([]byte, 0, 2*live)
	for g, s := range a.value.Span {
		if a.value.Null[g] {
			continue
		}
		start := len(buf)
		buf = append(buf, a.value.Buf[s.Start:s.Start+s.Length]...)
		a.value.Span[g].Start = uint32(start)
	}
	a.value.Buf, a.waste = buf, 0
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
	a.offer(into, s.value, int(g), at)
}

func (a *extreme) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	if a.value.Null[g] {
		out.Null[i] = true
		return nil
	}
	switch a.value.Type.Kind.Storage() {
	case column.IntStorage:
		out.Int[i] = a.value.Int[g]
	case column.FloatStorage:
		out.Float[i] = a.value.Float[g]
	case column.BytesStorage:
		out.SetBytes(i, a.value.Bytes(int(g)))
	}
	return nil
}

func (a *extreme) Encode(dst []byte, g uint32) []byte {
	if a.value.Null[g] {
		return append(dst, 0)
	}
	dst = append(dst, 1)
	dst = EncodeValue(dst, a.value, int(g))
	if a.images {
		dst = EncodePosition(dst, a.at[g])
	}
	return dst
}

func (a *extreme) Decode(src []byte, g uint32) (rest []byte, err error) {
	if len(src) == 0 || src[0] > 1 {
		return nil, ErrCorrupt
	}
	a.value.Null[g] = src[0] == 0
	if src[0] == 0 {
		return src[1:], nil
	}
	if src, err = DecodeValue(src[1:], a.value, int(g)); err != nil {
		return nil, err
	}
	if a.images {
		a.at[g], src, err = DecodePosition(src)
	}
	return src, err
}

func (a *extreme) Clear() {
	a.value.Reset(a.value.Type, 0)
	a.at = a.at[:0]
	a.waste = 0
}

func (a *extreme) Bytes() int64 {
	v := a.value
	return int64(cap(v.Null) + 8*cap(v.Int) + 8*cap(v.Float) + 8*cap(v.Span) + cap(v.Buf) + 16*cap(a.at))
}

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
