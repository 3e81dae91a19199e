package engine

import (
	"sync/atomic"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/plan"
)

// partition is where a foreign table stands in one partition. While chunks
// of it are on their way through its worker it belongs to that worker; at
// the end of an epoch, when no chunk is under way, to the run loop.
type partition struct {
	table     TableID
	partition int32
	topicID   TopicID

	next      int64       // the offset after the last record read
	end       int64       // the last stable offset that a fetch has seen
	committed int64       // next of the last sealed epoch; the run loop's
	lost      OffsetRange // accepted when the engine started
	given     int64       // the end of the last chunk given to the worker; the run loop's
	greatest  int64       // greatest event time seen, column.NegativeInfinity before the first
	delay     int64       // the topic's watermark option, in microseconds

	// In wall time, for idleness.
	lastRecord int64 // microseconds since 1970 when the last record was read
	greatestAt int64 // likewise, when greatest was
	known      bool  // a commit has told of it
	idleSince  int64 // likewise, when it was counted as idle; 0: it is not
	// reached is the partition's own watermark, and left how many records it
	// has before its end, after its last chunk: for the run loop to look at
	// while chunks are under way.
	reached, left atomic.Int64

	// lastTimestamp is the last record's own timestamp, for lag.
	lastTimestamp int64
	wasIdle       int64 // idleSince of the last sealed epoch

	repeats repeats // what came with an idempotency key
}

// watermark is the partition's own watermark.
func (p *partition) watermark() int64 { return less(p.greatest, p.delay) }

// less gives t less delay, kept off the infinities.
func less(t, delay int64) int64 {
	if t == column.NegativeInfinity || t < column.NegativeInfinity+1+delay {
		return column.NegativeInfinity
	}
	return t - delay
}

// partial is what one worker has made of its records in one epoch. After the
// epoch is sealed nobody changes it until the commit is made.
type partial struct {
	bytes   []int64        // of keys and values, by TableID
	views   []*viewPartial // by ViewID
	refused []Refused
	late    []LateRow
	times   workTimes
	// takes tells, for a replay, which windows its groups are for; nil: for
	// all that they are in. Its counts are not those of records read.
	takes map[ViewID][]int64
}

type inputKey struct {
	source    int
	partition int32
}

// viewPartial is one view's share of a partial.
type viewPartial struct {
	counts map[inputKey]*InputCounts
	groups *groupPartial // Grouped
	rows   *rowPartial   // Append and Latest
}

func newPartial(p *plan.Pipeline) *partial {
	out := &partial{bytes: make([]int64, len(p.Topics))}
	for _, v := range p.Views {
		vp := &viewPartial{counts: map[inputKey]*InputCounts{}}
		if v.Mode == plan.Grouped {
			vp.groups = newGroupPartial(specOf(v))
		} else {
			vp.rows = newRowPartial(v)
		}
		out.views = append(out.views, vp)
	}
	return out
}

// reset empties the partial for another epoch, keeping its memory.
func (p *partial) reset() {
	clear(p.bytes)
	p.refused, p.late, p.times = nil, nil, workTimes{}
	for _, v := range p.views {
		clear(v.counts)
		if v.groups != nil {
			v.groups.clear()
		}
		if v.rows != nil {
			v.rows.clear()
		}
	}
}

func (v *viewPartial) input(source int, p *partition) *InputCounts {
	key := inputKey{source, p.partition}
	c := v.counts[key]
	if c == nil {
		c = &InputCounts{Source: source, Table: p.table, Partition: p.partition}
		v.counts[key] = c
	}
	return c
}

// groupPartial is the groups that an epoch's rows touched, of all windows in
// one table: a group's key bytes begin with its window.
type groupPartial struct {
	*state.Table
	windows []int64 // by group: the window's start
	ends    map[int64]int64
	// times are, of sessions, the first and the last event time, by group.
	times []state.Span
}

// windowPrefix is the length of the window in a group's key bytes.
const windowPrefix = 8

func newGroupPartial(spec state.Spec) *groupPartial {
	return &groupPartial{Table: state.NewTable(spec), ends: map[int64]int64{}}
}

func (g *groupPartial) clear() {
	g.Table.Clear()
	g.windows, g.times = g.windows[:0], g.times[:0]
	clear(g.ends)
}

// rowPartial is the rows of an epoch for a view without groups. For Latest,
// best says which row is the one to keep for each key.
type rowPartial struct {
	// cols are, for Append, _source, _partition, _offset and the view's
	// columns; for Latest the view's columns and _event_time, _source,
	// _partition, _offset.
	cols []*column.Vector
	n    int
	keys *state.Table // Latest: the keys, no aggregates
	best []int32      // Latest: by key, the row of cols
}

// The columns that a table has beside the view's own.
var (
	appendColumns = []plan.OutputColumn{
		{Name: "_source", Type: column.Of(column.Int4)},
		{Name: "_partition", Type: column.Of(column.Int4)},
		{Name: "_offset", Type: column.Of(column.Int8)},
	}
	latestColumns = append([]plan.OutputColumn{{Name: "_event_time", Type: column.Of(column.Timestamptz)}}, appendColumns...)
)

func newRowPartial(v *plan.View) *rowPartial {
	r := &rowPartial{}
	for _, c := range tableColumns(v) {
		r.cols = append(r.cols, column.NewVector(c.Type, 0))
	}
	if v.Mode == plan.Latest {
		r.keys = state.NewTable(state.Spec{})
	}
	return r
}

// tableColumns gives all columns of a view's table in order.
func tableColumns(v *plan.View) []plan.OutputColumn {
	switch v.Mode {
	case plan.Append:
		return append(append([]plan.OutputColumn{}, appendColumns...), v.Columns...)
	case plan.Latest:
		return append(append([]plan.OutputColumn{}, v.Columns...), latestColumns...)
	}
	return v.Columns
}

func (r *rowPartial) clear() {
	for _, c := range r.cols {
		c.Reset(c.Type, 0)
	}
	r.n = 0
	r.best = r.best[:0]
	if r.keys != nil {
		r.keys.Clear()
	}
}

// offer makes row the one to keep for the key if it is later than the one
// that is kept.
func (r *rowPartial) offer(key []byte, row int32) {
	g, fresh := r.keys.Find(state.Hash(key), key)
	if fresh {
		r.best = append(r.best, row)
		return
	}
	if laterRow(r.cols, int(row), r.cols, int(r.best[g])) {
		r.best[g] = row
	}
}

// laterRow compares two rows of a Latest view by (event time, source,
// partition, offset), its last four columns.
func laterRow(a []*column.Vector, i int, b []*column.Vector, j int) bool {
	for k := len(a) - len(latestColumns); k < len(a); k++ {
		if x, y := a[k].Int[i], b[k].Int[j]; x != y {
			return x > y
		}
	}
	return false
}

// specOf gives the shape of a grouped view's state.
func specOf(v *plan.View) state.Spec {
	spec := state.Spec{Keys: v.GroupKeys}
	for _, a := range v.Aggs {
		spec.Aggs = append(spec.Aggs, state.AggSpec(a))
	}
	return spec
}

// windowEnd gives the function that tells a window's end by its start.
func windowEnd(v *plan.View) func(int64) int64 {
	if v.Window == nil {
		return func(int64) int64 { return column.Infinity }
	}
	return v.Window.Assigner.End
}

func position(source int, p *partition, offset int64) aggregate.Position {
	return aggregate.Position{Source: int32(source), Partition: p.partition, Offset: offset}
}
