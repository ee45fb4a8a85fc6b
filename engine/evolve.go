package engine

import (
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/repeat"
)

// ErrFold wraps every error of Evolve: the decision does not follow from the
// state it meets. The state is not usable any more; the log is damaged or was
// written by something else.
var ErrFold = errors.New("decision does not fold")

// Evolve folds a decision into the state. Decisions come in order, without gaps.
// It never decides: what was decided stands, whatever today's rules say.
func (s *State) Evolve(d *Decision) error {
	if err := s.evolve(d); err != nil {
		return fmt.Errorf("%w: sequence %d: %w", ErrFold, d.Seq, err)
	}
	return nil
}

func (s *State) evolve(d *Decision) error {
	if d.Seq != s.seq+1 {
		return fmt.Errorf("it comes after sequence %d", s.seq)
	}
	if d.At < s.at {
		return fmt.Errorf("its time %s is before %s", d.At, s.at)
	}
	s.seq, s.at = d.Seq, d.At
	if d.Key != (Tag{}) {
		s.repeats.Remember(d.Key, repeat.Entry{Input: d.Input, Seq: uint64(d.Seq), At: int64(d.At)})
	}
	if x, isOrder := d.Command.(*PlaceOrder); isOrder {
		s.charge(d, x)
	}
	for _, e := range d.Events {
		if err := s.event(d, e); err != nil {
			return err
		}
	}
	return nil
}

// charge counts an order against the rate of its account. Orders that the rate
// itself refused do not count, or a flood could keep its account shut for ever.
func (s *State) charge(d *Decision, x *PlaceOrder) {
	a := s.account(x.Account)
	if a == nil || d.Code == RateLimited {
		return
	}
	a.tat = s.rate().Charge(a.tat, int64(d.At))
	a.flagged = false
}

func (s *State) event(d *Decision, e Event) error {
	switch x := e.(type) {
	case *PolicySet:
		s.policy, s.init = x.Policy, true
		return nil
	case *TemplateAdded:
		s.templates = append(s.templates, x.Template)
		return nil
	case *KeyAdded:
		k := x.Key
		s.keys[k.SHA256] = &k
		s.added = append(s.added, k.SHA256)
		return nil
	case *KeyRevoked:
		s.keys[x.SHA256] = nil
		return nil
	case *AccountOpened:
		if int(x.Account) != len(s.accounts)+1 {
			return fmt.Errorf("account %s is not the next one", x.Account)
		}
		s.accounts = append(s.accounts, account{})
		return nil
	case *CreditsGranted:
		return s.post(x)
	case *MarketOpened:
		return s.opened(d, x)
	case *AbuseRaised:
		if a := s.account(x.Account); a != nil {
			a.flagged = true
		}
		return nil
	}
	return s.marketEvent(d, e)
}

func (s *State) opened(d *Decision, x *MarketOpened) error {
	t := s.template(x.Template)
	if int(x.Market) != len(s.markets)+1 || t == nil || s.account(x.Creator) == nil {
		return fmt.Errorf("market %s does not fit", x.Market)
	}
	own := *t
	m := &market{
		id: x.Market, template: &own, title: x.Title, creator: x.Creator, liquidity: x.Liquidity, closeAt: x.CloseAt,
		state: Open, index: map[AccountID]int32{},
	}
	s.markets = append(s.markets, m)
	if err := s.post(x); err != nil {
		return err
	}
	if m.pool.Own < 1 || m.pool.Other < 1 {
		return fmt.Errorf("market %s has an empty pool", x.Market)
	}
	m.twap.Start(int64(d.At), x.Price)
	return nil
}

func (s *State) marketEvent(d *Decision, e Event) error {
	switch x := e.(type) {
	case *MarketStateChanged:
		return s.stateChanged(x)
	case *OrderFilled:
		return s.filled(d, x)
	case *ResolutionProposed:
		if m := s.market(x.Market); m != nil && x.Outcome <= No {
			m.resolution = resolution{outcome: x.Outcome, evidence: x.EvidenceSHA256, proposer: d.Principal}
			return nil
		}
	case *ResolutionApproved:
		if m := s.market(x.Market); m != nil {
			m.resolution.decided = true
			return nil
		}
	case *ResolutionRejected:
		if m := s.market(x.Market); m != nil {
			m.resolution = resolution{}
			return nil
		}
	case *PayoutsMade:
		if m := s.market(x.Market); m != nil && m.state == Settling {
			m.resolution.paid += len(x.Payouts)
			return s.post(x)
		}
	}
	return fmt.Errorf("%s does not fit", e.Type())
}

func (s *State) stateChanged(x *MarketStateChanged) error {
	m := s.market(x.Market)
	if m == nil || m.state != x.From || x.To < Open || x.To > Resolved {
		return fmt.Errorf("market %s cannot go from %s to %s", x.Market, x.From, x.To)
	}
	m.state = x.To
	switch x.To {
	case Settling:
		s.settling = append(s.settling, x.Market)
	case Resolved:
		if m.collateral != 0 || m.supply != [2]Shares{} {
			return fmt.Errorf("%w: market %s ends with %d of collateral", ErrLedger, x.Market, m.collateral)
		}
		for i, id := range s.settling {
			if id == x.Market {
				s.settling = append(s.settling[:i], s.settling[i+1:]...)
				break
			}
		}
	}
	return nil
}

func (s *State) filled(d *Decision, x *OrderFilled) error {
	m := s.market(x.Market)
	if m == nil || m.state != Open || x.Outcome > No {
		return fmt.Errorf("market %s cannot trade", x.Market)
	}
	before := m.pool.Product()
	if err := s.post(x); err != nil {
		return err
	}
	if m.pool.Own < 1 || m.pool.Other < 1 || m.pool.Product().Less(before) {
		return fmt.Errorf("%w: the product of market %s fell", ErrLedger, x.Market)
	}
	if m.pool.Own != x.PoolYes || m.pool.Other != x.PoolNo {
		return fmt.Errorf("the pool of market %s is not what the decision says", x.Market)
	}
	m.volume = Micros(min(uint64(m.volume)+uint64(x.Amount), 1<<62))
	m.trades++
	yes, _ := m.pool.Prices()
	m.twap.Set(int64(d.At), yes)
	return nil
}
