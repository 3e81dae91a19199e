package oracle

import (
	pg "github.com/pganalyze/pg_query_go/v6"
)

// timeColumn finds the column of the view's table that tells a row's event
// time: of a grouped view the window's start, or else its end, which alone says
// it of a session; of another the event time itself. -1 if there is none.
func (x *viewRun) timeColumn(columns []tableColumn) int {
	if x.query.gap != "" {
		return x.columnOf(columns, "end")
	}
	if i := x.columnOf(columns, "start"); i >= 0 {
		return i
	}
	return x.columnOf(columns, "end")
}

// columnOf finds the column that holds the "start" or the "end".
func (x *viewRun) columnOf(columns []tableColumn, what string) int {
	top := leftmost(x.query.top)
	shift := len(columns) - len(top.TargetList)
	if x.query.carries {
		shift = 0
		if len(x.view.key) == 0 {
			shift = 3 // _source, _partition, _offset stand before the view's own
		}
	}
	for i, t := range top.TargetList {
		if x.query.carries && i >= len(top.TargetList)-len(hidden) {
			break
		}
		if x.query.time(t.GetResTarget().Val, top) == what {
			return i + shift
		}
	}
	return -1
}

func leftmost(s *pg.SelectStmt) *pg.SelectStmt {
	for s.Op != pg.SetOperation_SETOP_NONE {
		s = s.Larg
	}
	return s
}

// time tells what time an expression of a query level is: "start" or "end" of
// the window or, where nothing is grouped, "start" for the event time; "" for
// anything else.
func (q *rewritten) time(val *pg.Node, s *pg.SelectStmt) string {
	if q.core != nil && s == q.core.query && q.core.bucket != nil && equal(val, q.core.bucket) {
		return "start"
	}
	name := refName(val)
	if name == "" || len(s.FromClause) != 1 {
		return ""
	}
	from := streamOf(s.FromClause[0])
	if v := from.GetRangeVar(); v != nil {
		t := q.sources[0]
		if q.core == nil && (name == t.eventTime || t.eventTime == "" && name == "_timestamp") {
			return "start"
		}
		return ""
	}
	sub := from.GetRangeSubselect().GetSubquery().GetSelectStmt()
	if sub == nil {
		return ""
	}
	sub = leftmost(sub)
	if q.tumbles[sub] != "" {
		switch name {
		case "window_start":
			return "start"
		case "window_end":
			return "end"
		}
	}
	for i, n := range from.GetRangeSubselect().GetAlias().GetColnames() {
		if n.GetString_().GetSval() == name && i < len(sub.TargetList) {
			return q.time(sub.TargetList[i].GetResTarget().Val, sub)
		}
	}
	for _, t := range sub.TargetList {
		if rt := t.GetResTarget(); rt.Name == name || rt.Name == "" && refName(rt.Val) == name {
			return q.time(rt.Val, sub)
		}
	}
	return ""
}
