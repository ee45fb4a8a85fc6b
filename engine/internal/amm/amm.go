// Package amm is the fixed-product market maker over 2 to 64 outcome pools: the
// product of the pools never falls, whatever is traded. Money in mints one share
// of each outcome per credit; the shares of the bought outcome leave their pool
// until the product is restored. The price of outcome i is (1/xᵢ)/Σ(1/xⱼ).
//
// It promises integers with rounding always for the pool, one rounding per walk
// of a taker along the curve, and that no walk passes the price it is given. It
// refuses floating point, and pools or orders above fixed.MaxPool, which the
// caller bounds. It follows the constant-product maker over complete sets that
// Gnosis published as the fixed-product market maker.
package amm

import "github.com/mbp-market/mbp/engine/internal/fixed"

// MaxOutcomes bounds the pools of a market: every walk holds them by value.
const MaxOutcomes = 64

// oneMicro is a micro of credits or shares in guard digits.
var oneMicro = fixed.FromMicros(1)

// Walk moves along the curve in one direction for one taker order: it buys or
// sells one outcome, in 2^-32 micros, against the product the pools had when it
// began. The zero value is not usable; Begin makes it so, and again for the next
// order. Nothing is allocated.
//
// A place on the curve is named by the credits c that went in (or came out) so
// far. Every other pool is then exactly its start ± c; the own pool is at least
// the product divided by theirs, and above it by less than two units, or after a
// whole number of shares by what two units of credits buy.
type Walk struct {
	sell    bool
	outcome int
	n       int
	least   int                       // the smallest other pool
	start   [MaxOutcomes]fixed.Shares // the pools at Begin
	credits fixed.Fine                // c
	own     fixed.Fine                // the pool of the traded outcome
	k       fixed.U256                // n = 2: the product, exact, in 2^-64 micros²
	wide    wide                      // n > 2: at least the product
}

// Begin starts a walk that buys the outcome, or sells it. The pools, 2 to 64,
// are positive and at most fixed.MaxPool; they are copied.
func (w *Walk) Begin(pools []fixed.Shares, outcome int, sell bool) {
	if len(pools) < 2 || len(pools) > MaxOutcomes || outcome < 0 || outcome >= len(pools) {
		panic("amm: a walk needs 2 to 64 pools and one of their outcomes")
	}
	w.sell, w.outcome, w.n = sell, outcome, len(pools)
	copy(w.start[:], pools)
	w.credits, w.own = fixed.Fine{}, fine(pools[outcome])
	if w.n == 2 {
		w.least = 1 - outcome
		k := fixed.Mul(uint64(pools[0]), uint64(pools[1]))
		w.k = fixed.U256{Hi: fixed.U128{Lo: k.Hi}, Lo: fixed.U128{Hi: k.Lo}}
		return
	}
	w.beginMany()
}

func fine(s fixed.Shares) fixed.Fine { return fixed.FromMicros(int64(s)) }

// shares is what was bought or sold so far.
func (w *Walk) shares() fixed.Fine {
	if w.sell {
		return w.own.Add(w.credits).Sub(fine(w.start[w.outcome]))
	}
	return fine(w.start[w.outcome]).Add(w.credits).Sub(w.own)
}

// Room reports whether the walk can still move towards t, 1..999,999, by at
// least one micro: of credits when it buys, of shares when it sells.
func (w *Walk) Room(t fixed.Price) bool {
	if !w.past(w.credits.Add(oneMicro), t) {
		return true
	}
	// A seller gives more than a micro of shares for a micro of credits, so less
	// may still do; most answers need no search.
	if !w.sell || w.past(w.credits, t) {
		return false
	}
	c, _ := w.after(oneMicro)
	return !w.past(c, t)
}

// Spend buys for at most budget credits and not past the price t. It returns
// what this step spent and got, and whether t stopped it.
func (w *Walk) Spend(budget fixed.Fine, t fixed.Price) (spent, got fixed.Fine, stopped bool) {
	w.must(false)
	c := w.credits.Add(budget)
	if stopped = w.past(c, t); stopped {
		c = w.reach(t, c)
	}
	spent, got = w.move(c, w.ownAt(c))
	return spent, got, stopped
}

// Take buys at most want shares, not past the price t. It returns what this step
// spent and got, and whether t stopped it; got is exactly want if it did not.
func (w *Walk) Take(want fixed.Fine, t fixed.Price) (spent, got fixed.Fine, stopped bool) {
	w.must(false)
	return w.trade(want, t)
}

