package contender

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/bench/topics"
	"github.com/millstream-dev/millstream/bench/workload"
	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// stage is a filled topic and an empty database.
type stage struct {
	config Config
	db     *pgx.Conn
	check  func(t *testing.T)
}

const (
	testEvents     = 30_000
	testPartitions = 3
)

func newStage(t testing.TB, w workload.Workload, how topics.Compression) *stage {
	t.Helper()
	ctx := t.Context()
	broker, err := local.StartBroker(local.BrokerOptions{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { broker.Close() })
	topic, err := topics.Create(ctx, broker.Addr(), "events", testPartitions)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(topic.Close)
	if _, err := topic.Fill(ctx, w, testEvents, how); err != nil {
		t.Fatal(err)
	}
	s := &stage{config: Config{
		Workload: w.Kind(), Broker: broker.Addr(), Topic: "events", Database: pgtest.Database(t), Workers: 2, Ends: []int64{10_000, 10_000, 10_000},
	}}
	if s.db, err = pgx.Connect(ctx, s.config.Database); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.db.Close(context.Background()) })
	if err := w.Setup(ctx, s.db); err != nil {
		t.Fatal(err)
	}
	s.check = func(t *testing.T) {
		t.Helper()
		if err := w.Check(ctx, s.db, testEvents); err != nil {
			t.Error(err)
		}
	}
	return s
}

var clock = workload.CatchUp(10 * time.Millisecond)

// TestPrograms has each program come to the right table, from batches that
// were laid out by hand.
func TestPrograms(t *testing.T) {
	for name, w := range map[string]workload.Workload{
		"Y": &workload.Yahoo{Seed: 1, Campaigns: 100, Ads: 10, Clock: clock},
		"S": &workload.Skeleton{Seed: 1, Clock: clock},
		"U": &workload.Updates{Seed: 1, Keys: 5000},
	} {
		for _, how := range []topics.Compression{topics.None, topics.LZ4} {
			t.Run(name+" limit "+how.String(), func(t *testing.T) {
				s := newStage(t, w, how)
				var events int64
				if err := runLimit(t.Context(), s.config, func(n, _ int64) error { events = n; return nil }); err != nil {
					t.Fatal(err)
				}
				s.check(t)
				if events != testEvents {
					t.Errorf("it tells of %d events", events)
				}
			})
		}
		if name == "U" {
			continue
		}
		t.Run(name+" afternoon", func(t *testing.T) {
			s := newStage(t, w, topics.None)
			if err := runAfternoon(t.Context(), s.config, func(_, _ int64) error { return nil }); err != nil {
				t.Fatal(err)
			}
			s.check(t)
		})
	}
}

// TestUpserts has the program for PostgreSQL alone come to the right table.
func TestUpserts(t *testing.T) {
	u := &workload.Updates{Seed: 1, Keys: 5000}
	s := newStage(t, u, topics.None)
	s.config.Updates, s.config.Cuts = &workload.Updates{Seed: 1, Keys: 5000}, []int64{100, 9000, 9000, testEvents}
	if err := runUpserts(t.Context(), s.config, func(_, _ int64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	s.check(t)
}

// TestLimitIsExactlyOnce ends the program at a commit and starts it again: it
// goes on where the table stands.
func TestLimitIsExactlyOnce(t *testing.T) {
	s := newStage(t, &workload.Updates{Seed: 1, Keys: 5000}, topics.None)
	enough := errors.New("enough")
	if err := runLimit(t.Context(), s.config, func(_, _ int64) error { return enough }); !errors.Is(err, enough) {
		t.Fatalf("it ended with %v", err)
	}
	var before int64
	if err := s.db.QueryRow(t.Context(), "SELECT sum(n)::int8 FROM totals").Scan(&before); err != nil {
		t.Fatal(err)
	}
	if before == 0 {
		t.Fatal("it ended before it had committed")
	}
	if err := runLimit(t.Context(), s.config, func(_, _ int64) error { return nil }); err != nil {
		t.Fatal(err)
	}
	s.check(t)
}

// TestLimitIsFenced has another program move the positions: nothing of what
// follows is committed.
func TestLimitIsFenced(t *testing.T) {
	s := newStage(t, &workload.Updates{Seed: 1, Keys: 5000}, topics.None)
	if _, err := positions(t.Context(), s.db, testPartitions); err != nil {
		t.Fatal(err)
	}
	l := &limit{query: &updatesQuery{}, db: s.db, state: newCounters(), writer: writer{db: s.db}, at: make([]int64, testPartitions)}
	if err := l.query.prepare(t.Context(), s.db, l.state); err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec(t.Context(), "UPDATE limit_positions SET next = 7 WHERE partition = 1"); err != nil {
		t.Fatal(err)
	}
	c := l.state.at(5)
	c.n = 1
	l.changed = []*counter{c}
	if err := l.commit(t.Context(), map[int32][2]int64{1: {0, 10}}); err == nil {
		t.Fatal("it committed")
	}
	var rows int
	if err := s.db.QueryRow(t.Context(), "SELECT count(*) FROM totals").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d rows, %v", rows, err)
	}
}
