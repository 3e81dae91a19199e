package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/failpoint"
)

// outcome is how a commit ended.
type outcome struct {
	report *Report
	status *Status // as of the commit, if it is due
	err    error
}

// maxUnwritten: while one commit is written the next is built, and no more
// would be of use.
const maxUnwritten = 2

// committing tells whether a commit is being made.
func (r *run) committing() bool { return r.building || r.unwritten > 0 }

// errNotWritten: the commit before was not written either.
var errNotWritten = errors.New("the commit before it was not written")

// dirty tells whether the open epoch has something to commit. An engine that
// is told to stop leaves what waits to the one that follows.
func (r *run) dirty() bool {
	return r.records > 0 || r.timeMoves || r.moved() || r.decided() || r.lookups.changed() || r.replays.taken != nil || r.waiting && !r.stopping
}

// decided tells whether the place of a recorded decision about time is reached.
func (r *run) decided() bool { return r.outstanding == 0 && r.obedience.timeReached(r.parts) }

// moved tells whether a partition's position has changed. It is asked only
// when no chunk is under way.
func (r *run) moved() bool {
	if r.outstanding > 0 {
		return false
	}
	for _, p := range r.parts {
		if p.next != p.committed || p.idleSince != p.wasIdle {
			return true
		}
	}
	return false
}

// sealNow tells whether the open epoch is to end as soon as the chunks under
// way are done.
func (r *run) sealNow() bool {
	if r.building || !r.dirty() {
		return false
	}
	if r.unwritten > 0 {
		return r.full() && r.ahead()
	}
	return r.stopping || r.full() || r.atTargets() || r.decided() || r.lookupsDue() || r.replaysDue() || r.replays.taken != nil || len(r.settling) > 0 || !r.clock.Now().Before(r.sealedAt.Add(r.engine.opts.CommitInterval))
}

// timeWaits tells whether a decision by time waits for the chunks under way.
func (r *run) timeWaits() bool { return r.timeDue && r.outstanding > 0 && !r.building }

// ahead tells whether an epoch may be sealed while the commit before it is
// written: not where what that finds out matters, or others wait for a moment
// at which nothing is under way.
func (r *run) ahead() bool {
	return r.unwritten < maxUnwritten && r.settled && !r.waiting && !r.stopping && len(r.settling) == 0 &&
		len(r.obedience.decisions) == 0 && !r.lookups.busy() && !r.replaysDue() && r.replays.taken == nil
}

// advance does what is due when no chunk is under way: looks at the clock,
// seals the epoch, answers requests. It tells whether it has sealed one.
func (r *run) advance(commitCtx, askCtx context.Context, built chan bool, outcomes chan outcome, answers chan []idleAnswer, checks chan bool) (sealed bool) {
	if r.outstanding > 0 || r.building {
		return false
	}
	if r.unwritten > 0 {
		if r.timeDue {
			r.timeDue = false
			r.lookAtClock(askCtx, answers, checks)
		}
		if sealed = r.sealNow(); sealed {
			r.seal(commitCtx, built, outcomes)
		}
		return sealed
	}
	// Before an epoch is sealed: under load, one follows the other.
	if r.clock.Now().Sub(r.statusAt) >= statusEvery {
		r.publish()
	}
	for {
		if r.timeDue {
			r.timeDue = false
			r.lookAtClock(askCtx, answers, checks)
		}
		if r.sealNow() {
			r.seal(commitCtx, built, outcomes)
			return true
		}
		if r.takeOver(askCtx) || r.takeReplays(askCtx) {
			continue
		}
		r.settle()
		if !r.timeDue {
			return false
		}
	}
}

