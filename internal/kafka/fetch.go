package kafka

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/engine"
)

// readCommitted is the protocol's number of that isolation level.
const readCommitted = 1

// What the layout of a cluster can say of a partition beside Kafka's own
// errors.
var (
	errAnotherTopic = fmt.Errorf("the cluster has another topic of that name: %w", kerr.UnknownTopicID)
	errNoPartition  = fmt.Errorf("the topic has no such partition: %w", kerr.UnknownTopicOrPartition)
	// errCut tells of an answer whose first batch is not whole, which no
	// broker gives since Kafka 0.10.1.
	errCut = errors.New("the broker has sent a batch that is cut off")
)

// asked is a cursor as a request asks for it.
type asked struct {
	cursor             *cursor
	offset             int64
	epoch, leaderEpoch int32
}

// request asks for partitions, which are in order of topics. It uses no fetch
// session: what it says is complete, and no broker has to remember us.
func request(all []asked) *kmsg.FetchRequest {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = fetchWaitMillis, 1, fetchBytes
	req.IsolationLevel = readCommitted
	for _, a := range all {
		if n := len(req.Topics); n == 0 || req.Topics[n-1].Topic != a.cursor.partition.Topic {
			t := kmsg.NewFetchRequestTopic()
			t.Topic, t.TopicID = a.cursor.partition.Topic, a.cursor.id
			req.Topics = append(req.Topics, t)
		}
		p := kmsg.NewFetchRequestTopicPartition()
		p.Partition, p.FetchOffset, p.PartitionMaxBytes = a.cursor.partition.Partition, a.offset, partitionBytes
		p.CurrentLeaderEpoch, p.LastFetchedEpoch = a.leaderEpoch, a.epoch
		t := &req.Topics[len(req.Topics)-1]
		t.Partitions = append(t.Partitions, p)
	}
	return req
}

// answer takes a broker's answer apart, and moves the cursors.
func (f *fetcher) answer(all []asked, resp kmsg.Response, err error) *response {
	r := &response{server: f.server.name}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, a := range all {
		a.cursor.busy = false
	}
	if err == nil {
		err = kerr.ErrorForCode(resp.(*kmsg.FetchResponse).ErrorCode)
	}
	if err != nil {
		f.failed(r, all, err)
		return r
	}
	for i := range resp.(*kmsg.FetchResponse).Topics {
		t := &resp.(*kmsg.FetchResponse).Topics[i]
		for j := range t.Partitions {
			p := &t.Partitions[j]
			at := slices.IndexFunc(all, func(a asked) bool {
				return a.cursor.partition.Partition == p.Partition &&
					(t.Topic != "" && t.Topic == a.cursor.partition.Topic || t.Topic == "" && t.TopicID == a.cursor.id)
			})
			if at >= 0 {
				f.partition(r, &all[at], p)
			}
		}
	}
	return r
}

// failed notes that a broker gave no answer: the leaders of what it was asked
// for are looked for again.
func (f *fetcher) failed(r *response, all []asked, err error) {
	passes := transient(err) || unknownBroker(err)
	for _, a := range all {
		a.cursor.leader, a.cursor.held = noLeader, !passes
	}
	if passes {
		r.failed, r.passing = true, true
		f.server.health.set(err)
		f.wake(noLeader)
		return
	}
	r.problems = append(r.problems, found{nil, err})
}

// unknownBroker tells the library's error, which it does not export, of a
// broker that has left the cluster.
func unknownBroker(err error) bool { return err.Error() == "unknown broker" }

// partition takes a partition's share of an answer.
func (f *fetcher) partition(r *response, a *asked, p *kmsg.FetchResponseTopicPartition) {
	c := a.cursor
	err := kerr.ErrorForCode(p.ErrorCode)
	if end := p.DivergingEpoch.EndOffset; err == nil && end >= 0 {
		err = diverges(c.partition, a.offset, end)
	}
	if err == nil && len(p.RecordBatches) > 0 {
		next, epoch := hop(p.RecordBatches, a.offset)
		if next == a.offset && batchLength(p.RecordBatches) == 0 {
			err = errCut
		} else {
			c.offset, c.epoch = next, epoch
			r.shares = append(r.shares, newShare(c, a.offset, p))
		}
	}
	switch {
	case err == nil:
	case classify(err) == passing:
		r.passing = true
		f.server.health.set(err)
		c.leader = noLeader
		f.wake(noLeader)
	default:
		c.held = true
		r.problems = append(r.problems, found{c, err})
	}
}

