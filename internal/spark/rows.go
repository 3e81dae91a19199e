package spark

import (
	"bufio"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/expr"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/postgres"
	"github.com/millstream-dev/millstream/internal/sqlerr"
)

// maxFrame is the largest request: a record at the decoder's limit, and room
// for its key and headers.
const maxFrame = codec.MaxRecordBytes + 64<<20

// Rows judges records for a Spark task: requests come on in, one answer for
// each goes to out, until in ends. Both are frames of a four-byte length
// (big-endian) and content.
//
// A request: query (2 bytes), input (2), partition (4), offset (8), timestamp
// in microseconds since 1970 (8), then key, value and, for each header, name
// and value, each a length (4; -1 for null) and bytes; before the headers
// their number (4).
//
// An answer: a JSON array of texts and nulls. For a view it is the row's cells
// (see groups.go), empty where the record does not decode; for a ledger one
// refusal a text.
func Rows(job *Job, p *plan.Pipeline, in io.Reader, out io.Writer) error {
	r := &rowServer{job: job, plan: p, judges: map[[2]uint16]*engine.Judge{}}
	reader, writer := bufio.NewReaderSize(in, 1<<16), bufio.NewWriterSize(out, 1<<16)
	for {
		request, err := r.read(reader)
		if errors.Is(err, io.EOF) {
			return writer.Flush()
		}
		if err != nil {
			return err
		}
		answer, err := r.answer(request)
		if err != nil {
			return err
		}
		var length [4]byte
		binary.BigEndian.PutUint32(length[:], uint32(len(answer)))
		if _, err := writer.Write(append(length[:], answer...)); err != nil {
			return err
		}
		if reader.Buffered() == 0 { // the task waits for answers
			if err := writer.Flush(); err != nil {
				return err
			}
		}
	}
}

type rowServer struct {
	job    *Job
	plan   *plan.Pipeline
	judges map[[2]uint16]*engine.Judge
	cells  []*string
}

func (s *rowServer) read(r *bufio.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(r, length[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(length[:])
	if n > maxFrame {
		return nil, fmt.Errorf("spark rows: a request of %d bytes", n)
	}
	b := make([]byte, n)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, fmt.Errorf("spark rows: a request was cut short: %v", err) //nolint:errorlint // it must not pass for the end
	}
	return b, nil
}

// request is a parsed request.
type request struct {
	query, input uint16
	partition    int32
	record       engine.Record
}

var errRequest = errors.New("spark rows: a request that is not understood")

func parseRequest(b []byte) (request, error) {
	var q request
	const fixed = 2 + 2 + 4 + 8 + 8
	if len(b) < fixed {
		return q, errRequest
	}
	q.query, q.input = binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:])
	q.partition = int32(binary.BigEndian.Uint32(b[4:]))
	q.record.Offset = int64(binary.BigEndian.Uint64(b[8:]))
	q.record.Timestamp = int64(binary.BigEndian.Uint64(b[16:]))
	b = b[fixed:]
	bad := false
	next := func() []byte {
		if len(b) < 4 {
			bad = true
			return nil
		}
		n := int32(binary.BigEndian.Uint32(b))
		b = b[4:]
		if n < 0 {
			return nil
		}
		if int(n) > len(b) {
			bad = true
			return nil
		}
		field := b[:n:n]
		b = b[n:]
		return field
	}
	q.record.Key, q.record.Value = next(), next()
	if bad || len(b) < 4 {
		return q, errRequest
	}
	headers := binary.BigEndian.Uint32(b)
	b = b[4:]
	for range headers {
		h := engine.Header{Key: string(next()), Value: next()}
		if bad {
			return q, errRequest
		}
		q.record.Headers = append(q.record.Headers, h)
	}
	return q, nil
}

