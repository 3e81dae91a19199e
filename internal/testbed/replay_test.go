package testbed

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/internal/postgres/ledger"
	"github.com/millstream-dev/millstream/test/oracle"
)

// replaySQL has views of every kind over one topic.
const replaySQL = `
CREATE FOREIGN TABLE events (
    at    timestamptz NOT NULL,
    kind  text,
    value integer
) SERVER kafka OPTIONS (topic 'events', format 'json', event_time 'at', watermark '10 seconds');

CREATE MATERIALIZED VIEW minutes AS
SELECT window_start, kind, count(*) AS n, sum(value) AS total FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start, kind;

CREATE MATERIALIZED VIEW finals WITH (emit = 'final', correctable = '10 minutes') AS
SELECT window_start, count(*) AS n, max(value) AS most FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start HAVING count(*) < 4;

CREATE MATERIALIZED VIEW hops AS
SELECT window_start, window_end, count(*) AS n FROM hop(events, at, INTERVAL '30 seconds', INTERVAL '1 minute') GROUP BY window_start, window_end;

CREATE MATERIALIZED VIEW forgetful WITH (correctable = '0') AS
SELECT window_start, sum(value) AS total FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start;

CREATE MATERIALIZED VIEW kinds WITH (max_groups = 100) AS SELECT kind, count(*) AS n, sum(10 / value) AS inverse FROM events WHERE value IS DISTINCT FROM 7 GROUP BY kind;

CREATE MATERIALIZED VIEW rows AS SELECT at, kind, value, _offset AS place FROM events WHERE value > 2;

CREATE MATERIALIZED VIEW newest WITH (key = 'kind') AS SELECT kind, at, value FROM events;
`

// event is a record of the topic, seconds after noon.
func event(seconds int, kind, value string) pipetest.Record {
	at := noon.Add(time.Duration(seconds) * time.Second)
	return pipetest.Record{Value: fmt.Appendf(nil, `{"at": %q, "kind": %q, "value": %s}`, at.Format(time.RFC3339), kind, value)}
}

// replayBed begins with records some of which are refused: closed windows, late
// rows, and a window that held nothing but a late row.
func replayBed(t *testing.T) (*subject, *pgx.Conn) {
	t.Helper()
	s := begin(t, 1, func(setup *pipetest.Setup) { setup.SQL = replaySQL })
	for _, r := range []pipetest.Record{
		event(5, "a", "3"), event(10, "a", `"x"`), event(12, "b", "0"), event(50, "b", "8"), event(65, "a", "4"),
		event(250, "c", "5"), event(20, "a", "6"), event(130, "c", "1"), event(260, "a", "7"), event(200, "a", `"y"`),
		event(255, "d", "9"),
	} {
		if err := s.Send(t.Context(), "events", 0, []pipetest.Record{r}); err != nil {
			t.Fatal(err)
		}
		settle(t, s)
	}
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(t.Context()) })
	return s, conn
}

// ask asks for replays, and says what is answered.
func ask(t *testing.T, s *subject, conn *pgx.Conn, n ledger.Name, f ledger.Filter, edited map[int64][]byte) (said []string) {
	t.Helper()
	answers, err := n.Replay(t.Context(), conn, s.setup.Name, f, edited)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range answers {
		said = append(said, strings.TrimSpace(a.Answer+" "+a.Detail))
	}
	return said
}

// rowAt gives the row of a ledger of an offset and view.
func rowAt(t *testing.T, s *subject, conn *pgx.Conn, n ledger.Name, offset int64, view string) *ledger.Row {
	t.Helper()
	list, err := n.List(t.Context(), conn, s.setup.Name, ledger.Filter{State: "all", View: view})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range list {
		if r.Offset == offset && r.View == view {
			return r
		}
	}
	t.Fatalf("no row of offset %d and view %q in %s", offset, view, n)
	return nil
}

