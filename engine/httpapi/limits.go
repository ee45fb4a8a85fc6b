package httpapi

import (
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
)

// maxWaiters is how many reads of one API key may wait for a sequence.
const maxWaiters = 32

// payer is whose bucket a mutation empties. To take orders back has one of its own:
// a trader whose machine has run wild can still pull its quotes.
type payer struct {
	principal string
	relief    bool
}

// pace returns how long the owner of a key has to wait before this request; 0 is
// not at all. Reads count by key, mutations by principal: a second key of the
// same trader is not a second allowance. A limit that is divided is a request
// that takes so many tokens.
func (a *API) pace(c *call) time.Duration {
	at, tokens := time.Since(a.began), c.divisor()
	if c.route.command == nil {
		return a.reads.Take(c.key.SHA256, at, tokens)
	}
	l, _ := a.mutations(c.key.Key)
	return l.Take(payer{c.key.Principal, c.route.relief}, at, tokens)
}

// paceItems is pace for the items of a batch after the first, which came with the
// request. With it a batch takes at most the burst, so that one always passes.
func (a *API) paceItems(c *call, items int) time.Duration {
	l, r := a.mutations(c.key.Key)
	each := c.divisor()
	more := min(items*each, r.Burst) - each
	if more < 1 {
		return 0
	}
	wait := l.Take(payer{c.key.Principal, c.route.relief}, time.Since(a.began), more)
	if wait > 0 {
		wait += time.Duration(each) * l.Each() // for the first one, when it comes again
	}
	return wait
}

// mutations returns what bounds the mutations of a key.
func (a *API) mutations(key engine.Key) (*rate.Limiter[payer], rate.Limit) {
	if key.Roles == engine.RoleTrader {
		return a.traders, a.cfg.TraderRate
	}
	return a.staff, a.cfg.StaffRate
}

// What a read may cost for its one token, some 400 µs; beyond, it takes more.
const (
	// outcomesPerToken are those of the markets on a page.
	outcomesPerToken = engine.MaxOutcomes
	// stepsPerToken are those of quotes: an order met moves each pool by one.
	stepsPerToken = 2048
)

// charge takes tokens for what a read turned out to cost.
func (a *API) charge(c *call, tokens int) {
	a.reads.Charge(c.key.SHA256, time.Since(a.began), tokens*c.divisor())
}

func tooMany(wait time.Duration, detail string) *problem.Refusal {
	return &problem.Refusal{Code: problem.TooMany, Detail: detail, RetryAfter: wait}
}
