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

// own refuses an account that is not the caller's to see.
func (c *call) own(id engine.AccountID) error {
	if c.privileged() || id == c.key.Account {
		return nil
	}
	return &problem.Refusal{Code: problem.Forbidden, Detail: "the account is not the API key's own"}
}
