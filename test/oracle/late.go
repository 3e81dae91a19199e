package oracle

import (
	"context"
	"fmt"
	"strings"
)

// judgedSQL lists the records that pass the WHERE with what decides whether they
// are late.
func (x *viewRun) judgedSQL(source int, t *topic) string {
	lost := "true"
	for _, l := range x.loaded[t.index].lost {
		lost += fmt.Sprintf(" AND r.ms__p <> %d", l.partition) // what its watermark was is not known
	}
	return fmt.Sprintf(`
		SELECT r.ms__s, %s AS place, r.ms__p, r.ms__o, r.ms__et, r.ms__ws, r.ms__we, w.wm,
			coalesce(b.floor, '-infinity') AS floor_before, coalesce(a.floor, '-infinity') AS floor_after, c.seq_from < c.seq AS merged
		FROM %s AS r
		JOIN ms__wm_%d AS w ON w.ms__p = r.ms__p AND w.ms__o = r.ms__o
		JOIN ms__parts AS c ON c.foreign_table = %s AND c.partition = r.ms__p AND c.seq = w.cseq
		LEFT JOIN ms__views AS b ON b.view_name = %s AND b.seq = c.seq_from - 1
		LEFT JOIN ms__views AS a ON a.view_name = %[5]s AND a.seq = c.seq
		WHERE r.ms__s = %d AND r.ms__we IS NOT NULL AND r.`+ofLog+` AND %s`,
		t.placeSQL("r.ms__p", "r.ms__o"), x.view.rec(), t.index, literal(t.table), literal(x.view.name), source, lost)
}

