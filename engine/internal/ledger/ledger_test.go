package ledger_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// Balanced agrees with exact sums per asset, and refuses sums that wrap.
func TestBalancedIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var ps []ledger.Posting
		for range rapid.IntRange(0, 10).Draw(t, "n") {
			asset := ledger.Asset{Market: rapid.Uint32Range(0, 1).Draw(t, "market"), Outcome: rapid.Uint8Range(0, 1).Draw(t, "outcome")}
			amount := rapid.OneOf(rapid.Int64Range(-3, 3), rapid.Int64()).Draw(t, "amount")
			ps = append(ps, ledger.Posting{Asset: asset, Amount: amount})
			if rapid.Bool().Draw(t, "paired") && amount != -1<<63 {
				ps = append(ps, ledger.Posting{Asset: asset, Amount: -amount})
			}
		}
		sums := map[ledger.Asset]*big.Int{}
		for _, p := range ps {
			if sums[p.Asset] == nil {
				sums[p.Asset] = new(big.Int)
			}
			sums[p.Asset].Add(sums[p.Asset], big.NewInt(p.Amount))
		}
		want := true
		for _, s := range sums {
			want = want && s.Sign() == 0
		}
		if got := ledger.Balanced(ps); got && !want {
			t.Fatalf("%v is called balanced", ps)
		} else if !got && want && !wraps(ps) {
			t.Fatalf("%v is called unbalanced", ps)
		}
	})
}

// wraps says whether a running sum leaves int64.
func wraps(ps []ledger.Posting) bool {
	sums := map[ledger.Asset]*big.Int{}
	for _, p := range ps {
		if sums[p.Asset] == nil {
			sums[p.Asset] = new(big.Int)
		}
		if !sums[p.Asset].Add(sums[p.Asset], big.NewInt(p.Amount)).IsInt64() {
			return true
		}
	}
	return false
}
