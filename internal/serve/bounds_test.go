package serve

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// readers is a pool of so many connections to the database of another.
func readers(t *testing.T, pool *pgxpool.Pool, n int32) *pgxpool.Pool {
	t.Helper()
	c := pool.Config()
	c.MaxConns = n
	return newPool(t, c)
}

// stall sends a request and reads nothing of the answer.
func stall(t *testing.T, f *fixture, path, key string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", f.Addr())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: localhost\r\nX-API-Key: %s\r\n\r\n", path, key); err != nil {
		t.Fatal(err)
	}
	return c
}

// bigView has rows that come to 80 MB: far more than sockets hold.
const bigView = `CREATE TABLE small (x integer); INSERT INTO small VALUES (1);
	CREATE VIEW big AS SELECT i, repeat('x', 400) AS s FROM (SELECT generate_series(1, 200000) AS i) AS g;`

// TestSlowExports has clients ask for long answers and read nothing of them.
// Others' questions are answered all the while, and another client's export
// gets through, since no client has all the places.
func TestSlowExports(t *testing.T) {
	pool := database(t, bigView)
	slow, other := newKey(t, pool, "slow", apikey.Read, nil), newKey(t, pool, "other", apikey.Read, nil)
	f := start(t, pool, func(c *Config) { c.Pool = readers(t, pool, 8) })
	for range 12 {
		stall(t, f, "/v1/tables/big", slow)
	}
	held := func() int { return len(f.gates.exports.room) }
	for held() < f.gates.exports.each {
		askSmall(t, f, other)
	}
	for range 20 { // those that wait for a place hold no connection
		askSmall(t, f, other)
		askSmall(t, f, slow)
	}
	resp := f.do("GET", "/v1/tables/big?select=i", nil, "X-API-Key", other)
	if rows := strings.Count(readAll(t, resp), "\n"); rows != 200_000 {
		t.Errorf("another's export has %d rows", rows)
	}
	if n := held(); n < f.gates.exports.each || n > f.gates.exports.each+1 {
		t.Errorf("%d places are held by one client and who comes after; its share is %d", n, f.gates.exports.each)
	}
}

func askSmall(t *testing.T, f *fixture, key string) {
	t.Helper()
	if status, body, _ := f.get("/v1/tables/small", "X-API-Key", key); status != 200 {
		t.Fatalf("a short question: %d %s", status, body)
	}
}

// TestSlowExportsOfNobody is the same where clients can't be told apart: long
// answers leave connections to short ones.
func TestSlowExportsOfNobody(t *testing.T) {
	pool := database(t, bigView)
	f := start(t, pool, func(c *Config) { c.Pool = readers(t, pool, 8) })
	for range 12 {
		stall(t, f, "/v1/tables/big", "")
	}
	for len(f.gates.exports.room) < cap(f.gates.exports.room) {
		askSmall(t, f, "")
	}
	for range 20 {
		askSmall(t, f, "")
	}
}

// TestStalledClientIsDropped reads nothing of a long answer until the server
// gives up, and its place is free. That such an answer does not look whole is
// held by TestCutOff.
func TestStalledClientIsDropped(t *testing.T) {
	pool := database(t, bigView)
	f := start(t, pool, func(c *Config) { c.Limits.WriteTimeout = 2 * time.Second })
	stall(t, f, "/v1/tables/big", "")
	for len(f.gates.exports.room) == 0 {
		askSmall(t, f, "")
	}
	for len(f.gates.exports.room) > 0 {
		askSmall(t, f, "")
	}
}

// TestPace steps through a slow client's deadlines.
func TestPace(t *testing.T) {
	now := time.Now()
	p := pace{patience: 30 * time.Second}
	if got := p.deadline(now).Sub(now); got != 30*time.Second {
		t.Errorf("the first piece has %s", got)
	}
	// 32 KiB in 29 seconds, again and again: patience is used up.
	pieces := 0
	for ; p.deadline(now).Sub(now) > 29*time.Second-time.Millisecond && pieces < 100; pieces++ {
		p.sent += writeBytes
		p.blocked += 29 * time.Second
	}
	if pieces > 2 {
		t.Errorf("a client that takes %d bytes in 29 s is served for %d pieces", writeBytes, pieces)
	}
	// A client at twice the least rate is served for ever.
	p = pace{patience: 30 * time.Second}
	for i := range 100_000 {
		if p.deadline(now).Sub(now) != 30*time.Second {
			t.Fatalf("piece %d: %s", i, p.deadline(now).Sub(now))
		}
		p.sent += writeBytes
		p.blocked += writeBytes * time.Second / leastRate / 2
	}
}

