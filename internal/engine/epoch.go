package engine

import (
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/plan"
)

// epoch is what the run loop hands to the committer: the workers' partials
// and what was decided at the epoch's end. Nobody else touches it.
type epoch struct {
	seq      int64
	at       time.Time
	partials []*partial
	progress []PartitionProgress
	times    []viewTime // by ViewID
	pinned   bool
}

// build merges an epoch into the views' state and gives the commit.
func build(views []*viewOwner, e *epoch) *Commit {
	c := &Commit{Seq: e.seq, At: e.at, Progress: e.progress, Pinned: e.pinned, DropState: map[ViewID]int64{}}
	for _, part := range e.partials {
		c.Refused = append(c.Refused, part.refused...)
		c.Late = append(c.Late, part.late...)
	}
	for id, o := range views {
		progress := ViewProgress{View: ViewID(id)}
		for _, part := range e.partials {
			for _, n := range part.views[id].counts {
				progress.Inputs = append(progress.Inputs, *n)
			}
		}
		o.time = e.times[id]
		progress.Watermark, progress.Floor, progress.FinalBefore = o.time.watermark, o.time.floor, o.time.finalBefore
		change := o.apply(c, e)
		table := TableChange{View: ViewID(id), Upserts: change.upserts, Deletes: change.deletes}
		table.ExpireBefore = o.expiry(change.upserts != nil && change.upserts.N > 0)
		if table.Upserts != nil && table.Upserts.N > 0 {
			progress.RowsOut += int64(table.Upserts.N)
		} else {
			table.Upserts = nil
		}
		if table.Deletes != nil {
			progress.RowsOut += int64(table.Deletes.N)
		}
		if table.Upserts != nil || table.Deletes != nil || table.ExpireBefore != column.NegativeInfinity {
			c.Tables = append(c.Tables, table)
		}
		c.Errors = append(c.Errors, change.errors...)
		if o.groups != nil {
			progress.OpenGroups = o.groups.Len()
			if o.plan.Window != nil {
				progress.OpenWindows = int64(len(o.groups.Windows))
			}
		}
		c.Views = append(c.Views, progress)
	}
	return c
}

// apply brings a view's state and rows up to the epoch's end.
func (o *viewOwner) apply(c *Commit, e *epoch) change {
	if o.groups == nil {
		return change{upserts: o.rows(e.partials)}
	}
	changed := o.merge(e.seq, e.partials)
	emitted := changed
	closing := o.closable(o.time.floor)
	if o.plan.Final {
		emitted = all(closing)
	}
	var out change
	if len(emitted) > 0 {
		out = o.emit(emitted)
	}
	blobs, dropBelow := o.write(e.seq, changed)
	c.State = append(c.State, blobs...)
	if dropBelow > 0 {
		c.DropState[o.id] = dropBelow
	}
	for _, w := range closing {
		o.groups.Drop(w.Start)
	}
	return out
}

// expiryGrain is the part of the retention by which rows may outstay it: the
// cutoff moves in steps, so that not every commit looks for old rows.
const expiryGrain = 100

// expiry gives the cutoff of this commit, NegativeInfinity when nothing can
// have come to be old since the last.
func (o *viewOwner) expiry(rows bool) int64 {
	retention := o.plan.Retention.Microseconds()
	if retention == 0 || o.time.finalBefore == column.NegativeInfinity {
		return column.NegativeInfinity
	}
	step := max(retention/expiryGrain, int64(time.Second/time.Microsecond))
	cutoff := less(o.time.finalBefore, retention)
	if cutoff == column.NegativeInfinity {
		return cutoff
	}
	cutoff = floorTo(cutoff, step)
	if cutoff == o.expired && !(rows && o.plan.Mode != plan.Grouped) {
		return column.NegativeInfinity
	}
	o.expired = cutoff
	return cutoff
}

func floorTo(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}
