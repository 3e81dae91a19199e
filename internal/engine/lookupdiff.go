package engine

import (
	"bytes"
	"math"

	"github.com/millstream-dev/millstream/internal/column"
)

// changeOf tells what turns the table's version before (nil for none) into
// next; nil if nothing does. Rows are the same when all values are, to the
// bit: 1.0 is not 1.00.
func changeOf(id LookupID, before, next *lookupTable) *LookupChange {
	c := &LookupChange{LookupVersion: LookupVersion{id, next.version}, Rows: next.rows}
	if before == nil {
		for i := range next.rows.N {
			c.Added = append(c.Added, int32(i))
		}
		return c
	}
	c.Before, c.OldRows = before.version, before.rows
	kept := make([]bool, before.rows.N)
	finder := newRowFinder(before, next)
	for i := range next.rows.N {
		if old := finder.find(i); old >= 0 && sameRow(before.rows, int(old), next.rows, i) {
			kept[old] = true
			continue
		}
		c.Added = append(c.Added, int32(i))
	}
	for i, stays := range kept {
		if !stays {
			c.Removed = append(c.Removed, int32(i))
		}
	}
	if len(c.Added) == 0 && len(c.Removed) == 0 {
		return nil
	}
	return c
}

// rowFinder finds the row of an old version by the keys of a new one's.
type rowFinder struct {
	before, next *lookupTable
	scratch      []byte
	other        []byte
}

func newRowFinder(before, next *lookupTable) *rowFinder {
	return &rowFinder{before: before, next: next}
}

// find gives the old row with row's key, -1 for none, by the first index that
// has row in it. Every row is in one.
func (f *rowFinder) find(row int) int32 {
	for k, x := range f.next.indexes {
		if isNull(x.keys, row) {
			continue
		}
		old := f.before.indexes[k]
		var h uint64
		h, f.scratch = hashRow(x.kind, x.keys, row, f.scratch)
		mask := uint64(len(old.slots) - 1)
		for s := h & mask; old.slots[s].row != 0; s = (s + 1) & mask {
			if old.slots[s].tag != uint32(h>>32) {
				continue
			}
			var same bool
			if same, f.other = old.same(int(old.slots[s].row-1), x.keys, row, f.scratch, f.other); same {
				return int32(old.slots[s].row - 1)
			}
		}
		return -1
	}
	return -1
}

func sameRow(a *column.Batch, i int, b *column.Batch, j int) bool {
	for c, x := range a.Cols {
		if x == nil {
			continue
		}
		y := b.Cols[c]
		if x.Null[i] != y.Null[j] {
			return false
		}
		if x.Null[i] {
			continue
		}
		switch x.Type.Kind.Storage() {
		case column.IntStorage:
			if x.Int[i] != y.Int[j] {
				return false
			}
		case column.FloatStorage:
			if math.Float64bits(x.Float[i]) != math.Float64bits(y.Float[j]) {
				return false
			}
		case column.BytesStorage:
			if !bytes.Equal(x.Bytes(i), y.Bytes(j)) {
				return false
			}
		}
	}
	return true
}
