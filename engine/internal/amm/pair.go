package amm

import "github.com/mbp-market/mbp/engine/internal/fixed"

// Pair is a two-outcome pool seen from one side: Own holds shares of the traded
// outcome, Other of the opposite one. Both are positive.
type Pair struct{ Own, Other fixed.Shares }

// Trade is the result of a walk along the pool: what was paid or received, the
// shares that changed hands, and the pool afterwards.
type Trade struct {
	Amount fixed.Micros
	Shares fixed.Shares
	After  Pair
}

// Average is what was paid or received per share, in Micros, rounded against the
// trader and kept inside 1..999,999. Both sizes are positive.
func (t Trade) Average(bought bool) fixed.Price {
	paid, shares := fixed.Mul(uint64(t.Amount), fixed.One), uint64(t.Shares)
	if bought {
		paid = paid.Add(fixed.U128{Lo: shares - 1})
	}
	q, _ := paid.QuoRem(shares)
	if q.Hi != 0 || q.Lo >= fixed.One {
		return fixed.One - 1
	}
	return clamp(fixed.Price(q.Lo))
}

// Product is the invariant of the pool.
func (p Pair) Product() fixed.U128 { return fixed.Mul(uint64(p.Own), uint64(p.Other)) }

// Price is the marginal price of the traded outcome in ppm, rounded down. Use
// Prices for the published pair, which sums to one.
func (p Pair) Price() fixed.Price {
	q, _ := fixed.Mul(uint64(p.Other), fixed.One).QuoRem(uint64(p.Own) + uint64(p.Other))
	return clamp(fixed.Price(q.Lo))
}

// Prices returns the published prices of (own, other). They sum to exactly one
// million: the odd ppm goes to the larger remainder.
func (p Pair) Prices() (own, other fixed.Price) {
	sum := uint64(p.Own) + uint64(p.Other)
	q, r := fixed.Mul(uint64(p.Other), fixed.One).QuoRem(sum)
	if 2*r > sum || (2*r == sum && p.Own < p.Other) {
		q.Lo++
	}
	own = clamp(fixed.Price(q.Lo))
	return own, fixed.One - own
}

func clamp(p fixed.Price) fixed.Price { return min(max(p, 1), fixed.One-1) }

// Open returns the pools of a market that starts at the given price of the
// first outcome with c minted complete sets: pool i keeps ⌊c·p_min/pᵢ⌋.
func Open(c fixed.Micros, price fixed.Price) Pair {
	pYes, pNo := uint64(price), uint64(fixed.One-price)
	low := min(pYes, pNo)
	yes, _ := fixed.Mul(uint64(c), low).QuoRem(pYes)
	no, _ := fixed.Mul(uint64(c), low).QuoRem(pNo)
	return Pair{Own: fixed.Shares(yes.Lo), Other: fixed.Shares(no.Lo)}
}

// otherAt is √(k·t/(10⁶−t)): the opposite pool at the marginal price t, exact
// before the square root is taken.
func (p Pair) otherAt(t fixed.Price) fixed.U128 {
	q, _ := p.Product().MulSmall(uint64(t)).QuoRem(uint64(fixed.One - t))
	return q
}

// RoomToBuy returns how much can be spent until the price of the traded outcome
// reaches limit; zero if it is there already.
func (p Pair) RoomToBuy(limit fixed.Price) fixed.Micros {
	target := p.otherAt(limit).Sqrt()
	if target <= uint64(p.Other) {
		return 0
	}
	return fixed.Micros(min(target-uint64(p.Other), fixed.MaxPool))
}

// Buy spends exactly amount; the shares are rounded down.
func (p Pair) Buy(amount fixed.Micros) Trade {
	other := uint64(p.Other) + uint64(amount)
	own := p.Product().CeilDiv(other)
	return Trade{
		Amount: amount,
		Shares: p.Own + fixed.Shares(amount) - fixed.Shares(own),
		After:  Pair{Own: fixed.Shares(own), Other: fixed.Shares(other)},
	}
}

// CostOf returns the least amount that buys at least the given shares: the
// smallest m with (own+m−shares)·(other+m) ≥ k.
func (p Pair) CostOf(shares fixed.Shares) fixed.Micros {
	// m² + (own+other−shares)·m − shares·other ≥ 0; solve, then settle the last
	// unit by the exact product.
	sum := int64(p.Own) + int64(p.Other) - int64(shares)
	disc := square(sum).Add(fixed.Mul(uint64(shares), uint64(p.Other)).MulSmall(4))
	m := (int64(disc.Sqrt()) - sum) / 2
	m = max(m, int64(shares)-int64(p.Own)+1, 1)
	for m > 1 && p.restores(shares, m-1) {
		m--
	}
	for !p.restores(shares, m) {
		m++
	}
	return fixed.Micros(m)
}

func (p Pair) restores(shares fixed.Shares, m int64) bool {
	own := int64(p.Own) + m - int64(shares)
	if own <= 0 {
		return false
	}
	return !fixed.Mul(uint64(own), uint64(int64(p.Other)+m)).Less(p.Product())
}

// BuyShares buys exactly the given shares at the least cost.
func (p Pair) BuyShares(shares fixed.Shares) Trade {
	m := p.CostOf(shares)
	return Trade{Amount: m, Shares: shares, After: Pair{
		Own:   p.Own + fixed.Shares(m) - shares,
		Other: p.Other + fixed.Shares(m),
	}}
}

// RoomToSell returns how many shares can be sold until the price of the traded
// outcome falls to limit; zero if it is there already.
func (p Pair) RoomToSell(limit fixed.Price) fixed.Shares {
	target := p.otherAt(limit).SqrtCeil()
	if target >= uint64(p.Other) || target == 0 {
		return 0
	}
	out := p.Other - fixed.Shares(target)
	own := p.Product().CeilDiv(target)
	return fixed.Shares(min(own, 2*fixed.MaxPool)) + out - p.Own
}

// Sell gives shares to the pool; the proceeds are rounded down: the largest c
// with (own+shares−c)·(other−c) ≥ k.
func (p Pair) Sell(shares fixed.Shares) Trade {
	sum := uint64(p.Own) + uint64(p.Other) + uint64(shares)
	disc := fixed.Mul(sum, sum).Sub(fixed.Mul(uint64(shares), uint64(p.Other)).MulSmall(4))
	c := int64(sum-disc.SqrtCeil()) / 2
	for p.keeps(shares, c+1) {
		c++
	}
	for c > 0 && !p.keeps(shares, c) {
		c--
	}
	return Trade{Amount: fixed.Micros(c), Shares: shares, After: Pair{
		Own:   p.Own + shares - fixed.Shares(c),
		Other: p.Other - fixed.Shares(c),
	}}
}

func (p Pair) keeps(shares fixed.Shares, c int64) bool {
	other := int64(p.Other) - c
	own := int64(p.Own) + int64(shares) - c
	if other <= 0 || own <= 0 {
		return false
	}
	return !fixed.Mul(uint64(own), uint64(other)).Less(p.Product())
}

func square(v int64) fixed.U128 {
	if v < 0 {
		v = -v
	}
	return fixed.Mul(uint64(v), uint64(v))
}

// Depth returns the smaller of the amounts that move the price up by band, or
// the opposite outcome's price up by band, without passing the bounds.
func (p Pair) Depth(band, low, high fixed.Price) fixed.Micros {
	own := p.Price()
	up := p.RoomToBuy(min(own+band, high))
	down := Pair{Own: p.Other, Other: p.Own}.RoomToBuy(min(fixed.One-own+band, fixed.One-low))
	return min(up, down)
}
