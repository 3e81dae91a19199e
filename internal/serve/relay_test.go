package serve

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// leader is a server that tells what it was asked.
func leader(t *testing.T, answer http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(answer)
	t.Cleanup(s.Close)
	return s
}

func echo(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body) // what can't be read is not in the answer
	w.Header().Set("X-Asked", r.Host+" "+r.Header.Get("X-API-Key")+" "+r.Header.Get("X-Forwarded-Proto")+" "+r.Header.Get(relayedHeader))
	w.WriteHeader(http.StatusTeapot)
	_, _ = w.Write([]byte(r.Method + " " + r.URL.String() + " " + string(body)))
}

// A server that stands by passes requests on as they are, but for those about
// itself; it leads when it is told to.
func TestRelay(t *testing.T) {
	f := start(t, database(t), nil)
	up := leader(t, echo)
	f.StandBy(up.URL)
	resp := f.do("POST", "/v1/topics/a%20b?ack=log&x=%2F", strings.NewReader("body"), "X-API-Key", "k", "X-Forwarded-Proto", "https")
	body, _ := io.ReadAll(resp.Body)
	resp.Body.Close()
	if resp.StatusCode != http.StatusTeapot || string(body) != "POST /v1/topics/a%20b?ack=log&x=%2F body" {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if asked := resp.Header.Get("X-Asked"); asked != strings.TrimPrefix(f.url, "http://")+" k https 1" {
		t.Errorf("the leader was asked as %q", asked)
	}
	for path := range ownPaths {
		if code, body, _ := f.get(path); code != http.StatusOK || strings.HasPrefix(body, "GET") {
			t.Errorf("%s: %d %s", path, code, body)
		}
	}
	if code, body, _ := f.get("/v1/tables", relayedHeader, "1"); code != http.StatusOK {
		t.Errorf("a request that was passed on once: %d %s", code, body)
	}
	f.Lead()
	if code, body, _ := f.get("/v1/tables"); code != http.StatusOK || strings.HasPrefix(body, "GET") {
		t.Errorf("leading: %d %s", code, body)
	}
}

// A leader that has died, or whose address is not known, costs what needs it
// and nothing else.
func TestRelayWithoutLeader(t *testing.T) {
	f := start(t, database(t), func(c *Config) { c.Status = fixedStatus{}; c.Pipeline = livePlan() })
	up := leader(t, echo)
	f.StandBy(up.URL)
	up.Close()
	code, body, header := f.get("/v1/tables")
	if code != http.StatusServiceUnavailable || header.Get("Retry-After") == "" || !strings.Contains(body, "the process that leads does not answer") {
		t.Errorf("a leader that has gone: %d %v %s", code, header, body)
	}
	f.StandBy("")
	if code, body, _ := f.get("/v1/tables"); code != http.StatusOK {
		t.Errorf("reading: %d %s", code, body)
	}
	if code, body, _ := f.get("/v1/live?stream=t"); code != http.StatusServiceUnavailable || !strings.Contains(body, "MILLSTREAM_ADVERTISE") {
		t.Errorf("a stream: %d %s", code, body)
	}
}

// What is passed on ends when this process leads or the server stops: its
// clients come again.
func TestRelayEnds(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*fixture, context.CancelFunc)
	}{
		{"leads", func(f *fixture, _ context.CancelFunc) { f.Lead() }},
		{"stops", func(_ *fixture, stop context.CancelFunc) { stop() }},
	} {
		t.Run(c.name, func(t *testing.T) {
			f, stop := startToStop(t, database(t), nil)
			up := leader(t, func(w http.ResponseWriter, r *http.Request) {
				_, _ = io.WriteString(w, "data: 1\n\n")
				_ = http.NewResponseController(w).Flush()
				<-r.Context().Done()
			})
			f.StandBy(up.URL)
			resp := f.do("GET", "/v1/tables/t/live", nil)
			defer resp.Body.Close()
			first := make([]byte, 9)
			if _, err := io.ReadFull(resp.Body, first); err != nil || string(first) != "data: 1\n\n" {
				t.Fatalf("%q %v", first, err)
			}
			c.end(f, stop)
			if rest, _ := io.ReadAll(resp.Body); len(rest) > 0 { // cut off: an error is as good as an end
				t.Errorf("more came: %q", rest)
			}
		})
	}
}

// A server that others can reach passes nothing on to one that only its own
// machine can, since that one asks for no key.
func TestRelayOpensNothing(t *testing.T) {
	f := start(t, database(t), func(c *Config) { c.Addr = "0.0.0.0:0"; c.Key = strings.Repeat("k", minKeyBytes) })
	up := leader(t, echo)
	for _, address := range []string{up.URL, strings.Replace(up.URL, "127.0.0.1", "localhost", 1), strings.Replace(up.URL, "127.0.0.1", "[::1]", 1)} {
		f.StandBy(address)
		if on, to, _ := f.standby.now(); !on || to != nil {
			t.Errorf("it passes on to %v", to)
		}
	}
	f.StandBy("http://10.1.2.3:5000")
	if _, to, _ := f.standby.now(); to == nil {
		t.Error("it does not pass on to one that others can reach")
	}
}
