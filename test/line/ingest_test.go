package line_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
)

// ingestSQL counts what is posted: each event has a number of its own.
const ingestSQL = `CREATE FOREIGN TABLE raw_data (
    "timestamp" timestamptz NOT NULL,
    type        text        NOT NULL,
    value       bigint
) SERVER kafka OPTIONS (topic 'raw_data', event_time 'timestamp', watermark '5 minutes', partitions '4');

CREATE MATERIALIZED VIEW totals WITH (max_groups = 1000) AS
SELECT type, count(*) AS events, sum(value) AS total FROM raw_data GROUP BY type;

CREATE MATERIALIZED VIEW processed_data AS
SELECT window_start AS "timestamp", type, count(*) AS events, sum(value) AS total
FROM tumble(raw_data, "timestamp", INTERVAL '1 minute') GROUP BY window_start, type;
`

const (
	postClients  = 8
	postRequests = 25  // of each client
	postRecords  = 500 // of each request
)

// TestPostedOnce has clients post through a proxy that cuts their connections,
// now within a request and now before its answer, and send again under the same
// Idempotency-Key, while the program is killed twice: each event counts once.
func TestPostedOnce(t *testing.T) {
	t.Parallel()
	p := newPlace(t)
	p.write("pipeline.sql", ingestSQL)
	run := []string{"run", "pipeline.sql", "--local", "--data", "data", "-o", "json", "--listen", "127.0.0.1:0"}
	g := p.start(run...)
	r := g.ready()
	proxy := newCutter(t)
	proxy.to(r.API)
	var done, attempts atomic.Int64
	kill := make(chan struct{}, postClients*postRequests)
	var clients sync.WaitGroup
	began := time.Now()
	for c := range postClients {
		clients.Go(func() {
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for i := range postRequests {
				attempts.Add(postUntilTaken(t, client, proxy, c, i))
				if n := done.Add(1); n == postClients*postRequests/3 || n == postClients*postRequests*2/3 {
					kill <- struct{}{}
				}
			}
		})
	}
	for range 2 {
		<-kill
		proxy.to("")
		if err := g.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		g.wait()
		g = p.start(run...)
		r = g.ready()
		proxy.to(r.API)
	}
	clients.Wait()
	const records = postClients * postRequests * postRecords
	t.Logf("%d events in %s, killed twice; %d requests, of which %d were cut or refused, %d connections cut",
		records, time.Since(began).Round(time.Millisecond), attempts.Load(), attempts.Load()-postClients*postRequests, proxy.cuts.Load())

	last := ask(t, http.MethodPost, r.API+"/v1/topics/raw_data?ack=committed", "{\"timestamp\": \"2024-05-01T12:00:00Z\", \"type\": \"last\", \"value\": 0}", "Content-Type", jsonBody)
	if last.code != http.StatusOK || last.header.Get("Millstream-Commit") == "" {
		t.Fatalf("ack=committed: %d %s", last.code, last.body)
	}
	awaitBody(t, r.API+"/v1/tables/totals?select=events:events.sum(),total:total.sum()&type=neq.last", fmt.Sprintf(`[{"events":%d,"total":%d}]`, records, records*(records-1)/2))
	if repeats := repeated(t, r.Postgres); repeats == 0 {
		t.Error("the log has no repeats: the test shows too little")
	} else {
		t.Logf("%d records in the log are repeats", repeats)
	}
	p.judge(r, ingestSQL)
	if code := g.stop(); code != 0 {
		t.Fatalf("exit code %d\n%s", code, g.err.text())
	}
}

