package core

import (
	"reflect"
	"strconv"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// bench is a state with two rich traders and a market of a template, and a step
// that must succeed.
type bench struct {
	tb testing.TB
	s  *State
	d  engine.Decision
	at engine.Time
}

func newBench(tb testing.TB, t engine.Template, open engine.OpenMarket) *bench {
	tb.Helper()
	b := &bench{tb: tb, s: New(), at: 1_700_000_000_000_000}
	p := engine.DefaultPolicy()
	p.OrderInterval, p.OrderBurst, p.MaxOpenOrders, p.MaxFills = 1, 1_000_000, 1000, 1000
	admin := engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}
	b.do(&engine.Initialise{Policy: p, Template: engine.DefaultTemplate(), Admin: admin})
	if t.Name() != engine.DefaultTemplate().Name() {
		b.do(&engine.AddTemplate{Template: t})
	}
	for a := engine.AccountID(1); a <= 2; a++ {
		b.do(&engine.OpenAccount{})
		b.do(&engine.GrantCredits{Account: a, Amount: 1_000_000_000 * engine.One})
	}
	open.Template, open.Title, open.Creator = t.Name(), "Does it rain?", 1
	open.Liquidity = 10_000 * engine.One
	b.do(&open)
	return b
}

func (b *bench) do(c engine.Command) {
	b.at += 1_000
	if err := b.s.Step(engine.Request{At: b.at, Principal: "admin", Command: c}, &b.d); err != nil {
		b.tb.Fatal(err)
	}
	if b.d.Code != engine.OK {
		b.tb.Fatalf("%s: %s %s", c.Type(), b.d.Code, b.d.Detail)
	}
}

// BenchmarkDecideEvolve is one order against the pool of two outcomes, decided
// and folded: a buy and its sale in turn.
func BenchmarkDecideEvolve(b *testing.B) {
	m := newBench(b, engine.DefaultTemplate(), engine.OpenMarket{Price: 500_000})
	buy := &engine.PlaceOrder{Account: 2, Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Shares: engine.One}
	sell := &engine.PlaceOrder{Account: 2, Market: 1, Outcome: engine.Yes, Side: engine.Sell, TIF: engine.IOC, Shares: engine.One}
	for range 30_000 { // fill the ring
		m.do(buy)
		m.do(sell)
	}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if i%2 == 0 {
			m.do(buy)
		} else {
			m.do(sell)
		}
	}
}

// order is a benchmark's order on market 1.
func order(a engine.AccountID, o engine.Outcome, side engine.Side, tif engine.TIF, q engine.Shares, limit engine.Price) *engine.PlaceOrder {
	return &engine.PlaceOrder{Account: a, Market: 1, Outcome: o, Side: side, TIF: tif, Shares: q, Limit: limit}
}

// crowdedBook makes a market with so many resting orders of one account each
// thousand: bids and asks away from the price, and one large pair at the price.
func crowdedBook(tb testing.TB, resting int) *bench {
	tb.Helper()
	b := newBench(tb, engine.DefaultTemplate(), engine.OpenMarket{Price: 500_000})
	for a := engine.AccountID(3); int(a) <= 3+resting/900; a++ {
		b.do(&engine.OpenAccount{})
		b.do(&engine.GrantCredits{Account: a, Amount: 1_000_000 * engine.One})
	}
	for i := range resting {
		a := engine.AccountID(3 + i/900)
		p := engine.Price(20_000 + i*37%400_000) // 0.02..0.42, and mirrored
		o := engine.Yes
		if i%2 == 1 {
			o = engine.No
		}
		b.do(order(a, o, engine.Buy, engine.GTC, engine.One, p))
	}
	b.do(order(1, engine.No, engine.Buy, engine.GTC, 100_000*engine.One, 500_000))
	return b
}

// BenchmarkMatchCore is a fill with a resting order, decided and folded: the
// taker buys what the maker's order mints with it.
func BenchmarkMatchCore(b *testing.B) {
	for _, resting := range []int{100, 1_000, 10_000, 100_000} {
		b.Run("resting="+strconv.Itoa(resting), func(b *testing.B) {
			m := crowdedBook(b, resting)
			buy := order(2, engine.Yes, engine.Buy, engine.IOC, engine.One/100, 500_000)
			for range 1000 {
				m.do(buy)
			}
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				m.do(buy)
			}
		})
	}
}

// BenchmarkSweep is an order that walks through a hundred resting ones, with the
// hundred that take their place: what each costs from entry to fill.
func BenchmarkSweep(b *testing.B) {
	for _, resting := range []int{1_000, 100_000} {
		b.Run("resting="+strconv.Itoa(resting), func(b *testing.B) {
			m := crowdedBook(b, resting)
			m.do(&engine.CancelAll{Account: 1})
			maker := order(1, engine.No, engine.Buy, engine.GTC, engine.One/100, 500_000)
			taker := order(2, engine.Yes, engine.Buy, engine.IOC, engine.One, 500_000)
			b.ReportAllocs()
			b.ResetTimer()
			for range b.N {
				for range 100 {
					m.do(maker)
				}
				m.do(taker)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N*100), "ns/order")
		})
	}
}

