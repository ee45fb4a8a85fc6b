package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/steward"
)

// settle does the next piece of a market's bulk work: first its orders leave the
// book, then the phases of its settlement follow, each holder once.
func (s *State) settle(d *engine.Decision, x *engine.SettleMarket) {
	m := s.f.Market(x.Market)
	switch {
	case m == nil:
		d.Reject(engine.MarketNotFound, "")
	case d.Principal != engine.System || m.Drain == 0 && m.State != engine.Settling:
		d.Reject(engine.WrongState, "")
	case m.Drain == engine.ByGroups:
		steward.Sifted(s.f, d, m)
	case m.Drain != 0:
		d.Add(s.drained(m))
	case m.End.Phase == engine.PhaseRewind:
		d.Add(rewound(m))
	case m.End.Phase == engine.PhaseCollect:
		d.Add(s.collected(m))
	default:
		s.paid(d, m)
	}
}

// drained takes the next orders out of the market's books.
func (s *State) drained(m *fold.Market) *engine.OrdersClosed {
	e := &engine.OrdersClosed{Reason: m.Drain}
	for i := range m.Books {
		for _, bid := range [2]bool{true, false} {
			for c := s.f.Orders.Cursor(&m.Books[i], bid); len(e.Orders) < engine.WorkLimit; {
				o, ok := c.Next()
				if !ok {
					break
				}
				e.Orders = append(e.Orders, steward.Closed(o))
			}
		}
	}
	return e
}

// rewound goes back to the effective time, some movements at a time.
func rewound(m *fold.Market) *engine.SettlementStepped {
	return &engine.SettlementStepped{Market: m.ID, Payouts: []engine.Payout{}, Phase: engine.PhaseRewind, Work: engine.WorkLimit}
}

// collected adds up what the next holders are due, and recovers what those
// received above it, as far as they have it available.
func (s *State) collected(m *fold.Market) *engine.SettlementStepped {
	from, to := m.Span()
	e := &engine.SettlementStepped{Market: m.ID, Payouts: []engine.Payout{}, Phase: engine.PhaseCollect, Work: uint32(to - from), Last: to == m.Balance.Holders()}
	claw := m.End.How == engine.EndByVoid || m.Template.End.Clawback
	for i := from; i < to; i++ {
		due, account := m.Due(i), m.Balance.Holder(i)
		if due > 0 {
			e.Due += due
		} else if back := min(-due, s.f.Ledger.Available(account)); back > 0 && claw {
			e.Payouts = append(e.Payouts, engine.Payout{Account: engine.AccountID(account), Credits: -back})
		}
	}
	return e
}

// paid pays the next holders; the last decision ends the market.
func (s *State) paid(d *engine.Decision, m *fold.Market) {
	from, to := m.Span()
	e := &engine.SettlementStepped{Market: m.ID, Payouts: []engine.Payout{}, Phase: engine.PhasePay, Work: uint32(to - from), Last: to == m.Balance.Holders()}
	sum := engine.Micros(0)
	for i := from; i < to; i++ {
		if due := m.End.Ratio(m.Due(i)); due > 0 {
			e.Payouts = append(e.Payouts, engine.Payout{Account: engine.AccountID(m.Balance.Holder(i)), Credits: due})
			sum += due
		}
	}
	d.Add(e)
	if e.Last {
		e.Swept = m.Balance.Collateral() - sum
		m.Move(d, m.End.State(), false)
	}
}
