package engine

import (
	"fmt"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/plan"
)

// closingView has one window of so many groups and an open one.
func closingView(t *testing.T, groups int, change func(v *plan.View)) *viewOwner {
	t.Helper()
	v := stateView()
	v.Correctable, v.CorrectableBytes = time.Hour, 1<<30
	if change != nil {
		change(v)
	}
	o := newViewOwner(0, v)
	fill(t, o, 0, groups)
	fill(t, o, 10, 3)
	o.time.floor = 10
	return o
}

func fill(t *testing.T, o *viewOwner, start int64, groups int) {
	t.Helper()
	for i := range groups {
		touch(t, o, start, fmt.Sprintf("group %d", i), []string{"1", "1.0"}[i%2], float64(i)/3, int64(i))
	}
}

// closeAll closes what is due, so many groups at a time, and gives what is
// kept of it; between two portions next may put another owner in o's place.
func closeAll(o *viewOwner, limit int64, next func(*viewOwner) *viewOwner) (blobs []ClosedBlob, portions int) {
	for portions = 0; ; portions++ {
		p := o.close(limit)
		if len(p.groups) == 0 {
			return blobs, portions
		}
		c := &Commit{Forget: map[ViewID]WindowPlace{}}
		o.keep(c, p.pieces)
		blobs = append(blobs, c.Closed...)
		for _, w := range p.finished {
			o.groups.Drop(w.Start)
		}
		if next != nil {
			o = next(o)
		}
	}
}

// What is kept of a closed window gives its groups back: the keys as they
// print, the flags, and accumulators that go on as if it had never closed.
func TestClosedWindowsComeBack(t *testing.T) {
	for _, test := range []struct {
		groups      int
		limit       int64
		final       bool
		blobs, most int
	}{
		{groups: 1, limit: 100, blobs: 1, most: 1},
		{groups: 100, limit: 1000, blobs: 1, most: 1},
		{groups: 100, limit: 1000, final: true, blobs: 1, most: 1},
		{groups: 100, limit: 7, blobs: 15, most: 15},
		{groups: wholeWindow, limit: 1 << 20, blobs: 1, most: 1},
		{groups: wholeWindow + 1, limit: 1 << 20, blobs: state.Shards, most: state.Shards},
		{groups: wholeWindow + 1, limit: 1000, final: true, blobs: 2 * state.Shards, most: 5 * state.Shards},
	} {
		t.Run(fmt.Sprintf("%d groups by %d, final %t", test.groups, test.limit, test.final), func(t *testing.T) {
			o := closingView(t, test.groups, func(v *plan.View) { v.Final = test.final })
			before := newViewOwner(0, o.plan)
			fill(t, before, 0, test.groups)
			want := dump(before)
			blobs, _ := closeAll(o, test.limit, nil)
			if len(o.groups.Windows) != 1 || o.closing.waiting || o.closing.upTo != 10 {
				t.Errorf("%d windows are left, closed up to %d", len(o.groups.Windows), o.closing.upTo)
			}
			if len(blobs) < test.blobs || len(blobs) > test.most {
				t.Errorf("%d blobs, not %d to %d", len(blobs), test.blobs, test.most)
			}
			after := newViewOwner(0, o.plan)
			groups, seen := int64(0), map[[2]int64]bool{}
			for _, b := range blobs {
				place := [2]int64{int64(b.Shard), b.Part}
				if seen[place] || b.Start != 0 || b.End != 10 || b.WindowGroups != int64(test.groups) {
					t.Errorf("blob of shard %d, part %d, window %d to %d of %d groups", b.Shard, b.Part, b.Start, b.End, b.WindowGroups)
				}
				seen[place] = true
				groups += b.Groups
				if err := after.groups.LoadClosed(b.Data); err != nil {
					t.Fatal(err)
				}
			}
			if groups != int64(test.groups) {
				t.Errorf("the blobs say that they have %d groups of %d", groups, test.groups)
			}
			same(t, dump(after), want)
			for _, owner := range []*viewOwner{before, after} { // a row comes after all
				touch(t, owner, 0, "group 0", "1.000", 0.1, -1)
				touch(t, owner, 0, "a new group", "7", 0.1, 5)
			}
			same(t, dump(after), dump(before))
		})
	}
}

func same(t *testing.T, got, want map[string]string) {
	t.Helper()
	if len(got) != len(want) {
		t.Errorf("%d groups, want %d", len(got), len(want))
	}
	for k, v := range want {
		if got[k] != v {
			t.Fatalf("group %s is %q, want %q", k, got[k], v)
		}
	}
}

