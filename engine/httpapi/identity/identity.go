// Package identity is the door of the edge: it says who asks, by an API key, by a
// token of an identity provider, or by the cookie of a session.
//
// It promises: whoever passes is on record in the journal, as the digest of a key or
// of a person, and was not revoked or expired at the last decision that readers see;
// a person is known there by a keyed pseudonym and by nothing else; one that comes
// for the first time gets an account, once, however many requests come together;
// what a person may do is what the provider's groups say now, and never more than
// the table of groups gives; a cookie alone changes nothing (CSRF).
//
// It refuses requests with two claims of who asks, persons whom no group gives a
// role, and to let a wrong claim pass on the strength of another one. It decides
// nothing about routes: that is the edge's table.
//
// What links a person with the pseudonym is kept where it can be erased (LGPD, article
// 18): who comes again after that is somebody new.
//
// It follows RFC 6750 (bearer tokens) and OWASP's session and CSRF advice. The digest
// of a person is HMAC-SHA-256 (RFC 2104) under a secret of the installation.
package identity

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/session"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Bounds.
const (
	// maxSecret bounds what is hashed as a key; ours have 56 characters.
	maxSecret = 128
	// MinSalt is the least secret bytes of an installation.
	MinSalt = 32
	// enrolTimeout is how long a person waits for the account; the writer decides
	// within milliseconds.
	enrolTimeout = 10 * time.Second
)

// The errors of Enter; those of issuer and of the sequencer pass through.
var (
	// ErrNobody: nothing valid says who asks.
	ErrNobody = errors.New("no valid credential")
	// ErrNoRole: the person is known, and no group gives a role here.
	ErrNoRole = errors.New("none of the person's groups has a role here")
	// ErrRevoked: the person was let in once, and is not any more.
	ErrRevoked = errors.New("the person was shut out")
	// ErrForged: a cookie came without what only the panel's own page knows.
	ErrForged = errors.New("the request does not come from the panel's page")
)

// Writer is what the door needs of the sequencer.
type Writer interface {
	View(fn func(*core.State))
	Now() engine.Time
	Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error)
	Wait(ctx context.Context, seq engine.Seq) error
}

// Provider says whom a token is about.
type Provider interface {
	Bearer(ctx context.Context, token string) (issuer.Person, error)
}

// Persons is where the link between a person and a pseudonym is kept, and can be
// erased.
type Persons interface {
	// Person returns the pseudonym of a person by the keyed digest of who that is, a
	// new one for one who is not known, and the account that is bound to it.
	Person(index engine.Digest, at engine.Time) (engine.Digest, engine.AccountID, error)
	// Rekey gives a person another keyed digest, and notes one who is on record under a
	// pseudonym without being known; false: the person is neither.
	Rekey(before, index, known engine.Digest, at engine.Time) (engine.Digest, engine.AccountID, bool, error)
	// Bind notes the account of a pseudonym.
	Bind(pseudonym engine.Digest, account engine.AccountID) error
}

// Config of the door. Writer is required.
type Config struct {
	Writer   Writer
	Provider Provider                // nil: tokens are not taken
	Groups   map[string]engine.Roles // what each of the provider's groups may do
	Salt     []byte                  // of persons' digests, MinSalt secret bytes; with a Provider
	// Before is the salt of before, while persons are still found by it; nil: nobody is.
	// Whoever comes is found by Salt alone from then on, also who is on record under a
	// digest of Before: once it is destroyed, nothing links those with their person but
	// Persons, which can forget.
	Before   []byte
	Sessions *session.Store // nil: cookies are not taken
	// Persons keeps pseudonyms; nil: the keyed digest of a person is the pseudonym, which
	// whoever has the salt can link with the person for ever.
	Persons Persons
}

// Door lets in. It is safe for concurrent use.
type Door struct{ cfg Config }

