package postgres

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Before a rebuild clears what was computed, the decisions that the clock has
// made are put aside: the next build obeys them (time.md, "Determinism"). What
// was decided for a view or a topic whose definition has changed since has no
// meaning for the new one and is left out.
const (
	recordBeginningsSQL = `
INSERT INTO millstream.beginnings (pipeline, foreign_table, partition, topic_id, offset_from)
SELECT DISTINCT ON (c.foreign_table, c.partition) c.pipeline, c.foreign_table, c.partition, c.topic_id, c.offset_from
FROM millstream.commit_partitions AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
WHERE c.pipeline = $1
ORDER BY c.foreign_table, c.partition, c.seq
ON CONFLICT DO NOTHING`

	recordRefusalsSQL = `
INSERT INTO millstream.future_refusals (pipeline, foreign_table, partition, "offset")
SELECT q.pipeline, q.foreign_table, q.partition, q."offset"
FROM millstream.quarantine AS q JOIN millstream.pipelines AS p ON p.name = q.pipeline AND p.build = q.build
WHERE q.pipeline = $1 AND q.cause = 'future'
ON CONFLICT DO NOTHING`

	// A commit that told of another version of a table is two decisions: from
	// where the one before ended on, records met that version; and where it
	// ended itself, the views' time. One that applied replays is one more: they
	// were applied where the one before had ended.
	recordDecisionsSQL = `
WITH c AS (
    SELECT c.*, lag(c.lookups, 1, '{}') OVER (ORDER BY c.seq) AS lookups_before
    FROM millstream.commits AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
    WHERE c.pipeline = $1),
d AS (
    SELECT c.pipeline, c.build, c.seq, c.seq - 1 AS upto, c.lookups, '[]'::jsonb AS replays FROM c WHERE c.lookups <> c.lookups_before
    UNION ALL
    SELECT c.pipeline, c.build, c.seq, c.seq, '{}', '[]' FROM c WHERE c.pinned
    UNION ALL
    SELECT c.pipeline, c.build, c.seq, c.seq - 1, '{}', jsonb_agg(r.id ORDER BY r.id)
    FROM c JOIN millstream.replays AS r ON r.pipeline = c.pipeline AND r.build = c.build AND r.seq = c.seq AND r.state = 'applied'
    GROUP BY c.pipeline, c.build, c.seq)
INSERT INTO millstream.decisions (pipeline, positions, views, lookups, replays)
SELECT d.pipeline,
       coalesce((SELECT jsonb_agg(jsonb_build_object('table', l.foreign_table, 'partition', l.partition, 'to', l.offset_to))
        FROM (SELECT DISTINCT ON (t.foreign_table, t.partition) t.foreign_table, t.partition, t.offset_to
              FROM millstream.commit_partitions AS t
              WHERE t.pipeline = d.pipeline AND t.build = d.build AND t.seq <= d.upto
              ORDER BY t.foreign_table, t.partition, t.seq DESC) AS l), '[]'),
       coalesce((SELECT jsonb_agg(jsonb_build_object('view', v.view_name, 'watermark', v.decided, 'floor', v.floor))
        FROM millstream.commit_views AS v WHERE v.pipeline = d.pipeline AND v.build = d.build AND v.seq = d.upto AND d.lookups = '{}' AND d.replays = '[]'), '[]'),
       d.lookups, d.replays
FROM d ORDER BY d.seq, d.upto`

	// unreachedSQL takes out all decisions and gives those that this build has
	// not come to: the others it has obeyed, and its own commits tell them.
	unreachedSQL = `
WITH reached AS (
    SELECT DISTINCT ON (c.foreign_table, c.partition) c.foreign_table, c.partition, c.offset_to
    FROM millstream.commit_partitions AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
    WHERE c.pipeline = $1
    ORDER BY c.foreign_table, c.partition, c.seq DESC),
met AS (
    SELECT c.lookups FROM millstream.commits AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
    WHERE c.pipeline = $1 ORDER BY c.seq DESC LIMIT 1),
taken AS (DELETE FROM millstream.decisions WHERE pipeline = $1 RETURNING id, positions, views, lookups, replays)
SELECT t.positions, t.views, t.lookups, t.replays FROM taken AS t
WHERE t.replays <> '[]' AND EXISTS (
    SELECT FROM jsonb_array_elements_text(t.replays) AS i JOIN millstream.replays AS r ON r.id = i::bigint
    JOIN millstream.pipelines AS p ON p.name = r.pipeline
    WHERE r.state = 'applied' AND r.build < p.build)
OR t.replays = '[]' AND (EXISTS (
    SELECT FROM jsonb_each_text(t.lookups) AS l
    WHERE l.value::bigint > coalesce((SELECT (m.lookups->>l.key)::bigint FROM met AS m), 0))
OR EXISTS (
    SELECT FROM jsonb_to_recordset(t.positions) AS d ("table" text, partition integer, "to" bigint)
    LEFT JOIN reached AS r ON r.foreign_table = d."table" AND r.partition = d.partition
    WHERE r.offset_to IS NULL OR r.offset_to < d."to"))
ORDER BY t.id`

	keepDecisionSQL = `INSERT INTO millstream.decisions (pipeline, positions, views, lookups, replays) VALUES ($1, $2, $3, $4, $5)`

	forgetBeginningsSQL = `DELETE FROM millstream.beginnings WHERE pipeline = $1 AND foreign_table <> ALL ($2)`

	forgetRefusalsSQL = `DELETE FROM millstream.future_refusals WHERE pipeline = $1 AND foreign_table <> ALL ($2)`

	forgetDecisionsSQL = `
UPDATE millstream.decisions SET
    positions = coalesce((SELECT jsonb_agg(e) FROM jsonb_array_elements(positions) AS e WHERE e->>'table' = ANY (CASE WHEN replays = '[]' THEN $2::text[] ELSE $4::text[] END)), '[]'),
    views = coalesce((SELECT jsonb_agg(e) FROM jsonb_array_elements(views) AS e WHERE e->>'view' = ANY ($3)), '[]')
WHERE pipeline = $1`

	forgetEmptySQL = `DELETE FROM millstream.decisions WHERE pipeline = $1 AND (positions = '[]' OR views = '[]') AND lookups = '{}' AND replays = '[]'`

	// sameTopicSQL gives the foreign tables whose offsets mean what they meant.
	sameTopicSQL = `
SELECT DISTINCT c.foreign_table FROM millstream.commit_partitions AS c JOIN millstream.pipelines AS p ON p.name = c.pipeline AND p.build = c.build
JOIN unnest($2::text[], $3::text[], $4::text[]) AS t (foreign_table, server, topic)
  ON (t.foreign_table, t.server, t.topic) = (c.foreign_table, c.server, c.topic)
WHERE c.pipeline = $1`

	voidReplaysSQL = `
UPDATE millstream.replays SET state = 'void', reason = 'its foreign table reads another topic, or is gone'
WHERE pipeline = $1 AND foreign_table <> ALL ($2) AND state IN ('requested', 'applied')`
)

