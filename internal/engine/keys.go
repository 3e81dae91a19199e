package engine

import (
	"encoding/binary"
	"hash/maphash"
	"math/bits"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/state"
)

// keyBatch is the keys of a run of rows: each the window and the values that
// the row is grouped by, as datum.AppendKey writes them, and its hash. They are
// made before the first is looked up, so that look-ups follow each other
// closely.
type keyBatch struct {
	bytes  []byte
	ends   []uint32
	hashes []uint64
}

func (b *keyBatch) key(k int) []byte {
	start := uint32(0)
	if k > 0 {
		start = b.ends[k-1]
	}
	return b.bytes[start:b.ends[k]:b.ends[k]]
}

// build makes the keys of the rows of sel. starts are their windows by row,
// nil for none. Of a key that is too long just so much is kept that it is seen
// to be: values of a table that is joined may be long, and each row has a copy.
func (b *keyBatch) build(sel []int32, starts []int64, cols []*column.Vector) {
	b.ends, b.hashes = sized(b.ends, len(sel)), sized(b.hashes, len(sel))
	dst := b.bytes[:0]
	for k, i := range sel {
		from := len(dst)
		start := int64(state.Windowless)
		if starts != nil {
			start = starts[i]
		}
		dst = binary.LittleEndian.AppendUint64(dst, uint64(start))
		for _, c := range cols {
			if dst = datum.AppendKey(dst, c, int(i)); len(dst)-from > MaxKeyBytes {
				dst = dst[:from+MaxKeyBytes+1]
				break
			}
		}
		b.ends[k] = uint32(len(dst))
		b.hashes[k] = hashKey(dst[from:])
	}
	b.bytes = dst
}

// seed keeps those who choose keys from choosing where they meet.
var seed = maphash.Bytes(maphash.MakeSeed(), nil) | 1

// Odd numbers without pattern, from the digits of the square roots of 2 and 3.
const (
	mix1 = 0x6a09e667f3bcc909
	mix2 = 0xbb67ae8584caa73b
)

// hashKey is the hash of an epoch's groups, which nobody keeps: two words of
// the key are multiplied to 128 bits, and the halves folded. state.Hash is the
// one that lasts.
func hashKey(key []byte) uint64 {
	h := seed ^ uint64(len(key))*mix1
	for len(key) > 16 {
		h = fold(binary.LittleEndian.Uint64(key)^mix1^h, binary.LittleEndian.Uint64(key[8:])^mix2)
		key = key[16:]
	}
	var a, b uint64
	switch n := len(key); {
	case n >= 8: // the two words may overlap
		a, b = binary.LittleEndian.Uint64(key), binary.LittleEndian.Uint64(key[n-8:])
	case n >= 4:
		a, b = uint64(binary.LittleEndian.Uint32(key)), uint64(binary.LittleEndian.Uint32(key[n-4:]))
	case n > 0:
		a = uint64(key[0])<<16 | uint64(key[n/2])<<8 | uint64(key[n-1])
	}
	h = fold(a^mix1^h, b^mix2)
	return fold(h^mix2, seed)
}

func fold(x, y uint64) uint64 {
	hi, lo := bits.Mul64(x, y)
	return hi ^ lo
}
