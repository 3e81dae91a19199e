package kafka

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/engine"
)

// entry is a batch to be made.
type entry struct {
	first, last int64
	attributes  int16
	producer    int64
	records     []kmsg.Record
	codec       kgo.CompressionCodecType
}

// bytes encodes the batch as a producer does.
func (e entry) bytes(t testing.TB) []byte {
	t.Helper()
	var records []byte
	for _, r := range e.records {
		body := r.AppendTo(nil)
		_, n := binary.Varint(body) // the length that AppendTo wrote, which is ours to count
		r.Length = int32(len(body) - n)
		records = r.AppendTo(records)
	}
	if e.codec != kgo.CodecNone {
		c, err := kgo.DefaultCompressor(map[kgo.CompressionCodecType]kgo.CompressionCodec{
			kgo.CodecGzip: kgo.GzipCompression(), kgo.CodecSnappy: kgo.SnappyCompression(),
			kgo.CodecLz4: kgo.Lz4Compression(), kgo.CodecZstd: kgo.ZstdCompression(),
		}[e.codec])
		if err != nil {
			t.Fatal(err)
		}
		var to bytes.Buffer
		records, _ = c.Compress(&to, records)
		records = bytes.Clone(records)
	}
	b := kmsg.RecordBatch{
		FirstOffset: e.first, PartitionLeaderEpoch: 3, Magic: format2, Attributes: e.attributes | int16(e.codec),
		LastOffsetDelta: int32(e.last - e.first), FirstTimestamp: 1_700_000_000_000, MaxTimestamp: 1_700_000_009_000,
		ProducerID: e.producer, NumRecords: int32(len(e.records)), Records: records,
	}
	out := b.AppendTo(nil)
	binary.BigEndian.PutUint32(out[lengthAt:], uint32(len(out)-afterLength))
	binary.BigEndian.PutUint32(out[crcAt:], crc32.Checksum(out[attributesAt:], castagnoli))
	return out
}

// plan makes a log of random batches: each codec, headers, keys and values
// that are missing, gaps as compaction leaves them, transactions.
func randomLog(t testing.TB, r *rand.Rand) (log []byte, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction, end int64) {
	offset := r.Int64N(100)
	codecs := []kgo.CompressionCodecType{kgo.CodecNone, kgo.CodecNone, kgo.CodecGzip, kgo.CodecSnappy, kgo.CodecLz4, kgo.CodecZstd}
	open := map[int64]int64{} // producer → first offset of its transaction
	for range 1 + r.IntN(12) {
		e := entry{first: offset, codec: codecs[r.IntN(len(codecs))], producer: -1}
		if r.IntN(4) == 0 {
			e.attributes |= logAppendTime
		}
		if r.IntN(3) > 0 {
			e.attributes |= transactional
			e.producer = int64(1 + r.IntN(3))
			if first, ok := open[e.producer]; ok && r.IntN(2) == 0 {
				e.attributes |= control
				e.codec = kgo.CodecNone
				kind := byte(r.IntN(2)) // 0 aborts
				e.records = []kmsg.Record{{Key: []byte{0, 0, 0, kind}, Value: []byte{0, 0, 0, 0, 0, 1}}}
				if kind == 0 {
					a := kmsg.NewFetchResponseTopicPartitionAbortedTransaction()
					a.ProducerID, a.FirstOffset = e.producer, first
					aborted = append(aborted, a)
				}
				delete(open, e.producer)
				e.last = offset
				log = append(log, e.bytes(t)...)
				offset = e.last + 1
				continue
			} else if !ok {
				open[e.producer] = offset
			}
		}
		delta := int32(0)
		for range r.IntN(30) {
			delta += int32(r.IntN(3))
			rec := kmsg.Record{OffsetDelta: delta, TimestampDelta64: int64(r.IntN(9000)), Key: text(r, 20), Value: text(r, 300)}
			for range r.IntN(3) * r.IntN(2) {
				rec.Headers = append(rec.Headers, kmsg.Header{Key: fmt.Sprint("h", r.IntN(4)), Value: text(r, 10)})
			}
			e.records = append(e.records, rec)
			delta++
		}
		e.last = offset + int64(delta) + r.Int64N(3)
		log = append(log, e.bytes(t)...)
		offset = e.last + 1
	}
	return log, aborted, offset
}

func text(r *rand.Rand, most int) []byte {
	if r.IntN(8) == 0 {
		return nil
	}
	b := make([]byte, r.IntN(most))
	for i := range b {
		b[i] = byte('a' + r.IntN(26))
	}
	return b
}

// answerFrom leaves out what a broker leaves out when it is asked for offset
// from: batches before it, and transactions that were aborted before it.
func answerFrom(log []byte, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction, from int64) ([]byte, []kmsg.FetchResponseTopicPartitionAbortedTransaction) {
	for n := batchLength(log); n > 0; n = batchLength(log) {
		if last, _ := lastOffset(log[:n]); last >= from {
			break
		}
		if log[attributesAt+1]&control != 0 {
			producer := int64(binary.BigEndian.Uint64(log[producerAt:]))
			for i, a := range aborted {
				if a.ProducerID == producer && a.FirstOffset < int64(binary.BigEndian.Uint64(log)) {
					aborted = slices.Delete(aborted, i, i+1)
					break
				}
			}
		}
		log = log[n:]
	}
	return log, aborted
}

