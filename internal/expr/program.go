package expr

import "github.com/millstream-dev/millstream/internal/column"

// Program is a compiled expression. It owns the vectors it computes in, so
// it belongs to one goroutine.
type Program struct {
	root Expr
}

// Compile makes a program of a bound tree without aggregates.
func Compile(e Expr) *Program { return &Program{root: e} }

// Eval evaluates the program for the rows of b that sel lists, in rising
// order.
func (p *Program) Eval(b *column.Batch, sel []int32, errs *RowErrors) *column.Vector {
	panic("being built")
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
