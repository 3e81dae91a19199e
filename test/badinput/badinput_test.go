// Package badinput sends hostile records through the whole line: broken,
// truncated, deep, huge, early, late, with keys and headers that nobody would
// send. Each must have exactly the fate that is written beside it, the good
// records around it must be counted, and memory must stay within a bound.
package badinput

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

func TestMain(m *testing.M) { line.Main(m) }

const name = "hostile"

// The foreign table is the one that package hostile's expectations are for.
const sql = `
CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz      NOT NULL,
    type        text             NOT NULL,
    value       double precision
) SERVER kafka OPTIONS (topic 'raw_data', event_time 'timestamp', watermark '5 minutes');

CREATE MATERIALIZED VIEW windows AS
SELECT window_start, type, count(*) AS events, sum(value) AS value
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes') GROUP BY window_start, type;

CREATE MATERIALIZED VIEW everything AS
SELECT "timestamp", type, value, _key, _headers, _timestamp FROM raw_data;

CREATE MATERIALIZED VIEW ratios AS
SELECT type, 1 / (length(type) - 5) AS ratio FROM raw_data WHERE length(type) < 100;
`

// The bounds of what the program may take of memory.
const (
	// recordBytes is what the broker takes as one record in this test, and
	// recordMemory the bound for it: the records of a fetch, their ledger
	// rows, and the program itself.
	recordBytes  = 32 << 20
	recordMemory = 512 << 20
	// hugeBytes and hugeMemory are the same for records beyond the program's
	// own limit, and for batches that grow when they are decompressed.
	hugeBytes  = 110 << 20
	hugeMemory = 1 << 30
)

// ledgerPayload is how much of a payload the ledger keeps.
const ledgerPayload = 64 << 10

// entry is a row of the ledger.
type entry struct {
	View, Cause, SQLState, Message, Column string
	Position                               int
}

// place is a record's place in the log.
type place struct {
	partition int32
	offset    int64
}

// line of records in two partitions, a good record before each.
func lay(records []kind) (line.Log, map[place]kind) {
	log := line.Log{"raw_data": make([][]*kgo.Record, 2)}
	at := map[place]kind{}
	add := func(p int, k kind) {
		log["raw_data"][p] = append(log["raw_data"][p], &kgo.Record{
			Key: k.key, Value: k.payload, Headers: k.headers, Timestamp: k.timestamp,
		})
		at[place{int32(p), int64(len(log["raw_data"][p]) - 1)}] = k
	}
	for i, k := range records {
		add(i%2, goodKind)
		add(i%2, k)
	}
	for p := range 2 {
		add(p, goodKind)
	}
	return log, at
}

