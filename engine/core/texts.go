package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/house"
)

// allowText takes what the edge found as it is; nothing in the state depends on it.
func allowText(d *engine.Decision, x *engine.AllowText) {
	if why := fault.AllowText(x); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	d.Add(&engine.TextsAllowed{For: x.For, Texts: x.Texts})
}

func (s *State) clarify(d *engine.Decision, x *engine.ClarifyMarket) {
	m := s.in(d, x.Market, x)
	switch {
	case m == nil:
	case x.Text == engine.Digest{}:
		d.Reject(engine.InvalidCommand, "text_id is missing")
	case len(s.f.Told.Texts(uint32(m.ID))) >= engine.MaxClarifications:
		d.Reject(engine.LimitReached, "the market has 16 clarifications")
	default:
		d.Add(&engine.MarketClarified{Market: x.Market, Number: int64(len(s.f.Told.Texts(uint32(m.ID)))) + 1, Text: x.Text})
	}
}

func (s *State) noteDecision(d *engine.Decision, x *engine.NoteDecision) {
	switch {
	case x.Text == engine.Digest{}:
		d.Reject(engine.InvalidCommand, "text_id is missing")
	case x.Decision == 0 || x.Decision >= d.Seq:
		d.Reject(engine.NotFound, "there is no decision at that sequence yet")
	default:
		d.Add(&engine.DecisionNoted{Decision: x.Decision, Text: x.Text})
	}
}

// erasePerson ends an account. Its orders go with it: at most the policy's
// max_open_orders.
func (s *State) erasePerson(d *engine.Decision, x *engine.ErasePerson) {
	switch {
	case s.f.Account(x.Account) == nil:
		d.Reject(engine.AccountNotFound, "")
		return
	case s.Erased(x.Account):
		d.Reject(engine.WrongState, "the account was erased before")
		return
	}
	e, last := &engine.PersonErased{Account: x.Account}, house.Admins(s.f)
	for _, digest := range s.f.Added {
		k := s.f.Keys[digest]
		if k == nil || k.Account != x.Account {
			continue
		}
		if house.Lasting(*k) {
			if last--; last == 0 {
				d.Reject(engine.LastAdmin, "")
				return
			}
		}
		if len(e.Keys) == engine.MaxErasedKeys {
			d.Reject(engine.LimitReached, "the account has more than 256 keys; revoke some before")
			return
		}
		e.Keys = append(e.Keys, digest)
	}
	if s.cancelAll(d, &engine.CancelAll{Account: x.Account}); d.Code == engine.OK {
		d.Add(e)
	}
}

// Erased reports whether an account is nobody's any more.
func (s *State) Erased(id engine.AccountID) bool { return s.f.Told.Erased(uint32(id)) }

// Erasures returns the accounts that were erased, in order, but for the first so many.
func (s *State) Erasures(after int) (ids []engine.AccountID) {
	for _, a := range s.f.Told.Erasures(after) {
		ids = append(ids, engine.AccountID(a))
	}
	return ids
}

// KeysOf returns the keys of an account that are not revoked. It looks at every key.
func (s *State) KeysOf(id engine.AccountID) (keys []engine.Key) {
	for _, digest := range s.f.Added {
		if k := s.f.Keys[digest]; k != nil && k.Account == id {
			keys = append(keys, *k)
		}
	}
	return keys
}
