package serve

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/column"
	"github.com/millstream-dev/millstream/internal/engine"
	"github.com/millstream-dev/millstream/internal/plan"
	"github.com/millstream-dev/millstream/internal/serve/catalog"
)

// stand is in the engine's place: it commits changes to a table as the engine's
// store does, and reports each commit after it. The table's state at every
// commit is remembered, as the database itself gives it.
type stand struct {
	t      testing.TB
	pool   *pgxpool.Pool
	server *Server

	mu     sync.Mutex
	seq    int64
	states map[int64]map[string]string // by commit, by filter: the table as JSON by key
}

const liveTable = `
INSERT INTO millstream.pipelines (name, cluster_id, target_schema, definition, definition_hash, state_format, build) VALUES ('shop', 'c', 'public', '', '', 1, 1);
CREATE TABLE totals (w timestamptz, k text, n bigint, j json, UNIQUE NULLS NOT DISTINCT (w, k));
CREATE VIEW over AS SELECT * FROM totals;
INSERT INTO millstream.objects (schema_name, table_name, pipeline, build, view_name, mode, emit, key_columns, window_start_column, relation) VALUES
	('public', 'totals', 'shop', 1, 'totals', 'grouped', 'update', '{w,k}', 'w', 'totals'::regclass);`

func livePlan() *plan.Pipeline {
	timestamptz, text, int8, jsonb := column.Type{Kind: column.Timestamptz}, column.Type{Kind: column.Text}, column.Type{Kind: column.Int8}, column.Type{Kind: column.JSONB}
	return &plan.Pipeline{Views: []*plan.View{{Name: "totals", Mode: plan.Grouped, Key: []int{0, 1},
		Columns: []plan.OutputColumn{{Name: "w", Type: timestamptz}, {Name: "k", Type: text}, {Name: "n", Type: int8}, {Name: "j", Type: jsonb}}}}}
}

// watched are the filters that clients of the tests use.
var watched = []string{"", "k=eq.k1", "n=gt.500", "k=in.(k1,k2)&n=lt.900", "select=k,at:w,n::text&or=(k.is.null,n.gte.300)"}

// sqlOf are the same questions in SQL.
var sqlOf = []string{
	"SELECT * FROM totals", "SELECT * FROM totals WHERE k = 'k1'", "SELECT * FROM totals WHERE n > 500",
	"SELECT * FROM totals WHERE k IN ('k1', 'k2') AND n < 900", "SELECT k, w AS at, n::text FROM totals WHERE k IS NULL OR n >= 300",
}

