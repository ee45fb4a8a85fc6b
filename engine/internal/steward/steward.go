// Package steward decides about accounts what nobody trades by: which groups they are
// in, which orders those shut out, and what is granted by the calendar.
//
// It promises: the same events for the same state; pieces of work that one decision can
// bear, each account in them once; nothing is changed by deciding. It refuses to fold
// and to know who may ask: package core calls it, with the command of one decision. The
// rules are ADR-011's and those of engine.GrantSchedule.
package steward

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/member"
)

// Closed is an order as the event of its leaving the book names it.
func Closed(o *book.Order) engine.ClosedOrder {
	return engine.ClosedOrder{
		Order: engine.OrderID(o.ID), Account: engine.AccountID(o.Account), Market: engine.MarketID(o.Market), Shares: o.Shares,
	}
}

// SetAccountGroups puts an account into groups. The orders that it may not have any
// more leave the books in the same decision: there are at most as many as the policy
// lets an account have, which is within the work of one.
func SetAccountGroups(s *fold.State, d *engine.Decision, x *engine.SetAccountGroups) {
	told := d.Principal == engine.System
	why := member.Fault(x.Groups, engine.MaxAccountGroups)
	switch {
	case why != "":
		d.Reject(engine.InvalidCommand, why)
		return
	case told != (x.ToldAt > 0) || x.ToldAt < 0:
		d.Reject(engine.InvalidCommand, "told_at goes with what an identity provider told")
		return
	case s.Account(x.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
		return
	case s.Told.Erased(uint32(x.Account)):
		d.Reject(engine.WrongState, "the account was erased")
		return
	}
	var was member.Groups
	if g := s.Roster.Of(uint32(x.Account)); g != nil {
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
	of := s.Roster.With(uint32(x.Account), x.Groups, int64(at))
	e := &engine.OrdersClosed{Reason: engine.ByGroups}
	for o := range s.Orders.ByAccount(uint32(x.Account)) {
		if !s.Market(engine.MarketID(o.Market)).Gate.Admits(&of) {
			e.Orders = append(e.Orders, Closed(o))
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

// Sifted cancels the next of a market's orders whose accounts may not trade it, in the
// order of the accounts.
func Sifted(s *fold.State, d *engine.Decision, m *fold.Market) {
	closing, looked := &engine.OrdersClosed{Reason: engine.ByGroups}, 0
	next := max(m.Sift, 1)
	for last := next + siftAccounts; next < last && int(next) <= len(s.Accounts) && looked < siftOrders; next++ {
		if s.Orders.Count(uint32(next)) == 0 || s.Admits(m, next) {
			continue
		}
		for o := range s.Orders.ByAccount(uint32(next)) {
			looked++
			if o.Market == uint32(m.ID) && len(closing.Orders) < engine.WorkLimit {
				closing.Orders = append(closing.Orders, Closed(o))
			}
		}
		if len(closing.Orders) == engine.WorkLimit { // it may have more: it is looked at again
			break
		}
	}
	if int(next) > len(s.Accounts) {
		next = 0
	}
	if len(closing.Orders) != 0 {
		d.Add(closing)
	}
	d.Add(&engine.MarketSifted{Market: m.ID, Next: next})
}