// postUntilTaken sends a request until it is answered with 202, and gives how
// often it was sent.
func postUntilTaken(t *testing.T, client *http.Client, proxy *cutter, c, i int) int64 {
	var body bytes.Buffer
	for n := range postRecords {
		value := (c*postRequests+i)*postRecords + n
		fmt.Fprintf(&body, "{\"timestamp\": \"2024-05-01T12:%02d:%02dZ\", \"type\": \"t%d\", \"value\": %d}\n", i%5, n%60, value%7, value)
	}
	query := ""
	if i%3 == 0 {
		query = "?key=type" // spread over all partitions
	}
	for attempt := int64(1); ; attempt++ {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+proxy.addr()+"/v1/topics/raw_data"+query, struct{ io.Reader }{bytes.NewReader(body.Bytes())})
		if err != nil {
			t.Error(err)
			return attempt
		}
		r.ContentLength = int64(body.Len())
		r.Header.Set("Content-Type", ndjsonBody)
		r.Header.Set("Idempotency-Key", fmt.Sprintf("client-%d-%d", c, i))
		resp, err := client.Do(r)
		if err == nil {
			var answer []byte
			answer, err = io.ReadAll(resp.Body)
			resp.Body.Close()
			switch {
			case err != nil:
			case resp.StatusCode == http.StatusAccepted:
				return attempt
			case resp.StatusCode != http.StatusServiceUnavailable && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusBadRequest:
				t.Errorf("%d %s", resp.StatusCode, answer)
				return attempt
			}
		}
		if t.Context().Err() != nil || attempt > 1000 {
			t.Errorf("given up: %v", err)
			return attempt
		}
	}
}

// repeated counts the records that were filtered, which only repeats are.
func repeated(t *testing.T, url string) (n int64) {
	t.Helper()
	db, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close(context.Background()) }()
	if err := db.QueryRow(t.Context(), `SELECT coalesce(sum(filtered), 0)::bigint FROM millstream.commit_inputs WHERE view_name = 'totals'`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// cutter passes connections on and cuts each after some bytes, now of a
// request, now of an answer.
type cutter struct {
	listener net.Listener
	cuts     atomic.Int64

	mu     sync.Mutex
	target string        // host:port; "": connections wait
	up     chan struct{} // closed while there is a target
	open   map[net.Conn]bool
}

func newCutter(t *testing.T) *cutter {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c := &cutter{listener: l, up: make(chan struct{}), open: map[net.Conn]bool{}}
	ctx, cancel := context.WithCancel(context.Background())
	var conns sync.WaitGroup
	conns.Go(func() {
		random := rand.New(rand.NewPCG(5, 6))
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			request, answer := random.IntN(300_000), random.IntN(3_000)
			conns.Go(func() { c.serve(ctx, conn, request, answer) })
		}
	})
	t.Cleanup(func() {
		cancel()
		_ = l.Close()
		c.to("")
		conns.Wait()
	})
	return c
}

func (c *cutter) addr() string { return c.listener.Addr().String() }

// to says where connections go from here on, and closes those that are open.
func (c *cutter) to(api string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for conn := range c.open {
		_ = conn.Close()
	}
	was := c.target
	c.target = strings.TrimPrefix(api, "http://")
	switch {
	case was == "" && c.target != "":
		close(c.up)
	case was != "" && c.target == "":
		c.up = make(chan struct{})
	}
}

func (c *cutter) serve(ctx context.Context, client net.Conn, request, answer int) {
	defer client.Close()
	c.mu.Lock()
	up := c.up
	c.mu.Unlock()
	select {
	case <-up:
	case <-ctx.Done():
		return
	}
	c.mu.Lock()
	target := c.target
	c.mu.Unlock()
	server, err := net.Dial("tcp", target)
	if err != nil {
		return
	}
	defer server.Close()
	c.mu.Lock()
	c.open[client], c.open[server] = true, true
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		delete(c.open, client)
		delete(c.open, server)
		c.mu.Unlock()
	}()
	var both sync.WaitGroup
	pass := func(to, from net.Conn, most int) {
		n, _ := io.CopyN(to, from, int64(most))
		if n == int64(most) {
			c.cuts.Add(1)
		}
		_ = to.Close()
		_ = from.Close()
	}
	both.Go(func() { pass(server, client, request) })
	pass(client, server, answer)
	both.Wait()
}
