package aggregate

import (
	"encoding/binary"
	"math/big"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// MaxSetBytes bounds what a group of one aggregate keeps of the values that it
// has met: about a million numbers. A group is read, written and closed as a
// whole, so a larger one would hold up all others.
const MaxSetBytes = 64 << 20

// distinct is an aggregate over the different values of its argument, as the
// type's = tells them apart. A value that is new to its group goes on to the
// aggregate inside.
//
// Of equal numerics PostgreSQL adds any, and a sum has the scale of the
// values that it is of. Here the scale is the greatest of all values met.
type distinct struct {
	kind  expr.AggregateKind
	arg   column.Type
	seen  bag
	inner Accumulator // nil for count
	scale []int32     // by group, of numerics: the greatest met

	key    []byte
	value  []byte         // scratch: empty for count
	fresh  Rows           // scratch: the rows that are new to their groups
	values *column.Vector // scratch: values that another's groups have met
}

func newDistinct(spec Spec) *distinct {
	d := &distinct{kind: spec.Kind, arg: spec.Arg, seen: bag{unique: true, limit: MaxSetBytes}}
	if spec.Kind != expr.Count {
		spec.Distinct = false
		d.inner = Make(spec)
		d.seen.payloads = true
		d.values = column.NewVector(spec.Arg, 0)
	}
	return d
}

// scaler is an accumulator of numerics whose result can be told a scale.
type scaler interface{ rescale(g uint32, scale int32) }

func (d *distinct) Grow(n int) {
	d.seen.grow(n)
	if d.inner != nil {
		d.inner.Grow(n)
		d.scale = grow(d.scale, n)
	}
}

func (d *distinct) Update(rows *Rows, arg *column.Vector) {
	d.fresh.Groups, d.fresh.Rows = d.fresh.Groups[:0], d.fresh.Rows[:0]
	for k, g := range rows.Groups {
		r := rows.Rows[k]
		if arg.Null[r] {
			continue
		}
		if d.inner != nil && d.arg.Kind == column.Numeric {
			d.scale[g] = max(d.scale[g], scaleOf(arg.Bytes(int(r))))
		}
		d.key = datum.AppendKey(d.key[:0], arg, int(r))
		if d.inner != nil {
			d.value = EncodeValue(d.value[:0], arg, int(r))
		}
		if _, fresh := d.seen.add(g, d.key, d.value); fresh && d.inner != nil {
			d.fresh.Groups, d.fresh.Rows = append(d.fresh.Groups, g), append(d.fresh.Rows, r)
		}
	}
	if len(d.fresh.Rows) > 0 {
		d.inner.Update(&d.fresh, arg)
	}
}

// scaleOf is the number of digits after the point of an encoded numeric.
func scaleOf(encoded []byte) int32 {
	if _, scale, ok := decimal.DecodeInt64(encoded); ok {
		return scale
	}
	return decimal.Decode(encoded).Scale()
}

func (d *distinct) Merge(into uint32, src Accumulator, g uint32) {
	s := src.(*distinct)
	if s.seen.groups[g].full {
		d.seen.fill(into)
	}
	d.fresh.Groups, d.fresh.Rows = d.fresh.Groups[:0], d.fresh.Rows[:0]
	if d.inner != nil {
		d.values.Reset(d.arg, 0)
		d.scale[into] = max(d.scale[into], s.scale[g])
	}
	for e := s.seen.first(g); e != noEntry; e = s.seen.next(e) {
		payload := s.seen.payload(e)
		if _, fresh := d.seen.add(into, s.seen.key(e), payload); !fresh || d.inner == nil {
			continue
		}
		i := d.values.Grow()
		d.values.Null[i] = false
		if _, err := DecodeValue(payload, d.values, i); err != nil {
			panic(err) // it was encoded by Update
		}
		d.fresh.Groups, d.fresh.Rows = append(d.fresh.Groups, into), append(d.fresh.Rows, int32(i))
	}
	if len(d.fresh.Rows) > 0 {
		d.inner.Update(&d.fresh, d.values)
	}
}

func (d *distinct) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	group := &d.seen.groups[g]
	switch {
	case group.full:
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "%s(DISTINCT …) of a group keeps more than %d MiB of different values; approx_count_distinct keeps 4 KiB, and more groups, or shorter windows, have fewer values each",
			d.kind, MaxSetBytes>>20)
	case d.inner == nil:
		out.Int[i] = int64(group.n)
		return nil
	}
	if s, ok := d.inner.(scaler); ok {
		s.rescale(g, d.scale[g])
	}
	return d.inner.Result(g, out, i)
}

func (d *distinct) Encode(dst []byte, g uint32) []byte { return d.encode(dst, g, false) }

func (d *distinct) EncodeChanges(dst []byte, g uint32) []byte { return d.encode(dst, g, true) }

func (d *distinct) encode(dst []byte, g uint32, changes bool) []byte {
	dst = d.seen.encode(dst, g, changes)
	if d.inner == nil {
		return dst
	}
	return d.inner.Encode(binary.AppendVarint(dst, int64(d.scale[g])), g)
}

func (d *distinct) Decode(src []byte, g uint32) ([]byte, error) {
	src, err := d.seen.decode(src, g)
	if err != nil || d.inner == nil {
		return src, err
	}
	scale, src, err := takeVarint(src)
	if err != nil {
		return nil, err
	}
	d.scale[g] = int32(scale)
	return d.inner.Decode(src, g)
}

func (d *distinct) Clear() {
	d.seen.clear()
	if d.inner != nil {
		d.inner.Clear()
		d.scale = d.scale[:0]
	}
}

func (d *distinct) Bytes() int64 {
	n := d.seen.size() + int64(4*cap(d.scale))
	if d.inner != nil {
		n += d.inner.Bytes()
	}
	return n
}

// rescale gives the sum at least so many digits after the point.
func (a *numericSum) rescale(g uint32, scale int32) {
	if group := &a.groups[g]; group.n > 0 && scale > group.scale {
		a.addBig(g, new(big.Int), scale)
	}
}

func (a *numericVariance) rescale(g uint32, scale int32) {
	a.sum.rescale(g, scale)
	a.squares.rescale(g, 2*scale)
}
