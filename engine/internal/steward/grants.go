package steward

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fault"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/member"
)

// SetSchedule puts a schedule in force. What stays the same of one that is in
// force keeps its next period, so that a change of its terms neither repeats a period
// nor leaves one out.
func SetSchedule(s *fold.State, d *engine.Decision, x *engine.SetGrantSchedule) {
	if why := fault.Schedule(&x.Schedule); why != "" {
		d.Reject(engine.InvalidCommand, why)
		return
	}
	was, next := s.Schedule(x.Schedule.Name), x.Schedule.Period.Begin(max(d.At+1, x.Schedule.Start))
	switch {
	case was == nil && len(s.Schedules) >= engine.MaxSchedules:
		d.Reject(engine.LimitReached, "")
		return
	case was != nil && was.From != 0:
		d.Reject(engine.WrongState, "a round of the schedule is being granted")
		return
	case was != nil && was.Period == x.Schedule.Period:
		next = max(was.Next, x.Schedule.Period.Begin(x.Schedule.Start))
	}
	if x.Schedule.End != 0 && x.Schedule.End <= next {
		d.Reject(engine.InvalidCommand, "end comes before the first period")
		return
	}
	d.Add(&engine.GrantScheduleSet{Schedule: x.Schedule, Next: next})
}

// EndSchedule ends a schedule that is in force.
func EndSchedule(s *fold.State, d *engine.Decision, x *engine.EndGrantSchedule) {
	if s.Schedule(x.Name) == nil {
		d.Reject(engine.NotFound, "")
		return
	}
	d.Add(&engine.GrantScheduleEnded{Name: x.Name})
}

// PayGrants grants to the next accounts of a round, each once. An account that would
// bring all credits ever issued above what balances may come to gets nothing.
func PayGrants(s *fold.State, d *engine.Decision, x *engine.PayGrants) {
	of := s.Schedule(x.Name)
	if d.Principal != engine.System || of == nil || of.From == 0 {
		d.Reject(engine.WrongState, "")
		return
	}
	e := &engine.GrantsPaid{Name: of.Name, Period: of.Next, Grants: []engine.Payout{}}
	gate, issued, next := member.Gate{Allow: of.Groups}, s.Ledger.Issued(), of.From
	for last := next + siftAccounts; next < last && next <= of.Last && len(e.Grants) < engine.WorkLimit; next++ {
		id := uint32(next)
		if !gate.Admits(s.Roster.Of(id)) || s.Told.Erased(id) {
			continue
		}
		amount := of.Amount
		if of.Cap != 0 {
			amount = min(amount, of.Cap-s.Ledger.Available(id)-s.Ledger.Reserved(id))
		}
		if amount > 0 && issued+amount <= engine.MaxAmount {
			e.Grants, issued = append(e.Grants, engine.Payout{Account: next, Credits: amount}), issued+amount
		}
	}
	if e.Next = next; next > of.Last {
		e.Next = 0
	}
	d.Add(e)
}

// Begun adds the begin of a round.
func Begun(s *fold.State, d *engine.Decision, of *fold.Schedule) {
	d.Add(&engine.GrantsBegun{Name: of.Name, Period: of.Next, Last: engine.AccountID(len(s.Accounts))})
}

// Schedules returns the schedules of grants that are in force.
func Schedules(s *fold.State) []engine.ScheduleState {
	out := make([]engine.ScheduleState, len(s.Schedules))
	for i, x := range s.Schedules {
		out[i] = engine.ScheduleState{GrantSchedule: x.GrantSchedule, Next: x.Next, Pays: x.From != 0}
	}
	return out
}
