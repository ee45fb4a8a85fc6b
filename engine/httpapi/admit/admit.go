// Package admit says how often who may ask: the rates of keys, of principals, and of
// everybody together.
//
// It promises: reads count by key, and mutations by principal, so that a second key of
// the same trader is not a second allowance; to take orders back has an allowance of its
// own, so that a trader whose machine has run wild can still pull its quotes; everybody
// together has one for trading alone, so that the work of those who put things right
// passes as ever. It refuses to queue: who has to wait comes again.
//
// The rates are those of package rate (ITU-T I.371).
package admit

import (
	"errors"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
)

// Rates bound who asks. The zero value of each is no limit.
type Rates struct {
	Trader rate.Limit // mutations of a principal by keys that have no role but trader
	Staff  rate.Limit // mutations of a principal by other keys
	Read   rate.Limit // reads and streams of one API key
	Admit  rate.Limit // trading of everybody together
}

// Validate reports every fault at once.
func (r *Rates) Validate() error {
	return errors.Join(r.Trader.Validate(), r.Staff.Validate(), r.Read.Validate(), r.Admit.Validate())
}

// Relief says whether a mutation only takes something back.
type Relief bool

// payer is whose bucket a mutation empties.
type payer struct {
	principal string
	relief    Relief
}

// Gate keeps the rates. It is safe for concurrent use.
type Gate struct {
	rates          Rates
	began          time.Time // of its clock
	traders, staff *rate.Limiter[payer]
	reads          *rate.Limiter[engine.Digest]
	everybody      *rate.Limiter[Relief]
}

// New makes a gate at which nobody has asked yet.
func New(r Rates) *Gate {
	return &Gate{
		rates: r, began: time.Now(), traders: rate.New[payer](r.Trader), staff: rate.New[payer](r.Staff),
		reads: rate.New[engine.Digest](r.Read), everybody: rate.New[Relief](r.Admit),
	}
}

// Each of these returns how long somebody has to wait before what it asks; 0 is not at
// all. A limit that is divided is a request that takes so many tokens.

// Read is for a read by a key.
func (g *Gate) Read(key engine.Digest, tokens int) time.Duration {
	return g.reads.Take(key, time.Since(g.began), tokens)
}

// Charge takes tokens for what a read turned out to cost.
func (g *Gate) Charge(key engine.Digest, tokens int) {
	g.reads.Charge(key, time.Since(g.began), tokens)
}

// Mutation is for a mutation by a key.
func (g *Gate) Mutation(key *engine.Key, r Relief, tokens int) time.Duration {
	l, _ := g.mutations(key)
	return l.Take(payer{key.Principal, r}, time.Since(g.began), tokens)
}

// Together is for trading, among everybody's. It is asked after Mutation, so that one
// trader who has run wild takes nothing from the others; what a refusal here cost there
// stays paid, or else whoever asks most often would get most.
func (g *Gate) Together(r Relief, tokens int) time.Duration {
	return g.everybody.Take(r, time.Since(g.began), tokens)
}

// Items is Mutation for the items of a batch after the first, which came with the
// request. With it a batch takes at most the burst, so that one always passes.
func (g *Gate) Items(key *engine.Key, r Relief, items, each int) time.Duration {
	l, limit := g.mutations(key)
	return more(l, payer{key.Principal, r}, time.Since(g.began), each, min(items*each, limit.Burst)-each)
}

// ItemsTogether is Together for them.
func (g *Gate) ItemsTogether(r Relief, items, each int) time.Duration {
	return more(g.everybody, r, time.Since(g.began), each, min(items*each, g.rates.Admit.Burst)-each)
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
func (g *Gate) mutations(key *engine.Key) (*rate.Limiter[payer], rate.Limit) {
	if key.Roles == engine.RoleTrader {
		return g.traders, g.rates.Trader
	}
	return g.staff, g.rates.Staff
}
