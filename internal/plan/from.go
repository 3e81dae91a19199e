package plan

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

const joinHint = "read one topic in FROM, or several with UNION ALL; join when reading, in an ordinary view over the materialized view"

// from reads a FROM clause of one item.
func (q *query) from(items []*pg_query.Node, env *environment) (*scope, error) {
	switch len(items) {
	case 0:
		return nil, q.fail(problem(codeNoFrom, q.at(-1), "add FROM and a topic", "the query has no FROM: a view reads topics"))
	case 1:
		return q.fromItem(items[0], env)
	}
	return nil, q.fail(problem(codeJoin, q.at(nodeOffset(items[1])), joinHint, "joins are not supported yet"))
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
		return nil, q.fail(problem(codeJoin, q.at(nodeOffset(v.JoinExpr.GetRarg())), joinHint, "joins are not supported yet"))
	case *pg_query.Node_RangeTableSample:
		return nil, q.fail(problem(codeJoin, q.at(v.RangeTableSample.GetLocation()),
			"filter by an expression, such as mod(id, 100) = 0", "TABLESAMPLE is not supported: the same log must give the same table"))
	}
	return nil, q.fail(problem(codeJoin, q.at(nodeOffset(n)), "name a topic, a subquery, a CTE or tumble(…)", "this can't stand in FROM"))
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
			"a materialized view reads topics; make this one an ordinary view (CREATE VIEW) to read tables",
			"%q is a %s of PostgreSQL, which a materialized view can't read yet", name, n.what))
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

