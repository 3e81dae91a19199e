package spark

import (
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
)

var update = flag.Bool("update", false, "write docs/migration-proof.md")

const (
	// proofBatch is how many records one of the job's micro-batches has.
	proofBatch = 10
	// ordinary events come first, 20 seconds apart: they fall into three
	// windows, of which the batches cut two.
	ordinary = 3 * proofBatch
)

// odd is a record that such jobs have trouble with. Each has a type of its
// own, which tells what became of it.
type odd struct{ what, kind, value string }

// odds fill a batch; the last of them moves the watermark.
var odds = [proofBatch]odd{
	{"microseconds, as everybody's first producer sends them", "micros", `{"timestamp":"2026-03-08T10:11:00.123456","type":"micros","value":10.5}`},
	{"three digits of a second", "millis", `{"timestamp":"2026-03-08T10:11:01.123","type":"millis","value":10.5}`},
	{"no fraction of a second", "seconds", `{"timestamp":"2026-03-08T10:11:02","type":"seconds","value":10.5}`},
	{"a time with a zone", "zone", `{"timestamp":"2026-03-08T10:11:03.5Z","type":"zone","value":10.5}`},
	{"the value is a text", "text", `{"timestamp":"2026-03-08T10:11:04.5","type":"text","value":"10.5"}`},
	{"the value is null", "null", `{"timestamp":"2026-03-08T10:11:05.5","type":"null","value":null}`},
	{"no timestamp", "timeless", `{"type":"timeless","value":10.5}`},
	{"cut in the middle", "cut", `{"timestamp":"2026-03-08T10:11:06.5","type":"cut","val`},
	{"not JSON", "", `hello`},
	{"dated far ahead", "ahead", `{"timestamp":"2099-01-01T00:00:00.5","type":"ahead","value":10.5}`},
}

// after are good events that come after the one from the future.
var after = [...]odd{
	{"good, the first after it", "after 1", `{"timestamp":"2026-03-08T10:12:00.5","type":"after 1","value":10.5}`},
	{"good, the second after it", "after 2", `{"timestamp":"2026-03-08T10:12:01.5","type":"after 2","value":10.5}`},
}

const proofSQL = `
CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz NOT NULL,
    type        text        NOT NULL,
    value       double precision
) SERVER kafka OPTIONS (topic 'raw_data', event_time 'timestamp', watermark '5 minutes');

CREATE MATERIALIZED VIEW processed_data AS
SELECT window_start AS "timestamp", type, avg(value) AS value, count(*) AS n
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes')
GROUP BY window_start, type;
`

// answerSQL is PostgreSQL's own answer to the same records, as a batch over
// all that it can read, but for those from the future.
const answerSQL = `
CREATE SCHEMA job;
CREATE TABLE job.processed_data (id bigserial, "timestamp" timestamptz, type text, value double precision, n bigint);
CREATE TABLE record ("offset" bigint PRIMARY KEY, value text);
CREATE FUNCTION readable(value text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    RETURN (value::jsonb ->> 'timestamp')::timestamptz <= now() AND (value::jsonb ->> 'value')::double precision IS DISTINCT FROM 'NaN';
EXCEPTION WHEN data_exception THEN
    RETURN false;
END $$;
CREATE VIEW event AS
SELECT e.* FROM (SELECT value::jsonb AS value FROM record WHERE readable(value) OFFSET 0) AS r,
     jsonb_to_record(r.value) AS e("timestamp" timestamptz, type text, value double precision);
CREATE VIEW answer AS
SELECT date_bin('5 minutes', "timestamp", '2000-01-01') AS "timestamp", type, avg(value) AS value, count(*) AS n FROM event GROUP BY 1, 2;
`

