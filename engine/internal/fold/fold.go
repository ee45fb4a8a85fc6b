package fold

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/due"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/engine/internal/told"
)

func (s *State) orderFilled(d *engine.Decision, x *engine.OrderFilled) error {
	m, a := s.Market(x.Market), s.Account(x.Account)
	if m == nil || m.State != engine.Open || a == nil || !m.Kind.Has(x.Outcome, m.Outcomes()) {
		return fmt.Errorf("market %s cannot trade", x.Market)
	}
	for _, met := range x.Met {
		if err := s.shrink(d, m, uint64(met.Order), met.Shares); err != nil {
			return err
		}
	}
	before := append(s.pools[:0], m.Balance.Pools()...)
	if err := s.entry.Trade(x, m.Outcomes(), s.Orders); err != nil {
		return err
	}
	if err := s.post(d, m); err != nil {
		return err
	}
	if amm.ProductFell(before, m.Balance.Pools()) {
		return fmt.Errorf("%w: the product of market %s fell", ErrLedger, x.Market)
	}
	for i := range x.Fills {
		if f := &x.Fills[i]; f.Maker != 0 && s.Orders.Fill(m.Book(x.Outcome.Index()), uint64(f.Maker), f.Shares) {
			s.Due.Drop(DueExpiry, uint64(f.Maker))
		}
	}
	m.accrue(x.LPFee)
	m.Volume = engine.Micros(min(uint64(m.Volume)+uint64(x.Amount), 1<<62))
	if x.Shares > 0 {
		m.Trades++
	}
	s.traded(d, m, a, x)
	s.priced(m, d.At)
	return nil
}

// traded counts a trade in what watches for abuse.
func (s *State) traded(d *engine.Decision, m *Market, a *Account, x *engine.OrderFilled) {
	now := int64(d.At)
	if r := s.TradeRate(); r.Interval != 0 {
		a.Trades = r.Charge(a.Trades, now)
		a.Flags &^= TradeRateOn
	}
	if m.Template.Risk.SpikeMove != 0 && x.Shares > 0 {
		i, p := m.Watched(x.Outcome.Index(), x.PriceAfter)
		m.Spikes[i].Charge(m.SpikeParams(), now, p)
	}
	if (len(x.Met) != 0 || x.Own) && s.Policy.SelfTrades.Times != 0 {
		a.Attempts.Charge(s.SelfParams(), now)
	}
	if s.Policy.Wash.Times == 0 {
		return
	}
	for i := range x.Fills {
		f := &x.Fills[i]
		maker := s.Account(f.Account)
		if f.Maker == 0 || maker == nil {
			continue
		}
		for _, side := range [2]*Account{a, maker} {
			if side.Wash == nil {
				side.Wash = &guard.Wash{}
			}
		}
		sell := x.Side == engine.Sell
		a.Wash.Charge(s.WashParams(), now, PartyOf(m, x.Outcome.Index(), sell, f.Account, f.Shares, true))
		maker.Wash.Charge(s.WashParams(), now, PartyOf(m, x.Outcome.Index(), sell, x.Account, f.Shares, false))
	}
}

func (s *State) orderRested(d *engine.Decision, x *engine.OrderRested) error {
	m := s.Market(x.Market)
	if m == nil || s.Account(x.Account) == nil || !m.Kind.Has(x.Outcome, m.Outcomes()) || x.Shares < 1 || x.Limit < 1 || x.Limit >= engine.One {
		return fmt.Errorf("order %s does not fit", x.Order)
	}
	if _, exists := s.Orders.Get(uint64(x.Order)); exists {
		return fmt.Errorf("order %s exists", x.Order)
	}
	o := book.Order{
		ID: uint64(x.Order), Account: uint32(x.Account), Market: uint32(x.Market), Outcome: uint8(x.Outcome), Sell: x.Side == engine.Sell,
		TIF: uint8(x.TIF), Limit: x.Limit, Shares: x.Shares, Expires: int64(x.Expires),
	}
	b := m.Stand(&o)
	s.entry.Rest(x)
	if err := s.post(d, m); err != nil {
		return err
	}
	s.Orders.Add(b, o)
	if o.Expires != 0 {
		s.Due.Set(due.Entry{At: o.Expires, Kind: DueExpiry, ID: o.ID})
	}
	return nil
}

// shrink takes shares off a resting order and makes what was reserved for them
// available; an order without shares leaves the book.
func (s *State) shrink(d *engine.Decision, m *Market, id uint64, q engine.Shares) error {
	o, ok := s.Orders.Get(id)
	if !ok || q < 1 || q > o.Shares || o.Market != uint32(m.ID) {
		return fmt.Errorf("order %s has no %d shares", engine.OrderID(id), q)
	}
	b := m.Book(engine.Outcome(o.Outcome).Index())
	s.entry.Release(o, q)
	if err := s.post(d, m); err != nil {
		return err
	}
	if s.Orders.Reduce(b, id, q) {
		s.Due.Drop(DueExpiry, id)
	}
	return nil
}

