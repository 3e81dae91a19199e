package postgres

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/engine"
)

// Times of the lease.
const (
	// leaseTimeout is after how much silence the server ends the session that
	// holds a lease: so long does a connection that is half open, or a program
	// that is stopped, keep others waiting.
	leaseTimeout = 3 * time.Second
	// beatEvery is how often the holder speaks: a few beats may get lost.
	beatEvery = 500 * time.Millisecond
	// beatPatience is how long an answer may take before the connection counts
	// as lost.
	beatPatience = 2 * time.Second
	// askEvery is how often one who waits asks for the lease. Waiting inside
	// pg_advisory_lock would take no time to notice, but a statement that waits
	// holds a snapshot, and with it dead rows in all tables, for days.
	askEvery = 200 * time.Millisecond
	// lookEvery is how often one who waits looks who leads.
	lookEvery = time.Second
	// takePatience bounds how long the lease is wrested from others.
	takePatience = 10 * time.Second
	takePause    = 20 * time.Millisecond
)

// Lease is the right to run a pipeline: an advisory lock, held by a session of
// its own. It decides who tries, the generation (invariant 2) who may commit:
// who has lost the lease without knowing is fenced all the same.
//
//	Take  ──▶ held ──▶ Release
//	Await ──▶  │ ──▶ Lost: another process has it
//
// The server ends a session that says nothing for leaseTimeout, so the lock is
// free again soon after its holder has died, was stopped, or has lost its
// connection, whatever stands between: proxies answer TCP's keepalives for the
// dead.
//
// Take and Await have one caller, once; Release, Lost and Health may be called
// by anybody.
type Lease struct {
	db   *Database
	conn *pgx.Conn // of the caller of Take or Await, then of keep
	pid  uint32    // of the server process that held the lock last

	lost    chan error
	stop    context.CancelFunc // nil before the lease is held
	stopped chan struct{}      // closed when keep has ended

	mu     sync.Mutex
	health error
}

// Leader is who holds a lease, as far as the database tells.
type Leader struct {
	PID        int32 // of its server process; 0: nobody holds it
	Address    string
	Generation int64
	API        string // where it answers, "" if it does not tell
}

func (l Leader) String() string {
	if l.PID == 0 {
		return "nobody yet"
	}
	from := ""
	if l.Address != "" {
		from = " of " + l.Address
	}
	return fmt.Sprintf("the engine%s whose session is server process %d", from, l.PID)
}

// Lease gives the pipeline's lease, which is not held yet.
func (db *Database) Lease() *Lease {
	return &Lease{db: db, lost: make(chan error, 1), stopped: make(chan struct{})}
}

// leaseKey is the advisory lock's number, and claimKey that of the lock which
// is held while somebody takes the lease from its holder: those who wait leave
// it alone meanwhile. The numbers must never change: programs of different
// versions wait for each other.
func leaseKey(pipeline string) int64 { return lockKey("millstream lease " + pipeline) }
func claimKey(pipeline string) int64 { return lockKey("millstream claim " + pipeline) }

func lockKey(text string) int64 {
	sum := sha256.Sum256([]byte(text))
	return int64(binary.BigEndian.Uint64(sum[:8])) //nolint:gosec // all bits count
}

// Lost gives an error once another process holds the lease.
func (l *Lease) Lost() <-chan error { return l.lost }

// Health is nil while the lease is held, or asked for, without trouble.
func (l *Lease) Health() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.health
}

func (l *Lease) setHealth(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.health = err
}

// Release gives the lease back. It may be called twice, and before it is held.
func (l *Lease) Release() {
	if l.stop != nil {
		l.stop()
		<-l.stopped
	} else {
		l.disconnect()
	}
}

// connect makes the lease's session if there is none.
func (l *Lease) connect(ctx context.Context) error {
	if l.conn != nil && !l.conn.IsClosed() {
		return nil
	}
	cfg := l.db.pool.Config().ConnConfig.Copy()
	for name, value := range map[string]string{
		"application_name":        "millstream/" + l.db.pipeline + "/lease",
		"idle_session_timeout":    milliseconds(leaseTimeout),
		"statement_timeout":       milliseconds(beatPatience),
		"tcp_user_timeout":        milliseconds(leaseTimeout),
		"tcp_keepalives_idle":     "1", // seconds; a host that is gone answers none of three
		"tcp_keepalives_interval": "1",
	} {
		cfg.RuntimeParams[name] = value
	}
	cfg.ConnectTimeout = beatPatience
	ctx, cancel := context.WithTimeout(ctx, beatPatience)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, cfg)
	l.conn = conn
	return err
}

func (l *Lease) disconnect() {
	if l.conn == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = l.conn.Close(ctx)
	l.conn = nil
}

