package engine

import (
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
)

// joinWorker is a worker's programs and scratch for one join of a branch.
type joinWorker struct {
	plan   *plan.Join
	lookup LookupID
	keys   []*expr.Program
	on     *expr.Program
	filter *expr.Program

	prober  prober
	keyCols []*column.Vector
	met     []int32          // rows of the batch that have a match
	cols    []*column.Vector // the table's columns for the batch; nil where nobody reads one
}

func newJoinWorkers(p *plan.Pipeline, b *plan.Branch) []*joinWorker {
	var out []*joinWorker
	for _, j := range b.Joins {
		w := &joinWorker{plan: j, lookup: lookupID(p, j.Lookup), keys: compileAll(j.Keys), on: compile(j.On), filter: compile(j.Filter)}
		w.keyCols = make([]*column.Vector, len(w.keys))
		w.cols = make([]*column.Vector, len(j.Lookup.Columns))
		for _, c := range j.Lookup.Read() {
			w.cols[c] = &column.Vector{}
		}
		out = append(out, w)
	}
	return out
}

func lookupID(p *plan.Pipeline, l *plan.Lookup) LookupID {
	for id, o := range p.Lookups {
		if o == l {
			return LookupID(id)
		}
	}
	panic("engine: a join with a table that is not in the plan")
}

// joined gives the batch that a branch's expressions are over: the decoded
// columns, and after them those of the tables that it joins.
func (b *branch) joined(decoded *column.Batch) *column.Batch {
	if len(b.joins) == 0 {
		return decoded
	}
	b.batch.N = decoded.N
	b.batch.Cols = append(b.batch.Cols[:0], decoded.Cols...)
	for _, j := range b.joins {
		b.batch.Cols = append(b.batch.Cols, j.cols...)
	}
	return &b.batch
}

// join meets the rows of b.sel with a table: those that find no row are
// filtered, or with LEFT JOIN go on with NULLs. A key, and a condition, that
// fails sends its record to quarantine.
func (r *branchRun) join(j *joinWorker, table *lookupTable) {
	b := r.branch
	for k, p := range j.keys {
		j.keyCols[k] = p.Eval(r.batch, b.sel, &b.errs)
	}
	b.sel = r.dropFailed(b.sel)
	j.prober.find(table.indexes[j.plan.Index], j.keyCols, b.sel, r.batch.N)
	matches := j.prober.matches
	j.met = j.met[:0]
	for _, i := range b.sel {
		if matches[i] >= 0 {
			j.met = append(j.met, i)
		}
	}
	if !j.plan.Left {
		r.counts.Filtered += int64(len(b.sel) - len(j.met))
		b.sel = append(b.sel[:0], j.met...)
	}
	j.gather(table, b.sel, r.batch.N)
	if j.on != nil {
		r.unmatch(j)
	}
	if j.filter != nil && len(b.sel) > 0 {
		r.where(j.filter)
	}
}

// unmatch takes the match from rows that LEFT JOIN's further conditions do
// not hold for.
func (r *branchRun) unmatch(j *joinWorker) {
	b := r.branch
	v := j.on.Eval(r.batch, j.met, &b.errs)
	for _, i := range j.met {
		if v.Null[i] || v.Int[i] == 0 {
			for _, c := range j.cols {
				if c != nil {
					c.Null[i] = true
				}
			}
		}
	}
	b.sel = r.dropFailed(b.sel)
}

// gather puts the matched rows' values beside the records. Bytes are not
// copied: the vectors share the table's buffers, which nobody changes.
func (j *joinWorker) gather(table *lookupTable, sel []int32, n int) {
	matches := j.prober.matches
	for c, out := range j.cols {
		if out == nil {
			continue
		}
		in := table.rows.Cols[c]
		out.Buf = nil // it may be a table's
		out.Reset(in.Type, n)
		switch in.Type.Kind.Storage() {
		case column.IntStorage:
			for _, i := range sel {
				if m := matches[i]; m >= 0 && !in.Null[m] {
					out.Int[i] = in.Int[m]
				} else {
					out.Null[i] = true
				}
			}
		case column.FloatStorage:
			for _, i := range sel {
				if m := matches[i]; m >= 0 && !in.Null[m] {
					out.Float[i] = in.Float[m]
				} else {
					out.Null[i] = true
				}
			}
		case column.BytesStorage:
			out.Buf = in.Buf
			for _, i := range sel {
				if m := matches[i]; m >= 0 && !in.Null[m] {
					out.Span[i] = in.Span[m]
				} else {
					out.Null[i] = true
				}
			}
		}
	}
}

// where keeps the rows of b.sel for which a condition is true; the others
// are filtered, those that fail go to quarantine.
func (r *branchRun) where(condition *expr.Program) {
	b := r.branch
	v := condition.Eval(r.batch, b.sel, &b.errs)
	b.sel = r.dropFailed(b.sel)
	b.kept = expr.SelectTrue(v, b.sel, b.kept[:0])
	r.counts.Filtered += int64(len(b.sel) - len(b.kept))
	b.sel, b.kept = b.kept, b.sel
}
