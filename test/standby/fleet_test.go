package standby

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/test/line"
	"github.com/millstream-dev/millstream/test/oracle"
)

func TestMain(m *testing.M) { line.Main(m) }

const (
	name = "clicks"
	// patience bounds the wait for what must come: far more than it takes.
	patience = 60 * time.Second
	// lookAgain is how often the database is asked whether it has come.
	lookAgain = 5 * time.Millisecond
	// processLimit bounds the life of a process.
	processLimit = 10 * time.Minute
	partitions   = 3
	// loadEvery is how often loadRecords are sent: some 600 a second.
	loadEvery   = 20 * time.Millisecond
	loadRecords = 12
)

// clicksSQL has views of each kind of state: open windows, final windows,
// groups for ever, and rows that are only appended.
const clicksSQL = `
CREATE FOREIGN TABLE clicks (at timestamptz NOT NULL, kind text NOT NULL, n bigint NOT NULL, price numeric(10,2))
    SERVER kafka OPTIONS (event_time 'at', watermark '5 seconds', partitions '3');
CREATE MATERIALIZED VIEW by_kind AS
    SELECT window_start, kind, count(*) AS clicks, sum(n) AS n, sum(price) AS price FROM tumble(clicks, at, INTERVAL '10 seconds') GROUP BY window_start, kind;
CREATE MATERIALIZED VIEW closed WITH (emit = 'final') AS
    SELECT window_start, count(*) AS clicks, avg(price) AS mean FROM tumble(clicks, at, INTERVAL '20 seconds') GROUP BY window_start;
CREATE MATERIALIZED VIEW totals WITH (max_groups = 100) AS SELECT kind, count(*) AS clicks, sum(n) AS n, max(at) AS latest FROM clicks GROUP BY kind;
CREATE MATERIALIZED VIEW dear AS SELECT at, kind, n, price FROM clicks WHERE price > 90;
`

// fleet is a pipeline with the processes that run it or stand by.
type fleet struct {
	t      *testing.T
	broker string
	file   string
	url    string // of the database
	conn   *pgx.Conn
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, broker: line.Broker(t), file: filepath.Join(t.TempDir(), name+".sql"), url: pgtest.Database(t)}
	if err := os.WriteFile(f.file, []byte(clicksSQL), 0o600); err != nil {
		t.Fatal(err)
	}
	line.Fill(t, f.broker, line.Log{"clicks": make([][]*kgo.Record, partitions)})
	var err error
	if f.conn, err = pgx.Connect(t.Context(), f.url); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.conn.Close(context.Background()) })
	return f
}

// member is a process.
type member struct {
	*line.Process
	ready
}

// ready is the line that a process prints when its API answers.
type ready struct {
	API     string `json:"api"`
	Standby bool   `json:"standby"`
}

// start starts a process and waits until it leads or stands by.
func (f *fleet) start(url string, more ...string) *member {
	f.t.Helper()
	m := f.launch(url, more...)
	f.await(m)
	return m
}

func (f *fleet) launch(url string, more ...string) *member {
	f.t.Helper()
	args := append([]string{"run", f.file, "--brokers", f.broker, "--database-url", url, "--name", name, "-o", "json", "--log-level", "info",
		"--commit-interval", "5ms", "--workers", "2", "--listen", "127.0.0.1:0", "--admin-listen", "off"}, more...)
	m := &member{Process: line.StartWithin(f.t, processLimit, nil, args...)}
	f.t.Cleanup(func() {
		if f.t.Failed() {
			m.Kill()
			f.t.Log(m.Wait())
		}
	})
	return m
}

func (f *fleet) await(m *member) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	text, err := m.Line(ctx)
	if err != nil {
		f.t.Fatal(err)
	}
	if err := json.Unmarshal([]byte(text), &m.ready); err != nil {
		f.t.Fatalf("%q: %v", text, err)
	}
}

