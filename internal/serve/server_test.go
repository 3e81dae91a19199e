package serve

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
)

const secret = "0123456789abcdef-secret"

func readAll(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

func newPool(t *testing.T, c *pgxpool.Config) *pgxpool.Pool {
	t.Helper()
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool
}

func keyFile(t *testing.T, key string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(path, []byte(key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestRefusesToStart(t *testing.T) {
	pool := database(t)
	for _, tt := range []struct {
		addr, key   string
		unprotected bool
		want        string
	}{
		{"127.0.0.1:0", "", false, ""},
		{"localhost:0", "", false, ""},
		{"[::1]:0", "", false, ""},
		{"0.0.0.0:0", "", false, "MILLSTREAM_API_KEY_FILE"},
		{":0", "", false, "MILLSTREAM_API_KEY_FILE"},
		{"[::]:0", "", false, "MILLSTREAM_API_KEY_FILE"},
		{"192.0.2.1:5000", "", false, "MILLSTREAM_API_KEY_FILE"},
		{"0.0.0.0:0", secret, false, ""},
		{"0.0.0.0:0", "", true, ""},
		{"127.0.0.1:0", "short", false, "at least 16 are needed"},
		{"0.0.0.0:0", "", true, ""},
		{"127.0.0.1:0", "has a space in the middle", false, "openssl rand"},
		{"nonsense", "", false, "listen address"},
	} {
		c := Config{Addr: tt.addr, Pool: pool, Unprotected: tt.unprotected}
		if tt.key != "" {
			c.KeyFile = keyFile(t, tt.key)
		}
		_, err := New(c)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s, key %q: %v, want %q", tt.addr, tt.key, err, tt.want)
		}
		if err != nil && tt.key != "" && strings.Contains(err.Error(), tt.key) {
			t.Errorf("the error repeats the key: %v", err)
		}
	}
	for _, c := range []Config{{Key: "short"}, {Key: secret, KeyFile: keyFile(t, secret)}} {
		c.Addr, c.Pool = "127.0.0.1:0", pool
		if _, err := New(c); err == nil || !strings.Contains(err.Error(), "MILLSTREAM_API_KEY") || strings.Contains(err.Error(), secret) {
			t.Errorf("a key that can't be taken: %v", err)
		}
	}
	if _, err := New(Config{Addr: "127.0.0.1:0", Pool: pool, KeyFile: "/no/such/file"}); err == nil || !strings.Contains(err.Error(), "read the API key") {
		t.Errorf("no key file: %v", err)
	}
	if _, err := New(Config{Addr: "127.0.0.1:0"}); err == nil {
		t.Error("no pool: no error")
	}
}

func TestHost(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	f := start(t, pool, nil)
	for host, want := range map[string]int{
		"localhost": 200, "localhost:5000": 200, "LOCALHOST.": 200, "127.0.0.1:5000": 200, "[::1]:5000": 200, "app.localhost": 200,
		"evil.example": 421, "evil.example:5000": 421, "localhost.evil.example": 421, "127.0.0.1.evil.example": 421, "192.0.2.1": 421,
	} {
		r, err := http.NewRequest("GET", f.url+"/v1/tables/a", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Host = host
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if body := readAll(t, resp); resp.StatusCode != want {
			t.Errorf("%s: %d %s", host, resp.StatusCode, body)
		}
	}
	resp := f.do("POST", "/v1/topics/raw", strings.NewReader("{}"), "Content-Type", "application/json", "Origin", "https://evil.example", "Sec-Fetch-Site", "cross-site")
	if body := readAll(t, resp); resp.StatusCode != http.StatusForbidden || !strings.Contains(body, codeCrossOrigin) {
		t.Errorf("from another site: %d %s", resp.StatusCode, body)
	}
}

func TestHeadersAndPages(t *testing.T) {
	pool := database(t, windows, commits, `COMMENT ON TABLE pairs IS '<script>alert(1)</script>'; CREATE TABLE "<b>" ("a&b" integer)`)
	f := start(t, pool, nil)
	for _, path := range []string{"/", "/docs", "/style.css", "/v1/tables", "/v1/tables/pairs", "/no", "/health", "/openapi.json"} {
		_, body, h := f.get(path)
		for name, want := range securityHeaders {
			if name == "Content-Security-Policy" && path == "/" {
				want = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
			}
			if h.Get(name) != want {
				t.Errorf("%s: %s is %q", path, name, h.Get(name))
			}
		}
		if strings.HasPrefix(h.Get("Content-Type"), "text/html") {
			for _, bad := range []string{"<script>", "http://", "https://", "onclick", "style="} {
				if strings.Contains(body, bad) {
					t.Errorf("%s holds %q", path, bad)
				}
			}
		}
	}
	if _, body, _ := f.get("/docs"); !strings.Contains(body, "GET /v1/tables/{name}") {
		t.Error("the docs lack a route")
	}
}

func TestHealth(t *testing.T) {
	pool := database(t)
	kafka := Check{Part: "kafka", OK: true}
	f := start(t, pool, func(c *Config) { c.Health = func(context.Context) []Check { return []Check{kafka} } })
	for _, path := range []string{"/health", "/readyz"} {
		kafka = Check{Part: "kafka", OK: true}
		if status, body, h := f.get(path); status != 200 || body != `{"status":"healthy","checks":[{"part":"postgresql","ok":true},{"part":"kafka","ok":true}]}`+"\n" || h.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: %d %s", path, status, body)
		}
		kafka = Check{Part: "kafka", Reason: "no broker answers"}
		if status, body, _ := f.get(path); status != 503 || body != `{"status":"unhealthy","checks":[{"part":"postgresql","ok":true},{"part":"kafka","ok":false,"reason":"no broker answers"}]}`+"\n" {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	if status, _, _ := f.get("/livez"); status != 200 {
		t.Errorf("/livez: %d", status)
	}
}

type fixedStatus PipelineStatus

func (s fixedStatus) Pipeline(context.Context) (PipelineStatus, error) { return PipelineStatus(s), nil }
func (s fixedStatus) Samples(int64) []Sample                           { return nil }

func TestPipelineStatus(t *testing.T) {
	at := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	want := PipelineStatus{Name: "shop", State: "running", StartedAt: at, Commit: &CommitStatus{Seq: 7, At: at, StepSeconds: map[string]float64{"rows": .01}},
		Commits: []CommitStatus{}, Topics: []TopicStatus{{Table: "raw", Partitions: []PartitionStatus{{Offset: 5, End: 9, LagRecords: 4, Watermark: &at}}}},
		Views: []ViewStatus{{Name: "v", Windows: []WindowStatus{{Start: at, End: at, Reason: "partition 0 stands at 00:00"}}}}}
	f := start(t, database(t), func(c *Config) { c.Status = fixedStatus(want) })
	status, body, _ := f.get("/v1/pipeline")
	wantJSON, err := json.Marshal(want)
	if err != nil || status != 200 || body != string(wantJSON)+"\n" {
		t.Errorf("%d %s, want %s", status, body, wantJSON)
	}
}

func TestRequestMetrics(t *testing.T) {
	f := start(t, database(t, "CREATE TABLE a (x integer)"), nil)
	f.get("/v1/tables/a")
	f.get("/v1/tables/a.csv")
	f.get("/v1/tables/zzz")
	f.get("/some/path/nobody/knows")
	_, body, _ := f.get("/metrics")
	for _, want := range []string{
		`millstream_http_requests_total{code="200",method="GET",pipeline="shop",route="/v1/tables/{name}"} 2`,
		`millstream_http_requests_total{code="404",method="GET",pipeline="shop",route="/v1/tables/{name}"} 1`,
		`millstream_http_requests_total{code="404",method="GET",pipeline="shop",route="none"} 1`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestShutdown stops the server while an answer runs: it ends whole, and no
// further request is taken.
func TestShutdown(t *testing.T) {
	pool := database(t, `CREATE VIEW big AS SELECT i, repeat('x', 100) AS s FROM (SELECT generate_series(1, 100000) AS i) AS g`)
	s, err := New(Config{Addr: "127.0.0.1:0", Pool: pool})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Serve(t.Context()); err == nil {
		t.Error("Serve without Listen: no error")
	}
	if err := s.Listen(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx) }()
	resp, err := client.Get("http://" + s.Addr() + "/v1/tables/big")
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if body := readAll(t, resp); !json.Valid([]byte(body)) || strings.Count(body, "\n") != 100000 {
		t.Errorf("the running answer is not whole: %d bytes", len(body))
	}
	if err := <-done; err != nil {
		t.Errorf("serve: %v", err)
	}
	if c, err := net.Dial("tcp", s.Addr()); err == nil {
		c.Close()
		t.Error("the port is still open")
	}
}