// TestMigrationProof runs the widespread shape of job, PostgreSQL and the
// product over the same records. Ours must be PostgreSQL's answer; what the
// job writes is shown beside it, and must be what the page says.
func TestMigrationProof(t *testing.T) {
	python, jars := environment(t)
	broker, url := startBroker(t), pgtest.Database(t)
	values := proofRecords()
	send(t, broker, "raw_data", 1, values)
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), "SET timezone = 'UTC';"+answerSQL); err != nil {
		t.Fatal(err)
	}
	for i, v := range values {
		if _, err := conn.Exec(t.Context(), "INSERT INTO record VALUES ($1, $2)", i, v); err != nil {
			t.Fatal(err)
		}
	}
	runWidespreadJob(t, python, jars, broker, url)
	file := filepath.Join(t.TempDir(), "proof.sql")
	if err := os.WriteFile(file, []byte(proofSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	if r := line.Run(t, variables(t, broker, url), "run", file, "--until-end"); r.Code != 0 {
		t.Fatalf("millstream: %s", r)
	}
	var differ, job, right int
	if err := conn.QueryRow(t.Context(), `SELECT
(SELECT count(*) FROM ((TABLE processed_data EXCEPT ALL TABLE answer) UNION ALL (TABLE answer EXCEPT ALL TABLE processed_data)) AS d),
(SELECT count(*) FROM job.processed_data), (SELECT count(*) FROM answer)`).Scan(&differ, &job, &right); err != nil {
		t.Fatal(err)
	}
	if differ > 0 {
		t.Errorf("%d rows are not PostgreSQL's answer", differ)
	}
	if job == right {
		t.Error("the job's table has as many rows as the answer: this proves nothing")
	}
	page := proofPage(t, conn)
	path := filepath.Join(line.Root(), "docs", "migration-proof.md")
	if *update {
		if err := os.WriteFile(path, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text, err := os.ReadFile(path); err != nil || string(text) != page {
		t.Errorf("docs/migration-proof.md does not say what happened (%v); `test/spark/run -run MigrationProof -update` writes:\n%s", err, page)
	}
}

func proofRecords() []string {
	var out []string
	start := time.Date(2026, 3, 8, 10, 0, 0, 500_000_000, time.UTC)
	for i := range ordinary {
		at := start.Add(time.Duration(i) * 20 * time.Second).Format("2006-01-02T15:04:05.000000")
		out = append(out, fmt.Sprintf(`{"timestamp":%q,"type":"type_%c","value":%d.25}`, at, 'A'+i%3, i*i*37%100))
	}
	for _, o := range append(odds[:], after[:]...) {
		out = append(out, o.value)
	}
	return out
}

// runWidespreadJob has Spark read the topic to its end.
func runWidespreadJob(t *testing.T, python, jars, broker, database string) {
	t.Helper()
	list, err := filepath.Glob(filepath.Join(jars, "*.jar"))
	if err != nil || len(list) == 0 {
		t.Fatalf("no jars in %s", jars)
	}
	u, err := url.Parse(database)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	jdbc := fmt.Sprintf("jdbc:postgresql://%s%s?user=%s&password=%s", u.Host, u.Path, url.QueryEscape(u.User.Username()), url.QueryEscape(password))
	args := []string{"--master", "local[2]", "--jars", strings.Join(list, ",")}
	for _, s := range settings() {
		args = append(args, strings.Replace(s, "--spark-conf", "--conf", 1))
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(python, "bin", "spark-submit"), append(args, filepath.Join(line.Root(), "test", "spark", "testdata", "widespread_job.py"))...)
	cmd.Env = append(append(os.Environ(), variables(t, broker, database)...), "JDBC_URL="+jdbc, "CHECKPOINT="+t.TempDir(), fmt.Sprintf("BATCH=%d", proofBatch))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("the job: %v\n%s", err, last(string(out)))
	}
}

// proofPage writes what the three tables hold.
func proofPage(t *testing.T, conn *pgx.Conn) string {
	t.Helper()
	var b strings.Builder
	b.WriteString(`# What the widespread shape of job writes, and what is right

Written by ` + "`TestMigrationProof`" + ` (` + "`test/spark/run -run MigrationProof -update`" + `), which runs three programs over the same records:

- **the job**: PySpark in the shape that many begin with, [test/spark/testdata/widespread_job.py](../test/spark/testdata/widespread_job.py): ` + "`from_json`, `to_timestamp`" + `, a watermark, ` + "`window`, `avg`" + `, update mode, and each micro-batch appended to a table
  through JDBC. On Spark 4.2 with ANSI mode off, as Spark 3 has it; a micro-batch has 10 records;
- **PostgreSQL**: the raw records in a table, and the same query as a batch over all that can be read and is not from the future;
- **Millstream**: the pipeline file below, on the native engine. The test fails if its table is not PostgreSQL's answer.

` + "```sql" + proofSQL + "```\n" + `
## One row for each batch

The first 30 records are ordinary ones. In update mode a window comes out again with each batch that changes it, and an append keeps them all; nothing in the table tells which is the last.

`)
	table(t, conn, &b, []string{"window", "type", "the job's rows: value (events)", "PostgreSQL", "Millstream"}, `
SELECT to_char(a."timestamp" AT TIME ZONE 'UTC', 'HH24:MI'), a.type,
       (SELECT string_agg(format('%s (%s)', round(j.value::numeric, 2), j.n), ', ' ORDER BY j.id) FROM job.processed_data AS j WHERE (j."timestamp", j.type) = (a."timestamp", a.type)),
       format('%s (%s)', round(a.value::numeric, 2), a.n), format('%s (%s)', round(m.value::numeric, 2), m.n)
FROM answer AS a LEFT JOIN processed_data AS m ON (m."timestamp", m.type) = (a."timestamp", a.type)
WHERE a.type LIKE 'type\_%' ORDER BY 1, 2`)
	b.WriteString(`
## Averages of averages

An API over the job's table, such as ` + "`SELECT type, avg(value), count(*) … GROUP BY type`" + `, averages the averages of unequal windows, each as often as it was written, and its count is one of updates. Ours weighs them: ` + "`sum(value * n) / sum(n)`" + `.

`)
	table(t, conn, &b, []string{"type", "the job's: average (count)", "PostgreSQL, over the events", "Millstream"}, `
SELECT j.type, format('%s (%s)', round(avg(j.value)::numeric, 2), count(*)),
       (SELECT format('%s (%s)', round(avg(e.value)::numeric, 2), count(*)) FROM event AS e WHERE e.type = j.type),
       (SELECT format('%s (%s)', round((sum(m.value * m.n) / sum(m.n))::numeric, 2), sum(m.n)) FROM processed_data AS m WHERE m.type = j.type)
FROM job.processed_data AS j WHERE j.type LIKE 'type\_%' GROUP BY j.type ORDER BY 1`)
	b.WriteString(`
## Rows that vanish

Ten odd records follow, and then two good ones. Each has a type of its own, so the tables show what became of it. What the job drops leaves no trace; what Millstream refuses stands in ` + "`millstream.quarantine`" + `, with its offset, its bytes and the reason, and can be replayed.

`)
	head(&b, "record", "the job's row", "PostgreSQL's", "Millstream's")
	for i, o := range append(odds[:], after[:]...) {
		row(&b, append([]string{o.what}, strings.Split(one(t, conn, `
SELECT concat_ws(E'\t',
    coalesce((SELECT string_agg(coalesce(value::text, 'NULL'), ', ' ORDER BY id) FROM job.processed_data WHERE type = $1), 'none'),
    coalesce((SELECT coalesce(value::text, 'NULL') FROM answer WHERE type = $1), 'none'),
    coalesce((SELECT coalesce(value::text, 'NULL') FROM processed_data WHERE type = $1), 'none, quarantine: ' ||
             (SELECT message FROM millstream.quarantine WHERE "offset" = $2), 'none'))`, o.kind, ordinary+i), "\t")...)...)
	}
	b.WriteString(`
The job gives the record dated far ahead a row. Millstream refuses a record further ahead of the clock than ` + "`future_limit`" + `. That the value null gives a row without an average is PostgreSQL's answer too: the event is there.
`)
	return b.String()
}

func head(b *strings.Builder, names ...string) {
	row(b, names...)
	b.WriteString("|" + strings.Repeat(" --- |", len(names)) + "\n")
}

func row(b *strings.Builder, cells ...string) {
	for i, c := range cells {
		cells[i] = strings.ReplaceAll(c, "|", `\|`)
	}
	b.WriteString("| " + strings.Join(cells, " | ") + " |\n")
}

// table writes the rows of a query of texts.
func table(t *testing.T, conn *pgx.Conn, b *strings.Builder, names []string, sql string) {
	t.Helper()
	head(b, names...)
	rows, err := conn.Query(t.Context(), sql)
	if err != nil {
		t.Fatal(err)
	}
	all, err := pgx.CollectRows(rows, func(r pgx.CollectableRow) ([]string, error) {
		cells := make([]*string, len(names))
		into := make([]any, len(names))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := r.Scan(into...); err != nil {
			return nil, err
		}
		out := make([]string, len(names))
		for i, c := range cells {
			if out[i] = "none"; c != nil {
				out[i] = *c
			}
		}
		return out, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, cells := range all {
		row(b, cells...)
	}
}

func one(t *testing.T, conn *pgx.Conn, sql string, args ...any) (out string) {
	t.Helper()
	if err := conn.QueryRow(t.Context(), sql, args...).Scan(&out); err != nil {
		t.Fatal(err)
	}
	return out
}
