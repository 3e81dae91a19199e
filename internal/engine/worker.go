package engine

import (
	"bytes"
	"time"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/failpoint"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// worker decodes and evaluates the records of its partitions. It owns its
// decoders, programs and the current partial; nothing of it is shared while
// chunks are under way.
type worker struct {
	id     int
	clock  Clock
	tables []*tableDecoder // by TableID
	views  []*viewWorker   // by ViewID
	// refused are the records that a build before has refused as from the
	// future; nobody changes it.
	refused map[tablePartition]map[int64]bool
	part    *partial
}

func newWorker(p *plan.Pipeline, clock Clock) *worker {
	w := &worker{clock: clock, part: newPartial(p)}
	for _, t := range p.Topics {
		w.tables = append(w.tables, newTableDecoder(t))
	}
	for _, v := range p.Views {
		w.views = append(w.views, newViewWorker(p, v))
	}
	return w
}

// process takes one chunk for one foreign table: part is the table's
// partition, floors the views' floors of the last sealed epoch, lookups the
// tables of this one.
func (w *worker) process(part *partition, chunk *Chunk, floors []int64, lookups []*lookupTable) {
	now := w.clock.Now()
	w.part.times.begin()
	t := w.tables[part.table]
	skipped := chunk.Next - part.next - int64(len(chunk.Records))
	d := t.decode(part, chunk, now, w.refused[tablePartition{part.table, part.partition}])
	failpoint.Hit("ingest.decoded")
	w.part.times.decoded()

	for i := range chunk.Records {
		r := &chunk.Records[i]
		w.part.bytes[part.table] += int64(len(r.Value) + len(r.Key))
	}
	w.part.refused = append(w.part.refused, d.refused...)
	for id, v := range w.views {
		for _, b := range v.branches {
			if b.table != t.topic {
				continue
			}
			counts := w.part.views[id].input(b.plan.Source, part)
			counts.Read += int64(len(chunk.Records))
			counts.Skipped += skipped
			counts.Quarantined += int64(len(d.refused))
			counts.Filtered += int64(d.passed)
			run := branchRun{worker: w, view: ViewID(id), branch: b, part: part, decoded: d, counts: counts, floor: floors[id], lookups: lookups, out: w.part.views[id]}
			run.process()
		}
	}
	failpoint.Hit("ingest.applied")
	w.part.times.applied(w.id, part, len(chunk.Records))
	part.next = chunk.Next
	if chunk.End >= 0 {
		part.end = chunk.End
	}
	part.end = max(part.end, part.next)
	if n := len(chunk.Records); n > 0 {
		part.lastRecord = now.UnixMicro()
		part.lastTimestamp = chunk.Records[n-1].Timestamp
		part.idleSince = 0
	}
	part.reached.Store(part.watermark())
	part.left.Store(part.end - part.next)
	failpoint.Hit("ingest.watermark_moved")
}

// tableDecoder turns chunks into batches as a foreign table says.
type tableDecoder struct {
	topic     *plan.Topic
	needed    []bool // by column, metadata included
	decoder   codec.Decoder
	columns   []int // decoder's column → index in the batch
	decodeTo  []*column.Vector
	generated []generatedColumn
	faults    []codec.Fault
	payloads  [][]byte
	kept      []Record // the records of a chunk some of whose are left out
	errs      expr.RowErrors
	out       decoded
}

type generatedColumn struct {
	index   int
	program *expr.Program
}

// decoded is a chunk as a batch. It is valid until the next chunk is
// decoded.
type decoded struct {
	batch   column.Batch
	records []Record // by row: tombstones are left out
	offsets []int64  // by row
	times   []int64  // by row: event time
	marks   []int64  // by row: the partition's own watermark at that record
	good    []int32  // rows that are decoded and have an event time
	refused []Refused
	// passed counts records that nobody looks at: without a value, or repeats
	// of one with the same idempotency key.
	passed int
}

func newTableDecoder(t *plan.Topic) *tableDecoder {
	needed := neededColumns(t)
	d := &tableDecoder{topic: t, needed: needed}
	for i, c := range t.Columns {
		if c.Generated != nil {
			d.generated = append(d.generated, generatedColumn{i, expr.Compile(c.Generated)})
		}
	}
	var columns []codec.Column
	columns, d.columns = t.Decoded(needed)
	d.decoder = json.New(columns)
	d.decodeTo = make([]*column.Vector, len(columns))
	d.out.batch.Cols = make([]*column.Vector, len(t.Columns)+int(plan.MetaCount))
	for i := range d.out.batch.Cols {
		if i >= len(t.Columns) || needed[i] || t.Columns[i].Generated != nil {
			d.out.batch.Cols[i] = &column.Vector{}
		}
	}
	for j, i := range d.columns {
		d.decodeTo[j] = d.out.batch.Cols[i]
	}
	return d
}

// neededColumns tells which columns are to be materialised: those that views
// read, and those that generated columns are computed from, since whether a
// record decodes does not depend on views.
func neededColumns(t *plan.Topic) []bool {
	needed := append([]bool(nil), t.Needed...)
	for _, c := range t.Columns {
		if c.Generated == nil {
			continue
		}
		expr.Walk(c.Generated, func(e expr.Expr) bool {
			if ref, ok := e.(*expr.Column); ok {
				needed[ref.Index] = true
			}
			return true
		})
	}
	return needed
}

func (d *tableDecoder) decode(part *partition, chunk *Chunk, now time.Time, refused map[int64]bool) *decoded {
	out := &d.out
	out.refused, out.passed = out.refused[:0], 0
	out.records = d.present(part, chunk.Records)
	n := len(out.records)
	out.batch.N = n
	out.offsets, d.payloads = sized(out.offsets, n), sized(d.payloads, n)
	for i := range out.records {
		out.offsets[i], d.payloads[i] = out.records[i].Offset, out.records[i].Value
	}
	d.errs.Reset(n)
	d.faults = d.decoder.Decode(d.payloads, d.decodeTo, d.faults[:0])
	d.fillMeta(part, chunk)

	out.good = out.good[:0]
	k := 0
	for i := range n {
		if k < len(d.faults) && d.faults[k].Row == i {
			out.refused = append(out.refused, d.refuseFault(part, &out.records[i], &d.faults[k]))
			k++
			continue
		}
		out.good = append(out.good, int32(i))
	}
	d.generate(part)
	d.eventTimes(part, now, refused)
	return out
}

// present gives the records that have a value and are no repeats. As a rule all
// have, and nothing is copied.
func (d *tableDecoder) present(part *partition, records []Record) []Record {
	all := true
	for i := range records {
		all = all && records[i].Value != nil && !keyed(records[i].Headers) // an oversize record has no value either
	}
	if all {
		return records
	}
	d.kept = d.kept[:0]
	for i := range records {
		switch r := &records[i]; {
		case len(r.Headers) > 0 && part.repeats.repeated(r):
			d.out.passed++
		case r.Oversize:
			d.out.refused = append(d.out.refused, newRefused(part, r, CauseSize, &sqlerr.Error{Message: "its batch takes more than 64 MiB when it is decompressed, and was not read"}))
		case r.Value == nil:
			d.out.passed++
		default:
			d.kept = append(d.kept, *r)
		}
	}
	return d.kept
}

// generate evaluates the generated columns: a failure is a failure to
// decode.
func (d *tableDecoder) generate(part *partition) {
	out := &d.out
	for _, g := range d.generated {
		v := g.program.Eval(&out.batch, out.good, &d.errs)
		out.batch.Cols[g.index] = v
		c := &d.topic.Columns[g.index]
		kept := out.good[:0]
		for _, i := range out.good {
			err := d.errs.Get(i)
			if err == nil && c.NotNull && v.Null[i] {
				err = sqlerr.New(sqlerr.NotNullViolation, "null value in column %q violates not-null constraint", c.Name)
			}
			if err != nil {
				r := newRefused(part, &out.records[i], CauseDecode, err)
				r.Column, r.Expected = c.Name, c.Type.String()
				out.refused = append(out.refused, r)
				continue
			}
			kept = append(kept, i)
		}
		out.good = kept
	}
}

// eventTimes finds each record's event time and the partition's watermark at
// it, and refuses records that have none or are ahead of the clock, now or
// when a build before has read them.
func (d *tableDecoder) eventTimes(part *partition, now time.Time, refused map[int64]bool) {
	out := &d.out
	n := out.batch.N
	out.times = sized(out.times, n)
	out.marks = sized(out.marks, n)
	limit := now.UnixMicro() + column.UnixEpochMicros + d.topic.Future.Microseconds()
	d.readTimes(out.times)
	greatest := part.greatest
	mark := less(greatest, part.delay)
	kept := out.good[:0]
	for _, i := range out.good {
		t := out.times[i]
		if t > limit || t == column.NegativeInfinity || len(refused) > 0 && refused[out.offsets[i]] {
			out.refused = append(out.refused, d.refuseTime(part, i))
			continue
		}
		if t > greatest {
			greatest = t
			mark = less(greatest, part.delay)
		}
		out.marks[i] = mark
		kept = append(kept, i)
	}
	out.good = kept
	if greatest > part.greatest {
		part.greatest = greatest
		part.greatestAt = now.UnixMicro()
	}
}

// readTimes sets each row's event time, an infinity where there is none.
func (d *tableDecoder) readTimes(times []int64) {
	if d.topic.EventTime < 0 {
		for i := range times {
			times[i] = d.out.records[i].Timestamp + column.UnixEpochMicros
		}
		return
	}
	v := d.out.batch.Cols[d.topic.EventTime]
	copy(times, v.Int)
	for i := range times {
		if v.Null[i] {
			times[i] = column.NegativeInfinity
		} else if v.Type.Kind == column.Date {
			times[i] = dateToMicros(v.Int[i])
		}
	}
}

// refuseTime says what is wrong with a row's event time.
func (d *tableDecoder) refuseTime(part *partition, row int32) Refused {
	cause, message := CauseFuture, "the event time is further ahead of the clock than future_limit allows"
	t := d.out.times[row]
	switch {
	case d.topic.EventTime >= 0 && d.out.batch.Cols[d.topic.EventTime].Null[row]:
		cause, message = CauseEventTime, "the event time is NULL"
	case d.topic.EventTime >= 0 && (t == column.Infinity || t == column.NegativeInfinity):
		cause, message = CauseEventTime, "the event time is infinite"
	}
	r := newRefused(part, &d.out.records[row], cause, &sqlerr.Error{Message: message})
	if d.topic.EventTime >= 0 {
		r.Column = d.topic.Columns[d.topic.EventTime].Name
	}
	return r
}

// dateToMicros gives midnight of a stored date, an infinity for an infinity.
func dateToMicros(days int64) int64 {
	const day = 24 * 60 * 60 * 1_000_000
	switch days {
	case column.DateInfinity:
		return column.Infinity
	case column.DateNegInfinity:
		return column.NegativeInfinity
	}
	return days * day
}

func (d *tableDecoder) refuseFault(part *partition, r *Record, f *codec.Fault) Refused {
	cause := CauseDecode
	switch {
	case f.Size:
		cause = CauseSize
	case f.Reserved:
		cause = CauseEventTime
	}
	out := newRefused(part, r, cause, f.Err)
	out.Path, out.Position = f.Path, f.Position
	if f.Column >= 0 {
		c := &d.topic.Columns[d.columns[f.Column]]
		out.Column, out.Expected = c.Name, c.Type.String()
	}
	return out
}

func newRefused(part *partition, r *Record, cause Cause, err *sqlerr.Error) Refused {
	return Refused{
		Table: part.table, View: -1, Partition: part.partition, Offset: r.Offset, Timestamp: r.Timestamp,
		Cause: cause, Position: -1, Code: err.Code, Message: err.Message,
		Key: bytes.Clone(r.Key), Payload: bytes.Clone(r.Value), Headers: cloneHeaders(r.Headers),
	}
}

// cloneHeaders copies headers with their bytes: a chunk's memory is used
// again before the commit that tells of its record.
func cloneHeaders(hs []Header) []Header {
	if len(hs) == 0 {
		return nil
	}
	out := make([]Header, len(hs))
	for i, h := range hs {
		out[i] = Header{Key: h.Key, Value: bytes.Clone(h.Value)}
	}
	return out
}

func sized[T any](s []T, n int) []T {
	if cap(s) >= n {
		return s[:n]
	}
	return make([]T, n, n+n/4)
}
