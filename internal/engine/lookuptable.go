package engine

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/plan"
)

// lookupTable is one version of a table in memory. Nobody changes it: all
// workers read it at once.
type lookupTable struct {
	version int64
	rows    *column.Batch
	indexes []*lookupIndex // as plan.Lookup.Indexes
}

// newLookupTable indexes rows. It fails where two rows have one key: then an
// event would meet both.
func newLookupTable(l *plan.Lookup, version int64, rows *column.Batch) (*lookupTable, error) {
	t := &lookupTable{version: version, rows: rows}
	for _, columns := range l.Indexes {
		x := newLookupIndex(rows, columns)
		if a, b := x.fill(rows.N); a >= 0 {
			return nil, fmt.Errorf("table %s has two rows with the same key %s: %s, rows %d and %d (give it a unique key over these columns)",
				l.QualifiedName(), keyNames(l, columns), x.text(a), a, b)
		}
		t.indexes = append(t.indexes, x)
	}
	return t, nil
}

func keyNames(l *plan.Lookup, columns []int) string {
	out := "("
	for i, c := range columns {
		if i > 0 {
			out += ", "
		}
		out += l.Columns[c].Name
	}
	return out + ")"
}

// lookupIndex finds rows by key: a hash table with open addressing over row
// numbers. The keys themselves stay in the table's vectors. Rows with a NULL
// in the key are not in it: they equal nothing.
type lookupIndex struct {
	kind  keyKind
	keys  []*column.Vector
	slots []lookupSlot // a power of two long
}

// lookupSlot is a row and the upper half of its key's hash, so that other
// rows are told apart without a look at them. row is the number + 1, 0 for
// none.
type lookupSlot struct {
	tag uint32
	row uint32
}

// keyKind says how keys are hashed and compared.
type keyKind uint8

const (
	anyKey   keyKind = iota // several columns, or equal values that differ in bytes
	intKey                  // one column with IntStorage
	bytesKey                // one column of text or uuid
)

func newLookupIndex(rows *column.Batch, columns []int) *lookupIndex {
	x := &lookupIndex{}
	for _, c := range columns {
		x.keys = append(x.keys, rows.Cols[c])
	}
	x.kind = kindOfKey(x.keys)
	return x
}

func kindOfKey(keys []*column.Vector) keyKind {
	if len(keys) != 1 {
		return anyKey
	}
	switch k := keys[0].Type.Kind; {
	case k.Storage() == column.IntStorage:
		return intKey
	case k.IsString() || k == column.UUID:
		return bytesKey
	}
	return anyKey
}

// fill adds n rows; two of the same key are given, -1 for none.
func (x *lookupIndex) fill(n int) (a, b int) {
	// At most half full: most probes end at the first slot.
	x.slots = make([]lookupSlot, 1<<bits.Len(uint(max(2*n-1, 1))))
	mask := uint64(len(x.slots) - 1)
	var scratch, other []byte
	for i := range n {
		if isNull(x.keys, i) {
			continue
		}
		var h uint64
		h, scratch = hashRow(x.kind, x.keys, i, scratch)
		tag := uint32(h >> 32)
		for s := h & mask; ; s = (s + 1) & mask {
			slot := &x.slots[s]
			if slot.row == 0 {
				*slot = lookupSlot{tag, uint32(i) + 1}
				break
			}
			if slot.tag == tag {
				var same bool
				if same, other = x.same(int(slot.row-1), x.keys, i, scratch, other); same {
					return int(slot.row - 1), i
				}
			}
		}
	}
	return -1, -1
}

// same compares the key of a row with the key that value i of keys has;
// encoded is the latter's encoding for anyKey, scratch is for the former's.
func (x *lookupIndex) same(row int, keys []*column.Vector, i int, encoded, scratch []byte) (bool, []byte) {
	switch x.kind {
	case intKey:
		return x.keys[0].Int[row] == keys[0].Int[i], scratch
	case bytesKey:
		return bytes.Equal(x.keys[0].Bytes(row), keys[0].Bytes(i)), scratch
	}
	scratch = scratch[:0]
	for _, k := range x.keys {
		scratch = datum.AppendKey(scratch, k, row)
	}
	return bytes.Equal(scratch, encoded), scratch
}

// text writes a row's key for a message.
func (x *lookupIndex) text(row int) string {
	var out []byte
	for i, k := range x.keys {
		if i > 0 {
			out = append(out, ", "...)
		}
		out = datum.AppendJSON(out, k, row)
	}
	return string(out)
}

func isNull(keys []*column.Vector, i int) bool {
	for _, k := range keys {
		if k.Null[i] {
			return true
		}
	}
	return false
}

// hashRow gives the hash of value i of the key columns, and for anyKey its
// encoding in scratch.
func hashRow(kind keyKind, keys []*column.Vector, i int, scratch []byte) (uint64, []byte) {
	switch kind {
	case intKey:
		return mix(uint64(keys[0].Int[i])), scratch
	case bytesKey:
		return hashKey(keys[0].Bytes(i)), scratch
	}
	scratch = scratch[:0]
	for _, k := range keys {
		scratch = datum.AppendKey(scratch, k, i)
	}
	return hashKey(scratch), scratch
}

// mix spreads an integer over 64 bits: the finalizer of SplitMix64 (Steele,
// Lea and Flood 2014).
func mix(x uint64) uint64 {
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// prober holds what looking up takes, so that a batch makes no garbage. It
// belongs to one worker.
type prober struct {
	hashes         []uint64
	encoded, other []byte
	starts         []uint32 // where each key's encoding begins, for anyKey
	matches        []int32  // by row of the batch; -1 for none
}

// find sets matches for the rows that sel lists, of a batch of n rows: first
// all hashes, then all probes, so that the processor waits for several slots
// at once.
func (p *prober) find(x *lookupIndex, keys []*column.Vector, sel []int32, n int) {
	p.matches, p.hashes, p.starts = sized(p.matches, n), sized(p.hashes, n), sized(p.starts, n)
	p.encoded = p.encoded[:0]
	for _, i := range sel {
		if isNull(keys, int(i)) {
			continue
		}
		switch x.kind {
		case intKey:
			p.hashes[i] = mix(uint64(keys[0].Int[i]))
		case bytesKey:
			p.hashes[i] = hashKey(keys[0].Bytes(int(i)))
		default:
			start := len(p.encoded)
			p.encoded = binary.LittleEndian.AppendUint32(p.encoded, 0) // its length
			for _, k := range keys {
				p.encoded = datum.AppendKey(p.encoded, k, int(i))
			}
			binary.LittleEndian.PutUint32(p.encoded[start:], uint32(len(p.encoded)-start-4))
			p.starts[i] = uint32(start)
			p.hashes[i] = hashKey(p.encoded[start+4:])
		}
	}
	mask := uint64(len(x.slots) - 1)
	for _, i := range sel {
		p.matches[i] = -1
		if isNull(keys, int(i)) {
			continue
		}
		h := p.hashes[i]
		tag := uint32(h >> 32)
		var encoded []byte
		if x.kind == anyKey {
			start := p.starts[i]
			length := binary.LittleEndian.Uint32(p.encoded[start:])
			encoded = p.encoded[start+4 : start+4+length]
		}
		for s := h & mask; x.slots[s].row != 0; s = (s + 1) & mask {
			if x.slots[s].tag != tag {
				continue
			}
			row := int(x.slots[s].row - 1)
			var same bool
			if same, p.other = x.same(row, keys, int(i), encoded, p.other); same {
				p.matches[i] = int32(row)
				break
			}
		}
	}
}
