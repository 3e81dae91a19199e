package engine

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/plan"
)

// run is one life of the engine, from a snapshot of the store to a stop. Its
// loop is the one owner of all that stands here: it is a state machine
// stepped by events (records, finished chunks, ticks of the clock, commit
// outcomes, requests).
//
// An epoch is sealed when no chunk is under way and no commit is being made.
// Then the loop decides times, hands the workers' partials and the views'
// state to the committer, gives the workers empty partials, and goes on
// reading. The views' state is the committer's until it begins to write.
//
// A full epoch need not wait for the commit before it to be written: it is
// sealed, and its commit built meanwhile. So under load the store always has
// something to write.
type run struct {
	engine *Engine
	plan   *plan.Pipeline
	source Source
	clock  Clock

	topics      map[TopicKey]TopicInfo
	parts       []*partition
	byPartition map[Partition][]*partition
	inputs      [][]*partition // by ViewID
	targets     map[Partition]int64
	views       []*viewOwner
	floors      []int64 // by ViewID; a new slice for each epoch
	workers     []*workerLoop
	changed     *changedRows // by the open epoch
	done        chan int     // for each chunk that a worker has finished, its records

	generation  int64
	seq         int64
	outstanding int // chunks under way
	inFlight    int // their records
	backlog     []Chunk
	resumeAt    map[Partition]int64 // where fetching begins though what lies before is not passed yet: it is lost
	ends        map[Partition]int64 // that chunks have told since the status was renewed
	records     int64               // read in the open epoch
	bytes       int64
	building    bool       // the views' state is the committer's
	unwritten   int        // commits whose outcome is not known, at most maxUnwritten
	settled     bool       // of the last commit: it leaves nothing to be found out by writing it
	write       sync.Mutex // held by the commit that is being written
	failed      bool       // a commit was not written: none may follow. Guarded by write
	sealedAt    time.Time
	stopping    bool
	paused      map[Partition]bool
	unbalanced  int // records since partitions were last compared

	// Time: what the clock decides is looked at only when no chunk is under
	// way, since partitions belong to workers meanwhile.
	timeDue    bool  // the timer has fired, or somebody asks
	timeMoves  bool  // a decision by time alone is due
	asking     bool  // ends of quiet partitions are being asked for
	lookedAt   int64 // wall time of the last look, microseconds since 1970
	confirmed  []idleAnswer
	settling   []*settleRequest
	obedience  *obedience
	lookups    *lookups
	replays    *replays
	tracing    epochTrace
	statusAt   time.Time
	statusSeq  int64 // r.seq as of statusAt
	topicsAt   time.Time
	restarting bool

	// As of the last commit: what the views have left to be gone on with.
	waiting bool // windows to be closed, rows to expire
	behind  bool // so many that the fetch has to wait
}

func newRun(e *Engine, source Source, snapshot *Snapshot) *run {
	p := e.opts.Plan
	r := &run{
		engine: e, plan: p, source: source, clock: e.opts.Clock, seq: snapshot.Seq, generation: snapshot.Generation,
		byPartition: map[Partition][]*partition{}, targets: map[Partition]int64{}, ends: map[Partition]int64{}, resumeAt: map[Partition]int64{}, paused: map[Partition]bool{},
		inputs: make([][]*partition, len(p.Views)), floors: make([]int64, len(p.Views)),
		changed: newChangedRows(e.opts.MaxCommitRows),
		done:    make(chan int, maxOutstanding*2), lookups: newLookups(e), replays: newReplays(e), tracing: epochTrace{tracer: e.opts.Tracer},
	}
	for id, v := range p.Views {
		r.views = append(r.views, newViewOwner(ViewID(id), v))
	}
	for range e.opts.Workers {
		w := newWorkerLoop(p, r.clock, r.changed, r.done)
		w.worker.id = len(r.workers)
		r.workers = append(r.workers, w)
	}
	r.sealedAt = r.clock.Now().Add(-e.opts.CommitInterval)
	r.topicsAt = r.clock.Now()
	return r
}

// fetched is what the fetcher gives the loop.
type fetched struct {
	chunks []Chunk
	time   FetchTime
	err    error
}

type idleAnswer struct {
	part       *partition
	key        Partition
	lastRecord int64 // as it was when the question was asked
	end        int64
	at         int64
	failed     bool
}

