package core

import (
	"sort"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

const depthBand = 20_000 // ppm: depth at two points

// Prices appends to dst[:0] the prices that pools have: they sum to exactly one
// credit.
func Prices(pools []engine.Shares, dst []engine.Price) []engine.Price {
	return amm.Prices(pools, dst)
}

// MarketCount returns how many markets there are; their ids are 1..MarketCount.
func (s *State) MarketCount() int { return len(s.f.Markets) }

// AccountCount returns how many accounts there are.
func (s *State) AccountCount() int { return len(s.f.Accounts) }

// Market returns what anybody may know of a market at a time.
func (s *State) Market(id engine.MarketID, now engine.Time) (engine.Market, bool) {
	l, ok := s.Look(id, now)
	return l.Market(), ok
}

// Look is a market as it stood at a time. What its pools mean, their prices and
// depths, takes some hundred µs to work out with 64 outcomes and needs no state, so
// a reader lets go of the state before it asks for the Market.
type Look struct {
	market    engine.Market
	low, high engine.Price // bounds of the first outcome
	mirrored  bool         // the second outcome's are theirs, seen from the other end
	open      bool         // the pools are there
}

// Outcomes returns how many outcomes the market has.
func (l *Look) Outcomes() int { return len(l.market.Outcomes) }

// Market works out what was looked at.
func (l *Look) Market() engine.Market {
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

// Look returns what Market tells of a market, as fast as that can be.
func (s *State) Look(id engine.MarketID, now engine.Time) (Look, bool) {
	m := s.f.Market(id)
	if m == nil {
		return Look{}, false
	}
	v := engine.Market{
		Market: m.ID, Template: m.Template.Name(), Title: m.Title, Kind: m.Kind, State: m.State, Creator: m.Creator,
		Liquidity: m.Balance.Units(), Min: m.Min, Max: m.Max, Interest: m.Balance.Collateral(), Fees: m.Balance.Fees(),
		Volume: m.Volume, Trades: m.Trades, Orders: int64(m.Resting()), CloseAt: when(m.CloseAt), Ending: m.End.How,
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
	v.Outcomes = outcomesOf(m, now)
	low, high := m.Bounds(0)
	return Look{v, low, high, m.Mirrored(1), !ended(m)}, true
}

// ended reports whether the market's pools are paid out.
func ended(m *fold.Market) bool { return m.State == engine.Resolved || m.State == engine.Canceled }

func when(t engine.Time) *engine.Time {
	if t == 0 {
		return nil
	}
	return &t
}

// outcomesOf returns the market's outcomes without what Look.Market works out.
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
func (s *State) Account(id engine.AccountID) (engine.Account, bool) {
	a := s.f.Account(id)
	if a == nil {
		return engine.Account{}, false
	}
	v := engine.Account{
		Account: id, Available: s.f.Ledger.Available(uint32(id)), Reserved: s.f.Ledger.Reserved(uint32(id)), Positions: []engine.Position{},
	}
	if s.f.At < a.Limited {
		v.Limited = when(a.Limited)
	}
	for _, mid := range s.f.Ledger.MarketsOf(uint32(id)) {
		m := s.f.Market(engine.MarketID(mid))
		for o := range m.Outcomes() {
			if free, held := m.Held(id, o); free+held != 0 {
				v.Positions = append(v.Positions, engine.Position{Market: m.ID, Outcome: m.Kind.Of(o), Shares: free + held, Reserved: held})
			}
		}
	}
	return v, true
}

// Units returns the units of a market's liquidity that an account holds.
func (s *State) Units(id engine.AccountID, market engine.MarketID) engine.Shares {
	m := s.f.Market(market)
	if m == nil {
		return 0
	}
	if i, ok := m.Balance.Index(uint32(id)); ok {
		return m.Balance.UnitsOf(i)
	}
	return 0
}

// Order returns an order that waits in the book.
func (s *State) Order(id engine.OrderID) (engine.OpenOrder, bool) {
	o, ok := s.f.Orders.Get(uint64(id))
	if !ok {
		return engine.OpenOrder{}, false
	}
	return openOrder(o), true
}

// Orders returns the orders of an account that wait, the oldest first.
func (s *State) Orders(id engine.AccountID) []engine.OpenOrder {
	out := []engine.OpenOrder{}
	for o := range s.f.Orders.ByAccount(uint32(id)) {
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
func (s *State) Book(id engine.MarketID, o engine.Outcome, n int) (bids, asks []engine.BookLevel, ok bool) {
	m := s.f.Market(id)
	if m == nil || !m.Kind.Has(o, m.Outcomes()) {
		return nil, nil, false
	}
	b, mirrored := m.Book(o.Index()), m.Mirrored(o.Index())
	for _, bid := range [2]bool{true, false} {
		out := []engine.BookLevel{}
		for _, l := range s.f.Orders.Levels(b, bid != mirrored, n, nil) {
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

// Templates returns the registered template versions in order.
func (s *State) Templates() []engine.Template {
	out := make([]engine.Template, len(s.f.Templates))
	for i, t := range s.f.Templates {
		out[i] = *t
	}
	return out
}

// Key returns a valid API key by the digest of its secret.
func (s *State) Key(sha256 engine.Digest) (engine.Key, bool) {
	k := s.f.Keys[sha256]
	if k == nil {
		return engine.Key{}, false
	}
	return *k, true
}

// Issued returns all credits ever granted. At any time they equal what accounts,
// markets and the platform hold.
func (s *State) Issued() engine.Micros { return s.f.Ledger.Issued() }

// Platform returns the income of the house.
func (s *State) Platform() engine.Micros { return s.f.Ledger.Platform() }

// House returns where all credits are. The ledger balances, so what nobody else has
// is the traders'.
func (s *State) House() engine.House {
	l, held := s.f.Ledger, s.f.Held
	return engine.House{
		Issued: l.Issued(), Accounts: l.Issued() - l.Platform() - held.Collateral - held.Fees - held.Rounding,
		Collateral: held.Collateral, Fees: held.Fees, Rounding: held.Rounding, Platform: l.Platform(),
	}
}
