package kafka

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/engine"
)

const (
	// sendRecords and sendBytes bound what waits to be acknowledged: Send
	// blocks beyond.
	sendRecords = 50_000
	sendBytes   = 64 << 20
	// sendLinger is how long a batch waits to be filled: short against a
	// person's patience, long enough for batches at a high rate.
	sendLinger = 5 * time.Millisecond
)

// AnyPartition lets the key, or else chance, choose a record's partition.
const AnyPartition = -1

// Outgoing is a record to be sent.
type Outgoing struct {
	Topic     string
	Partition int32 // or AnyPartition
	Key       []byte
	Value     []byte    // nil: a tombstone
	Timestamp time.Time // zero: the present
	Headers   []engine.Header
}

// Delivery says where a record was appended, or why it was not.
type Delivery struct {
	Partition int32
	Offset    int64
	Err       error
}

// Producer writes records: acknowledged by all replicas in sync, each once
// however often it is tried, in order within a partition. Keys choose the
// partition as Java's clients do (murmur2). It is safe for several
// goroutines.
type Producer struct {
	server *server

	delivered, failed, bytes atomic.Int64

	mu    sync.Mutex
	first error // of the records that failed
}

// Sent counts what a producer has done so far.
type Sent struct {
	Delivered, Failed int64
	Bytes             int64 // of keys and values delivered
}

// NewProducer makes a producer. It does not connect.
func NewProducer(c Config) (*Producer, error) {
	v, err := newServer("kafka", c,
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.RecordPartitioner(partitioner{keyed: kgo.StickyKeyPartitioner(nil)}),
		kgo.MaxBufferedRecords(sendRecords),
		kgo.MaxBufferedBytes(sendBytes),
		kgo.ProducerLinger(sendLinger),
		// No RecordDeliveryTimeout: it counts from the record's own timestamp,
		// so that records of the past would all time out. ctx bounds instead.
		kgo.ProducerBatchCompression(kgo.Lz4Compression(), kgo.NoCompression()),
	)
	if err != nil {
		return nil, err
	}
	return &Producer{server: v}, nil
}

// Send hands a record over. It waits only while too much is waiting to be
// acknowledged, and fails only with ctx: what becomes of the record shows in
// Sent and Err.
func (p *Producer) Send(ctx context.Context, r Outgoing) error {
	p.server.client.Produce(ctx, r.record(), func(r *kgo.Record, err error) { _ = p.done(r, err) })
	return ctx.Err()
}

// ErrUnknown is the error of a record whose acknowledgement did not come in
// time: it may or may not be in the topic.
var ErrUnknown = errors.New("not acknowledged in time: the record may or may not have been written")

// SendAll sends records and waits until each is acknowledged or has failed,
// or ctx ends: one Delivery for each, in order.
func (p *Producer) SendAll(ctx context.Context, rs []Outgoing) []Delivery {
	var (
		mu         sync.Mutex
		deliveries = make([]Delivery, len(rs))
		waiting    = len(rs)
		all        = make(chan struct{})
	)
	for i := range deliveries {
		deliveries[i] = Delivery{Partition: AnyPartition, Offset: -1, Err: ErrUnknown}
	}
	if len(rs) == 0 {
		return deliveries
	}
	for i, r := range rs {
		p.server.client.Produce(ctx, r.record(), func(r *kgo.Record, err error) {
			d := Delivery{Partition: r.Partition, Offset: r.Offset, Err: p.done(r, err)}
			mu.Lock()
			defer mu.Unlock()
			deliveries[i] = d
			if waiting--; waiting == 0 {
				close(all)
			}
		})
	}
	select {
	case <-all:
	case <-ctx.Done():
	}
	mu.Lock()
	defer mu.Unlock()
	return slices.Clone(deliveries) // late ones still write into theirs
}

