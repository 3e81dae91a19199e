package engine

import (
	"math"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/plan"
)

// IdleRetention is how long a partition must have been idle before windows
// that it has not reached give up their state: until then a row that wakes
// it still corrects them.
const IdleRetention = time.Hour

// viewTime is where a view stands in event time. It is decided once for each
// epoch, after its last record.
type viewTime struct {
	watermark   int64
	floor       int64
	finalBefore int64
}

var noTime = viewTime{column.NegativeInfinity, column.NegativeInfinity, column.NegativeInfinity}

// inputs gives the partitions that a view reads.
func inputs(v *plan.View, p *plan.Pipeline, parts []*partition) []*partition {
	wanted := map[TableID]bool{}
	for _, b := range v.Branches {
		for id, t := range p.Topics {
			if t == b.Topic {
				wanted[TableID(id)] = true
			}
		}
	}
	var out []*partition
	for _, part := range parts {
		if wanted[part.table] {
			out = append(out, part)
		}
	}
	return out
}

// viewWatermark is the least own watermark over the partitions that are not
// idle. When all are idle, it is the greatest event time seen, less the
// delay, plus the wall time passed since it was read: a quiet stream closes
// its last window.
func viewWatermark(parts []*partition, now int64) int64 {
	active := false
	least, greatest := int64(column.Infinity), int64(column.NegativeInfinity)
	for _, p := range parts {
		if p.idleSince == 0 {
			active = true
			least = min(least, p.watermark())
			continue
		}
		if w := p.watermark(); w != column.NegativeInfinity {
			greatest = max(greatest, w+max(0, now-p.greatestAt))
		}
	}
	if active {
		return least
	}
	return greatest
}

// leastWatermark is the least own watermark of all partitions, idle or not.
func leastWatermark(parts []*partition) int64 {
	if len(parts) == 0 {
		return column.NegativeInfinity
	}
	least := int64(column.Infinity)
	for _, p := range parts {
		least = min(least, p.watermark())
	}
	return least
}

// releasable is up to where windows may give up their state: every
// partition's own watermark has passed it, or has been idle for
// IdleRetention.
func releasable(parts []*partition, watermark, now int64) int64 {
	least := watermark
	for _, p := range parts {
		if p.idleSince != 0 && now-p.idleSince >= IdleRetention.Microseconds() {
			continue
		}
		least = min(least, p.watermark())
	}
	return least
}

// decide moves a view's time on. ends are when the windows that hold accepted
// rows close; now is wall time in microseconds since 1970; the floor does
// not rise beyond limit.
func decide(v *plan.View, before viewTime, parts []*partition, now, limit int64, ends func(yield func(end int64) bool)) viewTime {
	t := before
	t.watermark = max(t.watermark, viewWatermark(parts, now))
	bound := t.watermark
	if !v.Final {
		bound = releasable(parts, t.watermark, now)
	}
	bound = min(bound, limit)
	if v.Window != nil {
		t.floor = max(t.floor, floorBelow(v, bound, ends))
	}
	t.finalBefore = max(t.finalBefore, less(t.floor, finalDelay(v)))
	if !v.Final {
		t.finalBefore = max(t.finalBefore, less(leastWatermark(parts), finalDelay(v)))
	}
	return t
}

// floorBelow gives how far a floor may come: to the last window that closes by
// bound. When sessions close depends on what they are joined to, so there it is
// the bound itself, though not beyond the last of them.
func floorBelow(v *plan.View, bound int64, ends func(yield func(end int64) bool)) int64 {
	floor, last := int64(column.NegativeInfinity), int64(column.NegativeInfinity)
	for end := range ends {
		last = max(last, end)
		if end <= bound {
			floor = max(floor, end)
		}
	}
	if finalDelay(v) > 0 {
		return min(bound, last)
	}
	return floor
}

// finalDelay is how long after its end a window closes: a session may still
// grow for the length of its gap.
func finalDelay(v *plan.View) int64 {
	if v.Window != nil {
		if s, ok := v.Window.Assigner.(*window.Session); ok {
			return s.Gap()
		}
	}
	return 0
}

// nextDecision gives the earliest wall time, in microseconds since 1970, at
// which time alone can change what decide says; math.MaxInt64 for never. The
// clock was last looked at at lookedAt.
func nextDecision(v *plan.View, t viewTime, parts []*partition, lookedAt int64, idleAfter func(*partition) int64, ends func(yield func(end int64) bool)) int64 {
	next := int64(math.MaxInt64)
	allIdle := true
	for _, p := range parts {
		if p.idleSince == 0 {
			allIdle = false
			next = min(next, p.lastRecord+idleAfter(p))
		} else if !v.Final {
			if release := p.idleSince + IdleRetention.Microseconds(); release > lookedAt && p.watermark() < t.watermark {
				next = min(next, release)
			}
		}
	}
	if !allIdle || v.Window == nil {
		return next
	}
	// All idle: the watermark runs with the clock, and reaches each window's
	// end in its time.
	for end := range ends {
		if end <= t.watermark {
			continue
		}
		for _, p := range parts {
			if w := p.watermark(); w != column.NegativeInfinity {
				next = min(next, p.greatestAt+max(0, end-w))
			}
		}
	}
	return next
}
