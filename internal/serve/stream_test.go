package serve

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

// streamRows is how many rows TestStreamInBoundedMemory reads:
// MILLSTREAM_TEST_STREAM_ROWS makes it more, ten million for example.
func streamRows(t *testing.T) int {
	text := os.Getenv("MILLSTREAM_TEST_STREAM_ROWS")
	if text == "" {
		return 500_000
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// TestStreamInBoundedMemory reads a table in each format and looks at the
// memory of the process on the way: what it holds must not grow with the
// answer, of which a row takes about 60 bytes.
func TestStreamInBoundedMemory(t *testing.T) {
	const most = 60 << 20
	rows := streamRows(t)
	pool := database(t, fmt.Sprintf(`CREATE UNLOGGED TABLE big AS SELECT i AS id, md5(i::text) AS h, i / 7.0::float8 AS x FROM generate_series(1, %d) AS i; ANALYZE big`, rows))
	f := start(t, pool, nil)
	for _, format := range []string{".json", ".ndjson", ".csv", ".arrow", ".parquet"} {
		runtime.GC()
		debug.FreeOSMemory()
		var before, now runtime.MemStats
		runtime.ReadMemStats(&before)
		resp := f.do("GET", "/v1/tables/big"+format, nil)
		peak, lines, total := uint64(0), 0, 0
		buffer := make([]byte, 64<<10)
		for {
			n, err := resp.Body.Read(buffer)
			lines += bytes.Count(buffer[:n], []byte("\n"))
			if before := total >> 20; (total+n)>>20 > before {
				runtime.ReadMemStats(&now)
				peak = max(peak, now.HeapInuse)
			}
			total += n
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", format, err)
			}
		}
		resp.Body.Close()
		if want, ok := map[string]int{".json": rows, ".ndjson": rows, ".csv": rows + 1}[format]; ok && lines != want {
			t.Errorf("%s: %d lines, want %d", format, lines, want)
		}
		if total < rows*20 {
			t.Errorf("%s: only %d bytes", format, total)
		}
		if grown := int64(peak) - int64(before.HeapInuse); grown > most {
			t.Errorf("%s: the heap grew by %d MiB over %d MiB of rows", format, grown>>20, total>>20)
		} else {
			t.Logf("%s: %d MiB, the heap grew by %d KiB", format, total>>20, grown>>10)
		}
		if resp.Header.Get("ETag") != "" {
			t.Error("a streamed answer has an ETag")
		}
	}
	if got := pool.Stat().AcquiredConns(); got != 0 {
		t.Errorf("%d connections are still held", got)
	}
}

// TestStreamIsWhole compares a streamed answer with PostgreSQL's.
func TestStreamIsWhole(t *testing.T) {
	pool := database(t, `CREATE TABLE wide AS SELECT i, repeat(chr(64 + i % 26), i % 2000) AS s FROM generate_series(1, 5000) AS i`)
	f := start(t, pool, nil)
	_, body, _ := f.get("/v1/tables/wide")
	if body != asJSON(t, pool, "SELECT * FROM wide") {
		t.Error("JSON differs")
	}
	_, body, _ = f.get("/v1/tables/wide.csv")
	if body != asCSV(t, pool, "SELECT * FROM wide") {
		t.Error("CSV differs")
	}
}

// TestCutOff has a view fail after much has been sent: the client must see
// that the answer is not whole.
func TestCutOff(t *testing.T) {
	pool := database(t, `CREATE VIEW fails AS SELECT i, repeat('x', 100) AS s, 1 / (100000 - i) AS d FROM generate_series(1, 200000) AS i`)
	f := start(t, pool, nil)
	for _, suffix := range []string{"", ".csv"} {
		resp := f.do("GET", "/v1/tables/fails"+suffix, nil)
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("fails%s: %d, %d bytes, %v: want an unexpected end", suffix, resp.StatusCode, len(body), err)
		}
	}
	status, body, h := f.get("/v1/tables/fails?i=gte.99990")
	if status != http.StatusBadRequest || !strings.Contains(body, `"sqlstate":"22012"`) || h.Get("ETag") != "" {
		t.Errorf("failing at once: %d %s", status, body)
	}
}

