package line_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/millstream-dev/millstream/test/line"
)

// liveSQL has views whose groups come and go by HAVING.
const liveSQL = `CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz NOT NULL,
    type        text        NOT NULL,
    value       double precision
) SERVER kafka OPTIONS (topic 'raw_data', event_time 'timestamp', watermark '5 minutes', partitions '2');

CREATE MATERIALIZED VIEW narrow AS
SELECT window_start AS at, type, count(*) AS events, sum(value) AS total
FROM tumble(raw_data, "timestamp", INTERVAL '5 minutes')
GROUP BY window_start, type HAVING sum(value) BETWEEN 0 AND 40;

CREATE MATERIALIZED VIEW totals WITH (max_groups = 1000) AS
SELECT type, count(*) AS events, sum(value) AS total FROM raw_data GROUP BY type HAVING count(*) % 4 <> 0;
`

// streams are what the clients watch: the query of a stream, its table's key,
// and the same question in SQL.
var streams = []struct {
	table, query string
	key          []string
	sql          string
}{
	{"totals", "", []string{"type"}, "SELECT * FROM totals"},
	{"totals", "total=lt.60&select=name:type,total", []string{"name"}, "SELECT type AS name, total FROM totals WHERE total < 60"},
	{"narrow", "", []string{"at", "type"}, "SELECT * FROM narrow"},
	{"narrow", "type=in.(t1,t2,t3)&events=gte.2", []string{"at", "type"}, "SELECT * FROM narrow WHERE type IN ('t1', 't2', 't3') AND events >= 2"},
}

// auditSQL keeps what every stream is to show after each commit, written by
// the commit's own transaction.
func auditSQL() string {
	var inserts strings.Builder
	for i, s := range streams {
		fmt.Fprintf(&inserts, `INSERT INTO audit.states SELECT NEW.seq, %d, coalesce(jsonb_agg(to_jsonb(r) ORDER BY to_jsonb(r)), '[]') FROM (%s) AS r;`, i, s.sql)
	}
	return `CREATE SCHEMA audit;
CREATE TABLE audit.states (seq bigint, stream integer, rows jsonb, PRIMARY KEY (seq, stream));
CREATE FUNCTION audit.keep() RETURNS trigger LANGUAGE plpgsql SET search_path = public SET TimeZone = 'UTC' AS $$BEGIN ` + inserts.String() + ` RETURN NEW; END$$;
CREATE CONSTRAINT TRIGGER keep AFTER INSERT ON millstream.commits DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.seq_from = NEW.seq) EXECUTE FUNCTION audit.keep();`
}

// liveEvents gives the log's events from one on: some of them raise a group
// over what a filter or HAVING lets through, and others lower it again.
func liveEvents(from, n int) []string {
	out := make([]string, n)
	for i := range out {
		j := from + i
		value := []int{30, 25, -40, 10, -5, 35, -20}[j%7]
		at := time.Date(2024, 5, 1, 12, 0, j/4, 0, time.UTC)
		out[i] = fmt.Sprintf(`{"timestamp": %q, "type": "t%d", "value": %d}`, at.Format(time.RFC3339), j%5, value)
	}
	return out
}

