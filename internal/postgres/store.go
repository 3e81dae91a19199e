package postgres

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Store is engine.Store on PostgreSQL. Open, Commit and Close have one
// caller at a time; Health may be called by anybody.
type Store struct {
	db     *Database
	plan   *plan.Pipeline
	names  tableNames
	tables []*table

	// Owned by the caller of Open and Commit.
	session      *session // nil while there is no connection
	generation   int64    // the one that Open raised
	build        int32
	seq          int64 // of the last commit that is known to stand
	droppedBelow map[engine.ViewID]int64
	lookupSizes  map[engine.LookupID]lookupSizes
	merged       int64 // seq at which upkeep last ran

	mu     sync.Mutex
	health error
	raised int64 // the generation, for those who ask from aside
}

var _ engine.Store = (*Store)(nil)

// Store gives the pipeline's store; Deploy must have run before it is opened.
func (db *Database) Store(p *plan.Pipeline) *Store {
	s := &Store{db: db, plan: p, names: namesOf(p)}
	for i, v := range p.Views {
		s.tables = append(s.tables, newTable(db.schema, engine.ViewID(i), v))
	}
	return s
}

// Health is nil when the last contact succeeded.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

func (s *Store) setHealth(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.health = err
}

// Generation is the one that Open raised, 0 before.
func (s *Store) Generation() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.raised
}

// Close ends the store's connection. It may be called twice.
func (s *Store) Close() {
	if s.session != nil {
		s.session.close()
		s.session = nil
	}
}

// Open raises the pipeline's generation and reads where it stands. It tries
// again what heals by itself until ctx ends.
func (s *Store) Open(ctx context.Context) (*engine.Snapshot, error) {
	var snapshot *engine.Snapshot
	err := s.retry(ctx, "open", func() (err error) {
		snapshot, err = s.open(ctx)
		return err
	})
	return snapshot, err
}

func (s *Store) open(ctx context.Context) (*engine.Snapshot, error) {
	if err := s.connect(ctx); err != nil {
		return nil, err
	}
	if err := s.raise(ctx); err != nil {
		s.abandon(err)
		return nil, err
	}
	failpoint.Hit("start.generation_raised")
	tx, err := s.session.conn.BeginTx(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly})
	if err != nil {
		return nil, err
	}
	defer func() { _ = tx.Rollback(context.WithoutCancel(ctx)) }()
	snapshot, err := s.read(ctx, tx)
	if err != nil {
		return nil, err
	}
	if err := tx.Commit(ctx); err != nil {
		return nil, err
	}
	s.remember(snapshot)
	return snapshot, nil
}

// connect makes the store's connection if there is none.
func (s *Store) connect(ctx context.Context) error {
	if s.session != nil && !s.session.conn.IsClosed() {
		return nil
	}
	session, err := connect(ctx, s.db.engine)
	if err != nil {
		return err
	}
	s.session = session
	return nil
}

const raiseSQL = `
UPDATE millstream.pipelines SET generation = generation + 1 WHERE name = $1
RETURNING generation, build, definition_hash, state_format`

// raise takes the pipeline over. It waits for a commit that is under way, and
// no older engine can commit after it (invariant 2).
func (s *Store) raise(ctx context.Context) error {
	var hash string
	var format int
	err := s.session.conn.QueryRow(ctx, raiseSQL, s.db.pipeline).Scan(&s.generation, &s.build, &hash, &format)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("the database knows no pipeline %q: it was not deployed, or was dropped", s.db.pipeline)
	case err != nil:
		return err
	case hash != s.plan.Hash:
		return fmt.Errorf("pipeline %q has been deployed with another definition meanwhile", s.db.pipeline)
	case format != StateFormat:
		return fmt.Errorf("the state of pipeline %q has format %d and this program knows %d: rebuild it, or use the program that wrote it", s.db.pipeline, format, StateFormat)
	}
	return nil
}

const (
	readSeqSQL = `
SELECT p.generation, coalesce((SELECT max(seq) FROM millstream.commits WHERE pipeline = p.name AND build = p.build), 0)
FROM millstream.pipelines AS p WHERE p.name = $1`

	readPartitionsSQL = `
SELECT DISTINCT ON (foreign_table, partition)
       foreign_table, partition, topic_id, offset_from, offset_to, watermark, idle_since, read_at, greatest_at
FROM millstream.commit_partitions WHERE pipeline = $1 AND build = $2
ORDER BY foreign_table, partition, seq DESC`

	readViewsSQL = `
SELECT view_name, watermark, floor, final_before, rows_out, open_windows, open_groups, decided, closed, closed_groups, expiring,
       coalesce(forgotten_end, '-infinity'), coalesce(forgotten_start, '-infinity')
FROM millstream.commit_views WHERE pipeline = $1 AND build = $2 AND seq = $3`
)

