// Package season keeps the seasons, what accounts had when the present one began, and
// the standings of those that ended.
//
// It promises: a count takes what every account had at one moment, however many pieces
// it comes in and whatever changes between them; equal profits have equal ranks, in the
// order of the accounts; who is forgotten is in no standings; a set that is read from
// its dump goes on as before. It refuses to know what a market or a price is: what
// something is worth it is told, and who may be ranked, too. Integers alone. The rules
// are ADR-014's.
package season

import (
	"cmp"
	"slices"
	"sort"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/words"
)

// Kept bounds the seasons that ended and are kept, a year of months: each has a line for
// every account that won or lost. The oldest one goes first.
const Kept = 12

// Season is a span of time over which accounts are compared.
type Season struct {
	Name       string
	Start, End int64 // µs: as announced; it is not before Start and not after End
	Began      int64 // µs: the moment of the count that began it; 0: not yet
	Over       int64 // µs: the moment of the count that ends it; 0: not yet
	State      words.SeasonState
	Standings  []Standing // the highest profit first, then the lowest account
}

// Standing is what an account won in a season, or lost; account 0 is one that was
// forgotten.
type Standing struct {
	Account uint32
	Profit  fixed.Micros
}

// before orders standings.
func before(a, b Standing) int {
	return cmp.Or(cmp.Compare(b.Profit, a.Profit), cmp.Compare(a.Account, b.Account))
}

// Set is all seasons. The zero value has none.
type Set struct {
	all   []*Season      // in the order of their starts; no two overlap
	base  []fixed.Micros // of the season that runs: what accounts, from 1 on, had when it began, and were granted since
	count *Count
}

// All returns the seasons in the order of their starts. They are not changed.
func (s *Set) All() []*Season { return s.all }

// Find returns the season of a name, nil if there is none.
func (s *Set) Find(name string) *Season {
	if i := slices.IndexFunc(s.all, func(x *Season) bool { return x.Name == name }); i >= 0 {
		return s.all[i]
	}
	return nil
}

// Coming returns how many seasons have not ended.
func (s *Set) Coming() (n int) {
	for _, x := range s.all {
		if x.State != words.Ended {
			n++
		}
	}
	return n
}

// Free reports whether no season that has not ended has a part of a span.
func (s *Set) Free(start, end int64) bool {
	return !slices.ContainsFunc(s.all, func(x *Season) bool {
		return x.State != words.Ended && start < x.End && x.Start < end
	})
}

// Add announces a season.
func (s *Set) Add(name string, start, end int64) {
	i := sort.Search(len(s.all), func(i int) bool { return s.all[i].State != words.Ended && s.all[i].Start > start })
	s.all = slices.Insert(s.all, i, &Season{Name: name, Start: start, End: end, State: words.Announced})
}

// Stop ends a season at a time, or withdraws it if it has not begun; false if it cannot.
func (s *Set) Stop(name string, end int64) bool {
	x := s.Find(name)
	switch {
	case x == nil || x.State > words.Running:
		return false
	case x.State == words.Announced:
		s.all = slices.DeleteFunc(s.all, func(y *Season) bool { return y == x })
	default:
		x.End = end
	}
	return true
}

// Running returns the season that runs, nil if none does.
func (s *Set) Running() *Season {
	if i := slices.IndexFunc(s.all, func(x *Season) bool { return x.State == words.Running }); i >= 0 {
		return s.all[i]
	}
	return nil
}

func (s *Set) announced() *Season {
	if i := slices.IndexFunc(s.all, func(x *Season) bool { return x.State == words.Announced }); i >= 0 {
		return s.all[i]
	}
	return nil
}

// Next returns when a season ends or begins next; false if none does, or a count has to
// be done before.
func (s *Set) Next() (at int64, ok bool) {
	if s.count != nil {
		return 0, false
	}
	if x := s.Running(); x != nil {
		return x.End, true
	}
	if x := s.announced(); x != nil {
		return x.Start, true
	}
	return 0, false
}

// Turning returns the season that ends at a time and the one that begins then, "" for
// none.
func (s *Set) Turning(now int64) (ends, begins string) {
	x := s.Running()
	if x != nil && x.End <= now {
		ends = x.Name
	}
	if y := s.announced(); y != nil && y.Start <= now && (x == nil || ends != "") {
		begins = y.Name
	}
	return ends, begins
}

// Turn ends one season and begins another at a moment, with the count of the accounts
// from 1 to last; false if that cannot be.
func (s *Set) Turn(ends, begins string, now int64, last uint32) bool {
	e, b := s.Find(ends), s.Find(begins)
	switch {
	case s.count != nil || e == nil && b == nil || ends != "" && e == nil || begins != "" && b == nil:
		return false
	case e != nil && e.State != words.Running || b != nil && b.State != words.Announced:
		return false
	}
	s.count = &Count{ends: e, begins: b, was: s.base, from: 1, last: last, kept: map[place]fixed.Micros{}, marks: map[uint32]*Mark{}, ranked: map[uint32]bool{}}
	s.base = nil
	if e != nil {
		e.State, e.Over = words.Counting, now
	}
	if b != nil {
		b.State, b.Began = words.Running, now
		s.base = make([]fixed.Micros, last)
	}
	if last == 0 {
		s.finish()
	}
	return true
}

// finish is the end of a count.
func (s *Set) finish() {
	if e := s.count.ends; e != nil {
		e.State = words.Ended
		if s.all[0].State == words.Ended && len(s.all)-s.Coming() > Kept {
			s.all = slices.Delete(s.all, 0, 1)
		}
	}
	s.count = nil
}

// Grant notes that an account was granted credits: they are no profit.
func (s *Set) Grant(account uint32, amount fixed.Micros) {
	if s.Running() == nil {
		return
	}
	for len(s.base) < int(account) {
		s.base = append(s.base, 0)
	}
	s.base[account-1] += amount
}

// Base returns what an account had when the season that runs began, and was granted
// since; it has it to win or to lose.
func (s *Set) Base(account uint32) fixed.Micros { return of(s.base, account) }

func of(base []fixed.Micros, account uint32) fixed.Micros {
	if account-1 < uint32(len(base)) {
		return base[account-1]
	}
	return 0
}

// Forget takes an account out of all standings. The ranks of others stay.
func (s *Set) Forget(account uint32) {
	for _, x := range s.all {
		for i := range x.Standings {
			if x.Standings[i].Account == account {
				x.Standings[i].Account = 0
			}
		}
	}
}

// Rank returns the rank of the standing at a place, from 0: one more than how many
// profits are higher.
func (x *Season) Rank(place int) int {
	p := x.Standings[place].Profit
	return 1 + sort.Search(place, func(i int) bool { return x.Standings[i].Profit <= p })
}

// Place returns the place of an account in the standings; false if it has none.
func (x *Season) Place(account uint32) (int, bool) {
	i := slices.IndexFunc(x.Standings, func(y Standing) bool { return y.Account == account })
	return i, i >= 0
}

// Sort orders standings as a season has them.
func Sort(all []Standing) { slices.SortFunc(all, before) }
