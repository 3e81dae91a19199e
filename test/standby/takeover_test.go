package standby

import (
	"context"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// takeovers is how many TestTakeovers forces unless
// MILLSTREAM_TEST_TAKEOVERS says otherwise.
const takeovers = 20

func wanted(t *testing.T) int {
	t.Helper()
	text := os.Getenv("MILLSTREAM_TEST_TAKEOVERS")
	if text == "" {
		return takeovers
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		t.Fatalf("MILLSTREAM_TEST_TAKEOVERS=%s: want a number", text)
	}
	return n
}

// TestTakeovers kills the process that leads, again and again, while events
// come in: the one that stands by goes on each time.
func TestTakeovers(t *testing.T) {
	f := newFleet(t)
	leader := f.start(f.url, "--standby")
	if leader.Standby {
		t.Fatal("it stands by, and nobody leads")
	}
	l := f.load()
	f.committing(0)
	var took []time.Duration
	for range wanted(t) {
		next := f.start(f.url, "--standby")
		if !next.Standby {
			t.Fatalf("two lead: %s", next.API)
		}
		before := f.generation()
		leader.Kill()
		took = append(took, f.committing(before))
		if r := leader.Wait(); !r.Killed {
			t.Fatalf("it had ended before it was killed: %s", r)
		}
		leader = next
	}
	f.judge(l, leader)
	slices.Sort(took)
	t.Logf("%d takeovers of killed processes under load, until the next one's first commit: median %d ms, worst %d ms; %d events",
		len(took), took[len(took)/2].Milliseconds(), took[len(took)-1].Milliseconds(), l.sent)
}

// TestTwoStandbys has one of two take over, and the other one stand by on.
func TestTwoStandbys(t *testing.T) {
	f := newFleet(t)
	leader := f.start(f.url, "--standby")
	others := []*member{f.start(f.url, "--standby"), f.start(f.url, "--standby")}
	l := f.load()
	f.committing(0)
	for round := range 2 {
		before := f.generation()
		leader.Kill()
		f.committing(before)
		var rest []*member
		for _, m := range others {
			if f.state(m) == "standby" {
				rest = append(rest, m)
			} else {
				leader = m
			}
		}
		if len(rest) != len(others)-1 {
			t.Fatalf("round %d: of %d that stood by, %d still do", round, len(others), len(rest))
		}
		others = rest
	}
	f.judge(l, leader)
}

// TestOrderlyEnd ends the process that leads by SIGTERM: it commits what it has
// read and hands over. One that stands by ends just so.
func TestOrderlyEnd(t *testing.T) {
	f := newFleet(t)
	first, second, idle := f.start(f.url, "--standby"), f.start(f.url, "--standby"), f.start(f.url, "--standby")
	l := f.load()
	f.committing(0)
	idle.Terminate()
	if r := idle.Wait(); r.Code != 0 {
		t.Errorf("a standby that is told to end: %s", r)
	}
	before := f.generation()
	first.Terminate()
	f.committing(before)
	if r := first.Wait(); r.Code != 0 {
		t.Errorf("the leader that is told to end: %s", r)
	}
	f.judge(l, second)
}

// TestStoppedProcess stops the process that leads as a debugger or a frozen
// machine does: it keeps its connections, and says nothing. When it goes on, it
// finds that it is no longer the one.
func TestStoppedProcess(t *testing.T) {
	f := newFleet(t)
	first, second := f.start(f.url), f.start(f.url, "--standby")
	l := f.load()
	f.committing(0)
	before := f.generation()
	first.Signal(syscall.SIGSTOP)
	took := f.committing(before)
	first.Signal(syscall.SIGCONT)
	if r := first.Wait(); r.Code != 1 || !strings.Contains(r.Stderr, "another engine has taken over this pipeline") {
		t.Errorf("the process that was stopped: %s", r)
	}
	f.judge(l, second)
	t.Logf("takeover from a stopped process after %d ms", took.Milliseconds())
}

// TestRunReplaces starts a process without --standby: it replaces the one that
// leads, and the one that stands by goes on standing by.
func TestRunReplaces(t *testing.T) {
	f := newFleet(t)
	first, waiting := f.start(f.url, "--standby"), f.start(f.url, "--standby")
	l := f.load()
	f.committing(0)
	before := f.generation()
	second := f.start(f.url)
	f.committing(before)
	if r := first.Wait(); r.Code != 1 || !strings.Contains(r.Stderr, "another engine has taken over this pipeline") {
		t.Errorf("the process that was replaced: %s", r)
	}
	if state := f.state(waiting); state != "standby" {
		t.Errorf("the one that stood by: %q", state)
	}
	f.judge(l, second, waiting)
}

// TestOtherDefinition refuses to stand by, and to replace, with a file that
// says something else than what runs; who leads is not disturbed.
func TestOtherDefinition(t *testing.T) {
	f := newFleet(t)
	leader := f.start(f.url)
	l := f.load()
	f.committing(0)
	before := f.generation()
	changed := strings.Replace(clicksSQL, "price > 90", "price > 80", 1)
	for _, more := range [][]string{{"--standby"}, nil} {
		if err := os.WriteFile(f.file, []byte(changed), 0o600); err != nil {
			t.Fatal(err)
		}
		m := f.launch(f.url, more...)
		if r := m.Wait(); r.Code != 2 || !strings.Contains(r.Stderr, "materialized view dear has changed") {
			t.Errorf("with %v: %s", more, r)
		}
	}
	f.judge(l, leader)
	if after := f.generation(); after != before {
		t.Errorf("the generation has risen from %d to %d", before, after)
	}
}

// TestDatabaseRestarted ends all sessions at once, as a restart of the server
// does: one of the two leads afterwards, and goes on.
func TestDatabaseRestarted(t *testing.T) {
	f := newFleet(t)
	both := []*member{f.start(f.url, "--standby"), f.start(f.url, "--standby")}
	l := f.load()
	f.committing(0)
	if _, err := f.conn.Exec(t.Context(), `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`); err != nil {
		t.Fatal(err)
	}
	sent := `SELECT sum(read) >= $1 FROM millstream.commit_inputs WHERE view_name = 'totals'`
	var now int
	if err := f.conn.QueryRow(t.Context(), `SELECT sum(read) FROM millstream.commit_inputs WHERE view_name = 'totals'`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	f.eventually(sent, now+1000)
	var left []*member
	for _, m := range both {
		select {
		case <-m.Ended():
			if r := m.Wait(); r.Code != 1 || !strings.Contains(r.Stderr, "another engine has taken over") {
				t.Errorf("the one that lost the lease: %s", r)
			}
		default:
			left = append(left, m)
		}
	}
	f.judge(l, left...)
}

// state is what a process says of itself, whoever leads.
func (f *fleet) state(m *member) string {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	var s struct{ State string }
	getJSON(f.t, ctx, m.API+"/v1/pipeline", &s, "Millstream-Relayed", "1")
	return s.State
}
