package serve

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// newKey makes a key in the database.
func newKey(t testing.TB, pool *pgxpool.Pool, name string, scopes apikey.Scope, change func(*apikey.Key)) string {
	t.Helper()
	k := apikey.Key{Name: name, Scopes: scopes}
	if change != nil {
		change(&k)
	}
	text, _, err := apikey.Create(context.Background(), pool, k)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func revoke(t testing.TB, pool *pgxpool.Pool, name string) {
	t.Helper()
	if _, err := apikey.Revoke(context.Background(), pool, name); err != nil {
		t.Fatal(err)
	}
}

// placeholder is a part of a pattern that stands for any value.
var placeholder = regexp.MustCompile(`\{[^}]*\}`)

// address gives a method and a path that meet a pattern.
func address(pattern string) (method, path string) {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		return "GET", pattern + "no/such/route"
	}
	return method, placeholder.ReplaceAllStringFunc(path, func(p string) string {
		if p == "{$}" {
			return ""
		}
		return "a"
	})
}

// TestEveryRouteHasARule takes the routes from the router itself.
func TestEveryRouteHasARule(t *testing.T) {
	f := start(t, database(t), nil)
	there := map[string]bool{}
	for _, pattern := range f.router.patterns {
		there[pattern] = true
		if _, ok := rules[pattern]; !ok {
			t.Errorf("the route %q has no rule: say in rules.go who may call it", pattern)
		}
	}
	for pattern := range rules {
		if !there[pattern] {
			t.Errorf("rules.go has a rule for %q, and there is no such route", pattern)
		}
	}
	// What is forgotten is closed.
	f.router.HandleFunc("GET /forgotten", func(http.ResponseWriter, *http.Request) {})
	r, err := http.NewRequest("GET", "/forgotten", nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := f.router.ruleOf(r); got != admin {
		t.Errorf("a route without a rule asks for %+v", got)
	}
}

// TestEveryRouteAsksForAKey tries every route of the router with no key, with
// what is none, with keys of each scope, and with keys that have ended.
func TestEveryRouteAsksForAKey(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	keys := map[string]string{
		"ingest": newKey(t, pool, "ingest", apikey.Ingest, nil), "read": newKey(t, pool, "read", apikey.Read, nil),
		"admin": newKey(t, pool, "admin", apikey.Admin, nil), "all": newKey(t, pool, "all", apikey.All, nil),
		"revoked": newKey(t, pool, "revoked", apikey.All, nil),
		"expired": newKey(t, pool, "expired", apikey.All, func(k *apikey.Key) { k.Expires = time.Now().Add(-time.Second) }),
	}
	revoke(t, pool, "revoked")
	f := start(t, pool, func(c *Config) { c.KeyFile = keyFile(t, secret) })
	cookies := map[string]string{}
	for _, name := range []string{"ingest", "read", "admin", "all"} {
		cookies[name] = signIn(t, f, keys[name])
	}
	type try struct {
		name    string
		query   string
		header  []string
		scopes  apikey.Scope
		unknown bool // 401 is wanted where a key is asked for
	}
	bearer := func(key string) []string { return []string{"Authorization", "Bearer " + key} }
	all := keys["all"]
	tries := []try{
		{name: "no key", unknown: true},
		{name: "a wrong key", header: bearer(secret + "x"), unknown: true},
		{name: "an empty key", header: bearer(""), unknown: true},
		{name: "another scheme", header: []string{"Authorization", "Basic " + secret}, unknown: true},
		{name: "the key in the query string", query: "?key=" + secret + "&apikey=" + all + "&api_key=" + secret, unknown: true},
		{name: "the key in a cookie", header: []string{"Cookie", f.cookieName() + "=" + all + "; key=" + secret}, unknown: true},
		{name: "a wrong X-API-Key", header: []string{"X-API-Key", "wrong"}, unknown: true},
		{name: "the id of a key", header: bearer(all[:len(apikey.Prefix)+10]), unknown: true},
		{name: "the id of a key and another secret", header: bearer(all[:len(all)-26] + keys["read"][len(all)-26:]), unknown: true},
		{name: "a token", header: bearer("e30.e30.e30"), unknown: true},
		{name: "an expired key", header: bearer(keys["expired"]), unknown: true},
		{name: "a revoked key", header: bearer(keys["revoked"]), unknown: true},
		{name: "a cookie, from another site", header: []string{"Cookie", cookies["all"], "Sec-Fetch-Site", "cross-site"}, unknown: true},
		{name: "a cookie, from another port", header: []string{"Cookie", cookies["all"], "Sec-Fetch-Site", "same-site"}, unknown: true},
		{name: "the file's key", header: bearer(secret), scopes: apikey.All},
		{name: "the file's key, in lower case", header: []string{"Authorization", "bearer " + secret}, scopes: apikey.All},
		{name: "the file's key as X-API-Key", header: []string{"X-API-Key", secret}, scopes: apikey.All},
	}
	for _, scope := range []apikey.Scope{apikey.Ingest, apikey.Read, apikey.Admin, apikey.All} {
		name := scope.String()
		if scope == apikey.All {
			name = "all"
		}
		tries = append(tries, try{name: "a key for " + name, header: bearer(keys[name]), scopes: scope},
			try{name: "X-API-Key for " + name, header: []string{"X-API-Key", keys[name]}, scopes: scope},
			try{name: "a cookie for " + name, header: []string{"Cookie", cookies[name], "Sec-Fetch-Site", "same-origin"}, scopes: scope})
	}
	for _, pattern := range f.router.patterns {
		method, path := address(pattern)
		for _, try := range tries {
			if method == http.MethodDelete && strings.Contains(strings.Join(try.header, ""), "Cookie") {
				continue // it would sign out
			}
			asked := rules[pattern]
			resp := f.do(method, path+try.query, nil, try.header...)
			body := readAll(t, resp)
			is := func(status int, code string) bool { return resp.StatusCode == status && strings.Contains(body, code) }
			switch {
			case asked.open:
				if is(401, codeUnauthorized) || is(403, codeScope) {
					t.Errorf("%s with %s: the route is open: %d %s", pattern, try.name, resp.StatusCode, body)
				}
			case try.unknown:
				if !is(401, codeUnauthorized) || resp.Header.Get("WWW-Authenticate") == "" {
					t.Errorf("%s with %s: %d %s", pattern, try.name, resp.StatusCode, body)
				}
			case try.scopes.Has(asked.scope):
				if resp.StatusCode == 401 || is(403, "") {
					t.Errorf("%s with %s: %d %s", pattern, try.name, resp.StatusCode, body)
				}
			case !is(403, codeScope):
				t.Errorf("%s with %s: %d %s", pattern, try.name, resp.StatusCode, body)
			}
			for _, k := range append([]string{secret}, all, keys["expired"], keys["revoked"]) {
				if strings.Contains(body, k) {
					t.Errorf("%s with %s: the answer repeats a key", pattern, try.name)
				}
			}
		}
	}
}

// signIn exchanges a key for a cookie.
func signIn(t *testing.T, f *fixture, key string) string {
	t.Helper()
	resp := f.do("POST", "/v1/session", strings.NewReader(fmt.Sprintf(`{"key": %q}`, key)), "Content-Type", "application/json", "Sec-Fetch-Site", "same-origin")
	body := readAll(t, resp)
	if resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 {
		t.Fatalf("sign in: %d %s", resp.StatusCode, body)
	}
	c := resp.Cookies()[0]
	if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.MaxAge <= 0 || c.MaxAge > int(sessionLife.Seconds()) || strings.Contains(c.Value+body, key) {
		t.Errorf("the cookie is %v", c)
	}
	return c.Name + "=" + c.Value
}

func sessionOf(t *testing.T, f *fixture, header ...string) sessionState {
	t.Helper()
	_, body, _ := f.get("/v1/session", header...)
	var state sessionState
	if err := json.Unmarshal([]byte(body), &state); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return state
}

// TestSession signs in, asks, and signs out.
func TestSession(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	f := start(t, pool, nil)
	if got := sessionOf(t, f); got.Protected || !got.Known || len(got.Scopes) != 3 {
		t.Errorf("without any key: %+v", got)
	}
	key := newKey(t, pool, "page", apikey.Read, func(k *apikey.Key) { k.Expires = time.Now().Add(time.Hour) })
	f = start(t, pool, nil)
	if got := sessionOf(t, f); !got.Protected || got.Known || len(got.Scopes) != 0 {
		t.Errorf("nobody: %+v", got)
	}
	for _, body := range []string{`{"key": "ms_wrong"}`, `{"key": "` + key[:len(key)-1] + `"}`} {
		resp := f.do("POST", "/v1/session", strings.NewReader(body), "Content-Type", "application/json")
		if text := readAll(t, resp); resp.StatusCode != 401 || len(resp.Cookies()) != 0 {
			t.Errorf("%s: %d %s", body, resp.StatusCode, text)
		}
	}
	resp := f.do("POST", "/v1/session", strings.NewReader(`{"key": "`+key+`"}`), "Content-Type", "application/json", "Sec-Fetch-Site", "cross-site")
	if readAll(t, resp); resp.StatusCode != 403 || len(resp.Cookies()) != 0 {
		t.Errorf("from another site: %d", resp.StatusCode)
	}
	cookie := signIn(t, f, key)
	got := sessionOf(t, f, "Cookie", cookie)
	if !got.Known || got.Name != "page" || len(got.Scopes) != 1 || got.Expires == nil || time.Until(*got.Expires) > time.Hour {
		t.Errorf("with the cookie: %+v", got)
	}
	if status, body, _ := f.get("/v1/tables/a", "Cookie", cookie); status != 200 {
		t.Errorf("%d %s", status, body)
	}
	resp = f.do("DELETE", "/v1/session", nil, "Cookie", cookie)
	if readAll(t, resp); resp.StatusCode != 200 || len(resp.Cookies()) != 1 || resp.Cookies()[0].MaxAge >= 0 {
		t.Errorf("signing out: %d %v", resp.StatusCode, resp.Cookies())
	}
	if status, _, _ := f.get("/v1/tables/a", "Cookie", cookie); status != 401 {
		t.Errorf("a cookie that was given back: %d", status)
	}
	// A cookie ends with its key.
	cookie = signIn(t, f, key)
	revoke(t, pool, "page")
	reread(t, f)
	if status, body, _ := f.get("/v1/tables/a", "Cookie", cookie); status != 401 || !strings.Contains(body, "revoked") {
		t.Errorf("the cookie of a revoked key: %d %s", status, body)
	}
}

// TestSessionsBounded holds that cookies make no memory without end.
func TestSessionsBounded(t *testing.T) {
	s, now := &sessions{}, time.Now()
	first, _ := s.begin(&principal{expires: now.Add(time.Minute)}, now)
	last, _ := s.begin(&principal{}, now)
	for range maxSessions {
		s.begin(&principal{expires: now.Add(2 * time.Minute)}, now)
	}
	if len(s.whose) != maxSessions || s.find(first, now) != nil || s.find(last, now) == nil {
		t.Errorf("%d sessions; the first to end is kept: %t", len(s.whose), s.find(first, now) != nil)
	}
	if s.find(last, now.Add(sessionLife)) != nil {
		t.Error("a cookie has no end")
	}
}

// reread makes the server read the keys again, as it does by itself after a
// second.
func reread(t testing.TB, f *fixture) {
	t.Helper()
	f.keys.mu.Lock()
	f.keys.set = nil
	f.keys.mu.Unlock()
	if _, err := f.keys.get(context.Background(), 0); err != nil {
		t.Fatal(err)
	}
}

// TestKeysOfARunningServer makes and revokes keys beside it.
func TestKeysOfARunningServer(t *testing.T) {
	pool := database(t, liveTable)
	f := start(t, pool, func(c *Config) { c.Pipeline, c.Status = livePlan(), noStatus{} })
	ask := func(key string) int {
		status, _, _ := f.get("/v1/tables/totals", "X-API-Key", key)
		return status
	}
	if got := ask("none"); got != 200 {
		t.Errorf("on loopback, without any key: %d", got)
	}
	key := newKey(t, pool, "one", apikey.Read, nil)
	reread(t, f)
	if got := ask(""); got != 401 {
		t.Errorf("the database has a key, and without one the answer is %d", got)
	}
	if got := ask(key); got != 200 {
		t.Errorf("with the key: %d", got)
	}
	// A key that the last reading lacks is looked for at once.
	f.keys.mu.Lock()
	f.keys.set.at = f.keys.set.at.Add(-2 * keysAgain)
	f.keys.mu.Unlock()
	if got := ask(newKey(t, pool, "two", apikey.Read, nil)); got != 200 {
		t.Errorf("with a key that was just made: %d", got)
	}
	// A stream ends with its key, at the next look.
	resp := f.do("GET", "/v1/tables/totals/live", nil, "X-API-Key", key)
	f.keys.mu.Lock()
	f.keys.set.at = f.keys.set.at.Add(-time.Hour)
	f.keys.mu.Unlock()
	revoke(t, pool, "one")
	revoke(t, pool, "two")
	f.endRevoked(t.Context())
	readAll(t, resp) // ends
	if got := ask(key); got != 401 {
		t.Errorf("with a revoked key: %d", got)
	}
	if got := ask(""); got != 401 {
		t.Errorf("the last key is revoked, and the server has opened: %d", got)
	}
}

// TestKeysAway asks while the database gives no keys: what was read last
// counts for a while, and nothing opens.
func TestKeysAway(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	key := newKey(t, pool, "one", apikey.All, nil)
	f := start(t, pool, nil)
	if status, body, _ := f.get("/v1/pipeline", "X-API-Key", key); strings.Contains(body, codeUnauthorized) {
		t.Fatalf("%d %s", status, body)
	}
	exec(t, pool, "ALTER TABLE millstream.api_keys RENAME COLUMN sha256 TO gone")
	age := func(by time.Duration) {
		f.keys.mu.Lock()
		defer f.keys.mu.Unlock()
		f.keys.set.at, f.keys.tried = time.Now().Add(-by), time.Time{}
	}
	age(keysStale / 2)
	if status, body, _ := f.get("/v1/pipeline", "X-API-Key", key); strings.Contains(body, "keys") {
		t.Errorf("half a minute later: %d %s", status, body)
	}
	age(2 * keysStale)
	for _, k := range []string{key, "", "ms_aaaaaaaaaa_BBBBBBBBBBBBBBBBBBBBBBBBBB"} {
		if status, body, _ := f.get("/v1/tables/a", "X-API-Key", k); status != 503 || !strings.Contains(body, "API keys") {
			t.Errorf("two minutes later, with %q: %d %s", k, status, body)
		}
	}
	s, err := New(Config{Addr: "0.0.0.0:0", Pool: pool})
	if err == nil || s != nil {
		t.Error("a server that others can reach starts without knowing its keys")
	}
}
