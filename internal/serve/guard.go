package serve

import (
	"context"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// securityHeaders stand on every answer. Nothing is loaded from elsewhere and
// no script is inline; pages can't be framed.
var securityHeaders = map[string]string{
	"Content-Security-Policy":      "default-src 'none'; script-src 'self'; connect-src 'self'; style-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
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
	for _, o := range s.config.Origins {
		if err := crossOrigin.AddTrustedOrigin(o); err != nil {
			panic(err) // checkOrigins has passed it
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		for name, value := range securityHeaders {
			h.Set(name, value)
		}
		if r.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		count := &counted{ResponseWriter: w}
		if m := s.config.Metrics; m != nil {
			done := m.HTTPStarted(method(r))
			defer func() { done(s.router.route(r), strconv.Itoa(count.code())) }()
		}
		if s.cors(count, r) {
			return
		}
		who, p := s.admit(h, r)
		if most := s.config.Limits.BodyBytes; p == nil && r.ContentLength > most {
			p = problem(http.StatusRequestEntityTooLarge, codeBodySize, "the body is larger than %d bytes", most).hint("send it in parts")
		}
		r.Body = http.MaxBytesReader(count, r.Body, s.config.Limits.BodyBytes)
		if p == nil && crossOrigin.Check(r) != nil {
			p = problem(http.StatusForbidden, codeCrossOrigin, "a page of another site may not send this request")
		}
		if p != nil {
			s.fail(count, r, p)
			return
		}
		ctx, cancel := context.WithCancel(context.WithValue(r.Context(), callerKey{}, who))
		defer cancel()
		if who.principal != nil && !who.expires.IsZero() {
			ctx, cancel = context.WithDeadline(ctx, who.expires)
			defer cancel()
		}
		if who.principal != nil && who.keyID != "" {
			defer s.running.add(who.keyID, &cancel)()
		}
		// The router notes the pattern in the request that it is given.
		inner := r.WithContext(ctx)
		defer func() { r.Pattern = inner.Pattern }()
		next.ServeHTTP(count, inner)
	})
}

// admit tells who sent a request, and whether they may. It comes before the
// router, and a route without a rule is closed, so that a route which is added
// later is protected too.
func (s *Server) admit(h http.Header, r *http.Request) (caller, *Problem) {
	who := caller{address: addressOf(r.RemoteAddr), secure: r.TLS != nil || r.Header.Get("X-Forwarded-Proto") == "https"}
	asked := s.router.ruleOf(r)
	if asked.open && probes[r.URL.Path] {
		return who, nil
	}
	if p := s.limited(h, &s.byAddress, who.address, s.config.Limits.AddressRate, "an address"); p != nil {
		return who, p
	}
	asks, err := s.protected(r.Context())
	if !asks {
		// Without a key, what keeps a foreign page out is that a browser does
		// not let it read from here. A page whose name is made to point to
		// loopback would pass for our own: the Host header tells it.
		if !s.config.Unprotected && !loopbackHost(r.Host) {
			return who, problem(http.StatusMisdirectedRequest, codeHost, "this server answers to localhost only, not to %q", printable(r.Host)).
				hint("use http://localhost, or set an API key to serve other names")
		}
		who.principal = anybody
		return who, nil
	}
	var p *Problem
	who.principal, p = s.identify(r)
	if asked.open {
		return who, nil // who is unknown here is told by the route
	}
	switch {
	case p != nil:
		return who, p
	case who.principal == nil && err != nil:
		return who, keysAway(err)
	case who.principal == nil:
		return who, unauthorized("a key is needed")
	}
	rate := who.rate
	if rate == 0 {
		rate = s.config.Limits.KeyRate
	}
	if p := s.limited(h, &s.byKey, who.id, rate, "this key"); p != nil {
		return who, p
	}
	if !who.scopes.Has(asked.scope) {
		return who, problem(http.StatusForbidden, codeScope, "the key lacks the scope %s", asked.scope).
			hint("it has %s; `millstream keys create --scopes %s` makes one that has it", who.scopes, asked.scope)
	}
	return who, nil
}

// probes are what an orchestrator asks, as often as it likes.
var probes = map[string]bool{"/livez": true, "/readyz": true, "/health": true}

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
