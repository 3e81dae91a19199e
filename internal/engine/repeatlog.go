package engine

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

// RepeatBlob is what a commit writes of the requests that a partition
// remembers: those that came or grew since the blob before. Read in order of
// seq, the blobs of a partition give all that it remembers.
type RepeatBlob struct {
	Table     TableID
	Partition int32
	Seq       int64
	Data      []byte
	// Drop are the seqs of earlier blobs that are no longer needed: what they
	// tell is forgotten, or stands in this one too. Only commits have it.
	Drop []int64
}

// mergeBlobs is after how many blobs one is written that holds all of them, so
// that few are read at a start however short the commits are.
const mergeBlobs = 64

// repeatLog is what has been written, and what is to be.
type repeatLog struct {
	moved bool                // the key clock has moved since the last blob
	fresh map[uint64]struct{} // requests that came or grew since
	tail  []writtenBlob       // blobs that the next merged one replaces
	since map[uint64]struct{} // requests that these hold
	kept  []writtenBlob       // merged blobs, in order
}

// writtenBlob is a blob in the store, and the greatest number in it.
type writtenBlob struct {
	seq  int64
	last uint64
}

func (l *repeatLog) changed(n uint64) {
	if l.fresh == nil {
		l.fresh, l.since = map[uint64]struct{}{}, map[uint64]struct{}{}
	}
	l.fresh[n] = struct{}{}
}

// take gives the blob of an epoch that ends, nil if nothing has changed.
func (r *repeats) take(seq int64) *RepeatBlob {
	l := &r.log
	if !l.moved && len(l.fresh) == 0 {
		return nil
	}
	b := &RepeatBlob{Seq: seq}
	numbers := l.fresh
	merge := len(l.tail) >= mergeBlobs-1
	maps.Copy(l.since, l.fresh)
	if merge {
		numbers = l.since
		for _, w := range l.tail {
			b.Drop = append(b.Drop, w.seq)
		}
		l.tail, l.since = nil, map[uint64]struct{}{}
	}
	list := slices.Sorted(maps.Keys(numbers))
	list = slices.DeleteFunc(list, func(n uint64) bool { return n < r.head })
	b.Data = r.encode(list)
	w := writtenBlob{seq: seq}
	if len(list) > 0 {
		w.last = list[len(list)-1]
	}
	if merge {
		l.kept = append(l.kept, w)
	} else {
		l.tail = append(l.tail, w)
	}
	for len(l.kept) > 1 && l.kept[0].last < r.head { // the last one has the clock
		b.Drop = append(b.Drop, l.kept[0].seq)
		l.kept = l.kept[1:]
	}
	l.moved, l.fresh = false, map[uint64]struct{}{}
	return b
}

// takeRepeats gives the blobs of all partitions.
func (r *run) takeRepeats(seq int64) []RepeatBlob {
	var out []RepeatBlob
	for _, p := range r.parts {
		if b := p.repeats.take(seq); b != nil {
			b.Table, b.Partition = p.table, p.partition
			out = append(out, *b)
		}
	}
	return out
}

// loadRepeats reads what the partitions remember.
func (r *run) loadRepeats(blobs []RepeatBlob) error {
	byPartition := map[tablePartition][]RepeatBlob{}
	for _, b := range blobs {
		key := tablePartition{b.Table, b.Partition}
		byPartition[key] = append(byPartition[key], b)
	}
	for _, p := range r.parts {
		if err := p.repeats.load(byPartition[tablePartition{p.table, p.partition}]); err != nil {
			return fmt.Errorf("table %q partition %d: %w", r.plan.Topics[p.table].Name, p.partition, err)
		}
	}
	return nil
}

// repeatFormat begins each blob.
const repeatFormat = 1

