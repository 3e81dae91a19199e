package postgres

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

const pipelineSQL = topicSQL + totalsSQL + "CREATE MATERIALIZED VIEW events AS SELECT kind FROM orders;\n"

// patience is how long a test waits for what must come.
const patience = 30 * time.Second

// opened is a deployed pipeline with an open store that has made one commit.
func opened(t *testing.T, change ...func(*Config)) (*testDatabase, *Store) {
	t.Helper()
	d := newDatabase(t, build(t, pipelineSQL), change...)
	s := d.open(t)
	if _, err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), commitOf(1)); err != nil {
		t.Fatal(err)
	}
	return d, s
}

// commitOf is the commit of that number: the total is n, and one event.
func commitOf(n int64) *engine.Commit {
	event := eventBatch(n)
	return &engine.Commit{Seq: n, At: time.Unix(n, 0), Tables: []engine.TableChange{oneTotal(n), event},
		Progress: []engine.PartitionProgress{{From: n - 1, To: n}},
		Views: []engine.ViewProgress{
			{View: 0, Inputs: []engine.InputCounts{{Counts: engine.Counts{Read: 1, Accepted: 1}}}, RowsOut: 1},
			{View: 1, Inputs: []engine.InputCounts{{Counts: engine.Counts{Read: 1, Accepted: 1}}}, RowsOut: 1},
		},
		State: []engine.StateBlob{{Shard: -1, Seq: n, Data: fmt.Appendf(nil, "state %d", n)}},
		Late:  []engine.LateRow{{View: 0, Offset: n, WindowEnd: 1, Watermark: 2, Cause: engine.LatePartition}},
	}
}

// checkStands checks that commits 1 to n stand, each once.
func (d *testDatabase) checkStands(t *testing.T, n int64) {
	t.Helper()
	equalLines(t, d.lines(t, "SELECT n FROM totals"), []string{fmt.Sprint(n)})
	var seqs, offsets []string
	for i := int64(1); i <= n; i++ {
		seqs = append(seqs, fmt.Sprintf("%d|%d", i, i))
		offsets = append(offsets, fmt.Sprint(i))
	}
	equalLines(t, d.lines(t, `SELECT _offset FROM events ORDER BY 1`), offsets)
	equalLines(t, d.lines(t, `SELECT seq_from, seq FROM millstream.commits ORDER BY 1`), seqs)
	equalLines(t, d.lines(t, `SELECT "offset" FROM millstream.late_rows ORDER BY 1`), offsets)
	equalLines(t, d.lines(t, `SELECT seq FROM millstream.state ORDER BY 1`), offsets)
}

// committing commits in the background.
func committing(ctx context.Context, s *Store, c *engine.Commit) <-chan error {
	done := make(chan error, 1)
	go func() {
		_, err := s.Commit(ctx, c)
		done <- err
	}()
	return done
}

func wait(t *testing.T, done <-chan error) error {
	t.Helper()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		t.Fatal("the commit does not end")
		return nil
	}
}

// until polls what nobody signals: another session's state in the server.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for !holds() {
		if time.Now().After(deadline) {
			t.Fatalf("%s does not come", what)
		}
		time.Sleep(time.Millisecond)
	}
}

func TestUnknownOutcome(t *testing.T) {
	for name, c := range map[string]severing{"COMMIT has not reached the server": unsent, "its answer is lost": answered, "the connection is half open": halfOpen} {
		t.Run(name, func(t *testing.T) {
			d, _ := opened(t)
			p := newProxy(t, d.conn.Config().ConnString())
			s := openDatabase(t, p.url).Store(d.plan)
			t.Cleanup(s.Close)
			if _, err := s.Open(t.Context()); err != nil {
				t.Fatal(err)
			}
			for n := int64(2); n <= 3; n++ {
				p.arm(c)
				if err := wait(t, committing(t.Context(), s, commitOf(n))); err != nil {
					t.Fatal(err)
				}
				if got := <-p.cuts; got != c {
					t.Errorf("the proxy cut %d", got)
				}
			}
			d.checkStands(t, 3)
		})
	}
}

// blocked waits until the store's session waits for a lock, and gives its
// process.
func (d *testDatabase) blocked(t *testing.T) string {
	t.Helper()
	var pid string
	until(t, "a session that waits for a lock", func() bool {
		rows := d.lines(t, `SELECT pid FROM pg_stat_activity WHERE application_name = 'millstream/orders' AND wait_event_type = 'Lock' AND datname = current_database()`)
		if len(rows) > 0 {
			pid = rows[0]
		}
		return pid != ""
	})
	return pid
}

