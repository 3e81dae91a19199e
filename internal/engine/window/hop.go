package window

import "fmt"

// MaxOverlap is in how many windows of a Hop a time may be: a day that moves
// on by the minute. A group is kept for each of them.
const MaxOverlap = 1440

// MinSlide is the least step of a Hop in microseconds. A pane's number is a
// time with the number of its windows that are left out added to it, so a
// step must be longer than MaxOverlap.
const MinSlide = 10_000

// Hop has windows of one length that begin every slide and overlap. They
// align to 1970-01-01. Start is that of the last window that holds a time.
//
// Times that are in the same windows are of one pane. A row is added to its
// pane, and panes to their windows, so that a row costs the same however many
// windows it is in. A row that is late for its first windows is of a pane that
// leaves them out.
type Hop struct {
	grid    *Fixed // the starts
	size    int64
	overlap int64 // the most windows that a time is in
}

// Pane is the times from From up to Until, which are in the windows that
// begin at First, a slide later, and so on up to Last.
type Pane struct{ From, Until, First, Last int64 }

// NewHop gives windows of size microseconds every slide microseconds, or says
// why there are none.
func NewHop(slide, size int64) (*Hop, error) {
	switch {
	case slide < MinSlide:
		return nil, fmt.Errorf("a window every %s is more often than every %s", Duration(slide), Duration(MinSlide))
	case size < slide:
		return nil, fmt.Errorf("windows of %s every %s leave gaps, and rows in a gap are of no window", Duration(size), Duration(slide))
	case (size-1)/slide+1 > MaxOverlap:
		return nil, fmt.Errorf("a row would be in %d windows, more than %d", (size-1)/slide+1, MaxOverlap)
	}
	return &Hop{grid: Tumble(slide), size: size, overlap: (size-1)/slide + 1}, nil
}

// Size is the length of each window in microseconds.
func (h *Hop) Size() int64 { return h.size }

// Slide is how far a window begins after the one before.
func (h *Hop) Slide() int64 { return h.grid.size }

// Overlap is the most windows that a time is in.
func (h *Hop) Overlap() int64 { return h.overlap }

// Start gives the start of the last window that holds t. It is false where
// one of t's windows is out of range.
func (h *Hop) Start(t int64) (int64, bool) {
	p, ok := h.Pane(t)
	return p.Last, ok
}

// End gives the end of the window that begins at start.
func (h *Hop) End(start int64) int64 {
	if start > endOfTime-h.size {
		return endOfTime
	}
	return start + h.size
}

// Pane gives the pane of t. It is false where a window of it is out of range.
func (h *Hop) Pane(t int64) (Pane, bool) {
	last, ok := h.grid.Start(t)
	p := Pane{From: last, Until: h.grid.End(last), First: last - (h.overlap-1)*h.Slide(), Last: last}
	// The first of the windows ends within the slide unless the size is a
	// multiple of it.
	if end := last + h.size - (h.overlap-1)*h.Slide(); t < end {
		p.Until = min(p.Until, end)
	} else {
		p.From, p.First = end, p.First+h.Slide()
	}
	return p, ok && p.First >= minTimestamp
}

// Count is how many windows a pane is in.
func (h *Hop) Count(p Pane) int { return int((p.Last-p.First)/h.Slide()) + 1 }

// Late is how many windows of a pane end at or before bound.
func (h *Hop) Late(p Pane, bound int64) int {
	switch end := h.End(p.First); {
	case bound < end:
		return 0
	case bound >= h.End(p.Last):
		return h.Count(p)
	default:
		return int((bound-end)/h.Slide()) + 1
	}
}

// Number gives a number to a pane without its first windows, so many that
// some are left. Numbers of panes are different.
func (h *Hop) Number(p Pane, late int) int64 {
	return p.Last + h.overlap - int64(h.Count(p)-late)
}

// Windows gives the starts of the first and the last window of the pane with
// a number.
func (h *Hop) Windows(number int64) (first, last int64) {
	last, _ = h.grid.Start(number)
	return last - (h.overlap-1-(number-last))*h.Slide(), last
}

func (h *Hop) String() string {
	return Duration(h.size) + " every " + Duration(h.Slide()) + " from 1970-01-01"
}

// First gives the start of the first window of an assigner that holds t.
func First(a Assigner, t int64) (start int64, ok bool) {
	if h, overlaps := a.(*Hop); overlaps {
		p, ok := h.Pane(t)
		return p.First, ok
	}
	return a.Start(t)
}

// Overlap is in how many windows of an assigner a row may be.
func Overlap(a Assigner) int64 {
	if h, overlaps := a.(*Hop); overlaps {
		return h.Overlap()
	}
	return 1
}
