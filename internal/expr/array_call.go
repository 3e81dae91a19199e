package expr

import (
	"math"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// What is written with brackets: constructors, subscripts, slices, and
// comparisons with the elements of an array.

// arrayConstructor is ARRAY[…]: its arguments have the elements' type.
var arrayConstructor = &Function{Name: "ARRAY", CalledOnNull: true, class: arrayClass, kernel: func(f *frame) {
	for _, i := range f.sel {
		out := f.result()
		for _, a := range f.args {
			out.Append(a, int(i))
		}
		f.setArray(i, out)
	}
}}

// arraySubscript is a[i]: NULL out of the array's bounds. As in PostgreSQL an
// index that is NULL doesn't keep the array from being computed.
var arraySubscript = &Function{Name: "[]", CalledOnNull: true, class: subscriptClass, kernel: func(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.anyNull(i); f.out.Null[i] {
			continue
		}
		x, at := f.array(0, i), f.args[1].Int[i]-1
		if f.out.Null[i] = at < 0 || at >= int64(x.Len()) || x.Null[at]; f.out.Null[i] {
			continue
		}
		copyValue(f.out, int(i), x, int(at))
	}
}}

// arraySlice is a[i:j], with bounds that hold where none is written.
var arraySlice = &Function{Name: "[:]", CalledOnNull: true, class: subscriptClass, kernel: func(f *frame) {
	for _, i := range f.sel {
		if f.out.Null[i] = f.anyNull(i); f.out.Null[i] {
			continue
		}
		x, out := f.array(0, i), f.result()
		from, to := f.args[1].Int[i]-1, f.args[2].Int[i]
		appendAll(out, x, int(max(from, 0)), int(min(to, int64(x.Len()))))
		f.setArray(i, out)
	}
}}

// anyNull tells whether an argument is NULL.
func (f *frame) anyNull(i int32) bool {
	for _, a := range f.args {
		if a.Null[i] {
			return true
		}
	}
	return false
}

// Bounds of a slice that are not written.
const (
	lowestIndex  = math.MinInt32
	highestIndex = math.MaxInt32
)

// copyValue sets value i of out to value j of v, which isn't NULL.
func copyValue(out *column.Vector, i int, v *column.Vector, j int) {
	switch out.Type.Kind.Storage() {
	case column.IntStorage:
		out.Int[i] = v.Int[j]
	case column.FloatStorage:
		out.Float[i] = v.Float[j]
	case column.IntervalStorage:
		out.Interval[i] = v.Interval[j]
	case column.BytesStorage:
		out.SetBytes(i, v.Bytes(j))
	}
}

// elementwise runs a function of one argument over the elements of arrays.
type elementwise struct {
	frame frame
	out   column.Vector
	errs  RowErrors
	sel   []int32
}

// over computes a kernel for the elements of v that aren't NULL; a failure is
// found in errs.
func (e *elementwise) over(k kernel, t column.Type, args ...*column.Vector) {
	n := args[0].Len()
	e.out.Reset(t, n)
	e.errs.Reset(n)
	e.sel = e.sel[:0]
	for j := range n {
		null := false
		for _, a := range args {
			null = null || a.Null[j]
		}
		if e.out.Null[j] = null; !null {
			e.sel = append(e.sel, int32(j))
		}
	}
	e.frame.out, e.frame.args, e.frame.sel, e.frame.errs, e.frame.typ = &e.out, args, e.sel, &e.errs, t
	k(&e.frame)
}

// firstError gives the failure of the first element that has one.
func (e *elementwise) firstError() *sqlerr.Error {
	if e.errs.Any() {
		for _, j := range e.sel {
			if err := e.errs.Get(j); err != nil {
				return err
			}
		}
	}
	return nil
}

// kept gives the memory that a kernel keeps for elements.
func (f *frame) kept() *elementwise {
	e, ok := f.cached.(*elementwise)
	if !ok {
		e = &elementwise{}
		f.cached = e
	}
	return e
}

// castElements casts arrays by the cast of their elements.
func castElements(element kernel) kernel {
	return func(f *frame) {
		e := f.kept()
		for _, i := range f.sel {
			x := f.array(0, i)
			e.over(element, f.typ.Elem(), x)
			if err := e.firstError(); err != nil {
				f.fail(i, err)
				continue
			}
			f.setArray(i, &e.out)
		}
	}
}

// compareElements is x op ANY (array), or ALL where decided is 0: op is put to
// the elements in turn until one decides.
func compareElements(op *Function, decided int64) kernel {
	return func(f *frame) {
		e := f.kept()
		var repeated column.Vector
		for _, i := range f.sel {
			if f.out.Null[i] = f.args[1].Null[i]; f.out.Null[i] {
				continue
			}
			elements := f.array(1, i)
			if elements.Len() == 0 {
				f.out.Int[i] = 1 - decided
				continue
			}
			if f.out.Null[i] = f.args[0].Null[i]; f.out.Null[i] {
				continue
			}
			repeat(&repeated, f.args[0], int(i), elements.Len())
			e.over(op.kernel, column.Of(column.Bool), &repeated, elements)
			f.decide(i, e, decided)
		}
	}
}

// decide makes the result of what the elements gave.
func (f *frame) decide(i int32, e *elementwise, decided int64) {
	f.out.Int[i] = 1 - decided
	for j := range e.out.Null {
		if err := e.errs.Get(int32(j)); err != nil {
			f.fail(i, err)
			return
		}
		switch {
		case e.out.Null[j]:
			f.out.Null[i] = true
		case e.out.Int[j] == decided:
			f.out.Null[i], f.out.Int[i] = false, decided
			return
		}
	}
}

// repeat makes n values of out that are value i of v.
func repeat(out, v *column.Vector, i, n int) {
	out.Reset(v.Type, n)
	switch v.Type.Kind.Storage() {
	case column.IntStorage:
		fill(out.Int, v.Int[i])
	case column.FloatStorage:
		fill(out.Float, v.Float[i])
	case column.IntervalStorage:
		fill(out.Interval, v.Interval[i])
	case column.BytesStorage:
		out.Buf = v.Bytes(i)
		fill(out.Span, column.Span{Length: uint32(len(out.Buf))})
	}
}

var (
	anyElementOf = overArray(" ANY", 1)
	allElementOf = overArray(" ALL", 0)
)

func overArray(suffix string, decided int64) map[*Function]*Function {
	out := map[*Function]*Function{}
	for _, op := range functions.list {
		if op.class == operatorClass && op.Result == column.Bool && op.Refusal == "" && len(op.Args) == 2 {
			out[op] = &Function{Name: op.Name + suffix, Args: op.Args, Result: column.Bool, CalledOnNull: true,
				Stable: op.Stable, class: elementsClass, kernel: compareElements(op, decided)}
		}
	}
	return out
}
