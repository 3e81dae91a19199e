package aggregate

import (
	"encoding/binary"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// MaxListBytes bounds what a group of one aggregate keeps of items that it puts
// into one value, which is written anew whenever its group changes: a hundred
// thousand of them, or fewer long ones.
const MaxListBytes = 8 << 20

// list is string_agg, jsonb_agg and jsonb_object_agg: the items of a group's
// rows in the order that ORDER BY gives, and where it leaves one open by event
// time, source, partition and offset. So the order is the same whatever came
// first. With DISTINCT it is the different values in their order.
//
// An item's key is what orders it: its ORDER BY as bytes that compare as the
// types do, then its row's time and place.
type list struct {
	kind  expr.AggregateKind
	form  expr.AggregateForm
	items bag
	key   []byte
}

func newList(spec Spec) *list {
	return &list{kind: spec.Kind, form: spec.AggregateForm, items: bag{unique: spec.Distinct, payloads: true, weigh: true, limit: MaxListBytes}}
}

func (a *list) Grow(n int) { a.items.grow(n) }

func (a *list) Update(rows *Rows, arg *column.Vector) {
	for k, g := range rows.Groups {
		r := int(rows.Rows[k])
		if arg.Null[r] {
			continue // of string_agg: JSON holds NULLs as null
		}
		a.key = a.key[:0]
		for j, o := range a.form.Order {
			a.key = appendSortKey(a.key, rows.More[j], r, o)
		}
		if !a.form.Distinct {
			a.key = appendPlace(a.key, rows.Times[r], rows.position(k))
		}
		a.items.add(g, a.key, a.item(arg.Bytes(r)))
	}
}

// item is what a row adds: JSON comes in an array or object of its own.
func (a *list) item(b []byte) []byte {
	if a.kind != expr.StringAgg {
		return b[1 : len(b)-1]
	}
	return b
}

// appendSortKey appends a value, or NULL, so that bytes compare as the order
// says.
func appendSortKey(dst []byte, v *column.Vector, i int, o expr.SortOrder) []byte {
	const nullsFirst, value, nullsLast = 0, 1, 2
	switch {
	case !v.Null[i]:
	case o.NullsFirst:
		return append(dst, nullsFirst)
	default:
		return append(dst, nullsLast)
	}
	dst = append(dst, value)
	start := len(dst)
	dst = datum.AppendOrdered(dst, v, i)
	if o.Desc {
		invert(dst[start:])
	}
	return dst
}

func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// appendPlace appends a row's event time and place so that bytes compare as
// they do. No two rows have the same.
func appendPlace(dst []byte, time int64, at Position) []byte {
	dst = binary.BigEndian.AppendUint64(dst, uint64(time)^1<<63)
	dst = binary.BigEndian.AppendUint32(dst, uint32(at.Source))
	dst = binary.BigEndian.AppendUint32(dst, uint32(at.Partition))
	return binary.BigEndian.AppendUint64(dst, uint64(at.Offset))
}

func (a *list) Merge(into uint32, src Accumulator, g uint32) {
	from := &src.(*list).items
	if from.groups[g].full {
		a.items.fill(into)
	}
	for e := from.first(g); e != noEntry; e = from.next(e) {
		a.items.add(into, from.key(e), from.payload(e))
	}
}

func (a *list) Result(g uint32, out *column.Vector, i int) *sqlerr.Error {
	switch group := &a.items.groups[g]; {
	case group.full:
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "%s of a group keeps more than %d MiB; more groups, shorter windows, or FILTER (WHERE …), have fewer rows each", a.kind, MaxListBytes>>20)
	case group.n == 0:
		out.Null[i] = true
		return nil
	case int64(len(out.Buf))+2*group.bytes > column.MaxBuffer:
		return sqlerr.New(sqlerr.ProgramLimitExceeded, "%s: the rows that one commit changes hold more than 4 GiB of text; a smaller max_commit_rows changes fewer at once", a.kind)
	}
	start := len(out.Buf)
	switch a.kind {
	case expr.StringAgg:
		out.Buf = a.join(out.Buf, g, a.form.Separator)
	case expr.JSONBAgg:
		out.Buf = append(a.join(append(out.Buf, '['), g, ", "), ']')
	default:
		object, err := datum.JSONBFromText(nil, append(a.join([]byte{'{'}, g, ", "), '}'))
		if err != nil {
			return err
		}
		out.Buf = append(out.Buf, object...)
	}
	out.FinishBytes(i, start)
	return nil
}

func (a *list) join(dst []byte, g uint32, between string) []byte {
	for k, e := range a.items.sorted(g) {
		if k > 0 {
			dst = append(dst, between...)
		}
		dst = append(dst, a.items.payload(e)...)
	}
	return dst
}

func (a *list) Encode(dst []byte, g uint32) []byte { return a.items.encode(dst, g, false) }

func (a *list) EncodeChanges(dst []byte, g uint32) []byte { return a.items.encode(dst, g, true) }

func (a *list) Decode(src []byte, g uint32) ([]byte, error) { return a.items.decode(src, g) }

func (a *list) Clear()       { a.items.clear() }
func (a *list) Bytes() int64 { return a.items.size() }
