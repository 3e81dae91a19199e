package oracle

import (
	"context"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

// invariant is a statement about millstream.commits that holds at any time.
// Its query gives what breaks it: a subject and a detail. $1 is the pipeline;
// only the build that the tables show is looked at.
type invariant struct {
	name string
	sql  string
}

var invariants = []invariant{
	{"1: offset ranges tile each partition", `
		SELECT format('%s partition %s commit %s', foreign_table, partition, seq), format('begins at offset %s, the commit before ended at %s', offset_from, before)
		FROM (SELECT *, lag(offset_to) OVER (PARTITION BY foreign_table, partition ORDER BY seq) AS before FROM parts) AS x
		WHERE offset_from <> before OR offset_to < offset_from`},
	{"2: read = accepted + filtered + late + quarantined", `
		SELECT format('%s branch %s %s partition %s commit %s', view_name, source, foreign_table, partition, seq),
			format('read %s, accepted %s, filtered %s, late %s, quarantined %s', read, accepted, filtered, late, quarantined)
		FROM inputs WHERE read <> accepted + filtered + late + quarantined OR least(read, accepted, filtered, late, quarantined, skipped) < 0`},
	{"2: offset distance = read + skipped", `
		SELECT format('%s branch %s %s partition %s commit %s', i.view_name, i.source, i.foreign_table, i.partition, i.seq),
			format('offsets %s to %s, read %s, skipped %s', p.offset_from, p.offset_to, i.read, i.skipped)
		FROM inputs AS i LEFT JOIN parts AS p USING (seq, foreign_table, partition)
		WHERE coalesce(p.offset_to - p.offset_from, 0) <> i.read + i.skipped`},
	{"2: each branch counts what its partitions read", `
		SELECT format('%s branch %s %s partition %s commit %s', b.view_name, b.source, b.foreign_table, p.partition, p.seq), 'no counts'
		FROM parts AS p JOIN (SELECT DISTINCT view_name, source, foreign_table FROM inputs) AS b USING (foreign_table)
		WHERE p.offset_to > p.offset_from AND NOT EXISTS (SELECT 1 FROM inputs AS i
			WHERE (i.view_name, i.source, i.foreign_table, i.partition, i.seq) = (b.view_name, b.source, b.foreign_table, p.partition, p.seq))`},
	{"3: own watermarks never go back", `
		SELECT format('%s partition %s commit %s', foreign_table, partition, seq), format('%s after %s', watermark, before)
		FROM (SELECT *, lag(watermark) OVER (PARTITION BY foreign_table, partition ORDER BY seq) AS before FROM parts) AS x WHERE watermark < before`},
	{"3: watermarks and floors of views never go back", `
		SELECT format('%s commit %s', view_name, seq), format('watermark %s floor %s final %s after watermark %s floor %s final %s', watermark, floor, final_before, w, f, b)
		FROM (SELECT *, lag(watermark) OVER v AS w, lag(floor) OVER v AS f, lag(final_before) OVER v AS b FROM views WINDOW v AS (PARTITION BY view_name ORDER BY seq)) AS x
		WHERE watermark < w OR floor < f OR final_before < b`},
	{"3: seq is dense and the generation never goes back", `
		SELECT format('commit %s', seq), format('covers %s to %s of generation %s, after %s of generation %s', seq_from, seq, generation, before, g)
		FROM (SELECT *, lag(seq) OVER (ORDER BY seq) AS before, lag(generation) OVER (ORDER BY seq) AS g FROM commits) AS x
		WHERE seq_from <> coalesce(before, 0) + 1 OR generation < g`},
	{"3: no commit is of a later generation than the pipeline", `
		SELECT format('commit %s', c.seq), format('generation %s, the pipeline has %s', c.generation, p.generation)
		FROM commits AS c CROSS JOIN pipeline AS p WHERE c.generation > p.generation`},
	{"3: versions of tables never go back, are kept, and change where commits are pinned", `
		SELECT format('%s commit %s', name, seq), format('version %s after %s, pinned %s', version, before, pinned)
		FROM (SELECT c.pipeline, c.seq, c.pinned, l.key AS name, l.value::bigint AS version, lag(l.value::bigint) OVER (PARTITION BY l.key ORDER BY c.seq) AS before
			FROM commits AS c CROSS JOIN LATERAL jsonb_each_text(c.lookups) AS l) AS x
		WHERE version < before OR version IS DISTINCT FROM before AND NOT pinned
			OR NOT EXISTS (SELECT 1 FROM millstream.lookup_versions AS v WHERE (v.pipeline, v.lookup, v.version) = (x.pipeline, x.name, x.version))`},
	{"2: the ledgers hold as many records as the counts say", `
		SELECT format('%s branch %s %s partition %s', i.view_name, i.source, i.foreign_table, i.partition), format('late %s, in late_rows %s; quarantined %s, in quarantine %s', i.late, l.n, i.quarantined, q.n)
		FROM (SELECT view_name, source, foreign_table, partition, sum(late) AS late, sum(quarantined) AS quarantined FROM inputs GROUP BY 1, 2, 3, 4) AS i
		CROSS JOIN LATERAL (SELECT count(DISTINCT "offset") FILTER (WHERE NOT accepted) AS n FROM late WHERE (late.view_name, late.source, late.foreign_table, late.partition) = (i.view_name, i.source, i.foreign_table, i.partition)) AS l
		CROSS JOIN LATERAL (SELECT count(*) AS n FROM quarantine AS q WHERE (q.foreign_table, q.partition) = (i.foreign_table, i.partition)
			AND (q.view_name IS NULL OR (q.view_name, q.source) = (i.view_name, i.source))) AS q
		WHERE i.late <> l.n OR i.quarantined <> q.n`},
	{"2: a record is replayed once, by a commit that is there", `
		SELECT format('replay %s of %s partition %s offset %s', id, foreign_table, partition, "offset"), format('by commit %s, %s like it', seq, n)
		FROM (SELECT *, count(*) OVER (PARTITION BY ledger, foreign_table, partition, "offset", view_name, source, window_start) AS n FROM replays) AS r
		WHERE n > 1 OR NOT EXISTS (SELECT 1 FROM commits AS c WHERE r.seq BETWEEN c.seq_from AND c.seq AND c.pinned)`},
	{"2: what a view did not take of a replay stands in a ledger", `
		SELECT format('replay %s', r.id), format('%s in view %s branch %s', f.fate, f.view, f.source)
		FROM replays AS r CROSS JOIN LATERAL jsonb_to_recordset(r.outcome) AS f (view text, source integer, fate text)
		WHERE f.fate = 'quarantined' AND NOT EXISTS (SELECT 1 FROM millstream.quarantine AS q WHERE (q.pipeline, q.build, q.replay_id, q.view_name, q.source) = (r.pipeline, r.build, r.id, f.view, f.source))
			OR f.fate = 'late' AND NOT EXISTS (SELECT 1 FROM millstream.late_rows AS l WHERE (l.pipeline, l.build, l.replay_id, l.view_name, l.source) = (r.pipeline, r.build, r.id, f.view, f.source))`},
}

const invariantTables = `
WITH pipeline AS (SELECT * FROM millstream.pipelines WHERE name = $1),
	commits AS (SELECT c.* FROM millstream.commits AS c JOIN pipeline AS p ON p.name = c.pipeline AND p.build = c.build),
	parts AS (SELECT c.* FROM millstream.commit_partitions AS c JOIN pipeline AS p ON p.name = c.pipeline AND p.build = c.build),
	views AS (SELECT c.* FROM millstream.commit_views AS c JOIN pipeline AS p ON p.name = c.pipeline AND p.build = c.build),
	inputs AS (SELECT c.* FROM millstream.commit_inputs AS c JOIN pipeline AS p ON p.name = c.pipeline AND p.build = c.build),
	late AS (SELECT l.* FROM millstream.late_rows AS l JOIN pipeline AS p ON p.name = l.pipeline AND p.build = l.build WHERE l.replay_id IS NULL),
	quarantine AS (SELECT l.* FROM millstream.quarantine AS l JOIN pipeline AS p ON p.name = l.pipeline AND p.build = l.build WHERE l.replay_id IS NULL),
	replays AS (SELECT r.* FROM millstream.replays AS r JOIN pipeline AS p ON p.name = r.pipeline AND p.build = r.build WHERE r.state = 'applied')
SELECT * FROM (`

// Invariants checks, in one snapshot, what holds of the commits of a pipeline
// at any time: invariants 1 to 3, by their numbers. It takes a connection of
// its own, so the pipeline may be running.
func Invariants(ctx context.Context, databaseURL, pipeline string) ([]Difference, error) {
	conn, err := pgx.Connect(ctx, databaseURL)
	if err != nil {
		return nil, fmt.Errorf("connect to PostgreSQL: %w", err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	tx, err := conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
	var out []Difference
	for _, i := range invariants {
		rows, err := tx.Query(ctx, invariantTables+i.sql+fmt.Sprintf(") AS broken (subject, detail) LIMIT %d", DefaultMaxDifferences), pipeline)
		if err != nil {
			return nil, fmt.Errorf("invariant %s: %w", i.name, err)
		}
		broken, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) (Difference, error) {
			d := Difference{Kind: "invariant " + i.name}
			return d, r.Scan(&d.Subject, &d.Detail)
		})
		if err != nil {
			return nil, fmt.Errorf("invariant %s: %w", i.name, err)
		}
		out = append(out, broken...)
	}
	return out, nil
}

// describe lists differences for an error message.
func describe(list []Difference) string {
	lines := make([]string, len(list))
	for i, d := range list {
		lines[i] = d.String()
	}
	return strings.Join(lines, "\n")
}
