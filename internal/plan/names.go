package plan

import (
	pg_query "github.com/pganalyze/pg_query_go/v6"
	parser "github.com/wasilibs/go-pgquery"
)

// outputNames gives the names of a SELECT list, stars left out.
func outputNames(targets []*pg_query.Node) []string {
	var names []string
	for _, n := range targets {
		t := n.GetResTarget()
		if name := t.GetName(); name != "" {
			names = append(names, name)
		}
	}
	return names
}

// outputName gives the name that PostgreSQL gives to a column of a SELECT
// list without AS (FigureColname).
func outputName(n *pg_query.Node) string {
	if name, _ := figureName(n); name != "" {
		return name
	}
	return "?column?"
}

// figureName gives a name and how good it is: 2 for one that stands there, 1
// for one that was made up from a type.
func figureName(n *pg_query.Node) (string, int) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		return lastName(v.ColumnRef.GetFields()), 2
	case *pg_query.Node_AIndirection:
		if name := lastName(v.AIndirection.GetIndirection()); name != "" {
			return name, 2
		}
		return figureName(v.AIndirection.GetArg())
	case *pg_query.Node_FuncCall:
		return lastName(v.FuncCall.GetFuncname()), 2
	case *pg_query.Node_AExpr:
		if v.AExpr.GetKind() == pg_query.A_Expr_Kind_AEXPR_NULLIF {
			return "nullif", 2
		}
	case *pg_query.Node_TypeCast:
		if name, strength := figureName(v.TypeCast.GetArg()); strength > 0 {
			return name, strength
		}
		return lastName(v.TypeCast.GetTypeName().GetNames()), 1
	case *pg_query.Node_CollateClause:
		return figureName(v.CollateClause.GetArg())
	case *pg_query.Node_CaseExpr:
		if name, strength := figureName(v.CaseExpr.GetDefresult()); strength > 1 {
			return name, strength
		}
		return "case", 1
	case *pg_query.Node_CoalesceExpr:
		return "coalesce", 2
	case *pg_query.Node_MinMaxExpr:
		if v.MinMaxExpr.GetOp() == pg_query.MinMaxOp_IS_LEAST {
			return "least", 2
		}
		return "greatest", 2
	case *pg_query.Node_AArrayExpr:
		return "array", 2
	case *pg_query.Node_RowExpr:
		return "row", 2
	case *pg_query.Node_GroupingFunc:
		return "grouping", 2
	}
	return "", 0
}

// lastName gives the last name of a list in which indexes and stars may stand.
func lastName(nodes []*pg_query.Node) string {
	name := ""
	for _, n := range nodes {
		if s := n.GetString_(); s != nil {
			name = s.GetSval()
		}
	}
	return name
}

// reserved tells a word that must be quoted as a name, as PostgreSQL's
// scanner sees it.
func reserved(word string) bool {
	scan, err := parser.Scan(word)
	if err != nil || len(scan.Tokens) != 1 {
		return true
	}
	kind := scan.Tokens[0].KeywordKind
	return kind == pg_query.KeywordKind_RESERVED_KEYWORD || kind == pg_query.KeywordKind_TYPE_FUNC_NAME_KEYWORD
}
