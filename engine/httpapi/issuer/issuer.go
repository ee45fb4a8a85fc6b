// Package issuer knows one OpenID provider: who a token that it signed is about, and
// how a browser signs in there.
//
// It promises: a token counts only if the provider's own key signed it with an
// asymmetric algorithm, for this audience, now; a key that the provider gives up
// is given up here within KeysAge; a provider that is away keeps nobody out whose
// keys are known, and a flood of tokens with made-up keys asks it no more than once
// in each KeysPause; no document of it is read past a bound. It starts nothing and
// asks nobody before it is asked.
//
// It refuses tokens without a subject, tokens that leave out groups which the person
// has (the groups may forbid something), issuers that are not HTTPS unless they are
// on this machine, and redirects. It keeps and logs nothing of a person.
//
// It follows OpenID Connect Core and Discovery 1.0, RFC 7519 (JWT), RFC 7517 (JWK
// sets), RFC 8725 (JWT best practice), RFC 6749 with RFC 7636 (PKCE), and RFC 9700
// (OAuth 2.0 security).
package issuer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
)

// Bounds.
const (
	// MaxToken is the most bytes of a token: with some hundred groups one has 8 KiB.
	MaxToken = 12 << 10
	// maxGroups bounds the groups of a person; who has more is refused, because a
	// group that is left out may be one that forbids.
	maxGroups = 256
	// maxGroup is the most bytes of a group's name.
	maxGroup = 256
	// maxSubject is OpenID Connect's bound of a subject.
	maxSubject = 255
	// maxDocument bounds what is read of the provider's documents.
	maxDocument = 1 << 20
	// timeout of one request to the provider, which people wait for.
	timeout = 5 * time.Second
	// leeway for clocks that differ; only for tokens that are not valid yet, because
	// one that has expired can be had anew.
	leeway = time.Minute
	// discoveryPause is between two tries to read the provider's configuration.
	discoveryPause = 5 * time.Second
)

// The errors of a token.
var (
	// ErrToken: the token proves nothing; get another one.
	ErrToken = errors.New("the token is not valid")
	// ErrAway: the provider does not answer and its keys are not known; try again.
	ErrAway = errors.New("the identity provider does not answer")
)

// Config of a provider. URL is required.
type Config struct {
	URL         string // the issuer, exactly as tokens name it
	Audience    string // that bearer tokens are for; empty: none is taken
	GroupsClaim string // name of the claim that lists a person's groups; groups

	ClientID     string // of this server at the provider; empty: no sign-in by browser
	ClientSecret string // of it; empty: a public client, which PKCE protects alone
	Callback     string // the absolute URL of this server to which the provider sends browsers back

	Client *http.Client     // for requests to the provider; nil: one of its own
	Now    func() time.Time // nil: time.Now
}

// Person is whom a token is about. Subject is personal data: it goes into no log,
// and Format keeps it out of formatted texts.
type Person struct {
	Issuer  string
	Subject string
	Groups  []string
	Issued  time.Time // when the provider said so; zero: it does not tell
	Expires time.Time // of the token
}

// Format implements fmt.Formatter: it tells nothing of whom this is.
func (Person) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "person") }

// Issuer is one provider. It is safe for concurrent use.
type Issuer struct {
	cfg Config

	mu    sync.Mutex
	found *provider // nil until its configuration was read
	tried time.Time // when that was tried last
}

// provider is what the configuration of a provider told.
type provider struct {
	*oidc.Provider
	bearer, browser *oidc.IDTokenVerifier // nil: not configured
}

