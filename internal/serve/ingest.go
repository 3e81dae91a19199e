package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/codec"
	codecjson "github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
)

// headerKey gives all records of a body one key.
const headerKey = "Millstream-Key"

// topic is a topic that records can be posted to, and the foreign tables that
// read it.
type topic struct {
	name   string
	tables []table
}

type table struct {
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
	Accepted int           `json:"accepted" doc:"Records that the log has acknowledged."`
	Rejected int           `json:"rejected" doc:"Records that were not sent."`
	Errors   []RecordError `json:"errors" doc:"The first rejected records, each with its reason."`
}

// topics gives the topics of the configured cluster, by Kafka's name, and by
// the foreign table's where no topic is called so.
func topics(p *plan.Pipeline) map[string]*topic {
	all := map[string]*topic{}
	if p == nil {
		return all
	}
	for _, t := range p.Topics {
		if t.Server != "kafka" || t.Format != "json" {
			continue
		}
		if all[t.Topic] == nil {
			all[t.Topic] = &topic{name: t.Topic}
		}
		all[t.Topic].tables = append(all[t.Topic].tables, table{t.Name, checks(t)})
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
	key, err := keyOf(r)
	if err != nil {
		return err
	}
	split, fault := splitter(r)
	if fault != nil {
		return fault
	}
	release, fault := s.room(r.Context())
	if fault != nil {
		return fault
	}
	defer release()
	body, fault := readBody(w, r)
	if fault != nil {
		return fault
	}
	parts, fault := split(body)
	if fault != nil {
		return fault
	}
	records, answer := t.check(parts, key)
	if err := s.produce(r.Context(), t.name, records); err != nil {
		return err
	}
	s.countIngest(t.name, "accepted", len(records))
	s.countIngest(t.name, "rejected", answer.Rejected)
	return writeIngested(w, answer)
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

// keyOf gives the function that makes a record's key: a field's value, a
// header's, or none.
func keyOf(r *http.Request) (func(value []byte) []byte, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem(http.StatusBadRequest, codeInvalid, "the query string is not well encoded")
	}
	for name := range query {
		if name != "key" {
			p := problem(http.StatusBadRequest, codeInvalid, "unknown parameter %q", printable(name)).hint("there is key=FIELD")
			p.Parameter = name
			return nil, p
		}
	}
	field, header := query.Get("key"), r.Header.Get(headerKey)
	switch {
	case field != "" && header != "":
		return nil, problem(http.StatusBadRequest, codeInvalid, "the key is given twice, by key=%s and by the header %s", printable(field), headerKey)
	case field != "":
		return func(value []byte) []byte { return fieldKey(value, field) }, nil
	case header != "":
		return func([]byte) []byte { return []byte(header) }, nil
	}
	return func([]byte) []byte { return nil }, nil
}

// fieldKey is the text of a member of an object; nil without one.
func fieldKey(value []byte, field string) []byte {
	var object map[string]json.RawMessage
	if json.Unmarshal(value, &object) != nil {
		return nil
	}
	raw := object[field]
	if raw == nil || string(raw) == "null" {
		return nil
	}
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return []byte(text)
	}
	return raw
}

// splitter chooses by the content type how a body becomes records.
func splitter(r *http.Request) (func([]byte) ([]bodyRecord, *Problem), *Problem) {
	if e := r.Header.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content encoding %q is not read", printable(e)).hint("send the body as it is")
	}
	const hint = "send application/json (an object, or an array of objects) or application/x-ndjson (an object per line)"
	media, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content type is missing or not well formed").hint(hint)
	}
	if charset := params["charset"]; charset != "" && !strings.EqualFold(charset, "utf-8") {
		return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the charset %q is not read", printable(charset)).hint("send UTF-8")
	}
	switch media {
	case "application/json":
		return splitJSON, nil
	case "application/x-ndjson", "application/ndjson", "application/jsonl", "application/x-jsonlines":
		return splitLines, nil
	case formType: // what curl -d says of any body
		return splitUntold, nil
	}
	return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content type %q is not read", printable(media)).hint(hint)
}

const formType = "application/x-www-form-urlencoded"

