package serve

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"

	"github.com/millstream-dev/millstream/internal/codec"
	codecjson "github.com/millstream-dev/millstream/internal/codec/json"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/datum"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/plan"
)

// Limits of looking into topics.
const (
	// searchOffsets is how far a search by key looks.
	searchOffsets = 100_000
	// searchTimeout is how long it may take: then it answers with what it has.
	searchTimeout = 5 * time.Second
)

// Topics looks into the topics of the configured cluster.
type Topics interface {
	Topics(ctx context.Context, names ...string) ([]kafka.Topic, error)
	Search(ctx context.Context, topic string, q kafka.Search) (*kafka.Found, error)
}

// Topic is a topic of the pipeline as GET /v1/topics describes it.
type Topic struct {
	Topic      string           `json:"topic" doc:"Kafka's name."`
	Server     string           `json:"server" doc:"The server of its foreign tables; only topics of kafka, the configured cluster, can be looked into and posted to."`
	Tables     []TopicTable     `json:"tables" doc:"The foreign tables that read it."`
	Partitions []TopicPartition `json:"partitions"`
	Problem    string           `json:"problem,omitempty" doc:"Why nothing is known of the partitions."`
}

// TopicTable is a foreign table.
type TopicTable struct {
	Name             string     `json:"name"`
	Comment          string     `json:"comment,omitempty"`
	EventTime        string     `json:"event_time,omitempty" doc:"The column with the event time; absent: Kafka's timestamp."`
	WatermarkSeconds float64    `json:"watermark_seconds" doc:"How far event times may be out of order."`
	Columns          []TableCol `json:"columns"`
}

// TopicPartition is a partition of a topic.
type TopicPartition struct {
	Partition int32  `json:"partition"`
	Start     int64  `json:"start" doc:"The first offset that is kept."`
	End       int64  `json:"end" doc:"The offset after the last committed record."`
	Leader    int32  `json:"leader" doc:"The broker that serves it; -1: none does."`
	Replicas  int    `json:"replicas"`
	InSync    int    `json:"in_sync" doc:"Replicas that have all of it."`
	Problem   string `json:"problem,omitempty"`
}

type topicsAnswer struct {
	Topics []Topic `json:"topics"`
}

// Record is a record of a topic, and how its foreign table reads it.
type Record struct {
	Partition int32           `json:"partition"`
	Offset    int64           `json:"offset"`
	Timestamp time.Time       `json:"timestamp" doc:"Kafka's."`
	Key       Bytes           `json:"key"`
	Value     Bytes           `json:"value"`
	Headers   [][2]Bytes      `json:"headers,omitempty"`
	Columns   json.RawMessage `json:"columns,omitempty" doc:"The values of the foreign table's columns; absent where it does not read the record."`
	Fault     *RecordFault    `json:"fault,omitempty" doc:"Why it does not."`
}

// RecordFault is why a foreign table does not read a record.
type RecordFault struct {
	Field    string `json:"field,omitempty" doc:"The JSON path of the value that is at fault."`
	Position int    `json:"position" doc:"The byte of the value where the fault is, from 0; -1: it has none."`
	Code     string `json:"code" doc:"PostgreSQL's SQLSTATE."`
	Message  string `json:"message"`
}

// Bytes are a key or value: a JSON string where they are text, null where
// there are none, else {"base64": …}.
type Bytes []byte

// MarshalJSON writes text as text.
func (b Bytes) MarshalJSON() ([]byte, error) {
	switch {
	case b == nil:
		return []byte("null"), nil
	case utf8.Valid(b):
		return json.Marshal(string(b))
	}
	return json.Marshal(map[string]string{"base64": base64.StdEncoding.EncodeToString(b)})
}

// Schema describes them.
func (Bytes) Schema(huma.Registry) *huma.Schema {
	encoded := &huma.Schema{Type: "object", Properties: map[string]*huma.Schema{"base64": text()}}
	return &huma.Schema{OneOf: []*huma.Schema{text(), encoded, {Type: "null"}}}
}

