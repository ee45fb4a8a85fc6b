// Package signin lets people in by browser: with an API key, or at the house's
// identity provider by the authorization code flow with PKCE.
//
// It promises: a sign-in ends in the browser in which it began, within SignInTime,
// once; nothing of it is kept on the server meanwhile, so that nobody can fill up
// the place of others; what the provider sends back goes nowhere but to its token
// endpoint, and a browser is sent to the provider and to the panel alone.
//
// It refuses to sign in, or out, for a page of another site, and to tell a stranger
// why somebody was refused beyond that the provider is away or that it was refused.
//
// It follows OpenID Connect Core 1.0, section 3.1, RFC 7636 (PKCE) and RFC 9700.
package signin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/session"
)

// SignInTime is how long somebody may take at the provider.
const SignInTime = 10 * time.Minute

// maxCode is the most bytes of a code that a provider sends back.
const maxCode = 4 << 10

// Where the handlers are.
const (
	PathSession  = "/auth/session"
	PathEnd      = "/auth/session/end"
	PathSignIn   = "/auth/sign-in"
	PathCallback = "/auth/callback"
)

// What the panel is told in its address when a sign-in has failed.
const (
	pageIn      = "/"
	pageRefused = "/#sign-in-refused"
	pageAway    = "/#sign-in-away"
)

// Config of the handlers. All but Issuer are required.
type Config struct {
	Door     *identity.Door
	Sessions *session.Store
	Issuer   *issuer.Issuer // nil: people sign in by key alone
	Secret   []byte         // of this installation, with an Issuer
	Secure   bool           // browsers reach this server by HTTPS alone
	Now      func() time.Time
	Log      *slog.Logger // redacting: see obs/telemetry

	Fail  func(w http.ResponseWriter, r *http.Request, err error)
	Write func(w http.ResponseWriter, r *http.Request, status int, doc any)
}

// Handlers are the four handlers.
type Handlers struct {
	Config
	key []byte // of what is remembered in the browser
}

// New returns the handlers.
func New(cfg Config) *Handlers {
	return &Handlers{Config: cfg, key: mac(cfg.Secret, "sign-in key")}
}

func mac(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return h.Sum(nil)
}

// SignsIn reports whether there is a provider at which browsers sign in.
func (h *Handlers) SignsIn() bool { return h.Issuer != nil && h.Issuer.SignsIn() }

// Who is who has signed in, as the panel sees it.
type Who struct {
	Principal string           `json:"principal"`
	Roles     engine.Roles     `json:"roles"`
	Account   engine.AccountID `json:"account,omitempty"`
	Ends      time.Time        `json:"ends"`
	CSRF      string           `json:"csrf"`
}

// Doc is what PathSession answers.
type Doc struct {
	Session *Who   `json:"session"` // null: nobody has signed in
	SignIn  string `json:"sign_in"` // where the provider's sign-in begins; empty: there is none
}

func (h *Handlers) doc(p *identity.Principal, s *session.Session) Doc {
	var d Doc
	if h.SignsIn() {
		d.SignIn = PathSignIn
	}
	if s != nil {
		d.Session = &Who{Principal: p.Principal, Roles: p.Roles, Account: p.Account, Ends: s.Ends.UTC().Truncate(time.Second), CSRF: s.CSRF()}
	}
	return d
}

// Current answers whose session the cookie is of.
func (h *Handlers) Current(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "" { // that is no session
		h.Write(w, r, http.StatusOK, h.doc(nil, nil))
		return
	}
	p, err := h.Door.Enter(r)
	switch {
	case errors.Is(err, identity.ErrNobody):
		h.Write(w, r, http.StatusOK, h.doc(nil, nil))
	case err != nil:
		h.Fail(w, r, identity.Refusal(err))
	default:
		h.Write(w, r, http.StatusOK, h.doc(&p, p.Browser()))
	}
}

// Begin starts a session for who has an API key or a token, so that the browser need
// not keep it.
func (h *Handlers) Begin(w http.ResponseWriter, r *http.Request) {
	err := identity.ErrNobody
	var p identity.Principal
	if r.Header.Get("Authorization") != "" {
		p, err = h.Door.Enter(r)
	}
	if err == nil && !session.SameOrigin(r) {
		err = identity.ErrForged
	}
	if err != nil {
		h.Fail(w, r, identity.Refusal(err))
		return
	}
	meter.Name(w, p.Principal)
	s := h.Sessions.Begin(w, r, p.Holder(), p.Until)
	h.Write(w, r, http.StatusCreated, h.doc(&p, s))
}

// End ends the session of the cookie.
func (h *Handlers) End(w http.ResponseWriter, r *http.Request) {
	p, err := h.Door.Enter(r)
	if err == nil && p.Browser() == nil {
		err = identity.ErrNobody
	}
	if err != nil {
		h.Fail(w, r, identity.Refusal(err))
		return
	}
	meter.Name(w, p.Principal)
	h.Sessions.End(w, p.Browser())
	h.Write(w, r, http.StatusOK, h.doc(nil, nil))
}