// recordDecisions puts aside what the next build has to obey.
func (d *deployment) recordDecisions(ctx context.Context) error {
	topics, views := d.unchanged()
	unreached, err := d.unreached(ctx)
	if err != nil {
		return err
	}
	for _, sql := range []string{recordBeginningsSQL, recordRefusalsSQL, recordDecisionsSQL} {
		if _, err := d.tx.Exec(ctx, sql, d.db.pipeline); err != nil {
			return err
		}
	}
	for _, u := range unreached {
		if _, err := d.tx.Exec(ctx, keepDecisionSQL, d.db.pipeline, u[0], u[1], u[2], u[3]); err != nil {
			return err
		}
	}
	kept, err := d.sameTopics(ctx)
	if err != nil {
		return err
	}
	if err := d.forgetLookups(ctx, topics); err != nil {
		return err
	}
	for _, step := range []struct {
		sql  string
		args []any
	}{
		{forgetBeginningsSQL, []any{topics}}, {forgetRefusalsSQL, []any{topics}},
		{forgetDecisionsSQL, []any{topics, views, kept}}, {forgetEmptySQL, nil}, {voidReplaysSQL, []any{kept}},
	} {
		if _, err := d.tx.Exec(ctx, step.sql, append([]any{d.db.pipeline}, step.args...)...); err != nil {
			return err
		}
	}
	return nil
}

// unreached gives positions and views of the decisions that the build which
// is to be cleared has not come to, and takes all out.
func (d *deployment) unreached(ctx context.Context) ([][4]string, error) {
	rows, err := d.tx.Query(ctx, unreachedSQL, d.db.pipeline)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (u [4]string, err error) {
		err = row.Scan(&u[0], &u[1], &u[2], &u[3])
		return u, err
	})
}

// sameTopics gives the foreign tables that read the topic that they have read.
func (d *deployment) sameTopics(ctx context.Context) ([]string, error) {
	var tables, servers, topics []string
	for _, t := range d.plan.Topics {
		tables, servers, topics = append(tables, t.Name), append(servers, t.Server), append(topics, t.Topic)
	}
	rows, err := d.tx.Query(ctx, sameTopicSQL, d.db.pipeline, tables, servers, topics)
	if err != nil {
		return nil, err
	}
	names, err := collectText(rows)
	return append([]string{}, names...), err
}