// A replica that is read has locks of its own, which mean nothing.
const (
	// Of $1, the lease, if nobody is taking it from its holder: $2, the claim.
	askSQL = `SELECT CASE WHEN pg_is_in_recovery() OR NOT pg_try_advisory_xact_lock_shared($2) THEN false ELSE pg_try_advisory_lock($1) END, pg_backend_pid()`
	// Of $1, the claim.
	claimSQL = `SELECT CASE WHEN pg_is_in_recovery() THEN false ELSE pg_try_advisory_lock($1) END, pg_backend_pid()`
	// Of $1, the lease; then $2, the claim, is given back.
	takeSQL = `SELECT CASE WHEN pg_try_advisory_lock($1) THEN pg_advisory_unlock($2) ELSE false END, pg_backend_pid()`
)

// try asks for a lock once, by one of the statements. It is not cut short when
// ctx ends: a session that is left in the middle of a statement would keep the
// lock for a moment longer.
func (l *Lease) try(ctx context.Context, sql string, keys ...any) (got bool, err error) {
	if err := l.connect(ctx); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatPatience)
	defer cancel()
	var pid uint32
	if err := l.conn.QueryRow(ctx, sql, keys...).Scan(&got, &pid); err != nil {
		l.disconnect()
		return false, err
	}
	if got {
		l.pid = pid
	}
	return got, nil
}

// ask asks for the lease once, and leaves it to whoever takes it just now.
func (l *Lease) ask(ctx context.Context) (bool, error) {
	return l.try(ctx, askSQL, leaseKey(l.db.pipeline), claimKey(l.db.pipeline))
}

// heldSQL gives the server process that holds the lock whose number is $1.
const heldSQL = `
SELECT l.pid FROM pg_catalog.pg_locks AS l
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
  AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
  AND l.classid = (($1::bigint >> 32) & 4294967295)::oid AND l.objid = ($1::bigint & 4294967295)::oid`

const (
	endHolderSQL = `SELECT pg_terminate_backend(held.pid) FROM (` + heldSQL + `) AS held WHERE held.pid <> pg_backend_pid() AND ($2 = 0 OR held.pid = $2)`

	leaderSQL = `
SELECT a.pid, coalesce(host(a.client_addr), '') FROM (` + heldSQL + `) AS held
JOIN pg_catalog.pg_stat_activity AS a USING (pid)`

	leaderPipelineSQL = `SELECT generation, coalesce(api, '') FROM millstream.pipelines WHERE name = $1`
)

// Take gets the lease, from whoever has it: a new engine replaces the one that
// runs.
func (l *Lease) Take(ctx context.Context) error {
	waiting, cancel := context.WithTimeout(ctx, takePatience)
	defer cancel()
	lease, claim := leaseKey(l.db.pipeline), claimKey(l.db.pipeline)
	for claimed := false; ; {
		var got bool
		var err error
		if claimed {
			got, err = l.try(waiting, takeSQL, lease, claim)
		} else {
			got, err = l.try(waiting, claimSQL, claim)
		}
		switch {
		case err != nil:
			return fmt.Errorf("postgres: pipeline %s: lease: %w", l.db.pipeline, err)
		case got && claimed:
			return l.begin(ctx)
		case got:
			claimed = true
			continue
		case claimed:
			if err := l.endHolder(waiting, 0); err != nil {
				l.disconnect()
				return fmt.Errorf("postgres: pipeline %s: another engine runs it and can't be replaced: %w (end it first, or run as the same role)", l.db.pipeline, err)
			}
		}
		select {
		case <-time.After(takePause):
		case <-waiting.Done():
			l.disconnect()
			return fmt.Errorf("postgres: pipeline %s: its lease can't be had: %w (is the server a replica, or is another engine started just now?)", l.db.pipeline, waiting.Err())
		}
	}
}

// endHolder ends the session that holds the lock, if it is of process only
// (0: of any other).
func (l *Lease) endHolder(ctx context.Context, only uint32) error {
	_, err := l.conn.Exec(ctx, endHolderSQL, leaseKey(l.db.pipeline), int32(only)) //nolint:gosec // a process id
	return err
}

