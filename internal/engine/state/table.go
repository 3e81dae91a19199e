// Package state is what a grouped view remembers: for each open window a
// table of groups, and for each group its key and its accumulators.
//
// A table is a hash table with open addressing; keys lie in one arena, so
// that a group costs no Go object. Groups are numbered from 0 in the order
// in which they came and are never removed one by one: a window's table is
// dropped as a whole when the window is closed and can't change any more.
package state

import (
	"bytes"
	"iter"

	"github.com/cespare/xxhash/v2"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
)

// Spec is the shape of a view's groups.
type Spec struct {
	Keys []column.Type // the GROUP BY expressions other than the window
	Aggs []AggSpec
}

// AggSpec is one aggregate.
type AggSpec = aggregate.Spec

// images tells whether equal keys may print differently, so that a group
// must choose which of them represents it.
func (s Spec) images() bool {
	for _, t := range s.Keys {
		if t.Kind.Images() {
			return true
		}
	}
	return false
}

// The flags of a group.
const (
	// Present: the group's row stands in the view's table.
	Present = 1 << iota
	// Failed: the group's outputs did not evaluate; it stands in
	// group_errors.
	Failed
	// Gone: a session that was closed, or joined to another. It is not
	// written.
	Gone
	// written is set in what is written of a session where its accumulators
	// are there as a whole.
	written
)

// Hash is the hash of a group's key bytes. It is part of the state's format:
// it chooses the shard.
func Hash(key []byte) uint64 { return xxhash.Sum64(key) }

// Table is a set of groups.
type Table struct {
	// Keys are the groups' representative key values.
	Keys []*column.Vector
	// At is the position of each representative; nil where equal keys print
	// alike.
	At []aggregate.Position
	// Aggs are the accumulators, by group.
	Aggs []aggregate.Accumulator
	// Flags has Present and Failed of each group.
	Flags []uint8

	images bool
	// slots are a power of two of them: the upper half of a group's hash, and
	// its number + 1; 0 for empty. What does not match is told without looking
	// elsewhere.
	slots  []uint64
	hashes []uint64
	arena  []byte
	starts []uint64 // where a group's key bytes begin in arena
	marks  []int64
}

const minSlots = 8

// NewTable gives an empty table.
func NewTable(spec Spec) *Table {
	t := &Table{images: spec.images(), slots: make([]uint64, minSlots)}
	for _, k := range spec.Keys {
		t.Keys = append(t.Keys, column.NewVector(k, 0))
	}
	for _, a := range spec.Aggs {
		t.Aggs = append(t.Aggs, aggregate.Make(a))
	}
	return t
}

// Len is the number of groups.
func (t *Table) Len() int { return len(t.hashes) }

// Key gives the equality key of group g.
func (t *Table) Key(g uint32) []byte {
	end := uint64(len(t.arena))
	if int(g)+1 < len(t.starts) {
		end = t.starts[g+1]
	}
	return t.arena[t.starts[g]:end]
}

// HashOf gives the hash of group g's key.
func (t *Table) HashOf(g uint32) uint64 { return t.hashes[g] }

// Find gives the group with the given key, adding it if it is new: then the
// caller calls Represent, and before using accumulators Ready.
func (t *Table) Find(hash uint64, key []byte) (g uint32, fresh bool) {
	mask := uint64(len(t.slots) - 1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := t.slots[i]
		if s == 0 {
			return t.add(i, hash, key), true
		}
		if (s^hash)&upper == 0 {
			if g := uint32(s) - 1; bytes.Equal(t.Key(g), key) {
				return g, false
			}
		}
	}
}

// Add adds a group, though there may be others of its key; what the caller does
// then is as after Find.
func (t *Table) Add(hash uint64, key []byte) uint32 {
	mask := uint64(len(t.slots) - 1)
	i := hash & mask
	for t.slots[i] != 0 {
		i = (i + 1) & mask
	}
	return t.add(i, hash, key)
}

// Same gives all groups of a key. None may be added meanwhile.
func (t *Table) Same(hash uint64, key []byte) iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		mask := uint64(len(t.slots) - 1)
		for i := hash & mask; t.slots[i] != 0; i = (i + 1) & mask {
			s := t.slots[i]
			if g := uint32(s) - 1; (s^hash)&upper == 0 && bytes.Equal(t.Key(g), key) && !yield(g) {
				return
			}
		}
	}
}

// upper is the half of a hash that a slot holds.
const upper = 0xffffffff_00000000

// warmFrom is from how many slots on a table is not in the nearer caches.
const warmFrom = 1 << 14

