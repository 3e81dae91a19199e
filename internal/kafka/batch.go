package kafka

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/millstream-dev/millstream/internal/engine"
)

// The layout of a record batch of message format 2, from its first byte. What
// lies before magicAt is the same in the older formats.
const (
	lengthAt         = 8  // of what follows the length itself
	leaderEpochAt    = 12 // of the leader that appended it
	magicAt          = 16
	crcAt            = 17
	attributesAt     = 21 // from here on the checksum counts
	lastOffsetAt     = 23 // less the first offset
	firstTimestampAt = 27
	maxTimestampAt   = 35
	producerAt       = 43
	countAt          = 57
	recordsAt        = 61

	afterLength = 12 // the first byte that the length counts
	format2     = 2
)

// The bits of a batch's attributes.
const (
	codecBits     = 0x07
	logAppendTime = 1 << 3
	transactional = 1 << 4
	control       = 1 << 5
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batchLength is the length of the batch at the head of in, or 0 if it is not
// there as a whole: a broker cuts off what its limit of bytes does not hold.
func batchLength(in []byte) int {
	if len(in) <= magicAt {
		return 0
	}
	n := int(int32(binary.BigEndian.Uint32(in[lengthAt:]))) + afterLength
	if n <= magicAt || n > len(in) {
		return 0
	}
	return n
}

// lastOffset is the last offset that a whole batch covers, and the epoch of
// its leader, -1 if it does not say.
func lastOffset(b []byte) (last int64, epoch int32) {
	first := int64(binary.BigEndian.Uint64(b))
	if b[magicAt] != format2 || len(b) < recordsAt {
		return first, -1 // a message set's entry is named by its last
	}
	return first + int64(int32(binary.BigEndian.Uint32(b[lastOffsetAt:]))), int32(binary.BigEndian.Uint32(b[leaderEpochAt:]))
}

// batch is a record batch whose records are being taken.
type batch struct {
	records        []byte // those not yet taken
	left           int    // how many they are
	first          int64
	last           int64
	firstTimestamp int64 // milliseconds
	maxTimestamp   int64
	attributes     uint16
	producer       int64
	memory         *slab // what records lie in, nil if nobody uses it again

	ready []engine.Record // instead of records: of the older formats
	large bool            // its records are not read: each offset stands for one
}

// pass makes a batch that takes too much memory ready to take what stands in
// for its records, from offset from on: they are accounted for, and reading
// goes on behind them.
func (b *batch) pass(from int64) {
	b.large, b.left = true, int(max(b.last-max(b.first, from)+1, 0))
}

// open checks a whole batch of format 2 and makes b ready to take its
// records. What was decompressed lies in b.memory.
func (b *batch) open(in []byte, d *decompressor) error {
	if len(in) < recordsAt {
		return fmt.Errorf("a record batch of %d bytes is shorter than its own head", len(in))
	}
	if got, want := crc32.Checksum(in[attributesAt:], castagnoli), binary.BigEndian.Uint32(in[crcAt:]); got != want {
		return fmt.Errorf("the record batch at offset %d has checksum %08x, its content has %08x", int64(binary.BigEndian.Uint64(in)), want, got)
	}
	*b = batch{
		records:        in[recordsAt:],
		left:           int(int32(binary.BigEndian.Uint32(in[countAt:]))),
		first:          int64(binary.BigEndian.Uint64(in)),
		firstTimestamp: int64(binary.BigEndian.Uint64(in[firstTimestampAt:])),
		maxTimestamp:   int64(binary.BigEndian.Uint64(in[maxTimestampAt:])),
		attributes:     binary.BigEndian.Uint16(in[attributesAt:]),
		producer:       int64(binary.BigEndian.Uint64(in[producerAt:])),
	}
	b.last, _ = lastOffset(in)
	if b.left < 0 || b.left > 0 && len(b.records) == 0 || b.last < b.first {
		return fmt.Errorf("the record batch at offset %d holds %d records up to offset %d in %d bytes", b.first, b.left, b.last, len(b.records))
	}
	if codec := kgo.CompressionCodecType(b.attributes & codecBits); codec != kgo.CodecNone && b.left > 0 {
		var err error
		if b.records, b.memory, err = d.decompress(b.records, codec); err != nil {
			return fmt.Errorf("decompress the record batch at offset %d: %w", b.first, err)
		}
	}
	return nil
}

// aborts tells whether a control batch says that its producer's transaction
// was aborted.
func (b *batch) aborts() bool {
	var r engine.Record
	if b.left == 0 || b.take(&r, nil) != nil {
		return false
	}
	// The key is a version and a type, of 16 bits each; type 0 aborts.
	return len(r.Key) >= 4 && binary.BigEndian.Uint16(r.Key[2:]) == 0
}

// errRecord is a record that does not fit its batch.
var errRecord = errors.New("a record does not fit its batch")

// take reads the next record into r. Key, value and header values are slices
// of the batch; headers lie in h.
func (b *batch) take(r *engine.Record, h *headers) error {
	in := b.records
	length, p := varint(in, 0)
	if p <= 0 || length < 0 || length > int64(len(in)-p) {
		return errRecord
	}
	end := p + int(length)
	in = in[:end]
	b.records = b.records[end:]
	b.left--
	p++ // attributes, of which there are none
	var timestamp, offset int64
	if timestamp, p = varint(in, p); p <= 0 {
		return errRecord
	}
	if offset, p = varint(in, p); p <= 0 {
		return errRecord
	}
	if r.Key, p = varbytes(in, p); p <= 0 {
		return errRecord
	}
	if r.Value, p = varbytes(in, p); p <= 0 {
		return errRecord
	}
	r.Offset = b.first + offset
	if b.attributes&logAppendTime != 0 {
		r.Timestamp = b.maxTimestamp * 1000
	} else {
		r.Timestamp = (b.firstTimestamp + timestamp) * 1000
	}
	r.Headers, r.Oversize = nil, false
	var n int64
	if n, p = varint(in, p); p <= 0 || n < 0 || n > int64(len(in)-p) {
		return errRecord
	}
	if n > 0 && h != nil {
		var ok bool
		if r.Headers, ok = h.take(in, p, int(n)); !ok {
			return errRecord
		}
	}
	return nil
}

// varint reads a signed number of variable length at p and gives the position
// behind it, or -1.
func varint(in []byte, p int) (int64, int) {
	if uint(p) < uint(len(in)) && in[p] < 0x80 {
		u := in[p]
		return int64(u>>1) ^ -int64(u&1), p + 1
	}
	if p < 0 || p > len(in) {
		return 0, -1
	}
	u, n := binary.Uvarint(in[p:])
	if n <= 0 {
		return 0, -1
	}
	return int64(u>>1) ^ -int64(u&1), p + n
}

// varbytes reads a length and as many bytes; a negative length is nil.
func varbytes(in []byte, p int) ([]byte, int) {
	n, p := varint(in, p)
	if p <= 0 || n > int64(len(in)-p) {
		return nil, -1
	}
	if n < 0 {
		return nil, p
	}
	return in[p : p+int(n) : p+int(n)], p + int(n)
}

// legacy reads one entry of a message set, of format 0 or 1: the library does
// it, since only logs of before 2017 have any.
func (b *batch) legacy(in []byte, p engine.Partition, from int64, d *decompressor) error {
	rp := kmsg.NewFetchResponseTopicPartition()
	rp.Partition, rp.RecordBatches = p.Partition, in
	got, _ := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{Offset: from, Topic: p.Topic, Partition: p.Partition}, &rp, d.inner, nil)
	*b = batch{first: int64(binary.BigEndian.Uint64(in))}
	b.last = b.first
	if got.Err != nil {
		var large *kgo.ErrDecompressTooLarge
		if errors.As(got.Err, &large) {
			b.first, b.last = large.Offset, large.NextOffset-1
		}
		return fmt.Errorf("the messages up to offset %d: %w", b.last, got.Err)
	}
	for _, r := range got.Records {
		b.ready = append(b.ready, engine.Record{Offset: r.Offset, Timestamp: r.Timestamp.UnixMicro(), Key: r.Key, Value: r.Value})
	}
	b.left = len(b.ready)
	return nil
}

// fetchWaitMillis is fetchWait as the protocol counts.
const fetchWaitMillis = int32(fetchWait / time.Millisecond)
