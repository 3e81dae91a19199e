package harness

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/millstream-dev/millstream/bench/contender"
)

// watchEvery is how often the product's commits are looked for. Their times
// are PostgreSQL's, so this does not enter into any figure.
const watchEvery = 100 * time.Millisecond

// log collects commits, whoever tells of them.
type log struct {
	mu      sync.Mutex
	commits []contender.Commit
	err     error
	changed chan struct{} // cap 1
}

func newLog() *log { return &log{changed: make(chan struct{}, 1)} }

func (l *log) add(c contender.Commit) {
	l.mu.Lock()
	l.commits = append(l.commits, c)
	l.mu.Unlock()
	l.signal()
}

func (l *log) fail(err error) {
	l.mu.Lock()
	l.err = errors.Join(l.err, err)
	l.mu.Unlock()
	l.signal()
}

func (l *log) signal() {
	select {
	case l.changed <- struct{}{}:
	default:
	}
}

// events gives how many are committed.
func (l *log) events() (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.commits) == 0 {
		return 0, l.err
	}
	return l.commits[len(l.commits)-1].Events, l.err
}

// lines reads the commits that a child prints.
func (l *log) lines(r io.Reader) {
	in := bufio.NewScanner(r)
	for in.Scan() {
		var c contender.Commit
		if err := json.Unmarshal(in.Bytes(), &c); err != nil {
			l.fail(fmt.Errorf("a contender printed %q: %w", in.Text(), err))
			continue
		}
		l.add(c)
	}
}

// commitsSQL gives the product's commits after one, each with the time at
// which it was done.
const commitsSQL = `SELECT seq, pg_xact_commit_timestamp(xmin), partitions, views
FROM millstream.commits WHERE seq > $1 ORDER BY seq`

// follower reads the product's commits from PostgreSQL.
type follower struct {
	log  *log
	url  string
	seq  int64
	ends map[int32]int64
	rows int64
}

// run looks until stop is closed, and then once more.
func (f *follower) run(ctx context.Context, stop <-chan struct{}) {
	db, err := pgx.Connect(ctx, f.url)
	if err != nil {
		f.log.fail(err)
		return
	}
	defer db.Close(context.WithoutCancel(ctx))
	clock := time.NewTicker(watchEvery)
	defer clock.Stop()
	for last := false; ; {
		if err := f.look(ctx, db); err != nil {
			f.log.fail(fmt.Errorf("read the product's commits: %w", err))
			return
		}
		if last {
			return
		}
		select {
		case <-clock.C:
		case <-stop:
			last = true
		case <-ctx.Done():
			return
		}
	}
}

func (f *follower) look(ctx context.Context, db *pgx.Conn) error {
	err := f.read(ctx, db)
	var missing *pgconn.PgError
	if errors.As(err, &missing) && (missing.Code == undefinedTable || missing.Code == undefinedColumn) {
		return nil // the product has not made it yet
	}
	return err
}

func (f *follower) read(ctx context.Context, db *pgx.Conn) error {
	rows, err := db.Query(ctx, commitsSQL, f.seq)
	if err != nil {
		return err
	}
	var at time.Time
	var partitions []struct {
		Partition int32 `json:"partition"`
		To        int64 `json:"to"`
	}
	var views []struct {
		RowsOut int64 `json:"rows_out"`
	}
	_, err = pgx.ForEachRow(rows, []any{&f.seq, &at, &partitions, &views}, func() error {
		for _, p := range partitions {
			f.ends[p.Partition] = p.To
		}
		c := contender.Commit{At: at}
		for _, to := range f.ends {
			c.Events += to
		}
		for _, v := range views {
			f.rows += v.RowsOut
		}
		c.Rows = f.rows
		f.log.add(c)
		return nil
	})
	return err
}

// SQLSTATEs of what is not there yet.
const (
	undefinedTable  = "42P01"
	undefinedColumn = "42703"
)
