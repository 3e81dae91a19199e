package serve

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/codec"
	codecjson "github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// topic is a topic that records can be posted to, and the foreign tables that
// read it.
type topic struct {
	name   string
	tables []table
}

type table struct {
	id      engine.TableID
	name    string
	columns []codec.Column
}

// RecordError is why a record of a body was rejected.
type RecordError struct {
	Index   int    `json:"index" doc:"The record's number in the body, from 0."`
	Line    int    `json:"line" doc:"The line where it begins, from 1."`
	Field   string `json:"field,omitempty" doc:"The JSON path of the value that is at fault."`
	Code    string `json:"code" doc:"PostgreSQL's SQLSTATE, or a code of ours." example:"22P02"`
	Message string `json:"message" doc:"PostgreSQL's message."`
}

// ingested is the answer to a body.
type ingested struct {
	Accepted int           `json:"accepted" doc:"Records that were sent; unless ack=none, the log has acknowledged them."`
	Rejected int           `json:"rejected" doc:"Records that were not sent."`
	Errors   []RecordError `json:"errors" doc:"The first rejected records, each with its reason."`
	Commit   int64         `json:"commit,omitempty" doc:"With ack=committed, a commit in which the tables have them."`
}

// topics gives the topics of the configured cluster, by Kafka's name, and by
// the foreign table's where no topic is called so.
func topics(p *plan.Pipeline) map[string]*topic {
	all := map[string]*topic{}
	if p == nil {
		return all
	}
	for id, t := range p.Topics {
		if t.Server != "kafka" || t.Format != "json" {
			continue
		}
		if all[t.Topic] == nil {
			all[t.Topic] = &topic{name: t.Topic}
		}
		all[t.Topic].tables = append(all[t.Topic].tables, table{engine.TableID(id), t.Name, checks(t)})
	}
	for _, t := range p.Topics {
		if own := all[t.Topic]; own != nil && all[t.Name] == nil {
			all[t.Name] = own
		}
	}
	return all
}

// checks are a topic's columns for checking alone: nothing is materialised.
func checks(t *plan.Topic) []codec.Column {
	var columns []codec.Column
	for _, c := range t.Columns {
		if c.Generated == nil {
			columns = append(columns, codec.Column{Name: c.Name, Type: c.Type, NotNull: c.NotNull, Path: c.Path, Epoch: c.Epoch})
		}
	}
	return columns
}

// ingest answers POST /v1/topics/{topic}.
func (s *Server) ingest(w http.ResponseWriter, r *http.Request, name string) error {
	t, err := s.topic(name)
	if err != nil {
		return err
	}
	o, err := ingestOptions(r)
	if err != nil {
		return err
	}
	if o.ack == ackCommitted && s.config.Status == nil {
		return problem(http.StatusServiceUnavailable, codeNoEngine, "no engine runs in this process").hint("ack=log waits for Kafka alone")
	}
	if o.ack == ackCommitted {
		if p := s.needsEngine(); p != nil {
			return p
		}
	}
	records, answer, err := s.accept(w, r, t, o)
	if err != nil {
		return err
	}
	s.countIngest(t.name, "rejected", answer.Rejected)
	// The log and the engine may take their time: the answer has its own.
	patience := produceTimeout + committedTimeout + answerPatience
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(patience))
	if answer.Commit, err = s.send(r.Context(), t, records, o.ack); err != nil {
		return err
	}
	return writeIngested(w, answer, o.ack)
}

// accept reads a body and gives its records that can be sent.
func (s *Server) accept(w http.ResponseWriter, r *http.Request, t *topic, o *options) ([]engine.Record, *ingested, error) {
	split, fault := splitter(r, t, s.config.Ingest.BodyRecords)
	if fault != nil {
		return nil, nil, fault
	}
	release, fault := s.bodyRoom(r.Context())
	if fault != nil {
		return nil, nil, fault
	}
	defer release()
	body, fault := readBody(w, r, s.config.Ingest.BodyBytes)
	if fault != nil {
		return nil, nil, fault
	}
	parts, fault := split(body)
	if fault != nil {
		return nil, nil, fault
	}
	o.stamp(parts)
	records, answer := t.check(parts, o, s.config.Ingest.RecordBytes)
	return records, answer, nil
}

func (s *Server) topic(name string) (*topic, error) {
	if s.config.Producer == nil {
		return nil, problem(http.StatusServiceUnavailable, codeUnavailable, "nothing can be posted to this server").hint("it has no connection to Kafka")
	}
	if t := s.topics[name]; t != nil {
		return t, nil
	}
	names := slices.Sorted(maps.Keys(s.topics))
	p := problem(http.StatusNotFound, codeTopic, "the pipeline has no topic %q", printable(name))
	if close := diag.Closest(name, names); close != "" {
		return nil, p.hint("did you mean %q?", close)
	}
	return nil, p.hint("its topics are %s", strings.Join(names, ", "))
}