// unchanged gives the foreign tables that stand as they stood, and the views
// that do and read nothing else.
func (d *deployment) unchanged() (topics, views []string) {
	topics, views = []string{}, []string{}
	same := map[string]bool{}
	for _, e := range d.entries {
		if old, ok := d.remembered[e.object]; ok && old.hash == e.hash {
			same[e.object] = true
		}
	}
	for _, t := range d.plan.Topics {
		if same[topicObject(t)] {
			topics = append(topics, t.Name)
		}
	}
	for _, e := range d.entries {
		if e.view == nil || !same[e.object] {
			continue
		}
		changed := slices.ContainsFunc(e.view.Branches, func(b *plan.Branch) bool { return !same[topicObject(b.Topic)] })
		if !changed {
			views = append(views, e.view.Name)
		}
	}
	return topics, views
}

const (
	readBeginningsSQL = `SELECT foreign_table, partition, topic_id, offset_from FROM millstream.beginnings WHERE pipeline = $1`

	readRefusalsSQL = `SELECT foreign_table, partition, "offset" FROM millstream.future_refusals WHERE pipeline = $1`

	// Replays that this build has applied are left out.
	readDecisionsSQL = `
SELECT d.positions, d.views, d.lookups, d.replays <> '[]', ARRAY(
    SELECT r.id FROM jsonb_array_elements_text(d.replays) AS i JOIN millstream.replays AS r ON r.id = i::bigint
    JOIN millstream.pipelines AS p ON p.name = r.pipeline
    WHERE r.state = 'applied' AND r.build < p.build ORDER BY r.id)
FROM millstream.decisions AS d WHERE d.pipeline = $1 ORDER BY d.id`
)

// decidedPosition and decidedTime are elements of decisions.
type decidedPosition struct {
	Table     string `json:"table"`
	Partition int32  `json:"partition"`
	To        int64  `json:"to"`
}

type decidedTime struct {
	View      string             `json:"view"`
	Watermark pgtype.Timestamptz `json:"watermark"`
	Floor     pgtype.Timestamptz `json:"floor"`
}

// readDecisions reads what builds before this one have decided.
func (s *Store) readDecisions(ctx context.Context, tx pgx.Tx, snapshot *engine.Snapshot) error {
	rows, err := tx.Query(ctx, readBeginningsSQL, s.db.pipeline)
	if err != nil {
		return err
	}
	snapshot.Beginnings, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (b engine.Beginning, err error) {
		var name string
		if err = row.Scan(&name, &b.Partition, &b.TopicID, &b.From); err == nil {
			b.Table, err = s.names.topic(name)
		}
		return b, err
	})
	if err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, readRefusalsSQL, s.db.pipeline); err != nil {
		return err
	}
	snapshot.Refusals, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (r engine.FutureRefusal, err error) {
		var name string
		if err = row.Scan(&name, &r.Partition, &r.Offset); err == nil {
			r.Table, err = s.names.topic(name)
		}
		return r, err
	})
	if err != nil {
		return err
	}
	if rows, err = tx.Query(ctx, readDecisionsSQL, s.db.pipeline); err != nil {
		return err
	}
	all, err := pgx.CollectRows(rows, s.scanDecision)
	for _, d := range all {
		if d != nil {
			snapshot.Decisions = append(snapshot.Decisions, *d)
		}
	}
	return err
}

// scanDecision reads a decision, nil where nothing of it is left to be obeyed.
func (s *Store) scanDecision(row pgx.CollectableRow) (d *engine.Decision, err error) {
	var positions, views, lookups []byte
	var replays bool
	d = &engine.Decision{}
	if err := row.Scan(&positions, &views, &lookups, &replays, &d.Replays); err != nil || replays && len(d.Replays) == 0 {
		return nil, err
	}
	if d.Lookups, err = lookupVersions(s.plan, lookups); err != nil {
		return d, err
	}
	var ps []decidedPosition
	if err := json.Unmarshal(positions, &ps); err != nil {
		return d, err
	}
	for _, p := range ps {
		table, err := s.names.topic(p.Table)
		if err != nil {
			return d, err
		}
		d.Positions = append(d.Positions, engine.DecidedPosition{Table: table, Partition: p.Partition, To: p.To})
	}
	var vs []decidedTime
	if err := json.Unmarshal(views, &vs); err != nil {
		return d, err
	}
	for _, v := range vs {
		view, err := s.names.view(v.View)
		if err != nil {
			return d, err
		}
		d.Views = append(d.Views, engine.DecidedTime{View: view, Watermark: stored(v.Watermark), Floor: stored(v.Floor)})
	}
	return d, nil
}
