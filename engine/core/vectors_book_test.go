package core

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/tests/given"
)

// clamped is the template with the bounds of the book's rows, 1 %..99 %.
func clamped() engine.Template {
	t := wide()
	t.MinPrice, t.MaxPrice = 10_000, 990_000
	return t
}

// left is what a maker's order still wants to spend, exactly.
func (m maker) left(t *testing.T) *big.Rat {
	t.Helper()
	return new(big.Rat).Sub(micros(t, m.Amount), micros(t, m.Filled))
}

// place puts a row's orders into the book, as they stand there and not as they
// would have come: a row may hold orders that cross. Their sizes are credits;
// ours are shares, rounded so that the sum along price and time is never more
// than half a micro off. It returns the orders' names.
func (v vector) place(t *testing.T, w *world) map[engine.OrderID]string {
	t.Helper()
	names, users := map[engine.OrderID]string{}, map[string]engine.AccountID{}
	var sizes map[string]int64
	sizes, orders := v.sizes(t), slices.Clone(v.Orders)
	slices.SortStableFunc(orders, func(a, b maker) int { return int(a.Created - b.Created) })
	for _, o := range orders {
		if users[o.User] == 0 {
			users[o.User] = w.rich(1, 50_000_000*one)[0]
		}
		if sizes[o.ID] < 1 {
			continue
		}
		limit := engine.Price(exact(t, o.Limit))
		if o.Outcome == engine.No {
			limit = engine.One - limit
		}
		id := engine.OrderOf(w.s.f.Seq+1, 0)
		x := rest(users[o.User], 1, o.Outcome, engine.Buy, engine.Shares(sizes[o.ID]), limit)
		if o.Expires != nil {
			x.TIF, x.Expires = engine.GTD, testStart+engine.Time(*o.Expires-v.Now)*1000
		}
		w.fold(x, &engine.OrderRested{
			Order: id, Account: x.Account, Market: 1, Outcome: x.Outcome, Side: x.Side, TIF: x.TIF, Limit: x.Limit, Shares: x.Shares, Expires: x.Expires,
		})
		names[id] = o.ID
	}
	return names
}

// side returns the orders of one outcome that take part, the best for a taker first.
func (v vector) side(t *testing.T, side engine.Outcome) []maker {
	t.Helper()
	var out []maker
	for _, o := range v.Orders {
		if o.Outcome == side && (o.Expires == nil || *o.Expires > v.Now) {
			out = append(out, o)
		}
	}
	slices.SortStableFunc(out, func(a, b maker) int {
		if c := b.price(t).Cmp(a.price(t)); c != 0 {
			return c
		}
		return int(a.Created - b.Created)
	})
	return out
}

// price is the limit, of the order's own outcome.
func (m maker) price(t *testing.T) *big.Rat {
	t.Helper()
	p := rat(t, m.Limit)
	if m.Outcome == engine.No {
		p.Sub(big.NewRat(1, 1), p)
	}
	return p
}

// size is what a maker's order is for, exactly: micros of shares.
func (m maker) size(t *testing.T) *big.Rat {
	t.Helper()
	return new(big.Rat).Quo(m.left(t), m.price(t))
}

// sizes are the makers' orders in whole micros of shares.
func (v vector) sizes(t *testing.T) map[string]int64 {
	t.Helper()
	out := map[string]int64{}
	for _, side := range []engine.Outcome{engine.Yes, engine.No} {
		sum, placed := new(big.Rat), int64(0)
		for _, o := range v.side(t, side) {
			sum.Add(sum, o.size(t))
			out[o.ID] = nearest(sum) - placed
			placed = nearest(sum)
		}
	}
	return out
}

