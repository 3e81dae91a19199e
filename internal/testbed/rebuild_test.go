package testbed

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
)

const decided = `
SELECT 'counts', c::text FROM counts c
UNION ALL SELECT 'closed', c::text FROM closed c
UNION ALL SELECT 'late', concat_ws(' ', view_name, partition, "offset", window_start, watermark, floor, cause) FROM millstream.late_rows WHERE view_name <> 'more'
UNION ALL SELECT 'refused', concat_ws(' ', foreign_table, partition, "offset", cause) FROM millstream.quarantine
ORDER BY 1, 2`

// sessions are of no kind and of each, shown at once and when they close.
const sessions = `
CREATE MATERIALIZED VIEW runs AS
SELECT window_start, window_end, kind, count(*) AS n, sum(value) AS total FROM session(events, at, INTERVAL '20 seconds') GROUP BY window_start, window_end, kind;
CREATE MATERIALIZED VIEW runs_closed WITH (emit = 'final') AS
SELECT window_end, count(*) AS n FROM session(events, at, INTERVAL '5 seconds') GROUP BY window_end;
`

const decidedSessions = `SELECT 'runs', r::text FROM runs r UNION ALL SELECT 'runs_closed', r::text FROM runs_closed r ORDER BY 1, 2`

func lines(t *testing.T, s *subject, more ...string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT string_agg(a || ' ' || b, E'\n') FROM (("+strings.Join(append([]string{decided}, more...), ") UNION ALL (")+")) AS d (a, b)")
	if err != nil {
		t.Fatal(err)
	}
	text, err := pgx.CollectExactlyOneRow(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(text, "\n")
}

// A build that follows another obeys what the clock has decided: floors that
// rose while a partition was idle, and records refused as from the future.
// The tables of views that have not changed are the same, to the last row.
func TestRebuildObeysDecisions(t *testing.T) {
	for _, workers := range []int{1, 2} {
		s := begin(t, 2, func(setup *pipetest.Setup) {
			setup.Workers, setup.Clock, setup.SQL = workers, noon, sql+sessions
		})
		s.clock.Advance(10 * time.Minute)
		send(t, s, 1, 5, 3)
		send(t, s, 0, 0, 200)
		settle(t, s)
		send(t, s, 0, 3600, 2) // from the future
		for range 3 {
			s.clock.Advance(31 * time.Second) // partition 1 is idle, then all are
			settle(t, s)
		}
		send(t, s, 1, 8, 4) // late for the closed windows, by the floor
		settle(t, s)
		for range 2 { // idle, and idle for more than an hour
			s.clock.Advance(61 * time.Minute)
			settle(t, s)
		}
		send(t, s, 1, 100, 3) // and for those that have given up their state
		settle(t, s)
		send(t, s, 0, 7000, 50)
		settle(t, s)
		want := lines(t, s, decidedSessions)
		if text := strings.Join(want, "\n"); !strings.Contains(text, "late counts") || !strings.Contains(text, "late closed") || !strings.Contains(text, "late runs_closed") || !strings.Contains(text, "runs_closed (") || !strings.Contains(text, "floor") || !strings.Contains(text, "future") {
			t.Fatalf("the run has no late rows by the floor, or no future rows, to be obeyed:\n%s", text)
		}
		if err := s.abandon(); err != nil {
			t.Fatal(err)
		}

		s.clock.Advance(24 * time.Hour)
		s.setup.SQL = sql + sessions + "CREATE MATERIALIZED VIEW more AS SELECT window_start, max(value) AS greatest FROM tumble(events, at, INTERVAL '1 hour') GROUP BY window_start;"
		def, err := pipeline.Parse("events.sql", s.setup.SQL, "events", "")
		if err != nil {
			t.Fatal(err)
		}
		s.def = def
		s.rebuild = true
		if err := s.start(t.Context()); err != nil {
			t.Fatal(err)
		}
		settle(t, s)
		got := lines(t, s, decidedSessions)
		if a, b := strings.Join(got, "\n"), strings.Join(want, "\n"); a != b {
			t.Errorf("%d workers: after the rebuild\n%s\nbefore it\n%s", workers, a, b)
		}
		judge(t, s)
		s.rebuild = false
		if err := s.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		seq := s.running.Engine.Status().Seq
		settle(t, s)
		if now := s.running.Engine.Status().Seq; now > seq+2 {
			t.Errorf("a restart has made %d commits: it obeys decisions again that were obeyed", now-seq)
		}
	}
}
