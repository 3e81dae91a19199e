package engine

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
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
	done        chan int // for each chunk that a worker has finished, its records

	generation  int64
	seq         int64
	outstanding int // chunks under way
	inFlight    int // their records
	backlog     []Chunk
	records     int64 // read in the open epoch
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
		byPartition: map[Partition][]*partition{}, targets: map[Partition]int64{}, paused: map[Partition]bool{},
		inputs: make([][]*partition, len(p.Views)), floors: make([]int64, len(p.Views)),
		done: make(chan int, maxOutstanding*2), lookups: newLookups(e), tracing: epochTrace{tracer: e.opts.Tracer},
	}
	for id, v := range p.Views {
		r.views = append(r.views, newViewOwner(ViewID(id), v))
	}
	for range e.opts.Workers {
		w := newWorkerLoop(p, r.clock, r.done)
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
		case <-renew: // advance does it
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

// errNotWritten: the commit before was not written either.
var errNotWritten = errors.New("the commit before it was not written")

// engineRunning gives the channel to close when fetching begins: the
// engine's for its first run, one that nobody waits for afterwards.
func (r *run) engineRunning() chan struct{} {
	if r.engine.ready.CompareAndSwap(false, true) {
		return r.engine.running
	}
	return make(chan struct{})
}

func (r *run) fetch(ctx context.Context, out chan<- fetched) {
	for {
		began := time.Now()
		chunks, err := r.source.Poll(ctx, r.engine.opts.PollRecords)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			err = fmt.Errorf("read from Kafka: %w", err)
		}
		if len(chunks) == 0 && err == nil {
			continue
		}
		select {
		case out <- fetched{chunks, newFetchTime(began, chunks), err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// wantsRecords tells whether the loop takes another fetch. A commit that
// takes long pushes back here: the epoch fills up to its limits.
func (r *run) wantsRecords() bool {
	return !r.stopping && (len(r.backlog) == 0 || r.holding()) && r.inFlight < inFlightPolls*r.engine.opts.PollRecords && !r.full() && !r.sealNow() && !r.timeWaits()
}

// holding tells whether all of the backlog lies beyond the next recorded
// decision: other partitions are to be read on.
func (r *run) holding() bool {
	for i := range r.backlog {
		parts := r.byPartition[r.backlog[i].Partition]
		if len(parts) == 0 {
			return false
		}
		first := r.backlog[i].Next
		if len(r.backlog[i].Records) > 0 {
			first = r.backlog[i].Records[0].Offset
		}
		if limit, ok := r.obedience.limit(parts); !ok || first < limit {
			return false
		}
	}
	return true
}

func (r *run) full() bool {
	return r.records >= r.engine.opts.MaxEpochRows || max(r.bytes, r.resultBytes()) >= r.engine.opts.MaxEpochBytes || r.behind ||
		r.resultRows() >= rowLimit(r.engine.opts.MaxCommitRows, r.waiting)
}

// dispatch gives chunks of the backlog to their partitions' workers.
func (r *run) dispatch() {
	var later []Chunk // beyond the next recorded decision, or too much for now
	held := false
	for i, c := range r.backlog {
		if r.outstanding >= maxOutstanding || r.sealNow() && !r.stopping {
			later = append(later, r.backlog[i:]...)
			break
		}
		parts := r.byPartition[c.Partition]
		c = r.cut(c)
		if rest, ok := r.holdBack(&c, parts); ok {
			later, held = append(later, rest), true
		}
		if len(parts) == 0 || c.Next <= parts[0].given && len(c.Records) == 0 {
			continue
		}
		parts[0].given = c.Next
		r.outstanding++
		r.records += int64(len(c.Records))
		r.unbalanced += len(c.Records)
		r.inFlight += len(c.Records)
		for i := range c.Records {
			r.bytes += int64(len(c.Records[i].Value))
		}
		w := r.workers[int(uint32(parts[0].partition)+uint32(parts[0].table))%len(r.workers)]
		w.in <- task{chunk: c, parts: parts, floors: r.floors, lookups: r.lookups.current, traced: r.tracing.begin()}
	}
	r.backlog = later
	if held && len(later) > 0 && !r.paused[later[0].Partition] {
		r.balance()
	}
}

// holdBack cuts a chunk at the offset of the next recorded decision and gives
// the rest.
func (r *run) holdBack(c *Chunk, parts []*partition) (rest Chunk, ok bool) {
	limit, ok := r.obedience.limit(parts)
	if !ok || c.Next <= limit {
		return rest, false
	}
	c.Release = nil // two chunks share its memory from here on
	rest = *c
	i := 0
	for i < len(c.Records) && c.Records[i].Offset < limit {
		i++
	}
	rest.Records, c.Records = c.Records[i:], c.Records[:i]
	c.Next = limit
	return rest, true
}

// cut leaves out what lies beyond the target of an engine that runs until
// the end.
func (r *run) cut(c Chunk) Chunk {
	target, ok := r.targets[c.Partition]
	if !ok || c.Next <= target {
		return c
	}
	for i := range c.Records {
		if c.Records[i].Offset >= target {
			c.Records = c.Records[:i]
			break
		}
	}
	c.Next = target
	return c
}

// dirty tells whether the open epoch has something to commit. An engine that
// is told to stop leaves what waits to the one that follows.
func (r *run) dirty() bool {
	return r.records > 0 || r.timeMoves || r.moved() || r.decided() || r.lookups.changed() || r.waiting && !r.stopping
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
	return r.stopping || r.full() || r.atTargets() || r.decided() || r.lookupsDue() || len(r.settling) > 0 || !r.clock.Now().Before(r.sealedAt.Add(r.engine.opts.CommitInterval))
}

// timeWaits tells whether a decision by time waits for the chunks under way.
func (r *run) timeWaits() bool { return r.timeDue && r.outstanding > 0 && !r.building }

// ahead tells whether an epoch may be sealed while the commit before it is
// written: not where what that finds out matters, or others wait for a moment
// at which nothing is under way.
func (r *run) ahead() bool {
	return r.unwritten < maxUnwritten && r.settled && !r.waiting && !r.stopping && len(r.settling) == 0 &&
		len(r.obedience.decisions) == 0 && !r.lookups.busy()
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
		if r.takeOver(askCtx) {
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
			e.times[d.View] = e.times[d.View].obey(d)
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
		From: p.committed, To: p.next, Watermark: p.watermark(),
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
	return r.engine.opts.UntilEnd && r.atTargets()
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
