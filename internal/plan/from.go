package plan

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/diag"
)

const joinHint = "join the stream with a table: FROM topic JOIN table ON …; several topics go together with UNION ALL; or join when reading, in an ordinary view over the materialized view"

// from reads a FROM clause of one item.
func (q *query) from(items []*pg_query.Node, env *environment) (*scope, error) {
	switch len(items) {
	case 0:
		return nil, q.fail(problem(codeNoFrom, q.at(-1), "add FROM and a topic", "the query has no FROM: a view reads topics"))
	case 1:
		return q.fromItem(items[0], env)
	}
	return nil, q.fail(problem(codeJoin, q.at(nodeOffset(items[1])), "write JOIN … ON and the keys that are equal", "a list of relations in FROM is not supported yet"))
}

func (q *query) fromItem(n *pg_query.Node, env *environment) (*scope, error) {
	switch v := n.GetNode().(type) {
	case *pg_query.Node_RangeVar:
		return q.fromName(v.RangeVar, env)
	case *pg_query.Node_RangeSubselect:
		return q.fromSubquery(v.RangeSubselect, env)
	case *pg_query.Node_RangeFunction:
		return q.fromFunction(v.RangeFunction, env)
	case *pg_query.Node_JoinExpr:
		return q.joinExpr(v.JoinExpr, env)
	case *pg_query.Node_RangeTableSample:
		return nil, q.fail(problem(codeJoin, q.at(v.RangeTableSample.GetLocation()),
			"filter by an expression, such as mod(id, 100) = 0", "TABLESAMPLE is not supported: the same log must give the same table"))
	}
	return nil, q.fail(problem(codeJoin, q.at(nodeOffset(n)), "name a topic, a subquery, a CTE, tumble(…), hop(…) or session(…)", "this can't stand in FROM"))
}

func (q *query) fromName(v *pg_query.RangeVar, env *environment) (*scope, error) {
	pos := q.at(v.GetLocation())
	r, err := q.named(v.GetSchemaname(), v.GetRelname(), pos, env)
	if err != nil {
		return nil, err
	}
	return q.aliased(r, v.GetAlias(), v.GetRelname(), pos)
}

// aliased gives the scope of a FROM item, renamed as its alias says.
func (q *query) aliased(r *relation, alias *pg_query.Alias, table string, pos diag.Position) (*scope, error) {
	s := &scope{relation: r, alias: table}
	if alias == nil {
		return s, nil
	}
	if s.alias = alias.GetAliasname(); s.alias != table {
		s.table = table
	}
	renamed, err := r.rename(textsOf(alias.GetColnames()), pos, s.alias)
	if err != nil {
		return nil, q.fail(err)
	}
	s.relation = renamed
	return s, nil
}

// named finds a topic or CTE by its name.
func (q *query) named(schema, name string, pos diag.Position, env *environment) (*relation, error) {
	if schema == "" {
		if cte := env.find(name); cte != nil {
			if cte.relation == nil {
				return nil, failed
			}
			return cte.relation, nil
		}
	}
	n := q.names[name]
	if schema != "" && schema != q.schema {
		return nil, q.fail(problem(codeSchema, pos, fmt.Sprintf("topics are named without a schema, or with %q", q.schema),
			"there is no topic %q in schema %q", name, schema))
	}
	switch {
	case n == nil:
		if q.unparsed(name) {
			return nil, failed
		}
		return nil, q.fail(problem(codeRelation, pos, suggest(name, q.readable(env)), "there is no topic %q", name))
	case n.kind == viewName:
		return nil, q.fail(problem(codeViewOnView, pos,
			"read its topics here, in a subquery if need be; or make this one an ordinary view (CREATE VIEW)",
			"a materialized view over the materialized view %q is not supported yet", name))
	case n.kind == otherName:
		return nil, q.fail(problem(codeJoin, pos,
			"join it with a stream: FROM topic JOIN "+quoteName(name)+" ON …; or make this one an ordinary view (CREATE VIEW) to read tables",
			"%q is a %s of PostgreSQL, and a materialized view follows a topic", name, n.what))
	case n.topic.broken:
		return nil, failed
	}
	return topicRelation(n.topic), nil
}

// readable gives the names that FROM may use.
func (q *query) readable(env *environment) []string {
	var names []string
	for ; env != nil; env = env.outer {
		names = append(names, env.name)
	}
	for _, n := range q.order {
		if n.kind == topicName {
			names = append(names, n.name)
		}
	}
	return names
}

func (q *query) fromSubquery(v *pg_query.RangeSubselect, env *environment) (*scope, error) {
	inner := v.GetSubquery().GetSelectStmt()
	pos := q.at(firstOffset(inner))
	if v.GetLateral() {
		return nil, q.fail(problem(codeJoin, pos, "remove LATERAL", "LATERAL is not supported"))
	}
	r, err := q.selectStatement(inner, env, false)
	if err != nil {
		return nil, err
	}
	return q.aliased(r, v.GetAlias(), "", pos)
}

// fromFunction reads tumble(t, time, size), hop(t, time, slide, size) and
// session(t, time, gap).
func (q *query) fromFunction(v *pg_query.RangeFunction, env *environment) (*scope, error) {
	call := functionCall(v)
	name := lastName(call.GetFuncname())
	pos := q.at(call.GetLocation())
	switch {
	case call == nil || v.GetIsRowsfrom() || v.GetOrdinality() || len(v.GetColdeflist()) > 0:
		return nil, q.fail(problem(codeFromFunction, q.at(nodeOffset(v.GetFunctions()[0])), "call tumble(topic, time, size) alone",
			"ROWS FROM, WITH ORDINALITY and column definitions are not supported in FROM"))
	case windowForms[name] == "":
		return nil, q.fail(problem(codeFromFunction, pos, suggest(name, []string{"tumble", "hop", "session"}), "function %q can't stand in FROM", name))
	}
	r, err := (&windowCall{q, name, call}).window(env)
	if err != nil {
		return nil, err
	}
	return q.aliased(r, v.GetAlias(), name, pos)
}

func functionCall(v *pg_query.RangeFunction) *pg_query.FuncCall {
	if len(v.GetFunctions()) != 1 {
		return nil
	}
	items := v.GetFunctions()[0].GetList().GetItems()
	if len(items) == 0 {
		return nil
	}
	return items[0].GetFuncCall()
}
