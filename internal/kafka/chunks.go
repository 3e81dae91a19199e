package kafka

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

// problem is what a fetch said of a partition instead of records, or of the
// whole cluster (Topic "").
type problem struct {
	partition engine.Partition
	err       error
}

// chunks turns fetches into chunks, and moves the source's positions.
type chunks struct {
	source   *Source
	chunks   []engine.Chunk
	at       map[engine.Partition]int // of a partition's chunk in chunks
	problems []problem
}

func newChunks(s *Source) *chunks {
	return &chunks{source: s, at: make(map[engine.Partition]int)}
}

func (b *chunks) add(server string, fetches kgo.Fetches) {
	for _, f := range fetches {
		for i := range f.Topics {
			t := &f.Topics[i]
			key := engine.TopicKey{Server: server, Topic: t.Topic}
			for j := range t.Partitions {
				b.partition(key, t.TopicID, &t.Partitions[j])
			}
		}
	}
}

// partition takes what was fetched of one partition.
func (b *chunks) partition(key engine.TopicKey, id engine.TopicID, f *kgo.FetchPartition) {
	p := engine.Partition{TopicKey: key, Partition: f.Partition}
	if len(f.Records) > 0 {
		next, reading := b.source.next[p]
		if !reading {
			return // it was assigned once, and no longer is
		}
		if err := b.source.continues(p, id, next, f); err != nil {
			b.problems = append(b.problems, problem{p, err})
			return
		}
		b.records(p, f)
	}
	var large *kgo.ErrDecompressTooLarge
	if errors.As(f.Err, &large) {
		b.oversize(p, large)
	}
	if f.Err != nil {
		b.problems = append(b.problems, problem{p, f.Err})
	}
}

// oversize stands in for the records of a batch that is not read: they are
// accounted for, and reading goes on behind them (verdict).
func (b *chunks) oversize(p engine.Partition, e *kgo.ErrDecompressTooLarge) {
	next, reading := b.source.next[p]
	if !reading || e.NextOffset <= next {
		return
	}
	c := b.chunk(p, 0)
	for offset := max(next, e.Offset); offset < e.NextOffset; offset++ {
		c.Records = append(c.Records, engine.Record{Offset: offset, Oversize: true})
	}
	c.Next, c.End = e.NextOffset, -1
	b.source.next[p] = c.Next
}

// chunk gives the partition's chunk, a new one with room for n records.
func (b *chunks) chunk(p engine.Partition, n int) *engine.Chunk {
	i, ok := b.at[p]
	if !ok {
		i = len(b.chunks)
		b.at[p] = i
		b.chunks = append(b.chunks, engine.Chunk{Partition: p, Records: make([]engine.Record, 0, n)})
	}
	return &b.chunks[i]
}

// continues checks that f goes on where the position is. The client was told
// never to move by itself; this is the other end of that boundary.
func (s *Source) continues(p engine.Partition, id engine.TopicID, next int64, f *kgo.FetchPartition) error {
	first := f.Records[0].Offset
	s.mu.Lock()
	known := s.ids[p.TopicKey]
	s.mu.Unlock()
	switch {
	case id != (engine.TopicID{}) && known != (engine.TopicID{}) && id != known:
		return &engine.LostError{Partition: p, From: next, To: -1, Reason: "the topic was made again"}
	case first < next:
		return fmt.Errorf("topic %q partition %d: the client gave offset %d, the position is %d", p.Topic, p.Partition, first, next)
	case first > next && f.LogStartOffset > next:
		return &engine.LostError{Partition: p, From: next, To: min(f.LogStartOffset, first), Reason: "retention has passed the position"}
	}
	return nil
}

func (b *chunks) records(p engine.Partition, f *kgo.FetchPartition) {
	records := f.Records
	c := b.chunk(p, len(records))
	for _, r := range records {
		if !r.Attrs.IsControl() {
			c.Records = append(c.Records, convert(r))
		}
	}
	c.Next = records[len(records)-1].Offset + 1
	c.End = -1
	if f.LastStableOffset >= 0 { // some old brokers don't say
		c.End = max(f.LastStableOffset, c.Next)
	}
	b.source.next[p] = c.Next
	delete(b.source.again, p)
}

func convert(r *kgo.Record) engine.Record {
	e := engine.Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMicro(), Key: r.Key, Value: r.Value}
	if len(r.Headers) > 0 {
		e.Headers = make([]engine.Header, len(r.Headers))
		for i, h := range r.Headers {
			e.Headers[i] = engine.Header{Key: h.Key, Value: h.Value}
		}
	}
	return e
}

// judge decides on what the last fetch met: to go on, or to end for good. An
// end is remembered, so that each later Poll gives it too.
func (s *Source) judge(ctx context.Context) error {
	problems := s.deferred
	s.deferred = nil
	for i, p := range problems {
		err := s.verdict(ctx, p)
		if err == nil {
			continue
		}
		if ctx.Err() != nil {
			s.deferred = problems[i:]
			return context.Cause(ctx)
		}
		s.lost = err
		return err
	}
	return nil
}

// verdict is nil when reading can go on.
func (s *Source) verdict(ctx context.Context, p problem) error {
	v := s.servers[p.partition.Server]
	kind := classify(p.err)
	if kind != ended && kind != closed {
		v.health.set(p.err)
	}
	switch kind {
	case ended:
		return nil // Poll looks at its ctx
	case closed:
		return ErrClosed
	case identity:
		return s.checkIdentity(ctx, p.partition)
	case outOfRange:
		return s.checkRange(ctx, p.partition)
	case oversize:
		return s.Start(ctx, map[engine.Partition]int64{p.partition: s.next[p.partition]})
	case passing:
		return nil
	}
	var lost *engine.LostError
	if errors.As(p.err, &lost) {
		return p.err
	}
	if p.partition.Topic == "" {
		return v.explain("read", p.err)
	}
	return v.explain(fmt.Sprintf("read topic %q partition %d from offset %d",
		p.partition.Topic, p.partition.Partition, s.next[p.partition]), p.err)
}
