package serve

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"

	"github.com/millstream-dev/millstream/internal/serve/apikey"
)

// Tokens is whose JSON web tokens are taken in place of keys.
type Tokens struct {
	// Keys is where the issuer's key set (JWKS) is: an https address, or a
	// file; "" for no tokens.
	Keys string
	// Issuer and Audience must be a token's iss and among its aud.
	Issuer, Audience string
	// Claim names the claim that holds scopes, as a text with spaces or as a
	// list: ingest, read, admin, or these after "millstream:".
	Claim string
}

const (
	// jwksAge is how old a key set may be before it is fetched again, and
	// jwksAgain when a token names a key that it doesn't have.
	jwksAge   = 10 * time.Minute
	jwksAgain = 10 * time.Second
	// jwksTimeout and jwksBytes bound one fetch.
	jwksTimeout = 5 * time.Second
	jwksBytes   = 1 << 20
	// tokenLeeway is how far clocks may be apart.
	tokenLeeway = 30 * time.Second
	// defaultClaim is OAuth's.
	defaultClaim = "scope"
)

// algorithms are those of public keys: none is ever taken because a token says
// so.
var algorithms = []jose.SignatureAlgorithm{
	jose.RS256, jose.RS384, jose.RS512, jose.PS256, jose.PS384, jose.PS512, jose.ES256, jose.ES384, jose.ES512, jose.EdDSA,
}

// tokens checks JSON web tokens.
type tokens struct {
	Tokens
	client *http.Client

	mu      sync.Mutex // held while fetching, so that many requests cause one
	set     *jose.JSONWebKeySet
	fetched time.Time
	tried   time.Time
	failed  error
}

// newTokens checks the settings; nil where no tokens are taken.
func newTokens(c Tokens) (*tokens, error) {
	if c.Keys == "" {
		return nil, nil
	}
	if c.Issuer == "" || c.Audience == "" {
		return nil, errors.New("tokens need an issuer and an audience: set MILLSTREAM_JWT_ISSUER and MILLSTREAM_JWT_AUDIENCE, else tokens made for other programs would be taken")
	}
	if c.Claim == "" {
		c.Claim = defaultClaim
	}
	if u, err := url.Parse(c.Keys); err == nil && u.Scheme == "http" && !loopbackHost(u.Host) {
		return nil, fmt.Errorf("the key set of tokens is fetched over https, not from %s: whoever stands between could sign tokens", c.Keys)
	}
	refuse := func(r *http.Request, via []*http.Request) error {
		if r.URL.Scheme != via[0].URL.Scheme || len(via) > 5 {
			return errors.New("the key set's address leads elsewhere")
		}
		return nil
	}
	return &tokens{Tokens: c, client: &http.Client{Timeout: jwksTimeout, CheckRedirect: refuse}}, nil
}

// errToken is a fault of a token. It does not repeat the token.
type errToken struct{ reason string }

func (e errToken) Error() string { return e.reason }

func tokenProblem(err error) *Problem {
	var fault errToken
	if errors.As(err, &fault) {
		return unauthorized("the token is not taken: %s", fault.reason)
	}
	return problem(http.StatusServiceUnavailable, codeUnavailable, "the issuer's keys can't be read").because(err)
}

// verify checks a token's signature and claims, and gives who sent it.
func (t *tokens) verify(ctx context.Context, text string, now time.Time) (*principal, error) {
	token, err := jwt.ParseSigned(text, algorithms)
	if err != nil || len(token.Headers) != 1 {
		return nil, errToken{"it is no signed token, or its algorithm is not one of public keys"}
	}
	key, err := t.key(ctx, token.Headers[0], now)
	if err != nil {
		return nil, err
	}
	var claims jwt.Claims
	var all map[string]json.RawMessage
	if err := token.Claims(key, &claims, &all); err != nil {
		return nil, errToken{"the signature is not the issuer's"}
	}
	if claims.Expiry == nil {
		return nil, errToken{"it never expires"}
	}
	expected := jwt.Expected{Issuer: t.Issuer, AnyAudience: jwt.Audience{t.Audience}, Time: now}
	if err := claims.ValidateWithLeeway(expected, tokenLeeway); err != nil {
		return nil, errToken{strings.TrimPrefix(err.Error(), "go-jose/go-jose/jwt: ")}
	}
	return &principal{id: "token " + claims.Subject, name: claims.Subject, scopes: scopesOf(all[t.Claim]), expires: claims.Expiry.Time().Add(tokenLeeway)}, nil
}

