// Package idp is a small OpenID provider for tests: real HTTP on this machine, real
// RSA and elliptic keys, the authorization code flow with PKCE, and everything a
// provider can do wrong, on request.
//
// It promises: what it serves is what the specifications say, unless a test has
// asked for something else; keys can be changed while it runs; it counts what it
// was asked, so that a test can hold a bound. Certificate makes what a TLS server
// of a test needs. It refuses to be anybody's provider outside of tests: whoever asks is signed in as the person of the test.
//
// It follows OpenID Connect Core and Discovery 1.0, RFC 6749, RFC 7636 and RFC 7517.
package idp

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
)

// PublishedSecret is a symmetric key among the public ones, which proves nothing.
const PublishedSecret = "known to everybody who can read it"

// Claims of a token.
type Claims map[string]any

// Provider is a running provider.
type Provider struct {
	URL string

	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	keys    []signer
	asked   map[string]int // requests by path
	away    bool
	codes   map[string]request
	Person  Claims // whom the browser flow signs in; sub and groups
	Client  string // its client id, which the flow's tokens are for
	Secret  string // of the client; empty: public
	Refused int    // exchanges that the provider refused; guarded by mu
}

type signer struct {
	id  string
	alg jose.SignatureAlgorithm
	key crypto.Signer
}

// request is what a browser asked for when it signed in.
type request struct{ challenge, nonce, redirect string }

// Start runs a provider with one RSA key, named rsa-1, until the test ends.
func Start(t testing.TB) *Provider {
	t.Helper()
	p := &Provider{t: t, asked: map[string]int{}, codes: map[string]request{}, Client: "mbp-panel"}
	mux := http.NewServeMux()
	for path, h := range map[string]http.HandlerFunc{
		"/.well-known/openid-configuration": p.configuration, "/jwks": p.jwks, "/authorize": p.authorize, "/token": p.token,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			p.mu.Lock()
			p.asked[path]++
			away := p.away
			p.mu.Unlock()
			if away {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			h(w, r)
		})
	}
	p.server = httptest.NewServer(mux)
	p.URL = p.server.URL
	t.Cleanup(p.server.Close)
	p.AddRSA("rsa-1")
	return p
}

// AddRSA begins to sign with a new RSA key.
func (p *Provider) AddRSA(id string) {
	p.t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		p.t.Fatal(err)
	}
	p.add(signer{id, jose.RS256, key})
}

// AddEC begins to sign with a new key on P-256.
func (p *Provider) AddEC(id string) {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	p.add(signer{id, jose.ES256, key})
}

func (p *Provider) add(s signer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keys = append(p.keys, s)
}

// Drop takes a key back.
func (p *Provider) Drop(id string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, k := range p.keys {
		if k.id == id {
			p.keys = append(p.keys[:i], p.keys[i+1:]...)
			return
		}
	}
}

// Away makes every answer a 503, or ends that.
func (p *Provider) Away(away bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.away = away
}

// Asked is how often a path was asked for.
func (p *Provider) Asked(path string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked[path]
}

// Standard are the claims of a good token for an audience, valid for an hour from
// now on.
func (p *Provider) Standard(audience, subject string, now time.Time, groups ...string) Claims {
	return Claims{
		"iss": p.URL, "aud": audience, "sub": subject, "groups": groups, "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
	}
}

// With returns the claims with some changed; nil removes one.
func (c Claims) With(pairs ...any) Claims {
	out := maps.Clone(c)
	for i := 0; i < len(pairs); i += 2 {
		if out[pairs[i].(string)] = pairs[i+1]; pairs[i+1] == nil {
			delete(out, pairs[i].(string))
		}
	}
	return out
}

// Token signs claims with the newest key.
func (p *Provider) Token(c Claims) string {
	p.t.Helper()
	p.mu.Lock()
	k := p.keys[len(p.keys)-1]
	p.mu.Unlock()
	return p.sign(c, k.alg, k.key, k.id)
}

// Sign signs claims with any key, under any key id.
func (p *Provider) Sign(c Claims, alg jose.SignatureAlgorithm, key any, id string) string {
	p.t.Helper()
	return p.sign(c, alg, key, id)
}

