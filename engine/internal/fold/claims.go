package fold

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/settle"
)

// Span is the next range of holders that one decision works on: fewer where a
// market has many outcomes, because each holder's shares of all are taken back.
func (m *Market) Span() (from, to int) {
	n := max(1, min(engine.WorkLimit, 4*engine.WorkLimit/m.Outcomes()))
	return m.End.next, min(m.End.next+n, m.Balance.Holders())
}

// State is the one in which a market of this ending stays.
func (e *ending) State() engine.MarketState {
	if e.How == engine.EndByPrice || e.How == engine.EndByRefund {
		return engine.Canceled
	}
	return engine.Resolved
}

// Ratio scales what is due to what there is: ⌊d·min(1, (K+R)/Σd⁺)⌋.
func (e *ending) Ratio(d engine.Micros) engine.Micros {
	if e.How == engine.EndByOutcome || e.How == engine.EndByPrice {
		return d
	}
	return settle.Scale(d, e.pot+e.recovered, e.due)
}

// portions are the sums that shares of the liquidity are parts of, fixed when the
// market ends: what is paid later does not change them.
type portions struct {
	pools   engine.Micros // what the pools are worth
	units   engine.Shares
	fees    engine.Micros // for the liquidity
	earned  engine.Micros // Σ of what its providers earned
	creator engine.Micros // of the fees
}

// portion fixes the sums, at the present or at the effective time.
func (s *State) portion(m *Market) {
	p := &m.End.portions
	fees := m.End.fees
	pools := m.Balance.Pools()
	p.units = m.Balance.Units()
	if past := m.End.past; past != nil {
		pools, fees, p.units = past.Pools(s.pools[:0]), past.Fees(), past.Units()
	}
	p.pools = settle.Value(pools, m.End.Payouts)
	rule := &m.Template.Fee
	p.creator = engine.Micros(Scaled(engine.Shares(fees), engine.Price(rule.Creator), false))
	p.fees = min(m.lpHeld, engine.Micros(Scaled(engine.Shares(fees), engine.Price(rule.LP), false)))
	for i := range m.claims {
		m.claims[i].owed, m.claims[i].rate = m.earned(&m.claims[i]), m.lpRate
		p.earned += m.claims[i].owed
	}
}

// Due is what holder i gets out of the market, below zero what it got above
// that.
func (m *Market) Due(i int) engine.Micros {
	if m.End.How == engine.EndByRefund {
		return m.Balance.Net(i)
	}
	var shares [engine.MaxOutcomes]engine.Shares
	n, past, p := m.Outcomes(), m.End.past, &m.End.portions
	units := m.Balance.UnitsOf(i)
	if past != nil {
		units = past.UnitsOf(i)
	}
	for o := range n {
		if past != nil {
			shares[o] = past.Shares(i, o)
		} else {
			shares[o] = m.Balance.Shares(i, o)
		}
	}
	account := engine.AccountID(m.Balance.Holder(i))
	d := settle.Value(shares[:n], m.End.Payouts) + settle.Part(p.pools, int64(units), int64(p.units))
	if c := m.claim(account); c != nil {
		d += settle.Part(p.fees, int64(c.owed), int64(p.earned))
	}
	if account == m.Creator {
		d += p.creator
	}
	if past != nil {
		d -= past.Received(i)
	}
	return d
}

// claim returns what a provider earned, nil for others.
func (m *Market) claim(a engine.AccountID) *claim {
	if i, ok := m.claimOf[a]; ok {
		return &m.claims[i]
	}
	return nil
}

// earned is what a provider has earned of the fees so far.
func (m *Market) earned(c *claim) engine.Micros {
	units := engine.Shares(0)
	if i, ok := m.Balance.Index(uint32(c.account)); ok {
		units = m.Balance.UnitsOf(i)
	}
	return c.owed + settle.Accrued(int64(units), m.lpRate.Sub(c.rate))
}

// accrue spreads the liquidity's part of a fee over its units.
func (m *Market) accrue(fee engine.Micros) {
	if units := m.Balance.Units(); fee > 0 && units > 0 {
		m.lpHeld += fee
		q, _ := fixed.U128{Hi: uint64(fee)}.QuoRem(uint64(units)) //nolint:gosec // positive
		m.lpRate = m.lpRate.Add(q)
	}
}

// settleClaim brings a provider's claim up to date before its units change.
func (m *Market) settleClaim(a engine.AccountID) {
	c := m.claim(a)
	if c == nil {
		m.claimOf[a] = int32(len(m.claims)) //nolint:gosec // at most the number of accounts
		m.claims = append(m.claims, claim{account: a, rate: m.lpRate})
		return
	}
	c.owed, c.rate = m.earned(c), m.lpRate
}
