package oracle

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// A replay is a record that a ledger holds and that was sent through again,
// with its payload as it was or another. It is one more record of its topic,
// with a number beyond those of the log: it moves no watermark and is not
// counted as read. Which branches have taken it, and for which windows, stands
// with the replay; that they could is put to PostgreSQL.
const replayedFrom = 1 << 40

// ofLog is a condition on ms__rn that leaves replays out.
const ofLog = "ms__rn < 1099511627776"

// replaySnapshotSQL copies the replays that the build has applied, and what
// became of them.
const replaySnapshotSQL = `
CREATE TEMP TABLE ms__replays AS
	SELECT 1099511627776 + row_number() OVER (ORDER BY id) AS n, id, ledger, foreign_table, partition, "offset", view_name, source, window_start,
		record_timestamp, key, headers, payload, edited, seq, coalesce(outcome, '[]') AS outcome
	FROM millstream.replays WHERE pipeline = :name AND build = :build AND state = 'applied';
CREATE TEMP TABLE ms__fates AS
	SELECT r.n, r.id, r.foreign_table, r.seq, f.view AS view_name, f.source, f.fate, f.windows
	FROM ms__replays AS r CROSS JOIN LATERAL jsonb_to_recordset(r.outcome) AS f (view text, source integer, fate text, windows jsonb);
CREATE TEMP TABLE ms__fate_windows AS
	SELECT f.n, f.view_name, f.source, f.seq, w.start AS window_start, coalesce(w.corrected, false) AS corrected
	FROM ms__fates AS f CROSS JOIN LATERAL jsonb_to_recordset(f.windows) AS w (start timestamptz, corrected boolean);
CREATE TEMP TABLE ms__without AS
	SELECT r.id, format('%s partition %s offset %s', r.foreign_table, r.partition, r."offset") AS place FROM ms__replays AS r
	WHERE NOT EXISTS (SELECT FROM millstream.quarantine AS q WHERE r.ledger = 'quarantine' AND q.pipeline = :name AND q.build = :build
			AND (q.foreign_table, q.partition, q."offset") = (r.foreign_table, r.partition, r."offset")
			AND q.view_name IS NOT DISTINCT FROM r.view_name AND q.source IS NOT DISTINCT FROM r.source)
		AND NOT EXISTS (SELECT FROM millstream.late_rows AS l WHERE r.ledger = 'late_rows' AND l.pipeline = :name AND l.build = :build
			AND (l.foreign_table, l.partition, l."offset", l.view_name, l.source, l.window_start) = (r.foreign_table, r.partition, r."offset", r.view_name, r.source, r.window_start));
ANALYZE ms__replays; ANALYZE ms__fates; ANALYZE ms__fate_windows;
`

func (t *topic) again() string { return fmt.Sprintf("ms__again_%d", t.index) }

func (t *topic) againSQL() string { return strings.Replace(t.tableSQL(), t.rows(), t.again(), 1) }

// loadReplays puts the replays of a topic beside its records, and decodes
// them.
func (r *run) loadReplays(ctx context.Context, t *topic) error {
	s := r.session
	raw := fmt.Sprintf("ms__rawagain_%d", t.index)
	if err := s.exec(ctx, fmt.Sprintf("CREATE TEMP TABLE %s (LIKE %s); %s", raw, t.raw(), t.againSQL())); err != nil {
		return err
	}
	rows, err := s.conn.Query(ctx, `SELECT n, partition, "offset", record_timestamp, key, headers::text, payload FROM ms__replays WHERE foreign_table = $1 ORDER BY n`, t.table)
	if err != nil {
		return err
	}
	values, err := pgx.CollectRows(rows, scanReplayed)
	if err != nil || len(values) == 0 {
		return err
	}
	columns := []string{"ms__rn", "ms__p", "ms__o", "ms__t", "ms__key", "ms__headers", "ms__value", "ms__depth"}
	if _, err := s.conn.CopyFrom(ctx, pgx.Identifier{raw}, columns, pgx.CopyFromRows(values)); err != nil {
		return fmt.Errorf("load replays of %s: %w", t.table, err)
	}
	insert := strings.NewReplacer(t.raw(), raw, "INTO "+t.rows(), "INTO "+t.again()).Replace(t.insertSQL())
	first, last := values[0][0].(int64), values[len(values)-1][0].(int64)
	failures, err := s.bisect(ctx, s.statement(insert), first, last)
	if err != nil {
		return fmt.Errorf("decode replays of %s: %w", t.table, err)
	}
	for _, f := range failures {
		r.differ("", r.replayPlace(ctx, f.number), "replay was not refused", fmt.Sprintf("PostgreSQL says %s (%s)", f.message, f.code))
	}
	return r.differences(ctx, "", "replay has another payload than the log, and was not edited", fmt.Sprintf(`
		SELECT 'replay ' || x.id, octet_length(x.payload) || ' bytes, the record has ' || octet_length(l.ms__value)
		FROM ms__replays AS x JOIN %s AS l ON l.ms__p = x.partition AND l.ms__o = x."offset"
		WHERE x.foreign_table = %s AND NOT x.edited AND x.payload IS DISTINCT FROM l.ms__value AND l.ms__depth >= 0`, t.raw(), literal(t.table)))
}

