package serve

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// injections are 500 strings and more: ways out of where a text stands, times
// what somebody would like to have run there.
func injections() []string {
	ways := []string{"", "'", `"`, "')", `")`, "1", "1)", "x'", `\'`, "$$", "';", `";`, "*/", "eq.1'", "(", "v"}
	acts := []string{
		"; DROP TABLE target", "; DROP TABLE target; --", " OR 1=1 --", " OR 'a'='a", ` OR "a"="a`, " UNION SELECT s FROM secret.x --", "||(SELECT s FROM secret.x)||'",
		"; COPY target TO PROGRAM 'touch /tmp/millstream-injected' --", "; SELECT pg_sleep(100) --", "||pg_sleep(100)--", " AND 1=(SELECT 1 FROM pg_sleep(100)) --",
		"; UPDATE target SET v = 'x' --", "; SET ROLE postgres --", "; SELECT pg_read_file('/etc/passwd') --", " LIMIT 0; TRUNCATE target --", "::regclass", "::text::xml",
		",lo_import('/etc/passwd')", ",(SELECT string_agg(sha256::text, ',') FROM millstream.api_keys)", "; CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1' --",
		"%27%20OR%201=1--", "\u2019 OR 1=1 --", "/**/UNION/**/SELECT/**/s/**/FROM/**/secret.x", "\n; DELETE FROM target\n--", "\x00; DROP TABLE target", "${jndi:ldap://127.0.0.1:1/a}",
		"{{7*7}}", "<script>alert(1)</script>", "\"><img src=x onerror=alert(1)>", "../../../../etc/passwd", "%0d%0aSet-Cookie: a=b", "\r\nX-Injected: 1",
	}
	out := []string{}
	for _, way := range ways {
		for _, act := range acts {
			out = append(out, way+act)
		}
	}
	return out
}

// TestInjections puts each string into every parameter, header, path and body
// of the API. No request may fail on our side, tell what it should not, take
// its time, or change anything.
func TestInjections(t *testing.T) {
	pool := database(t, liveTable, `CREATE SCHEMA secret; CREATE TABLE secret.x AS SELECT 'TOP-SECRET' AS s;
		CREATE TABLE target (id integer PRIMARY KEY, v text, doc jsonb); INSERT INTO target SELECT i, 'v' || i FROM generate_series(1, 3) AS i`)
	key := newKey(t, pool, "tester", apikey.All, nil)
	log := broker(t)
	plan := events()
	plan.Views = livePlan().Views
	f := start(t, pool, func(c *Config) {
		c.Pipeline, c.Status, c.Producer, c.Log = plan, noStatus{}, ToKafka(log.Producer), nil
	})
	all := injections()
	if len(all) < 500 {
		t.Fatalf("%d strings", len(all))
	}
	state := func() string {
		return asJSON(t, pool, "SELECT * FROM target ORDER BY id") + asJSON(t, pool, "SELECT count(*) FROM pg_proc") + asJSON(t, pool, "SELECT id, name, scopes, revoked_at FROM millstream.api_keys") +
			asJSON(t, pool, "SELECT relname FROM pg_class WHERE relname !~ '^pg_' ORDER BY 1")
	}
	before := state()
	for _, place := range injectionPlaces {
		for _, s := range all {
			r := place.request(f.url, s)
			if r == nil {
				continue
			}
			r.Header.Set("X-API-Key", key)
			if place.name == "key" {
				r.Header.Set("X-API-Key", s)
			}
			checkInjected(t, place.name, s, r)
		}
	}
	if diff := cmp.Diff(before, state()); diff != "" {
		t.Error(diff)
	}
}

func checkInjected(t *testing.T, place, s string, r *http.Request) {
	t.Helper()
	ctx, cancel := context.WithTimeout(r.Context(), 2*statementTimeout) // else it would be one that sleeps
	defer cancel()
	resp, err := client.Do(r.WithContext(ctx))
	if err != nil {
		if strings.Contains(err.Error(), "invalid header") {
			return // it can't be sent
		}
		t.Errorf("%s %q: %v", place, s, err)
		return
	}
	if strings.HasPrefix(resp.Header.Get("Content-Type"), "text/event-stream") {
		resp.Body.Close() // a stream has no end; it began
		return
	}
	body := readAll(t, resp)
	told := strings.ReplaceAll(body, s, "") // an error may repeat what it was asked
	if resp.StatusCode >= 500 || strings.Contains(told, "TOP-SECRET") || strings.Contains(told, "root:x:") ||
		place != "query" && strings.Contains(told, "42601") || // elsewhere, nothing of a client is SQL

		resp.Header.Get("X-Injected") != "" || len(resp.Cookies()) > 0 {
		t.Errorf("%s %q: %d %v %.300s", place, s, resp.StatusCode, resp.Header, body)
	}
	if resp.StatusCode != http.StatusNotModified && strings.Contains(resp.Header.Get("Content-Type"), "json") && !json.Valid([]byte(body)) {
		t.Errorf("%s %q: no JSON: %.300s", place, s, body)
	}
}

