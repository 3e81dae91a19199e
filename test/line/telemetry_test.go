package line_test

import (
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	metricspb "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	trace "go.opentelemetry.io/proto/slim/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is what an OpenTelemetry collector got, read with OpenTelemetry's
// own types.
type collected struct {
	traces  chan []*trace.Span
	metrics chan map[string]bool
}

func startCollector(t *testing.T) (url string, c *collected) {
	t.Helper()
	c = &collected{make(chan []*trace.Span, 1000), make(chan map[string]bool, 1000)}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		switch r.URL.Path {
		case "/v1/traces":
			var got tracepb.ExportTraceServiceRequest
			if err := proto.Unmarshal(body, &got); err != nil {
				t.Error(err)
			}
			c.traces <- got.ResourceSpans[0].ScopeSpans[0].Spans
		case "/v1/metrics":
			var got metricspb.ExportMetricsServiceRequest
			if err := proto.Unmarshal(body, &got); err != nil {
				t.Error(err)
			}
			names := map[string]bool{}
			for _, m := range got.ResourceMetrics[0].ScopeMetrics[0].Metrics {
				names[m.Name] = true
			}
			c.metrics <- names
		default:
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}))
	t.Cleanup(s.Close)
	return s.URL, c
}

// TestTelemetry holds that an epoch's trace has its parts in their order, that
// the commit's log line names it, and that the metrics sent are those of
// /metrics.
func TestTelemetry(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	url, c := startCollector(t)
	p.env = append(p.env, "OTEL_EXPORTER_OTLP_ENDPOINT="+url, "OTEL_TRACES_SAMPLER=always_on", "OTEL_METRIC_EXPORT_INTERVAL=200")
	g := p.start("run", "pipeline.sql", "--local", "-o", "json", "--listen", "127.0.0.1:0", "--log-level", "info", "--log-format", "json")
	r := g.ready()
	post(t, r.API+"/v1/topics/raw_data", jsonBody, before)
	awaitBody(t, r.API+meanOfA, `[{"type":"a","value":1,"events":1}]`)
	scraped := get(t, r.API+"/metrics").body
	sent := <-c.metrics
	for name := range sent {
		if strings.HasPrefix(name, "millstream_") && !strings.Contains(scraped, "# TYPE "+name+" ") {
			t.Errorf("%s is sent and not scraped", name)
		}
	}
	if !sent["millstream_build_info"] || !sent["go_goroutines"] {
		t.Errorf("sent: %v", sent)
	}
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}

	var spans []*trace.Span
	for len(c.traces) > 0 {
		spans = append(spans, <-c.traces...)
	}
	logged := tracesLogged(t, g.err.text())
	found := false
	for _, s := range spans {
		if s.Name != "epoch" {
			continue
		}
		if !slices.Contains(logged, hex.EncodeToString(s.TraceId)) {
			t.Errorf("no line of the log names trace %x", s.TraceId)
		}
		of := slices.DeleteFunc(slices.Clone(spans), func(o *trace.Span) bool { return string(o.TraceId) != string(s.TraceId) })
		if slices.ContainsFunc(of, func(o *trace.Span) bool { return o.Name == "decode" }) {
			found = true
			readTrace(t, s, of)
		}
	}
	if !found {
		t.Errorf("no epoch with records among %d spans", len(spans))
	}
}

// readTrace holds a trace to the shape that docs/operations.md promises.
func readTrace(t *testing.T, root *trace.Span, spans []*trace.Span) {
	t.Helper()
	byName := map[string]*trace.Span{}
	for _, s := range spans {
		byName[s.Name] = s
		if s.StartTimeUnixNano > s.EndTimeUnixNano || s.StartTimeUnixNano < root.StartTimeUnixNano || s.EndTimeUnixNano > root.EndTimeUnixNano {
			t.Errorf("%s lies from %d to %d, its epoch from %d to %d", s.Name, s.StartTimeUnixNano, s.EndTimeUnixNano, root.StartTimeUnixNano, root.EndTimeUnixNano)
		}
	}
	order := []string{"fetch", "decode", "apply", "merge", "wait", "commit"}
	for i, name := range order {
		s := byName[name]
		if s == nil {
			t.Fatalf("no span %s in %v", name, spans)
		}
		if string(s.ParentSpanId) != string(root.SpanId) {
			t.Errorf("%s is not a child of the epoch", name)
		}
		if i > 0 && byName[order[i-1]].EndTimeUnixNano > s.StartTimeUnixNano {
			t.Errorf("%s begins before %s has ended", name, order[i-1])
		}
	}
	end := byName["commit"].StartTimeUnixNano
	for _, step := range []string{"fence", "rows", "ledgers", "state", "commit_row", "commit"} {
		s := byName["commit."+step]
		if s == nil || string(s.ParentSpanId) != string(byName["commit"].SpanId) {
			t.Fatalf("step %s: %v", step, s)
		}
		if s.StartTimeUnixNano < end {
			t.Errorf("step %s begins before the one before it has ended", step)
		}
		end = s.EndTimeUnixNano
	}
}

// tracesLogged gives the traces that the lines of commits name.
func tracesLogged(t *testing.T, log string) (ids []string) {
	t.Helper()
	for _, l := range strings.Split(log, "\n") {
		var line struct {
			Msg     string
			TraceID string `json:"trace_id"`
		}
		if json.Unmarshal([]byte(l), &line) == nil && line.Msg == "commit made" && line.TraceID != "" {
			ids = append(ids, line.TraceID)
		}
	}
	return ids
}

// TestCollectorAway holds that a collector which is not there costs a line of
// the log, and neither results nor a long stop.
func TestCollectorAway(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	p.env = append(p.env, "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1", "OTEL_TRACES_SAMPLER=always_on", "OTEL_EXPORTER_OTLP_TIMEOUT=300")
	g := p.start("run", "pipeline.sql", "--local", "-o", "json", "--listen", "127.0.0.1:0")
	r := g.ready()
	post(t, r.API+"/v1/topics/raw_data", jsonBody, before)
	awaitBody(t, r.API+meanOfA, `[{"type":"a","value":1,"events":1}]`)
	asked := time.Now()
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
	if took := time.Since(asked); took > patience/3 {
		t.Errorf("stopping took %s", took)
	}
	if !strings.Contains(g.err.text(), "the OpenTelemetry collector does not take traces") {
		t.Errorf("nothing is said:\n%s", g.err.text())
	}
	p.env = append(p.env, "OTEL_EXPORTER_OTLP_PROTOCOL=grpc")
	p.want(2, []string{"MS5001", "OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf"}, "run", "pipeline.sql", "--local", "-o", "json", "--listen", "127.0.0.1:0")
}
