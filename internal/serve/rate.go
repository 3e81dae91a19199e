package serve

import (
	"fmt"
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// rateBurst is how many seconds' worth of requests may come at once.
const rateBurst = 1.0

// sweepEvery is how often a limiter forgets who has long had all room again.
const sweepEvery = 10 * time.Second

// limiter bounds the requests of each of many: the generic cell rate
// algorithm, which needs one time for each of them (ITU-T I.371, annex A).
type limiter struct {
	mu    sync.Mutex
	next  map[string]time.Time // when the bucket is full again
	swept time.Time
}

// allowance is where somebody stands after a request.
type allowance struct {
	limit, left int
	reset       time.Duration // until all room is there again
	wait        time.Duration // until the next request is taken; 0: this one was
}

// take asks for a request of id at a rate per second.
func (l *limiter) take(id string, rate float64, now time.Time) allowance {
	step := time.Duration(float64(time.Second) / rate)
	burst := max(1, math.Floor(rate*rateBurst))
	room := time.Duration(burst * float64(step))
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.swept) > sweepEvery {
		l.sweep(now)
	}
	full := l.next[id]
	if full.Before(now) {
		full = now
	}
	a := allowance{limit: int(burst)}
	if over := full.Add(step).Sub(now) - room; over > 0 {
		a.reset, a.wait = full.Sub(now), over
		return a
	}
	full = full.Add(step)
	l.next[id] = full
	a.reset = full.Sub(now)
	a.left = int((room - a.reset) / step)
	return a
}

// sweep forgets those that have all room again. mu is held.
func (l *limiter) sweep(now time.Time) {
	if l.next == nil {
		l.next = map[string]time.Time{}
	}
	for id, full := range l.next {
		if full.Before(now) {
			delete(l.next, id)
		}
	}
	l.swept = now
}

// headers tells an allowance as clients expect it.
func (a allowance) headers(h http.Header) {
	h.Set("RateLimit-Limit", strconv.Itoa(a.limit))
	h.Set("RateLimit-Remaining", strconv.Itoa(a.left))
	h.Set("RateLimit-Reset", seconds(a.reset))
	h.Set("RateLimit-Policy", fmt.Sprintf("%d;w=%.0f", a.limit, rateBurst))
}

// seconds rounds up.
func seconds(d time.Duration) string { return strconv.Itoa(int(math.Ceil(d.Seconds()))) }

// limited takes a request of id, and tells where it stands; a problem if it is
// too much.
func (s *Server) limited(h http.Header, l *limiter, id string, rate float64, whose string) *Problem {
	if rate <= 0 || id == "" {
		return nil
	}
	a := l.take(id, rate, time.Now())
	a.headers(h)
	if a.wait == 0 {
		return nil
	}
	return problem(http.StatusTooManyRequests, codeRate, "too many requests: %s may send %g a second", whose, rate).
		hint("wait as long as Retry-After says").after(a.wait)
}
