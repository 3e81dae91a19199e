package expr

import (
	"github.com/millstream-dev/millstream/internal/column"
)

// IS DISTINCT FROM, NULLIF, GREATEST and LEAST are built over the type's own
// comparison operators, one function for each operator, so that equal
// expressions have equal functions.

var (
	distinctFrom    = overEquality("IS DISTINCT FROM", func(eq *Function) kernel { return distinctKernel(eq, 1) })
	notDistinctFrom = overEquality("IS NOT DISTINCT FROM", func(eq *Function) kernel { return distinctKernel(eq, 0) })
	nullIf          = overEquality("nullif", nullIfKernel)
	greatest        = overOrder("greatest", ">")
	least           = overOrder("least", "<")
)

func overEquality(name string, build func(eq *Function) kernel) map[*Function]*Function {
	out := map[*Function]*Function{}
	for _, eq := range functions.byName["="] {
		f := &Function{Name: name, Args: eq.Args, Result: column.Bool, CalledOnNull: true,
			Stable: eq.Stable, class: operatorClass, kernel: build(eq)}
		if isWord(name) {
			f.class, f.Result = scalarClass, eq.Args[0]
		}
		out[eq] = f
	}
	return out
}

func overOrder(name, operator string) map[column.Kind]*Function {
	out := map[column.Kind]*Function{}
	for _, f := range functions.byName[operator] {
		if kind := f.Args[0]; kind == f.Args[1] {
			out[kind] = &Function{Name: name, Args: f.Args, Result: kind, CalledOnNull: true,
				class: scalarClass, kernel: extremeKernel(f)}
		}
	}
	return out
}

// inner runs another function's kernel inside of a kernel.
type inner struct {
	frame frame
	out   column.Vector
	sel   []int32
}

// innerOf gives the frame that a kernel keeps for another function's kernel.
func innerOf(f *frame, n int) *inner {
	in, ok := f.cached.(*inner)
	if !ok {
		in = &inner{}
		in.frame.out, in.frame.typ = &in.out, column.Of(column.Bool)
		in.frame.args = make([]*column.Vector, 2)
		f.cached = in
	}
	in.out.Reset(in.frame.typ, n)
	in.sel = in.sel[:0]
	in.frame.errs = f.errs
	return in
}

// distinctKernel compares NULLs as values. unequal is the result for
// different operands.
func distinctKernel(eq *Function, unequal int64) kernel {
	return func(f *frame) {
		a, b := f.args[0], f.args[1]
		in := innerOf(f, a.Len())
		for _, i := range f.sel {
			switch {
			case a.Null[i] && b.Null[i]:
				f.out.Int[i] = 1 - unequal
			case a.Null[i] || b.Null[i]:
				f.out.Int[i] = unequal
			default:
				in.sel = append(in.sel, i)
			}
		}
		in.frame.args[0], in.frame.args[1] = a, b
		in.frame.sel = in.sel
		eq.kernel(&in.frame)
		for _, i := range in.sel {
			f.out.Int[i] = unequal
			if in.out.Int[i] != 0 {
				f.out.Int[i] = 1 - unequal
			}
		}
	}
}

// nullIfKernel makes NULL of a first operand that equals the second.
func nullIfKernel(eq *Function) kernel {
	return func(f *frame) {
		a, b := f.args[0], f.args[1]
		in := innerOf(f, a.Len())
		copyRows(f.out, a, f.sel)
		for _, i := range f.sel {
			if !a.Null[i] && !b.Null[i] {
				in.sel = append(in.sel, i)
			}
		}
		in.frame.args[0], in.frame.args[1] = a, b
		in.frame.sel = in.sel
		eq.kernel(&in.frame)
		for _, i := range in.sel {
			if in.out.Int[i] != 0 {
				f.out.Null[i] = true
			}
		}
	}
}

// extremeKernel gives the greatest or least argument that is not NULL, the
// first one of equals. better is > or <.
func extremeKernel(better *Function) kernel {
	return func(f *frame) {
		in := innerOf(f, f.out.Len())
		copyRows(f.out, f.args[0], f.sel)
		for _, a := range f.args[1:] {
			take := in.sel[:0]
			both := f.live[:0]
			for _, i := range f.sel {
				if a.Null[i] {
					continue
				}
				if f.out.Null[i] {
					take = append(take, i)
				} else {
					both = append(both, i)
				}
			}
			in.out.Reset(in.frame.typ, f.out.Len())
			in.frame.args[0], in.frame.args[1] = a, f.out
			in.frame.sel = both
			better.kernel(&in.frame)
			for _, i := range both {
				if in.out.Int[i] != 0 {
					take = append(take, i)
				}
			}
			copyRows(f.out, a, take)
			in.sel, f.live = take, both
		}
	}
}