// TestGate lets in and out.
func TestGate(t *testing.T) {
	g := newGate(3) // of each client two
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	in := func(ctx context.Context, client string) func() {
		leave, err := g.enter(ctx, client)
		if err != nil && !errors.Is(err, errNoRoom) {
			t.Errorf("%s: %v", client, err)
		}
		return leave
	}
	a1, a2 := in(t.Context(), "a"), in(t.Context(), "a")
	if in(gone, "a") != nil {
		t.Error("a client is in three times")
	}
	b := in(t.Context(), "b")
	if b == nil || in(gone, "b") != nil || in(gone, "") != nil {
		t.Error("four are in")
	}
	a1()
	a1() // twice does not matter
	last := in(t.Context(), "")
	if last == nil || in(gone, "b") != nil {
		t.Error("the place that is free again is not taken")
	}
	for _, leave := range []func(){a2, b, last} {
		leave()
	}
	if len(g.clients) != 0 || len(g.room) != 0 {
		t.Errorf("left behind: %v, %d", g.clients, len(g.room))
	}
}

// TestSlowSnapshots has a client open streams of a large table and read
// nothing: another's stream gets its snapshot meanwhile.
func TestSlowSnapshots(t *testing.T) {
	pool := database(t, liveTable, `INSERT INTO totals SELECT '2026-01-01', i::text || repeat('x', 400), i FROM generate_series(1, 100000) AS i`)
	slow, other := newKey(t, pool, "slow", apikey.Read, nil), newKey(t, pool, "other", apikey.Read, nil)
	f := start(t, pool, func(c *Config) {
		c.Pool, c.Pipeline, c.Status = readers(t, pool, 8), livePlan(), noStatus{}
	})
	if cap(f.gates.snapshots.room) != 2 || f.gates.snapshots.each != 1 {
		t.Fatalf("%d snapshots, %d each", cap(f.gates.snapshots.room), f.gates.snapshots.each)
	}
	for range 6 {
		stall(t, f, "/v1/tables/totals/live", slow)
	}
	for len(f.gates.snapshots.room) == 0 {
		if status, body, _ := f.get("/v1/tables/totals?limit=1", "X-API-Key", other); status != 200 {
			t.Fatalf("%d %s", status, body)
		}
	}
	resp := f.do("GET", "/v1/tables/totals/live?n=lt.10", nil, "X-API-Key", other)
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	for {
		e, err := readEvent(in)
		if err != nil {
			t.Fatal(err)
		}
		if e.name == "commit" {
			break
		}
	}
	if len(f.gates.snapshots.room) == 0 {
		t.Error("the slow client's snapshot has ended: nothing was shown")
	}
}

// TestShortAnswerHoldsNoConnection reads nothing of an answer that is held
// back as a whole: its connection is free by then.
func TestShortAnswerHoldsNoConnection(t *testing.T) {
	pool := database(t, `CREATE VIEW medium AS SELECT i, repeat('x', 1000) AS s FROM (SELECT generate_series(1, 900) AS i) AS g; CREATE TABLE small (x integer)`)
	f := start(t, pool, func(c *Config) { c.Pool = readers(t, pool, 4) })
	for range 40 {
		stall(t, f, "/v1/tables/medium", "")
	}
	for range 40 {
		askSmall(t, f, "")
	}
}

// TestMaxRows bounds an answer as if its limit were asked for.
func TestMaxRows(t *testing.T) {
	pool := database(t, `CREATE TABLE n (i integer PRIMARY KEY); INSERT INTO n SELECT generate_series(1, 10)`)
	f := start(t, pool, func(c *Config) { c.Limits.Rows = 4 })
	seen, path := "", "/v1/tables/n?select=i"
	for pages := 0; path != ""; pages++ {
		_, body, h := f.get(path)
		seen += body
		path, _, _ = strings.Cut(strings.TrimPrefix(h.Get("Link"), "<"), ">")
		if pages > 3 {
			t.Fatal("pages without end")
		}
	}
	if n := strings.Count(seen, `"i"`); n != 10 || strings.Count(seen, "]") != 3 {
		t.Errorf("%d rows: %s", n, seen)
	}
	if _, body, _ := f.get("/v1/tables/n?limit=5"); strings.Count(body, `"i"`) != 4 {
		t.Errorf("limit=5: %s", body)
	}
	if _, body, _ := f.get("/v1/tables/n?limit=2"); strings.Count(body, `"i"`) != 2 {
		t.Errorf("limit=2: %s", body)
	}
}