// TestClientGoes gives up on an answer: the connection must come back.
func TestClientGoes(t *testing.T) {
	pool := database(t, `CREATE VIEW big AS SELECT i, repeat('x', 200) AS s FROM (SELECT generate_series(1, 10000000) AS i) AS g`)
	f := start(t, pool, nil)
	for range 2 * int(pool.Config().MaxConns) {
		ctx, cancel := context.WithCancel(context.Background())
		r, err := http.NewRequestWithContext(ctx, "GET", f.url+"/v1/tables/big", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := client.Do(r)
		if err != nil {
			t.Fatal(err) // 503 would not be an error here, but no connection in time is
		}
		if resp.StatusCode != http.StatusOK {
			t.Fatalf("status %d", resp.StatusCode)
		}
		cancel()
		resp.Body.Close()
	}
}

func TestStatementTimeout(t *testing.T) {
	t.Parallel()
	pool := database(t, `CREATE VIEW slow AS SELECT pg_sleep(30)::text AS s`)
	f := start(t, pool, nil)
	status, body, _ := f.get("/v1/tables/slow")
	if status != http.StatusGatewayTimeout || !strings.Contains(body, codeTimeout) || !strings.Contains(body, "57014") {
		t.Errorf("%d %s", status, body)
	}
}

func TestReadOnly(t *testing.T) {
	pool := database(t, `CREATE TABLE touched (x integer);
		CREATE FUNCTION touch() RETURNS integer LANGUAGE sql VOLATILE AS 'INSERT INTO touched VALUES (1) RETURNING x';
		CREATE VIEW writes AS SELECT touch() AS x`)
	f := start(t, pool, nil)
	status, body, _ := f.get("/v1/tables/writes")
	if status != http.StatusBadRequest || !strings.Contains(body, "25006") {
		t.Errorf("%d %s", status, body)
	}
	if got := asJSON(t, pool, "SELECT * FROM touched"); got != "[]\n" {
		t.Errorf("a read wrote: %s", got)
	}
}

func TestETag(t *testing.T) {
	pool := database(t, `CREATE TABLE a (x integer); INSERT INTO a VALUES (1)`)
	f := start(t, pool, nil)
	status, body, h := f.get("/v1/tables/a")
	tag := h.Get("ETag")
	if status != http.StatusOK || tag == "" || h.Get("Cache-Control") != "private, no-cache" {
		t.Fatalf("%d %v", status, h)
	}
	for _, header := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} {
		status, text, again := f.get("/v1/tables/a", "If-None-Match", header)
		if status != http.StatusNotModified || text != "" || again.Get("ETag") != tag {
			t.Errorf("If-None-Match %s: %d %q %v", header, status, text, again)
		}
	}
	if _, _, csv := f.get("/v1/tables/a.csv"); csv.Get("ETag") == tag {
		t.Error("JSON and CSV have the same ETag")
	}
	resp := f.do("HEAD", "/v1/tables/a", nil)
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Header.Get("ETag") != tag || resp.ContentLength != int64(len(body)) {
		t.Errorf("HEAD: %d %v", resp.StatusCode, resp.Header)
	}
	exec(t, pool, "INSERT INTO a VALUES (2)")
	status, text, _ := f.get("/v1/tables/a", "If-None-Match", tag)
	if status != http.StatusOK || text != "[{\"x\":1},\n{\"x\":2}]\n" {
		t.Errorf("after a change: %d %q", status, text)
	}
}

