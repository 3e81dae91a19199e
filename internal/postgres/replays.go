package postgres

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Replays reads what was asked of the ledgers. It implements
// engine.ReplayReader; what becomes of replays is written by the commit that
// settles them.
type Replays struct {
	db    *Database
	plan  *plan.Pipeline
	names tableNames
}

var _ engine.ReplayReader = (*Replays)(nil)

// Replays gives the reader of a plan's replays.
func (db *Database) Replays(p *plan.Pipeline) *Replays { return &Replays{db, p, namesOf(p)} }

const (
	// readBefore joins replays, as r, with how far their records' partitions
	// have been read.
	readBefore = `
FROM millstream.replays AS r
JOIN unnest($2::text[], $3::int4[], $4::int8[]) AS at (foreign_table, partition, "to")
  ON at.foreign_table = r.foreign_table AND at.partition = r.partition AND r."offset" < at."to"
WHERE r.pipeline = $1 AND r.state = 'requested'`

	replaysWaitingSQL = `SELECT EXISTS (SELECT` + readBefore + `)`

	// replayColumns tell of a replay, and whether the ledger of the pipeline's
	// build has its row.
	replayColumns = `
SELECT r.id, r.foreign_table, r.view_name, coalesce(r.source, 0), r.partition, r."offset", r.record_timestamp, r.ledger = 'late_rows', r.window_start,
       r.edited, r.key, r.headers, r.payload,
       CASE r.ledger WHEN 'quarantine' THEN EXISTS (
           SELECT FROM millstream.quarantine AS q, millstream.pipelines AS p
           WHERE p.name = r.pipeline AND q.pipeline = r.pipeline AND q.build = p.build AND q.foreign_table = r.foreign_table AND q.partition = r.partition
             AND q."offset" = r."offset" AND q.view_name IS NOT DISTINCT FROM r.view_name AND q.source IS NOT DISTINCT FROM r.source)
       ELSE EXISTS (
           SELECT FROM millstream.late_rows AS l, millstream.pipelines AS p
           WHERE p.name = r.pipeline AND l.pipeline = r.pipeline AND l.build = p.build AND l.view_name = r.view_name AND l.foreign_table = r.foreign_table
             AND l.partition = r.partition AND l."offset" = r."offset" AND l.source = r.source AND l.window_start = r.window_start) END`

	replaysRequestedSQL = replayColumns + readBefore + ` ORDER BY r.id LIMIT $5`

	replaysRecordedSQL = replayColumns + `
FROM millstream.replays AS r JOIN millstream.pipelines AS b ON b.name = r.pipeline
WHERE r.pipeline = $1 AND r.id = ANY ($2) AND r.state = 'applied' AND r.build < b.build ORDER BY r.id`
)

// Waiting tells whether any replay is asked for of a record before the
// positions.
func (s *Replays) Waiting(ctx context.Context, positions []engine.DecidedPosition) (some bool, err error) {
	tables, partitions, to := s.arrays(positions)
	err = s.db.pool.QueryRow(ctx, replaysWaitingSQL, s.db.pipeline, tables, partitions, to).Scan(&some)
	return some, err
}

// Requested gives the replays that are asked for, oldest first.
func (s *Replays) Requested(ctx context.Context, positions []engine.DecidedPosition, limit int) ([]engine.Replay, error) {
	tables, partitions, to := s.arrays(positions)
	return s.read(ctx, false, replaysRequestedSQL, s.db.pipeline, tables, partitions, to, limit)
}

// Recorded gives those of the replays that a build before has applied and this
// one has not.
func (s *Replays) Recorded(ctx context.Context, ids []int64) ([]engine.Replay, error) {
	return s.read(ctx, true, replaysRecordedSQL, s.db.pipeline, ids)
}

func (s *Replays) arrays(positions []engine.DecidedPosition) (tables []string, partitions []int32, to []int64) {
	for _, p := range positions {
		tables = append(tables, s.plan.Topics[p.Table].Name)
		partitions, to = append(partitions, p.Partition), append(to, p.To)
	}
	return tables, partitions, to
}

func (s *Replays) read(ctx context.Context, recorded bool, sql string, args ...any) ([]engine.Replay, error) {
	rows, err := s.db.pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (engine.Replay, error) {
		x := engine.Replay{Recorded: recorded, View: -1}
		var table string
		var view *string
		var timestamp, start pgtype.Timestamptz
		var headers []byte
		if err := row.Scan(&x.ID, &table, &view, &x.Source, &x.Partition, &x.Offset, &timestamp, &x.Late, &start,
			&x.Edited, &x.Key, &headers, &x.Payload, &x.Stands); err != nil {
			return x, err
		}
		x.Timestamp, x.WindowStart = stored(timestamp)-column.UnixEpochMicros, stored(start)
		var known bool
		x.Table, known = s.names.topics[table]
		if view != nil && known {
			x.View, known = s.names.views[*view]
		}
		if !known { // the file has it no longer
			x.Table, x.View, x.Stands = 0, -1, false
		}
		var err error
		x.Headers, err = headersOf(headers)
		return x, err
	})
}

