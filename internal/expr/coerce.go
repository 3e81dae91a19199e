package expr

import (
	"fmt"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
)

// Coerce makes e a value of type t as an assignment does: implicit and
// assignment casts, and the type's modifier, which fails rows that do not
// fit. The error is a *diag.Diagnostic without position.
func Coerce(e Expr, t column.Type) (Expr, error) {
	out, err := coerceTo(e, t, assignmentCast)
	if err != nil {
		return nil, err
	}
	return fold(out)
}

// Unify gives the expressions the type that UNION, CASE and COALESCE would
// give them. The error is a *diag.Diagnostic without position.
func Unify(exprs []Expr) ([]Expr, column.Type, error) {
	kind, err := commonType(exprs, "UNION")
	if err != nil {
		return nil, column.Type{}, err
	}
	out := make([]Expr, len(exprs))
	for i, e := range exprs {
		c, err := coerceTo(e, column.Of(kind), implicitCast)
		if err != nil {
			return nil, column.Type{}, err
		}
		if out[i], err = fold(c); err != nil {
			return nil, column.Type{}, err
		}
	}
	return out, commonModifier(out, kind), nil
}

// commonModifier gives the type with its modifier if all have the same one.
func commonModifier(exprs []Expr, kind column.Kind) column.Type {
	t := exprs[0].Type()
	for _, e := range exprs {
		if e.Type() != t {
			return column.Of(kind)
		}
	}
	return t
}

// commonType chooses a type as PostgreSQL does for the branches of a CASE
// and the like: the first one, or a later one of the same category that the
// first can be cast to implicitly and not the other way. Untyped literals
// alone are text.
func commonType(exprs []Expr, context string) (column.Kind, error) {
	chosen := column.Unknown
	for _, e := range exprs {
		next := e.Type().Kind
		switch {
		case next == column.Unknown || next == chosen:
		case chosen == column.Unknown:
			chosen = next
		case typeID(next).category() != typeID(chosen).category():
			return 0, problem(codeTypesDiffer,
				fmt.Sprintf("%s types %s and %s cannot be matched", context, chosen.Name(), next.Name()),
				"cast one of them: x::"+chosen.Name())
		case !typeID(chosen).preferred() &&
			implicitlyCoercible(typeID(chosen), typeID(next)) && !implicitlyCoercible(typeID(next), typeID(chosen)):
			chosen = next
		}
	}
	if chosen == column.Unknown {
		return column.Text, nil
	}
	for _, e := range exprs {
		if next := e.Type().Kind; !implicitlyCoercible(typeID(next), typeID(chosen)) {
			return 0, problem(codeTypesDiffer,
				fmt.Sprintf("%s could not convert type %s to %s", context, next.Name(), chosen.Name()),
				"write the cast: x::"+chosen.Name())
		}
	}
	return chosen, nil
}

// coerceTo makes e a value of type t by the casts that the context allows.
func coerceTo(e Expr, t column.Type, context castContext) (Expr, error) {
	from := e.Type()
	if c, ok := e.(*Const); ok && from.Kind == column.Unknown {
		literal, err := typedLiteral(c, t.Kind)
		if err != nil {
			return nil, err
		}
		return withModifier(literal, t, context), nil
	}
	if from.Kind != t.Kind {
		c, ok := casts[[2]column.Kind{from.Kind, t.Kind}]
		if !ok {
			return nil, problem(codeCannotCast, fmt.Sprintf("cannot cast type %s to %s", from.Kind.Name(), t.Kind.Name()), castWay(from.Kind, t.Kind))
		}
		if c.context > context {
			return nil, problem(codeCannotCast,
				fmt.Sprintf("type %s is not cast to %s by itself", from.Kind.Name(), t.Kind.Name()),
				"write the cast: x::"+t.Kind.Name())
		}
		e = &Call{Function: c.function, Args: []Expr{e}, T: column.Of(t.Kind)}
	}
	return withModifier(e, t, context), nil
}

// castWay proposes a cast in two steps where PostgreSQL has no direct one.
func castWay(from, to column.Kind) string {
	if from == column.JSONB {
		return "take the value out as text first: x ->> 'key'"
	}
	for _, step := range []column.Kind{column.Int4, column.Timestamp} {
		_, first := casts[[2]column.Kind{from, step}]
		_, second := casts[[2]column.Kind{step, to}]
		if first && second {
			return fmt.Sprintf("cast in two steps: x::%s::%s", step.Name(), to.Name())
		}
	}
	return ""
}

// typedLiteral reads an untyped literal as a constant of a type.
func typedLiteral(c *Const, kind column.Kind) (*Const, error) {
	t := column.Of(kind)
	if c.Value.Null[0] {
		return nullConst(t), nil
	}
	text := c.Value.Bytes(0)
	if datum.Reserved(text, kind) {
		return nil, problem(codeVolatile,
			fmt.Sprintf("the %s literal '%s' means the moment of reading", kind.Name(), text),
			"the time a record was written is the column _timestamp")
	}
	typed, err := inputConstant(text, t)
	if err != nil {
		return nil, rowProblem(codeBadLiteral, err)
	}
	return typed, nil
}

// withModifier applies numeric(p, s) or varchar(n). A cast cuts a text that is
// too long, an assignment fails it.
func withModifier(e Expr, t column.Type, context castContext) Expr {
	if e.Type() == t {
		return e
	}
	var f *Function
	switch kind := t.Kind.Elem(); {
	case kind == column.Numeric && t.Precision > 0:
		f = fitNumeric
	case kind == column.Varchar && t.Length > 0 && context == explicitCast:
		f = cutVarchar
	case kind == column.Varchar && t.Length > 0:
		f = assignVarchar
	default:
		return e
	}
	if t.Kind.IsArray() {
		f = fitElements[f]
	}
	return &Call{Function: f, Args: []Expr{e}, T: t}
}

func nullConst(t column.Type) *Const {
	v := column.NewVector(t, 1)
	v.Null[0] = true
	return &Const{T: t, Value: v}
}
