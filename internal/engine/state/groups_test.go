package state

import (
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
)

// TestTablesServeAgain opens and closes windows: a new one shows nothing of
// the closed one whose memory it has, and what is spared is bounded.
func TestTablesServeAgain(t *testing.T) {
	g := NewGroups(Spec{
		Keys: []column.Type{column.Of(column.Int8)},
		Aggs: []AggSpec{{Kind: expr.CountStar, Result: column.Of(column.Int8)}},
	}, func(start int64) int64 { return start + 10 })
	first := g.Window(0)
	for n := range 100 {
		add(first.Table, Hash(intKey(n)), n)
		add(first.Table, Hash(intKey(n)), n)
	}
	first.Flags[7], first.marks[7] = Present, 3
	g.Drop(0)
	if first.Len() != 100 {
		t.Error("the groups of a window that was just closed can't be read any more")
	}
	second := g.Window(10)
	if second.Table != first.Table || second.Len() != 0 || g.Len() != 0 {
		t.Fatalf("the new window has %d groups, in another table: %t", second.Len(), second.Table != first.Table)
	}
	one := counting()
	add(one, 1, 1)
	for n := range 100 {
		if group, fresh := add(second.Table, Hash(intKey(n)), n); !fresh || second.Flags[group] != 0 || value(second.Aggs[0], group) != value(one.Aggs[0], 0) {
			t.Fatalf("group %d goes on from the closed window", group)
		}
	}
	const windows = 2 * maxSpareBytes / emptyTable // far more than may be spared
	for start := range int64(windows) {
		g.Window(100 + 10*start)
	}
	least := emptyTable + g.Window(100).Bytes()
	for start := range int64(windows) {
		g.Drop(100 + 10*start)
	}
	if g.spared > maxSpareBytes || len(g.spare) != int(maxSpareBytes/least) || int64(len(g.spare))*least != g.spared {
		t.Errorf("%d tables of %d bytes are spared, said to be %d: at most %d bytes may be", len(g.spare), least, g.spared, maxSpareBytes)
	}
}

// TestWarm holds that warming a large table changes nothing of it.
func TestWarm(t *testing.T) {
	table := counting()
	var hashes []uint64
	for n := range 2 * warmFrom {
		h := Hash(intKey(n))
		hashes = append(hashes, h)
		if n%2 == 0 {
			add(table, h, n)
		}
	}
	before := table.Len()
	table.Warm(hashes)
	if table.Len() != before || len(table.slots) < warmFrom {
		t.Fatalf("%d groups before, %d after, %d slots", before, table.Len(), len(table.slots))
	}
	for n := range 2 * warmFrom {
		if _, fresh := table.Find(hashes[n], intKey(n)); fresh != (n%2 == 1) {
			t.Fatalf("group %d: fresh %t", n, fresh)
		}
	}
}
