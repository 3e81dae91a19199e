package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTextLines(t *testing.T) {
	yes, no := true, false
	tests := []struct {
		name string
		opts LogOptions
		log  func(*slog.Logger)
		want string
	}{
		{"plain", LogOptions{Format: LogText}, func(l *slog.Logger) { l.Info("commit made", "seq", 7, "took", time.Second) }, "info  commit made seq=7 took=1s\n"},
		{"quoted", LogOptions{Format: LogText}, func(l *slog.Logger) { l.Warn("bad", "value", "a b", "empty", "", "eq", "x=y") }, `warn  bad value="a b" empty="" eq="x=y"` + "\n"},
		{"no forged lines", LogOptions{Format: LogText}, func(l *slog.Logger) { l.Error("a\nb", "k", "v\ninfo fake", "t", "\x1b[31m") }, `error "a\nb" k="v\ninfo fake" t="\x1b[31m"` + "\n"},
		{"groups", LogOptions{Format: LogText}, func(l *slog.Logger) {
			l.With("a", 1).WithGroup("g").With("b", 2).Info("m", slog.Group("h", "c", 3))
		}, "info  m a=1 g.b=2 g.h.c=3\n"},
		{"level", LogOptions{Format: LogText, Level: "debug"}, func(l *slog.Logger) { l.Debug("d") }, "debug d\n"},
		{"below level", LogOptions{Format: LogText}, func(l *slog.Logger) { l.Debug("d") }, ""},
		{"quiet", LogOptions{Format: LogText, Level: "debug", Quiet: true}, func(l *slog.Logger) { l.Info("i"); l.Warn("w") }, "warn  w\n"},
		{"no color off", LogOptions{Format: LogText, Color: &no}, func(l *slog.Logger) { l.Error("e") }, "error e\n"},
		{"color", LogOptions{Format: LogText, Color: &yes}, func(l *slog.Logger) { l.Error("e", "k", 1) }, "\x1b[31merror\x1b[0m e \x1b[2mk=\x1b[0m1\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var b bytes.Buffer
			l, err := NewLogger(&b, tt.opts)
			if err != nil {
				t.Fatal(err)
			}
			tt.log(slog.New(timeless{l.Handler()}))
			if diff := cmp.Diff(tt.want, b.String()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// timeless drops the time of records, so that lines can be compared.
type timeless struct{ slog.Handler }

func (h timeless) Handle(ctx context.Context, r slog.Record) error {
	r.Time = time.Time{}
	return h.Handler.Handle(ctx, r)
}
func (h timeless) WithAttrs(a []slog.Attr) slog.Handler { return timeless{h.Handler.WithAttrs(a)} }
func (h timeless) WithGroup(n string) slog.Handler      { return timeless{h.Handler.WithGroup(n)} }

func TestFileGetsJSON(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "log"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	l, err := NewLogger(f, LogOptions{})
	if err != nil {
		t.Fatal(err)
	}
	l.Info("commit made", "seq", 7)
	text, err := os.ReadFile(f.Name())
	if err != nil {
		t.Fatal(err)
	}
	var got map[string]any
	if err := json.Unmarshal(text, &got); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
	if got["msg"] != "commit made" || got["seq"] != 7.0 || got["level"] != "INFO" {
		t.Errorf("got %v", got)
	}
}

func TestBadLogOptions(t *testing.T) {
	if _, err := NewLogger(io.Discard, LogOptions{Level: "loud"}); err == nil || !strings.Contains(err.Error(), "want debug, info, warn or error") {
		t.Errorf("level: %v", err)
	}
	if _, err := NewLogger(io.Discard, LogOptions{Format: "xml"}); err == nil || !strings.Contains(err.Error(), "want text or json") {
		t.Errorf("format: %v", err)
	}
}

// fill gives every metric a sample.
func fill(m *Metrics) {
	m.Records("raw", "v", Fates{Read: 10, Accepted: 6, Filtered: 1, Late: 2, Quarantined: 1, Skipped: 3})
	m.Records("raw", "v", Fates{Read: 1, Accepted: 1})
	m.DecodeErrors("raw", "decode", 1)
	m.BytesRead("raw", 2048)
	m.Lag("raw", "0", 12, 1500*time.Millisecond)
	m.PartitionWatermark("raw", "0", 1_700_000_000_500_000)
	m.ViewWatermark("v", 1_700_000_000_000_000)
	m.View("v", 3, 40, 17)
	m.StateBytes("v", 4096)
	m.LedgerRows("quarantine", 5)
	m.Commit(time.UnixMicro(1_700_000_001_000_000), 11, 900, 12*time.Millisecond, []CommitStep{{"fence", time.Millisecond}, {"rows", 8 * time.Millisecond}})
	m.CommitRetry("serialization")
	m.EngineUp(true)
	m.HTTPStarted("GET")("/v1/tables", "200")
	m.Ingested("raw", "accepted", 9)
	m.Exported("traces", "sent")
	m.PartUp("kafka", true)
	m.Lookup("public.users", Lookup{Rows: 7, Version: 2, Failures: 1, Changed: time.Unix(1_700_000_000, 0), Refreshed: time.Unix(1_700_000_005, 0), Took: 20 * time.Millisecond})
}

func scrape(t *testing.T, h http.Handler) string {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	if w.Code != http.StatusOK {
		t.Fatalf("scrape: %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func TestScrape(t *testing.T) {
	m := NewMetrics("shop", "1.2.3")
	fill(m)
	text := scrape(t, MetricsHandler(m.Registry()))
	for _, want := range []string{
		`millstream_records_read_total{pipeline="shop",topic="raw",view="v"} 11`,
		`millstream_records_accepted_total{pipeline="shop",topic="raw",view="v"} 7`,
		`millstream_records_filtered_total{pipeline="shop",topic="raw",view="v"} 1`,
		`millstream_records_late_total{pipeline="shop",topic="raw",view="v"} 2`,
		`millstream_records_quarantined_total{pipeline="shop",topic="raw",view="v"} 1`,
		`millstream_records_skipped_total{pipeline="shop",topic="raw",view="v"} 3`,
		`millstream_decode_errors_total{cause="decode",pipeline="shop",topic="raw"} 1`,
		`millstream_read_bytes_total{pipeline="shop",topic="raw"} 2048`,
		`millstream_lag_records{partition="0",pipeline="shop",topic="raw"} 12`,
		`millstream_lag_seconds{partition="0",pipeline="shop",topic="raw"} 1.5`,
		`millstream_partition_watermark_timestamp_seconds{partition="0",pipeline="shop",topic="raw"} 1.7000000005e+09`,
		`millstream_watermark_timestamp_seconds{pipeline="shop",view="v"} 1.7e+09`,
		`millstream_open_windows{pipeline="shop",view="v"} 3`,
		`millstream_open_groups{pipeline="shop",view="v"} 40`,
		`millstream_rows_written_total{pipeline="shop",view="v"} 17`,
		`millstream_state_bytes{pipeline="shop",view="v"} 4096`,
		`millstream_ledger_rows{ledger="quarantine",pipeline="shop"} 5`,
		`millstream_commits_total{pipeline="shop"} 1`,
		`millstream_commit_bytes_total{pipeline="shop"} 900`,
		`millstream_commit_retries_total{cause="serialization",pipeline="shop"} 1`,
		`millstream_commit_duration_seconds_count{pipeline="shop"} 1`,
		`millstream_commit_step_duration_seconds_sum{pipeline="shop",step="rows"} 0.008`,
		`millstream_epoch_records_sum{pipeline="shop"} 11`,
		`millstream_last_commit_timestamp_seconds{pipeline="shop"} 1.700000001e+09`,
		`millstream_engine_up{pipeline="shop"} 1`,
		`millstream_http_requests_total{code="200",method="GET",pipeline="shop",route="/v1/tables"} 1`,
		`millstream_http_requests_in_flight{pipeline="shop"} 0`,
		`millstream_ingest_records_total{outcome="accepted",pipeline="shop",topic="raw"} 9`,
		`millstream_build_info{pipeline="shop",version="1.2.3"} 1`,
		`millstream_part_up{part="kafka",pipeline="shop"} 1`,
		`millstream_lookup_rows{pipeline="shop",table="public.users"} 7`,
		`millstream_lookup_version{pipeline="shop",table="public.users"} 2`,
		`millstream_lookup_changed_timestamp_seconds{pipeline="shop",table="public.users"} 1.7e+09`,
		`millstream_lookup_refreshed_timestamp_seconds{pipeline="shop",table="public.users"} 1.700000005e+09`,
		`millstream_lookup_refresh_duration_seconds{pipeline="shop",table="public.users"} 0.02`,
		`millstream_lookup_failures_total{pipeline="shop",table="public.users"} 1`,
		`millstream_otlp_exports_total{outcome="sent",pipeline="shop",signal="traces"} 1`,
		`go_goroutines `,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("not in the scrape: %s", want)
		}
	}
	m.EngineUp(false)
	if text := scrape(t, MetricsHandler(m.Registry())); !strings.Contains(text, `millstream_engine_up{pipeline="shop"} 0`) {
		t.Error("engine_up did not go to 0")
	}
}

// TestNames lints every metric, and refuses one that fill forgets: a metric
// that nothing sets is not scraped, and would not be linted.
func TestNames(t *testing.T) {
	m := NewMetrics("shop", "1.2.3")
	fill(m)
	text := scrape(t, MetricsHandler(m.Registry()))
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "millstream_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
	source, err := os.ReadFile("metrics.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range strings.Split(string(source), `"`) {
		if strings.HasPrefix(part, "millstream_") && !strings.Contains(part, " ") && !strings.Contains(text, "# TYPE "+part+" ") {
			t.Errorf("%s is declared but fill gives it no sample", part)
		}
	}
}

func TestTwoPipelinesInOneProcess(t *testing.T) {
	a, b := NewMetrics("a", "1"), NewMetrics("b", "1")
	a.EngineUp(true)
	b.EngineUp(false)
	if text := scrape(t, MetricsHandler(a.Registry())); strings.Contains(text, `pipeline="b"`) {
		t.Error("one pipeline's metrics hold another's")
	}
}

func TestAdmin(t *testing.T) {
	m := NewMetrics("shop", "1.2.3")
	a, err := NewAdmin(AdminConfig{Addr: "127.0.0.1:0", Registry: m.Registry()})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- a.Serve(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for path, want := range map[string]string{
		"/metrics":                       "millstream_build_info",
		"/debug/pprof/":                  "goroutine",
		"/debug/pprof/heap?debug=1":      "heap profile",
		"/debug/pprof/goroutine?debug=1": "goroutine profile",
		"/debug/pprof/cmdline":           "telemetry",
	} {
		r, err := client.Get("http://" + a.Addr() + path)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(r.Body)
		r.Body.Close()
		if err != nil || r.StatusCode != http.StatusOK || !strings.Contains(string(body), want) {
			t.Errorf("%s: %d, %v, no %q in the answer", path, r.StatusCode, err, want)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestAdminStaysOnLoopback(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		if a, err := NewAdmin(AdminConfig{Addr: addr}); err == nil {
			a.listener.Close()
			t.Errorf("%s: bound", addr)
		} else if !strings.Contains(err.Error(), "use 127.0.0.1") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	a, err := NewAdmin(AdminConfig{Addr: "0.0.0.0:0", AllowRemote: true, Registry: NewMetrics("p", "v").Registry()})
	if err != nil {
		t.Fatal(err)
	}
	a.listener.Close()
	if _, err := NewAdmin(AdminConfig{Addr: "127.0.0.1"}); err == nil {
		t.Error("an address without a port was taken")
	}
}