// BenchmarkRouteFast is the dry run of an order over pool and book.
func BenchmarkRouteFast(b *testing.B) {
	m := crowdedBook(b, 1_000)
	x := order(2, engine.Yes, engine.Buy, engine.IOC, engine.One, 0)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		if code, _ := m.s.fill(m.at, x, 0, true); code != engine.OK {
			b.Fatal(code)
		}
	}
}

// manyOutcomes is a market of 64 outcomes.
func manyOutcomes(tb testing.TB) *bench {
	t := engine.DefaultTemplate()
	t.ID, t.Kind, t.MinPrice, t.MaxPrice = "many", engine.Categorical, 100, 990_000
	open := engine.OpenMarket{}
	for i := range engine.MaxOutcomes {
		open.Outcomes = append(open.Outcomes, "outcome "+strconv.Itoa(i))
	}
	return newBench(tb, t, open)
}

// BenchmarkLook64 is what a reader needs the state for, BenchmarkMarket64 what it
// works out without.
func BenchmarkLook64(b *testing.B) {
	m := manyOutcomes(b)
	b.ReportAllocs()
	for b.Loop() {
		m.s.Look(1, m.at)
	}
}

func BenchmarkMarket64(b *testing.B) {
	m := manyOutcomes(b)
	l, _ := m.s.Look(1, m.at)
	b.ReportAllocs()
	for b.Loop() {
		l.Market()
	}
}

// BenchmarkExcerpt64 is what the dry run of an order over 500 prices in a market
// of 64 outcomes needs the state for, BenchmarkQuote64 the dry run itself.
func BenchmarkExcerpt64(b *testing.B) {
	m, x := deepBook(b)
	b.ReportAllocs()
	for b.Loop() {
		m.s.Excerpt(x, m.at)
	}
}

func BenchmarkQuote64(b *testing.B) {
	m, x := deepBook(b)
	e := m.s.Excerpt(x, m.at)
	b.ReportAllocs()
	for b.Loop() {
		if f, _, code, _ := e.Quote(x); code != engine.OK || len(f.Fills) < 900 {
			b.Fatal(code, len(f.Fills))
		}
	}
}

// deepBook is a market of 64 outcomes with 500 bids at as many prices, and a sale
// that meets them all.
func deepBook(b testing.TB) (*bench, *engine.PlaceOrder) {
	m := manyOutcomes(b)
	m.do(&engine.SplitSets{Account: 2, Market: 1, Amount: 100_000 * engine.One})
	for i := range 500 {
		m.do(order(1, engine.Nth(3), engine.Buy, engine.GTC, engine.One/10, engine.Price(15_000-20*i)))
	}
	return m, order(2, engine.Nth(3), engine.Sell, engine.IOC, 50_000*engine.One, 0)
}

// TestLookNeedsNoState: what is looked at stays, whatever is decided before it is
// worked out.
func TestLookNeedsNoState(t *testing.T) {
	m := manyOutcomes(t)
	l, _ := m.s.Look(1, m.at)
	want, _ := m.s.Market(1, m.at)
	m.do(order(2, engine.Nth(3), engine.Buy, engine.IOC, 1000*engine.One, 0))
	if moved, _ := m.s.Market(1, m.at); moved.Outcomes[2] == want.Outcomes[2] || moved.Outcomes[40].Depth == want.Outcomes[40].Depth {
		t.Fatal("the order moves nothing")
	}
	if got := l.Market(); !reflect.DeepEqual(got, want) || want.Outcomes[0].Depth == 0 {
		t.Errorf("looked at\n%+v, got\n%+v", want, got)
	}
	if l, ok := m.s.Look(2, m.at); ok || l.Outcomes() != 0 || l.Market().Market != 0 {
		t.Error("there is no second market")
	}
}

// TestExcerptNeedsNoState: a dry run is of the state that its excerpt was cut out
// of, whatever is decided before it is made.
func TestExcerptNeedsNoState(t *testing.T) {
	m, x := deepBook(t)
	y := *x
	y.Account = 0
	want, _, _, _ := m.s.Quote(&y, m.at)
	e := m.s.Excerpt(x, m.at)
	m.do(order(2, engine.Nth(3), engine.Sell, engine.IOC, 100*engine.One, 0))
	m.do(&engine.CancelAll{Account: 1})
	m.do(&engine.PauseMarket{Market: 1})
	if got, _, code, _ := e.Quote(x); code != engine.OK || !reflect.DeepEqual(got, want) || len(want.Fills) < 900 {
		t.Errorf("%s: got\n%+v, want\n%+v", code, got, want)
	}
	if _, _, code, _ := m.s.Excerpt(x, m.at).Quote(x); code != engine.MarketNotOpen {
		t.Errorf("an excerpt of now: %s", code)
	}
}

// BenchmarkDecideEvolve64 is a buy and its sale, in turn, in a market of 64
// outcomes.
func BenchmarkDecideEvolve64(b *testing.B) {
	m := manyOutcomes(b)
	buy := order(2, engine.Nth(3), engine.Buy, engine.IOC, engine.One, 0)
	sell := order(2, engine.Nth(3), engine.Sell, engine.IOC, engine.One, 0)
	m.do(buy)
	m.do(buy)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if i%2 == 0 {
			m.do(buy)
		} else {
			m.do(sell)
		}
	}
}
