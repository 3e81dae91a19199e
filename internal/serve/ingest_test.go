package serve

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/codec"
	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/kafka"
	"github.com/millstream-dev/millstream/internal/plan"
)

// testLog is a broker that speaks Kafka's protocol, and a producer to it.
type testLog struct {
	*kafka.Producer
	cluster *kfake.Cluster
}

func broker(t *testing.T) *testLog {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "raw", "two"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	p, err := kafka.NewProducer(kafka.Config{Brokers: cluster.ListenAddrs()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Close)
	return &testLog{p, cluster}
}

// read gives the next n records of a topic as key=value lines.
func (l *testLog) read(t *testing.T, topic string, n int) []string {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(l.cluster.ListenAddrs()...), kgo.ConsumeTopics(topic))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	var lines []string
	for len(lines) < n {
		c.PollFetches(t.Context()).EachRecord(func(r *kgo.Record) {
			line := string(r.Key) + "=" + string(r.Value)
			for _, h := range r.Headers {
				line += " " + h.Key + "=" + string(h.Value)
			}
			lines = append(lines, line)
		})
	}
	return lines
}

func member(name string) []codec.PathStep { return []codec.PathStep{{Member: true, Name: name}} }

// events is a pipeline with a topic that one table reads and one that two do.
func events() *plan.Pipeline {
	typed := plan.TopicColumn{Name: "type", Type: column.Of(column.Text), NotNull: true, Path: member("type")}
	value := plan.TopicColumn{Name: "value", Type: column.Of(column.Int4), Path: member("value")}
	deep := plan.TopicColumn{Name: "at", Type: column.Of(column.Timestamptz), Path: append(member("meta"), member("at")...)}
	return &plan.Pipeline{Topics: []*plan.Topic{
		{Name: "raw_data", Server: "kafka", Topic: "raw", Format: "json", Columns: []plan.TopicColumn{typed, value, deep}},
		{Name: "a", Server: "kafka", Topic: "two", Format: "json", Columns: []plan.TopicColumn{typed}},
		{Name: "b", Server: "kafka", Topic: "two", Format: "json", Columns: []plan.TopicColumn{{Name: "value", Type: column.Of(column.Int4), NotNull: true, Path: member("value")}}},
		{Name: "far", Server: "elsewhere", Topic: "far", Format: "json"},
	}}
}

const ndjson = "application/x-ndjson"

