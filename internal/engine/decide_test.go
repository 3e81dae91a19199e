package engine

import (
	"math"
	"slices"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/plan"
)

const (
	none   = int64(column.NegativeInfinity)
	second = int64(1_000_000)
)

// part is a partition that has seen an event at greatest seconds, with a delay
// of 10 s, idle since idle seconds of wall time (0: not), last read at second
// 100 of wall time.
func part(greatest, idle int64) *partition {
	p := &partition{delay: 10 * second, greatest: none, idleSince: idle * second, lastRecord: 100 * second, greatestAt: 100 * second}
	if greatest != 0 {
		p.greatest = greatest * second
	}
	return p
}

func TestDecide(t *testing.T) {
	type times struct{ watermark, floor, final int64 }
	n := none
	cases := []struct {
		name   string
		final  bool
		before times
		parts  []*partition
		now    int64 // seconds
		ends   []int64
		want   times
	}{
		{"nothing read", false, times{n, n, n}, []*partition{part(0, 0)}, 100, nil, times{n, n, n}},
		{"least of the partitions", false, times{n, n, n}, []*partition{part(100, 0), part(50, 0)}, 100, nil, times{40, n, 40}},
		{"an empty partition holds", false, times{n, n, n}, []*partition{part(100, 0), part(0, 0)}, 100, []int64{60}, times{n, n, n}},
		{"an idle one does not", false, times{n, n, n}, []*partition{part(100, 0), part(50, 100)}, 100, []int64{60}, times{90, n, 40}},
		{"its window keeps its state for an hour", false, times{90, n, 40}, []*partition{part(100, 0), part(50, 100)}, 100 + 3599, []int64{60}, times{90, n, 40}},
		{"and no longer", false, times{90, n, 40}, []*partition{part(100, 0), part(50, 100)}, 100 + 3600, []int64{60, 95}, times{90, 60, 60}},
		{"final closes at the watermark", true, times{n, n, n}, []*partition{part(100, 0), part(50, 100)}, 100, []int64{60, 90, 91}, times{90, 90, 90}},
		{"the floor stops at the last window with rows", true, times{n, n, n}, []*partition{part(100, 0)}, 100, []int64{60}, times{90, 60, 60}},
		{"all idle: the clock moves it", false, times{90, n, n}, []*partition{part(100, 130)}, 160, []int64{100, 150}, times{150, n, 90}},
		{"all idle, final", true, times{90, n, n}, []*partition{part(100, 130)}, 160, []int64{100, 150, 151}, times{150, 150, 150}},
		{"never back", false, times{90, 60, 60}, []*partition{part(50, 0)}, 100, nil, times{90, 60, 60}},
		{"all idle and nothing seen", true, times{n, n, n}, []*partition{part(0, 100)}, 200, nil, times{n, n, n}},
	}
	up := func(v int64) int64 {
		if v == none {
			return v
		}
		return v * second
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := &plan.View{Final: c.final, Window: &plan.Window{}}
			before := viewTime{up(c.before.watermark), up(c.before.floor), up(c.before.final)}
			ends := make([]int64, len(c.ends))
			for i, e := range c.ends {
				ends[i] = e * second
			}
			got := decide(v, before, c.parts, c.now*second, column.Infinity, slices.Values(ends))
			want := viewTime{up(c.want.watermark), up(c.want.floor), up(c.want.final)}
			if got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
}

func TestNextDecision(t *testing.T) {
	idleAfter := func(*partition) int64 { return 30 * second }
	cases := []struct {
		name     string
		final    bool
		at       int64 // the view's watermark, seconds
		parts    []*partition
		lookedAt int64
		ends     []int64
		want     int64 // seconds; 0 for never
	}{
		{"a partition may be idle", false, 90, []*partition{part(100, 0)}, 0, nil, 130},
		{"an idle one that is behind releases", false, 90, []*partition{part(50, 100), part(100, 0)}, 200, nil, 130},
		{"its hour", false, 90, []*partition{part(50, 100)}, 200, nil, 3700},
		{"not twice", false, 90, []*partition{part(50, 100)}, 3700, nil, 0},
		{"all idle: when the next window ends", true, 90, []*partition{part(100, 130)}, 130, []int64{80, 120}, 130},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			v := &plan.View{Final: c.final, Window: &plan.Window{}}
			ends := make([]int64, len(c.ends))
			for i, e := range c.ends {
				ends[i] = e * second
			}
			got := nextDecision(v, viewTime{watermark: c.at * second}, c.parts, c.lookedAt*second, idleAfter, slices.Values(ends))
			want := c.want * second
			if c.want == 0 {
				want = math.MaxInt64
			}
			if got != want {
				t.Errorf("got %d, want %d", got, want)
			}
		})
	}
}

func TestIdleRetentionIsAnHour(t *testing.T) {
	if IdleRetention != time.Hour {
		t.Error("docs and the tests above say an hour")
	}
}
