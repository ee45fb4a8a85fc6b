// Package settle is the arithmetic of a market's end: what positions are worth
// under a vector of payouts, how a claim is scaled to what there is, and how a
// scalar value becomes payouts. It promises exact integers, rounded down for
// whoever is paid, so that the parts never sum to more than the whole; it
// refuses to know who is paid or in which order.
//
// A payout vector holds what one share of each outcome is worth in micros, and
// sums to one credit; a complete set is therefore always worth what backs it.
package settle

import "github.com/mbp-market/mbp/engine/internal/fixed"

// Value returns ⌊Σ sharesᵢ·vᵢ/10⁶⌋. Shares are not negative and there are at most
// 64 of them, each at most 2^52.
func Value(shares []fixed.Shares, v []fixed.Price) fixed.Micros {
	sum := fixed.U128{}
	for i, q := range shares {
		if q > 0 && v[i] > 0 {
			sum = sum.Add(fixed.Mul(uint64(q), uint64(v[i])))
		}
	}
	q, _ := sum.QuoRem(fixed.One)
	return fixed.Micros(q.Lo)
}

// Part returns ⌊whole·n/of⌋, the part of a whole that n of so many units are
// entitled to; zero where there is nothing to share.
func Part(whole fixed.Micros, n, of int64) fixed.Micros {
	if whole <= 0 || n <= 0 || of <= 0 {
		return 0
	}
	q, _ := fixed.Mul(uint64(whole), uint64(min(n, of))).QuoRem(uint64(of))
	return fixed.Micros(q.Lo)
}

// Scale returns ⌊due·min(1, there/claims)⌋ for a positive claim, zero for others:
// each claim in full if what is there covers all claims, else the same part of
// each.
func Scale(due, there, claims fixed.Micros) fixed.Micros {
	if due <= 0 || there >= claims {
		return max(due, 0)
	}
	return Part(there, int64(due), int64(claims))
}

// Linear returns what one LONG share of a scalar market is worth at a value:
// ⌊10⁶·(clamp(value)−low)/(high−low)⌋; low < high, all within ±2^53.
func Linear(value, low, high int64) fixed.Price {
	value = min(max(value, low), high)
	q, _ := fixed.Mul(uint64(value-low), fixed.One).QuoRem(uint64(high - low))
	return fixed.Price(q.Lo)
}

// Normalise returns prices in the proportion of the given ones that sum to
// exactly one: rounded down, then one more for the largest remainders, the lower
// index first among equals. All zero counts as all equal.
func Normalise(prices []fixed.Price) []fixed.Price {
	n := len(prices)
	sum := uint64(0)
	for _, p := range prices {
		sum += uint64(max(p, 0))
	}
	out, rest := make([]fixed.Price, n), make([]uint64, n)
	left := fixed.Price(fixed.One)
	for i, p := range prices {
		w, total := uint64(max(p, 0)), sum
		if sum == 0 {
			w, total = 1, uint64(n)
		}
		q, r := fixed.Mul(w, fixed.One).QuoRem(total)
		out[i], rest[i] = fixed.Price(q.Lo), r
		left -= out[i]
	}
	fixed.Apportion(out, rest, left)
	return out
}

// Accrued returns ⌊units·rate/2^64⌋: what so many units earned while the rate per
// unit, in 2^-64 micros, grew by so much. The result fits 63 bits because a fee
// raises the rate by ⌊fee·2^64/units in existence⌋, and nobody holds more units
// than exist: what one holder earns is no more than the fees themselves, which the
// ledger keeps within 2^52. A product of more than 128 bits panics.
func Accrued(units int64, rate fixed.U128) fixed.Micros {
	if units <= 0 {
		return 0
	}
	return fixed.Micros(rate.MulSmall(uint64(units)).Hi)
}
