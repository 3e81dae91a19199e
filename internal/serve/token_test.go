package serve

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
)

// issuer signs tokens and publishes its keys.
type issuer struct {
	t   *testing.T
	url string

	mu   sync.Mutex
	keys map[string]crypto.Signer // by name
	down bool
	asks int
}

func newIssuer(t *testing.T) *issuer {
	i := &issuer{t: t, keys: map[string]crypto.Signer{}}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		i.mu.Lock()
		defer i.mu.Unlock()
		if i.asks++; i.down {
			http.Error(w, "down", http.StatusBadGateway)
			return
		}
		_, _ = w.Write(i.set())
	}))
	t.Cleanup(server.Close)
	i.url = server.URL
	return i
}

func (i *issuer) set() []byte {
	set := jose.JSONWebKeySet{}
	for name, key := range i.keys {
		set.Keys = append(set.Keys, jose.JSONWebKey{Key: key.Public(), KeyID: name, Use: "sig"})
	}
	text, err := json.Marshal(set)
	if err != nil {
		i.t.Error(err)
	}
	return text
}

// sign makes a token of claims by a key of this name.
func (i *issuer) sign(algorithm jose.SignatureAlgorithm, name string, key any, claims any) string {
	i.t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: algorithm, Key: jose.JSONWebKey{Key: key, KeyID: name}}, (&jose.SignerOptions{}).WithType("JWT"))
	if err != nil {
		i.t.Fatal(err)
	}
	text, err := jwt.Signed(signer).Claims(claims).Serialize()
	if err != nil {
		i.t.Fatal(err)
	}
	return text
}

// TestTokens brings tokens of each algorithm, and every kind that must not be
// taken.
func TestTokens(t *testing.T) {
	i := newIssuer(t)
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	_, edKey, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.keys = map[string]crypto.Signer{"rsa": rsaKey, "ec": ecKey, "ed": edKey}
	f := start(t, database(t, "CREATE TABLE a (x integer)"), func(c *Config) {
		c.Tokens = Tokens{Keys: i.url, Issuer: "https://issuer.example", Audience: "millstream"}
	})
	now := time.Now()
	claims := func(change func(map[string]any)) map[string]any {
		c := map[string]any{"iss": "https://issuer.example", "aud": "millstream", "sub": "somebody", "exp": now.Add(time.Hour).Unix(), "scope": "openid read"}
		if change != nil {
			change(c)
		}
		return c
	}
	set := func(name string, value any) map[string]any {
		return claims(func(c map[string]any) {
			if c[name] = value; value == nil {
				delete(c, name)
			}
		})
	}
	es := func(c map[string]any) string { return i.sign(jose.ES256, "ec", ecKey, c) }
	public, err := json.Marshal(jose.JSONWebKey{Key: rsaKey.Public()})
	if err != nil {
		t.Fatal(err)
	}
	part := func(v any) string {
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	good := es(claims(nil))
	parts := strings.Split(good, ".")
	stranger, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		token string
		want  int
	}{
		"ES256":                  {good, 200},
		"RS256":                  {i.sign(jose.RS256, "rsa", rsaKey, claims(nil)), 200},
		"PS512":                  {i.sign(jose.PS512, "rsa", rsaKey, claims(nil)), 200},
		"EdDSA":                  {i.sign(jose.EdDSA, "ed", edKey, claims(nil)), 200},
		"several audiences":      {es(set("aud", []string{"other", "millstream"})), 200},
		"scopes as a list":       {es(set("scope", []string{"millstream:read"})), 200},
		"clocks apart":           {es(set("nbf", now.Add(10*time.Second).Unix())), 200},
		"no scope":               {es(set("scope", nil)), 403},
		"another scope":          {es(set("scope", "ingest openid readonly")), 403},
		"scopes as a number":     {es(set("scope", 7)), 403},
		"expired":                {es(set("exp", now.Add(-time.Minute).Unix())), 401},
		"without end":            {es(set("exp", nil)), 401},
		"not yet":                {es(set("nbf", now.Add(time.Minute).Unix())), 401},
		"another issuer":         {es(set("iss", "https://evil.example")), 401},
		"no issuer":              {es(set("iss", nil)), 401},
		"another audience":       {es(set("aud", "other")), 401},
		"no audience":            {es(set("aud", nil)), 401},
		"a stranger's key":       {i.sign(jose.ES256, "ec", stranger, claims(nil)), 401},
		"a key of another name":  {i.sign(jose.ES256, "none", ecKey, claims(nil)), 401},
		"another key's name":     {i.sign(jose.ES256, "rsa", ecKey, claims(nil)), 401},
		"the public key as HMAC": {i.sign(jose.HS256, "rsa", public, claims(nil)), 401},
		"no algorithm":           {part(map[string]any{"alg": "none", "kid": "ec"}) + "." + parts[1] + ".", 401},
		"other claims":           {parts[0] + "." + part(set("scope", "read ingest admin")) + "." + parts[2], 401},
		"cut":                    {good[:len(good)-4], 401},
		"an empty token":         {"..", 401},
	} {
		status, body, _ := f.get("/v1/tables/a", "Authorization", "Bearer "+tt.token)
		if status != tt.want || strings.Contains(body, tt.token) {
			t.Errorf("%s: %d %s, want %d", name, status, body, tt.want)
		}
	}
	cookie := signIn(t, f, good)
	if got := sessionOf(t, f, "Cookie", cookie); got.Name != "somebody" || got.Expires == nil || got.Expires.After(now.Add(time.Hour+2*tokenLeeway)) {
		t.Errorf("a token's cookie: %+v", got)
	}
}

