package postgres

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/failpoint"
)

// Commit makes c durable, in one transaction (invariant 1).
//
// An attempt that fails before COMMIT has left is rolled back and made again.
// One whose COMMIT was not answered is settled by the next attempt, which
// waits for the old session's end, takes the pipeline's lock, and finds the
// commit there or not (invariant 4).
func (s *Store) Commit(ctx context.Context, c *engine.Commit) (engine.CommitStats, error) {
	if c.Seq != s.seq+1 {
		return engine.CommitStats{}, fmt.Errorf("commit %d does not follow commit %d: %w", c.Seq, s.seq, engine.ErrDiverged)
	}
	var stats engine.CommitStats
	lookups, err := s.encodeLookups(c)
	if err != nil {
		return stats, err
	}
	unknown := false // some attempt's COMMIT left and was not answered
	var old uint32   // the process that served it
	var expired []engine.ViewID
	attempts := 0
	err = s.retry(ctx, fmt.Sprintf("commit %d", c.Seq), func() error {
		attempts++
		if err := s.connect(ctx); err != nil {
			return err
		}
		if unknown {
			if err := s.endSession(ctx, old); err != nil {
				return err
			}
		}
		a := &attempt{store: s, session: s.session, commit: c, lookups: lookups, settle: unknown, last: time.Now()}
		err := a.run(ctx)
		if a.direct && isState(err, uniqueViolation) {
			// Somebody else's row stands where none of ours does. Ours takes
			// its place, as one of ours would.
			s.abandon(err)
			a = &attempt{store: s, session: s.session, commit: c, lookups: lookups, merge: true, last: time.Now()}
			err = a.run(ctx)
		}
		if !a.stands { // else it was the attempt before that did it
			stats = a.stats
			expired = append(expired, stats.Expired...) // whichever attempt it was that came through
		}
		if a.unknown {
			unknown, old = true, s.session.conn.PgConn().PID()
			s.Close()
		} else if err != nil {
			s.abandon(err)
		}
		return err
	})
	if err != nil {
		return stats, err
	}
	stats.Expired, stats.Attempts = expired, attempts
	maps.Copy(s.lookupSizes, lookups.sizes)
	s.committed(c)
	s.upkeep(ctx)
	return stats, nil
}

// abandon ends a failed attempt. A server that has become read-only is left:
// a failover is under way, and a new connection may find the new primary.
func (s *Store) abandon(err error) {
	if isState(err, readOnlyTransaction) {
		s.Close()
		return
	}
	s.session.rollback()
}

// committed notes what the next commit is compared with.
func (s *Store) committed(c *engine.Commit) {
	s.seq = c.Seq
	for view, below := range c.DropState {
		s.droppedBelow[view] = max(s.droppedBelow[view], below)
	}
}

// attempt is one try at a commit.
type attempt struct {
	store   *Store
	session *session
	commit  *engine.Commit
	lookups *lookupWrite
	merge   bool // rows that no row of ours can meet are merged, too
	direct  bool // such rows were copied into a table
	settle  bool // an earlier attempt's outcome is unknown
	unknown bool // this one's is
	stands  bool // it found the commit made by an earlier one
	stats   engine.CommitStats
	last    time.Time // when the step that is under way began
}

func (a *attempt) step(name string) {
	now := time.Now()
	a.stats.Steps = append(a.stats.Steps, engine.StepTime{Step: name, Duration: now.Sub(a.last), Began: a.last, Ended: now})
	a.last = now
}

func (a *attempt) run(ctx context.Context) error {
	if err := a.makeTemporaries(ctx); err != nil {
		return err
	}
	failpoint.Hit("commit.before_begin")
	var err error
	if a.stands, err = a.fence(ctx); err != nil || a.stands {
		return err
	}
	failpoint.Hit("commit.fence_held")
	a.step("fence")
	if err := a.writeRows(ctx); err != nil {
		return err
	}
	failpoint.Hit("commit.merged")
	a.step("rows")
	if err := a.writeLedgers(ctx); err != nil {
		return err
	}
	failpoint.Hit("commit.ledgers_written")
	a.step("ledgers")
	if err := a.writeState(ctx); err != nil {
		return err
	}
	if err := a.writeClosed(ctx); err != nil {
		return err
	}
	if err := a.writeRepeats(ctx); err != nil {
		return err
	}
	failpoint.Hit("commit.state_written")
	a.step("state")
	if err := a.writeLookups(ctx); err != nil {
		return err
	}
	if err := a.writeCommitRow(ctx); err != nil {
		return err
	}
	failpoint.Hit("commit.row_written")
	a.step("commit_row")
	if a.unknown, err = a.session.commit(ctx, func() { failpoint.Hit("commit.sent") }); err != nil {
		return err
	}
	failpoint.Hit("commit.answered")
	a.step("commit")
	return nil
}

