package serve

import (
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// openPaths are the paths that need no key: what an orchestrator asks.
var openPaths = map[string]bool{"/livez": true, "/readyz": true, "/health": true}

// securityHeaders stand on every answer. Nothing is loaded from elsewhere and
// no script is inline; pages can't be framed.
var securityHeaders = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=()",
	"Referrer-Policy":              "no-referrer",
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
}

// guard is what every request passes before the router.
func (s *Server) guard(next http.Handler) http.Handler {
	crossOrigin := http.NewCrossOriginProtection()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range securityHeaders {
			w.Header().Set(name, value)
		}
		count := &counted{ResponseWriter: w}
		if m := s.config.Metrics; m != nil {
			done := m.HTTPStarted(method(r))
			defer func() { done(s.router.route(r), strconv.Itoa(count.code())) }()
		}
		if p := s.admit(r); p != nil {
			s.fail(count, r, p)
			return
		}
		if err := crossOrigin.Check(r); err != nil {
			s.fail(count, r, problem(http.StatusForbidden, codeCrossOrigin, "a page of another site may not send this request"))
			return
		}
		next.ServeHTTP(count, r)
	})
}

// admit checks key and host. It comes before the router, so that a route
// which is added later is protected too.
func (s *Server) admit(r *http.Request) *Problem {
	if openPaths[r.URL.Path] {
		return nil
	}
	if s.key.set {
		if !s.key.matches(given(r)) {
			return problem(http.StatusUnauthorized, codeUnauthorized, "a key is needed").
				hint("send the header Authorization: Bearer KEY, or X-API-Key: KEY")
		}
		return nil
	}
	// Without a key, what keeps a foreign page out is that a browser does not
	// let it read from here. A page whose name is made to point to loopback
	// would pass for our own: the Host header tells it.
	if !s.config.Unprotected && !loopbackHost(r.Host) {
		return problem(http.StatusMisdirectedRequest, codeHost, "this server answers to localhost only, not to %q", printable(r.Host)).
			hint("use http://localhost, or set an API key to serve other names")
	}
	return nil
}

// given is the key that a request brings. A key in the query string would
// end up in logs, so none is read there.
func given(r *http.Request) string {
	if scheme, key, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(key)
	}
	return r.Header.Get("X-API-Key")
}

// matches compares in a time that does not tell how much is right.
func (k apiKey) matches(key string) bool {
	sum := sha256.Sum256([]byte(key))
	return k.set && subtle.ConstantTimeCompare(k.sum[:], sum[:]) == 1
}

func loopbackHost(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.TrimSuffix(strings.Trim(name, "[]"), ".")
	if strings.EqualFold(name, "localhost") || strings.HasSuffix(strings.ToLower(name), ".localhost") {
		return true
	}
	ip := net.ParseIP(name)
	return ip != nil && ip.IsLoopback()
}

// method keeps what a client makes up out of the metrics' labels.
func method(r *http.Request) string {
	switch r.Method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return r.Method
	}
	return "other"
}

// counted remembers the status for the metrics.
type counted struct {
	http.ResponseWriter
	status int
}

func (c *counted) WriteHeader(status int) {
	if c.status == 0 {
		c.status = status
	}
	c.ResponseWriter.WriteHeader(status)
}

func (c *counted) code() int {
	if c.status == 0 {
		return http.StatusOK
	}
	return c.status
}

// Unwrap lets http.ResponseController reach the connection.
func (c *counted) Unwrap() http.ResponseWriter { return c.ResponseWriter }
