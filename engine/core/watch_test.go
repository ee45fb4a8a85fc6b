package core

import (
	"fmt"
	"reflect"
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

// watch looks at what must hold between the state before a decision and the one
// after it.
type watch struct {
	codes  map[string]int // decisions by command and code
	events map[string]int

	bare     engine.Digest
	holdings []holdings
	quote    *quoted
	ends     map[engine.MarketID]*reckoning
	past     map[engine.MarketID][]holdings // after each decision
	earned   map[engine.MarketID]claims     // what providers earned of the fees
	checked  int                            // endings that were reckoned
}

// quoted is what a dry run said.
type quoted struct {
	filled engine.OrderFilled
	rested engine.OrderRested
	code   engine.Code
	detail string
}

// holdings are what everybody has of a market.
type holdings struct {
	at     engine.Time
	state  engine.MarketState
	orders int
	pools  []engine.Shares
	fees   engine.Micros
	dust   engine.Micros
	units  engine.Shares
	of     []holding // by holder
	earned claims    // what providers earned of the fees
}

type holding struct {
	account engine.AccountID
	shares  []engine.Shares // reserved ones, too
	units   engine.Shares
	net     engine.Micros
}

func newWatch() *watch {
	return &watch{
		codes: map[string]int{}, events: map[string]int{}, ends: map[engine.MarketID]*reckoning{},
		past: map[engine.MarketID][]holdings{}, earned: map[engine.MarketID]claims{},
	}
}

func holdingsOf(m *fold.Market, at engine.Time) holdings {
	b := m.Balance
	h := holdings{at: at, state: m.State, orders: m.Resting(), pools: slices.Clone(b.Pools()), fees: b.Fees(), dust: b.Rounding(), units: b.Units()}
	for i := range b.Holders() {
		x := holding{account: engine.AccountID(b.Holder(i)), units: b.UnitsOf(i), net: b.Net(i)}
		for o := range b.Outcomes() {
			x.shares = append(x.shares, b.Shares(i, o)+b.Held(i, o))
		}
		h.of = append(h.of, x)
	}
	return h
}

// before notes the state that a command meets.
func (k *watch) before(w *world, c engine.Command) {
	k.holdings = k.holdings[:0]
	for _, m := range w.s.f.Markets {
		h := holdingsOf(m, 0)
		h.earned = k.earned[m.ID].copied()
		k.holdings = append(k.holdings, h)
	}
	k.quote = nil
	x, isOrder := c.(*engine.PlaceOrder)
	if isOrder && x.Account != 0 {
		q := &quoted{}
		q.filled, q.rested, q.code, q.detail = w.s.Quote(x, w.now)
		k.quote = q
		w.excerpted(x)
	}
	k.bare = w.s.bare(counted(c))
}

// excerpted compares the dry run of an order by nobody in particular on the state
// with the same on what was cut out of it.
func (w *world) excerpted(x *engine.PlaceOrder) {
	w.t.Helper()
	anybody := *x
	anybody.Account = 0
	want := &quoted{}
	want.filled, want.rested, want.code, want.detail = w.s.Quote(&anybody, w.now)
	e, got := w.s.Excerpt(x, w.now), &quoted{}
	got.filled, got.rested, got.code, got.detail = e.Quote(x)
	if e.Seq() != w.s.Seq() || !reflect.DeepEqual(got, want) {
		w.t.Fatalf("%s on the state\n%+v\non an excerpt\n%+v", show(x), want, got)
	}
}

// counted reports whether a refusal of the command still counts as an order.
func counted(c engine.Command) bool {
	switch c.(type) {
	case *engine.PlaceOrder, *engine.AmendOrder:
		return true
	}
	return false
}

// after compares.
func (k *watch) after(w *world, d *engine.Decision) {
	w.t.Helper()
	k.codes[d.Command.Type()+" "+d.Code.String()]++
	if d.Code != engine.OK && k.bare != w.s.bare(counted(d.Command)) {
		w.t.Fatalf("%s, refused with %s, changed the state", show(d.Command), d.Code)
	}
	k.quotedIsDone(w, d)
	states := map[engine.MarketID]engine.MarketState{}
	for i, h := range k.holdings {
		states[engine.MarketID(i+1)] = h.state
	}
	for _, e := range d.Events {
		k.events[e.Type()]++
		if err := k.follows(w, d, e, states); err != nil {
			w.t.Fatalf("%s: %s %+v: %v", show(d.Command), e.Type(), e, err)
		}
	}
	for i, m := range w.s.f.Markets {
		if states[m.ID] != m.State && states[m.ID] != 0 {
			w.t.Fatalf("%s is %s, its events say %s", m.ID, m.State, states[m.ID])
		}
		now := holdingsOf(m, w.s.f.At)
		if i < len(k.holdings) {
			k.stands(w, d, m, k.holdings[i], now)
		}
		now.earned = k.earned[m.ID].copied()
		k.past[m.ID] = append(k.past[m.ID], now)
	}
}

// stands checks that a market which is neither open nor being paid keeps what
// everybody holds, and gains no orders; and that rounding never pays anybody.
func (k *watch) stands(w *world, d *engine.Decision, m *fold.Market, was, is holdings) {
	w.t.Helper()
	if is.state != engine.Settling && was.state != engine.Settling && is.dust < was.dust {
		w.t.Fatalf("%s took %d micros out of the dust of %s", show(d.Command), was.dust-is.dust, m.ID)
	}
	if was.state == engine.Open || was.state == engine.Settling {
		return
	}
	for i := range is.of { // who waits in the book may have become a holder without holding
		if i >= len(was.of) {
			w.t.Fatalf("%s: a new holder in %s, which was %s", show(d.Command), m.ID, was.state)
		}
	}
	same := reflect.DeepEqual(was.pools, is.pools) && reflect.DeepEqual(was.of, is.of) && was.units == is.units
	if !same || is.orders > was.orders {
		w.t.Fatalf("%s changed %s, which was %s: %+v, then %+v", show(d.Command), m.ID, was.state, was, is)
	}
}

// quotedIsDone checks that a quote is what execution gave.
func (k *watch) quotedIsDone(w *world, d *engine.Decision) {
	w.t.Helper()
	q := k.quote
	if q == nil || d.Code == engine.RateLimited {
		return
	}
	if q.code != d.Code || q.detail != d.Detail {
		w.t.Fatalf("%s: quoted %s %q, executed %s %q", show(d.Command), q.code, q.detail, d.Code, d.Detail)
	}
	filled, rested := engine.OrderFilled{}, engine.OrderRested{}
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderFilled:
			filled = *x
			q.filled.Order = x.Order
		case *engine.OrderRested:
			rested = *x
			q.rested.Order = x.Order
		}
	}
	if filled.Order == 0 && q.filled.Shares == 0 && len(q.filled.Met) == 0 { // a quote of nothing still says the prices
		q.filled = filled
	}
	if fmt.Sprintf("%+v", q.filled) != fmt.Sprintf("%+v", filled) || q.rested != rested {
		w.t.Fatalf("%s: quoted %+v %+v, executed %+v %+v", show(d.Command), q.filled, q.rested, filled, rested)
	}
}

