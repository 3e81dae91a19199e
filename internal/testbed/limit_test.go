package testbed

import (
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
)

// TestMaxGroupsStops holds that a view with more groups than max_groups allows
// stops the pipeline before the epoch that brings them, says what to do, and
// meets the same again at a restart; with a higher limit it goes on, and nothing
// is lost.
func TestMaxGroupsStops(t *testing.T) {
	const events = "CREATE FOREIGN TABLE events (at timestamptz NOT NULL, kind text, value bigint) SERVER kafka OPTIONS (event_time 'at');\n"
	const view = " AS SELECT kind, value % 2 AS odd, count(*) AS n FROM events GROUP BY kind, odd;"
	s := begin(t, 1, func(setup *pipetest.Setup) {
		setup.SQL = events + "CREATE MATERIALIZED VIEW kinds WITH (max_groups = 3)" + view
	})
	send(t, s, 0, 0, 3)
	settle(t, s)
	seq := one[int64](t, s, "SELECT max(seq) FROM millstream.commits")
	send(t, s, 0, 3, 4)
	for range 2 {
		var err error
		select {
		case err = <-s.ended:
		case <-time.After(30 * time.Second):
			t.Fatal("the pipeline goes on")
		}
		if err == nil || !strings.Contains(err.Error(), `view "kinds" would have 4 groups, and max_groups allows 3: raise max_groups`) {
			t.Fatalf("the pipeline has ended with %v", err)
		}
		if status := s.running.Engine.Status(); status.State != engine.StateFailed || status.Err == nil {
			t.Errorf("the engine's state is %s, %v", status.State, status.Err)
		}
		if rows := one[int64](t, s, "SELECT count(*) FROM kinds"); rows != 3 {
			t.Errorf("%d rows", rows)
		}
		if now := one[int64](t, s, "SELECT max(seq) FROM millstream.commits"); now != seq {
			t.Errorf("commit %d after %d", now, seq)
		}
		s.running.Close()
		if err := s.start(t.Context()); err != nil && !strings.Contains(err.Error(), "max_groups") { // it may have ended already
			t.Fatal(err)
		}
	}
	<-s.ended
	s.running.Close()
	s.running = nil
	s.setup.SQL = events + "CREATE MATERIALIZED VIEW kinds WITH (max_groups = 10)" + view
	def, err := pipeline.Parse("events.sql", s.setup.SQL, "events", "")
	if err != nil {
		t.Fatal(err)
	}
	s.def, s.rebuild = def, true
	if err := s.start(t.Context()); err != nil {
		t.Fatal(err)
	}
	settle(t, s)
	if rows := one[int64](t, s, "SELECT count(*) FROM kinds"); rows != 4 {
		t.Errorf("%d rows", rows)
	}
	judge(t, s)
}
