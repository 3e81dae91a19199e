package line_test

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// eventsSQL is the pipeline that most people begin with.
const eventsSQL = `CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz NOT NULL,
    type        text        NOT NULL,
    value       double precision
) SERVER kafka OPTIONS (topic 'raw_data', event_time 'timestamp', watermark '5 minutes');

CREATE MATERIALIZED VIEW processed_data AS
SELECT window_start AS "timestamp", type, avg(value) AS value, count(*) AS events
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes')
GROUP BY window_start, type;

CREATE VIEW stats AS
SELECT type, sum(value * events) / sum(events) AS average_value, sum(events) AS events FROM processed_data GROUP BY type;

COMMENT ON MATERIALIZED VIEW processed_data IS 'Average value per type and five minutes';
`

const (
	jsonBody   = "application/json"
	ndjsonBody = "application/x-ndjson"
)

// ingested is the answer to a POST.
type ingested struct {
	Accepted, Rejected int
	Errors             []struct {
		Index, Line          int
		Field, Code, Message string
	}
}

// post sends events; headers are name and value in turn.
func post(t *testing.T, url, media, body string, headers ...string) ingested {
	t.Helper()
	a := ask(t, http.MethodPost, url, body, append(headers, "Content-Type", media)...)
	if a.code != http.StatusAccepted {
		t.Fatalf("POST %s: %d %s", url, a.code, a.body)
	}
	return decode[ingested](t, a.body)
}

// TestRunLocal posts events and reads results, stops the program, and finds
// all of it again when it is started on the same folder.
func TestRunLocal(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	run := []string{"run", "pipeline.sql", "--local", "--data", "data", "-o", "json"}
	g := p.start(run...)
	r := g.ready()
	if r.API == "" || r.Dashboard != r.API+"/" || r.Kafka == "" || !strings.HasPrefix(r.Postgres, "postgres://") || r.Data != p.path("data") {
		t.Fatalf("ready line %+v", r)
	}
	table := r.API + "/v1/tables/processed_data"
	if a := get(t, table); a.code != http.StatusOK || strings.TrimSpace(a.body) != "[]" {
		t.Fatalf("before the first event: %d %s", a.code, a.body)
	}
	t.Run("post", func(t *testing.T) { postEvents(t, r.API) })
	want := `[{"timestamp":"2024-05-01T12:00:00+00:00","type":"type_A","value":2,"events":3},
{"timestamp":"2024-05-01T12:00:00+00:00","type":"type_B","value":"NaN","events":1},
{"timestamp":"2024-05-01T12:05:00+00:00","type":"type_B","value":"-Infinity","events":1},
{"timestamp":"2024-05-01T12:05:00+00:00","type":"type_C","value":null,"events":1}]`
	awaitBody(t, table+"?order=timestamp,type", want)
	t.Run("read", func(t *testing.T) { readTables(t, r.API) })
	t.Run("status", func(t *testing.T) { readStatus(t, r.API) })
	t.Run("verbs", func(t *testing.T) { inspect(t, p, r) })
	t.Run("produce and verify", func(t *testing.T) { produceAndVerify(t, p, r) })
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
	if n := strings.Count(g.out.text(), "\n"); n != 1 {
		t.Errorf("%d lines on standard output, want the ready line alone:\n%s", n, g.out.text())
	}
	p.want(3, []string{"health"}, "healthcheck", r.API+"/health")

	again := p.start(run...)
	r = again.ready()
	want = strings.TrimSuffix(want, "]") + ",\n" + producedRows
	awaitBody(t, r.API+"/v1/tables/processed_data?order=timestamp,type", want)
	if records := decode[[]any](t, p.want(0, nil, "peek", "raw_data", "-o", "json").out); len(records) != 9 {
		t.Errorf("%d records are left in the topic, want 9", len(records))
	}
	p.judge(r, eventsSQL)
	if code := again.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, again.err.text())
	}
}

