package engine

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/state"
)

func TestDivide(t *testing.T) {
	for _, test := range []struct {
		n           int64
		needs, want []int64
	}{
		{10, []int64{0, 0}, []int64{0, 0}},
		{10, []int64{3, 4}, []int64{3, 4}},
		{10, []int64{100, 2, 100}, []int64{4, 2, 4}},
		{3, []int64{100, 100, 100}, []int64{1, 1, 1}},
		{2, []int64{5, 100, 100}, []int64{1, 1, 0}},
		{0, []int64{5}, []int64{0}},
		{7, []int64{math.MaxInt64, 0, math.MaxInt64}, []int64{4, 0, 3}},
	} {
		if got := divide(test.n, test.needs); !slices.Equal(got, test.want) {
			t.Errorf("%d for %v: %v, want %v", test.n, test.needs, got, test.want)
		}
	}
}

// Work that has waited has half of a commit for itself, and never nothing.
func TestRoomLeft(t *testing.T) {
	for _, test := range []struct {
		limit, written int64
		waiting        bool
		want           int64
	}{
		{100, 0, false, 100}, {100, 30, false, 70}, {100, 130, false, 0},
		{100, 30, true, 70}, {100, 90, true, 50}, {100, 1000, true, 50}, {1, 5, true, 1},
	} {
		if got := roomLeft(test.limit, test.written, test.waiting); got != test.want {
			t.Errorf("%+v: %d", test, got)
		}
	}
}

// Rows that are wider than their records end an epoch by their own bytes.
func TestWideRowsEndAnEpoch(t *testing.T) {
	r := &run{engine: &Engine{opts: Options{MaxEpochRows: 100, MaxEpochBytes: 1000, MaxCommitRows: 100}}}
	r.workers, r.changed = []*workerLoop{{}, {}}, newChangedRows(100)
	doc := column.NewVector(column.Of(column.Text), 0)
	p := &partial{views: []*viewPartial{{rows: &rowPartial{cols: []*column.Vector{doc}}}, {groups: &groupPartial{}}}}
	for range 3 {
		doc.SetString(doc.Grow(), strings.Repeat("x", 200))
	}
	for _, w := range r.workers {
		if r.full() {
			t.Error("full before the second worker's rows")
		}
		w.bytes.Store(resultBytes(p))
	}
	if !r.full() {
		t.Error("two workers hold 1,200 bytes of rows, and the epoch is not full")
	}
}

// A group that two workers have met is one row, whether all groups are counted
// or a sample of them.
func TestChangedRows(t *testing.T) {
	for _, n := range []int{100, 200_000} {
		c := newChangedRows(int64(n))
		tables := []*state.Table{state.NewTable(state.Spec{}), state.NewTable(state.Spec{})}
		for _, table := range tables {
			for i := range n {
				key := binary.BigEndian.AppendUint64(nil, uint64(i))
				table.Find(state.Hash(key), key)
			}
			c.add(0, table, 0, 1)
		}
		c.add(1, tables[0], n/2, 3) // another view, whose groups make three rows each
		want := float64(n + 3*n/2)
		if got := float64(c.estimate()); math.Abs(got-want) > 0.05*want || n == 100 && got != want {
			t.Errorf("%d groups: %.0f rows, want %.0f", n, got, want)
		}
		c.clear()
		if c.estimate() != 0 {
			t.Error("an epoch begins with rows")
		}
	}
}
