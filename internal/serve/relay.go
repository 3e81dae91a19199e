package serve

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"sync"
	"time"
)

// standby is what a server knows that stands by: it answers for its own health,
// and passes all other requests on to the process that leads, so that a load
// balancer may choose any of them. Where that one's address is not known, what
// needs no engine is answered here.
//
// The leader asks for keys and counts requests, as it does of its own clients.
type standby struct {
	mu     sync.Mutex
	on     bool
	leader *url.URL        // nil: not known
	asking context.Context // of the requests that are passed on: ends when this process leads
	end    context.CancelFunc
}

const (
	// relayedHeader marks a request that a standby has passed on. It is passed
	// on once: whom it reaches may have become a standby meanwhile.
	relayedHeader = "Millstream-Relayed"
	// relayConnectTimeout bounds the connection to the leader.
	relayConnectTimeout = 2 * time.Second
	// relayRetryAfter is what clients are told while nobody leads: a takeover
	// is a matter of seconds.
	relayRetryAfter = "2"
)

// ownPaths are answered by each process for itself.
var ownPaths = map[string]bool{"/livez": true, "/readyz": true, "/health": true, "/metrics": true}

// StandBy tells the server that another process leads, and the address of its
// API; "" where that is not known.
func (s *Server) StandBy(leader string) {
	b := &s.standby
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.on {
		b.on = true
		b.asking, b.end = context.WithCancel(context.Background())
	}
	b.leader = nil
	if leader == "" {
		return
	}
	at, err := url.Parse(leader)
	if err != nil || at.Host == "" {
		return
	}
	// A leader that listens on loopback needs no key, as only its machine can
	// reach it: a server that others can reach must not open it to them.
	if ip := net.ParseIP(at.Hostname()); s.remote && (at.Hostname() == "localhost" || ip != nil && ip.IsLoopback()) {
		return
	}
	b.leader = at
}

// Lead tells the server that the engine of its own process leads from now on.
// Requests that are passed on end; their clients come again.
func (s *Server) Lead() {
	b := &s.standby
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on {
		b.on, b.leader = false, nil
		b.end()
	}
}

// stop ends the requests that are passed on.
func (b *standby) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.on {
		b.end()
	}
}

func (b *standby) now() (on bool, leader *url.URL, asking context.Context) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.on, b.leader, b.asking
}

// leaderKey is the context's key of whom a request is passed on to.
type leaderKey struct{}

// relay passes requests on to the leader while the server stands by.
func (s *Server) relay(next http.Handler) http.Handler {
	proxy := &httputil.ReverseProxy{
		Rewrite:       rewrite,
		FlushInterval: -1, // live streams are passed on as they come
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: relayConnectTimeout}).DialContext,
			DisableCompression:  true,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     time.Minute,
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if r.Context().Err() != nil && !errors.Is(context.Cause(r.Context()), errLeads) {
				return // the client has gone
			}
			w.Header().Set("Retry-After", relayRetryAfter)
			s.fail(w, r, problem(http.StatusServiceUnavailable, codeNoEngine, "the process that leads does not answer, and this one stands by").
				hint("come again: it takes over within seconds if the other one has ended").because(err))
		},
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		on, leader, asking := s.standby.now()
		if !on || leader == nil || ownPaths[r.URL.Path] || r.Header.Get(relayedHeader) != "" {
			next.ServeHTTP(w, r)
			return
		}
		ctx, cancel := context.WithCancelCause(context.WithValue(r.Context(), leaderKey{}, leader))
		defer cancel(nil)
		defer context.AfterFunc(asking, func() { cancel(errLeads) })()
		proxy.ServeHTTP(&patientWriter{w, http.NewResponseController(w), s.config.Limits.WriteTimeout}, r.WithContext(ctx))
	})
}

// errLeads ends requests that are passed on when this process leads, or stops.
var errLeads = errors.New("requests are not passed on any more")

// rewrite makes the request that the leader gets: the client's, under the name
// that the client has asked for, which the leader may refuse.
func rewrite(r *httputil.ProxyRequest) {
	r.SetURL(r.In.Context().Value(leaderKey{}).(*url.URL))
	r.Out.Host = r.In.Host
	r.SetXForwarded()
	if proto := r.In.Header.Get("X-Forwarded-Proto"); proto != "" {
		r.Out.Header.Set("X-Forwarded-Proto", proto)
	}
	r.Out.Header.Set(relayedHeader, "1")
}

// patientWriter lets an answer take as long as it likes, as long as the client
// goes on taking it.
type patientWriter struct {
	http.ResponseWriter
	control *http.ResponseController
	timeout time.Duration
}

func (w *patientWriter) Write(b []byte) (int, error) {
	_ = w.control.SetWriteDeadline(time.Now().Add(w.timeout)) // what can't be set is the server's own
	return w.ResponseWriter.Write(b)
}

// Unwrap lets http.ResponseController reach the connection.
func (w *patientWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// needsEngine refuses what only the process that leads can answer.
func (s *Server) needsEngine() *Problem {
	if on, _, _ := s.standby.now(); on {
		return problem(http.StatusServiceUnavailable, codeNoEngine, "this process stands by: the engine runs in another one, whose address is not known here").
			hint("ask that one, or let it tell its address (MILLSTREAM_ADVERTISE): then requests are passed on to it")
	}
	return nil
}
