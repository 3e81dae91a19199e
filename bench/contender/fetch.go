package contender

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/pierrec/lz4/v4"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const (
	// fetchBytes and partitionBytes are what one answer may hold: large enough
	// that its round trip does not count, small enough to stay in the cache
	// of the second level and its neighbour.
	fetchBytes     = 8 << 20
	partitionBytes = 2 << 20
	// fetchWait is how long the broker may wait for a first record.
	fetchWaitMillis = 500
	// ahead is how many answers wait while one is being worked on.
	ahead = 1
)

// chunk is what one answer brought of one partition.
type chunk struct {
	partition int32
	from      int64 // the offset that was asked for
	to        int64 // the offset after it
	batches   []byte
}

// fetcher reads some partitions of a topic with raw requests.
type fetcher struct {
	client *kgo.Client
	topic  string
	id     [16]byte
	leader int32
	next   map[int32]int64
}

func newFetcher(ctx context.Context, broker, topic string, next map[int32]int64) (*fetcher, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(broker))
	if err != nil {
		return nil, err
	}
	f := &fetcher{client: client, topic: topic, next: next}
	meta, err := kadm.NewClient(client).Metadata(ctx, topic)
	if err == nil {
		err = meta.Topics[topic].Err
	}
	if err != nil {
		client.Close()
		return nil, fmt.Errorf("look for topic %s: %w", topic, err)
	}
	f.id = meta.Topics[topic].ID
	for _, p := range meta.Topics[topic].Partitions {
		f.leader = p.Leader
	}
	return f, nil
}

// run fetches until ctx ends. The next request is on its way before the answer
// is worked on.
func (f *fetcher) run(ctx context.Context, out chan<- []chunk) error {
	defer f.client.Close()
	for {
		chunks, err := f.fetch(ctx)
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		if len(chunks) == 0 {
			continue
		}
		select {
		case out <- chunks:
		case <-ctx.Done():
			return nil
		}
	}
}

func (f *fetcher) fetch(ctx context.Context) ([]chunk, error) {
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes = fetchWaitMillis, 1, fetchBytes
	req.IsolationLevel = 1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic, rt.TopicID = f.topic, f.id
	for p, next := range f.next {
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.Partition, rp.FetchOffset, rp.PartitionMaxBytes = p, next, partitionBytes
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	resp, err := f.client.Broker(int(f.leader)).Request(ctx, req)
	if err != nil {
		return nil, fmt.Errorf("fetch from %s: %w", f.topic, err)
	}
	var chunks []chunk
	for _, t := range resp.(*kmsg.FetchResponse).Topics {
		for _, p := range t.Partitions {
			if err := kerr.ErrorForCode(p.ErrorCode); err != nil {
				return nil, fmt.Errorf("fetch from %s/%d at %d: %w", f.topic, p.Partition, f.next[p.Partition], err)
			}
			c := chunk{partition: p.Partition, from: f.next[p.Partition], batches: p.RecordBatches}
			c.to = endOf(c.batches, c.from)
			if c.to > c.from {
				f.next[p.Partition] = c.to
				chunks = append(chunks, c)
			}
		}
	}
	return chunks, nil
}

// The fields of a record batch, and the size of its head.
const (
	lengthAt     = 8
	magicAt      = 16
	crcAt        = 17
	attributesAt = 21
	lastDeltaAt  = 23
	countAt      = 57
	headSize     = 61

	codecMask     = 7
	codecLZ4      = 3
	transactional = 1 << 4
	control       = 1 << 5
)

// endOf gives the offset after the last whole batch.
func endOf(b []byte, next int64) int64 {
	for len(b) >= headSize {
		size := lengthAt + 4 + int(binary.BigEndian.Uint32(b[lengthAt:]))
		if size > len(b) {
			break // the broker cuts the last one
		}
		next = int64(binary.BigEndian.Uint64(b)) + int64(binary.BigEndian.Uint32(b[lastDeltaAt:])) + 1
		b = b[size:]
	}
	return next
}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var errBatch = errors.New("a record batch is not well-formed")

// walker goes through batches in place.
type walker struct {
	plain  []byte
	unpack *lz4.Reader
}

// walk calls each with the value of every record from offset from on.
func (w *walker) walk(b []byte, from int64, each func(value []byte) error) error {
	for len(b) >= headSize {
		size := lengthAt + 4 + int(binary.BigEndian.Uint32(b[lengthAt:]))
		if size > len(b) {
			return nil
		}
		if err := w.batch(b[:size], from, each); err != nil {
			return err
		}
		b = b[size:]
	}
	return nil
}

func (w *walker) batch(b []byte, from int64, each func(value []byte) error) error {
	if b[magicAt] != 2 || crc32.Checksum(b[attributesAt:], castagnoli) != binary.BigEndian.Uint32(b[crcAt:]) {
		return errBatch
	}
	attributes := binary.BigEndian.Uint16(b[attributesAt:])
	if attributes&control != 0 {
		return nil
	}
	if attributes&transactional != 0 {
		return errors.New("this program does not read transactional batches")
	}
	base, n := int64(binary.BigEndian.Uint64(b)), binary.BigEndian.Uint32(b[countAt:])
	records := b[headSize:]
	switch attributes & codecMask {
	case 0:
	case codecLZ4:
		if err := w.decompress(records); err != nil {
			return err
		}
		records = w.plain
	default:
		return fmt.Errorf("this program does not read compression %d", attributes&codecMask)
	}
	for range n {
		size, k := binary.Varint(records)
		if k <= 0 || size < 1 || int64(len(records)-k) < size {
			return errBatch
		}
		delta, value, ok := recordValue(records[k : k+int(size)])
		if !ok {
			return errBatch
		}
		if base+delta >= from {
			if err := each(value); err != nil {
				return fmt.Errorf("offset %d: %w", base+delta, err)
			}
		}
		records = records[k+int(size):]
	}
	return nil
}

// recordValue gives a record's offset delta and its value.
func recordValue(r []byte) (delta int64, value []byte, ok bool) {
	i := 1 // attributes
	next := func() (v int64) {
		v, k := binary.Varint(r[min(i, len(r)):])
		if k <= 0 {
			i = len(r) + 1
		}
		i += k
		return v
	}
	next() // time
	delta = next()
	if key := next(); key > 0 {
		i += int(key)
	}
	size := next()
	if size < 0 || i > len(r) || int64(len(r)-i) < size {
		return 0, nil, false
	}
	return delta, r[i : i+int(size)], true
}

func (w *walker) decompress(b []byte) error {
	if w.unpack == nil {
		w.unpack = lz4.NewReader(nil)
	}
	w.unpack.Reset(bytes.NewReader(b))
	out := bytes.NewBuffer(w.plain[:0])
	if _, err := out.ReadFrom(w.unpack); err != nil {
		return fmt.Errorf("decompress: %w", err)
	}
	w.plain = out.Bytes()
	return nil
}
