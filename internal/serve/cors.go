package serve

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
)

// What pages of other origins may do, where they are named. Cookies are not
// among it: such a page sends a key.
const (
	corsMethods = "GET, HEAD, POST"
	corsHeaders = "Accept, Authorization, Content-Encoding, Content-Type, Idempotency-Key, If-None-Match, Last-Event-ID, Millstream-Key, Prefer, Range, Range-Unit, X-API-Key"
	corsExpose  = "Content-Range, ETag, Link, Millstream-Commit, Millstream-Watermark, Preference-Applied, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After"
	corsSeconds = "600"
)

// checkOrigins refuses what is no origin. Neither is *: without keys, every
// page that somebody opens could read from a server on their machine.
func checkOrigins(origins []string) error {
	for _, o := range origins {
		u, err := url.Parse(o)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.Path != "" || u.RawQuery != "" || u.User != nil {
			return fmt.Errorf("%q is no origin: name each as https://host or http://host:port", o)
		}
	}
	return nil
}

// cors answers what a browser asks before a page of a named origin may, and
// tells whether that was the request.
func (s *Server) cors(w http.ResponseWriter, r *http.Request) (answered bool) {
	if len(s.config.Origins) == 0 {
		return false
	}
	h := w.Header()
	h.Add("Vary", "Origin")
	origin := r.Header.Get("Origin")
	if origin == "" || !slices.Contains(s.config.Origins, origin) {
		return false
	}
	h.Set("Access-Control-Allow-Origin", origin)
	h.Set("Access-Control-Expose-Headers", corsExpose)
	h.Set("Cross-Origin-Resource-Policy", "cross-origin")
	if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
		return false
	}
	h.Set("Access-Control-Allow-Methods", corsMethods)
	h.Set("Access-Control-Allow-Headers", corsHeaders)
	h.Set("Access-Control-Max-Age", corsSeconds)
	w.WriteHeader(http.StatusNoContent)
	return true
}
