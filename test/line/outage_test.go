package line_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// TestDatabaseKilled kills the database below a running pipeline: health says
// so with the reason, events are still taken, and all of them are in the
// tables when the program is started again on the same folder.
func TestDatabaseKilled(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	run := []string{"run", "pipeline.sql", "--local", "--data", "data", "-o", "json", "--listen", "127.0.0.1:0"}
	g := p.start(run...)
	r := g.ready()
	const before, after = `{"timestamp": "2024-05-01T12:00:00Z", "type": "a", "value": 1}`, `{"timestamp": "2024-05-01T12:00:00Z", "type": "a", "value": 2}`
	post(t, r.API+"/v1/topics/raw_data", jsonBody, before)
	table := "/v1/tables/processed_data?select=type,value,events"
	awaitBody(t, r.API+table, `[{"type":"a","value":1,"events":1}]`)

	killDatabase(t, p.path("data"))
	unhealthy := func(a answer) bool { return a.code == http.StatusServiceUnavailable }
	for _, path := range []string{"/health", "/readyz"} {
		if a := awaitAnswer(t, r.API+path, unhealthy); !strings.Contains(a.body, `"part":"postgresql","ok":false,"reason":"no answer: `) {
			t.Errorf("GET %s: %s", path, a.body)
		}
	}
	p.want(1, []string{"unhealthy", "postgresql"}, "healthcheck")
	if a := get(t, r.API+"/livez"); a.code != http.StatusOK {
		t.Errorf("GET /livez: %d %s: nobody needs to restart the program", a.code, a.body)
	}
	if a := get(t, r.API+table); a.code != http.StatusServiceUnavailable || !strings.Contains(a.body, "PostgreSQL can't be reached") {
		t.Errorf("GET %s: %d %s", table, a.code, a.body)
	}
	post(t, r.API+"/v1/topics/raw_data", jsonBody, after)
	awaitAnswer(t, r.API+"/health", func(a answer) bool { return strings.Contains(a.body, `"part":"database writes","ok":false`) })
	s := decode[struct{ State, Reason string }](t, get(t, r.API+"/v1/pipeline").body)
	if s.State != "retrying" || s.Reason == "" {
		t.Errorf("state %+v, want retrying with its reason", s)
	}
	if code := interrupt(t, g); code != 143 {
		t.Errorf("interrupted twice it ends with %d, want 143", code)
	}

	g = p.start(run...)
	r = g.ready()
	awaitBody(t, r.API+table, `[{"type":"a","value":1.5,"events":2}]`)
	awaitAnswer(t, r.API+"/health", func(a answer) bool { return a.code == http.StatusOK })
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

// interrupt asks the program to end until it does, and gives its exit code:
// it does not wait for what it drains after the second time.
func interrupt(t *testing.T, g *program) int {
	t.Helper()
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	limit := time.After(patience)
	for {
		_ = g.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
		select {
		case <-g.ended:
			return g.cmd.ProcessState.ExitCode()
		case <-tick.C:
		case <-limit:
			t.Fatal("the program does not end")
		}
	}
}
