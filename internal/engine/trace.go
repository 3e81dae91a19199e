package engine

import (
	"context"
	"time"
)

// Tracer follows epochs, for those who want to see where their time goes. An
// engine without one spends a comparison for each chunk on it, and nothing for
// a record.
type Tracer interface {
	// Begin is called when an epoch begins, at the time that is given; nil: this
	// one is not followed.
	Begin(at time.Time) *Trace
	// End is called once for an epoch that was followed and has come to its
	// commit: report.Trace is it, and err why the commit failed. The report's
	// batches belong to the engine again when it returns.
	End(report *Report, err error)
}

// Trace is where the time of an epoch went, by the machine's clock, whatever
// the engine's is. It belongs to the run loop until the epoch is sealed, to
// the committer afterwards.
type Trace struct {
	ID [16]byte // the tracer's
	// Context gives the context for the epoch's commit, nil for no other: so
	// that the store's log lines can name the trace.
	Context func(context.Context) context.Context
	Began   time.Time // the first fetch's beginning
	Fetches []FetchTime
	Chunks  []ChunkTime // the first maxTracedChunks of each worker
	// Decode and Apply are sums over all chunks and workers, and AllChunks
	// their number.
	Decode, Apply time.Duration
	AllChunks     int
	Sealed        time.Time // the run loop has decided what the epoch holds
	Merged        time.Time // the views' state is up to it, the commit is built
	Writing       time.Time // the commit before it is written, and this one begins to be
	Ended         time.Time // the store has answered
}

// FetchTime is a poll that gave records. One that waited for longer than
// fetchShown is told of as that long: a quiet topic is no slow epoch.
type FetchTime struct {
	Began, Ended time.Time
	Waited       time.Duration // all of it
	Records      int
}

// ChunkTime is a chunk's way through a worker, for one foreign table.
type ChunkTime struct {
	Worker                  int
	Table                   TableID
	Partition               int32
	Records                 int
	Began, Decoded, Applied time.Time
}

const (
	// maxTracedChunks bounds what one worker tells of an epoch: a million
	// records may come in a thousand chunks, and one looks like the other.
	maxTracedChunks = 32
	// maxTracedFetches does so for the fetches.
	maxTracedFetches = 64
	// fetchShown is the most that a fetch takes in a trace.
	fetchShown = 50 * time.Millisecond
)

// newFetchTime tells of a poll that has ended just now.
func newFetchTime(began time.Time, chunks []Chunk) FetchTime {
	f := FetchTime{Ended: time.Now()}
	f.Waited = f.Ended.Sub(began)
	f.Began = f.Ended.Add(-min(f.Waited, fetchShown))
	for i := range chunks {
		f.Records += len(chunks[i].Records)
	}
	return f
}

// epochTrace is what the run loop knows of the open epoch's trace.
type epochTrace struct {
	tracer  Tracer // nil: nothing is followed
	begun   bool   // the tracer was asked
	trace   *Trace // nil: the epoch is not followed
	fetches []FetchTime
}

// fetched notes a poll.
func (t *epochTrace) fetched(f FetchTime) {
	if t.tracer != nil && len(t.fetches) < maxTracedFetches {
		t.fetches = append(t.fetches, f)
	}
}

// begin asks the tracer, once for each epoch, and tells whether it is
// followed.
func (t *epochTrace) begin() bool {
	if t.tracer == nil || t.begun {
		return t.trace != nil
	}
	at := time.Now()
	if len(t.fetches) > 0 {
		at = t.fetches[0].Began
	}
	t.begun = true
	if t.trace = t.tracer.Begin(at); t.trace != nil {
		t.trace.Began = at
	}
	return t.trace != nil
}

// seal ends the open epoch's trace, begins anew, and gives what the workers
// and the run loop have told of it, nil if it is not followed.
func (t *epochTrace) seal(partials []*partial) *Trace {
	if !t.begin() {
		t.begun, t.fetches = false, t.fetches[:0]
		return nil
	}
	trace := t.trace
	trace.Fetches, trace.Sealed = t.fetches, time.Now()
	for _, p := range partials {
		trace.Chunks = append(trace.Chunks, p.times.chunks...)
		trace.Decode += p.times.decode
		trace.Apply += p.times.apply
		trace.AllChunks += p.times.all
	}
	t.trace, t.begun, t.fetches = nil, false, nil
	return trace
}

// context is the one that the commit runs in.
func (t *Trace) context(ctx context.Context) context.Context {
	if t == nil || t.Context == nil {
		return ctx
	}
	return t.Context(ctx)
}

func (t *Trace) merged() {
	if t != nil {
		t.Merged = time.Now()
	}
}

func (t *Trace) writing() {
	if t != nil {
		t.Writing = time.Now()
	}
}

func (t *Trace) ended() {
	if t != nil {
		t.Ended = time.Now()
	}
}

// workTimes is where a worker's time went in an epoch that is followed. It is
// part of the worker's partial.
type workTimes struct {
	on            bool // of the chunk under way
	began, middle time.Time
	chunks        []ChunkTime
	decode, apply time.Duration
	all           int
}

func (w *workTimes) begin() {
	if w.on {
		w.began = time.Now()
	}
}

func (w *workTimes) decoded() {
	if w.on {
		w.middle = time.Now()
	}
}

func (w *workTimes) applied(worker int, p *partition, records int) {
	if !w.on {
		return
	}
	now := time.Now()
	w.decode += w.middle.Sub(w.began)
	w.apply += now.Sub(w.middle)
	w.all++
	if len(w.chunks) < maxTracedChunks {
		w.chunks = append(w.chunks, ChunkTime{worker, p.table, p.partition, records, w.began, w.middle, now})
	}
}
