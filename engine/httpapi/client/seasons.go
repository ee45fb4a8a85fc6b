package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/mbp-market/mbp/engine"
)

// Seasons are those that are announced, run, or ended and are kept.
type Seasons struct {
	Seq     engine.Seq      `json:"seq"`
	Seasons []engine.Season `json:"seasons"`
}

// NewSeason is a season that OpenSeason announces.
type NewSeason struct {
	Name  string      `json:"name"`
	Start engine.Time `json:"start,omitzero"` // 0: at once
	End   engine.Time `json:"end"`
}

// Standings is a page of the standings of a season. Final ones are of one moment and
// stand; those of a season that runs are some seconds old, and pages of them may overlap.
type Standings struct {
	Seq       engine.Seq        `json:"seq"`
	Season    engine.Season     `json:"season"`
	Final     bool              `json:"final"`
	AsOf      engine.Time       `json:"as_of"`
	Own       *engine.Standing  `json:"own,omitempty"` // of the API key's account
	Standings []engine.Standing `json:"standings"`
	Next      int               `json:"next,omitempty"`
}

// Ranking is whether an account may stand in standings, and whether it would if nothing
// but its own will mattered.
type Ranking struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Ranked  bool             `json:"ranked"`
	Wanted  bool             `json:"wanted"`
}

const seasonsPath = "/v1/seasons"

// Seasons returns the seasons in the order of their starts. Roles: any.
func (c *Client) Seasons(ctx context.Context) (*Seasons, error) {
	return get[Seasons](ctx, c, seasonsPath, nil)
}

// OpenSeason announces a season. Roles: operator, admin.
func (c *Client) OpenSeason(ctx context.Context, x NewSeason, calls ...Call) (*Decision, error) {
	return c.post(ctx, seasonsPath, x, calls)
}

// EndSeason ends a season that runs at once, or withdraws one that has not begun. Roles:
// operator, admin.
func (c *Client) EndSeason(ctx context.Context, name string, calls ...Call) (*Decision, error) {
	return c.post(ctx, seasonsPath+"/"+url.PathEscape(name)+"/end", nothing{}, calls)
}

// Standings returns a page of the standings of a season, from after on (the Next of the
// page before; 0: from the top), at most limit lines (0: as many as the server gives).
// Roles: any.
func (c *Client) Standings(ctx context.Context, name string, after, limit int) (*Standings, error) {
	q := page(limit)
	if after > 0 {
		q.Set("after", strconv.Itoa(after))
	}
	return get[Standings](ctx, c, seasonsPath+"/"+url.PathEscape(name)+"/standings", q)
}

// Ranking returns whether an account may stand in standings. Roles: its owner, operator,
// auditor, admin.
func (c *Client) Ranking(ctx context.Context, id engine.AccountID) (*Ranking, error) {
	return get[Ranking](ctx, c, accountPath(id, "ranking"), nil)
}

// SetRanking says whether an account may stand in standings. Roles: its owner, operator,
// admin.
func (c *Client) SetRanking(ctx context.Context, id engine.AccountID, ranked bool, calls ...Call) (*Decision, error) {
	return c.post(ctx, accountPath(id, "ranking"), struct {
		Ranked bool `json:"ranked"`
	}{ranked}, calls)
}
