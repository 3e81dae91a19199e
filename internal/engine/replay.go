package engine

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/failpoint"
)

const (
	// replayEvery is how often it is looked whether a replay is asked for: one
	// query of an index that is empty as a rule.
	replayEvery = time.Second
	// replayBatch is how many replays one commit takes. Each is judged while
	// nothing else goes on, in some tens of microseconds, and holds tables of
	// its own until the commit is built.
	replayBatch = 200
	// replayTimeout bounds the reading of a batch, and of each closed window
	// that it corrects: meanwhile nothing else goes on.
	replayTimeout = 10 * time.Second
)

// replays is what the run loop knows of replays. It belongs to the run loop;
// whether any is asked for is found out by a goroutine of its own.
//
// Replays are taken when the open epoch is empty and every commit before it is
// written: what the ledgers and the closed windows hold is then what this
// engine has written. The epoch's commit holds nothing but them, so that a
// build that follows can take them at the same positions.
type replays struct {
	reader  ReplayReader // nil: there are none
	worker  *worker
	next    time.Time // when to look again
	wanted  bool      // somebody waits for a look
	looking bool
	failed  bool         // the last look
	due     bool         // some are to be taken
	taken   *replayTaken // and wait for the epoch's end
	retryAt time.Time    // after a failure
	atEnd   bool         // a look that was begun at the ends has found none
	results chan replayLook
	readers sync.WaitGroup
}

type replayLook struct {
	found bool
	atEnd bool
	err   error
}

// replayTaken is a batch that was judged.
type replayTaken struct {
	outcomes []ReplayOutcome
	parts    []*partial
	refused  []Refused // by views that did not take a record that others took
	late     []LateRow
	reopened map[ViewID]map[int64]*reopened
}

func newReplays(e *Engine) *replays {
	return &replays{reader: e.opts.Replays, worker: newWorker(e.opts.Plan, e.opts.Clock), results: make(chan replayLook, 1)}
}

// busy tells whether anything is known to be under way.
func (l *replays) busy() bool { return l.wanted || l.looking || l.due || l.taken != nil }

// none tells whether an engine that runs until the end has taken what was asked
// for.
func (l *replays) none() bool { return l.reader == nil || !l.busy() && l.atEnd }

// lookForReplays begins to look whether any replay is asked for, if that is
// due.
func (r *run) lookForReplays(ctx context.Context) {
	l := r.replays
	if l.reader == nil || r.stopping || len(r.obedience.decisions) > 0 {
		l.wanted = false
		return
	}
	if l.looking || l.due || l.taken != nil {
		return
	}
	atEnd := r.atTargets() && !r.committing() && !r.dirty()
	if !l.wanted && r.clock.Now().Before(l.next) && !(atEnd && !l.atEnd && !l.failed) {
		return
	}
	l.looking, l.wanted = true, false
	positions := r.positions()
	l.readers.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, replayTimeout)
		defer cancel()
		found, err := l.reader.Waiting(ctx, positions)
		l.results <- replayLook{found, atEnd, err}
	})
}

// positions are how far the partitions have been committed.
func (r *run) positions() []DecidedPosition {
	out := make([]DecidedPosition, len(r.parts))
	for i, p := range r.parts {
		out[i] = DecidedPosition{p.table, p.partition, p.committed}
	}
	return out
}

// lookedForReplays notes what a look has found.
func (r *run) lookedForReplays(a replayLook) {
	l := r.replays
	l.looking, l.next = false, r.clock.Now().Add(replayEvery)
	if l.failed = a.err != nil; l.failed && !r.stopping {
		r.engine.opts.Logger.Warn("can't see whether replays are asked for; it is tried again", "error", a.err)
	}
	l.due = a.found
	l.atEnd = a.atEnd && !a.found
}

// replaysDue tells whether replays wait for the open epoch's end: then it is
// sealed soon, and nothing more is given to it.
func (r *run) replaysDue() bool {
	if r.stopping || r.replays.taken != nil || r.clock.Now().Before(r.replays.retryAt) {
		return false
	}
	return r.replays.due || r.outstanding == 0 && r.obedience.replaysNext(r.parts) != nil
}

// replayWait is how long it is until replays are looked for again.
func (r *run) replayWait(now time.Time) time.Duration {
	l := r.replays
	switch {
	case l.reader == nil || r.stopping || l.looking || l.taken != nil:
		return math.MaxInt64
	case l.due || r.obedience.replaysAhead():
		if l.retryAt.After(now) {
			return l.retryAt.Sub(now)
		}
		return math.MaxInt64 // it waits for what is under way
	case len(r.obedience.decisions) > 0:
		return math.MaxInt64
	}
	return l.next.Sub(now)
}