// walkAll takes a whole answer as Poll does, at most records at a time.
func walkAll(log []byte, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction, from int64, most int, d *decompressor) (out []engine.Record, next int64, err error) {
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.RecordBatches, rp.AbortedTransactions = log, append([]kmsg.FetchResponseTopicPartitionAbortedTransaction(nil), aborted...)
	s := newShare(&cursor{partition: engine.Partition{TopicKey: engine.TopicKey{Topic: "t"}}}, from, &rp)
	home := &loads{}
	next = from
	for {
		if !s.begun {
			after, ok, err := s.next(next, d)
			next = max(next, after)
			if err != nil || !ok {
				return out, next, err
			}
		}
		c := home.take()
		if next, err = s.records(c, next, most); err != nil {
			return out, next, err
		}
		for _, r := range c.records {
			out = append(out, clone(r))
		}
		c.give()
	}
}

// clone copies a record, whose memory is used again.
func clone(r engine.Record) engine.Record {
	r.Key, r.Value = bytes.Clone(r.Key), bytes.Clone(r.Value)
	hs := r.Headers
	r.Headers = nil
	for _, h := range hs {
		r.Headers = append(r.Headers, engine.Header{Key: h.Key, Value: bytes.Clone(h.Value)})
	}
	return r
}

func testDecompressor(t testing.TB, limit int) *decompressor {
	t.Helper()
	d := &decompressor{}
	client, err := kgo.NewClient(kgo.WithPools(d), kgo.MaxDecompressBatchBytes(limit))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	d.inner = clientDecompressor(client)
	return d
}

// library reads the same answer with the library.
func library(log []byte, aborted []kmsg.FetchResponseTopicPartitionAbortedTransaction, from int64) ([]engine.Record, int64, error) {
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.RecordBatches, rp.AbortedTransactions = log, aborted
	got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, IsolationLevel: kgo.ReadCommitted(), Topic: "t"},
		&rp, kgo.DefaultDecompressor(), nil)
	var out []engine.Record
	for _, r := range got.Records {
		out = append(out, convert(r))
	}
	return out, next, got.Err
}

// TestWalkAgreesWithTheLibrary walks random logs from random offsets in
// pieces of random length: the library finds the same records.
func TestWalkAgreesWithTheLibrary(t *testing.T) {
	d := testDecompressor(t, batchBytes)
	total := 0
	for seed := range uint64(400) {
		r := rand.New(rand.NewPCG(seed, 1))
		log, aborted, end := randomLog(t, r)
		from := r.Int64N(end + 1)
		log, aborted = answerFrom(log, aborted, from)
		if r.IntN(3) == 0 { // a broker cuts off what its limit does not hold
			log = log[:r.IntN(len(log)+1)]
		}
		want, wantNext, err := library(log, aborted, from)
		if err != nil {
			t.Fatalf("seed %d: the library: %v", seed, err)
		}
		got, next, err := walkAll(log, aborted, from, 1+r.IntN(40), d)
		if err != nil {
			t.Fatalf("seed %d: %v", seed, err)
		}
		sameRecords(t, fmt.Sprintf("seed %d", seed), got, want)
		if next != wantNext {
			t.Errorf("seed %d: the walk ends at %d, the library's at %d", seed, next, wantNext)
		}
		if hopped, _ := hop(log, from); hopped != next {
			t.Errorf("seed %d: the next fetch would begin at %d, the walk ends at %d", seed, hopped, next)
		}
		total += len(got)
	}
	if total < 1000 {
		t.Errorf("%d records in all: the logs test nothing", total)
	}
}

func sameRecords(t *testing.T, what string, got, want []engine.Record) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d records, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, w := got[i], want[i]
		same := g.Offset == w.Offset && g.Timestamp == w.Timestamp && len(g.Headers) == len(w.Headers) &&
			bytes.Equal(g.Key, w.Key) && bytes.Equal(g.Value, w.Value) && (g.Key == nil) == (w.Key == nil) && (g.Value == nil) == (w.Value == nil)
		for k := 0; same && k < len(g.Headers); k++ {
			same = g.Headers[k].Key == w.Headers[k].Key && bytes.Equal(g.Headers[k].Value, w.Headers[k].Value)
		}
		if !same {
			t.Fatalf("%s: record %d is %+v, want %+v", what, i, g, w)
		}
	}
}

