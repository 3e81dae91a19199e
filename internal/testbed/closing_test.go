package testbed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/test/oracle"
)

// closingSQL has views whose windows hold far more groups than a commit may
// hold rows.
const closingSQL = `
CREATE FOREIGN TABLE events (
    at    timestamptz NOT NULL,
    kind  text,
    value numeric
) SERVER kafka OPTIONS (topic 'events', format 'json', event_time 'at', watermark '10 seconds');

CREATE MATERIALIZED VIEW closed WITH (emit = 'final', retention = '1 minute') AS
SELECT window_start, kind, count(*) AS n, sum(value) AS total, max(value) AS most
FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start, kind;

CREATE MATERIALIZED VIEW often WITH (emit = 'final') AS
SELECT window_start, window_end, kind, value, count(*) AS n
FROM tumble(events, at, INTERVAL '20 seconds') GROUP BY window_start, window_end, kind, value HAVING count(*) > 0 AND kind <> 'k3';

CREATE MATERIALIZED VIEW counts WITH (retention = '90 seconds') AS
SELECT window_start, kind, count(*) AS n
FROM tumble(events, at, INTERVAL '30 seconds') GROUP BY window_start, kind;

CREATE MATERIALIZED VIEW raw WITH (retention = '1 minute') AS SELECT at, kind FROM events WHERE value > 5;
`

// many gives records of kinds groups in each of three minutes, of which the
// last stays open.
func many(kinds int) []pipetest.Record {
	var records []pipetest.Record
	for minute := range 3 {
		for i := range kinds {
			at := noon.Add(time.Duration(minute)*time.Minute + time.Duration(i*7%55)*time.Second)
			records = append(records, pipetest.Record{Value: fmt.Appendf(nil, `{"at": %q, "kind": "k%d", "value": %d.%d0}`, at.Format(time.RFC3339), i, i%4, i%10)})
			at = at.Add(-time.Duration(i%3) * time.Second)
			records = append(records, pipetest.Record{Value: fmt.Appendf(nil, `{"at": %q, "kind": "k%d", "value": %d.%d}`, at.Format(time.RFC3339), i, i%4, i%10)})
		}
	}
	return records
}

// verify judges the tables as they stand, in the middle of closing too.
func verify(t *testing.T, s *subject) {
	t.Helper()
	report, err := oracle.Verify(t.Context(), oracle.Options{SQL: s.setup.SQL, Pipeline: s.setup.Name, DatabaseURL: s.url, Brokers: map[string][]string{"kafka": s.Brokers()}})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range report.Differences {
		t.Errorf("commit %d: %s", one[int64](t, s, "SELECT max(seq) FROM millstream.commits"), d)
	}
}

// Windows of more groups than a commit may hold are closed over many commits,
// with the engine dropped after each of them. At every one the oracle agrees
// with what is published as final, no commit holds more rows than it may, and
// the published time waits for a window's last row.
func TestWindowsCloseOverManyCommits(t *testing.T) {
	const kinds, limit = 8, 3
	s := begin(t, 1, func(setup *pipetest.Setup) { setup.SQL, setup.MaxCommitRows, setup.MaxRecords = closingSQL, limit, 4 })
	var finals oracle.Finals
	options := oracle.Options{SQL: s.setup.SQL, Pipeline: s.setup.Name, DatabaseURL: s.url, Brokers: map[string][]string{"kafka": s.Brokers()}}
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	if err := s.Send(t.Context(), "events", 0, many(kinds)); err != nil {
		t.Fatal(err)
	}
	starts, waited := 0, 0
	for ; ; starts++ {
		commit, done := oneCommit(t, s)
		if done {
			break
		}
		rows := int64(0)
		for _, table := range commit.Tables {
			if table.Upserts != nil {
				rows += int64(table.Upserts.N)
			}
			if table.Deletes != nil {
				rows += int64(table.Deletes.N)
			}
		}
		// An epoch of four records changes four rows of each view with emit 'update'.
		if rows > limit+2*4 {
			t.Errorf("commit %d writes %d rows", commit.Seq, rows)
		}
		for _, v := range commit.Views {
			if v.Watermark < v.Decided || v.FinalBefore < v.Floor && v.View < 2 {
				waited++
			}
		}
		if starts%12 == 11 {
			verify(t, s)
			broken, err := finals.Observe(t.Context(), options)
			if err != nil || len(broken) > 0 {
				t.Errorf("final rows have changed: %v %v", err, broken)
			}
		}
	}
	if starts < 5*kinds/limit || waited == 0 {
		t.Errorf("%d commits, %d of them with windows left: nothing was closed in parts", starts, waited)
	}
	if n := one[int64](t, s, "SELECT count(*) FROM closed"); n == 0 {
		t.Error("no row is there")
	}
	keptAgain(t, s)
	judge(t, s)
}

