package core

import (
	"bufio"
	"encoding/json"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/tests/given"
)

// vector is a row of the shared vectors: decimal strings, hp with 60 digits.
type vector struct {
	ID       string            `json:"id"`
	PoolYes  string            `json:"pool_yes"`
	PoolNo   string            `json:"pool_no"`
	Outcome  engine.Outcome    `json:"outcome"`
	Amount   string            `json:"amount"`
	Shares   string            `json:"shares"`
	Target   string            `json:"target_prob"`
	Limit    *string           `json:"limit_prob"`
	Now      int64             `json:"now"` // ms
	Orders   []maker           `json:"orders"`
	Balances map[string]string `json:"balances"`
	HP       figures           `json:"hp"`
	Result   figures           `json:"result"`
	Clamped  *struct {
		Amount string `json:"amount"`
		Shares string `json:"shares"`
		Filled bool   `json:"is_filled"`
	} `json:"clamped"`

	// Of sales into the book, which have no hp.
	SaleValue string  `json:"sale_value"`
	NewYes    string  `json:"new_pool_yes"`
	NewNo     string  `json:"new_pool_no"`
	ProbAfter string  `json:"prob_after"`
	Fills     []piece `json:"fills"`
}

type maker struct {
	ID      string         `json:"id"`
	User    string         `json:"user"`
	Outcome engine.Outcome `json:"outcome"`
	Limit   string         `json:"limit_prob"`
	Amount  string         `json:"order_amount"`
	Filled  string         `json:"filled_amount"`
	Created int64          `json:"created_time"`
	Expires *int64         `json:"expires_at"`
}

type figures struct {
	Amount    string  `json:"amount"`
	Filled    string  `json:"amount_filled"`
	Shares    string  `json:"shares"`
	SaleValue string  `json:"sale_value"`
	PoolYes   string  `json:"new_pool_yes"`
	PoolNo    string  `json:"new_pool_no"`
	ProbAfter string  `json:"prob_after"`
	Fills     []piece `json:"fills"`
}

type piece struct {
	Order  *string `json:"order"`
	Amount string  `json:"amount"`
	Shares string  `json:"shares"`
}

func vectors(t *testing.T, name string) []vector {
	t.Helper()
	f, err := os.Open(given.Vectors(t, filepath.Join("manifold", name)))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var rows []vector
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var v vector
		if err := json.Unmarshal(lines.Bytes(), &v); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, v)
	}
	if lines.Err() != nil || len(rows) == 0 {
		t.Fatalf("%d rows, %v", len(rows), lines.Err())
	}
	return rows
}

// No file of the folder is left unread.
func TestVectorsAreAllRead(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(given.Vectors(t, "manifold"), "*"))
	if err != nil {
		t.Fatal(err)
	}
	read := []string{"amount_to_prob", "bet_p05", "book", "book_balances", "sell", "sell_book"}
	for _, f := range files {
		name := filepath.Base(f)
		if !slices.ContainsFunc(read, func(r string) bool { return name == "manifold_"+r+".jsonl" }) {
			t.Errorf("no test reads %s", name)
		}
	}
	if len(files) != len(read) {
		t.Errorf("%d files, %d are read", len(files), len(read))
	}
}

func rat(t *testing.T, s string) *big.Rat {
	t.Helper()
	r, ok := new(big.Rat).SetString(s)
	if !ok {
		t.Fatalf("%q is no decimal", s)
	}
	return r
}

