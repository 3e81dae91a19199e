package serve

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

// TestBackPressure posts while as much is under way as may be: nothing is
// accepted, and the answer says when to come back.
func TestBackPressure(t *testing.T) {
	l := broker(t)
	f := start(t, database(t), func(c *Config) { c.Pipeline, c.Producer = events(), ToKafka(l.Producer) })
	post := func() (*http.Response, string) {
		resp := f.do("POST", "/v1/topics/raw", strings.NewReader(`{"type":"z"}`), "Content-Type", "application/json")
		return resp, ingestLine(t, resp)
	}
	release, ok := f.posting.sending.take(make([]engine.Record, maxSending))
	if !ok {
		t.Fatal("a large body alone is not taken")
	}
	if resp, got := post(); !strings.HasPrefix(got, "429 MS7208 records wait for Kafka") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("the producer is full: %s, Retry-After %q", got, resp.Header.Get("Retry-After"))
	}
	release()
	for range maxIngests {
		f.ingests <- struct{}{}
	}
	if resp, got := post(); !strings.HasPrefix(got, "429 MS7208 16 bodies") || resp.Header.Get("Retry-After") == "" {
		t.Errorf("many bodies: %s, Retry-After %q", got, resp.Header.Get("Retry-After"))
	}
	for range maxIngests {
		<-f.ingests
	}
	if _, got := post(); got != "202 1 0" {
		t.Errorf("afterwards: %s", got)
	}
	if lines := l.read(t, "raw", 1); len(lines) != 1 {
		t.Errorf("the log has %q", lines)
	}
}

// TestSendingIsCounted takes and gives back room by records and by bytes.
func TestSendingIsCounted(t *testing.T) {
	var s sending
	large := []engine.Record{{Value: make([]byte, maxSendingBytes)}}
	first, ok := s.take(large)
	if !ok {
		t.Fatal("a large record alone is not taken")
	}
	if _, ok := s.take(large[:1]); ok {
		t.Error("two of them are")
	}
	first()
	if again, ok := s.take(large); !ok {
		t.Error("room was not given back")
	} else {
		again()
	}
	if s.records != 0 || s.bytes != 0 {
		t.Errorf("%d records and %d bytes are left", s.records, s.bytes)
	}
}

// TestAwaitCommit waits for every table and partition, and gives up in the end.
func TestAwaitCommit(t *testing.T) {
	p := newProgress()
	tables := []table{{id: 0}, {id: 2}}
	last := map[int32]int64{0: 9, 1: 4}
	at := func(seq int64, table engine.TableID, partition int32, to int64) {
		p.committed(&engine.Commit{Seq: seq, Progress: []engine.PartitionProgress{{Table: table, Partition: partition, To: to}}})
	}
	at(1, 0, 0, 10)
	at(2, 0, 1, 5)
	at(3, 2, 0, 11)
	at(4, 2, 1, 4)
	if seq, changed := p.reached(tables, last); changed == nil {
		t.Fatalf("reached by commit %d", seq)
	}
	_, changed := p.reached(tables, last)
	at(5, 2, 1, 5)
	select {
	case <-changed:
	default:
		t.Error("a commit wakes nobody")
	}
	if seq, changed := p.reached(tables, last); changed != nil || seq != 5 {
		t.Errorf("commit %d, %v", seq, changed)
	}
	at(6, 2, 1, 3) // the database was restored to an older state
	if _, changed := p.reached(tables, last); changed == nil {
		t.Error("a restored database still has the records")
	}
	s := &Server{posting: &posting{commits: p}, stopped: make(chan struct{})}
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	var fault *Problem
	if _, err := s.awaitCommit(ctx, &topic{tables: tables}, []Place{{0, 9}, {1, 4}}); !errors.As(err, &fault) || fault.Code != codeNotCommitted || fault.Status != http.StatusGatewayTimeout || *fault.Accepted != 2 {
		t.Errorf("%v", err)
	}
}
