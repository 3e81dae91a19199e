package plan

import (
	"slices"
	"time"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// query reads the SELECT of one view.
type query struct {
	*builder
	statement *sqlfile.Statement
	view      string // its name, for messages
	maxGroups int64  // the view's option
	ttl       time.Duration
	key       []int // of DISTINCT ON: outputs; else nil
	depth     int
}

// maxQueryDepth bounds the nesting of subqueries: far above what people write,
// far below what a stack holds.
const maxQueryDepth = 100

// environment is the CTEs in reach, innermost first.
type environment struct {
	name     string
	relation *relation // nil: wrong, and reported
	outer    *environment
}

func (e *environment) find(name string) *environment {
	for ; e != nil; e = e.outer {
		if e.name == name {
			return e
		}
	}
	return nil
}

// fail reports an error and gives the one that says nothing more.
func (q *query) fail(err error) error {
	q.reportError(err)
	return failed
}

func (q *query) at(offset int32) diag.Position { return q.statement.Position(offset) }

// selectStatement reads a SELECT or a UNION ALL of some. keepUnknown leaves
// untyped literals as they are, for the UNION ALL that it is a branch of.
func (q *query) selectStatement(s *pg_query.SelectStmt, env *environment, keepUnknown bool) (*relation, error) {
	if q.depth++; q.depth > maxQueryDepth {
		return nil, q.fail(problem(codeSubquery, q.at(-1), "", "subqueries are nested more than %d deep", maxQueryDepth))
	}
	defer func() { q.depth-- }()
	env, err := q.with(s.GetWithClause(), env)
	if err != nil {
		return nil, err
	}
	ok := q.refuseClauses(s)
	var r *relation
	switch {
	case s.GetOp() != pg_query.SetOperation_SETOP_NONE:
		r, err = q.union(s, env)
	case len(s.GetValuesLists()) > 0:
		err = q.fail(problem(codeNoFrom, q.at(-1), "put the rows into an ordinary table", "VALUES is not supported: a view reads topics"))
	default:
		r, err = q.simpleSelect(s, env, keepUnknown)
	}
	if err == nil && !ok {
		err = failed
	}
	return r, err
}

// with reads the CTEs of a WITH clause.
func (q *query) with(w *pg_query.WithClause, env *environment) (*environment, error) {
	if w.GetRecursive() {
		return nil, q.fail(problem(codeRecursive, q.at(w.GetLocation()), "write WITH, and queries that don't name themselves", "WITH RECURSIVE is not supported"))
	}
	for _, node := range w.GetCtes() {
		cte := node.GetCommonTableExpr()
		pos := q.at(cte.GetLocation())
		for e := env; e != nil; e = e.outer {
			if e.name == cte.GetCtename() && slices.ContainsFunc(w.GetCtes(), func(n *pg_query.Node) bool {
				return n != node && n.GetCommonTableExpr().GetCtename() == e.name
			}) {
				return nil, q.fail(problem(codeNameTaken, pos, "", "WITH query name %q specified more than once", e.name))
			}
		}
		inner := cte.GetCtequery().GetSelectStmt()
		if inner == nil {
			return nil, q.fail(problem(codeRecursive, pos, "only SELECT can stand in it", "CTE %q writes", cte.GetCtename()))
		}
		r, err := q.selectStatement(inner, env, false)
		if err == nil {
			r, err = r.rename(textsOf(cte.GetAliascolnames()), pos, cte.GetCtename())
			if err != nil {
				q.reportError(err)
			}
		}
		env = &environment{name: cte.GetCtename(), relation: r, outer: env}
		if err != nil {
			env.relation = nil
		}
	}
	return env, nil
}

// refuseClauses reports the clauses that views don't have.
func (q *query) refuseClauses(s *pg_query.SelectStmt) bool {
	ok := true
	refuse := func(code string, pos diag.Position, hint, format string, args ...any) {
		ok = false
		q.report(problem(code, pos, hint, format, args...))
	}
	if w := s.GetWindowClause(); len(w) > 0 {
		refuse(codeOver, q.at(w[0].GetWindowDef().GetLocation()), "", "window functions (OVER, WINDOW) are not supported yet")
	}
	if o := s.GetSortClause(); len(o) > 0 && distinctOf(s) != distinctOn {
		refuse(codeOrder, q.statement.Find("order", 0), "order when reading: SELECT … FROM the view ORDER BY …, or an ordinary view over it", "ORDER BY has no meaning in a view: its table has no order")
	}
	if s.GetLimitCount() != nil || s.GetLimitOffset() != nil {
		word := "limit"
		if s.GetLimitCount() == nil {
			word = "offset"
		}
		refuse(codeOrder, q.statement.Find(word, 0), "limit when reading: SELECT … FROM the view LIMIT …, or an ordinary view over it", "LIMIT and OFFSET have no meaning in a view: events never end")
	}
	if len(s.GetLockingClause()) > 0 {
		refuse(codeOrder, q.statement.Find("for", 0), "remove it", "FOR UPDATE and FOR SHARE have no meaning in a view")
	}
	if s.GetIntoClause() != nil {
		refuse(codeStatement, q.at(s.GetIntoClause().GetRel().GetLocation()), "remove it", "SELECT INTO is not supported")
	}
	return ok
}

// binder gives a Binder for one clause of a SELECT.
func (q *query) binder(s *scope, clause string, aggregates bool) *expr.Binder {
	return &expr.Binder{
		Clause: clause, Aggregates: aggregates, Position: q.statement.Position,
		Column: func(parts []string, offset int32) (expr.Expr, error) {
			c, err := s.resolve(parts, q.at(offset), offset)
			if err != nil {
				return nil, err
			}
			return c, nil
		},
	}
}

// bind binds an expression after looking for what the dialect doesn't have.
func (q *query) bind(s *scope, n *pg_query.Node, clause string, aggregates bool) (expr.Expr, error) {
	if problems := q.refuseInside(n); len(problems) > 0 {
		return nil, problems
	}
	return q.binder(s, clause, aggregates).Bind(n)
}

// condition binds a WHERE or HAVING.
func (q *query) condition(s *scope, n *pg_query.Node, clause string, aggregates bool) (expr.Expr, error) {
	e, err := q.bind(s, n, clause, aggregates)
	if err != nil {
		return nil, err
	}
	switch e.Type().Kind {
	case column.Bool:
		return e, nil
	case column.Unknown:
		return coerceAt(e, column.Of(column.Bool), q.at(nodeOffset(n)))
	}
	return nil, problem(codeCondition, q.at(nodeOffset(n)), "compare it with something",
		"argument of %s must be type boolean, not type %s", clause, e.Type().Kind)
}

// simpleSelect reads a SELECT without set operations.
func (q *query) simpleSelect(s *pg_query.SelectStmt, env *environment, keepUnknown bool) (*relation, error) {
	from, err := q.from(s.GetFromClause(), env)
	if err != nil {
		return nil, err
	}
	ok := true
	check := func(err error) {
		if err != nil {
			ok = false
			q.reportError(err)
		}
	}
	from.schema = q.schema
	from.outputs = outputNames(s.GetTargetList())
	source := from.relation
	if n := s.GetWhereClause(); n != nil {
		condition, err := q.condition(from, n, "WHERE", false)
		if err == nil {
			if a := source.groupWindow(condition); a != nil {
				err = windowColumn(q.at(nodeOffset(n)), a, "WHERE", hopFilterHint)
			}
		}
		check(err)
		if err == nil {
			source = source.where(condition)
		}
	}
	outputs, err := q.outputs(from, s.GetTargetList(), keepUnknown)
	check(err)
	var having expr.Expr
	if n := s.GetHavingClause(); n != nil {
		having, err = q.condition(from, n, "HAVING", true)
		check(err)
	}
	keys, err := q.groupBy(from, s.GetGroupClause(), outputs)
	check(err)
	if !ok {
		return badRelation(outputs), failed
	}
	form := distinctOf(s)
	if form == distinctOn {
		if err := q.distinctOn(s, from, source, outputs); err != nil {
			return badRelation(outputs), err
		}
	}
	if len(s.GetGroupClause()) > 0 || having != nil || hasAggregate(outputs) {
		if form == distinctAll {
			if err := q.distinctGroups(keys, outputs); err != nil {
				return badRelation(outputs), err
			}
		}
		return q.aggregate(s, "GROUP BY", from, source, keys, outputs, having)
	}
	if form == distinctAll {
		return q.distinct(s, from, source, outputs)
	}
	columns, exprs := columnsOf(outputs)
	return source.project(columns, exprs), nil
}
