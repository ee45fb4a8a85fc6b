package httpapi

import (
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/meter"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// maxWaiters is how many reads of one API key may wait for a sequence.
const maxWaiters = 32

// pace returns how long the owner of a key has to wait before this request; 0 is
// not at all.
func (a *API) pace(c *call) time.Duration {
	if c.route.command == nil {
		return a.gate.Read(c.key.SHA256, c.divisor())
	}
	return a.gate.Mutation(&c.key.Key, c.route.relief, c.divisor())
}

// crowd is pace for everybody together.
func (a *API) crowd(c *call) time.Duration {
	if c.route.command == nil || c.route.roles != engine.RoleTrader {
		return 0
	}
	return a.gate.Together(c.route.relief, c.divisor())
}

// items takes what the items of a batch cost after the first one, and refuses a batch
// that has more than may come now.
func (a *API) items(c *call, items int) *problem.Refusal {
	if wait := a.gate.Items(&c.key.Key, c.route.relief, items, c.divisor()); wait > 0 {
		return a.shed(c, tooMany(wait, "the batch has more items than may come now, and none was decided; ask again later"))
	}
	if wait := a.gate.ItemsTogether(c.route.relief, items, c.divisor()); wait > 0 {
		return a.shed(c, &problem.Refusal{Code: problem.Overloaded, Detail: notDecided, RetryAfter: wait})
	}
	return nil
}

// What a read may cost for its one token, some 400 µs; beyond, it takes more.
const (
	// outcomesPerToken are those of the markets on a page.
	outcomesPerToken = engine.MaxOutcomes
	// stepsPerToken are those of quotes: an order met moves each pool by one.
	stepsPerToken = 2048
	// decisionsPerToken are those that are read from the journal for a stream.
	decisionsPerToken = 256
)

// charge takes tokens for what a read turned out to cost.
func (a *API) charge(c *call, tokens int) {
	a.gate.Charge(c.key.SHA256, tokens*c.divisor())
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

// notDecided is what a refusal for the sake of everybody says.
const notDecided = "nothing was decided; try again with the same idempotency key"

func tooMany(wait time.Duration, detail string) *problem.Refusal {
	return &problem.Refusal{Code: problem.TooMany, Detail: detail, RetryAfter: wait}
}