const (
	lockSQL = `SELECT generation, build::int8 FROM millstream.pipelines WHERE name = $1 FOR NO KEY UPDATE`
	lastSQL = `SELECT seq, generation FROM millstream.commits WHERE pipeline = $1 AND build = $2 ORDER BY seq DESC LIMIT 1`
)

// fence begins the transaction, locks the pipeline's row, and compares what
// stands there with what this engine believes (invariants 2 and 3). stands
// tells that an earlier attempt has made the commit: the transaction is ended.
//
// The last commit is read by a statement of its own: its snapshot is taken
// after the lock was got, so it sees what the lock's former holder committed.
func (a *attempt) fence(ctx context.Context) (stands bool, err error) {
	s := a.store
	name := []byte(s.db.pipeline)
	results, err := a.session.send(ctx, []statement{
		{"BEGIN", nil},
		{lockSQL, [][]byte{name}},
		{lastSQL, [][]byte{name, int4Param(s.build)}},
	})
	if err != nil {
		return false, err
	}
	row := func(i int) (x, y int64, ok bool) {
		if len(results[i].Rows) == 0 {
			return 0, 0, false
		}
		fields := results[i].Rows[0]
		return int64(binary.BigEndian.Uint64(fields[0])), int64(binary.BigEndian.Uint64(fields[1])), true
	}
	generation, build, ok := row(1)
	if !ok {
		return false, fmt.Errorf("%w: it knows no pipeline %q", engine.ErrDiverged, s.db.pipeline)
	}
	seq, by, _ := row(2)
	switch {
	case generation > s.generation:
		return false, fmt.Errorf("%w: its generation is %d, ours %d", engine.ErrFenced, generation, s.generation)
	case generation < s.generation || build != int64(s.build):
		return false, fmt.Errorf("%w: its generation is %d and its build %d, ours %d and %d", engine.ErrDiverged, generation, build, s.generation, s.build)
	case a.settle && seq == a.commit.Seq && by == s.generation:
		return true, a.end(ctx)
	case seq != s.seq:
		return false, fmt.Errorf("%w: its last commit is %d, ours %d", engine.ErrDiverged, seq, s.seq)
	}
	return false, nil
}

func (a *attempt) end(ctx context.Context) error {
	_, err := a.session.conn.Exec(ctx, "ROLLBACK")
	return err
}

const endSessionSQL = `
SELECT pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity
WHERE pid = $1 AND pid <> pg_backend_pid() AND application_name = current_setting('application_name') AND usename = current_user`

// endSession ends the server process of a lost connection, should it still be
// there: half-open, it would hold the pipeline's lock until the keepalive.
func (s *Store) endSession(ctx context.Context, pid uint32) error {
	_, err := s.session.conn.Exec(ctx, endSessionSQL, int32(pid))
	return err
}

const commitRowSQL = `
INSERT INTO millstream.commits (pipeline, build, seq_from, seq, generation, partitions, views, lookups, pinned, engine_version, sealed_at)
VALUES ($1, $2, $3, $3, $4, $5, $6, $7, $8, $9, $10)`

func (a *attempt) writeCommitRow(ctx context.Context) error {
	s, c := a.store, a.commit
	partitions, err := partitionDocs(s.plan, c.Progress)
	if err != nil {
		return err
	}
	views, err := viewDocs(s.plan, c.Views, a.stats.Expiring)
	if err != nil {
		return err
	}
	lookups, err := lookupsDoc(s.plan, c.Lookups)
	if err != nil {
		return err
	}
	a.stats.Bytes += int64(len(partitions) + len(views))
	_, err = a.session.conn.Exec(ctx, commitRowSQL, s.db.pipeline, s.build, c.Seq, s.generation,
		string(partitions), string(views), string(lookups), c.Pinned, s.db.version, c.At)
	return err
}

// copy is copyIn that counts the bytes.
func (a *attempt) copy(ctx context.Context, table string, columns []string, n int, row func(w *rowWriter, i int)) error {
	sent, err := copyIn(ctx, a.session.conn, table, columns, n, row)
	a.stats.Bytes += sent
	return err
}

// describe gives an error its operation, its hint and, where a lock was
// waited for in vain, who holds it.
func (s *Store) describe(ctx context.Context, operation string, err error) error {
	text := fmt.Sprintf("postgres: pipeline %s: %s", s.db.pipeline, operation)
	if isState(err, lockNotAvailable) {
		if blockers := s.blockers(ctx); blockers != "" {
			return fmt.Errorf("%s: %w: held by %s", text, err, blockers)
		}
	}
	if isSchemaChange(err) {
		if differs := s.tableChanges(ctx); differs != nil {
			return fmt.Errorf("%s: %w: %w", text, err, differs)
		}
	}
	if h := hint(err); h != "" {
		return fmt.Errorf("%s: %w (%s)", text, err, h)
	}
	return fmt.Errorf("%s: %w", text, err)
}
