package engine

import (
	"cmp"
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/state"
)

// Windows at or before a view's floor take no more rows. Closing them may be
// more than one commit should hold: each commit closes a portion of their
// groups, the earliest window first and within it in key order, and the rest
// comes with the commits after it, which are made without new input.
//
// What is closed stands in each commit: up to which end all windows are, and
// how many groups of the next. A window that is being closed does not change,
// so its key order doesn't either, and another engine goes on with the group
// that follows. Until a window's last group is closed, it keeps its whole
// state, and what is published of the view's time stays before its end.

// closing is how far a view has come in closing its windows.
type closing struct {
	upTo    int64         // windows that end at or before it are wholly closed
	done    int64         // groups of the window after it that are closed, in key order
	window  *state.Window // the one whose order is known; nil if none is under way
	order   []touched     // its groups in key order
	waiting bool          // windows at or before the floor are not wholly closed
	excess  int64         // groups that wait in other windows than the first
}

// portion is what one commit closes of a view.
type portion struct {
	groups   []touched
	pieces   []piece
	finished []*state.Window
	sessions []touched // likewise finished
}

// piece is a portion's share of one window.
type piece struct {
	window *state.Window
	first  int64 // groups of the window that earlier commits have closed
	groups []touched
}

// closesByGroup tells whether closing a window costs something for each of
// its groups: a row that is written now, accumulators that are kept.
func (o *viewOwner) closesByGroup() bool { return o.plan.Final || o.plan.Correctable > 0 }

// due is how many groups wait to be closed, 0 where closing costs nothing.
func (o *viewOwner) due() int64 {
	if o.groups == nil || o.plan.Window == nil || !o.closesByGroup() {
		return 0
	}
	if o.session != nil {
		o.enqueue(o.time.floor)
		return max(int64(len(o.session.queue))-o.closing.done, 0)
	}
	var n int64
	for _, w := range o.groups.Windows {
		if w.End <= o.time.floor {
			n += int64(w.Len())
		}
	}
	return max(n-o.closing.done, 0)
}

// close takes the next groups to be closed, at most limit.
func (o *viewOwner) close(limit int64) portion {
	var p portion
	if o.groups == nil || o.plan.Window == nil {
		return p
	}
	if o.session != nil {
		return o.closeSessions(limit)
	}
	c := &o.closing
	closable := o.closable(o.time.floor)
	for _, w := range closable {
		if !o.closesByGroup() {
			p.finished = append(p.finished, w)
			continue
		}
		n := min(int64(w.Len())-c.done, limit)
		if n <= 0 && c.done < int64(w.Len()) {
			break
		}
		limit -= n
		groups := o.next(w, n)
		p.groups = append(p.groups, groups...)
		p.pieces = append(p.pieces, piece{w, c.done, groups})
		if c.done += n; c.done < int64(w.Len()) {
			break
		}
		c.done, c.upTo, c.window, c.order = 0, w.End, nil, nil
		p.finished = append(p.finished, w)
	}
	o.remaining(closable[len(p.finished):])
	return p
}

// next gives n groups of a window after those that are closed. Where no rows
// are written, and none are left for later, any order does.
func (o *viewOwner) next(w *state.Window, n int64) []touched {
	c := &o.closing
	if !o.plan.Final && n == int64(w.Len()) {
		return all([]*state.Window{w})
	}
	if c.window != w {
		c.window, c.order = w, all([]*state.Window{w})
		o.sort(c.order)
	}
	return c.order[c.done : c.done+n]
}

// remaining notes what is left of the windows at or before the floor.
func (o *viewOwner) remaining(windows []*state.Window) {
	c := &o.closing
	c.waiting, c.excess = len(windows) > 0, 0
	if !c.waiting {
		c.upTo, c.done = max(c.upTo, o.time.floor), 0
		return
	}
	for _, w := range windows[1:] {
		c.excess += int64(w.Len())
	}
}

// publish says how far the view has come for those who read its table: before
// the end of a window whose rows are not all there.
func (o *viewOwner) publish() {
	shown := o.time
	if o.plan.Final && o.closing.waiting {
		shown.watermark = min(shown.watermark, o.firstClosing()-1)
		shown.finalBefore = less(o.closing.upTo, finalDelay(o.plan))
	}
	o.shown.watermark = max(o.shown.watermark, shown.watermark)
	o.shown.finalBefore = max(o.shown.finalBefore, shown.finalBefore)
	o.shown.floor = shown.floor
}

// firstClosing is the end of the first window that is not wholly closed, or
// when the first session closes.
func (o *viewOwner) firstClosing() int64 {
	if o.session != nil {
		return o.groups.Sessions.Closes(o.session.queue[0].group)
	}
	first := int64(column.Infinity)
	for _, w := range o.groups.Windows {
		first = min(first, w.End)
	}
	return first
}

// resume finds out what is left to be closed at a start.
func (o *viewOwner) resume() {
	switch {
	case o.groups == nil:
	case o.session != nil:
		for at := range o.ends(nil) {
			o.session.last = max(o.session.last, at)
		}
		o.enqueue(o.time.floor)
		o.sessionsLeft()
	default:
		o.remaining(o.closable(o.time.floor))
	}
}

// unfinished tells whether the view has work that a commit without new input
// goes on with.
func (o *viewOwner) unfinished() bool { return o.closing.waiting || o.expiring }

// closable gives the open windows that end at or before bound, in order.
func (o *viewOwner) closable(bound int64) []*state.Window {
	var out []*state.Window
	for _, w := range o.groups.Windows {
		if w.End <= bound {
			out = append(out, w)
		}
	}
	slices.SortFunc(out, func(a, b *state.Window) int {
		return cmp.Or(cmp.Compare(a.End, b.End), cmp.Compare(a.Start, b.Start))
	})
	return out
}

// all gives every group of windows.
func all(windows []*state.Window) []touched {
	var out []touched
	for _, w := range windows {
		for g := range uint32(w.Len()) {
			out = append(out, touched{w, g})
		}
	}
	return out
}
