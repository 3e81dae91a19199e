package plan

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

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