// Give sells at most the given shares, not past the price t. It returns the
// credits this step got and the shares it gave, and whether t stopped it; given
// is exactly shares if it did not.
func (w *Walk) Give(shares fixed.Fine, t fixed.Price) (got, given fixed.Fine, stopped bool) {
	w.must(true)
	return w.trade(shares, t)
}

func (w *Walk) must(sell bool) {
	if w.sell != sell {
		panic("amm: a walk goes one way")
	}
}

func (w *Walk) trade(shares fixed.Fine, t fixed.Price) (credits, traded fixed.Fine, stopped bool) {
	c, own := w.after(shares)
	if stopped = w.past(c, t); stopped {
		c = w.reach(t, c)
		own = w.ownAt(c)
	}
	credits, traded = w.move(c, own)
	return credits, traded, stopped
}

// move takes a place on the curve and returns the step to it.
func (w *Walk) move(c, own fixed.Fine) (credits, shares fixed.Fine) {
	credits, shares = w.credits, w.shares()
	w.credits, w.own = c, own
	return c.Sub(credits), w.shares().Sub(shares)
}

// Totals returns the whole micros of the walk if it ended now. A buyer pays sets
// credits, minted as complete sets; a seller receives them, burnt. Both are
// rounded for the pool: what a buyer overpays by rounding comes back as shares
// one for one, but for what the pool keeps, and so for a seller.
//
// With every other pool moved by exactly sets and the own pool rounded up, no
// pool is below its place on the curve, and sets minted less shares out is the
// own pool's change exactly.
func (w *Walk) Totals() (sets fixed.Micros, shares fixed.Shares) {
	own, ceil := w.start[w.outcome], fixed.Shares(w.own.Ceil())
	if w.sell {
		sets = fixed.Micros(w.credits.Floor())
		return sets, ceil - own + fixed.Shares(sets)
	}
	sets = fixed.Micros(w.credits.Ceil())
	return sets, own + fixed.Shares(sets) - ceil
}

// Exact returns the credits and shares of the walk so far, before rounding.
func (w *Walk) Exact() (credits, shares fixed.Fine) { return w.credits, w.shares() }

// Pools appends the pools after the walk, in whole micros rounded up, to dst[:0].
func (w *Walk) Pools(dst []fixed.Shares) []fixed.Shares {
	sets, _ := w.Totals()
	if w.sell {
		sets = -sets
	}
	dst = dst[:0]
	for i := range w.n {
		if i == w.outcome {
			dst = append(dst, fixed.Shares(w.own.Ceil()))
		} else {
			dst = append(dst, w.start[i]+fixed.Shares(sets))
		}
	}
	return dst
}

// past reports whether the price at c is beyond t.
func (w *Walk) past(c fixed.Fine, t fixed.Price) bool {
	if w.sell && !c.Less(fine(w.start[w.least])) {
		return true // no pool is ever empty
	}
	if w.n == 2 {
		return w.pastPair(c, t)
	}
	return w.pastMany(c, t)
}

// reach returns the farthest place that is not past t, for a place that is; it
// is the present one if that is past t too.
func (w *Walk) reach(t fixed.Price, past fixed.Fine) fixed.Fine {
	if w.n == 2 {
		return w.reachPair(t)
	}
	return w.reachMany(t, past)
}

// after returns the place, and the own pool there, where exactly the given
// shares more are traded: the cheapest for a buyer, the dearest for a seller,
// that keeps the product.
func (w *Walk) after(shares fixed.Fine) (c, own fixed.Fine) {
	if w.n == 2 {
		c = w.afterPair(shares)
	} else {
		c = w.afterMany(shares)
	}
	if w.sell { // the price of a share is never above one, nor is it negative
		c = c.Min(w.credits.Add(shares))
		return c, w.own.Add(shares).Sub(c.Sub(w.credits))
	}
	c = c.Max(w.credits).Min(w.credits.Add(shares))
	return c, w.own.Add(c.Sub(w.credits)).Sub(shares)
}

// ownAt returns the least own pool at c that keeps the product; never the wrong
// side of the present one, which may have a unit of rounding to spare.
func (w *Walk) ownAt(c fixed.Fine) fixed.Fine {
	if c == w.credits {
		return w.own
	}
	var own fixed.Fine
	if w.n == 2 {
		own = fixed.Fine(w.k.CeilDiv(fixed.U128(w.other(1-w.outcome, c))))
	} else {
		own, _ = w.restoring(c)
	}
	if w.sell {
		return own.Max(w.own)
	}
	return own.Min(w.own)
}

// other returns the pool of another outcome at c.
func (w *Walk) other(i int, c fixed.Fine) fixed.Fine {
	if w.sell {
		return fine(w.start[i]).Sub(c)
	}
	return fine(w.start[i]).Add(c)
}