// checkLateness compares late_rows with what the partitions' own watermarks,
// recomputed, and the recorded floors say.
//
// A record is judged by the floor of the commit before its own. Where old
// commits were merged, that floor is known only to lie between the floors
// before and after the merged ones; there a record late by the floor is
// accepted if the ledger's floor lies between them.
func (x *viewRun) checkLateness(ctx context.Context) error {
	s, v := x.session, x.view
	var parts []string
	for i, t := range x.query.sources {
		parts = append(parts, x.judgedSQL(i, t))
	}
	judged := fmt.Sprintf("ms__judged_%d", v.index)
	err := s.exec(ctx, fmt.Sprintf(`
		CREATE TEMP TABLE %[1]s AS
		SELECT j.*, l.cause, l.event_time AS l_time, l.window_start AS l_start, l.window_end AS l_end, l.watermark AS l_watermark, l.floor AS l_floor, l.accepted AS l_accepted,
			j.ms__we <= j.wm AS by_watermark,
			j.ms__we <= j.floor_before OR coalesce(j.merged AND l.floor BETWEEN j.floor_before AND j.floor_after AND j.ms__we <= l.floor, false) AS by_floor
		FROM (%[2]s) AS j
		LEFT JOIN ms__late AS l ON l.view_name = %[3]s AND l.source = j.ms__s AND l.partition = j.ms__p AND l."offset" = j.ms__o%[4]s`,
		judged, strings.Join(parts, " UNION ALL "), literal(v.name), x.sameWindow("l", "j")))
	if err != nil {
		return err
	}
	const window = `'window ' || ms__ws || ' to ' || ms__we || ', own watermark ' || coalesce(wm::text, 'none') || ', floor ' || floor_before`
	for _, c := range []struct{ kind, detail, where string }{
		{"late record is not in late_rows", window, "cause IS NULL AND (by_watermark OR by_floor)"},
		{"record in late_rows is not late", window, "cause IS NOT NULL AND NOT by_watermark AND NOT by_floor"},
		{"wrong cause in late_rows", "cause || ', ' || " + window, "cause IS NOT NULL AND (by_watermark OR by_floor) AND cause IS DISTINCT FROM CASE WHEN by_watermark THEN 'watermark' ELSE 'floor' END"},
		{"late_rows is wrong", "'has event time ' || l_time || ', window ' || l_start || ' to ' || l_end || ', watermark ' || l_watermark || ', floor ' || l_floor || '; should be event time ' || ms__et || ', ' || " + window,
			"cause IS NOT NULL AND (l_time, l_start, l_end, l_watermark) IS DISTINCT FROM (ms__et, ms__ws, ms__we, wm) OR cause IS NOT NULL AND NOT merged AND l_floor <> floor_before"},
		{"late_rows is wrong", "'should say that the record is accepted: ' || NOT l_accepted",
			fmt.Sprintf("cause IS NOT NULL AND l_accepted <> EXISTS (SELECT FROM %s AS o WHERE (o.ms__s, o.ms__p, o.ms__o) = (j.ms__s, j.ms__p, j.ms__o) AND o.cause IS NULL)", judged)},
	} {
		if err := x.differences(ctx, v.name, c.kind, fmt.Sprintf("SELECT place, %s FROM %s AS j WHERE %s ORDER BY ms__p, ms__o", c.detail, judged, c.where)); err != nil {
			return err
		}
	}
	for i, t := range x.query.sources {
		known := "true"
		for _, l := range x.loaded[t.index].lost {
			known += fmt.Sprintf(" AND l.partition <> %d", l.partition)
		}
		err := x.differences(ctx, v.name, "late_rows has a record that the view does not read", fmt.Sprintf(`
			SELECT %s, 'window ' || l.window_start || ' to ' || l.window_end FROM ms__late AS l
			WHERE l.view_name = %s AND l.source = %d AND %s AND NOT EXISTS (
				SELECT 1 FROM %s AS r WHERE r.`+ofLog+` AND r.ms__s = l.source AND r.ms__p = l.partition AND r.ms__o = l."offset" AND r.ms__we IS NOT NULL%s)`,
			t.placeSQL("l.partition", `l."offset"`), literal(v.name), i, known, v.rec(), x.sameWindow("l", "r")))
		if err != nil {
			return err
		}
		err = s.exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT r.ms__s, r.ms__rn, 'late', %s FROM %s AS r
			JOIN ms__late AS l ON l.view_name = %s AND l.source = r.ms__s AND l.partition = r.ms__p AND l."offset" = r.ms__o%s
			WHERE r.ms__s = %d AND r.`+ofLog+` ON CONFLICT DO NOTHING`, v.out(), x.windowSQL(), v.rec(), literal(v.name), x.sameWindow("l", "r"), i))
		if err != nil {
			return err
		}
	}
	return nil
}

// sameWindow joins late_rows with records' windows, of which a record has
// several where they overlap.
func (x *viewRun) sameWindow(late, record string) string {
	if !x.query.hops {
		return ""
	}
	return fmt.Sprintf(" AND %s.window_start = %s.ms__ws", late, record)
}

// checkCounts recomputes the fates' counts for each branch and partition.
func (x *viewRun) checkCounts(ctx context.Context) error {
	v := x.view
	for i, t := range x.query.sources {
		whole := "true"
		for _, l := range x.loaded[t.index].lost {
			whole += fmt.Sprintf(" AND p.partition <> %d", l.partition)
		}
		err := x.differences(ctx, v.name, "counts differ", fmt.Sprintf(`
			WITH p AS (
				SELECT partition, min(offset_from) AS a, max(offset_to) AS b FROM ms__parts WHERE foreign_table = %[1]s GROUP BY 1
			), true_counts AS (
				SELECT p.partition, p.b - p.a - r.n AS skipped, r.n AS read, coalesce(l.n, 0) AS late,
					coalesce(q.n, 0) + coalesce(bad.n, 0) AS quarantined, coalesce(e.n, 0) - coalesce(l.n, 0) AS accepted
				FROM p
				CROSS JOIN LATERAL (SELECT count(*) AS n FROM %[2]s WHERE ms__p = p.partition) AS r
				LEFT JOIN (SELECT ms__p, count(DISTINCT ms__rn) AS n FROM %[3]s GROUP BY 1) AS e ON e.ms__p = p.partition
				LEFT JOIN (SELECT partition, count(*) AS n FROM (
					SELECT partition, "offset" FROM ms__late AS l WHERE view_name = %[4]s AND source = %[5]d GROUP BY 1, 2
					HAVING count(*) = greatest(1, (SELECT count(*) FROM %[3]s WHERE ms__p = l.partition AND ms__o = l."offset"))) AS all_windows GROUP BY 1) AS l ON l.partition = p.partition
				LEFT JOIN (SELECT partition, count(*) AS n FROM ms__quarantine WHERE foreign_table = %[1]s AND view_name = %[4]s AND source = %[5]d GROUP BY 1) AS q ON q.partition = p.partition
				LEFT JOIN (SELECT r.ms__p, count(*) AS n FROM %[6]s JOIN %[2]s AS r USING (ms__rn) GROUP BY 1) AS bad ON bad.ms__p = p.partition
				WHERE %[7]s
			)
			SELECT %[8]s, format('read %%s accepted %%s filtered %%s late %%s quarantined %%s skipped %%s, should be read %%s accepted %%s filtered %%s late %%s quarantined %%s skipped %%s',
				i.read, i.accepted, i.filtered, i.late, i.quarantined, i.skipped, t.read, t.accepted, t.read - t.accepted - t.late - t.quarantined, t.late, t.quarantined, t.skipped)
			FROM true_counts AS t
			LEFT JOIN ms__inputs AS i ON i.view_name = %[4]s AND i.source = %[5]d AND i.foreign_table = %[1]s AND i.partition = t.partition
			WHERE (coalesce(i.read, 0), coalesce(i.accepted, 0), coalesce(i.filtered, 0), coalesce(i.late, 0), coalesce(i.quarantined, 0), coalesce(i.skipped, 0))
				IS DISTINCT FROM (t.read, t.accepted, t.read - t.accepted - t.late - t.quarantined, t.late, t.quarantined, t.skipped)
			ORDER BY t.partition`,
			literal(t.table), t.raw(), fmt.Sprintf("(SELECT * FROM %s WHERE ms__s = %d AND %s) AS e0", v.rec(), i, ofLog), literal(v.name), i, t.bad(), whole,
			fmt.Sprintf("%s || t.partition", literal(fmt.Sprintf("branch %d, %s partition ", i, t.table)))))
		if err != nil {
			return err
		}
	}
	return nil
}
