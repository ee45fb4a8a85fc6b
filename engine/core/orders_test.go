package core

import (
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine"
)

// Many small orders of odd sizes at few prices, so that most trades meet several
// of them and leave parts: what is reserved stays what is needed to the micro,
// and every rounding finds its way into the market's dust.
func TestDenseBooks(t *testing.T) {
	met := int64(0)
	rapid.Check(t, func(rt *rapid.T) {
		d := rapidDice{rt}
		tmpl := templates()[d.pick(4)]
		tmpl.Collar, tmpl.Guard, tmpl.Risk = 0, engine.GuardRule{}, engine.RiskRule{}
		policy := calm()
		policy.MaxFills = 1 + int64(d.pick(8))
		w := newWorld(rt, policy, tmpl)
		w.watch = newWatch()
		w.rich(4, 50_000*one)
		m := w.s.f.Market(w.open(engine.OpenMarket{Liquidity: 10 * one}))
		for a := engine.AccountID(1); a <= 4; a++ {
			w.ok("t", &engine.SplitSets{Account: a, Market: 1, Amount: 1000 * one})
		}
		for range 20 + d.pick(100) {
			o := m.Kind.Of(d.pick(m.Outcomes()))
			view, _ := w.s.Market(1, w.now)
			x := rest(engine.AccountID(1+d.pick(4)), 1, o, among(d, engine.Buy, engine.Sell), engine.Shares(1+d.pick(3_000_000)), 0)
			x.Limit = min(max(view.PriceOf(o)+engine.Price(d.pick(13)-6)*3_333, tmpl.MinPrice, engine.One-tmpl.MaxPrice), tmpl.MaxPrice, engine.One-tmpl.MinPrice)
			x.SelfTrade = engine.SelfTrade(d.pick(3))
			if d.pick(3) == 0 && x.Side == engine.Buy {
				x.Amount, x.Shares = engine.Micros(x.Shares), 0
			}
			if f := w.do("t", x).Filled(); f != nil {
				met += count(f.Fills)
			}
		}
		if err := w.refold(); err != nil {
			rt.Fatal(err)
		}
	})
	t.Logf("%d fills with resting orders", met)
	if met == 0 {
		t.Error("no order met another")
	}
}

// A taker walks along the pool and into an order of which a part is gone: the
// pool rounds its way, the maker's reserve another, and the market's dust never
// falls below zero.
func TestPartsOfOrders(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.watch = newWatch()
	w.rich(3, 100_000*one)
	m := w.open(engine.OpenMarket{})
	r := rand.New(rand.NewPCG(5, 5))
	for a := engine.AccountID(1); a <= 3; a++ {
		w.ok("t", &engine.SplitSets{Account: a, Market: m, Amount: 10_000 * one})
	}
	odd := func() engine.Shares { return engine.Shares(1 + r.IntN(2_000_000)) }
	most, rounds := engine.Micros(0), 1500
	if testing.Short() { // the whole state is hashed before and after each decision
		rounds = 300
	}
	for range rounds {
		side, back := engine.Sell, engine.Buy // of the maker
		price := engine.Price(480_000 + r.IntN(40_000))
		if r.IntN(2) == 0 {
			side, back = back, side
		}
		maker := rest(2, m, engine.Outcome(r.IntN(2)), side, odd(), price)
		w.do("t", maker)
		for range 3 { // there, back and there
			for _, x := range []engine.Side{back, side} {
				taker := rest(3, m, maker.Outcome, x, odd(), price)
				taker.TIF = engine.IOC
				if d := w.do("t", taker); d.Code != engine.OK && d.Code != engine.PriceLimit && d.Code != engine.TooSmall {
					t.Fatal(d.Code, d.Detail)
				}
			}
		}
		w.do("t", &engine.CancelAll{Account: 2})
		most = max(most, w.s.f.Market(m).Balance.Rounding())
	}
	t.Logf("%d micros of dust", most)
	if most == 0 {
		t.Error("no dust at all")
	}
}

// A quote for a later time does not count on orders that will have expired.
func TestQuoteLooksAhead(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.rich(3, 1000*one)
	m := w.open(engine.OpenMarket{Liquidity: 100 * one})
	w.ok("t", &engine.SplitSets{Account: 2, Market: m, Amount: 100 * one})
	x := rest(2, m, engine.Yes, engine.Sell, 50*engine.One, 510_000)
	x.TIF, x.Expires = engine.GTD, w.now+10*sec
	w.ok("t", x)
	taker := buy(3, m, engine.Yes, 20*one)
	for _, c := range []struct {
		wait engine.Time
		meet int64
	}{{0, 1}, {10*sec - 1, 1}, {10 * sec, 0}} {
		f, _, code, _ := w.s.Quote(taker, w.now+c.wait)
		if code != engine.OK || count(f.Fills) != c.meet {
			t.Errorf("after %d µs: %s, %+v", c.wait, code, f)
		}
	}
	w.now += 10 * sec
	quoted, _, _, _ := w.s.Quote(taker, w.now)
	if f := w.ok("t", taker).Filled(); f.Shares != quoted.Shares || len(f.Fills) != 0 {
		t.Errorf("quoted %+v, then %+v", quoted, f)
	}
}

