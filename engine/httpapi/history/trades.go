package history

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
)

// trade is one side of a trade: the taker's, or a maker's of one of its fills.
type trade struct {
	seq       engine.Seq
	at        engine.Time
	order     engine.OrderID
	amount    engine.Micros
	shares    engine.Shares
	fee       engine.Micros
	ofAccount uint64 // the place of the account's trade before
	ofMarket  uint64 // the place of the market's trade before; takers' sides only
	market    engine.MarketID
	account   engine.AccountID
	after     uint32 // the price that it left
	outcome   engine.Outcome
	side      engine.Side
	maker     bool
}

// order is an order from when it is taken until it is over, and then a row.
type order struct {
	id        engine.OrderID
	placed    engine.Time
	ended     engine.Time
	limit     engine.Price
	spend     engine.Micros // credits to spend, if it is such an order
	asked     engine.Shares // else shares
	filled    engine.Shares
	amount    engine.Micros // paid or received for them
	fee       engine.Micros
	rests     engine.Shares // that wait in the book
	ofAccount uint64        // the place of the account's order before
	market    engine.MarketID
	account   engine.AccountID
	outcome   engine.Outcome
	side      engine.Side
	tif       engine.TIF
	end       ending
}

// ending is how an order ended, 0 if it has not: an engine.Reason, or one of these. A
// number and not its word, so that collecting garbage does not look at orders that are
// over, of which there are many.
type ending uint8

// The endings that are no reason to leave the book: all of it traded, or what could at
// once.
const (
	endFilled ending = 255
	endDone   ending = 254
)

// String returns the word for it.
func (e ending) String() string {
	switch e {
	case endFilled:
		return "filled"
	case endDone:
		return "done"
	}
	b, _ := engine.Reason(e).MarshalText() // a reason always has one
	return string(b)
}

// order returns the memory of an order that never waited, if there is any.
func (h *History) order() *order {
	n := len(h.spare)
	if n == 0 {
		return &order{}
	}
	o := h.spare[n-1]
	h.spare = h.spare[:n-1]
	return o
}

// begin returns the order that the decision takes under an id.
func (h *History) begin(d *engine.Decision, id engine.OrderID, of engine.AccountID, m engine.MarketID) *order {
	for _, o := range h.begun {
		if o.id == id {
			return o
		}
	}
	o := h.order()
	*o = order{id: id, placed: d.At, account: of, market: m}
	c := d.Command
	if b, batch := c.(*engine.Batch); batch && id.Item() < len(b.Items) {
		c = b.Items[id.Item()]
	}
	switch x := c.(type) {
	case *engine.PlaceOrder:
		o.limit, o.spend, o.asked, o.tif = x.Limit, x.Amount, x.Shares, x.TIF
	case *engine.AmendOrder:
		o.limit, o.asked, o.tif = x.Limit, x.Shares, engine.GTC
		if was := h.replaced; was != nil && was.id == x.Order {
			o.tif = was.tif
			if o.limit == 0 {
				o.limit = was.limit
			}
		}
	}
	h.begun = append(h.begun, o)
	return o
}

func (h *History) filled(d *engine.Decision, x *engine.OrderFilled) error {
	m, a := h.market(x.Market), h.account(x.Account)
	if m == nil || a == nil || x.Outcome.Index() >= len(m.pools) {
		return fmt.Errorf("order %s is of no market or account", x.Order)
	}
	o := h.begin(d, x.Order, x.Account, x.Market)
	for _, met := range x.Met {
		if own := h.waiting[met.Order]; own != nil {
			if own.rests -= met.Shares; own.rests == 0 {
				h.end(own.id, ending(engine.BySelfTrade))
			}
		}
	}
	o.outcome, o.side = x.Outcome, x.Side
	o.filled, o.amount, o.fee = o.filled+x.Shares, o.amount+x.Amount, o.fee+x.Fee
	for i := range m.pools { // the pool mints or burns sets, and hands the traded shares over
		q := engine.Shares(x.Sets)
		if i == x.Outcome.Index() {
			q -= x.PoolShares
		}
		if x.Side == engine.Sell {
			q = -q
		}
		m.pools[i] += q
	}
	h.priced(m, d.At)
	if x.Shares == 0 {
		return nil
	}
	h.holding(m, x.Account).took(x)
	h.traded(m, x, d.At)
	m.trade = h.side(trade{
		seq: d.Seq, at: d.At, order: x.Order, market: x.Market, account: x.Account, amount: x.Amount, shares: x.Shares, fee: x.Fee,
		after: uint32(x.PriceAfter), outcome: x.Outcome, side: x.Side, ofMarket: m.trade,
	})
	for i := range x.Fills {
		if f := &x.Fills[i]; f.Maker != 0 {
			if err := h.met(d, m, x, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// met books a fill with an order of the book.
func (h *History) met(d *engine.Decision, m *market, x *engine.OrderFilled, f *engine.Fill) error {
	o := h.waiting[f.Maker]
	if o == nil || o.account != f.Account || o.rests < f.Shares {
		return fmt.Errorf("order %s has no %d shares", f.Maker, f.Shares)
	}
	h.holding(m, o.account).made(o, f)
	o.filled, o.amount, o.rests = o.filled+f.Shares, o.amount+f.Counter, o.rests-f.Shares
	h.side(trade{
		seq: d.Seq, at: d.At, order: o.id, market: m.id, account: o.account, amount: f.Counter, shares: f.Shares,
		after: uint32(m.prices[o.outcome.Index()]), outcome: o.outcome, side: o.side, maker: true,
	})
	if o.rests == 0 {
		h.end(o.id, endFilled)
	}
	return nil
}

// side adds a row to the trades of its account.
func (h *History) side(t trade) uint64 {
	a := h.account(t.account)
	t.ofAccount = a.trade
	a.trade = h.trades.add(t)
	return a.trade
}

func (h *History) rested(d *engine.Decision, x *engine.OrderRested) error {
	if h.market(x.Market) == nil || h.account(x.Account) == nil {
		return fmt.Errorf("order %s is of no market or account", x.Order)
	}
	o := h.begin(d, x.Order, x.Account, x.Market)
	o.outcome, o.side, o.tif, o.limit, o.rests = x.Outcome, x.Side, x.TIF, x.Limit, x.Shares
	h.waiting[x.Order] = o
	return nil
}

// settleBegun ends the orders of a decision of which nothing waits.
func (h *History) settleBegun() {
	for i, o := range h.begun {
		h.begun[i] = nil
		if h.waiting[o.id] != nil || o.end != 0 {
			continue
		}
		if len(h.spare) < engine.BatchLimit {
			h.spare = append(h.spare, o) // nobody else has it
		}
		o.end = endDone
		if o.asked != 0 && o.filled >= o.asked || o.tif == engine.FOK {
			o.end = endFilled
		}
		h.keep(o)
	}
	h.begun, h.replaced = h.begun[:0], nil
}

// end takes an order out of those that wait.
func (h *History) end(id engine.OrderID, how ending) {
	o := h.waiting[id]
	if o == nil {
		return
	}
	delete(h.waiting, id)
	o.end, h.replaced = how, o
	h.keep(o)
}

// keep makes a row of an order that is over.
func (h *History) keep(o *order) {
	a := h.account(o.account)
	o.ended, o.ofAccount = h.at, a.order
	a.order = h.over.add(*o)
}