// fromFunction reads tumble(t, time, size).
func (q *query) fromFunction(v *pg_query.RangeFunction, env *environment) (*scope, error) {
	call := functionCall(v)
	name := lastName(call.GetFuncname())
	pos := q.at(call.GetLocation())
	switch {
	case call == nil || v.GetIsRowsfrom() || v.GetOrdinality() || len(v.GetColdeflist()) > 0:
		return nil, q.fail(problem(codeFromFunction, q.at(nodeOffset(v.GetFunctions()[0])), "call tumble(topic, time, size) alone",
			"ROWS FROM, WITH ORDINALITY and column definitions are not supported in FROM"))
	case name == "hop" || name == "session":
		return nil, q.fail(problem(codeWindowKind, pos, "tumble(topic, time, size), date_bin and date_trunc work",
			"%s windows are not supported yet", name))
	case name != "tumble":
		return nil, q.fail(problem(codeFromFunction, pos, suggest(name, []string{"tumble"}), "function %q can't stand in FROM", name))
	}
	r, err := q.tumble(call, env)
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

const tumbleForm = "write tumble(topic, time, INTERVAL '5 minutes')"

// tumble gives its first argument's relation with the columns window_start
// and window_end.
func (q *query) tumble(call *pg_query.FuncCall, env *environment) (*relation, error) {
	pos := q.at(call.GetLocation())
	args := call.GetArgs()
	if len(args) != 3 {
		return nil, q.fail(problem(codeTumble, pos, tumbleForm, "tumble takes a topic, its event time column and a size, not %d arguments", len(args)))
	}
	source := args[0].GetColumnRef()
	if source == nil || isStar(source) || len(source.GetFields()) > 2 {
		return nil, q.fail(problem(codeTumble, q.at(nodeOffset(args[0])), tumbleForm, "the first argument of tumble is the name of a topic or CTE"))
	}
	parts := textsOf(source.GetFields())
	schema := ""
	if len(parts) == 2 {
		schema = parts[0]
	}
	table := parts[len(parts)-1]
	r, err := q.named(schema, table, q.at(source.GetLocation()), env)
	if err != nil {
		return nil, err
	}
	size, sizeErr := q.tumbleSize(args[2])
	time, timeErr := q.tumbleTime(r, table, args[1])
	if sizeErr != nil || timeErr != nil {
		return nil, failed
	}
	return r.tumbled(window.Tumble(size), time), nil
}

// tumbleSize reads a constant interval without months, in microseconds.
func (q *query) tumbleSize(n *pg_query.Node) (int64, error) {
	pos := q.at(nodeOffset(n))
	b := &expr.Binder{Clause: "tumble", Position: q.statement.Position,
		Column: func(parts []string, offset int32) (expr.Expr, error) {
			return nil, problem(codeTumble, q.at(offset), tumbleForm, "the size of a window is a constant, not the column %q", joinName(parts))
		}}
	e, err := b.Bind(n)
	if err == nil && e.Type().Kind != column.Interval {
		if e.Type().Kind == column.Unknown {
			e, err = coerceAt(e, column.Of(column.Interval), pos)
		} else {
			err = problem(codeTumble, pos, tumbleForm, "the size of a window is an interval, not %s", e.Type())
		}
	}
	if err != nil {
		return 0, q.fail(err)
	}
	c, ok := e.(*expr.Const)
	if !ok || c.Value.Null[0] {
		return 0, q.fail(problem(codeTumble, pos, tumbleForm, "the size of a window is a constant interval"))
	}
	size, ok := intervalMicros(c.Value.Interval[0])
	switch {
	case c.Value.Interval[0].Months != 0:
		return 0, q.fail(problem(codeTumble, pos, "GROUP BY date_trunc('month', …) has windows of calendar months",
			"the size of a tumbling window can't have months: they have no fixed length"))
	case !ok || size < 1:
		return 0, q.fail(problem(codeTumble, pos, tumbleForm, "the size of a window must be greater than zero"))
	}
	return size, nil
}

// tumbleTime reads tumble's second argument: the event time column.
func (q *query) tumbleTime(r *relation, table string, n *pg_query.Node) (*expr.Column, error) {
	ref := n.GetColumnRef()
	if ref == nil || isStar(ref) {
		return nil, q.fail(problem(codeTumble, q.at(nodeOffset(n)), tumbleForm, "the second argument of tumble is the event time column"))
	}
	pos := q.at(ref.GetLocation())
	s := &scope{relation: r, alias: table, schema: q.schema}
	c, err := s.resolve(textsOf(ref.GetFields()), pos, ref.GetLocation())
	if err != nil {
		return nil, q.fail(err)
	}
	if r.groups != nil {
		return nil, q.fail(problem(codeAggregate2, pos, "window the topic, not its groups", "windows over the groups of %q are not supported yet", table))
	}
	for _, in := range r.inputs {
		if in.isEventTime(in.columns[c.Index]) {
			continue
		}
		return nil, q.fail(notEventTime(in.topic, codeTumble, pos, c.Name))
	}
	return c, nil
}

// notEventTime says that a window is to be cut by something else than the
// event time.
func notEventTime(t *Topic, code string, pos diag.Position, what string) *diag.Diagnostic {
	hint := fmt.Sprintf("use %q, or declare the topic with OPTIONS (event_time '%s')", t.EventTimeName(), what)
	if t.EventTime < 0 {
		hint = fmt.Sprintf("declare the topic with OPTIONS (event_time '%s'); without it the event time is _timestamp", what)
	}
	return problem(code, pos, hint, "%q is not the event time of topic %q: that is %q", what, t.Name, t.EventTimeName())
}

// tumbled gives the relation with window_start and window_end after its
// columns.
func (r *relation) tumbled(assigner window.Assigner, time *expr.Column) *relation {
	out := &relation{columns: append(r.columns[:len(r.columns):len(r.columns)],
		relationColumn{name: "window_start", typ: time.T}, relationColumn{name: "window_end", typ: time.T})}
	for _, in := range r.inputs {
		at := in.columns[time.Index]
		w := bucket{assigner, expr.NewWindowCall(false, assigner, at), expr.NewWindowCall(true, assigner, at)}
		next := *in
		next.columns = append(in.columns[:len(in.columns):len(in.columns)], w.start, w.end)
		next.buckets = append(in.buckets[:len(in.buckets):len(in.buckets)], w)
		out.inputs = append(out.inputs, &next)
	}
	return out
}