func postEvents(t *testing.T, api string) {
	url := api + "/v1/topics/raw_data"
	if got := post(t, url, jsonBody, `{"timestamp": "2024-05-01T12:00:00Z", "type": "type_A", "value": 1}`); got.Accepted != 1 || got.Rejected != 0 {
		t.Errorf("an object: %+v", got)
	}
	got := post(t, url, jsonBody, `[
		{"timestamp": "2024-05-01T12:01:00Z", "type": "type_A", "value": 2},
		{"timestamp": "2024-05-01T12:01:00Z", "value": 3},
		{"timestamp": "2024-05-01T12:01:00Z", "type": "type_A", "value": "3"}]`)
	if got.Accepted != 2 || got.Rejected != 1 || len(got.Errors) != 1 || got.Errors[0].Index != 1 || got.Errors[0].Code != "23502" ||
		got.Errors[0].Field != "$.type" {
		t.Errorf("an array: %+v", got)
	}
	got = post(t, url, ndjsonBody, strings.Join([]string{
		`{"timestamp": "2024-05-01T12:02:00Z", "type": "type_B", "value": "NaN"}`, "",
		`{"timestamp": "2024-05-01T12:02:00Z", "type": "type_B", "value": "ten"}`, `{"timestamp"`,
		`{"timestamp": "2024-05-01T12:05:00Z", "type": "type_B", "value": "-inf"}`,
		`{"timestamp": "2024-05-01T12:09:59.999999Z", "type": "type_C"}`,
	}, "\n"))
	if got.Accepted != 3 || got.Rejected != 2 || len(got.Errors) != 2 || got.Errors[0].Line != 3 || got.Errors[0].Code != "22P02" ||
		!strings.Contains(got.Errors[0].Message, `"ten"`) || got.Errors[1].Line != 4 {
		t.Errorf("NDJSON: %+v", got)
	}
	for name, c := range map[string]struct {
		path, media, body string
		code              int
		text              string
	}{
		"not JSON":      {"raw_data", jsonBody, `{"timestamp"`, http.StatusUnprocessableEntity, "invalid input syntax for type json"},
		"a bare number": {"raw_data", jsonBody, `[1]`, http.StatusUnprocessableEntity, "MS"},
		"no such topic": {"raw_date", jsonBody, `{}`, http.StatusNotFound, "raw_data"},
		"CSV":           {"raw_data", "text/csv", "a,b", http.StatusUnprocessableEntity, "timestamp type value"},
		"XML":           {"raw_data", "text/xml", "<a/>", http.StatusUnsupportedMediaType, "application/json"},
	} {
		a := ask(t, http.MethodPost, api+"/v1/topics/"+c.path, c.body, "Content-Type", c.media)
		if a.code != c.code || !strings.Contains(a.body, c.text) || !json.Valid([]byte(a.body)) {
			t.Errorf("%s: %d %s, want %d with %q", name, a.code, a.body, c.code, c.text)
		}
	}
}