// commit changes rows in one transaction with the commit's own row, and
// reports it.
func (l *stand) commit(rows int, r *rand.Rand) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seq++
	ctx := context.Background()
	change := engine.TableChange{ExpireBefore: column.NegativeInfinity}
	upserts, deletes := &column.Batch{}, &column.Batch{}
	for _, t := range []column.Kind{column.Timestamptz, column.Text} {
		upserts.Cols = append(upserts.Cols, column.NewVector(column.Type{Kind: t}, 0))
		deletes.Cols = append(deletes.Cols, column.NewVector(column.Type{Kind: t}, 0))
	}
	state := map[string]string{}
	err := pgx.BeginFunc(ctx, l.pool, func(tx pgx.Tx) error {
		for range rows {
			w, k, n := r.IntN(20), r.IntN(5), r.IntN(1000)
			target, sql := upserts, `INSERT INTO totals VALUES (CASE WHEN $1 = 0 THEN NULL ELSE timestamptz '2024-01-01Z' + $1::int * interval '1 min' END, CASE WHEN $2 = 0 THEN NULL ELSE 'k' || $2::int END, $3::int, E'{\n  "a": 1}')
				ON CONFLICT (w, k) DO UPDATE SET n = excluded.n`
			if n%4 == 0 {
				target, sql = deletes, `DELETE FROM totals WHERE $3::int >= 0 AND w IS NOT DISTINCT FROM CASE WHEN $1 = 0 THEN NULL ELSE timestamptz '2024-01-01Z' + $1::int * interval '1 min' END AND k IS NOT DISTINCT FROM CASE WHEN $2 = 0 THEN NULL ELSE 'k' || $2::int END`
			}
			if _, err := tx.Exec(ctx, sql, w, k, n); err != nil {
				return err
			}
			target.N++
			const newYear = 757_382_400_000_000 // 2024-01-01 in microseconds since 2000
			i := target.Cols[0].Grow()
			target.Cols[0].Int[i], target.Cols[0].Null[i] = newYear+int64(w)*60_000_000, w == 0
			i = target.Cols[1].Grow()
			target.Cols[1].SetString(i, fmt.Sprintf("k%d", k))
			target.Cols[1].Null[i] = k == 0
		}
		if _, err := tx.Exec(ctx, `INSERT INTO millstream.commits (pipeline, build, seq_from, seq, generation, partitions, views, engine_version, sealed_at)
			VALUES ('shop', 1, $1, $1, 1, '[]', '[{"view": "totals", "watermark": "2024-01-01 00:00:00+00"}]', 'v', now())`, l.seq); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, "SET LOCAL TimeZone = 'UTC'"); err != nil {
			return err
		}
		for i, sql := range sqlOf {
			var text string
			if err := tx.QueryRow(ctx, "SELECT coalesce(json_agg(r ORDER BY r::text), '[]')::text FROM (SELECT row_to_json(r.*)::jsonb AS r FROM ("+sql+") AS r) AS r").Scan(&text); err != nil {
				return err
			}
			state[watched[i]] = text
		}
		return nil
	})
	if err != nil {
		l.t.Error(err)
		return
	}
	l.states[l.seq] = state
	upserts.Cols = append(upserts.Cols, column.NewVector(column.Type{Kind: column.Int8}, upserts.N), column.NewVector(column.Type{Kind: column.JSONB}, upserts.N))
	change.Upserts, change.Deletes = upserts, deletes
	l.server.Committed(&engine.Report{Commit: &engine.Commit{Seq: l.seq, Tables: []engine.TableChange{change}}})
	// The engine uses its batches again.
	for _, b := range []*column.Batch{upserts, deletes} {
		for i := range b.N {
			b.Cols[0].Int[i] = 0
		}
		for i := range b.Cols[1].Buf {
			b.Cols[1].Buf[i] = '!'
		}
	}
}

func (l *stand) state(seq int64, query string) (string, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s, ok := l.states[seq]
	return s[query], ok
}

// event is one server-sent event.
type event struct{ name, id, data string }

// readEvent reads up to the next event.
func readEvent(in *bufio.Reader) (event, error) {
	var e event
	var data []string
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return e, err
		}
		line = strings.TrimSuffix(line, "\n")
		switch name, value, _ := strings.Cut(line, ": "); {
		case line == "":
			if e.name != "" {
				e.data = strings.Join(data, "\n")
				return e, nil
			}
			data = nil
		case name == "event":
			e.name = value
		case name == "id":
			e.id = value
		case name == "data":
			data = append(data, value)
		}
	}
}

// mirror is a client's table, built from a stream as docs/api.md says.
type mirror struct {
	key    []string
	rows   map[string]json.RawMessage
	lastID string
	resets int
	at     int64 // the commit that the rows are of
}

func (m *mirror) keyOf(row string) (string, error) {
	var values map[string]json.RawMessage
	if err := json.Unmarshal([]byte(row), &values); err != nil {
		return "", fmt.Errorf("%w: %.300s", err, row)
	}
	var b strings.Builder
	for _, k := range m.key {
		v, ok := values[k]
		if !ok {
			return "", fmt.Errorf("no %q in %s", k, row)
		}
		b.Write(append(v, ','))
	}
	return b.String(), nil
}