// unfunded reports whether a row hinges on a maker whose balance ran out: one
// with an order that the walk came by and did not fill, though the taker had
// more to spend.
func (v vector) unfunded(t *testing.T) bool {
	t.Helper()
	funds, filled := map[string]*big.Rat{}, map[string]*big.Rat{}
	for u, b := range v.Balances {
		funds[u] = rat(t, b)
	}
	users := map[string]string{}
	for _, o := range v.Orders {
		users[o.ID], filled[o.ID] = o.User, new(big.Rat)
	}
	for _, f := range v.HP.Fills {
		if f.Order == nil {
			continue
		}
		filled[*f.Order].Add(filled[*f.Order], rat(t, f.Shares))
		if left := funds[users[*f.Order]]; left != nil { // a pair costs one credit for a share
			left.Sub(left, new(big.Rat).Sub(rat(t, f.Shares), rat(t, f.Amount)))
		}
	}
	dust := big.NewRat(1, 1_000_000_000)
	after := rat(t, v.HP.ProbAfter)
	for _, o := range v.Orders {
		left := funds[o.User]
		if left == nil || left.Cmp(dust) > 0 || o.Outcome == v.Outcome || o.Expires != nil && *o.Expires <= v.Now {
			continue
		}
		limit := rat(t, o.Limit)
		beyond, pays := limit.Cmp(after) > 0, new(big.Rat).Sub(big.NewRat(1, 1), limit)
		if v.Outcome == engine.No {
			beyond, pays = limit.Cmp(after) < 0, limit
		}
		size := new(big.Rat).Quo(o.left(t), pays)
		rest := size.Sub(size, times(filled[o.ID], big.NewRat(engine.One, 1)))
		if !beyond && rest.Cmp(big.NewRat(1, 1000)) > 0 {
			return true
		}
	}
	return false
}

// fillsAre compares the sequence of fills, and their sizes as far as double
// precision goes.
func fillsAre(t *testing.T, id string, f *engine.OrderFilled, names map[engine.OrderID]string, want []piece) {
	t.Helper()
	got := f.Fills
	if len(got) == 0 && f.Shares > 0 {
		got = []engine.Fill{{Shares: f.Shares, Amount: f.Amount}}
	}
	if len(got) != len(want) {
		t.Errorf("%s: %d fills, want %d: %+v %+v", id, len(got), len(want), got, want)
		return
	}
	for i, p := range want {
		name := ""
		if p.Order != nil {
			name = *p.Order
		}
		if names[got[i].Maker] != name {
			t.Errorf("%s: fill %d is with %q, want %q", id, i, names[got[i].Maker], name)
		}
		a, q := micros(t, p.Amount), micros(t, p.Shares)
		if !near(int64(got[i].Amount), a.Abs(a), 1, 1e9) || !near(int64(got[i].Shares), q.Abs(q), 1, 1e9) {
			t.Errorf("%s: fill %d is %d shares for %d, want %s for %s", id, i, got[i].Shares, got[i].Amount, p.Shares, p.Amount)
		}
	}
}

// offset is how far off the results are at worst, in micros.
type offset struct{ low, high float64 }

func (o *offset) see(t *testing.T, what string, got int64, want *big.Float) {
	t.Helper()
	diff := off(got, want)
	if o.low, o.high = min(o.low, diff), max(o.high, diff); diff < -1 || diff > 1 {
		t.Errorf("%s: %d, want %s", what, got, want.Text('f', 6))
	}
}

// compare holds every number of a purchase to one micro of the reference: what
// is spent and bought by the end of each fill, and the pools.
func (o *offset) compare(t *testing.T, v vector, w *world, f *engine.OrderFilled, names map[engine.OrderID]string, want *bought) {
	t.Helper()
	got := f.Fills
	if len(got) == 0 {
		got = []engine.Fill{{Shares: f.Shares, Amount: f.Amount}}
	}
	if len(got) != len(want.steps) {
		t.Errorf("%s: %d fills, want %d: %+v %+v", v.ID, len(got), len(want.steps), got, want.steps)
		return
	}
	shares, amount := int64(0), int64(0)
	for i, s := range want.steps {
		shares, amount = shares+int64(got[i].Shares), amount+int64(got[i].Amount)
		if names[got[i].Maker] != s.maker {
			t.Errorf("%s: fill %d is with %q, want %q", v.ID, i, names[got[i].Maker], s.maker)
		}
		o.see(t, v.ID+" shares", shares, s.shares)
		o.see(t, v.ID+" credits", amount, s.amount)
	}
	if shares != int64(f.Shares) || amount != int64(f.Amount) {
		t.Errorf("%s: fills of %d for %d, in all %d for %d", v.ID, shares, amount, f.Shares, f.Amount)
	}
	p := w.s.f.Markets[0].Balance.Pools()
	o.see(t, v.ID+" own pool", int64(p[v.Outcome]), want.own)
	o.see(t, v.ID+" other pool", int64(p[opposite(v.Outcome)]), want.other)
}

