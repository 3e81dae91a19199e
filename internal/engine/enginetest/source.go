// Package enginetest has one conformance suite for each interface that the
// engine declares. Every implementation passes it.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/millstream-dev/millstream/internal/engine"
)

const (
	// sourceServer is the cluster's name in the suite.
	sourceServer = "kafka"
	// sourcePatience bounds a wait for what must come. It is never waited
	// for when all is well.
	sourcePatience = 30 * time.Second
	// sourceQuiet is how long the suite listens where nothing may come: the
	// one kind of wait without a signal to wait for.
	sourceQuiet = 300 * time.Millisecond
	// anyNumber of records for a Poll.
	anyNumber = 10_000
)

// SourceLog is the cluster behind a Source, as the suite changes it. All its
// methods return when the change is in force, and fail the test otherwise.
type SourceLog interface {
	// Create makes a topic that keeps records of any age.
	Create(topic string, partitions int)
	Delete(topic string)
	// Grow raises the number of partitions.
	Grow(topic string, partitions int)
	// Produce appends records and gives the first one's offset. Offsets in
	// records are ignored; a Timestamp of 0 is the present.
	Produce(topic string, partition int32, records []engine.Record) int64
	// Transaction is Produce in a transaction of its own, which is committed
	// or aborted before it returns.
	Transaction(topic string, partition int32, records []engine.Record, commit bool) int64
	// Begin is Produce in a transaction that stays open until end is called.
	Begin(topic string, partition int32, records []engine.Record) (end func(commit bool))
	// Truncate deletes the records before an offset, as retention does.
	Truncate(topic string, partition int32, before int64)
	// Group gives the offsets that a consumer group has committed.
	Group(group, topic string) map[int32]int64
}

// SourceEnv opens sources on one cluster, each new, whose server is called
// "kafka" and whose consumer group is group. The suite closes them.
type SourceEnv struct {
	Log  SourceLog
	Open func(t *testing.T, group string) engine.Source
	// Close ends all that the environment has started, so that what runs then
	// was left by a source.
	Close func()
}

// RunSource runs the suite. env is called once for each test.
func RunSource(t *testing.T, env func(t *testing.T) SourceEnv) {
	for _, c := range []struct {
		name string
		run  func(*sourceTest)
	}{
		{"describe makes topics", describeMakes},
		{"describe sees added partitions", describeGrows},
		{"unknown server", unknownServer},
		{"from the start, in order", inOrder},
		{"exact start offsets", exactStarts},
		{"start at the end, then new records", startAtEnd},
		{"keys, values, headers, times", contents},
		{"several partitions and topics", severalPartitions},
		{"partitions added while reading", addWhileReading},
		{"max records", maxRecords},
		{"large records", largeRecords},
		{"aborted transactions are skipped", aborted},
		{"open transactions hold the end", openTransaction},
		{"pause", pausing},
		{"ends", ends},
		{"records at a time", atTime},
		{"lost before the first poll", lostBeforeStart},
		{"lost while reading", lostWhileReading},
		{"beyond the end", beyondEnd},
		{"deleted topic", deletedTopic},
		{"recreated topic", recreatedTopic},
		{"group offsets", groupOffsets},
		{"poll heeds its context", pollContext},
		{"close twice, and under a poll", closing},
		{"health", healthy},
	} {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			leaks := goleak.IgnoreCurrent()
			e := env(t)
			ctx, cancel := context.WithTimeout(context.Background(), sourcePatience)
			defer cancel()
			s := &sourceTest{T: t, ctx: ctx, env: e, log: e.Log, group: "suite-" + unique()}
			s.src = e.Open(t, s.group)
			c.run(s)
			s.src.Close()
			cancel()
			e.Close()
			if err := goleak.Find(leaks); err != nil && !t.Failed() {
				t.Errorf("after Close: %v", err)
			}
		})
	}
}

// unique makes names that are not in a cluster that outlives the test.
func unique() string { return fmt.Sprintf("%x", time.Now().UnixNano()) }

// sourceTest is one test: a cluster and a source on it.
type sourceTest struct {
	*testing.T
	ctx   context.Context
	env   SourceEnv
	log   SourceLog
	src   engine.Source
	group string
}

// topic makes a topic and gives its partitions.
func (s *sourceTest) topic(partitions int) (string, []engine.Partition) {
	name := "suite-" + unique()
	s.log.Create(name, partitions)
	return name, partitionsOf(name, partitions)
}

func key(topic string) engine.TopicKey {
	return engine.TopicKey{Server: sourceServer, Topic: topic}
}

func partitionsOf(topic string, n int) []engine.Partition {
	ps := make([]engine.Partition, n)
	for i := range ps {
		ps[i] = engine.Partition{TopicKey: key(topic), Partition: int32(i)}
	}
	return ps
}

// values are records with these values.
func values(vs ...string) []engine.Record {
	rs := make([]engine.Record, len(vs))
	for i, v := range vs {
		rs[i].Value = []byte(v)
	}
	return rs
}

// series are n records "prefix0", "prefix1", …
func series(prefix string, n int) []engine.Record {
	rs := make([]engine.Record, n)
	for i := range rs {
		rs[i].Value = fmt.Appendf(nil, "%s%d", prefix, i)
	}
	return rs
}

