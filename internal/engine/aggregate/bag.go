package aggregate

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"
)

// bag holds entries for each group of a table: a key, and, where the aggregate
// wants them, a payload and a count. Entries of all groups lie in one slice
// and their bytes in one arena, so that neither a group nor an entry costs a Go
// object. A group whose entries take more than limit bytes gives them up, and
// is full from then on: what a group holds only grows, so whether it is full
// does not depend on the order of rows.
type bag struct {
	unique   bool // a key is in a group once
	payloads bool
	weigh    bool // payloads, which never change, count for the limit
	counts   bool
	limit    int64 // bytes of a group's entries and keys; 0 for none

	groups  []bagGroup
	entries []bagEntry
	arena   []byte
	// slots are a power of two of them, where keys are unique: the upper half
	// of the hash of an entry's group and key, and its number + 1; 0 for empty.
	slots []uint64
	// order are the entries of large groups in the order of their keys, as far
	// as it was asked for.
	order   map[uint32][]uint32
	scratch []uint32
}

type bagGroup struct {
	first uint32 // its latest entry + 1; 0 for none
	dirty uint32 // the first of its entries whose changes are to be written, + 1; 0 for none
	n     uint32 // entries
	full  bool
	bytes int64
}

type bagEntry struct {
	keyAt, payloadAt uint64 // in arena
	count            int64
	keyLen           uint32
	payloadLen       uint32
	group            uint32
	next             uint32 // the entry of its group that came before it, + 1
	dirty            uint32 // 0: its changes are written; else the next one whose are not, + 1, or endOfDirty
}

const (
	bagEntryBytes = 48 // what an entry takes beside its key and payload
	minBagSlots   = 64
	endOfDirty    = math.MaxUint32
	noGroup       = math.MaxUint32
	noEntry       = math.MaxUint32
)

func (b *bag) grow(n int) { b.groups = grow(b.groups, n) }

func (b *bag) key(e uint32) []byte {
	at := b.entries[e].keyAt
	return b.arena[at : at+uint64(b.entries[e].keyLen)]
}

func (b *bag) payload(e uint32) []byte {
	at := b.entries[e].payloadAt
	return b.arena[at : at+uint64(b.entries[e].payloadLen)]
}

// first and next walk a group's entries, the latest first, until noEntry.
// Entries that are added to other groups meanwhile do no harm.
func (b *bag) first(g uint32) uint32          { return b.groups[g].first - 1 }
func (b *bag) next(e uint32) uint32           { return b.entries[e].next - 1 }
func (b *bag) hash(g uint32, k []byte) uint64 { return xxhash.Sum64(k) ^ uint64(g)*0x9e3779b97f4a7c15 }

// add gives the entry of a key, a new one if need be, which has the payload
// then. It gives noEntry where the group is full.
func (b *bag) add(g uint32, key, payload []byte) (e uint32, fresh bool) {
	if b.groups[g].full {
		return noEntry, false
	}
	e, fresh = b.insert(g, key)
	if !fresh {
		return e, false
	}
	b.put(e, payload)
	if b.weigh {
		b.groups[g].bytes += int64(len(payload))
	}
	if b.limit > 0 && b.groups[g].bytes > b.limit {
		b.fill(g)
		return noEntry, false
	}
	b.touch(e)
	return e, true
}

func (b *bag) insert(g uint32, key []byte) (e uint32, fresh bool) {
	slot, hash := uint64(0), uint64(0)
	if b.unique {
		if len(b.slots) == 0 {
			b.slots = make([]uint64, minBagSlots)
		}
		hash = b.hash(g, key)
		mask := uint64(len(b.slots) - 1)
		for slot = hash & mask; b.slots[slot] != 0; slot = (slot + 1) & mask {
			if (b.slots[slot]^hash)>>32 != 0 {
				continue
			}
			if e = uint32(b.slots[slot]) - 1; b.entries[e].group == g && bytes.Equal(b.key(e), key) {
				return e, false
			}
		}
	}
	group := &b.groups[g]
	e = uint32(len(b.entries))
	b.entries = append(b.entries, bagEntry{keyAt: uint64(len(b.arena)), keyLen: uint32(len(key)), group: g, next: group.first})
	b.arena = append(b.arena, key...)
	group.first = e + 1
	group.n++
	group.bytes += bagEntryBytes + int64(len(key))
	if b.unique {
		b.slots[slot] = hash>>32<<32 | uint64(e+1)
		if 4*len(b.entries) > 3*len(b.slots) {
			b.rehash()
		}
	}
	return e, true
}

func (b *bag) rehash() {
	b.slots = make([]uint64, 2*len(b.slots))
	mask := uint64(len(b.slots) - 1)
	for e := range b.entries {
		if b.entries[e].group == noGroup {
			continue
		}
		hash := b.hash(b.entries[e].group, b.key(uint32(e)))
		slot := hash & mask
		for b.slots[slot] != 0 {
			slot = (slot + 1) & mask
		}
		b.slots[slot] = hash>>32<<32 | uint64(e+1)
	}
}

// put sets an entry's payload, which its owner touches then. A payload of the same length as the one before
// takes its place.
func (b *bag) put(e uint32, payload []byte) {
	entry := &b.entries[e]
	if entry.payloadLen != uint32(len(payload)) {
		entry.payloadAt, entry.payloadLen = uint64(len(b.arena)), uint32(len(payload))
		b.arena = append(b.arena, payload...)
		return
	}
	copy(b.arena[entry.payloadAt:], payload)
}

