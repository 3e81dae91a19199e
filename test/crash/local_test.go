package crash

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

const eventsSQL = `
CREATE FOREIGN TABLE events (at timestamptz NOT NULL, n bigint NOT NULL) SERVER kafka OPTIONS (event_time 'at', partitions '2');
CREATE MATERIALIZED VIEW minutes AS
SELECT window_start, count(*) AS events, sum(n) AS n FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start;
`

// acknowledged is how many records are in the log before the test kills.
const acknowledged = 300

// stack is the program with its own broker and database, all of which die and
// are started again on the same folder.
type stack struct {
	t    *testing.T
	file string
	data string
	next int                        // the next record's number
	acks map[int32]map[int64]string // values by partition and offset
}

type ready struct{ Kafka, Postgres string }

func (s *stack) start(armed string) (*line.Process, ready) {
	s.t.Helper()
	var env []string
	if armed != "" {
		env = append(env, failpoint.Variable+"="+armed)
	}
	p := line.Start(s.t, env, "run", s.file, "--local", "--data", s.data, "-o", "json", "--name", "events",
		"--commit-interval", "1ms", "--listen", "127.0.0.1:0", "--admin-listen", "off")
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	text, err := p.Line(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	var r ready
	if err := json.Unmarshal([]byte(text), &r); err != nil {
		s.t.Fatalf("%q: %v", text, err)
	}
	return p, r
}

// produce sends records one after the other, each acknowledged, until there
// are n of them or the program has died.
func (s *stack) produce(p *line.Process, broker string, n int) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	go func() {
		select {
		case <-p.Ended():
			cancel()
		case <-ctx.Done():
		}
	}()
	client, err := line.Client(broker)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	for range n {
		r := &kgo.Record{Topic: "events", Partition: int32(s.next % 2),
			Value: fmt.Appendf(nil, `{"at": "2024-01-01T00:%02d:%02dZ", "n": %d}`, s.next/60%60, s.next%60, s.next)}
		s.next++
		acknowledged := make(chan error, 1)
		client.Produce(ctx, r, func(_ *kgo.Record, err error) { acknowledged <- err })
		// Waiting for the promise alone would be waiting for ever: while its fate
		// is unknown, the client does not give up a record that it has sent.
		var err error
		select {
		case err = <-acknowledged:
		case <-ctx.Done():
			return
		}
		if err != nil {
			if ctx.Err() == nil {
				s.t.Fatal(err)
			}
			return
		}
		s.acks[r.Partition][r.Offset] = string(r.Value)
	}
}

// whole checks that the log holds every acknowledged record.
func (s *stack) whole(broker string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	log, err := line.Read(ctx, broker, "events")
	if err != nil {
		s.t.Fatal(err)
	}
	for partition, acks := range s.acks {
		held := map[int64]string{}
		for _, r := range log[partition] {
			held[r.Offset] = string(r.Value)
		}
		for offset, value := range acks {
			if held[offset] != value {
				s.t.Fatalf("partition %d offset %d holds %q; acknowledged was %q", partition, offset, held[offset], value)
			}
		}
	}
}

// caughtUp waits until all that the log holds is in the tables, and has the
// oracle judge them.
func (s *stack) caughtUp(r ready) {
	s.t.Helper()
	ctx := s.t.Context()
	log, err := line.Read(ctx, r.Kafka, "events")
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := pgx.Connect(ctx, r.Postgres)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	eventually(s.t, conn, `SELECT sum(read) >= $1 FROM millstream.commit_inputs`, len(log[0])+len(log[1]))
	oracle.Check(s.t, oracle.Options{SQL: eventsSQL, Pipeline: "events", DatabaseURL: r.Postgres, Brokers: map[string][]string{"kafka": {r.Kafka}}})
}

// TestLocalStackKilled kills the program with its broker and its database in
// it: what the broker has acknowledged is there when it is started again, the
// database that was left behind is taken over, and the tables go on.
func TestLocalStackKilled(t *testing.T) {
	s := &stack{t: t, file: filepath.Join(t.TempDir(), "events.sql"), data: t.TempDir(), acks: map[int32]map[int64]string{0: {}, 1: {}}}
	if err := os.WriteFile(s.file, []byte(eventsSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, armed := range []string{"", "commit.sent:3", "ingest.applied:5"} {
		p, r := s.start(armed)
		s.whole(r.Kafka)
		before := len(s.acks[0]) + len(s.acks[1])
		s.produce(p, r.Kafka, acknowledged)
		p.Kill() // at once: nothing is waited for but the acknowledgements
		if result := p.Wait(); !result.Killed {
			t.Fatalf("armed with %q: %s", armed, result)
		}
		if armed == "" && len(s.acks[0])+len(s.acks[1])-before != acknowledged {
			t.Fatalf("only %d records were acknowledged", len(s.acks[0])+len(s.acks[1])-before)
		}
	}
	p, r := s.start("")
	s.whole(r.Kafka)
	s.caughtUp(r)
	p.Signal(syscall.SIGTERM)
	if result := p.Wait(); result.Code != 0 {
		t.Fatal(result)
	}
	if conn, err := pgx.Connect(t.Context(), r.Postgres); err == nil {
		conn.Close(t.Context())
		t.Error("PostgreSQL has outlived the program that started it")
	}
}