// seal ends the open epoch and hands it to the committer.
func (r *run) seal(ctx context.Context, built chan<- bool, outcomes chan<- outcome) {
	now := r.clock.Now()
	e := &epoch{seq: r.seq + 1, at: now, limit: r.engine.opts.MaxCommitRows, waiting: r.waiting}
	for _, w := range r.workers {
		e.partials = append(e.partials, w.swap(r.unwritten > 0))
	}
	r.changed.clear()
	r.sealReplays(e)
	r.applyConfirmed()
	for id, o := range r.views {
		bound := int64(column.Infinity)
		if len(r.obedience.decisions) > 0 {
			bound = leastWatermark(r.inputs[id]) // beyond it, only what is recorded decides
		}
		e.times = append(e.times, decide(o.plan, o.time, r.inputs[id], now.UnixMicro(), bound, o.ends(e.partials)))
	}
	if r.decided() {
		for _, d := range r.obedience.take() {
			e.times[d.View] = e.times[d.View].obey(d, finalDelay(r.views[d.View].plan))
		}
	}
	for id, t := range e.times {
		if t.floor > r.views[id].time.floor && t.floor > leastWatermark(r.inputs[id]) {
			e.pinned = true
		}
	}
	r.lookups.seal(e)
	for _, p := range r.parts {
		if p.known && p.next == p.committed && p.idleSince == p.wasIdle {
			continue
		}
		p.known = true
		e.progress = append(e.progress, p.progress())
		p.committed, p.wasIdle = p.next, p.idleSince
	}
	e.repeats = r.takeRepeats(e.seq)
	r.floors = make([]int64, len(r.views))
	for id := range r.views {
		r.floors[id] = e.times[id].floor
	}
	records := r.records
	r.seq++
	r.records, r.bytes, r.timeMoves = 0, 0, false
	r.sealedAt = now
	r.lookups.swap()
	r.building = true
	r.unwritten++
	trace := r.tracing.seal(e.partials)
	r.balance()
	var status *Status
	if now.Sub(r.statusAt) >= statusEvery {
		status = r.newStatus()
	}
	go func() { outcomes <- r.commit(ctx, e, records, trace, status, built) }()
}

// commit builds an epoch's commit and writes it, once the one before it is
// written.
func (r *run) commit(ctx context.Context, e *epoch, records int64, trace *Trace, status *Status, built chan<- bool) outcome {
	commit := build(r.views, e)
	trace.merged()
	if status != nil {
		for id := range status.Views {
			r.views[id].fill(&status.Views[id])
		}
	}
	r.write.Lock()
	defer r.write.Unlock()
	built <- !slices.ContainsFunc(commit.Tables, func(t TableChange) bool { return t.ExpireBefore != column.NegativeInfinity })
	if r.failed {
		return outcome{err: errNotWritten}
	}
	began := time.Now()
	trace.writing()
	stats, err := r.engine.opts.Store.Commit(trace.context(ctx), commit)
	trace.ended()
	if err != nil {
		r.failed = true
		err = fmt.Errorf("commit %d: %w", commit.Seq, err)
	}
	failpoint.Hit("commit.not_yet_swapped")
	report := &Report{Commit: commit, Stats: stats, Duration: time.Since(began), Records: records, Trace: trace, BytesRead: make([]int64, len(r.plan.Topics))}
	for _, p := range e.partials {
		for id, n := range p.bytes {
			report.BytesRead[id] += n
		}
	}
	if trace != nil {
		r.tracing.tracer.End(report, err)
	}
	return outcome{report, status, err}
}

func (p *partition) progress() PartitionProgress {
	out := PartitionProgress{
		Table: p.table, Partition: p.partition, TopicID: p.topicID,
		From: p.committed, To: p.next, Lost: p.lostIn(p.committed, p.next), Watermark: p.watermark(),
		ReadAt: time.UnixMicro(p.lastRecord),
	}
	if p.greatest != column.NegativeInfinity {
		out.GreatestAt = time.UnixMicro(p.greatestAt)
	}
	if p.idleSince != 0 {
		out.IdleSince = time.UnixMicro(p.idleSince)
	}
	return out
}
