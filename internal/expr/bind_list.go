package expr

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
)

// inList is x IN (…) and x NOT IN (…): comparisons joined by OR, or AND. As
// in PostgreSQL, items without columns take one common type with x.
func (b *binding) inList(n *pg_query.A_Expr) (Expr, error) {
	if n.Rexpr.GetList() == nil {
		return nil, b.at(n.Location, problem(codeUnsupported, "IN with a subquery is not supported", "list the values: x IN (1, 2)"))
	}
	name, err := operatorName(n.Name)
	if err != nil {
		return nil, b.at(n.Location, err)
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
	if len(fixed) > 1 {
		if kind, err := commonType(append([]Expr{x}, fixed...), "IN"); err == nil {
			if fixed, err = b.coerceAll(fixed, kind, n.Location); err != nil {
				return nil, err
			}
		}
	}
	join := Or
	if name == "<>" {
		join = And
	}
	return b.compareEach(name, x, append(fixed, varying...), join, n.Location)
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

// compareEach compares x with every item.
func (b *binding) compareEach(name string, x Expr, items []Expr, join LogicOp, offset int32) (Expr, error) {
	var tests []Expr
	for _, item := range items {
		test, err := b.operator(name, []Expr{x, item}, offset)
		if err != nil {
			return nil, err
		}
		if test.Type().Kind != column.Bool {
			return nil, b.at(offset, problem(codeNotBoolean, "op ANY/ALL (array) requires operator to yield boolean", ""))
		}
		tests = append(tests, test)
	}
	if len(tests) == 1 {
		return tests[0], nil
	}
	return &Logic{Op: join, Args: tests}, nil
}

// anyArray is x = ANY (ARRAY[…]) and x <> ALL (ARRAY[…]) with constants.
func (b *binding) anyArray(n *pg_query.A_Expr) (Expr, error) {
	array := n.Rexpr.GetAArrayExpr()
	if array == nil {
		return nil, b.at(n.Location, problem(codeUnsupported, "ANY and ALL are supported with ARRAY[…] only", "write x = ANY (ARRAY[1, 2]), or x IN (1, 2)"))
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
	if len(items) == 0 {
		return nil, b.at(array.Location, problem(codeUnsupported, "cannot determine type of empty array", ""))
	}
	for _, item := range items {
		if hasColumn(item) {
			return nil, b.at(array.Location, problem(codeConstantRequired, "the elements of the array must be constants", "write x IN (a, b)"))
		}
	}
	kind, err := commonType(items, "ARRAY")
	if err != nil {
		return nil, b.at(array.Location, err)
	}
	if items, err = b.coerceAll(items, kind, array.Location); err != nil {
		return nil, err
	}
	join := Or
	if n.Kind == pg_query.A_Expr_Kind_AEXPR_OP_ALL {
		join = And
	}
	return b.compareEach(name, x, items, join, n.Location)
}