// TestLive has clients watch tables, each alone and two over one connection,
// while events come over HTTP and Kafka; the program is killed in the middle
// and the clients come back with their last event's id. At each commit event a
// client's rows are compared with what the commit itself has left.
func TestLive(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", liveSQL)
	run := []string{"run", "pipeline.sql", "--local", "--data", "data", "-o", "json", "--listen", "127.0.0.1:0"}
	g := p.start(run...)
	s := &liveLine{t: t, ready: g.ready()}
	db := s.connect()
	if _, err := db.Exec(t.Context(), auditSQL(), pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	clients := []*liveClient{{liveLine: s, name: "two at once", streams: []int{1, 2}}}
	for i := range streams {
		clients = append(clients, &liveClient{liveLine: s, name: fmt.Sprintf("stream %d", i), streams: []int{i}})
	}
	s.watch(clients, 10)

	if err := g.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	g.wait()
	g = p.start(run...)
	s.ready = g.ready()
	s.watch(clients, 10)
	s.watch(clients, 2) // they come back to the same process
	for _, c := range clients {
		if c.resets != 1 {
			t.Errorf("%s: %d resets, want one: after the kill, and none for who comes back to the same process", c.name, c.resets)
		}
		if c.left == 0 {
			t.Errorf("%s: no row has left it: the test shows too little", c.name)
		}
		t.Logf("%s: %d commits compared, %d rows have come or changed, %d have left", c.name, c.compared, c.came, c.left)
	}
	p.judge(s.ready, liveSQL)
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
}

// liveLine is the running program, and how many events it was sent.
type liveLine struct {
	t     *testing.T
	ready ready
	sent  int
}

func (s *liveLine) connect() *pgx.Conn {
	s.t.Helper()
	db, err := pgx.Connect(s.t.Context(), s.ready.Postgres)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = db.Close(context.Background()) })
	return db
}

// watch opens the clients' streams, sends batches of events, each after every
// client has the one before, and closes the streams.
func (s *liveLine) watch(clients []*liveClient, batches int) {
	s.t.Helper()
	db := s.connect()
	for _, c := range clients {
		defer c.open()()
	}
	for range batches {
		s.send(7)
		for _, c := range clients {
			c.await(db)
		}
	}
}

// send sends events, half of them over HTTP and half over Kafka, to both
// partitions.
func (s *liveLine) send(n int) {
	s.t.Helper()
	events := liveEvents(s.sent, n)
	s.sent += n
	post(s.t, s.ready.API+"/v1/topics/raw_data", ndjsonBody, strings.Join(events[:n/2], "\n"))
	client, err := line.Client(s.ready.Kafka)
	if err != nil {
		s.t.Fatal(err)
	}
	defer client.Close()
	for i, e := range events[n/2:] {
		r := &kgo.Record{Topic: "raw_data", Partition: int32(i % 2), Value: []byte(e)}
		if err := client.ProduceSync(s.t.Context(), r).FirstErr(); err != nil {
			s.t.Fatal(err)
		}
	}
}

// liveEvent is one server-sent event.
type liveEvent struct {
	name, id, data string
	stream         int // of the client's
}

// liveClient rebuilds tables from streams as docs/api.md says: changes count
// when their commit comes.
type liveClient struct {
	*liveLine
	name    string
	streams []int
	in      *bufio.Reader
	lastID  string
	waiting []liveEvent                  // for their commit
	rows    []map[string]json.RawMessage // of each stream, by key

	resets, compared, came, left int
}

// open asks for the streams from the last event on; it gives what closes them.
func (c *liveClient) open() (leave func()) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	address := c.ready.API + "/v1/tables/" + streams[c.streams[0]].table + "/live?" + streams[c.streams[0]].query
	if len(c.streams) > 1 {
		values := url.Values{}
		for _, i := range c.streams {
			values.Add("stream", streams[i].table+"?"+streams[i].query)
		}
		address = c.ready.API + "/v1/live?" + values.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		c.t.Fatal(err)
	}
	if c.lastID != "" {
		req.Header.Set("Last-Event-ID", c.lastID)
	}
	res, err := http.DefaultClient.Do(req) //nolint:bodyclose // what this gives closes it
	if err != nil {
		c.t.Fatal(err)
	}
	if res.StatusCode != http.StatusOK {
		c.t.Fatalf("%s: GET %s: %d", c.name, address, res.StatusCode)
	}
	c.in, c.waiting = bufio.NewReader(res.Body), nil
	return func() {
		cancel()
		_ = res.Body.Close()
	}
}

// await reads until a commit has come by which all events are in the tables,
// and compares at each on the way.
func (c *liveClient) await(db *pgx.Conn) {
	c.t.Helper()
	for {
		commit := c.commit()
		var accepted int
		err := db.QueryRow(c.t.Context(), `SELECT coalesce(sum(accepted), 0) FROM millstream.commit_inputs WHERE view_name = 'totals' AND seq <= $1`, commit).Scan(&accepted)
		if err != nil {
			c.t.Fatal(err)
		}
		if commit > 0 {
			c.compare(db, commit)
		}
		if accepted == c.sent {
			return
		}
	}
}

