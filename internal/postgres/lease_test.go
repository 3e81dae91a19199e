package postgres

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// hold gives a lease that is held.
func hold(t *testing.T, db *Database) *Lease {
	t.Helper()
	l := db.Lease()
	t.Cleanup(l.Release)
	if err := l.Take(t.Context()); err != nil {
		t.Fatal(err)
	}
	return l
}

// standBy begins to wait; the channel gets what Await gives. It returns once
// the one that waits has looked.
func standBy(t *testing.T, db *Database) (*Lease, <-chan error, Leader) {
	t.Helper()
	l := db.Lease()
	got := make(chan error, 1)
	seen := make(chan Leader, 1)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
		l.Release()
	})
	go func() {
		defer close(done)
		got <- l.Await(ctx, func(who Leader, err error) {
			if err == nil {
				select {
				case seen <- who:
				default:
				}
			}
		})
	}()
	select {
	case who := <-seen:
		return l, got, who
	case err := <-got:
		t.Fatalf("it does not wait: %v", err)
	}
	return nil, nil, Leader{}
}

func noError(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestLeaseIsHeldByOne(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	first := hold(t, d.Database)
	second, got, who := standBy(t, d.Database)
	if who.PID == 0 || uint32(who.PID) != first.pid {
		t.Errorf("the leader is process %d, seen is %d", first.pid, who.PID)
	}
	first.Release()
	noError(t, <-got)
	if second.Health() != nil {
		t.Error(second.Health())
	}
	select {
	case err := <-first.Lost():
		t.Errorf("a lease that was given back is told to be lost: %v", err)
	default:
	}
}

// Another pipeline's lease is another one, and so is that of another database.
func TestLeasesAreThePipelines(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	hold(t, d.Database)
	other := *d.Database
	other.pipeline = "returns"
	l := hold(t, &other)
	select {
	case err := <-l.Lost():
		t.Fatal(err)
	default:
	}
}

// A new engine takes the lease from the one that has it, which is told; one
// that waits goes on waiting.
func TestTakeReplaces(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	first := hold(t, d.Database)
	_, got, _ := standBy(t, d.Database)
	second := hold(t, d.Database)
	err := <-first.Lost()
	if !errors.Is(err, engine.ErrFenced) {
		t.Errorf("the first is told %v", err)
	}
	select {
	case err := <-got:
		t.Errorf("the one that waits has got it: %v", err)
	default:
	}
	second.Release()
	noError(t, <-got)
}

// The server ends the session of a holder that says nothing, and with it the
// transaction that its engine has left open.
func TestSilenceEndsTheLease(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	silent := d.Lease()
	noError(t, silent.connect(t.Context()))
	if got, err := silent.ask(t.Context()); !got || err != nil {
		t.Fatal(got, err)
	}
	hanging, err := connect(t.Context(), d.Database.engine)
	noError(t, err)
	t.Cleanup(hanging.close)
	_, err = hanging.conn.Exec(t.Context(), "BEGIN; SELECT FROM millstream.pipelines FOR NO KEY UPDATE")
	noError(t, err)

	_, got, _ := standBy(t, d.Database)
	noError(t, <-got)
	if err := silent.conn.Ping(t.Context()); err == nil {
		t.Error("the session that said nothing goes on")
	}
	if err := hanging.conn.Ping(t.Context()); err == nil {
		t.Error("the transaction of the engine before goes on")
	}
	_, err = d.open(t).Open(t.Context()) // it needs the row
	noError(t, err)
	if left := d.lines(t, `SELECT application_name FROM pg_stat_activity WHERE application_name LIKE '%/pool' AND datname = current_database()`); len(left) == 0 {
		t.Error("sessions that commit nothing were ended, too")
	}
}

// A holder whose session was lost gets the lease again where nobody waits for
// it, also while the server still believes in the lost session.
func TestLeaseIsRegained(t *testing.T) {
	d := newDatabase(t, build(t, pipelineSQL))
	l := hold(t, d.Database)
	lostPID := l.pid
	d.exec(t, fmt.Sprintf("SELECT pg_terminate_backend(%d)", lostPID))
	held := strings.ReplaceAll(heldSQL, "$1", fmt.Sprint(leaseKey("orders")))
	d.eventually(t, "SELECT coalesce(("+held+"), 0) NOT IN (0, "+fmt.Sprint(lostPID)+")")
	select {
	case err := <-l.Lost():
		t.Error(err)
	default:
	}
	l.Release()
	if list := d.lines(t, held); len(list) != 0 {
		t.Errorf("after the release it is held by %v", list)
	}
}

// eventually waits until a query gives true.
func (d *testDatabase) eventually(t *testing.T, sql string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		var yes bool
		noError(t, d.conn.QueryRow(ctx, sql).Scan(&yes))
		if yes {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("has not come in %s: %s", patience, sql)
		}
	}
}

// What can't be deployed is told before anybody waits for it, and nothing is
// changed by asking.
func TestMatches(t *testing.T) {
	url := pgtest.Database(t)
	d := &testDatabase{Database: openDatabase(t, url), plan: build(t, pipelineSQL), conn: superuser(t, url)}
	noError(t, d.Matches(t.Context(), d.plan, testCluster)) // nothing is there
	if list := d.lines(t, "SELECT nspname FROM pg_namespace WHERE nspname = 'millstream'"); len(list) != 0 {
		t.Error("asking has made the schema")
	}
	noError(t, d.Deploy(t.Context(), d.plan, testCluster))
	noError(t, d.Matches(t.Context(), d.plan, testCluster))
	wantError(t, d.Matches(t.Context(), d.plan, "another"), "it reads Kafka cluster")
	changed := build(t, strings.Replace(pipelineSQL, "count(*)", "count(*) + 1", 1))
	err := d.Matches(t.Context(), changed, testCluster)
	if _, ok := errors.AsType[*ChangedError](err); !ok {
		t.Errorf("a changed definition: %v", err)
	}
}
