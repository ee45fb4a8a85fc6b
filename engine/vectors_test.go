package engine

import (
	"bufio"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"testing"
)

// vector is a row of the shared vectors: decimal strings, hp with 60 digits.
type vector struct {
	ID      string `json:"id"`
	PoolYes string `json:"pool_yes"`
	PoolNo  string `json:"pool_no"`
	Outcome string `json:"outcome"`
	Amount  string `json:"amount"`
	Shares  string `json:"shares"`
	HP      struct {
		Shares    string `json:"shares"`
		SaleValue string `json:"sale_value"`
		PoolYes   string `json:"new_pool_yes"`
		PoolNo    string `json:"new_pool_no"`
		ProbAfter string `json:"prob_after"`
	} `json:"hp"`
	Clamped *struct {
		Amount string `json:"amount"`
		Shares string `json:"shares"`
		Filled bool   `json:"is_filled"`
	} `json:"clamped"`
}

func vectors(t *testing.T, name string) []vector {
	t.Helper()
	dir := os.Getenv("MBP_VECTORS")
	if dir == "" {
		dir = filepath.Join("..", "..", "shared", "vectors")
	}
	f, err := os.Open(filepath.Join(dir, "manifold", name))
	if err != nil {
		t.Skipf("SKIPPED, the vectors are absent (set MBP_VECTORS): %v", err)
	}
	defer f.Close()
	var rows []vector
	for lines := bufio.NewScanner(f); lines.Scan(); {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v)
	}
	return rows
}

// beyond fails unless the row ends outside the bounds of wide.
func (v vector) beyond(t *testing.T, dec *Decision) {
	t.Helper()
	p, ok := new(big.Rat).SetString(v.HP.ProbAfter)
	if !ok || p.Cmp(big.NewRat(9999, 10000)) <= 0 && p.Cmp(big.NewRat(1, 10000)) >= 0 {
		t.Errorf("%s: %s", v.ID, dec.Code)
	}
}

// exact reads a decimal as micros; the input has at most six decimals.
func exact(t *testing.T, s string) int64 {
	t.Helper()
	r := micros(t, s)
	if !r.IsInt() {
		t.Fatalf("%s is not a whole number of micros", s)
	}
	return r.Num().Int64()
}

func micros(t *testing.T, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no decimal", s)
	}
	return r.Mul(r, big.NewRat(One, 1))
}

// within reports low ≤ got − want ≤ high in micros.
func within(got int64, want *big.Rat, low, high int64) bool {
	diff := new(big.Rat).Sub(new(big.Rat).SetInt64(got), want)
	return diff.Cmp(big.NewRat(low, 1)) >= 0 && diff.Cmp(big.NewRat(high, 1)) <= 0
}

// at makes a market with exactly these pools and a trader with plenty, by
// folding a decision that opens it.
func at(t *testing.T, v vector, tmpl Template) (*desk, AccountID) {
	t.Helper()
	d := newDesk(t, tmpl)
	a := d.rich(2, 1_000_000_000*One)
	yes, no := Shares(exact(t, v.PoolYes)), Shares(exact(t, v.PoolNo))
	var dec Decision
	d.s.Decide(Request{At: d.now, Principal: "ops", Command: &OpenMarket{Template: tmpl.Name(), Title: "x", Creator: a[0], Liquidity: Micros(max(yes, no)), Price: 500_000}}, &dec)
	opened := dec.Events[0].(*MarketOpened)
	opened.PoolYes, opened.PoolNo = yes, no
	if err := d.s.Evolve(&dec); err != nil {
		t.Fatal(err)
	}
	return d, a[1]
}

// wide lets every vector through: no row leaves 0.01 %..99.99 %.
func wide() Template {
	tmpl := DefaultTemplate()
	tmpl.MinLiquidity, tmpl.MinPrice, tmpl.MaxPrice, tmpl.MaxOrder = One, 100, One-100, MaxAmount/4
	return tmpl
}

func outcomeOf(t *testing.T, s string) (o Outcome) {
	t.Helper()
	if err := o.UnmarshalText([]byte(s)); err != nil {
		t.Fatal(err)
	}
	return o
}

