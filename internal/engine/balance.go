package engine

import "github.com/millstream-dev/millstream/internal/column"

// balance pauses partitions that are too far ahead in event time of those
// that have not been read to their ends. It is called after each poll's worth
// of records.
func (r *run) balance() {
	r.unbalanced = 0
	paused := map[Partition]bool{}
	for key, parts := range r.byPartition {
		if limit, ok := r.obedience.limit(parts); ok && parts[0].given >= limit {
			paused[key] = true // it waits for the others to come to a recorded decision
		}
	}
	r.pauseAhead(paused)
	if len(paused) == 0 && len(r.paused) == 0 {
		return
	}
	r.paused = paused
	list := make([]Partition, 0, len(paused))
	for p := range paused {
		list = append(list, p)
	}
	r.source.SetPaused(list)
}

// pauseAhead adds the partitions that are too far ahead of those that are not
// paused yet.
func (r *run) pauseAhead(paused map[Partition]bool) {
	skew := r.engine.opts.MaxSkew.Microseconds()
	if skew < 0 {
		return
	}
	least := int64(column.Infinity)
	for _, p := range r.parts {
		if p.left.Load() > 0 && !paused[r.key(p)] {
			least = min(least, p.reached.Load())
		}
	}
	if least != column.Infinity && least < column.Infinity-skew {
		for _, p := range r.parts {
			if w := p.reached.Load(); w != column.NegativeInfinity && w > max(least, column.NegativeInfinity+1)+skew {
				paused[r.key(p)] = true
			}
		}
	}
}
