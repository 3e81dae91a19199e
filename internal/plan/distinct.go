package plan

import (
	"fmt"
	"slices"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// SELECT DISTINCT groups by all that is selected. SELECT DISTINCT ON (k) …
// ORDER BY k, time DESC keeps the last row of each key, as WITH (key = 'k')
// does.

// distinctForm is what follows SELECT.
type distinctForm uint8

const (
	notDistinct distinctForm = iota
	distinctAll
	distinctOn
)

func distinctOf(s *pg_query.SelectStmt) distinctForm {
	switch d := s.GetDistinctClause(); {
	case len(d) == 0:
		return notDistinct
	case d[0].GetNode() == nil:
		return distinctAll
	}
	return distinctOn
}

// distinct gives the different rows of a query without GROUP BY.
func (q *query) distinct(s *pg_query.SelectStmt, from *scope, source *relation, outputs []output) (*relation, error) {
	pos := q.statement.Find("distinct", 0)
	if source.groups != nil {
		return nil, q.fail(problem(codeDistinct, pos, "group by the topic's columns at once, or make this an ordinary view (CREATE VIEW) over the materialized view",
			"DISTINCT over groups is not supported yet"))
	}
	var keys []keyExpr
	for _, o := range outputs {
		if !slices.ContainsFunc(keys, func(k keyExpr) bool { return expr.Equal(k.expr, o.expr) }) {
			keys = append(keys, keyExpr{o.expr, o.name, q.at(o.offset)})
		}
	}
	return q.aggregate(s, "DISTINCT", from, source, keys, outputs, nil)
}

// distinctGroups checks that the rows of a query with GROUP BY are distinct
// anyway: all keys are selected.
func (q *query) distinctGroups(keys []keyExpr, outputs []output) error {
	for _, k := range keys {
		if !isConstant(k.expr) && !slices.ContainsFunc(outputs, func(o output) bool { return expr.Equal(o.expr, k.expr) }) {
			return q.fail(problem(codeDistinct, q.statement.Find("distinct", 0), fmt.Sprintf("add %s to the SELECT, or remove DISTINCT", k.name),
				"DISTINCT over groups that are not told apart by what is selected is not supported yet"))
		}
	}
	return nil
}

const distinctOnForm = "write SELECT DISTINCT ON (k) k, … FROM topic ORDER BY k, %s DESC: the last row of each key"

// distinctOn notes the key of the view that SELECT DISTINCT ON makes.
func (q *query) distinctOn(s *pg_query.SelectStmt, from *scope, source *relation, outputs []output) error {
	pos := q.statement.Find("distinct", 0)
	refuse := func(pos diag.Position, format string, args ...any) error {
		time := "time"
		if len(source.inputs) > 0 {
			time = quoteName(source.inputs[0].topic.EventTimeName())
		}
		return q.fail(problem(codeDistinct, pos, fmt.Sprintf(distinctOnForm, time), format, args...))
	}
	on, order := s.GetDistinctClause(), s.GetSortClause()
	switch {
	case q.depth > 1:
		return refuse(pos, "DISTINCT ON is supported at the top of a view, not in a subquery, a CTE or a branch of a UNION ALL")
	case source.groups != nil || len(s.GetGroupClause()) > 0 || s.GetHavingClause() != nil || hasAggregate(outputs):
		return refuse(pos, "DISTINCT ON is supported over events, not over groups")
	case len(order) != len(on)+1:
		return refuse(pos, "DISTINCT ON needs an ORDER BY of its expressions and, after them, the event time")
	}
	var key []int
	for _, n := range on {
		i, err := q.outputOf(from, n, outputs)
		if err != nil {
			return err
		}
		if i < 0 {
			return refuse(q.at(nodeOffset(n)), "an expression of DISTINCT ON is not selected: it is the key of the view's table")
		}
		key = append(key, i)
	}
	for k, n := range order {
		by := n.GetSortBy()
		at := q.at(nodeOffset(by.GetNode()))
		if k < len(on) {
			if i, err := q.outputOf(from, by.GetNode(), outputs); err != nil || !slices.Contains(key, i) {
				return refuse(at, "ORDER BY begins with the expressions of DISTINCT ON")
			}
			continue
		}
		e, err := q.sorted(from, by.GetNode(), outputs)
		if err != nil {
			return err
		}
		for _, in := range source.inputs {
			if !in.isEventTime(substitute(e, in.columns)) {
				return refuse(at, "the last of ORDER BY is the event time: the row that stays is the last one")
			}
		}
		if by.GetSortbyDir() != pg_query.SortByDir_SORTBY_DESC {
			return refuse(at, "DISTINCT ON keeps the last row of a key, not the first: the event time is ordered DESC")
		}
	}
	slices.Sort(key)
	q.key = slices.Compact(key)
	return nil
}

// outputOf finds the output that an expression of DISTINCT ON or ORDER BY
// stands for, -1 if none.
func (q *query) outputOf(from *scope, n *pg_query.Node, outputs []output) (int, error) {
	e, err := q.sorted(from, n, outputs)
	if err != nil {
		return -1, err
	}
	return slices.IndexFunc(outputs, func(o output) bool { return expr.Equal(o.expr, e) }), nil
}

// sorted resolves an expression of ORDER BY as PostgreSQL does: a whole number
// is an output's position, a plain name an output's if there is one.
func (q *query) sorted(from *scope, n *pg_query.Node, outputs []output) (expr.Expr, error) {
	pos := q.at(nodeOffset(n))
	if c := n.GetAConst().GetIval(); c != nil {
		if at := int(c.GetIval()); at >= 1 && at <= len(outputs) {
			return outputs[at-1].expr, nil
		}
		return nil, q.fail(problem(codeDistinct, pos, fmt.Sprintf("there are %d", len(outputs)), "position %d is not in select list", c.GetIval()))
	}
	if ref := n.GetColumnRef(); ref != nil && len(ref.GetFields()) == 1 && !isStar(ref) {
		o, ok, err := outputNamed(outputs, ref.GetFields()[0].GetString_().GetSval(), pos)
		if err != nil {
			return nil, q.fail(err)
		}
		if ok {
			return o.expr, nil
		}
	}
	e, err := q.bind(from, n, "ORDER BY", false)
	if err != nil {
		return nil, q.fail(err)
	}
	return e, nil
}
