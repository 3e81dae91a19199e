package plan

import (
	"fmt"
	"slices"
	"strings"

	pg_query "github.com/pganalyze/pg_query_go/v6"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/expr"
)

// aggregate gives the groups of source's rows. clause is what groups them, for
// messages.
func (q *query) aggregate(s *pg_query.SelectStmt, clause string, from *scope, source *relation, keys []keyExpr, outputs []output, having expr.Expr) (*relation, error) {
	pos := q.at(firstOffset(s))
	if len(keys) > 0 {
		pos = keys[0].pos
	}
	switch {
	case source.groups != nil:
		return nil, q.fail(problem(codeAggregate2, pos,
			"aggregate over the materialized view in an ordinary view (CREATE VIEW), which PostgreSQL computes when it is read",
			"an aggregate over an aggregate is not supported yet"))
	case len(keys) == 0:
		return nil, q.fail(problem(codeNoGroup, pos,
			"GROUP BY a window, or by a constant: SELECT 'all' AS scope, … GROUP BY scope",
			"an aggregate without GROUP BY has no key for its row"))
	}
	g := &grouper{query: q, clause: clause, from: from, source: source, exprs: keys, out: &groups{}}
	if err := g.findWindow(pos); err != nil {
		return nil, err
	}
	if err := g.forget(); err != nil {
		return nil, err
	}
	g.placeKeys()
	if err := g.checkBound(pos); err != nil {
		return nil, err
	}
	columns, exprs := columnsOf(outputs)
	for i, o := range outputs {
		exprs[i] = g.rewrite(exprs[i], o.offset)
	}
	if having != nil {
		g.out.having = conjunction([]expr.Expr{g.rewrite(having, nodeOffset(s.GetHavingClause()))})
	}
	g.checkWindow(pos)
	if g.failed {
		return nil, failed
	}
	g.out.columns = exprs
	g.buildBranches()
	return &relation{columns: columns, groups: g.out}, nil
}

// grouper turns a SELECT with GROUP BY into groups.
type grouper struct {
	*query
	clause string // GROUP BY or DISTINCT
	from   *scope
	source *relation
	exprs  []keyExpr
	places []int             // column of the group batch for each of exprs
	calls  []*expr.Aggregate // distinct aggregates, over the source's columns
	cut    []bool            // exprs that are the window's start or end
	ends   []bool            // exprs that are the window's end
	hints  []string          // why a time bucket is no window
	out    *groups
	failed bool
}

// placeKeys gives each key its column of the group batch: the window's two
// first, then the others.
func (g *grouper) placeKeys() {
	next := 0
	if g.out.window != nil {
		next = 2
	}
	g.places = make([]int, len(g.exprs))
	for i, k := range g.exprs {
		key := groupKey{name: k.name, pos: k.pos, window: g.cut[i], constant: isConstant(k.expr)}
		switch {
		case g.cut[i] && g.ends[i]:
			g.places[i] = 1
		case g.cut[i]:
			g.places[i] = 0
		default:
			g.places[i] = next
			next++
			g.out.keyTypes = append(g.out.keyTypes, k.expr.Type())
		}
		key.index = g.places[i]
		g.out.keys = append(g.out.keys, key)
		if k.expr.Type().Kind == column.Interval {
			g.failed = true
			g.report(problem(codeGroupBy, k.pos, "group by extract(epoch FROM …)", "%s an interval is not supported", g.clause))
		}
	}
}

func isConstant(e expr.Expr) bool {
	_, ok := e.(*expr.Const)
	return ok
}

// checkBound refuses state that can grow for ever.
func (g *grouper) checkBound(pos diag.Position) error {
	if g.out.window != nil || g.maxGroups > 0 {
		return nil
	}
	var names []string
	for _, k := range g.out.keys {
		if !k.constant {
			names = append(names, k.name)
		}
	}
	if len(names) == 0 {
		return nil
	}
	t := g.source.inputs[0].topic
	d := problem(codeUnbounded, pos,
		fmt.Sprintf("group by a window too: FROM tumble(%s, %s, INTERVAL '5 minutes') GROUP BY window_start, …, or date_trunc('hour', %s); or have groups forgotten after a while without events, WITH (ttl = '1 day'); or allow a number of them, WITH (max_groups = 100000)",
			quoteName(t.Name), quoteName(t.EventTimeName()), quoteName(t.EventTimeName())),
		"%s %s of view %q has no window: its state would grow without bound", g.clause, strings.Join(names, ", "), g.view)
	d.Detail = strings.Join(g.hints, "; ")
	return g.fail(d)
}

