package core

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/house"
	"github.com/mbp-market/mbp/engine/internal/look"
	"github.com/mbp-market/mbp/engine/internal/steward"
)

// Webhooks returns the endpoints on record, in the order of their registration.
func (s *State) Webhooks() []engine.Webhook { return slices.Clone(s.f.Webhooks) }

// Prices appends to dst[:0] the prices that pools have: they sum to exactly one
// credit.
func Prices(pools []engine.Shares, dst []engine.Price) []engine.Price {
	return amm.Prices(pools, dst)
}

// MarketCount returns how many markets there are; their ids are 1..MarketCount.
func (s *State) MarketCount() int { return len(s.f.Markets) }

// AccountCount returns how many accounts there are.
func (s *State) AccountCount() int { return len(s.f.Accounts) }

// Market returns what anybody may know of a market at a time.
func (s *State) Market(id engine.MarketID, now engine.Time) (engine.Market, bool) {
	l, ok := s.Look(id, now)
	return l.Market(), ok
}

// Look is a market as it stood at a time. What it tells then, and takes some hundred
// µs with 64 outcomes to work out, needs the state no more.
type Look = look.Glance

// Look returns what Market tells of a market, as fast as that can be.
func (s *State) Look(id engine.MarketID, now engine.Time) (Look, bool) { return look.At(s.f, id, now) }

// Account returns what an account holds; its markets in the order in which it
// first held anything of them.
func (s *State) Account(id engine.AccountID) (engine.Account, bool) { return look.Account(s.f, id) }

// Standing returns what an account holds, of its positions those in some markets.
func (s *State) Standing(id engine.AccountID, in ...engine.MarketID) (engine.Account, bool) {
	return look.Standing(s.f, id, in)
}

// Holder reports whether an account holds anything of a market, or ever did.
func (s *State) Holder(id engine.AccountID, m engine.MarketID) bool { return look.Holder(s.f, id, m) }

// Order returns an order that waits in the book.
func (s *State) Order(id engine.OrderID) (engine.OpenOrder, bool) { return look.Order(s.f, id) }

// Orders returns the orders of an account that wait, the oldest first.
func (s *State) Orders(id engine.AccountID) []engine.OpenOrder { return look.Orders(s.f, id) }

// Book returns the best n levels of an outcome's bids and asks.
func (s *State) Book(id engine.MarketID, o engine.Outcome, n int) (bids, asks []engine.BookLevel, ok bool) {
	return look.Book(s.f, id, o, n)
}

// Units returns the units of a market's liquidity that an account holds.
func (s *State) Units(id engine.AccountID, market engine.MarketID) engine.Shares {
	m := s.f.Market(market)
	if m == nil {
		return 0
	}
	if i, ok := m.Balance.Index(uint32(id)); ok {
		return m.Balance.UnitsOf(i)
	}
	return 0
}

// Templates returns the registered template versions in order.
func (s *State) Templates() []engine.Template {
	out := make([]engine.Template, len(s.f.Templates))
	for i, t := range s.f.Templates {
		out[i] = *t
	}
	return out
}

// Key returns what is known by a digest, if that is neither revoked nor expired.
func (s *State) Key(sha256 engine.Digest, now engine.Time) (engine.Key, bool) {
	k := s.f.Keys[sha256]
	if k == nil || !house.Valid(*k, now) {
		return engine.Key{}, false
	}
	return *k, true
}

// Revoked reports whether what a digest stood for was revoked.
func (s *State) Revoked(sha256 engine.Digest) bool {
	k, known := s.f.Keys[sha256]
	return known && k == nil
}

// Keys returns those of the keys in so many places that are not revoked, expired
// ones too. Keys have places from 1 on in the order in which they were added; it
// begins after one of them and says after which to go on, 0: there are no more.
func (s *State) Keys(after, places int) (keys []engine.Key, next int) {
	last := min(max(after, 0), len(s.f.Added)) + places
	for i := max(after, 0); i < min(last, len(s.f.Added)); i++ {
		if k := s.f.Keys[s.f.Added[i]]; k != nil {
			keys = append(keys, *k)
		}
	}
	if last < len(s.f.Added) {
		next = last
	}
	return keys, next
}

// FirstKey returns the digest of the key that the journal began with, whether it is still
// valid or not; zero before the first decision.
func (s *State) FirstKey() (first engine.Digest) {
	if len(s.f.Added) > 0 {
		first = s.f.Added[0]
	}
	return first
}

// Issued returns all credits ever granted. At any time they equal what accounts,
// markets and the platform hold.
func (s *State) Issued() engine.Micros { return s.f.Ledger.Issued() }

// Platform returns the income of the house.
func (s *State) Platform() engine.Micros { return s.f.Ledger.Platform() }

// House returns where all credits are. The ledger balances, so what nobody else has
// is the traders'.
func (s *State) House() engine.House {
	l, held := s.f.Ledger, s.f.Held
	return engine.House{
		Issued: l.Issued(), Accounts: l.Issued() - l.Platform() - held.Collateral - held.Fees - held.Rounding,
		Collateral: held.Collateral, Fees: held.Fees, Rounding: held.Rounding, Platform: l.Platform(),
	}
}

// Schedules returns the schedules of grants that are in force.
func (s *State) Schedules() []engine.ScheduleState { return steward.Schedules(s.f) }

// Seasons returns the seasons in the order of their starts.
func (s *State) Seasons() []engine.Season { return look.Seasons(s.f) }

// Standings returns the next standings of a season that ended, at most n from a place
// on, and the place to go on at, 0: there are no more. False if none of that name ended.
func (s *State) Standings(name string, from, n int) (lines []engine.Standing, next int, ok bool) {
	return look.Standings(s.f, name, from, n)
}

// RankIn returns the standing of an account in a season that ended, whether or not it
// is shown to others; false if it has none.
func (s *State) RankIn(name string, id engine.AccountID) (engine.Standing, bool) {
	return look.RankIn(s.f, name, id)
}

// Profits appends what accounts from one on have won or lost in the season that runs, as
// far as one short look goes, without ranks and in the order of the accounts, and returns
// the account to go on at, 0: there are no more. False where no season runs whose begin
// is counted.
func (s *State) Profits(from engine.AccountID, dst []engine.Standing) (lines []engine.Standing, next engine.AccountID, ok bool) {
	return look.Profits(s.f, from, dst)
}

// Counting returns the seasons that the count under way is of, the one that ends and the
// one that begins, "" for none.
func (s *State) Counting() (ends, begins string) {
	if c := s.f.Seasons.Counting(); c != nil {
		ends, begins = c.Seasons()
	}
	return ends, begins
}

// Running returns the name of the season that runs, "" if none does.
func (s *State) Running() string {
	if x := s.f.Seasons.Running(); x != nil {
		return x.Name
	}
	return ""
}

// Ranked reports whether an account may stand in standings, and whether it would if
// nothing but its own will mattered; false if there is no such account.
func (s *State) Ranked(id engine.AccountID) (ranked, wanted, known bool) {
	a := s.f.Account(id)
	return s.f.Ranked(id), a != nil && !a.Unranked, a != nil
}
