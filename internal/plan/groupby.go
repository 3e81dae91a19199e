package plan

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// keyExpr is an expression of GROUP BY over the FROM's relation.
type keyExpr struct {
	expr expr.Expr
	name string
	pos  diag.Position
}

// groupBy resolves the GROUP BY clause as PostgreSQL does: a plain name is an
// input column if there is one, else an output's name; a whole number is an
// output's position.
func (q *query) groupBy(from *scope, clause []*pg_query.Node, outputs []output) ([]keyExpr, error) {
	var keys []keyExpr
	var problems diag.List
	bad := false
	for _, n := range flattenRows(clause) {
		k, err := q.groupItem(from, n, outputs)
		if err != nil {
			bad = true
			problems = append(problems, diag.From(err)...)
			continue
		}
		if !slices.ContainsFunc(keys, func(o keyExpr) bool { return expr.Equal(o.expr, k.expr) }) {
			keys = append(keys, k)
		}
	}
	if bad {
		return nil, problems
	}
	return keys, nil
}

// flattenRows makes GROUP BY (a, b) GROUP BY a, b.
func flattenRows(clause []*pg_query.Node) []*pg_query.Node {
	var out []*pg_query.Node
	for _, n := range clause {
		if r := n.GetRowExpr(); r != nil && r.GetRowFormat() == pg_query.CoercionForm_COERCE_IMPLICIT_CAST {
			out = append(out, flattenRows(r.GetArgs())...)
			continue
		}
		out = append(out, n)
	}
	return out
}

func (q *query) groupItem(from *scope, n *pg_query.Node, outputs []output) (keyExpr, error) {
	pos := q.at(nodeOffset(n))
	if g := n.GetGroupingSet(); g != nil {
		return keyExpr{}, problem(codeGroupingSets, q.at(g.GetLocation()), "make a view for each of the sets",
			"GROUPING SETS, CUBE, ROLLUP and GROUP BY () are not supported")
	}
	if c := n.GetAConst(); c != nil {
		return q.groupPosition(c, pos, outputs)
	}
	if ref := n.GetColumnRef(); ref != nil && len(ref.GetFields()) == 1 && !isStar(ref) {
		name := ref.GetFields()[0].GetString_().GetSval()
		isInput := slices.ContainsFunc(from.relation.columns, func(c relationColumn) bool { return c.name == name })
		if o, ok, err := outputNamed(outputs, name, pos); !isInput && (ok || err != nil) {
			if err != nil {
				return keyExpr{}, err
			}
			return groupOutput(o, name, pos)
		}
		if !isInput {
			return keyExpr{}, q.missingKey(from, outputs, name, pos)
		}
	}
	e, err := q.bind(from, n, "GROUP BY", false)
	if err == nil && e.Type().Kind == column.Unknown {
		e, err = coerceAt(e, column.Of(column.Text), pos)
	}
	if err != nil {
		return keyExpr{}, err
	}
	name := outputName(n)
	if name == "?column?" {
		name = expr.SQL(e)
	}
	return keyExpr{e, name, pos}, nil
}

// missingKey says that a name of GROUP BY is neither a column's nor an
// output's.
func (q *query) missingKey(from *scope, outputs []output, name string, pos diag.Position) error {
	var names []string
	for _, c := range from.relation.columns {
		if !c.hidden {
			names = append(names, c.name)
		}
	}
	for _, o := range outputs {
		if !slices.Contains(names, o.name) && o.name != "?column?" {
			names = append(names, o.name)
		}
	}
	return problem(codeColumn, pos, suggest(name, names), "no column %q in %q, and no output of that name", name, from.alias)
}

// groupPosition is GROUP BY 2.
func (q *query) groupPosition(c *pg_query.A_Const, pos diag.Position, outputs []output) (keyExpr, error) {
	if c.GetIval() == nil {
		return keyExpr{}, problem(codeGroupBy, pos, "give it a name in the SELECT (… AS scope) and group by that", "non-integer constant in GROUP BY")
	}
	at := int(c.GetIval().GetIval())
	if at < 1 || at > len(outputs) {
		return keyExpr{}, problem(codeGroupBy, pos, fmt.Sprintf("there are %d", len(outputs)), "GROUP BY position %d is not in select list", at)
	}
	return groupOutput(outputs[at-1], outputs[at-1].name, pos)
}

func groupOutput(o output, name string, pos diag.Position) (keyExpr, error) {
	if o.bad || o.expr == nil {
		return keyExpr{}, failed
	}
	if containsAggregate(o.expr) {
		return keyExpr{}, problem(codeGroupBy, pos, "", "aggregate functions are not allowed in GROUP BY")
	}
	return keyExpr{o.expr, name, pos}, nil
}

// outputNamed finds the output of a name; several are fine while they are the
// same expression.
func outputNamed(outputs []output, name string, pos diag.Position) (output, bool, error) {
	var found *output
	for i, o := range outputs {
		if o.name != name {
			continue
		}
		if found != nil && (found.expr == nil || o.expr == nil || !expr.Equal(found.expr, o.expr)) {
			return output{}, false, problem(codeAmbiguous, pos, "give the outputs different names", "GROUP BY %q is ambiguous", name)
		}
		found = &outputs[i]
	}
	if found == nil {
		return output{}, false, nil
	}
	return *found, true, nil
}