// buyInto runs a row of a purchase against the book and the pool.
func (v vector) buyInto(t *testing.T, off *offset) {
	t.Helper()
	w := desk(t, v, clamped())
	w.bulk = true // a row may start with a book that crosses the pool
	names := v.place(t, w)
	x := buy(2, 1, v.Outcome, engine.Micros(exact(t, v.Amount)))
	if v.Limit != nil {
		x.Limit = v.price(t, *v.Limit)
	}
	quoted, _, code, _ := w.s.Quote(x, w.now)
	sizes := v.sizes(t)
	want := v.reference(t, func(o maker) *big.Rat { return new(big.Rat).SetInt64(sizes[o.ID]) })
	d := w.do("t", x)
	f := d.Filled()
	if f == nil {
		if total := want.total(); total.shares.Cmp(big320(1)) > 0 {
			t.Errorf("%s: %s, want %s shares", v.ID, d.Code, total.shares.Text('f', 6))
		}
		return
	}
	if code != engine.OK || quoted.Amount != f.Amount || quoted.Shares != f.Shares || len(quoted.Fills) != len(f.Fills) {
		t.Errorf("%s: quoted %s %+v, executed %+v", v.ID, code, quoted, f)
	}
	off.compare(t, v, w, f, names, want)
	if err := w.s.f.Ledger.Conserved(); err != nil {
		t.Errorf("%s: %v", v.ID, err)
	}
	if err := w.refold(); err != nil {
		t.Errorf("%s: %v", v.ID, err)
	}
}

// Takers walk pool and book as in Manifold's market: the same fills in the same
// order, every number to one micro. Makers' sizes are credits there, and whole
// micros of shares here; the reference, which gives the rows' 60 digits with
// their own sizes, says what is right with ours.
func TestVectorsBook(t *testing.T) {
	rows := vectors(t, "manifold_book.jsonl")
	fills, off := 0, offset{}
	for _, v := range rows {
		v.reference(t, func(o maker) *big.Rat { return o.size(t) }).agrees(t, v)
		v.buyInto(t, &off)
		fills += len(v.HP.Fills)
	}
	t.Logf("%d rows agree, with %d fills, all numbers %+.2f..%+.2f micros off; none is left out", len(rows), fills, off.low, off.high)
}

// The same with makers whose balances Manifold looks at. Ours have set their
// funds aside, so rows in which a maker runs out of credits cannot arise.
func TestVectorsBookBalances(t *testing.T) {
	run, left, off := 0, []string{}, offset{}
	for _, v := range vectors(t, "manifold_book_balances.jsonl") {
		if v.unfunded(t) {
			left = append(left, v.ID)
			continue
		}
		run++
		v.reference(t, func(o maker) *big.Rat { return o.size(t) }).agrees(t, v)
		v.buyInto(t, &off)
	}
	t.Logf("%d rows agree, all numbers %+.2f..%+.2f micros off; left out because a maker runs out of credits that we would have reserved: %d %v", run, off.low, off.high, len(left), left)
	if run < 20 {
		t.Errorf("only %d rows ran", run)
	}
}

