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

// aggregate gives the groups of source's rows.
func (q *query) aggregate(s *pg_query.SelectStmt, from *scope, source *relation, keys []keyExpr, outputs []output, having expr.Expr) (*relation, error) {
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
	g := &grouper{query: q, from: from, source: source, exprs: keys, out: &groups{}}
	if err := g.findWindow(pos); err != nil {
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
			g.report(problem(codeGroupBy, k.pos, "group by extract(epoch FROM …)", "GROUP BY an interval is not supported"))
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
		fmt.Sprintf("group by a window too: FROM tumble(%s, %s, INTERVAL '5 minutes') GROUP BY window_start, …, or date_trunc('hour', %s); or allow a number of groups: WITH (max_groups = 100000)",
			quoteName(t.Name), quoteName(t.EventTimeName()), quoteName(t.EventTimeName())),
		"GROUP BY %s of view %q has no window: its state would grow without bound", strings.Join(names, ", "), g.view)
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
	if g.from.alias != "" {
		name = g.from.alias + "." + name
	}
	hint := fmt.Sprintf("add %s to GROUP BY, or use an aggregate such as max(%s)", quoteName(c.Name), quoteName(c.Name))
	g.report(problem(codeUngrouped, g.at(offset), hint,
		"column %q must appear in the GROUP BY clause or be used in an aggregate function", name))
}

// aggregateColumn gives the column of the group batch that holds an
// aggregate; equal calls share one.
func (g *grouper) aggregateColumn(a *expr.Aggregate) expr.Expr {
	at := slices.IndexFunc(g.calls, func(o *expr.Aggregate) bool { return sameAggregate(o, a) })
	if at < 0 {
		at = len(g.calls)
		g.calls = append(g.calls, a)
		agg := Agg{Kind: a.Kind, Result: a.T}
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
	case containsAggregate(a.Arg) || a.Filter != nil && containsAggregate(a.Filter):
		g.failed = true
		g.report(problem(codeAggregate2, g.at(a.Offset), "", "aggregate function calls cannot be nested"))
	case a.Arg.Type().Kind == column.Interval && a.Kind != expr.Count:
		g.failed = true
		g.report(problem(codeAggregate2, g.at(a.Offset), "aggregate extract(epoch FROM …)", "aggregates over intervals are not supported"))
	}
}

func sameAggregate(a, b *expr.Aggregate) bool {
	same := func(x, y expr.Expr) bool {
		if x == nil || y == nil {
			return x == nil && y == nil
		}
		return expr.Equal(x, y)
	}
	return a.Kind == b.Kind && a.T == b.T && same(a.Arg, b.Arg) && same(a.Filter, b.Filter)
}

// buildBranches puts the inputs' columns in place.
func (g *grouper) buildBranches() {
	for i, in := range g.source.inputs {
		b := &Branch{Topic: in.topic, Source: i, Filter: conjunction(in.filters)}
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