// touch notes that an entry has changed since its group was written.
func (b *bag) touch(e uint32) {
	entry := &b.entries[e]
	if entry.dirty != 0 {
		return
	}
	group := &b.groups[entry.group]
	if entry.dirty = group.dirty; entry.dirty == 0 {
		entry.dirty = endOfDirty
	}
	group.dirty = e + 1
}

// fill makes a group full.
func (b *bag) fill(g uint32) {
	if b.groups[g].full {
		return
	}
	b.drop(g)
	b.groups[g].full = true
}

// drop takes all entries out of a group.
func (b *bag) drop(g uint32) {
	for e := b.first(g); e != noEntry; e = b.next(e) {
		b.entries[e].group = noGroup // what its slot points to matches nothing
	}
	b.groups[g] = bagGroup{}
	delete(b.order, g)
}

// keptOrder is from how many entries on a group's order is kept for when more
// have come: sorting fewer costs no more than looking it up.
const keptOrder = 256

// sorted gives a group's entries in the order of their keys, until it is asked
// for again.
func (b *bag) sorted(g uint32) []uint32 {
	had := b.order[g]
	more := b.scratch[:0]
	for e := b.first(g); len(more) < int(b.groups[g].n)-len(had); e = b.next(e) {
		more = append(more, e)
	}
	b.scratch = more
	slices.SortFunc(more, b.compare)
	if len(had)+len(more) < keptOrder {
		return more
	}
	if len(more) > 0 {
		all := make([]uint32, 0, len(had)+len(more)+len(more)/2)
		for len(had) > 0 && len(more) > 0 {
			if b.compare(had[0], more[0]) < 0 {
				all, had = append(all, had[0]), had[1:]
			} else {
				all, more = append(all, more[0]), more[1:]
			}
		}
		if b.order == nil {
			b.order = map[uint32][]uint32{}
		}
		b.order[g] = append(append(all, had...), more...)
	}
	return b.order[g]
}

func (b *bag) compare(x, y uint32) int { return bytes.Compare(b.key(x), b.key(y)) }

// What is written of a group begins with these flags.
const (
	bagChanges = 1 << iota // only what has changed since it was written last
	bagFull
)

// encode appends a group, or what has changed of it since the changes were
// encoded last.
func (b *bag) encode(dst []byte, g uint32, changes bool) []byte {
	group := &b.groups[g]
	switch {
	case group.full:
		return append(dst, bagFull)
	case !changes:
		dst = binary.AppendUvarint(append(dst, 0), uint64(group.n))
		for e := b.first(g); e != noEntry; e = b.next(e) {
			dst = b.encodeEntry(dst, e)
		}
		return dst
	}
	n := uint64(0)
	for e := group.dirty; e != 0 && e != endOfDirty; e = b.entries[e-1].dirty {
		n++
	}
	dst = binary.AppendUvarint(append(dst, bagChanges), n)
	for e := group.dirty; e != 0 && e != endOfDirty; {
		dst = b.encodeEntry(dst, e-1)
		next := b.entries[e-1].dirty
		b.entries[e-1].dirty = 0
		e = next
	}
	group.dirty = 0
	return dst
}

func (b *bag) encodeEntry(dst []byte, e uint32) []byte {
	dst = appendBytes(dst, b.key(e))
	if b.payloads {
		dst = appendBytes(dst, b.payload(e))
	}
	if b.counts {
		dst = binary.AppendVarint(dst, b.entries[e].count)
	}
	return dst
}

// decode reads what encode has written: a whole group, or changes that are
// added to what is there.
func (b *bag) decode(src []byte, g uint32) ([]byte, error) {
	if len(src) == 0 || src[0] > bagFull {
		return nil, ErrCorrupt
	}
	flags := src[0]
	src = src[1:]
	if flags == bagFull {
		b.fill(g)
		return src, nil
	}
	if flags != bagChanges {
		b.drop(g)
	}
	n, src, err := takeUvarint(src)
	if err != nil {
		return nil, err
	}
	for range n {
		var key []byte
		if key, src, err = takeBytes(src); err != nil {
			return nil, err
		}
		e, fresh := b.insert(g, key)
		if b.payloads {
			var payload []byte
			if payload, src, err = takeBytes(src); err != nil {
				return nil, err
			}
			b.put(e, payload)
			if b.weigh && fresh {
				b.groups[g].bytes += int64(len(payload))
			}
		}
		if b.counts {
			if b.entries[e].count, src, err = takeVarint(src); err != nil {
				return nil, err
			}
		}
	}
	return src, nil
}

// clear empties the bag. Slots that were for far more entries than it had last
// are given up: to clear them would cost more than to make new ones.
func (b *bag) clear() {
	if len(b.slots) > minBagSlots && len(b.entries) < len(b.slots)/8 {
		b.slots = nil
	}
	clear(b.slots)
	b.groups, b.entries, b.arena = b.groups[:0], b.entries[:0], b.arena[:0]
	clear(b.order)
}

func (b *bag) size() int64 {
	n := 24*cap(b.groups) + bagEntryBytes*cap(b.entries) + cap(b.arena) + 8*len(b.slots) + 4*cap(b.scratch)
	for _, o := range b.order {
		n += 4 * cap(o)
	}
	return int64(n)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