// Books and purchases that nobody chose: the engine is within a micro of the
// reference in every number of every one, from pools of one credit to a hundred million
// and from prices of a hundredth to 99.
func TestBuyingAgreesWithTheReference(t *testing.T) {
	r, off := rand.New(rand.NewPCG(20, 26)), offset{}
	decimal := func(low, high float64) string { // evenly over the orders of magnitude
		m := int64(math.Exp(math.Log(low)+r.Float64()*math.Log(high/low)) * engine.One)
		return fmt.Sprintf("%d.%06d", m/engine.One, m%engine.One)
	}
	for i := range 2_000 {
		pool := decimal(1, 1e8)
		v := vector{ID: strconv.Itoa(i), PoolYes: pool, PoolNo: pool, Outcome: engine.Outcome(i % 2), Amount: decimal(0.001, 1e6)}
		if i%3 == 0 {
			limit := fmt.Sprintf("0.%06d", 10_000+r.IntN(980_000))
			v.Limit = &limit
		}
		for n := range r.IntN(12) {
			v.Orders = append(v.Orders, maker{
				ID: fmt.Sprintf("o%d", n), User: fmt.Sprintf("u%d", n%5), Outcome: engine.Outcome(r.IntN(2)),
				Limit: fmt.Sprintf("0.%06d", 10_000+r.IntN(980_000)), Amount: decimal(0.0001, 1e5), Filled: "0", Created: int64(r.IntN(4)),
			})
		}
		v.buyInto(t, &off)
	}
	t.Logf("all numbers %+.2f..%+.2f micros off", off.low, off.high)
}

// Sales walk the book, too. There is no reference beyond double precision.
func TestVectorsSellBook(t *testing.T) {
	rows := vectors(t, "manifold_sell_book.jsonl")
	fills := 0
	for _, v := range rows {
		w := desk(t, v, clamped())
		w.bulk = true
		q := exact(t, v.Shares)
		w.ok("t", &engine.SplitSets{Account: 2, Market: 1, Amount: engine.Micros(q)})
		names := v.place(t, w)
		d := w.do("t", sell(2, 1, v.Outcome, engine.Shares(q)))
		f := d.Filled()
		if f == nil {
			t.Errorf("%s: %s", v.ID, d.Code)
			continue
		}
		if !near(int64(f.Amount), micros(t, v.SaleValue), 1, 1e9) {
			t.Errorf("%s: %d shares for %d, want %s for %s", v.ID, f.Shares, f.Amount, v.Shares, v.SaleValue)
		}
		p := w.s.f.Markets[0].Balance.Pools()
		if !near(int64(p[0]), micros(t, v.NewYes), 1, 1e9) || !near(int64(p[1]), micros(t, v.NewNo), 1, 1e9) {
			t.Errorf("%s: pools %d %d, want %s %s", v.ID, p[0], p[1], v.NewYes, v.NewNo)
		}
		fillsAre(t, v.ID, f, names, v.Fills)
		fills += len(v.Fills)
	}
	t.Logf("%d rows agree, with %d fills; none is left out", len(rows), fills)
}

// Real executions of a constant-product market, to ten micros: pools and amounts
// are only known to double precision.
func TestVectorsRealExecutions(t *testing.T) {
	run, skewed, worst := 0, 0, 0.0
	given.Rows(t, given.RealData(t, "amm_vectors.csv.gz"), func(get func(string) string) {
		if p, err := strconv.ParseFloat(get("p"), 64); err != nil || p < 0.5-1e-6 || p > 0.5+1e-6 {
			skewed++
			return
		}
		var o engine.Outcome
		if err := o.UnmarshalText([]byte(get("outcome"))); err != nil {
			t.Fatal(err)
		}
		w := newWorld(t, calm(), wide())
		w.rich(2, 400_000_000*one)
		w.pools(1, engine.Shares(nearest(micros(t, get("pool_yes_before")))), engine.Shares(nearest(micros(t, get("pool_no_before")))))
		got := w.ok("t", buy(2, 1, o, engine.Micros(nearest(micros(t, get("net_amount")))))).Filled()
		want := micros(t, get("shares_out"))
		off, _ := new(big.Rat).Sub(new(big.Rat).SetInt64(int64(got.Shares)), want).Float64()
		worst = max(worst, off, -off)
		if !within(int64(got.Shares), want, -10, 10) {
			t.Errorf("%s: %d shares, really %s", get("trade_id"), got.Shares, get("shares_out"))
		}
		run++
	})
	t.Logf("%d rows agree, the worst is %.2f micros off; %d have another exponent than a half and were left out", run, worst, skewed)
	if run == 0 {
		t.Error("no row ran")
	}
}
