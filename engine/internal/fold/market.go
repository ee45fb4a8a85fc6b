package fold

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/engine/internal/quorum"
	"github.com/mbp-market/mbp/engine/internal/settle"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// OrderRate is the limit on the orders of an account.
func (s *State) OrderRate() guard.Rate {
	return guard.Rate{Interval: s.Policy.OrderInterval, Burst: s.Policy.OrderBurst}
}

// TradeRate is the limit on the trading orders of an account; none if zero.
func (s *State) TradeRate() guard.Rate {
	return guard.Rate{Interval: s.Policy.TradeInterval, Burst: s.Policy.TradeBurst}
}

// OrderRate is the limit on the orders of a market; none if zero.
func (m *Market) OrderRate() guard.Rate {
	return guard.Rate{Interval: m.Template.Risk.OrderInterval, Burst: m.Template.Risk.OrderBurst}
}

// BurstParams is the policy's bound on the orders of a market.
func (s *State) BurstParams() guard.BurstParams {
	p := guard.MarketBurst()
	p.Sigmas, p.Floor = s.Policy.Burst.Sigmas, s.Policy.Burst.Floor
	return p
}

// AccountBurstParams is the policy's bound on the orders of an account.
func (s *State) AccountBurstParams() guard.BurstParams {
	p := guard.AccountBurst()
	p.Sigmas, p.Floor = s.Policy.AccountBurst.Sigmas, s.Policy.AccountBurst.Floor
	return p
}

// WashParams is the policy's bound on trading back and forth.
func (s *State) WashParams() guard.WashParams {
	p := guard.WashDefault()
	p.Times, p.Window = s.Policy.Wash.Times, s.Policy.Wash.Window
	return p
}

// SelfParams is the policy's bound on meeting own orders.
func (s *State) SelfParams() guard.SelfParams {
	return guard.SelfParams{Times: s.Policy.SelfTrades.Times, Window: s.Policy.SelfTrades.Window}
}

// SpikeParams is the template's bound on sudden moves.
func (m *Market) SpikeParams() guard.SpikeParams {
	r := &m.Template.Risk
	return guard.SpikeParams{Move: r.SpikeMove, Span: r.SpikeSpan, Cool: r.CoolDown}
}

// Watched is the index of the guards and spikes that watch an outcome, and its
// price there: the second of two outcomes is the mirror of the first.
func (m *Market) Watched(outcome int, p engine.Price) (int, engine.Price) {
	if m.Mirrored(outcome) {
		return 0, engine.One - p
	}
	return outcome, p
}

// PartyOf is a fill as one of its two accounts sees it: the taker, who traded an
// outcome and sold it or not, or else the maker; other is the other one.
func PartyOf(m *Market, outcome int, sell bool, other engine.AccountID, q engine.Shares, taker bool) guard.Fill {
	bid := sell == m.Mirrored(outcome) // the taker's side in the book
	i, _ := m.Watched(outcome, 0)
	if bid != taker {
		q = -q
	}
	return guard.Fill{Party: uint32(other), Market: uint32(m.ID), Outcome: uint16(i), Shares: q}
}

// GuardParams is the template's price guard; off if its window is 0.
func (m *Market) GuardParams() twap.Params {
	g := &m.Template.Guard
	return twap.Params{Window: g.Window, Bound: g.Bound, Relative: g.Relative, Outliers: g.Outliers, Floor: g.Floor}
}

// Uniform returns n prices that sum to one and differ by at most one.
func Uniform(n int) []engine.Price { return settle.Normalise(make([]engine.Price, n)) }

// Move adds the event of a market that goes to another state.
func (m *Market) Move(d *engine.Decision, to engine.MarketState, drain bool) {
	d.Add(&engine.MarketStateChanged{Market: m.ID, From: m.State, To: to, Drain: drain && m.Resting() != 0})
}

// Resting is how many orders wait in the market's books.
func (m *Market) Resting() (n int) {
	for i := range m.Books {
		n += m.Books[i].Len()
	}
	return n
}

// Over reports whether the market's close time has come.
func (m *Market) Over(now engine.Time) bool { return m.CloseAt != 0 && now >= m.CloseAt }

