package settle_test

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/settle"
)

// million is what a credit has of micros.
var million = big.NewInt(fixed.One)

func number[T ~int64](v T) *big.Int { return big.NewInt(int64(v)) }

// micros draws an amount that the ledger can hold; edges meet often.
func micros(t *rapid.T, name string) int64 {
	return rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, fixed.MaxPool)).Draw(t, name)
}

// floored is ⌊a·b/c⌋.
func floored(a, b, c *big.Int) *big.Int {
	p := new(big.Int).Mul(a, b)
	return p.Quo(p, c)
}

func equals(t *rapid.T, what string, got int64, want *big.Int) {
	t.Helper()
	if number(got).Cmp(want) != 0 {
		t.Fatalf("%s is %d, want %v", what, got, want)
	}
}

// A position is worth the sum of its shares times their payouts, rounded down
// once; a complete set is worth what backs it.
func TestValue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 64).Draw(t, "n")
		shares, v := make([]fixed.Shares, n), make([]fixed.Price, n)
		sum := new(big.Int)
		for i := range n {
			shares[i] = fixed.Shares(micros(t, "shares"))
			v[i] = fixed.Price(rapid.Int64Range(0, fixed.One).Draw(t, "payout"))
			sum.Add(sum, new(big.Int).Mul(number(shares[i]), number(v[i])))
		}
		equals(t, "the value", int64(settle.Value(shares, v)), sum.Quo(sum, million))
		sets := fixed.Shares(micros(t, "sets"))
		for i := range shares {
			shares[i] = sets
		}
		equals(t, "the value of complete sets", int64(settle.Value(shares, settle.Normalise(v))), number(sets))
	})
}

func TestPart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		whole, n, of := micros(t, "whole"), micros(t, "n"), micros(t, "of")
		want := new(big.Int)
		if of > 0 {
			want = floored(number(whole), number(min(n, of)), number(of))
		}
		equals(t, "the part", int64(settle.Part(fixed.Micros(whole), n, of)), want)
		for _, got := range []fixed.Micros{settle.Part(fixed.Micros(-whole), n, of), settle.Part(fixed.Micros(whole), -n, of), settle.Part(fixed.Micros(whole), n, -of)} {
			if got != 0 {
				t.Fatalf("a part of nothing, or of a debt, is %d", got)
			}
		}
	})
}

// Each claim gets the same part, rounded down; together they get no more than is
// there, and all of it but less than a micro for each.
func TestScale(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		dues := rapid.SliceOfN(rapid.Int64Range(-1<<40, 1<<46), 1, 50).Draw(t, "dues")
		claims, there := int64(0), micros(t, "there")
		for _, due := range dues {
			claims += max(due, 0)
		}
		paid, payees := int64(0), int64(0)
		for _, due := range dues {
			got := int64(settle.Scale(fixed.Micros(due), fixed.Micros(there), fixed.Micros(claims)))
			want := number(max(due, 0))
			if due > 0 && there < claims {
				want = floored(number(due), number(there), number(claims))
			}
			equals(t, "the claim", got, want)
			paid += got
			payees += min(max(due, 0), 1)
		}
		if whole := min(there, claims); paid > whole || payees > 0 && paid <= whole-payees {
			t.Fatalf("%d claims got %d of %d", payees, paid, whole)
		}
	})
}

func TestLinear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		within := rapid.OneOf(rapid.Int64Range(-5, 5), rapid.Int64Range(-1<<53, 1<<53))
		low, value := within.Draw(t, "low"), within.Draw(t, "value")
		high := rapid.OneOf(rapid.Int64Range(low+1, low+10), rapid.Int64Range(low+1, 1<<53+1)).Draw(t, "high")
		clamped := number(min(max(value, low), high))
		want := floored(clamped.Sub(clamped, number(low)), million, new(big.Int).Sub(number(high), number(low)))
		equals(t, "a share", int64(settle.Linear(value, low, high)), want)
	})
}

// What is normalised sums to one: every price is rounded down, and the largest
// remainders are served first.
func TestNormalise(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.OneOf(rapid.Int64Range(-1, 1), rapid.Int64Range(0, 5), rapid.Int64Range(0, fixed.One))
		drawn := rapid.SliceOfN(price, 1, 64).Draw(t, "prices")
		if rapid.Bool().Draw(t, "flat") {
			drawn = slices.Repeat(drawn[:1], len(drawn))
		}
		prices, weights, total := make([]fixed.Price, len(drawn)), make([]*big.Int, len(drawn)), new(big.Int)
		for i, p := range drawn {
			prices[i], weights[i] = fixed.Price(p), number(max(p, 0))
			total.Add(total, weights[i])
		}
		if total.Sign() == 0 {
			for i := range weights {
				weights[i] = big.NewInt(1)
			}
			total = number(int64(len(weights)))
		}
		want, order, rests, left := make([]int64, len(drawn)), make([]int, len(drawn)), make([]*big.Int, len(drawn)), int64(fixed.One)
		for i, w := range weights {
			q, r := new(big.Int).QuoRem(new(big.Int).Mul(w, million), total, new(big.Int))
			want[i], rests[i], order[i] = q.Int64(), r, i
			left -= want[i]
		}
		slices.SortStableFunc(order, func(a, b int) int { return rests[b].Cmp(rests[a]) })
		for _, i := range order[:left] {
			want[i]++
		}
		sum := fixed.Price(0)
		for i, got := range settle.Normalise(prices) {
			if int64(got) != want[i] {
				t.Fatalf("price %d of %v is %d, want %d", i, drawn, got, want[i])
			}
			sum += got
		}
		if sum != fixed.One {
			t.Fatalf("the prices sum to %d", sum)
		}
	})
}

// A holder earns its part of each fee, rounded down, and never more than the fees.
func TestAccrued(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		units := micros(t, "units")
		rate, exact, fees := fixed.U128{}, new(big.Int), int64(0)
		for range rapid.IntRange(0, 20).Draw(t, "fees") {
			exist := rapid.Int64Range(max(units, 1), 2*fixed.MaxPool).Draw(t, "exist")
			fee := rapid.OneOf(rapid.Int64Range(0, 20), rapid.Int64Range(0, fixed.MaxPool-fees)).Draw(t, "fee")
			if fee > fixed.MaxPool-fees {
				break
			}
			fees += fee
			grown, _ := fixed.U128{Hi: uint64(fee)}.QuoRem(uint64(exist))
			rate = rate.Add(grown)
			exact.Add(exact, new(big.Int).Quo(new(big.Int).Lsh(number(fee), 64), number(exist)))
		}
		want := exact.Mul(exact, number(units))
		got := settle.Accrued(units, rate)
		equals(t, "what was earned", int64(got), want.Rsh(want, 64))
		if int64(got) > fees {
			t.Fatalf("%d of %d were earned", got, fees)
		}
		if settle.Accrued(-units, rate) != 0 {
			t.Fatal("a debt of units earns")
		}
	})
	defer func() {
		if recover() == nil {
			t.Error("a product of more than 128 bits is no panic")
		}
	}()
	settle.Accrued(2, fixed.U128{Hi: 1 << 63})
}
