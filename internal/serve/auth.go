package serve

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// principal is who sent a request.
type principal struct {
	id      string // of the key, for its limits; "" where nobody is asked for one
	name    string // that people know the key by
	scopes  apikey.Scope
	rate    float64   // requests per second; 0: the server's setting
	expires time.Time // zero: never
	keyID   string    // of the database's key that it is, if it is one
}

// caller is what the guard knows of a request's sender. It is in the request's
// context.
type caller struct {
	*principal        // nil: nobody has said who it is, on a route that is open
	address    string // without port; "" for loopback, where many share one
	secure     bool   // over TLS
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// client names who shares limits: a key, or an address without one. "" can't
// be told apart from others: it has no share of its own.
func (c caller) client() string {
	if c.principal != nil && c.id != "" {
		return c.id
	}
	return c.address
}

// anybody is who calls where no key is set up.
var anybody = &principal{scopes: apikey.All}

// protected tells whether the server asks for keys: when it has one, takes
// tokens, may be reached by others, or the database has or had keys.
func (s *Server) protected(ctx context.Context) (bool, error) {
	if s.key.set || s.tokens != nil || s.remote && !s.config.Unprotected {
		return true, nil
	}
	set, err := s.keys.get(ctx, keysWait)
	if err != nil {
		return true, err
	}
	return len(set.keys) > 0, nil
}

// identify tells who sent a request, by its headers or its cookie: nil and no
// problem if it does not say.
func (s *Server) identify(r *http.Request) (*principal, *Problem) {
	if text := given(r); text != "" {
		return s.authenticate(r.Context(), text)
	}
	return s.session(r)
}

// authenticate tells whose a key or token is.
func (s *Server) authenticate(ctx context.Context, text string) (*principal, *Problem) {
	if s.key.matches(text) {
		return &principal{id: "key file", name: "key file", scopes: apikey.All}, nil
	}
	if apikey.ID(text) != "" {
		key, err := s.keys.find(ctx, text)
		if err != nil {
			return nil, keysAway(err)
		}
		if key != nil {
			return ofKey(key, time.Now())
		}
	}
	if s.tokens != nil && strings.Count(text, ".") == 2 {
		p, err := s.tokens.verify(ctx, text, time.Now())
		if err != nil {
			return nil, tokenProblem(err)
		}
		return p, nil
	}
	return nil, unauthorized("the key is not one of this server's")
}

// ofKey gives the principal of a key that may be used.
func ofKey(key *apikey.Key, now time.Time) (*principal, *Problem) {
	switch {
	case !key.Revoked.IsZero():
		return nil, unauthorized("the key %s is revoked", key.ID)
	case !key.Valid(now):
		return nil, unauthorized("the key %s has expired", key.ID)
	}
	return &principal{id: key.ID, name: key.Name, scopes: key.Scopes, rate: key.Rate, expires: key.Expires, keyID: key.ID}, nil
}

func unauthorized(format string, args ...any) *Problem {
	return problem(http.StatusUnauthorized, codeUnauthorized, format, args...).
		hint("send the header Authorization: Bearer KEY, or X-API-Key: KEY; `millstream keys create` makes one")
}

func keysAway(err error) *Problem {
	return problem(http.StatusServiceUnavailable, codeUnavailable, "the API keys can't be read").hint("/readyz says what is known").because(err)
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

// running is the requests of the database's keys, so that those of a key that
// is revoked end, streams above all.
type running struct {
	mu   sync.Mutex
	keys map[string]map[*context.CancelFunc]bool // by key
}

// recheckEvery is how often keys of requests that run are looked at again.
const recheckEvery = keysWait

// add notes a request; the function that it gives takes it out.
func (r *running) add(key string, cancel *context.CancelFunc) func() {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.keys[key] == nil {
		if r.keys == nil {
			r.keys = map[string]map[*context.CancelFunc]bool{}
		}
		r.keys[key] = map[*context.CancelFunc]bool{}
	}
	r.keys[key][cancel] = true
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if delete(r.keys[key], cancel); len(r.keys[key]) == 0 {
			delete(r.keys, key)
		}
	}
}

// recheck ends the requests of keys that are no longer valid, until ctx ends.
func (s *Server) recheck(ctx context.Context) {
	tick := time.NewTicker(recheckEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.endRevoked(ctx)
		case <-ctx.Done():
			return
		}
	}
}

func (s *Server) endRevoked(ctx context.Context) {
	s.running.mu.Lock()
	idle := len(s.running.keys) == 0
	s.running.mu.Unlock()
	if idle {
		return
	}
	set, err := s.keys.get(ctx, keysAgain)
	if err != nil {
		return // it is logged; a database that is away ends no stream
	}
	s.running.mu.Lock()
	defer s.running.mu.Unlock()
	for id, requests := range s.running.keys {
		if key := set.keys[id]; key == nil || !key.Revoked.IsZero() {
			for cancel := range requests {
				(*cancel)()
			}
		}
	}
}