// apply takes one event; it tells whether it was a commit.
func (m *mirror) apply(e event) (bool, error) {
	switch e.name {
	case "reset":
		m.rows = nil
		m.resets++
	case "snapshot":
		var rows []json.RawMessage
		if err := json.Unmarshal([]byte(e.data), &rows); err != nil {
			return false, fmt.Errorf("%w: %.300s", err, e.data)
		}
		m.rows = map[string]json.RawMessage{}
		for _, row := range rows {
			key, err := m.keyOf(string(row))
			if err != nil {
				return false, err
			}
			m.rows[key] = row
		}
	case "upsert", "delete":
		if m.rows == nil {
			return false, errors.New("a change before the snapshot")
		}
		key, err := m.keyOf(e.data)
		if err != nil {
			return false, err
		}
		if delete(m.rows, key); e.name == "upsert" {
			m.rows[key] = json.RawMessage(e.data)
		}
	case "commit":
		var told struct{ Commit int64 }
		if err := json.Unmarshal([]byte(e.data), &told); err != nil {
			return false, err
		}
		if m.rows == nil {
			return false, errors.New("a commit before the snapshot")
		}
		m.at, m.lastID = told.Commit, e.id
		return true, nil
	case "error":
		return false, errors.New(e.data)
	}
	return false, nil
}

// sorted is the table as PostgreSQL writes it in ledger.commit.
func (m *mirror) sorted(t testing.TB, pool *pgxpool.Pool) string {
	rows := []string{}
	for _, row := range m.rows {
		rows = append(rows, string(row))
	}
	slices.Sort(rows)
	text := "[" + strings.Join(rows, ",") + "]"
	if out, ok := sorted.Load(text); ok { // many clients have the same rows
		return out.(string)
	}
	var out string
	if err := pool.QueryRow(context.Background(), "SELECT coalesce(json_agg(r ORDER BY r::text), '[]')::text FROM jsonb_array_elements($1::text::jsonb) AS r", text).Scan(&out); err != nil {
		t.Error(err)
	}
	sorted.Store(text, out)
	return out
}

// sorted are tables as clients have them, and as PostgreSQL writes them.
var sorted sync.Map

func newMirror(query string) *mirror {
	m := &mirror{key: []string{"w", "k"}}
	if strings.Contains(query, "at:w") {
		m.key = []string{"at", "k"}
	}
	return m
}

func liveServer(t testing.TB, pool *pgxpool.Pool) *fixture {
	return start(t, pool, func(c *Config) { c.Pipeline, c.Status = livePlan(), noStatus{} })
}

type noStatus struct{}

func (noStatus) Pipeline(context.Context) (PipelineStatus, error) { return PipelineStatus{}, nil }
func (noStatus) Samples(int64) []Sample                           { return nil }

func fromEnv(t testing.TB, name string, otherwise int) int {
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestLiveEqualsTable has many clients watch a table that changes all the
// time: some go and come back, some begin late, and the server itself is
// replaced half-way. At every commit event a client's table is compared with
// what the database said in that commit's own transaction.
// MILLSTREAM_TEST_LIVE_CLIENTS and _COMMITS make it larger.
func TestLiveEqualsTable(t *testing.T) {
	clients, commits := fromEnv(t, "MILLSTREAM_TEST_LIVE_CLIENTS", 60), fromEnv(t, "MILLSTREAM_TEST_LIVE_COMMITS", 60)
	const changesEach = 100 // rows of one commit
	pool := database(t, liveTable)
	proxy := &switchable{}
	l := &stand{t: t, pool: pool, states: map[int64]map[string]string{}}
	begin := func() func() {
		sub := &phase{TB: t}
		f := liveServer(sub, pool)
		l.mu.Lock()
		l.server = f.Server
		l.mu.Unlock()
		proxy.set(f.url)
		return sub.end
	}
	end := begin()
	l.commit(200, rand.New(rand.NewPCG(1, 1)))

	var compared, resumed, resets atomic.Int64
	goal := int64(commits) + 1 // the last commit
	var wg sync.WaitGroup
	for i := range clients {
		wg.Go(func() {
			query := watched[i%len(watched)]
			m, r := newMirror(query), rand.New(rand.NewPCG(2, uint64(i)))
			for m.at < goal {
				before, wasReset := m.lastID, m.resets
				if err := follow(t, proxy, query, m, r.IntN(12)+1, goal, func() error {
					want, ok := l.state(m.at, query)
					if !ok {
						return fmt.Errorf("commit %d is not known", m.at)
					}
					if got := m.sorted(t, pool); got != want {
						return fmt.Errorf("client %d, %q at commit %d:\n got %.2000s\nwant %.2000s", i, query, m.at, got, want)
					}
					compared.Add(1)
					return nil
				}); err != nil {
					t.Error(err)
					return
				}
				if before != "" && m.resets == wasReset {
					resumed.Add(1)
				}
			}
			resets.Add(int64(m.resets))
		})
	}
	r := rand.New(rand.NewPCG(3, 3))
	for i := range commits {
		if i == commits/2 {
			end()
			end = begin()
		}
		l.commit(changesEach, r)
	}
	wg.Wait()
	end()
	t.Logf("%d clients, %d commits of %d changes: %d tables compared, %d resumed, %d reset", clients, commits, changesEach, compared.Load(), resumed.Load(), resets.Load())
	if compared.Load() < int64(clients) || resumed.Load() == 0 || resets.Load() == 0 {
		t.Error("the test shows too little")
	}
}

// phase lets what a fixture cleans up be cleaned up before the test ends.
type phase struct {
	testing.TB
	cleanups []func()
}

func (p *phase) Cleanup(f func()) { p.cleanups = append(p.cleanups, f) }

func (p *phase) end() {
	for i := len(p.cleanups) - 1; i >= 0; i-- {
		p.cleanups[i]()
	}
	p.cleanups = nil
}

// switchable is the address of the server that is running.
type switchable struct {
	mu  sync.Mutex
	url string
}

func (s *switchable) set(url string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.url = url
}

func (s *switchable) get() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.url
}