// diverges is what a leader says whose log is another one than was read so
// far: it goes along with it up to end only.
func diverges(p engine.Partition, offset, end int64) error {
	if end >= offset {
		return kerr.OffsetOutOfRange
	}
	return &engine.LostError{Partition: p, From: end, To: offset,
		Reason: "the log was cut back when another broker became its leader, and what was read of them is not what it holds"}
}

// hop goes from batch to batch, and gives the offset after the last whole one
// and the epoch of its leader.
func hop(in []byte, offset int64) (next int64, epoch int32) {
	next, epoch = offset, -1
	for {
		n := batchLength(in)
		if n == 0 {
			return next, epoch
		}
		var last int64
		last, epoch = lastOffset(in[:n])
		next = max(next, last+1)
		in = in[n:]
	}
}

// share is a partition's share of an answer, of which Poll has taken a part.
type share struct {
	cursor  *cursor
	from    int64  // the offset that was asked for
	in      []byte // batches not yet begun
	end     int64  // the last stable offset, -1 if the broker does not say
	start   int64  // the first offset of the log, likewise
	aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction
	active  map[int64]bool // producers in whose aborted transactions we are
	batch   batch
	begun   bool // batch is being taken
}

func newShare(c *cursor, from int64, p *kmsg.FetchResponseTopicPartition) share {
	slices.SortFunc(p.AbortedTransactions, func(a, b kmsg.FetchResponseTopicPartitionAbortedTransaction) int {
		return cmp.Compare(a.FirstOffset, b.FirstOffset)
	})
	return share{cursor: c, from: from, in: p.RecordBatches, end: p.LastStableOffset, start: p.LogStartOffset, aborted: p.AbortedTransactions}
}

// next begins the next batch that has records for a reader at position from.
// What is left out moves after: the offset up to which nothing more comes.
func (s *share) next(from int64, d *decompressor) (after int64, ok bool, err error) {
	after = from
	for {
		n := batchLength(s.in)
		if n == 0 {
			return after, false, nil
		}
		in := s.in[:n]
		s.in = s.in[n:]
		if in[magicAt] == format2 {
			err = s.batch.open(in, d)
		} else {
			err = s.batch.legacy(in, s.cursor.partition, from, d)
		}
		if err != nil && !tooLarge(err) {
			return after, false, err
		}
		if s.skips(&s.batch) { // also one that is too large: nobody reads it
			s.batch.done()
			after = max(after, s.batch.last+1)
			continue
		}
		if err != nil {
			s.batch.pass(after)
		}
		s.begun = true
		return after, true, nil
	}
}

// skips tells whether a batch is a control batch, or of an aborted
// transaction. An aborted transaction reaches from its first offset to the
// control batch of its producer that says so.
func (s *share) skips(b *batch) bool {
	for len(s.aborted) > 0 && s.aborted[0].FirstOffset <= b.last {
		if s.active == nil {
			s.active = make(map[int64]bool)
		}
		s.active[s.aborted[0].ProducerID] = true
		s.aborted = s.aborted[1:]
	}
	if b.attributes&control != 0 {
		if s.active[b.producer] && b.aborts() {
			delete(s.active, b.producer)
		}
		return true
	}
	return b.attributes&transactional != 0 && s.active[b.producer]
}

// records takes up to most records of the batch that is begun into c, from
// offset from on, and gives the offset after them.
func (s *share) records(c *load, from int64, most int) (next int64, err error) {
	b := &s.batch
	next = from
	c.holds(b.memory)
	for b.left > 0 && most > 0 {
		n := len(c.records)
		c.records = slices.Grow(c.records, 1)[:n+1]
		r := &c.records[n]
		if b.large {
			*r = engine.Record{Offset: b.last - int64(b.left) + 1, Oversize: true}
			b.left--
		} else if b.ready != nil {
			*r = b.ready[len(b.ready)-b.left]
			b.left--
		} else if err := b.take(r, &c.headers); err != nil {
			c.records = c.records[:n]
			return next, fmt.Errorf("%w at offset %d", err, b.first)
		}
		if r.Offset < next {
			c.records = c.records[:n]
			continue
		}
		next = r.Offset + 1
		most--
	}
	if b.left == 0 {
		s.begun = false
		next = max(next, b.last+1)
		b.done()
	}
	return next, nil
}

// done lets go of what the batch was decompressed into.
func (b *batch) done() {
	if b.memory != nil {
		b.memory.release()
		b.memory = nil
	}
}
