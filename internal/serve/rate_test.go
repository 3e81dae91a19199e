package serve

import (
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// TestLimiter steps a clock through bursts and waits.
func TestLimiter(t *testing.T) {
	l, at := &limiter{}, time.Unix(1_700_000_000, 0)
	for i := range 5 {
		if a := l.take("a", 5, at); a.wait != 0 || a.left != 4-i || a.limit != 5 {
			t.Errorf("request %d of a burst: %+v", i, a)
		}
	}
	a := l.take("a", 5, at)
	if a.wait != 200*time.Millisecond || a.left != 0 || a.reset != time.Second {
		t.Errorf("one too many: %+v", a)
	}
	if b := l.take("b", 5, at); b.wait != 0 {
		t.Errorf("another's: %+v", b)
	}
	if a := l.take("a", 5, at.Add(199*time.Millisecond)); a.wait != time.Millisecond {
		t.Errorf("just before: %+v", a)
	}
	if a := l.take("a", 5, at.Add(200*time.Millisecond)); a.wait != 0 {
		t.Errorf("at the time that it said: %+v", a)
	}
	if a := l.take("slow", 0.1, at); a.wait != 0 || a.limit != 1 {
		t.Errorf("one in ten seconds: %+v", a)
	}
	if a := l.take("slow", 0.1, at.Add(4*time.Second)); a.wait != 6*time.Second {
		t.Errorf("four seconds later: %+v", a)
	}
	// Over a long time, the rate is what comes through.
	passed := 0
	for i := range 10_000 {
		if l.take("c", 50, at.Add(time.Duration(i)*time.Millisecond)).wait == 0 {
			passed++
		}
	}
	if passed < 545 || passed > 550 {
		t.Errorf("%d in ten seconds at 50 a second, after a burst of 50", passed)
	}
	if l.take("d", 1, at.Add(time.Hour)); len(l.next) != 1 {
		t.Errorf("%d are remembered that have long had all room again", len(l.next)-1)
	}
}

// TestRates asks too often: by a key with its own rate, by one with the
// setting's, and from an address.
func TestRates(t *testing.T) {
	pool := database(t, "CREATE TABLE a (x integer)")
	own := newKey(t, pool, "own", apikey.Read, func(k *apikey.Key) { k.Rate = 0.01 })
	set := newKey(t, pool, "set", apikey.Read, nil)
	f := start(t, pool, func(c *Config) { c.Limits = Limits{KeyRate: 0.02, AddressRate: 3} })
	ask := func(from, path string, header ...string) *http.Response {
		r := httptest.NewRequest("GET", path, nil)
		r.RemoteAddr = from
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		w := httptest.NewRecorder()
		f.Handler().ServeHTTP(w, r)
		return w.Result()
	}
	wait := func(r *http.Response) int {
		n, err := strconv.Atoi(r.Header.Get("Retry-After"))
		if err != nil {
			t.Errorf("Retry-After %q", r.Header.Get("Retry-After"))
		}
		return n
	}
	for key, seconds := range map[string]int{own: 100, set: 50} {
		first := ask("127.0.0.1:1", "/v1/tables", "X-API-Key", key)
		if first.StatusCode != 200 || first.Header.Get("RateLimit-Limit") != "1" || first.Header.Get("RateLimit-Remaining") != "0" ||
			first.Header.Get("RateLimit-Reset") != strconv.Itoa(seconds) || first.Header.Get("RateLimit-Policy") != "1;w=1" {
			t.Errorf("the first: %d %v", first.StatusCode, first.Header)
		}
		second := ask("127.0.0.1:1", "/v1/tables", "X-API-Key", key)
		body := readAll(t, second)
		if second.StatusCode != 429 || !strings.Contains(body, codeRate) || wait(second) < seconds-1 || wait(second) > seconds {
			t.Errorf("the second: %d %v %s", second.StatusCode, second.Header, body)
		}
	}
	for i := range 4 {
		got := ask("192.0.2.1:"+strconv.Itoa(i), "/v1/tables").StatusCode
		if want := map[bool]int{true: 401, false: 429}[i < 3]; got != want {
			t.Errorf("request %d of an address: %d, want %d", i, got, want)
		}
	}
	if got := ask("192.0.2.1:9", "/livez").StatusCode; got != 200 {
		t.Errorf("/livez: %d", got)
	}
	for range 10 {
		if got := ask("127.0.0.1:9", "/v1/tables").StatusCode; got != 401 {
			t.Errorf("from loopback: %d", got)
		}
	}
	// One household has one share, however many addresses.
	for i := range 4 {
		got := ask("[2001:db8::"+strconv.Itoa(i)+"]:1", "/v1/tables").StatusCode
		if want := map[bool]int{true: 401, false: 429}[i < 3]; got != want {
			t.Errorf("request %d of a /64: %d, want %d", i, got, want)
		}
	}
}
