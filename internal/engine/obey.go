package engine

import "slices"

// A build that follows another obeys what the clock has decided before: which
// records were refused as from the future, and, where partitions were idle,
// up to which offsets a view's watermark and floor had come. It cuts its
// epochs at these positions, and counts no partition as idle until it is
// past the last of them. So the same log and the same recorded decisions give
// the same tables.

// Decision is where a view's time stood at recorded positions, or which
// versions of tables records met from there on.
type Decision struct {
	Positions []DecidedPosition
	Views     []DecidedTime
	Lookups   []LookupVersion // then there are no Views
	Replays   []int64         // likewise: replays that were applied there, by id
}

// DecidedPosition is how far a foreign table had been read in a partition.
type DecidedPosition struct {
	Table     TableID
	Partition int32
	To        int64
}

// DecidedTime is a view's watermark and floor, stored microseconds.
type DecidedTime struct {
	View             ViewID
	Watermark, Floor int64
}

// Beginning is where the first build began to read a partition.
type Beginning struct {
	Table     TableID
	Partition int32
	TopicID   TopicID
	From      int64
}

// FutureRefusal is a record that was refused as from the future.
type FutureRefusal struct {
	Table     TableID
	Partition int32
	Offset    int64
}

type tablePartition struct {
	table     TableID
	partition int32
}

// obedience is what is left to obey.
type obedience struct {
	decisions []obeyed
	begin     map[tablePartition]Beginning
}

// obeyed is a decision by partition.
type obeyed struct {
	to    map[tablePartition]int64
	views []DecidedTime
	// lookups: from here on records met these versions.
	lookups []LookupVersion
	replays []int64
}

func newObedience(s *Snapshot) *obedience {
	o := &obedience{begin: map[tablePartition]Beginning{}}
	for _, b := range s.Beginnings {
		o.begin[tablePartition{b.Table, b.Partition}] = b
	}
	for _, d := range s.Decisions {
		next := obeyed{to: map[tablePartition]int64{}, views: d.Views, lookups: d.Lookups, replays: d.Replays}
		for _, p := range d.Positions {
			next.to[tablePartition{p.Table, p.Partition}] = p.To
		}
		o.decisions = append(o.decisions, next)
	}
	return o
}

// skip leaves out the decisions that this build has obeyed already.
func (o *obedience) skip(r *run) (wanted []LookupVersion) {
	for {
		wanted = o.skipLookups(r.parts, wanted)
		if !o.timeReached(r.parts) {
			return wanted
		}
		for _, d := range o.decisions[0].views {
			if t := r.views[d.View].time; t.watermark < d.Watermark || t.floor < d.Floor {
				return wanted
			}
		}
		o.take()
	}
}

// limit gives up to which offset a partition, which several foreign tables may
// read, may be read before the next decision; ok is false when there is none
// left. A partition that was not there at the decision waits for it.
func (o *obedience) limit(parts []*partition) (to int64, ok bool) {
	if len(o.decisions) == 0 || len(parts) == 0 {
		return 0, false
	}
	for _, p := range parts {
		if to, ok := o.decisions[0].to[tablePartition{p.table, p.partition}]; ok {
			return to, true
		}
	}
	return parts[0].committed, true
}

// reached tells whether all partitions stand where the next decision was
// made. No chunk is under way.
func (o *obedience) reached(parts []*partition) bool {
	if len(o.decisions) == 0 {
		return false
	}
	for _, p := range parts {
		if to, ok := o.decisions[0].to[tablePartition{p.table, p.partition}]; ok && p.next < to {
			return false
		}
	}
	return true
}

// replaysNext gives the replays of the next decision, where it is such a one
// and all partitions stand where it was made.
func (o *obedience) replaysNext(parts []*partition) []int64 {
	if len(o.decisions) == 0 || len(o.decisions[0].replays) == 0 || !o.reached(parts) {
		return nil
	}
	return o.decisions[0].replays
}

// replaysAhead tells whether any recorded replay is left to be applied.
func (o *obedience) replaysAhead() bool {
	return slices.ContainsFunc(o.decisions, func(d obeyed) bool { return len(d.replays) > 0 })
}

// take gives the decision that was reached and goes on to the next.
func (o *obedience) take() []DecidedTime {
	views := o.decisions[0].views
	o.decisions = o.decisions[1:]
	return views
}

// obey raises a view's time to what was decided. Its windows are final delay
// after their ends.
func (t viewTime) obey(d DecidedTime, delay int64) viewTime {
	t.watermark = max(t.watermark, d.Watermark)
	t.floor = max(t.floor, d.Floor)
	t.finalBefore = max(t.finalBefore, less(t.floor, delay))
	return t
}

// refusals gives, by foreign table and partition, the offsets that were
// refused as from the future.
func refusals(list []FutureRefusal) map[tablePartition]map[int64]bool {
	out := map[tablePartition]map[int64]bool{}
	for _, r := range list {
		key := tablePartition{r.Table, r.Partition}
		if out[key] == nil {
			out[key] = map[int64]bool{}
		}
		out[key][r.Offset] = true
	}
	return out
}
