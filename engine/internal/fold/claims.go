package fold

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/posting"
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
	p.creator = engine.Micros(posting.Scaled(engine.Shares(fees), engine.Price(rule.Creator), false))
	p.fees = min(m.lpHeld, engine.Micros(posting.Scaled(engine.Shares(fees), engine.Price(rule.LP), false)))
	for i := range m.claims {
		c := &m.claims[i]
		if m.End.past != nil {
			c.owed = m.earnedThen(c)
		} else {
			c.owed = m.earned(c)
		}
		c.rate = m.lpRate
		p.earned += c.owed
	}
}

// earnedThen is what a provider had earned of the fees at the effective time. How
// far the fees per unit had come since the units changed last follows from the
// fees that were held.
func (m *Market) earnedThen(c *claim) engine.Micros {
	then := m.End.effectiveAt
	mine, known := last(c.past, then)
	all, _ := last(m.marks, then)
	i, holds := m.Balance.Index(uint32(c.account))
	if !known || !holds || all.of < 1 {
		return 0
	}
	since := posting.Scaled(engine.Shares(m.End.past.Fees()-all.sum), engine.Price(m.Template.Fee.LP), false)
	grown, _ := fixed.U128{Hi: uint64(since)}.QuoRem(uint64(all.of))
	return mine.sum + settle.Accrued(int64(m.End.past.UnitsOf(i)), all.rate.Add(grown).Sub(mine.rate))
}

// last returns the newest mark at or before a time.
func last(marks []mark, t engine.Time) (mark, bool) {
	for i := len(marks) - 1; i >= 0; i-- {
		if marks[i].at <= t {
			return marks[i], true
		}
	}
	return mark{}, false
}

// remembers is how long, in µs, a market knows what it was.
func remembers(t *engine.Template) int64 {
	if t.End.VoidWindow == 0 {
		return 24 * 3600 * engine.One
	}
	return t.End.VoidWindow
}

// noted adds a mark, and forgets those that no effective time can need any more.
func (m *Market) noted(marks []mark, x mark) []mark {
	for len(marks) > 1 && int64(x.at-marks[1].at) > remembers(m.Template) {
		marks = marks[1:]
	}
	if n := len(marks); n > 0 && marks[n-1].at == x.at { // nothing comes between two of one time
		marks = marks[:n-1]
	}
	return append(marks, x)
}

// unitsChanged marks the market after its units changed.
func (m *Market) unitsChanged(now engine.Time) {
	m.marks = m.noted(m.marks, mark{now, m.lpRate, m.Balance.Fees(), m.Balance.Units()})
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
			shares[o] = m.Balance.Shares(i, o) + m.Balance.Held(i, o) // nothing waits any more when it pays
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
		q, _ := fixed.U128{Hi: uint64(fee)}.QuoRem(uint64(units))
		m.lpRate = m.lpRate.Add(q)
	}
}

// settleClaim brings a provider's claim up to date before its units change.
func (m *Market) settleClaim(a engine.AccountID, now engine.Time) {
	c := m.claim(a)
	if c == nil {
		m.claimOf[a] = int32(len(m.claims))
		m.claims = append(m.claims, claim{account: a, rate: m.lpRate})
		c = &m.claims[len(m.claims)-1]
	}
	c.owed, c.rate = m.earned(c), m.lpRate
	c.past = m.noted(c.past, mark{at: now, rate: c.rate, sum: c.owed})
}