// Await waits until nobody else holds the lease, and gets it. tell is called
// with who leads, or why that can't be told, each time somebody has looked.
func (l *Lease) Await(ctx context.Context, tell func(Leader, error)) error {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	var looked time.Time
	for {
		got, err := l.ask(ctx)
		if got {
			if err = l.begin(ctx); err == nil || Classify(err) != TryAgain {
				return err
			}
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case err != nil:
			l.setHealth(err)
			tell(Leader{}, err)
		default:
			l.setHealth(nil)
			if time.Since(looked) >= lookEvery {
				looked = time.Now()
				tell(l.leader(ctx))
			}
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// leader looks who holds the lease.
func (l *Lease) leader(ctx context.Context) (who Leader, err error) {
	ctx, cancel := context.WithTimeout(ctx, beatPatience)
	defer cancel()
	err = l.conn.QueryRow(ctx, leaderSQL, leaseKey(l.db.pipeline)).Scan(&who.PID, &who.Address)
	if errors.Is(err, pgx.ErrNoRows) {
		return who, nil // it has ended this moment
	}
	if err != nil {
		return who, err
	}
	err = l.conn.QueryRow(ctx, leaderPipelineSQL, l.db.pipeline).Scan(&who.Generation, &who.API)
	if errors.Is(err, pgx.ErrNoRows) || isState(err, undefinedTable) || isState(err, undefinedColumn) {
		err = nil // it has not deployed yet, or migrates
	}
	return who, err
}

// begin is done by who has just got the lock: what the engine before has left
// behind is ended, so that a transaction of the dead keeps no row locked, and
// the lease is kept from now on.
func (l *Lease) begin(ctx context.Context) error {
	if err := l.endEngines(ctx); err != nil {
		l.disconnect()
		return fmt.Errorf("postgres: pipeline %s: end the sessions of the engine before: %w", l.db.pipeline, err)
	}
	l.setHealth(nil)
	keeping, stop := context.WithCancel(context.WithoutCancel(ctx))
	l.stop = stop
	go l.keep(keeping)
	return nil
}

// endEnginesSQL waits for each session's end, up to a second.
const endEnginesSQL = `
SELECT pg_terminate_backend(pid, 1000) FROM pg_catalog.pg_stat_activity
WHERE application_name = current_setting('application_name') AND datname = current_database() AND usename = current_user AND pid <> pg_backend_pid()`

// endEngines ends the sessions that commit for this pipeline. They are found
// by the name that they have given themselves, as the server has stored it.
func (l *Lease) endEngines(ctx context.Context) error {
	return pgx.BeginFunc(ctx, l.conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT set_config('application_name', $1, true), set_config('statement_timeout', '0', true)", engineSession(l.db.pipeline)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, endEnginesSQL)
		return err
	})
}

// keep holds the lease until ctx ends or another process has it.
func (l *Lease) keep(ctx context.Context) {
	defer close(l.stopped)
	defer l.handBack()
	ticker := time.NewTicker(beatEvery)
	defer ticker.Stop()
	for ctx.Err() == nil { // else there may be no session: regain gives up so
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		if l.beat(ctx) == nil || ctx.Err() != nil {
			continue
		}
		if err := l.regain(ctx); err != nil {
			l.lost <- err
			return
		}
	}
}

// handBack gives the lock back, which the end of the session alone does a
// moment later.
func (l *Lease) handBack() {
	if l.conn != nil {
		ctx, cancel := context.WithTimeout(context.Background(), beatPatience)
		defer cancel()
		_, _ = l.conn.Exec(ctx, "SELECT pg_advisory_unlock_all()") // if it fails, the session is lost, and the lock with it
	}
	l.disconnect()
}

// beat lets the server hear that the holder is there. As in try, a release
// waits for the answer.
func (l *Lease) beat(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), beatPatience)
	defer cancel()
	return l.conn.Ping(ctx)
}

// regain asks for the lease again after its session was lost. While the
// database is away nobody can have it, so there is no hurry to give up: the
// engine waits for the database, too.
func (l *Lease) regain(ctx context.Context) error {
	l.disconnect()
	for {
		got, err := l.ask(ctx)
		switch {
		case got:
			l.setHealth(nil)
			l.db.log.Info("the lease is held again")
			return nil
		case ctx.Err() != nil:
			return nil //nolint:nilerr // it is given back
		case err != nil:
			l.setHealth(fmt.Errorf("the session that holds the lease is lost: %w", err))
		default:
			if ended, err := l.endOwn(ctx); err != nil || !ended {
				return fmt.Errorf("postgres: pipeline %s: %w: it has got the lease", l.db.pipeline, engine.ErrFenced)
			}
		}
		select {
		case <-time.After(askEvery):
		case <-ctx.Done():
			return nil
		}
	}
}

// endOwn ends the session that was ours, where the server has not noticed yet
// that its connection is lost, and tells whether it was the one that holds the
// lock.
func (l *Lease) endOwn(ctx context.Context) (bool, error) {
	who, err := l.leader(ctx)
	if err != nil || who.PID == 0 {
		return err == nil, err
	}
	if uint32(who.PID) != l.pid { //nolint:gosec // a process id
		return false, nil
	}
	return true, l.endHolder(ctx, l.pid)
}

// Advertise notes where this process' API answers, for those who stand by.
func (l *Lease) Advertise(ctx context.Context, api string) error {
	_, err := l.db.pool.Exec(ctx, "UPDATE millstream.pipelines SET api = nullif($2, '') WHERE name = $1 AND api IS DISTINCT FROM nullif($2, '')", l.db.pipeline, api)
	return err
}
