package testbed

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/pipeline"
	"github.com/millstream-dev/millstream/internal/pipetest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

const sql = `
CREATE FOREIGN TABLE events (
    at    timestamptz NOT NULL,
    kind  text,
    value bigint
) SERVER kafka OPTIONS (topic 'events', format 'json', event_time 'at', watermark '10 seconds');

CREATE MATERIALIZED VIEW counts AS
SELECT window_start, kind, count(*) AS n, sum(value) AS total
FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start, kind;

CREATE MATERIALIZED VIEW closed WITH (emit = 'final') AS
SELECT window_start, count(*) AS n
FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start;
`

var noon = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func testDatabase(t *testing.T) NewDatabase {
	return func(context.Context) (string, func() error, error) {
		return pgtest.Database(t), func() error { return nil }, nil
	}
}

// begin opens a subject that is closed, and judged by the oracle, at the end.
func begin(t *testing.T, partitions int32, change func(*pipetest.Setup)) *subject {
	t.Helper()
	setup := pipetest.Setup{File: "events.sql", SQL: sql, Name: "events", Topics: map[string]int32{"events": partitions}, Clock: noon.Add(time.Hour), Workers: 2}
	if change != nil {
		change(&setup)
	}
	s, err := open(t.Context(), Options{NewDatabase: testDatabase(t)}, setup)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func judge(t *testing.T, s *subject) {
	t.Helper()
	if report := oracle.Check(t, s.oracle()); len(report.Unchecked) > 0 {
		t.Errorf("the oracle could not check: %q", report.Unchecked)
	}
}

func (s *subject) oracle() oracle.Options {
	return oracle.Options{SQL: s.setup.SQL, Pipeline: s.setup.Name, DatabaseURL: s.url, Brokers: map[string][]string{"kafka": s.Brokers()}}
}

// judgeLost ends a test in which Kafka has lost the start of the log, after
// judge has held the tables to the whole of it: nothing has been changed since
// that gave before, the invariants hold, and the oracle names what it can no
// longer check.
func judgeLost(t *testing.T, s *subject, before, unchecked string) {
	t.Helper()
	if diff := line.Differ(before, line.Dump(t, s.url, s.setup.Name)); diff != "" {
		t.Errorf("the tables have changed:\n%s", diff)
	}
	report := oracle.Check(t, s.oracle())
	if len(report.Unchecked) != 1 || !strings.Contains(report.Unchecked[0], unchecked) {
		t.Errorf("unchecked: %q, want %q", report.Unchecked, unchecked)
	}
}

// send appends n events, a second apart from second from on.
func send(t *testing.T, s *subject, partition int32, from, n int) {
	t.Helper()
	var records []pipetest.Record
	for i := range n {
		at := noon.Add(time.Duration(from+i) * time.Second)
		records = append(records, pipetest.Record{Value: fmt.Appendf(nil, `{"at": %q, "kind": "k%d", "value": %d}`, at.Format(time.RFC3339), i%3, i)})
	}
	if err := s.Send(t.Context(), "events", partition, records); err != nil {
		t.Fatal(err)
	}
}

func settle(t *testing.T, s *subject) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	if err := s.Settle(ctx); err != nil {
		t.Fatal(err)
	}
}

func one[T any](t *testing.T, s *subject, query string) T {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var out T
	if err := conn.QueryRow(t.Context(), query).Scan(&out); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return out
}

func TestMain(m *testing.M) { pgtest.Main(m) }

// A second engine on the same pipeline fences the first: its next commit
// fails, and it ends saying so.
func TestNewerEngineFencesOlder(t *testing.T) {
	s := begin(t, 1, nil)
	send(t, s, 0, 0, 10)
	settle(t, s)
	second, err := pipeline.Open(t.Context(), pipeline.Options{Definition: s.def, Config: &s.config, Clock: s.clock, NoServe: true})
	if err != nil {
		t.Fatal(err)
	}
	defer second.Close()
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- second.Run(ctx) }()
	<-second.Engine.Running()
	send(t, s, 0, 10, 10)
	if err := <-s.ended; !errors.Is(err, engine.ErrFenced) {
		t.Errorf("the older engine ended with %v, want ErrFenced", err)
	}
	s.ended <- nil
	if err := second.Engine.Settle(t.Context()); err != nil {
		t.Error(err)
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if n := one[int64](t, s, "SELECT sum(n) FROM counts"); n != 20 {
		t.Errorf("%d events counted, want 20", n)
	}
	judge(t, s)
}