func readTables(t *testing.T, api string) {
	table := api + "/v1/tables/processed_data"
	for url, want := range map[string]string{
		table + "?type=eq.type_A&order=timestamp.desc&limit=10": `[{"timestamp":"2024-05-01T12:00:00+00:00","type":"type_A","value":2,"events":3}]`,
		table + "?select=type,events&order=type,timestamp.desc&limit=2&offset=1": `[{"type":"type_B","events":1},
{"type":"type_B","events":1}]`,
		table + "?value=is.null&select=type":                                                       `[{"type":"type_C"}]`,
		table + "?type=in.(type_A,type_C)&timestamp=gte.2024-05-01T12:05:00Z&select=type":          `[{"type":"type_C"}]`,
		table + "?or=(events.gt.1,value.eq.NaN)&select=type,value&order=type":                      `[{"type":"type_A","value":2},` + "\n" + `{"type":"type_B","value":"NaN"}]`,
		api + "/v1/tables/stats?type=like.type_*&select=type,events,average_value&order=type.desc": `[{"type":"type_C","events":1,"average_value":null},` + "\n" + `{"type":"type_B","events":2,"average_value":"NaN"},` + "\n" + `{"type":"type_A","events":3,"average_value":2}]`,
	} {
		a := get(t, url)
		if a.code != http.StatusOK || strings.TrimSpace(a.body) != want || !json.Valid([]byte(a.body)) {
			t.Errorf("GET %s: %d\n%s\nwant\n%s", url, a.code, a.body, want)
		}
	}
	csv := get(t, table+"?order=timestamp,type", "Accept", "text/csv")
	wantCSV := "timestamp,type,value,events\n2024-05-01 12:00:00+00,type_A,2,3\n2024-05-01 12:00:00+00,type_B,NaN,1\n" +
		"2024-05-01 12:05:00+00,type_B,-Infinity,1\n2024-05-01 12:05:00+00,type_C,,1\n"
	if !strings.HasPrefix(csv.header.Get("Content-Type"), "text/csv") || strings.ReplaceAll(csv.body, "\r\n", "\n") != wantCSV {
		t.Errorf("CSV as %s:\n%s\nwant\n%s", csv.header.Get("Content-Type"), csv.body, wantCSV)
	}
	if seq, err := strconv.Atoi(csv.header.Get("Millstream-Commit")); err != nil || seq < 1 {
		t.Errorf("Millstream-Commit: %q", csv.header.Get("Millstream-Commit"))
	}
	watermark, err := time.Parse(time.RFC3339Nano, csv.header.Get("Millstream-Watermark"))
	if want := time.Date(2024, 5, 1, 12, 4, 59, 999_999_000, time.UTC); err != nil || !watermark.Equal(want) {
		t.Errorf("Millstream-Watermark: %q, want %s", csv.header.Get("Millstream-Watermark"), want)
	}
	for url, text := range map[string]string{
		table + "?typ=eq.x":              `did you mean`,
		table + "?value=gt.ten":          `ten`,
		table + "?limit=-1":              `limit`,
		api + "/v1/tables/processed_dat": `processed_data`,
		api + "/v1/tables/raw_data":      `raw_data`,
	} {
		if a := get(t, url); a.code < 400 || a.code >= 500 || !strings.Contains(a.body, text) {
			t.Errorf("GET %s: %d %s, want an error of the client's with %q", url, a.code, a.body, text)
		}
	}
}

// pipelineStatus is what is looked at in GET /v1/pipeline.
type pipelineStatus struct {
	Name, State string
	Commit      struct {
		Seq, Records, Rows int64
	}
	Topics []struct {
		Topic      string
		LagRecords int64 `json:"lag_records"`
		Partitions []struct{ Offset, End int64 }
	}
	Views []struct {
		Name        string
		OpenWindows int64 `json:"open_windows"`
		OpenGroups  int64 `json:"open_groups"`
		Counts      struct{ Read, Accepted, Quarantined int64 }
		Windows     []struct {
			Start, End time.Time
			Groups     int64
			Reason     string
		}
		WaitsFor []struct{ Reason string } `json:"waits_for"`
	}
}

func readStatus(t *testing.T, api string) {
	for path, text := range map[string]string{"/health": `"healthy"`, "/readyz": `"healthy"`, "/livez": `"healthy"`} {
		if a := get(t, api+path); a.code != http.StatusOK || !strings.Contains(a.body, text) {
			t.Errorf("GET %s: %d %s", path, a.code, a.body)
		}
	}
	// The status is renewed a few times a second.
	a := awaitAnswer(t, api+"/v1/pipeline", func(a answer) bool {
		s := decode[pipelineStatus](t, a.body)
		return len(s.Views) == 1 && s.Views[0].OpenWindows == 2
	})
	s := decode[pipelineStatus](t, a.body)
	topic, view := s.Topics[0], s.Views[0]
	if s.State != "running" || s.Commit.Seq < 1 || topic.Topic != "raw_data" || topic.LagRecords != 0 ||
		topic.Partitions[0].Offset != 6 || topic.Partitions[0].End != 6 {
		t.Errorf("status %+v", s)
	}
	if view.Name != "processed_data" || view.OpenGroups != 4 || view.Counts.Read != 6 || view.Counts.Accepted != 6 || len(view.Windows) != 2 {
		t.Fatalf("view %+v", view)
	}
	first := view.Windows[0]
	if !first.Start.Equal(time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)) || first.Groups != 2 ||
		!strings.Contains(first.Reason, `waits for an event of 2024-05-01T12:10:00Z or later in topic "raw_data", partition 0`) {
		t.Errorf("window %+v", first)
	}
	if len(view.WaitsFor) != 1 || !strings.Contains(view.WaitsFor[0].Reason, "its last event is of 2024-05-01T12:09:59.999999Z") {
		t.Errorf("waits for %+v", view.WaitsFor)
	}
	metrics := get(t, api+"/metrics").body
	for _, name := range []string{"millstream_", "go_goroutines", `topic="raw_data"`, `view="processed_data"`} {
		if !strings.Contains(metrics, name) {
			t.Errorf("no %s in the metrics", name)
		}
	}
	document := decode[struct {
		OpenAPI string `json:"openapi"`
		Paths   map[string]map[string]struct{ Summary, Description string }
	}](t, get(t, api+"/openapi.json").body)
	operation := document.Paths["/v1/tables/processed_data"]["get"]
	if !strings.HasPrefix(document.OpenAPI, "3.1") || !strings.Contains(operation.Summary+operation.Description, "Average value per type and five minutes") {
		t.Errorf("OpenAPI %s: %+v", document.OpenAPI, operation)
	}
}

