package aggregate

import (
	"bytes"
	"encoding/binary"
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// ranked is percentile_cont, percentile_disc and mode: each different value of
// a group with how often it came. Of equal values that print differently the
// one with the most digits stays, and of zeros the positive one.
//
// It is approx_percentile, too, which takes as one all numbers whose sign,
// exponent and first eight binary digits are the same: they are less than
// 1/256 apart, and the greatest of them that has come stands for all. So the
// answer is a value of the group, off by less than 0.4 % from percentile_disc's
// (numbers nearer to 0 than 2.2e-308 apart), and a group keeps 256 values for
// each power of two, at most 2^20 in all, which is less than MaxSetBytes. (A
// histogram of the kind of HdrHistogram's and DDSketch's; without a logarithm,
// and merged by adding, in any order.)
type ranked struct {
	kind   expr.AggregateKind
	arg    column.Type
	form   expr.AggregateForm
	values bag // keys in the order of WITHIN GROUP; payloads are values
	key    []byte
	value  []byte
}

func newRanked(spec Spec) *ranked {
	return &ranked{kind: spec.Kind, arg: spec.Arg, form: spec.AggregateForm, values: bag{unique: true, payloads: true, counts: true, limit: MaxSetBytes}}
}

func (a *ranked) Grow(n int) { a.values.grow(n) }

func (a *ranked) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := int(rows.Rows[k])
		if arg.Null[r] {
			continue
		}
		a.key = datum.AppendOrdered(a.key[:0], arg, r)
		if a.kind == expr.ApproxPercentile {
			a.key = bucket(a.key)
		}
		if a.form.Desc {
			invert(a.key)
		}
		a.value = EncodeValue(a.value[:0], arg, r)
		a.add(g, a.key, a.value, 1)
	}
}

// bucket cuts an ordered double precision to its sign, its exponent and eight
// more of its 64 bits.
func bucket(key []byte) []byte {
	key[2] &= 0xf0
	return key[:3]
}

// add counts n more of a value.
func (a *ranked) add(g uint32, key, value []byte, n int64) {
	e, fresh := a.values.add(g, key, value)
	if e == noEntry {
		return
	}
	if !fresh && a.arg.Kind.Images() && a.finer(value, a.values.payload(e)) {
		a.values.put(e, value)
	}
	a.values.entries[e].count += n
	a.values.touch(e)
}

// finer tells whether of two values that count as one, as EncodeValue writes
// them, the first is to be shown.
func (a *ranked) finer(value, had []byte) bool {
	switch {
	case bytes.Equal(value, had):
		return false
	case a.arg.Kind == column.Numeric:
		value, _, _ = takeBytes(value)
		had, _, _ = takeBytes(had)
		return scaleOf(value) > scaleOf(had)
	}
	v, h := binary.LittleEndian.Uint64(value), binary.LittleEndian.Uint64(had)
	if a.kind == expr.ApproxPercentile && math.Float64frombits(v) != math.Float64frombits(h) {
		return math.Float64frombits(v) > math.Float64frombits(h)
	}
	return v == 0
}

func (a *ranked) Merge(into uint32, src Accumulator, g uint32) {
	from := &src.(*ranked).values
	if from.groups[g].full {
		a.values.fill(into)
	}
	for e := from.first(g); e != noEntry; e = from.next(e) {
		a.add(into, from.key(e), from.payload(e), from.entries[e].count)
	}
}

func (a *ranked) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	switch group := &a.values.groups[g]; {
	case group.full:
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "%s of a group keeps more than %d MiB of different values; more groups, or shorter windows, have fewer values each", a.kind, MaxSetBytes>>20)
	case group.n == 0:
		out.Null[i] = true
		return nil
	}
	order := a.values.sorted(g)
	if a.kind == expr.Mode {
		a.set(out, i, a.most(order))
		return nil
	}
	var n int64
	for _, e := range order {
		n += a.values.entries[e].count
	}
	if a.kind == expr.PercentileCont {
		out.Float[i] = a.between(order, n)
		return nil
	}
	at := int64(math.Ceil(a.form.Fraction * float64(n)))
	a.set(out, i, a.at(order, max(at, 1)))
	return nil
}

// most gives the first of the most frequent values.
func (a *ranked) most(order []uint32) uint32 {
	best := order[0]
	for _, e := range order {
		if a.values.entries[e].count > a.values.entries[best].count {
			best = e
		}
	}
	return best
}

// at gives the value of row n of the group's rows in order, counted from 1.
func (a *ranked) at(order []uint32, n int64) uint32 {
	for _, e := range order {
		if n -= a.values.entries[e].count; n <= 0 {
			return e
		}
	}
	return order[len(order)-1]
}

// between is percentile_cont, as PostgreSQL computes it: on the line from the
// row before the place that is asked for to the one after it.
func (a *ranked) between(order []uint32, n int64) float64 {
	place := a.form.Fraction * float64(n-1)
	first, second := int64(math.Floor(place)), int64(math.Ceil(place))
	low := a.float(a.at(order, first+1))
	if first == second {
		return low
	}
	high := a.float(a.at(order, second+1))
	// The conversions keep a processor from rounding only once for two
	// operations.
	share := float64(place - float64(first))
	return low + float64(share*(high-low))
}

func (a *ranked) float(e uint32) float64 {
	return math.Float64frombits(binary.LittleEndian.Uint64(a.values.payload(e)))
}

func (a *ranked) set(out *column.Vector, i int, e uint32) {
	if _, err := DecodeValue(a.values.payload(e), out, i); err != nil {
		panic(err) // it was encoded by Update
	}
}

func (a *ranked) Encode(dst []byte, g uint32) []byte { return a.values.encode(dst, g, false) }

func (a *ranked) EncodeChanges(dst []byte, g uint32) []byte { return a.values.encode(dst, g, true) }

func (a *ranked) Decode(src []byte, g uint32) ([]byte, error) { return a.values.decode(src, g) }

func (a *ranked) Clear()       { a.values.clear() }
func (a *ranked) Bytes() int64 { return a.values.size() }