// read gives the pipeline's position and state as of the transaction.
func (s *Store) read(ctx context.Context, tx pgx.Tx) (*engine.Snapshot, error) {
	snapshot := &engine.Snapshot{}
	if err := tx.QueryRow(ctx, readSeqSQL, s.db.pipeline).Scan(&snapshot.Generation, &snapshot.Seq); err != nil {
		return nil, err
	}
	if snapshot.Generation != s.generation {
		return nil, engine.ErrFenced
	}
	var err error
	if snapshot.Progress, err = s.readPartitions(ctx, tx); err != nil {
		return nil, err
	}
	if snapshot.Views, err = s.readViews(ctx, tx, snapshot.Seq); err != nil {
		return nil, err
	}
	if err := s.readLookups(ctx, tx, snapshot); err != nil {
		return nil, err
	}
	if err := s.readDecisions(ctx, tx, snapshot); err != nil {
		return nil, err
	}
	failpoint.Hit("start.offsets_read")
	if snapshot.State, err = readState(ctx, tx, s.db.pipeline, s.build, s.names); err != nil {
		return nil, err
	}
	if snapshot.Closed, err = s.readClosed(ctx, tx); err != nil {
		return nil, err
	}
	snapshot.Repeats, err = s.readRepeats(ctx, tx)
	return snapshot, err
}

func (s *Store) readPartitions(ctx context.Context, tx pgx.Tx) ([]engine.PartitionProgress, error) {
	rows, err := tx.Query(ctx, readPartitionsSQL, s.db.pipeline, s.build)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (p engine.PartitionProgress, err error) {
		var name string
		var watermark, idle, read, greatest pgtype.Timestamptz
		if err := row.Scan(&name, &p.Partition, &p.TopicID, &p.From, &p.To, &watermark, &idle, &read, &greatest); err != nil {
			return p, err
		}
		p.Watermark = stored(watermark)
		p.IdleSince, p.ReadAt, p.GreatestAt = wallTime(idle), wallTime(read), wallTime(greatest)
		p.Table, err = s.names.topic(name)
		return p, err
	})
}

// wallTime is a wall time that was read, zero for NULL.
func wallTime(t pgtype.Timestamptz) time.Time {
	if !t.Valid {
		return time.Time{}
	}
	return t.Time.UTC()
}

func (s *Store) readViews(ctx context.Context, tx pgx.Tx, seq int64) ([]engine.ViewProgress, error) {
	rows, err := tx.Query(ctx, readViewsSQL, s.db.pipeline, s.build, seq)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (v engine.ViewProgress, err error) {
		var name string
		var watermark, floor, final, decided, closed, forgottenEnd, forgottenStart pgtype.Timestamptz
		if err := row.Scan(&name, &watermark, &floor, &final, &v.RowsOut, &v.OpenWindows, &v.OpenGroups,
			&decided, &closed, &v.ClosedGroups, &v.Expiring, &forgottenEnd, &forgottenStart); err != nil {
			return v, err
		}
		v.Watermark, v.Floor, v.FinalBefore = stored(watermark), stored(floor), stored(final)
		v.Decided, v.Closed = stored(decided), stored(closed)
		v.Forgotten = engine.WindowPlace{End: stored(forgottenEnd), Start: stored(forgottenStart)}
		v.View, err = s.names.view(name)
		return v, err
	})
}

// remember keeps what later commits are compared with.
func (s *Store) remember(snapshot *engine.Snapshot) {
	s.mu.Lock()
	s.raised = snapshot.Generation
	s.mu.Unlock()
	s.seq = snapshot.Seq
	s.merged = 0
	s.droppedBelow = map[engine.ViewID]int64{}
}

// Pauses between attempts.
const (
	firstPause = 20 * time.Millisecond
	// longestPause keeps the time short after which a server that is back is
	// noticed.
	longestPause = 2 * time.Second
)

// retry calls try until it succeeds or fails with what does not heal. While
// it goes on, Health tells why.
func (s *Store) retry(ctx context.Context, operation string, try func() error) error {
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try()
		if err == nil {
			s.setHealth(nil)
			return nil
		}
		err = s.describe(ctx, operation, err)
		s.setHealth(err)
		if final(err) {
			return err
		}
		if s.db.onRetry != nil {
			s.db.onRetry(operation, err)
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("%w; gave up: %w", err, context.Cause(ctx))
		case <-timer.C:
		}
	}
}

// final tells errors that trying again does not heal.
func final(err error) bool {
	return errors.Is(err, engine.ErrFenced) || errors.Is(err, engine.ErrDiverged) || Classify(err) != TryAgain
}
