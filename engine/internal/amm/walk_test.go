package amm_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// curve is the reference: the same pools in math/big, in 2^-32 micros.
type curve struct {
	sell  bool
	i     int
	start []*big.Int
	k     *big.Int
}

func bigFine(a fixed.Fine) *big.Int {
	b := new(big.Int).SetUint64(a.Hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(a.Lo))
}

func newCurve(pools []fixed.Shares, i int, sell bool) *curve {
	r := &curve{sell: sell, i: i, k: big.NewInt(1)}
	for _, x := range pools {
		f := bigFine(fixed.FromMicros(int64(x)))
		r.start = append(r.start, f)
		r.k.Mul(r.k, f)
	}
	return r
}

func (r *curve) others(c *big.Int) (ys []*big.Int, product *big.Int) {
	product = big.NewInt(1)
	for j, x := range r.start {
		if j == r.i {
			continue
		}
		y := new(big.Int).Add(x, c)
		if r.sell {
			y.Sub(x, c)
		}
		ys = append(ys, y)
		product.Mul(product, y)
	}
	return ys, product
}

// keeps reports whether the own pool and the others at c keep the product.
func (r *curve) keeps(c, own *big.Int) bool {
	_, p := r.others(c)
	return own.Sign() > 0 && p.Mul(p, own).Cmp(r.k) >= 0
}

// least is the exact own pool at c, rounded up.
func (r *curve) least(c *big.Int) *big.Int {
	_, p := r.others(c)
	q, rest := new(big.Int).QuoRem(r.k, p, new(big.Int))
	if rest.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q
}

// side tells on which side of t the exact price at c is: −1 below, 1 above. Own
// is the exact pool, not a rounded one.
func (r *curve) side(c *big.Int, t fixed.Price) int {
	const prec = 600
	ys, p := r.others(c)
	sum := new(big.Float).SetPrec(prec)
	for _, y := range ys {
		if y.Sign() <= 0 {
			return -1 // a sale beyond the end of a pool
		}
		sum.Add(sum, new(big.Float).SetPrec(prec).Quo(big.NewFloat(1).SetPrec(prec), new(big.Float).SetPrec(prec).SetInt(y)))
	}
	sum.Mul(sum, new(big.Float).SetPrec(prec).SetInt(r.k))
	sum.Quo(sum, new(big.Float).SetPrec(prec).SetInt(p))
	sum.Mul(sum, new(big.Float).SetInt64(int64(t)))
	return -sum.Cmp(new(big.Float).SetInt64(int64(fixed.One - t)))
}

func drawPools(t *rapid.T) []fixed.Shares {
	n := rapid.SampledFrom([]int{2, 2, 3, 8, 64}).Draw(t, "n")
	pools := make([]fixed.Shares, n)
	low, high := 0, 51
	if rapid.Bool().Draw(t, "alike") { // pools of one size beside all sizes
		low = rapid.IntRange(0, 50).Draw(t, "size")
		high = low + 1
	}
	for i := range pools {
		e := rapid.IntRange(low, high).Draw(t, "exp")
		pools[i] = fixed.Shares(min(rapid.Int64Range(1<<e, 2<<e).Draw(t, "pool"), fixed.MaxPool))
	}
	return pools
}

func drawFine(t *rapid.T, name string) fixed.Fine {
	m := rapid.Int64Range(0, 1<<rapid.IntRange(0, 50).Draw(t, name+"exp")).Draw(t, name)
	f := fixed.FromMicros(m)
	if rapid.Bool().Draw(t, name+"fine") {
		f = f.Add(fixed.Fine{Lo: rapid.Uint64Max(1<<32-1).Draw(t, name+"guard")})
	}
	return f
}

func drawPrice(t *rapid.T) fixed.Price {
	if rapid.Bool().Draw(t, "edge") {
		return rapid.SampledFrom([]fixed.Price{1, 2, 100, 10_000, 990_000, 999_900, 999_999}).Draw(t, "t")
	}
	return fixed.Price(rapid.Int64Range(1, 999_999).Draw(t, "t"))
}

