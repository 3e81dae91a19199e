package expr

import (
	"fmt"
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
)

// Program is a compiled expression. It owns the vectors it computes in, so
// it belongs to one goroutine.
type Program struct {
	root node
	run  evaluation
}

// Compile makes a program of a bound tree without aggregates.
func Compile(e Expr) *Program { return &Program{root: compile(e)} }

// Eval evaluates the program for the rows of b that sel lists, in rising
// order. The result has b.N elements, of which only those in sel mean
// anything; it is valid until the next Eval and must not be changed. A row
// that fails is put in errs and is NULL in the result. A bare column gives
// the batch's own vector.
func (p *Program) Eval(b *column.Batch, sel []int32, errs *RowErrors) *column.Vector {
	p.run.batch, p.run.errs = b, errs
	v := p.root.eval(&p.run, sel)
	p.run.batch, p.run.errs = nil, nil
	return v
}

// SelectTrue appends to out[:0] the rows of sel where the boolean v is true.
// out may share its memory with sel.
func SelectTrue(v *column.Vector, sel, out []int32) []int32 {
	out = out[:0]
	for _, i := range sel {
		if !v.Null[i] && v.Int[i] != 0 {
			out = append(out, i)
		}
	}
	return out
}

// evaluation is what all nodes of a program share during one Eval.
type evaluation struct {
	batch *column.Batch
	errs  *RowErrors
}

// node is a compiled expression node. Its result is valid until it is
// evaluated again.
type node interface {
	eval(run *evaluation, sel []int32) *column.Vector
}

func compile(e Expr) node {
	switch e := e.(type) {
	case *Column:
		return columnNode(e.Index)
	case *Const:
		return &constNode{value: e.Value, t: e.T}
	case *Call:
		return compileCall(e)
	case *Logic:
		return &logicNode{args: compileAll(e.Args), decided: int64(e.Op)}
	case *Case:
		n := &caseNode{t: e.T, otherwise: compile(e.Else)}
		for _, w := range e.Whens {
			n.conditions = append(n.conditions, compile(w.Condition))
			n.results = append(n.results, compile(w.Result))
		}
		return n
	case *Coalesce:
		return &coalesceNode{args: compileAll(e.Args), t: e.T}
	}
	panic(fmt.Sprintf("expr: %T can't be compiled", e))
}

func compileAll(args []Expr) []node {
	out := make([]node, len(args))
	for i, a := range args {
		out[i] = compile(a)
	}
	return out
}

type columnNode int

func (c columnNode) eval(run *evaluation, _ []int32) *column.Vector {
	return run.batch.Cols[c]
}

// constNode repeats a value for every row of a batch. The values of a
// BytesStorage constant share the same bytes.
type constNode struct {
	value *column.Vector
	t     column.Type
	all   column.Vector // as long as the longest batch so far
	out   column.Vector // a view of its beginning
}

func (c *constNode) eval(run *evaluation, _ []int32) *column.Vector {
	n := run.batch.N
	if c.all.Len() < n {
		c.grow(n)
	}
	c.out = c.all
	c.out.Truncate(n)
	return &c.out
}

func (c *constNode) grow(n int) {
	c.all.Reset(c.t, n)
	switch c.t.Kind.Storage() {
	case column.IntStorage:
		fill(c.all.Int, c.value.Int[0])
	case column.FloatStorage:
		fill(c.all.Float, c.value.Float[0])
	case column.IntervalStorage:
		fill(c.all.Interval, c.value.Interval[0])
	case column.BytesStorage:
		c.all.Buf = append(c.all.Buf[:0], c.value.Bytes(0)...)
		fill(c.all.Span, column.Span{Length: uint32(len(c.all.Buf))})
	}
	fill(c.all.Null, c.value.Null[0])
}

func fill[T any](s []T, v T) {
	for i := range s {
		s[i] = v
	}
}

// callNode evaluates all operands for all rows, then the kernel for the rows
// where no operand is NULL (or for all rows if the function computes with
// NULLs).
type callNode struct {
	args   []node
	kernel kernel
	strict bool
	// nullable are the operands other than constants that aren't NULL.
	nullable []int
	f        frame
	live     []int32
	out      column.Vector
}

func compileCall(e *Call) node {
	if e.Function.kernel == nil {
		if len(e.Args) == 1 && e.Function.class == castClass {
			return &relabelNode{arg: compile(e.Args[0]), t: e.T}
		}
		panic("expr: " + e.Function.signature() + " has no kernel")
	}
	args := compileAll(e.Args)
	if e.Function.mirrored {
		slices.Reverse(args)
	}
	n := &callNode{args: args, kernel: e.Function.kernel, strict: !e.Function.CalledOnNull}
	for i, a := range args {
		if c, ok := a.(*constNode); !ok || c.value.Null[0] {
			n.nullable = append(n.nullable, i)
		}
	}
	n.f.args = make([]*column.Vector, len(e.Args))
	n.f.typ = e.T
	n.f.function = e.Function
	n.f.out = &n.out
	return n
}

func (c *callNode) eval(run *evaluation, sel []int32) *column.Vector {
	for i, a := range c.args {
		c.f.args[i] = a.eval(run, sel)
	}
	c.out.Reset(c.f.typ, run.batch.N)
	c.f.sel = sel
	if c.strict {
		c.f.sel = c.notNull(sel)
	}
	c.f.errs = run.errs
	c.kernel(&c.f)
	return &c.out
}

// notNull gives the rows of sel where no operand is NULL, and makes the
// others NULL in the result.
func (c *callNode) notNull(sel []int32) []int32 {
	if len(c.nullable) == 0 {
		return sel
	}
	live, null := c.live[:0], c.out.Null
	switch a := c.f.args[c.nullable[0]].Null; len(c.nullable) {
	case 1:
		for _, i := range sel {
			if null[i] = a[i]; !null[i] {
				live = append(live, i)
			}
		}
	case 2:
		b := c.f.args[c.nullable[1]].Null
		for _, i := range sel {
			if null[i] = a[i] || b[i]; !null[i] {
				live = append(live, i)
			}
		}
	default:
		for _, i := range sel {
			for _, k := range c.nullable {
				null[i] = null[i] || c.f.args[k].Null[i]
			}
			if !null[i] {
				live = append(live, i)
			}
		}
	}
	c.live = live
	return live
}

// relabelNode is a cast between types that are stored alike.
type relabelNode struct {
	arg node
	t   column.Type
	out column.Vector
}

func (r *relabelNode) eval(run *evaluation, sel []int32) *column.Vector {
	r.out = *r.arg.eval(run, sel)
	r.out.Type = r.t
	return &r.out
}

// copyRows sets the rows of sel in out to those of v.
func copyRows(out, v *column.Vector, sel []int32) {
	switch out.Type.Kind.Storage() {
	case column.IntStorage:
		for _, i := range sel {
			out.Null[i], out.Int[i] = v.Null[i], v.Int[i]
		}
	case column.FloatStorage:
		for _, i := range sel {
			out.Null[i], out.Float[i] = v.Null[i], v.Float[i]
		}
	case column.IntervalStorage:
		for _, i := range sel {
			out.Null[i], out.Interval[i] = v.Null[i], v.Interval[i]
		}
	case column.BytesStorage:
		for _, i := range sel {
			if out.Null[i] = v.Null[i]; !v.Null[i] {
				out.SetBytes(int(i), v.Bytes(int(i)))
			}
		}
	}
}