// New checks the configuration.
func New(cfg Config) (*Door, error) {
	switch {
	case cfg.Writer == nil:
		return nil, errors.New("identity: Writer is required")
	case cfg.Before != nil && (cfg.Persons == nil || len(cfg.Before) < MinSalt):
		return nil, fmt.Errorf("identity: the salt of before needs %d bytes, and a store", MinSalt)
	case cfg.Provider != nil && (len(cfg.Salt) < MinSalt || len(cfg.Groups) == 0):
		return nil, fmt.Errorf("identity: a provider needs a salt of %d bytes, and groups", MinSalt)
	}
	return &Door{cfg}, nil
}

// Principal is who asks.
type Principal struct {
	engine.Key           // as it is on record; of a person, with the roles of now
	Groups     []string  // of a person, at the provider
	Until      time.Time // when what proves it ends; zero: it does not by itself
	session    *session.Session
}

// Enter says who asks. Its work is the same for each secret: one hash, and a look-up
// by a digest that nobody can steer, so that the time says nothing of keys that exist.
func (d *Door) Enter(r *http.Request) (Principal, error) {
	switch values := r.Header.Values("Authorization"); len(values) {
	case 0:
		return d.visitor(r)
	case 1:
		scheme, credential, _ := strings.Cut(values[0], " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return Principal{}, ErrNobody
		}
		if d.cfg.Provider != nil && strings.Count(credential, ".") == 2 { // no secret of ours has a dot
			return d.token(r.Context(), credential)
		}
		return d.secret(credential)
	}
	return Principal{}, ErrNobody
}

func (d *Door) secret(secret string) (Principal, error) {
	known := secret != "" && len(secret) <= maxSecret
	key, ok := d.onRecord(sha256.Sum256([]byte(secret)))
	if !known || !ok || key.Identity {
		return Principal{}, ErrNobody
	}
	return Principal{Key: key, Until: end(key)}, nil
}

func end(k engine.Key) (t time.Time) {
	if k.ExpiresAt != 0 {
		t = time.UnixMicro(int64(k.ExpiresAt))
	}
	return t
}

func (d *Door) onRecord(digest engine.Digest) (key engine.Key, valid bool) {
	now := d.cfg.Writer.Now()
	d.cfg.Writer.View(func(s *core.State) { key, valid = s.Key(digest, now) })
	return key, valid
}

func (d *Door) token(ctx context.Context, token string) (Principal, error) {
	p, err := d.cfg.Provider.Bearer(ctx, token)
	if err != nil {
		return Principal{}, err
	}
	return d.Admit(ctx, p)
}

// visitor says who has the cookie of a session. A request that changes something has
// to name the session's token, too, and to come from a page of this origin.
func (d *Door) visitor(r *http.Request) (Principal, error) {
	if d.cfg.Sessions == nil {
		return Principal{}, ErrNobody
	}
	s, ok := d.cfg.Sessions.Find(r)
	if !ok {
		return Principal{}, ErrNobody
	}
	if !s.Genuine(r) {
		return Principal{}, ErrForged
	}
	key, ok := d.onRecord(s.Digest)
	if !ok {
		return Principal{}, ErrNobody
	}
	if key.Identity {
		key.Roles = s.Roles
	}
	return Principal{Key: key, Groups: s.Groups, Until: s.Ends, session: s}, nil
}

// Holds reports whether who came in is still welcome: neither revoked nor expired,
// and with a session that has not been ended.
func (d *Door) Holds(p Principal, now time.Time) bool {
	_, ok := d.onRecord(p.SHA256)
	return ok && (p.Until.IsZero() || now.Before(p.Until)) && (p.session == nil || d.cfg.Sessions.Open(p.session))
}

// Holder is what a session of who asks has to remember.
func (p Principal) Holder() session.Holder {
	return session.Holder{Digest: p.SHA256, Roles: p.Roles, Groups: p.Groups}
}

// Browser is the session by whose cookie somebody came in; nil: by another way.
func (p Principal) Browser() *session.Session { return p.session }