func TestBackendTerminatedInACommit(t *testing.T) {
	d, s := opened(t)
	d.exec(t, "BEGIN; LOCK TABLE millstream.commits IN ACCESS EXCLUSIVE MODE")
	done := committing(t.Context(), s, commitOf(2))
	d.exec(t, "SELECT pg_terminate_backend("+d.blocked(t)+")")
	until(t, "the error", func() bool { return s.Health() != nil })
	if !strings.Contains(s.Health().Error(), "terminating connection") {
		t.Errorf("health: %v", s.Health())
	}
	d.exec(t, "COMMIT")
	if err := wait(t, done); err != nil {
		t.Fatal(err)
	}
	if err := s.Health(); err != nil {
		t.Errorf("health afterwards: %v", err)
	}
	d.checkStands(t, 2)
}

func TestLockHeld(t *testing.T) {
	d, s := opened(t, func(c *Config) { c.LockTimeout = 50 * time.Millisecond })
	own := d.lines(t, "SELECT pg_backend_pid()")[0]
	for n, lock := range []string{"LOCK TABLE totals IN SHARE MODE", "SELECT FROM millstream.pipelines FOR UPDATE", "SELECT FROM totals FOR UPDATE"} {
		n := int64(n + 2)
		d.exec(t, "BEGIN; "+lock)
		done := committing(t.Context(), s, commitOf(n))
		until(t, "the blocker's name", func() bool {
			err := s.Health()
			return err != nil && strings.Contains(err.Error(), "held by process "+own+" ")
		})
		if err := s.Health(); !strings.Contains(err.Error(), "lock timeout") || !strings.Contains(err.Error(), "pg_terminate_backend") {
			t.Errorf("health: %v", err)
		}
		d.exec(t, "COMMIT")
		if err := wait(t, done); err != nil {
			t.Fatal(err)
		}
		d.checkStands(t, n)
	}
}

func TestCommitEndsWithItsContext(t *testing.T) {
	d, s := opened(t, func(c *Config) { c.LockTimeout = 20 * time.Millisecond })
	d.exec(t, "BEGIN; LOCK TABLE totals IN SHARE MODE")
	ctx, cancel := context.WithCancelCause(t.Context())
	done := committing(ctx, s, commitOf(2))
	until(t, "an error", func() bool { return s.Health() != nil })
	enough := errors.New("enough")
	cancel(enough)
	if err := wait(t, done); !errors.Is(err, enough) {
		t.Errorf("commit: %v", err)
	}
	d.exec(t, "COMMIT")
	if _, err := s.Commit(t.Context(), commitOf(2)); err != nil {
		t.Errorf("the next commit: %v", err)
	}
	d.checkStands(t, 2)
}

