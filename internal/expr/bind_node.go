package expr

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/diag"
)

// unsupportedNode says what a node is that has no meaning here.
func unsupportedNode(n *pg_query.Node) *diag.Diagnostic {
	switch x := n.GetNode().(type) {
	case *pg_query.Node_SubLink:
		return problem(codeUnsupported, "a subquery in an expression is not supported", "put the subquery into FROM")
	case *pg_query.Node_RowExpr:
		return problem(codeUnsupported, "row values are not supported", "compare the columns one by one")
	case *pg_query.Node_ParamRef:
		return problem(codeUnsupported, fmt.Sprintf("there is no parameter $%d", x.ParamRef.GetNumber()), "")
	case *pg_query.Node_SqlvalueFunction:
		return problem(codeVolatile, "the current date, time or user is not the same at each reading of the log", "the time a record was written is the column _timestamp")
	case *pg_query.Node_SetToDefault:
		return problem(codeUnsupported, "DEFAULT is not allowed here", "")
	case *pg_query.Node_NamedArgExpr:
		return problem(codeUnsupported, "named arguments are not supported", "give the arguments in their order")
	case *pg_query.Node_GroupingFunc:
		return problem(codeUnsupported, "GROUPING is not supported", "")
	}
	return problem(codeUnsupported, "this form of expression is not supported", "")
}

// nodeOffset gives the place of a node, -1 if it has none.
func nodeOffset(n *pg_query.Node) int32 {
	switch x := n.GetNode().(type) {
	case *pg_query.Node_ColumnRef:
		return x.ColumnRef.Location
	case *pg_query.Node_AConst:
		return x.AConst.Location
	case *pg_query.Node_AExpr:
		if x.AExpr.Lexpr != nil {
			return nodeOffset(x.AExpr.Lexpr)
		}
		return x.AExpr.Location
	case *pg_query.Node_BoolExpr:
		if x.BoolExpr.Boolop != pg_query.BoolExprType_NOT_EXPR && len(x.BoolExpr.Args) > 0 {
			return nodeOffset(x.BoolExpr.Args[0])
		}
		return x.BoolExpr.Location
	case *pg_query.Node_FuncCall:
		return x.FuncCall.Location
	case *pg_query.Node_TypeCast:
		if x.TypeCast.Location < 0 || x.TypeCast.Arg == nil {
			return x.TypeCast.TypeName.GetLocation()
		}
		return nodeOffset(x.TypeCast.Arg)
	case *pg_query.Node_CaseExpr:
		return x.CaseExpr.Location
	case *pg_query.Node_CoalesceExpr:
		return x.CoalesceExpr.Location
	case *pg_query.Node_MinMaxExpr:
		return x.MinMaxExpr.Location
	case *pg_query.Node_NullTest:
		return nodeOffset(x.NullTest.Arg)
	case *pg_query.Node_BooleanTest:
		return nodeOffset(x.BooleanTest.Arg)
	case *pg_query.Node_CollateClause:
		return nodeOffset(x.CollateClause.Arg)
	case *pg_query.Node_SubLink:
		return x.SubLink.Location
	case *pg_query.Node_AArrayExpr:
		return x.AArrayExpr.Location
	case *pg_query.Node_RowExpr:
		return x.RowExpr.Location
	case *pg_query.Node_ParamRef:
		return x.ParamRef.Location
	case *pg_query.Node_SqlvalueFunction:
		return x.SqlvalueFunction.Location
	case *pg_query.Node_NamedArgExpr:
		return x.NamedArgExpr.Location
	case *pg_query.Node_GroupingFunc:
		return x.GroupingFunc.Location
	case *pg_query.Node_AIndirection:
		return nodeOffset(x.AIndirection.Arg)
	}
	return -1
}