// keptAgain unpacks what is kept of the closed windows of the view closed, and
// compares it with the view's rows.
func keptAgain(t *testing.T, s *subject) {
	t.Helper()
	v := s.def.Plan.Views[0]
	spec := state.Spec{Keys: v.GroupKeys}
	for _, a := range v.Aggs {
		spec.Aggs = append(spec.Aggs, state.AggSpec(a))
	}
	groups := state.NewGroups(spec, v.Window.Assigner.End)
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(t.Context(), "SELECT data FROM millstream.closed_windows WHERE operator = 'closed'")
	if err != nil {
		t.Fatal(err)
	}
	blobs, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range blobs {
		if err := groups.LoadClosed(b); err != nil {
			t.Fatal(err)
		}
	}
	var got []string
	for _, w := range groups.Sorted() {
		for g := range uint32(w.Len()) {
			if w.Flags[g] != state.Present {
				t.Errorf("a group is kept with flags %d: its row stands in the table", w.Flags[g])
			}
			line := fmt.Sprintf("%d %s", (w.Start-column.UnixEpochMicros)/1_000_000, datum.Append(nil, w.Keys[0], int(g)))
			for i, a := range w.Aggs {
				out := column.NewVector(v.Aggs[i].Result, 1)
				if err := a.Result(g, out, 0); err != nil {
					t.Fatal(err)
				}
				line += " " + string(datum.Append(nil, out, 0))
			}
			got = append(got, line)
		}
	}
	slices.Sort(got)
	if rows, err = conn.Query(t.Context(), `SELECT concat_ws(' ', extract(epoch FROM window_start)::bigint, kind, n, total, most) COLLATE "C" FROM closed ORDER BY 1`); err != nil {
		t.Fatal(err)
	}
	want, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" || len(want) == 0 {
		t.Errorf("what is kept of the closed windows (-rows +kept):\n%s", diff)
	}
	if n := one[int64](t, s, `SELECT count(*) FROM (SELECT FROM millstream.closed_windows
		GROUP BY operator, window_end, window_start HAVING sum(groups) <> min(window_groups) OR min(window_groups) <> max(window_groups)) AS x`); n != 0 {
		t.Errorf("%d windows are kept in part", n)
	}
}

// oneCommit starts an engine from the database and drops it after its first
// commit; done tells that it had none to make.
func oneCommit(t *testing.T, s *subject) (commit *engine.Commit, done bool) {
	t.Helper()
	ctx, stop := context.WithCancelCause(t.Context())
	defer stop(nil)
	s.config.Engine.UntilEnd = true
	p, err := pipeline.Open(ctx, pipeline.Options{
		Definition: s.def, Config: &s.config, Clock: s.clock, NoServe: true, PollRecords: s.setup.MaxRecords,
		OnCommit: func(r *engine.Report) {
			commit = r.Commit
			stop(engine.ErrAbandon)
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(ctx); err != nil && !errors.Is(err, engine.ErrAbandon) {
		t.Fatal(err)
	}
	return commit, commit == nil
}

// An engine that has nothing to read closes the rest of its windows, and
// deletes the rest of what expires, by itself.
func TestClosingGoesOnWithoutInput(t *testing.T) {
	s := begin(t, 1, func(setup *pipetest.Setup) { setup.SQL, setup.MaxCommitRows = closingSQL, 3 })
	if err := s.Send(t.Context(), "events", 0, many(20)); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if n := one[int64](t, s, "SELECT count(*) FROM millstream.commit_views WHERE closed < floor"); n < 10 {
		t.Errorf("%d commits have left windows to the next", n)
	}
	if n := one[int64](t, s, "SELECT count(*) FROM millstream.commit_views WHERE expiring"); n < 10 {
		t.Errorf("%d commits have left rows to expire to the next", n)
	}
	if s := one[string](t, s, `SELECT string_agg(format('%s %s', view_name, watermark = decided AND closed = floor AND NOT expiring), ', ' ORDER BY view_name)
		FROM millstream.commit_views WHERE seq = (SELECT max(seq) FROM millstream.commits)`); s != "closed t, counts t, often t, raw t" {
		t.Errorf("at the end: %s", s)
	}
	judge(t, s)
}

// While more waits to be closed than a commit holds, nothing is read: groups of
// closed windows do not pile up, though each record makes one.
func TestClosingHoldsReading(t *testing.T) {
	const records, most = 1500, 300
	s := begin(t, 1, func(setup *pipetest.Setup) {
		setup.SQL = `
CREATE FOREIGN TABLE events (at timestamptz NOT NULL, value bigint) SERVER kafka OPTIONS (topic 'events', event_time 'at');
CREATE MATERIALIZED VIEW closed WITH (emit = 'final') AS
SELECT window_start, value, count(*) AS n FROM tumble(events, at, INTERVAL '10 seconds') GROUP BY window_start, value;`
		setup.MaxCommitRows, setup.MaxRecords = 10, 16
	})
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	s.config.Engine.MaxEpochRows = 50
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	send(t, s, 0, 0, records)
	settle(t, s)
	if n := one[int64](t, s, "SELECT max(open_groups) FROM millstream.commit_views"); n > most {
		t.Errorf("%d groups were open at once, more than %d", n, most)
	}
	judge(t, s)
}