func scanReplayed(row pgx.CollectableRow) ([]any, error) {
	out := make([]any, 8)
	var n, offset int64
	var partition int32
	var key, payload []byte
	var headers *string
	var at any
	if err := row.Scan(&n, &partition, &offset, &at, &key, &headers, &payload); err != nil {
		return nil, err
	}
	object := map[string]any{}
	if headers != nil {
		var pairs [][2]any
		if err := json.Unmarshal([]byte(*headers), &pairs); err != nil {
			return nil, err
		}
		for _, p := range pairs {
			name, ok := p[0].(string)
			if !ok {
				name = "?"
			}
			object[name] = nil
			if value, ok := p[1].(string); ok {
				object[name] = value
			}
		}
	}
	text, err := json.Marshal(object)
	out[0], out[1], out[2], out[3], out[4], out[5], out[6], out[7] = n, partition, offset, at, keyText(key), string(text), payload, nesting(payload)
	return out, err
}

func (r *run) replayPlace(ctx context.Context, number int64) string {
	rows, err := r.session.rows(ctx, fmt.Sprintf(`SELECT format('replay %%s of %%s partition %%s offset %%s', id, foreign_table, partition, "offset") FROM ms__replays WHERE n = %d`, number))
	if err != nil || len(rows) == 0 {
		return fmt.Sprintf("replay %d", number)
	}
	return rows[0][0]
}

// checkReplays tells of replays of records that no ledger holds.
func (r *run) checkReplays(ctx context.Context) error {
	return r.differences(ctx, "", "replay of a record that the ledger has not", "SELECT 'replay ' || id, place FROM ms__without ORDER BY id")
}

// leaveOutReplays takes the replays that a branch has not taken out of its
// results. Those that it has refused are put to PostgreSQL, and must fail.
func (x *viewRun) leaveOutReplays(ctx context.Context) error {
	s, v := x.session, x.view
	for i, t := range x.query.sources {
		err := s.exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT %d, r.n, 'not taken' FROM ms__replays AS r WHERE r.foreign_table = %s AND NOT EXISTS (
			SELECT FROM ms__fates AS f WHERE f.n = r.n AND f.view_name = %s AND f.source = %[2]d AND f.fate IN ('accepted', 'filtered')) ON CONFLICT DO NOTHING`,
			v.out(), i, literal(t.table), literal(v.name)))
		if err != nil {
			return err
		}
		rows, err := s.conn.Query(ctx, "SELECT n FROM ms__fates WHERE view_name = $1 AND source = $2 AND fate = 'quarantined'", v.name, i)
		if err != nil {
			return err
		}
		refused, err := pgx.CollectRows(rows, pgx.RowTo[int64])
		if err != nil || len(refused) == 0 {
			return err
		}
		failures, err := s.try(ctx, []string{fmt.Sprintf("UPDATE ms__range SET src = %d, lo = $1, hi = $1", i), of("one", x.rowSQL)}, refused)
		if err != nil {
			return err
		}
		if err := s.exec(ctx, rangeTable); err != nil {
			return err
		}
		if len(failures) < len(refused) {
			x.differ(v.name, fmt.Sprintf("branch %d", i), "replay wrongly refused", fmt.Sprintf("PostgreSQL evaluates %d of %d", len(refused)-len(failures), len(refused)))
		}
	}
	return nil
}

// checkReplays compares what is said to have become of replays with what the
// query makes of them, and leaves out the windows that did not take them.
func (x *viewRun) checkReplays(ctx context.Context) error {
	v := x.view
	for _, c := range []struct{ kind, sql string }{
		{"replay is said to be filtered, and is not", `f.fate = 'filtered' AND EXISTS (SELECT FROM %[2]s AS r WHERE r.ms__s = f.source AND r.ms__rn = f.n)`},
		{"replay is said to be accepted, and is filtered", `f.fate = 'accepted' AND NOT EXISTS (SELECT FROM %[2]s AS r WHERE r.ms__s = f.source AND r.ms__rn = f.n)`},
		{"replay is said to count in a window that its record is not in", `f.fate = 'accepted' AND EXISTS (SELECT FROM ms__fate_windows AS w WHERE (w.n, w.view_name, w.source) = (f.n, f.view_name, f.source)
			AND NOT EXISTS (SELECT FROM %[2]s AS r WHERE (r.ms__s, r.ms__rn, r.ms__ws) = (f.source, f.n, w.window_start)))`},
		{"replay of a record of another branch", `f.source >= %[3]d`},
	} {
		if err := x.differences(ctx, v.name, c.kind, fmt.Sprintf(`SELECT 'replay ' || f.id, 'branch ' || f.source FROM ms__fates AS f WHERE f.view_name = %[1]s AND `+c.sql+` ORDER BY f.id`,
			literal(v.name), v.rec(), len(x.query.sources))); err != nil {
			return err
		}
	}
	return x.session.exec(ctx, fmt.Sprintf(`INSERT INTO %s SELECT DISTINCT r.ms__s, r.ms__rn, 'not taken', %s FROM %s AS r
		WHERE NOT (r.%s) AND r.ms__ws IS NOT NULL AND NOT EXISTS (SELECT FROM ms__fate_windows AS w
			WHERE (w.n, w.view_name, w.source, w.window_start) = (r.ms__rn, %s, r.ms__s, r.ms__ws)) ON CONFLICT DO NOTHING`,
		v.out(), x.windowSQL(), v.rec(), ofLog, literal(v.name)))
}
