package cdctest

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
)

func trader(a engine.AccountID) string { return fmt.Sprintf("trader-%d", a) }

// orders places random orders and does what else traders do; many are refused,
// which is part of the world.
func (w *world) orders(n int) {
	for range n {
		w.now += engine.Time(w.rng.Int64N(20 * engine.One))
		a := 1 + engine.AccountID(w.rng.Uint32N(Accounts))
		m, ok := w.state.Market(1+engine.MarketID(w.rng.IntN(Markets)), w.now)
		if !ok {
			return
		}
		switch w.rng.IntN(16) {
		case 0:
			w.act(trader(a), &engine.SplitSets{Account: a, Market: m.Market, Amount: engine.Micros(1 + w.rng.Int64N(10*engine.One))})
		case 1:
			w.act(trader(a), &engine.MergeSets{Account: a, Market: m.Market, Amount: engine.Micros(1 + w.rng.Int64N(engine.One))})
		case 2:
			w.act(trader(a), &engine.AddLiquidity{Account: a, Market: m.Market, Amount: engine.Micros(1 + w.rng.Int64N(50*engine.One))})
		case 3:
			if units := w.state.Units(a, m.Market); units > 1 {
				w.act(trader(a), &engine.RemoveLiquidity{Account: a, Market: m.Market, Units: 1 + engine.Shares(w.rng.Int64N(int64(units)/2))})
			}
		case 4, 5:
			w.change(a)
		default:
			w.act(trader(a), w.order(a, &m))
		}
	}
}

// order is a random order.
func (w *world) order(a engine.AccountID, m *engine.Market) *engine.PlaceOrder {
	of := m.Outcomes[w.rng.IntN(len(m.Outcomes))]
	o := &engine.PlaceOrder{Account: a, Market: m.Market, Outcome: of.Outcome, Side: engine.Buy, TIF: engine.IOC, SelfTrade: engine.SelfTrade(w.rng.IntN(3))}
	switch w.rng.IntN(8) {
	case 0, 1:
		o.Side, o.Shares = engine.Sell, engine.Shares(1+w.rng.Int64N(10*engine.One))
	case 2:
		o.Amount = engine.Micros(1 + w.rng.Int64N(50)) // moves no price
	case 3, 4: // waits below the price, or meets others
		o.Shares, o.Limit = engine.Shares(1+w.rng.Int64N(20*engine.One)), of.Price-engine.Price(w.rng.Int64N(30_000))
		if w.rng.IntN(2) == 0 {
			o.Side, o.Limit = engine.Sell, of.Price+engine.Price(w.rng.Int64N(30_000))
		}
		o.Limit = min(max(o.Limit, 10_000), 990_000)
		o.TIF = engine.GTC
		if w.rng.IntN(2) == 0 {
			o.TIF, o.Expires = engine.GTD, w.now+engine.Time(1+w.rng.Int64N(600*engine.One))
		}
	default:
		o.Amount = engine.Micros(1 + w.rng.Int64N(20*engine.One))
	}
	return o
}

// change cancels or amends what an account has waiting.
func (w *world) change(a engine.AccountID) {
	open := w.state.Orders(a)
	for i := 0; len(open) == 0 && i < Accounts; i++ {
		a = a%Accounts + 1
		open = w.state.Orders(a)
	}
	if len(open) == 0 {
		w.act(trader(a), &engine.CancelAll{Account: a})                                // without events
		w.act(trader(a), &engine.CancelOrder{Account: a, Order: engine.OrderOf(1, 0)}) // refused
		return
	}
	o := open[w.rng.IntN(len(open))]
	switch w.rng.IntN(4) {
	case 0:
		w.act(trader(a), &engine.CancelOrder{Account: a, Order: o.Order})
	case 1:
		w.act(trader(a), &engine.CancelAll{Account: a, Market: o.Market})
	case 2:
		w.act(trader(a), &engine.AmendOrder{Account: a, Order: o.Order, Shares: 1 + o.Shares/2})
	default:
		w.act(trader(a), &engine.AmendOrder{Account: a, Order: o.Order, Shares: o.Shares + 1, Limit: o.Limit + 1})
	}
}

// flood sends orders of one account at one moment until its rate is used up.
func (w *world) flood(a engine.AccountID, m engine.MarketID) {
	w.now += minute
	for range engine.DefaultPolicy().OrderBurst + 5 {
		o := buy(a, m, engine.One/100)
		if m == Scores {
			o.Outcome = engine.Nth(0)
		}
		w.act(trader(a), o)
	}
}

func buy(a engine.AccountID, m engine.MarketID, amount engine.Micros) *engine.PlaceOrder {
	return &engine.PlaceOrder{Account: a, Market: m, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: amount}
}

// crowd is many accounts at one moment: a burst on the market, and trades above
// the rate of each account.
func (w *world) crowd(m engine.MarketID) {
	w.now += 2 * minute
	for i := range 28 {
		for a := range engine.AccountID(4) {
			if i < 28-int(a) {
				w.act(trader(a+5), buy(a+5, m, engine.One/50))
			}
		}
	}
}