func (s *State) ordersClosed(d *engine.Decision, x *engine.OrdersClosed) error {
	for i := range x.Orders {
		c := &x.Orders[i]
		m := s.Market(c.Market)
		if m == nil {
			return fmt.Errorf("order %s is of no market", c.Order)
		}
		if err := s.shrink(d, m, uint64(c.Order), c.Shares); err != nil {
			return err
		}
		if _, left := s.Orders.Get(uint64(c.Order)); left {
			return fmt.Errorf("order %s has more shares than the decision says", c.Order)
		}
		if m.Drain != 0 && m.Resting() == 0 {
			s.drained(m)
		}
	}
	return nil
}

func (s *State) orderReduced(d *engine.Decision, x *engine.OrderReduced) error {
	o, ok := s.Orders.Get(uint64(x.Order))
	m := s.Market(x.Market)
	if !ok || m == nil || x.Shares < 1 || x.Shares >= o.Shares {
		return fmt.Errorf("order %s cannot be reduced to %d", x.Order, x.Shares)
	}
	return s.shrink(d, m, uint64(x.Order), o.Shares-x.Shares)
}

func (s *State) marketEvent(d *engine.Decision, e engine.Event) error {
	switch x := e.(type) {
	case *engine.MarketStateChanged:
		if m := s.Market(x.Market); m != nil {
			return s.stateChanged(d, m, x)
		}
	case *engine.MarketClarified:
		if m := s.Market(x.Market); m != nil {
			s.Told.Add(uint32(x.Market), told.Text{Seq: uint64(d.Seq), At: int64(d.At), ID: x.Text})
			return nil
		}
	case *engine.CloseChanged:
		if m := s.Market(x.Market); m != nil && m.CloseAt == x.From {
			s.closes(m, x.To)
			return nil
		}
	case *engine.SetsSplit:
		if m := s.Market(x.Market); m != nil {
			s.entry.Sets(m.ID, m.Outcomes(), x.Account, x.Amount)
			return s.apply(d, m)
		}
	case *engine.SetsMerged:
		if m := s.Market(x.Market); m != nil {
			s.entry.Sets(m.ID, m.Outcomes(), x.Account, -x.Amount)
			return s.apply(d, m)
		}
	case *engine.LiquidityAdded:
		if m := s.Market(x.Market); m != nil && len(x.Taken) == m.Outcomes() {
			s.entry.Liquidity(x)
			return s.unitsMoved(d, m, x.Account)
		}
	case *engine.LiquidityRemoved:
		if m := s.Market(x.Market); m != nil && len(x.Given) == m.Outcomes() {
			s.entry.Withdrawal(x)
			return s.unitsMoved(d, m, x.Account)
		}
	case *engine.GuardTripped:
		return nil // the change of state goes with it
	case *engine.ResolutionDisputed:
		if m := s.Market(x.Market); m != nil {
			m.Disputes = append(m.Disputes, d.Principal)
			return nil
		}
	case *engine.Cooled:
		if m := s.Market(x.Market); m != nil {
			m.Cooling = x.Until
			return nil
		}
	case *engine.SLABreached:
		s.Due.Drop(DueSLA, uint64(x.Market))
		return nil
	default:
		return s.endingEvent(d, e)
	}
	return fmt.Errorf("%s does not fit", e.Type())
}

// unitsMoved is apply for a change of the liquidity: what its provider earned so
// far is reckoned before.
func (s *State) unitsMoved(d *engine.Decision, m *Market, a engine.AccountID) error {
	m.settleClaim(a, d.At)
	if err := s.apply(d, m); err != nil {
		return err
	}
	m.unitsChanged(d.At)
	return nil
}

// apply posts the entry, and notes the prices if the pools moved.
func (s *State) apply(d *engine.Decision, m *Market) error {
	if err := s.post(d, m); err != nil {
		return err
	}
	if m.State == engine.Open {
		s.priced(m, d.At)
	}
	return nil
}

