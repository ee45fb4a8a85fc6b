package core

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/member"
)

// gated returns what is wrong with the groups of a market.
func gated(allow, deny []string) string {
	for _, groups := range [2][]string{allow, deny} {
		if why := member.Fault(groups, engine.MaxMarketGroups); why != "" {
			return why
		}
	}
	return ""
}

// openMarketFor makes a market with its groups in one decision: nobody trades it before
// they hold.
func (s *State) openMarketFor(d *engine.Decision, x *engine.OpenMarketFor) {
	if why := gated(x.Allow, x.Deny); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	if s.openMarket(d, &x.Market); d.Code == engine.OK {
		d.Add(&engine.MarketGroupsSet{Market: engine.MarketID(len(s.f.Markets) + 1), Allow: x.Allow, Deny: x.Deny})
	}
}

func (s *State) setMarketGroups(d *engine.Decision, x *engine.SetMarketGroups) {
	if why := gated(x.Allow, x.Deny); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	m := s.in(d, x.Market, x)
	if m == nil {
		return
	}
	gate := member.Gate{Allow: x.Allow, Deny: x.Deny}
	switch {
	case m.Drain != 0:
		d.Reject(engine.Draining, "")
	case slices.Equal(gate.Allow, m.Gate.Allow) && slices.Equal(gate.Deny, m.Gate.Deny):
		d.Reject(engine.AlreadyExists, "")
	default:
		d.Add(&engine.MarketGroupsSet{Market: x.Market, Allow: x.Allow, Deny: x.Deny, Sift: !gate.Open() && m.Resting() != 0})
	}
}

// GroupName reports whether a group can have this name.
func GroupName(s string) bool { return member.Name(s) }

// Groups returns which groups an account is in, false if there is no such account.
func (s *State) Groups(id engine.AccountID) (engine.AccountGroups, bool) {
	v := engine.AccountGroups{Account: id, Given: []string{}, Told: []string{}}
	if g := s.f.Roster.Of(uint32(id)); g != nil {
		v.Given, v.Told, v.ToldAt = append(v.Given, g.Given...), append(v.Told, g.Told...), engine.Time(g.ToldAt)
	}
	return v, s.f.Account(id) != nil
}

// MarketGroups returns who may trade a market, false if there is no such market.
func (s *State) MarketGroups(id engine.MarketID) (engine.MarketGroups, bool) {
	v := engine.MarketGroups{Market: id, Allow: []string{}, Deny: []string{}}
	m := s.f.Market(id)
	if m != nil {
		v.Allow, v.Deny = append(v.Allow, m.Gate.Allow...), append(v.Deny, m.Gate.Deny...)
	}
	return v, m != nil
}

// Tradable reports whether an account, 0 for nobody in particular, may trade a market
// at a time.
func (s *State) Tradable(id engine.MarketID, a engine.AccountID, now engine.Time) bool {
	if a != 0 && s.f.Account(a) == nil {
		return false
	}
	code, _ := s.tradable(max(now, s.f.At), s.f.Market(id), a)
	return code == engine.OK
}
