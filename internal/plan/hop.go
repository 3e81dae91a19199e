package plan

import (
	"slices"

	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
)

// ofGroups tells windows that are known of a group only: those of hop, of
// which an event has several, and of session, which follow from other events.
func ofGroups(a window.Assigner) bool {
	switch a.(type) {
	case *window.Hop, *window.Session:
		return true
	}
	return false
}

// groupWindow gives the window of hop or session that an expression over
// records uses, nil for none.
func groupWindow(e expr.Expr) window.Assigner {
	var found window.Assigner
	expr.Walk(e, func(n expr.Expr) bool {
		if a, ok := expr.AsWindowCall(n); ok && ofGroups(a.(window.Assigner)) {
			found = a.(window.Assigner)
		}
		return found == nil
	})
	return found
}

// groupWindow gives it of an expression over the relation.
func (r *relation) groupWindow(e expr.Expr) window.Assigner {
	for _, in := range r.inputs {
		if e == nil {
			return nil
		}
		if a := groupWindow(substitute(e, in.columns)); a != nil {
			return a
		}
	}
	return nil
}

// groupWindow gives it of a join's condition.
func (j *Join) groupWindow() window.Assigner {
	for _, e := range append(slices.Clone(j.Keys), j.On) {
		if e == nil {
			continue
		}
		if a := groupWindow(e); a != nil {
			return a
		}
	}
	return nil
}

// groupWindows gives the windows of hop or session of the relation's events: of
// several calls one that is not the first's. nil for none.
func (r *relation) groupWindows() window.Assigner {
	var found window.Assigner
	for _, in := range r.inputs {
		for _, b := range in.buckets {
			if ofGroups(b.assigner) && (found == nil || !sameWindow(b.assigner, found)) {
				found = b.assigner
			}
		}
	}
	return found
}

func ungroupedWindow(pos diag.Position, what string, a window.Assigner) *diag.Diagnostic {
	if _, session := a.(*window.Session); session {
		return problem(codeHopColumn, pos, "GROUP BY window_start, window_end, or leave session out",
			"%s reads session(…) and does not group by its windows: a session is what a group's events are", what)
	}
	return problem(codeHopColumn, pos, "GROUP BY window_start, or leave hop out",
		"%s reads hop(…) and does not group by its windows: an event would be there once for each of them", what)
}

func windowColumn(pos diag.Position, a window.Assigner, place, hint string) *diag.Diagnostic {
	if _, session := a.(*window.Session); session {
		return problem(codeHopColumn, pos, hint, "%s uses the window of session, which an event alone does not tell", place)
	}
	return problem(codeHopColumn, pos, hint, "%s uses the window of hop, and an event is in several", place)
}

const hopFilterHint = "put the condition into HAVING, or into a query around the grouping"

// checkWindow refuses a grouping of hop's or session's events that is not by
// these windows, and the window in all that is evaluated for single records:
// other keys, and aggregates' arguments.
func (g *grouper) checkWindow(pos diag.Position) {
	if a := g.source.groupWindows(); a != nil && (g.out.window == nil || !sameWindow(a, g.out.window.Assigner)) {
		g.failed = true
		g.report(ungroupedWindow(pos, "the grouping", a))
		return
	}
	refuse := func(e expr.Expr, pos diag.Position, place, hint string) {
		if a := g.source.groupWindow(e); a != nil {
			g.failed = true
			g.report(windowColumn(pos, a, place, hint))
		}
	}
	for i, k := range g.exprs {
		if !g.cut[i] {
			refuse(k.expr, k.pos, g.clause+" "+k.name, "group by window_start, and compute with it in the SELECT")
		}
	}
	for _, a := range g.calls {
		refuse(a.Arg, g.at(a.Offset), expr.SQL(a), "aggregate the topic's columns; window_start and window_end are there beside the aggregates")
		refuse(a.Filter, g.at(a.Offset), "FILTER of "+a.Kind.String(), "filter by the topic's columns")
	}
}