// takeReplays judges the replays that are due, if the open epoch is empty, and
// tells whether there is something to commit by that. Nothing is under way.
func (r *run) takeReplays(ctx context.Context) bool {
	if !r.replaysDue() || r.records > 0 || r.moved() || r.decided() || r.lookups.changed() || r.lookups.waiting() || r.lookups.loading {
		return false
	}
	for _, o := range r.views {
		if o.closing.waiting { // its groups stand in an order that must not change
			return false
		}
	}
	err := r.judgeReplays(ctx)
	if err != nil {
		if ctx.Err() == nil {
			r.engine.opts.Logger.Warn("replays can't be taken up; it is tried again", "error", err)
		}
		r.replays.retryAt = r.clock.Now().Add(recheck)
		return false
	}
	failpoint.Hit("replay.judged")
	return true
}

// judgeReplays reads the replays that the next recorded decision wants, else
// those that are asked for, and finds out what becomes of each.
func (r *run) judgeReplays(ctx context.Context) error {
	recorded := r.obedience.replaysNext(r.parts)
	batch, err := r.readReplays(ctx, recorded)
	if err != nil {
		return err
	}
	taken := &replayTaken{reopened: map[ViewID]map[int64]*reopened{}}
	for i := range batch {
		j := r.judgeReplay(&batch[i])
		if err := r.reopenFor(ctx, taken, j); err != nil {
			return err
		}
		taken.add(j)
	}
	l := r.replays
	if recorded != nil {
		r.obedience.take()
	} else if l.due = false; len(batch) == replayBatch {
		l.wanted = true // there may be more
	}
	if len(batch) > 0 {
		l.taken = taken
	}
	return nil
}

func (r *run) readReplays(ctx context.Context, recorded []int64) ([]Replay, error) {
	ctx, cancel := context.WithTimeout(ctx, replayTimeout)
	defer cancel()
	if recorded != nil {
		batch, err := r.replays.reader.Recorded(ctx, recorded)
		if err != nil {
			return nil, fmt.Errorf("read recorded replays: %w", err)
		}
		return batch, nil
	}
	batch, err := r.replays.reader.Requested(ctx, r.positions(), replayBatch)
	if err != nil {
		return nil, fmt.Errorf("read the replays that are asked for: %w", err)
	}
	return batch, nil
}

// sealReplays hands what was taken to the epoch.
func (r *run) sealReplays(e *epoch) {
	e.holding = r.obedience.replaysAhead()
	t := r.replays.taken
	if t == nil {
		return
	}
	r.replays.taken = nil
	e.replays = t
	e.partials = append(e.partials, t.parts...)
	e.pinned = true // a build that follows takes them at these positions
}

// obeyedNow is the time by which a recorded replay is judged: what was not in
// the future when it was applied is not now.
var obeyedNow = time.UnixMicro(math.MaxInt64 / 4)

// replayJudgement is what becomes of one replay.
type replayJudgement struct {
	replay  *Replay
	outcome ReplayOutcome
	part    *partial // what it adds, if it is applied
	// eventTime is the record's, once it is decoded.
	eventTime int64
	closed    []closedNeed
	refused   []Refused
	late      []LateRow
}

// closedNeed is a closed window that a replay merges into.
type closedNeed struct {
	view       ViewID
	start, end int64
	shards     []int
	fate       int // in outcome.Fates
}

func (t *replayTaken) add(j *replayJudgement) {
	t.outcomes = append(t.outcomes, j.outcome)
	if j.outcome.State != ReplayApplied {
		return
	}
	t.parts = append(t.parts, j.part)
	t.refused = append(t.refused, j.refused...)
	t.late = append(t.late, j.late...)
}

// reopenFor reads the closed windows that a replay merges into. A window that
// can't be read refuses it.
func (r *run) reopenFor(ctx context.Context, taken *replayTaken, j *replayJudgement) error {
	for _, n := range j.closed {
		if err := r.reopen(ctx, taken, n); err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, errNotWhole) {
				return fmt.Errorf("read what is kept of a closed window: %w", err)
			}
			j.leaveOut(n, err.Error(), r.views[n.view].time.floor)
		}
	}
	j.conclude()
	return nil
}
