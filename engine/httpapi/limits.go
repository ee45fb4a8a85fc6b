package httpapi

import (
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
)

// maxWaiters is how many reads of one API key may wait for a sequence.
const maxWaiters = 32

// relief says whether a mutation only takes something back.
type relief bool

// payer is whose bucket a mutation empties. To take orders back has one of its own:
// a trader whose machine has run wild can still pull its quotes.
type payer struct {
	principal string
	relief    relief
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

// crowd is pace for everybody together, whose limit is on trading: what the platform
// admits of it, it decides in time, and the work of those who put it right passes as
// ever. It is asked after pace, so that one trader who has run wild takes nothing from
// the others; what a refusal here cost in pace stays paid, or else whoever asks most
// often would get most.
func (a *API) crowd(c *call) time.Duration {
	if c.route.command == nil || c.route.roles != engine.RoleTrader {
		return 0
	}
	return a.everybody.Take(c.route.relief, time.Since(a.began), c.divisor())
}

// items takes what the items of a batch cost after the first one, which came with the
// request, and refuses a batch that has more than may come now.
func (a *API) items(c *call, items int) *problem.Refusal {
	if wait := a.paceItems(c, items); wait > 0 {
		return a.shed(c, tooMany(wait, "the batch has more items than may come now, and none was decided; ask again later"))
	}
	each := c.divisor()
	if wait := more(a.everybody, c.route.relief, time.Since(a.began), each, min(items*each, a.cfg.AdmitRate.Burst)-each); wait > 0 {
		return a.shed(c, crowded(wait))
	}
	return nil
}

// paceItems is pace for the items of a batch after the first, which came with the
// request. With it a batch takes at most the burst, so that one always passes.
func (a *API) paceItems(c *call, items int) time.Duration {
	l, r := a.mutations(c.key.Key)
	each := c.divisor()
	return more(l, payer{c.key.Principal, c.route.relief}, time.Since(a.began), each, min(items*each, r.Burst)-each)
}

// more takes further tokens for a request that has taken the first ones.
func more[K comparable](l *rate.Limiter[K], who K, at time.Duration, first, tokens int) time.Duration {
	if tokens < 1 {
		return 0
	}
	wait := l.Take(who, at, tokens)
	if wait > 0 {
		wait += time.Duration(first) * l.Each() // for the first ones, when it comes again
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

// refusals are those of a rate, made once: in any mode but shed, and in shed.
type refusals [2]*problem.Made

func newRefusals(code, detail string) refusals {
	return refusals{problem.Make(code, detail), problem.Make(code, shedding+detail)}
}

// shedding is what a refusal says in the mode shed before anything else.
const shedding = "the platform admits less for now; "

// turnAway answers with the refusal of a rate, as fail does.
func (a *API) turnAway(w http.ResponseWriter, c *call, r *refusals, wait time.Duration) {
	made := r[0]
	if c.divisor() > 1 {
		a.metrics.Shed.Inc()
		made = r[1]
	}
	a.refused.Add(meter.Principal(w), made.Code)
	made.Send(w, wait)
}

// crowded refuses what everybody together asks beyond what is admitted.
func crowded(wait time.Duration) *problem.Refusal {
	return &problem.Refusal{Code: problem.Overloaded, Detail: notDecided, RetryAfter: wait}
}

// notDecided is what a refusal for the sake of everybody says.
const notDecided = "nothing was decided; try again with the same idempotency key"

func tooMany(wait time.Duration, detail string) *problem.Refusal {
	return &problem.Refusal{Code: problem.TooMany, Detail: detail, RetryAfter: wait}
}