// Payouts is what a share of each outcome is worth if the market resolves so.
func (m *Market) Payouts(o engine.Outcome, value int64) []engine.Price {
	v := make([]engine.Price, m.Outcomes())
	if m.Kind == engine.Scalar {
		v[0] = settle.Linear(value, m.Min, m.Max)
		v[1] = engine.One - v[0]
		return v
	}
	v[o.Index()] = engine.One
	return v
}

// Pot is everything that the market holds.
func (m *Market) Pot() engine.Micros {
	return m.Balance.Collateral() + m.Balance.Fees() + m.Balance.Rounding()
}

// Needed is how many principals must stand behind a proposal: the template's
// number, but never one alone where it was made by hand.
func (m *Market) Needed(reported bool) int64 {
	if reported {
		return m.Template.Truth.Approvals
	}
	return max(2, m.Template.Truth.Approvals)
}

// Stands reports whether the proposal cannot be disputed any more. Else one with
// nothing to lose could send every proposal back. The market was disputed as often
// as its template allows; or it was before, and one principal more than needed
// stands behind the proposal, not counting those who disputed.
func (m *Market) Stands() bool {
	n, most := int64(0), m.Template.Truth.MaxDisputes
	if most == 0 {
		most = 3 // an objection, an appeal, and one that nobody thought of
	}
	for _, b := range m.Proposal.Backers {
		if !slices.Contains(m.Disputes, b) {
			n++
		}
	}
	return int64(len(m.Disputes)) >= most || len(m.Disputes) > 0 && n > m.Needed(m.Proposal.Reported)
}

// Concerns reports whether an account holds shares or liquidity of the market.
func (m *Market) Concerns(a engine.AccountID) bool {
	i, ok := m.Balance.Index(uint32(a))
	if !ok {
		return false
	}
	for o := range m.Outcomes() {
		if m.Balance.Shares(i, o)+m.Balance.Held(i, o) > 0 {
			return true
		}
	}
	return m.Balance.UnitsOf(i) > 0
}

// Agreeing lists the reports that say the same as mine.
func (m *Market) Agreeing(mine Fact, now engine.Time) []Fact {
	return quorum.Agreeing(m.facts, mine, m.agreement(now))
}

// Against counts the fresh reports that are not of a group.
func (m *Market) Against(group []Fact, now engine.Time) int64 {
	return quorum.Against(m.facts, group, m.agreement(now))
}

func (m *Market) agreement(now engine.Time) quorum.Terms {
	return quorum.Terms{Rule: &m.Template.Truth, Range: m.Max - m.Min, Now: now}
}

// TWAPWindow is the length of the average that counts, in seconds.
const TWAPWindow = 300

// LastPrices is what shares are worth in a market that is cancelled: the last
// five-minute averages, or the same for all.
func (m *Market) LastPrices(now engine.Time) []engine.Price {
	n := m.Outcomes()
	if m.Template.End.Uniform {
		return Uniform(n)
	}
	t := m.OpenTime(now)
	if len(m.Guards) == 1 {
		p := m.Guards[0].Mean(t, TWAPWindow)
		return []engine.Price{p, engine.One - p}
	}
	means := make([]engine.Price, n)
	for i := range m.Guards {
		means[i] = m.Guards[i].Mean(t, TWAPWindow)
	}
	return settle.Normalise(means)
}

// Cancelled returns how a market that is cancelled now ends, and what its shares
// pay.
func (m *Market) Cancelled(kind engine.CancelKind, now engine.Time) (engine.Ending, []engine.Price) {
	if kind == engine.CancelRefund {
		return engine.EndByRefund, []engine.Price{}
	}
	return engine.EndByPrice, m.LastPrices(now)
}

// Best returns the best resting bid and ask of an outcome, 0 for none.
func (m *Market) Best(outcome int) (bid, ask engine.Price) {
	b := m.Book(outcome)
	if p, ok := b.Best(true); ok {
		bid = p
	}
	if p, ok := b.Best(false); ok {
		ask = p
	}
	if m.Mirrored(outcome) {
		bid, ask = mirror(ask), mirror(bid)
	}
	return bid, ask
}

func mirror(p engine.Price) engine.Price {
	if p == 0 {
		return 0
	}
	return engine.One - p
}