// TestHostileConnections sends what is no request, too much of one, or none.
func TestHostileConnections(t *testing.T) {
	f := start(t, database(t, "CREATE TABLE a (x integer)"), func(c *Config) {
		c.Limits = Limits{HeaderTimeout: 200 * time.Millisecond, RequestTimeout: 400 * time.Millisecond, IdleTimeout: 200 * time.Millisecond, HeaderBytes: 8 << 10}
	})
	const post = "POST /v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, tt := range map[string]struct{ send, want string }{
		"silence":                 {"", ""},
		"a header without end":    {"GET / HTTP/1.1\r\nHost: localhost\r\nX: ", ""},
		"garbage":                 {"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\r\n\r\n", "400"},
		"no host":                 {"GET / HTTP/1.1\r\n\r\n", "400"},
		"two hosts":               {"GET / HTTP/1.1\r\nHost: localhost\r\nHost: other\r\n\r\n", "400"},
		"a header that is long":   {"GET /v1/tables HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 16<<10) + "\r\n\r\n", "431"},
		"an address that is long": {"GET /v1/tables?" + strings.Repeat("x", 16<<10) + " HTTP/1.1\r\nHost: localhost\r\n\r\n", "431"},
		"a body without end":      {post + "Content-Length: 100\r\n\r\n{", ""},
		"two lengths":             {post + "Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", "400"},
		"length and chunks":       {post + "Content-Length: 2\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n0\r\n\r\n", "4"},
		"a broken chunk":          {post + "Transfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n", "4"},
		"a length below zero":     {post + "Content-Length: -1\r\n\r\n", "400"},
		"idle":                    {"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", "200"},
		"a path that climbs":      {"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", ""},
		"an absolute path":        {"GET http://evil.example/v1/tables HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "421"},
		"a proxy's method":        {"CONNECT evil.example:443 HTTP/1.1\r\nHost: evil.example:443\r\nConnection: close\r\n\r\n", "4"},
		"TRACE":                   {"TRACE / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", "405"},
		"a method of no name":     {"G\x01T / HTTP/1.1\r\nHost: localhost\r\n\r\n", "400"},
	} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp", f.Addr())
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := io.WriteString(c, tt.send); err != nil {
				t.Fatal(err)
			}
			answer, err := io.ReadAll(c) // until the server closes
			if err != nil && !errors.Is(err, io.EOF) && !strings.Contains(err.Error(), "reset") {
				t.Fatal(err)
			}
			if status := strings.TrimPrefix(string(answer), "HTTP/1.1 "); !strings.HasPrefix(status, tt.want) {
				t.Errorf("%.300q", answer)
			}
			if strings.Contains(string(answer), "root:") {
				t.Errorf("%q", answer)
			}
		})
	}
	if status, _, _ := f.get("/v1/tables/a"); status != 200 {
		t.Errorf("after that: %d", status)
	}
}

// queue is a listener whose connections come from addresses that it is told.
type queue struct {
	net.Listener
	from []string
}

type addressed struct {
	net.Conn
	from string
}

func (a addressed) RemoteAddr() net.Addr {
	tcp, _ := net.ResolveTCPAddr("tcp", a.from)
	return tcp
}

func (q *queue) Accept() (net.Conn, error) {
	if len(q.from) == 0 {
		return nil, net.ErrClosed
	}
	c, _ := net.Pipe()
	from := q.from[0]
	q.from = q.from[1:]
	return addressed{c, from}, nil
}

// TestConnectionsOfOneAddress holds that one address can't have all.
func TestConnectionsOfOneAddress(t *testing.T) {
	q := &queue{from: []string{"192.0.2.1:1", "192.0.2.1:2", "192.0.2.1:3", "192.0.2.2:1", "127.0.0.1:1", "127.0.0.1:2", "127.0.0.1:3", "192.0.2.1:4", "192.0.2.1:5"}}
	l := newLimitListener(q, 8, 2)
	var got []string
	var first net.Conn
	for {
		c, err := l.Accept()
		if err != nil {
			break
		}
		got = append(got, c.RemoteAddr().String())
		if first == nil {
			first = c
		}
		if len(got) == 6 { // an address that has given one back may have another
			first.Close()
			first.Close()
		}
	}
	want := "192.0.2.1:1 192.0.2.1:2 192.0.2.2:1 127.0.0.1:1 127.0.0.1:2 127.0.0.1:3 192.0.2.1:4"
	if strings.Join(got, " ") != want {
		t.Errorf("let in: %v\nwant %s", got, want)
	}
}
