package engine

import (
	"cmp"
	"slices"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/state"
)

// The states of an engine.
const (
	StateStarting = "starting"
	StateRunning  = "running"
	StateStopped  = "stopped"
	StateFailed   = "failed"
)

// Status is where the engine stands. It is renewed a few times a second and
// never changed once published.
type Status struct {
	State      string
	Err        error // of StateFailed
	At         time.Time
	Seq        int64
	Generation int64 // of this engine
	Partitions []PartitionStatus
	Views      []ViewStatus
	Lookups    []LookupStatus // by LookupID
}

// LookupStatus is a table that views join with.
type LookupStatus struct {
	Version int64 // that records meet
	Rows    int64
	// ChangedAt is when this version took over, or was loaded by this engine;
	// LookedAt when the table was last looked at with success, zero if it was
	// not yet, and Took how long that look took.
	ChangedAt, LookedAt time.Time
	Took                time.Duration
	Failures            int64 // looks that failed since the engine was started
	Err                 error // of the last look, nil if it succeeded
}

// PartitionStatus is a foreign table's place in one partition.
type PartitionStatus struct {
	Table     TableID
	Partition int32
	Next, End int64
	Watermark int64 // stored microseconds; column.NegativeInfinity for none
	Greatest  int64 // greatest event time seen, likewise
	LastRead  time.Time
	// GreatestAt is when the record with the greatest event time was read, zero
	// if there is none.
	GreatestAt time.Time
	// LastTimestamp is the record's own timestamp of the last one read.
	LastTimestamp time.Time
	IdleSince     time.Time // zero: not idle
	Paused        bool      // too far ahead of the others
}

// ViewStatus is a view's time and its open windows.
type ViewStatus struct {
	View                    ViewID
	Watermark, Floor        int64
	FinalBefore             int64
	OpenWindows, OpenGroups int64
	StateBytes              int64
	Windows                 []WindowStatus // the oldest, at most statusWindows
	// WaitsFor are the partitions that hold the watermark, as indexes into
	// Status.Partitions; empty when all are idle.
	WaitsFor []int
}

// WindowStatus is an open window.
type WindowStatus struct {
	Start, End int64
	Closes     int64 // the watermark that closes it: its end, and of a session the gap after it
	Groups     int
	Closed     bool // the watermark has passed it; late rows of quiet partitions may still correct it
}

// statusWindows is how many open windows a status lists.
const statusWindows = 50

// Workers is the number of goroutines that decode and aggregate.
func (e *Engine) Workers() int { return e.opts.Workers }

// Status gives where the engine stands.
func (e *Engine) Status() *Status { return e.status.Load() }

func (e *Engine) setState(state string, err error) {
	s := *e.status.Load()
	s.State, s.Err, s.At = state, err, e.opts.Clock.Now()
	e.status.Store(&s)
}

// publish renews the status. No chunk is under way, no commit being made.
func (r *run) publish() {
	s := r.newStatus()
	for id, o := range r.views {
		o.fill(&s.Views[id])
	}
	r.show(s)
}

// show publishes a status, nil for none.
func (r *run) show(s *Status) {
	if s == nil {
		return
	}
	r.statusAt, r.statusSeq = s.At, s.Seq
	r.engine.status.Store(s)
}

// noteEnds keeps how far the logs reach, as chunks tell it.
func (r *run) noteEnds(chunks []Chunk) {
	for i := range chunks {
		if c := &chunks[i]; c.End >= 0 {
			r.ends[c.Partition] = c.End
		}
	}
}

// showEnds renews of the published status how far the logs reach: while a
// commit waits for long, for a lock or for the database, lag grows, and nothing
// else of the status changes.
func (r *run) showEnds() {
	s := *r.engine.status.Load()
	s.At, s.Partitions = r.clock.Now(), slices.Clone(s.Partitions)
	for i := range s.Partitions {
		p := &s.Partitions[i]
		t := r.plan.Topics[p.Table]
		p.End = max(p.End, r.ends[Partition{TopicKey{t.Server, t.Topic}, p.Partition}])
	}
	clear(r.ends)
	r.statusAt = s.At
	r.engine.status.Store(&s)
}

// newStatus gives a status without what the views' state tells. No chunk is
// under way.
func (r *run) newStatus() *Status {
	s := &Status{State: StateRunning, At: r.clock.Now(), Seq: r.seq, Generation: r.generation}
	for _, p := range r.parts {
		ps := PartitionStatus{
			Table: p.table, Partition: p.partition, Next: p.committed, End: p.end, Watermark: p.watermark(),
			Greatest: p.greatest, LastRead: time.UnixMicro(p.lastRecord), LastTimestamp: time.UnixMicro(p.lastTimestamp), Paused: r.paused[r.key(p)],
		}
		if p.greatest != column.NegativeInfinity {
			ps.GreatestAt = time.UnixMicro(p.greatestAt)
		}
		if p.idleSince != 0 {
			ps.IdleSince = time.UnixMicro(p.idleSince)
		}
		s.Partitions = append(s.Partitions, ps)
	}
	for id := range r.views {
		s.Views = append(s.Views, ViewStatus{View: ViewID(id), WaitsFor: r.waitsFor(ViewID(id))})
	}
	s.Lookups = r.lookups.status()
	return s
}

// waitsFor gives the partitions that hold a view's watermark.
func (r *run) waitsFor(id ViewID) (holders []int) {
	least := int64(column.Infinity)
	for _, p := range r.inputs[id] {
		if p.idleSince == 0 {
			least = min(least, p.watermark())
		}
	}
	for _, p := range r.inputs[id] {
		if p.idleSince == 0 && p.watermark() == least {
			holders = append(holders, slices.Index(r.parts, p))
		}
	}
	return holders
}

// fill adds what the view's state tells.
func (o *viewOwner) fill(s *ViewStatus) {
	s.Watermark, s.Floor, s.FinalBefore = o.shown.watermark, o.shown.floor, o.shown.finalBefore
	if o.groups == nil {
		return
	}
	s.OpenGroups, s.StateBytes = o.groups.Len(), o.groups.Bytes()
	if o.plan.Window == nil || o.plan.Window.TTL {
		return
	}
	s.OpenWindows = o.openWindows()
	if o.session != nil {
		s.Windows = o.oldestSessions()
		return
	}
	s.Windows = oldest(o)
}

// openWindows is the number of windows, or sessions, that have state.
func (o *viewOwner) openWindows() int64 {
	switch {
	case o.plan.Window == nil || o.plan.Window.TTL:
		return 0
	case o.session != nil:
		return o.groups.Len()
	}
	return int64(len(o.groups.Windows))
}

func oldest(o *viewOwner) []WindowStatus {
	windows := make([]*state.Window, 0, len(o.groups.Windows))
	for _, w := range o.groups.Windows {
		windows = append(windows, w)
	}
	slices.SortFunc(windows, func(a, b *state.Window) int { return cmp.Compare(a.Start, b.Start) })
	var out []WindowStatus
	for _, w := range windows[:min(len(windows), statusWindows)] {
		out = append(out, WindowStatus{Start: w.Start, End: w.End, Closes: w.End, Groups: w.Len(), Closed: w.End <= o.time.watermark})
	}
	return out
}
