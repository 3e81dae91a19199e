package oracle

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgtype"
	pg "github.com/pganalyze/pg_query_go/v6"
)

// cutoffs are what of a view's table can't be or need not be compared.
type cutoffs struct {
	lostBefore string // windows that start at or before it may lack records; "" for none
	expired    string // rows before it may have been deleted; "" for none
	gone       string // rows before it must have been deleted; "" while the view says that it is at it
}

// leaveOut takes those records out of the results that the view's table
// doesn't show: of windows that are not closed (emit 'final'), and of windows
// that lost records may belong to.
func (x *viewRun) leaveOut(ctx context.Context) error {
	s, v := x.session, x.view
	if x.query.gap != "" {
		if err := x.leaveOutSessions(ctx); err != nil {
			return err
		}
	} else if v.final {
		err := s.exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT r.ms__s, r.ms__rn, 'open', %s FROM %s AS r
			WHERE ms__we > coalesce((SELECT greatest(watermark, floor) FROM ms__views WHERE view_name = %s ORDER BY seq DESC LIMIT 1), '-infinity')
			ON CONFLICT DO NOTHING`, v.out(), x.windowSQL(), v.rec(), literal(v.name)))
		if err != nil {
			return err
		}
	}
	if err := x.leaveOutLost(ctx); err != nil {
		return err
	}
	if v.retention != "" {
		rows, err := s.rows(ctx, fmt.Sprintf(`SELECT (f - interval %[1]s)::text, CASE WHEN expiring THEN '' ELSE (f - interval %[1]s - greatest(interval %[1]s / 100, interval '1 second'))::text END
			FROM (SELECT final_before AS f, expiring FROM ms__views WHERE view_name = %[2]s ORDER BY seq DESC LIMIT 1) AS x WHERE isfinite(f)`,
			literal(v.retention), literal(v.name)))
		if err != nil {
			return err
		}
		if len(rows) > 0 {
			x.cutoffs.expired, x.cutoffs.gone = rows[0][0], rows[0][1]
		}
	}
	return s.exec(ctx, "ANALYZE "+v.out())
}

// leaveOutLost finds the greatest event time that a lost record can have had:
// the partition's own watermark after the lost range, plus the delay.
func (x *viewRun) leaveOutLost(ctx context.Context) error {
	var parts []string
	for _, t := range x.query.sources {
		for _, l := range x.loaded[t.index].lost {
			parts = append(parts, fmt.Sprintf(`(SELECT watermark + interval %s AS at FROM ms__parts
				WHERE foreign_table = %s AND partition = %d AND offset_to >= %d ORDER BY offset_to LIMIT 1)`,
				literal(t.delay), literal(t.table), l.partition, l.to))
		}
	}
	if len(parts) == 0 {
		return nil
	}
	rows, err := x.session.rows(ctx, fmt.Sprintf("SELECT coalesce(max(at)::text, 'infinity') FROM (%s) AS x", strings.Join(parts, " UNION ALL ")))
	if err != nil {
		return err
	}
	x.cutoffs.lostBefore = rows[0][0]
	if x.query.core == nil || x.query.gap != "" {
		return nil // rows are told apart by their offsets, sessions by their starts
	}
	return x.session.exec(ctx, fmt.Sprintf("INSERT INTO %s SELECT r.ms__s, r.ms__rn, 'lost', %s FROM %s AS r WHERE ms__ws IS NULL OR ms__ws <= %s ON CONFLICT DO NOTHING",
		x.view.out(), x.windowSQL(), x.view.rec(), literal(x.cutoffs.lostBefore)))
}

// tableColumn is a column of a view's table and the batch's.
type tableColumn struct {
	field
	want  string // its name in the want table
	float bool   // may differ by the tolerance
	about bool   // is an estimate: may differ by CountTolerance
}

func (x *viewRun) columns(ctx context.Context) ([]tableColumn, []string, error) {
	got, err := x.session.describe(ctx, "SELECT * FROM "+gotTable(x.view))
	if err != nil {
		return nil, nil, err
	}
	want, err := x.session.describe(ctx, "SELECT * FROM "+x.view.want())
	if err != nil {
		return nil, nil, err
	}
	if len(got) != len(want) {
		return nil, nil, fmt.Errorf("its table has %d columns, the query gives %d: %s", len(got), len(want), strings.Join(fieldNames(got), ", "))
	}
	key := x.snap.keys[x.view.name]
	if key == nil || x.query.core == nil && len(x.view.key) == 0 {
		key = nil
		if x.query.core == nil {
			key = []string{"_source", "_partition", "_offset"}
		}
	}
	out := make([]tableColumn, len(got))
	for i, f := range got {
		isFloat := f.oid == pgtype.Float4OID || f.oid == pgtype.Float8OID
		about := x.query.estimates(i)
		out[i] = tableColumn{f, want[i].name, (isFloat || about) && x.query.core != nil && !slices.Contains(key, f.name), about}
	}
	return out, key, nil
}

// compare compares the view's table with the batch's rows, both ways.
func (x *viewRun) compare(ctx context.Context) error {
	columns, key, err := x.columns(ctx)
	if err != nil {
		return err
	}
	if err := x.dropIncomparable(ctx, columns); err != nil {
		return err
	}
	if err := x.dropClosing(ctx, columns, key); err != nil {
		return err
	}
	s, v := x.session, x.view
	if len(key) == 0 { // nothing tells rows apart but all that is exact
		for _, c := range columns {
			if !c.float {
				key = append(key, c.name)
			}
		}
	}
	var got, want, gotExact, wantExact, gotKey, wantKey []string
	for i, c := range columns {
		alias := fmt.Sprintf("x%d", i+1)
		got = append(got, fmt.Sprintf(`%s::text COLLATE "C" AS %s`, ident(c.name), alias))
		want = append(want, fmt.Sprintf(`%s::text COLLATE "C" AS %s`, c.want, alias))
		if !c.float {
			gotExact, wantExact = append(gotExact, alias), append(wantExact, alias)
		}
		if slices.Contains(key, c.name) {
			gotKey, wantKey = append(gotKey, alias), append(wantKey, alias)
		}
	}
	row := func(names []string) string { return "ROW(" + strings.Join(names, ", ") + ")::text" }
	err = s.exec(ctx, fmt.Sprintf(`
		CREATE TEMP TABLE ms__a_%[1]d AS SELECT *, %[2]s AS k FROM (SELECT %[3]s FROM %[4]s) AS q;
		CREATE TEMP TABLE ms__b_%[1]d AS SELECT *, %[5]s AS k FROM (SELECT %[6]s FROM %[7]s) AS q;
		CREATE TEMP TABLE ms__extra_%[1]d AS SELECT k, %[8]s FROM ms__a_%[1]d EXCEPT ALL SELECT k, %[9]s FROM ms__b_%[1]d;
		CREATE TEMP TABLE ms__missing_%[1]d AS SELECT k, %[9]s FROM ms__b_%[1]d EXCEPT ALL SELECT k, %[8]s FROM ms__a_%[1]d;
		ANALYZE ms__a_%[1]d; ANALYZE ms__b_%[1]d`,
		v.index, row(gotKey), strings.Join(got, ", "), gotTable(v), row(wantKey), strings.Join(want, ", "), v.want(),
		strings.Join(gotExact, ", "), strings.Join(wantExact, ", ")))
	if err != nil {
		return err
	}
	return x.tell(ctx, columns)
}

// tell reports the rows of extra and missing: as one changed row where both
// have the same key.
func (x *viewRun) tell(ctx context.Context, columns []tableColumn) error {
	v := x.view
	var shown, changed, floats, near []string
	for i, c := range columns {
		name := literal(c.name)
		at := fmt.Sprintf("x%d", i+1)
		shown = append(shown, fmt.Sprintf("%s || '=' || coalesce(r.%s, 'NULL')", name, at))
		if !c.float {
			changed = append(changed, fmt.Sprintf("CASE WHEN a.%[1]s IS DISTINCT FROM b.%[1]s THEN %[2]s || ' is ' || coalesce(a.%[1]s, 'NULL') || ', should be ' || coalesce(b.%[1]s, 'NULL') END", at, name))
			continue
		}
		tolerance, number := FloatTolerance, "double precision"
		if c.oid == pgtype.Float4OID {
			tolerance, number = RealTolerance, "real"
		}
		if c.about {
			tolerance = CountTolerance
		}
		close := fmt.Sprintf("pg_temp.ms__near(a.%[1]s::%[2]s, b.%[1]s::%[2]s, %[3]g)", at, number, tolerance)
		near = append(near, "NOT "+close)
		floats = append(floats, fmt.Sprintf("CASE WHEN NOT %s THEN %s || ' is ' || coalesce(a.%s, 'NULL') || ', should be ' || coalesce(b.%[3]s, 'NULL') END", close, name, at))
	}
	all := "concat_ws(', ', " + strings.Join(shown, ", ") + ")"
	queries := []struct{ kind, sql string }{
		{"columns differ", fmt.Sprintf("SELECT a.k, concat_ws('; ', %s) FROM ms__extra_%[2]d AS a JOIN ms__missing_%[2]d AS b USING (k) ORDER BY a.k", strings.Join(changed, ", "), v.index)},
		{"missing row", fmt.Sprintf("SELECT r.k, %s FROM ms__b_%[2]d AS r WHERE r.k IN (SELECT k FROM ms__missing_%[2]d) AND r.k NOT IN (SELECT k FROM ms__extra_%[2]d) ORDER BY r.k", all, v.index)},
		{"extra row", fmt.Sprintf("SELECT r.k, %s FROM ms__a_%[2]d AS r WHERE r.k IN (SELECT k FROM ms__extra_%[2]d) AND r.k NOT IN (SELECT k FROM ms__missing_%[2]d) ORDER BY r.k", all, v.index)},
	}
	if len(floats) > 0 {
		queries = append(queries, struct{ kind, sql string }{"columns differ", fmt.Sprintf(
			"SELECT a.k, concat_ws('; ', %s) FROM ms__a_%[2]d AS a JOIN ms__b_%[2]d AS b USING (k) WHERE %[3]s ORDER BY a.k", strings.Join(floats, ", "), v.index, strings.Join(near, " OR "))})
	}
	for _, q := range queries {
		if err := x.differences(ctx, v.name, q.kind, q.sql); err != nil {
			return err
		}
	}
	return nil
}

// estimates tells whether output i of the query is over approx_count_distinct.
func (q *rewritten) estimates(i int) bool {
	if q.core == nil || len(q.core.approximate) == 0 || i >= len(q.top.TargetList) {
		return false
	}
	rt := q.top.TargetList[i].GetResTarget()
	if q.core.query == q.top {
		return slices.Contains(q.core.approximate, rt.Name)
	}
	found := false
	visit(rt.Val, nil, func(n *pg.Node) { found = found || slices.Contains(q.core.approximate, refName(n)) })
	return found
}

// nearFunction tells that two sums are the same but for rounding.
const nearFunction = `
CREATE FUNCTION pg_temp.ms__near(a double precision, b double precision, tolerance double precision) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
	SELECT CASE
		WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL
		WHEN a = b THEN true
		WHEN a IN ('NaN', 'Infinity', '-Infinity') OR b IN ('NaN', 'Infinity', '-Infinity') THEN false
		ELSE abs(a / 2 - b / 2) <= tolerance * greatest(abs(a), abs(b)) / 2 END
$$;
`

// dropIncomparable takes rows out of both sides that retention may have
// deleted or that lost records may have shaped.
func (x *viewRun) dropIncomparable(ctx context.Context, columns []tableColumn) error {
	if x.cutoffs.expired == "" && x.cutoffs.lostBefore == "" {
		return nil
	}
	v := x.view
	i := x.timeColumn(columns)
	switch {
	case x.cutoffs.lostBefore != "" && x.query.core == nil:
		return x.dropLostRows(ctx, columns)
	case x.cutoffs.lostBefore != "" && x.query.gap != "":
		if err := x.dropLostSessions(ctx, columns); err != nil {
			return err
		}
	case i < 0:
		x.unchecked("view %s: no column of it tells its rows' event time, so rows that lost records may have shaped can't be told apart", v.name)
		return x.session.exec(ctx, fmt.Sprintf("TRUNCATE %s, %s", gotTable(v), v.want()))
	}
	c := columns[i]
	if x.cutoffs.lostBefore != "" && x.query.gap == "" {
		err := x.session.exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s::timestamptz <= %s", gotTable(v), ident(c.name), literal(x.cutoffs.lostBefore)))
		if err != nil {
			return err
		}
	}
	if x.cutoffs.expired == "" {
		return nil
	}
	if x.cutoffs.gone == "" {
		return x.dropExpired(ctx, c)
	}
	err := x.differences(ctx, v.name, "row outstays its retention", fmt.Sprintf("SELECT %[1]s::text, 'everything before ' || %[2]s || ' should be gone' FROM %[3]s WHERE %[1]s::timestamptz < %[2]s ORDER BY 1",
		ident(c.name), literal(x.cutoffs.gone), gotTable(v)))
	if err != nil {
		return err
	}
	return x.dropExpired(ctx, c)
}

func (x *viewRun) dropExpired(ctx context.Context, c tableColumn) error {
	return x.session.exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE %s::timestamptz < %s; DELETE FROM %s WHERE %s::timestamptz < %[3]s",
		gotTable(x.view), ident(c.name), literal(x.cutoffs.expired), x.view.want(), c.want))
}

// dropClosing leaves out what a view with emit 'final' has still to write: it
// closes windows up to its floor over several commits, and only rows of those
// up to final_before are all there. A row of the others may be missing; one
// that is there must be right.
func (x *viewRun) dropClosing(ctx context.Context, columns []tableColumn, key []string) error {
	s, v := x.session, x.view
	if !v.final {
		return nil
	}
	rows, err := s.rows(ctx, `SELECT final_before::text, floor::text FROM ms__views WHERE view_name = $1 AND seq = (SELECT max(seq) FROM ms__views) AND final_before < floor`, v.name)
	if err != nil || len(rows) == 0 {
		return err
	}
	end := ""
	if i := x.columnOf(columns, "start"); i >= 0 && x.query.gap == "" {
		if end, err = x.query.endSQL("w." + columns[i].want); err != nil {
			return err
		}
	}
	if i := x.columnOf(columns, "end"); i >= 0 {
		end = fmt.Sprintf("w.%s::timestamptz", columns[i].want)
	}
	closes := end
	if x.query.gap != "" {
		closes = end + " + " + x.query.gap
	}
	if end == "" {
		return fmt.Errorf("view %s is closing windows, and none of its columns tells which: verify it again when it is done", v.name)
	}
	var same []string
	for _, c := range columns {
		if slices.Contains(key, c.name) {
			same = append(same, fmt.Sprintf("g.%s::text IS NOT DISTINCT FROM w.%s::text", ident(c.name), c.want))
		}
	}
	return s.exec(ctx, fmt.Sprintf("DELETE FROM %s AS w WHERE %s > %s AND %s <= %s AND NOT EXISTS (SELECT FROM %s AS g WHERE %s)",
		v.want(), end, literal(rows[0][0]), closes, literal(rows[0][1]), gotTable(v), strings.Join(same, " AND ")))
}

func (x *viewRun) dropLostRows(ctx context.Context, columns []tableColumn) error {
	for i, t := range x.query.sources {
		for _, l := range x.loaded[t.index].lost {
			err := x.session.exec(ctx, fmt.Sprintf("DELETE FROM %s WHERE _source = %d AND _partition = %d AND _offset < %d", gotTable(x.view), i, l.partition, l.to))
			if err != nil {
				return err
			}
		}
	}
	if len(x.view.key) > 0 { // a key's last row may have been lost
		x.unchecked("view %s: rows of lost records are left out", x.view.name)
		key := func(table string, name func(tableColumn) string) string {
			var parts []string
			for _, c := range columns {
				if slices.Contains(x.view.key, c.name) {
					parts = append(parts, table+"."+name(c)+"::text")
				}
			}
			return "ROW(" + strings.Join(parts, ", ") + ")"
		}
		return x.session.exec(ctx, fmt.Sprintf("DELETE FROM %s AS w WHERE NOT EXISTS (SELECT 1 FROM %s AS g WHERE %s = %s)", x.view.want(), gotTable(x.view),
			key("w", func(c tableColumn) string { return c.want }), key("g", func(c tableColumn) string { return ident(c.name) })))
	}
	return nil
}
