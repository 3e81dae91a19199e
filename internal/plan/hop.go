package plan

import (
	"slices"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// overlapping tells whether an expression over records uses the window that
// hop gives: a record has several.
func overlapping(e expr.Expr) bool {
	found := false
	expr.Walk(e, func(n expr.Expr) bool {
		if a, ok := expr.AsWindowCall(n); ok {
			_, hop := a.(*window.Hop)
			found = found || hop
		}
		return !found
	})
	return found
}

// overlaps tells it of an expression over the relation.
func (r *relation) overlaps(e expr.Expr) bool {
	for _, in := range r.inputs {
		if e != nil && overlapping(substitute(e, in.columns)) {
			return true
		}
	}
	return false
}

// overlaps tells it of a join's condition.
func (j *Join) overlaps() bool {
	return j.On != nil && overlapping(j.On) || slices.ContainsFunc(j.Keys, overlapping)
}

// hops gives the overlapping windows of the relation's events: of several
// calls of hop one that is not the first's. nil for none.
func (r *relation) hops() *window.Hop {
	var found *window.Hop
	for _, in := range r.inputs {
		for _, b := range in.buckets {
			if h, ok := b.assigner.(*window.Hop); ok && (found == nil || !sameWindow(h, found)) {
				found = h
			}
		}
	}
	return found
}

func ungroupedHop(pos diag.Position, what string) *diag.Diagnostic {
	return problem(codeHopColumn, pos, "GROUP BY window_start, or leave hop out",
		"%s reads hop(…) and does not group by its windows: an event would be there once for each of them", what)
}

func hopColumn(pos diag.Position, place, hint string) *diag.Diagnostic {
	return problem(codeHopColumn, pos, hint, "%s uses the window of hop, and an event is in several", place)
}

const hopFilterHint = "put the condition into HAVING, or into a query around the grouping"

// checkOverlap refuses a grouping of overlapping windows' events that is not
// by these windows, and the window in all that is evaluated for single
// records: other keys, and aggregates' arguments.
func (g *grouper) checkOverlap(pos diag.Position) {
	if h := g.source.hops(); h != nil && (g.out.window == nil || !sameWindow(h, g.out.window.Assigner)) {
		g.failed = true
		g.report(ungroupedHop(pos, "the grouping"))
		return
	}
	refuse := func(pos diag.Position, place, hint string) {
		g.failed = true
		g.report(hopColumn(pos, place, hint))
	}
	for i, k := range g.exprs {
		if !g.cut[i] && g.source.overlaps(k.expr) {
			refuse(k.pos, g.clause+" "+k.name, "group by window_start, and compute with it in the SELECT")
		}
	}
	for _, a := range g.calls {
		if g.source.overlaps(a.Arg) {
			refuse(g.at(a.Offset), expr.SQL(a), "aggregate the topic's columns; window_start and window_end are there beside the aggregates")
		}
		if g.source.overlaps(a.Filter) {
			refuse(g.at(a.Offset), "FILTER of "+a.Kind.String(), "filter by the topic's columns")
		}
	}
}
