package kafka

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

const pricesSQL = `
CREATE FOREIGN TABLE prices (at timestamptz NOT NULL, item text NOT NULL, price numeric) SERVER kafka OPTIONS (event_time 'at');
CREATE MATERIALIZED VIEW latest WITH (key = 'item') AS SELECT item, at, price FROM prices;
CREATE MATERIALIZED VIEW hourly AS SELECT window_start, count(*) AS n, sum(price) AS total FROM tumble(prices, at, INTERVAL '1 hour') GROUP BY window_start;
`

const (
	rounds = 40 // of new prices for
	items  = 25
	// compactionLimit bounds the wait for the cleaner.
	compactionLimit = 2 * time.Minute
	lookAgain       = 100 * time.Millisecond
)

// compacted reads a topic of which the cleaner has taken most away: the
// offsets have holes, and its end may hold nothing.
func (s *cluster) compacted(t *testing.T) {
	client, err := line.Client(s.addr, kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	set := map[string]string{
		"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.001", "segment.ms": "100", "delete.retention.ms": "0", "max.compaction.lag.ms": "100",
	}
	configs := map[string]*string{}
	for name, value := range set {
		configs[name] = &value
	}
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 1, 1, configs, "prices"); err != nil {
		t.Fatal(err)
	}
	send := func(key, value string) {
		t.Helper()
		r := &kgo.Record{Topic: "prices", Key: []byte(key), Value: []byte(value)}
		if value == "" {
			r.Value = nil
		}
		if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	for round := range rounds {
		for item := range items {
			send(fmt.Sprint(item), fmt.Sprintf(`{"at": "2024-01-01T%02d:%02d:00Z", "item": "i%d", "price": %d.5}`, round/60, round%60, item, round))
		}
	}
	send("0", "") // a tombstone
	held := s.awaitCompaction(t, send)
	file := filepath.Join(t.TempDir(), "prices.sql")
	if err := os.WriteFile(file, []byte(pricesSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	url := pgtest.Database(t)
	if r := line.Run(t, nil, "run", file, "--until-end", "--brokers", s.addr, "--database-url", url, "--quiet",
		"--commit-interval", "1ms", "--listen", "127.0.0.1:0", "--admin-listen", "off"); r.Code != 0 {
		t.Fatal(r)
	}
	report := oracle.Check(t, oracle.Options{SQL: pricesSQL, Pipeline: "prices", DatabaseURL: url, Brokers: map[string][]string{"kafka": {s.addr}}})
	if report.Records >= rounds*items || report.Records < items-1 {
		t.Errorf("%d records were read, %d had been left when it was looked", report.Records, held)
	}
}

// awaitCompaction waits until a reader finds few records, and gives how many
// there are.
func (s *cluster) awaitCompaction(t *testing.T, send func(key, value string)) int {
	t.Helper()
	limit := time.Now().Add(compactionLimit)
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for n := 0; ; n++ {
		// The active segment is never cleaned: another record has it closed, and
		// the same record again makes the one before it needless.
		send("last", fmt.Sprintf(`{"at": "2024-01-01T10:00:00Z", "item": "last", "price": %d}`, n))
		if held := s.held(t); held < 3*items {
			return held
		} else if time.Now().After(limit) {
			t.Fatalf("still %d records after %s", held, compactionLimit)
		}
		<-tick.C
	}
}

// held counts the records of the topic.
func (s *cluster) held(t *testing.T) (n int) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.ConsumeTopics("prices"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	ends, err := kadm.NewClient(client).ListEndOffsets(t.Context(), "prices")
	if err != nil {
		t.Fatal(err)
	}
	end, _ := ends.Lookup("prices", 0)
	for last := int64(0); last < end.Offset-1; { // the active segment holds the last
		client.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) { n++; last = r.Offset })
	}
	return n
}