type recordsAnswer struct {
	Table    string   `json:"table" doc:"The foreign table that reads the records."`
	Records  []Record `json:"records" doc:"Oldest first."`
	Scanned  int64    `json:"scanned" doc:"Offsets that were looked at."`
	Complete bool     `json:"complete" doc:"False where a search by key ended before all was looked at."`
}

type recordsInput struct {
	Topic     string    `path:"topic" doc:"A topic of the pipeline, by Kafka's name or its foreign table's."`
	Limit     int       `query:"limit" default:"50" minimum:"1" maximum:"200" doc:"Records at most."`
	Partition int32     `query:"partition" default:"-1" minimum:"-1" doc:"Only this partition."`
	Offset    int64     `query:"offset" default:"-1" minimum:"-1" doc:"From this offset on; needs partition."`
	From      time.Time `query:"from" doc:"From this timestamp on; without it and offset, the last records."`
	Key       string    `query:"key" doc:"Only records with this key. Looks at 100,000 offsets at most, from the end or from where the search begins."`
}

func (s *Server) topicRoutes() {
	list := huma.Operation{Method: http.MethodGet, Path: "/v1/topics", OperationID: "topics", Summary: "The topics and who reads them", Tags: []string{"topics"}, Errors: []int{401}}
	type listOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         topicsAnswer
	}
	huma.Register(s.api, list, func(ctx context.Context, _ *struct{}) (*listOutput, error) {
		return &listOutput{"no-store", topicsAnswer{s.describeTopics(ctx)}}, nil
	})
	records := huma.Operation{Method: http.MethodGet, Path: "/v1/topics/{topic}/records", OperationID: "records", Tags: []string{"topics"},
		Summary: "Records of a topic, as its foreign table reads them", Errors: []int{401, 404, 503}}
	type recordsOutput struct {
		CacheControl string `header:"Cache-Control"`
		Body         *recordsAnswer
	}
	huma.Register(s.api, records, func(ctx context.Context, in *recordsInput) (*recordsOutput, error) {
		body, err := s.records(ctx, in)
		if err != nil {
			return nil, s.report(records, err)
		}
		return &recordsOutput{"no-store", body}, nil
	})
}

// describeTopics lists the pipeline's topics. What the cluster does not tell
// is missing, with the reason: the rest is worth an answer.
func (s *Server) describeTopics(ctx context.Context) []Topic {
	out := []Topic{}
	if s.config.Pipeline == nil {
		return out
	}
	type name struct{ server, topic string }
	index := map[name]int{}
	for _, t := range s.config.Pipeline.Topics {
		k := name{t.Server, t.Topic}
		i, there := index[k]
		if !there {
			i = len(out)
			index[k] = i
			out = append(out, Topic{Topic: t.Topic, Server: t.Server, Partitions: []TopicPartition{}})
			if t.Server != plan.DefaultServer {
				out[i].Problem = "it is on another cluster than the configured one"
			}
		}
		out[i].Tables = append(out[i].Tables, topicTable(t))
	}
	s.partitions(ctx, out)
	slices.SortFunc(out, func(a, b Topic) int { return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.Server, b.Server)) })
	return out
}

func topicTable(t *plan.Topic) TopicTable {
	out := TopicTable{Name: t.Name, Comment: t.Comment, WatermarkSeconds: t.Watermark.Seconds(), Columns: []TableCol{}}
	if t.EventTime >= 0 && t.EventTime < len(t.Columns) {
		out.EventTime = t.Columns[t.EventTime].Name
	}
	for _, c := range t.Columns {
		if c.Generated == nil {
			out.Columns = append(out.Columns, TableCol{Name: c.Name, Type: c.Type.String(), Nullable: !c.NotNull})
		}
	}
	return out
}