func (s *State) endingEvent(d *engine.Decision, e engine.Event) error {
	switch x := e.(type) {
	case *engine.FactReported:
		if m := s.Market(x.Market); m != nil {
			m.reported(Fact{Principal: d.Principal, Outcome: x.Outcome, Value: x.Value, Cancel: x.Cancel, At: x.ObservedAt, Rule: x.RuleSHA256})
			return nil
		}
	case *engine.ResolutionProposed:
		if m := s.Market(x.Market); m != nil {
			_, reported := d.Command.(*engine.ReportFact)
			m.Proposal = proposal{*x, d.At, m.behind(d), reported}
			s.decidedOn(m, d.At)
			if sla := m.Template.Truth.SLA; sla != 0 {
				s.Due.Set(due.Entry{At: int64(d.At) + sla, Kind: DueSLA, ID: uint64(m.ID)})
			}
			return nil
		}
	case *engine.ResolutionApproved:
		if m := s.Market(x.Market); m != nil {
			m.Proposal.Backers = append(m.Proposal.Backers, d.Principal)
			s.decidedOn(m, d.At)
			return nil
		}
	case *engine.ResolutionRejected:
		if m := s.Market(x.Market); m != nil {
			s.Due.Drop(DueFinal, uint64(m.ID))
			s.Due.Drop(DueSLA, uint64(m.ID))
			m.Proposal, m.facts = proposal{}, nil
			return nil
		}
	case *engine.SettlementStarted:
		if m := s.Market(x.Market); m != nil && m.State == engine.Settling {
			return s.settlementStarted(d, m, x)
		}
	case *engine.SettlementStepped:
		if m := s.Market(x.Market); m != nil && m.State == engine.Settling && m.Drain == 0 {
			return s.settlementStepped(d, m, x)
		}
	}
	return fmt.Errorf("%s does not fit", e.Type())
}

// reported keeps a reporter's last word.
func (m *Market) reported(f Fact) {
	for i := range m.facts {
		if m.facts[i].Principal == f.Principal {
			m.facts[i] = f
			return
		}
	}
	m.facts = append(m.facts, f)
}

// behind lists the principals that stand behind a proposal: who made it, and the
// reporters that said the same.
func (m *Market) behind(d *engine.Decision) []string {
	out := []string{d.Principal}
	if _, reported := d.Command.(*engine.ReportFact); !reported {
		return out
	}
	mine := Fact{}
	for _, f := range m.facts {
		if f.Principal == d.Principal {
			mine = f
		}
	}
	for _, f := range m.Agreeing(mine, d.At) {
		if f.Principal != d.Principal {
			out = append(out, f.Principal)
		}
	}
	return out
}

// decidedOn sets when a proposal is final, once enough stand behind it.
func (s *State) decidedOn(m *Market, now engine.Time) {
	if int64(len(m.Proposal.Backers)) >= m.Needed(m.Proposal.Reported) {
		s.Due.Set(due.Entry{At: int64(max(m.Proposal.FinalAt, now)), Kind: DueFinal, ID: uint64(m.ID)})
	}
}

func (s *State) settlementStarted(d *engine.Decision, m *Market, x *engine.SettlementStarted) error {
	m.End = ending{
		How: x.Ending, Outcome: x.Outcome, Payouts: x.Payouts, evidence: x.EvidenceSHA256, effectiveAt: x.EffectiveAt,
		pot: m.Pot(), fees: m.Balance.Fees(), Phase: engine.PhasePay,
	}
	if x.Ending != engine.EndByRefund && len(x.Payouts) != m.Outcomes() || m.End.pot != x.Pot {
		return fmt.Errorf("the settlement of market %s does not fit", x.Market)
	}
	switch x.Ending {
	case engine.EndByVoid:
		m.End.Phase = engine.PhaseRewind
		return nil // any posting before the rewind could push what it needs out of the ring
	case engine.EndByRefund:
		m.End.Phase = engine.PhaseCollect
	default:
		s.portion(m)
	}
	return s.pooled(d, m)
}

// pooled puts fees and dust to the collateral.
func (s *State) pooled(d *engine.Decision, m *Market) error {
	s.entry.Pool(m.ID, m.Balance)
	return s.post(d, m)
}

func (s *State) settlementStepped(d *engine.Decision, m *Market, x *engine.SettlementStepped) error {
	e := &m.End
	if x.Phase != e.Phase || e.next+int(x.Work) > m.Balance.Holders() && x.Phase != engine.PhaseRewind {
		return fmt.Errorf("market %s is not at that step of its settlement", x.Market)
	}
	if x.Phase == engine.PhaseRewind {
		if e.past == nil {
			if e.past = m.Balance.Rewind(int64(e.effectiveAt)); e.past == nil {
				return fmt.Errorf("market %s does not remember %s", x.Market, e.effectiveAt)
			}
		}
		if !e.past.Step(int(x.Work)) {
			return nil
		}
		e.Phase = engine.PhaseCollect
		s.portion(m)
		return s.pooled(d, m)
	}
	sum := s.entry.Payments(x, m.Balance, e.next)
	if err := s.post(d, m); err != nil {
		return err
	}
	e.next += int(x.Work)
	if x.Phase == engine.PhaseCollect {
		e.due, e.recovered = e.due+x.Due, e.recovered-sum
		if x.Last {
			e.Phase, e.next = engine.PhasePay, 0
		}
	}
	return nil
}
