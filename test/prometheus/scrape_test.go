package prometheus_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

const (
	// patience bounds each wait.
	patience = 60 * time.Second
	// lookEvery is how often Prometheus is asked.
	lookEvery = 200 * time.Millisecond
)

const watchedSQL = `CREATE FOREIGN TABLE events (
    at   timestamptz NOT NULL,
    kind text
) SERVER kafka OPTIONS (topic 'events', event_time 'at', watermark '1 second');
CREATE MATERIALIZED VIEW counts AS
SELECT window_start, kind, count(*) AS n FROM tumble(events, at, INTERVAL '1 minute') GROUP BY window_start, kind;
`

// times are the rules' durations, of which each test of the running program
// takes a minute as a second at most.
var times = []struct {
	pattern *regexp.Regexp
	short   string
}{
	{regexp.MustCompile(`\[\d+m\]`), "[8s]"},
	{regexp.MustCompile(`for: \d+m`), "for: 1s"},
	{regexp.MustCompile(`millstream_last_commit_timestamp_seconds\) > 60`), "millstream_last_commit_timestamp_seconds) > 3"},
	{regexp.MustCompile(`\(millstream_commit_retries_total\[8s\]\)\) > 5`), "(millstream_commit_retries_total[8s])) > 0"},
}

// quick are the rules with shorter times.
func quick(t *testing.T) string {
	t.Helper()
	text := rules(t)
	for _, change := range times {
		if !change.pattern.MatchString(text) {
			t.Fatalf("no rule has %s", change.pattern)
		}
		text = change.pattern.ReplaceAllString(text, change.short)
	}
	return text
}

// server is a Prometheus that scrapes one program.
type server struct {
	t   *testing.T
	url string
}

// scraping starts Prometheus. It ends with the test.
func scraping(t *testing.T, target string) *server {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"alerts.yml":     quick(t),
		"prometheus.yml": fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 500ms}\nrule_files: [alerts.yml]\nscrape_configs:\n  - job_name: millstream\n    static_configs: [{targets: [%q]}]\n", target),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	listen := freeAddress(t)
	log, err := os.Create(filepath.Join(dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program(t, "prometheus"), "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+listen)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("Prometheus:\n%s", text)
		}
	})
	return &server{t, "http://" + listen}
}

func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// get asks Prometheus' API; ok is false while it does not answer.
func (s *server) get(path string, into any) (ok bool) {
	ctx, cancel := context.WithTimeout(s.t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return false
	}
	defer res.Body.Close()
	return json.NewDecoder(res.Body).Decode(into) == nil
}

// query gives the number of series that an expression finds.
func (s *server) query(expr string) int {
	var answer struct {
		Data struct{ Result []json.RawMessage }
	}
	s.get("/api/v1/query?query="+url.QueryEscape(expr), &answer)
	return len(answer.Data.Result)
}

// firing gives the alerts that fire.
func (s *server) firing() (names []string) {
	var answer struct {
		Data struct {
			Alerts []struct {
				State  string
				Labels map[string]string
			}
		}
	}
	s.get("/api/v1/alerts", &answer)
	for _, a := range answer.Data.Alerts {
		if a.State == "firing" {
			names = append(names, a.Labels["alertname"])
		}
	}
	return names
}

// await waits until something holds.
func (s *server) await(what string, holds func() bool) {
	s.t.Helper()
	limit := time.After(patience)
	for !holds() {
		select {
		case <-time.After(lookEvery):
		case <-limit:
			s.t.Fatalf("after %s still not: %s; firing are %q", patience, what, s.firing())
		}
	}
}

func (s *server) fires(name string) {
	s.t.Helper()
	s.await(name+" fires", func() bool { return slices.Contains(s.firing(), name) })
}

func (s *server) quiet(name string) {
	s.t.Helper()
	s.await(name+" does not fire any more", func() bool { return !slices.Contains(s.firing(), name) })
}

