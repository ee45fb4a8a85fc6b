package client

import (
	"context"
	"net/url"

	"github.com/mbp-market/mbp/engine"
)

// GrantRound is how far the grants of a period came.
type GrantRound struct {
	Period   engine.Time   `json:"period"` // when it began by the calendar
	Begun    engine.Time   `json:"begun_at"`
	Done     engine.Time   `json:"done_at,omitzero"`
	Accounts uint64        `json:"accounts"`       // there were when it began
	Seen     uint64        `json:"accounts_seen"`  // of these, granted to or not
	Paid     uint64        `json:"accounts_paid"`  // of these
	Amount   engine.Micros `json:"granted_micros"` // in all
}

// GrantSchedule is how a schedule of grants stands. Round is its last one; nil if it
// had none yet, or none that the server remembers.
type GrantSchedule struct {
	engine.ScheduleState
	Round *GrantRound `json:"round,omitempty"`
}

// GrantSchedules are those in force.
type GrantSchedules struct {
	Seq       engine.Seq      `json:"seq"`
	Schedules []GrantSchedule `json:"schedules"`
}

// GrantScheduleAt is one of them at a sequence.
type GrantScheduleAt struct {
	Seq engine.Seq `json:"seq"`
	GrantSchedule
}

// Grant is credits that an account was given: by a schedule in one of its periods, or
// without a schedule by an operator.
type Grant struct {
	Seq      engine.Seq    `json:"seq"`
	At       engine.Time   `json:"decided_at"`
	Amount   engine.Micros `json:"amount_micros"`
	Schedule string        `json:"schedule,omitempty"`
	Period   engine.Time   `json:"period,omitzero"`
}

// GrantPage is a page of what an account was given, the newest first.
type GrantPage struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Granted engine.Micros    `json:"granted_micros"` // ever
	Grants  []Grant          `json:"grants"`
	Next    uint64           `json:"next,omitempty"`
}

const schedulesPath = "/v1/grant-schedules"

// GrantSchedules returns the schedules in force. Roles: operator, auditor, admin.
func (c *Client) GrantSchedules(ctx context.Context) (*GrantSchedules, error) {
	return get[GrantSchedules](ctx, c, schedulesPath, nil)
}

// GrantSchedule returns one of them. Roles: operator, auditor, admin.
func (c *Client) GrantSchedule(ctx context.Context, name string) (*GrantScheduleAt, error) {
	return get[GrantScheduleAt](ctx, c, schedulesPath+"/"+url.PathEscape(name), nil)
}

// SetGrantSchedule puts a schedule in force, or other terms of the one of its name.
// Roles: operator, admin.
func (c *Client) SetGrantSchedule(ctx context.Context, x engine.GrantSchedule, calls ...Call) (*Decision, error) {
	return c.post(ctx, schedulesPath, x, calls)
}

// EndGrantSchedule ends a schedule: what a round of it has not granted yet is not
// granted any more. Roles: operator, admin.
func (c *Client) EndGrantSchedule(ctx context.Context, name string, calls ...Call) (*Decision, error) {
	return c.post(ctx, schedulesPath+"/"+url.PathEscape(name)+"/end", nothing{}, calls)
}

// AccountGrants returns the credits that an account was given. Roles: its owner,
// operator, auditor, admin.
func (c *Client) AccountGrants(ctx context.Context, id engine.AccountID, p Past) (*GrantPage, error) {
	return get[GrantPage](ctx, c, accountPath(id, "grants"), Past{From: p.From, Until: p.Until, Before: p.Before, Limit: p.Limit}.query())
}
