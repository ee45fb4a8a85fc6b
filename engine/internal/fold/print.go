package fold

import (
	"crypto/sha256"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/dump"
)

// Print is a digest of some of a state: of an account, of everything of a market
// that does not grow with its holders and its history, and of what the account has
// there. It costs microseconds, so that a writer can show a few all the time.
type Print struct {
	Account engine.AccountID
	Market  engine.MarketID
	Sum     engine.Tag // the first half of a SHA-256
}

// Print takes the print of an account and a market; what does not exist has nothing
// in it.
func (s *State) Print(a engine.AccountID, id engine.MarketID) Print {
	h := sha256.New()
	c := coder{dump.To(h), s}
	available, reserved := s.Ledger.Available(uint32(a)), s.Ledger.Reserved(uint32(a))
	orders := uint64(s.Orders.Count(uint32(a)))
	signed(c, &available, &reserved)
	if num(c, &orders); s.Account(a) != nil {
		c.account(s.Account(a))
	}
	if m := s.Market(id); m != nil {
		c.glance(m)
		free, held := engine.Shares(0), engine.Shares(0)
		for o := range m.Outcomes() {
			free, held = m.Held(a, o)
			signed(c, &free, &held)
		}
	}
	_ = c.Close() // a hash takes what it gets
	return Print{Account: a, Market: id, Sum: engine.Tag(h.Sum(nil)[:16])}
}

// glance codes what is one number of a market.
func (c coder) glance(m *Market) {
	b, resting := m.Balance, uint64(m.Resting())
	funds := [...]engine.Micros{b.Collateral(), b.Fees(), b.Rounding(), m.Volume, m.lpHeld}
	for i := range funds {
		signed(c, &funds[i])
	}
	for o := range m.Outcomes() {
		pool, supply := b.Pools()[o], b.Supply(o)
		signed(c, &pool, &supply)
	}
	num(c, &resting)
	num(c, &m.State)
	num(c, &m.Flags)
	signed(c, &m.since, &m.Cooling, &m.CloseAt)
	signed(c, &m.open, &m.Rate, &m.Trades)
	for i := range m.Prices {
		signed(c, &m.Prices[i])
	}
	c.wide(&m.lpRate)
	c.Form(&m.Burst)
	for i := range m.Guards {
		c.Form(&m.Guards[i])
		c.Form(&m.Spikes[i])
	}
}

// Overdue reports whether a market has waited too long for its outcome, and still
// waits: its deadline for that has come and nothing has set another.
func (s *State) Overdue(m *Market) bool {
	waits := m.State == engine.Closed || m.State == engine.Proposed || m.State == engine.Disputed
	_, set := s.Due.At(DueSLA, uint64(m.ID))
	return waits && m.Template.Truth.SLA != 0 && !set
}