// headersOf reads headers as headersJSON writes them.
func headersOf(text []byte) ([]engine.Header, error) {
	if len(text) == 0 {
		return nil, nil
	}
	var pairs [][2]json.RawMessage
	if err := json.Unmarshal(text, &pairs); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	out := make([]engine.Header, len(pairs))
	for i, p := range pairs {
		name, err := headerText(p[0])
		if err != nil {
			return nil, err
		}
		if out[i].Value, err = headerText(p[1]); err != nil {
			return nil, err
		}
		out[i].Key = string(name)
	}
	return out, nil
}

func headerText(text json.RawMessage) ([]byte, error) {
	var plain *string
	if json.Unmarshal(text, &plain) == nil {
		if plain == nil {
			return nil, nil
		}
		return []byte(*plain), nil
	}
	var encoded struct {
		Base64 string `json:"base64"`
	}
	if err := json.Unmarshal(text, &encoded); err != nil {
		return nil, fmt.Errorf("headers: %w", err)
	}
	return base64.StdEncoding.DecodeString(encoded.Base64)
}

// replayFate, replayWindow and replayFault are elements of replays.outcome and
// replays.fault.
type replayFate struct {
	View    string         `json:"view"`
	Source  int            `json:"source"`
	Fate    string         `json:"fate"`
	Reason  string         `json:"reason,omitempty"`
	Windows []replayWindow `json:"windows,omitempty"`
}

type replayWindow struct {
	Start     string `json:"start"`
	End       string `json:"end"`
	Corrected bool   `json:"corrected,omitempty"`
}

type replayFault struct {
	Cause    string `json:"cause"`
	View     string `json:"view,omitempty"`
	Column   string `json:"column,omitempty"`
	Path     string `json:"path,omitempty"`
	Position *int   `json:"position,omitempty"`
	Expected string `json:"expected,omitempty"`
	SQLState string `json:"sqlstate,omitempty"`
	Message  string `json:"message"`
}

func faultDoc(p *plan.Pipeline, r *engine.Refused) replayFault {
	f := replayFault{Cause: string(r.Cause), Column: storable(r.Column), Path: storable(r.Path), Expected: r.Expected, SQLState: r.Code, Message: storable(r.Message)}
	if r.View >= 0 {
		f.View = p.Views[r.View].Name
	}
	if r.Position >= 0 {
		f.Position = &r.Position
	}
	return f
}

func fateDocs(p *plan.Pipeline, fates []engine.ReplayFate) []replayFate {
	out := make([]replayFate, len(fates))
	for i, f := range fates {
		out[i] = replayFate{View: p.Views[f.View].Name, Source: f.Source, Fate: f.Fate, Reason: storable(f.Reason)}
		for _, w := range f.Windows {
			out[i].Windows = append(out[i].Windows, replayWindow{timeText(w.Start), timeText(w.End), w.Corrected})
		}
	}
	return out
}

const settleReplaysSQL = `
UPDATE millstream.replays AS r
SET state = u.state, reason = nullif(u.reason, ''), outcome = u.outcome::jsonb, fault = u.fault::jsonb, build = $2, seq = $3, generation = $4, applied_at = now()
FROM unnest($5::int8[], $6::text[], $7::text[], $8::text[], $9::text[], $10::bool[]) AS u (id, state, reason, outcome, fault, recorded)
WHERE r.pipeline = $1 AND r.id = u.id
  AND CASE WHEN u.recorded THEN r.state = 'applied' AND r.build < $2 ELSE r.state = 'requested' END`

// writeReplays writes what has become of replays, each once: should somebody
// else have settled one meanwhile, nothing of this commit stands.
func (a *attempt) writeReplays(ctx context.Context) error {
	list := a.commit.Replays
	if len(list) == 0 {
		return nil
	}
	ids, states, reasons := make([]int64, len(list)), make([]string, len(list)), make([]string, len(list))
	outcomes, faults, recorded := make([]string, len(list)), make([]*string, len(list)), make([]bool, len(list))
	for i, o := range list {
		outcome, err := json.Marshal(fateDocs(a.store.plan, o.Fates))
		if err != nil {
			return err
		}
		ids[i], states[i], reasons[i], outcomes[i], recorded[i] = o.ID, o.State, storable(o.Reason), string(outcome), o.Recorded
		if o.Fault != nil {
			fault, err := json.Marshal(faultDoc(a.store.plan, o.Fault))
			if err != nil {
				return err
			}
			text := string(fault)
			faults[i] = &text
		}
	}
	s := a.store
	tag, err := a.session.conn.Exec(ctx, settleReplaysSQL, s.db.pipeline, s.build, a.commit.Seq, s.generation, ids, states, reasons, outcomes, faults, recorded)
	if err != nil {
		return err
	}
	if n := tag.RowsAffected(); n != int64(len(list)) {
		return fmt.Errorf("%w: %d of %d replays were settled by somebody else", engine.ErrDiverged, int64(len(list))-n, len(list))
	}
	return nil
}