// compare holds each stream's rows to what the commit has left.
func (c *liveClient) compare(db *pgx.Conn, commit int64) {
	c.t.Helper()
	c.compared++
	for i, stream := range c.streams {
		rows := []json.RawMessage{}
		for _, row := range c.rows[i] {
			rows = append(rows, row)
		}
		got, err := json.Marshal(rows)
		if err != nil {
			c.t.Fatal(err)
		}
		var want, have string
		err = db.QueryRow(c.t.Context(), `SELECT rows::text, (SELECT coalesce(jsonb_agg(r ORDER BY r), '[]')::text FROM jsonb_array_elements($3::text::jsonb) AS r)
			FROM audit.states WHERE seq = $1 AND stream = $2`, commit, stream, string(got)).Scan(&want, &have)
		if err != nil {
			c.t.Fatalf("commit %d: %v", commit, err)
		}
		if have != want {
			c.t.Fatalf("%s, stream %d at commit %d:\n got %s\nwant %s", c.name, stream, commit, have, want)
		}
	}
}

// commit reads up to the next commit event, and applies what came before it.
func (c *liveClient) commit() int64 {
	c.t.Helper()
	stream := 0
	for {
		e, err := c.event()
		if err != nil {
			c.t.Fatalf("%s: the stream ends: %v", c.name, err)
		}
		switch e.name {
		case "stream":
			if stream, err = strconv.Atoi(e.data); err != nil {
				c.t.Fatal(err)
			}
		case "reset", "snapshot", "upsert", "delete":
			e.stream = stream
			c.waiting = append(c.waiting, e)
		case "commit":
			for _, w := range c.waiting {
				c.apply(w)
			}
			c.waiting = nil
			if e.id != "" {
				c.lastID = e.id
			}
			return decode[struct{ Commit int64 }](c.t, e.data).Commit
		default:
			c.t.Fatalf("%s: event %q: %s", c.name, e.name, e.data)
		}
	}
}

func (c *liveClient) event() (e liveEvent, err error) {
	var data []string
	for {
		text, err := c.in.ReadString('\n')
		if err != nil {
			return e, err
		}
		name, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		switch name {
		case "event":
			e.name = value
		case "id":
			e.id = value
		case "data":
			data = append(data, value)
		case "":
			if e.name != "" {
				e.data = strings.Join(data, "\n")
				return e, nil
			}
		}
	}
}

func (c *liveClient) apply(e liveEvent) {
	c.t.Helper()
	if e.name == "reset" {
		c.resets++
		c.rows = nil
		return
	}
	if e.name == "snapshot" {
		if c.rows == nil {
			c.rows = make([]map[string]json.RawMessage, len(c.streams))
		}
		c.rows[e.stream] = map[string]json.RawMessage{}
		for _, row := range decode[[]json.RawMessage](c.t, e.data) {
			c.rows[e.stream][c.key(e.stream, row)] = row
		}
		return
	}
	if c.rows == nil || c.rows[e.stream] == nil {
		c.t.Fatalf("%s: %s before a snapshot", c.name, e.name)
	}
	key := c.key(e.stream, json.RawMessage(e.data))
	if e.name == "upsert" {
		c.rows[e.stream][key] = json.RawMessage(e.data)
		c.came++
	} else if _, ok := c.rows[e.stream][key]; ok {
		delete(c.rows[e.stream], key)
		c.left++
	}
}

func (c *liveClient) key(stream int, row json.RawMessage) (key string) {
	c.t.Helper()
	values := decode[map[string]json.RawMessage](c.t, string(row))
	for _, name := range streams[c.streams[stream]].key {
		if values[name] == nil {
			c.t.Fatalf("%s: no %s in %s", c.name, name, row)
		}
		key += string(values[name]) + ","
	}
	return key
}
