package oracle

import (
	"context"
	"fmt"
	"strings"
)

// maxDepth is the deepest nesting of a document that a pipeline decodes.
const maxDepth = 6000

// refused is a row of the quarantine with the record that it names.
type refused struct {
	number, record        int64 // record: 0 if there is none
	cause, code, place    string
	column                string
	depth, length, source int64
	offset                int64
	partition             int32
}

func (r *run) readRefused(ctx context.Context, t *topic, where string) ([]refused, error) {
	rows, err := r.session.conn.Query(ctx, r.session.finish(fmt.Sprintf(`
		SELECT q.n, coalesce(r.ms__rn, 0), q.cause, coalesce(q.sqlstate, ''), %s, coalesce(q.column_name, ''),
			coalesce(r.ms__depth, 0), coalesce(octet_length(r.ms__value), 0), coalesce(q.source, -1), q."offset", q.partition
		FROM ms__quarantine AS q LEFT JOIN %s AS r ON r.ms__p = q.partition AND r.ms__o = q."offset"
		WHERE q.foreign_table = %s AND %s ORDER BY q.n`, t.placeSQL("q.partition", `q."offset"`), t.raw(), literal(t.table), where)))
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []refused
	for rows.Next() {
		var q refused
		if err := rows.Scan(&q.number, &q.record, &q.cause, &q.code, &q.place, &q.column, &q.depth, &q.length, &q.source, &q.offset, &q.partition); err != nil {
			return nil, err
		}
		out = append(out, q)
	}
	return out, rows.Err()
}

// checkQuarantine puts the records that were refused for all views to
// PostgreSQL.
func (r *run) checkQuarantine(ctx context.Context, t *topic) error {
	all, err := r.readRefused(ctx, t, "q.view_name IS NULL")
	if err != nil || len(all) == 0 {
		return err
	}
	failures, err := r.session.try(ctx, t.singleSQL(), numbers(all))
	if err != nil {
		return fmt.Errorf("decode what is in quarantine: %w", err)
	}
	failed := map[int64]failure{}
	for _, f := range failures {
		failed[f.number] = f
	}
	for _, q := range all {
		if q.record == 0 {
			if !r.loaded[t.index].isLost(q.partition, q.offset) {
				r.differ("", q.place, "quarantine has a record that the log has not", "")
			}
			continue
		}
		f, bad := failed[q.record]
		detail, err := r.judge(ctx, t, q, f, bad)
		if err != nil {
			return err
		}
		if detail != "" {
			r.differ("", q.place, "wrongly in quarantine with cause "+q.cause, detail)
		}
	}
	return nil
}

func numbers(all []refused) []int64 {
	var out []int64
	for _, q := range all {
		if q.record > 0 {
			out = append(out, q.record)
		}
	}
	return out
}

func (l *loaded) isLost(partition int32, offset int64) bool {
	for _, x := range l.lost {
		if x.partition == partition && offset >= x.from && offset < x.to {
			return true
		}
	}
	return false
}

// judge compares a refusal with what PostgreSQL said of the record; ""
// agrees.
func (r *run) judge(ctx context.Context, t *topic, q refused, f failure, bad bool) (string, error) {
	switch q.cause {
	case "decode", "expression":
		if q.code == "0A000" && t.arrayColumn(q.column) {
			return "", nil // of several dimensions, which PostgreSQL takes
		}
		if bad {
			if f.code == q.code || f.code == "22003" && q.code == "22008" && t.epochColumn(q.column) {
				return "", nil
			}
			return fmt.Sprintf("PostgreSQL says %s (%s), not %s", f.message, f.code, q.code), nil
		}
		if reserved, err := r.present(ctx, t, q.record); err != nil || reserved {
			return "", err
		}
		return "PostgreSQL takes it", nil
	case "event_time", "future":
		if bad {
			return fmt.Sprintf("PostgreSQL says %s (%s)", f.message, f.code), nil
		}
		return r.judgeTime(ctx, t, q)
	case "size":
		if q.code == "" { // of a batch that is too large when it is decompressed
			r.unchecked("%s: whether its batch is over the limit", q.place)
			return "", nil
		}
		if q.depth < 0 || q.depth > maxDepth || bad && strings.HasPrefix(f.code, "54") || r.expands(t) {
			return "", nil
		}
		return fmt.Sprintf("it has %d bytes and %d levels", q.length, q.depth), nil
	case "key_size":
		return "", nil
	}
	return "no such cause", nil
}

// expands tells a table whose documents may write out long numbers.
func (r *run) expands(t *topic) bool {
	for _, c := range t.columns {
		if c.sqlType == "jsonb" || strings.HasPrefix(c.sqlType, "numeric") {
			return true
		}
	}
	return false
}