func (r *run) loop(ctx context.Context) error {
	fetchCtx, stopFetching := context.WithCancelCause(ctx)
	defer stopFetching(nil)
	// The last commit of a stopping engine outlives ctx by drainTimeout.
	commitCtx, stopCommit := context.WithCancel(context.WithoutCancel(ctx))
	defer stopCommit()

	incoming := make(chan fetched)
	fetcherDone := make(chan struct{})
	go func() {
		defer close(fetcherDone)
		r.fetch(fetchCtx, incoming)
	}()
	for _, w := range r.workers {
		go w.run()
	}
	outcomes := make(chan outcome, maxUnwritten)
	built := make(chan bool, maxUnwritten) // a commit begins to be written: whether it is settled
	answers := make(chan []idleAnswer, 1)
	checks := make(chan bool, 1)
	defer func() {
		stopFetching(nil)
		r.lookups.readers.Wait()
		r.replays.readers.Wait()
		for _, w := range r.workers {
			close(w.in)
		}
		for _, w := range r.workers {
			<-w.stopped
		}
		<-fetcherDone
	}()

	r.publish()
	close(r.engineRunning())
	stop := ctx.Done()
	for {
		if len(r.obedience.decisions) == 0 && !r.stopping {
			r.lookups.look(fetchCtx)
		}
		r.dispatch()
		if r.advance(commitCtx, fetchCtx, built, outcomes, answers, checks) {
			r.dispatch() // what waited for the epoch's end
		}
		r.lookForReplays(fetchCtx)
		if r.finished() {
			r.publish()
			if r.restarting && ctx.Err() == nil {
				return errRestart
			}
			return nil
		}
		take := incoming
		if !r.wantsRecords() {
			take = nil
		}
		timer, stopTimer := r.timer()
		renew, stopRenew := r.statusTimer()
		select {
		case f := <-take:
			if f.err != nil && !r.stopping {
				return r.fail(stopCommit, outcomes, f.err)
			}
			failpoint.Hit("ingest.fetched")
			r.tracing.fetched(f.time)
			r.backlog = append(r.backlog, f.chunks...)
			r.noteEnds(f.chunks)
		case n := <-r.done:
			r.outstanding--
			r.inFlight -= n
			if r.unbalanced >= r.engine.opts.PollRecords {
				r.balance()
			}
		case r.settled = <-built:
			r.building = false
			r.look()
		case o := <-outcomes:
			r.unwritten--
			if o.err != nil {
				return r.fail(stopCommit, outcomes, o.err)
			}
			if len(o.report.Stats.Expiring) > 0 { // then no other was built meanwhile
				for _, id := range o.report.Stats.Expiring {
					r.views[id].expiring = true
				}
				r.look()
			}
			r.committed(ctx, o.report)
			r.show(o.status)
		case a := <-r.lookups.results:
			r.statusSeq = -1 // the status tells of looks, too
			if err := r.lookups.take(a); err != nil && !r.stopping {
				return r.fail(stopCommit, outcomes, err)
			}
		case a := <-r.replays.results:
			r.lookedForReplays(a)
		case a := <-answers:
			r.asking = false
			r.confirmed = append(r.confirmed, a...)
			r.timeDue = true
		case more := <-checks:
			if more {
				r.restarting, r.stopping = true, true
			}
		case req := <-r.engine.requests:
			r.beginSettle(ctx, req)
		case <-timer:
			r.timeDue = true
		case <-renew: // else advance does it
			if r.committing() {
				r.showEnds()
			}
		case <-stop:
			if errors.Is(context.Cause(ctx), ErrAbandon) {
				stopCommit()
				return r.fail(stopCommit, outcomes, ErrAbandon)
			}
			stop = nil
			r.stopping = true
			stopFetching(errors.New("stopping"))
			time.AfterFunc(drainTimeout, stopCommit)
		}
		stopTimer()
		stopRenew()
	}
}

// fail waits for the commits that are under way, so that what they decided is
// known and nobody uses the store, and gives err.
func (r *run) fail(stopCommit func(), outcomes chan outcome, err error) error {
	stop := time.AfterFunc(drainTimeout, stopCommit)
	defer stop.Stop()
	for ; r.unwritten > 0; r.unwritten-- {
		if o := <-outcomes; o.err != nil && !errors.Is(o.err, errNotWritten) {
			err = errors.Join(err, o.err)
		}
	}
	return err
}

// engineRunning gives the channel to close when fetching begins: the
// engine's for its first run, one that nobody waits for afterwards.
func (r *run) engineRunning() chan struct{} {
	if r.engine.ready.CompareAndSwap(false, true) {
		return r.engine.running
	}
	return make(chan struct{})
}

func (r *run) committed(ctx context.Context, report *Report) {
	if r.engine.opts.OnCommit != nil {
		r.engine.opts.OnCommit(report)
	}
	positions := map[Partition]int64{}
	for _, p := range report.Commit.Progress {
		t := r.plan.Topics[p.Table]
		positions[Partition{TopicKey{t.Server, t.Topic}, p.Partition}] = p.To
	}
	if len(positions) > 0 {
		r.source.Committed(ctx, positions)
	}
}

func (r *run) key(p *partition) Partition {
	t := r.plan.Topics[p.table]
	return Partition{TopicKey{t.Server, t.Topic}, p.partition}
}

// finished tells whether there is nothing left to do for an engine that
// stops, or that runs until the end.
func (r *run) finished() bool {
	if r.outstanding > 0 || r.committing() || r.dirty() {
		return false
	}
	if r.stopping {
		return len(r.backlog) == 0 || r.holding()
	}
	return r.engine.opts.UntilEnd && r.atTargets() && r.replays.none() && r.obedience.replaysNext(r.parts) == nil
}

func (r *run) atTargets() bool {
	if !r.engine.opts.UntilEnd || r.outstanding > 0 {
		return false
	}
	for _, p := range r.parts {
		if p.next < r.targets[r.key(p)] {
			return false
		}
	}
	return true
}
