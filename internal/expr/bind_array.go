package expr

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
)

// arrayExpr is ARRAY[…], of a type that is written behind it if element is
// not nil.
func (b *binding) arrayExpr(n *pg_query.A_ArrayExpr, element *column.Type) (Expr, error) {
	elements, err := b.all(n.Elements)
	if err != nil {
		return nil, err
	}
	for i, e := range elements {
		if e.Type().Kind.IsArray() || n.Elements[i].GetAArrayExpr() != nil {
			return nil, b.at(n.Location, problem(codeUnsupported, "arrays of several dimensions are not supported", "take jsonb, or one dimension"))
		}
	}
	if element != nil {
		return b.arrayOf(elements, *element, explicitCast, n.Location)
	}
	if len(elements) == 0 {
		return nil, b.at(n.Location, problem(codeBadLiteral, "cannot determine type of empty array", "write the type: ARRAY[]::integer[]"))
	}
	kind, err := commonType(elements, "ARRAY")
	if err != nil {
		return nil, b.at(n.Location, err)
	}
	return b.arrayOf(elements, column.Of(kind), implicitCast, n.Location)
}

func (b *binding) arrayOf(elements []Expr, t column.Type, context castContext, offset int32) (Expr, error) {
	cast := make([]Expr, len(elements))
	for i, e := range elements {
		var err error
		if cast[i], err = coerceTo(e, t, context); err != nil {
			return nil, b.at(b.literalOffset(e, offset), err)
		}
	}
	t.Kind = column.ArrayOf(t.Kind)
	if len(cast) == 0 {
		empty, err := inputConstant([]byte("{}"), t)
		if err != nil {
			return nil, b.at(offset, rowProblem(codeBadLiteral, err))
		}
		return empty, nil
	}
	return b.note(&Call{Function: arrayConstructor, Args: cast, T: t}, offset), nil
}

// indirection is a[i] and a[i:j].
func (b *binding) indirection(n *pg_query.A_Indirection) (Expr, error) {
	array, err := b.bind(n.Arg)
	if err != nil {
		return nil, err
	}
	offset := nodeOffset(n.Arg)
	for _, node := range n.Indirection {
		indices := node.GetAIndices()
		t := array.Type()
		switch {
		case indices == nil:
			return nil, b.at(offset, problem(codeUnsupported, "fields of composite values are not supported", "for jsonb write x -> 'key'"))
		case t.Kind == column.JSONB:
			return nil, b.at(offset, problem(codeUnsupported, "subscripts of jsonb are not supported", "write x -> 'key' or x -> 0"))
		case !t.Kind.IsArray():
			return nil, b.at(offset, problem(codeCannotCast, fmt.Sprintf("cannot subscript type %s because it does not support subscripting", t.Kind.Name()), "only arrays have subscripts"))
		case array != nil && len(n.Indirection) > 1:
			return nil, b.at(offset, problem(codeUnsupported, "arrays of several dimensions are not supported", "an array has one subscript"))
		}
		if array, err = b.subscript(array, indices, offset); err != nil {
			return nil, err
		}
	}
	return array, nil
}

func (b *binding) subscript(array Expr, n *pg_query.A_Indices, offset int32) (Expr, error) {
	index := func(node *pg_query.Node, otherwise int64) (Expr, error) {
		if node == nil {
			return integerConst(column.Int4, otherwise), nil
		}
		e, err := b.bind(node)
		if err != nil {
			return nil, err
		}
		if e, err = coerceTo(e, column.Of(column.Int4), assignmentCast); err != nil {
			return nil, b.at(nodeOffset(node), problem(codeCannotCast, "array subscript must have type integer", "cast it: x::integer"))
		}
		return e, nil
	}
	upper, err := index(n.Uidx, highestIndex)
	if err != nil {
		return nil, err
	}
	t := array.Type()
	if !n.IsSlice {
		return b.note(&Call{Function: arraySubscript, Args: []Expr{array, upper}, T: t.Elem()}, offset), nil
	}
	lower, err := index(n.Lidx, lowestIndex)
	if err != nil {
		return nil, err
	}
	return b.note(&Call{Function: arraySlice, Args: []Expr{array, lower, upper}, T: t}, offset), nil
}

// anyOfArray is x op ANY (array) and x op ALL (array) for an array that isn't
// written with its elements.
func (b *binding) anyOfArray(n *pg_query.A_Expr) (Expr, error) {
	name, err := operatorName(n.Name)
	if err != nil {
		return nil, b.at(n.Location, err)
	}
	x, err := b.bind(n.Lexpr)
	if err != nil {
		return nil, err
	}
	array, err := b.bind(n.Rexpr)
	if err != nil {
		return nil, err
	}
	kind := array.Type().Kind
	if !kind.IsArray() && kind != column.Unknown {
		return nil, b.at(n.Location, problem(codeUnsupported, "op ANY/ALL (array) requires array on right side", "write x = ANY (ARRAY[1, 2]), or x IN (1, 2)"))
	}
	// The operator is chosen for the elements, and the array cast to what it
	// takes.
	element := Expr(nullConst(column.Of(column.Unknown)))
	if kind.IsArray() {
		element = &Column{Index: -1, T: array.Type().Elem()}
	}
	first, err := b.operator(name, []Expr{x, element}, n.Location)
	if err != nil {
		return nil, err
	}
	call, ok := first.(*Call)
	if !ok || call.T.Kind != column.Bool || anyElementOf[call.Function] == nil {
		return nil, b.at(n.Location, problem(codeNotBoolean, "op ANY/ALL (array) requires operator to yield boolean", "compare: x = ANY (array)"))
	}
	if array, err = coerceTo(array, column.Of(column.ArrayOf(call.Args[1].Type().Kind)), implicitCast); err != nil {
		return nil, b.at(b.literalOffset(array, n.Location), err)
	}
	f := anyElementOf[call.Function]
	if n.Kind == pg_query.A_Expr_Kind_AEXPR_OP_ALL {
		f = allElementOf[call.Function]
	}
	return b.note(&Call{Function: f, Args: []Expr{call.Args[0], array}, T: column.Of(column.Bool)}, n.Location), nil
}
