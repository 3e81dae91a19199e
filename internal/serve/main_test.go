package serve

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/local/pgtest"
	"github.com/millstream-dev/millstream/internal/telemetry"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// fixture is a server with a database of its own.
type fixture struct {
	t    testing.TB
	pool *pgxpool.Pool
	url  string // of the server
	*Server
}

// database makes a database with the schema millstream and runs SQL in it.
func database(t testing.TB, sql ...string) *pgxpool.Pool {
	t.Helper()
	ctx := context.Background()
	pool, err := pgxpool.New(ctx, pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	files, err := filepath.Glob("../postgres/migrations/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("no migrations: %v", err)
	}
	slices.Sort(files)
	script := []string{"CREATE SCHEMA IF NOT EXISTS millstream"}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		script = append(script, up)
	}
	exec(t, pool, append(script, sql...)...)
	return pool
}

func exec(t testing.TB, pool *pgxpool.Pool, sql ...string) {
	t.Helper()
	for _, s := range sql {
		if _, err := pool.Exec(context.Background(), s, pgx.QueryExecModeSimpleProtocol); err != nil {
			t.Fatalf("%.200s: %v", s, err)
		}
	}
}

// start runs a server on a free port until the test ends.
func start(t testing.TB, pool *pgxpool.Pool, change func(*Config)) *fixture {
	t.Helper()
	f, _ := startToStop(t, pool, change)
	return f
}

// startToStop is start with what stops the server earlier.
func startToStop(t testing.TB, pool *pgxpool.Pool, change func(*Config)) (*fixture, context.CancelFunc) {
	t.Helper()
	c := Config{
		Addr: "127.0.0.1:0", Name: "shop", Version: "0.0.1", Pool: pool,
		Metrics: telemetry.NewMetrics("shop", "0.0.1"),
		Log:     slog.New(slog.NewTextHandler(testWriter{t}, nil)),
	}
	if change != nil {
		change(&c)
	}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	t.Cleanup(func() {
		client.CloseIdleConnections()
		cancel()
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return &fixture{t, pool, "http://" + s.Addr(), s}, cancel
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	w.t.Logf("%s", strings.TrimSpace(string(p)))
	return len(p), nil
}

var client = &http.Client{}

// do sends a request; header has pairs of name and value.
func (f *fixture) do(method, path string, body io.Reader, header ...string) *http.Response {
	f.t.Helper()
	r, err := http.NewRequest(method, f.url+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(r)
	if err != nil {
		f.t.Fatalf("%s %s: %v", method, path, err)
	}
	return resp
}

// get gives status, body and headers.
func (f *fixture) get(path string, header ...string) (int, string, http.Header) {
	f.t.Helper()
	resp := f.do("GET", path, nil, header...)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatalf("GET %s: %v", path, err)
	}
	return resp.StatusCode, string(body), resp.Header
}