// splitUntold splits a body that nobody has called JSON but that may be: as
// JSON where it is one value, else as NDJSON where it begins like it.
func splitUntold(body []byte) ([]bodyRecord, *Problem) {
	switch {
	case json.Valid(body):
		return splitJSON(body)
	case bytes.HasPrefix(bytes.TrimLeft(body, " \t\r\n"), []byte("{")):
		return splitLines(body)
	}
	return nil, problem(http.StatusUnsupportedMediaType, codeMedia, "the content type is %s, and the body is not JSON either", formType).
		hint("curl -H 'Content-Type: application/json' -d …, or application/x-ndjson for an object per line")
}

// room waits until the body may be in memory.
func (s *Server) room(ctx context.Context) (func(), *Problem) {
	select {
	case s.ingests <- struct{}{}:
		return func() { <-s.ingests }, nil
	case <-ctx.Done():
		return nil, problem(http.StatusServiceUnavailable, codeUnavailable, "too many bodies at once").because(ctx.Err())
	}
}

func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *Problem) {
	tooLarge := problem(http.StatusRequestEntityTooLarge, codeBodySize, "the body is larger than %d bytes", maxBodyBytes).hint("send it in parts")
	if r.ContentLength > maxBodyBytes {
		return nil, tooLarge
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBodyBytes))
	var over *http.MaxBytesError
	switch {
	case errors.As(err, &over):
		return nil, tooLarge
	case err != nil:
		return nil, problem(http.StatusBadRequest, codeBody, "the body could not be read to its end").because(err)
	}
	return body, nil
}

// check decodes records as the topic's tables do. A record goes in when one
// table reads it; of one that none reads, the first table's fault is told.
func (t *topic) check(parts []bodyRecord, key func([]byte) []byte) ([]engine.Record, *ingested) {
	faults := make([]*RecordError, len(parts))
	for i, table := range t.tables {
		payloads := make([][]byte, 0, len(parts))
		index := make([]int, 0, len(parts))
		for j := range parts {
			if i == 0 || faults[j] != nil {
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
		if len(part.value) > maxRecordBytes {
			fault = &RecordError{Code: codeBodySize, Message: fmt.Sprintf("the record has %d bytes, at most %d are taken", len(part.value), maxRecordBytes)}
		}
		if fault == nil {
			records = append(records, engine.Record{Key: key(part.value), Value: part.value})
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

// produce sends records and waits for the log.
func (s *Server) produce(ctx context.Context, topic string, records []engine.Record) error {
	if len(records) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, produceTimeout)
	defer cancel()
	if err := s.config.Producer.Produce(ctx, topic, records); err != nil {
		s.countIngest(topic, "failed", len(records))
		return problem(http.StatusServiceUnavailable, codeUnavailable, "Kafka has not acknowledged the records; some of them may be in the log").
			hint("/readyz says what is known; send them again if twice does no harm").because(fmt.Errorf("produce to topic %q: %w", topic, err))
	}
	return nil
}

func (s *Server) countIngest(topic, outcome string, n int) {
	if s.config.Metrics != nil && n > 0 {
		s.config.Metrics.Ingested(topic, outcome, int64(n))
	}
}

// writeIngested answers 202, or with a problem when nothing was accepted.
func writeIngested(w http.ResponseWriter, a *ingested) error {
	if a.Accepted == 0 && a.Rejected > 0 {
		p := problem(http.StatusUnprocessableEntity, codeRejected, "no record was accepted")
		p.Accepted, p.Rejected, p.Errors = &a.Accepted, &a.Rejected, a.Errors
		return p
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(http.StatusAccepted)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(a) // a client that is gone needs no answer
	return nil
}

func (s *Server) ingestOperation() huma.Operation {
	return huma.Operation{
		Method: http.MethodPost, Path: "/v1/topics/{topic}", OperationID: "ingest", Tags: []string{"topics"},
		Summary:     "Write records to a topic",
		Description: "Each record is checked as the topic's foreign table reads it; those that don't fit are rejected, the others are written. Answered once the log has acknowledged them.",
		Parameters: []*huma.Param{
			{Name: "key", In: "query", Description: "The field whose value becomes a record's key.", Schema: text()},
			{Name: headerKey, In: "header", Description: "The key of all records.", Schema: text()},
		},
		Responses: map[string]*huma.Response{"202": {Description: "What became of the records.", Content: jsonOf(s.api, ingested{})}},
		Errors:    []int{400, 401, 404, 413, 415, 422, 503},
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
	}}
}
