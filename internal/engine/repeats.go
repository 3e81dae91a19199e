package engine

import (
	"bytes"
	"crypto/sha256"
	"math"
	"slices"
	"strconv"
	"time"
)

// A client that has got no answer sends its request again, and the log then
// holds its records twice. IdempotencyHeader tells which records are the same:
// its value is REQUEST/INDEX, where REQUEST is the same each time the request
// is sent and INDEX is the record's number in it. A record whose request and
// index the partition has had before counts as filtered.
//
// What has been had is decided by the log alone: per partition, in offset
// order, by the timestamps of the records with a key. So a restart, a rebuild
// and a verification come to the same. A partition's key clock is the greatest
// of these timestamps so far. A request is remembered until the clock is
// RepeatWindow beyond what it was at the request's first record, or MaxRequests
// others have come.
const (
	IdempotencyHeader = "millstream-idempotency-key"
	// RepeatWindow is how long a request is remembered.
	RepeatWindow = 24 * time.Hour
	// MaxRequests bounds the requests that a partition remembers: a million
	// take about 100 MB.
	MaxRequests = 1_000_000
)

// Both decide what stands in tables: another value is another result of the
// same log, so they are no settings.

// IdempotencyKey gives the request that a record belongs to, and its number
// there. A value without a number is a request of one record; an empty one is
// no key.
func IdempotencyKey(headers []Header) (request []byte, index uint32, ok bool) {
	for i := range headers {
		h := &headers[i]
		if h.Key != IdempotencyHeader {
			continue
		}
		if len(h.Value) == 0 {
			return nil, 0, false
		}
		if at := bytes.LastIndexByte(h.Value, '/'); at > 0 {
			if n, err := strconv.ParseUint(string(h.Value[at+1:]), 10, 32); err == nil {
				return h.Value[:at], uint32(n), true
			}
		}
		return h.Value, 0, true
	}
	return nil, 0, false
}

// keyed tells whether a record may have a key.
func keyed(headers []Header) bool {
	for i := range headers {
		if headers[i].Key == IdempotencyHeader {
			return true
		}
	}
	return false
}

// requestID stands for a request: the hash of its name, cut to what two of a
// million never share.
type requestID [16]byte

// indexRange is records from first to last.
type indexRange struct{ first, last uint32 }

// request is one that is remembered.
type request struct {
	id requestID
	at int64 // the key clock at its first record
	// had are the records that have come. As a rule they are one range, since
	// a body without keys goes to one partition; others are in repeats.more.
	had indexRange
}

// repeats remembers the requests of a partition. It belongs to the partition's
// worker while a chunk is under way, to the run loop otherwise.
//
// Requests are numbered in the order of their first records. Those from head
// on are remembered; they are in order of their clocks, too.
type repeats struct {
	clock    int64 // math.MinInt64 before the first record with a key
	head     uint64
	requests []request // those of the numbers from base on
	base     uint64
	byID     map[requestID]uint64
	more     map[uint64][]indexRange

	log repeatLog
}

func newRepeats() repeats { return repeats{clock: math.MinInt64} }

// next is the number of the next request.
func (r *repeats) next() uint64 { return r.base + uint64(len(r.requests)) }

func (r *repeats) at(n uint64) *request { return &r.requests[n-r.base] }

// repeated tells whether a record has come before, and remembers it.
func (r *repeats) repeated(record *Record) bool {
	name, index, ok := IdempotencyKey(record.Headers)
	if !ok {
		return false
	}
	if record.Timestamp > r.clock {
		r.clock, r.log.moved = record.Timestamp, true
	}
	r.forget()
	sum := sha256.Sum256(name)
	id := requestID(sum[:len(requestID{})])
	if r.byID == nil {
		r.byID, r.more = map[requestID]uint64{}, map[uint64][]indexRange{}
	}
	n, known := r.byID[id]
	if !known {
		n = r.next()
		r.byID[id] = n
		r.requests = append(r.requests, request{id, r.clock, indexRange{index, index}})
		r.log.changed(n)
		r.forget()
		return false
	}
	had := r.had(n)
	if contains(had, index) {
		return true
	}
	r.setHad(n, insert(had, index))
	r.log.changed(n)
	return false
}

// forget lets go of requests that are too old or too many.
func (r *repeats) forget() {
	for r.head < r.next() {
		old := r.at(r.head)
		if r.next()-r.head <= MaxRequests && r.clock-old.at < RepeatWindow.Microseconds() {
			break
		}
		r.drop()
	}
	if gone := int(r.head - r.base); gone > len(r.requests)/2 && gone > 1024 {
		r.requests = slices.Clone(r.requests[gone:])
		r.base = r.head
	}
}

// drop lets go of the oldest request.
func (r *repeats) drop() {
	if id := r.at(r.head).id; r.byID[id] == r.head { // else it has come again since
		delete(r.byID, id)
	}
	delete(r.more, r.head)
	r.head++
}

// had are the records of a request that have come, in order.
func (r *repeats) had(n uint64) []indexRange {
	if all, ok := r.more[n]; ok {
		return all
	}
	return []indexRange{r.at(n).had}
}

func (r *repeats) setHad(n uint64, had []indexRange) {
	r.at(n).had = had[0]
	if len(had) > 1 {
		r.more[n] = had
	} else {
		delete(r.more, n)
	}
}

// find gives the first range that ends at or after an index.
func find(had []indexRange, index uint32) int {
	i, _ := slices.BinarySearchFunc(had, index, func(x indexRange, index uint32) int {
		switch {
		case x.last < index:
			return -1
		case x.last > index:
			return 1
		}
		return 0
	})
	return i
}

func contains(had []indexRange, index uint32) bool {
	i := find(had, index)
	return i < len(had) && had[i].first <= index
}

// insert adds an index that is in no range.
func insert(had []indexRange, index uint32) []indexRange {
	i := find(had, index)
	before := i > 0 && had[i-1].last+1 == index
	after := i < len(had) && had[i].first == index+1
	switch {
	case before && after:
		had[i-1].last = had[i].last
		return slices.Delete(had, i, i+1)
	case before:
		had[i-1].last = index
		return had
	case after:
		had[i].first = index
		return had
	}
	return slices.Insert(had, i, indexRange{index, index})
}
