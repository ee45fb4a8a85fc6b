package httpapi

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// insiders see a decision as it is on record.
const insiders = overseers | moderators

// shown is a decision as the caller may see it.
func (c *call) shown(d *engine.Decision) *engine.Decision {
	if c.key.Roles.Has(insiders) {
		return d
	}
	return wire.Discreet(d)
}

// mayAct refuses who neither has a role for a mutation nor is whom it belongs to: the
// owner of the account, or who asked for the decision.
func (a *API) mayAct(c *call) error {
	var id engine.AccountID
	switch of := c.r.PathValue("account"); {
	case c.privileged():
		return nil
	case of == "":
		return a.mayNote(c)
	default:
		if err := id.UnmarshalText([]byte(of)); err != nil {
			return wire.Malformed("account: %v", err)
		}
		return c.own(id)
	}
}

// own refuses an account that is not the caller's to see.
func (c *call) own(id engine.AccountID) error {
	if c.privileged() || id == c.key.Account {
		return nil
	}
	return &problem.Refusal{Code: problem.Forbidden, Detail: "the account is not the API key's own"}
}