type injectionPlace struct {
	name    string
	request func(base, s string) *http.Request
}

// injectionPlaces are every place of a request that a client fills.
var injectionPlaces = func() []injectionPlace {
	var places []injectionPlace
	add := func(name, method string, address func(s string) string, change func(r *http.Request, s string)) {
		places = append(places, injectionPlace{name, func(base, s string) *http.Request {
			r, err := http.NewRequest(method, base+address(s), nil)
			if err != nil {
				return nil // no client can write it
			}
			if change != nil {
				change(r, s)
			}
			return r
		}})
	}
	fixed := func(path string) func(string) string { return func(string) string { return path } }
	for _, parameter := range []string{"select", "order", "limit", "offset", "cursor", "final", "and", "or", "not.and", "not.or", "v", "id", "doc->a"} {
		add(parameter, "GET", func(s string) string {
			return "/v1/tables/target?" + url.QueryEscape(parameter) + "=" + url.QueryEscape(s)
		}, nil)
	}
	for name, value := range map[string]string{"v": "eq.%s", "id": "eq.%s", "doc": "cs.%s", "select": "v::%s", "order": "v.%s", "or": "(v.eq.%s,id.eq.1)", "and": "(%s.eq.1)"} {
		add(name+"="+value, "GET", func(s string) string {
			return "/v1/tables/target?" + name + "=" + url.QueryEscape(fmt.Sprintf(value, s))
		}, nil)
	}
	add("parameter", "GET", func(s string) string { return "/v1/tables/target?" + url.QueryEscape(s) + "=eq.1" }, nil)
	add("table", "GET", func(s string) string { return "/v1/tables/" + url.PathEscape(s) }, nil)
	add("live table", "GET", func(s string) string { return "/v1/tables/" + url.PathEscape(s) + "/live" }, nil)
	add("live filter", "GET", func(s string) string { return "/v1/tables/totals/live?k=eq." + url.QueryEscape(s) }, nil)
	add("stream", "GET", func(s string) string { return "/v1/live?stream=" + url.QueryEscape(s) }, nil)
	add("a stream's filter", "GET", func(s string) string { return "/v1/live?stream=" + url.QueryEscape("totals?k=eq."+url.QueryEscape(s)) }, nil)
	for _, name := range []string{"Prefer", "Range", "Range-Unit", "Accept", "If-None-Match", "Cookie", "Origin", "Authorization", "X-Forwarded-For", "X-Forwarded-Proto"} {
		add(name, "GET", fixed("/v1/tables/target"), func(r *http.Request, s string) { r.Header.Set(name, s) })
	}
	add("Prefer: timezone", "GET", fixed("/v1/tables/target"), func(r *http.Request, s string) { r.Header.Set("Prefer", "timezone="+s) })
	add("Last-Event-ID", "GET", fixed("/v1/tables/totals/live"), func(r *http.Request, s string) { r.Header.Set("Last-Event-ID", s) })
	add("key", "GET", fixed("/v1/session"), nil)
	add("topic", "POST", func(s string) string { return "/v1/topics/" + url.PathEscape(s) }, nil)
	add("record key", "POST", func(s string) string { return "/v1/topics/raw?key=" + url.QueryEscape(s) }, body("application/json", `{"type": %s}`))
	add("record", "POST", fixed("/v1/topics/raw"), body("application/json", `{"type": %s}`))
	add("record, bare", "POST", fixed("/v1/topics/raw"), func(r *http.Request, s string) { setBody(r, "application/json", s) })
	add("Content-Type", "POST", fixed("/v1/topics/raw"), func(r *http.Request, s string) { setBody(r, s, `{"type": "a"}`) })
	add("session", "POST", fixed("/v1/session"), body("application/json", `{"key": %s}`))
	add("query", "GET", func(s string) string { return "/v1/query?sql=" + url.QueryEscape(s) }, nil)
	return places
}()

// body puts a string into JSON.
func body(media, format string) func(*http.Request, string) {
	return func(r *http.Request, s string) {
		text, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		setBody(r, media, fmt.Sprintf(format, text))
	}
}

func setBody(r *http.Request, media, text string) {
	r.Header.Set("Content-Type", media)
	r.Body, r.ContentLength = http.NoBody, 0
	if text != "" {
		b := bytes.NewReader([]byte(text))
		r.Body, r.ContentLength = readCloser{b}, int64(b.Len())
	}
}

type readCloser struct{ *bytes.Reader }

func (readCloser) Close() error { return nil }