// errNoProvider answers where people sign in by key alone.
func errNoProvider() error {
	return &problem.Refusal{Code: problem.NotFound, Detail: "this server has no identity provider at which browsers sign in"}
}

// SignIn sends a browser to the provider.
func (h *Handlers) SignIn(w http.ResponseWriter, r *http.Request) {
	if !h.SignsIn() {
		h.Fail(w, r, errNoProvider())
		return
	}
	state := h.begin()
	at, err := h.Issuer.SignInURL(r.Context(), state, h.nonce(state), h.verifier(state))
	if err != nil {
		h.away(w, r, err)
		return
	}
	http.SetCookie(w, h.cookie(state, int(SignInTime/time.Second)))
	h.leave(w, at)
}

// Callback takes a browser back from the provider.
func (h *Handlers) Callback(w http.ResponseWriter, r *http.Request) {
	if !h.SignsIn() {
		h.Fail(w, r, errNoProvider())
		return
	}
	cookies := r.CookiesNamed(h.cookieName())
	http.SetCookie(w, h.cookie("", -1)) // a sign-in ends once
	q := r.URL.Query()
	state, code := q.Get("state"), q.Get("code")
	if len(cookies) != 1 || !h.begun(cookies[0].Value) || code == "" || len(code) > maxCode ||
		subtle.ConstantTimeCompare([]byte(cookies[0].Value), []byte(state)) != 1 {
		h.leave(w, pageRefused)
		return
	}
	p, err := h.person(r.Context(), code, state)
	switch {
	case errors.Is(err, issuer.ErrToken), errors.Is(err, identity.ErrNoRole), errors.Is(err, identity.ErrRevoked):
		h.leave(w, pageRefused)
	case err != nil:
		h.away(w, r, err)
	default:
		meter.Name(w, p.Principal)
		h.Sessions.Begin(w, r, p.Holder(), time.Time{}) // the provider's token lives for minutes
		h.leave(w, pageIn)
	}
}

func (h *Handlers) person(ctx context.Context, code, state string) (identity.Principal, error) {
	person, err := h.Issuer.Exchange(ctx, code, h.nonce(state), h.verifier(state))
	if err != nil {
		return identity.Principal{}, err
	}
	return h.Door.Admit(ctx, person)
}

// away sends a browser back that nobody could tell who it is.
func (h *Handlers) away(w http.ResponseWriter, r *http.Request, err error) {
	h.Log.WarnContext(r.Context(), "sign-in at the provider", "err", err)
	h.leave(w, pageAway)
}

func (h *Handlers) leave(w http.ResponseWriter, to string) {
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

func (h *Handlers) cookieName() string {
	if h.Secure {
		return "__Host-mbp-sign-in"
	}
	return "mbp-sign-in"
}

// cookie keeps the state. It has to come back from the provider's site, so it is Lax.
func (h *Handlers) cookie(value string, seconds int) *http.Cookie {
	return &http.Cookie{ //nolint:gosec // Secure is off where the server speaks plain HTTP to this machine
		Name: h.cookieName(), Value: value, Path: "/", MaxAge: seconds, HttpOnly: true, Secure: h.Secure, SameSite: http.SameSiteLaxMode,
	}
}

// The parts of a state: when it began, what makes it unlike others, and that it is
// ours. Nonce and verifier follow from it and the server's secret.
const (
	stateTime, stateRandom, stateMAC = 8, 24, 32
	stateBytes                       = stateTime + stateRandom + stateMAC
)

var encoding = base64.RawURLEncoding.Strict()

func (h *Handlers) begin() string {
	b := binary.BigEndian.AppendUint64(nil, uint64(h.Now().Unix()))
	b = append(b, make([]byte, stateRandom)...)
	_, _ = rand.Read(b[stateTime:]) // it never fails
	return encoding.EncodeToString(append(b, mac(h.key, "state"+string(b))...))
}

// begun reports whether a sign-in with this state began here a while ago at most.
func (h *Handlers) begun(state string) bool {
	b, err := encoding.DecodeString(state)
	if err != nil || len(b) != stateBytes || encoding.EncodeToString(b) != state { // it decodes over line feeds
		return false
	}
	text, sum := b[:stateBytes-stateMAC], b[stateBytes-stateMAC:]
	age := h.Now().Sub(time.Unix(int64(binary.BigEndian.Uint64(text)), 0))
	return hmac.Equal(sum, mac(h.key, "state"+string(text))) && age >= 0 && age <= SignInTime
}

func (h *Handlers) nonce(state string) string {
	return encoding.EncodeToString(mac(h.key, "nonce"+state))
}
func (h *Handlers) verifier(state string) string {
	return encoding.EncodeToString(mac(h.key, "verifier"+state))
}
