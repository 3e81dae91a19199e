package engine

import (
	"context"
	"testing"
	"time"
)

// everyOther is a tracer that follows every other epoch.
type everyOther struct{ asked int }

func (t *everyOther) Begin(time.Time) *Trace {
	t.asked++
	if t.asked%2 == 0 {
		return nil
	}
	return &Trace{}
}

func (t *everyOther) End(*Report, error) {}

// TestTraceOfAnEpoch holds that the tracer is asked once for each epoch, that
// only followed ones are told of, and that what is told is bounded, while the
// sums are of all.
func TestTraceOfAnEpoch(t *testing.T) {
	tracer := &everyOther{}
	open := epochTrace{tracer: tracer}
	work := &partial{}
	for epoch := range 4 {
		follow := epoch%2 == 0
		for range maxTracedFetches + 1 {
			open.fetched(newFetchTime(time.Now().Add(-time.Minute), []Chunk{{Records: make([]Record, 3)}}))
		}
		for range maxTracedChunks + 5 {
			work.times.on = open.begin()
			work.times.begin()
			work.times.decoded()
			work.times.applied(1, &partition{partition: 7}, 3)
		}
		got := open.seal([]*partial{work})
		if tracer.asked != epoch+1 || (got != nil) != follow {
			t.Fatalf("epoch %d: asked %d times, trace %v", epoch, tracer.asked, got)
		}
		if follow {
			f := got.Fetches[0]
			if len(got.Chunks) != maxTracedChunks || got.AllChunks != maxTracedChunks+5 || len(got.Fetches) != maxTracedFetches || got.Chunks[0].Partition != 7 || got.Chunks[0].Worker != 1 ||
				f.Records != 3 || f.Waited < time.Minute || f.Ended.Sub(f.Began) != fetchShown || !got.Began.Equal(f.Began) || got.Decode+got.Apply <= 0 {
				t.Errorf("epoch %d: %+v", epoch, got)
			}
		} else if len(work.times.chunks) > 0 {
			t.Errorf("epoch %d is not followed, and chunks are told of", epoch)
		}
		work.times = workTimes{} // as reset does
	}
	off := epochTrace{}
	off.fetched(FetchTime{})
	if off.begin() || off.seal(nil) != nil || len(off.fetches) > 0 {
		t.Error("without a tracer something is followed")
	}
	var none *Trace
	none.merged()
	none.writing()
	none.ended()
	if ctx := context.Background(); none.context(ctx) != ctx {
		t.Error("an epoch that is not followed has a context of its own")
	}
}
