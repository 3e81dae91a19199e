package serve

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
)

// commitKeys tells a hub of a commit that has changed totals' groups k0, k1, …,
// n of them from one on.
func commitKeys(h *hub, seq int64, from, n int) {
	b := &column.Batch{N: n, Cols: []*column.Vector{
		column.NewVector(column.Type{Kind: column.Timestamptz}, n), column.NewVector(column.Type{Kind: column.Text}, n)}}
	for i := range n {
		b.Cols[1].SetString(i, fmt.Sprintf("k%d", from+i))
	}
	h.committed(&engine.Commit{Seq: seq, Tables: []engine.TableChange{{Upserts: b, ExpireBefore: column.NegativeInfinity}}}, nil)
}

// watching is a hub that nobody runs, with one stream.
func watching(t *testing.T) (*hub, *watch, *liveClient) {
	t.Helper()
	f := liveServer(t, database(t, liveTable))
	w, p := newWatch(mustFind(t, f, "totals"), "")
	if p != nil {
		t.Fatal(p)
	}
	h := newHub(f.Server, livePlan())
	c := &liveClient{hub: h}
	if err := c.join([]*watch{w}); err != nil {
		t.Fatal(err)
	}
	c.pos = 0
	return h, w, c
}

// TestPendingMerged holds that a snapshot of a commit among merged ones has
// the keys of all up to it, and that the later ones' wait on.
func TestPendingMerged(t *testing.T) {
	h, w, _ := watching(t)
	for seq := int64(1); seq <= 2*maxPending; seq++ {
		commitKeys(h, seq, int(seq), 1)
	}
	seq := int64(maxPending / 2) // among those that were merged
	keys, watches := h.waiting(seq)
	for i := int64(1); i <= seq; i++ {
		if _, ok := keys["totals"].patterns[0][fmt.Sprintf(`{"w":"2000-01-01T00:00:00+00:00","k":"k%d"}`, i)]; !ok {
			t.Fatalf("the key of commit %d is missing at %d: %v", i, seq, keys["totals"].patterns)
		}
	}
	h.publish(h.tag, seq, nil, watches, make([]changes, len(watches)))
	later, _ := h.waiting(2 * maxPending)
	for i := seq + 1; i <= 2*maxPending; i++ {
		if _, ok := later[w.view].patterns[0][fmt.Sprintf(`{"w":"2000-01-01T00:00:00+00:00","k":"k%d"}`, i)]; !ok {
			t.Fatalf("the key of commit %d is lost", i)
		}
	}
}

// TestPendingBounded holds that keys which wait for a slow database are
// bounded, however many commits they are of.
func TestPendingBounded(t *testing.T) {
	h, _, _ := watching(t)
	for seq := int64(1); seq <= 4; seq++ {
		commitKeys(h, seq, int(seq)*maxKeys, maxKeys/2+1)
	}
	keys := 0
	for _, p := range h.pending {
		for _, set := range p.keys {
			keys += set.n
		}
	}
	if keys > maxKeys {
		t.Errorf("%d keys wait, at most %d may", keys, maxKeys)
	}
	if got, _ := h.waiting(4); !got["totals"].lost {
		t.Error("nobody is told that changes were dropped")
	}
}

// TestExpiry holds that only a commit by which rows have expired has clients
// begin anew, not each one that looks for such rows.
func TestExpiry(t *testing.T) {
	h, _, _ := watching(t)
	for seq, expired := range [][]engine.ViewID{nil, {0}} {
		h.committed(&engine.Commit{Seq: int64(seq) + 1, Tables: []engine.TableChange{{ExpireBefore: 5, ExpireLimit: 2}}}, expired)
		if keys, _ := h.waiting(int64(seq) + 1); keys["totals"].lost != (expired != nil) {
			t.Errorf("after the expiry of %v, lost is %t", expired, keys["totals"].lost)
		}
	}
}

// TestLogsBounded fills the logs of many streams.
func TestLogsBounded(t *testing.T) {
	h := newHub(&Server{config: Config{}}, livePlan())
	e := entry{data: bytes.Repeat([]byte("x"), logBytes/8)}
	for i := range maxWatches {
		w := &watch{id: fmt.Sprint(i)}
		h.watches[w.id] = w
		for e.seq = 1; e.seq < 4; e.seq++ {
			h.append(w, e)
		}
		if len(w.log) == 0 {
			t.Errorf("stream %d has no log: others have all the room", i)
		}
	}
	total := 0
	for _, w := range h.watches {
		total += w.bytes
	}
	if total != h.bytes || total > logsBytes {
		t.Errorf("%d bytes are kept, %d are counted, at most %d may be", total, h.bytes, logsBytes)
	}
}

