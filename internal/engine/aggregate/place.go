package aggregate

import (
	"encoding/binary"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// place is first_value and last_value: the value, NULL or not, of the row
// with the least or greatest (event time, source, partition, offset).
type place struct {
	last  bool
	value valueStore
	at    []moved
}

// moved is where a group's value came from.
type moved struct {
	any  bool
	time int64
	Position
}

func (a *place) Grow(n int) {
	a.value.grow(n)
	a.at = grow(a.at, n)
}

func (a *place) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := rows.Rows[k]
		if t := rows.Times[r]; !a.at[g].any || t == a.at[g].time || t > a.at[g].time == a.last {
			a.offer(g, arg, int(r), moved{true, t, rows.position(k)})
		}
	}
}

// offer takes value i of src if it is before, or after, the one that group g
// has.
func (a *place) offer(g uint32, src *column.Vector, i int, at moved) {
	had := &a.at[g]
	if had.any {
		later := at.time > had.time || at.time == had.time && had.Less(at.Position)
		if later != a.last {
			return
		}
	}
	a.at[g] = at
	a.value.put(g, src, i)
}

func (a *place) Merge(into uint32, src Accumulator, g uint32) {
	if s := src.(*place); s.at[g].any {
		a.offer(into, s.value.Vector, int(g), s.at[g])
	}
}

func (a *place) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	a.value.result(g, out, i)
	return nil
}

func (a *place) Encode(dst []byte, g uint32) []byte {
	at := &a.at[g]
	if !at.any {
		return append(dst, 0)
	}
	dst = binary.AppendVarint(append(dst, 1), at.time)
	return a.value.encode(EncodePosition(dst, at.Position), g)
}

func (a *place) Decode(src []byte, g uint32) (rest []byte, err error) {
	if len(src) == 0 || src[0] > 1 {
		return nil, ErrCorrupt
	}
	a.at[g] = moved{any: src[0] == 1}
	a.value.Null[g] = true
	if src = src[1:]; !a.at[g].any {
		return src, nil
	}
	if a.at[g].time, src, err = takeVarint(src); err != nil {
		return nil, err
	}
	if a.at[g].Position, src, err = DecodePosition(src); err != nil {
		return nil, err
	}
	return a.value.decode(src, g)
}

func (a *place) Clear() {
	a.value.clear()
	a.at = a.at[:0]
}

func (a *place) Bytes() int64 { return a.value.size() + int64(32*cap(a.at)) }
