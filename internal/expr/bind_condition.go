package expr

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
)

// condition binds an expression that must be boolean; where names its place.
func (b *binding) condition(n *pg_query.Node, where string) (Expr, error) {
	e, err := b.bind(n)
	if err != nil {
		return nil, err
	}
	return b.toBoolean(e, n, where)
}

func (b *binding) toBoolean(e Expr, n *pg_query.Node, where string) (Expr, error) {
	if kind := e.Type().Kind; kind != column.Bool && kind != column.Unknown {
		return nil, b.at(nodeOffset(n), problem(codeNotBoolean,
			fmt.Sprintf("argument of %s must be type boolean, not type %s", where, kind.Name()), "write a comparison: x <> 0, x IS NOT NULL"))
	}
	out, err := coerceTo(e, column.Of(column.Bool), implicitCast)
	return out, b.at(nodeOffset(n), err)
}

func (b *binding) boolExpr(n *pg_query.BoolExpr) (Expr, error) {
	where := map[pg_query.BoolExprType]string{
		pg_query.BoolExprType_AND_EXPR: "AND", pg_query.BoolExprType_OR_EXPR: "OR", pg_query.BoolExprType_NOT_EXPR: "NOT",
	}[n.Boolop]
	args := make([]Expr, len(n.Args))
	for i, a := range n.Args {
		var err error
		if args[i], err = b.condition(a, where); err != nil {
			return nil, err
		}
	}
	switch n.Boolop {
	case pg_query.BoolExprType_NOT_EXPR:
		return b.note(&Call{Function: not, Args: args, T: column.Of(column.Bool)}, n.Location), nil
	case pg_query.BoolExprType_AND_EXPR:
		return &Logic{Op: And, Args: args}, nil
	}
	return &Logic{Op: Or, Args: args}, nil
}

// test makes a call of a function that gives a boolean.
func (b *binding) test(f *Function, arg Expr, offset int32) (Expr, error) {
	arg, err := unknownToText(arg)
	if err != nil {
		return nil, b.at(offset, err)
	}
	return b.note(&Call{Function: f, Args: []Expr{arg}, T: column.Of(column.Bool)}, offset), nil
}

func (b *binding) nullTest(n *pg_query.NullTest) (Expr, error) {
	arg, err := b.bind(n.Arg)
	if err != nil {
		return nil, err
	}
	if n.Nulltesttype == pg_query.NullTestType_IS_NULL {
		return b.test(isNull, arg, n.Location)
	}
	return b.test(isNotNull, arg, n.Location)
}

func (b *binding) booleanTest(n *pg_query.BooleanTest) (Expr, error) {
	f := map[pg_query.BoolTestType]*Function{
		pg_query.BoolTestType_IS_TRUE: isTrue, pg_query.BoolTestType_IS_NOT_TRUE: isNotTrue,
		pg_query.BoolTestType_IS_FALSE: isFalse, pg_query.BoolTestType_IS_NOT_FALSE: isNotFalse,
		pg_query.BoolTestType_IS_UNKNOWN: isUnknown, pg_query.BoolTestType_IS_NOT_UNKNOWN: isNotUnknown,
	}[n.Booltesttype]
	arg, err := b.condition(n.Arg, f.Name)
	if err != nil {
		return nil, err
	}
	return b.test(f, arg, n.Location)
}

// caseExpr is both forms of CASE; CASE x WHEN y is bound as WHEN x = y.
func (b *binding) caseExpr(n *pg_query.CaseExpr) (Expr, error) {
	var subject Expr
	if n.Arg != nil {
		var err error
		if subject, err = b.bind(n.Arg); err != nil {
			return nil, err
		}
		if subject, err = unknownToText(subject); err != nil {
			return nil, b.at(nodeOffset(n.Arg), err)
		}
	}
	var conditions, results []Expr
	for _, node := range n.Args {
		when := node.GetCaseWhen()
		condition, err := b.bind(when.Expr)
		if err == nil && subject != nil {
			condition, err = b.operator("=", []Expr{subject, condition}, when.Location)
		}
		if err != nil {
			return nil, err
		}
		if condition, err = b.toBoolean(condition, when.Expr, "CASE/WHEN"); err != nil {
			return nil, err
		}
		result, err := b.bind(when.Result)
		if err != nil {
			return nil, err
		}
		conditions, results = append(conditions, condition), append(results, result)
	}
	otherwise := Expr(nullConst(column.Of(column.Unknown)))
	if n.Defresult != nil {
		var err error
		if otherwise, err = b.bind(n.Defresult); err != nil {
			return nil, err
		}
	}
	// PostgreSQL looks at ELSE first.
	branches, t, err := b.unify(append([]Expr{otherwise}, results...), "CASE", n.Location)
	if err != nil {
		return nil, err
	}
	out := &Case{T: t, Else: branches[0]}
	for i, c := range conditions {
		out.Whens = append(out.Whens, When{c, branches[i+1]})
	}
	return out, nil
}

// unify gives expressions their common type.
func (b *binding) unify(list []Expr, context string, offset int32) ([]Expr, column.Type, error) {
	kind, err := commonType(list, context)
	if err != nil {
		return nil, column.Type{}, b.at(offset, err)
	}
	out, err := b.coerceAll(list, kind, offset)
	if err != nil {
		return nil, column.Type{}, err
	}
	return out, commonModifier(out, kind), nil
}

func (b *binding) coalesceExpr(n *pg_query.CoalesceExpr) (Expr, error) {
	args, err := b.all(n.Args)
	if err != nil {
		return nil, err
	}
	args, t, err := b.unify(args, "COALESCE", n.Location)
	if err != nil {
		return nil, err
	}
	return &Coalesce{Args: args, T: t}, nil
}

func (b *binding) minMaxExpr(n *pg_query.MinMaxExpr) (Expr, error) {
	name, table := "GREATEST", greatest
	if n.Op == pg_query.MinMaxOp_IS_LEAST {
		name, table = "LEAST", least
	}
	args, err := b.all(n.Args)
	if err != nil {
		return nil, err
	}
	args, t, err := b.unify(args, name, n.Location)
	if err != nil {
		return nil, err
	}
	kind := t.Kind
	if kind == column.Varchar {
		kind = column.Text // varchar is ordered as text
	}
	switch {
	case kind == column.Cidr:
		kind = column.Inet
	case kind.IsArray():
		kind = anyArray
	}
	return b.note(&Call{Function: table[kind], Args: args, T: t}, n.Location), nil
}

// collate takes COLLATE "C", which is how all texts compare here.
func (b *binding) collate(n *pg_query.CollateClause) (Expr, error) {
	parts := nameParts(n.Collname)
	name := parts[len(parts)-1]
	if name != "C" && name != "POSIX" {
		return nil, b.at(n.Location, problem(codeUnsupported, fmt.Sprintf("collation \"%s\" is not supported", name), "texts compare as COLLATE \"C\""))
	}
	arg, err := b.bind(n.Arg)
	if err != nil {
		return nil, err
	}
	if kind := arg.Type().Kind; !kind.IsString() && kind != column.Unknown {
		return nil, b.at(n.Location, problem(codeCannotCast, fmt.Sprintf("collations are not supported by type %s", kind.Name()), ""))
	}
	out, err := unknownToText(arg)
	return out, b.at(n.Location, err)
}
