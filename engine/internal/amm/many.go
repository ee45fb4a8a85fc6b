package amm

import (
	"math/bits"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// With more than two pools the product has up to 64·86 bits; it is cut to 128.
//
// restoring(c) is ⌈K/P⌉ with K the product of the starting pools, n−1 cuts, raised
// by more than they lost, and P the product of the others at c, n−2 cuts. A cut
// loses less than one part in 2^127, so K/P is at least the exact quotient and
// above it by less than (2n + n + n)/2^127 < 2^-119 of it. Own pools stay below
// 2^86 units of 2^-32 micros, so the result is at least the exact pool and above
// it by less than one unit and 2^-33.
//
// Cutting is monotone, so restoring is: it falls while the others grow. Each
// search below may therefore look for the one place where its answer changes.

func (w *Walk) beginMany() {
	w.least = -1
	k := widen(fixed.U128(w.own))
	for i, x := range w.start[:w.n] {
		if i == w.outcome {
			continue
		}
		if w.least < 0 || x < w.start[w.least] {
			w.least = i
		}
		k = k.times(widen(fixed.U128(fine(x))))
	}
	w.wide = k.raised(2 * uint64(w.n))
}

// others returns the product of the other pools at c.
func (w *Walk) others(c fixed.Fine) wide {
	p := wide{fixed.U128{Hi: 1 << 63}, -127} // one; the first product is exact
	for i := range w.n {
		if i != w.outcome {
			m, s := w.scaled(i, c)
			p = p.times(wide{m, -int(s)})
		}
	}
	return p
}

// scaled is other, shifted left by s so that its top bit is set.
func (w *Walk) scaled(i int, c fixed.Fine) (m fixed.U128, s uint) {
	x := uint64(w.start[i])
	m = fixed.U128{Hi: x >> 32, Lo: x << 32}
	var carry uint64
	if w.sell { // c is below every other pool
		m.Lo, carry = bits.Sub64(m.Lo, c.Lo, 0)
		m.Hi, _ = bits.Sub64(m.Hi, c.Hi, carry)
	} else { // sums of pools and orders stay below 2^86
		m.Lo, carry = bits.Add64(m.Lo, c.Lo, 0)
		m.Hi, _ = bits.Add64(m.Hi, c.Hi, carry)
	}
	if m.Hi == 0 {
		s = uint(bits.LeadingZeros64(m.Lo))
		return fixed.U128{Hi: m.Lo << s}, s + 64
	}
	s = uint(bits.LeadingZeros64(m.Hi))
	return fixed.U128{Hi: m.Hi<<s | m.Lo>>(64-s), Lo: m.Lo << s}, s
}

// restoring returns the least own pool at c that keeps the product; false if it
// is out of all bounds, 2^88 micros or more.
func (w *Walk) restoring(c fixed.Fine) (fixed.Fine, bool) { return w.wide.ceilOver(w.others(c)) }

// rates returns Σ1/xⱼ over the other pools at c, to one part in 2^61, and roughly
// Σ1/xⱼ².
func (w *Walk) rates(c fixed.Fine) (sum, squares rough) {
	_, least := w.scaled(w.least, c)
	var total fixed.U128 // in units of 2^-119 / 2^(bits of the least pool)
	var second uint64
	for i := range w.n {
		if i == w.outcome {
			continue
		}
		y, s := w.scaled(i, c)
		q, _ := bits.Div64(1<<62, 0, y.Hi) // in 2^62..2^63
		shift := least - s
		part := fixed.U128{Hi: q >> 7, Lo: q << 57}.Rsh(shift)
		var carry uint64 // 64 parts of at most 2^120 fit
		total.Lo, carry = bits.Add64(total.Lo, part.Lo, 0)
		total.Hi, _ = bits.Add64(total.Hi, part.Hi, carry)
		small := q >> 35 >> shift
		second += small * small
	}
	// 1/y is q·2^-126 / 2^(64−s): y is the cut word times that.
	e := int(least) - 64 - 126
	return roughOf(total).scaled(e - 57), roughOf(fixed.U128{Lo: second}).scaled(2 * (e + 35))
}

// quest is a search for the last place before the one where a number of shares is
// traded, or a price reached.
type quest struct {
	kind   int
	shares fixed.Fine // giving: the own pool with all shares sold; taking: all shares bought
	bound  rough      // pricing: (10⁶−t)/t, with a margin
}

const (
	giving = iota
	taking
	pricing
)

// afterMany is afterPair for many pools.
func (w *Walk) afterMany(shares fixed.Fine) fixed.Fine {
	s := w.shares().Add(shares)
	own := fine(w.start[w.outcome])
	if w.sell {
		// The others must stay positive; the credits cannot exceed the shares.
		end := w.credits.Add(shares).Add(fixed.Fine{Lo: 1}).Min(fine(w.start[w.least]))
		c, _ := w.search(&quest{kind: giving, shares: own.Add(s)}, w.credits, end)
		return c
	}
	q := quest{kind: taking, shares: s}
	from := w.credits
	if own.Less(s) { // the pool has too few shares until c mints the rest
		from = from.Max(s.Sub(own))
	}
	_, c := w.search(&q, from, w.credits.Add(shares))
	return c
}

func (w *Walk) pastMany(c fixed.Fine, t fixed.Price) bool {
	before, _, _ := w.probe(&quest{kind: pricing, bound: w.ratio(t)}, c)
	return !before
}

func (w *Walk) reachMany(t fixed.Price, past fixed.Fine) fixed.Fine {
	if w.sell {
		past = past.Min(fine(w.start[w.least]))
	}
	c, _ := w.search(&quest{kind: pricing, bound: w.ratio(t)}, w.credits, past)
	return c
}

// margin, one part in 2^57, is above all that is cut when a price is computed
// (less than one in 2^59), so a place that seems before the price is before it.
const margin = 57

// ratio is (10⁶−t)/t with the margin.
func (w *Walk) ratio(t fixed.Price) rough {
	r := roughOf(fixed.U128{Lo: uint64(fixed.One - t)}).over(roughOf(fixed.U128{Lo: uint64(t)}))
	if w.sell {
		return r.minus(r.scaled(-margin))
	}
	return r.plus(r.scaled(-margin))
}

// search narrows from..to, of which from is before what is sought (or is
// returned twice) and to is not, until they are neighbours; a price, which is
// known to one part in 2^57 only, until they are that close (2^-56 of the least
// other pool), so a walk ends at most that, and a unit, before the exact place.
//
// Each probe proposes a bold step, close to a third-order one, and a safe one that
// falls short. After a safe step, and if the search does not end soon, the interval
// is cut in the middle instead, by powers of two while its ends are far apart. So
// it ends after at most a few hundred probes; in practice after four to six, with
// pools of very different sizes sometimes twenty.
func (w *Walk) search(q *quest, from, to fixed.Fine) (before, beyond fixed.Fine) {
	c, short := from, false
	for round := 1; ; round++ {
		isBefore, bold, safe := w.probe(q, c)
		if isBefore {
			from = c
		} else {
			to = c
		}
		near := w.near(q, from, to)
		gap := to.Sub(from)
		if !near.Less(gap) {
			return from, to
		}
		step := bold.Max(near)
		slack := fixed.Fine(fixed.U128(step).Rsh(16)).Add(near).Add(near)
		switch {
		case short || round > 32 && round%4 == 0:
			step, short = fixed.Fine{}, false
		case step.Less(gap):
		case step.Less(gap.Add(slack)):
			step = gap.Sub(near)
		default:
			step, short = safe, true
		}
		switch {
		case step.IsZero() || !step.Less(gap):
			c = w.middle(from, to)
		case isBefore:
			c = c.Add(step)
		default:
			c = c.Sub(step)
		}
	}
}

// near is how close a search must come.
func (w *Walk) near(q *quest, from, to fixed.Fine) fixed.Fine {
	if q.kind != pricing {
		return fixed.Fine{Lo: 1}
	}
	if w.sell {
		from = to
	}
	least := fixed.U128(w.other(w.least, from))
	return fixed.Fine(least.Rsh(margin - 1)).Max(fixed.Fine{Lo: 1})
}

// middle cuts an interval by the size of the least pool.
func (w *Walk) middle(from, to fixed.Fine) fixed.Fine {
	a, b := fixed.U128(w.other(w.least, from)).Len(), fixed.U128(w.other(w.least, to)).Len()
	if a-b > 1 || b-a > 1 {
		y := fixed.Fine(fixed.U128{Lo: 1}.Lsh(uint((a+b)/2 - 1)))
		start := fine(w.start[w.least])
		if w.sell {
			return start.Sub(y)
		}
		return y.Sub(start)
	}
	return from.Add(half(to.Sub(from)))
}

// probe reports whether c is before what is sought and proposes steps from c
// towards it, or none.
func (w *Walk) probe(q *quest, c fixed.Fine) (before bool, bold, safe fixed.Fine) {
	if q.kind == pricing {
		return w.probePrice(q, c)
	}
	own, ok := w.restoring(c)
	if !ok {
		return false, fixed.Fine{Hi: ^uint64(0) >> 1}, fixed.Fine{}
	}
	// The own pool that the trade leaves, where own is what keeps the product: a
	// sale is complete where it falls to own, a purchase where it rises to own.
	var left fixed.Fine
	if q.kind == giving {
		left = q.shares.Sub(c)
	} else {
		left = fine(w.start[w.outcome]).Add(c)
		left = left.Sub(left.Min(q.shares))
	}
	before = left.Less(own) == (q.kind == taking)
	sum, squares := w.rates(c)
	a, b := roughOf(fixed.U128(left)), roughOf(fixed.U128(own))
	// With m = own, |left−own| / (1 + m·Σ1/xⱼ) is a step of Newton on own − left,
	// with m = left one on left·Πxⱼ − k. From left > own the latter falls short,
	// from left < own the former; m between the two is bold.
	gap := roughOf(fixed.U128(left.Max(own).Sub(left.Min(own))))
	safe = gap.over(one.plus(sum.times(largest(a, b)))).floor()
	switch {
	case a.m == 0:
		bold = safe
	case q.kind == giving && far(a, b):
		// left·Πxⱼ is to be k: left is one more of the factors.
		inverse := one.over(a)
		sum, squares = sum.plus(inverse), squares.plus(inverse.times(inverse))
		degree := sum.times(sum).over(squares)
		bold = leap(a, b, degree, degree.over(sum), !before).floor()
	default:
		bold = gap.over(one.plus(sum.times(a.times(b).root()))).floor()
	}
	return before, bold, safe
}

// probePrice compares own·Σ1/xⱼ, which is (1−p)/p at the price p, with the bound:
// it falls along a purchase and rises along a sale. Its logarithm has the slope
// Σ1/xⱼ + Σ1/xⱼ²/Σ1/xⱼ and is convex, so its tangent falls short of the bound on
// a purchase before it and on a sale beyond it.
func (w *Walk) probePrice(q *quest, c fixed.Fine) (before bool, bold, safe fixed.Fine) {
	p := w.others(c)
	own := rough{w.wide.m.Hi, w.wide.e + 64}.over(rough{p.m.Hi, p.e + 64})
	sum, squares := w.rates(c)
	is := own.times(sum)
	high := !is.less(q.bound)
	before = high != w.sell || is == q.bound
	gap := is.minus(q.bound)
	if !high {
		gap = q.bound.minus(is)
	}
	slope := sum.plus(squares.over(sum))
	if high {
		safe = gap.over(is.times(slope)).floor()
	}
	if far(is, q.bound) {
		degree := sum.times(sum).over(squares)
		return before, leap(is, q.bound, degree.plus(one), degree.over(sum), before != w.sell).floor(), safe
	}
	return before, gap.over(is.times(q.bound).root().times(slope)).floor(), safe
}

// far reports whether a and b differ by a factor of about two or more: too much
// for a step along the tangent.
func far(a, b rough) bool { return a.e > b.e+1 || b.e > a.e+1 }

// leap returns the step that brings a to b if a is that power, the degree, of one
// pool of the size scale, which grows or shrinks by the step.
func leap(a, b, degree, scale rough, grows bool) rough {
	ratio := a.log() - b.log()
	if ratio < 0 {
		ratio = -ratio
	}
	power := exp(uint64(ratio) << 16 / max(degree.scaled(16).floor().Lo, 1))
	step := scale.times(power.minus(one))
	if grows {
		return step
	}
	return step.over(power)
}