func (s *rowServer) answer(b []byte) ([]byte, error) {
	q, err := parseRequest(b)
	if err != nil {
		return nil, err
	}
	if int(q.query) >= len(s.job.Queries) || int(q.input) >= len(s.job.Queries[q.query].Inputs) {
		return nil, errRequest
	}
	query := &s.job.Queries[q.query]
	input := query.Inputs[q.input]
	judge := s.judges[[2]uint16{q.query, q.input}]
	if judge == nil {
		judge = engine.NewJudge(s.plan, engine.TableID(input.Topic), func(view engine.ViewID, source int) bool {
			return query.Kind == "ledger" || s.plan.Views[view].Name == query.View && source == input.Source
		})
		s.judges[[2]uint16{q.query, q.input}] = judge
	}
	v := judge.Judge(engine.TableID(input.Topic), q.partition, q.record, time.Now())
	for i := range v.Branches {
		s.refuseUnheld(engine.TableID(input.Topic), q, &v.Branches[i])
	}
	s.cells = s.cells[:0]
	if query.Kind == "ledger" {
		s.refusals(&v)
	} else if v.Refused == nil && !v.Tombstone {
		s.row(&v)
	}
	return json.Marshal(s.cells)
}

// refuseUnheld refuses what Spark's decimal does not hold: NaN and infinities
// in a numeric that is added up or compared.
func (s *rowServer) refuseUnheld(table engine.TableID, q request, b *engine.BranchVerdict) {
	if b.Filtered || b.Refused != nil {
		return
	}
	for i, a := range s.plan.Views[b.View].Aggs {
		if a.Arg.Kind != column.Numeric || a.Kind == expr.Count || !b.Applies[i] || b.Args[i].Null[b.Row] {
			continue
		}
		text := string(datum.Append(nil, b.Args[i], int(b.Row)))
		if c := text[len(text)-1]; c >= '0' && c <= '9' {
			continue
		}
		b.Refused = &engine.Refused{
			Table: table, View: b.View, Source: b.Source, Partition: q.partition, Offset: q.record.Offset, Timestamp: q.record.Timestamp,
			Cause: engine.CauseExpression, Position: -1, Code: sqlerr.FeatureNotSupported,
			Message: fmt.Sprintf("Spark's decimal does not hold %s, the argument of %s", text, a.Kind),
			Key:     q.record.Key, Payload: q.record.Value, Headers: q.record.Headers,
		}
		return
	}
}

func (s *rowServer) refusals(v *engine.Verdict) {
	refuse := func(r *engine.Refused) {
		if r != nil {
			s.text(string(postgres.RefusedJSON(s.plan, r)))
		}
	}
	refuse(v.Refused)
	for i := range v.Branches {
		refuse(v.Branches[i].Refused)
	}
}

func (s *rowServer) text(t string) { s.cells = append(s.cells, &t) }

// row gives the cells of a view's row. A record that the view does not take
// has only the first two: its event time moves the watermark all the same.
func (s *rowServer) row(v *engine.Verdict) {
	s.text(strconv.FormatInt(unixMicros(v.EventTime), 10))
	b := &v.Branches[0]
	if b.Filtered || b.Refused != nil {
		s.text("f")
		return
	}
	s.text("t")
	view := s.plan.Views[b.View]
	if view.Mode != plan.Grouped {
		for _, o := range b.Outputs {
			s.value(o, b.Row, false)
		}
		return
	}
	s.text(strconv.FormatInt(b.WindowStart, 10))
	s.text(strconv.FormatInt(unixMicros(b.WindowEnd), 10))
	s.text(base64.StdEncoding.EncodeToString(b.Key))
	for _, k := range b.Keys {
		s.value(k, b.Row, false)
	}
	for i, a := range b.Args {
		switch {
		case !b.Applies[i]:
			s.cells = append(s.cells, nil)
		case a == nil:
			s.text("t")
		default:
			s.value(a, b.Row, view.Aggs[i].Kind != expr.Count)
		}
	}
}

// value gives a value as PostgreSQL prints it; times, where Spark compares
// them, as numbers.
func (s *rowServer) value(v *column.Vector, row int32, compared bool) {
	switch {
	case v.Null[row]:
		s.cells = append(s.cells, nil)
	case compared && v.Type.Kind.IsTime():
		s.text(strconv.FormatInt(v.Int[row], 10))
	default:
		s.text(string(datum.Append(nil, v, int(row))))
	}
}

// unixMicros counts from 1970; what is beyond 64 bits becomes the greatest.
func unixMicros(stored int64) int64 {
	if stored > math.MaxInt64+column.UnixEpochMicros {
		return math.MaxInt64
	}
	return stored - column.UnixEpochMicros
}
