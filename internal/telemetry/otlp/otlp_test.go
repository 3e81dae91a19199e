package otlp

import (
	"compress/gzip"
	"context"
	"encoding/pem"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	metricspb "go.opentelemetry.io/proto/slim/otlp/collector/metrics/v1"
	tracepb "go.opentelemetry.io/proto/slim/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/slim/otlp/common/v1"
	metrics "go.opentelemetry.io/proto/slim/otlp/metrics/v1"
	"go.uber.org/goleak"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// request is what a collector got.
type request struct {
	path   string
	header http.Header
	body   []byte
}

// collector answers like one; answer may refuse.
type collector struct {
	*httptest.Server
	got    chan request
	mu     sync.Mutex
	answer func(http.ResponseWriter)
}

func newCollector(t *testing.T, start func(*httptest.Server)) *collector {
	t.Helper()
	c := &collector{got: make(chan request, 100)}
	c.Server = httptest.NewUnstartedServer(http.HandlerFunc(c.serve))
	start(c.Server)
	t.Cleanup(c.Close)
	return c
}

func (c *collector) serve(w http.ResponseWriter, r *http.Request) {
	var from io.Reader = r.Body
	if r.Header.Get("Content-Encoding") == "gzip" {
		from, _ = gzip.NewReader(r.Body)
	}
	body, _ := io.ReadAll(from)
	c.got <- request{r.URL.Path, r.Header, body}
	c.mu.Lock()
	answer := c.answer
	c.mu.Unlock()
	if answer != nil {
		answer(w)
	}
}

func (c *collector) answers(f func(http.ResponseWriter)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answer = f
}

// counts are the outcomes that an exporter told of.
type counts struct {
	sync.Mutex
	n map[string]int
}

func (c *counts) add(signal, outcome string) {
	c.Lock()
	defer c.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[signal+" "+outcome]++
}

func (c *counts) want(t *testing.T, want map[string]int) {
	t.Helper()
	c.Lock()
	defer c.Unlock()
	if diff := cmp.Diff(want, c.n); diff != "" {
		t.Error(diff)
	}
}

func read(t *testing.T, env map[string]string) Settings {
	t.Helper()
	s, err := Read(Base{Endpoint: env["OTEL_EXPORTER_OTLP_ENDPOINT"], Headers: env["OTEL_EXPORTER_OTLP_HEADERS"], Ratio: 0.25}, func(n string) string { return env[n] })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func start(t *testing.T, s Settings, log io.Writer) (*Exporter, *counts) {
	t.Helper()
	n := &counts{}
	e, err := New(Config{Settings: s, Version: "1.2.3", Gatherer: someMetrics(), Log: slog.New(slog.NewTextHandler(log, nil)), Count: n.add})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Stop(t.Context()) })
	return e, n
}

func someMetrics() *prometheus.Registry {
	r := prometheus.NewRegistry()
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "things_total", Help: "Things."}, []string{"kind"})
	c.WithLabelValues("a").Add(3)
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: "size_bytes", Help: "Size."})
	g.Set(-1.5)
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "took_seconds", Help: "Time.", Buckets: []float64{1, 2, 4}})
	for _, v := range []float64{0.5, 1.5, 1.75, 100} {
		h.Observe(v)
	}
	s := prometheus.NewSummary(prometheus.SummaryOpts{Name: "pause_seconds", Help: "Pauses.", Objectives: map[float64]float64{0.5: 0.01}})
	s.Observe(2)
	r.MustRegister(c, g, h, s)
	return r
}

// decode reads a message with OpenTelemetry's own types, and refuses fields
// that they do not have.
func decode(t *testing.T, body []byte, m proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(body, m); err != nil {
		t.Fatal(err)
	}
	known(t, m.ProtoReflect())
}

func known(t *testing.T, m protoreflect.Message) {
	if u := m.GetUnknown(); len(u) > 0 {
		t.Errorf("%s has %d bytes of unknown fields", m.Descriptor().FullName(), len(u))
	}
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		switch {
		case f.Message() == nil:
		case f.IsList():
			for i := range v.List().Len() {
				known(t, v.List().Get(i).Message())
			}
		default:
			known(t, v.Message())
		}
		return true
	})
}

func attributes(list []*common.KeyValue) map[string]any {
	out := map[string]any{}
	for _, kv := range list {
		switch v := kv.Value.Value.(type) {
		case *common.AnyValue_StringValue:
			out[kv.Key] = v.StringValue
		case *common.AnyValue_BoolValue:
			out[kv.Key] = v.BoolValue
		case *common.AnyValue_IntValue:
			out[kv.Key] = v.IntValue
		case *common.AnyValue_DoubleValue:
			out[kv.Key] = v.DoubleValue
		}
	}
	return out
}

