package window

import (
	"math/rand/v2"
	"testing"
)

// TestSessionPanes holds that events of one pane are never further apart than
// the gap, that those of different panes keep their order, and that an event
// that is in time never joins a session that is closed.
func TestSessionPanes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, gap := range []int64{1, 2, 7, 10 * second, 1 << 40} {
		s := NewSession(gap)
		for range 3000 {
			a := random.Int64N(1<<42) - 1<<41
			b := a + random.Int64N(4*gap) - 2*gap
			switch p, q := s.Pane(a), s.Pane(b); {
			case p == q && max(a, b)-min(a, b) > gap:
				t.Fatalf("gap %d: %d and %d are in pane %d", gap, a, b, p)
			case p > q && a < b || p < q && a > b:
				t.Fatalf("gap %d: %d is in pane %d, %d in %d", gap, a, p, b, q)
			}
			end := s.End(a)
			for _, bound := range []int64{s.Closes(end) - 1, s.Closes(end), s.Closes(end) + 1} {
				late, closed := s.End(b) <= bound, s.Closes(end) <= bound
				if joins := b >= a-gap && b <= end; joins && closed && !late {
					t.Fatalf("gap %d: an event at %d joins the session that ends at %d and is closed by %d", gap, b, end, bound)
				}
			}
			// The bound is tight: an event at the very end joins until then.
			if s.End(end) <= s.Closes(end)-1 {
				t.Fatalf("gap %d: an event at the end %d is late before the session closes", gap, end)
			}
		}
	}
}

func TestSessionRange(t *testing.T) {
	s := NewSession(second)
	for _, c := range []struct {
		at int64
		ok bool
	}{{minTimestamp - 1, false}, {minTimestamp, true}, {0, true}, {endTimestamp - second - 1, true}, {endTimestamp - second, false}, {endTimestamp, false}} {
		if start, ok := s.Start(c.at); ok != c.ok || ok && (start != c.at || s.End(start) != c.at+second) {
			t.Errorf("%d: start %d, %t", c.at, start, ok)
		}
	}
	long := NewSession(endTimestamp)
	if end := long.Closes(long.End(endTimestamp - 1)); end != endOfTime {
		t.Errorf("closes at %d", end)
	}
	if _, ok := long.Start(0); ok {
		t.Error("a session that ends beyond all times has a start")
	}
	if got := NewSession(1800 * second).String(); got != "sessions with gaps of at most 30 minutes" {
		t.Error(got)
	}
}
