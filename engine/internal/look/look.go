// Package look is what may be told of the state: a market with its pools, prices and
// averages, an account with what it holds, orders and books.
//
// It promises: what it returns is a copy, which the state's next decision does not
// change; equal states give equal answers, in a fixed order; a look at a market costs
// the state no more than to copy its pools, and works out prices and depths without
// it. It refuses to decide, to change anything, and to hide: who may see what is the
// edge's.
//
// The average prices are those of "The rules of the market", section TWAP guard.
package look

import (
	"sort"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

const depthBand = 20_000 // ppm: depth at two points

// Glance is a market as it stood at a time. What its pools mean, their prices and
// depths, takes some hundred µs to work out with 64 outcomes and needs no state, so
// a reader lets go of the state before it asks for the Market.
type Glance struct {
	market    engine.Market
	low, high engine.Price // bounds of the first outcome
	mirrored  bool         // the second outcome's are theirs, seen from the other end
	open      bool         // the pools are there
}

// Outcomes returns how many outcomes the market has.
func (l *Glance) Outcomes() int { return len(l.market.Outcomes) }

// Market works out what was looked at.
func (l *Glance) Market() engine.Market {
	if !l.open {
		return l.market
	}
	var shares [engine.MaxOutcomes]engine.Shares
	var room [engine.MaxOutcomes]engine.Price
	pools := shares[:len(l.market.Outcomes)]
	for i := range pools {
		pools[i] = l.market.Outcomes[i].Pool
	}
	for i, p := range amm.Prices(pools, room[:0]) {
		low, high := l.low, l.high
		if l.mirrored && i == 1 {
			low, high = engine.One-high, engine.One-low
		}
		v := &l.market.Outcomes[i]
		v.Price, v.Depth = p, amm.Depth(pools, i, p, depthBand, low, high)
	}
	return l.market
}

// At looks at a market at a time; false if there is none of that id.
func At(s *fold.State, id engine.MarketID, now engine.Time) (Glance, bool) {
	m := s.Market(id)
	if m == nil {
		return Glance{}, false
	}
	v := engine.Market{
		Market: m.ID, Template: m.Template.Name(), Title: m.Title, Kind: m.Kind, State: m.State, Creator: m.Creator,
		Liquidity: m.Balance.Units(), Min: m.Min, Max: m.Max, Interest: m.Balance.Collateral(), Fees: m.Balance.Fees(),
		Volume: m.Volume, Trades: m.Trades, Orders: int64(m.Resting()), CloseAt: when(m.CloseAt), Ending: m.End.How, Limited: !m.Gate.Open(),
	}
	if now < m.Cooling {
		v.CoolUntil = when(m.Cooling)
	}
	if m.State == engine.Proposed || m.State == engine.Disputed {
		p := &m.Proposal
		v.Proposal = &engine.Proposal{
			Outcome: p.Outcome, Value: p.Value, Cancel: p.Cancel, EvidenceURI: p.EvidenceURI, EvidenceSHA256: p.EvidenceSHA256, EffectiveAt: p.EffectiveAt,
			ProposedAt: p.At, FinalAt: p.FinalAt, Approvals: len(p.Backers), Needed: m.Needed(p.Reported),
			Stands: m.State == engine.Proposed && m.Stands(),
		}
	}
	if m.End.How == engine.EndByOutcome || m.End.How == engine.EndByVoid {
		o := m.End.Outcome
		v.Outcome = &o
	}
	for _, t := range s.Told.Texts(uint32(id)) {
		v.Clarifications = append(v.Clarifications, engine.Clarification{Seq: engine.Seq(t.Seq), At: engine.Time(t.At), ID: t.ID})
	}
	v.Outcomes = outcomesOf(m, now)
	low, high := m.Bounds(0)
	return Glance{v, low, high, m.Mirrored(1), !ended(m)}, true
}

// ended reports whether the market's pools are paid out.
func ended(m *fold.Market) bool { return m.State == engine.Resolved || m.State == engine.Canceled }

func when(t engine.Time) *engine.Time {
	if t == 0 {
		return nil
	}
	return &t
}

// outcomesOf returns the market's outcomes without what Glance.Market works out.
func outcomesOf(m *fold.Market, now engine.Time) []engine.OutcomeState {
	n, t := m.Outcomes(), m.OpenTime(now)
	out := make([]engine.OutcomeState, n)
	for i := range out {
		v := &out[i]
		v.Outcome, v.Pool = m.Kind.Of(i), m.Balance.Pools()[i]
		if m.Kind == engine.Categorical {
			v.Label = m.Labels[i]
		}
		if ended(m) && len(m.End.Payouts) == n {
			v.Price = m.End.Payouts[i]
		}
		g, mirror := &m.Guards[0], m.Mirrored(i)
		if !mirror {
			g = &m.Guards[i]
		}
		v.TWAP, v.TWAP1, v.TWAP15 = g.Mean(t, fold.TWAPWindow), g.Mean(t, 60), g.Mean(t, 900)
		if mirror {
			v.TWAP, v.TWAP1, v.TWAP15 = engine.One-v.TWAP, engine.One-v.TWAP1, engine.One-v.TWAP15
		}
		v.Bid, v.Ask = m.Best(i)
	}
	return out
}

// Account returns what an account holds; its markets in the order in which it
// first held anything of them.
func Account(s *fold.State, id engine.AccountID) (engine.Account, bool) {
	markets := s.Ledger.MarketsOf(uint32(id))
	ids := make([]engine.MarketID, len(markets))
	for i, m := range markets {
		ids[i] = engine.MarketID(m)
	}
	return Standing(s, id, ids)
}

// Standing returns what an account holds, of its positions those in some markets. It
// takes no longer for an account that has many others.
func Standing(s *fold.State, id engine.AccountID, markets []engine.MarketID) (engine.Account, bool) {
	a := s.Account(id)
	if a == nil {
		return engine.Account{}, false
	}
	v := engine.Account{
		Account: id, Available: s.Ledger.Available(uint32(id)), Reserved: s.Ledger.Reserved(uint32(id)), Positions: []engine.Position{},
	}
	if s.At < a.Limited {
		v.Limited = when(a.Limited)
	}
	for _, mid := range markets {
		m := s.Market(mid)
		if m == nil {
			continue
		}
		for o := range m.Outcomes() {
			if free, held := m.Held(id, o); free+held != 0 {
				v.Positions = append(v.Positions, engine.Position{Market: m.ID, Outcome: m.Kind.Of(o), Shares: free + held, Reserved: held})
			}
		}
	}
	return v, true
}

// Holder reports whether an account holds anything of a market, or ever did.
func Holder(s *fold.State, id engine.AccountID, market engine.MarketID) bool {
	m := s.Market(market)
	if m == nil {
		return false
	}
	_, is := m.Balance.Index(uint32(id))
	return is
}

// Order returns an order that waits in the book.
func Order(s *fold.State, id engine.OrderID) (engine.OpenOrder, bool) {
	o, ok := s.Orders.Get(uint64(id))
	if !ok {
		return engine.OpenOrder{}, false
	}
	return openOrder(o), true
}

// Orders returns the orders of an account that wait, the oldest first.
func Orders(s *fold.State, id engine.AccountID) []engine.OpenOrder {
	out := []engine.OpenOrder{}
	for o := range s.Orders.ByAccount(uint32(id)) {
		out = append(out, openOrder(o))
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Order < out[j].Order })
	return out
}

