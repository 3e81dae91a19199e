package postgres

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/diag"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/engine/window"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/sqlfile"
)

// topicSQL and totalsSQL are the parts of most pipelines here.
const (
	topicSQL = `
CREATE FOREIGN TABLE orders (at timestamptz NOT NULL, kind text, amount numeric(10,2))
	SERVER kafka OPTIONS (topic 'orders', event_time 'at', watermark '1 minute');
`
	totalsSQL = `
CREATE MATERIALIZED VIEW totals AS
SELECT window_start AS at, window_end, kind, sum(amount) AS amount, count(*) AS n
FROM tumble(orders, at, INTERVAL '5 minutes') GROUP BY window_start, window_end, kind;
`
)

func build(t testing.TB, sql string) *plan.Pipeline {
	t.Helper()
	file, problems := sqlfile.Parse("pipeline.sql", sql)
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	p, problems := plan.Build(file, plan.Options{})
	if err := problems.Err(); err != nil {
		t.Fatal(err)
	}
	return p
}

func (d *testDatabase) deployAgain(t *testing.T, sql string) error {
	t.Helper()
	return d.Deploy(t.Context(), build(t, sql), testCluster)
}

func (d *testDatabase) rebuildAs(t *testing.T, sql string) error {
	t.Helper()
	d.plan = build(t, sql)
	return d.Rebuild(t.Context(), d.plan, testCluster)
}

func wantError(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error; want one with %q", parts)
	}
	for _, part := range parts {
		if !strings.Contains(diagText(err), part) {
			t.Errorf("error %q does not say %q", diagText(err), part)
		}
	}
}

// diagText is an error with the details and hints of its diagnostics.
func diagText(err error) string {
	text := err.Error()
	for _, d := range diag.From(err) {
		text += "\n" + d.Code + " " + d.Detail + " " + d.Hint
	}
	return text
}

func TestDeployMakesTables(t *testing.T) {
	d := newDatabase(t, build(t, topicSQL+totalsSQL+`
CREATE MATERIALIZED VIEW events AS SELECT kind, at FROM orders;
CREATE MATERIALIZED VIEW last WITH (key = 'kind') AS SELECT kind, amount FROM orders;
COMMENT ON MATERIALIZED VIEW totals IS 'per kind';
CREATE VIEW stats AS SELECT kind, sum(n) AS n FROM totals GROUP BY kind;
`))
	got := d.lines(t, `
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), coalesce(l.collname, '') FROM pg_class c
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace ORDER BY c.relname, a.attnum`)
	want := []string{
		"events|_source|integer|", "events|_partition|integer|", "events|_offset|bigint|",
		"events|kind|text|C", "events|at|timestamp with time zone|",
		"last|kind|text|C", "last|amount|numeric(10,2)|", "last|_event_time|timestamp with time zone|",
		"last|_source|integer|", "last|_partition|integer|", "last|_offset|bigint|",
		"totals|at|timestamp with time zone|", "totals|window_end|timestamp with time zone|",
		"totals|kind|text|C", "totals|amount|numeric|", "totals|n|bigint|",
	}
	equalLines(t, got, want)
	equalLines(t, d.lines(t, `SELECT obj_description('public.totals'::regclass)`), []string{"per kind"})
	equalLines(t, d.lines(t, `SELECT view_name, mode, emit, key_columns, window_start_column, window_end_column FROM millstream.objects ORDER BY 1`), []string{
		"events|append|update|{_source,_partition,_offset}|∅|∅",
		"last|latest|update|{kind}|∅|∅",
		"totals|grouped|update|{at,kind}|at|window_end",
	})
	equalLines(t, d.lines(t, `SELECT has_table_privilege('public', 'public.totals', 'SELECT'), has_table_privilege('public', 'public.totals', 'INSERT')`), []string{"t|f"})
}

