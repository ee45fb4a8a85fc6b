package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// Excerpt is what the dry run of an order needs of a state: one market's pools,
// and the orders that it could meet. It is copied in the time of a look, at most
// some tens of µs; the walk, which takes milliseconds with many outcomes and many
// orders, then needs the state no more.
type Excerpt struct {
	state *State
	now   engine.Time
}

// Excerpt cuts out what the dry run of an order at a time needs.
func (s *State) Excerpt(x *engine.PlaceOrder, now engine.Time) *Excerpt {
	now = max(now, s.f.At)
	e := &Excerpt{now: now, state: &State{cut: true, f: &fold.State{
		Seq: s.f.Seq, At: s.f.At, Version: s.f.Version, Policy: s.f.Policy, Mode: s.f.Mode, DueHeld: s.f.DueHeld, Ruled: s.f.Ruled,
	}}}
	m := s.f.Market(x.Market)
	if m == nil {
		return e
	}
	e.state.barred = x.Account != 0 && !s.f.Admits(m, x.Account)
	e.state.f.Markets = []*fold.Market{{
		ID: 1, Template: m.Template, Kind: m.Kind, State: m.State, CloseAt: m.CloseAt, Moved: m.Moved, Cooling: m.Cooling, Drain: m.Drain,
		Books: make([]book.Book, len(m.Books)), Balance: ledger.PoolsOf(m.Balance), Prices: append([]engine.Price(nil), m.Prices...),
	}}
	if !m.Kind.Has(x.Outcome, m.Outcomes()) {
		return e
	}
	w := walk{m: m, outcome: x.Outcome.Index(), sell: x.Side == engine.Sell, limit: x.Limit, over: s.overBy(now)}
	if w.limit == 0 && !w.sell {
		w.limit = engine.One
	}
	cursor := s.cursor(&w)
	for int64(len(e.state.opposite)) <= s.f.Policy.MaxFills { // one more than the walk can meet
		o, ok := w.next(&cursor)
		if !ok {
			break
		}
		e.state.opposite = append(e.state.opposite, *o)
	}
	return e
}

// Seq returns the sequence of the state that it was cut out of.
func (e *Excerpt) Seq() engine.Seq { return e.state.f.Seq }

// Quote is State.Quote of the order that the excerpt was made for: at that state, and
// at that time. Of its account the groups count and nothing else.
func (e *Excerpt) Quote(x *engine.PlaceOrder) (engine.OrderFilled, engine.OrderRested, engine.Code, string) {
	y := *x
	y.Account, y.Market = 0, min(x.Market, 1)
	f, rest, code, detail := e.state.Quote(&y, e.now)
	if code == engine.OK {
		f.Market = x.Market
	}
	if rest.Shares != 0 {
		rest.Market = x.Market
	}
	return f, rest, code, detail
}

// Work returns what the dry run took: the orders that it met times the outcomes
// whose pools each of them moved.
func (e *Excerpt) Work() int {
	if e.state.walk.m == nil { // it did not get as far
		return 0
	}
	return e.state.walk.count * e.state.walk.m.Outcomes()
}