// TestTraces holds what a collector reads of a trace, with OpenTelemetry's
// own types, to what was told.
func TestTraces(t *testing.T) {
	c := newCollector(t, (*httptest.Server).Start)
	e, n := start(t, read(t, map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL + "/", "OTEL_EXPORTER_OTLP_HEADERS": "x-key=a%20b, y=c", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
		"OTEL_METRICS_EXPORTER": "none", "OTEL_RESOURCE_ATTRIBUTES": "team=ops,service.name=no", "OTEL_SERVICE_NAME": "yes",
	}), io.Discard)
	began := time.Unix(1_700_000_000, 123)
	root := Span{Trace: NewTraceID(), ID: NewSpanID(), Name: "epoch", Start: began, End: began.Add(time.Second), Error: "no",
		Attributes: []Attribute{{"s", ""}, {"i", int64(-5)}, {"f", 0.5}, {"b", false}}}
	child := Span{Trace: root.Trace, ID: NewSpanID(), Parent: root.ID, Name: "commit", Start: began, End: began}
	e.Trace([]Span{root, child})
	e.Stop(t.Context())

	r := <-c.got
	if r.path != "/v1/traces" || r.header.Get("Content-Type") != "application/x-protobuf" || r.header.Get("X-Key") != "a b" || r.header.Get("Y") != "c" {
		t.Errorf("%s %v", r.path, r.header)
	}
	var got tracepb.ExportTraceServiceRequest
	decode(t, r.body, &got)
	rs := got.ResourceSpans[0]
	if diff := cmp.Diff(map[string]any{"team": "ops", "service.name": "yes"}, attributes(rs.Resource.Attributes)); diff != "" {
		t.Error(diff)
	}
	if scope := rs.ScopeSpans[0].Scope; scope.Name != "millstream" || scope.Version != "1.2.3" {
		t.Errorf("scope %v", scope)
	}
	spans := rs.ScopeSpans[0].Spans
	if len(spans) != 2 {
		t.Fatalf("%d spans", len(spans))
	}
	s := spans[0]
	if string(s.TraceId) != string(root.Trace[:]) || string(s.SpanId) != string(root.ID[:]) || len(s.ParentSpanId) != 0 || s.Name != "epoch" || s.Kind.String() != "SPAN_KIND_INTERNAL" ||
		s.StartTimeUnixNano != uint64(began.UnixNano()) || s.EndTimeUnixNano != uint64(began.UnixNano()+1e9) || s.Status.Message != "no" || s.Status.Code.String() != "STATUS_CODE_ERROR" {
		t.Errorf("root %v", s)
	}
	if diff := cmp.Diff(map[string]any{"s": "", "i": int64(-5), "f": 0.5, "b": false}, attributes(s.Attributes)); diff != "" {
		t.Error(diff)
	}
	if s := spans[1]; string(s.ParentSpanId) != string(root.ID[:]) || s.Status != nil {
		t.Errorf("child %v", s)
	}
	n.want(t, map[string]int{"traces sent": 1})
}

