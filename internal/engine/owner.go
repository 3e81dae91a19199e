package engine

import (
	"cmp"
	"slices"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/aggregate"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// viewOwner holds a view's state. It belongs to the committer while a commit
// is being made, to the run loop otherwise.
type viewOwner struct {
	id   ViewID
	plan *plan.View
	time viewTime // decided last
	// shown is the time that commits tell of: it waits for the last row of a
	// window that is being closed.
	shown   viewTime
	closing closing
	kept    keeper // Correctable, else empty
	// forgotten: of windows up to this place nothing may be kept, and holding
	// that nothing is to be forgotten.
	forgotten WindowPlace
	holding   bool
	reopened  map[int64]*reopened // closed windows that replays of this epoch change, by start

	groups  *state.Groups // Grouped, else nil
	hop     *window.Hop   // where windows overlap, else nil
	slide   int64         // from one window of a pane to the next; 1 where there is only one
	session *sessionOwner // where windows are sessions, else nil
	having  *expr.Program
	outputs []*expr.Program
	errs    expr.RowErrors

	log      stateLog
	expired  int64 // cutoff of the last expiry
	expiring bool  // more rows than one commit takes lie before it
}

func newViewOwner(id ViewID, v *plan.View) *viewOwner {
	o := &viewOwner{id: id, plan: v, time: noTime, shown: noTime, closing: closing{upTo: column.NegativeInfinity}, expired: column.NegativeInfinity,
		forgotten: noPlace}
	if v.Mode == plan.Grouped {
		o.setGroups()
		o.having = compile(v.Having)
		o.outputs = compileAll(v.Outputs)
	}
	return o
}

// setGroups makes the view's state, and sets what its kind of windows needs.
func (o *viewOwner) setGroups() {
	v := o.plan
	o.slide = 1
	if v.Window != nil {
		switch a := v.Window.Assigner.(type) {
		case *window.Session:
			o.session = newSessionOwner(v, a)
			o.groups = state.NewSessions(specOf(v), a.Gap(), a.Closes)
			return
		case *window.Hop:
			o.hop, o.slide = a, a.Slide()
		}
	}
	o.groups = state.NewGroups(specOf(v), windowEnd(v))
}

// touched is a group that an epoch's rows have changed.
type touched struct {
	window *state.Window
	group  uint32
}

// merge adds the partials' groups to the state and gives those that changed.
func (o *viewOwner) merge(seq int64, parts []*partial) []touched {
	if o.session != nil {
		return o.mergeSessions(seq, parts)
	}
	var out []touched
	for _, p := range parts {
		src := p.views[o.id].groups
		for g := range uint32(src.Len()) {
			key := src.Key(g)[windowPrefix:]
			hash := state.Hash(key)
			for start, last := o.windowsOf(src.windows[g]); start <= last; start += o.slide {
				w := o.windowFor(p, start)
				if w == nil {
					continue
				}
				if into := mergeGroup(w, hash, key, src, g); w.Mark(into, seq) {
					out = append(out, touched{w, into})
				}
			}
		}
	}
	return out
}

// windowFor gives the window that a partial's group goes to: an open one, or
// for a replay a closed one that was read again; nil: the replay is not for it.
func (o *viewOwner) windowFor(p *partial, start int64) *state.Window {
	if p.takes == nil {
		return o.groups.Window(start)
	}
	if !slices.Contains(p.takes[o.id], start) {
		return nil
	}
	if w := o.reopened[start]; w != nil {
		w.changed = true
		return w.window
	}
	return o.groups.Window(start)
}

// mergeGroup adds group g of a partial to its window.
func mergeGroup(w *state.Window, hash uint64, key []byte, src *groupPartial, g uint32) uint32 {
	into, fresh := w.Find(hash, key)
	if fresh || src.Images() {
		w.Represent(into, fresh, src.Keys, int(g), src.position(g))
	}
	if fresh {
		w.Ready()
	}
	for j, a := range w.Aggs {
		a.Merge(into, src.Aggs[j], g)
	}
	return into
}

// change is what a view's table is to become.
type change struct {
	groups  []touched // that the epoch's records have changed
	upserts *column.Batch
	fresh   []bool // of upserts: no row of that key stands in the table
	deletes *column.Batch
	errors  []GroupError
}

// emit computes the rows of groups: those that HAVING accepts are upserted,
// rows of the others are deleted where they stand in the table.
func (o *viewOwner) emit(out *change, groups []touched) {
	o.sort(groups)
	in := o.groupBatch(groups)
	pass := make([]int32, len(groups))
	for i := range pass {
		pass[i] = int32(i)
	}
	pass = o.errs.Compact(pass)
	if o.having != nil {
		v := o.having.Eval(in, pass, &o.errs)
		pass = expr.SelectTrue(v, o.errs.Compact(pass), nil)
	}
	cols := make([]*column.Vector, len(o.outputs))
	for j, p := range o.outputs {
		cols[j] = p.Eval(in, pass, &o.errs)
	}
	pass = o.errs.Compact(pass)

	shown := make([]bool, len(groups))
	for _, i := range pass {
		shown[i] = true
	}
	out.upserts = gather(cols, o.plan.Columns, pass)
	out.fresh = make([]bool, 0, len(pass))
	var gone []int32
	for i, t := range groups {
		flags := &t.window.Flags[t.group]
		err := o.errs.Get(int32(i))
		if !shown[i] && *flags&state.Present != 0 {
			gone = append(gone, int32(i))
		}
		if err != nil || *flags&state.Failed != 0 {
			e := GroupError{View: o.id, Key: o.keyJSON(in, i)}
			if err != nil {
				e.Code, e.Message = err.Code, err.Message
			}
			out.errors = append(out.errors, e)
		}
		if shown[i] {
			out.fresh = append(out.fresh, *flags&state.Present == 0)
		}
		*flags = 0
		if shown[i] {
			*flags |= state.Present
		}
		if err != nil {
			*flags |= state.Failed
		}
	}
	if len(gone) > 0 {
		out.deletes = o.keyRows(in, gone)
	}
}

// keyRows evaluates the key columns of groups whose row must go. They can't
// fail: a key column is a group key or a window's bound.
func (o *viewOwner) keyRows(in *column.Batch, rows []int32) *column.Batch {
	var errs expr.RowErrors
	errs.Reset(in.N)
	var cols []*column.Vector
	var types []plan.OutputColumn
	for _, k := range o.plan.Key {
		cols = append(cols, o.outputs[k].Eval(in, rows, &errs))
		types = append(types, o.plan.Columns[k])
	}
	return gather(cols, types, rows)
}

// gather copies rows of vectors into a batch.
func gather(cols []*column.Vector, types []plan.OutputColumn, rows []int32) *column.Batch {
	out := &column.Batch{N: len(rows)}
	for j, c := range cols {
		v := column.NewVector(types[j].Type, 0)
		for _, i := range rows {
			v.Append(c, int(i))
		}
		out.Cols = append(out.Cols, v)
	}
	return out
}

// groupBatch lays groups out as the planner has laid out expressions over
// them: window bounds, keys, aggregates. A result that an aggregate refuses
// fails the group.
func (o *viewOwner) groupBatch(groups []touched) *column.Batch {
	n := len(groups)
	b := &column.Batch{N: n}
	if w := o.plan.Window; w != nil {
		start, end := column.NewVector(w.Type, n), column.NewVector(w.Type, n)
		for i, t := range groups {
			start.Int[i], end.Int[i] = t.window.Bounds(t.group)
		}
		b.Cols = append(b.Cols, start, end)
	}
	for j, k := range o.plan.GroupKeys {
		v := column.NewVector(k, 0)
		for _, t := range groups {
			v.Append(t.window.Keys[j], int(t.group))
		}
		b.Cols = append(b.Cols, v)
	}
	o.errs.Reset(n)
	for j, a := range o.plan.Aggs {
		v := column.NewVector(a.Result, n)
		for i, t := range groups {
			if err := t.window.Aggs[j].Result(t.group, v, i); err != nil {
				v.Null[i] = true
				o.errs.Set(int32(i), err)
			}
		}
		b.Cols = append(b.Cols, v)
	}
	return b
}

// keyJSON gives a group's key as a JSON object: window_start, then the keys
// by number.
func (o *viewOwner) keyJSON(in *column.Batch, row int) string {
	dst := []byte{'{'}
	n := len(o.plan.GroupKeys)
	first := 0
	if w := o.plan.Window; w != nil {
		if !w.TTL {
			dst = append(dst, `"window_start":`...)
			dst = datum.AppendJSON(dst, in.Cols[0], row)
		}
		first = 2
	}
	for j := range n {
		if len(dst) > 1 {
			dst = append(dst, ',')
		}
		dst = appendJSONString(dst, []byte(o.keyName(first+j)))
		dst = append(dst, ':')
		dst = datum.AppendJSON(dst, in.Cols[first+j], row)
	}
	return string(append(dst, '}'))
}

// keyName gives the name under which the table shows column i of the group
// batch.
func (o *viewOwner) keyName(i int) string {
	for k, e := range o.plan.Outputs {
		if c, ok := e.(*expr.Column); ok && c.Index == i {
			return o.plan.Columns[k].Name
		}
	}
	return "key"
}

// sort puts groups in the order of the table's key, so that PostgreSQL walks
// its index in order.
func (o *viewOwner) sort(groups []touched) {
	slices.SortFunc(groups, func(a, b touched) int {
		if a.window != b.window || o.session != nil {
			x, _ := a.window.Bounds(a.group)
			y, _ := b.window.Bounds(b.group)
			if x != y {
				return cmp.Compare(x, y)
			}
		}
		for j := range a.window.Keys {
			x, y := a.window.Keys[j], b.window.Keys[j]
			switch {
			case x.Null[a.group] && y.Null[b.group]:
			case x.Null[a.group]:
				return 1
			case y.Null[b.group]:
				return -1
			default:
				if c := datum.Compare(x, int(a.group), y, int(b.group)); c != 0 {
					return c
				}
			}
		}
		return 0
	})
}

// rows joins the partials' rows of a view without groups.
func (o *viewOwner) rows(parts []*partial) *column.Batch {
	if o.plan.Mode == plan.Latest {
		return o.latest(parts)
	}
	out := &column.Batch{}
	for _, p := range parts {
		src := p.views[o.id].rows
		if src.n == 0 {
			continue
		}
		if out.Cols == nil {
			out.N, out.Cols = src.n, src.cols
			continue
		}
		out = appendRows(out, src, o.plan)
	}
	return out
}

// appendRows gives a batch of the rows of both.
func appendRows(a *column.Batch, b *rowPartial, v *plan.View) *column.Batch {
	types := tableColumns(v)
	out := &column.Batch{N: a.N + b.n}
	for j := range a.Cols {
		c := column.NewVector(types[j].Type, 0)
		for i := range a.N {
			c.Append(a.Cols[j], i)
		}
		for i := range b.n {
			c.Append(b.cols[j], i)
		}
		out.Cols = append(out.Cols, c)
	}
	return out
}

// latest gives for each key that the partials hold the row to keep.
func (o *viewOwner) latest(parts []*partial) *column.Batch {
	type candidate struct {
		src *rowPartial
		row int32
	}
	var best []candidate
	keys := state.NewTable(state.Spec{})
	for _, p := range parts {
		src := p.views[o.id].rows
		for g := range uint32(src.keys.Len()) {
			into, fresh := keys.Find(src.keys.HashOf(g), src.keys.Key(g))
			switch {
			case fresh:
				best = append(best, candidate{src, src.best[g]})
			case laterRow(src.cols, int(src.best[g]), best[into].src.cols, int(best[into].row)):
				best[into] = candidate{src, src.best[g]}
			}
		}
	}
	out := &column.Batch{N: len(best)}
	for j, c := range tableColumns(o.plan) {
		v := column.NewVector(c.Type, 0)
		for _, b := range best {
			v.Append(b.src.cols[j], int(b.row))
		}
		out.Cols = append(out.Cols, v)
	}
	return out
}

// position gives where group g's representative came from.
func (g *groupPartial) position(i uint32) (p aggregate.Position) {
	if g.Images() {
		p = g.At[i]
	}
	return p
}
