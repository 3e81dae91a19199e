package plan

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// union reads l UNION ALL r.
func (q *query) union(s *pg_query.SelectStmt, env *environment) (*relation, error) {
	if s.GetOp() != pg_query.SetOperation_SETOP_UNION || !s.GetAll() {
		word, hint := "UNION", "write UNION ALL; rows that come twice can be grouped"
		switch s.GetOp() {
		case pg_query.SetOperation_SETOP_INTERSECT:
			word, hint = "INTERSECT", ""
		case pg_query.SetOperation_SETOP_EXCEPT:
			word, hint = "EXCEPT", "filter with WHERE"
		}
		return nil, q.fail(problem(codeSetOperation, q.statement.Find(word, 0), hint, "%s is not supported", word))
	}
	left, leftErr := q.selectStatement(s.GetLarg(), env, true)
	right, rightErr := q.selectStatement(s.GetRarg(), env, true)
	if leftErr != nil || rightErr != nil {
		return nil, failed
	}
	pos := q.at(firstOffset(s.GetRarg()))
	if left.groups != nil || right.groups != nil {
		return nil, q.fail(problem(codeSetOperation, pos,
			"put the UNION ALL of the topics into FROM and aggregate over it, or make a view of each",
			"UNION ALL of queries with GROUP BY is not supported yet"))
	}
	if len(left.columns) != len(right.columns) {
		return nil, q.fail(problem(codeSetOperation, pos,
			fmt.Sprintf("the first has %d columns, this one %d", len(left.columns), len(right.columns)),
			"each UNION query must have the same number of columns"))
	}
	return q.unite(left, right, pos)
}

// unite gives the rows of both relations, types made equal column by column.
func (q *query) unite(left, right *relation, pos diag.Position) (*relation, error) {
	columns := make([]relationColumn, len(left.columns))
	leftExprs, rightExprs := make([]expr.Expr, len(columns)), make([]expr.Expr, len(columns))
	ok := true
	for i := range columns {
		pair, t, err := expr.Unify([]expr.Expr{left.operand(i), right.operand(i)})
		if err != nil {
			ok = false
			for _, d := range diag.From(err) {
				q.report(&diag.Diagnostic{Code: codeSetOperation, Pos: pos, Message: d.Message,
					Detail: fmt.Sprintf("column %d is %q in the first query and %q in this one", i+1, left.columns[i].name, right.columns[i].name),
					Hint:   "cast one of them"})
			}
			continue
		}
		columns[i] = relationColumn{name: left.columns[i].name, typ: t}
		leftExprs[i], rightExprs[i] = pair[0], pair[1]
	}
	if !ok {
		return nil, failed
	}
	l, r := left.project(columns, leftExprs), right.project(columns, rightExprs)
	return &relation{columns: columns, inputs: append(l.inputs, r.inputs...)}, nil
}

// operand is a column of the relation as an operand of type resolution: an
// untyped literal as it stands, since it takes the other side's type.
func (r *relation) operand(i int) expr.Expr {
	c := r.columns[i]
	if c.typ.Kind == column.Unknown {
		return r.inputs[0].columns[i]
	}
	return &expr.Column{Index: i, Name: c.name, T: c.typ}
}

// firstOffset gives a place in a SELECT that has none of its own.
func firstOffset(s *pg_query.SelectStmt) int32 {
	for s.GetLarg() != nil {
		s = s.GetLarg()
	}
	if targets := s.GetTargetList(); len(targets) > 0 {
		return targets[0].GetResTarget().GetLocation()
	}
	return -1
}