// Purchases agree with the 60-digit reference to one micro, rounded against the
// buyer; the pools, too, rounded for the pool.
func TestVectorsBuy(t *testing.T) {
	run, bounded := 0, 0
	for _, v := range vectors(t, "manifold_bet_p05.jsonl") {
		d, trader := at(t, v, wide())
		x := &PlaceOrder{Account: trader, Market: 1, Outcome: outcomeOf(t, v.Outcome), Side: Buy, TIF: FOK, Amount: Micros(exact(t, v.Amount))}
		dec := d.give("t", x)
		f := dec.Filled()
		if f == nil {
			v.beyond(t, dec)
			bounded++
			continue
		}
		run++
		if !within(int64(f.Shares), micros(t, v.HP.Shares), -1, 0) {
			t.Errorf("%s: %d shares, want %s", v.ID, f.Shares, v.HP.Shares)
		}
		if !within(int64(f.PoolYes), micros(t, v.HP.PoolYes), 0, 1) || !within(int64(f.PoolNo), micros(t, v.HP.PoolNo), 0, 1) {
			t.Errorf("%s: pools %d %d, want %s %s", v.ID, f.PoolYes, f.PoolNo, v.HP.PoolYes, v.HP.PoolNo)
		}
		after, _ := d.s.markets[0].pool.Prices()
		if !within(int64(after), micros(t, v.HP.ProbAfter), -1, 1) {
			t.Errorf("%s: price after %d, want %s", v.ID, after, v.HP.ProbAfter)
		}
	}
	t.Logf("%d rows agree, %d end beyond 0.01 %%..99.99 %% and were refused for it", run, bounded)
	if run == 0 {
		t.Error("no row ran")
	}
}

// Under bounds of 1 %..99 % an order stops where Manifold's stops. There is no
// reference beyond double precision for these, so 1e-9 of the value is allowed.
func TestVectorsBuyWithinBounds(t *testing.T) {
	tmpl := wide()
	tmpl.MinPrice, tmpl.MaxPrice = 10_000, 990_000
	run, stopped := 0, 0
	for _, v := range vectors(t, "manifold_bet_p05.jsonl") {
		if v.Clamped == nil {
			continue
		}
		d, trader := at(t, v, tmpl)
		f := d.give("t", &PlaceOrder{Account: trader, Market: 1, Outcome: outcomeOf(t, v.Outcome), Side: Buy, TIF: IOC, Amount: Micros(exact(t, v.Amount))}).Filled()
		if f == nil {
			f = &OrderFilled{}
		}
		run++
		if !v.Clamped.Filled {
			stopped++
		}
		for _, c := range []struct {
			got  int64
			want string
		}{{int64(f.Amount), v.Clamped.Amount}, {int64(f.Shares), v.Clamped.Shares}} {
			want := micros(t, c.want)
			slack, _ := new(big.Rat).Mul(want, big.NewRat(1, 1_000_000_000)).Float64()
			if !within(c.got, want, -2-int64(slack), 2+int64(slack)) {
				t.Errorf("%s: %d, want %s", v.ID, c.got, c.want)
			}
		}
	}
	t.Logf("%d rows agree, %d of them stop at a bound", run, stopped)
	if run == 0 {
		t.Error("no row ran")
	}
}

// Sales agree with the reference to one micro, rounded against the seller.
func TestVectorsSell(t *testing.T) {
	run, bounded := 0, 0
	for _, v := range vectors(t, "manifold_sell.jsonl") {
		d, trader := at(t, v, wide())
		o, shares := outcomeOf(t, v.Outcome), Shares(exact(t, v.Shares))
		// The seller's shares come from complete sets that were minted beside the
		// pool: the pool stays what the row says.
		m := d.s.markets[0]
		for side := Yes; side <= No; side++ {
			m.supply[side] += shares
		}
		m.collateral += Micros(shares)
		d.s.issued += Micros(shares)
		for _, side := range []Outcome{Yes, No} {
			if err := d.s.hold(trader, sharesOf(1, side), int64(shares)); err != nil {
				t.Fatal(err)
			}
		}
		dec := d.give("t", &PlaceOrder{Account: trader, Market: 1, Outcome: o, Side: Sell, TIF: FOK, Shares: shares})
		f := dec.Filled()
		if f == nil {
			v.beyond(t, dec)
			bounded++
			continue
		}
		run++
		if !within(int64(f.Amount), micros(t, v.HP.SaleValue), -1, 0) {
			t.Errorf("%s: got %d, want %s", v.ID, f.Amount, v.HP.SaleValue)
		}
		if !within(int64(f.PoolYes), micros(t, v.HP.PoolYes), 0, 1) || !within(int64(f.PoolNo), micros(t, v.HP.PoolNo), 0, 1) {
			t.Errorf("%s: pools %d %d, want %s %s", v.ID, f.PoolYes, f.PoolNo, v.HP.PoolYes, v.HP.PoolNo)
		}
	}
	t.Logf("%d rows agree, %d end beyond 0.01 %%..99.99 %% and were refused for it", run, bounded)
	if run == 0 {
		t.Error("no row ran")
	}
}
