package engine

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// testWindow cuts time into windows of ten units.
type testWindow struct{}

func (testWindow) Start(t int64) (int64, bool) { return t / 10 * 10, true }
func (testWindow) End(start int64) int64       { return start + 10 }
func (testWindow) String() string              { return "10" }

func stateView() *plan.View {
	return &plan.View{
		Name: "v", Mode: plan.Grouped, Window: &plan.Window{Assigner: testWindow{}, Type: column.Of(column.Timestamptz)},
		GroupKeys: []column.Type{column.Of(column.Text), column.Of(column.Numeric)},
		Aggs: []plan.Agg{
			{Kind: expr.CountStar, Result: column.Of(column.Int8)},
			{Kind: expr.Sum, Arg: column.Of(column.Float8), Result: column.Of(column.Float8)},
			{Kind: expr.Max, Arg: column.Of(column.Text), Result: column.Of(column.Text)},
			{Kind: expr.Count, Arg: column.Of(column.Text), Result: column.Of(column.Int8), AggregateForm: expr.AggregateForm{Distinct: true}},
			{Kind: expr.Avg, Arg: column.Of(column.Float8), Result: column.Of(column.Float8), AggregateForm: expr.AggregateForm{Distinct: true}},
			{Kind: expr.StringAgg, Arg: column.Of(column.Text), Result: column.Of(column.Text)},
			{Kind: expr.PercentileCont, Arg: column.Of(column.Float8), Result: column.Of(column.Float8), AggregateForm: expr.AggregateForm{Fraction: 0.3}},
		},
	}
}

// touch adds a row to a group and gives the group.
func touch(t *testing.T, o *viewOwner, start int64, name, number string, value float64, at int64) touched {
	t.Helper()
	keys := []*column.Vector{column.NewVector(column.Of(column.Text), 1), column.NewVector(column.Of(column.Numeric), 1)}
	for i, s := range []string{name, number} {
		if s == "" {
			keys[i].Null[0] = true
		} else if err := datum.Input(keys[i], 0, []byte(s)); err != nil {
			t.Fatal(err)
		}
	}
	var key []byte
	for _, k := range keys {
		key = datum.AppendKey(key, k, 0)
	}
	w := o.groups.Window(start)
	g, fresh := w.Find(state.Hash(key), key)
	w.Represent(g, fresh, keys, 0, aggregate.Position{Offset: at})
	w.Ready()
	v := column.NewVector(column.Of(column.Float8), 1)
	v.Float[0] = value
	s := column.NewVector(column.Of(column.Text), 1)
	s.SetString(0, fmt.Sprint(at))
	rows := &aggregate.Rows{Groups: []uint32{g}, Rows: []int32{0}, Offsets: []int64{at}, Times: []int64{at / 100}}
	for j, arg := range []*column.Vector{nil, v, s, s, v, s, v} {
		w.Aggs[j].Update(rows, arg)
	}
	w.Flags[g] = uint8(at & 3)
	return touched{w, g}
}

// dump gives all groups as text, in order.
func dump(o *viewOwner) map[string]string {
	out := map[string]string{}
	for _, w := range o.groups.Sorted() {
		for g := range uint32(w.Len()) {
			text := fmt.Sprint(w.Flags[g], w.At[g])
			for _, k := range w.Keys {
				text += " "
				if !k.Null[g] {
					text += string(datum.Append(nil, k, int(g)))
				}
			}
			for j, a := range w.Aggs {
				v := column.NewVector(o.plan.Aggs[j].Result, 1)
				if err := a.Result(g, v, 0); err != nil {
					text += " " + err.Message
				} else if !v.Null[0] {
					text += " " + string(datum.Append(nil, v, 0))
				}
			}
			out[fmt.Sprintf("%d/%x", w.Start, w.Key(g))] = text
		}
	}
	return out
}

// log is what a store keeps of a view's state.
type storedState struct{ blobs []StateBlob }

