package kafka

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

// searchBytes bounds what a search keeps of records: as many of the largest
// ones as a page of them still shows.
const searchBytes = 32 << 20

// Peeked is a record of one partition.
type Peeked struct {
	Partition int32
	engine.Record
}

// Search says which records of a topic are looked for.
type Search struct {
	// Partition is the only one that is read; AnyPartition for all.
	Partition int32
	// Offset is where to begin in Partition, and From the timestamp from which
	// on. Without them the search ends at the newest record; with one of them
	// it goes forward from there.
	Offset *int64
	From   time.Time
	// Key is that of the records; nil for any.
	Key []byte
	// Limit is how many records are given: the first of a search forward, else
	// the last.
	Limit int
	// Scan is how many offsets are read at most, over all partitions.
	Scan int64
}

// Found is what a search has come to.
type Found struct {
	Records []Peeked // by timestamp, partition, offset
	Scanned int64    // offsets that were looked at
	// Complete tells that all was looked at that the search is about: neither
	// Scan nor the deadline has cut it short.
	Complete bool
}

// forward tells whether the search begins at a place of its own.
func (q *Search) forward() bool { return q.Offset != nil || !q.From.IsZero() }

// span is a stretch of a partition: offsets from start up to end.
type span struct{ start, end int64 }

// Peek gives the last n committed records of a topic, oldest first. It reads
// back at most n offsets in each partition: where many are control records,
// aborted or compacted away, there can be fewer than n. When ctx reaches its
// deadline it gives what it has.
func (a *Admin) Peek(ctx context.Context, topic string, n int) ([]Peeked, error) {
	found, err := a.Search(ctx, topic, Search{Partition: AnyPartition, Limit: n})
	if err != nil {
		return nil, err
	}
	return found.Records, nil
}

// Search looks for committed records of a topic. When ctx reaches its
// deadline it gives what it has.
func (a *Admin) Search(ctx context.Context, topic string, q Search) (*Found, error) {
	topics, err := a.Topics(ctx, topic)
	if err != nil {
		return nil, err
	}
	spans, complete, err := a.spans(ctx, &topics[0], &q)
	if err != nil {
		return nil, err
	}
	starts := make(map[int32]kgo.Offset, len(spans))
	for p, s := range spans {
		starts[p] = kgo.NewOffset().At(s.start)
	}
	client, err := newServer("kafka", a.server.config,
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: starts}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(),
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(partitionBytes), kgo.FetchMaxWait(fetchWait))
	if err != nil {
		return nil, err
	}
	defer client.client.Close()
	found, err := collect(ctx, client, spans, &q)
	if err != nil {
		return nil, client.explain(fmt.Sprintf("read topic %q", topic), err)
	}
	found.Complete = found.Complete && complete
	return found, nil
}

// spans says what to read of each partition, and whether that is all that the
// search is about.
func (a *Admin) spans(ctx context.Context, t *Topic, q *Search) (map[int32]span, bool, error) {
	var after kadm.ListedOffsets
	if !q.From.IsZero() {
		err := a.server.retry(ctx, fmt.Sprintf("look for %s in topic %q", q.From.Format(time.RFC3339), t.Name), func(ctx context.Context) (err error) {
			after, err = a.server.admin.ListOffsetsAfterMilli(ctx, q.From.UnixMilli(), t.Name)
			return err
		})
		if err != nil {
			return nil, false, err
		}
	}
	most := int64(q.Limit) // offsets of each partition
	if q.Key != nil {
		most = max(most, q.Scan/int64(max(1, len(t.Partitions))))
	}
	spans, complete := make(map[int32]span), true
	for _, p := range t.Partitions {
		if q.Partition != AnyPartition && p.Partition != q.Partition {
			continue
		}
		s := span{p.Start, p.End}
		if at, ok := after.Lookup(t.Name, p.Partition); ok && at.Err == nil {
			s.start = max(s.start, at.Offset)
		}
		if q.Offset != nil {
			s.start = max(s.start, *q.Offset)
		}
		if s.end-s.start > most {
			complete = complete && q.Key == nil
			if q.forward() {
				s.end = s.start + most
			} else {
				s.start = s.end - most
			}
		}
		if s.start < s.end {
			spans[p.Partition] = s
		}
	}
	return spans, complete, nil
}

// collect reads each span to its end, and keeps what is looked for.
func collect(ctx context.Context, v *server, spans map[int32]span, q *Search) (*Found, error) {
	kept := keeper{search: q}
	found := &Found{Complete: true}
	for len(spans) > 0 {
		fetches := v.client.PollFetches(ctx)
		if errors.Is(fetches.Err(), context.DeadlineExceeded) && v.health.get() == nil {
			found.Complete = false
			break // an end that compaction has emptied has no record to show it
		}
		if err := fetches.Err(); err != nil {
			return nil, errors.Join(err, v.health.get())
		}
		fetches.EachRecord(func(r *kgo.Record) {
			s, reading := spans[r.Partition]
			if !reading {
				return
			}
			if r.Offset < s.end {
				found.Scanned++
				if !r.Attrs.IsControl() {
					kept.take(r)
				}
			}
			if r.Offset >= s.end-1 {
				delete(spans, r.Partition)
			}
		})
	}
	kept.trim()
	found.Records = kept.records
	return found, nil
}

// keeper holds the records that a search gives, and some more until trimmed.
type keeper struct {
	search  *Search
	records []Peeked
	bytes   int
}

func (k *keeper) take(r *kgo.Record) {
	if k.search.Key != nil && string(r.Key) != string(k.search.Key) {
		return
	}
	if !k.search.From.IsZero() && r.Timestamp.Before(k.search.From) {
		return
	}
	k.records = append(k.records, Peeked{r.Partition, convert(r)})
	k.bytes += len(r.Key) + len(r.Value)
	if len(k.records) > 4*k.search.Limit+64 || k.bytes > 2*searchBytes {
		k.trim()
	}
}

// trim sorts the records and drops those beyond the limits, from the end that
// the search is not about.
func (k *keeper) trim() {
	slices.SortStableFunc(k.records, func(a, b Peeked) int {
		return cmp.Or(cmp.Compare(a.Timestamp, b.Timestamp), cmp.Compare(a.Partition, b.Partition), cmp.Compare(a.Offset, b.Offset))
	})
	n := len(k.records)
	at := func(i int) *Peeked { // the i-th best
		if k.search.forward() {
			return &k.records[i]
		}
		return &k.records[n-1-i]
	}
	keep, bytes := 0, 0
	for keep < min(n, k.search.Limit) {
		size := len(at(keep).Key) + len(at(keep).Value)
		if keep > 0 && bytes+size > searchBytes {
			break
		}
		keep, bytes = keep+1, bytes+size
	}
	k.bytes = bytes
	if k.search.forward() {
		clear(k.records[keep:])
		k.records = k.records[:keep]
		return
	}
	k.records = append([]Peeked(nil), k.records[n-keep:]...)
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