// A restart within a window goes on with the group that follows, in the same
// order, though the groups were read in another.
func TestClosingGoesOnAfterRestarts(t *testing.T) {
	const groups, limit = 100, 7
	o := closingView(t, groups, func(v *plan.View) { v.Final = true })
	var stored []ClosedBlob
	emitted := map[string]int{}
	restart := func(o *viewOwner) *viewOwner {
		next := newViewOwner(0, o.plan)
		next.time, next.shown, next.closing.upTo, next.closing.done = o.time, o.shown, o.closing.upTo, o.closing.done
		for _, w := range o.groups.Sorted() {
			for g := w.Len() - 1; g >= 0; g-- { // the other way round
				blob := o.groups.AppendGroup([]byte{state.Format}, w, uint32(g))
				if err := next.groups.Load(blob, func(end int64, _ int) bool { return end > next.closing.upTo }); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, w := range o.kept.windows { // as a store says
			next.kept.add(w)
		}
		next.remaining(next.closable(next.time.floor))
		return next
	}
	for portions := 0; ; portions++ {
		p := o.close(limit)
		if len(p.groups) == 0 {
			if portions != (groups+limit-1)/limit {
				t.Errorf("%d portions", portions)
			}
			break
		}
		for _, g := range p.groups {
			emitted[fmt.Sprintf("%x", g.window.Key(g.group))]++
		}
		o.publish()
		if open := len(p.finished) == 0; open != o.closing.waiting || open && (o.shown.finalBefore != none || o.shown.watermark >= 10) {
			t.Errorf("after %d portions: waiting %t, final before %d, watermark %d", portions, o.closing.waiting, o.shown.finalBefore, o.shown.watermark)
		}
		c := &Commit{Forget: map[ViewID]WindowPlace{}}
		o.keep(c, p.pieces)
		stored = append(stored, c.Closed...)
		for _, w := range p.finished {
			o.groups.Drop(w.Start)
		}
		o = restart(o)
	}
	for key, n := range emitted {
		if n != 1 {
			t.Errorf("group %s was written %d times", key, n)
		}
	}
	kept := int64(0)
	for _, b := range stored {
		kept += b.Groups
	}
	if len(emitted) != groups || kept != groups {
		t.Errorf("%d groups were written and %d are kept, of %d", len(emitted), kept, groups)
	}
}

// A window that takes more than all that may be kept goes as a whole: the rest
// of it is not kept when the beginning is gone.
func TestLargeWindowIsNotKeptInPart(t *testing.T) {
	o := closingView(t, 100, func(v *plan.View) { v.CorrectableBytes = 300 })
	blobs, portions := closeAll(o, 7, nil)
	if len(o.kept.windows) != 0 || o.kept.bytes != 0 || len(blobs) == 0 || len(blobs) == portions {
		t.Errorf("%d blobs of %d portions, %d windows and %d bytes are kept", len(blobs), portions, len(o.kept.windows), o.kept.bytes)
	}
}

func TestForget(t *testing.T) {
	fresh := func() *keeper {
		k := &keeper{}
		for i := range int64(10) {
			k.add(ClosedWindow{Start: i * 10, End: i*10 + 10, Blobs: 2, Bytes: 100})
		}
		return k
	}
	for _, test := range []struct {
		name               string
		from, bytes, blobs int64
		left               int
		last               int64 // start of the last one that goes, -1 for none
	}{
		{"nothing is due", 10, 1000, 100, 10, -1},
		{"the oldest by time", 40, 1000, 100, 7, 20},
		{"the oldest by bytes", 0, 750, 100, 7, 20},
		{"all", 1000, 1000, 100, 0, 90},
		{"a part, and the rest later", 1000, 1000, 5, 7, 20},
	} {
		k := fresh()
		place, any := k.forget(func(w WindowPlace) bool { return w.End < test.from }, test.bytes, test.blobs)
		if len(k.windows) != test.left || any != (test.last >= 0) || any && place != (WindowPlace{test.last + 10, test.last}) || k.bytes != int64(test.left)*100 {
			t.Errorf("%s: %d windows are left with %d bytes, up to %v are gone", test.name, len(k.windows), k.bytes, place)
		}
	}
}

// Windows before what can be corrected, or is expired, are not kept at all.
func TestOldWindowsAreNotKept(t *testing.T) {
	for _, test := range []struct {
		correctable, retention time.Duration
		kept                   int
	}{{time.Hour, 0, 1}, {5 * time.Microsecond, 0, 0}, {time.Hour, 16 * time.Microsecond, 0}, {time.Hour, 17 * time.Microsecond, 1}, {0, 0, 0}} {
		o := closingView(t, 5, func(v *plan.View) { v.Correctable, v.Retention = test.correctable, test.retention })
		o.time.floor = 17
		o.close(100)
		c := &Commit{Forget: map[ViewID]WindowPlace{}}
		w := &state.Window{Start: 0, End: 10, Table: o.groups.Windows[0].Table}
		o.keep(c, []piece{{window: w, groups: all([]*state.Window{w})}})
		if len(c.Closed) != test.kept {
			t.Errorf("%+v: %d blobs", test, len(c.Closed))
		}
	}
}
