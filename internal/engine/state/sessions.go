package state

import (
	"fmt"
	"iter"

	"github.com/millstream-dev/millstream/internal/engine/aggregate"
)

// Span is from a session's first event to its end.
type Span struct{ Start, End int64 }

// holds tells whether another span lies within.
func (s Span) holds(o Span) bool { return s.Start <= o.Start && o.End <= s.End }

// Sessions are the open sessions of a view, in one table: a key has as many
// groups as it has sessions. No two of a key come as near to each other as the
// gap. A session that is gone keeps its number until Compact.
type Sessions struct {
	*Window // of no start and end; Spans has those of each session
	spec    Spec
	gap     int64
	closes  func(end int64) int64
	gone    int
	// whole tells, by group, that all of it has to be written: it is new, or
	// others were joined to it.
	whole []bool
}

// NewSessions gives an empty set of groups by session: runs of events at most
// gap apart. closes tells until when a session that ends at end may change.
func NewSessions(spec Spec, gap int64, closes func(end int64) int64) *Groups {
	s := &Sessions{Window: &Window{Start: Windowless, Spans: []Span{}, Table: NewTable(spec)}, spec: spec, gap: gap, closes: closes}
	return &Groups{Spec: spec, Sessions: s}
}

// Len is the number of sessions.
func (s *Sessions) Len() int { return s.Table.Len() - s.gone }

// All gives the sessions, in no order.
func (s *Sessions) All() iter.Seq[uint32] {
	return func(yield func(uint32) bool) {
		for g, flags := range s.Flags {
			if flags&Gone == 0 && !yield(uint32(g)) {
				return
			}
		}
	}
}

// Closes tells until when a session may change.
func (s *Sessions) Closes(g uint32) int64 { return s.closes(s.Spans[g].End) }

// Of gives the sessions of a key that hold, or come within the gap of, events
// from first to last: several where these join them.
func (s *Sessions) Of(dst []uint32, hash uint64, key []byte, first, last int64) []uint32 {
	for g := range s.Same(hash, key) {
		if at := s.Spans[g]; s.Flags[g]&Gone == 0 && first <= at.End && at.Start-last <= s.gap {
			dst = append(dst, g)
		}
	}
	return dst
}

// Add adds a session. The caller calls Represent and Ready, as after
// Table.Find.
func (s *Sessions) Add(hash uint64, key []byte, span Span) uint32 {
	s.Spans, s.whole = append(s.Spans, span), append(s.whole, true)
	return s.Table.Add(hash, key)
}

// Extend makes a session reach from first, if that is before its start, to
// end, if that is after its own.
func (s *Sessions) Extend(g uint32, first, end int64) {
	at := &s.Spans[g]
	at.Start, at.End = min(at.Start, first), max(at.End, end)
}

// Join merges session other, which is gone by that, into g.
func (s *Sessions) Join(g, other uint32) {
	s.Extend(g, s.Spans[other].Start, s.Spans[other].End)
	if s.Images() {
		s.Represent(g, false, s.Keys, int(other), s.At[other])
	}
	for _, a := range s.Aggs {
		a.Merge(g, a, other)
	}
	s.whole[g] = true
	s.Remove(other)
}

// Remove forgets a session. Until Compact it may be read.
func (s *Sessions) Remove(g uint32) {
	s.Flags[g] = Gone
	s.gone++
}

// fewGone is how many sessions that are gone are put up with whatever the
// number of those that are not.
const fewGone = 64

// Compact gives sessions new numbers, and frees what those hold that are gone,
// where these are most.
func (s *Sessions) Compact() {
	if s.gone <= s.Len()+fewGone {
		return
	}
	old, spans := s.Table, s.Spans
	s.Table, s.Spans, s.whole, s.gone = NewTable(s.spec), []Span{}, nil, 0
	for g, flags := range old.Flags {
		if flags&Gone != 0 {
			continue
		}
		from := uint32(g)
		into := s.Add(old.HashOf(from), old.Key(from), spans[g])
		s.Represent(into, true, old.Keys, g, old.position(from))
		s.Flags[into] = flags
	}
	s.Ready()
	into := uint32(0)
	for g, flags := range old.Flags {
		if flags&Gone != 0 {
			continue
		}
		for j, a := range s.Aggs {
			a.Merge(into, old.Aggs[j], uint32(g))
		}
		into++
	}
}

// appendWhole appends a session as a whole, after which only its changes are to
// be written.
func (s *Sessions) appendWhole(dst []byte, all *Groups, g uint32) []byte {
	dst = all.AppendGroup(dst, s.Window, g)
	for _, a := range s.Aggs {
		aggregate.EncodeChanges(a, dst[len(dst):], g) // these are written
	}
	s.whole[g] = false
	return dst
}

// restore gives the place of a session that is read. Sessions only grow, so
// those of its key within it are what was written of it before, or were joined
// to it. One that is written as a whole takes their place; changes are added to
// the one that is there.
func (s *Sessions) restore(hash uint64, key []byte, span Span, whole bool) (g uint32, err error) {
	var within []uint32
	for other := range s.Same(hash, key) {
		if s.Flags[other]&Gone == 0 && span.holds(s.Spans[other]) {
			within = append(within, other)
		}
	}
	if !whole {
		if len(within) != 1 {
			return 0, fmt.Errorf("%w: changes of a session that is not there", aggregate.ErrCorrupt)
		}
		s.Spans[within[0]] = span
		return within[0], nil
	}
	for _, other := range within {
		s.Remove(other)
	}
	g = s.Add(hash, key, span)
	s.whole[g] = false
	return g, nil
}
