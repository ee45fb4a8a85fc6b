package fold

import (
	"fmt"
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/due"
	"github.com/mbp-market/mbp/engine/internal/dump"
)

// Schedule is a schedule of grants with how far it is.
type Schedule struct {
	engine.GrantSchedule
	ID   uint64      // of its deadline: the decision that first set it
	Next engine.Time // the period that comes next; in a round, the one being granted
	// The accounts of the round from From to Last are still to be looked at; From is 0
	// between rounds.
	From, Last engine.AccountID
}

// Schedule returns the schedule of a name, nil if there is none.
func (s *State) Schedule(name string) *Schedule {
	if i := s.schedule(name); i >= 0 {
		return s.Schedules[i]
	}
	return nil
}

func (s *State) schedule(name string) int {
	return slices.IndexFunc(s.Schedules, func(x *Schedule) bool { return x.Name == name })
}

// Granting returns the first schedule in a round, nil if there is none.
func (s *State) Granting() *Schedule {
	for _, x := range s.Schedules {
		if x.From != 0 {
			return x
		}
	}
	return nil
}

// Scheduled returns the schedule of a deadline, nil if there is none.
func (s *State) Scheduled(id uint64) *Schedule {
	for _, x := range s.Schedules {
		if x.ID == id {
			return x
		}
	}
	return nil
}

// awaits sets the deadline of a schedule's next period, or drops the schedule if that
// would begin at its end or later.
func (s *State) awaits(x *Schedule, next engine.Time) {
	x.Next, x.From, x.Last = next, 0, 0
	if x.End != 0 && next >= x.End {
		s.unscheduled(x.Name)
		return
	}
	s.Due.Set(due.Entry{At: int64(next), Kind: DueGrant, ID: x.ID})
}

func (s *State) unscheduled(name string) {
	i := s.schedule(name)
	s.Due.Drop(DueGrant, s.Schedules[i].ID)
	s.Schedules = slices.Delete(s.Schedules, i, i+1)
}

// grantEvent folds what the engine grants by itself; done says that it was such an
// event.
func (s *State) grantEvent(d *engine.Decision, e engine.Event) (done bool, err error) {
	switch x := e.(type) {
	case *engine.GrantScheduleSet:
		of := s.Schedule(x.Schedule.Name)
		if of == nil {
			of = &Schedule{ID: uint64(d.Seq)}
			s.Schedules = append(s.Schedules, of)
		}
		of.GrantSchedule = x.Schedule
		s.awaits(of, x.Next)
	case *engine.GrantScheduleEnded:
		if s.Schedule(x.Name) == nil {
			return true, fmt.Errorf("there is no schedule %s", x.Name)
		}
		s.unscheduled(x.Name)
	case *engine.GrantsBegun:
		of := s.Schedule(x.Name)
		if of == nil || of.From != 0 || of.Next != x.Period || int(x.Last) > len(s.Accounts) {
			return true, fmt.Errorf("schedule %s grants no period %s", x.Name, x.Period)
		}
		s.Due.Drop(DueGrant, of.ID)
		if of.From, of.Last = 1, x.Last; x.Last == 0 {
			s.awaits(of, of.Period.Begin(of.Next+1))
		}
	case *engine.GrantsPaid:
		return true, s.grantsPaid(d, x)
	default:
		return s.seasonEvent(d, e)
	}
	return true, nil
}

// grants posts an entry of grants, which are no profit of a season.
func (s *State) grants(d *engine.Decision, to []engine.Payout) error {
	s.entry.Grants(to)
	if s.Seasons.Counting() != nil {
		s.before(nil)
	}
	for _, p := range to {
		s.Seasons.Grant(uint32(p.Account), p.Credits)
	}
	return s.Ledger.Apply(int64(d.At), 0, s.entry.P)
}

func (s *State) grantsPaid(d *engine.Decision, x *engine.GrantsPaid) error {
	of := s.Schedule(x.Name)
	if of == nil || of.From == 0 || of.Next != x.Period || x.Next != 0 && (x.Next <= of.From || x.Next > of.Last) {
		return fmt.Errorf("schedule %s is not at that step of its round", x.Name)
	}
	before := of.From - 1
	for _, p := range x.Grants {
		if p.Account <= before || p.Account > of.Last || p.Credits < 1 {
			return fmt.Errorf("schedule %s grants account %s twice, or nothing", x.Name, p.Account)
		}
		before = p.Account
	}
	if err := s.grants(d, x.Grants); err != nil {
		return err
	}
	if of.From = x.Next; x.Next == 0 {
		s.awaits(of, of.Period.Begin(of.Next+1))
	}
	return nil
}

// schedules codes the schedules in force.
func (c coder) schedules() {
	dump.List(c.Codec, &c.s.Schedules, engine.MaxSchedules, func(x **Schedule) {
		e := engine.GrantScheduleSet{}
		if !c.Decoding {
			e.Schedule, e.Next = (*x).GrantSchedule, (*x).Next
		} else {
			*x = &Schedule{}
		}
		c.event(&e)
		num(c, &(*x).ID)
		num(c, &(*x).From)
		num(c, &(*x).Last)
		if (*x).GrantSchedule, (*x).Next = e.Schedule, e.Next; c.Decoding && int((*x).Last) > len(c.s.Accounts) {
			c.Fail("schedule %q grants accounts up to %d", e.Schedule.Name, (*x).Last)
		}
	})
}