func (s *storedState) commit(blobs []StateBlob, dropBelow int64) {
	for _, b := range blobs {
		if b.Base && b.Part == 0 {
			kept := s.blobs[:0:0]
			for _, old := range s.blobs {
				if !old.Base || old.Shard != b.Shard || old.Seq == b.Seq {
					kept = append(kept, old)
				}
			}
			s.blobs = kept
		}
		s.blobs = append(s.blobs, b)
	}
	kept := s.blobs[:0:0]
	for _, b := range s.blobs {
		if b.Base || b.Seq >= dropBelow {
			kept = append(kept, b)
		}
	}
	s.blobs = kept
}

// TestStateSurvives runs commits that touch random groups and close windows;
// after each, a view restored from what a store would hold has the same
// groups, and what is held stays bounded.
func TestStateSurvives(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 3))
	o := newViewOwner(0, stateView())
	var stored storedState
	rotations, most := 0, 0
	const commits = 400
	for seq := int64(1); seq <= commits; seq++ {
		seen := map[touched]bool{}
		var changed []touched
		for range 300 {
			start := (seq/40 + rng.Int64N(3)) * 10
			name := fmt.Sprintf("group with a name that takes its place %d", rng.IntN(200))
			if rng.IntN(50) == 0 {
				name = ""
			}
			g := touch(t, o, start, name, []string{"1", "1.0", "2.50", "NaN"}[rng.IntN(4)], rng.NormFloat64(), seq*1000-rng.Int64N(2000))
			if !seen[g] {
				seen[g] = true
				changed = append(changed, g)
			}
		}
		o.time.floor = max(o.time.floor, seq/40*10-10)
		closed := o.close(0)
		blobs, dropBelow := o.write(seq, changed)
		for _, w := range closed.finished {
			o.groups.Drop(w.Start)
		}
		stored.commit(blobs, dropBelow)
		if dropBelow > 0 {
			rotations++
		}
		total := 0
		for _, b := range stored.blobs {
			total += len(b.Data)
		}
		most = max(most, total)
		if seq%20 == 0 {
			compare(t, o, stored, seq)
		}
	}
	if rotations < 2 {
		t.Errorf("%d rotations of bases, too few to test them", rotations)
	}
	if limit := 4 * baseSlack; most > limit {
		t.Errorf("%d bytes are held, more than %d", most, limit)
	}
}

func compare(t *testing.T, o *viewOwner, stored storedState, seq int64) {
	t.Helper()
	next := newViewOwner(0, o.plan)
	next.time, next.closing.upTo = o.time, o.closing.upTo
	if err := next.restore(append([]StateBlob(nil), stored.blobs...)); err != nil {
		t.Fatalf("commit %d: %v", seq, err)
	}
	got, want := dump(next), dump(o)
	for k, v := range want {
		if got[k] != v {
			t.Fatalf("commit %d: group %s is %q, want %q", seq, k, got[k], v)
		}
	}
	if len(got) != len(want) {
		t.Fatalf("commit %d: %d groups, want %d", seq, len(got), len(want))
	}
}

func TestCorruptStateIsTold(t *testing.T) {
	o := newViewOwner(0, stateView())
	g := touch(t, o, 0, "a", "1.0", 1.5, 7)
	blob := o.groups.AppendGroup([]byte{state.Format}, g.window, g.group)
	for cut := range blob {
		next := newViewOwner(0, o.plan)
		err := next.groups.Load(blob[:cut], func(int64, int) bool { return true })
		if err == nil && cut != 1 {
			t.Errorf("%d of %d bytes were read without an error", cut, len(blob))
		}
	}
}

func FuzzLoadState(f *testing.F) {
	f.Add([]byte{state.Format, 0, 0, 1, 1, 'a'})
	f.Fuzz(func(t *testing.T, b []byte) {
		o := newViewOwner(0, stateView())
		_ = o.groups.Load(b, func(int64, int) bool { return true }) // must not panic
	})
}
