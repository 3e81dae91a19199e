package topics

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/pierrec/lz4/v4"
)

// Compression is how a batch's records are packed.
type Compression int16

// The compressions; their numbers are the protocol's.
const (
	None Compression = 0
	LZ4  Compression = 3
)

// String is the compression's name.
func (c Compression) String() string {
	if c == LZ4 {
		return "lz4"
	}
	return "none"
}

// ParseCompression reads a compression's name.
func ParseCompression(name string) (Compression, error) {
	switch name {
	case "none", "":
		return None, nil
	case "lz4":
		return LZ4, nil
	}
	return 0, fmt.Errorf("compression %q: there are none and lz4", name)
}

// Offsets of a record batch's fields, version 2, and the size of its head.
const (
	lengthAt     = 8
	magicAt      = 16
	crcAt        = 17
	attributesAt = 21
	lastDeltaAt  = 23
	firstTimeAt  = 27
	maxTimeAt    = 35
	producerAt   = 43
	recordsAt    = 57
	headSize     = 61
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// batch lays out one record batch.
type batch struct {
	buf    []byte
	n      int32
	milli  int64 // every record's own time
	packer *lz4.Writer
	packed bytes.Buffer
}

// reset begins a batch whose records were made at the Unix milliseconds milli.
func (b *batch) reset(milli int64) {
	if cap(b.buf) < headSize {
		b.buf = make([]byte, headSize, targetBatch+maxEvent)
	}
	b.buf = b.buf[:headSize]
	b.n, b.milli = 0, milli
}

// add appends a record that has only a value.
func (b *batch) add(value []byte) {
	delta := int64(b.n)
	body := 1 + 1 + varintSize(delta) + 1 + varintSize(int64(len(value))) + len(value) + 1
	p := binary.AppendVarint(b.buf, int64(body))
	p = append(p, 0, 0) // attributes, time delta
	p = binary.AppendVarint(p, delta)
	p = append(p, 1) // key length -1
	p = binary.AppendVarint(p, int64(len(value)))
	p = append(p, value...)
	b.buf = append(p, 0) // headers
	b.n++
}

func varintSize(v int64) int {
	u := uint64(v)<<1 ^ uint64(v>>63)
	n := 1
	for ; u >= 0x80; u >>= 7 {
		n++
	}
	return n
}

// finish packs the records, fills in the head and gives the batch, which is
// valid until the next reset.
func (b *batch) finish(how Compression) ([]byte, error) {
	if how == LZ4 {
		if err := b.pack(); err != nil {
			return nil, err
		}
	}
	p := b.buf
	binary.BigEndian.PutUint64(p, 0)
	binary.BigEndian.PutUint32(p[lengthAt:], uint32(len(p)-lengthAt-4))
	binary.BigEndian.PutUint32(p[lengthAt+4:], 0) // leader epoch
	p[magicAt] = 2
	binary.BigEndian.PutUint16(p[attributesAt:], uint16(how))
	binary.BigEndian.PutUint32(p[lastDeltaAt:], uint32(b.n-1))
	binary.BigEndian.PutUint64(p[firstTimeAt:], uint64(b.milli))
	binary.BigEndian.PutUint64(p[maxTimeAt:], uint64(b.milli))
	for i := producerAt; i < recordsAt; i++ {
		p[i] = 0xff // no idempotent producer
	}
	binary.BigEndian.PutUint32(p[recordsAt:], uint32(b.n))
	binary.BigEndian.PutUint32(p[crcAt:], crc32.Checksum(p[attributesAt:], castagnoli))
	return p, nil
}

func (b *batch) pack() error {
	b.packed.Reset()
	if b.packer == nil {
		b.packer = lz4.NewWriter(&b.packed)
	} else {
		b.packer.Reset(&b.packed)
	}
	if _, err := b.packer.Write(b.buf[headSize:]); err != nil {
		return err
	}
	if err := b.packer.Close(); err != nil {
		return err
	}
	b.buf = append(b.buf[:headSize], b.packed.Bytes()...)
	return nil
}
