package expr

import "github.com/millstream-dev/millstream/internal/diag"

// Unlabelled gives what lies under casts between types that are stored alike,
// such as the one from varchar to text: it has the same value to the byte.
func Unlabelled(e Expr) Expr {
	for {
		c, ok := e.(*Call)
		if !ok || c.Function.kernel != nil || c.Function.class != castClass || len(c.Args) != 1 {
			return e
		}
		e = c.Args[0]
	}
}

// EqualityOperands gives the two sides of a = b, casts that make their types
// comparable included; ok is false for any other expression.
func EqualityOperands(e Expr) (left, right Expr, ok bool) {
	c, is := e.(*Call)
	if !is || c.Function.class != operatorClass || c.Function.Name != "=" || len(c.Args) != 2 {
		return nil, nil, false
	}
	return c.Args[0], c.Args[1], true
}

// Equality gives a = b as the binder makes it of USING, whose columns stand
// at pos.
func Equality(a, b Expr, pos diag.Position) (Expr, error) {
	bound := &binding{Binder: &Binder{Clause: "USING", Position: func(int32) diag.Position { return pos }}, offsets: map[Expr]int32{}}
	e, err := bound.operator("=", []Expr{a, b}, 0)
	if err != nil {
		return nil, err
	}
	return bound.finish(e)
}
