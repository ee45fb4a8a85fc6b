package amm_test

import (
	"bufio"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/tests/given"
)

// row is a row of the shared vectors: decimal strings, hp with 60 digits.
type row struct {
	ID      string `json:"id"`
	PoolYes string `json:"pool_yes"`
	PoolNo  string `json:"pool_no"`
	Outcome string `json:"outcome"`
	Amount  string `json:"amount"`
	Shares  string `json:"shares"`
	Target  string `json:"target_prob"`
	HP      struct {
		Amount    string `json:"amount"`
		Shares    string `json:"shares"`
		SaleValue string `json:"sale_value"`
		PoolYes   string `json:"new_pool_yes"`
		PoolNo    string `json:"new_pool_no"`
		ProbAfter string `json:"prob_after"`
	} `json:"hp"`
}

func (r row) pools(t *testing.T) []fixed.Shares {
	return []fixed.Shares{fixed.Shares(whole(t, r.PoolYes)), fixed.Shares(whole(t, r.PoolNo))}
}

func (r row) outcome() int {
	if r.Outcome == "NO" {
		return 1
	}
	return 0
}

func rows(t *testing.T, name string) (all []row) {
	t.Helper()
	f, err := os.Open(given.Vectors(t, filepath.Join("manifold", name)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		var r row
		if err := json.Unmarshal(lines.Bytes(), &r); err != nil {
			t.Fatal(err)
		}
		all = append(all, r)
	}
	if len(all) == 0 {
		t.Fatalf("%s has no rows", name)
	}
	return all
}

// micros reads a decimal of credits in micros.
func micros(t *testing.T, s string) *big.Rat {
	t.Helper()
	v, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no decimal", s)
	}
	return v.Mul(v, big.NewRat(fixed.One, 1))
}

func whole(t *testing.T, s string) int64 {
	t.Helper()
	v := micros(t, s)
	if !v.IsInt() {
		t.Fatalf("%s is not a whole number of micros", s)
	}
	return v.Num().Int64()
}

// within reports low ≤ got − want ≤ high in micros.
func within(got int64, want *big.Rat, low, high int64) bool {
	diff := new(big.Rat).Sub(new(big.Rat).SetInt64(got), want)
	return diff.Cmp(big.NewRat(low, 1)) >= 0 && diff.Cmp(big.NewRat(high, 1)) <= 0
}

func (r row) checkPools(t *testing.T, w *amm.Walk) {
	t.Helper()
	after := w.Pools(nil)
	if !within(int64(after[0]), micros(t, r.HP.PoolYes), 0, 1) || !within(int64(after[1]), micros(t, r.HP.PoolNo), 0, 1) {
		t.Errorf("%s: pools %v, want %s %s", r.ID, after, r.HP.PoolYes, r.HP.PoolNo)
	}
	if p := amm.Prices(after, nil)[0]; !within(int64(p), micros(t, r.HP.ProbAfter), -1, 1) {
		t.Errorf("%s: price after %d, want %s", r.ID, p, r.HP.ProbAfter)
	}
}

// Purchases agree with the 60-digit reference to one micro, rounded against the
// buyer; the pools, too, rounded for the pool.
func TestVectorsBuy(t *testing.T) {
	all := rows(t, "manifold_bet_p05.jsonl")
	for _, r := range all {
		var w amm.Walk
		w.Begin(r.pools(t), r.outcome(), false)
		w.Spend(fixed.FromMicros(whole(t, r.Amount)), fixed.One-1)
		sets, shares := w.Totals()
		if int64(sets) != whole(t, r.Amount) || !within(int64(shares), micros(t, r.HP.Shares), -1, 0) {
			t.Errorf("%s: %d shares for %d, want %s", r.ID, shares, sets, r.HP.Shares)
		}
		r.checkPools(t, &w)
	}
	t.Logf("%d rows agree", len(all))
}

// Sales agree to one micro, rounded against the seller.
func TestVectorsSell(t *testing.T) {
	all := rows(t, "manifold_sell.jsonl")
	for _, r := range all {
		var w amm.Walk
		w.Begin(r.pools(t), r.outcome(), true)
		w.Give(fixed.FromMicros(whole(t, r.Shares)), 1)
		sets, shares := w.Totals()
		if int64(shares) != whole(t, r.Shares) || !within(int64(sets), micros(t, r.HP.SaleValue), -1, 0) {
			t.Errorf("%s: %d for %d shares, want %s", r.ID, sets, shares, r.HP.SaleValue)
		}
		r.checkPools(t, &w)
	}
	t.Logf("%d rows agree", len(all))
}

// The amount that moves the price to a target, never past it, agrees to a micro.
func TestVectorsAmountToPrice(t *testing.T) {
	all := rows(t, "manifold_amount_to_prob.jsonl")
	for _, r := range all {
		target := fixed.Price(whole(t, r.Target))
		if r.outcome() == 1 {
			target = fixed.One - target
		}
		var w amm.Walk
		w.Begin(r.pools(t), r.outcome(), false)
		_, _, stopped := w.Spend(fixed.FromMicros(fixed.MaxPool), target)
		sets, _ := w.Totals()
		if !stopped || !within(int64(sets), micros(t, r.HP.Amount), 0, 1) {
			t.Errorf("%s: %d to reach %s, want %s", r.ID, sets, r.Target, r.HP.Amount)
		}
	}
	t.Logf("%d rows agree", len(all))
}

// Real trades: the shares that real pools of equal weights gave. The pools are
// derived in double precision, so ten micros are allowed.
func TestRealTrades(t *testing.T) {
	run, unequal := 0, 0
	given.Rows(t, given.RealData(t, "amm_vectors.csv.gz"), func(get func(string) string) {
		field := func(name string) *big.Rat { return micros(t, get(name)) }
		if weight := field("p"); weight.Sub(weight, big.NewRat(fixed.One/2, 1)).Abs(weight).Cmp(big.NewRat(1, 1)) > 0 {
			unequal++ // 1e-6
			return
		}
		run++
		round := func(v *big.Rat) int64 {
			half := new(big.Rat).Add(v, big.NewRat(1, 2))
			return new(big.Int).Div(half.Num(), half.Denom()).Int64()
		}
		outcome := row{Outcome: get("outcome")}.outcome()
		pools := []fixed.Shares{fixed.Shares(round(field("pool_yes_before"))), fixed.Shares(round(field("pool_no_before")))}
		amount, want := round(field("net_amount")), field("shares_out")
		var w amm.Walk
		w.Begin(pools, outcome, amount < 0)
		if amount < 0 {
			t.Fatalf("%s sells", get("trade_id"))
		}
		w.Spend(fixed.FromMicros(amount), fixed.One-1)
		if _, shares := w.Totals(); !within(int64(shares), want, -10, 10) {
			t.Errorf("%s: %d shares, really %s", get("trade_id"), shares, want.FloatString(3))
		}
	})
	t.Logf("%d rows agree, %d have unequal weights", run, unequal)
	if run == 0 {
		t.Error("no row ran")
	}
}
