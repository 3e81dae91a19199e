package oracle

import (
	"context"
	"fmt"
	"strings"
)

// Sessions are islands of events: those of one key that are not refused and
// not late, in the order of their times, cut where one comes more than the gap
// after the one before. They are found by PostgreSQL's window functions over
// the records of rec. The query's window_start and window_end are then looked
// up by record. As long as none is there, a record is a session by itself, as
// it is for lateness.

// ses is the temporary table of the sessions that records belong to.
func (v *view) ses() string { return fmt.Sprintf("ms__ses_%d", v.index) }

// sessionBound is the start or the end of the session of a record.
func (v *view) sessionBound(which, record, alone string) string {
	return fmt.Sprintf("pg_temp.ms__session_%s_%d(%[3]sms__s, %[3]sms__rn, %s)", which, v.index, record, alone)
}

// sessionFunctions makes the table and the functions over it, for event times
// with and without zone.
func (x *viewRun) sessionFunctions() string {
	sql := fmt.Sprintf(";CREATE TEMP TABLE %s (ms__s integer, ms__rn bigint, ms__start timestamptz, ms__end timestamptz, PRIMARY KEY (ms__s, ms__rn));", x.view.ses())
	for _, which := range []string{"start", "end"} {
		for _, t := range []string{"timestamptz", "timestamp"} {
			sql += fmt.Sprintf("CREATE FUNCTION pg_temp.ms__session_%[1]s_%[2]d(s integer, rn bigint, alone %[3]s) RETURNS %[3]s LANGUAGE sql STABLE AS $$ SELECT coalesce((SELECT ms__%[1]s::%[3]s FROM %[4]s AS x WHERE (x.ms__s, x.ms__rn) = (s, rn)), alone) $$;",
				which, x.view.index, t, x.view.ses())
		}
	}
	return sql
}

// windowKeys tells which of the grouping's keys are the session's start or end,
// and "" for the others.
func (q *rewritten) windowKeys() []string {
	out := make([]string, len(q.core.keys))
	for i, k := range q.core.keys {
		out[i] = q.time(k, q.core.query)
	}
	return out
}

// findSessions fills the table of sessions with those of the records that are
// in the view's results.
func (x *viewRun) findSessions(ctx context.Context) error {
	var keys []string
	for i, which := range x.query.windowKeys() {
		if which == "" {
			keys = append(keys, fmt.Sprintf("c%d", i+1))
		}
	}
	by := ""
	if len(keys) > 0 {
		by = "PARTITION BY " + strings.Join(keys, ", ")
	}
	island := strings.Join(append(keys, "island"), ", ")
	return x.session.exec(ctx, fmt.Sprintf(`
		INSERT INTO %[1]s
		SELECT ms__s, ms__rn, min(ms__ws) OVER one, max(ms__ws) OVER one + %[2]s
		FROM (
			SELECT *, count(*) FILTER (WHERE fresh) OVER (%[3]s ORDER BY ms__ws, ms__s, ms__rn) AS island
			FROM (
				SELECT *, coalesce(ms__ws > lag(ms__ws) OVER (%[3]s ORDER BY ms__ws, ms__s, ms__rn) + %[2]s, true) AS fresh
				FROM %[4]s AS r WHERE NOT EXISTS (SELECT FROM %[5]s AS o WHERE (o.ms__s, o.ms__rn) = (r.ms__s, r.ms__rn))
			) AS marked
		) AS numbered WINDOW one AS (PARTITION BY %[6]s);
		ANALYZE %[1]s`,
		x.view.ses(), x.query.gap, by, x.view.rec(), x.view.out(), island))
}

// leaveOutSessions takes the records of sessions out of the results that are
// open, where the view shows only those that are closed: until the gap has
// passed after a session's end, it may grow.
func (x *viewRun) leaveOutSessions(ctx context.Context) error {
	if err := x.findSessions(ctx); err != nil {
		return err
	}
	if x.query.ttl {
		return x.leaveOutForgotten(ctx)
	}
	if !x.view.final {
		return nil
	}
	return x.session.exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT ms__s, ms__rn, 'open' FROM %s
		WHERE ms__end + %s > coalesce((SELECT greatest(watermark, floor) FROM ms__views WHERE view_name = %s ORDER BY seq DESC LIMIT 1), '-infinity')`,
		x.view.out(), x.view.ses(), x.query.gap, literal(x.view.name)))
}

// leaveOutForgotten takes the records of all sessions but the last of their key
// out of the results.
func (x *viewRun) leaveOutForgotten(ctx context.Context) error {
	keys := make([]string, 0, len(x.query.core.keys))
	for i := range x.query.core.keys {
		keys = append(keys, fmt.Sprintf("c%d", i+1))
	}
	return x.session.exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT ms__s, ms__rn, 'forgotten'
		FROM (SELECT ms__s, ms__rn, ms__start, max(ms__start) OVER (PARTITION BY %s) AS last FROM %s JOIN %s USING (ms__s, ms__rn)) AS x WHERE ms__start < last`,
		x.view.out(), strings.Join(keys, ", "), x.view.ses(), x.view.rec()))
}

// dropLostSessions leaves out, on both sides, sessions that lost records may
// have belonged to: those that begin no later than the gap after the last.
func (x *viewRun) dropLostSessions(ctx context.Context, columns []tableColumn) error {
	i := x.columnOf(columns, "start")
	if i < 0 {
		x.unchecked("view %s: it does not show when its sessions begin, so those that lost records may have belonged to can't be told apart", x.view.name)
		return x.session.exec(ctx, fmt.Sprintf("TRUNCATE %s, %s", gotTable(x.view), x.view.want()))
	}
	drop := fmt.Sprintf("WHERE %%s::timestamptz - %s <= %s", x.query.gap, literal(x.cutoffs.lostBefore))
	return x.session.exec(ctx, fmt.Sprintf("DELETE FROM %s "+drop, gotTable(x.view), ident(columns[i].name))+
		fmt.Sprintf("; DELETE FROM %s "+drop, x.view.want(), columns[i].want))
}
