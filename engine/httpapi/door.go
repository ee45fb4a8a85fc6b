package httpapi

import (
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
	"github.com/mbp-market/mbp/engine/httpapi/issuer"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/session"
	"github.com/mbp-market/mbp/engine/httpapi/signin"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// Identity says who gets in but by API key.
type Identity struct {
	Issuer *issuer.Issuer          // the house's identity provider; nil: there is none
	Groups map[string]engine.Roles // what each of its groups may do
	Salt   []byte                  // secret of this installation, identity.MinSalt bytes, with an Issuer
	Before []byte                  // the one of before, while persons are still found by it; nil: nobody is
	// Persons keeps what links persons with pseudonyms; nil: the salt does, for ever.
	Persons identity.Persons
	Secure  bool // browsers reach this server by HTTPS alone
}

// openDoor makes what says who asks.
func (a *API) openDoor() (err error) {
	x := a.cfg.Identity
	sessions := session.New(x.Secure, nil)
	cfg := identity.Config{Writer: a.seq, Groups: x.Groups, Salt: x.Salt, Before: x.Before, Sessions: sessions, Persons: x.Persons}
	if x.Issuer != nil {
		cfg.Provider = x.Issuer
	}
	if a.door, err = identity.New(cfg); err != nil {
		return err
	}
	a.signin = signin.New(signin.Config{
		Door: a.door, Sessions: sessions, Issuer: x.Issuer, Secret: x.Salt, Secure: x.Secure, Now: time.Now, Log: a.log, Fail: a.fail,
		Write: func(w http.ResponseWriter, r *http.Request, status int, doc any) {
			a.write(w, r, status, "application/json", doc)
		},
	})
	return nil
}

// doorRoutes is the part of the table that is about who asks.
func (a *API) doorRoutes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: "/v1/me", roles: everyone, read: a.me},
		{method: get, path: "/v1/keys", roles: auditors, read: a.keys},
		{method: post, path: "/v1/keys", roles: engine.RoleAdmin, command: wire.AddKey},
		{method: post, path: "/v1/keys/{sha256}/revoke", roles: engine.RoleAdmin, command: wire.RevokeKey},
		{method: get, path: signin.PathSession, open: a.signin.Current},
		{method: post, path: signin.PathSession, open: a.signin.Begin},
		{method: post, path: signin.PathEnd, open: a.signin.End},
		{method: get, path: signin.PathSignIn, open: a.signin.SignIn},
		{method: get, path: signin.PathCallback, open: a.signin.Callback},
	}
}

// Keys on a page.
const (
	maxKeys     = 1000
	defaultKeys = 100
)

// keys answers what is on record of keys and of persons: never a secret.
func (a *API) keys(c *call) (any, error) {
	after := c.Uint64("after", false)
	limit := int(c.Within("limit", maxKeys, defaultKeys))
	if err := c.End(); err != nil {
		return nil, err
	}
	return roster.Keys(a.seq, a.cfg.LastDays, after, limit), nil
}
