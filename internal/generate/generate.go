// Package generate makes records to send: sample traffic, traffic that fits a
// foreign table, and files replayed at a rate.
//
// An Input gives records one after the other, and Run carries them to a sink
// at a rate. The rate is kept over the whole run: each record has its own due
// time, counted from the start, so neither a slow sink nor the timer's
// coarseness adds up. Memory does not grow with the input.
//
// Records are sent as they are, also when they are not JSON: sending bad ones
// on purpose is one of the uses. Options.Check refuses them instead, by line.
package generate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/millstream-dev/millstream/internal/engine"
)

const (
	// maxBatch is how many records a sink gets at once: enough to make its
	// call cheap, few enough to report progress often.
	maxBatch = 1000
	// tick is how far apart batches are at a high rate: what is due within it
	// goes out together, up to so much late.
	tick = 5 * time.Millisecond
	// progressInterval is how often progress is reported.
	progressInterval = 100 * time.Millisecond
)

// AnyPartition lets the key, or else chance, choose the partition.
const AnyPartition = -1

// Record is one record to be sent.
type Record struct {
	Key       []byte // nil: none
	Value     []byte
	Partition int32 // or AnyPartition
}

// Input gives records; io.EOF ends it. A record's bytes stay as they are
// until the second Next after its own batch has been sent.
type Input interface {
	Next() (Record, error)
}

// Sink sends a batch. It may keep the records.
type Sink func(ctx context.Context, batch []Record) error

// Options say what is sent and how fast.
type Options struct {
	Input Input
	// Rate is in events per second; 0 is as fast as the sink takes them.
	Rate float64
	// Count is how many events are sent; 0 is all that the input has.
	Count int64
	// Key names the field of the JSON value whose value becomes the key: a
	// path like user.id for nested ones. Empty: the input's own key.
	Key string
	// Partition names the field that holds the partition's number.
	Partition string
	// Check ends the run with an error at a value that is not JSON.
	Check bool
	// Progress is told how far the run is, from its own goroutine. May be nil.
	Progress func(Progress)
	// Clock is the time. nil: the machine's.
	Clock engine.Clock
}

// Progress is how far a run is.
type Progress struct {
	Events, Bytes int64
	Elapsed       time.Duration
	Rate          float64 // events per second, since the last report
}

// Result is what a run has sent.
type Result struct {
	Events, Bytes int64 // bytes of keys and values
	Elapsed       time.Duration
}

// Run sends until the input or the count ends. When ctx ends it stops between
// batches and gives what was sent and ctx's cause.
func Run(ctx context.Context, o Options, sink Sink) (Result, error) {
	r, err := newRun(o, sink)
	if err != nil {
		return Result{}, err
	}
	err = r.loop(ctx)
	r.report(true)
	r.result.Elapsed = r.clock.Now().Sub(r.pace.start)
	return r.result, err
}

// run is one run.
type run struct {
	Options
	sink   Sink
	clock  engine.Clock
	pace   pace
	result Result
	key    *field
	part   *field

	reportedAt time.Time
	reported   int64
}

func newRun(o Options, sink Sink) (*run, error) {
	r := &run{Options: o, sink: sink, clock: o.Clock}
	if r.clock == nil {
		r.clock = engine.WallClock{}
	}
	switch {
	case o.Input == nil:
		return nil, errors.New("nothing to send: no input is given")
	case o.Rate < 0 || o.Rate != o.Rate:
		return nil, fmt.Errorf("rate %v: want events per second, 0 for as fast as possible", o.Rate)
	case o.Count < 0:
		return nil, fmt.Errorf("count %d: want a number of events, 0 for all", o.Count)
	}
	var err error
	if r.key, err = parseField(o.Key); err != nil {
		return nil, err
	}
	if r.part, err = parseField(o.Partition); err != nil {
		return nil, err
	}
	r.pace = pace{clock: r.clock, rate: o.Rate, start: r.clock.Now()}
	r.reportedAt = r.pace.start
	return r, nil
}

func (r *run) loop(ctx context.Context) error {
	for r.Count == 0 || r.result.Events < r.Count {
		due, err := r.pace.due(ctx, r.result.Events)
		if err != nil {
			return err
		}
		due = min(due, maxBatch)
		if r.Count > 0 {
			due = min(due, r.Count-r.result.Events)
		}
		batch, end := r.take(int(due))
		if len(batch) > 0 {
			if err := r.sink(ctx, batch); err != nil {
				return err
			}
			r.count(batch)
			r.report(false)
		}
		if errors.Is(end, io.EOF) {
			return nil
		}
		if end != nil {
			return end
		}
	}
	return nil
}

// take reads up to n records. With an error come those before it.
func (r *run) take(n int) ([]Record, error) {
	batch := make([]Record, 0, n)
	for range n {
		rec, err := r.Input.Next()
		if err != nil {
			return batch, err
		}
		if r.Check && !json.Valid(rec.Value) {
			return batch, fmt.Errorf("%sthis is not JSON: %s", position(r.Input), excerpt(rec.Value))
		}
		if err := r.route(&rec); err != nil {
			return batch, fmt.Errorf("%s%w", position(r.Input), err)
		}
		batch = append(batch, rec)
	}
	return batch, nil
}

// route sets key and partition by their fields. A value without the field
// has no key, and any partition.
func (r *run) route(rec *Record) error {
	if r.key != nil {
		rec.Key = r.key.text(rec.Value)
	}
	if r.part != nil {
		p, err := r.part.partition(rec.Value)
		if err != nil {
			return err
		}
		rec.Partition = p
	}
	return nil
}

func (r *run) count(batch []Record) {
	r.result.Events += int64(len(batch))
	for _, rec := range batch {
		r.result.Bytes += int64(len(rec.Key) + len(rec.Value))
	}
}

// report tells Progress, now and then and at the end.
func (r *run) report(last bool) {
	now := r.clock.Now()
	since := now.Sub(r.reportedAt)
	if r.Progress == nil || !last && since < progressInterval {
		return
	}
	p := Progress{Events: r.result.Events, Bytes: r.result.Bytes, Elapsed: now.Sub(r.pace.start)}
	if since > 0 {
		p.Rate = float64(p.Events-r.reported) / since.Seconds()
	}
	r.reportedAt, r.reported = now, p.Events
	r.Progress(p)
}

// position names the line that an input is at, if it has lines.
func position(in Input) string {
	if p, ok := in.(interface{ Position() string }); ok {
		return p.Position() + ": "
	}
	return ""
}

// excerptBytes of a bad value are shown.
const excerptBytes = 60

func excerpt(b []byte) string {
	if len(b) > excerptBytes {
		return fmt.Sprintf("%q…", b[:excerptBytes])
	}
	return fmt.Sprintf("%q", b)
}