// step is one move of a walk and what the reference must say about it.
type step struct {
	byShares bool
	size     fixed.Fine
	t        fixed.Price
}

func (s step) take(w *amm.Walk, sell bool) (credits, shares fixed.Fine, stopped bool) {
	switch {
	case sell:
		return w.Give(s.size, s.t)
	case s.byShares:
		return w.Take(s.size, s.t)
	}
	return w.Spend(s.size, s.t)
}

// check holds a step against the reference: exact, and tight to a unit of 2^-32
// micros.
func (s step) check(t *rapid.T, r *curve, w *amm.Walk, before [2]fixed.Fine, dc, ds fixed.Fine, stopped bool) {
	credits, shares := w.Exact()
	if before[0].Add(dc) != credits || before[1].Add(ds) != shares {
		t.Fatal("the step is not the difference of the totals")
	}
	c, one := bigFine(credits), big.NewInt(1)
	own := new(big.Int).Add(r.start[r.i], new(big.Int).Sub(c, bigFine(shares)))
	if r.sell {
		own.Add(r.start[r.i], new(big.Int).Sub(bigFine(shares), c))
	}
	if !r.keeps(c, own) {
		t.Fatalf("%+v: the product fell at %v", s, c)
	}
	still := dc.IsZero() && ds.IsZero()
	switch {
	case stopped:
		if ahead := r.side(c, s.t); ahead != 0 && (ahead > 0) != r.sell && !still {
			t.Fatalf("%+v: passes the price", s)
		}
		// With many pools a price is known to a part in 2^56 of the smallest other.
		near := new(big.Int).Set(one)
		ys, _ := r.others(c)
		for j, y := range ys {
			part := new(big.Int).Rsh(y, 55)
			if part.Add(part, big.NewInt(2)); len(ys) > 1 && (j == 0 || part.Cmp(near) < 0) {
				near = part
			}
		}
		if ahead := r.side(new(big.Int).Add(c, near), s.t); ahead == 0 || (ahead > 0) == r.sell {
			t.Fatalf("%+v: stops before the price", s)
		}
	case r.sell || s.byShares:
		if ds != s.size {
			t.Fatalf("%+v: %v shares", s, ds)
		}
		// One unit more for the seller, or less from the buyer, breaks the product,
		// but for the unit that cutting may cost.
		d := big.NewInt(2)
		better, left := new(big.Int).Add(c, d), new(big.Int).Sub(own, d)
		if !r.sell {
			better.Sub(c, d)
			if better.Sign() < 0 || better.Cmp(bigFine(before[0])) < 0 {
				return
			}
		}
		if ys, _ := r.others(better); r.sell && smallest(ys).Sign() <= 0 {
			return
		}
		if r.keeps(better, left) && dc != ds {
			t.Fatalf("%+v: two units are left on the table", s)
		}
	default:
		if dc != s.size {
			t.Fatalf("%+v: spent %v", s, dc)
		}
		if over := new(big.Int).Sub(own, r.least(c)); !dc.IsZero() && over.Cmp(one) > 0 {
			t.Fatalf("%+v: %v units too few", s, over)
		}
	}
}

func smallest(ys []*big.Int) *big.Int {
	least := ys[0]
	for _, y := range ys {
		if y.Cmp(least) < 0 {
			least = y
		}
	}
	return least
}

func bigProduct(pools []fixed.Shares) *big.Int {
	p := big.NewInt(1)
	for _, x := range pools {
		p.Mul(p, big.NewInt(int64(x)))
	}
	return p
}

