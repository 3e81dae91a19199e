package oracle

import (
	"fmt"
	"strings"

	pg "github.com/pganalyze/pg_query_go/v6"
)

// rowQuery gives one row for each record that passes the WHERE: the hidden
// columns, and everything that is evaluated per record: the outputs of a
// query that doesn't group, the keys and the aggregates' arguments of one
// that does. Its columns are the hidden ones and then c1, c2, ….
func (q *rewritten) rowQuery() (string, int, error) {
	if q.core == nil {
		text, err := selectSQL(q.top)
		if err != nil {
			return "", 0, err
		}
		n := outputs(q.top)
		names := make([]string, 0, n+len(hidden))
		for i := range n {
			names = append(names, fmt.Sprintf("c%d", i+1))
		}
		all := append(append([]string{}, hidden...), names...)
		names = append(names, hidden...)
		return fmt.Sprintf("SELECT %s FROM (%s) AS ms__q (%s)", strings.Join(all, ", "), text, strings.Join(names, ", ")), n, nil
	}
	s := clone(q.core.query)
	s.GroupClause, s.HavingClause, s.DistinctClause = nil, nil, nil
	start, end := "ms__ws", "ms__we"
	switch {
	case q.ttl:
		start, end = "ms__et", "ms__et + "+q.gap
	case q.core.bucket != nil:
		var err error
		if start, end, err = q.bucketSQL(); err != nil {
			return "", 0, err
		}
	}
	first, err := parseSelect(fmt.Sprintf("SELECT ms__s, ms__p, ms__o, ms__rn, ms__et, %s AS ms__ws, %s AS ms__we, ms__v", start, end))
	if err != nil {
		return "", 0, err
	}
	s.TargetList = first.TargetList
	n := 0
	add := func(e *pg.Node) {
		n++
		s.TargetList = append(s.TargetList, target(fmt.Sprintf("c%d", n), e))
	}
	for _, k := range q.core.keys {
		add(clone(k))
	}
	for _, a := range q.core.aggs {
		e, err := perRecord(a.GetFuncCall(), argument(a.GetFuncCall()))
		if err != nil {
			return "", 0, err
		}
		add(e)
	}
	for _, a := range q.core.aggs { // what their rows are ordered by
		for _, by := range a.GetFuncCall().AggOrder {
			e, err := perRecord(a.GetFuncCall(), by.GetSortBy().Node)
			if err != nil {
				return "", 0, err
			}
			add(e)
		}
	}
	text, err := selectSQL(s)
	return text, n, err
}

// outputs is the number of a query's own columns, the hidden ones apart.
func outputs(s *pg.SelectStmt) int { return len(leftmost(s).TargetList) - len(hidden) }

// argument is what an aggregate takes of a record, nil for nothing. JSON is made
// record by record, so that one which can't be part of it fails alone.
func argument(a *pg.FuncCall) *pg.Node {
	name := a.Funcname[len(a.Funcname)-1].GetString_().GetSval()
	build := map[string]string{"jsonb_agg": "jsonb_build_array", "jsonb_object_agg": "jsonb_build_object"}[name]
	switch {
	case name == "percentile_cont":
		return double(a.AggOrder[0].GetSortBy().Node)
	case a.AggWithinGroup:
		return a.AggOrder[0].GetSortBy().Node
	case name == "approx_percentile":
		return double(a.Args[0])
	case build != "":
		return &pg.Node{Node: &pg.Node_FuncCall{FuncCall: &pg.FuncCall{Funcname: []*pg.Node{stringNode(build)}, Args: a.Args}}}
	case len(a.Args) > 0:
		return a.Args[0]
	}
	return nil
}

// double is the cast that an aggregate over double precision makes of its
// argument.
func double(e *pg.Node) *pg.Node {
	t := &pg.TypeName{Names: []*pg.Node{stringNode("float8")}, Typemod: -1}
	return &pg.Node{Node: &pg.Node_TypeCast{TypeCast: &pg.TypeCast{Arg: e, TypeName: t}}}
}

// perRecord is what an aggregate evaluates for a record: its filter, and e,
// which may be nil, where the filter holds.
func perRecord(a *pg.FuncCall, e *pg.Node) (*pg.Node, error) {
	filter, arg := "", ""
	var err error
	if a.AggFilter != nil {
		if filter, err = exprSQL(a.AggFilter); err != nil {
			return nil, err
		}
	}
	if e != nil {
		if arg, err = exprSQL(e); err != nil {
			return nil, err
		}
	}
	switch {
	case filter == "" && arg == "":
		return parseExpr("true")
	case arg == "":
		return parseExpr(filter)
	case filter == "":
		return parseExpr(arg)
	}
	return parseExpr(fmt.Sprintf("CASE WHEN %s THEN %s END", filter, arg))
}

// bucketSQL is the start and the end of the bucket that the query groups by.
func (q *rewritten) bucketSQL() (start, end string, err error) {
	key, err := exprSQL(q.core.bucket)
	if err != nil {
		return "", "", err
	}
	end, err = q.endSQL("(" + key + ")")
	return "(" + key + ")::timestamptz", end, err
}

// endFunction gives the first instant after the start of a date_trunc bucket
// that belongs to another bucket. Where the zone changes its offset just
// before the end that the calendar suggests, it is looked for around that, in
// steps of a quarter of an hour: all changes of the last fifty years fall on
// one.
const endFunction = `
CREATE FUNCTION pg_temp.ms__end(start timestamptz, unit text, zone text) RETURNS timestamptz
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
	step interval := CASE lower(unit)
		WHEN 'quarter' THEN interval '3 months' WHEN 'decade' THEN interval '10 years'
		WHEN 'century' THEN interval '100 years' WHEN 'millennium' THEN interval '1000 years'
		ELSE ('1 ' || unit)::interval END;
	calendar timestamptz := ((start AT TIME ZONE zone) + step) AT TIME ZONE zone;
	found timestamptz;
BEGIN
	IF step <= interval '1 minute' OR zone = 'UTC' THEN
		RETURN start + step;
	END IF;
	IF (calendar AT TIME ZONE zone) - ((calendar - interval '3 hours') AT TIME ZONE zone) = interval '3 hours' AND date_trunc(unit, calendar, zone) <> start THEN
		RETURN calendar;
	END IF;
	SELECT min(t) INTO found
	FROM generate_series(greatest(start + interval '15 minutes', calendar - interval '3 hours'), calendar + interval '3 hours', interval '15 minutes') AS t
	WHERE date_trunc(unit, t, zone) <> start;
	RETURN coalesce(found, calendar);
END $$`