// An order is amended out of what it has reserved itself, and keeps its place for
// a smaller size alone.
func TestAmendments(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.rich(2, 100_000*one)
	poor := w.rich(1, 40*one)[0]
	m := w.open(engine.OpenMarket{})
	first := rested(w.ok("t", rest(poor, m, engine.Yes, engine.Buy, 100*engine.One, 400_000)))
	second := rested(w.ok("t", rest(2, m, engine.Yes, engine.Buy, 100*engine.One, 400_000)))
	if got := w.s.f.Ledger.Available(uint32(poor)); got != 0 {
		t.Fatalf("%d are available", got)
	}
	amend := func(q engine.Shares, limit engine.Price) *engine.Decision {
		return w.do("t", &engine.AmendOrder{Account: poor, Order: first, Shares: q, Limit: limit})
	}
	if d := amend(101*engine.One, 0); d.Code != engine.InsufficientFunds {
		t.Errorf("larger than its means: %s", d.Code)
	}
	if d := amend(100*engine.One, 0); d.Code != engine.InvalidCommand {
		t.Errorf("the same: %s", d.Code)
	}
	if d := amend(99*engine.One, 0); d.Code != engine.OK {
		t.Errorf("smaller: %s", d.Code)
	}
	w.ok("t", &engine.SplitSets{Account: 1, Market: m, Amount: 500 * one})
	f := w.ok("t", sellTo(1, m, 450*engine.One, 400_000)).Filled()
	if n := count(f.Fills); n == 0 || firstMaker(f) != first {
		t.Errorf("the smaller order lost its place to %s: %+v", second, f.Fills)
	}
	third := rested(w.ok("t", rest(poor, m, engine.Yes, engine.Buy, 10*engine.One, 40_000)))
	d := w.ok("t", &engine.AmendOrder{Account: poor, Order: third, Shares: 8 * engine.One, Limit: 50_000})
	if again := rested(d); again == third || again == 0 {
		t.Errorf("another limit is another order: %+v", d.Events)
	}
	if _, there := w.s.Order(third); there {
		t.Error("the old order still waits")
	}
}

func rested(d *engine.Decision) engine.OrderID {
	for _, e := range d.Events {
		if x, is := e.(*engine.OrderRested); is {
			return x.Order
		}
	}
	return 0
}

func firstMaker(f *engine.OrderFilled) engine.OrderID {
	for _, x := range f.Fills {
		if x.Maker != 0 {
			return x.Maker
		}
	}
	return 0
}

func sellTo(a engine.AccountID, m engine.MarketID, q engine.Shares, limit engine.Price) *engine.PlaceOrder {
	x := sell(a, m, engine.Yes, q)
	x.Limit = limit
	return x
}

// A market has a rate of its own, for all accounts together.
func TestMarketRate(t *testing.T) {
	tmpl := engine.DefaultTemplate()
	tmpl.Risk.OrderInterval, tmpl.Risk.OrderBurst = int64(sec), 5
	w := newWorld(t, calm(), tmpl)
	w.rich(8, 2000*one)
	m := w.open(engine.OpenMarket{})
	codes := map[engine.Code]int{}
	for a := engine.AccountID(1); a <= 8; a++ {
		codes[w.do("t", buy(a, m, engine.Yes, one)).Code]++
	}
	if codes[engine.OK] != 5 || codes[engine.RateLimited] != 3 {
		t.Errorf("%v", codes)
	}
	w.now += sec
	if d := w.do("t", buy(1, m, engine.Yes, one)); d.Code != engine.OK {
		t.Errorf("after an interval: %s", d.Code)
	}
}

// The items of a batch are decided one after the other, each with its own result
// and order id; what one is refused for does not undo another.
func TestBatch(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.rich(2, 1000*one)
	m := w.open(engine.OpenMarket{})
	d := w.ok("t", &engine.Batch{Items: []engine.Command{
		rest(2, m, engine.Yes, engine.Buy, engine.One, 300_000),
		sell(2, m, engine.Yes, engine.One), // has none yet
		buy(2, m, engine.Yes, one),
		sell(2, m, engine.Yes, engine.One),
		&engine.CancelOrder{Account: 2, Order: engine.OrderOf(w.s.Seq()+1, 0)}, // the first item
		&engine.CancelAll{Account: 2},                                          // nothing waits
	}})
	want := []engine.Code{engine.OK, engine.InsufficientShares, engine.OK, engine.OK, engine.OK, engine.OK}
	events := 0
	for i, r := range d.Results {
		if r.Code != want[i] {
			t.Errorf("item %d: %s %s, want %s", i, r.Code, r.Detail, want[i])
		}
		events += int(r.Events)
	}
	if len(d.Results) != len(want) || events != len(d.Events) {
		t.Errorf("%d results, %d of %d events", len(d.Results), events, len(d.Events))
	}
	if id := d.Events[1].(*engine.OrderFilled).Order; id != engine.OrderOf(d.Seq, 2) {
		t.Errorf("the third item placed %s", id)
	}
	if err := w.refold(); err != nil {
		t.Error(err)
	}
}
