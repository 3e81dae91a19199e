package spark

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

const killedSQL = eventsSQL + `
CREATE MATERIALIZED VIEW groups AS
SELECT window_start, name, count(*) AS n, sum(n) AS total, sum(price) AS paid
FROM tumble(events, at, INTERVAL '1 hour') GROUP BY window_start, name;
CREATE MATERIALIZED VIEW singles AS SELECT id, 100 / n AS share FROM events;
`

// points are the job's failpoints; internal/spark/job/millstream_job/failpoint.py
// has the list.
func points(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(line.Root(), "internal", "spark", "job", "millstream_job", "failpoint.py"))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, part := range strings.Split(string(text), `"`) {
		if strings.HasPrefix(part, "spark.") && !strings.Contains(part, " ") {
			out = append(out, part)
		}
	}
	return out
}

// killsVariable says how many kills are made, one after the other.
const killsVariable = "MILLSTREAM_TEST_SPARK_KILLS"

// A start of the chain reads at most killBatch records in a batch, and is
// killed at the latest in its third, so that the log outlasts all kills.
const (
	killBatch   = 20
	killBatches = 3
)

// TestKilledDriver kills the driver with SIGKILL at each point of a batch, in
// one chain: each start goes on from what the kill before has left. Then the
// tables are those of the native engine.
func TestKilledDriver(t *testing.T) {
	environment(t)
	all := points(t)
	if len(all) != 8 {
		t.Fatalf("failpoint.py has points %v", all)
	}
	broker, url := startBroker(t), pgtest.Database(t)
	file := filepath.Join(t.TempDir(), "killed.sql")
	if err := os.WriteFile(file, []byte(killedSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	g := generator{rand.New(rand.NewPCG(3, 5))}
	const partitions = 2
	kills := number(t, killsVariable, len(all))
	send(t, broker, "events", partitions, g.values(killBatch*(kills*killBatches+killBatches), partitions))
	checkpoint := t.TempDir()
	env := append(variables(t, broker, url), "SPARK_CHECKPOINT_LOCATION="+checkpoint)
	submit := func(more ...string) line.Result {
		return run(t, slices.Concat(env, more), append([]string{"spark", "submit", file, "--until-end"}, settings()...)...)
	}
	for i := range kills {
		point, hit := all[i%len(all)], 1+i/len(all)%killBatches
		began := time.Now()
		r := submit(fmt.Sprintf("MILLSTREAM_SPARK_MAX_OFFSETS=%d", killBatch), fmt.Sprintf("MILLSTREAM_FAILPOINT=%s:%d", point, hit))
		if r.Code == 0 || !strings.Contains(r.Stderr, "failed: signal: killed") {
			t.Fatalf("%s: the driver was not killed (%d)\n%s", point, r.Code, last(r.Stderr))
		}
		t.Logf("kill %d at %s, pass %d, %.0f s after the start", i+1, point, hit, time.Since(began).Seconds())
	}
	if r := submit(); r.Code != 0 {
		t.Fatalf("the last start ends with %d\n%s", r.Code, last(r.Stderr))
	}
	if r := line.Run(t, env, "run", file, "--until-end", "--name", "native", "--schema", "native"); r.Code != 0 {
		t.Fatalf("native engine: %s", r)
	}
	equalTables(t, url)
	t.Run("lost checkpoint", func(t *testing.T) {
		if err := os.RemoveAll(filepath.Join(checkpoint, "killed", "1", "view-groups")); err != nil {
			t.Fatal(err)
		}
		if r := submit(); r.Code == 0 || !strings.Contains(r.Stderr, "the checkpoint was lost and begun again") {
			t.Errorf("a lost checkpoint: %d\n%s", r.Code, last(r.Stderr))
		}
		equalTables(t, url)
	})
}

// equalTables compares the tables of the two pipelines, and their ledgers, and
// checks that batches follow one another.
func equalTables(t *testing.T, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	refused := func(pipeline string) string {
		return `SELECT partition, "offset", view_name, cause, sqlstate, message FROM millstream.quarantine WHERE pipeline = '` + pipeline + `'`
	}
	for _, pair := range [][2]string{
		{"TABLE native.groups", "TABLE public.groups"},
		{"TABLE native.singles", "TABLE public.singles"},
		{refused("native"), refused("killed")},
	} {
		var rows, differ int
		query := fmt.Sprintf("WITH a AS (%s), b AS (%s) SELECT (SELECT count(*) FROM a), (SELECT count(*) FROM ((TABLE a EXCEPT ALL TABLE b) UNION ALL (TABLE b EXCEPT ALL TABLE a)) AS d)", pair[0], pair[1])
		if err := conn.QueryRow(t.Context(), query).Scan(&rows, &differ); err != nil {
			t.Fatal(err)
		}
		if rows == 0 || differ > 0 {
			t.Errorf("%s: %d rows, %d differ", pair[1], rows, differ)
		}
	}
	var gaps, staged int
	if err := conn.QueryRow(t.Context(), `
SELECT (SELECT count(*) FROM (SELECT batch - row_number() OVER (PARTITION BY query ORDER BY batch) AS d FROM millstream.spark_commits) AS s WHERE d <> -1),
       (SELECT count(*) FROM millstream.spark_staging)`).Scan(&gaps, &staged); err != nil {
		t.Fatal(err)
	}
	if gaps > 0 || staged > 0 {
		t.Errorf("%d batches out of their place, %d rows left in staging", gaps, staged)
	}
}
