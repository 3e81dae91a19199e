package pipeline

import (
	"slices"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/serve"
)

// window tells of an open window, and what will close it.
func (p *Pipeline) window(s *engine.Status, v *engine.ViewStatus, w engine.WindowStatus) serve.WindowStatus {
	out := serve.WindowStatus{Start: *eventTime(w.Start), End: *eventTime(w.End), Groups: int64(w.Groups), State: "open", Reason: p.windowReason(s, v, w)}
	if w.Closed {
		out.State = "closed"
		return out
	}
	if len(v.WaitsFor) > 0 {
		t := p.Plan.Topics[s.Partitions[v.WaitsFor[0]].Table]
		needed := eventTime(w.Closes).Add(t.Watermark)
		out.NeedsEvent = &needed
	}
	if at, ok := closesQuietly(p.quiet(s, v.View), w.Closes); ok {
		out.ClosesAt = &at
	}
	return out
}

// quietPartition is what is to be known of a partition to tell how a view's
// watermark goes on when no more records come.
type quietPartition struct {
	watermark  int64
	greatestAt time.Time
	idleAt     time.Time // in the past when it is idle
	behind     bool      // it has records to read
}

// quiet gives the partitions that a view reads.
func (p *Pipeline) quiet(s *engine.Status, id engine.ViewID) (out []quietPartition) {
	for _, part := range s.Partitions {
		t := p.Plan.Topics[part.Table]
		if !slices.ContainsFunc(p.Plan.Views[id].Branches, func(b *plan.Branch) bool { return b.Topic == t }) {
			continue
		}
		q := quietPartition{watermark: part.Watermark, greatestAt: part.GreatestAt, idleAt: part.LastRead.Add(t.IdleAfter), behind: part.End > part.Next}
		if !part.IdleSince.IsZero() {
			q.idleAt = part.IdleSince
		}
		out = append(out, q)
	}
	return out
}

// closesQuietly tells when a view's watermark reaches a window's end if no
// more records come: one partition after the other counts as idle, and when
// all do, the watermark goes on with the clock from the greatest that was seen.
// It can't be told while a partition has records to read, nor if none was
// ever read.
func closesQuietly(parts []quietPartition, end int64) (at time.Time, ok bool) {
	slices.SortFunc(parts, func(a, b quietPartition) int { return a.idleAt.Compare(b.idleAt) })
	if slices.ContainsFunc(parts, func(q quietPartition) bool { return q.behind }) {
		return at, false
	}
	for i, q := range parts { // from here on, only those after i are active
		rest := parts[i+1:]
		reached := !slices.ContainsFunc(rest, func(q quietPartition) bool { return q.watermark < end })
		if len(rest) > 0 && reached {
			return q.idleAt, true
		}
	}
	for _, q := range parts {
		if q.watermark == column.NegativeInfinity {
			continue
		}
		by := q.greatestAt.Add(time.Duration(max(0, end-q.watermark)) * time.Microsecond)
		if !ok || by.Before(at) {
			at, ok = by, true
		}
	}
	if last := len(parts) - 1; ok && at.Before(parts[last].idleAt) {
		at = parts[last].idleAt
	}
	return at, ok
}