func oneBatch(t testing.TB, records int, codec kgo.CompressionCodecType) []byte {
	e := entry{first: 10, last: 9 + int64(records), codec: codec, producer: -1}
	for i := range records {
		e.records = append(e.records, kmsg.Record{OffsetDelta: int32(i), Key: []byte("key"), Value: bytes.Repeat([]byte("value "), 40),
			Headers: []kmsg.Header{{Key: "trace", Value: []byte("0123456789")}}})
	}
	return e.bytes(t)
}

// TestDamagedBatches holds that what is damaged is told, never taken.
func TestDamagedBatches(t *testing.T) {
	d := testDecompressor(t, batchBytes)
	good := oneBatch(t, 5, kgo.CodecNone)
	sum := func(b []byte) []byte {
		binary.BigEndian.PutUint32(b[crcAt:], crc32.Checksum(b[attributesAt:], castagnoli))
		return b
	}
	damage := func(what func(b []byte)) []byte {
		b := bytes.Clone(good)
		what(b)
		return b
	}
	for name, log := range map[string][]byte{
		"a flipped bit":          damage(func(b []byte) { b[100] ^= 4 }),
		"more records than fit":  sum(damage(func(b []byte) { binary.BigEndian.PutUint32(b[countAt:], 50) })),
		"fewer than none":        sum(damage(func(b []byte) { binary.BigEndian.PutUint32(b[countAt:], ^uint32(0)) })),
		"an end before its head": sum(damage(func(b []byte) { binary.BigEndian.PutUint32(b[lastOffsetAt:], ^uint32(0)) })),
		"an unknown codec":       sum(damage(func(b []byte) { b[attributesAt+1] |= 7 })),
		"a record that is longer than the batch": sum(damage(func(b []byte) {
			b[recordsAt], b[recordsAt+1] = 0xfe, 0x7f
		})),
	} {
		if _, _, err := walkAll(log, nil, 0, 100, d); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	records, next, err := walkAll(append(bytes.Clone(good), good[:40]...), nil, 0, 100, d)
	if len(records) != 5 || next != 15 || err != nil {
		t.Errorf("a batch and the head of another: %d records up to %d, %v", len(records), next, err)
	}
}

// TestBatchesBeyondTheLimit holds the limit of decompression for each codec.
func TestBatchesBeyondTheLimit(t *testing.T) {
	for codec, limit := range map[kgo.CompressionCodecType]int{
		kgo.CodecGzip: 4096, kgo.CodecSnappy: 4096, kgo.CodecLz4: 4096,
		kgo.CodecZstd: batchBytes, // it refuses a window over the limit by another error
	} {
		log := entry{first: 1, last: 1, codec: codec, records: []kmsg.Record{{Value: make([]byte, limit+1)}}}.bytes(t)
		if records, _, err := walkAll(log, nil, 0, 5000, testDecompressor(t, limit)); err != nil || len(records) != 1 || !records[0].Oversize {
			t.Errorf("codec %d: %d records, %v, want a batch that is too large", codec, len(records), err)
		}
		log = oneBatch(t, 1000, codec)
		if records, _, err := walkAll(log, nil, 0, 5000, testDecompressor(t, batchBytes)); err != nil || len(records) != 1000 {
			t.Errorf("codec %d: %d records, %v", codec, len(records), err)
		}
	}
}

// FuzzWalk gives the walk bytes of any kind: it never panics, and takes
// nothing that the library does not take.
func FuzzWalk(f *testing.F) {
	for seed := range uint64(8) {
		log, _, _ := randomLog(f, rand.New(rand.NewPCG(seed, 1)))
		f.Add(log)
	}
	d := testDecompressor(f, 1<<20)
	f.Fuzz(func(t *testing.T, log []byte) {
		got, _, err := walkAll(log, nil, 0, 1000, d)
		if err != nil {
			return
		}
		want, _, err := library(log, nil, 0)
		if err == nil && len(got) > len(want) {
			t.Errorf("%d records, the library takes %d", len(got), len(want))
		}
	})
}

// BenchmarkWalk tells what a record costs from an answer to the engine.
func BenchmarkWalk(b *testing.B) {
	for _, codec := range []kgo.CompressionCodecType{kgo.CodecNone, kgo.CodecLz4} {
		b.Run(fmt.Sprintf("codec %d", codec), func(b *testing.B) {
			d, home := testDecompressor(b, batchBytes), &loads{}
			log := oneBatch(b, 4000, codec)
			b.SetBytes(int64(len(log)))
			for b.Loop() {
				s := share{in: log, cursor: &cursor{}}
				if _, _, err := s.next(0, d); err != nil {
					b.Fatal(err)
				}
				c := home.take()
				if _, err := s.records(c, 0, 4000); err != nil {
					b.Fatal(err)
				}
				c.give()
			}
		})
	}
}

var errNotTooLarge = errors.New("another error")

func TestTooLarge(t *testing.T) {
	if !tooLarge(fmt.Errorf("x: %w", kgo.ErrMaxDecompress)) || !tooLarge(&kgo.ErrDecompressTooLarge{}) || tooLarge(errNotTooLarge) || tooLarge(nil) {
		t.Error("tooLarge tells the wrong errors")
	}
}