// scopesOf reads a claim; what it says of others is passed over.
func scopesOf(claim json.RawMessage) (scopes apikey.Scope) {
	var list []string
	var text string
	if json.Unmarshal(claim, &text) == nil {
		list = strings.Fields(text)
	} else if json.Unmarshal(claim, &list) != nil {
		return 0
	}
	for _, name := range list {
		if one, err := apikey.ParseScopes([]string{strings.TrimPrefix(name, "millstream:")}); err == nil {
			scopes |= one
		}
	}
	return scopes
}

// key gives the issuer's key that a token names.
func (t *tokens) key(ctx context.Context, header jose.Header, now time.Time) (*jose.JSONWebKey, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	found := t.find(header)
	age := now.Sub(t.fetched)
	if found == nil && age > jwksAgain || age > jwksAge {
		if now.Sub(t.tried) > jwksAgain {
			t.tried = now
			t.failed = t.fetch(ctx, now)
		}
		found = t.find(header)
	}
	switch {
	case found != nil:
		return found, nil
	case t.set == nil:
		return nil, t.failed
	}
	return nil, errToken{"the issuer has no key of that name"}
}

// find gives the key that may have signed. mu is held.
func (t *tokens) find(header jose.Header) *jose.JSONWebKey {
	if t.set == nil {
		return nil
	}
	for i := range t.set.Keys {
		k := &t.set.Keys[i]
		if !k.IsPublic() || !k.Valid() || k.Use != "" && k.Use != "sig" || k.Algorithm != "" && k.Algorithm != header.Algorithm {
			continue
		}
		if k.KeyID == header.KeyID || header.KeyID == "" && len(t.set.Keys) == 1 {
			return k
		}
	}
	return nil
}

// fetch reads the key set. mu is held.
func (t *tokens) fetch(ctx context.Context, now time.Time) error {
	text, err := t.read(ctx)
	if err != nil {
		return fmt.Errorf("read the key set of tokens: %w", err)
	}
	set := &jose.JSONWebKeySet{}
	if err := json.Unmarshal(text, set); err != nil {
		return fmt.Errorf("read the key set of tokens: %s holds none: %w", t.Keys, err)
	}
	t.set, t.fetched = set, now
	return nil
}

func (t *tokens) read(ctx context.Context) ([]byte, error) {
	if !strings.HasPrefix(t.Keys, "http://") && !strings.HasPrefix(t.Keys, "https://") {
		return os.ReadFile(t.Keys)
	}
	// The request that needs the keys may go; the keys are for all.
	r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodGet, t.Keys, nil)
	if err != nil {
		return nil, err
	}
	res, err := t.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answers %s", t.Keys, res.Status)
	}
	return io.ReadAll(io.LimitReader(res.Body, jwksBytes))
}

// addressOf is a request's address without port, of an IPv6 address its /64,
// which is one household's; "" for loopback, behind which many may be.
func addressOf(remote string) string {
	host, _, err := net.SplitHostPort(remote)
	if err != nil {
		return ""
	}
	ip := net.ParseIP(host)
	switch {
	case ip == nil || ip.IsLoopback():
		return ""
	case ip.To4() != nil:
		return ip.String()
	}
	return ip.Mask(net.CIDRMask(64, 128)).String()
}