// TestCommitsOfOthers holds that who lacks a commit that another process has
// made begins anew, and who has it goes on.
func TestCommitsOfOthers(t *testing.T) {
	h, _, c := watching(t)
	commitKeys(h, 8, 0, 1)
	if _, why, _, _ := c.gather(); why != resetSlow {
		t.Errorf("a client without commits 1 to 7 is told %q", why)
	}
	c.pos = 7
	if _, why, _, _ := c.gather(); why != "" {
		t.Errorf("a client at commit 7 is told %q", why)
	}
	commitKeys(h, 10, 0, 1)
	if _, why, _, _ := c.gather(); why != resetSlow {
		t.Errorf("a client without commit 9 is told %q", why)
	}
}

// TestLiveFaultIsAlone has a stream whose cast a later row does not take: it
// ends, and the other one goes on without a reset.
func TestLiveFaultIsAlone(t *testing.T) {
	pool := database(t, liveTable)
	f := liveServer(t, pool)
	l := &stand{t: t, pool: pool, server: f.Server, states: map[int64]map[string]string{}}
	l.commit(50, rand.New(rand.NewPCG(1, 1)))
	open := func(query string) *bufio.Reader {
		resp := f.do("GET", "/v1/tables/totals/live?"+query, nil)
		t.Cleanup(func() { resp.Body.Close() })
		return bufio.NewReader(resp.Body)
	}
	until := func(in *bufio.Reader, name string) (events []string, data string) {
		for {
			e, err := readEvent(in)
			if err != nil {
				t.Fatalf("%v after %v", err, events)
			}
			if events = append(events, e.name); e.name == name {
				return events, e.data
			}
		}
	}
	well, ill := open(""), open("select=w,k,x:j->>a::boolean")
	until(well, "commit")
	until(ill, "commit")
	exec(t, pool, `ALTER TABLE totals ALTER j SET DEFAULT NULL`, `CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN NEW.j = '{"a": "no boolean"}'; RETURN NEW; END$$`,
		`CREATE TRIGGER spoil BEFORE INSERT OR UPDATE ON totals FOR EACH ROW EXECUTE FUNCTION spoil()`)
	l.commit(50, rand.New(rand.NewPCG(2, 2)))
	if _, data := until(ill, "error"); !strings.Contains(data, "22P02") {
		t.Errorf("the stream ends with %s", data)
	}
	if rest, err := io.ReadAll(ill); err != nil || len(rest) > 0 {
		t.Errorf("after its error the stream goes on: %q, %v", rest, err)
	}
	if events, _ := until(well, "commit"); strings.Contains(fmt.Sprint(events), "reset") {
		t.Errorf("another stream's fault has it begin anew: %v", events)
	}
}

// TestLiveWaitsForConnections holds that streams outlast a database that has no
// connection to spare: they are late, not lost.
func TestLiveWaitsForConnections(t *testing.T) {
	pool := database(t, liveTable)
	few, err := pgxpool.New(t.Context(), pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	defer few.Close()
	logged := &signal{text: "live streams wait for the database", seen: make(chan struct{})}
	f := start(t, pool, func(c *Config) {
		c.Pipeline, c.Status, c.Pool, c.Log = livePlan(), noStatus{}, few, slog.New(slog.NewTextHandler(logged, nil))
	})
	l := &stand{t: t, pool: pool, server: f.Server, states: map[int64]map[string]string{}}
	r := rand.New(rand.NewPCG(1, 1))
	l.commit(50, r)
	resp := f.do("GET", "/v1/tables/totals/live", nil)
	defer resp.Body.Close()
	in := bufio.NewReader(resp.Body)
	m := newMirror("")
	next := func() {
		for done := false; !done; {
			e, err := readEvent(in)
			if err == nil {
				done, err = m.apply(e)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	next()
	var held []*pgxpool.Conn
	for range few.Config().MaxConns {
		c, err := few.Acquire(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		held = append(held, c)
	}
	l.commit(50, r)
	<-logged.seen
	for _, c := range held {
		c.Release()
	}
	next()
	if want, _ := l.state(m.at, ""); m.at != 2 || m.resets > 0 || m.sorted(t, pool) != want {
		t.Errorf("at commit %d after %d resets: not the table", m.at, m.resets)
	}
}

// signal is a log that tells when a text comes.
type signal struct {
	text string
	once sync.Once
	seen chan struct{}
}

func (s *signal) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(s.text)) {
		s.once.Do(func() { close(s.seen) })
	}
	return len(p), nil
}

// TestLiveOfAnotherPipeline refuses the table of a pipeline whose commits this
// process does not make.
func TestLiveOfAnotherPipeline(t *testing.T) {
	f := liveServer(t, database(t, windows, commits))
	status, body, _ := f.get("/v1/tables/elsewhere/live")
	if status != http.StatusUnprocessableEntity || !strings.Contains(body, codeNotLive) || !strings.Contains(body, "other") {
		t.Errorf("%d %s", status, body)
	}
}