func TestReadOnly(t *testing.T) {
	d, s := opened(t)
	name := d.lines(t, "SELECT quote_ident(current_database())")[0]
	d.exec(t, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	d.exec(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'millstream/orders' AND datname = current_database()")
	done := committing(t.Context(), s, commitOf(2))
	until(t, "the error", func() bool { return s.Health() != nil && strings.Contains(s.Health().Error(), "read-only") })
	d.exec(t, "ALTER DATABASE "+name+" RESET default_transaction_read_only")
	if err := wait(t, done); err != nil {
		t.Fatal(err)
	}
	d.checkStands(t, 2)
}

func TestTableAlteredUnderUs(t *testing.T) {
	d, s := opened(t)
	d.exec(t, "ALTER TABLE totals RENAME n TO m")
	_, err := s.Commit(t.Context(), commitOf(2))
	wantError(t, err, `column "n"`, `column 5 is "m", not "n"`)
	if Classify(err) != Fatal {
		t.Errorf("class %s", Classify(err))
	}
	d.exec(t, "ALTER TABLE totals RENAME m TO n")
	if _, err := s.Commit(t.Context(), commitOf(2)); err != nil {
		t.Errorf("after it was undone: %v", err)
	}
	d.checkStands(t, 2)

	d.exec(t, "DROP TABLE events")
	_, err = s.Commit(t.Context(), commitOf(3))
	wantError(t, err, "events", "does not exist")
}

func TestPermissionRevoked(t *testing.T) {
	address, err := url.Parse(newDatabase(t, build(t, pipelineSQL)).conn.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	conn := superuser(t, address.String())
	d := &testDatabase{conn: conn, plan: build(t, pipelineSQL)}
	role := fmt.Sprintf("mstest_role_%d", conn.PgConn().PID())
	name := d.lines(t, "SELECT quote_ident(current_database())")[0]
	d.exec(t, "CREATE ROLE "+role+" LOGIN PASSWORD 'secret'; DROP SCHEMA millstream, public CASCADE; CREATE SCHEMA public; GRANT CREATE ON DATABASE "+name+" TO "+role)
	t.Cleanup(func() { d.exec(t, "DROP OWNED BY "+role+"; DROP ROLE "+role) })
	address.User = url.UserPassword(role, "secret")
	d.Database = openDatabase(t, address.String())
	wantError(t, d.Deploy(t.Context(), d.plan, testCluster), "permission denied for schema public")
	d.exec(t, "GRANT USAGE, CREATE ON SCHEMA public TO "+role)
	if err := d.Deploy(t.Context(), d.plan, testCluster); err != nil {
		t.Fatal(err)
	}
	s := d.open(t)
	if _, err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), commitOf(1)); err != nil {
		t.Fatal(err)
	}
	d.exec(t, "REVOKE INSERT ON totals FROM "+role)
	_, err = s.Commit(t.Context(), commitOf(2))
	wantError(t, err, "permission denied for table totals", "must own its tables")
}

func TestRestoredToAnOlderState(t *testing.T) {
	d, s := opened(t)
	d.exec(t, `CREATE SCHEMA backup`)
	tables := []string{"public.totals", "public.events", "millstream.commits", "millstream.state", "millstream.late_rows", "millstream.pipelines"}
	for _, name := range tables {
		d.exec(t, "CREATE TABLE backup."+strings.Split(name, ".")[1]+" AS TABLE "+name)
	}
	restore := func() {
		for _, name := range tables {
			overriding := ""
			if name == "millstream.late_rows" {
				overriding = "OVERRIDING SYSTEM VALUE "
			}
			copied := "backup." + strings.Split(name, ".")[1]
			if name == "millstream.pipelines" {
				d.exec(t, "UPDATE millstream.pipelines AS p SET generation = b.generation FROM "+copied+" AS b")
				continue
			}
			d.exec(t, "DELETE FROM "+name+"; INSERT INTO "+name+" "+overriding+"TABLE "+copied)
		}
	}
	for n := int64(2); n <= 3; n++ {
		if _, err := s.Commit(t.Context(), commitOf(n)); err != nil {
			t.Fatal(err)
		}
	}
	restore()
	if _, err := s.Commit(t.Context(), commitOf(4)); !errors.Is(err, engine.ErrDiverged) {
		t.Fatalf("commit on a restored database: %v", err)
	}
	snapshot, err := s.Open(t.Context())
	if err != nil || snapshot.Seq != 1 || snapshot.Progress[0].To != 1 {
		t.Fatalf("resumed at %+v, %v", snapshot, err)
	}
	if _, err := s.Commit(t.Context(), commitOf(2)); err != nil {
		t.Fatal(err)
	}
	d.checkStands(t, 2)

	// Restored to before this engine's generation, and the same commit count.
	d.exec(t, "DELETE FROM millstream.commits WHERE seq = 2")
	restore()
	if _, err := s.Commit(t.Context(), commitOf(3)); !errors.Is(err, engine.ErrDiverged) {
		t.Errorf("commit with a generation that was taken back: %v", err)
	}
}

func TestOpenIsFencedByALaterOpen(t *testing.T) {
	d, s := opened(t)
	d.exec(t, "UPDATE millstream.pipelines SET definition_hash = 'other'")
	_, err := d.open(t).Open(t.Context())
	wantError(t, err, "another definition")
	d.exec(t, "UPDATE millstream.pipelines SET definition_hash = '"+d.plan.Hash+"', state_format = 99")
	_, err = d.open(t).Open(t.Context())
	wantError(t, err, "format 99")
	d.exec(t, "DELETE FROM millstream.pipelines")
	_, err = d.open(t).Open(t.Context())
	wantError(t, err, "knows no pipeline")
	if _, err := s.Commit(t.Context(), commitOf(2)); !errors.Is(err, engine.ErrDiverged) {
		t.Errorf("commit of a pipeline that is gone: %v", err)
	}
}
