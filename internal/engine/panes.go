package engine

import (
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Where windows overlap, a worker adds each row to the group of its pane: the
// windows that it is in. At the end of an epoch the owner of the view's state
// merges panes into windows. So windows are like any other from there on:
// they are shown, closed, kept and restored one by one.

// assignPanes finds each row's pane, which leaves out the windows that the row
// is late for. A row that is late for all of its windows is taken out.
func (r *branchRun) assignPanes(times *column.Vector) {
	b := r.branch
	n := r.decoded.batch.N
	b.starts, b.ends = sized(b.starts, n), sized(b.ends, n)
	b.open = column.NegativeInfinity // none is known
	kept := b.sel[:0]
	for _, i := range b.sel {
		t, bound := times.Int[i], max(r.decoded.marks[i], r.floor)
		known := !times.Null[i] && t >= b.pane.From && t < b.pane.Until && bound < b.open
		if !known && !r.findPane(i, times, bound) {
			continue
		}
		b.starts[i], b.ends[i] = b.paneNumber, b.paneEnd
		kept = append(kept, i)
	}
	b.sel = kept
}

// findPane finds a row's pane; false where the row is of none: it is refused,
// or late for all windows.
func (r *branchRun) findPane(row int32, times *column.Vector, bound int64) bool {
	b := r.branch
	p, ok := b.hop.Pane(times.Int[row])
	if !ok || times.Null[row] {
		r.refuse(row, CauseExpression, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range"))
		return false
	}
	late := b.hop.Late(p, bound)
	if late > 0 {
		r.latePanes(row, p, late)
	}
	if late == b.hop.Count(p) {
		return false
	}
	b.pane, b.paneNumber, b.paneEnd, b.open = p, b.hop.Number(p, late), b.hop.End(p.Last), b.hop.End(p.First)
	return true
}

// latePanes notes the first windows of a row's pane, for which it is late.
func (r *branchRun) latePanes(row int32, p window.Pane, late int) {
	hop := r.branch.hop
	record := r.lateRow(row)
	if record.Accepted = late < hop.Count(p); !record.Accepted {
		r.counts.Late++
	}
	for k := range late {
		start := p.First + int64(k)*hop.Slide()
		r.late(record, start, hop.End(start))
	}
}

// windowsOf gives the starts of the first and the last window that a group of
// a partial is in: its own, or those of its pane.
func (o *viewOwner) windowsOf(start int64) (first, last int64) {
	if o.hop == nil {
		return start, start
	}
	return o.hop.Windows(start)
}

// ends gives when the windows that hold accepted rows close.
func (o *viewOwner) ends(partials []*partial) func(yield func(int64) bool) {
	return func(yield func(int64) bool) {
		if o.groups == nil || o.plan.Window == nil {
			return
		}
		if o.session != nil {
			o.sessionEnds(partials, yield)
			return
		}
		for _, w := range o.groups.Windows {
			if !yield(w.End) {
				return
			}
		}
		for _, p := range partials {
			for start, end := range p.views[o.id].groups.ends {
				first, last := o.windowsOf(start)
				for at := last; at >= first; at -= o.slide {
					if p.takes != nil && !slices.Contains(p.takes[o.id], at) {
						continue
					}
					if !yield(end - (last - at)) {
						return
					}
				}
			}
		}
	}
}