// New checks the configuration. The provider is asked when it is needed first.
func New(cfg Config) (*Issuer, error) {
	u, err := url.Parse(cfg.URL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || !secure(u) {
		return nil, fmt.Errorf("issuer %q is not an https URL", cfg.URL)
	}
	if cfg.Audience == "" && cfg.ClientID == "" {
		return nil, errors.New("an issuer needs an audience, or a client id, or both")
	}
	if back, err := url.Parse(cfg.Callback); cfg.ClientID != "" && (err != nil || !secure(back)) {
		return nil, fmt.Errorf("callback %q is not an https URL", cfg.Callback)
	}
	if cfg.GroupsClaim == "" {
		cfg.GroupsClaim = "groups"
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Client == nil {
		cfg.Client = &http.Client{Timeout: timeout}
	}
	client := *cfg.Client
	client.Transport = bounded{client.Transport}
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return errors.New("the provider redirects") }
	cfg.Client = &client
	return &Issuer{cfg: cfg}, nil
}

// secure reports whether what is sent to a URL stays between two machines, or on
// this one.
func secure(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// bounded reads no answer past maxDocument.
type bounded struct{ next http.RoundTripper }

// RoundTrip implements http.RoundTripper.
func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	next := b.next
	if next == nil {
		next = http.DefaultTransport
	}
	res, err := next.RoundTrip(r)
	if err == nil {
		res.Body = http.MaxBytesReader(nil, res.Body, maxDocument)
	}
	return res, err
}

// discover reads the provider's configuration, once. Nobody waits for two tries.
func (i *Issuer) discover(ctx context.Context) (*provider, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.found != nil {
		return i.found, nil
	}
	if i.cfg.Now().Sub(i.tried) < discoveryPause {
		return nil, ErrAway
	}
	defer func() { i.tried = i.cfg.Now() }() // afterwards: who waited meanwhile does not try again
	// Whoever comes first may leave; the others need the answer.
	ctx, cancel := context.WithTimeout(oidc.ClientContext(context.WithoutCancel(ctx), i.cfg.Client), timeout)
	defer cancel()
	p, err := oidc.NewProvider(ctx, i.cfg.URL)
	if err != nil {
		return nil, fmt.Errorf("%w: read its configuration: %w", ErrAway, err)
	}
	var doc struct {
		JWKS string `json:"jwks_uri"`
	}
	if err := p.Claims(&doc); err != nil {
		return nil, fmt.Errorf("%w: read its configuration: %w", ErrAway, err)
	}
	for _, at := range []string{doc.JWKS, p.Endpoint().TokenURL} {
		if u, err := url.Parse(at); err != nil || !secure(u) {
			return nil, fmt.Errorf("%w: it names an address that is not https", ErrAway)
		}
	}
	keys := newKeys(doc.JWKS, i.cfg.Client, i.cfg.Now)
	found := &provider{Provider: p}
	verifier := func(audience string) *oidc.IDTokenVerifier {
		if audience == "" {
			return nil
		}
		return oidc.NewVerifier(i.cfg.URL, keys, &oidc.Config{ClientID: audience, SupportedSigningAlgs: algorithmNames(), Now: i.cfg.Now})
	}
	found.bearer, found.browser = verifier(i.cfg.Audience), verifier(i.cfg.ClientID)
	i.found = found
	return found, nil
}

// Bearer returns whom a bearer token is about. The error is ErrToken or ErrAway,
// with a reason that tells nothing of a person.
func (i *Issuer) Bearer(ctx context.Context, token string) (Person, error) {
	if len(token) > MaxToken || i.cfg.Audience == "" {
		return Person{}, ErrToken
	}
	p, err := i.discover(ctx)
	if err != nil {
		return Person{}, err
	}
	return i.read(ctx, p.bearer, token, "")
}

// read verifies a token and reads what it says. A nonce, if given, has to be in it.
func (i *Issuer) read(ctx context.Context, v *oidc.IDTokenVerifier, raw, nonce string) (Person, error) {
	var away error
	token, err := v.Verify(context.WithValue(ctx, awayKey{}, &away), raw)
	switch {
	case away != nil:
		return Person{}, fmt.Errorf("%w: read its keys: %w", ErrAway, away)
	case err != nil:
		return Person{}, ErrToken // its reasons quote the token
	case nonce != "" && token.Nonce != nonce:
		return Person{}, fmt.Errorf("%w: it answers another sign-in", ErrToken)
	}
	claims := map[string]any{}
	if err := token.Claims(&claims); err != nil {
		return Person{}, ErrToken
	}
	for _, name := range []string{"nbf", "iat"} {
		if at, is := claims[name].(float64); is && time.Unix(int64(at), 0).After(i.cfg.Now().Add(leeway)) {
			return Person{}, fmt.Errorf("%w: it is not valid yet", ErrToken)
		}
	}
	if token.Subject == "" || len(token.Subject) > maxSubject || strings.ContainsAny(token.Subject, "\r\n") {
		return Person{}, fmt.Errorf("%w: it has no subject", ErrToken)
	}
	groups, err := groupsOf(claims, i.cfg.GroupsClaim)
	if err != nil {
		return Person{}, err
	}
	return Person{Issuer: token.Issuer, Subject: token.Subject, Groups: groups, Issued: token.IssuedAt, Expires: token.Expiry}, nil
}

// groupsOf reads the groups: a list of names, or one name. A provider that keeps
// them elsewhere says so in _claim_names; then they are not known.
func groupsOf(claims map[string]any, name string) ([]string, error) {
	if elsewhere, is := claims["_claim_names"].(map[string]any); is && elsewhere[name] != nil {
		return nil, fmt.Errorf("%w: its groups are elsewhere; let the provider put them in, or fewer", ErrToken)
	}
	var list []any
	switch x := claims[name].(type) {
	case nil:
	case string:
		list = []any{x}
	case []any:
		list = x
	default:
		return nil, fmt.Errorf("%w: its groups are no list", ErrToken)
	}
	if len(list) > maxGroups {
		return nil, fmt.Errorf("%w: it has more than %d groups", ErrToken, maxGroups)
	}
	out := make([]string, 0, len(list))
	for _, v := range list {
		group, is := v.(string)
		if !is || len(group) > maxGroup {
			return nil, fmt.Errorf("%w: a group is no name", ErrToken)
		}
		out = append(out, group)
	}
	return out, nil
}

// SignsIn reports whether browsers can sign in.
func (i *Issuer) SignsIn() bool { return i.cfg.ClientID != "" }

func (i *Issuer) client(p *provider) *oauth2.Config {
	return &oauth2.Config{
		ClientID: i.cfg.ClientID, ClientSecret: i.cfg.ClientSecret, RedirectURL: i.cfg.Callback,
		Endpoint: p.Endpoint(), Scopes: []string{oidc.ScopeOpenID},
	}
}

// SignInURL is where a browser goes to sign in. State comes back with it; nonce comes
// back in the token; verifier is the secret of PKCE, of which only a digest travels.
func (i *Issuer) SignInURL(ctx context.Context, state, nonce, verifier string) (string, error) {
	p, err := i.discover(ctx)
	if err != nil {
		return "", err
	}
	return i.client(p).AuthCodeURL(state, oidc.Nonce(nonce), oauth2.S256ChallengeOption(verifier)), nil
}

// Exchange returns who has signed in, for the code that the browser brought back.
func (i *Issuer) Exchange(ctx context.Context, code, nonce, verifier string) (Person, error) {
	p, err := i.discover(ctx)
	if err != nil {
		return Person{}, err
	}
	ctx, cancel := context.WithTimeout(oidc.ClientContext(ctx, i.cfg.Client), timeout)
	defer cancel()
	got, err := i.client(p).Exchange(ctx, code, oauth2.VerifierOption(verifier))
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.Response.StatusCode < http.StatusInternalServerError:
		return Person{}, fmt.Errorf("%w: the provider refused the code", ErrToken)
	case refused != nil: // its text quotes the answer
		return Person{}, fmt.Errorf("%w: exchange a code: status %d", ErrAway, refused.Response.StatusCode)
	case err != nil:
		return Person{}, fmt.Errorf("%w: exchange a code: %w", ErrAway, err)
	}
	raw, is := got.Extra("id_token").(string)
	if !is || len(raw) > MaxToken {
		return Person{}, fmt.Errorf("%w: the provider gave none", ErrToken)
	}
	return i.read(ctx, p.browser, raw, nonce)
}