// TestTokenKeysChange rotates the issuer's keys, and lets it fail.
func TestTokenKeysChange(t *testing.T) {
	i, now := newIssuer(t), time.Now()
	one, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	two, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.keys["one"] = one
	v, err := newTokens(Tokens{Keys: i.url, Issuer: "i", Audience: "a"})
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.Claims{Issuer: "i", Audience: jwt.Audience{"a"}, Expiry: jwt.NewNumericDate(now.Add(24 * time.Hour))}
	first, second := i.sign(jose.ES256, "one", one, claims), i.sign(jose.ES256, "two", two, claims)
	check := func(what, token string, at time.Time, want bool, asks int) {
		t.Helper()
		if _, err := v.verify(t.Context(), token, at); (err == nil) != want {
			t.Errorf("%s: %v", what, err)
		}
		if i.asks != asks {
			t.Errorf("%s: the issuer was asked %d times, want %d", what, i.asks, asks)
		}
	}
	i.down = true
	check("the issuer is away", first, now, false, 1)
	check("at once again", first, now, false, 1)
	i.down = false
	check("it is back", first, now.Add(2*jwksAgain), true, 2)
	check("known", first, now.Add(2*jwksAgain), true, 2)
	check("not known", second, now.Add(2*jwksAgain), false, 2)
	i.keys["two"] = two
	check("a new key", second, now.Add(4*jwksAgain), true, 3)
	delete(i.keys, "one")
	check("withdrawn, not yet seen", first, now.Add(4*jwksAgain), true, 3)
	check("withdrawn", first, now.Add(4*jwksAgain+2*jwksAge), false, 4)
	i.down = true
	check("away again", second, now.Add(8*jwksAge), true, 5)
}

// TestTokenSettings refuses what would take anybody's tokens.
func TestTokenSettings(t *testing.T) {
	for _, c := range []Tokens{{Keys: "x"}, {Keys: "x", Issuer: "i"}, {Keys: "x", Audience: "a"}, {Keys: "http://issuer.example/keys", Issuer: "i", Audience: "a"}} {
		if _, err := newTokens(c); err == nil {
			t.Errorf("%+v is taken", c)
		}
	}
	i := newIssuer(t)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i.keys["k"] = key
	file := filepath.Join(t.TempDir(), "keys.json")
	if err := os.WriteFile(file, i.set(), 0o600); err != nil {
		t.Fatal(err)
	}
	v, err := newTokens(Tokens{Keys: file, Issuer: "i", Audience: "a", Claim: "roles"})
	if err != nil {
		t.Fatal(err)
	}
	token := i.sign(jose.ES256, "k", key, map[string]any{"iss": "i", "aud": "a", "exp": time.Now().Add(time.Hour).Unix(), "roles": []string{"ingest", "admin"}})
	p, err := v.verify(t.Context(), token, time.Now())
	if err != nil || p.scopes.String() != "ingest,admin" {
		t.Errorf("by a file: %+v, %v", p, err)
	}
}
