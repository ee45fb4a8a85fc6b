package amm_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/fixed"
)

func product(p amm.Pair) *big.Int { return times(int64(p.Own), int64(p.Other)) }

func times(a, b int64) *big.Int { return new(big.Int).Mul(big.NewInt(a), big.NewInt(b)) }

func drawPair(t *rapid.T) amm.Pair {
	// Exponents first, so that tiny and lopsided pools are as common as large ones.
	size := func(name string) fixed.Shares {
		e := rapid.IntRange(0, 50).Draw(t, name+"exp")
		return fixed.Shares(rapid.Int64Range(1<<e, 2<<e).Draw(t, name))
	}
	return amm.Pair{Own: size("own"), Other: size("other")}
}

// Every trade keeps the product, and one micro more for the trader would break
// it: exact, and tight. math/big is the reference.
func TestTradesAreExactAndTight(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPair(t)
		k := product(p)
		n := rapid.Int64Range(1, 1<<rapid.IntRange(1, 50).Draw(t, "exp")).Draw(t, "n")
		keeps := func(own, other int64) bool { return own > 0 && other > 0 && times(own, other).Cmp(k) >= 0 }
		own, other := int64(p.Own), int64(p.Other)

		b := p.Buy(fixed.Micros(n))
		if s := int64(b.Shares); !keeps(own+n-s, other+n) || keeps(own+n-s-1, other+n) {
			t.Fatalf("%v: %d credits buy %d shares", p, n, s)
		}
		if m := int64(p.CostOf(fixed.Shares(n))); !keeps(own+m-n, other+m) || keeps(own+m-1-n, other+m-1) && m > 1 {
			t.Fatalf("%v: %d shares cost %d", p, n, m)
		}
		s := p.Sell(fixed.Shares(n))
		if c := int64(s.Amount); !keeps(own+n-c, other-c) || keeps(own+n-c-1, other-c-1) {
			t.Fatalf("%v: %d shares sell for %d", p, n, c)
		}
		for _, tr := range []amm.Trade{b, s, p.BuyShares(fixed.Shares(n))} {
			if product(tr.After).Cmp(k) < 0 {
				t.Fatalf("%v: the product fell", p)
			}
		}
	})
}

// A walk to a limit ends at or before it, and a little more would pass it.
func TestRoomEndsAtTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPair(t)
		limit := fixed.Price(rapid.Int64Range(1, 999_999).Draw(t, "limit"))
		// Price of own is other/(own+other); at the limit other·(10⁶−t) = own·t.
		beyond := func(q amm.Pair) int {
			return times(int64(q.Other), fixed.One-int64(limit)).Cmp(times(int64(q.Own), int64(limit)))
		}
		if room := p.RoomToBuy(limit); room > 0 && room < fixed.MaxPool {
			// Rounding the pool up lowers the price of what was bought.
			if beyond(p.Buy(room).After) > 0 {
				t.Fatalf("%v: buying %d passes %d", p, room, limit)
			}
		}
		if room := p.RoomToSell(limit); room > 0 {
			after := p.Sell(room).After
			after.Own-- // both pools were rounded to whole micros
			after.Other++
			if beyond(after) < 0 {
				t.Fatalf("%v: selling %d passes %d", p, room, limit)
			}
		}
	})
}

func TestAverageIsAgainstTheTrader(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.Int64Range(1, 1<<52)
		tr := amm.Trade{Amount: fixed.Micros(n.Draw(t, "amount")), Shares: fixed.Shares(n.Draw(t, "shares"))}
		exact := new(big.Rat).SetFrac(times(int64(tr.Amount), fixed.One), big.NewInt(int64(tr.Shares)))
		for _, bought := range []bool{true, false} {
			got := tr.Average(bought)
			diff := new(big.Rat).Sub(new(big.Rat).SetInt64(int64(got)), exact)
			switch {
			case got < 1 || got >= fixed.One:
				t.Fatalf("%v: %d", tr, got)
			case got == 1 || got == fixed.One-1: // clamped
			case bought && (diff.Sign() < 0 || diff.Cmp(big.NewRat(1, 1)) >= 0), !bought && (diff.Sign() > 0 || diff.Cmp(big.NewRat(-1, 1)) <= 0):
				t.Fatalf("%v: %d is %s off", tr, got, diff)
			}
		}
	})
}

func TestPublishedPricesSumToOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPair(t)
		own, other := p.Prices()
		if own+other != fixed.One || own < 1 || other < 1 {
			t.Fatalf("%v: %d + %d", p, own, other)
		}
		mirrored, _ := amm.Pair{Own: p.Other, Other: p.Own}.Prices()
		if d := mirrored - other; p.Own != p.Other && d != 0 {
			t.Fatalf("%v: %d from one side, %d from the other", p, other, mirrored)
		}
	})
}

func TestOpenSeedsThePrice(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := fixed.Micros(rapid.Int64Range(1_000_000, 1<<50).Draw(t, "c"))
		want := fixed.Price(rapid.Int64Range(1_000, 999_000).Draw(t, "price"))
		p := amm.Open(c, want)
		got, _ := p.Prices()
		if p.Own > fixed.Shares(c) || p.Other > fixed.Shares(c) || p.Own < 1 || p.Other < 1 {
			t.Fatalf("%d at %d opens with %v", c, want, p)
		}
		if diff := got - want; diff > 2 || diff < -2 { // pools of a credit hold ppm prices to two
			t.Fatalf("%d at %d opens with %v at %d", c, want, p, got)
		}
	})
}
