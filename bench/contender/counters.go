package contender

import (
	"math/bits"
)

// counter is what a group has: each query uses what it needs.
type counter struct {
	key     uint64
	n       int64
	sum     int64
	float   float64
	max     int64
	written bool   // its row stands in the table
	epoch   uint32 // that last changed it
}

// counters is an open hash table with linear probing, at most half full.
type counters struct {
	cells []counter
	used  int
	shift uint
}

// firstSize is a power of two.
const firstSize = 1 << 10

func newCounters() *counters {
	return &counters{cells: make([]counter, firstSize), shift: 64 - 10}
}

// at finds or makes the counter of a key. Key 0 is kept as the greatest one,
// which no query has. The pointer holds until the next call.
func (t *counters) at(key uint64) *counter {
	if key == 0 {
		key = ^uint64(0)
	}
	mask := uint64(len(t.cells) - 1)
	for i := key * 0x9e3779b97f4a7c15 >> t.shift; ; i = (i + 1) & mask {
		c := &t.cells[i]
		if c.key == key {
			return c
		}
		if c.key == 0 {
			if 2*t.used >= len(t.cells) {
				t.grow()
				return t.at(key)
			}
			t.used++
			c.key = key
			return c
		}
	}
}

func (t *counters) grow() {
	old := t.cells
	t.cells = make([]counter, 2*len(old))
	t.shift = uint(64 - bits.TrailingZeros(uint(len(t.cells))))
	mask := uint64(len(t.cells) - 1)
	for k := range old {
		if old[k].key == 0 {
			continue
		}
		i := old[k].key * 0x9e3779b97f4a7c15 >> t.shift
		for t.cells[i].key != 0 {
			i = (i + 1) & mask
		}
		t.cells[i] = old[k]
	}
}

// reset empties the table and keeps its memory.
func (t *counters) reset() {
	if t.used > 0 {
		clear(t.cells)
		t.used = 0
	}
}

// realKey undoes what at does to key 0.
func (c *counter) realKey() uint64 {
	if c.key == ^uint64(0) {
		return 0
	}
	return c.key
}

// reserve makes room for more keys, so that pointers hold meanwhile.
func (t *counters) reserve(more int) {
	for 2*(t.used+more) >= len(t.cells) {
		t.grow()
	}
}