// encode writes the key clock and requests: format, clock, then for each its
// number, id, clock and ranges.
func (r *repeats) encode(list []uint64) []byte {
	out := []byte{repeatFormat}
	out = binary.AppendVarint(out, r.clock)
	out = binary.AppendUvarint(out, r.head)
	out = binary.AppendUvarint(out, uint64(len(list)))
	for _, n := range list {
		q := r.at(n)
		out = binary.AppendUvarint(out, n)
		out = append(out, q.id[:]...)
		out = binary.AppendVarint(out, q.at)
		had := r.had(n)
		out = binary.AppendUvarint(out, uint64(len(had)))
		for _, x := range had {
			out = binary.AppendUvarint(out, uint64(x.first))
			out = binary.AppendUvarint(out, uint64(x.last-x.first))
		}
	}
	return out
}

// load reads the blobs of a partition, in order of seq.
func (r *repeats) load(blobs []RepeatBlob) error {
	for i := range blobs {
		last, err := r.decode(blobs[i].Data)
		if err != nil {
			return fmt.Errorf("read what commit %d has written of idempotency keys: %w", blobs[i].Seq, err)
		}
		r.log.kept = append(r.log.kept, writtenBlob{blobs[i].Seq, last})
	}
	r.forget()
	r.log.moved, r.log.fresh, r.log.since = false, map[uint64]struct{}{}, map[uint64]struct{}{}
	return nil
}

var errCutBlob = errors.New("it is cut off or damaged")

// decode takes a blob's requests over and gives the greatest number in it.
func (r *repeats) decode(data []byte) (last uint64, err error) {
	if len(data) == 0 || data[0] != repeatFormat {
		return 0, errors.New("it has a format that this program does not know")
	}
	d := blobReader{data: data[1:]}
	r.clock = d.varint()
	head := d.uvarint()
	count := d.uvarint()
	if r.byID == nil {
		r.byID, r.more = map[requestID]uint64{}, map[uint64][]indexRange{}
	}
	for ; count > 0 && !d.bad; count-- {
		n := d.uvarint()
		q := request{id: d.id(), at: d.varint()}
		had := d.ranges()
		if d.bad || n < last {
			return 0, errCutBlob
		}
		last = n
		r.restore(n, q, had)
	}
	if d.bad || len(d.data) > 0 {
		return 0, errCutBlob
	}
	if len(r.requests) == 0 {
		r.base, r.head = head, head
	}
	for r.head < min(head, r.next()) {
		r.drop()
	}
	return last, nil
}

// restore puts a request in its place. One before the first that is there was
// forgotten when the blob that began with it was dropped; where some before it
// are missing, all before it were forgotten before they were written.
func (r *repeats) restore(n uint64, q request, had []indexRange) {
	if len(r.requests) == 0 || n > r.next() {
		r.base, r.head, r.requests = n, n, nil
		clear(r.byID)
		clear(r.more)
	}
	switch {
	case n < r.base:
		return
	case n == r.next():
		r.requests = append(r.requests, q)
	default:
		*r.at(n) = q
	}
	r.byID[q.id] = n
	r.setHad(n, had)
}

// blobReader takes values off a blob.
type blobReader struct {
	data []byte
	bad  bool
}

func (d *blobReader) took(n int) {
	if n <= 0 || n > len(d.data) {
		d.data, d.bad = nil, true
		return
	}
	d.data = d.data[n:]
}

func (d *blobReader) uvarint() uint64 {
	v, n := binary.Uvarint(d.data)
	d.took(n)
	return v
}

func (d *blobReader) varint() int64 {
	v, n := binary.Varint(d.data)
	d.took(n)
	return v
}

func (d *blobReader) id() (id requestID) {
	copy(id[:], d.data)
	d.took(len(id))
	return id
}

func (d *blobReader) ranges() []indexRange {
	n := d.uvarint()
	if n == 0 || n > uint64(len(d.data)) {
		d.bad = true
		return nil
	}
	out := make([]indexRange, 0, n)
	for range n {
		first := d.uvarint()
		out = append(out, indexRange{uint32(first), uint32(first + d.uvarint())})
	}
	return out
}