func (s *sourceTest) start(positions map[engine.Partition]int64) {
	s.Helper()
	if err := s.src.Start(s.ctx, positions); err != nil {
		s.Fatalf("Start: %v", err)
	}
}

// reading is what a test has read so far, checked as it comes.
type reading struct {
	*sourceTest
	next    map[engine.Partition]int64 // ends of the chunks so far
	end     map[engine.Partition]int64 // last stable offsets, as the chunks said
	records map[engine.Partition][]engine.Record
}

// read starts at positions.
func (s *sourceTest) read(positions map[engine.Partition]int64) *reading {
	s.Helper()
	s.start(positions)
	r := &reading{sourceTest: s, next: make(map[engine.Partition]int64),
		end: make(map[engine.Partition]int64), records: make(map[engine.Partition][]engine.Record)}
	for p, o := range positions {
		r.next[p] = o
	}
	return r
}

// poll takes what one Poll gives, and checks its form.
func (r *reading) poll(ctx context.Context, maxRecords int) ([]engine.Chunk, error) {
	r.Helper()
	chunks, err := r.src.Poll(ctx, maxRecords)
	n := 0
	seen := make(map[engine.Partition]bool)
	for _, c := range chunks {
		from, reading := r.next[c.Partition]
		if !reading {
			r.Fatalf("a chunk of %v, which was not started", c.Partition)
		}
		if seen[c.Partition] {
			r.Fatalf("two chunks of %v in one Poll", c.Partition)
		}
		seen[c.Partition] = true
		for _, rec := range c.Records {
			if rec.Offset < from {
				r.Fatalf("%v: offset %d after %d", c.Partition, rec.Offset, from-1)
			}
			from = rec.Offset + 1
		}
		if c.Next < from {
			r.Fatalf("%v: Next is %d, after offset %d", c.Partition, c.Next, from-1)
		}
		if c.Next == r.next[c.Partition] {
			r.Fatalf("%v: a chunk that moves nothing, at %d", c.Partition, c.Next)
		}
		if c.End != -1 && c.End < c.Next {
			r.Fatalf("%v: Next is %d, after the end %d", c.Partition, c.Next, c.End)
		}
		r.next[c.Partition], r.end[c.Partition] = c.Next, c.End
		r.records[c.Partition] = append(r.records[c.Partition], c.Records...)
		n += len(c.Records)
	}
	if n > maxRecords {
		r.Fatalf("Poll gave %d records, at most %d were asked for", n, maxRecords)
	}
	if err == nil && len(chunks) == 0 {
		r.Fatal("Poll gave neither chunks nor an error")
	}
	return chunks, err
}

// until polls until each partition's position is at least as given.
func (r *reading) until(want map[engine.Partition]int64) {
	r.Helper()
	for {
		behind := false
		for p, o := range want {
			behind = behind || r.next[p] < o
		}
		if !behind {
			return
		}
		if _, err := r.poll(r.ctx, anyNumber); err != nil {
			r.Fatalf("Poll: %v; positions %v, wanted %v", err, r.next, want)
		}
	}
}

// quiet checks that nothing comes.
func (r *reading) quiet() {
	r.Helper()
	ctx, cancel := context.WithTimeout(r.ctx, sourceQuiet)
	defer cancel()
	if chunks, err := r.poll(ctx, anyNumber); !errors.Is(err, context.DeadlineExceeded) {
		r.Fatalf("Poll gave %v, %v where nothing may come", chunks, err)
	}
}

// failure polls until it fails.
func (r *reading) failure() error {
	r.Helper()
	for {
		if _, err := r.poll(r.ctx, anyNumber); err != nil {
			return err
		}
	}
}

// got checks a partition's values so far.
func (r *reading) got(p engine.Partition, want ...string) {
	r.Helper()
	var have []string
	for _, rec := range r.records[p] {
		have = append(have, string(rec.Value))
	}
	if strings.Join(have, " ") != strings.Join(want, " ") {
		r.Errorf("%v: values %q, want %q", p, have, want)
	}
}

// loss checks that err is a LostError and what it says.
func (s *sourceTest) loss(err error, p engine.Partition, from, to int64) {
	s.Helper()
	var lost *engine.LostError
	if !errors.As(err, &lost) {
		s.Fatalf("got error %v, want a LostError", err)
	}
	if lost.Partition != p || lost.From != from || lost.To != to || lost.Reason == "" {
		s.Errorf("lost: %+v, want partition %v, offsets [%d, %d), and a reason", *lost, p, from, to)
	}
}

func sameRecord(a, b engine.Record) bool {
	if !bytes.Equal(a.Key, b.Key) || !bytes.Equal(a.Value, b.Value) || len(a.Headers) != len(b.Headers) ||
		(a.Value == nil) != (b.Value == nil) || (a.Key == nil) != (b.Key == nil) {
		return false
	}
	for i, h := range a.Headers {
		if h.Key != b.Headers[i].Key || !bytes.Equal(h.Value, b.Headers[i].Value) {
			return false
		}
	}
	return true
}