// inside is a price near the pool's, at which an order meets another one before
// the pool moves.
func (w *world) inside(m engine.MarketID, delta engine.Price) engine.Price {
	v, _ := w.state.Market(m, w.now)
	return v.Outcomes[0].Price + delta
}

// wash lets two accounts trade the same shares back and forth.
func (w *world) wash(m engine.MarketID, a, b engine.AccountID) {
	w.now += minute
	const size = engine.Shares(2 * engine.One)
	for i := range 6 {
		maker, taker := a, b
		if i%2 == 1 {
			maker, taker = b, a
		}
		w.now += 10 * engine.Time(engine.One)
		p := w.inside(m, 1)
		w.act(trader(taker), &engine.SplitSets{Account: taker, Market: m, Amount: engine.Micros(size)})
		w.act(trader(maker), &engine.PlaceOrder{Account: maker, Market: m, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTC, Shares: size, Limit: p - 2})
		w.act(trader(taker), &engine.PlaceOrder{Account: taker, Market: m, Outcome: engine.Yes, Side: engine.Sell, TIF: engine.IOC, Shares: size, Limit: p - 2})
		w.act(trader(maker), &engine.CancelAll{Account: maker, Market: m})
	}
}

// selfTrades lets an account meet its own orders in each way.
func (w *world) selfTrades(m engine.MarketID, a engine.AccountID) {
	w.now += minute
	w.act(trader(a), &engine.SplitSets{Account: a, Market: m, Amount: 20 * engine.One})
	for i := range 5 {
		w.now += 5 * engine.Time(engine.One)
		p := w.inside(m, -1)
		w.act(trader(a), &engine.PlaceOrder{Account: a, Market: m, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTC, Shares: engine.One, Limit: p})
		w.act(trader(a), &engine.PlaceOrder{
			Account: a, Market: m, Outcome: engine.Yes, Side: engine.Sell, TIF: engine.IOC, Shares: 3 * engine.One, Limit: p,
			SelfTrade: [5]engine.SelfTrade{engine.CancelNewest, engine.CancelOldest, engine.Decrement, engine.CancelOldest, engine.Decrement}[i],
		})
	}
	w.act(trader(a), &engine.CancelAll{Account: a})
}

// spike moves a price far at once, and goes on until the market's rate is used
// up.
func (w *world) spike(m engine.MarketID) {
	w.now += minute
	w.act(trader(3), buy(3, m, 120*engine.One))
	w.act(trader(4), buy(4, m, engine.One)) // refused: it cools down
	for a := range engine.AccountID(8) {
		w.act(trader(a+1), buy(a+1, m, engine.One))
		w.act(trader(a+1), buy(a+1, m, engine.One))
	}
}

// batch sends orders on several markets in one decision, above the account's
// rate on two of them.
func (w *world) batch(a engine.AccountID) {
	w.now += 2 * minute
	b := &engine.Batch{}
	for i := range 20 {
		m := Plain
		if i%2 == 1 {
			m = Drafted
		}
		b.Items = append(b.Items, buy(a, m, engine.Micros(1+i)*engine.One))
	}
	b.Items = append(b.Items, &engine.PlaceOrder{
		Account: a, Market: Scores, Outcome: engine.Nth(1), Side: engine.Buy, TIF: engine.GTC, Shares: 200 * engine.One, Limit: 310_000,
	}, &engine.CancelAll{Account: a, Market: Scores})
	w.act(trader(a), b)
	w.meetings(a + 1)
	c := &engine.Batch{}
	for i := range 2 * int(engine.DefaultPolicy().OrderBurst) {
		if len(c.Items) < engine.BatchLimit {
			c.Items = append(c.Items, buy(a, Plain+engine.MarketID(i%2)*(Cooling-Plain), engine.One))
		}
	}
	w.act(trader(a), c)
}

// meetings is a batch in which an account meets itself often enough to raise
// abuse twice.
func (w *world) meetings(a engine.AccountID) {
	w.act(trader(a), &engine.SplitSets{Account: a, Market: Drafted, Amount: 20 * engine.One})
	b := &engine.Batch{}
	for i := range 7 {
		p := w.inside(Drafted, -20*engine.Price(i+1)) // lower each time: a pool at its limit sells dust alone
		b.Items = append(b.Items, &engine.PlaceOrder{
			Account: a, Market: Drafted, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTC, Shares: engine.One, Limit: p,
		}, &engine.PlaceOrder{
			Account: a, Market: Drafted, Outcome: engine.Yes, Side: engine.Sell, TIF: engine.IOC, Shares: 2 * engine.One, Limit: p, SelfTrade: engine.Decrement,
		})
	}
	w.act(trader(a), b)
	w.act(trader(a), &engine.CancelAll{Account: a})
}

// escape drives a price away from its average until the guard stops it.
func (w *world) escape(m engine.MarketID) {
	for i := range 30 {
		w.now += 20 * engine.Time(engine.One)
		if code := w.act(trader(7), buy(7, m, engine.Micros(20+i)*engine.One)); code == engine.MarketFrozen {
			return
		}
	}
}
