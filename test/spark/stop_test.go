package spark

import (
	"context"
	"encoding/json"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// TestStop starts applications that read on, looks at what they tell, and ends
// one by the verb and one by a signal. The next goes on where they were, and
// the tables are those of the native engine.
func TestStop(t *testing.T) {
	environment(t)
	broker, url := startBroker(t), pgtest.Database(t)
	file := filepath.Join(t.TempDir(), "killed.sql")
	if err := os.WriteFile(file, []byte(killedSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	g := generator{rand.New(rand.NewPCG(7, 5))}
	const partitions, part = 2, 100
	values := g.values(3*part-partitions, partitions)
	env := append(variables(t, broker, url), "SPARK_CHECKPOINT_LOCATION="+t.TempDir())
	send(t, broker, "events", partitions, values[:part])

	first := line.StartWithin(t, sessionLimit, env, append([]string{"spark", "submit", file}, settings()...)...)
	address := banner(t, first)
	response, err := http.Get(address) //nolint:noctx // it answers, or the test fails
	if err != nil {
		t.Fatalf("Spark's UI: %v", err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("Spark's UI at %s answers %s", address, response.Status)
	}
	awaitRead(t, url, first, part)
	if told := status(t, env, file); told.State != "running" || told.UI != address || len(told.Queries) != 3 {
		t.Errorf("status of the running application: %+v", told)
	}
	if r := line.Run(t, env, "spark", "stop", file); r.Code != 0 || !strings.Contains(r.Stdout, "killed has stopped") {
		t.Fatalf("stop: %s", r)
	}
	if r := first.Wait(); r.Code != 0 {
		t.Fatalf("the stopped application ends with %d\n%s", r.Code, last(r.Stderr))
	}
	if told := status(t, env, file); told.State != "stopped" || told.Message != "" {
		t.Errorf("status of the stopped application: %+v", told)
	}
	if r := line.Run(t, env, "spark", "stop", file); r.Code == 0 || !strings.Contains(r.Stderr, "it has ended") {
		t.Errorf("a second stop: %s", r)
	}
	if r := line.Run(t, env, "run", file, "--until-end"); r.Code == 0 || !strings.Contains(r.Stderr, "has run on the spark engine") {
		t.Errorf("the native engine takes the pipeline over: %s", r)
	}

	send(t, broker, "events", partitions, values[part:2*part])
	second := line.StartWithin(t, sessionLimit, env, append([]string{"run", file, "--engine", "spark"}, settings()...)...)
	banner(t, second)
	awaitRead(t, url, second, 2*part)
	second.Terminate()
	if r := second.Wait(); r.Code != 0 {
		t.Fatalf("the application that got a signal ends with %d\n%s", r.Code, last(r.Stderr))
	}
	if told := status(t, env, file); told.State != "stopped" {
		t.Errorf("status after the signal: %+v", told)
	}

	send(t, broker, "events", partitions, values[2*part:])
	if r := run(t, env, append([]string{"spark", "submit", file, "--until-end"}, settings()...)...); r.Code != 0 {
		t.Fatalf("the last start ends with %d\n%s", r.Code, last(r.Stderr))
	}
	if r := line.Run(t, env, "run", file, "--until-end", "--name", "native", "--schema", "native"); r.Code != 0 {
		t.Fatalf("native engine: %s", r)
	}
	equalTables(t, url)
}

// banner waits until the program tells where Spark's UI is.
func banner(t *testing.T, p *line.Process) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), sessionLimit)
	defer cancel()
	for {
		text, err := p.Line(ctx)
		if err != nil {
			t.Fatalf("Spark's UI was not shown: %s", last(err.Error()))
		}
		if _, address, ok := strings.Cut(text, "Spark's UI "); ok {
			return strings.TrimSpace(address)
		}
	}
}

// toldStatus is a part of what `spark status -o json` prints.
type toldStatus struct {
	State   string `json:"state"`
	Message string `json:"message"`
	UI      string `json:"ui"`
	Queries []struct {
		Query string `json:"query"`
		Batch int64  `json:"batch"`
	} `json:"queries"`
}

func status(t *testing.T, env []string, file string) (out toldStatus) {
	t.Helper()
	r := line.Run(t, env, "spark", "status", file, "-o", "json")
	if r.Code != 0 {
		t.Fatalf("status: %s", r)
	}
	if err := json.Unmarshal([]byte(r.Stdout), &out); err != nil {
		t.Fatalf("status: %v\n%s", err, r.Stdout)
	}
	return out
}

// awaitRead waits until every query has committed the first n records.
func awaitRead(t *testing.T, url string, p *line.Process, n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	const query = `
SELECT count(*) FROM (
    SELECT query, max((SELECT sum(p.value::bigint) FROM jsonb_each(offsets -> 0) AS o, jsonb_each_text(o.value) AS p)) AS read
    FROM millstream.spark_commits GROUP BY query) AS q
WHERE read >= $1`
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		var queries int
		if err := conn.QueryRow(t.Context(), query, n).Scan(&queries); err != nil {
			t.Fatal(err)
		}
		if queries == 3 {
			return
		}
		select {
		case <-tick.C:
		case <-p.Ended():
			t.Fatalf("the application has ended: %s", last(p.Wait().Stderr))
		}
	}
}
