package engine

import (
	"bytes"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// MaxKeyBytes is the longest key of a row: PostgreSQL's btree takes about
// 2,700 bytes, and a row over that would stop the commit.
const MaxKeyBytes = 2000

// viewWorker is a worker's programs and scratch for one view.
type viewWorker struct {
	plan     *plan.View
	branches []*branch
}

// branch is one input of a view, compiled.
type branch struct {
	view  *plan.View
	plan  *plan.Branch
	table *plan.Topic

	filter     *expr.Program
	joins      []*joinWorker
	window     *expr.Program
	keys       []*expr.Program
	args       []*expr.Program
	argMore    [][]*expr.Program
	argFilters []*expr.Program
	outputs    []*expr.Program

	batch column.Batch // the decoded columns with those of joined tables
	errs  expr.RowErrors
	sel   []int32
	kept  []int32

	// The window that the row before was in: rows come in runs.
	windowStart, windowEnd int64
	starts, ends           []int64 // by row

	hop *window.Hop // nil unless windows overlap: then starts are numbers of panes
	// session is nil unless windows are sessions: then starts are numbers of
	// panes, and ends the rows' times.
	session *window.Session
	// The pane that the row before was in, where it was late for none of its
	// windows, and the end of its first one.
	pane                      window.Pane
	paneNumber, paneEnd, open int64

	key       []byte
	keyCols   []*column.Vector
	keyBytes  keyBatch
	groups    []uint32
	rows      []int32
	more      [][]*column.Vector // by aggregate
	argGroups []uint32
	argRows   []int32
}

func newViewWorker(p *plan.Pipeline, v *plan.View) *viewWorker {
	w := &viewWorker{plan: v}
	for _, b := range v.Branches {
		w.branches = append(w.branches, newBranch(p, v, b))
	}
	return w
}

func newBranch(p *plan.Pipeline, v *plan.View, b *plan.Branch) *branch {
	out := &branch{
		view: v, plan: b, table: b.Topic,
		filter: compile(b.Filter), joins: newJoinWorkers(p, b), window: compile(b.WindowTime),
		keys: compileAll(b.Keys), args: compileAll(b.AggArgs), argFilters: compileAll(b.AggFilters), outputs: compileAll(b.Outputs),
	}
	out.more = make([][]*column.Vector, len(out.args))
	out.argMore = make([][]*expr.Program, len(out.args))
	for j, more := range b.AggMore {
		out.argMore[j] = compileAll(more)
	}
	out.keyCols = make([]*column.Vector, len(out.keys))
	if v.Window != nil {
		out.hop, _ = v.Window.Assigner.(*window.Hop)
		out.session, _ = v.Window.Assigner.(*window.Session)
	}
	return out
}

func compile(e expr.Expr) *expr.Program {
	if e == nil {
		return nil
	}
	return expr.Compile(e)
}

func compileAll(es []expr.Expr) []*expr.Program {
	out := make([]*expr.Program, len(es))
	for i, e := range es {
		out[i] = compile(e)
	}
	return out
}

// branchRun is one branch meeting one decoded chunk.
type branchRun struct {
	worker  *worker
	view    ViewID
	branch  *branch
	part    *partition
	decoded *decoded
	counts  *InputCounts
	floor   int64
	lookups []*lookupTable
	batch   *column.Batch // what the expressions are over
	out     *viewPartial
}

// process decides the fate of each decoded record: WHERE and joins, then the
// other expressions, then lateness.
func (r *branchRun) process() {
	b := r.branch
	r.batch = b.joined(&r.decoded.batch)
	b.errs.Reset(r.batch.N)
	b.sel = append(b.sel[:0], r.decoded.good...)
	if b.filter != nil && len(b.sel) > 0 {
		r.where(b.filter)
	}
	for _, j := range b.joins {
		if len(b.sel) > 0 {
			r.join(j, r.lookups[j.lookup])
		}
	}
	if len(b.sel) == 0 {
		return
	}
	if b.view.Mode == plan.Grouped {
		r.group()
	} else {
		r.project()
	}
}

// dropFailed takes the rows that have failed out of sel and puts their
// records into quarantine.
func (r *branchRun) dropFailed(sel []int32) []int32 {
	if !r.branch.errs.Any() {
		return sel
	}
	kept := sel[:0]
	for _, i := range sel {
		err := r.branch.errs.Get(i)
		if err == nil {
			kept = append(kept, i)
			continue
		}
		r.refuse(i, CauseExpression, err)
	}
	return kept
}

func (r *branchRun) refuse(row int32, cause Cause, err *sqlerr.Error) {
	out := newRefused(r.part, &r.decoded.records[row], cause, err)
	out.View, out.Source = r.view, r.branch.plan.Source
	r.worker.part.refused = append(r.worker.part.refused, out)
	r.counts.Quarantined++
}

// group evaluates keys and arguments, assigns rows to windows, and adds them
// to their groups.
func (r *branchRun) group() {
	b, batch := r.branch, r.batch
	var times *column.Vector
	if b.window != nil {
		times = b.window.Eval(batch, b.sel, &b.errs)
	}
	for j, p := range b.keys {
		b.keyCols[j] = p.Eval(batch, b.sel, &b.errs)
	}
	filters := make([]*column.Vector, len(b.args))
	args := make([]*column.Vector, len(b.args))
	for j := range b.args {
		sel := b.sel
		if b.argFilters[j] != nil {
			filters[j] = b.argFilters[j].Eval(batch, sel, &b.errs)
			b.kept = expr.SelectTrue(filters[j], sel, b.kept[:0])
			sel = b.errs.Compact(b.kept)
		}
		if b.args[j] != nil {
			args[j] = b.args[j].Eval(batch, sel, &b.errs)
		}
		b.more[j] = b.more[j][:0]
		for _, p := range b.argMore[j] {
			b.more[j] = append(b.more[j], p.Eval(batch, sel, &b.errs))
		}
	}
	b.sel = r.dropFailed(b.sel)
	switch {
	case b.hop != nil:
		r.assignPanes(times)
	case b.session != nil:
		r.assignSessions(times)
	case b.window != nil:
		r.assign(times)
	}
	r.findGroups()
	r.counts.Accepted += int64(len(b.rows))
	table := r.out.groups
	table.Ready()
	rows := aggregate.Rows{Source: int32(b.plan.Source), Partition: r.part.partition, Offsets: r.decoded.offsets, Times: r.decoded.times}
	for j, a := range table.Aggs {
		rows.Groups, rows.Rows = b.groups, b.rows
		if filters[j] != nil {
			rows.Groups, rows.Rows = b.filtered(filters[j])
		}
		rows.More = b.more[j]
		a.Update(&rows, args[j])
	}
}

// filtered gives the rows for which FILTER says yes, with their groups.
func (b *branch) filtered(v *column.Vector) ([]uint32, []int32) {
	b.argGroups, b.argRows = b.argGroups[:0], b.argRows[:0]
	for k, row := range b.rows {
		if !v.Null[row] && v.Int[row] != 0 {
			b.argGroups = append(b.argGroups, b.groups[k])
			b.argRows = append(b.argRows, row)
		}
	}
	return b.argGroups, b.argRows
}

// assign finds each row's window, and takes out rows that are late for it:
// in offset order, by the partition's own watermark at the record or the
// view's floor.
func (r *branchRun) assign(times *column.Vector) {
	b := r.branch
	n := r.decoded.batch.N
	b.starts, b.ends = sized(b.starts, n), sized(b.ends, n)
	kept := b.sel[:0]
	for _, i := range b.sel {
		if times.Null[i] || !r.assignRow(i, times.Int[i]) {
			r.refuse(i, CauseExpression, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range"))
			continue
		}
		if mark := r.decoded.marks[i]; b.ends[i] <= max(mark, r.floor) {
			r.counts.Late++
			r.late(r.lateRow(i), b.starts[i], b.ends[i])
			continue
		}
		kept = append(kept, i)
	}
	b.sel = kept
}

func (r *branchRun) assignRow(row int32, t int64) bool {
	b := r.branch
	if t < b.windowStart || t >= b.windowEnd {
		start, ok := b.view.Window.Assigner.Start(t)
		if !ok {
			return false
		}
		b.windowStart, b.windowEnd = start, b.view.Window.Assigner.End(start)
	}
	b.starts[row], b.ends[row] = b.windowStart, b.windowEnd
	return true
}

// lateRow is a row's entry for the ledger but for its window.
func (r *branchRun) lateRow(row int32) LateRow {
	record := &r.decoded.records[row]
	return LateRow{
		Table: r.part.table, View: r.view, Source: r.branch.plan.Source,
		Partition: r.part.partition, Offset: record.Offset, Timestamp: record.Timestamp, EventTime: r.decoded.times[row],
		Watermark: r.decoded.marks[row], Floor: r.floor,
		Key: bytes.Clone(record.Key), Payload: bytes.Clone(record.Value), Headers: cloneHeaders(record.Headers),
	}
}

// late notes a window that a row is late for.
func (r *branchRun) late(row LateRow, start, end int64) {
	row.WindowStart, row.WindowEnd, row.Cause = start, end, LatePartition
	if end > row.Watermark {
		row.Cause = LateFloor
	}
	r.worker.part.late = append(r.worker.part.late, row)
}

// findGroups sets b.rows and b.groups: the accepted rows and their groups.
func (r *branchRun) findGroups() {
	b, table := r.branch, r.out.groups
	var starts []int64
	if b.window != nil {
		starts = b.starts
	}
	b.keyBytes.build(b.sel, starts, b.keyCols)
	table.Warm(b.keyBytes.hashes)
	b.groups, b.rows = b.groups[:0], b.rows[:0]
	for k, i := range b.sel {
		key := b.keyBytes.key(k)
		if len(key) > MaxKeyBytes {
			r.refuse(i, CauseKeySize, &sqlerr.Error{Message: "the row's key takes more than 2,000 bytes"})
			continue
		}
		g, fresh := table.Find(b.keyBytes.hashes[k], key)
		if fresh {
			start := int64(state.Windowless)
			if b.window != nil {
				start = starts[i]
			}
			table.windows = append(table.windows, start)
			if b.window != nil && b.session == nil {
				table.ends[start] = b.ends[i]
			}
		}
		if b.session != nil {
			table.reach(g, fresh, b.ends[i])
		}
		if fresh || table.Images() {
			table.Represent(g, fresh, b.keyCols, int(i), position(b.plan.Source, r.part, r.decoded.offsets[i]))
		}
		b.groups = append(b.groups, g)
		b.rows = append(b.rows, i)
	}
}

// project evaluates the outputs and adds a row for each record.
func (r *branchRun) project() {
	b, batch, rows := r.branch, r.batch, r.out.rows
	outputs := make([]*column.Vector, len(b.outputs))
	for j, p := range b.outputs {
		outputs[j] = p.Eval(batch, b.sel, &b.errs)
	}
	b.sel = r.dropFailed(b.sel)
	latest := b.view.Mode == plan.Latest
	own := rows.cols
	if !latest {
		own = rows.cols[len(appendColumns):]
	}
	for _, i := range b.sel {
		if latest && !r.latestKey(outputs, i) {
			continue
		}
		for j, v := range outputs {
			own[j].Append(v, int(i))
		}
		if latest {
			appendInts(rows.cols[len(outputs):], r.decoded.times[i], int64(b.plan.Source), int64(r.part.partition), r.decoded.offsets[i])
			rows.offer(b.key, int32(rows.n))
		} else {
			appendInts(rows.cols, int64(b.plan.Source), int64(r.part.partition), r.decoded.offsets[i])
		}
		rows.n++
		r.counts.Accepted++
	}
}

// latestKey makes the row's key in b.key, or refuses the row.
func (r *branchRun) latestKey(outputs []*column.Vector, row int32) bool {
	b := r.branch
	b.key = b.key[:0]
	for _, k := range b.view.Key {
		b.key = datum.AppendKey(b.key, outputs[k], int(row))
	}
	if len(b.key) > MaxKeyBytes {
		r.refuse(row, CauseKeySize, &sqlerr.Error{Message: "the row's key takes more than 2,000 bytes"})
		return false
	}
	return true
}

func appendInts(cols []*column.Vector, values ...int64) {
	for k, v := range values {
		i := cols[k].Grow()
		cols[k].Null[i] = false
		cols[k].Int[i] = v
	}
}
