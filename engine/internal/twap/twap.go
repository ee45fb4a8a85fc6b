// Package twap keeps the time-weighted average price of a market over the last
// minutes, and the guard that stops a market whose price runs away from it (I3).
//
// It promises that an average is an integer sum of price × time between the edges
// of fixed slots, so that it is exact to the microsecond and nobody can move it
// without holding a price for as long as it takes (the accumulator of Uniswap v2,
// whitepaper 2020, section 2.2); that a verdict depends on the prices and their
// times alone, not on how often anybody asks; that comparisons multiply sums of
// up to 256 bits, so that the bound itself never trips and one unit more does; and
// that a call costs nanoseconds within a slot and is bounded after any idle time.
// The variance of the band is an exponentially weighted mean of squares
// (RiskMetrics technical document, 1996, section 5.2). Which measure and bounds to
// use was decided on real prices: docs/adr/ADR-003-TWAP-Benchmarks.md.
//
// It refuses floating point and any clock: times are µs of the market's open time
// and must not run backwards; an earlier one counts as the latest one seen.
package twap

import "github.com/mbp-market/mbp/engine/internal/fixed"

const (
	// SlotMicros is the length of a slot: 10 s in µs.
	SlotMicros = 10_000_000
	// slots cover 15 minutes and one more edge.
	slots = 91
)

// Ring is the price history of one market. The zero value is empty; call Start
// before use.
type Ring struct {
	cum   uint64        // Σ price·dt since Start in ppm·µs; differences are exact modulo 2^64
	at    int64         // time of the last update, µs
	start int64         // time of Start, µs
	price fixed.Price   // price since at
	edge  int64         // index of the newest slot edge stored
	marks [slots]uint64 // cum at slot edges, marks[edge mod slots]
}

// Start begins the history at a time (µs) with a price.
func (r *Ring) Start(now int64, p fixed.Price) {
	*r = Ring{at: now, start: now, price: p, edge: now / SlotMicros}
}

// Set records that the price is p from now on.
func (r *Ring) Set(now int64, p fixed.Price) {
	r.advance(now)
	r.price = p
}

func (r *Ring) advance(now int64) {
	if now <= r.at {
		return
	}
	r.mark(now / SlotMicros)
	r.cum = r.sum(now)
	r.at = now
}

// mark stores the edges up to the last, which is the newest or comes after it, as
// far as the ring has room for them.
func (r *Ring) mark(last int64) {
	for e := max(r.edge+1, last-slots+1); e <= last; e++ {
		r.marks[e%slots] = r.sum(e * SlotMicros)
	}
	r.edge = last
}

// sum returns Σ price·dt at a time ≥ at if the price stays.
func (r *Ring) sum(t int64) uint64 { return r.cum + uint64(r.price)*uint64(t-r.at) }

// Mean returns the time-weighted price over the last window seconds up to now
// (at most 15 minutes), measured from the slot edge at or before the window's
// start, or from Start if the market is younger. It does not change the ring.
func (r *Ring) Mean(now int64, window int64) fixed.Price {
	now = max(now, r.at, r.edge*SlotMicros) // so that the window begins at an edge that is kept
	sum := r.sum(now)
	from := (now - window*1_000_000) / SlotMicros
	begin, base := from*SlotMicros, uint64(0)
	switch {
	case begin <= r.start:
		begin = r.start
	case from > r.edge: // nothing happened since the window began
		return r.price
	default:
		base = r.marks[from%slots]
	}
	if now == begin {
		return r.price
	}
	return fixed.Price((sum - base) / uint64(now-begin))
}