// follow reads a stream for a number of commits, or to the goal, or until the
// server ends it.
func follow(t testing.TB, at *switchable, query string, m *mirror, commits int, goal int64, compare func() error) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	q, err := http.NewRequestWithContext(ctx, "GET", at.get()+"/v1/tables/totals/live?"+query, nil)
	if err != nil {
		return err
	}
	if m.lastID != "" {
		q.Header.Set("Last-Event-ID", m.lastID)
	}
	resp, err := client.Do(q)
	if err != nil {
		return nil // between two servers: come back
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(resp.Body)
		return fmt.Errorf("%d %s", resp.StatusCode, text)
	}
	in := bufio.NewReader(resp.Body)
	for commits > 0 && m.at < goal {
		e, err := readEvent(in)
		if err != nil {
			return nil // cut off: come back
		}
		done, err := m.apply(e)
		if err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		if done {
			if commits--; m.at == 0 {
				continue
			}
			if err := compare(); err != nil {
				return err
			}
		}
	}
	return nil
}

// TestLiveSlowClient reads nothing while far more is sent than is kept, and is
// told so; what it then has is right.
func TestLiveSlowClient(t *testing.T) {
	pool := database(t, liveTable)
	f := liveServer(t, pool)
	l := &stand{t: t, pool: pool, server: f.Server, states: map[int64]map[string]string{}}
	r := rand.New(rand.NewPCG(1, 1))
	l.commit(10, r)
	w, p := newWatch(mustFind(t, f, "totals"), "")
	if p != nil {
		t.Fatal(p)
	}
	c := &liveClient{hub: f.hub}
	if err := c.join([]*watch{w}); err != nil {
		t.Fatal(err)
	}
	defer c.leave()
	c.pos = 1 // the client has commit 1, and reads no more
	big := entry{data: bytes.Repeat([]byte("x"), logBytes/4), end: []byte("end")}
	f.hub.mu.Lock()
	for seq := int64(2); seq < 12; seq++ {
		big.seq = seq
		f.hub.append(w, big)
		f.hub.latest = seq
	}
	kept, total := len(w.log), f.hub.bytes
	f.hub.mu.Unlock()
	if kept != 3 || total > logBytes || w.from != 8 {
		t.Errorf("%d entries, %d bytes are kept, from %d", kept, total, w.from)
	}
	if _, why, _, _ := c.gather(); why != resetSlow {
		t.Errorf("a client that lost its place is told %q", why)
	}
	// One that stands within the log goes on, piece by piece.
	c.pos = 8
	for want := int64(9); want < 12; want++ {
		data, why, _, _ := c.gather()
		if why != "" || c.pos != want || !bytes.HasSuffix(data, []byte("end")) {
			t.Errorf("at %d: %q, %d bytes", c.pos, why, len(data))
		}
	}
}

