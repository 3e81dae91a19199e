package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/decimal"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
	"github.com/millstream-dev/millstream/internal/expr"
)

func intKey(n int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

// counting is a table of groups by an integer, with count(*).
func counting() *Table {
	return NewTable(Spec{
		Keys: []column.Type{column.Of(column.Int8)},
		Aggs: []AggSpec{{Kind: expr.CountStar, Result: column.Of(column.Int8)}},
	})
}

// add counts a row of a group.
func add(t *Table, hash uint64, n int) (g uint32, fresh bool) {
	keys := []*column.Vector{column.NewVector(column.Of(column.Int8), 1)}
	keys[0].Null[0], keys[0].Int[0] = false, int64(n)
	g, fresh = t.Find(hash, intKey(n))
	if fresh {
		t.Represent(g, true, keys, 0, aggregate.Position{})
	}
	t.Ready()
	t.Aggs[0].Update(&aggregate.Rows{Groups: []uint32{g}, Rows: []int32{0}, Offsets: []int64{0}}, nil)
	return g, fresh
}

func value(a aggregate.Accumulator, g uint32) string { return fmt.Sprintf("%x", a.Encode(nil, g)) }

// TestTableGrows adds far more groups than a table begins with: each is found
// again under its number, with its key and its accumulator.
func TestTableGrows(t *testing.T) {
	const groups = 10_000
	table := counting()
	for round := range 3 {
		for n := range groups {
			g, fresh := add(table, Hash(intKey(n)), n)
			if int(g) != n || fresh != (round == 0) {
				t.Fatalf("round %d: group %d is %d, fresh %t", round, n, g, fresh)
			}
		}
	}
	if table.Len() != groups || 4*groups > 3*len(table.slots) {
		t.Errorf("%d groups in %d slots", table.Len(), len(table.slots))
	}
	three := value(table.Aggs[0], 0)
	for n := range groups {
		g := uint32(n)
		if !bytes.Equal(table.Key(g), intKey(n)) || table.HashOf(g) != Hash(intKey(n)) || table.Keys[0].Int[n] != int64(n) || value(table.Aggs[0], g) != three {
			t.Fatalf("group %d has key %x, value %d, count %s", n, table.Key(g), table.Keys[0].Int[n], value(table.Aggs[0], g))
		}
	}
}

// TestTableCollisions gives all groups one hash, and hashes that meet at the
// table's end: keys alone tell groups apart.
func TestTableCollisions(t *testing.T) {
	for name, hash := range map[string]func(n int) uint64{
		"equal":           func(int) uint64 { return 42 },
		"the last slot":   func(int) uint64 { return ^uint64(0) },
		"the same slots":  func(n int) uint64 { return uint64(n) << 32 },
		"two, in turn":    func(n int) uint64 { return uint64(n % 2) },
		"one after other": func(n int) uint64 { return uint64(n / 3) },
	} {
		t.Run(name, func(t *testing.T) {
			const groups = 200
			table := counting()
			for round := range 2 {
				for n := range groups {
					if g, fresh := add(table, hash(n), n); int(g) != n || fresh != (round == 0) {
						t.Fatalf("round %d: group %d is %d, fresh %t", round, n, g, fresh)
					}
				}
			}
		})
	}
}

// TestTableKeysOfAnyLength holds that a key is not a prefix of its neighbour.
func TestTableKeysOfAnyLength(t *testing.T) {
	table := NewTable(Spec{})
	keys := [][]byte{{}, {0}, {0, 0}, []byte("a"), []byte("ab"), bytes.Repeat([]byte("x"), 2000)}
	for range 2 {
		for i, key := range keys {
			if g, _ := table.Find(1, key); int(g) != i || !bytes.Equal(table.Key(g), key) {
				t.Errorf("key %q is group %d with key %q", key, g, table.Key(g))
			}
		}
	}
}

// TestRepresentative holds that of equal keys that print differently the one
// with the least position stands for the group, whatever comes first.
func TestRepresentative(t *testing.T) {
	numeric := column.Of(column.Numeric)
	at := func(source, partition int32, offset int64) aggregate.Position {
		return aggregate.Position{Source: source, Partition: partition, Offset: offset}
	}
	spellings := []struct {
		text string
		at   aggregate.Position
	}{{"1.00", at(0, 1, 0)}, {"1.0", at(0, 0, 7)}, {"1", at(1, 0, 0)}, {"1.000", at(0, 0, 6)}, {"1.0000", at(0, 2, 0)}}
	for turn := range spellings {
		table := NewTable(Spec{Keys: []column.Type{numeric, column.Of(column.Float8)}})
		if !table.Images() {
			t.Fatal("a numeric key keeps no positions")
		}
		for k := range spellings {
			s := spellings[(turn+k)%len(spellings)]
			keys := []*column.Vector{column.NewVector(numeric, 1), column.NewVector(column.Of(column.Float8), 1)}
			d, err := decimal.Parse([]byte(s.text))
			if err != nil {
				t.Fatal(err)
			}
			keys[0].Null[0], keys[1].Null[0] = false, true
			keys[0].SetBytes(0, d.Encode(nil))
			g, fresh := table.Find(9, []byte("one"))
			table.Represent(g, fresh, keys, 0, s.at)
		}
		if got := string(datum.Append(nil, table.Keys[0], 0)); got != "1.000" || table.At[0] != at(0, 0, 6) || table.Len() != 1 {
			t.Errorf("from the %d. spelling on: %s of %+v stands for the group", turn, got, table.At[0])
		}
		if !table.Keys[1].Null[0] {
			t.Error("the NULL beside it is gone")
		}
	}
	if counting().Images() {
		t.Error("an integer key keeps positions")
	}
}

// TestClear empties a table and fills it again: nothing of before shows, and
// its memory is used again.
func TestClear(t *testing.T) {
	table := counting()
	for n := range 1000 {
		add(table, Hash(intKey(n)), n)
		add(table, Hash(intKey(n)), n)
	}
	table.Flags[3], table.marks[3] = Present, 5
	one := counting()
	add(one, 1, 1)
	before := table.Bytes()
	table.Clear()
	if table.Len() != 0 || len(table.Flags) != 0 {
		t.Errorf("%d groups are left", table.Len())
	}
	for n := 999; n >= 0; n-- {
		g, fresh := add(table, Hash(intKey(n)), n)
		if want := uint32(999 - n); g != want || !fresh || table.Flags[g] != 0 || !table.Mark(g, 5) || table.Mark(g, 5) {
			t.Fatalf("after Clear: group %d is %d, fresh %t, flags %d", n, g, fresh, table.Flags[g])
		}
		if value(table.Aggs[0], g) != value(one.Aggs[0], 0) || table.Keys[0].Int[g] != int64(n) {
			t.Fatalf("group %d goes on from before", n)
		}
	}
	if after := table.Bytes(); after > before {
		t.Errorf("%d bytes after, %d before", after, before)
	}
}