func (p *Provider) sign(c Claims, alg jose.SignatureAlgorithm, key any, id string) string {
	options := (&jose.SignerOptions{}).WithType("JWT")
	if id != "" {
		options = options.WithHeader("kid", id)
	}
	s, err := jose.NewSigner(jose.SigningKey{Algorithm: alg, Key: key}, options)
	if err != nil {
		p.t.Fatal(err)
	}
	b, err := json.Marshal(c)
	if err != nil {
		p.t.Fatal(err)
	}
	jws, err := s.Sign(b)
	if err != nil {
		p.t.Fatal(err)
	}
	out, err := jws.CompactSerialize()
	if err != nil {
		p.t.Fatal(err)
	}
	return out
}

// Public is the public key of an id.
func (p *Provider) Public(id string) crypto.PublicKey {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, k := range p.keys {
		if k.id == id {
			return k.key.Public()
		}
	}
	return nil
}

// Unsigned makes a token of the algorithm none.
func Unsigned(c Claims) string {
	b, err := json.Marshal(c)
	if err != nil {
		panic(err)
	}
	enc := base64.RawURLEncoding.EncodeToString
	return enc([]byte(`{"alg":"none","typ":"JWT"}`)) + "." + enc(b) + "."
}

func answer(w http.ResponseWriter, doc any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(doc) // who left misses nothing
}

func (p *Provider) configuration(w http.ResponseWriter, _ *http.Request) {
	answer(w, Claims{
		"issuer": p.URL, "jwks_uri": p.URL + "/jwks", "authorization_endpoint": p.URL + "/authorize", "token_endpoint": p.URL + "/token",
		"response_types_supported": []string{"code"}, "subject_types_supported": []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256", "ES256"}, "code_challenge_methods_supported": []string{"S256"},
	})
}

// jwks serves the public keys, and beside them what a verifier has to pass over: a
// secret key for encryption and a key of an unknown kind.
func (p *Provider) jwks(w http.ResponseWriter, _ *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list := []any{
		Claims{"kty": "oct", "kid": "oct", "k": base64.RawURLEncoding.EncodeToString([]byte(PublishedSecret))},
		Claims{"kty": "XYZ", "kid": "new"},
	}
	for _, k := range p.keys {
		list = append(list, jose.JSONWebKey{Key: k.key.Public(), KeyID: k.id, Algorithm: string(k.alg), Use: "sig"})
	}
	answer(w, Claims{"keys": list})
}

// authorize signs the person in without a question.
func (p *Provider) authorize(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	if q.Get("response_type") != "code" || q.Get("client_id") != p.Client || q.Get("code_challenge_method") != "S256" || q.Get("code_challenge") == "" {
		http.Error(w, "invalid_request", http.StatusBadRequest)
		return
	}
	code := rand.Text()
	p.mu.Lock()
	p.codes[code] = request{q.Get("code_challenge"), q.Get("nonce"), q.Get("redirect_uri")}
	p.mu.Unlock()
	back := q.Get("redirect_uri") + "?" + url.Values{"code": {code}, "state": {q.Get("state")}}.Encode()
	http.Redirect(w, r, back, http.StatusFound) //nolint:gosec // whoever asks this provider for a redirect is a test
}

// token exchanges a code, once, for whoever has the verifier.
func (p *Provider) token(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	code := r.PostFormValue("code")
	was, known := p.codes[code]
	delete(p.codes, code)
	sum := sha256.Sum256([]byte(r.PostFormValue("code_verifier")))
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostFormValue("client_id"), r.PostFormValue("client_secret")
	}
	if !known || id != p.Client || secret != p.Secret || was.redirect != r.PostFormValue("redirect_uri") ||
		base64.RawURLEncoding.EncodeToString(sum[:]) != was.challenge {
		p.Refused++
		w.WriteHeader(http.StatusBadRequest)
		fmt.Fprint(w, `{"error":"invalid_grant"}`)
		return
	}
	k := p.keys[len(p.keys)-1]
	now := time.Now()
	claims := Claims{"iss": p.URL, "aud": p.Client, "nonce": was.nonce, "iat": now.Unix(), "exp": now.Add(5 * time.Minute).Unix()}
	maps.Copy(claims, p.Person)
	answer(w, Claims{"access_token": rand.Text(), "token_type": "Bearer", "expires_in": 300, "id_token": p.sign(claims, k.alg, k.key, k.id)})
}