// rewrite gives an expression over the group batch: keys and aggregates become
// its columns, and any other column is an error.
func (g *grouper) rewrite(e expr.Expr, offset int32) expr.Expr {
	return expr.Transform(e, func(n expr.Expr) (expr.Expr, bool) {
		for i, k := range g.exprs {
			if expr.Equal(n, k.expr) {
				return &expr.Column{Index: g.places[i], Name: k.name, T: k.expr.Type()}, true
			}
		}
		switch n := n.(type) {
		case *expr.Aggregate:
			return g.aggregateColumn(n), true
		case *expr.Column:
			g.ungrouped(n, offset)
			return n, true
		}
		return nil, false
	})
}

// ungrouped reports a column that has no single value in a group.
func (g *grouper) ungrouped(c *expr.Column, offset int32) {
	g.failed = true
	if at, ok := g.from.offsets[c]; ok {
		offset = at
	}
	name := c.Name
	if alias := g.from.aliasOf(c); alias != "" {
		name = alias + "." + name
	}
	hint := fmt.Sprintf("add %s to GROUP BY, or use an aggregate such as max(%s)", quoteName(c.Name), quoteName(c.Name))
	g.report(problem(codeUngrouped, g.at(offset), hint,
		"column %q must appear in the GROUP BY clause or be used in an aggregate function", name))
}

// aggregateColumn gives the column of the group batch that holds an
// aggregate; equal calls share one.
func (g *grouper) aggregateColumn(a *expr.Aggregate) expr.Expr {
	at := slices.IndexFunc(g.calls, func(o *expr.Aggregate) bool { return expr.Equal(o, a) })
	if at < 0 {
		at = len(g.calls)
		g.calls = append(g.calls, a)
		agg := Agg{Kind: a.Kind, Result: a.T, AggregateForm: a.AggregateForm}
		for _, m := range a.More {
			agg.More = append(agg.More, m.Type())
		}
		if a.Arg != nil {
			agg.Arg = a.Arg.Type()
			g.checkArgument(a)
		}
		g.out.aggs = append(g.out.aggs, agg)
	}
	index := len(g.out.keyTypes) + at
	if g.out.window != nil {
		index += 2
	}
	return &expr.Column{Index: index, Name: expr.SQL(a), T: a.T}
}

func (g *grouper) checkArgument(a *expr.Aggregate) {
	switch {
	case slices.ContainsFunc(a.Children(), containsAggregate):
		g.failed = true
		g.report(problem(codeAggregate2, g.at(a.Offset), "", "aggregate function calls cannot be nested"))
	case a.Arg.Type().Kind == column.Interval && a.Kind != expr.Count:
		g.failed = true
		g.report(problem(codeAggregate2, g.at(a.Offset), "aggregate extract(epoch FROM …)", "aggregates over intervals are not supported"))
	}
}

// buildBranches puts the inputs' columns in place.
func (g *grouper) buildBranches() {
	for i, in := range g.source.inputs {
		b := in.branch(i)
		if g.out.window != nil {
			at := in.topic.eventTime()
			b.WindowTime = &expr.Column{Index: at, Name: in.topic.EventTimeName(), T: g.out.window.Type}
		}
		for j, k := range g.exprs {
			if !g.cut[j] {
				b.Keys = append(b.Keys, substitute(k.expr, in.columns))
			}
		}
		for _, a := range g.calls {
			b.AggArgs = append(b.AggArgs, substitute(a.Arg, in.columns))
			b.AggMore = append(b.AggMore, substituteAll(a.More, in.columns))
			b.AggFilters = append(b.AggFilters, substitute(a.Filter, in.columns))
		}
		g.out.branches = append(g.out.branches, b)
	}
}

// quoteName writes an identifier as SQL takes it.
func quoteName(name string) string {
	for i, r := range name {
		if r != '_' && (r < 'a' || r > 'z') && (i == 0 || r < '0' || r > '9') {
			return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
		}
	}
	if reserved(name) {
		return `"` + name + `"`
	}
	return name
}