// checkTotals holds the whole micros of a walk against its exact ones.
func checkTotals(t *rapid.T, w *amm.Walk, pools []fixed.Shares, i int, sell bool, last [2]int64) [2]int64 {
	sets, shares := w.Totals()
	credits, exact := w.Exact()
	after := w.Pools(make([]fixed.Shares, 0, len(pools)))
	if bigProduct(after).Cmp(bigProduct(pools)) < 0 || amm.ProductFell(pools, after) {
		t.Fatalf("the product fell from %v to %v", pools, after)
	}
	move := fixed.Shares(sets)
	if sell {
		move = -move
	}
	for j, x := range pools {
		if j != i && after[j] != x+move {
			t.Fatalf("pool %d went from %d to %d, not by %d", j, x, after[j], move)
		}
	}
	lowSets, highSets := credits.Floor(), credits.Ceil()
	if sell {
		if int64(sets) != lowSets || after[i] != pools[i]+shares-fixed.Shares(sets) || int64(shares) < exact.Floor() || int64(shares) > exact.Ceil() {
			t.Fatalf("sold %d for %d, exactly %v for %v", shares, sets, exact, credits)
		}
	} else if int64(sets) != highSets || after[i] != pools[i]+fixed.Shares(sets)-shares || int64(shares) > exact.Ceil() || int64(shares) < exact.Floor() {
		t.Fatalf("bought %d for %d, exactly %v for %v", shares, sets, exact, credits)
	}
	if exact.Floor() == exact.Ceil() && int64(shares) != exact.Floor() {
		t.Fatalf("%d shares, exactly %v", shares, exact)
	}
	if int64(sets) < last[0] || int64(shares) < last[1] {
		t.Fatal("the totals fell")
	}
	return [2]int64{int64(sets), int64(shares)}
}

func walkProperty(t *rapid.T) {
	pools := drawPools(t)
	i, sell := rapid.IntRange(0, len(pools)-1).Draw(t, "outcome"), rapid.Bool().Draw(t, "sell")
	r := newCurve(pools, i, sell)
	var w amm.Walk
	w.Begin(pools, i, sell)
	var last [2]int64
	for range rapid.IntRange(1, 4).Draw(t, "steps") {
		s := step{rapid.Bool().Draw(t, "byshares"), drawFine(t, "size"), drawPrice(t)}
		room := w.Room(s.t)
		var before [2]fixed.Fine
		before[0], before[1] = w.Exact()
		dc, ds, stopped := s.take(&w, sell)
		s.check(t, r, &w, before, dc, ds, stopped)
		last = checkTotals(t, &w, pools, i, sell, last)
		moved := dc
		if sell {
			moved = ds
		}
		if one := fixed.FromMicros(1); room && stopped && moved.Less(one) || !room && one.Add(one).Less(moved) {
			t.Fatalf("%+v: room %v, moved %v, stopped %v", s, room, moved, stopped)
		}
		if stopped && w.Room(s.t) {
			t.Fatalf("%+v: stopped with room", s)
		}
	}
	roundTrip(t, &w, pools, i, sell)
}

// roundTrip undoes the walk in a new one: nobody gains.
func roundTrip(t *rapid.T, w *amm.Walk, pools []fixed.Shares, i int, sell bool) {
	sets, shares := w.Totals()
	after := w.Pools(nil)
	for _, x := range after {
		if x > fixed.MaxPool {
			return
		}
	}
	var back amm.Walk
	back.Begin(after, i, !sell)
	if sell {
		back.Take(fixed.FromMicros(int64(shares)), fixed.One-1)
	} else {
		back.Give(fixed.FromMicros(int64(shares)), 1)
	}
	backSets, backShares := back.Totals()
	if sell && backShares == shares && backSets < sets || !sell && backSets > sets {
		t.Fatalf("%v: %d shares for %d and back for %d", pools, shares, sets, backSets)
	}
}

func TestWalkAgainstBig(t *testing.T) { rapid.Check(t, walkProperty) }

func FuzzWalk(f *testing.F) { f.Fuzz(rapid.MakeFuzz(walkProperty)) }