func openOrder(o *book.Order) engine.OpenOrder {
	v := engine.OpenOrder{
		Order: engine.OrderID(o.ID), Account: engine.AccountID(o.Account), Market: engine.MarketID(o.Market), Outcome: engine.Outcome(o.Outcome),
		Side: engine.Buy, TIF: engine.TIF(o.TIF), Limit: o.Limit, Shares: o.Shares, Filled: o.Filled, Expires: engine.Time(o.Expires),
	}
	if o.Sell {
		v.Side = engine.Sell
	}
	return v
}

// Book returns the best n levels of an outcome's bids and asks.
func Book(s *fold.State, id engine.MarketID, o engine.Outcome, n int) (bids, asks []engine.BookLevel, ok bool) {
	m := s.Market(id)
	if m == nil || !m.Kind.Has(o, m.Outcomes()) {
		return nil, nil, false
	}
	b, mirrored := m.Book(o.Index()), m.Mirrored(o.Index())
	for _, bid := range [2]bool{true, false} {
		out := []engine.BookLevel{}
		for _, l := range s.Orders.Levels(b, bid != mirrored, n, nil) {
			v := engine.BookLevel{Price: l.Price, Shares: l.Shares, Orders: l.Orders}
			if mirrored {
				v.Price = engine.One - v.Price
			}
			out = append(out, v)
		}
		if bid {
			bids = out
		} else {
			asks = out
		}
	}
	return bids, asks, true
}
