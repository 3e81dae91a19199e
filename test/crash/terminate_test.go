package crash

import (
	"context"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// patience bounds the wait for what must come.
const patience = 60 * time.Second

// lookAgain is how often the database is asked whether it has come.
const lookAgain = 10 * time.Millisecond

// eventually waits until a query gives true.
func eventually(t *testing.T, conn *pgx.Conn, sql string, args ...any) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		var yes *bool
		if err := conn.QueryRow(ctx, sql, args...).Scan(&yes); err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		if yes != nil && *yes {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("has not come in %s: %s", patience, sql)
		}
	}
}

// endless gives the arguments of a run that goes on at the ends.
func (s *shop) endless(url string) []string {
	return []string{"run", s.file, "--brokers", s.broker, "--database-url", url, "--name", name, "-o", "json",
		"--commit-interval", "1ms", "--max-epoch-rows", s.epochRows, "--max-commit-rows", commitRows, "--workers", "2", "--listen", "127.0.0.1:0", "--admin-listen", "off"}
}

func (s *shop) start(t *testing.T, url string) (*line.Process, *pgx.Conn) {
	t.Helper()
	p := line.Start(t, nil, s.endless(url)...)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := p.Line(ctx); err != nil {
		t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.Background()) })
	return p, conn
}

// TestTerminate ends the program by SIGTERM in the midst of a log: it commits
// what it has read and ends well, and the next run goes on from there.
func TestTerminate(t *testing.T) {
	s := openShop(t)
	url := pgtest.Database(t)
	p, conn := s.start(t, url)
	eventually(t, conn, `SELECT max(seq) >= 3 FROM millstream.commits`)
	p.Signal(syscall.SIGTERM)
	if r := p.Wait(); r.Code != 0 {
		t.Fatalf("SIGTERM: %s", r)
	}
	invariants(t, url)
	s.finish(t, url)
	s.check(t, url)
}

// TestTerminateTwice locks a view's table, so that no commit gets on: the
// second SIGTERM ends the program, and nothing is half done.
func TestTerminateTwice(t *testing.T) {
	s := openShop(t)
	url := pgtest.Database(t)
	if r := s.run(t, url, "commit.answered:2"); !r.Killed {
		t.Fatal(r)
	}
	ctx := t.Context()
	holder, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer holder.Close(context.Background())
	if _, err := holder.Exec(ctx, `BEGIN; LOCK TABLE sales IN SHARE MODE`); err != nil {
		t.Fatal(err)
	}
	p, conn := s.start(t, url)
	eventually(t, conn, `SELECT count(*) > 0 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`)
	p.Signal(syscall.SIGTERM)
	// Two signals at once could arrive as one: it is sent until it works.
	again := time.NewTicker(lookAgain)
	defer again.Stop()
	for ended := false; !ended; {
		select {
		case <-p.Ended():
			ended = true
		case <-again.C:
			p.Terminate()
		}
	}
	if r := p.Wait(); r.Code != 143 {
		t.Errorf("SIGTERM twice: %s", r)
	}
	if _, err := holder.Exec(ctx, `ROLLBACK`); err != nil {
		t.Fatal(err)
	}
	invariants(t, url)
	s.finish(t, url)
	s.check(t, url)
}