// deliver makes the topic, with room for large records, and sends the log.
func deliver(t *testing.T, broker string, log line.Log, bytes int) {
	t.Helper()
	client, err := line.Client(broker, kgo.ProducerBatchCompression(kgo.NoCompression()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	limit := fmt.Sprint(bytes)
	if _, err := kadm.NewClient(client).CreateTopic(t.Context(), 2, 1, map[string]*string{"max.message.bytes": &limit}, "raw_data"); err != nil {
		t.Fatal(err)
	}
	for p, records := range log["raw_data"] {
		for i, r := range records {
			r.Topic, r.Partition = "raw_data", int32(p)
			if err := client.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatalf("send record %d of %d bytes: %v", i, len(r.Value), err)
			}
		}
	}
}

// run runs the program to the log's end.
func run(t *testing.T, broker, url string, more ...string) line.Result {
	t.Helper()
	file := filepath.Join(t.TempDir(), name+".sql")
	if err := os.WriteFile(file, []byte(sql), 0o600); err != nil {
		t.Fatal(err)
	}
	return line.Run(t, nil, append([]string{"run", file, "--until-end", "--brokers", broker, "--database-url", url, "--name", name,
		"--listen", "127.0.0.1:0", "--admin-listen", "off", "--quiet"}, more...)...)
}

func TestHostileRecords(t *testing.T) {
	records := kinds()
	if len(records) < 60 {
		t.Fatalf("only %d kinds of records", len(records))
	}
	t.Logf("%d kinds of records", len(records))
	log, at := lay(records)
	broker := line.Broker(t)
	deliver(t, broker, log, recordBytes)

	url := pgtest.Database(t)
	r := run(t, broker, url)
	if r.Code != 0 {
		t.Fatal(r)
	}
	t.Logf("at most %d MiB of memory", r.MaxRSS>>20)
	if r.MaxRSS > recordMemory {
		t.Errorf("took %d MiB of memory, more than %d", r.MaxRSS>>20, recordMemory>>20)
	}
	account(t, url, log, at)
	oracle.Check(t, oracle.Options{SQL: sql, Pipeline: name, DatabaseURL: url, Brokers: map[string][]string{"kafka": {broker}}})

	t.Run("one by one", func(t *testing.T) {
		other := pgtest.Database(t)
		if r := run(t, broker, other, "--max-epoch-rows", "1", "--commit-interval", "1ms", "--workers", "1"); r.Code != 0 {
			t.Fatal(r)
		}
		if diff := line.Differ(line.Dump(t, url, name), line.Dump(t, other, name)); diff != "" {
			t.Errorf("a hostile record changes what becomes of others in its batch:\n%s", diff)
		}
	})
}

// account checks that every record has the fate that is expected, and no
// other, and that the counts say so.
func account(t *testing.T, url string, log line.Log, at map[place]kind) {
	t.Helper()
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(ctx)
	got := quarantine(t, conn, log)
	for where, k := range at {
		record := log["raw_data"][where.partition][where.offset]
		want := k.expected()
		for _, w := range want {
			g, ok := got[where][w.View]
			if !ok {
				t.Errorf("%s: not in quarantine for view %q", k.name, w.View)
				continue
			}
			delete(got[where], w.View)
			if g != w {
				t.Errorf("%s:\n  in the ledger %+v\n  expected      %+v\n  payload %.80q", k.name, g, w, record.Value)
			}
		}
		for _, g := range got[where] {
			t.Errorf("%s: in quarantine, which was not expected: %+v", k.name, g)
		}
		delete(got, where)
	}
	for where, entries := range got {
		t.Errorf("quarantine has a record that was never sent: %v %v", where, entries)
	}
	checkLate(t, conn, at)
	checkCounts(t, conn, log, at)
}

// quarantine reads the ledger, and checks that it tells each payload by size
// and hash.
func quarantine(t *testing.T, conn *pgx.Conn, log line.Log) map[place]map[string]entry {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT partition, "offset", coalesce(view_name, ''), cause, coalesce(sqlstate, ''), message, coalesce(column_name, ''),
		coalesce(byte_position, -1), payload, payload_size, payload_sha256, topic, statement FROM millstream.quarantine`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	out := map[place]map[string]entry{}
	for rows.Next() {
		var where place
		var e entry
		var payload, sum []byte
		var size int64
		var topic, statement string
		if err := rows.Scan(&where.partition, &where.offset, &e.View, &e.Cause, &e.SQLState, &e.Message, &e.Column, &e.Position, &payload, &size, &sum, &topic, &statement); err != nil {
			t.Fatal(err)
		}
		if out[where] == nil {
			out[where] = map[string]entry{}
		}
		out[where][e.View] = e
		value := log["raw_data"][where.partition][where.offset].Value
		whole := sha256.Sum256(value)
		if !bytes.Equal(payload, value[:min(len(value), ledgerPayload)]) || size != int64(len(value)) || !bytes.Equal(sum, whole[:]) {
			t.Errorf("%v: the ledger holds %d bytes of %d, which are not the record's", where, len(payload), size)
		}
		if topic != "raw_data" || statement == "" || e.Message == "" {
			t.Errorf("%v: topic %q, statement %q, message %q", where, topic, statement, e.Message)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return out
}

func checkLate(t *testing.T, conn *pgx.Conn, at map[place]kind) {
	t.Helper()
	rows, err := conn.Query(t.Context(), `SELECT partition, "offset", view_name, cause FROM millstream.late_rows`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	late := map[place]bool{}
	for rows.Next() {
		var where place
		var view, cause string
		if err := rows.Scan(&where.partition, &where.offset, &view, &cause); err != nil {
			t.Fatal(err)
		}
		late[where] = true
		if !at[where].late || view != "windows" || cause != "watermark" {
			t.Errorf("%s: late for %s by %s", at[where].name, view, cause)
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	for where, k := range at {
		if k.late && !late[where] {
			t.Errorf("%s: not late", k.name)
		}
	}
}

// checkCounts compares the commits' sums with the fates that were expected.
func checkCounts(t *testing.T, conn *pgx.Conn, log line.Log, at map[place]kind) {
	t.Helper()
	for _, view := range []string{"windows", "everything", "ratios"} {
		var want, got [6]int64 // read, accepted, filtered, late, quarantined, skipped
		for _, records := range log["raw_data"] {
			want[0] += int64(len(records))
		}
		for _, k := range at {
			want[k.fate(view)]++
		}
		if err := conn.QueryRow(t.Context(), `SELECT sum(read), sum(accepted), sum(filtered), sum(late), sum(quarantined), sum(skipped)
			FROM millstream.commit_inputs WHERE view_name = $1`, view).Scan(&got[0], &got[1], &got[2], &got[3], &got[4], &got[5]); err != nil {
			t.Fatal(err)
		}
		if got != want {
			t.Errorf("%s: read, accepted, filtered, late, quarantined, skipped are %v; expected %v", view, got, want)
		}
	}
}