func TestIngest(t *testing.T) {
	l := broker(t)
	f := start(t, database(t), func(c *Config) { c.Pipeline, c.Producer = events(), ToKafka(l.Producer) })
	tests := []struct{ name, path, contentType, body, want string }{
		{"object", "raw", "application/json", `{"type":"a","value":1}`, `202 1 0`},
		{"object with blanks", "raw", "application/json; charset=utf-8", "\n  {\"type\":\"b\"}\n", `202 1 0`},
		{"table's name", "raw_data", "application/json", `{"type":"c"}`, `202 1 0`},
		{"key of a field", "raw?key=type", "application/json", `[{"type":"k1"},{"type":"k2","value":2}]`, `202 2 0`},
		{"key of a number", "raw?key=value", "application/json", `[{"type":"n","value":42},{"type":"n"}]`, `202 2 0`},
		{"array with bad ones", "raw", "application/json", "[{\"type\":\"d\"},\n{\"type\":\"e\",\"value\":\"x\"},\n 5,{\"value\":1},{\"type\":\"f\"}]",
			`202 2 3; 1 line 2 field $.value 22P02 invalid input syntax for type integer: "x"; 2 line 3 field  22023 cannot call populate_composite on a scalar; 3 line 3 field $.type 23502 null value in column "type" violates not-null constraint`},
		{"lines with bad ones", "raw", ndjson, "{\"type\":\"g\"}\n\n{\"type\":\nnot json\r\n{\"type\":\"h\",\"value\":99999999999}\n{\"type\":\"i\"}",
			`202 2 3; 1 line 3 field  22P02 invalid input syntax for type json; 2 line 4 field  22P02 invalid input syntax for type json; 3 line 5 field $.value 22003 value "99999999999" is out of range for type integer`},
		{"two tables, each its own", "two", ndjson, "{\"type\":\"x\"}\n{\"value\":7}\n{}", `202 2 1; 2 line 3 field $.type 23502 null value in column "type" violates not-null constraint`},
		{"empty array", "raw", "application/json", `[]`, `202 0 0`},
		{"all bad", "raw", ndjson, "{}\n{}", `422 MS7205 no record was accepted 0 2; 0 line 1 field $.type 23502 null value in column "type" violates not-null constraint; 1 line 2 field $.type 23502 null value in column "type" violates not-null constraint`},
		{"cut array", "raw", "application/json", "[{\"type\":\"a\"},\n{\"type\":", `422 MS7203 the body is not valid JSON: it ends too early (nothing was accepted; NDJSON (application/x-ndjson) lets good lines in) at 24 line 2`},
		{"broken array", "raw", "application/json", "[{\"type\":\"a\"},\n{\"type\":x}]", `422 MS7203 the body is not valid JSON: invalid character 'x' looking for beginning of value (nothing was accepted; NDJSON (application/x-ndjson) lets good lines in) at 24 line 2`},
		{"two arrays", "raw", "application/json", "[] []", `422 MS7203 the body is not valid JSON: there is more after the array (nothing was accepted; NDJSON (application/x-ndjson) lets good lines in) at 4 line 1`},
		{"empty", "raw", "application/json", " ", `422 MS7203 the body is empty (send a JSON object, an array of objects, or NDJSON)`},
		{"no lines", "raw", ndjson, "\n\n", `422 MS7203 the body is empty (send one JSON object per line)`},
		{"unknown topic", "rawr", "application/json", `{}`, `404 MS7201 the pipeline has no topic "rawr" (did you mean "raw"?)`},
		{"topic of another cluster", "far", "application/json", `{}`, `404 MS7201 the pipeline has no topic "far" (its topics are a, b, raw, raw_data, two)`},
		{"content type", "raw", "text/plain", `{}`, `415 MS7202 the content type "text/plain" is not read (send application/json (an object, or an array of objects), application/x-ndjson (an object per line) or text/csv (with a header line))`},
		{"no content type", "raw", "", `{}`, `415 MS7202 the content type is missing or not well formed (send application/json (an object, or an array of objects), application/x-ndjson (an object per line) or text/csv (with a header line))`},
		{"curl -d of an object", "raw", formType, `{"type":"l"}`, `202 1 0`},
		{"curl -d of an array", "raw", formType, "\n[{\"type\":\"m\"},{}]", `202 1 1; 1 line 2 field $.type 23502 null value in column "type" violates not-null constraint`},
		{"curl -d of lines", "raw", formType, "\n{\"type\":\"o\"}\n{\"type\":", `202 1 1; 1 line 3 field  22P02 invalid input syntax for type json`},
		{"curl -d of a form", "raw", formType, `type=a&value=1`, `415 MS7202 the content type is application/x-www-form-urlencoded, and the body is not JSON either (curl -H 'Content-Type: application/json' -d …, or application/x-ndjson for an object per line, or text/csv)`},
		{"charset", "raw", "application/json; charset=latin1", `{}`, `415 MS7202 the charset "latin1" is not read (send UTF-8)`},
		{"too large", "raw", ndjson, strings.Repeat("{}\n", maxBodyBytes/3+1), `413 MS7204 the body is larger than 10485760 bytes (send it in parts)`},
		{"too many", "raw", ndjson, strings.Repeat("{}\n", maxBodyRecords+1), `413 MS7207 the body has more than 100000 records (send it in parts)`},
		{"long record", "raw", ndjson, `{"type":"` + strings.Repeat("x", maxRecordBytes) + `"}` + "\n" + `{"type":"j"}`, `202 1 1; 0 line 1 field  MS7204 the record has 1000011 bytes, at most 1000000 are taken`},
		{"csv", "raw", "text/csv", "type,value,at\r\n\"p,1\",1,2024-01-01\nq,,\n\"\"\"r\"\"\n\",x,\n\ns\n\"\",-2,\nt,1,,", `202 3 3; 2 line 4 field $.value 22P02 invalid input syntax for type integer: "x"; 3 line 7 field value 22P04 missing data for column "value"; 5 line 9 field  22P04 extra data after last expected column`},
		{"csv of the other table", "two", "text/csv", "value\n9\n\n", `202 1 0`},
		{"csv, unknown column", "raw", "text/csv", "type,valeu\nx,1", `422 MS7203 raw_data has no column "valeu" that can be written (did you mean "value"?) line 1`},
		{"csv, column twice", "raw", "text/csv", "type,type\nx,1", `422 MS7203 the column "type" is named twice (name it once) line 1`},
		{"csv, open quote", "raw", "text/csv", "type\nx\n\"y\nz", `422 MS7203 the body is not valid CSV: a quoted field does not end (nothing was accepted; a field with a comma, a quote or an end of line goes into quotes, and a quote is written twice) line 3`},
		{"csv, text after a quote", "raw", "text/csv", "type\n\"y\"z", `422 MS7203 the body is not valid CSV: text follows a quoted field (nothing was accepted; a field with a comma, a quote or an end of line goes into quotes, and a quote is written twice) line 2`},
		{"csv, nothing", "raw", "text/csv", "\n", `422 MS7203 the body is empty (begin with the names of the columns, separated by commas)`},
		{"csv, names alone", "raw", "text/csv", "type\n", `202 0 0`},
		{"csv without names", "raw", "text/csv; header=absent", "x\n", `415 MS7202 CSV without a header line is not read (begin with the names of the columns)`},
		{"headers", "raw?header=trace:a%3Ab&header=empty:", "application/json", `{"type":"u"}`, `202 1 0`},
		{"no header", "raw?header=trace", "application/json", `{}`, `400 MS7006 "trace" is no header of a record (write NAME:VALUE)`},
		{"the engine's header", "raw?header=Millstream-x:1", "application/json", `{}`, `400 MS7006 headers that begin with millstream- are the engine's (take another name)`},
		{"many headers", "raw?header=a:1" + strings.Repeat("&header=a:1", maxRecordHeaders), "application/json", `{}`, `400 MS7006 the headers of a record are more than 20, or longer than 4096 bytes (put what is long into the records)`},
		{"no waiting", "raw?ack=none", "application/json", `{"type":"v"}`, `202 1 0`},
		{"committed without an engine", "raw?ack=committed", "application/json", `{"type":"v"}`, `503 MS7118 no engine runs in this process (ack=log waits for Kafka alone)`},
		{"unknown ack", "raw?ack=all", "application/json", `{}`, `400 MS7006 ack is "all" (it is none, log or committed)`},
		{"ack twice", "raw?ack=log&ack=none", "application/json", `{}`, `400 MS7006 the parameter ack is given 2 times (give it once)`},
		{"unknown parameter", "raw?acks=none", "application/json", `{}`, `400 MS7006 unknown parameter "acks" (there are ack=none|log|committed, key=FIELD and header=NAME:VALUE)`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			resp := f.do("POST", "/v1/topics/"+tt.path, strings.NewReader(tt.body), "Content-Type", tt.contentType)
			if diff := cmp.Diff(tt.want, ingestLine(t, resp)); diff != "" {
				t.Error(diff)
			}
		})
	}
	resp := f.do("POST", "/v1/topics/raw", strings.NewReader(`{"type":"z"}`), "Content-Type", "application/json", headerKey, "K")
	if got := ingestLine(t, resp); got != "202 1 0" {
		t.Error(got)
	}
	// A form is what a page of another site could send without being asked.
	resp = f.do("POST", "/v1/topics/raw", strings.NewReader(`{"type":"z"}`), "Content-Type", formType, "Origin", "https://elsewhere.example")
	if got := ingestLine(t, resp); !strings.HasPrefix(got, "403 ") {
		t.Errorf("from another site: %s", got)
	}
	want := []string{`={"type":"a","value":1}`, `={"type":"b"}`, `={"type":"c"}`, `k1={"type":"k1"}`, `k2={"type":"k2","value":2}`,
		`42={"type":"n","value":42}`, `={"type":"n"}`, `={"type":"d"}`, `={"type":"f"}`, `={"type":"g"}`, `={"type":"i"}`, `={"type":"l"}`, `={"type":"m"}`, `={"type":"o"}`, `={"type":"j"}`,
		`={"type":"p,1","value":1,"meta":{"at":"2024-01-01"}}`, `={"type":"q","meta":{}}`, `={"type":"","value":-2,"meta":{}}`, `={"type":"u"} trace=a:b empty=`, `={"type":"v"}`, `K={"type":"z"}`}
	if diff := cmp.Diff(want, l.read(t, "raw", len(want))); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff([]string{`={"type":"x"}`, `={"value":7}`, `={"value":9}`}, l.read(t, "two", 3)); diff != "" {
		t.Error(diff)
	}
	_, body, _ := f.get("/metrics")
	if want := fmt.Sprintf(`millstream_ingest_records_total{outcome="accepted",pipeline="shop",topic="raw"} %d`, len(want)); !strings.Contains(body, want) {
		t.Errorf("no %s", want)
	}
}