// Refusal is what somebody is told who does not come in.
func Refusal(err error) *problem.Refusal {
	e := &problem.Refusal{Cause: err}
	switch {
	case errors.Is(err, ErrNobody):
		e.Code = problem.Unauthenticated
	case errors.Is(err, issuer.ErrToken):
		e.Code, e.Detail = problem.Unauthenticated, err.Error()
	case errors.Is(err, ErrNoRole), errors.Is(err, ErrRevoked), errors.Is(err, ErrForged):
		e.Code, e.Detail = problem.Forbidden, err.Error()
	case errors.Is(err, issuer.ErrAway):
		e.Code, e.RetryAfter = problem.NoProvider, time.Second
	default:
		return problem.Undecided(err)
	}
	return e
}

// personDomain keeps digests of persons apart from whatever else the salt is for.
const personDomain = "mbp person 1\n"

// DigestOf is the keyed digest of a person, by which the link to the pseudonym is
// found. Without the salt it says nothing, and with it only whether it is a given
// person.
func DigestOf(salt []byte, p issuer.Person) engine.Digest {
	h := hmac.New(sha256.New, salt)
	h.Write([]byte(personDomain + p.Issuer + "\n" + p.Subject)) // neither has a line feed
	return engine.Digest(h.Sum(nil))
}

// nameOf is the principal of a person, from the digest alone: 120 bits tell any
// number of persons apart.
func nameOf(digest engine.Digest) string {
	return "person-" + strings.ToLower(base32.StdEncoding.EncodeToString(digest[:15]))
}

// Admit lets a person in whom the provider vouches for.
func (d *Door) Admit(ctx context.Context, p issuer.Person) (Principal, error) {
	var roles engine.Roles
	for _, g := range p.Groups {
		roles |= d.cfg.Groups[g]
	}
	if roles == 0 {
		return Principal{}, ErrNoRole
	}
	digest, bound, err := d.pseudonym(p)
	if err != nil {
		return Principal{}, err
	}
	key, ok := d.onRecord(digest)
	if !ok {
		if key, err = d.enrol(ctx, digest, roles); err != nil {
			return Principal{}, err
		}
	}
	if d.cfg.Persons != nil && bound != key.Account {
		if err := d.cfg.Persons.Bind(digest, key.Account); err != nil {
			return Principal{}, fmt.Errorf("bind a person to the account: %w", err)
		}
	}
	if err := d.tell(ctx, key.Account, p); err != nil {
		return Principal{}, err
	}
	key.Roles = roles
	return Principal{Key: key, Groups: p.Groups, Until: p.Expires}, nil
}

// pseudonym is what a person is on record by, and the account that the store says so
// far. Who came before there was a store keeps the keyed digest.
func (d *Door) pseudonym(p issuer.Person) (engine.Digest, engine.AccountID, error) {
	index := DigestOf(d.cfg.Salt, p)
	if d.cfg.Persons == nil {
		return index, 0, nil
	}
	var before bool
	d.cfg.Writer.View(func(s *core.State) {
		_, valid := s.Key(index, s.At())
		before = valid || s.Revoked(index)
	})
	if before {
		return index, 0, nil
	}
	if d.cfg.Before != nil {
		digest, account, ok, err := d.carry(DigestOf(d.cfg.Before, p), index)
		if err != nil {
			return digest, 0, fmt.Errorf("find the pseudonym of a person by the salt of before: %w", err)
		}
		if ok {
			return digest, account, nil
		}
	}
	digest, account, err := d.cfg.Persons.Person(index, d.cfg.Writer.Now())
	if err != nil {
		return digest, 0, fmt.Errorf("find the pseudonym of a person: %w", err)
	}
	return digest, account, nil
}

// carry finds a person by the digest under the salt of before, and has the store find
// them by the one of now. Who was on record under the digest itself keeps it as a
// pseudonym; who was shut out under it stays out, and is not noted.
func (d *Door) carry(before, index engine.Digest) (engine.Digest, engine.AccountID, bool, error) {
	var valid, shut bool
	d.cfg.Writer.View(func(s *core.State) {
		_, valid = s.Key(before, s.At())
		shut = s.Revoked(before)
	})
	known := engine.Digest{}
	switch {
	case shut:
		return before, 0, true, nil
	case valid:
		known = before
	}
	return d.cfg.Persons.Rekey(before, index, known, d.cfg.Writer.Now())
}

