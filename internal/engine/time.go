package engine

import (
	"context"
	"math"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
)

// lookAtClock does what the clock decides: counts quiet partitions as idle
// once the log confirms that they are at their ends, and finds out whether a
// window closes by time alone. No chunk is under way, no commit being made.
func (r *run) lookAtClock(ctx context.Context, answers chan []idleAnswer, checks chan bool) {
	now := r.clock.Now()
	micros := now.UnixMicro()
	if !r.clockDecides() {
		return
	}
	r.lookedAt = micros
	r.applyConfirmed()
	if quiet := r.quiet(micros); len(quiet) > 0 && !r.asking {
		r.asking = true
		go r.ask(ctx, quiet, answers)
	}
	for id, o := range r.views {
		t := decide(o.plan, o.time, r.inputs[id], micros, column.Infinity, o.ends(nil))
		r.timeMoves = r.timeMoves || t.floor != o.time.floor || passes(o, t)
	}
	if now.Sub(r.topicsAt) >= topicCheck {
		r.topicsAt = now
		go r.checkTopics(ctx, checks)
	}
}

// passes tells whether a window closes between the time that was decided
// last and t.
func passes(o *viewOwner, t viewTime) bool {
	for end := range o.ends(nil) {
		if end > o.time.watermark && end <= t.watermark {
			return true
		}
	}
	return false
}

// clockDecides tells whether time alone may decide anything: not while
// reading until the end, nor before the last recorded decision.
func (r *run) clockDecides() bool {
	return !r.engine.opts.UntilEnd && len(r.obedience.decisions) == 0
}

func (r *run) idleAfter(p *partition) int64 {
	return r.plan.Topics[p.table].IdleAfter.Microseconds()
}

// quiet gives the partitions that may be idle, as questions.
func (r *run) quiet(now int64) []idleAnswer {
	var out []idleAnswer
	for _, p := range r.parts {
		if p.idleSince == 0 && now-p.lastRecord >= r.idleAfter(p) && !r.paused[r.key(p)] {
			out = append(out, idleAnswer{part: p, key: r.key(p), lastRecord: p.lastRecord, at: now})
		}
	}
	return out
}

// askTimeout bounds a question about the log's ends.
const askTimeout = 5 * time.Second

// ask finds out where the logs of quiet partitions end.
func (r *run) ask(ctx context.Context, quiet []idleAnswer, answers chan<- []idleAnswer) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	keys := make([]Partition, len(quiet))
	for i := range quiet {
		keys[i] = quiet[i].key
	}
	offsets, err := r.source.Offsets(ctx, keys)
	for i := range quiet {
		quiet[i].failed = err != nil
		quiet[i].end = offsets[quiet[i].key].End
	}
	answers <- quiet
}

// applyConfirmed counts partitions as idle that the log says are at their
// ends, unless a record has come since they were asked about.
func (r *run) applyConfirmed() {
	for _, a := range r.confirmed {
		p := a.part
		if a.failed || p.lastRecord != a.lastRecord || p.idleSince != 0 {
			continue
		}
		p.end = max(p.end, a.end)
		if a.end == p.next {
			p.idleSince = a.at
		}
	}
	r.confirmed = nil
}

func (r *run) checkTopics(ctx context.Context, checks chan<- bool) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	wanted := map[TopicKey]int{}
	for key := range r.topics {
		wanted[key] = 0
	}
	now, err := r.source.Describe(ctx, wanted)
	if err != nil {
		return
	}
	more := false
	for key, info := range now {
		more = more || info.Partitions > r.topics[key].Partitions
	}
	select {
	case checks <- more:
	default:
	}
}

// timer gives a channel that fires when the clock has something to decide or
// the open epoch may be sealed.
func (r *run) timer() (<-chan time.Time, func()) {
	now := r.clock.Now()
	wait := time.Duration(math.MaxInt64)
	if !r.committing() && r.dirty() {
		wait = min(wait, r.sealedAt.Add(r.engine.opts.CommitInterval).Sub(now))
	}
	if !r.building && r.outstanding == 0 && r.clockDecides() {
		micros := now.UnixMicro()
		next := int64(math.MaxInt64)
		for id, o := range r.views {
			next = min(next, nextDecision(o.plan, o.time, r.inputs[id], r.lookedAt, r.idleAfter, o.ends(nil)))
		}
		if next <= r.lookedAt {
			// It was looked at and did not come about: a quiet partition that
			// is paused, not at its end, or could not be asked.
			next = r.lookedAt + recheck.Microseconds()
		}
		if next != math.MaxInt64 && !r.asking {
			wait = min(wait, time.Duration(next-micros)*time.Microsecond)
		}
		wait = min(wait, r.topicsAt.Add(topicCheck).Sub(now))
	}
	if next := r.lookups.nextLook(); !next.IsZero() && len(r.obedience.decisions) == 0 && !r.stopping {
		wait = min(wait, next.Sub(now))
	}
	wait = min(wait, r.replayWait(now))
	if wait == math.MaxInt64 {
		return nil, func() {}
	}
	return r.clock.NewTimer(max(wait, 0))
}

// statusTimer gives a channel that fires when a status that a commit has
// made old, or records that came while one is made, is due to be renewed, though
// nothing else happens.
func (r *run) statusTimer() (<-chan time.Time, func()) {
	if r.committing() {
		if len(r.ends) == 0 {
			return nil, func() {}
		}
	} else if r.outstanding > 0 || r.statusSeq == r.seq {
		return nil, func() {}
	}
	return r.clock.NewTimer(max(r.statusAt.Add(statusEvery).Sub(r.clock.Now()), 0))
}

// beginSettle finds out what a request has to wait for.
func (r *run) beginSettle(ctx context.Context, req *settleRequest) {
	keys := make([]Partition, 0, len(r.byPartition))
	for k := range r.byPartition {
		keys = append(keys, k)
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	offsets, err := r.source.Offsets(ctx, keys)
	if err != nil {
		req.err = err
		close(req.done)
		return
	}
	req.targets = map[Partition]int64{}
	for k, o := range offsets {
		req.targets[k] = o.End
	}
	r.settling = append(r.settling, req)
}

// settle answers the requests whose wait is over. No chunk is under way, no
// commit being made, nothing left to commit.
func (r *run) settle() {
	if r.dirty() || len(r.backlog) > 0 || r.asking || r.lookups.busy() || r.replays.busy() || r.obedience.replaysNext(r.parts) != nil || len(r.settling) == 0 {
		return
	}
	var waiting []*settleRequest
	for _, req := range r.settling {
		switch {
		case !r.reached(req):
			waiting = append(waiting, req)
		case !req.checked:
			req.checked = true
			r.timeDue = true
			r.replays.wanted = r.replays.reader != nil
			waiting = append(waiting, req)
		default:
			r.publish()
			close(req.done)
		}
	}
	r.settling = waiting
}

func (r *run) reached(req *settleRequest) bool {
	for _, p := range r.parts {
		if p.committed < req.targets[r.key(p)] {
			return false
		}
	}
	return true
}