// change builds another definition anew.
func (s *subject) change(t *testing.T, sql string) {
	t.Helper()
	def, err := pipeline.Parse("events.sql", sql, s.setup.Name, "")
	if err != nil {
		t.Fatal(err)
	}
	s.def, s.setup.SQL, s.rebuild = def, sql, true
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// A late row is merged into its closed window, whichever kind of view has it; a
// window that held nothing comes to be. A rebuild obeys, a second request
// changes nothing, and final rows change by replays only.
func TestLateRowsAreReplayed(t *testing.T) {
	s, conn := replayBed(t)
	var finals oracle.Finals
	if _, err := finals.Observe(t.Context(), s.oracle()); err != nil {
		t.Fatal(err)
	}
	before := one[string](t, s, "SELECT string_agg(m::text, ' ' ORDER BY window_start, kind) FROM minutes AS m")
	late, err := ledger.Late.List(t.Context(), conn, s.setup.Name, ledger.Filter{})
	if err != nil || len(late) < 8 {
		t.Fatalf("%d late rows: %v", len(late), err)
	}
	ask(t, s, conn, ledger.Late, ledger.Filter{}, nil)
	settle(t, s)
	after := one[string](t, s, "SELECT string_agg(m::text, ' ' ORDER BY window_start, kind) FROM minutes AS m")
	if after == before {
		t.Fatalf("nothing has changed: %s", after)
	}
	if n := one[int64](t, s, "SELECT n FROM minutes WHERE kind = 'a' AND window_start = '"+noon.Format(time.RFC3339)+"'"); n != 2 {
		t.Errorf("%d rows of kind a in the first minute, not 2: %s", n, after)
	}
	if n := one[int64](t, s, "SELECT count(*) FROM finals WHERE window_start = '"+noon.Add(2*time.Minute).Format(time.RFC3339)+"'"); n != 1 {
		t.Error("the window that held only a late row has no row")
	}
	// What keeps nothing of closed windows says so, and its rows stay.
	row := rowAt(t, s, conn, ledger.Late, 6, "forgetful")
	if row.State != ledger.Open || row.Request == nil || !strings.Contains(row.Request.Reason, "correctable = '0'") {
		t.Errorf("a row that can't be corrected: %s %+v", row.State, row.Request)
	}
	if row = rowAt(t, s, conn, ledger.Late, 6, "minutes"); row.State != ledger.Replayed || !row.Request.Fates()[0].Windows[0].Corrected {
		t.Errorf("a row that was replayed: %s %+v", row.State, row.Request)
	}
	if n := one[int64](t, s, "SELECT count(*) FROM millstream.corrections WHERE view_name = 'minutes'"); n != 1 { // the other was still open
		t.Errorf("%d corrected windows of view minutes, not 1", n)
	}
	for _, said := range ask(t, s, conn, ledger.Late, ledger.Filter{IDs: []int64{row.ID}}, nil) {
		if !strings.HasPrefix(said, "already it was replayed") {
			t.Errorf("asked again: %s", said)
		}
	}
	if broken, err := finals.Observe(t.Context(), s.oracle()); err != nil || len(broken) > 0 {
		t.Errorf("final rows: %v %v", broken, err)
	}
	judge(t, s)
	rebuilt(t, s, after)
}

// rebuilt builds the tables anew, and compares the view minutes.
func rebuilt(t *testing.T, s *subject, want string) {
	t.Helper()
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	s.change(t, s.setup.SQL+"\nCREATE MATERIALIZED VIEW added AS SELECT kind FROM events WHERE value = 1;\n")
	settle(t, s)
	if got := one[string](t, s, "SELECT string_agg(m::text, ' ' ORDER BY window_start, kind) FROM minutes AS m"); got != want {
		t.Errorf("rebuilt:\n%s\nbefore:\n%s", got, want)
	}
	judge(t, s)
}

// A record that did not decode counts, once it was edited, in every view that
// takes it; a view whose window can't be corrected has it among its late rows,
// and one whose expression fails in quarantine, from where it is edited again.
func TestQuarantinedRecordsAreReplayed(t *testing.T) {
	s, conn := replayBed(t)
	bad := rowAt(t, s, conn, ledger.Quarantine, 1, "")
	if said := ask(t, s, conn, ledger.Quarantine, ledger.Filter{IDs: []int64{bad.ID}}, nil); said[0] != "requested" {
		t.Fatalf("answered %v", said)
	}
	settle(t, s)
	row := rowAt(t, s, conn, ledger.Quarantine, 1, "")
	if row.State != ledger.Open || row.Request.State != "refused" || !strings.Contains(row.Request.Reason, "invalid input syntax for type integer") || row.Request.Fault == nil {
		t.Fatalf("still bad: %s %+v", row.State, row.Request)
	}
	judge(t, s)
	edited := event(10, "a", "0").Value
	if said := ask(t, s, conn, ledger.Quarantine, ledger.Filter{IDs: []int64{bad.ID}}, map[int64][]byte{bad.ID: edited}); said[0] != "requested" {
		t.Fatalf("answered %v", said)
	}
	if said := ask(t, s, conn, ledger.Quarantine, ledger.Filter{IDs: []int64{bad.ID, 12345}}, map[int64][]byte{bad.ID: edited}); !strings.HasPrefix(said[0], "already it was asked for") || said[1] != "not possible the ledger has no such row" {
		t.Fatalf("answered %v", said)
	}
	settle(t, s)
	row = rowAt(t, s, conn, ledger.Quarantine, 1, "")
	fates := map[string]string{}
	for _, f := range row.Request.Fates() {
		fates[f.View] = f.Fate
	}
	for view, want := range map[string]string{"minutes": "accepted", "finals": "accepted", "hops": "accepted", "forgetful": "late", "kinds": "quarantined", "rows": "filtered", "newest": "accepted"} {
		if fates[view] != want {
			t.Errorf("in view %s it is %s, not %s", view, fates[view], want)
		}
	}
	if row.State != ledger.Replayed {
		t.Errorf("its state is %s", row.State)
	}
	judge(t, s)
	again := rowAt(t, s, conn, ledger.Quarantine, 1, "kinds")
	if again.ReplayOf != row.Request.ID || again.State != ledger.Open {
		t.Fatalf("what the view kinds refused: %+v", again)
	}
	ask(t, s, conn, ledger.Quarantine, ledger.Filter{IDs: []int64{again.ID}}, map[int64][]byte{again.ID: event(10, "a", "2").Value})
	// A row of quarantine that came to it by an expression.
	divided := rowAt(t, s, conn, ledger.Quarantine, 2, "kinds")
	ask(t, s, conn, ledger.Quarantine, ledger.Filter{IDs: []int64{divided.ID}}, map[int64][]byte{divided.ID: event(12, "b", "7").Value})
	settle(t, s)
	if row := rowAt(t, s, conn, ledger.Quarantine, 1, "kinds"); row.State != ledger.Replayed {
		t.Errorf("the view's own row: %s %+v", row.State, row.Request)
	}
	if row := rowAt(t, s, conn, ledger.Quarantine, 2, "kinds"); row.State != ledger.Replayed || row.Request.Fates()[0].Fate != "filtered" {
		t.Errorf("a row that is filtered: %s %+v", row.State, row.Request)
	}
	judge(t, s)
	want := one[string](t, s, "SELECT string_agg(m::text, ' ' ORDER BY window_start, kind) FROM minutes AS m")
	if err := s.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	judge(t, s)
	rebuilt(t, s, want)
}

// After a type was widened a record that could not be decoded counts by itself:
// the replay that had been made of it with another payload is void, so that it
// counts once.
func TestWidenedTypeMakesReplaysVoid(t *testing.T) {
	s, conn := replayBed(t)
	bad, other := rowAt(t, s, conn, ledger.Quarantine, 1, ""), rowAt(t, s, conn, ledger.Quarantine, 9, "")
	ask(t, s, conn, ledger.Quarantine, ledger.Filter{IDs: []int64{bad.ID, other.ID}}, map[int64][]byte{
		bad.ID: event(10, "a", "4").Value, other.ID: event(200, "a", "5").Value})
	settle(t, s)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	s.change(t, `
CREATE FOREIGN TABLE events (at timestamptz NOT NULL, kind text, value text) SERVER kafka OPTIONS (topic 'events', format 'json', event_time 'at', watermark '10 seconds');
CREATE MATERIALIZED VIEW minutes AS
SELECT window_start, kind, count(*) AS n, max(value) AS most FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start, kind;
`)
	settle(t, s)
	if n := one[int64](t, s, "SELECT count(*) FROM millstream.replays WHERE state = 'void'"); n != 2 {
		t.Errorf("%d replays are void, not 2", n)
	}
	if n := one[int64](t, s, "SELECT n FROM minutes WHERE kind = 'a' AND window_start = '"+noon.Format(time.RFC3339)+"'"); n != 2 {
		t.Errorf("%d records of kind a in the first minute, not 2", n)
	}
	judge(t, s)
}

// Dropping is a note beside the row: it stays in the ledger, which is compared
// with the counts, and a replay by its id takes it up again.
func TestRowsAreDropped(t *testing.T) {
	s, conn := replayBed(t)
	bad := rowAt(t, s, conn, ledger.Quarantine, 1, "")
	only := ledger.Filter{IDs: []int64{bad.ID}}
	for _, want := range []string{"dropped", "already"} {
		answers, err := ledger.Quarantine.Drop(t.Context(), conn, s.setup.Name, only, "a test record")
		if err != nil || answers[0].Answer != want {
			t.Fatalf("%+v %v, not %s", answers, err, want)
		}
	}
	if row := rowAt(t, s, conn, ledger.Quarantine, 1, ""); row.State != ledger.Dropped || row.Request.Reason != "a test record" {
		t.Fatalf("%s %+v", row.State, row.Request)
	}
	settle(t, s)
	judge(t, s)
	if said := ask(t, s, conn, ledger.Quarantine, ledger.Filter{}, map[int64][]byte{}); len(said) != 2 {
		t.Errorf("replaying all that is open: %v", said)
	}
	if said := ask(t, s, conn, ledger.Quarantine, only, map[int64][]byte{bad.ID: event(10, "a", "1").Value}); said[0] != "requested" {
		t.Fatalf("answered %v", said)
	}
	settle(t, s)
	if row := rowAt(t, s, conn, ledger.Quarantine, 1, ""); row.State != ledger.Replayed {
		t.Errorf("taken up again: %s %+v", row.State, row.Request)
	}
	judge(t, s)
}