// micros reads a decimal in millionths.
func micros(t *testing.T, s string) *big.Rat {
	t.Helper()
	return new(big.Rat).Mul(rat(t, s), big.NewRat(engine.One, 1))
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

// nearest rounds half up.
func nearest(r *big.Rat) int64 {
	r = new(big.Rat).Add(r, big.NewRat(1, 2))
	q := new(big.Int)
	q.Div(r.Num(), r.Denom())
	return q.Int64()
}

// within reports low ≤ got − want ≤ high, in micros.
func within(got int64, want *big.Rat, low, high int64) bool {
	diff := new(big.Rat).Sub(new(big.Rat).SetInt64(got), want)
	return diff.Cmp(big.NewRat(low, 1)) >= 0 && diff.Cmp(big.NewRat(high, 1)) <= 0
}

// near is within some micros, or a part of the value where there is no better
// reference than double precision.
func near(got int64, want *big.Rat, most, part int64) bool {
	slack := big.NewRat(most, 1)
	if part != 0 {
		s := new(big.Rat).Mul(want, big.NewRat(1, part))
		if s.Abs(s); s.Cmp(slack) > 0 {
			slack = s
		}
	}
	diff := new(big.Rat).Sub(new(big.Rat).SetInt64(got), want)
	return diff.Abs(diff).Cmp(slack) <= 0
}

// wide is a template whose bounds are as far apart as a template's may be.
func wide() engine.Template {
	t := engine.DefaultTemplate()
	t.MinLiquidity, t.MinPrice, t.MaxPrice, t.MaxOrder = one, 100, engine.One-100, engine.MaxAmount/4
	return t
}

// desk is a world with a market whose pools are those of a row; account 1 made
// it and account 2 trades.
func desk(t *testing.T, v vector, tmpl engine.Template) *world {
	t.Helper()
	w := newWorld(t, calm(), tmpl)
	w.rich(2, 400_000_000*one)
	w.pools(1, engine.Shares(exact(t, v.PoolYes)), engine.Shares(exact(t, v.PoolNo)))
	return w
}

// beyond reports whether a row ends outside the widest bounds of a template.
func (v vector) beyond(t *testing.T) bool {
	t.Helper()
	p := rat(t, v.HP.ProbAfter)
	return p.Cmp(big.NewRat(9999, 10000)) > 0 || p.Cmp(big.NewRat(1, 10000)) < 0
}

func (w *world) poolsAre(t *testing.T, id, yes, no string, low, high int64) {
	t.Helper()
	p := w.s.f.Markets[0].Balance.Pools()
	if !within(int64(p[0]), micros(t, yes), low, high) || !within(int64(p[1]), micros(t, no), low, high) {
		t.Errorf("%s: pools %d %d, want %s %s", id, p[0], p[1], yes, no)
	}
}

// whole gives an order, all or nothing. It is nil if the order ends beyond the
// prices of the template.
func (v vector) whole(t *testing.T, w *world, x *engine.PlaceOrder) *engine.OrderFilled {
	t.Helper()
	x.TIF = engine.FOK
	d := w.do("t", x)
	if d.Filled() == nil && !v.beyond(t) {
		t.Errorf("%s: %s", v.ID, d.Code)
	}
	return d.Filled()
}

// Purchases agree with the 60-digit reference to one micro, rounded against the
// buyer; the pools, too, rounded for the pool.
func TestVectorsBuy(t *testing.T) {
	run, bounded := 0, 0
	for _, v := range vectors(t, "manifold_bet_p05.jsonl") {
		w := desk(t, v, wide())
		x := buy(2, 1, v.Outcome, engine.Micros(exact(t, v.Amount)))
		f := v.whole(t, w, x)
		if f == nil {
			bounded++
			continue
		}
		run++
		if !within(int64(f.Shares), micros(t, v.HP.Shares), -1, 0) {
			t.Errorf("%s: %d shares, want %s", v.ID, f.Shares, v.HP.Shares)
		}
		w.poolsAre(t, v.ID, v.HP.PoolYes, v.HP.PoolNo, 0, 1)
		after := f.PriceAfter
		if v.Outcome == engine.No {
			after = engine.One - after
		}
		if !within(int64(after), micros(t, v.HP.ProbAfter), -1, 1) {
			t.Errorf("%s: price after %d, want %s", v.ID, after, v.HP.ProbAfter)
		}
	}
	t.Logf("%d rows agree, %d end beyond 0.01 %%..99.99 %% and were refused for it", run, bounded)
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
		f := desk(t, v, tmpl).do("t", buy(2, 1, v.Outcome, engine.Micros(exact(t, v.Amount)))).Filled()
		if f == nil {
			f = &engine.OrderFilled{}
		}
		if run++; !v.Clamped.Filled {
			stopped++
		}
		if !near(int64(f.Amount), micros(t, v.Clamped.Amount), 1, 1e9) || !near(int64(f.Shares), micros(t, v.Clamped.Shares), 1, 1e9) {
			t.Errorf("%s: %d for %d, want %s for %s", v.ID, f.Shares, f.Amount, v.Clamped.Shares, v.Clamped.Amount)
		}
	}
	t.Logf("%d rows agree, %d of them stop at a bound", run, stopped)
}

// Sales agree with the reference to one micro, rounded against the seller.
func TestVectorsSell(t *testing.T) {
	run, bounded := 0, 0
	for _, v := range vectors(t, "manifold_sell.jsonl") {
		w := desk(t, v, wide())
		q := exact(t, v.Shares)
		w.ok("t", &engine.SplitSets{Account: 2, Market: 1, Amount: engine.Micros(q)}) // sets beside the pool
		x := sell(2, 1, v.Outcome, engine.Shares(q))
		f := v.whole(t, w, x)
		if f == nil {
			bounded++
			continue
		}
		run++
		if !within(int64(f.Amount), micros(t, v.HP.SaleValue), -1, 0) {
			t.Errorf("%s: got %d, want %s", v.ID, f.Amount, v.HP.SaleValue)
		}
		w.poolsAre(t, v.ID, v.HP.PoolYes, v.HP.PoolNo, 0, 1)
	}
	t.Logf("%d rows agree, %d end beyond 0.01 %%..99.99 %% and were refused for it", run, bounded)
}

// An order with a limit and more credits than it can use spends what moves the
// price to the limit.
func TestVectorsAmountToProbability(t *testing.T) {
	run, bounded := 0, 0
	for _, v := range vectors(t, "manifold_amount_to_prob.jsonl") {
		w := desk(t, v, wide())
		x := buy(2, 1, v.Outcome, 300_000_000*one)
		x.Limit = v.price(t, v.Target)
		if x.Limit < 100 || x.Limit > engine.One-100 {
			bounded++
			continue
		}
		f := w.ok("t", x).Filled()
		if !within(int64(f.Amount), micros(t, v.HP.Amount), -1, 1) {
			t.Errorf("%s: spent %d, want %s", v.ID, f.Amount, v.HP.Amount)
		}
		run++
	}
	t.Logf("%d rows agree, %d aim beyond 0.01 %%..99.99 %%", run, bounded)
}

// price is a probability of YES as a price of the row's outcome.
func (v vector) price(t *testing.T, prob string) engine.Price {
	t.Helper()
	p := engine.Price(exact(t, prob))
	if v.Outcome == engine.No {
		return engine.One - p
	}
	return p
}
