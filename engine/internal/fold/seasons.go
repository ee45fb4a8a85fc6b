package fold

import (
	"fmt"
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/due"
	"github.com/mbp-market/mbp/engine/internal/ledger"
	"github.com/mbp-market/mbp/engine/internal/season"
	"github.com/mbp-market/mbp/engine/internal/settle"
)

// seasonEvent folds what becomes of seasons; done says that it was such an event.
func (s *State) seasonEvent(d *engine.Decision, e engine.Event) (done bool, err error) {
	fits := true
	switch x := e.(type) {
	case *engine.SeasonOpened:
		s.Seasons.Add(x.Name, int64(x.Start), int64(x.End))
	case *engine.SeasonStopped:
		fits = s.Seasons.Stop(x.Name, int64(d.At))
	case *engine.SeasonTurned:
		fits = int(x.Last) <= len(s.Accounts) && s.Seasons.Turn(x.Ends, x.Begins, int64(d.At), uint32(x.Last))
	case *engine.SeasonCounted:
		fits = s.Seasons.Count(&season.Piece{
			From: uint32(x.From), Worth: x.Values, Next: uint32(x.Next), Markets: x.Markets, Part: x.Part, Erased: s.Told.Erased,
			Unranked: func(a uint32) bool {
				_, is := slices.BinarySearch(x.Unranked, engine.AccountID(a))
				return is
			},
		})
	case *engine.RankingSet:
		s.ranking(x.Account)
		if a := s.Account(x.Account); a != nil {
			a.Unranked = !x.Ranked
		}
	default:
		return false, nil
	}
	if !fits {
		return true, fmt.Errorf("%s does not fit", e.Type())
	}
	s.Due.Drop(DueSeason, 0)
	if at, waits := s.Seasons.Next(); waits {
		s.Due.Set(due.Entry{At: at, Kind: DueSeason})
	}
	return true, nil
}

// before keeps what the accounts of the entry had, before it is posted, for the count
// that is under way; m is the market that it is of, nil for none.
func (s *State) before(m *Market) {
	c := s.Seasons.Counting()
	if m != nil {
		s.marked(m)
	}
	for i := range s.entry.P {
		a := s.entry.P[i].Account
		if a.Kind != ledger.Available && a.Kind != ledger.Reserved || !c.Waits(a.ID) {
			continue
		}
		if _, kept := c.Kept(a.ID, 0); !kept {
			c.Keep(a.ID, 0, s.Ledger.Available(a.ID)+s.Ledger.Reserved(a.ID))
		}
		if m == nil {
			continue
		}
		if _, kept := c.Kept(a.ID, uint32(m.ID)); !kept {
			c.Keep(a.ID, uint32(m.ID), m.Worth(engine.AccountID(a.ID), c.Marked(uint32(m.ID))))
		}
	}
}

// marked keeps what a market was worth, before it changes, for the count that is under
// way.
func (s *State) marked(m *Market) {
	if c := s.Seasons.Counting(); c != nil && c.Marked(uint32(m.ID)) == nil {
		mark := &season.Mark{}
		if !m.pays() {
			*mark = season.Mark{Prices: slices.Clone(m.Prices), Pools: settle.Value(m.Balance.Pools(), m.Prices), Units: m.Balance.Units()}
		}
		c.Mark(uint32(m.ID), mark)
	}
}

// pays reports whether the market is paying what its shares are due, which is known.
func (m *Market) pays() bool {
	return m.State == engine.Settling && (m.End.How == engine.EndByOutcome || m.End.How == engine.EndByPrice)
}

// Worth is what an account's part of a market is worth: its shares at the published
// prices, those for open sales too, and its part of the pools; once the market pays by
// its outcome or by prices, what it is due. Fees that a market holds count when it pays
// them. at is the market as it was when nothing of the account's was another; nil: as
// it is.
func (m *Market) Worth(a engine.AccountID, at *season.Mark) engine.Micros {
	i, holds := m.Balance.Index(uint32(a))
	if !holds || at == nil && (m.State == engine.Resolved || m.State == engine.Canceled) {
		return 0
	}
	prices := m.Prices
	if at != nil {
		prices = at.Prices
	}
	if at == nil && m.pays() || at != nil && prices == nil {
		if m.End.Phase == engine.PhasePay && i < m.End.next {
			return 0
		}
		return m.Due(i)
	}
	var shares [engine.MaxOutcomes]engine.Shares
	n := m.Outcomes()
	for o := range n {
		shares[o] = m.Balance.Shares(i, o) + m.Balance.Held(i, o)
	}
	worth, units := settle.Value(shares[:n], prices), int64(m.Balance.UnitsOf(i))
	if units != 0 && at == nil {
		worth += settle.Part(settle.Value(m.Balance.Pools(), prices), units, int64(m.Balance.Units()))
	} else if units != 0 {
		worth += settle.Part(at.Pools, units, int64(at.Units))
	}
	return worth
}

// Ranked reports whether an account may stand in standings: not staff's, frozen or erased.
func (s *State) Ranked(id engine.AccountID) bool {
	a := s.Account(id)
	return a != nil && !a.Unranked && a.staff == 0 && a.Limited != engine.Forever && !s.Told.Erased(uint32(id))
}

// ranking keeps whether an account could be ranked, before that changes, for the count
// that is under way.
func (s *State) ranking(id engine.AccountID) {
	if c := s.Seasons.Counting(); c != nil {
		c.KeepRanked(uint32(id), s.Ranked(id))
	}
}

// employs counts a key of an account, by 1, or one less, by -1, if it opens more than
// trading.
func (s *State) employs(k *engine.Key, by int32) {
	if k == nil || k.Roles&^engine.RoleTrader == 0 || s.Account(k.Account) == nil {
		return
	}
	s.ranking(k.Account)
	s.Account(k.Account).staff += by
}
