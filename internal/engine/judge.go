package engine

import (
	"encoding/binary"
	"time"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine/state"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// Judge decides the fate of single records by the decoder and the programs of
// the run loop's workers, for an engine that reads Kafka by itself. Lateness
// is left to that engine. A judge serves one goroutine.
type Judge struct {
	decoder  *tableDecoder
	branches []judgeBranch
}

type judgeBranch struct {
	view ViewID
	*branch
}

// NewJudge gives the judge of a topic's records, for the branches of p's
// views that read it and that wanted takes.
func NewJudge(p *plan.Pipeline, table TableID, wanted func(view ViewID, source int) bool) *Judge {
	j := &Judge{decoder: newTableDecoder(p.Topics[table])}
	for id, v := range p.Views {
		for _, b := range v.Branches {
			if b.Topic == p.Topics[table] && wanted(ViewID(id), b.Source) {
				j.branches = append(j.branches, judgeBranch{ViewID(id), newBranch(p, v, b)})
			}
		}
	}
	return j
}

// Verdict is what becomes of a record. Its vectors are valid until the next
// one is judged.
type Verdict struct {
	Tombstone bool
	Refused   *Refused // it does not decode, or has no event time
	EventTime int64    // stored microseconds, where neither of the two
	Branches  []BranchVerdict
}

// BranchVerdict is what becomes of a decoded record in one branch of a view.
type BranchVerdict struct {
	View                   ViewID
	Source                 int
	Filtered               bool
	Refused                *Refused
	WindowStart, WindowEnd int64 // with a window
	// Row is the record's place in the vectors.
	Row  int32
	Key  []byte           // of the group, or of the row: equal keys have equal bytes
	Keys []*column.Vector // Grouped
	// Args are the aggregates' arguments: nil for count(*). Applies tells for
	// each aggregate whether its FILTER takes the row.
	Args    []*column.Vector
	Applies []bool
	Outputs []*column.Vector // Append and Latest
}

// Judge judges one record of a partition.
func (j *Judge) Judge(table TableID, partitionID int32, r Record, now time.Time) Verdict {
	part := &partition{table: table, partition: partitionID, next: r.Offset, greatest: column.NegativeInfinity}
	d := j.decoder.decode(part, &Chunk{Partition: Partition{Partition: partitionID}, Records: []Record{r}, Next: r.Offset + 1, End: -1}, now, nil)
	switch {
	case len(d.refused) > 0:
		return Verdict{Refused: &d.refused[0]}
	case d.passed > 0:
		return Verdict{Tombstone: true}
	}
	v := Verdict{EventTime: d.times[0]}
	for _, b := range j.branches {
		v.Branches = append(v.Branches, b.judge(part, d))
	}
	return v
}

func (b judgeBranch) judge(part *partition, d *decoded) BranchVerdict {
	out := BranchVerdict{View: b.view, Source: b.plan.Source}
	b.errs.Reset(1)
	sel := []int32{0}
	if b.filter != nil {
		v := b.filter.Eval(&d.batch, sel, &b.errs)
		if b.failed(&out, part, d) {
			return out
		}
		if out.Filtered = v.Null[0] || v.Int[0] == 0; out.Filtered {
			return out
		}
	}
	if b.branch.view.Mode == plan.Grouped {
		b.judgeGroup(&out, part, d, sel)
	} else {
		b.judgeRow(&out, part, d, sel)
	}
	return out
}

// failed puts the record into quarantine if an expression has failed.
func (b judgeBranch) failed(out *BranchVerdict, part *partition, d *decoded) bool {
	if err := b.errs.Get(0); err != nil {
		b.refuse(out, part, d, CauseExpression, err)
	}
	return out.Refused != nil
}

func (b judgeBranch) refuse(out *BranchVerdict, part *partition, d *decoded, cause Cause, err *sqlerr.Error) {
	r := newRefused(part, &d.records[0], cause, err)
	r.View, r.Source = b.view, b.plan.Source
	out.Refused = &r
}

func (b judgeBranch) judgeGroup(out *BranchVerdict, part *partition, d *decoded, sel []int32) {
	var times *column.Vector
	if b.window != nil {
		times = b.window.Eval(&d.batch, sel, &b.errs)
	}
	for _, p := range b.keys {
		out.Keys = append(out.Keys, p.Eval(&d.batch, sel, &b.errs))
	}
	for i, p := range b.args {
		out.Applies = append(out.Applies, true)
		out.Args = append(out.Args, nil)
		takes := sel
		if f := b.argFilters[i]; f != nil {
			takes = b.errs.Compact(expr.SelectTrue(f.Eval(&d.batch, sel, &b.errs), sel, nil))
			out.Applies[i] = len(takes) > 0
		}
		if p != nil {
			out.Args[i] = p.Eval(&d.batch, takes, &b.errs)
		}
	}
	if b.failed(out, part, d) {
		return
	}
	start := int64(state.Windowless)
	if b.window != nil {
		var ok bool
		if !times.Null[0] {
			start, ok = b.branch.view.Window.Assigner.Start(times.Int[0])
		}
		if !ok {
			b.refuse(out, part, d, CauseExpression, sqlerr.New(sqlerr.DatetimeFieldOverflow, "timestamp out of range"))
			return
		}
		out.WindowStart, out.WindowEnd = start, b.branch.view.Window.Assigner.End(start)
	}
	out.Key = binary.LittleEndian.AppendUint64(nil, uint64(start))
	for _, k := range out.Keys {
		out.Key = datum.AppendKey(out.Key, k, 0)
	}
	b.checkKey(out, part, d)
}

func (b judgeBranch) judgeRow(out *BranchVerdict, part *partition, d *decoded, sel []int32) {
	for _, p := range b.outputs {
		out.Outputs = append(out.Outputs, p.Eval(&d.batch, sel, &b.errs))
	}
	if b.failed(out, part, d) || b.branch.view.Mode != plan.Latest {
		return
	}
	for _, k := range b.branch.view.Key {
		out.Key = datum.AppendKey(out.Key, out.Outputs[k], 0)
	}
	b.checkKey(out, part, d)
}

func (b judgeBranch) checkKey(out *BranchVerdict, part *partition, d *decoded) {
	if len(out.Key) > MaxKeyBytes {
		b.refuse(out, part, d, CauseKeySize, &sqlerr.Error{Message: "the row's key takes more than 2,000 bytes"})
	}
}
