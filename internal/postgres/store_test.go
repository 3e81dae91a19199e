package postgres

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/engine/enginetest"
	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/plan"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// testCluster is the Kafka cluster's id in tests.
const testCluster = "cluster-1"

// testDatabase is a deployed database of a test's own.
type testDatabase struct {
	*Database
	plan *plan.Pipeline
	conn *pgx.Conn // superuser, for looking
}

func openDatabase(t testing.TB, url string, change ...func(*Config)) *Database {
	t.Helper()
	cfg := Config{URL: url, Pipeline: "orders", Logger: slog.New(slog.DiscardHandler)}
	for _, c := range change {
		c(&cfg)
	}
	db, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

func superuser(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	cfg, err := pgx.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	cfg.RuntimeParams["TimeZone"] = "UTC"
	conn, err := pgx.ConnectConfig(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

func newDatabase(t testing.TB, p *plan.Pipeline, change ...func(*Config)) *testDatabase {
	t.Helper()
	url := pgtest.Database(t)
	d := &testDatabase{Database: openDatabase(t, url, change...), plan: p, conn: superuser(t, url)}
	if err := d.Deploy(t.Context(), p, testCluster); err != nil {
		t.Fatal(err)
	}
	return d
}

func (d *testDatabase) Store(t *testing.T) engine.Store { return d.open(t) }

func (d *testDatabase) open(t *testing.T) *Store {
	s := d.Database.Store(d.plan)
	t.Cleanup(s.Close)
	return s
}

// texts runs a query and gives its rows as text, NULL as "∅".
func (d *testDatabase) texts(t *testing.T, sql string) (names []string, rows [][]string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	results, err := d.conn.PgConn().Exec(ctx, sql).ReadAll()
	if err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	for _, f := range results[0].FieldDescriptions {
		names = append(names, f.Name)
	}
	for _, r := range results[0].Rows {
		row := make([]string, len(r))
		for i, v := range r {
			row[i] = string(v)
			if v == nil {
				row[i] = "∅"
			}
		}
		rows = append(rows, row)
	}
	return names, rows
}

// lines is texts with the columns joined.
func (d *testDatabase) lines(t *testing.T, sql string) []string {
	t.Helper()
	_, rows := d.texts(t, sql)
	var out []string
	for _, row := range rows {
		var b bytes.Buffer
		for i, v := range row {
			if i > 0 {
				b.WriteByte('|')
			}
			b.WriteString(v)
		}
		out = append(out, b.String())
	}
	return out
}

func (d *testDatabase) Rows(t *testing.T, view string) []string {
	t.Helper()
	lines := d.lines(t, "SELECT * FROM public."+quote(view))
	slices.Sort(lines)
	return lines
}

func (d *testDatabase) Versions(t *testing.T, view string) []string {
	t.Helper()
	return d.lines(t, "SELECT xmin, ctid FROM public."+quote(view))
}

func (d *testDatabase) Ledger(t *testing.T, name string) []map[string]string {
	t.Helper()
	order := "id"
	if name == "group_errors" {
		order = "group_key"
	}
	names, rows := d.texts(t, "SELECT * FROM millstream."+quote(name)+" ORDER BY "+order)
	var out []map[string]string
	for _, row := range rows {
		m := map[string]string{}
		for i, v := range row {
			if v != "∅" {
				m[names[i]] = v
			}
		}
		out = append(out, m)
	}
	return out
}

func (d *testDatabase) Damage(t *testing.T) {
	t.Helper()
	d.exec(t, "UPDATE millstream.state SET data = set_byte(data, 0, 255 - get_byte(data, 0))")
}

func (d *testDatabase) exec(t *testing.T, sql string) {
	t.Helper()
	if _, err := d.conn.PgConn().Exec(context.Background(), sql).ReadAll(); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestStore(t *testing.T) {
	enginetest.RunStore(t, func(t *testing.T, p *plan.Pipeline) enginetest.Backend { return newDatabase(t, p) })
}
