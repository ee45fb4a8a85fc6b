package amm_test

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// exactPrices are the prices of all outcomes in ppm.
func exactPrices(pools []fixed.Shares) (prices []*big.Rat) {
	sum := new(big.Rat)
	for _, x := range pools {
		sum.Add(sum, big.NewRat(1, int64(x)))
	}
	for _, x := range pools {
		prices = append(prices, new(big.Rat).Quo(big.NewRat(fixed.One, int64(x)), sum))
	}
	return prices
}

func distance(a fixed.Price, b *big.Rat) *big.Rat {
	d := new(big.Rat).Sub(new(big.Rat).SetInt64(int64(a)), b)
	return d.Abs(d)
}

// Published prices sum to one, none is below one, and each is within one of the
// exact price but where the floor of one had to be paid for.
func TestPricesSumToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pools := drawPools(t)
		prices := amm.Prices(pools, nil)
		sum, raised := fixed.Price(0), int64(0)
		for i, p := range prices {
			sum += p
			if p < 1 {
				t.Fatalf("%v: price %d of %d", pools, p, i)
			}
			if p == 1 {
				raised++
			}
		}
		if sum != fixed.One || len(prices) != len(pools) {
			t.Fatalf("%v: %v sum to %d", pools, prices, sum)
		}
		least, exact := slices.Min(pools), exactPrices(pools)
		for i, p := range prices {
			slack := big.NewRat(1, 1)
			if pools[i] == least { // the dearest
				slack = big.NewRat(1+raised, 1)
			}
			if distance(p, exact[i]).Cmp(slack) > 0 {
				t.Fatalf("%v: price %d of %d is not %s", pools, p, i, exact[i].FloatString(3))
			}
		}
	})
}

// Of two pools: rounded down, and what is left goes to the larger remainder, to the first
// one if they are the same; none is below one.
func TestPricesOfTwo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		most := rapid.SampledFrom([]int64{3, 2_000_000, 1 << 52}).Draw(t, "most")
		a, b := rapid.Int64Range(1, most).Draw(t, "a"), rapid.Int64Range(1, most).Draw(t, "b")
		sum := big.NewInt(a + b)
		first, rest := new(big.Int).QuoRem(new(big.Int).Mul(big.NewInt(b), big.NewInt(fixed.One)), sum, new(big.Int))
		_, other := new(big.Int).QuoRem(new(big.Int).Mul(big.NewInt(a), big.NewInt(fixed.One)), sum, new(big.Int))
		want := fixed.Price(first.Int64())
		if rest.Sign() > 0 && rest.Cmp(other) >= 0 {
			want++
		}
		want = min(max(want, 1), fixed.One-1)
		if got := amm.Prices([]fixed.Shares{fixed.Shares(a), fixed.Shares(b)}, nil); len(got) != 2 || got[0] != want || got[1] != fixed.One-want {
			t.Fatalf("%d and %d: %v, want %d", a, b, got, want)
		}
	})
}

// Largest remainders, ties to the lower index: by hand.
func TestPricesByHand(t *testing.T) {
	for _, c := range []struct {
		pools []fixed.Shares
		want  []fixed.Price
	}{
		{[]fixed.Shares{1, 1}, []fixed.Price{500_000, 500_000}},
		{[]fixed.Shares{1, 2}, []fixed.Price{666_667, 333_333}},
		{[]fixed.Shares{2, 1}, []fixed.Price{333_333, 666_667}},
		{[]fixed.Shares{7, 7, 7}, []fixed.Price{333_334, 333_333, 333_333}},
		{[]fixed.Shares{1, 1 << 52}, []fixed.Price{999_999, 1}},
		{[]fixed.Shares{1 << 52, 1, 1 << 52}, []fixed.Price{1, 999_998, 1}},
		{[]fixed.Shares{3, 1_999_997}, []fixed.Price{999_999, 1}}, // 1.5 exactly: the tie goes to the lower index
		{[]fixed.Shares{1 << 40, 1 << 41, 1 << 41, 1 << 10}, []fixed.Price{1, 1, 1, 999_997}},
		{[]fixed.Shares{100, 200, 400}, []fixed.Price{571_429, 285_714, 142_857}},
		{[]fixed.Shares{1_999_997, 3}, []fixed.Price{2, 999_998}},
	} {
		if got := amm.Prices(c.pools, nil); !slices.Equal(got, c.want) {
			t.Errorf("%v: %v, want %v", c.pools, got, c.want)
		}
	}
}

func TestOpenAtThePrices(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(2, amm.MaxOutcomes).Draw(t, "n")
		c := fixed.Micros(rapid.Int64Range(10_000_000_000, fixed.MaxPool).Draw(t, "c"))
		prices := make([]fixed.Price, n)
		left := fixed.Price(fixed.One)
		for i := range prices {
			spare := left - 1000*fixed.Price(n-1-i)
			prices[i] = spare
			if i < n-1 {
				prices[i] = fixed.Price(rapid.Int64Range(1000, int64(spare)).Draw(t, "p"))
			}
			left -= prices[i]
		}
		pools := amm.Open(c, prices, nil)
		for i, p := range amm.Prices(pools, nil) {
			if pools[i] < 1 || pools[i] > fixed.Shares(c) || p-prices[i] > 1 || prices[i]-p > 1 {
				t.Fatalf("%d credits at %v: pools %v, price %d of %d", c, prices, pools, p, i)
			}
		}
		if slices.Max(pools) != fixed.Shares(c) {
			t.Fatal("no pool keeps all its shares")
		}
	})
}