// enrol puts a person on record who comes for the first time: with an account, and
// with the roles of now for whoever reads the journal.
//
// The crash story: the account is durable before the key that names it. A crash in
// between leaves an account without credits; the same person gets the same one for
// as long as the writer remembers answers, a day, and later another one. The link to
// the pseudonym is durable before either, and knows the account at the next request
// at the latest.
func (d *Door) enrol(ctx context.Context, digest engine.Digest, roles engine.Roles) (engine.Key, error) {
	var shut bool
	d.cfg.Writer.View(func(s *core.State) { shut = s.Revoked(digest) })
	if shut {
		return engine.Key{}, ErrRevoked
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enrolTimeout)
	defer cancel()
	opened, err := d.decide(ctx, "account "+digest.String()[:32], &engine.OpenAccount{})
	if err != nil {
		return engine.Key{}, err
	}
	account := opened.Events[0].(*engine.AccountOpened).Account
	key := engine.Key{SHA256: digest, Principal: nameOf(digest), Roles: roles, Account: account, Identity: true}
	// Another request of the same person may have been faster; who was shut out
	// meanwhile stays out.
	if _, err := d.decide(ctx, "", &engine.AddKey{Key: key}); err != nil && !errors.Is(err, errExists) {
		return engine.Key{}, err
	}
	known, ok := d.onRecord(digest)
	if !ok {
		return engine.Key{}, ErrRevoked
	}
	return known, nil
}

// tell puts on record which groups the provider says that a person is in, before the
// person does anything else: the engine then says which markets that leaves. What an
// older token says does not count any more. A group that no market can name is left out.
func (d *Door) tell(ctx context.Context, account engine.AccountID, p issuer.Person) error {
	groups := make([]string, 0, len(p.Groups))
	for _, g := range p.Groups {
		if core.GroupName(g) {
			groups = append(groups, g)
		}
	}
	slices.Sort(groups)
	groups = slices.Compact(groups)
	var known engine.AccountGroups
	d.cfg.Writer.View(func(s *core.State) { known, _ = s.Groups(account) })
	now := d.cfg.Writer.Now()
	at := now
	if !p.Issued.IsZero() {
		at = min(engine.Time(p.Issued.UnixMicro()), now)
	}
	if account == 0 || slices.Equal(groups, known.Told) || at <= known.ToldAt {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), enrolTimeout)
	defer cancel()
	_, err := d.decide(ctx, "", &engine.SetAccountGroups{Account: account, Groups: groups, ToldAt: at})
	if errors.Is(err, errLater) {
		return nil
	}
	return err
}

var (
	errExists = errors.New("it is on record")
	errLater  = errors.New("something later is on record")
)

// decide has the platform itself decide, and waits until readers see it.
func (d *Door) decide(ctx context.Context, key string, c engine.Command) (*engine.Decision, error) {
	got, err := d.cfg.Writer.Submit(ctx, sequencer.Request{Principal: engine.System, Key: key, Input: []byte(key), Command: c})
	if err != nil {
		return nil, err
	}
	switch got.Decision.Code {
	case engine.OK, engine.AlreadyExists, engine.WrongState:
	default:
		return nil, fmt.Errorf("put a person on record: %s %s", got.Decision.Code, got.Decision.Detail)
	}
	if err := d.cfg.Writer.Wait(ctx, got.Decision.Seq); err != nil {
		return nil, fmt.Errorf("read back a person: %w", err)
	}
	switch got.Decision.Code {
	case engine.AlreadyExists:
		return nil, errExists
	case engine.WrongState:
		return nil, fmt.Errorf("%w: %s", errLater, got.Decision.Detail)
	}
	return got.Decision, nil
}
