package core

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
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

// setAccountGroups puts an account into groups. The orders that it may not have any
// more leave the books in the same decision: there are at most as many as the policy
// lets an account have, which is within the work of one.
func (s *State) setAccountGroups(d *engine.Decision, x *engine.SetAccountGroups) {
	told := d.Principal == engine.System
	why := member.Fault(x.Groups, engine.MaxAccountGroups)
	switch {
	case why != "":
		d.Reject(engine.InvalidCommand, why)
		return
	case told != (x.ToldAt > 0) || x.ToldAt < 0:
		d.Reject(engine.InvalidCommand, "told_at goes with what an identity provider told")
		return
	case s.f.Account(x.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
		return
	case s.Erased(x.Account):
		d.Reject(engine.WrongState, "the account was erased")
		return
	}
	var was member.Groups
	if g := s.f.Roster.Of(uint32(x.Account)); g != nil {
		was = *g
	}
	switch {
	case told && x.ToldAt <= engine.Time(was.ToldAt):
		d.Reject(engine.WrongState, "the identity provider has told of the account since")
		return
	case !told && slices.Equal(x.Groups, was.Given):
		d.Reject(engine.AlreadyExists, "")
		return
	}
	at := min(x.ToldAt, d.At) // a provider whose clock is fast must not have the last word for long
	d.Add(&engine.AccountGroupsSet{Account: x.Account, Groups: x.Groups, ToldAt: at})
	of := s.f.Roster.With(uint32(x.Account), x.Groups, int64(at))
	e := &engine.OrdersClosed{Reason: engine.ByGroups}
	for o := range s.f.Orders.ByAccount(uint32(x.Account)) {
		if !s.f.Market(engine.MarketID(o.Market)).Gate.Admits(&of) {
			e.Orders = append(e.Orders, closed(o))
		}
	}
	if len(e.Orders) != 0 {
		d.Add(e)
	}
}

// siftAccounts bounds the accounts that one decision looks at whose orders may have to
// leave a book, and siftOrders the orders: some hundred µs, so that other markets trade
// on meanwhile.
const (
	siftAccounts = 10_000
	siftOrders   = 10 * engine.WorkLimit
)

// sifted cancels the next of a market's orders whose accounts may not trade it, in the
// order of the accounts.
func (s *State) sifted(d *engine.Decision, m *fold.Market) {
	closing, looked := &engine.OrdersClosed{Reason: engine.ByGroups}, 0
	next := max(m.Sift, 1)
	for last := next + siftAccounts; next < last && int(next) <= len(s.f.Accounts) && looked < siftOrders; next++ {
		if s.f.Orders.Count(uint32(next)) == 0 || s.f.Admits(m, next) {
			continue
		}
		for o := range s.f.Orders.ByAccount(uint32(next)) {
			looked++
			if o.Market == uint32(m.ID) && len(closing.Orders) < engine.WorkLimit {
				closing.Orders = append(closing.Orders, closed(o))
			}
		}
		if len(closing.Orders) == engine.WorkLimit { // it may have more: it is looked at again
			break
		}
	}
	if int(next) > len(s.f.Accounts) {
		next = 0
	}
	if len(closing.Orders) != 0 {
		d.Add(closing)
	}
	d.Add(&engine.MarketSifted{Market: m.ID, Next: next})
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
