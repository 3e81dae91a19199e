package oracle

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
)

// fixture is a log and a database in which tests write by hand what an
// engine should have written.
type fixture struct {
	t       *testing.T
	ctx     context.Context
	conn    *pgx.Conn
	url     string
	cluster *kfake.Cluster
	client  *kgo.Client
	sql     string
}

func newFixture(t *testing.T, sql string, topics map[string]int32) *fixture {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	f := &fixture{t: t, ctx: ctx, url: pgtest.Database(t), sql: sql}
	opts := []kfake.Opt{kfake.NumBrokers(1)}
	for name, n := range topics {
		opts = append(opts, kfake.SeedTopics(n, name))
	}
	var err error
	if f.cluster, err = kfake.NewCluster(opts...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.cluster.Close)
	if f.client, err = kgo.NewClient(kgo.SeedBrokers(f.cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(f.client.Close)
	if f.conn, err = pgx.Connect(ctx, f.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.conn.Close(context.Background()) })
	migration, err := os.ReadFile("../../internal/postgres/migrations/00001_millstream.sql")
	if err != nil {
		t.Fatal(err)
	}
	up, _, _ := strings.Cut(string(migration), "-- +goose Down")
	f.exec("CREATE SCHEMA IF NOT EXISTS millstream;" + up)
	f.exec(fmt.Sprintf(`INSERT INTO millstream.pipelines (name, cluster_id, target_schema, definition, definition_hash, state_format, generation)
		VALUES ('p', 'c', 'public', %s, 'h', 1, 1)`, literal(sql)))
	return f
}

func (f *fixture) exec(sql string) {
	f.t.Helper()
	if _, err := f.conn.PgConn().Exec(f.ctx, sql).ReadAll(); err != nil {
		f.t.Fatalf("%v in %s", err, sql)
	}
}

// send appends records; "" is a tombstone.
func (f *fixture) send(topic string, partition int32, values ...string) {
	f.t.Helper()
	for _, v := range values {
		r := &kgo.Record{Topic: topic, Partition: partition, Value: []byte(v), Timestamp: time.UnixMilli(1704067200000)}
		if v == "" {
			r.Value = nil
		}
		if err := f.client.ProduceSync(f.ctx, r).FirstErr(); err != nil {
			f.t.Fatal(err)
		}
	}
}

// part is a partition's progress in a commit, as JSON.
func part(table string, partition int, from, to int64, watermark string) string {
	return fmt.Sprintf(`{"table": %q, "server": "kafka", "topic": %[1]q, "partition": %d, "from": %d, "to": %d, "watermark": %q}`, table, partition, from, to, watermark)
}

// counts are a branch's counts in a partition: read, accepted, filtered,
// late, quarantined, skipped.
func counts(source int, table string, partition int, n ...int) string {
	return fmt.Sprintf(`{"source": %d, "table": %q, "partition": %d, "read": %d, "accepted": %d, "filtered": %d, "late": %d, "quarantined": %d, "skipped": %d}`,
		source, table, partition, n[0], n[1], n[2], n[3], n[4], n[5])
}

func viewProgress(view, watermark, floor string, inputs ...string) string {
	return fmt.Sprintf(`{"view": %q, "watermark": %q, "floor": %q, "final_before": %q, "rows_out": 0, "open_windows": 0, "open_groups": 0, "inputs": [%s]}`,
		view, watermark, floor, watermark, strings.Join(inputs, ","))
}

func (f *fixture) commit(seq int, sealed string, parts []string, views ...string) {
	f.t.Helper()
	f.exec(fmt.Sprintf(`INSERT INTO millstream.commits (pipeline, build, seq_from, seq, generation, partitions, views, engine_version, sealed_at)
		VALUES ('p', 1, %d, %[1]d, 1, '[%s]', '[%s]', 'test', %s)`, seq, strings.Join(parts, ","), strings.Join(views, ","), literal(sealed)))
}

func (f *fixture) quarantine(table string, partition int, offset int64, view string, cause, code string) {
	f.t.Helper()
	name, source := "NULL", "NULL"
	if view != "" {
		name, source = literal(view), "0"
	}
	f.exec(fmt.Sprintf(`INSERT INTO millstream.quarantine (pipeline, build, seq, generation, foreign_table, server, topic, partition, "offset", record_timestamp, view_name, source, cause, statement, sqlstate, message)
		VALUES ('p', 1, 1, 1, %s, 'kafka', %[1]s, %d, %d, now(), %s, %s, %s, '', nullif(%s, ''), '')`, literal(table), partition, offset, name, source, literal(cause), literal(code)))
}

func (f *fixture) late(table string, partition int, offset int64, view, at, start, end, watermark, floor, cause string) {
	f.t.Helper()
	f.exec(fmt.Sprintf(`INSERT INTO millstream.late_rows (pipeline, build, seq, generation, foreign_table, server, topic, partition, "offset", record_timestamp, view_name, source, event_time, window_start, window_end, watermark, floor, late_by, cause)
		VALUES ('p', 1, 1, 1, %s, 'kafka', %[1]s, %d, %d, now(), %s, 0, %s, %s, %s, %s, %s, '0', %s)`,
		literal(table), partition, offset, literal(view), literal(at), literal(start), literal(end), literal(watermark), literal(floor), literal(cause)))
}

func (f *fixture) options() Options {
	return Options{SQL: f.sql, Pipeline: "p", DatabaseURL: f.url, Brokers: map[string][]string{"kafka": f.cluster.ListenAddrs()}}
}

func (f *fixture) verify() *Report {
	f.t.Helper()
	r, err := Verify(f.ctx, f.options())
	if err != nil {
		f.t.Fatal(err)
	}
	return r
}

// key tells the view's key columns, as the deployment does.
func (f *fixture) key(view, mode string, columns ...string) {
	f.t.Helper()
	f.exec(fmt.Sprintf(`INSERT INTO millstream.objects (schema_name, table_name, pipeline, build, view_name, mode, emit, key_columns, relation)
		VALUES ('public', %s, 'p', 1, %[1]s, %s, 'update', string_to_array(%s, ','), %[1]s::regclass)`, literal(view), literal(mode), literal(strings.Join(columns, ","))))
}