// TestAlertsOfTheRunningProgram makes each situation that can be made with the
// real program, Kafka's protocol and PostgreSQL, and has Prometheus scrape it:
// the alert fires, and rests when the trouble is over.
func TestAlertsOfTheRunningProgram(t *testing.T) {
	program(t, "prometheus") // or skip
	broker, err := local.StartBroker(local.BrokerOptions{Port: -1, Partitions: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = broker.Close() })
	db, err := local.StartPostgres(t.Context(), local.PostgresOptions{Port: -1, Dir: filepath.Join(t.TempDir(), "pg")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	file := filepath.Join(t.TempDir(), "watched.sql")
	if err := os.WriteFile(file, []byte(watchedSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	admin := freeAddress(t)
	p := line.StartWithin(t, 5*time.Minute, nil, "run", file, "-o", "json", "--listen", "127.0.0.1:0", "--admin-listen", admin, "--brokers", broker.Addr(), "--database-url", db.URL())
	if _, err := p.Line(t.Context()); err != nil {
		t.Fatal(err)
	}
	s := scraping(t, admin)
	s.await("Prometheus scrapes", func() bool { return s.query("up == 1") == 1 && s.query("millstream_engine_up == 1") == 1 })
	send := newSender(t, broker.Addr())
	send.good(100, time.Now())
	s.await("records are counted", func() bool { return s.query("millstream_records_accepted_total >= 100") == 1 })
	s.await("parts are seen", func() bool { return s.query("millstream_part_up == 1") == 2 })
	if names := s.firing(); len(names) > 0 {
		t.Errorf("on a healthy pipeline fire %q", names)
	}

	stop := send.steadily(func() { send.raw(time.Now(), "no JSON") })
	s.fires("MillstreamQuarantine")
	stop()
	stop = send.steadily(func() { send.good(1, time.Now().Add(-24*time.Hour)) })
	s.fires("MillstreamLate")
	stop()
	still := time.Now()
	send.good(1, still)
	stop = send.steadily(func() { send.good(1, still) })
	s.fires("MillstreamWatermarkStuck")
	stop()
	s.quiet("MillstreamWatermarkStuck")

	unlock := lockPipeline(t, db.URL())
	send.raw(time.Now().Add(-time.Hour), fmt.Sprintf(`{"at": %q}`, time.Now().Format(time.RFC3339)))
	send.raw(time.Now().Add(-time.Hour), fmt.Sprintf(`{"at": %q}`, time.Now().Format(time.RFC3339)))
	s.fires("MillstreamNotCommitting")
	unlock()
	s.quiet("MillstreamNotCommitting")

	url := db.URL()
	oracle.Check(t, oracle.Options{SQL: watchedSQL, Pipeline: "watched", DatabaseURL: url, Brokers: map[string][]string{"kafka": {broker.Addr()}}})
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	s.fires("MillstreamPostgresDown")
	if err := broker.Close(); err != nil {
		t.Fatal(err)
	}
	s.fires("MillstreamKafkaDown")
	p.Kill()
	s.fires("MillstreamDown")
}

// lockPipeline holds the row that each commit locks; the function that it
// gives lets it go.
func lockPipeline(t *testing.T, url string) (unlock func()) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	if _, err := conn.Exec(t.Context(), "BEGIN; SELECT FROM millstream.pipelines FOR UPDATE"); err != nil {
		t.Fatal(err)
	}
	return func() {
		if _, err := conn.Exec(t.Context(), "ROLLBACK"); err != nil {
			t.Error(err)
		}
	}
}

// sender sends records to the topic.
type sender struct {
	t      *testing.T
	client *kgo.Client
}

func newSender(t *testing.T, broker string) *sender {
	t.Helper()
	c, err := line.Client(broker)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return &sender{t, c}
}

func (s *sender) raw(stamp time.Time, value string) {
	r := &kgo.Record{Topic: "events", Timestamp: stamp, Value: []byte(value)}
	if err := s.client.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
		s.t.Error(err)
	}
}

// good sends records that count, n at an instant.
func (s *sender) good(n int, at time.Time) {
	for range n {
		s.raw(time.Now(), fmt.Sprintf(`{"at": %q, "kind": %q}`, at.Format(time.RFC3339Nano), strings.Repeat("k", 1+n%3)))
	}
}

// steadily does something ten times a second until it is told to stop.
func (s *sender) steadily(do func()) (stop func()) {
	ended := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				do()
			case <-ended:
				return
			}
		}
	})
	return func() {
		close(ended)
		running.Wait()
	}
}