func equalLines(t *testing.T, got, want []string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

const seededSQL = topicSQL + totalsSQL + `
CREATE TABLE regions (kind text, region text);
INSERT INTO regions VALUES ('a', 'north');
CREATE VIEW stats AS SELECT kind, sum(n) AS n FROM totals GROUP BY kind;
CREATE VIEW top AS SELECT * FROM stats ORDER BY n DESC;
COMMENT ON VIEW top IS 'the first';
CREATE INDEX totals_kind ON totals (kind);
CREATE INDEX ON totals (window_end);
`

func TestStatementsRunOnce(t *testing.T) {
	d := newDatabase(t, build(t, seededSQL))
	before := d.lines(t, "SELECT object, run_at FROM millstream.statements ORDER BY ordinal")
	for range 2 {
		if err := d.deployAgain(t, seededSQL); err != nil {
			t.Fatal(err)
		}
	}
	equalLines(t, d.lines(t, "SELECT * FROM regions"), []string{"a|north"})
	equalLines(t, d.lines(t, "SELECT object, run_at FROM millstream.statements ORDER BY ordinal"), before)
	if len(before) != 9 {
		t.Errorf("%d statements are remembered: %q", len(before), before)
	}
}

func TestChangedViewIsReplaced(t *testing.T) {
	d := newDatabase(t, build(t, seededSQL))
	oid := d.lines(t, "SELECT 'stats'::regclass::oid")
	// One more column at the end: replaced in place.
	if err := d.deployAgain(t, strings.Replace(seededSQL, "sum(n) AS n FROM", "sum(n) AS n, max(n) AS m FROM", 1)); err != nil {
		t.Fatal(err)
	}
	equalLines(t, d.lines(t, "SELECT 'stats'::regclass::oid"), oid)
	equalLines(t, d.lines(t, "SELECT attname FROM pg_attribute WHERE attrelid = 'stats'::regclass AND attnum > 0 ORDER BY attnum"), []string{"kind", "n", "m"})
	// Another first column: dropped and made again, with what stands on it.
	if err := d.deployAgain(t, strings.Replace(seededSQL, "SELECT kind, sum(n) AS n FROM", "SELECT upper(kind) AS big, sum(n) AS n FROM", 1)); err != nil {
		t.Fatal(err)
	}
	equalLines(t, d.lines(t, "SELECT attname FROM pg_attribute WHERE attrelid = 'top'::regclass AND attnum > 0 ORDER BY attnum"), []string{"big", "n"})
	equalLines(t, d.lines(t, "SELECT obj_description('top'::regclass)"), []string{"the first"})
	// A view of somebody else's stands on it: refused, and nothing has changed.
	d.exec(t, "CREATE VIEW foreigner AS SELECT big FROM top")
	wantError(t, d.deployAgain(t, seededSQL), "others stand on it", "foreigner")
	equalLines(t, d.lines(t, "SELECT attname FROM pg_attribute WHERE attrelid = 'top'::regclass AND attnum > 0 ORDER BY attnum"), []string{"big", "n"})
	// What was dropped by hand is made again.
	d.exec(t, "DROP VIEW foreigner, top")
	if err := d.deployAgain(t, strings.Replace(seededSQL, "SELECT kind, sum(n) AS n FROM", "SELECT upper(kind) AS big, sum(n) AS n FROM", 1)); err != nil {
		t.Fatal(err)
	}
	equalLines(t, d.lines(t, "SELECT count(*) FROM top"), []string{"0"})
}

func TestChangedTableIsRefused(t *testing.T) {
	d := newDatabase(t, build(t, seededSQL))
	changed := strings.Replace(seededSQL, "region text)", "region text, code int)", 1)
	err := d.deployAgain(t, changed)
	wantError(t, err, "table regions has changed", "ALTER TABLE regions", "MS4002")
	if list := diag.From(err); len(list) != 1 || list[0].Pos.Line == 0 {
		t.Errorf("diagnostics %v", list)
	}
	d.exec(t, "DROP TABLE regions")
	if err := d.deployAgain(t, changed); err != nil {
		t.Fatalf("after the table was dropped: %v", err)
	}
	equalLines(t, d.lines(t, "SELECT count(code) FROM regions"), []string{"0"})
	wantError(t, d.deployAgain(t, strings.Replace(changed, "totals_kind ON totals (kind)", "totals_kind ON totals (kind, at)", 1)), "index totals_kind has changed", "DROP INDEX")
}

func TestFailedStatementDeploysNothing(t *testing.T) {
	url := pgtest.Database(t)
	d := &testDatabase{Database: openDatabase(t, url), conn: superuser(t, url)}
	err := d.deployAgain(t, topicSQL+totalsSQL+"CREATE VIEW broken AS SELECT nothing FROM totals;\n")
	wantError(t, err, `column "nothing" does not exist`, "MS4001", "view broken")
	if list := diag.From(err); len(list) != 1 || list[0].Pos.Line != 8 {
		t.Errorf("diagnostics %v", list)
	}
	equalLines(t, d.lines(t, "SELECT count(*) FROM millstream.pipelines"), []string{"0"})
	equalLines(t, d.lines(t, "SELECT to_regclass('public.totals') IS NULL"), []string{"t"})
}

func TestChangedDefinition(t *testing.T) {
	d := newDatabase(t, build(t, seededSQL))
	for _, c := range []struct{ old, new, want string }{
		{"count(*) AS n", "count(kind) AS n", "materialized view totals has changed"},
		{"watermark '1 minute'", "watermark '2 minutes'", "foreign table orders has changed"},
		{"kind text, amount numeric(10,2))\n", "kind text, amount numeric(12,2))\n", "foreign table orders has changed"},
		{"CREATE TABLE regions", "CREATE MATERIALIZED VIEW more AS SELECT kind FROM orders;\nCREATE TABLE regions", "materialized view more is new"},
	} {
		err := d.deployAgain(t, strings.Replace(seededSQL, c.old, c.new, 1))
		changed, ok := errors.AsType[*ChangedError](err)
		if !ok {
			t.Errorf("%s: error %v", c.new, err)
			continue
		}
		wantError(t, changed, c.want)
	}
	// Formatting and comments are no change.
	if err := d.deployAgain(t, "-- a comment\n"+strings.ReplaceAll(seededSQL, "\n", "\n\n")); err != nil {
		t.Error(err)
	}
}

func TestNamesAreBound(t *testing.T) {
	d := newDatabase(t, build(t, topicSQL+totalsSQL))
	url := d.conn.Config().ConnString()
	wantError(t, d.Deploy(t.Context(), d.plan, "cluster-2"), `"cluster-1"`, `"cluster-2"`, "--name")

	other := openDatabase(t, url, func(c *Config) { c.Pipeline = "other" })
	wantError(t, other.Deploy(t.Context(), d.plan, testCluster), `belongs to pipeline "orders"`, "MS4003")

	elsewhere := openDatabase(t, url, func(c *Config) { c.Schema = "elsewhere" })
	wantError(t, elsewhere.Deploy(t.Context(), d.plan, testCluster), `schema "public"`, "--name")

	d.exec(t, "CREATE TABLE mine (a int)")
	err := d.rebuildAs(t, topicSQL+strings.Replace(totalsSQL, "VIEW totals", "VIEW mine", 1))
	wantError(t, err, `"public"."mine" exists already`, "MS4003")

	apart := openDatabase(t, url, func(c *Config) { c.Pipeline, c.Schema = "apart", "my Schema" })
	if err := apart.Deploy(t.Context(), build(t, topicSQL+totalsSQL), testCluster); err != nil {
		t.Error(err)
	}
	equalLines(t, d.lines(t, `SELECT count(*) FROM "my Schema".totals`), []string{"0"})
}

func TestAlteredTablesAreRefused(t *testing.T) {
	d := newDatabase(t, build(t, topicSQL+totalsSQL))
	d.exec(t, "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END'")
	for _, c := range []struct{ do, undo, want string }{
		{"CREATE TRIGGER tr BEFORE INSERT ON totals FOR EACH ROW EXECUTE FUNCTION f()", "DROP TRIGGER tr ON totals", "has trigger tr"},
		{"ALTER TABLE totals ADD CONSTRAINT positive CHECK (n > 0)", "ALTER TABLE totals DROP CONSTRAINT positive", "has constraint positive CHECK ((n > 0))"},
		{"ALTER TABLE totals ADD extra int", "ALTER TABLE totals DROP extra", `column "extra" is too many`},
		{"ALTER TABLE totals ALTER n TYPE int", "ALTER TABLE totals ALTER n TYPE bigint", `column "n" is integer, not bigint`},
		{"ALTER TABLE totals ALTER n SET NOT NULL", "ALTER TABLE totals ALTER n DROP NOT NULL", `column "n" is NOT NULL`},
		{"ALTER TABLE totals ALTER n SET DEFAULT 1", "ALTER TABLE totals ALTER n DROP DEFAULT", `column "n" has a default`},
		{"ALTER TABLE totals RENAME n TO m", "ALTER TABLE totals RENAME m TO n", `column 5 is "m", not "n"`},
		{`ALTER TABLE totals ALTER kind TYPE text COLLATE "POSIX"`, `ALTER TABLE totals ALTER kind TYPE text COLLATE "C"`, `collation "POSIX"`},
		{"CREATE UNIQUE INDEX u ON totals (n)", "DROP INDEX u", "has unique index u"},
		{"ALTER TABLE totals SET UNLOGGED", "ALTER TABLE totals SET LOGGED", "unlogged"},
		{"ALTER TABLE totals ENABLE ROW LEVEL SECURITY", "ALTER TABLE totals DISABLE ROW LEVEL SECURITY", "row security"},
		{"CREATE RULE r AS ON INSERT TO totals DO ALSO NOTHING", "DROP RULE r ON totals", "has rule r"},
		{"CREATE TABLE child () INHERITS (totals)", "DROP TABLE child", "inherits"},
	} {
		d.exec(t, c.do)
		wantError(t, d.deployAgain(t, topicSQL+totalsSQL), c.want, "MS4004")
		d.exec(t, c.undo)
		if err := d.deployAgain(t, topicSQL+totalsSQL); err != nil {
			t.Errorf("after %s: %v", c.undo, err)
		}
	}
	d.exec(t, "DROP INDEX totals_at_kind_idx")
	wantError(t, d.deployAgain(t, topicSQL+totalsSQL), "unique key (at, kind) is missing")
}

func TestIndexOverAggregateIsWarnedOf(t *testing.T) {
	var log strings.Builder
	d := newDatabase(t, build(t, topicSQL+totalsSQL+"CREATE INDEX by_amount ON totals (amount);"), func(c *Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	if warnings := strings.Join(d.Warnings(), "\n"); !strings.Contains(warnings, "by_amount") || !strings.Contains(log.String(), "by_amount") {
		t.Errorf("warnings %q, log %q", warnings, log.String())
	}
}

func TestVanishedTable(t *testing.T) {
	d := newDatabase(t, build(t, topicSQL+totalsSQL))
	d.exec(t, "DROP TABLE totals")
	if err := d.deployAgain(t, topicSQL+totalsSQL); err != nil {
		t.Fatalf("before the first commit an empty table is right: %v", err)
	}
	s := d.open(t)
	if _, err := s.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Commit(t.Context(), &engine.Commit{Seq: 1}); err != nil {
		t.Fatal(err)
	}
	d.exec(t, "DROP TABLE totals")
	wantError(t, d.deployAgain(t, topicSQL+totalsSQL), "was dropped, and its rows with it", "rebuild")
}

func TestRebuild(t *testing.T) {
	d := newDatabase(t, build(t, seededSQL))
	old := d.open(t)
	if _, err := old.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	commit := &engine.Commit{Seq: 1,
		Tables:   []engine.TableChange{oneTotal(1)},
		Progress: []engine.PartitionProgress{{To: 9}},
		Refused:  []engine.Refused{{View: -1, Position: -1, Cause: engine.CauseDecode, Message: "m"}},
		State:    []engine.StateBlob{{Shard: -1, Seq: 1, Data: []byte("x")}},
	}
	if _, err := old.Commit(t.Context(), commit); err != nil {
		t.Fatal(err)
	}
	// The same layout: the table stays, empty.
	oid := d.lines(t, "SELECT 'totals'::regclass::oid")
	if err := d.rebuildAs(t, strings.Replace(seededSQL, "count(*) AS n", "count(kind) AS n", 1)); err != nil {
		t.Fatal(err)
	}
	equalLines(t, d.lines(t, "SELECT 'totals'::regclass::oid"), oid)
	equalLines(t, d.lines(t, "SELECT count(*) FROM totals"), []string{"0"})
	if _, err := old.Commit(t.Context(), &engine.Commit{Seq: 2}); !errors.Is(err, engine.ErrFenced) {
		t.Errorf("commit of the old build's engine: %v", err)
	}
	s := d.open(t)
	snapshot, err := s.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if snapshot.Seq != 0 || len(snapshot.Progress)+len(snapshot.State) != 0 {
		t.Errorf("the new build begins at %+v", snapshot)
	}
	if _, err := s.Commit(t.Context(), &engine.Commit{Seq: 1}); err != nil {
		t.Error(err)
	}
	equalLines(t, d.lines(t, "SELECT build, seq FROM millstream.commits"), []string{"2|1"})
	equalLines(t, d.lines(t, "SELECT count(*) FROM millstream.quarantine"), []string{"0"})
	equalLines(t, d.lines(t, "SELECT build FROM millstream.objects"), []string{"2"})

	// Another layout: the table is made anew, and what stood on it too.
	if err := d.rebuildAs(t, strings.Replace(seededSQL, "AS amount, count(*) AS n", "AS amount, max(amount) AS most, count(*) AS n", 1)); err != nil {
		t.Fatal(err)
	}
	equalLines(t, d.lines(t, "SELECT attname FROM pg_attribute WHERE attrelid = 'totals'::regclass AND attnum > 0 ORDER BY attnum"), []string{"at", "window_end", "kind", "amount", "most", "n"})
	equalLines(t, d.lines(t, "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'totals'::regclass ORDER BY 1::text"),
		[]string{"totals_at_kind_idx", "totals_kind", "totals_window_end_idx"})
	equalLines(t, d.lines(t, "SELECT count(*), obj_description('top'::regclass) FROM top"), []string{"0|the first"})
	equalLines(t, d.lines(t, "SELECT * FROM regions"), []string{"a|north"})

	// The view is gone from the file.
	if err := d.rebuildAs(t, topicSQL+strings.Replace(totalsSQL, "VIEW totals", "VIEW others", 1)); err != nil {
		t.Fatal(err)
	}
	equalLines(t, d.lines(t, "SELECT view_name FROM millstream.objects"), []string{"others"})
	equalLines(t, d.lines(t, "SELECT to_regclass('totals') IS NULL"), []string{"t"})
}

// oneTotal is a row of totals.
func oneTotal(n int64) engine.TableChange {
	b := &column.Batch{N: 1}
	for _, ty := range []column.Kind{column.Timestamptz, column.Timestamptz, column.Text, column.Numeric, column.Int8} {
		v := column.NewVector(column.Of(ty), 1)
		v.Null[0] = ty == column.Numeric
		if ty == column.Int8 {
			v.Int[0] = n
		}
		if ty == column.Text {
			v.SetString(0, "k")
		}
		b.Cols = append(b.Cols, v)
	}
	return engine.TableChange{Upserts: b, ExpireBefore: column.NegativeInfinity}
}

func TestZones(t *testing.T) {
	d := newDatabase(t, build(t, topicSQL+`
CREATE MATERIALIZED VIEW days AS SELECT date_trunc('day', at, 'Europe/Paris') AS day, count(*) AS n FROM orders GROUP BY 1;
CREATE MATERIALIZED VIEW clocks AS SELECT at AT TIME ZONE 'Asia/Tokyo' AS clock FROM orders;
`))
	offsets, err := window.Transitions("Europe/Paris")
	if err != nil {
		t.Fatal(err)
	}
	offsets[10].Seconds++
	different, err := compareZone(t.Context(), d.Pool(), "Europe/Paris", offsets)
	if err != nil || !strings.Contains(different, offsets[10].At.Format("2006-01-02")) {
		t.Errorf("a changed offset gives %q, %v", different, err)
	}
}

// eventBatch is one row of events, at offset n.
func eventBatch(n int64) engine.TableChange {
	b := &column.Batch{N: 1}
	for _, ty := range []column.Kind{column.Int4, column.Int4, column.Int8, column.Text} {
		v := column.NewVector(column.Of(ty), 1)
		switch ty {
		case column.Int8:
			v.Int[0] = n
		case column.Int4:
			v.Int[0] = 0
		case column.Text:
			v.SetString(0, "e")
		}
		b.Cols = append(b.Cols, v)
	}
	return engine.TableChange{View: 1, Upserts: b, ExpireBefore: column.NegativeInfinity}
}
