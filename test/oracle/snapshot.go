package oracle

import (
	"context"
	"fmt"
	"strings"
)

// snapshot is where the pipeline stood at one moment: its commits, ledgers
// and tables are copied from one snapshot into temporary tables, so the
// pipeline may go on meanwhile.
type snapshot struct {
	schema     string
	build      int
	seq        int64
	definition string
	positions  []position
	keys       map[string][]string // key columns by view
	endColumns map[string]string   // the column that holds the window's end, by view
	absent     map[string]bool     // views without a table
	lookups    map[string]*lookup  // tables that views join with, by schema.name
}

// position is where a foreign table stands in a partition.
type position struct {
	table     string
	partition int32
	topicID   string
	from, to  int64
}

const snapshotSQL = `
CREATE TEMP TABLE ms__parts AS
	SELECT foreign_table, partition, seq_from, seq, offset_from, offset_to, watermark, idle_since, sealed_at, topic_id
	FROM millstream.commit_partitions WHERE pipeline = :name AND build = :build;
CREATE TEMP TABLE ms__views AS
	SELECT view_name, seq_from, seq, sealed_at, watermark, floor, final_before, expiring
	FROM millstream.commit_views WHERE pipeline = :name AND build = :build;
CREATE TEMP TABLE ms__inputs AS
	SELECT view_name, source, foreign_table, partition, sum(read) AS read, sum(accepted) AS accepted,
		sum(filtered) AS filtered, sum(late) AS late, sum(quarantined) AS quarantined, sum(skipped) AS skipped
	FROM millstream.commit_inputs WHERE pipeline = :name AND build = :build GROUP BY 1, 2, 3, 4;
CREATE TEMP TABLE ms__late AS
	SELECT view_name, source, foreign_table, partition, "offset", event_time, window_start, window_end, watermark, floor, cause, accepted, seq
	FROM millstream.late_rows WHERE pipeline = :name AND build = :build AND replay_id IS NULL;
CREATE TEMP TABLE ms__quarantine AS
	SELECT row_number() OVER (ORDER BY id) AS n, foreign_table, partition, "offset", view_name, source, cause, sqlstate, column_name, message, seq,
		EXISTS (SELECT FROM millstream.future_refusals AS f WHERE f.pipeline = q.pipeline
			AND f.foreign_table = q.foreign_table AND f.partition = q.partition AND f."offset" = q."offset") AS decided
	FROM millstream.quarantine AS q WHERE pipeline = :name AND build = :build AND replay_id IS NULL;
CREATE TEMP TABLE ms__errors AS
	SELECT view_name, group_key, sqlstate, message
	FROM millstream.group_errors WHERE pipeline = :name AND build = :build;
CREATE INDEX ON ms__late (view_name, source, partition, "offset");
CREATE INDEX ON ms__quarantine (foreign_table, partition, "offset");
CREATE INDEX ON ms__parts (foreign_table, partition, seq);
CREATE INDEX ON ms__views (view_name, seq);
ANALYZE ms__late; ANALYZE ms__quarantine; ANALYZE ms__parts; ANALYZE ms__views; ANALYZE ms__inputs; ANALYZE ms__errors;
`

func takeSnapshot(ctx context.Context, s *session, pipeline string, d *definition) (*snapshot, error) {
	if err := s.exec(ctx, "BEGIN ISOLATION LEVEL REPEATABLE READ"); err != nil {
		return nil, err
	}
	snap, err := readSnapshot(ctx, s, pipeline, d)
	if err != nil {
		_ = s.exec(ctx, "ROLLBACK") // the first error tells why
		return nil, err
	}
	return snap, s.exec(ctx, "COMMIT")
}