// partitions adds what the cluster knows.
func (s *Server) partitions(ctx context.Context, out []Topic) {
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	for i := range out {
		t := &out[i]
		if t.Problem != "" {
			continue
		}
		if s.config.Topics == nil {
			t.Problem = "this server has no connection to Kafka"
			continue
		}
		found, err := s.config.Topics.Topics(ctx, t.Topic)
		if err != nil || len(found) != 1 {
			t.Problem = "Kafka does not tell its partitions"
			if err != nil {
				t.Problem += ": " + err.Error()
			}
			continue
		}
		for _, p := range found[0].Partitions {
			part := TopicPartition{Partition: p.Partition, Start: p.Start, End: p.End, Leader: p.Leader, Replicas: len(p.Replicas), InSync: len(p.InSync)}
			if p.Err != nil {
				part.Problem = p.Err.Error()
			}
			t.Partitions = append(t.Partitions, part)
		}
	}
}

// records answers GET /v1/topics/{topic}/records.
func (s *Server) records(ctx context.Context, in *recordsInput) (*recordsAnswer, error) {
	if s.config.Topics == nil {
		return nil, problem(http.StatusServiceUnavailable, codeUnavailable, "this server has no connection to Kafka").hint("ask the server of the process that runs the pipeline")
	}
	t, err := s.topic(in.Topic)
	if err != nil {
		return nil, err
	}
	q := kafka.Search{Partition: in.Partition, From: in.From, Limit: in.Limit, Scan: searchOffsets}
	if in.Key != "" {
		q.Key = []byte(in.Key)
	}
	if in.Offset >= 0 {
		if in.Partition < 0 {
			p := problem(http.StatusBadRequest, codeInvalid, "an offset is of a partition, and none is given").hint("add partition=0, or another")
			p.Parameter = "offset"
			return nil, p
		}
		q.Offset = &in.Offset
	}
	ctx, cancel := context.WithTimeout(ctx, searchTimeout)
	defer cancel()
	found, err := s.config.Topics.Search(ctx, t.name, q)
	if err != nil {
		return nil, problem(http.StatusServiceUnavailable, codeUnavailable, "Kafka does not give the records of topic %q", t.name).hint("/readyz says what is known").because(err)
	}
	return &recordsAnswer{Table: t.tables[0].name, Records: t.tables[0].read(found.Records), Scanned: found.Scanned, Complete: found.Complete}, nil
}

// read decodes records as the foreign table does.
func (t *table) read(records []kafka.Peeked) []Record {
	columns := slices.Clone(t.columns)
	vectors := make([]*column.Vector, len(columns))
	for i := range columns {
		columns[i].Needed = true
		vectors[i] = column.NewVector(columns[i].Type, len(records))
	}
	payloads := make([][]byte, len(records))
	out := make([]Record, len(records))
	for i, r := range records {
		payloads[i] = r.Value
		out[i] = Record{Partition: r.Partition, Offset: r.Offset, Timestamp: time.UnixMicro(r.Timestamp).UTC(), Key: r.Key, Value: r.Value, Headers: headerPairs(r.Headers)}
	}
	for _, f := range codecjson.New(columns).Decode(payloads, vectors, nil) {
		fault := &RecordFault{Field: f.Path, Position: f.Position, Code: f.Err.Code, Message: f.Err.Message}
		if f.Column >= 0 && fault.Field == "" {
			fault.Field = columns[f.Column].Name
		}
		out[f.Row].Fault = fault
	}
	for i := range out {
		if out[i].Fault == nil && out[i].Value != nil {
			out[i].Columns = object(columns, vectors, i)
		}
	}
	return out
}

func headerPairs(headers []engine.Header) [][2]Bytes {
	var out [][2]Bytes
	for _, h := range headers {
		out = append(out, [2]Bytes{Bytes(h.Key), h.Value})
	}
	return out
}

// object is one row of vectors as a JSON object.
func object(columns []codec.Column, vectors []*column.Vector, row int) json.RawMessage {
	out := []byte{'{'}
	for i := range columns {
		if i > 0 {
			out = append(out, ',')
		}
		out = append(datum.AppendJSONString(out, []byte(columns[i].Name)), ':')
		out = datum.AppendJSON(out, vectors[i], row)
	}
	return append(out, '}')
}
