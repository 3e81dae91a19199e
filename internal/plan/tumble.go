package plan

import (
	"fmt"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// windowCall is a call of a function that cuts time in FROM.
type windowCall struct {
	*query
	name string // tumble, hop, session
	call *pg_query.FuncCall
}

// The forms of the calls: after the time come the intervals.
var windowForms = map[string]string{
	"tumble":  "write tumble(topic, time, INTERVAL '5 minutes')",
	"hop":     "write hop(topic, time, INTERVAL '1 minute', INTERVAL '1 hour'): windows of an hour, one every minute",
	"session": "write session(topic, time, INTERVAL '30 minutes'): runs of events of which each comes at most 30 minutes after the one before",
}

var windowIntervals = map[string][]string{"tumble": {"size"}, "hop": {"slide", "size"}, "session": {"gap"}}

// problem makes a diagnostic of the call that shows how it is written.
func (w *windowCall) problem(pos diag.Position, format string, args ...any) *diag.Diagnostic {
	return problem(codeTumble, pos, windowForms[w.name], format, args...)
}

// window gives the first argument's relation with the columns window_start
// and window_end.
func (w *windowCall) window(env *environment) (*relation, error) {
	pos := w.at(w.call.GetLocation())
	args, intervals := w.call.GetArgs(), windowIntervals[w.name]
	if len(args) != 2+len(intervals) {
		return nil, w.fail(w.problem(pos, "%s takes a topic, its event time column%s, not %d arguments", w.name,
			map[string]string{"tumble": " and a size", "hop": ", a slide and a size", "session": " and a gap"}[w.name], len(args)))
	}
	source := args[0].GetColumnRef()
	if source == nil || isStar(source) || len(source.GetFields()) > 2 {
		return nil, w.fail(w.problem(w.at(nodeOffset(args[0])), "the first argument of %s is the name of a topic or CTE", w.name))
	}
	parts := textsOf(source.GetFields())
	schema := ""
	if len(parts) == 2 {
		schema = parts[0]
	}
	table := parts[len(parts)-1]
	r, err := w.named(schema, table, w.at(source.GetLocation()), env)
	if err != nil {
		return nil, err
	}
	lengths := make([]int64, len(intervals))
	for i, what := range intervals {
		length, lengthErr := w.interval(args[2+i], what)
		if lengths[i] = length; lengthErr != nil {
			err = lengthErr
		}
	}
	time, timeErr := w.time(r, table, args[1])
	if err != nil || timeErr != nil {
		return nil, failed
	}
	switch w.name {
	case "tumble":
		return r.windowed(window.Tumble(lengths[0]), time), nil
	case "session":
		return r.windowed(window.NewSession(lengths[0]), time), nil
	}
	hop, err := window.NewHop(lengths[0], lengths[1])
	if err != nil {
		return nil, w.fail(w.problem(w.at(nodeOffset(args[2])), "%v", err))
	}
	return r.windowed(hop, time), nil
}

// interval reads a constant interval without months, in microseconds.
func (w *windowCall) interval(n *pg_query.Node, what string) (int64, error) {
	pos := w.at(nodeOffset(n))
	b := &expr.Binder{Clause: w.name, Position: w.statement.Position,
		Column: func(parts []string, offset int32) (expr.Expr, error) {
			return nil, w.problem(w.at(offset), "the %s of a window is a constant, not the column %q", what, joinName(parts))
		}}
	e, err := b.Bind(n)
	if err == nil && e.Type().Kind != column.Interval {
		if e.Type().Kind == column.Unknown {
			e, err = coerceAt(e, column.Of(column.Interval), pos)
		} else {
			err = w.problem(pos, "the %s of a window is an interval, not %s", what, e.Type())
		}
	}
	if err != nil {
		return 0, w.fail(err)
	}
	c, ok := e.(*expr.Const)
	if !ok || c.Value.Null[0] {
		return 0, w.fail(w.problem(pos, "the %s of a window is a constant interval", what))
	}
	length, ok := intervalMicros(c.Value.Interval[0])
	switch {
	case c.Value.Interval[0].Months != 0:
		return 0, w.fail(problem(codeTumble, pos, "GROUP BY date_trunc('month', …) has windows of calendar months",
			"the %s of a window can't have months: they have no fixed length", what))
	case !ok || length < 1:
		return 0, w.fail(w.problem(pos, "the %s of a window must be greater than zero", what))
	}
	return length, nil
}

// time reads the second argument: the event time column.
func (w *windowCall) time(r *relation, table string, n *pg_query.Node) (*expr.Column, error) {
	ref := n.GetColumnRef()
	if ref == nil || isStar(ref) {
		return nil, w.fail(w.problem(w.at(nodeOffset(n)), "the second argument of %s is the event time column", w.name))
	}
	pos := w.at(ref.GetLocation())
	s := &scope{relation: r, alias: table, schema: w.schema}
	c, err := s.resolve(textsOf(ref.GetFields()), pos, ref.GetLocation())
	if err != nil {
		return nil, w.fail(err)
	}
	if r.groups != nil {
		return nil, w.fail(problem(codeAggregate2, pos, "window the topic, not its groups", "windows over the groups of %q are not supported yet", table))
	}
	for _, in := range r.inputs {
		if in.isEventTime(in.columns[c.Index]) {
			continue
		}
		return nil, w.fail(notEventTime(in.topic, codeTumble, pos, c.Name))
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

// windowed gives the relation with window_start and window_end after its
// columns.
func (r *relation) windowed(assigner window.Assigner, time *expr.Column) *relation {
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