// The product per unit to the power of n: what a unit of liquidity owns. It never
// falls when somebody comes or goes, so nobody profits from coming and going.
func perUnit(pools []fixed.Shares, units fixed.Shares) *big.Rat {
	u := new(big.Int).Exp(big.NewInt(int64(units)), big.NewInt(int64(len(pools))), nil)
	return new(big.Rat).SetFrac(bigProduct(pools), u)
}

func TestLiquidityComesAndGoes(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pools := drawPools(t)
		largest := slices.Max(pools)
		units := fixed.Shares(rapid.Int64Range(1, 1000*int64(largest)).Draw(t, "units"))
		a := fixed.Micros(rapid.Int64Range(1, 1<<rapid.IntRange(0, 50).Draw(t, "aexp")).Draw(t, "a"))
		taken, minted := amm.Add(pools, a, units, nil)
		after, exact := make([]fixed.Shares, len(pools)), new(big.Rat)
		for i := range pools {
			if taken[i] < 1 || taken[i] > fixed.Shares(a) {
				t.Fatalf("pool %d takes %d of %d", i, taken[i], a)
			}
			after[i] = pools[i] + taken[i]
			// The price stays: each pool grows by a/x_max, rounded up.
			exact.SetFrac(times(int64(a), int64(pools[i])), big.NewInt(int64(largest)))
			if d := exact.Sub(new(big.Rat).SetInt64(int64(taken[i])), exact); d.Sign() < 0 || d.Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("pool %d takes %d, off by %s", i, taken[i], d)
			}
		}
		if perUnit(after, units+minted).Cmp(perUnit(pools, units)) < 0 {
			t.Fatal("a newcomer dilutes the providers")
		}
		if minted == 0 {
			return
		}
		back := amm.Remove(after, minted, units+minted, nil)
		left := make([]fixed.Shares, len(pools))
		for i := range back {
			left[i] = after[i] - back[i]
			if back[i] > taken[i] {
				t.Fatalf("pool %d took %d and gives %d", i, taken[i], back[i])
			}
		}
		if perUnit(left, units).Cmp(perUnit(after, units+minted)) < 0 || perUnit(left, units).Cmp(perUnit(pools, units)) < 0 {
			t.Fatal("who leaves takes from the providers")
		}
	})
}

// Depth ends where the price has moved by the band: that much stays within, two
// micros more go beyond.
func TestDepthIsTheNearerSide(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pools := drawPools(t)
		i := rapid.IntRange(0, len(pools)-1).Draw(t, "outcome")
		band := fixed.Price(rapid.Int64Range(100, 50_000).Draw(t, "band"))
		is := amm.Prices(pools, nil)[i]
		low, high := fixed.Price(100), fixed.Price(fixed.One-100)
		depth := amm.Depth(pools, i, is, band, low, high)
		if is >= high || is <= low {
			if depth > 0 && (is > high || is < low) {
				t.Fatalf("%v: %d beyond the bounds", pools, depth)
			}
			return
		}
		upTo, downTo := min(is+band, high), max(is-band, low)
		reach := func(sell bool, credits *big.Int, limit fixed.Price) bool {
			side := newCurve(pools, i, sell).side(credits, limit)
			return side == 0 || (side > 0) == sell
		}
		d := bigFine(fixed.FromMicros(int64(depth)))
		if depth > 0 && (!reach(false, d, upTo) || !reach(true, d, downTo)) {
			t.Fatalf("%v: depth %d passes the band", pools, depth)
		}
		more := bigFine(fixed.FromMicros(int64(depth) + 2))
		if depth < fixed.MaxPool && reach(false, more, upTo) && reach(true, more, downTo) {
			t.Fatalf("%v: depth %d ends before the band", pools, depth)
		}
	})
}

func TestProductFell(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		before := drawPools(t)
		after := slices.Clone(before)
		switch rapid.IntRange(0, 3).Draw(t, "change") {
		case 0: // the same product in another order: only the exact comparison tells
			slices.Reverse(after)
		case 1:
			slices.Reverse(after)
			after[0] = max(after[0]-1, 1)
		case 2:
			for i := range after {
				after[i] = max(after[i]+fixed.Shares(rapid.Int64Range(-2, 2).Draw(t, "d")), 1)
			}
		}
		if got, want := amm.ProductFell(before, after), bigProduct(after).Cmp(bigProduct(before)) < 0; got != want {
			t.Fatalf("from %v to %v: %v, want %v", before, after, got, want)
		}
	})
}

// A walk that ends at a price publishes it, to a ppm, once the pools are large
// enough for their last micro not to matter.
func TestStoppedWalksPublishTheirPrice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pools := drawPools(t)
		for i := range pools {
			pools[i] = max(pools[i], 1<<40+pools[i]%(1<<40))
		}
		i, sell := rapid.IntRange(0, len(pools)-1).Draw(t, "outcome"), rapid.Bool().Draw(t, "sell")
		limit := fixed.Price(rapid.Int64Range(100, fixed.One-100).Draw(t, "limit"))
		var w amm.Walk
		w.Begin(pools, i, sell)
		var stopped bool
		if size := fixed.FromMicros(fixed.MaxPool); sell {
			_, _, stopped = w.Give(size, limit)
		} else {
			_, _, stopped = w.Spend(size, limit)
		}
		credits, _ := w.Exact()
		if !stopped || credits.IsZero() {
			return
		}
		after := w.Pools(nil)
		if slices.Min(after) < 1<<24 {
			return
		}
		if p := amm.Prices(after, nil)[i]; p-limit > 1 || limit-p > 1 {
			t.Fatalf("%v: stopped at %d, publishes %d", pools, limit, p)
		}
	})
}

func times(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }
