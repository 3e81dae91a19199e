package line_test

import (
	"net/http"
	"os"
	"strings"
	"testing"
)

// devSQL is a pipeline whose view has further columns.
func devSQL(columns string) string {
	return `CREATE FOREIGN TABLE readings (at timestamptz NOT NULL, sensor text NOT NULL, value double precision)
SERVER kafka OPTIONS (event_time 'at');
CREATE MATERIALIZED VIEW hourly AS
SELECT window_start, sensor, count(*) AS n` + columns + `
FROM tumble(readings, at, INTERVAL '1 hour') GROUP BY window_start, sensor;
`
}

// TestDev saves a pipeline again and again: a changed view is built anew from
// the log, a broken file leaves the version before it at work.
func TestDev(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", devSQL(""))
	g := p.start("dev", "pipeline.sql", "-o", "json", "--listen", "127.0.0.1:0")
	r := g.ready()
	table, topic := r.API+"/v1/tables/hourly?select=*&order=sensor", r.API+"/v1/topics/readings"
	post(t, topic, ndjsonBody, `{"at": "2024-05-01T12:00:00Z", "sensor": "a", "value": 1}
{"at": "2024-05-01T12:10:00Z", "sensor": "b", "value": 2}
{"at": "2024-05-01T12:20:00Z", "sensor": "a", "value": 4}`)
	const hour = `"window_start":"2024-05-01T12:00:00+00:00"`
	awaitBody(t, table, `[{`+hour+`,"sensor":"a","n":2},
{`+hour+`,"sensor":"b","n":1}]`)

	p.write("pipeline.sql", devSQL(", max(value) AS most, sum(value) AS total"))
	g.err.await(t, g, "✓ applied pipeline.sql")
	awaitBody(t, table, `[{`+hour+`,"sensor":"a","n":2,"most":4,"total":5},
{`+hour+`,"sensor":"b","n":1,"most":2,"total":2}]`)

	p.write("pipeline.sql", devSQL(", min(vlaue) AS least"))
	told := g.err.await(t, g, `did you mean "value"`)
	if !strings.Contains(told, "✗ pipeline.sql:4:") || !strings.Contains(told, "vlaue") {
		t.Errorf("the error reads %s", told)
	}
	post(t, topic, jsonBody, `{"at": "2024-05-01T12:30:00Z", "sensor": "b", "value": 8}`)
	awaitBody(t, table, `[{`+hour+`,"sensor":"a","n":2,"most":4,"total":5},
{`+hour+`,"sensor":"b","n":2,"most":8,"total":10}]`)

	p.write("pipeline.sql", "CREATE TABEL x ();")
	g.err.await(t, g, `syntax error at or near "TABEL"`)
	if a := get(t, table); a.code != http.StatusOK {
		t.Errorf("with a broken file: %d %s", a.code, a.body)
	}

	last := devSQL(", min(value) AS least")
	p.write("pipeline.sql", last)
	g.err.await(t, g, "✓ applied pipeline.sql")
	awaitBody(t, table, `[{`+hour+`,"sensor":"a","n":2,"least":1},
{`+hour+`,"sensor":"b","n":2,"least":2}]`)
	p.want(0, []string{"equal, row for row"}, "verify", "pipeline.sql")
	p.judge(r, last)

	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
	if _, err := os.Stat(p.path(".millstream")); err != nil {
		t.Errorf("the data is not kept beside the file: %v", err)
	}
}

// TestDevWaitsForAFileThatWorks begins with a broken file.
func TestDevWaitsForAFileThatWorks(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", devSQL(", min(vlaue) AS least"))
	g := p.start("dev", "pipeline.sql", "-o", "json", "--listen", "127.0.0.1:0")
	g.err.await(t, g, "waiting for pipeline.sql to be saved")
	works := devSQL(", min(value) AS least")
	p.write("pipeline.sql", works)
	r := g.ready()
	post(t, r.API+"/v1/topics/readings", jsonBody, `{"at": "2024-05-01T12:00:00Z", "sensor": "a", "value": 1}`)
	awaitBody(t, r.API+"/v1/tables/hourly?select=sensor,n,least", `[{"sensor":"a","n":1,"least":1}]`)
	p.judge(r, works)
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
}
