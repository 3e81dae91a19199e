package line_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

const (
	before = `{"timestamp": "2024-05-01T12:00:00Z", "type": "a", "value": 1}`
	after  = `{"timestamp": "2024-05-01T12:00:00Z", "type": "a", "value": 2}`
)

// outage runs a pipeline on the local stack, with one event in its table.
func outage(t *testing.T) (*place, *program, ready, []string) {
	t.Helper()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	run := []string{"run", "pipeline.sql", "--local", "--data", "data", "-o", "json", "--listen", "127.0.0.1:0"}
	g := p.start(run...)
	r := g.ready()
	post(t, r.API+"/v1/topics/raw_data", jsonBody, before)
	awaitBody(t, r.API+meanOfA, `[{"type":"a","value":1,"events":1}]`)
	return p, g, r, run
}

const meanOfA = "/v1/tables/processed_data?select=type,value,events"

func healthy(a answer) bool   { return a.code == http.StatusOK }
func unhealthy(a answer) bool { return a.code == http.StatusServiceUnavailable }

// TestDatabaseKilled kills the local database below a running pipeline: it is
// started again, the engine connects to it anew, and nothing is lost.
func TestDatabaseKilled(t *testing.T) {
	t.Parallel()
	p, g, r, _ := outage(t)
	killDatabase(t, p.path("data"))
	post(t, r.API+"/v1/topics/raw_data", jsonBody, after)
	awaitBody(t, r.API+meanOfA, `[{"type":"a","value":1.5,"events":2}]`)
	awaitAnswer(t, r.API+"/health", healthy)
	for _, text := range []string{"PostgreSQL has ended; it is being started again", "signal: killed", "PostgreSQL runs again"} {
		if !strings.Contains(g.err.text(), text) {
			t.Errorf("%q is not in the log:\n%s", text, g.err.text())
		}
	}
	p.judge(r, eventsSQL)
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
}

// TestDatabaseBroken kills the local database when it can't come up again:
// health says so with the reason, events are still taken, the program ends
// saying why, and all events are in the tables when it is started again on the
// mended folder.
func TestDatabaseBroken(t *testing.T) {
	t.Parallel()
	p, g, r, run := outage(t)
	settings := filepath.Join(p.path("data"), "postgres", "cluster", "postgresql.auto.conf")
	if err := os.WriteFile(settings, []byte("max_connections = many\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	killDatabase(t, p.path("data"))
	for _, path := range []string{"/health", "/readyz"} {
		a := awaitAnswer(t, r.API+path, unhealthy)
		if !strings.Contains(a.body, `"part":"postgresql","ok":false,"reason":"no answer: `) || !strings.Contains(a.body, "is being started again") {
			t.Errorf("GET %s: %s", path, a.body)
		}
	}
	p.want(1, []string{"unhealthy", "postgresql"}, "healthcheck")
	if a := get(t, r.API+"/livez"); a.code != http.StatusOK {
		t.Errorf("GET /livez: %d %s: nobody needs to restart the program", a.code, a.body)
	}
	if a := get(t, r.API+meanOfA); a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "PostgreSQL can't be reached") {
		t.Errorf("GET %s: %d %s", meanOfA, a.code, a.body)
	}
	post(t, r.API+"/v1/topics/raw_data", jsonBody, after)
	awaitAnswer(t, r.API+"/health", func(a answer) bool { return strings.Contains(a.body, `"part":"database writes","ok":false`) })
	s := decode[struct{ State, Reason string }](t, get(t, r.API+"/v1/pipeline").body)
	if s.State != "retrying" || s.Reason == "" {
		t.Errorf("state %+v, want retrying with its reason", s)
	}
	if code := g.wait(); code != 1 {
		t.Errorf("without its database it ends with %d, want 1", code)
	}
	for _, text := range []string{"PostgreSQL has ended 6 times", "max_connections", "postgresql.log"} {
		if !strings.Contains(g.err.text(), text) {
			t.Errorf("%q is not said:\n%s", text, g.err.text())
		}
	}

	if err := os.WriteFile(settings, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	g = p.start(run...)
	r = g.ready()
	awaitBody(t, r.API+meanOfA, `[{"type":"a","value":1.5,"events":2}]`)
	awaitAnswer(t, r.API+"/health", healthy)
	p.judge(r, eventsSQL)
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
}

// killDatabase ends the server whose data lies below a folder, as kill -9
// does.
func killDatabase(t *testing.T, data string) {
	t.Helper()
	found, err := filepath.Glob(filepath.Join(data, "postgres", "*", "postmaster.pid"))
	if err != nil || len(found) != 1 {
		t.Fatalf("pid files %v: %v", found, err)
	}
	text, err := os.ReadFile(found[0])
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil || pid <= 1 {
		t.Fatalf("pid file %q", text)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}
