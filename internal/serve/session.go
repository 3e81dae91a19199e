package serve

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
)

const (
	// sessionLife is how long a cookie is taken.
	sessionLife = 12 * time.Hour
	// maxSessions bounds the cookies that are taken at once; the oldest give
	// way.
	maxSessions = 4096
	// sessionCookie is the name before the pipeline's. Cookies don't tell
	// ports apart: servers of several pipelines on one host must not share one.
	sessionCookie = "millstream_session"
)

// sessions are the cookies that keys were exchanged for. They live in memory,
// by their hash: a restart asks for the key again.
type sessions struct {
	mu    sync.Mutex
	whose map[[sha256.Size]byte]*session
}

type session struct {
	who     principal
	expires time.Time
}

// begin makes a cookie's value.
func (s *sessions) begin(p *principal, now time.Time) (token string, expires time.Time) {
	expires = now.Add(sessionLife)
	if !p.expires.IsZero() && p.expires.Before(expires) {
		expires = p.expires
	}
	token = rand.Text() + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.whose == nil {
		s.whose = map[[sha256.Size]byte]*session{}
	}
	if len(s.whose) >= maxSessions {
		s.makeRoom(now)
	}
	s.whose[sha256.Sum256([]byte(token))] = &session{*p, expires}
	return token, expires
}

// makeRoom drops what has expired, or else what will first. mu is held.
func (s *sessions) makeRoom(now time.Time) {
	var first [sha256.Size]byte
	var soonest time.Time
	for sum, one := range s.whose {
		if !now.Before(one.expires) {
			delete(s.whose, sum)
		} else if soonest.IsZero() || one.expires.Before(soonest) {
			first, soonest = sum, one.expires
		}
	}
	if len(s.whose) >= maxSessions {
		delete(s.whose, first)
	}
}

func (s *sessions) find(token string, now time.Time) *session {
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.whose[sha256.Sum256([]byte(token))]
	if one == nil || !now.Before(one.expires) {
		return nil
	}
	return one
}

func (s *sessions) end(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.whose, sha256.Sum256([]byte(token)))
}

func (s *Server) cookieName() string { return sessionCookie + "_" + s.config.Name }

// session tells who sent a request by its cookie. A page of another site, or
// of another port of this host, gets nothing by it: the browser says where a
// request comes from.
func (s *Server) session(r *http.Request) (*principal, *Problem) {
	cookie, err := r.Cookie(s.cookieName())
	if err != nil {
		return nil, nil //nolint:nilerr // it has none
	}
	if from := r.Header.Get("Sec-Fetch-Site"); from != "" && from != "same-origin" && from != "none" {
		return nil, nil
	}
	one := s.sessions.find(cookie.Value, time.Now())
	if one == nil {
		return nil, nil // as without a cookie: the page asks for the key again
	}
	who := one.who
	if who.keyID != "" {
		set, err := s.keys.get(r.Context(), keysWait)
		if err != nil {
			return nil, keysAway(err)
		}
		key := set.keys[who.keyID]
		if key == nil {
			return nil, unauthorized("the key %s is gone", who.keyID)
		}
		again, p := ofKey(key, time.Now())
		if p != nil {
			return nil, p
		}
		who = *again
	}
	who.expires = one.expires
	return &who, nil
}

// sessionState is the body of answers of /v1/session.
type sessionState struct {
	Protected bool       `json:"protected" doc:"The server asks for keys."`
	Known     bool       `json:"known" doc:"The request came with a key, or with a cookie that one was exchanged for, or needs none."`
	Name      string     `json:"name,omitempty" doc:"The key's name."`
	Scopes    []string   `json:"scopes" doc:"What it allows: ingest, read, admin."`
	Expires   *time.Time `json:"expires_at,omitempty" doc:"When the cookie or key ends."`
}

func stateOf(protected bool, p *principal) sessionState {
	state := sessionState{Protected: protected, Scopes: []string{}}
	if p == nil {
		return state
	}
	state.Known, state.Name, state.Scopes = true, p.name, p.scopes.Names()
	if !p.expires.IsZero() {
		at := p.expires.UTC().Truncate(time.Second)
		state.Expires = &at
	}
	return state
}

type sessionOutput struct {
	CacheControl string        `header:"Cache-Control"`
	SetCookie    []http.Cookie `header:"Set-Cookie"`
	Body         sessionState
}

func (s *Server) sessionRoutes() {
	tags := []string{"session"}
	show := huma.Operation{Method: http.MethodGet, Path: "/v1/session", OperationID: "session", Tags: tags, Summary: "Whether a key is asked for, and what the request's allows", Errors: []int{503}}
	huma.Register(s.api, show, func(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
		asks, err := s.protected(ctx)
		if err != nil {
			return nil, s.report(show, keysAway(err))
		}
		return &sessionOutput{CacheControl: "no-store", Body: stateOf(asks, callerOf(ctx).principal)}, nil
	})
	begin := huma.Operation{Method: http.MethodPost, Path: "/v1/session", OperationID: "begin_session", Tags: tags, Summary: "Exchange a key for a cookie",
		Description:  "The cookie is HttpOnly and SameSite=Strict: scripts can't read it, and no other site can use it. It ends after " + sessionLife.String() + ", when the key does, or when the server is started anew.",
		MaxBodyBytes: maxHeaderBytes, Errors: []int{400, 401, 403, 413, 415, 422, 503}}
	huma.Register(s.api, begin, func(ctx context.Context, in *struct {
		Body struct {
			Key string `json:"key" minLength:"1" maxLength:"16384" doc:"An API key, or a token."`
		}
	}) (*sessionOutput, error) {
		asks, err := s.protected(ctx)
		if err != nil {
			return nil, s.report(begin, keysAway(err))
		}
		if !asks {
			return &sessionOutput{CacheControl: "no-store", Body: stateOf(false, anybody)}, nil
		}
		who, p := s.authenticate(ctx, in.Body.Key)
		if p != nil {
			return nil, s.report(begin, p)
		}
		token, expires := s.sessions.begin(who, time.Now())
		who.expires = expires
		return &sessionOutput{"no-store", []http.Cookie{s.cookie(ctx, token, int(time.Until(expires).Seconds()))}, stateOf(true, who)}, nil
	})
	end := huma.Operation{Method: http.MethodDelete, Path: "/v1/session", OperationID: "end_session", Tags: tags, Summary: "Give the cookie back", Errors: []int{403, 503}}
	huma.Register(s.api, end, func(ctx context.Context, in *struct {
		Cookie []string `header:"Cookie" hidden:"true"`
	}) (*sessionOutput, error) {
		asks, err := s.protected(ctx)
		if err != nil {
			return nil, s.report(end, keysAway(err))
		}
		held := http.Request{Header: http.Header{"Cookie": in.Cookie}}
		for _, c := range held.CookiesNamed(s.cookieName()) {
			s.sessions.end(c.Value)
		}
		body := stateOf(asks, nil)
		if !asks {
			body = stateOf(false, anybody)
		}
		return &sessionOutput{"no-store", []http.Cookie{s.cookie(ctx, "", -1)}, body}, nil
	})
}

// cookie is the session's cookie with a value; with a negative age it takes
// the cookie away.
func (s *Server) cookie(ctx context.Context, token string, seconds int) http.Cookie {
	return http.Cookie{
		Name: s.cookieName(), Value: token, Path: "/", MaxAge: seconds,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: callerOf(ctx).secure,
	}
}
