// Package league reads, for the edge, the seasons and who won how much in them.
//
// It promises: of a season that ended, the standings that are on record, a page at a time;
// of the one that runs, standings that are some seconds old at most, worked out in short
// looks at the durable state, by one request for all; nobody who may not be ranked is
// shown to others. It refuses to say that these are of one moment: only the end of a
// season is. Rules and reasons are ADR-014's.
package league

import (
	"cmp"
	"slices"
	"sync"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// State is what is looked at.
type State interface {
	View(fn func(*core.State))
	Now() engine.Time
}

// Page sizes: a page is what people look at, and a large one some tens of kilobytes.
const (
	normalPage = 50
	MaxPage    = 500
)

// maxAge is how old standings of a season that runs may get, in µs, before a request works
// them out anew: for 100,000 accounts some tens of ms, which is then about a hundredth of a
// processor.
const maxAge = 5_000_000

// Board answers with seasons and standings. Use New. It is safe for concurrent use.
type Board struct {
	state State

	mu   sync.Mutex // held while live is worked out: who asks meanwhile waits for it
	live board
}

// board is the standings of a season that runs.
type board struct {
	of    string
	at    engine.Time // when it was looked
	lines []engine.Standing
}

// New returns a board of a state.
func New(state State) *Board { return &Board{state: state} }

// Seasons reads every season.
func (b *Board) Seasons(r *wire.Request) (any, error) {
	if err := r.End(); err != nil {
		return nil, err
	}
	doc := struct {
		Seq     engine.Seq      `json:"seq"`
		Seasons []engine.Season `json:"seasons"`
	}{}
	b.state.View(func(s *core.State) { doc.Seq, doc.Seasons = s.Seq(), s.Seasons() })
	return doc, nil
}

// Standings is a page of the standings of a season.
type Standings struct {
	Seq       engine.Seq        `json:"seq"`
	Season    engine.Season     `json:"season"`
	Final     bool              `json:"final"`         // they stand
	AsOf      engine.Time       `json:"as_of"`         // the moment that they are of, or when they were worked out
	Own       *engine.Standing  `json:"own,omitempty"` // of the caller's account
	Standings []engine.Standing `json:"standings"`
	Next      int               `json:"next,omitempty"` // the value of after that goes on
}

// Standings reads a page of the standings of one.
func (b *Board) Standings(r *wire.Request) (any, error) {
	var name wire.Slug
	r.ID("season", &name)
	after, limit := int(min(r.Uint64("after", false), 1<<31)), int(r.Within("limit", MaxPage, normalPage))
	if err := r.End(); err != nil {
		return nil, err
	}
	doc, found := Standings{Standings: []engine.Standing{}}, false
	b.state.View(func(s *core.State) {
		doc.Seq = s.Seq()
		for _, x := range s.Seasons() {
			if x.Name != string(name) {
				continue
			}
			found, doc.Season = true, x
			if doc.Final = x.State == engine.SeasonEnded; !doc.Final {
				continue
			}
			doc.AsOf = *x.EndedAt
			doc.Standings, doc.Next, _ = s.Standings(x.Name, after, limit)
			if own, has := s.RankIn(x.Name, r.Account); has {
				doc.Own = &own
			}
		}
	})
	if !found {
		return nil, &problem.Refusal{Code: problem.NotFound, Detail: "there is no season of this name, or it is forgotten", Seq: doc.Seq}
	}
	if !doc.Final {
		b.running(&doc, r.Account, after, limit)
	}
	return doc, nil
}

// running adds what there is to tell of a season that has not ended.
func (b *Board) running(doc *Standings, own engine.AccountID, after, limit int) {
	live := b.look(doc.Season.Name)
	doc.AsOf = live.at
	b.state.View(func(s *core.State) {
		for i := after; i < len(live.lines) && i < after+limit; i++ {
			if ranked, _, _ := s.Ranked(live.lines[i].Account); ranked { // who hid meanwhile is not shown
				doc.Standings = append(doc.Standings, live.lines[i])
			}
		}
	})
	if after+limit < len(live.lines) {
		doc.Next = after + limit
	}
	if i := slices.IndexFunc(live.lines, func(x engine.Standing) bool { return x.Account == own }); own != 0 && i >= 0 {
		doc.Own = &live.lines[i]
	}
}

// look returns the standings of the season that runs, and of another one none. The lines
// are not changed any more.
func (b *Board) look(name string) board {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.state.Now()
	if b.live.of == name && b.live.at <= now && now-b.live.at < maxAge {
		return b.live
	}
	got := board{of: name, at: now}
	for next, whole := engine.AccountID(1), true; next != 0 && whole; {
		b.state.View(func(s *core.State) {
			if whole = s.Running() == name; whole {
				got.lines, next, whole = s.Profits(next, got.lines)
			}
		})
		if !whole { // it does not run, its begin is not counted, or it ended meanwhile
			return board{at: now}
		}
	}
	rank(got.lines)
	b.live = got
	return got
}

// rank orders standings and gives them their ranks: equal profits have the same.
func rank(lines []engine.Standing) {
	slices.SortFunc(lines, func(x, y engine.Standing) int {
		return cmp.Or(cmp.Compare(y.Profit, x.Profit), cmp.Compare(x.Account, y.Account))
	})
	for i := range lines {
		if lines[i].Rank = i + 1; i > 0 && lines[i].Profit == lines[i-1].Profit {
			lines[i].Rank = lines[i-1].Rank
		}
	}
}

// Ranking is whether an account may stand in standings.
type Ranking struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Ranked  bool             `json:"ranked"` // it does, as things are
	Wanted  bool             `json:"wanted"` // it would, were it not of the house's staff, frozen or erased
}

// RankingOf is whether an account may stand in standings.
func RankingOf(v State, id engine.AccountID) (any, error) {
	doc, found := Ranking{Account: id}, false
	v.View(func(s *core.State) {
		doc.Seq = s.Seq()
		doc.Ranked, doc.Wanted, found = s.Ranked(id)
	})
	if !found {
		return nil, &problem.Refusal{Code: engine.AccountNotFound.String(), Seq: doc.Seq}
	}
	return doc, nil
}
