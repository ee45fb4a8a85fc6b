package steward

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

// OpenSeason announces a season.
func OpenSeason(s *fold.State, d *engine.Decision, x *engine.OpenSeason) {
	start := max(x.Start, d.At)
	switch {
	case fault.Season(x, d.At) != "":
		d.Reject(engine.InvalidCommand, fault.Season(x, d.At))
	case s.Seasons.Find(x.Name) != nil:
		d.Reject(engine.AlreadyExists, "")
	case !s.Seasons.Free(int64(start), int64(x.End)):
		d.Reject(engine.WrongState, "another season has a part of that time")
	case s.Seasons.Coming() >= engine.MaxSeasons:
		d.Reject(engine.LimitReached, "")
	default:
		d.Add(&engine.SeasonOpened{Name: x.Name, Start: start, End: x.End})
	}
}

// EndSeason ends a season that runs, or withdraws one that has not begun.
func EndSeason(s *fold.State, d *engine.Decision, x *engine.EndSeason) {
	of := s.Seasons.Find(x.Name)
	switch {
	case of == nil:
		d.Reject(engine.NotFound, "")
	case of.State > engine.SeasonRunning || int64(d.At) >= of.End:
		d.Reject(engine.WrongState, "the season is over")
	default:
		d.Add(&engine.SeasonStopped{Name: x.Name})
	}
}

// SetRanking says whether an account may stand in standings.
func SetRanking(s *fold.State, d *engine.Decision, x *engine.SetRanking) {
	a := s.Account(x.Account)
	switch {
	case a == nil:
		d.Reject(engine.AccountNotFound, "")
	case s.Told.Erased(uint32(x.Account)):
		d.Reject(engine.WrongState, "the account was erased")
	case a.Unranked != x.Ranked:
		d.Reject(engine.AlreadyExists, "")
	default:
		d.Add(&engine.RankingSet{Account: x.Account, Ranked: x.Ranked})
	}
}

// Turned adds the moment at which seasons end and begin.
func Turned(s *fold.State, d *engine.Decision) {
	ends, begins := s.Seasons.Turning(int64(d.At))
	d.Add(&engine.SeasonTurned{Ends: ends, Begins: begins, Last: engine.AccountID(len(s.Accounts))})
}

// countOutcomes bounds the outcomes whose shares one decision values: some hundred µs,
// so that markets trade on meanwhile. An account that takes part in more of them is
// counted in several pieces.
const countOutcomes = 5_000

// CountSeason does the next piece of the count that is under way.
func CountSeason(s *fold.State, d *engine.Decision) {
	if d.Principal != engine.System || s.Seasons.Counting() == nil {
		d.Reject(engine.WrongState, "")
		return
	}
	d.Add(Count(s, engine.WorkLimit, countOutcomes))
}

// Count adds up what the next accounts had at the moment of the turn: at most so many of
// them, and until so many outcomes were looked at.
func Count(s *fold.State, accounts, outcomes int) *engine.SeasonCounted {
	c := s.Seasons.Counting()
	next, last, done, part := c.At()
	e := &engine.SeasonCounted{From: engine.AccountID(next), Values: []engine.Micros{}}
	for looked := 0; next <= last && len(e.Values) < accounts && looked < outcomes; {
		if done == 0 {
			var kept bool
			if part, kept = c.Kept(next, 0); !kept {
				part = s.Ledger.Available(next) + s.Ledger.Reserved(next)
			}
		}
		markets := s.Ledger.MarketsOf(next)
		for ; int(done) < len(markets) && looked < outcomes; done++ {
			m := s.Market(engine.MarketID(markets[done]))
			looked += m.Outcomes()
			worth, kept := c.Kept(next, markets[done])
			if !kept {
				worth = m.Worth(engine.AccountID(next), c.Marked(markets[done]))
			}
			part += worth
		}
		if int(done) < len(markets) {
			break
		}
		if ranked, changed := c.Ranked(next); changed && !ranked || !changed && !s.Ranked(engine.AccountID(next)) {
			e.Unranked = append(e.Unranked, engine.AccountID(next))
		}
		e.Values = append(e.Values, part)
		next, done, part, looked = next+1, 0, 0, looked+1
	}
	if next <= last {
		e.Next, e.Markets, e.Part = engine.AccountID(next), done, part
	}
	return e
}
