package twap

import (
	"math"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// mean is a time-weighted price that is not yet divided: sum ppm·µs over span µs.
// A window of 15 minutes bounds the sum by 9·10^14 < 2^50, the span by 9·10^8 <
// 2^30. Means that are held against each other are a window and an average (spans
// below 2^30 and 2^29) or a sample and an average (2^24 and 2^29).
type mean struct{ sum, span uint64 }

func (m mean) price() fixed.Price { return fixed.Price(m.sum / m.span) }

// distance is the difference of two means as a fraction, not reduced.
type distance struct {
	num fixed.U128 // |a.sum·b.span − b.sum·a.span|, below 2^50·2^29 = 2^79
	den uint64     // a.span·b.span, below 2^59
}

func (m mean) distance(o mean) distance {
	x, y := fixed.Mul(m.sum, o.span), fixed.Mul(o.sum, m.span)
	if x.Less(y) {
		x, y = y, x
	}
	return distance{x.Sub(y), m.span * o.span}
}

// ofSample is the distance of a sample, reduced by the length of the slot where the
// average is a full one.
func (m mean) ofSample(ref mean) distance {
	if ref.span != twapSlots*SlotMicros {
		return m.distance(ref)
	}
	x, y := m.sum*twapSlots, ref.sum
	return distance{fixed.U128{Lo: max(x, y) - min(x, y)}, ref.span}
}

func (d distance) zero() bool { return d.num == fixed.U128{} }

// judgeWindow says whether the window that ended is the second to diverge.
// Multiplying by 10^6 < 2^20 keeps both sides below 2^99.
func (g *Guard) judgeWindow(p *Params, window mean) (t Trip) {
	d := window.distance(g.ref)
	left, unit := d.num, fixed.U128{Lo: d.den}
	if p.Relative {
		left, unit = d.num.MulSmall(fixed.One), fixed.Mul(g.ref.sum, window.span)
	}
	before := g.diverged
	g.diverged = unit.MulSmall(uint64(p.Bound)).Less(left)
	if !before || !g.diverged {
		return Trip{}
	}
	q, r := ratio(left, unit)
	if r {
		q++
	}
	return Trip{Divergence, q, p.Bound, window.price(), g.ref.price()}
}

// ratio returns ⌊a/b⌋ for b < 2^79, and whether something remains.
func ratio(a, b fixed.U128) (int64, bool) {
	q, r := fixed.U256{Lo: a}.QuoRem(b)
	return int64(q.Lo), r != fixed.U128{}
}

// The band is 2.576 standard deviations wide on each side, the two-sided 99 % of a
// normal distribution: 322/125.
const (
	bandNum = 322
	bandDen = 125
)

// judgeSample says whether a sample is the last of enough in a row outside the
// band, which the samples before it made; q is its distance in 2^-10 ppm, rounded
// down.
func (g *Guard) judgeSample(p *Params, sample, ref mean, d distance, q uint64) (t Trip) {
	variance := max(g.variance, uint64(p.Floor)*uint64(p.Floor)<<20)
	if p.Outliers <= 0 || g.samples < armSamples || !d.outside(variance, q) {
		g.run = 0
		return Trip{}
	}
	g.run = min(g.run, math.MaxUint8-1) + 1
	if int64(g.run) < p.Outliers {
		return Trip{}
	}
	// The standard deviation in 2^-10 ppm is the root of the variance; the root of its 2^40-fold keeps
	// 20 bits more.
	sigma := fixed.Mul(variance, 1<<40).Sqrt()
	return Trip{Band, int64(d.num.CeilDiv(d.den)), int64(fixed.Mul(sigma, bandNum).Rsh(30).Lo / bandDen), sample.price(), ref.price()}
}

// outside says whether a distance is more than the band's half width. The distance
// n/m is if (125·2^10·n)² > 322²·variance·m²: n < 2^74 and m < 2^53 for a sample, so
// that the left side is below 2^182 and the right side below 2^183. Nearly always
// q² or (q+1)² decides, below 2^75 against 2^77.
func (d distance) outside(variance, q uint64) bool {
	width := fixed.Mul(variance, bandNum*bandNum)
	if least := fixed.Mul(q*q, bandDen*bandDen); width.Less(least) {
		return true
	}
	if most := fixed.Mul((q+1)*(q+1), bandDen*bandDen); !width.Less(most) {
		return false
	}
	n := d.num.MulSmall(bandDen << 10)
	m := fixed.U128{Lo: d.den}.MulSmall(bandNum)
	return m.Mul(m).MulSmall(variance).Less(n.Mul(n))
}

// fine returns a distance in 2^-10 ppm, below 2^30, rounded down.
func (d distance) fine() uint64 {
	if d.num.Hi == 0 && d.num.Lo < 1<<54 { // nearly all
		return d.num.Lo << 10 / d.den
	}
	q, _ := d.num.MulSmall(1 << 10).QuoRem(d.den)
	return q.Lo
}

// learn takes a sample's distance from the average into the variance:
// v += 2·(q² − v)/91, towards zero. q < 2^30 bounds q² and v by 2^60 and twice
// their difference by 2^61. Samples that do not deviate at all clear it after 15
// minutes.
func (g *Guard) learn(zero bool, q uint64) {
	g.samples = min(g.samples+1, armSamples)
	if !zero {
		g.still = 0
	} else if g.still++; g.still >= memorySlots {
		g.still, g.variance = memorySlots, 0
		return
	}
	g.variance = uint64(int64(g.variance) + 2*(int64(q*q)-int64(g.variance))/(memorySlots+1))
}
