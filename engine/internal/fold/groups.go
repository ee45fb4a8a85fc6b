package fold

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/member"
)

// Admits reports whether the groups of an account let it trade a market.
func (s *State) Admits(m *Market, a engine.AccountID) bool {
	return m.Gate.Open() || m.Gate.Admits(s.Roster.Of(uint32(a)))
}

// groupsEvent folds who may trade what; done says that it was such an event.
func (s *State) groupsEvent(d *engine.Decision, e engine.Event) (done bool, err error) {
	switch x := e.(type) {
	case *engine.MarketGroupsSet:
		m := s.Market(x.Market)
		if m == nil || x.Sift && m.Drain != 0 {
			return true, fmt.Errorf("the groups of market %s do not fit", x.Market)
		}
		m.Gate = member.Gate{Allow: x.Allow, Deny: x.Deny}
		if x.Sift {
			m.Drain, m.Sift = engine.ByGroups, 1
			s.owes(m)
		}
	case *engine.MarketSifted:
		m := s.Market(x.Market)
		if m == nil {
			return true, fmt.Errorf("market %s cannot be sifted", x.Market)
		}
		if m.Drain != engine.ByGroups { // nothing waits there any more
			return true, nil
		}
		if m.Sift = x.Next; m.Sift == 0 {
			s.drained(m)
		}
	case *engine.AccountGroupsSet:
		if s.Account(x.Account) == nil {
			return true, fmt.Errorf("there is no account %s", x.Account)
		}
		s.Roster.Set(uint32(x.Account), x.Groups, int64(x.ToldAt))
	default:
		return s.grantEvent(d, e)
	}
	return true, nil
}

// drained ends the cancelling of a market's orders.
func (s *State) drained(m *Market) {
	if m.Drain, m.Sift = 0, 0; m.State != engine.Settling {
		s.finished(m)
	}
}
