package serve

import (
	"net/http"
	"strings"
	"testing"
)

// TestCORS asks as pages of other origins do.
func TestCORS(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	const named, other = "https://app.example", "https://evil.example"
	for _, origins := range [][]string{nil, {named}} {
		f := start(t, pool, func(c *Config) { c.Origins, c.KeyFile = origins, keyFile(t, secret) })
		for _, origin := range []string{named, other, "null", named + ".evil.example"} {
			_, _, h := f.get("/v1/tables/a", "Origin", origin, "X-API-Key", secret)
			want := ""
			if origins != nil && origin == named {
				want = named
			}
			if got := h.Get("Access-Control-Allow-Origin"); got != want || h.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%v are named, %s asks: it may be %q", origins, origin, got)
			}
			resp := f.do("OPTIONS", "/v1/tables/a", nil, "Origin", origin, "Access-Control-Request-Method", "GET", "Access-Control-Request-Headers", "x-api-key")
			readAll(t, resp)
			if got := resp.StatusCode == http.StatusNoContent && strings.Contains(resp.Header.Get("Access-Control-Allow-Headers"), "X-API-Key"); got != (want != "") {
				t.Errorf("%v are named, %s asks beforehand: %d %v", origins, origin, resp.StatusCode, resp.Header)
			}
			resp = f.do("POST", "/v1/topics/a", strings.NewReader("{}"), "Origin", origin, "Sec-Fetch-Site", "cross-site", "X-API-Key", secret)
			if body := readAll(t, resp); strings.Contains(body, codeCrossOrigin) != (want == "") {
				t.Errorf("%v are named, %s posts: %d %s", origins, origin, resp.StatusCode, body)
			}
			if resp = f.do("GET", "/v1/tables/a", nil, "Origin", origin); resp.StatusCode != 401 {
				t.Errorf("an origin does in place of a key: %d", resp.StatusCode)
			}
			readAll(t, resp)
		}
	}
	for _, origin := range []string{"*", "app.example", "https://app.example/", "https://app.example/page", "null", "ftp://app.example"} {
		if _, err := New(Config{Addr: "127.0.0.1:0", Pool: pool, Origins: []string{origin}}); err == nil {
			t.Errorf("%s is taken as an origin", origin)
		}
	}
}