// eventually waits until a query gives true.
func (f *fleet) eventually(sql string, args ...any) {
	f.t.Helper()
	ctx, cancel := context.WithTimeout(f.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		var yes *bool
		err := f.conn.QueryRow(ctx, sql, args...).Scan(&yes)
		switch {
		case err == nil && yes != nil && *yes:
			return
		case err != nil && ctx.Err() == nil && !strings.Contains(err.Error(), "does not exist"): // not deployed yet
			f.t.Fatalf("%s: %v", sql, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			f.t.Fatalf("has not come in %s: %s", patience, sql)
		}
	}
}

const lastGenerationSQL = `SELECT coalesce((SELECT generation FROM millstream.commits WHERE pipeline = 'clicks' ORDER BY seq DESC LIMIT 1), 0)`

// generation is that of the last commit.
func (f *fleet) generation() (n int64) {
	f.t.Helper()
	if err := f.conn.QueryRow(f.t.Context(), lastGenerationSQL).Scan(&n); err != nil {
		f.t.Fatal(err)
	}
	return n
}

// committing waits for the first commit of a generation after one, and tells
// how long that took.
func (f *fleet) committing(after int64) time.Duration {
	f.t.Helper()
	began := time.Now()
	f.eventually("SELECT ("+lastGenerationSQL+") > $1", after)
	return time.Since(began)
}

// load is events that come all the time, of each kind: usual, late, and such
// that do not decode.
type load struct {
	f    *fleet
	stop context.CancelFunc
	done sync.WaitGroup
	sent int
	err  error
}

func (f *fleet) load() *load {
	f.t.Helper()
	client, err := line.Client(f.broker)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, stop := context.WithCancel(f.t.Context())
	l := &load{f: f, stop: stop}
	l.done.Go(func() {
		defer client.Close()
		tick := time.NewTicker(loadEvery)
		defer tick.Stop()
		for {
			records := make([]*kgo.Record, loadRecords)
			for i := range records {
				records[i] = &kgo.Record{Topic: "clicks", Partition: int32((l.sent + i) % partitions), Value: click(l.sent + i)}
			}
			if l.err = client.ProduceSync(context.WithoutCancel(ctx), records...).FirstErr(); l.err != nil {
				return
			}
			l.sent += len(records)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	f.t.Cleanup(l.end)
	return l
}

func (l *load) end() {
	l.stop()
	l.done.Wait()
}

// opens is the first event's time.
var opens = time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)

func click(i int) []byte {
	at := opens.Add(time.Duration(i) * 5 * time.Millisecond).Add(-time.Duration(i*7919%3000) * time.Millisecond) // out of order, within the watermark
	switch {
	case i%53 == 7:
		return []byte(`{"at": "soon", "kind": "bad"}`)
	case i%41 == 11:
		at = at.Add(-5 * time.Minute) // late, but for the first minutes
	}
	return fmt.Appendf(nil, `{"at": %q, "kind": "kind %d", "n": %d, "price": %d.%02d}`, at.Format(time.RFC3339Nano), i%7, i, i*31%100, i%100)
}

// judge ends the load, waits until all of it is in the tables, ends the
// processes, and holds the tables against all events that were sent.
func (f *fleet) judge(l *load, members ...*member) {
	f.t.Helper()
	l.end()
	if l.err != nil {
		f.t.Fatal(l.err)
	}
	f.eventually(`SELECT coalesce(sum(read), 0) >= $1 FROM millstream.commit_inputs WHERE view_name = 'totals'`, l.sent)
	for _, m := range members {
		m.Terminate()
	}
	for _, m := range members {
		if r := m.Wait(); r.Code != 0 {
			f.t.Errorf("ends with %d: %s", r.Code, r)
		}
	}
	broken, err := oracle.Invariants(context.Background(), f.url, name)
	if err != nil || len(broken) > 0 {
		f.t.Errorf("invariants: %v %v", err, broken)
	}
	report := oracle.Check(f.t, oracle.Options{SQL: clicksSQL, Pipeline: name, DatabaseURL: f.url, Brokers: map[string][]string{"kafka": {f.broker}}})
	if len(report.Unchecked) > 0 {
		f.t.Errorf("the oracle could not check: %v", report.Unchecked)
	}
	var read int
	if err := f.conn.QueryRow(context.Background(), `SELECT sum(read) FROM millstream.commit_inputs WHERE view_name = 'totals'`).Scan(&read); err != nil || read != l.sent {
		f.t.Errorf("%d records were sent and %d read (%v)", l.sent, read, err)
	}
}