func TestNegotiation(t *testing.T) {
	pool := database(t, `CREATE TABLE a (x integer)`)
	f := start(t, pool, nil)
	for _, tt := range []struct {
		accept string
		want   string
	}{
		{"", "application/json; charset=utf-8"},
		{"*/*", "application/json; charset=utf-8"},
		{"text/html,application/xhtml+xml,*/*;q=0.8", "application/json; charset=utf-8"},
		{"text/csv", "text/csv; charset=utf-8; header=present"},
		{"text/*", "text/csv; charset=utf-8; header=present"},
		{"application/json;q=0.5, text/csv", "text/csv; charset=utf-8; header=present"},
		{"text/csv;q=0.5, application/*;q=0.7", "application/json; charset=utf-8"},
		{"*/*, application/json;q=0", "text/csv; charset=utf-8; header=present"},
		{"application/xml", ""},
		{"application/json;q=0", ""},
		{"application/json;q=x", ""},
	} {
		status, body, h := f.get("/v1/tables/a", "Accept", tt.accept)
		if tt.want == "" {
			if status != http.StatusNotAcceptable || !strings.Contains(body, codeAccept) {
				t.Errorf("%s: %d %s", tt.accept, status, body)
			}
			continue
		}
		if got := h.Get("Content-Type"); got != tt.want {
			t.Errorf("%s: %d %s, want %s", tt.accept, status, got, tt.want)
		}
	}
	// A suffix outdoes the header.
	if _, _, h := f.get("/v1/tables/a.csv", "Accept", "application/json"); !strings.HasPrefix(h.Get("Content-Type"), "text/csv") {
		t.Errorf("a.csv is %s", h.Get("Content-Type"))
	}
}

