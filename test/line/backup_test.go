package line_test

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/local"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

// TestBackupAndRestore rehearses what docs/operations.md says: a dump is taken
// while the pipeline runs, its server is lost with all that was committed
// after the dump, and the dump is restored into a new server. The same file run there comes to
// the tables that all events make.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"pg_dump", "pg_restore"} {
		if _, err := exec.LookPath(name); err != nil {
			t.Skipf("%s is not installed: %v", name, err)
		}
	}
	p := newPlace(t)
	p.write("pipeline.sql", eventsSQL)
	broker, old := line.Broker(t), pgtest.Database(t)
	run := func(database string) (*program, ready) {
		g := p.start("run", "pipeline.sql", "-o", "json", "--listen", "127.0.0.1:0", "--brokers", broker, "--database-url", database)
		return g, g.ready()
	}
	g, r := run(old)
	const event = `{"timestamp": "2024-05-01T12:%02d:00Z", "type": "a", "value": %d}`
	for i := range 10 {
		post(t, r.API+"/v1/topics/raw_data", jsonBody, fmt.Sprintf(event, i, i))
	}
	post(t, r.API+"/v1/topics/raw_data", jsonBody, `{"timestamp": "2024-05-01T11:00:00Z", "type": "late", "value": 1}`)
	sums := r.API + "/v1/tables/processed_data?select=timestamp,type,value,events&order=timestamp,type"
	awaitBody(t, sums, `[{"timestamp":"2024-05-01T12:00:00+00:00","type":"a","value":2,"events":5},`+"\n"+`{"timestamp":"2024-05-01T12:05:00+00:00","type":"a","value":7,"events":5}]`)

	dump := p.path("millstream.dump")
	tool(t, "pg_dump", "--format=custom", "--file="+dump, old)
	for i := range 10 { // what the dump lacks
		post(t, r.API+"/v1/topics/raw_data", jsonBody, fmt.Sprintf(event, i, 100))
	}
	const all = `[{"timestamp":"2024-05-01T12:00:00+00:00","type":"a","value":51,"events":10},` + "\n" + `{"timestamp":"2024-05-01T12:05:00+00:00","type":"a","value":53.5,"events":10}]`
	awaitBody(t, sums, all)
	_ = g.cmd.Process.Kill()
	<-g.ended

	server, err := local.StartPostgres(t.Context(), local.PostgresOptions{Port: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = server.Close() })
	tool(t, "pg_restore", "--no-owner", "--exit-on-error", "--dbname="+server.URL(), dump)
	g, r = run(server.URL())
	awaitBody(t, r.API+strings.TrimPrefix(sums, sums[:strings.Index(sums, "/v1/")]), all)
	r.Postgres = server.URL()
	p.judge(r, eventsSQL)
	p.want(0, nil, "verify", "pipeline.sql", "--brokers", broker, "--database-url", server.URL())
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
}

// tool runs a program of PostgreSQL's.
func tool(t *testing.T, name string, args ...string) {
	t.Helper()
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", name, err, out)
	}
}