func (t *topic) epochColumn(name string) bool {
	for _, c := range t.columns {
		if c.name == name {
			return c.epoch != ""
		}
	}
	return false
}

// arrayColumn tells a column of arrays.
func (t *topic) arrayColumn(name string) bool {
	for _, c := range t.columns {
		if c.name == name {
			return strings.HasSuffix(c.sqlType, "[]")
		}
	}
	return false
}

// present tells that the document has a word for the present.
func (r *run) present(ctx context.Context, t *topic, record int64) (bool, error) {
	n, err := r.session.count(ctx, fmt.Sprintf(`SELECT count(*) FROM %s WHERE ms__rn = %d
		AND convert_from(ms__value, 'UTF8') ~* '(now|today|tomorrow|yesterday)'`, t.raw(), record))
	return n > 0, err
}

// judgeTime checks a refusal by the event time: missing, infinite or given as
// a word for the present; or ahead of the clock, which can't have been read
// before the commit before the last but one was sealed. Where the clock was set
// back since, it is held against the least that any commit since has read.
func (r *run) judgeTime(ctx context.Context, t *topic, q refused) (string, error) {
	at := "f.ms__t"
	if t.eventTime != "" {
		at = "f." + ident(t.eventTime) + "::timestamptz"
	}
	from := fmt.Sprintf("(SELECT * FROM %s AS r WHERE r.ms__rn = %d OFFSET 0) AS r", t.raw(), q.record)
	rows, err := r.session.rows(ctx, fmt.Sprintf(`
		SELECT x.at, coalesce(isfinite(x.at), false), coalesce(x.at > interval %[1]s + (
			SELECT min(v.sealed_at) FROM ms__views AS v, (SELECT seq FROM ms__quarantine WHERE n = %[2]d) AS q
			WHERE v.seq <= q.seq AND v.seq >= (SELECT max(b.seq) FROM ms__views AS b WHERE b.seq < q.seq - 1)), true)
			OR (SELECT decided FROM ms__quarantine WHERE n = %[2]d) -- a build before has refused it, and it is obeyed
		FROM (SELECT %[3]s AS at FROM (%[4]s) AS f) AS x`, literal(t.future), q.number, at, t.decodedSQL(from)))
	if err != nil || len(rows) == 0 {
		return "", err
	}
	time, finite, ahead := rows[0][0], rows[0][1] == "t", rows[0][2] == "t"
	if q.cause == "future" {
		if !finite || !ahead {
			return "its event time " + time + " was not ahead of the clock", nil
		}
		return "", nil
	}
	if !finite {
		return "", nil
	}
	reserved, err := r.present(ctx, t, q.record)
	if err != nil || reserved {
		return "", err
	}
	return "its event time is " + time, nil
}

// checkPartitions compares the partitions' own watermarks with those that
// stand in the commits, and looks for records that were taken although they
// were ahead of the clock even when their commit was sealed.
func (r *run) checkPartitions(ctx context.Context, t *topic) error {
	lost := "true"
	for _, l := range r.loaded[t.index].lost {
		lost += fmt.Sprintf(" AND c.partition <> %d", l.partition)
	}
	err := r.differences(ctx, "", "own watermark differs", fmt.Sprintf(`
		SELECT %s || ' commit ' || seq, 'is ' || watermark || ', should be ' || wm
		FROM (SELECT c.*, coalesce((SELECT w.wm FROM ms__wm_%d AS w WHERE w.ms__p = c.partition AND w.ms__o < c.offset_to ORDER BY w.ms__o DESC LIMIT 1), '-infinity') AS wm
			FROM ms__parts AS c WHERE c.foreign_table = %s AND %s OFFSET 0) AS x
		WHERE watermark IS DISTINCT FROM wm ORDER BY seq`,
		t.placeSQL("partition", "offset_to"), t.index, literal(t.table), lost))
	if err != nil {
		return err
	}
	return r.differences(ctx, "", "record ahead of the clock was not refused", fmt.Sprintf(`
		SELECT %s, w.ms__et || ' in a commit sealed at ' || c.sealed_at
		FROM ms__wm_%d AS w JOIN ms__parts AS c ON c.foreign_table = %s AND c.partition = w.ms__p AND c.seq = w.cseq
		WHERE w.ms__et > c.sealed_at + interval %s ORDER BY w.ms__p, w.ms__o`,
		t.placeSQL("w.ms__p", "w.ms__o"), t.index, literal(t.table), literal(t.future)))
}