func readSnapshot(ctx context.Context, s *session, pipeline string, d *definition) (*snapshot, error) {
	snap := &snapshot{keys: map[string][]string{}, endColumns: map[string]string{}, absent: map[string]bool{}}
	if err := readPipeline(ctx, s, pipeline, snap); err != nil {
		return nil, err
	}
	sql := strings.NewReplacer(":name", literal(pipeline), ":build", fmt.Sprint(snap.build)).Replace(snapshotSQL + replaySnapshotSQL)
	if err := s.exec(ctx, sql); err != nil {
		return nil, fmt.Errorf("copy the commits and ledgers: %w", err)
	}
	for _, v := range d.views {
		there, err := s.count(ctx, fmt.Sprintf("SELECT count(*) FROM (SELECT to_regclass(%s) AS r) AS x WHERE r IS NOT NULL", literal(ident(snap.schema, v.name))))
		if err != nil {
			return nil, err
		}
		if there == 0 {
			snap.absent[v.name] = true
			continue
		}
		if err := s.exec(ctx, fmt.Sprintf("CREATE TEMP TABLE %s AS SELECT * FROM %s", gotTable(v), ident(snap.schema, v.name))); err != nil {
			return nil, fmt.Errorf("copy the table of view %s: %w", v.name, err)
		}
	}
	if err := readLookups(ctx, s, pipeline, snap); err != nil {
		return nil, fmt.Errorf("read the versions of tables that views join with: %w", err)
	}
	return snap, readPositions(ctx, s, snap)
}

func gotTable(v *view) string { return fmt.Sprintf("ms__got_%d", v.index) }

func readPipeline(ctx context.Context, s *session, pipeline string, snap *snapshot) error {
	there, err := s.count(ctx, "SELECT count(*) FROM pg_namespace WHERE nspname = 'millstream'")
	if err != nil {
		return err
	}
	if there == 0 {
		return fmt.Errorf("this database has no schema millstream: no pipeline has run on it")
	}
	rows, err := s.rows(ctx, `SELECT target_schema, build::text, definition FROM millstream.pipelines WHERE name = $1`, pipeline)
	if err != nil {
		return err
	}
	if len(rows) == 0 {
		others, err := s.rows(ctx, `SELECT coalesce(string_agg(name, ', ' ORDER BY name), 'none') FROM millstream.pipelines`)
		if err != nil {
			return err
		}
		return fmt.Errorf("no pipeline %q has run on this database; there is %s (choose with --name)", pipeline, others[0][0])
	}
	snap.schema, snap.definition = rows[0][0], rows[0][2]
	if _, err := fmt.Sscan(rows[0][1], &snap.build); err != nil {
		return fmt.Errorf("read the build number: %w", err)
	}
	objects, err := s.rows(ctx, `SELECT view_name, array_to_string(key_columns, E'\x01'), coalesce(window_end_column, '')
		FROM millstream.objects WHERE pipeline = $1 AND build = `+fmt.Sprint(snap.build), pipeline)
	if err != nil {
		return err
	}
	for _, o := range objects {
		if o[1] != "" {
			snap.keys[o[0]] = strings.Split(o[1], "\x01")
		}
		snap.endColumns[o[0]] = o[2]
	}
	return nil
}

func readPositions(ctx context.Context, s *session, snap *snapshot) error {
	var err error
	if snap.seq, err = s.count(ctx, "SELECT coalesce(max(seq), 0) FROM (SELECT seq FROM ms__views UNION ALL SELECT seq FROM ms__parts) AS x"); err != nil {
		return err
	}
	rows, err := s.conn.Query(ctx, `
		SELECT foreign_table, partition, coalesce((array_agg(topic_id::text ORDER BY seq DESC))[1], ''), min(offset_from), max(offset_to)
		FROM ms__parts GROUP BY 1, 2 ORDER BY 1, 2`)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var p position
		if err := rows.Scan(&p.table, &p.partition, &p.topicID, &p.from, &p.to); err != nil {
			return err
		}
		snap.positions = append(snap.positions, p)
	}
	return rows.Err()
}

// of are the positions of a foreign table.
func (snap *snapshot) of(t *topic) []position {
	var out []position
	for _, p := range snap.positions {
		if p.table == t.table {
			out = append(out, p)
		}
	}
	return out
}
