package engine

import (
	"context"
	"fmt"
	"time"
)

// fetch polls the source until ctx ends, and gives the loop what it finds.
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
	return !r.stopping && (len(r.backlog) == 0 || r.holding()) && r.inFlight < inFlightPolls*r.engine.opts.PollRecords && !r.full() && !r.sealNow() && !r.timeWaits() && !r.replaysDue()
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
		if r.outstanding >= maxOutstanding || r.sealNow() && !r.stopping || r.replaysDue() || r.replays.taken != nil {
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
