package engine

import "github.com/mbp-market/mbp/engine/internal/words"

// Period is how often a schedule grants credits, by the calendar of UTC.
type Period = words.Period

// The periods. The numbers are journalled.
const (
	Daily   = words.Daily   // from midnight to midnight
	Weekly  = words.Weekly  // from Monday to Monday
	Monthly = words.Monthly // from the first day of a month to that of the next
)

// GrantSchedule is what the engine grants by itself, once at the begin of each period:
// to every account there is then that is in one of the groups, or to all.
//
//wire:part
type GrantSchedule struct {
	Name   string   `json:"name" wire:"64"` // a-z, 0-9, -, 1..64 characters
	Period Period   `json:"period"`
	Amount Micros   `json:"amount_micros"`                          // to each account
	Cap    Micros   `json:"cap_micros,omitempty"`                   // an account that has so much, reserved credits too, gets no more; 0: no cap
	Groups []string `json:"groups,omitempty" wire:"max=16,text=64"` // none: all accounts
	Start  Time     `json:"start,omitzero"`                         // no period that begins before; 0: from the next one on
	End    Time     `json:"end,omitzero"`                           // no period that begins then or later; 0: for ever
}

// MaxSchedules bounds the schedules in force: each costs a walk over all accounts in
// each of its periods.
const MaxSchedules = 16

// SetGrantSchedule puts a schedule in force, or other terms of the one of its name from
// its next period on.
//
//wire:command 63 set_grant_schedule
type SetGrantSchedule struct {
	Schedule GrantSchedule `json:"schedule"`
}

// EndGrantSchedule ends a schedule. What a round of it has not granted yet is not
// granted any more.
//
//wire:command 64 end_grant_schedule
type EndGrantSchedule struct {
	Name string `json:"name" wire:"64"`
}

// PayGrants does the next piece of a round of grants, at most WorkLimit accounts.
// State.Due gives the command.
//
//wire:command 65 pay_grants
type PayGrants struct {
	Name string `json:"name" wire:"64"`
}

// Bulk reports whether a command is a piece of work that the engine gives to itself and
// that may wait for orders.
func Bulk(c Command) bool {
	switch c.(type) {
	case *SettleMarket, *PayGrants, *CountSeason:
		return true
	}
	return false
}

// GrantScheduleSet says what the engine grants by itself from now on.
//
//wire:event 63 grant_schedule_set
type GrantScheduleSet struct {
	Schedule GrantSchedule `json:"schedule"`
	Next     Time          `json:"next"` // the period that comes first
}

// GrantScheduleEnded says that a schedule grants nothing any more.
//
//wire:event 64 grant_schedule_ended
type GrantScheduleEnded struct {
	Name string `json:"name" wire:"64"`
}

// GrantsBegun says that the grants of a period begin: of each account up to the last,
// once.
//
//wire:event 65 grants_begun
type GrantsBegun struct {
	Name   string    `json:"name" wire:"64"`
	Period Time      `json:"period"` // when it began
	Last   AccountID `json:"last,omitempty"`
}

// GrantsPaid says which accounts were granted credits.
//
//wire:event 66 grants_paid
type GrantsPaid struct {
	Name   string    `json:"name" wire:"64"`
	Period Time      `json:"period"`
	Next   AccountID `json:"next,omitempty"` // the first account not looked at; 0: all were
	Grants []Payout  `json:"grants" wire:"max=1000"`
}

// ScheduleState is how a schedule stands.
type ScheduleState struct {
	GrantSchedule
	Next Time `json:"next"`               // the period that comes next, or is being granted
	Pays bool `json:"granting,omitempty"` // it is being granted
}