// inspect looks at the running stack with verbs that find it by themselves.
func inspect(t *testing.T, p *place, r ready) {
	topics := decode[[]struct {
		Topic      string
		Partitions int
		Records    int64
	}](t, p.want(0, nil, "topics", "-o", "json").out)
	if len(topics) != 1 || topics[0].Topic != "raw_data" || topics[0].Records != 6 {
		t.Errorf("topics %+v", topics)
	}
	p.want(0, []string{"raw_data", "6"}, "topics")
	records := decode[[]struct {
		Offset int64
		Value  map[string]any
	}](t, p.want(0, nil, "peek", "raw_data", "-n", "2", "-o", "json").out)
	if len(records) != 2 || records[1].Offset != 5 || records[1].Value["type"] != "type_C" {
		t.Errorf("records %+v", records)
	}
	p.want(0, []string{"healthy"}, "healthcheck")
}

// producedRows are what produceAndVerify's events come to.
const producedRows = `{"timestamp":"2024-05-01T12:10:00+00:00","type":"type_D","value":5,"events":2},
{"timestamp":"2024-05-01T12:10:00+00:00","type":"type_E","value":1e+300,"events":1}]`

// produceAndVerify is how a person sends a file, looks at the result, and has
// it recomputed; then somebody changes a row by hand.
func produceAndVerify(t *testing.T, p *place, r ready) {
	p.write("events.ndjson", `{"timestamp": "2024-05-01T12:10:00Z", "type": "type_D", "value": 4}
{"timestamp": "2024-05-01T12:10:01Z", "type": "type_E", "value": 1e300}
{"timestamp": "2024-05-01T12:14:59.999Z", "type": "type_D", "value": 6}
`)
	// One pipeline runs, and reads one topic: that is the one that is meant.
	p.want(0, []string{"to topic raw_data, which pipeline ", "3 events"}, "produce", "events.ndjson", "--key", "type")
	awaitBody(t, r.API+"/v1/tables/processed_data?timestamp=gte.2024-05-01T12:10:00Z&order=type", "["+producedRows)
	keys := decode[[]struct{ Key string }](t, p.want(0, nil, "peek", "raw_data", "-n", "3", "-o", "json").out)
	if len(keys) != 3 || keys[0].Key != "type_D" || keys[1].Key != "type_E" {
		t.Errorf("keys %+v", keys)
	}
	p.want(0, []string{"equal, row for row", "9 records"}, "verify", "pipeline.sql")

	conn, err := pgx.Connect(t.Context(), r.Postgres)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	set := func(value float64) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), `UPDATE processed_data SET value = $1 WHERE type = 'type_A'`, value); err != nil {
			t.Fatal(err)
		}
	}
	set(2.5)
	p.want(1, []string{"processed_data", "type_A", "2.5", "1 differ"}, "verify", "pipeline.sql")
	if report := decode[struct{ Total int }](t, p.want(1, nil, "verify", "pipeline.sql", "-o", "json").out); report.Total != 1 {
		t.Errorf("verify -o json tells %d differences, want 1", report.Total)
	}
	set(2)
	p.want(0, []string{"equal"}, "verify", "pipeline.sql")
}
