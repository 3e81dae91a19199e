package state

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
	"github.com/millstream-dev/millstream/internal/expr"
)

const testGap = 10

// counted is a set of sessions by an integer, with count(*), and max and the
// number of different ones of a text.
func counted() *Groups {
	text := column.Of(column.Text)
	return NewSessions(Spec{
		Keys: []column.Type{column.Of(column.Int8)},
		Aggs: []AggSpec{{Kind: expr.CountStar, Result: column.Of(column.Int8)}, {Kind: expr.Max, Arg: text, Result: text},
			{Kind: expr.Count, Arg: text, Result: column.Of(column.Int8), AggregateForm: expr.AggregateForm{Distinct: true}}},
	}, testGap, func(end int64) int64 { return end + testGap })
}

// event adds an event of a key as an engine's owner does.
func event(s *Sessions, key, at int64) {
	keys, texts := []*column.Vector{column.NewVector(column.Of(column.Int8), 1)}, column.NewVector(column.Of(column.Text), 1)
	keys[0].Null[0], keys[0].Int[0] = false, key
	texts.Null[0] = false
	texts.SetString(0, fmt.Sprintf("%06d", at))
	bytes := datum.AppendKey(nil, keys[0], 0)
	hash := Hash(bytes)
	hits := s.Of(nil, hash, bytes, at, at)
	if len(hits) == 0 {
		g := s.Add(hash, bytes, Span{at, at + testGap})
		s.Represent(g, true, keys, 0, aggregate.Position{})
		s.Ready()
		hits = append(hits, g)
	}
	rows := &aggregate.Rows{Groups: hits[:1], Rows: []int32{0}, Offsets: []int64{0}}
	s.Aggs[0].Update(rows, nil)
	s.Aggs[1].Update(rows, texts)
	s.Aggs[2].Update(rows, texts)
	s.Extend(hits[0], at, at+testGap)
	for _, other := range hits[1:] {
		s.Join(hits[0], other)
	}
}

// lines tells of all sessions, in order.
func lines(s *Sessions) []string {
	var out []string
	for g := range s.All() {
		n, different := column.NewVector(column.Of(column.Int8), 1), column.NewVector(column.Of(column.Int8), 1)
		last := column.NewVector(column.Of(column.Text), 1)
		if s.Aggs[0].Result(g, n, 0) != nil || s.Aggs[1].Result(g, last, 0) != nil || s.Aggs[2].Result(g, different, 0) != nil {
			panic("no result")
		}
		out = append(out, fmt.Sprintf("%04d %06d-%06d: %d, %d different, last %s", s.Keys[0].Int[g], s.Spans[g].Start, s.Spans[g].End, n.Int[0], different.Int[0], last.Bytes(0)))
	}
	slices.Sort(out)
	return out
}

// islands is what lines must be: events in order, cut where two are further
// apart than the gap.
func islands(events map[int64][]int64) []string {
	var out []string
	for key, times := range events {
		slices.Sort(times)
		first := 0
		different := map[int64]bool{}
		for i := range times {
			different[times[i]] = true
			if i+1 == len(times) || times[i+1]-times[i] > testGap {
				out = append(out, fmt.Sprintf("%04d %06d-%06d: %d, %d different, last %06d", key, times[first], times[i]+testGap, i+1-first, len(different), times[i]))
				first = i + 1
				clear(different)
			}
		}
	}
	slices.Sort(out)
	return out
}

// TestSessionsAreIslands adds events in any order, writes what has changed, now
// and then all anew, and reads what was written.
func TestSessionsAreIslands(t *testing.T) {
	for seed := range uint64(30) {
		random := rand.New(rand.NewPCG(seed, 3))
		g := counted()
		events := map[int64][]int64{}
		blob := []byte{Format}
		for range 400 {
			key, at := random.Int64N(4), random.Int64N(2000)
			events[key] = append(events[key], at)
			event(g.Sessions, key, at)
			s := g.Sessions
			for i := range s.All() {
				if span := s.Spans[i]; span.Start <= at && at < span.End && s.Keys[0].Int[i] == key {
					blob = g.AppendChanges(blob, s.Window, i)
				}
			}
			if random.IntN(100) == 0 {
				blob = blob[:1]
				for i := range s.All() {
					blob = g.AppendGroup(blob, s.Window, i)
				}
			}
			s.Compact()
		}
		want := islands(events)
		if got := lines(g.Sessions); !slices.Equal(got, want) {
			t.Fatalf("seed %d: sessions\n%v\nshould be\n%v", seed, got, want)
		}
		if g.Len() != int64(len(want)) {
			t.Errorf("seed %d: %d sessions, Len says %d", seed, len(want), g.Len())
		}
		read := counted()
		if err := read.Load(blob, func(int64, int) bool { return true }); err != nil {
			t.Fatal(err)
		}
		if got := lines(read.Sessions); !slices.Equal(got, want) {
			t.Fatalf("seed %d: what is read\n%v\nshould be\n%v", seed, got, want)
		}
	}
}

// TestSessionsGap holds where one session ends and the next begins, and that
// one event can join three.
func TestSessionsGap(t *testing.T) {
	for _, c := range []struct {
		times []int64
		want  int64
	}{{[]int64{0, 10}, 1}, {[]int64{0, 11}, 2}, {[]int64{10, 0}, 1}, {[]int64{11, 0}, 2}, {[]int64{0, 20, 10}, 1}, {[]int64{0, 21, 10}, 2}, {[]int64{0, 12, 24, 6, 18}, 1}} {
		g := counted()
		for _, at := range c.times {
			event(g.Sessions, 1, at)
		}
		if g.Len() != c.want {
			t.Errorf("%v: %v", c.times, lines(g.Sessions))
		}
	}
}

// TestSessionsCompact closes many sessions of one key: their memory goes, and
// the one that is left stays as it is.
func TestSessionsCompact(t *testing.T) {
	g := counted()
	s := g.Sessions
	for i := range int64(10_000) {
		event(s, 1, 100*i)
		for o := range s.All() {
			if s.Closes(o) <= 100*i {
				s.Remove(o)
			}
		}
		s.Compact()
	}
	if got := lines(s); len(got) != 1 || got[0] != "0001 999900-999910: 1, 1 different, last 999900" {
		t.Errorf("%v", got)
	}
	if n := s.Table.Len(); n > 2*fewGone+2 {
		t.Errorf("%d places for one session", n)
	}
	for o := range s.All() {
		s.Remove(o)
	}
	for i := range int64(2 * fewGone) { // all are gone
		event(s, 2, 1_000_000+100*i)
		for o := range s.All() {
			s.Remove(o)
		}
		s.Compact()
	}
	event(s, 3, 5)
	if got := lines(s); len(got) != 1 || got[0] != "0003 000005-000015: 1, 1 different, last 000005" {
		t.Errorf("%v", got)
	}
}

// TestSessionsCorrupt reads what nobody wrote: an error, and no panic.
func TestSessionsCorrupt(t *testing.T) {
	g := counted()
	event(g.Sessions, 1, 5)
	whole := g.AppendGroup([]byte{Format}, g.Sessions.Window, 0)
	for n := 2; n < len(whole); n++ {
		if err := counted().Load(whole[:n], func(int64, int) bool { return true }); err == nil {
			t.Errorf("%d of %d bytes are read", n, len(whole))
		}
	}
	negative := binary.AppendVarint(binary.AppendVarint([]byte{Format}, 5), -1)
	if err := counted().Load(append(negative, whole[3:]...), func(int64, int) bool { return true }); err == nil {
		t.Error("a session that ends before it begins is read")
	}
}
