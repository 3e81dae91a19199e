package window

import "fmt"

// Session has windows that follow the events: a session is a run of events of
// one key of which each comes at most Gap after the one before. It begins with
// its first event and ends Gap after its last, so an event at that very end
// still belongs to it. Start and End are those of the session that an event
// has alone.
//
// An event that is accepted is less than Gap behind the bound by which events
// are late (see Closes), so a session can change until that bound is Gap past
// its end.
type Session struct{ gap int64 }

// NewSession gives sessions with gaps of at most gap microseconds, which is at
// least 1, between their events.
func NewSession(gap int64) *Session {
	if gap < 1 {
		panic(fmt.Sprintf("window: gap %d", gap))
	}
	return &Session{gap: gap}
}

// Gap is the longest time in microseconds between two events of a session
// that follow each other.
func (s *Session) Gap() int64 { return s.gap }

// Start gives the start of the session that an event at t has alone. It is
// false where that session's end is out of range.
func (s *Session) Start(t int64) (int64, bool) {
	return t, t >= minTimestamp && t < endTimestamp-s.gap
}

// End gives the end of a session whose last event is at last.
func (s *Session) End(last int64) int64 {
	if last > endOfTime-s.gap {
		return endOfTime
	}
	return last + s.gap
}

// Closes gives from when on a session that ends at end takes no more events:
// an event at t is late when t and the gap after it are at or before the bound,
// and joins the session when t is at or before end.
func (s *Session) Closes(end int64) int64 { return s.End(end) }

// Pane gives the number of a piece of time that is no longer than the gap:
// events of one key in it are of one session.
func (s *Session) Pane(t int64) int64 {
	n := t / s.gap
	if t%s.gap < 0 {
		n--
	}
	return n
}

func (s *Session) String() string { return "sessions with gaps of at most " + Duration(s.gap) }