// TestLiveSeveral has two streams in one connection.
func TestLiveSeveral(t *testing.T) {
	pool := database(t, liveTable)
	f := liveServer(t, pool)
	l := &stand{t: t, pool: pool, server: f.Server, states: map[int64]map[string]string{}}
	r := rand.New(rand.NewPCG(1, 1))
	l.commit(100, r)
	queries := []string{watched[1], watched[2]}
	path := "/v1/live?stream=" + url.QueryEscape("totals?"+queries[0]) + "&stream=" + url.QueryEscape("totals?"+queries[1])
	mirrors := []*mirror{newMirror(queries[0]), newMirror(queries[1])}
	lastID := ""
	for range 3 { // comes back twice
		resp := f.do("GET", path, nil, "Last-Event-ID", lastID)
		in := bufio.NewReader(resp.Body)
		at := -1
		for range 4 {
			for {
				e, err := readEvent(in)
				if err != nil {
					t.Fatal(err)
				}
				if e.name == "stream" {
					at, _ = strconv.Atoi(e.data)
					continue
				}
				if e.name != "commit" && e.name != "reset" {
					if _, err := mirrors[at].apply(e); err != nil {
						t.Fatal(err)
					}
					continue
				}
				for _, m := range mirrors {
					if _, err := m.apply(e); err != nil {
						t.Fatal(err)
					}
				}
				if e.name == "commit" {
					lastID = e.id
					break
				}
			}
			for i, m := range mirrors {
				if want, _ := l.state(m.at, queries[i]); m.sorted(t, pool) != want {
					t.Errorf("stream %d at %d: %s, want %s", i, m.at, m.sorted(t, pool), want)
				}
			}
			l.commit(20, r)
		}
		resp.Body.Close()
	}
	if mirrors[0].resets > 0 {
		t.Errorf("%d resets", mirrors[0].resets)
	}
}

// TestLiveRefuses has what no stream can answer.
func TestLiveRefuses(t *testing.T) {
	pool := database(t, liveTable)
	f := liveServer(t, pool)
	for path, want := range map[string]string{
		"/v1/tables/over/live":                             "422 " + codeNotLive + " watch what it reads: totals",
		"/v1/tables/totals/live?order=n":                   "422 " + codeNotLive + " \"parameter\":\"order\"",
		"/v1/tables/totals/live?limit=1":                   "422 " + codeNotLive + " \"parameter\":\"limit\"",
		"/v1/tables/totals/live?select=w,n":                "422 " + codeNotLive + " which is of the key",
		"/v1/tables/totals/live?select=k,n.sum()":          "422 " + codeNotLive + " aggregates",
		"/v1/tables/totals/live?final=true":                "422 " + codeNotLive + " \"parameter\":\"final\"",
		"/v1/tables/totals/live?select=*,_final":           "422 " + codeNotLive + " watermarks",
		"/v1/tables/totals/live?x=eq.1":                    "400 " + codeColumn,
		"/v1/tables/absent/live":                           "404 " + codeTable,
		"/v1/live":                                         "422 " + codeNotLive,
		"/v1/live?stream=absent":                           "404 " + codeTable,
		"/v1/live?" + strings.Repeat("stream=totals&", 17): "422 " + codeNotLive,
	} {
		status, body, _ := f.get(path)
		words := strings.SplitN(want, " ", 3)
		for _, word := range words[1:] {
			if fmt.Sprint(status) != words[0] || !strings.Contains(body, word) {
				t.Errorf("%s: %d %s, want %s", path, status, body, want)
			}
		}
	}
	// A value that PostgreSQL refuses is told in the stream.
	resp := f.do("GET", "/v1/tables/totals/live?n=eq.x", nil)
	defer resp.Body.Close()
	if text, _ := io.ReadAll(resp.Body); !strings.Contains(string(text), "event: error") || !strings.Contains(string(text), codeValue) {
		t.Errorf("a bad value: %s", text)
	}
	plain := start(t, pool, nil)
	if status, body, _ := plain.get("/v1/tables/totals/live"); status != http.StatusServiceUnavailable || !strings.Contains(body, codeNoEngine) {
		t.Errorf("without an engine: %d %s", status, body)
	}
}

func mustFind(t *testing.T, f *fixture, name string) *catalog.Relation {
	t.Helper()
	state, err := f.catalog.Get(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.Relation(name)
}