// done counts a record's fate, and explains a failure.
func (p *Producer) done(r *kgo.Record, err error) error {
	if err == nil {
		p.delivered.Add(1)
		p.bytes.Add(int64(len(r.Key) + len(r.Value)))
		return nil
	}
	p.failed.Add(1)
	switch {
	case errors.Is(err, kerr.MessageTooLarge):
		err = fmt.Errorf("a record of %d bytes is over the broker's limit (message.max.bytes): %w", len(r.Key)+len(r.Value), err)
	case errors.Is(err, kerr.UnknownTopicOrPartition):
		err = fmt.Errorf("topic %q does not exist: %w", r.Topic, err)
	}
	err = p.server.explain(fmt.Sprintf("write to topic %q", r.Topic), err)
	p.mu.Lock()
	if p.first == nil {
		p.first = err
	}
	p.mu.Unlock()
	return err
}

// Flush waits until everything sent is acknowledged or has failed.
func (p *Producer) Flush(ctx context.Context) error {
	if err := p.server.client.Flush(ctx); err != nil {
		return p.server.explain("wait for acknowledgements", errors.Join(err, p.Health()))
	}
	return p.Err()
}

// Err is why the first record that failed did, nil while none has.
func (p *Producer) Err() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.first
}

// Sent counts what was delivered and what failed.
func (p *Producer) Sent() Sent {
	return Sent{Delivered: p.delivered.Load(), Failed: p.failed.Load(), Bytes: p.bytes.Load()}
}

// Health is nil when the last contact with the cluster succeeded.
func (p *Producer) Health() error { return p.server.health.get() }

// EnsureTopic makes a topic if it does not exist; partitions 0 is the
// cluster's default.
func (p *Producer) EnsureTopic(ctx context.Context, topic string, partitions int) (engine.TopicInfo, error) {
	infos, err := p.server.describe(ctx, map[string]int{topic: partitions})
	return infos[topic], err
}

// Close gives up what is not yet acknowledged: Flush before. It may be called
// twice.
func (p *Producer) Close() { p.server.client.Close() }

func (r *Outgoing) record() *kgo.Record {
	k := &kgo.Record{Topic: r.Topic, Partition: r.Partition, Key: r.Key, Value: r.Value, Timestamp: r.Timestamp}
	for _, h := range r.Headers {
		k.Headers = append(k.Headers, kgo.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return k
}

// partitioner takes a record's own partition, or else asks the keyed one: by
// the record's key, or else by the request of its idempotency key.
type partitioner struct{ keyed kgo.Partitioner }

func (p partitioner) ForTopic(topic string) kgo.TopicPartitioner {
	return topicPartitioner{p.keyed.ForTopic(topic)}
}

type topicPartitioner struct{ kgo.TopicPartitioner }

func (p topicPartitioner) RequiresConsistency(r *kgo.Record) bool {
	return r.Partition != AnyPartition || r.Key == nil && requestOf(r) != nil || p.TopicPartitioner.RequiresConsistency(r)
}

func (p topicPartitioner) Partition(r *kgo.Record, n int) int {
	if r.Partition != AnyPartition {
		return int(r.Partition)
	}
	if r.Key == nil {
		// Repeats of a request go where it went the first time.
		if name := requestOf(r); name != nil {
			r = &kgo.Record{Key: name}
		}
	}
	return p.TopicPartitioner.Partition(r, n)
}

// requestOf names the request that a record belongs to, nil if none.
func requestOf(r *kgo.Record) []byte {
	for i := range r.Headers {
		if r.Headers[i].Key == engine.IdempotencyHeader {
			name, _, _ := engine.IdempotencyKey([]engine.Header{{Key: r.Headers[i].Key, Value: r.Headers[i].Value}})
			return name
		}
	}
	return nil
}

// OnNewBatch lets records without keys fill one batch before the next
// partition.
func (p topicPartitioner) OnNewBatch() {
	if n, ok := p.TopicPartitioner.(kgo.TopicPartitionerOnNewBatch); ok {
		n.OnNewBatch()
	}
}