// Partitions that are added while the engine runs are read from their start.
func TestAddedPartitionsAreRead(t *testing.T) {
	s := begin(t, 1, nil)
	send(t, s, 0, 0, 5)
	settle(t, s)
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).CreatePartitions(t.Context(), 2, "events"); err != nil {
		t.Fatal(err)
	}
	// A producer learns of partitions by itself only after minutes.
	s.producer.Close()
	if s.producer, err = kafka.NewProducer(kafka.Config{Brokers: s.Brokers()}); err != nil {
		t.Fatal(err)
	}
	send(t, s, 2, 5, 5)
	s.clock.Advance(time.Minute)
	waitFor(t, func() bool { return len(s.running.Engine.Status().Partitions) == 3 })
	settle(t, s)
	if n := one[int64](t, s, "SELECT sum(n) FROM counts"); n != 10 {
		t.Errorf("%d events counted, want 10", n)
	}
	judge(t, s)
}

// waitFor asks the scheduler, not the clock, for patience: what it waits for
// is decided by other goroutines that are on their way.
func waitFor(t *testing.T, reached func() bool) {
	t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !reached() {
		if time.Now().After(deadline) {
			t.Fatal("did not come about within 30 s")
		}
		<-tick.C
	}
}

// A topic that was deleted and made again is not read on as if nothing had
// happened: the engine says what is lost.
func TestTopicMadeAgainIsTold(t *testing.T) {
	s := begin(t, 1, nil)
	send(t, s, 0, 0, 5)
	settle(t, s)
	judge(t, s)
	before := line.Dump(t, s.url, s.setup.Name)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(s.Brokers()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	if _, err := admin.DeleteTopic(t.Context(), "events"); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.CreateTopic(t.Context(), 1, 1, nil, "events"); err != nil {
		t.Fatal(err)
	}
	err = s.start(t.Context())
	var lost *engine.LostError
	if !errors.As(err, &lost) || lost.From != 5 || !strings.Contains(err.Error(), "made again") {
		t.Errorf("got %v, want a LostError from offset 5 that says why", err)
	}
	s.running.Close()
	s.running = nil
	judgeLost(t, s, before, "offsets 0 to 4, since the topic was deleted and made again")
}

// While catching up, a partition far ahead of one that has more to give is
// paused, so that the number of open windows stays bounded.
func TestSkewIsBounded(t *testing.T) {
	s := begin(t, 2, nil)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	const seconds = 6000
	send(t, s, 0, 0, seconds)
	send(t, s, 1, 0, seconds)
	s.clock.Advance(24 * time.Hour)
	s.config.Engine.UntilEnd = true
	p, err := pipeline.Open(t.Context(), pipeline.Options{
		Definition: s.def, Config: &s.config, Clock: s.clock, NoServe: true, PollRecords: 20, MaxSkew: 5 * time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	open := one[int64](t, s, `SELECT max((v->>'open_windows')::bigint) FROM millstream.commits, jsonb_array_elements(views) v WHERE v->>'view' = 'counts'`)
	if open > 10 {
		t.Errorf("%d windows of a minute were open at once with a skew of 5 minutes", open)
	}
	judge(t, s)
}

// A slow store pushes back to the fetch: an epoch ends at its limit, and what
// is held in memory stays bounded.
func TestEpochsAreBounded(t *testing.T) {
	s := begin(t, 1, nil)
	if err := s.abandon(); err != nil {
		t.Fatal(err)
	}
	send(t, s, 0, 0, 5000)
	s.clock.Advance(24 * time.Hour)
	s.config.Engine.UntilEnd, s.config.Engine.MaxEpochRows = true, 300
	var largest atomic.Int64
	p, err := pipeline.Open(t.Context(), pipeline.Options{
		Definition: s.def, Config: &s.config, Clock: s.clock, NoServe: true, PollRecords: 100,
		OnCommit: func(r *engine.Report) { largest.Store(max(largest.Load(), r.Records)) },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if err := p.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := largest.Load(); n == 0 || n >= 400 {
		t.Errorf("the largest epoch has %d records, want at most 300 and one poll", n)
	}
	judge(t, s)
}

// An engine that is told to stop drains: what it has read is committed.
func TestStopDrains(t *testing.T) {
	s := begin(t, 1, func(setup *pipetest.Setup) { setup.CommitInterval = time.Hour })
	send(t, s, 0, 0, 5)
	settle(t, s)
	send(t, s, 0, 5, 5)
	waitFor(t, func() bool {
		return s.running.Engine.Status().Partitions[0].End >= 10 || s.running.Engine.Status().Seq > 0
	})
	s.stop(nil)
	if err := <-s.ended; err != nil {
		t.Errorf("stop: %v", err)
	}
	s.ended <- nil
	read := one[int64](t, s, `SELECT max((p->>'to')::bigint) FROM millstream.commits, jsonb_array_elements(partitions) p`)
	if counted := one[int64](t, s, "SELECT sum(n) FROM counts"); counted != read || read < 5 {
		t.Errorf("%d of %d records are in the table", counted, read)
	}
	judge(t, s)
}
