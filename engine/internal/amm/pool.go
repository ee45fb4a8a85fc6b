package amm

import (
	"math/bits"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Prices appends the published prices to dst[:0]: the prices of the pools rounded
// so that they sum to exactly one million: down, then up by largest remainder,
// ties to the lower index. None is below one; those that would be are raised
// first, if need be at the cost of the largest price. With two pools the remainders
// are exact, with more they are known to one part in 2^30 of a ppm.
func Prices(pools []fixed.Shares, dst []fixed.Price) []fixed.Price {
	dst = dst[:0]
	if len(pools) == 2 {
		a, b := pair(uint64(pools[0]), uint64(pools[1]))
		return append(dst, a, b)
	}
	var weights, rests [MaxOutcomes]uint64
	sum := weigh(pools, weights[:len(pools)])
	left := fixed.Price(fixed.One)
	top := 0
	for i := range pools {
		q, r := fixed.Mul(weights[i], fixed.One).QuoRem(sum)
		p := fixed.Price(q.Lo)
		if p == 0 {
			p, r = 1, 0
		}
		dst = append(dst, p)
		rests[i] = r
		left -= p
		if p > dst[top] {
			top = i
		}
	}
	if left < 0 {
		dst[top] += left
	}
	fixed.Apportion(dst, rests[:len(pools)], left)
	return dst
}

// pair is Prices of two pools, which is most of them, in one division: what is left of
// both prices is no more than the one ppm that rounding down took.
func pair(a, b uint64) (ofA, ofB fixed.Price) {
	q, rest := fixed.Mul(b, fixed.One).QuoRem(a + b)
	ofA = fixed.Price(q.Lo)
	if 2*rest >= a+b { // its remainder is the larger one, or they are the same
		ofA++
	}
	ofA = min(max(ofA, 1), fixed.One-1)
	return ofA, fixed.One - ofA
}

// weigh sets weights proportional to 1/xᵢ and returns their sum, below 2^63.
func weigh(pools []fixed.Shares, weights []uint64) (sum uint64) {
	least := pools[0]
	for _, x := range pools {
		least = min(least, x)
	}
	for i, x := range pools {
		weights[i], _ = bits.Div64(uint64(least)>>7, uint64(least)<<57, uint64(x))
		sum += weights[i]
	}
	return sum
}

// Open appends to dst[:0] the pools of a market that starts at the given prices
// with c minted complete sets: pool i keeps ⌊c·p_min/pᵢ⌋. Prices are 1..999,999; a
// pool is empty, and the market cannot trade, if c·p_min < pᵢ.
func Open(c fixed.Micros, prices []fixed.Price, dst []fixed.Shares) []fixed.Shares {
	dst = dst[:0]
	least := prices[0]
	for _, p := range prices {
		least = min(least, p)
	}
	for _, p := range prices {
		x, _ := fixed.Mul(uint64(c), uint64(least)).QuoRem(uint64(p))
		dst = append(dst, fixed.Shares(x.Lo))
	}
	return dst
}

// Add provides liquidity with a minted complete sets: it appends to dst[:0] what
// each pool takes, ⌈a·xᵢ/x_max⌉ and at most a, and returns the units of liquidity
// minted for the provider, ⌊units·a/x_max⌋, where units are those in existence,
// at most two thousand times the largest pool (pools that opened with as many
// units as credits stay far below). The rest of each outcome is the provider's.
// Πx/unitsᴺ never falls.
func Add(pools []fixed.Shares, a fixed.Micros, units fixed.Shares, dst []fixed.Shares) (taken []fixed.Shares, minted fixed.Shares) {
	largest := pools[0]
	for _, x := range pools {
		largest = max(largest, x)
	}
	dst = dst[:0]
	for _, x := range pools {
		dst = append(dst, fixed.Shares(fixed.Mul(uint64(a), uint64(x)).CeilDiv(uint64(largest))))
	}
	q, _ := fixed.Mul(uint64(units), uint64(a)).QuoRem(uint64(largest))
	if q.Hi != 0 || q.Lo >= 1<<63 {
		panic("amm: more units of liquidity than fit; they exceed the pools by far")
	}
	return dst, fixed.Shares(q.Lo)
}

// Remove takes l of the units in existence out of the pools: it appends to
// dst[:0] what each pool gives, ⌊xᵢ·l/units⌋. l is at most units, which is positive.
func Remove(pools []fixed.Shares, l, units fixed.Shares, dst []fixed.Shares) []fixed.Shares {
	dst = dst[:0]
	for _, x := range pools {
		q, _ := fixed.Mul(uint64(x), uint64(l)).QuoRem(uint64(units))
		dst = append(dst, fixed.Shares(q.Lo))
	}
	return dst
}

// Depth returns the smaller of the credits that buy the outcome until its price
// rises by band above is, and the credits that sales receive until it falls by as
// much, in whole micros rounded down, neither past the bounds low..high. Its price
// is is.
//
// The side that is likely nearer is searched first: with a price below a half the
// rise. Whether the other one is nearer still, one look at it tells.
func Depth(pools []fixed.Shares, outcome int, is, band, low, high fixed.Price) fixed.Micros {
	var w Walk
	w.Begin(pools, outcome, is >= fixed.One/2)
	first, second := min(is+band, high, fixed.One-1), max(is-band, low, 1)
	if w.sell {
		first, second = second, first
	}
	c := w.end(first)
	w.sell = !w.sell // it has not moved, so it may as well begin the other way
	if w.past(c, second) {
		c = w.reach(second, c)
	}
	return fixed.Micros(c.Floor())
}

// end returns the place where the price reaches t: at the end of all pools if it
// does not before.
func (w *Walk) end(t fixed.Price) fixed.Fine {
	c := fixed.FromMicros(fixed.MaxPool)
	if w.sell {
		c = fine(w.start[w.least])
	}
	if w.past(c, t) {
		return w.reach(t, c)
	}
	return c
}