// check decodes records as the topic's tables do. A record goes in when one
// table reads it; of one that none reads, the first table's fault is told.
func (t *topic) check(parts []bodyRecord, o *options, most int) ([]engine.Record, *ingested) {
	faults := make([]*RecordError, len(parts))
	for i, table := range t.tables {
		payloads := make([][]byte, 0, len(parts))
		index := make([]int, 0, len(parts))
		for j := range parts {
			if parts[j].fault == nil && (i == 0 || faults[j] != nil) {
				payloads, index = append(payloads, parts[j].value), append(index, j)
			}
		}
		found := table.faults(payloads)
		for k, j := range index {
			if i == 0 || found[k] == nil {
				faults[j] = found[k]
			}
		}
	}
	answer := &ingested{Errors: []RecordError{}}
	var records []engine.Record
	for j, part := range parts {
		fault := faults[j]
		switch {
		case part.fault != nil:
			fault = part.fault
		case len(part.value) > most:
			fault = &RecordError{Code: codeBodySize, Message: fmt.Sprintf("the record has %d bytes, at most %d are taken", len(part.value), most)}
		}
		if fault == nil {
			records = append(records, engine.Record{Key: o.key(part.value), Value: part.value, Headers: o.recordHeaders(j)})
			continue
		}
		if answer.Rejected++; len(answer.Errors) < maxListedErrors {
			fault.Index, fault.Line = j, part.line
			answer.Errors = append(answer.Errors, *fault)
		}
	}
	answer.Accepted = len(records)
	return records, answer
}

// faults decodes payloads and gives each one's fault, nil for none.
func (t *table) faults(payloads [][]byte) []*RecordError {
	out := make([]*RecordError, len(payloads))
	decoder := codecjson.New(t.columns)
	for _, f := range decoder.Decode(payloads, make([]*column.Vector, len(t.columns)), nil) {
		e := &RecordError{Field: f.Path, Code: f.Err.Code, Message: f.Err.Message}
		if f.Column >= 0 && e.Field == "" {
			e.Field = t.columns[f.Column].Name
		}
		out[f.Row] = e
	}
	for i, p := range payloads {
		if out[i] == nil && p[0] != '{' {
			out[i] = &RecordError{Code: codeRecord, Message: "the record is not a JSON object"}
		}
	}
	return out
}

func (s *Server) countIngest(topic, outcome string, n int) {
	if s.config.Metrics != nil && n > 0 {
		s.config.Metrics.Ingested(topic, outcome, int64(n))
	}
}

// writeIngested answers 202, 200 when the tables have the records, or with a
// problem when nothing was accepted.
func writeIngested(w http.ResponseWriter, a *ingested, ack string) error {
	if a.Accepted == 0 && a.Rejected > 0 {
		p := problem(http.StatusUnprocessableEntity, codeRejected, "no record was accepted")
		p.Accepted, p.Rejected, p.Errors = &a.Accepted, &a.Rejected, a.Errors
		return p
	}
	h := w.Header()
	h.Set("Content-Type", "application/json")
	h.Set("Cache-Control", "no-store")
	if a.Commit > 0 {
		h.Set(headerCommit, fmt.Sprint(a.Commit))
	}
	status := http.StatusAccepted
	if ack == ackCommitted {
		status = http.StatusOK
	}
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(a) // a client that is gone needs no answer
	return nil
}

func (s *Server) ingestOperation() huma.Operation {
	acks := &huma.Schema{Type: "string", Enum: []any{ackNone, ackLog, ackCommitted}, Default: ackLog}
	list := &huma.Schema{Type: "array", Items: text()}
	return huma.Operation{
		Method: http.MethodPost, Path: "/v1/topics/{topic}", OperationID: "ingest", Tags: []string{"topics"},
		Summary:     "Write records to a topic",
		Description: "Each record is checked as the topic's foreign table reads it; those that don't fit are rejected, the others are written. Answered as ack says.",
		Parameters: []*huma.Param{
			{Name: "ack", In: "query", Description: "What the answer waits for: nothing, the log's acknowledgement, or that the tables have the records.", Schema: acks},
			{Name: "key", In: "query", Description: "The field whose value becomes a record's key.", Schema: text()},
			{Name: "header", In: "query", Description: "A header of all records, NAME:VALUE.", Schema: list},
			{Name: headerKey, In: "header", Description: "The key of all records.", Schema: text()},
			{Name: headerHeader, In: "header", Description: "A header of all records, NAME:VALUE.", Schema: text()},
			{Name: headerRepeat, In: "header", Description: "A name of the request: sent again with the same name, its records are counted once.", Schema: text()},
			{Name: "Content-Encoding", In: "header", Description: "gzip, zstd, or none.", Schema: text()},
		},
		Responses: map[string]*huma.Response{
			"200": {Description: "The tables have the records.", Content: jsonOf(s.api, ingested{})},
			"202": {Description: "What became of the records.", Content: jsonOf(s.api, ingested{})},
		},
		Errors: []int{400, 401, 404, 413, 415, 422, 429, 503, 504},
	}
}

// ingestBody describes the body. Huma reads and checks a body that it is told
// of when the operation is registered; this one is read by ingest, so it is
// described afterwards.
func ingestBody() *huma.RequestBody {
	record := &huma.Schema{Type: "object"}
	return &huma.RequestBody{Required: true, Content: map[string]*huma.MediaType{
		"application/json":     {Schema: &huma.Schema{OneOf: []*huma.Schema{record, {Type: "array", Items: record}}}},
		"application/x-ndjson": {Schema: text()},
		"text/csv":             {Schema: text()},
	}}
}
