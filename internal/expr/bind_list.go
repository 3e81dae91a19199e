package expr

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
)

// inList is x IN (…) and x NOT IN (…). As in PostgreSQL, several items without
// columns make a list of one type common with x; others are compared one by
// one.
func (b *binding) inList(n *pg_query.A_Expr) (Expr, error) {
	if n.Rexpr.GetList() == nil {
		return nil, b.at(n.Location, problem(codeUnsupported, "IN with a subquery is not supported", "list the values: x IN (1, 2)"))
	}
	name, err := operatorName(n.Name)
	if err != nil {
		return nil, b.at(n.Location, err)
	}
	if row := rowOf(n.Lexpr); row != nil {
		return b.rowInList(name, row, n.Rexpr.GetList().GetItems(), n.Location)
	}
	x, err := b.bind(n.Lexpr)
	if err != nil {
		return nil, err
	}
	items, err := b.all(n.Rexpr.GetList().GetItems())
	if err != nil {
		return nil, err
	}
	var fixed, varying []Expr
	for _, item := range items {
		if hasColumn(item) {
			varying = append(varying, item)
		} else {
			fixed = append(fixed, item)
		}
	}
	join := Or
	if name == "<>" {
		join = And
	}
	var tests []Expr
	if len(fixed) > 1 {
		if kind, err := commonType(append([]Expr{x}, fixed...), "IN"); err == nil {
			list, err := b.list(name, x, fixed, kind, join, n.Location)
			if err != nil {
				return nil, err
			}
			tests, fixed = append(tests, list), nil
		}
	}
	for _, item := range append(fixed, varying...) {
		test, err := b.operator(name, []Expr{x, item}, n.Location)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	if len(tests) == 1 {
		return tests[0], nil
	}
	return &Logic{Op: join, Args: tests}, nil
}

func hasColumn(e Expr) bool {
	has := false
	Walk(e, func(e Expr) bool {
		switch e.(type) {
		case *Column, *Aggregate:
			has = true
		}
		return !has
	})
	return has
}

func (b *binding) coerceAll(list []Expr, kind column.Kind, offset int32) ([]Expr, error) {
	out := make([]Expr, len(list))
	for i, e := range list {
		var err error
		if out[i], err = coerceTo(e, column.Of(kind), implicitCast); err != nil {
			return nil, b.at(b.literalOffset(e, offset), err)
		}
	}
	return out, nil
}

// list compares x with any, or with And with all, of the items, which take
// the type kind.
func (b *binding) list(name string, x Expr, items []Expr, kind column.Kind, join LogicOp, offset int32) (Expr, error) {
	items, err := b.coerceAll(items, kind, offset)
	if err != nil {
		return nil, err
	}
	first, err := b.operator(name, []Expr{x, items[0]}, offset)
	if err != nil {
		return nil, err
	}
	call := first.(*Call)
	f := anyOf[call.Function]
	if join == And {
		f = allOf[call.Function]
	}
	if f == nil {
		return nil, b.at(offset, problem(codeNotBoolean, "op ANY/ALL (array) requires operator to yield boolean", "compare: x = ANY (ARRAY[1, 2])"))
	}
	args := []Expr{call.Args[0], call.Args[1]}
	rest, err := b.coerceAll(items[1:], args[1].Type().Kind, offset)
	if err != nil {
		return nil, err
	}
	return b.note(&Call{Function: f, Args: append(args, rest...), T: column.Of(column.Bool)}, offset), nil
}

// anyOfList is x = ANY (ARRAY[…]) and x <> ALL (ARRAY[…]) with constants.
func (b *binding) anyOfList(n *pg_query.A_Expr) (Expr, error) {
	array := n.Rexpr.GetAArrayExpr()
	if array == nil || len(array.Elements) == 0 {
		return b.anyOfArray(n)
	}
	name, err := operatorName(n.Name)
	if err != nil {
		return nil, b.at(n.Location, err)
	}
	x, err := b.bind(n.Lexpr)
	if err != nil {
		return nil, err
	}
	items, err := b.all(array.Elements)
	if err != nil {
		return nil, err
	}
	for _, item := range items {
		if hasColumn(item) || item.Type().Kind.IsArray() {
			return b.anyOfArray(n)
		}
	}
	kind, err := commonType(items, "ARRAY")
	if err != nil {
		return nil, b.at(array.Location, err)
	}
	join := Or
	if n.Kind == pg_query.A_Expr_Kind_AEXPR_OP_ALL {
		join = And
	}
	return b.list(name, x, items, kind, join, n.Location)
}
