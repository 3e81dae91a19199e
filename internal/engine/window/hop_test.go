package window

import (
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
)

// TestHopPanes compares panes with a definition that looks at each window on
// its own.
func TestHopPanes(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct{ slide, size int64 }{
		{10 * second, 60 * second}, {10 * second, 10 * second}, {7 * second, 60 * second}, {7 * second, 10 * second}, {MinSlide, MinSlide * MaxOverlap},
	} {
		h, err := NewHop(c.slide, c.size)
		if err != nil {
			t.Fatal(err)
		}
		type key struct{ first, last int64 }
		numbers := map[int64]key{}
		for range 3000 {
			at := random.Int64N(1<<40) - 1<<39
			bound := at + random.Int64N(3*c.size) - c.size - c.size/2
			var windows, late []int64
			for start := floorDiv(at-column.UnixEpochMicros, c.slide)*c.slide + column.UnixEpochMicros; start > at-c.size; start -= c.slide {
				windows = append(windows, start)
				if start+c.size <= bound {
					late = append(late, start)
				}
			}
			slices.Reverse(windows)
			p, ok := h.Pane(at)
			if !ok || at < p.From || at >= p.Until || p.First != windows[0] || p.Last != windows[len(windows)-1] || h.Count(p) != len(windows) {
				t.Fatalf("%s: %d is in %v, the pane says %+v", h, at, windows, p)
			}
			for _, other := range []int64{p.From, p.Until - 1} {
				if q, _ := h.Pane(other); q != p {
					t.Fatalf("%s: %d is in %+v, and %d is not", h, at, p, other)
				}
			}
			if q, _ := h.Pane(p.Until); q == p {
				t.Fatalf("%s: %d is after %+v, and in it", h, p.Until, p)
			}
			if n := h.Late(p, bound); n != len(late) {
				t.Fatalf("%s: %d windows of %d are late for %d, want %d", h, n, at, bound, len(late))
			}
			if len(late) == len(windows) {
				continue
			}
			number := h.Number(p, len(late))
			first, last := h.Windows(number)
			if first != windows[len(late)] || last != p.Last {
				t.Fatalf("%s: pane %d has windows %d to %d, want %v", h, number, first, last, windows[len(late):])
			}
			if had, there := numbers[number]; there && had != (key{first, last}) {
				t.Fatalf("%s: number %d is of %v and of %d to %d", h, number, had, first, last)
			}
			numbers[number] = key{first, last}
		}
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

func TestHopRefused(t *testing.T) {
	for _, c := range []struct {
		slide, size int64
		message     string
	}{
		{MinSlide - 1, second, "more often"},
		{10 * second, 5 * second, "leave gaps"},
		{second, 3600 * second, "in 3600 windows, more than 1440"},
	} {
		if _, err := NewHop(c.slide, c.size); err == nil || !strings.Contains(err.Error(), c.message) {
			t.Errorf("every %d, %d long: %v, want %q", c.slide, c.size, err, c.message)
		}
	}
}

func TestHopOutOfRange(t *testing.T) {
	h, _ := NewHop(60*second, 3600*second)
	if _, ok := h.Pane(minTimestamp + 60*second); ok {
		t.Error("the pane's first window begins before the first timestamp")
	}
	if _, ok := h.Pane(minTimestamp + 2*3600*second); !ok {
		t.Error("the pane's windows are in range")
	}
	if _, ok := h.Start(endTimestamp); ok {
		t.Error("a time out of range has a window")
	}
}

func TestFirst(t *testing.T) {
	h, _ := NewHop(60*second, 3600*second)
	if start, ok := First(h, 0); !ok || start != 60*second-3600*second {
		t.Errorf("first window of a hop: %d, %t", start, ok)
	}
	if start, ok := First(Tumble(60*second), 61*second); !ok || start != 60*second {
		t.Errorf("first window of a tumble: %d, %t", start, ok)
	}
	if Overlap(h) != 60 || Overlap(Tumble(second)) != 1 {
		t.Errorf("overlaps %d, %d", Overlap(h), Overlap(Tumble(second)))
	}
}