// ingestLine writes an answer as one line.
func ingestLine(t *testing.T, resp *http.Response) string {
	t.Helper()
	body := readAll(t, resp)
	var p Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%d %s", resp.StatusCode, body)
	}
	line := fmt.Sprint(resp.StatusCode)
	if p.Code != "" {
		line += " " + p.Code + " " + p.Detail
		if p.Hint != "" {
			line += " (" + p.Hint + ")"
		}
		if p.Position > 0 {
			line += fmt.Sprintf(" at %d", p.Position)
		}
		if p.Line > 0 {
			line += fmt.Sprintf(" line %d", p.Line)
		}
	}
	if p.Accepted != nil {
		line += fmt.Sprintf(" %d %d", *p.Accepted, *p.Rejected)
	}
	for _, e := range p.Errors {
		line += fmt.Sprintf("; %d line %d field %s %s %s", e.Index, e.Line, e.Field, e.Code, e.Message)
	}
	return line
}

// TestKafkaAway posts when no broker answers.
func TestKafkaAway(t *testing.T) {
	l := broker(t)
	f := start(t, database(t), func(c *Config) {
		c.Pipeline, c.Producer = events(), ToKafka(l.Producer)
	})
	l.Close()
	resp := f.do("POST", "/v1/topics/raw", strings.NewReader(`{"type":"z"}`), "Content-Type", "application/json")
	if got := ingestLine(t, resp); !strings.HasPrefix(got, "503 MS7008 Kafka has not acknowledged") {
		t.Error(got)
	}
}

func TestSplitJSONLines(t *testing.T) {
	records, fault := splitJSON([]byte(" [\n {\"a\":\n1},\n\n {}\n]"), 9)
	if fault != nil {
		t.Fatal(fault)
	}
	var got []string
	for _, r := range records {
		got = append(got, fmt.Sprintf("%d %q", r.line, r.value))
	}
	if diff := cmp.Diff([]string{"2 \"{\\\"a\\\":\\n1}\"", `5 "{}"`}, got); diff != "" {
		t.Error(diff)
	}
}