// Warm touches what looking up the hashes will touch, independent of each
// other, so that the memory is asked for all of it at once instead of one
// after the other. It changes nothing.
func (t *Table) Warm(hashes []uint64) (touched uint64) {
	if len(t.slots) < warmFrom {
		return 0
	}
	mask := uint64(len(t.slots) - 1)
	const run = 64 // look-ups under way at once: more than a core has
	var at [run]uint64
	for len(hashes) > 0 {
		n := min(run, len(hashes))
		for i, h := range hashes[:n] {
			at[i] = t.slots[h&mask]
		}
		for i, s := range at[:n] {
			if at[i] = 0; s != 0 {
				at[i] = t.starts[uint32(s)-1]
			}
		}
		for _, s := range at[:n] {
			if s < uint64(len(t.arena)) {
				touched ^= uint64(t.arena[s])
			}
		}
		hashes = hashes[n:]
	}
	return touched
}

func (t *Table) add(slot, hash uint64, key []byte) uint32 {
	g := uint32(len(t.hashes))
	t.slots[slot] = hash&upper | uint64(g+1)
	if len(t.hashes) == cap(t.hashes) {
		t.grow()
	}
	t.hashes = append(t.hashes, hash)
	t.starts = append(t.starts, uint64(len(t.arena)))
	t.arena = append(t.arena, key...)
	t.Flags = append(t.Flags, 0)
	t.marks = append(t.marks, -1)
	// Three quarters full is where linear probing begins to cost.
	if 4*len(t.hashes) > 3*len(t.slots) {
		t.rehash()
	}
	return g
}

// grow makes room for more groups.
func (t *Table) grow() {
	n := len(t.hashes) + 1
	t.hashes, t.starts, t.marks, t.Flags = column.Room(t.hashes, n), column.Room(t.starts, n), column.Room(t.marks, n), column.Room(t.Flags, n)
	t.arena = column.Room(t.arena, len(t.arena)+len(t.arena)/max(n-1, 1)+1)
	for _, k := range t.Keys {
		k.Reserve(n)
	}
}

func (t *Table) rehash() {
	t.slots = make([]uint64, 2*len(t.slots))
	mask := uint64(len(t.slots) - 1)
	for g, h := range t.hashes {
		i := h & mask
		for t.slots[i] != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = h&upper | uint64(g+1)
	}
}

// Represent tells the key values with which a row of group g came. They are
// kept if the group is fresh, or if their position is before the one of the
// values kept.
func (t *Table) Represent(g uint32, fresh bool, keys []*column.Vector, row int, at aggregate.Position) {
	switch {
	case fresh:
		for j, k := range t.Keys {
			k.Append(keys[j], row)
		}
		if t.images {
			t.At = append(t.At, at)
		}
	case t.images && at.Less(t.At[g]):
		t.At[g] = at
		for j, k := range t.Keys {
			if !k.Type.Kind.Images() || k.Null[g] {
				continue
			}
			switch k.Type.Kind.Storage() {
			case column.FloatStorage:
				k.Float[g] = keys[j].Float[row]
			case column.BytesStorage:
				if !bytes.Equal(k.Bytes(int(g)), keys[j].Bytes(row)) {
					k.SetBytes(int(g), keys[j].Bytes(row))
				}
			}
		}
	}
}

// position gives where group g's representative came from, where that is kept.
func (t *Table) position(g uint32) (p aggregate.Position) {
	if t.images {
		p = t.At[g]
	}
	return p
}

// Images tells whether the table keeps positions of representatives.
func (t *Table) Images() bool { return t.images }

// Ready makes room for all groups in the accumulators.
func (t *Table) Ready() {
	for _, a := range t.Aggs {
		a.Grow(len(t.hashes))
	}
}

// Mark tells whether group g has not been marked with n before, and marks it.
func (t *Table) Mark(g uint32, n int64) bool {
	if t.marks[g] == n {
		return false
	}
	t.marks[g] = n
	return true
}

// Clear empties the table, keeping its memory.
func (t *Table) Clear() {
	for _, k := range t.Keys {
		k.Reset(k.Type, 0)
	}
	for _, a := range t.Aggs {
		a.Clear()
	}
	t.At, t.Flags, t.hashes = t.At[:0], t.Flags[:0], t.hashes[:0]
	t.arena, t.starts, t.marks = t.arena[:0], t.starts[:0], t.marks[:0]
	clear(t.slots)
}

// Bytes is about how much memory the table holds.
func (t *Table) Bytes() int64 {
	n := 8*cap(t.slots) + 8*cap(t.hashes) + cap(t.arena) + 8*cap(t.starts) + 8*cap(t.marks) + cap(t.Flags) + 16*cap(t.At)
	for _, k := range t.Keys {
		n += cap(k.Null) + 8*cap(k.Int) + 8*cap(k.Float) + 8*cap(k.Span) + cap(k.Buf)
	}
	total := int64(n)
	for _, a := range t.Aggs {
		total += a.Bytes()
	}
	return total
}