// follows checks an event against the states that its market went through in
// this decision.
func (k *watch) follows(w *world, d *engine.Decision, e engine.Event, states map[engine.MarketID]engine.MarketState) error {
	trades := engine.MarketID(0)
	switch x := e.(type) {
	case *engine.OrderFilled:
		trades = x.Market
		if err := k.adds(w, d, x); err != nil {
			return err
		}
	case *engine.OrderRested:
		trades = x.Market
		if x.Shares < 1 {
			return fmt.Errorf("nothing rests")
		}
	case *engine.SetsSplit:
		trades = x.Market
	case *engine.SetsMerged:
		trades = x.Market
	case *engine.LiquidityAdded:
		trades = x.Market
	case *engine.LiquidityRemoved:
		trades = x.Market
	case *engine.MarketStateChanged:
		if states[x.Market] != x.From {
			return fmt.Errorf("the market was %s", states[x.Market])
		}
		states[x.Market] = x.To
	case *engine.SettlementStarted:
		word, _ := x.Ending.MarshalText()
		k.events["end by "+string(word)]++
		return k.ending(w, x)
	case *engine.SettlementStepped:
		return k.step(w, x)
	}
	if trades != 0 && states[trades] != engine.Open {
		return fmt.Errorf("the market was %s", states[trades])
	}
	return nil
}

// adds checks that a fill adds up and keeps its order's limits.
func (k *watch) adds(w *world, d *engine.Decision, x *engine.OrderFilled) error {
	m := w.s.f.Market(x.Market)
	amount, shares, pool := engine.Micros(0), engine.Shares(0), engine.Shares(0)
	for _, f := range x.Fills {
		if f.Amount < 0 || f.Shares < 0 || f.Counter < 0 {
			return fmt.Errorf("a fill is below zero")
		}
		amount, shares = amount+f.Amount, shares+f.Shares
		if f.Maker == 0 {
			pool += f.Shares
		}
	}
	if met := int64(len(x.Met)) + count(x.Fills); met > w.s.Policy().MaxFills {
		return fmt.Errorf("it met %d orders", met)
	}
	if len(x.Fills) != 0 && (amount != x.Amount || shares != x.Shares || pool != x.PoolShares) {
		return fmt.Errorf("the fills sum to %d for %d", shares, amount)
	}
	if x.Amount < 0 || x.Shares < 0 || x.Fee < 0 || x.LPFee < 0 || x.LPFee > x.Fee || x.Sets < 0 || x.PoolShares < 0 {
		return fmt.Errorf("something is below zero")
	}
	if int64(x.Fee) > int64(x.Amount)/10+int64(len(x.Fills))+1 {
		return fmt.Errorf("the fee is above a tenth")
	}
	k.earn(m, x)
	o, isOrder := d.Command.(*engine.PlaceOrder)
	if !isOrder {
		return nil
	}
	slack := int64(len(x.Fills)+2) * engine.One
	switch {
	case o.Amount != 0 && x.Amount > o.Amount, o.Shares != 0 && x.Shares > o.Shares:
		return fmt.Errorf("more than was ordered")
	case o.Limit == 0:
	case o.Side == engine.Buy && (x.PriceAfter > max(o.Limit, x.PriceBefore)+1 || exceeds(int64(x.Amount), int64(x.Shares), int64(o.Limit), slack)):
		return fmt.Errorf("above the limit")
	case o.Side == engine.Sell && (x.PriceAfter < min(o.Limit, x.PriceBefore)-1 || exceeds(-int64(x.Amount), -int64(x.Shares), int64(o.Limit), slack)):
		return fmt.Errorf("below the limit")
	}
	return nil
}

// count is how many fills are with resting orders.
func count(fills []engine.Fill) (n int64) {
	for _, f := range fills {
		if f.Maker != 0 {
			n++
		}
	}
	return n
}

// exceeds reports amount·10⁶ > shares·limit + slack.
func exceeds(amount, shares, limit, slack int64) bool {
	const most = 1 << 43 // beyond, the product would overflow; no test trades that much
	return max(amount, -amount) < most && max(shares, -shares) < most && amount*engine.One > shares*limit+slack
}
