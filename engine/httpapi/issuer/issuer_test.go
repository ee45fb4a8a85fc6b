package issuer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"

	"github.com/mbp-market/mbp/tests/idp"
)

// clock is the time of a test; the provider's tokens go by it.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time       { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) pass(d time.Duration) { c.ahead.Add(int64(d)) }

func open(t *testing.T, p *idp.Provider, c *clock) *Issuer {
	t.Helper()
	i, err := New(Config{URL: p.URL, Audience: "mbp", ClientID: p.Client, ClientSecret: p.Secret, Callback: "http://127.0.0.1:8420/auth/callback", Now: c.now})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestBearer(t *testing.T) {
	p, c := idp.Start(t), &clock{}
	i := open(t, p, c)
	good := p.Standard("mbp", "u-17", c.now(), "traders", "desk-3")
	person, err := i.Bearer(t.Context(), p.Token(good))
	if err != nil || person.Issuer != p.URL || person.Subject != "u-17" || strings.Join(person.Groups, " ") != "traders desk-3" {
		t.Fatalf("%q of %q in %v: %v", person.Subject, person.Issuer, person.Groups, err)
	}
	if text := fmt.Sprintf("%v %+v %#v %s", person, person, person, person); strings.Contains(text, "u-17") {
		t.Errorf("a person is formatted as %s", text)
	}
	p.AddEC("ec-1")
	c.pass(KeysPause) // the key is new, so the keys are read again
	if _, err := i.Bearer(t.Context(), p.Token(good)); err != nil {
		t.Errorf("an elliptic key: %v", err)
	}
	for what, claims := range map[string]idp.Claims{
		"one group as a text": good.With("groups", "traders"), "no groups": good.With("groups", nil),
		"two audiences": good.With("aud", []string{"other", "mbp"}), "a clock ahead": good.With("nbf", c.now().Add(30*time.Second).Unix()),
	} {
		if _, err := i.Bearer(t.Context(), p.Token(claims)); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	many := make([]string, maxGroups+1)
	for what, claims := range map[string]idp.Claims{
		"another audience": good.With("aud", "other"), "no audience": good.With("aud", nil), "the browser's audience": good.With("aud", p.Client),
		"another issuer": good.With("iss", p.URL+"/"), "no issuer": good.With("iss", nil),
		"expired": good.With("exp", c.now().Add(-time.Second).Unix()), "no end": good.With("exp", nil),
		"not valid yet": good.With("nbf", c.now().Add(2*time.Minute).Unix()), "made tomorrow": good.With("iat", c.now().Add(24*time.Hour).Unix()),
		"no subject": good.With("sub", nil), "two lines of a subject": good.With("sub", "a\nb"), "a long subject": good.With("sub", strings.Repeat("a", 256)),
		"groups elsewhere": good.With("groups", nil, "_claim_names", map[string]string{"groups": "s"}, "_claim_sources", map[string]any{"s": map[string]string{"endpoint": p.URL}}),
		"too many groups":  good.With("groups", many), "a group that is a number": good.With("groups", []any{1}), "groups that are none": good.With("groups", 7),
	} {
		if _, err := i.Bearer(t.Context(), p.Token(claims)); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", what, err)
		} else if strings.Contains(err.Error(), "u-17") {
			t.Errorf("%s: the error names the person: %v", what, err)
		}
	}
}

// TestForgeries: what is not signed by the provider's own key with an asymmetric
// algorithm proves nothing.
func TestForgeries(t *testing.T) {
	p, c := idp.Start(t), &clock{}
	i := open(t, p, c)
	good := p.Standard("mbp", "u-17", c.now(), "traders")
	token := p.Token(good)
	if _, err := i.Bearer(t.Context(), token); err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKIXPublicKey(p.Public("rsa-1"))
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, _ := strings.Cut(token, ".")
	body, sig, _ := strings.Cut(rest, ".")
	forged := map[string]string{
		"none":                            idp.Unsigned(good),
		"none, with the signature":        idp.Unsigned(good) + sig,
		"HS256 with the public key":       p.Sign(good, jose.HS256, der, "rsa-1"),
		"HS256 with a published secret":   p.Sign(good, jose.HS256, []byte(idp.PublishedSecret), "oct"),
		"a stranger's key under its name": p.Sign(good, jose.RS256, stranger, "rsa-1"),
		"a stranger's key":                p.Sign(good, jose.RS256, stranger, "mine"),
		"a stranger's key without a name": p.Sign(good, jose.RS256, stranger, ""),
		"another algorithm of the key":    p.Sign(good, jose.PS256, stranger, "rsa-1"),
		"no signature":                    head + "." + body + ".",
		"another head":                    strings.Split(idp.Unsigned(good), ".")[0] + "." + body + "." + sig,
		"too long":                        token + strings.Repeat("A", MaxToken),
		"nothing":                         "", "dots": "..", "JSON": `{"payload":"","signatures":[]}`,
	}
	for n := range len(token) { // every byte counts, but for the bits that base64 does not use
		if n == len(token)-1 || token[n] == '.' || n == len(head)-1 || n == len(head)+len(body) {
			continue
		}
		b := []byte(token)
		if b[n]++; b[n] == '[' || b[n] == '{' || b[n] == ':' || b[n] == '`' || b[n] == '.' {
			b[n] = 'A'
		}
		if n%7 == 0 && string(b) != token {
			forged[fmt.Sprint("byte ", n)] = string(b)
		}
	}
	for what, token := range forged {
		if _, err := i.Bearer(t.Context(), token); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestRotation: a new key counts at once, one that is taken back for KeysAge at most.
func TestRotation(t *testing.T) {
	p, c := idp.Start(t), &clock{}
	i := open(t, p, c)
	good := p.Standard("mbp", "u-17", c.now()).With("exp", c.now().Add(24*time.Hour).Unix())
	old := p.Token(good)
	if _, err := i.Bearer(t.Context(), old); err != nil {
		t.Fatal(err)
	}
	c.pass(KeysPause)
	p.AddRSA("rsa-2")
	if _, err := i.Bearer(t.Context(), p.Token(good)); err != nil {
		t.Errorf("the new key: %v", err)
	}
	p.Drop("rsa-1")
	if _, err := i.Bearer(t.Context(), old); err != nil {
		t.Errorf("a key that was taken back a moment ago: %v", err)
	}
	c.pass(KeysAge)
	if _, err := i.Bearer(t.Context(), old); !errors.Is(err, ErrToken) {
		t.Errorf("a key that was taken back: %v", err)
	}
}

// TestFlood: tokens that name keys which nobody has do not make the provider's day.
func TestFlood(t *testing.T) {
	p, c := idp.Start(t), &clock{}
	i := open(t, p, c)
	good := p.Standard("mbp", "u-17", c.now())
	if _, err := i.Bearer(t.Context(), p.Token(good)); err != nil {
		t.Fatal(err)
	}
	before := p.Asked("/jwks")
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	forged := make([]string, 64)
	for n := range forged {
		forged[n] = p.Sign(good, jose.RS256, stranger, fmt.Sprint("made-up-", n))
	}
	c.pass(KeysPause) // one more request is due
	var wg sync.WaitGroup
	for _, token := range forged {
		wg.Go(func() {
			for range 20 {
				if _, err := i.Bearer(t.Context(), token); !errors.Is(err, ErrToken) {
					t.Errorf("forged: %v", err)
				}
			}
		})
	}
	wg.Wait()
	if asked := p.Asked("/jwks") - before; asked != 1 {
		t.Errorf("%d forged tokens made %d requests for keys", 20*len(forged), asked)
	}
	if _, err := i.Bearer(t.Context(), p.Token(good)); err != nil {
		t.Errorf("a good token after the flood: %v", err)
	}
}

// TestProviderAway: who is known stays known for an hour, and a start without the
// provider heals.
func TestProviderAway(t *testing.T) {
	p, c := idp.Start(t), &clock{}
	p.Away(true)
	i := open(t, p, c)
	good := p.Standard("mbp", "u-17", c.now()).With("exp", c.now().Add(24*time.Hour).Unix())
	for range 10 {
		if _, err := i.Bearer(t.Context(), p.Token(good)); !errors.Is(err, ErrAway) {
			t.Fatalf("without a provider: %v", err)
		}
	}
	if asked := p.Asked("/.well-known/openid-configuration"); asked != 1 {
		t.Errorf("ten tokens made %d requests", asked)
	}
	p.Away(false)
	c.pass(discoveryPause)
	if _, err := i.Bearer(t.Context(), p.Token(good)); err != nil {
		t.Fatalf("it is back: %v", err)
	}
	p.Away(true)
	c.pass(KeysStale - time.Second)
	if _, err := i.Bearer(t.Context(), p.Token(good)); err != nil {
		t.Errorf("for a while its keys are known: %v", err)
	}
	c.pass(KeysPause)
	if _, err := i.Bearer(t.Context(), p.Token(good)); !errors.Is(err, ErrAway) {
		t.Errorf("after an hour: %v", err)
	}
}

// TestSignIn goes through the code flow as a browser does.
func TestSignIn(t *testing.T) {
	p, c := idp.Start(t), &clock{}
	p.Secret, p.Person = "s3cret", idp.Claims{"sub": "u-17", "groups": []string{"traders"}}
	i := open(t, p, c)
	const verifier, nonce = "0123456789012345678901234567890123456789abc", "n-1"
	code := func() string {
		t.Helper()
		at, err := i.SignInURL(t.Context(), "state-1", nonce, verifier)
		if err != nil || strings.Contains(at, verifier) {
			t.Fatalf("%s: %v", at, err)
		}
		client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
		res, err := client.Get(at)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		back, err := url.Parse(res.Header.Get("Location"))
		if err != nil || back.Query().Get("state") != "state-1" || !strings.HasPrefix(back.String(), "http://127.0.0.1:8420/auth/callback?") {
			t.Fatalf("back to %s: %v", back, err)
		}
		return back.Query().Get("code")
	}
	once := code()
	person, err := i.Exchange(t.Context(), once, nonce, verifier)
	if err != nil || person.Subject != "u-17" || person.Groups[0] != "traders" {
		t.Fatalf("%q %v: %v", person.Subject, person.Groups, err)
	}
	for what, try := range map[string]func() (Person, error){
		"the code again":   func() (Person, error) { return i.Exchange(t.Context(), once, nonce, verifier) },
		"another verifier": func() (Person, error) { return i.Exchange(t.Context(), code(), nonce, verifier+"x") },
		"another nonce":    func() (Person, error) { return i.Exchange(t.Context(), code(), "n-2", verifier) },
		"no code":          func() (Person, error) { return i.Exchange(t.Context(), "", nonce, verifier) },
		"a token of the browser as bearer": func() (Person, error) {
			return i.Bearer(t.Context(), p.Token(p.Standard(p.Client, "u-17", c.now())))
		},
	} {
		if _, err := try(); !errors.Is(err, ErrToken) {
			t.Errorf("%s: %v", what, err)
		}
	}
	p.Away(true)
	if _, err := i.Exchange(t.Context(), "x", nonce, verifier); !errors.Is(err, ErrAway) {
		t.Errorf("while the provider is away: %v", err)
	}
}

func TestConfig(t *testing.T) {
	for what, cfg := range map[string]Config{
		"plain HTTP": {URL: "http://idp.example.org", Audience: "mbp"}, "no URL": {Audience: "mbp"}, "a query": {URL: "https://a.example/?x=1", Audience: "mbp"},
		"no purpose": {URL: "https://a.example"}, "a callback in plain HTTP": {URL: "https://a.example", ClientID: "x", Callback: "http://b.example/auth/callback"},
	} {
		if _, err := New(cfg); err == nil {
			t.Errorf("%s passes", what)
		}
	}
}

// TestWeakKeys: short keys and keys for encryption sign nothing.
func TestWeakKeys(t *testing.T) {
	short, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Skip(err) // GODEBUG may forbid to make one
	}
	long, err := rsa.GenerateKey(rand.Reader, minRSA)
	if err != nil {
		t.Fatal(err)
	}
	for what, c := range map[string]struct {
		key  jose.JSONWebKey
		want bool
	}{
		"short": {jose.JSONWebKey{Key: &short.PublicKey}, false}, "long": {jose.JSONWebKey{Key: &long.PublicKey, Use: "sig"}, true},
		"for encryption": {jose.JSONWebKey{Key: &long.PublicKey, Use: "enc"}, false}, "symmetric": {jose.JSONWebKey{Key: []byte("x")}, false},
		"private": {jose.JSONWebKey{Key: long}, false},
	} {
		if signing(&c.key) != c.want {
			t.Errorf("%s: %v", what, !c.want)
		}
	}
}

// FuzzBearer: no token makes the verifier panic, and none but the signed one counts.
func FuzzBearer(f *testing.F) {
	p, c := idp.Start(f), &clock{}
	i, err := New(Config{URL: p.URL, Audience: "mbp", Now: c.now})
	if err != nil {
		f.Fatal(err)
	}
	good := p.Token(p.Standard("mbp", "u-17", c.now()))
	for _, seed := range []string{good, idp.Unsigned(p.Standard("mbp", "u-17", c.now())), "a.b.c", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if person, err := i.Bearer(context.Background(), token); err == nil && person.Subject != "u-17" {
			t.Errorf("%q counts", token)
		}
	})
}