// TestInjection puts what breaks out of quotes into every place of a request.
// None may fail but as the grammar or a type says, and nothing may change.
func TestInjection(t *testing.T) {
	hostile := []string{
		`'`, `''`, `"`, `\`, `\'`, `'; DROP TABLE target; --`, `"; DROP TABLE target; --`, `1; DROP TABLE target`, `x' OR '1'='1`, `") OR ("1"="1`,
		`$1`, `$$`, `$1::text`, `/*`, `*/`, `--`, `%00`, "\x00", "\x1a", `{`, `{}`, `(`, `)`, `()`, `,`, `.`, `::`, `:`, `*`, `%`, `_`, `\\`,
		`pg_sleep(10)`, `(select version())`, `target`, `ctid`, `xmin`, `tableoid`, `pg_catalog.pg_authid`, `public.secret`, `secret.x`, `t.x`,
		`U&"\0061"`, `E'\x27'`, "\u02bc", "'", "\u0000", `a' UNION SELECT 1 --`, strings.Repeat("(", 500), strings.Repeat("a", 5000), "\xff\xfe", `row_to_json`, `r`, `t`,
	}
	places := []func(string) string{
		func(s string) string { return "/v1/tables/" + strings.ReplaceAll(esc(s), "+", "%20") },
		func(s string) string { return "/v1/tables/target?" + esc(s) + "=eq.1" },
		func(s string) string { return "/v1/tables/target?" + esc(s) },
		func(s string) string { return "/v1/tables/target?v=" + esc(s) },
		func(s string) string { return "/v1/tables/target?v=eq." + esc(s) },
		func(s string) string { return "/v1/tables/target?id=eq." + esc(s) },
		func(s string) string { return "/v1/tables/target?v=like." + esc(s) },
		func(s string) string { return "/v1/tables/target?v=in.(" + esc(s) + ")" },
		func(s string) string { return "/v1/tables/target?v=is." + esc(s) },
		func(s string) string { return "/v1/tables/target?v=" + esc(s) + ".1" },
		func(s string) string { return "/v1/tables/target?or=(v.eq." + esc(s) + ")" },
		func(s string) string { return "/v1/tables/target?or=(" + esc(s) + ".eq.1)" },
		func(s string) string { return "/v1/tables/target?and=" + esc(s) },
		func(s string) string { return "/v1/tables/target?select=" + esc(s) },
		func(s string) string { return "/v1/tables/target?select=" + esc(s) + ":v" },
		func(s string) string {
			return "/v1/tables/target?select=" + esc(`"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)+`"`) + ":v"
		},
		func(s string) string { return "/v1/tables/target?select=v::" + esc(s) },
		func(s string) string { return "/v1/tables/target?order=" + esc(s) },
		func(s string) string { return "/v1/tables/target?order=v." + esc(s) },
		func(s string) string { return "/v1/tables/target?limit=" + esc(s) },
		func(s string) string { return "/v1/tables/target?offset=" + esc(s) },
		func(s string) string { return "/v1/tables/target?final=" + esc(s) },
		func(s string) string { return "/v1/tables/target?cursor=" + esc(s) },
		func(s string) string {
			return "/v1/tables/target?cursor=" + base64.RawURLEncoding.EncodeToString([]byte(s))
		},
		func(s string) string { return "/v1/tables/target?v=match." + esc(s) },
		func(s string) string { return "/v1/tables/target?v=imatch(any).{" + esc(s) + "}" },
		func(s string) string { return "/v1/tables/target?v=eq(any)." + esc(s) },
		func(s string) string { return "/v1/tables/target?v=eq(" + esc(s) + ").{1}" },
		func(s string) string { return "/v1/tables/target?tags=cs." + esc(s) },
		func(s string) string { return "/v1/tables/target?r=ov." + esc(s) },
		func(s string) string { return "/v1/tables/target?doc=cd." + esc(s) },
		func(s string) string { return "/v1/tables/target?doc->" + esc(s) + "=eq.1" },
		func(s string) string {
			return "/v1/tables/target?doc->>" + esc(`"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)+`"`) + "=eq.1"
		},
		func(s string) string { return "/v1/tables/target?select=doc->" + esc(s) },
		func(s string) string { return "/v1/tables/target?select=x:doc->>" + esc(s) + "::int" },
		func(s string) string { return "/v1/tables/target?select=id." + esc(s) + "()" },
		func(s string) string { return "/v1/tables/target?select=v.max()::" + esc(s) },
		func(s string) string { return "/v1/tables/target?select=" + esc(s) + ".count(),id" },
		func(s string) string { return "/v1/tables/target?order=doc->" + esc(s) },
	}
	pool := database(t, `CREATE SCHEMA secret; CREATE TABLE secret.x AS SELECT 'SECRET' AS s;
		CREATE TABLE target (id integer PRIMARY KEY, v text, tags text[], r int4range, doc jsonb); INSERT INTO target SELECT i, 'v' || i FROM generate_series(1, 3) AS i;`)
	f := start(t, pool, nil)
	before := asJSON(t, pool, "SELECT * FROM target ORDER BY id")
	for _, place := range places {
		for _, s := range hostile {
			path := place(s)
			status, body, _ := f.get(path)
			if status >= 500 || strings.Contains(body, "42601") || strings.Contains(body, "SECRET") || strings.Contains(body, "PostgreSQL 1") {
				t.Errorf("%.200s: %d %.300s", path, status, body)
			}
			if !json.Valid([]byte(body)) {
				t.Errorf("%.200s: not JSON: %.300s", path, body)
			}
		}
	}
	for _, s := range hostile {
		for _, name := range []string{"Prefer", "Range", "Range-Unit", "Accept", "If-None-Match", "Last-Event-ID"} {
			for _, prefix := range []string{"", "timezone=", "count=", "handling=strict, ", "0-", "items="} {
				if strings.ContainsFunc(s, func(r rune) bool { return r < ' ' }) {
					continue // no header can carry it
				}
				if status, body, _ := f.get("/v1/tables/target", name, prefix+s); status >= 500 || strings.Contains(body, "SECRET") {
					t.Errorf("%s: %s%.200s: %d %.300s", name, prefix, s, status, body)
				}
			}
		}
	}
	// A value is only ever compared.
	for _, s := range hostile {
		if strings.Contains(s, "\x00") || !utf8.ValidString(s) {
			continue
		}
		if _, err := pool.Exec(context.Background(), "INSERT INTO target VALUES (99, $1)", s); err != nil {
			t.Fatal(err)
		}
		if _, body, _ := f.get("/v1/tables/target?select=id&v=eq." + esc(s)); body != "[{\"id\":99}]\n" {
			t.Errorf("eq.%.50s finds %s", s, body)
		}
		exec(t, pool, "DELETE FROM target WHERE id = 99")
	}
	if diff := cmp.Diff(before, asJSON(t, pool, "SELECT * FROM target ORDER BY id")); diff != "" {
		t.Error(diff)
	}
}
