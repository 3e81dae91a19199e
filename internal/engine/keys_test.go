package engine

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/state"
)

// TestHashKey holds that keys that differ little meet seldom: in the lowest
// bits, which choose the slot, about as often as by chance.
func TestHashKey(t *testing.T) {
	const slots = 1 << 16
	for name, key := range map[string]func(n int) []byte{
		"integers":       func(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)) },
		"big steps":      func(n int) []byte { return binary.LittleEndian.AppendUint64(nil, uint64(n)<<40) },
		"windows":        func(n int) []byte { return binary.LittleEndian.AppendUint64([]byte("12345678"), uint64(n)*10_000_000) },
		"short texts":    func(n int) []byte { return []byte{byte(n), byte(n >> 8), byte(n >> 16)} },
		"lengths":        func(n int) []byte { return bytes.Repeat([]byte{0}, n%2000) },
		"late in a long": func(n int) []byte { return binary.BigEndian.AppendUint32(bytes.Repeat([]byte("x"), 61), uint32(n)) },
	} {
		keys := slots / 2
		if name == "lengths" {
			keys = 2000
		}
		met := map[uint64]int{}
		whole := map[uint64]bool{}
		for n := range keys {
			h := hashKey(key(n))
			met[h%slots]++
			whole[h] = true
		}
		if len(whole) != keys {
			t.Errorf("%s: %d keys have %d hashes", name, keys, len(whole))
		}
		// By chance 1 − e^−½ of the slots are met, 0.787 of the number of keys.
		if want := 0.75 * float64(keys); float64(len(met)) < want {
			t.Errorf("%s: %d keys meet %d slots, want at least %.0f", name, keys, len(met), want)
		}
	}
}

// TestKeyBatch holds that a batch's keys are those that a row alone gives.
func TestKeyBatch(t *testing.T) {
	texts, ints := column.NewVector(column.Of(column.Text), 4), column.NewVector(column.Of(column.Int8), 4)
	for i, s := range []string{"", "a", "ab", "abc"} {
		texts.SetString(i, s)
		ints.Int[i] = int64(i)
	}
	texts.Null[2] = true
	cols := []*column.Vector{texts, ints}
	var b keyBatch
	for _, starts := range [][]int64{nil, {10, 20, 30, 40}} {
		sel := []int32{0, 2, 3}
		b.build(sel, starts, cols)
		for k, i := range sel {
			start := int64(state.Windowless)
			if starts != nil {
				start = starts[i]
			}
			want := binary.LittleEndian.AppendUint64(nil, uint64(start))
			for _, c := range cols {
				want = datum.AppendKey(want, c, int(i))
			}
			if got := b.key(k); !bytes.Equal(got, want) || b.hashes[k] != hashKey(want) {
				t.Errorf("row %d: key %x, want %x", i, got, want)
			}
		}
	}
}

// TestLongKeysAreCut holds that a batch keeps of long keys only as much as
// tells that they are too long.
func TestLongKeysAreCut(t *testing.T) {
	v := column.NewVector(column.Of(column.Text), 3)
	for i, n := range []int{MaxKeyBytes / 2, 1 << 20, 3} {
		v.Null[i] = false
		v.SetBytes(i, bytes.Repeat([]byte{'x'}, n))
	}
	var b keyBatch
	b.build([]int32{0, 1, 2}, nil, []*column.Vector{v, v})
	for k, long := range []bool{true, true, false} {
		if n := len(b.key(k)); (n > MaxKeyBytes) != long || n > MaxKeyBytes+1 {
			t.Errorf("key %d has %d bytes", k, n)
		}
	}
	if len(b.bytes) > 3*(MaxKeyBytes+1) {
		t.Errorf("three keys take %d bytes", len(b.bytes))
	}
}
