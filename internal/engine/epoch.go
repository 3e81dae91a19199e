package engine

import (
	"math"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/failpoint"
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
	limit    int64 // of the commit's rows
	waiting  bool  // the commit before has left windows or rows to be gone on with
	lookups  []LookupVersion
	// lookupChanges are versions that no commit has told of.
	lookupChanges []LookupChange
	repeats       []RepeatBlob
	replays       *replayTaken // nil: none
	holding       bool         // recorded replays are ahead: nothing is forgotten that they may need
}

// build merges an epoch into the views' state and gives the commit, of about
// limit rows.
func build(views []*viewOwner, e *epoch) *Commit {
	c := &Commit{Seq: e.seq, At: e.at, Progress: e.progress, Pinned: e.pinned, Lookups: e.lookups, LookupChanges: e.lookupChanges, Repeats: e.repeats,
		DropState: map[ViewID]int64{}, Forget: map[ViewID]WindowPlace{}}
	for _, part := range e.partials {
		c.Refused = append(c.Refused, part.refused...)
		c.Late = append(c.Late, part.late...)
	}
	if t := e.replays; t != nil {
		c.Replays = t.outcomes
		c.Refused, c.Late = append(c.Refused, t.refused...), append(c.Late, t.late...)
	}
	changes, written := merge(views, e)
	left := roomLeft(e.limit, written, e.waiting)
	room := closingRoom(views, left)
	for id, o := range views {
		closed := o.close(room[id])
		left -= int64(len(closed.groups))
		o.apply(c, e.seq, &changes[id], closed)
		o.publish()
	}
	room = expiryRoom(views, changes, left)
	for id, o := range views {
		table := TableChange{View: ViewID(id), Upserts: changes[id].upserts, New: changes[id].fresh, Deletes: changes[id].deletes, ExpireBefore: column.NegativeInfinity}
		if room[id] > 0 {
			table.ExpireBefore, table.ExpireLimit = o.expired, room[id]
			o.expiring = false // until the store says that there are more
		}
		if rowsOf(table.Upserts) > 0 || rowsOf(table.Deletes) > 0 || table.ExpireBefore != column.NegativeInfinity {
			c.Tables = append(c.Tables, table)
		}
		c.Errors = append(c.Errors, changes[id].errors...)
		c.Views = append(c.Views, o.progress(e, &changes[id]))
	}
	return c
}

// merge brings the views' state up to the epoch's end, and counts the rows
// that change by that.
func merge(views []*viewOwner, e *epoch) (changes []change, written int64) {
	changes = make([]change, len(views))
	for id, o := range views {
		o.time, o.holding = e.times[id], e.holding
		if e.replays != nil {
			o.reopened = e.replays.reopened[o.id]
		}
		ch := &changes[id]
		if o.groups == nil {
			ch.upserts = o.rows(e.partials)
			written += rowsOf(ch.upserts)
			continue
		}
		ch.groups = o.merge(e.seq, e.partials)
		if !o.plan.Final {
			written += int64(len(ch.groups))
			if o.session != nil {
				written += int64(len(o.session.before))
			}
		}
	}
	return changes, written
}

// apply computes the rows of a view and writes its state.
func (o *viewOwner) apply(c *Commit, seq int64, ch *change, closed portion) {
	if o.groups == nil {
		return
	}
	emitted := ch.groups
	if o.plan.Final {
		emitted = append(closed.groups, o.corrections(ch.groups)...)
	}
	if o.session != nil && o.session.ttl {
		emitted = o.lastOfKeys(emitted)
	}
	if len(emitted) > 0 {
		o.emit(ch, emitted)
	}
	if o.session != nil {
		o.retract(ch)
	}
	blobs, dropBelow := o.write(seq, ch.groups)
	c.State = append(c.State, blobs...)
	if dropBelow > 0 {
		c.DropState[o.id] = dropBelow
	}
	o.correct(c)
	o.keep(c, closed.pieces)
	for _, w := range closed.finished {
		o.groups.Drop(w.Start)
	}
	if o.session != nil {
		o.forget(closed.sessions)
	}
	if o.closing.waiting {
		failpoint.Hit("closing.portion")
	}
}

// progress is what the commit says of a view.
func (o *viewOwner) progress(e *epoch, ch *change) ViewProgress {
	p := ViewProgress{
		View: o.id, Watermark: o.shown.watermark, Floor: o.shown.floor, FinalBefore: o.shown.finalBefore,
		Forgotten: o.forgotten, Decided: o.time.watermark, Closed: o.closing.upTo, ClosedGroups: o.closing.done, Expiring: o.expiring,
		RowsOut: rowsOf(ch.upserts) + rowsOf(ch.deletes),
	}
	for _, part := range e.partials {
		if part.takes != nil {
			continue
		}
		for _, n := range part.views[o.id].counts {
			p.Inputs = append(p.Inputs, *n)
		}
	}
	if o.groups != nil {
		p.OpenGroups = o.groups.Len()
		p.OpenWindows = o.openWindows()
	}
	return p
}

func rowsOf(b *column.Batch) int64 {
	if b == nil {
		return 0
	}
	return int64(b.N)
}

// expiryGrain is the part of the retention by which rows may outstay it: the
// cutoff moves in steps, so that not every commit looks for old rows.
const expiryGrain = 100

// expires tells whether rows of the view may be due to go, and moves the
// cutoff on.
func (o *viewOwner) expires(rows bool) bool {
	retention := o.plan.Retention.Microseconds()
	if retention == 0 || o.shown.finalBefore == column.NegativeInfinity {
		return false
	}
	step := max(retention/expiryGrain, int64(time.Second/time.Microsecond))
	cutoff := less(o.shown.finalBefore, retention)
	if cutoff == column.NegativeInfinity {
		return false
	}
	cutoff = floorTo(cutoff, step)
	if cutoff == o.expired && !o.expiring && !(rows && o.plan.Mode != plan.Grouped) {
		return false
	}
	o.expired, o.expiring = cutoff, true
	return true
}

// expiryRoom gives for each view how many rows may expire: at least one, so
// that it is found out whether there are any.
func expiryRoom(views []*viewOwner, changes []change, left int64) []int64 {
	needs := make([]int64, len(views))
	for id, o := range views {
		if o.expires(rowsOf(changes[id].upserts) > 0) {
			needs[id] = math.MaxInt64
		}
	}
	room := divide(max(left, 0), needs)
	for id := range room {
		if needs[id] > 0 {
			room[id] = max(room[id], 1)
		}
	}
	return room
}

func floorTo(t, step int64) int64 {
	r := t % step
	if r < 0 {
		r += step
	}
	return t - r
}
