// Package aggregate is the accumulators of aggregate functions.
//
// An accumulator holds the running values of one aggregate for all groups of
// a table, by group number. What it gives does not depend on the order in
// which rows came or partial results were merged: integers and decimals are
// summed exactly, floats in an exact fixed-point sum that is rounded once,
// and where equal values print differently min and max choose by position.
package aggregate

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Position is a record's place among all records of a view.
type Position struct {
	Source    int32 // the branch of the UNION ALL
	Partition int32
	Offset    int64
}

// Less orders positions by source, partition, offset.
func (p Position) Less(q Position) bool {
	if p.Source != q.Source {
		return p.Source < q.Source
	}
	if p.Partition != q.Partition {
		return p.Partition < q.Partition
	}
	return p.Offset < q.Offset
}

// Rows is a run of rows to be added to their groups: row Rows[k] of the
// argument goes to group Groups[k]. All are of one source and partition.
type Rows struct {
	Groups    []uint32
	Rows      []int32
	Source    int32
	Partition int32
	Offsets   []int64 // by row number
	Times     []int64 // event times, by row number
	// More are what the aggregate's rows are ordered by, if it says so.
	More []*column.Vector
}

func (r *Rows) position(k int) Position {
	return Position{r.Source, r.Partition, r.Offsets[r.Rows[k]]}
}

// Accumulator is one aggregate of all groups of a table.
type Accumulator interface {
	// Grow makes room for groups up to n; new ones are empty.
	Grow(n int)
	// Update adds rows; arg is nil for count(*). NULLs are left out as the
	// function says.
	Update(rows *Rows, arg *column.Vector)
	// Merge adds group g of src, which has the same type, to group into.
	Merge(into uint32, src Accumulator, g uint32)
	// Result sets value i of out to the aggregate of group g, or says why
	// there is none.
	Result(g uint32, out *column.Vector, i int) *sqlerr.Error
	// Encode appends group g's running value to dst.
	Encode(dst []byte, g uint32) []byte
	// Decode sets group g from the front of src and gives the rest.
	Decode(src []byte, g uint32) ([]byte, error)
	// Clear empties the accumulator, keeping its memory.
	Clear()
	// Bytes is about how much memory it holds.
	Bytes() int64
}

// Incremental is an accumulator whose groups may be large: what has changed of
// one since that was encoded last is encoded alone. Decode adds it to what the
// group has.
type Incremental interface {
	EncodeChanges(dst []byte, g uint32) []byte
}

// EncodeChanges appends what has changed of group g since it did so last, or
// all of it where that is not told apart.
func EncodeChanges(a Accumulator, dst []byte, g uint32) []byte {
	if i, ok := a.(Incremental); ok {
		return i.EncodeChanges(dst, g)
	}
	return a.Encode(dst, g)
}

// Spec is one aggregate.
type Spec struct {
	Kind   expr.AggregateKind
	Arg    column.Type
	Result column.Type
	More   []column.Type // of what its rows are ordered by
	expr.AggregateForm
}

// ErrCorrupt tells that encoded state is not what Encode wrote.
var ErrCorrupt = errors.New("aggregate state is corrupt")

// New gives an empty accumulator of an aggregate over values of type arg
// giving result.
func New(kind expr.AggregateKind, arg, result column.Type) Accumulator {
	return Make(Spec{Kind: kind, Arg: arg, Result: result})
}

// Make gives an empty accumulator.
func Make(spec Spec) Accumulator {
	kind, arg, result := spec.Kind, spec.Arg, spec.Result
	switch kind {
	case expr.StringAgg, expr.JSONBAgg, expr.JSONBObjectAgg:
		return newList(spec)
	case expr.PercentileCont, expr.PercentileDisc, expr.Mode, expr.ApproxPercentile:
		return newRanked(spec)
	case expr.ApproxCountDistinct:
		return newCardinality()
	}
	if spec.Distinct {
		return newDistinct(spec)
	}
	switch kind {
	case expr.CountStar:
		return &count{star: true}
	case expr.Count:
		return &count{}
	case expr.Sum, expr.Avg:
		avg := kind == expr.Avg
		switch {
		case arg.Kind.IsInteger():
			return &intSum{avg: avg, result: result.Kind}
		case arg.Kind.IsFloat():
			return &floatSum{avg: avg, result: result.Kind}
		case arg.Kind == column.Numeric:
			return &numericSum{avg: avg}
		}
	case expr.Min, expr.Max:
		return newExtreme(kind == expr.Max, arg)
	case expr.BoolAnd, expr.BoolOr:
		return &boolean{or: kind == expr.BoolOr}
	case expr.VarPop, expr.VarSamp, expr.StddevPop, expr.StddevSamp:
		m := moment{sample: kind == expr.VarSamp || kind == expr.StddevSamp, root: kind == expr.StddevPop || kind == expr.StddevSamp}
		if arg.Kind.IsFloat() {
			return &floatVariance{moment: m, rest: floatSum{below: 1}}
		}
		return &numericVariance{moment: m, integers: arg.Kind.IsInteger()}
	case expr.BitAnd, expr.BitOr, expr.BitXor:
		return &bitwise{kind: kind}
	case expr.FirstValue, expr.LastValue:
		return &place{last: kind == expr.LastValue, value: newValueStore(arg)}
	}
	// The binder's table of aggregates is the list of what can come here.
	panic(fmt.Sprintf("no accumulator for aggregate %d over %s", kind, arg))
}

// grow extends s with zeros to n elements.
func grow[T any](s []T, n int) []T {
	if n <= len(s) {
		return s
	}
	old := len(s)
	s = column.Room(s, n)[:n]
	clear(s[old:])
	return s
}

func takeVarint(src []byte) (int64, []byte, error) {
	v, n := binary.Varint(src)
	if n <= 0 {
		return 0, nil, ErrCorrupt
	}
	return v, src[n:], nil
}

func takeUvarint(src []byte) (uint64, []byte, error) {
	v, n := binary.Uvarint(src)
	if n <= 0 {
		return 0, nil, ErrCorrupt
	}
	return v, src[n:], nil
}

func takeBytes(src []byte) ([]byte, []byte, error) {
	n, src, err := takeUvarint(src)
	if err != nil || n > uint64(len(src)) {
		return nil, nil, ErrCorrupt
	}
	return src[:n], src[n:], nil
}
