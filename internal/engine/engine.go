package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/millstream-dev/millstream/internal/plan"
)

// Defaults of Options, and limits that are not options.
const (
	DefaultCommitInterval = 50 * time.Millisecond
	DefaultMaxEpochRows   = 1_000_000
	DefaultMaxEpochBytes  = 128 << 20
	DefaultMaxSkew        = time.Hour
	// DefaultPollRecords is small enough that an epoch ends soon after it is
	// due.
	DefaultPollRecords = 16_384

	// maxOutstanding is how many chunks are on their way through the workers.
	maxOutstanding = 64
	// inFlightPolls is how many polls' worth of records are on their way: the
	// workers never wait, and no partition runs far ahead of what is decided.
	inFlightPolls = 4
	// drainTimeout bounds the last commit of an engine that is told to stop.
	drainTimeout = 30 * time.Second
	// recheck is how soon a partition that looked idle but was not at its end,
	// or could not be asked, is looked at again.
	recheck = time.Second
	// topicCheck is how often partitions that were added are looked for.
	topicCheck = 30 * time.Second
	// statusEvery is how often the published status is renewed.
	statusEvery = 250 * time.Millisecond
)

// Options are what an engine runs and how.
type Options struct {
	Plan *plan.Pipeline
	// OpenSource connects to Kafka. It is called again when the engine has to
	// start over from what the store says.
	OpenSource func(ctx context.Context) (Source, error)
	Store      Store
	// Lookups reads the tables that the plan joins with; nil if there are
	// none. LookupRefresh is how often changes are looked for where the file
	// does not say; 0: DefaultLookupRefresh.
	Lookups       LookupReader
	LookupRefresh time.Duration
	Replays       ReplayReader // nil: none are taken up
	Clock         Clock        // nil: WallClock
	// CommitInterval is the least time between the ends of two epochs;
	// negative: none.
	CommitInterval time.Duration
	// MaxEpochRows and MaxEpochBytes end an epoch early: records read, and
	// their bytes or, if that is more, those of the rows made of them.
	MaxEpochRows  int64
	MaxEpochBytes int64
	// MaxCommitRows is about how many result rows a commit writes and deletes:
	// an epoch ends at it, and what closes and what expires is spread over as
	// many commits as it takes.
	MaxCommitRows int64
	// AcceptLoss are records that may be left out if Kafka no longer has them.
	AcceptLoss []AcceptedLoss
	// PollRecords is how many records one poll takes at most.
	PollRecords int
	// Workers is the number of goroutines that decode and aggregate, each
	// with whole partitions; 0: one for each core.
	Workers int
	// MaxSkew is how far in event time a partition may run ahead of those
	// that have not been read to their ends; negative: without bound.
	MaxSkew time.Duration
	// UntilEnd reads to the ends of the partitions as they stand at the start
	// and returns. No partition is counted as idle meanwhile.
	UntilEnd bool
	Logger   *slog.Logger // nil: discards
	// OnCommit is called after each commit, by one goroutine at a time; it
	// must not block.
	OnCommit func(*Report)
	Tracer   Tracer // nil: epochs are not followed
}

// Report is what one commit did.
type Report struct {
	Commit   *Commit
	Stats    CommitStats
	Duration time.Duration // of the store's Commit
	Records  int64
	// BytesRead are of keys and values, by TableID.
	BytesRead []int64
	Trace     *Trace // nil: the epoch was not followed
}

// Engine runs a pipeline.
type Engine struct {
	opts     Options
	status   atomic.Pointer[Status]
	requests chan *settleRequest
	running  chan struct{} // closed once the first run has read its snapshot
	ready    atomic.Bool
}

// ErrAbandon, as the cause of a cancelled context, makes Run return at once:
// what was not committed is dropped, as by a crash.
var ErrAbandon = errors.New("the engine is abandoned")

// errRestart tells that the run is to begin again from the store.
var errRestart = errors.New("partitions were added")

// New checks the options and gives an engine.
func New(opts Options) (*Engine, error) {
	if opts.Plan == nil || opts.OpenSource == nil || opts.Store == nil {
		return nil, errors.New("engine: plan, source and store are needed")
	}
	if len(opts.Plan.Lookups) > 0 && opts.Lookups == nil {
		return nil, errors.New("engine: the plan joins with tables, and there is no reader for them")
	}
	if opts.Clock == nil {
		opts.Clock = WallClock{}
	}
	if opts.CommitInterval == 0 {
		opts.CommitInterval = DefaultCommitInterval
	}
	if opts.MaxEpochRows == 0 {
		opts.MaxEpochRows = DefaultMaxEpochRows
	}
	if opts.MaxEpochBytes == 0 {
		opts.MaxEpochBytes = DefaultMaxEpochBytes
	}
	if opts.MaxCommitRows <= 0 {
		opts.MaxCommitRows = DefaultMaxCommitRows
	}
	if opts.PollRecords == 0 {
		opts.PollRecords = DefaultPollRecords
	}
	// A poll that holds more than an epoch may would make the epoch too large.
	opts.PollRecords = int(min(int64(opts.PollRecords), opts.MaxEpochRows))
	if opts.MaxSkew == 0 {
		opts.MaxSkew = DefaultMaxSkew
	}
	if opts.Workers <= 0 {
		opts.Workers = runtime.GOMAXPROCS(0)
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	opts.Store = limited{opts.Store, opts.Plan}
	e := &Engine{opts: opts, requests: make(chan *settleRequest), running: make(chan struct{})}
	e.status.Store(&Status{State: StateStarting})
	return e, nil
}

// Run runs the pipeline until ctx ends (then it drains, commits and gives
// nil; with ErrAbandon as the cause it gives that at once), the ends are reached (UntilEnd, nil), or something has to be mended.
func (e *Engine) Run(ctx context.Context) error {
	for {
		err := e.runOnce(ctx)
		switch {
		case errors.Is(err, ErrDiverged):
			e.opts.Logger.Warn("starting over from what the database says", "reason", err)
		case errors.Is(err, errRestart):
			e.opts.Logger.Info("starting over", "reason", err)
		default:
			state := StateStopped
			if err != nil {
				state = StateFailed
			}
			e.setState(state, err)
			return err
		}
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to stop: what was starting over is of no interest
		}
	}
}

func (e *Engine) runOnce(ctx context.Context) error {
	source, err := e.opts.OpenSource(ctx)
	if err != nil {
		return fmt.Errorf("connect to Kafka: %w", err)
	}
	defer source.Close()
	r, err := e.start(ctx, source)
	if err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // told to stop while starting: that it broke off is no failure
		}
		return err
	}
	return r.loop(ctx)
}

// settleRequest asks the run loop to say when everything that was in the log
// at the request is in the tables, and the time of the clock at that moment
// has been taken into account.
type settleRequest struct {
	targets map[Partition]int64
	checked bool // time has been looked at since the targets were reached
	done    chan struct{}
	err     error // set before done is closed
}

// Settle waits until everything that is in the log now is committed, and
// what the clock decides now is decided and committed.
func (e *Engine) Settle(ctx context.Context) error {
	req := &settleRequest{done: make(chan struct{})}
	select {
	case e.requests <- req:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-req.done:
		return req.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Running is closed once the engine has read where it stands and fetches.
func (e *Engine) Running() <-chan struct{} { return e.running }
