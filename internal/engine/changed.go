package engine

import (
	"math/bits"
	"sync"
	"sync/atomic"

	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/plan"
)

// changedRows counts the result rows that the open epoch changes, while
// several workers work at it: a group that two of them have met counts once.
// Where the limit is high, it counts a sample of the groups, chosen by their
// hashes, so that counting costs next to nothing.
type changedRows struct {
	mask uint64 // of the bits of a hash that are zero for a group of the sample
	mu   sync.Mutex
	seen map[changedGroup]struct{}
	rows atomic.Int64 // of the groups seen
}

type changedGroup struct {
	view ViewID
	hash uint64
}

// sampleGroups is from how many groups of a full epoch on a sample is counted,
// which holds at least half as many: the estimate is off by 2 in a hundred.
const sampleGroups = 4096

func newChangedRows(limit int64) *changedRows {
	return &changedRows{mask: 1<<bits.Len64(uint64(limit/sampleGroups)) - 1, seen: map[changedGroup]struct{}{}}
}

// estimate is about how many rows there are.
func (c *changedRows) estimate() int64 { return c.rows.Load() * int64(c.mask+1) }

// clear begins another epoch. It is called when no chunk is under way.
func (c *changedRows) clear() {
	clear(c.seen)
	c.rows.Store(0)
}

// add counts the groups of a view from number from on, each of which makes as
// many rows.
func (c *changedRows) add(view ViewID, groups *state.Table, from int, rows int64) {
	for g := from; g < groups.Len(); g++ {
		hash := groups.HashOf(uint32(g))
		if hash&c.mask != 0 {
			continue
		}
		c.mu.Lock()
		if _, ok := c.seen[changedGroup{view, hash}]; !ok {
			c.seen[changedGroup{view, hash}] = struct{}{}
			c.rows.Add(rows)
		}
		c.mu.Unlock()
	}
}

// count looks at what a chunk has added to the worker's partial. Groups are
// counted for all workers together; the rows of views without groups are the
// worker's own. Rows of views with emit 'final' come when a window closes.
func (w *workerLoop) count() {
	var own int
	for id, v := range w.worker.part.views {
		var groups *state.Table
		rows := int64(1)
		switch view := w.views[id]; {
		case view.Mode == plan.Append:
			own += v.rows.n
			continue
		case view.Mode == plan.Latest:
			groups = v.rows.keys
		case view.Final:
			continue
		default:
			groups = v.groups.Table
			if view.Window != nil {
				rows = window.Overlap(view.Window.Assigner)
			}
		}
		w.changed.add(ViewID(id), groups, w.counted[id], rows)
		w.counted[id] = groups.Len()
	}
	w.rows.Store(int64(own))
}

// resultRows is about how many rows the open epoch changes.
func (r *run) resultRows() int64 {
	n := r.changed.estimate()
	for _, w := range r.workers {
		n += w.rows.Load()
	}
	return n
}
