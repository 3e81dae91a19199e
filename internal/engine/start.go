package engine

import (
	"context"
	"fmt"
	"sort"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/plan"
)

// start reads where the pipeline stands, checks that the log still holds
// what comes next, and begins to fetch.
func (e *Engine) start(ctx context.Context, source Source) (*run, error) {
	failpoint.Hit("start.config_read")
	wanted := map[TopicKey]int{}
	for _, t := range e.opts.Plan.Topics {
		key := TopicKey{t.Server, t.Topic}
		wanted[key] = max(wanted[key], t.Partitions)
	}
	topics, err := source.Describe(ctx, wanted)
	if err != nil {
		return nil, fmt.Errorf("look at the topics: %w", err)
	}
	snapshot, err := e.opts.Store.Open(ctx)
	if err != nil {
		return nil, fmt.Errorf("read where the pipeline stands: %w", err)
	}
	r := newRun(e, source, snapshot)
	r.topics = topics
	r.obedience = newObedience(snapshot)
	for _, w := range r.workers {
		w.worker.refused = refusals(snapshot.Refusals)
	}
	if err := r.place(ctx, snapshot); err != nil {
		return nil, err
	}
	failpoint.Hit("start.offsets_read")
	if err := r.restore(snapshot); err != nil {
		return nil, err
	}
	if err := r.loadRepeats(snapshot.Repeats); err != nil {
		return nil, err
	}
	failpoint.Hit("start.state_read")
	if err := r.lookups.begin(ctx, snapshot, r.obedience.skip(r)); err != nil {
		return nil, err
	}
	positions := map[Partition]int64{}
	for key, parts := range r.byPartition {
		// Tables of one topic may stand apart when one was added later: the
		// furthest behind decides, the others skip what they have.
		at := parts[0].next
		for _, p := range parts {
			at = min(at, p.next)
		}
		positions[key] = max(at, r.resumeAt[key])
	}
	if err := source.Start(ctx, positions); err != nil {
		return nil, fmt.Errorf("begin to fetch: %w", err)
	}
	return r, nil
}

// place makes the partitions, each where its last commit left it or at the
// start that the foreign table asks for.
func (r *run) place(ctx context.Context, snapshot *Snapshot) error {
	last := map[TableID]map[int32]PartitionProgress{}
	for _, p := range snapshot.Progress {
		if last[p.Table] == nil {
			last[p.Table] = map[int32]PartitionProgress{}
		}
		last[p.Table][p.Partition] = p
	}
	now := r.clock.Now().UnixMicro()
	for id, t := range r.plan.Topics {
		key := TopicKey{t.Server, t.Topic}
		info := r.topics[key]
		partitions := make([]Partition, info.Partitions)
		for i := range partitions {
			partitions[i] = Partition{key, int32(i)}
		}
		offsets, err := r.source.Offsets(ctx, partitions)
		if err != nil {
			return fmt.Errorf("read the offsets of topic %q: %w", t.Topic, err)
		}
		begin, err := r.beginnings(ctx, t, partitions, offsets)
		if err != nil {
			return err
		}
		for _, key := range partitions {
			p := &partition{
				table: TableID(id), partition: key.Partition, topicID: info.ID,
				end: offsets[key].End, delay: t.Watermark.Microseconds(), greatest: column.NegativeInfinity,
				lastRecord: now, greatestAt: now, repeats: newRepeats(),
			}
			if was, ok := last[TableID(id)][key.Partition]; ok {
				if err := r.resume(p, key, was, offsets[key]); err != nil {
					return err
				}
			} else {
				p.next = begin[key]
				if first, ok := r.obedience.begin[tablePartition{p.table, p.partition}]; ok {
					if err := r.resume(p, key, PartitionProgress{TopicID: first.TopicID, To: first.From, Watermark: column.NegativeInfinity}, offsets[key]); err != nil {
						return err
					}
					p.known = false
				} else if len(last[TableID(id)]) > 0 {
					p.next = offsets[key].Start // added to a topic that is being read
				}
			}
			p.committed, p.given = p.next, p.next
			p.reached.Store(p.watermark())
			p.left.Store(p.end - p.next)
			r.parts = append(r.parts, p)
			r.byPartition[key] = append(r.byPartition[key], p)
			if r.engine.opts.UntilEnd {
				r.targets[key] = offsets[key].End
			}
		}
	}
	for id, v := range r.plan.Views {
		r.inputs[id] = inputs(v, r.plan, r.parts)
	}
	return nil
}

// beginnings gives where a table that was never read begins.
func (r *run) beginnings(ctx context.Context, t *plan.Topic, partitions []Partition, offsets map[Partition]Offsets) (map[Partition]int64, error) {
	out := map[Partition]int64{}
	if !t.Start.At.IsZero() {
		at, err := r.source.OffsetsAt(ctx, partitions, t.Start.At)
		if err != nil {
			return nil, fmt.Errorf("find the offsets of topic %q at %s: %w", t.Topic, t.Start.At, err)
		}
		return at, nil
	}
	for _, p := range partitions {
		out[p] = offsets[p].Start
		if t.Start.Latest {
			out[p] = offsets[p].End
		}
	}
	return out, nil
}

// resume puts a partition where its last commit left it, or tells what is
// lost.
func (r *run) resume(p *partition, key Partition, was PartitionProgress, now Offsets) error {
	lost := &LostError{Partition: key, From: was.To, To: -1}
	expired := Expired(key, was.To, now.Start)
	switch {
	case was.TopicID != p.topicID:
		lost.Reason = "the topic was deleted and made again"
	case was.To < now.Start && !r.accept(p, expired, now):
		return expired
	case was.To > now.End:
		lost.Reason = fmt.Sprintf("the log ends at offset %d, before the position: it was truncated or restored", now.End)
	default:
		p.next, p.known = was.To, true
		if was.Watermark != column.NegativeInfinity {
			p.greatest = was.Watermark + p.delay
		}
		if !was.ReadAt.IsZero() {
			p.lastRecord = was.ReadAt.UnixMicro()
		}
		if !was.GreatestAt.IsZero() {
			p.greatestAt = was.GreatestAt.UnixMicro()
		}
		if !was.IdleSince.IsZero() {
			p.idleSince = was.IdleSince.UnixMicro()
		}
		p.wasIdle = p.idleSince
		return nil
	}
	return lost
}

// restore sets the views' time and state.
func (r *run) restore(snapshot *Snapshot) error {
	for _, v := range snapshot.Views {
		o := r.views[v.View]
		o.time = viewTime{v.Decided, v.Floor, v.FinalBefore}
		o.shown = viewTime{v.Watermark, v.Floor, v.FinalBefore}
		o.closing.upTo, o.closing.done, o.expiring = v.Closed, v.ClosedGroups, v.Expiring
		o.forgotten = v.Forgotten
	}
	for _, w := range snapshot.Closed {
		r.views[w.View].kept.add(w)
	}
	blobs := map[ViewID][]StateBlob{}
	for _, b := range snapshot.State {
		blobs[b.View] = append(blobs[b.View], b)
	}
	snapshot.State = nil // each is let go of once it is loaded
	ids := make([]int, 0, len(blobs))
	for id := range blobs {
		ids = append(ids, int(id))
	}
	sort.Ints(ids)
	for _, id := range ids {
		if err := r.views[id].restore(blobs[ViewID(id)]); err != nil {
			return fmt.Errorf("read the state of %q: %w", r.plan.Views[id].Name, err)
		}
	}
	for id, o := range r.views {
		r.floors[id] = o.time.floor
		o.resume()
	}
	r.look()
	return nil
}