// TestMetrics holds what a collector reads of metrics to the registry.
func TestMetrics(t *testing.T) {
	c := newCollector(t, (*httptest.Server).Start)
	e, n := start(t, read(t, map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": c.URL + "/here", "OTEL_EXPORTER_OTLP_METRICS_HEADERS": "k=v"}), io.Discard)
	e.Stop(t.Context())
	r := <-c.got
	if r.path != "/here" || r.header.Get("K") != "v" {
		t.Errorf("%s %v", r.path, r.header)
	}
	var got metricspb.ExportMetricsServiceRequest
	decode(t, r.body, &got)
	by := map[string]*metrics.Metric{}
	for _, m := range got.ResourceMetrics[0].ScopeMetrics[0].Metrics {
		by[m.Name] = m
	}
	sum := by["things_total"].GetSum()
	if p := sum.DataPoints[0]; !sum.IsMonotonic || sum.AggregationTemporality != metrics.AggregationTemporality_AGGREGATION_TEMPORALITY_CUMULATIVE ||
		p.GetAsDouble() != 3 || attributes(p.Attributes)["kind"] != "a" || p.StartTimeUnixNano == 0 || p.TimeUnixNano < p.StartTimeUnixNano {
		t.Errorf("counter %v", sum)
	}
	if g := by["size_bytes"]; g.GetGauge().DataPoints[0].GetAsDouble() != -1.5 || g.Unit != "By" || g.Description != "Size." {
		t.Errorf("gauge %v", g)
	}
	h := by["took_seconds"].GetHistogram().DataPoints[0]
	if diff := cmp.Diff([]uint64{1, 2, 0, 1}, h.BucketCounts); diff != "" || h.Count != 4 || h.GetSum() != 103.75 || len(h.ExplicitBounds) != 3 || h.ExplicitBounds[2] != 4 {
		t.Errorf("histogram %v %s", h, diff)
	}
	if s := by["pause_seconds"].GetSummary().DataPoints[0]; s.Count != 1 || s.QuantileValues[0].Quantile != 0.5 || s.QuantileValues[0].Value != 2 {
		t.Errorf("summary %v", s)
	}
	n.want(t, map[string]int{"metrics sent": 1})
}

// TestRefused holds that a request is made again where the specification says
// so, and that each trouble is logged once.
func TestRefused(t *testing.T) {
	c := newCollector(t, (*httptest.Server).Start)
	var log strings.Builder
	e, n := start(t, read(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_METRICS_EXPORTER": "none"}), &log)
	refusals := 1
	c.answers(func(w http.ResponseWriter) {
		if refusals--; refusals >= 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	})
	cl, err := newClient(e.config.Traces, "1")
	if err != nil {
		t.Fatal(err)
	}
	defer cl.close()
	if err := cl.send(t.Context(), nil); err != nil {
		t.Errorf("after one refusal: %v", err)
	}
	c.answers(func(w http.ResponseWriter) { http.Error(w, "who are you?", http.StatusUnauthorized) })
	for range 2 {
		err = cl.send(t.Context(), nil)
		r := reporter{exporter: e, signal: "traces", failing: log.Len() > 0}
		r.told(err)
	}
	if err == nil || !strings.Contains(err.Error(), "401: who are you?") || strings.Count(log.String(), "who are you?") != 1 {
		t.Errorf("%v, log %q", err, log.String())
	}
	c.answers(func(w http.ResponseWriter) {
		b, _ := proto.Marshal(&tracepb.ExportTraceServiceResponse{PartialSuccess: &tracepb.ExportTracePartialSuccess{RejectedSpans: 3, ErrorMessage: "too old"}})
		w.Header().Set("Content-Type", "application/x-protobuf")
		_, _ = w.Write(b)
	})
	if err := cl.send(t.Context(), nil); err == nil || !strings.Contains(err.Error(), "3 are not taken: too old") {
		t.Errorf("partial success: %v", err)
	}
	n.want(t, map[string]int{"traces failed": 2})
	if got := len(c.got); got != 5 {
		t.Errorf("%d requests, want 5: 401 and a partial success are not repeated", got)
	}
}

// TestNobodyWaits holds that a collector which does not answer costs traces,
// not time, and that Stop ends when its context does.
func TestNobodyWaits(t *testing.T) {
	silent := make(chan struct{})
	c := newCollector(t, (*httptest.Server).Start)
	c.answers(func(http.ResponseWriter) { <-silent })
	e, n := start(t, read(t, map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_METRICS_EXPORTER": "none"}), io.Discard)
	big := make([]Span, maxBatch)
	e.Trace(big)
	<-c.got // it is being sent, and not answered
	for range maxQueue + 7 {
		e.Trace([]Span{{Name: "x"}})
	}
	n.want(t, map[string]int{"traces dropped": 7})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	e.Stop(ctx)
	close(silent)
}

// TestBatches holds that traces wait for others, but not for long.
func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &Exporter{queue: make(chan []Span, maxQueue), stopping: make(chan struct{})}
		e.Trace([]Span{{Name: "a"}, {Name: "b"}})
		go func() {
			time.Sleep(batchDelay - time.Millisecond)
			e.Trace([]Span{{Name: "c"}})
			time.Sleep(2 * time.Millisecond)
			e.Trace([]Span{{Name: "d"}})
		}()
		if got := e.gather(); len(got) != 3 {
			t.Errorf("%d spans, want 3", len(got))
		}
		time.Sleep(time.Second)
		close(e.stopping)
		if got := e.gather(); len(got) != 1 || got[0].Name != "d" {
			t.Errorf("at the end %v", got)
		}
		if got := e.gather(); got != nil {
			t.Errorf("after the end %v", got)
		}
	})
}

// TestTLS holds that the certificates of the variables are those that are used.
func TestTLS(t *testing.T) {
	c := newCollector(t, (*httptest.Server).StartTLS)
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	env := map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": c.URL, "OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_CERTIFICATE": ca}
	e, n := start(t, read(t, env), io.Discard)
	e.Stop(t.Context())
	n.want(t, map[string]int{"metrics sent": 1})
	env["OTEL_EXPORTER_OTLP_CERTIFICATE"] = filepath.Join(t.TempDir(), "none.pem")
	if _, err := New(Config{Settings: read(t, env)}); err == nil || !strings.Contains(err.Error(), "none.pem") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestSampled(t *testing.T) {
	const all = 20_000
	n := 0
	for range all {
		id := NewTraceID()
		if id.Sampled(0.25) {
			n++
			if !id.Sampled(0.3) {
				t.Fatal("what a small ratio follows, a larger one must")
			}
		}
		if id.Sampled(0) || !id.Sampled(1) {
			t.Fatal("0 follows none, 1 all")
		}
	}
	if n < all/5 || n > all*3/10 {
		t.Errorf("%d of %d are followed, a quarter should be", n, all)
	}
}

func TestSettings(t *testing.T) {
	const at = "http://collector:4318"
	for name, tt := range map[string]struct {
		env  map[string]string
		want string // of the error, else empty
		ok   func(Settings) bool
	}{
		"nothing is said": {nil, "", func(s Settings) bool { return !s.On() && s.Ratio == 0.25 }},
		"an endpoint": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at + "/x/"}, "", func(s Settings) bool {
			return s.Traces.URL == at+"/x/v1/traces" && s.Metrics.URL == at+"/x/v1/metrics" && s.Interval == time.Minute && s.Traces.Timeout == 10*time.Second
		}},
		"switched off": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_SDK_DISABLED": "TRUE"}, "", func(s Settings) bool { return !s.On() }},
		"no traces":    {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_TRACES_EXPORTER": "none"}, "", func(s Settings) bool { return s.Traces.URL == "" && s.Metrics.URL != "" }},
		"one signal":   {map[string]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": at}, "", func(s Settings) bool { return s.Traces.URL == at && s.Metrics.URL == "" }},
		"times": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_EXPORTER_OTLP_TIMEOUT": "1500", "OTEL_METRIC_EXPORT_INTERVAL": "200"}, "", func(s Settings) bool {
			return s.Traces.Timeout == 1500*time.Millisecond && s.Interval == 200*time.Millisecond
		}},
		"always on":         {map[string]string{"OTEL_TRACES_SAMPLER": "parentbased_always_on"}, "", func(s Settings) bool { return s.Ratio == 1 }},
		"always off":        {map[string]string{"OTEL_TRACES_SAMPLER": "always_off"}, "", func(s Settings) bool { return s.Ratio == 0 }},
		"a ratio":           {map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.5"}, "", func(s Settings) bool { return s.Ratio == 0.5 }},
		"a ratio too large": {map[string]string{"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "2"}, `OTEL_TRACES_SAMPLER_ARG: "2" is not a number from 0 to 1`, nil},
		"another sampler":   {map[string]string{"OTEL_TRACES_SAMPLER": "jaeger_remote"}, `"jaeger_remote" is none of`, nil},
		"grpc":              {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, `OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" is not spoken here`, nil},
		"no address":        {map[string]string{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "collector:4318"}, `OTEL_EXPORTER_OTLP_METRICS_ENDPOINT: "collector:4318" is not an address`, nil},
		"a bad time":        {map[string]string{"OTEL_METRIC_EXPORT_INTERVAL": "1s"}, `"1s" is not a number of milliseconds`, nil},
		"bad headers":       {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_EXPORTER_OTLP_HEADERS": "secret"}, "it is a list of name=value", nil},
		"other compression": {map[string]string{"OTEL_EXPORTER_OTLP_ENDPOINT": at, "OTEL_EXPORTER_OTLP_COMPRESSION": "zstd"}, `"zstd" is neither gzip nor none`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			s, err := Read(Base{Endpoint: tt.env["OTEL_EXPORTER_OTLP_ENDPOINT"], Headers: tt.env["OTEL_EXPORTER_OTLP_HEADERS"], Ratio: 0.25}, func(n string) string { return tt.env[n] })
			switch {
			case tt.want != "":
				if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
					t.Errorf("%v, want %q", err, tt.want)
				}
			case err != nil || !tt.ok(s):
				t.Errorf("%+v, %v", s, err)
			}
		})
	}
}
