package look

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

// Seasons returns the seasons in the order of their starts.
func Seasons(s *fold.State) []engine.Season {
	out := []engine.Season{}
	for _, x := range s.Seasons.All() {
		v := engine.Season{
			Name: x.Name, State: x.State, Start: engine.Time(x.Start), End: engine.Time(x.End), BeganAt: when(engine.Time(x.Began)), EndedAt: when(engine.Time(x.Over)),
		}
		if x.State == engine.SeasonEnded {
			v.Accounts = len(x.Standings)
		}
		out = append(out, v)
	}
	return out
}

// Standings returns the next standings of a season that ended, at most n from a place
// on, and the place to go on at, 0: there are no more. False if there is none of that
// name that ended. Who may not be ranked any more is left out; the ranks of others stay.
func Standings(s *fold.State, name string, from, n int) (lines []engine.Standing, next int, ok bool) {
	x := s.Seasons.Find(name)
	if x == nil || x.State != engine.SeasonEnded {
		return nil, 0, false
	}
	lines = []engine.Standing{}
	for i := max(from, 0); i < len(x.Standings) && i < from+n; i++ {
		if id := engine.AccountID(x.Standings[i].Account); s.Ranked(id) {
			lines = append(lines, engine.Standing{Rank: x.Rank(i), Account: id, Profit: x.Standings[i].Profit})
		}
	}
	if from+n < len(x.Standings) {
		next = from + n
	}
	return lines, next, true
}

// RankIn returns the standing of an account in a season that ended, whether or not it
// may be shown to others; false if it has none.
func RankIn(s *fold.State, name string, id engine.AccountID) (engine.Standing, bool) {
	x := s.Seasons.Find(name)
	if x == nil || x.State != engine.SeasonEnded || id == 0 {
		return engine.Standing{}, false
	}
	i, ok := x.Place(uint32(id))
	if !ok {
		return engine.Standing{}, false
	}
	return engine.Standing{Rank: x.Rank(i), Account: id, Profit: x.Standings[i].Profit}, true
}

// profitOutcomes bounds the outcomes whose shares one look at profits values.
const profitOutcomes = 5_000

// Profits appends what accounts from one on have won or lost in the season that runs, as
// far as one look at the state goes, and returns the account to go on at, 0: there are
// no more. The lines have no ranks and are in the order of the accounts. False where no season runs whose begin is counted.
func Profits(s *fold.State, from engine.AccountID, dst []engine.Standing) (lines []engine.Standing, next engine.AccountID, ok bool) {
	if s.Seasons.Running() == nil || s.Seasons.Counting() != nil {
		return dst, 0, false
	}
	id := max(from, 1)
	for looked := 0; int(id) <= len(s.Accounts) && looked < profitOutcomes; id++ {
		looked++
		if !s.Ranked(id) {
			continue
		}
		worth := s.Ledger.Available(uint32(id)) + s.Ledger.Reserved(uint32(id))
		for _, of := range s.Ledger.MarketsOf(uint32(id)) {
			m := s.Market(engine.MarketID(of))
			worth += m.Worth(id, nil)
			looked += m.Outcomes()
		}
		if profit := worth - s.Seasons.Base(uint32(id)); profit != 0 {
			dst = append(dst, engine.Standing{Account: id, Profit: profit})
		}
	}
	if int(id) > len(s.Accounts) {
		id = 0
	}
	return dst, id, true
}
