package client

import (
	"context"

	"github.com/mbp-market/mbp/engine"
)

// OpenMarketFor makes a market that not everybody may trade. Roles: operator, admin.
func (c *Client) OpenMarketFor(ctx context.Context, x engine.OpenMarketFor, calls ...Call) (*Decision, error) {
	body := struct {
		engine.OpenMarket
		groupLists
	}{x.Market, groupLists{x.Allow, x.Deny}}
	return c.post(ctx, "/v1/markets", body, calls)
}

type groupLists struct {
	Allow []string `json:"allow_groups,omitempty"`
	Deny  []string `json:"deny_groups,omitempty"`
}

// SetMarketGroups says who may trade a market. Roles: operator, admin.
func (c *Client) SetMarketGroups(ctx context.Context, id engine.MarketID, allow, deny []string, calls ...Call) (*Decision, error) {
	return c.post(ctx, marketPath(id, "groups"), groupLists{allow, deny}, calls)
}

// MarketGroups returns who may trade a market. Roles: operator, auditor, admin.
func (c *Client) MarketGroups(ctx context.Context, id engine.MarketID) (*MarketGroups, error) {
	return get[MarketGroups](ctx, c, marketPath(id, "groups"), nil)
}

// SetAccountGroups gives an account its groups, all of them. Roles: operator, admin.
func (c *Client) SetAccountGroups(ctx context.Context, id engine.AccountID, groups []string, calls ...Call) (*Decision, error) {
	body := struct {
		Groups []string `json:"groups"`
	}{append([]string{}, groups...)}
	return c.post(ctx, "/v1/accounts/"+id.String()+"/groups", body, calls)
}

// AccountGroups returns which groups an account is in. Roles: operator, auditor, admin,
// and whose account it is.
func (c *Client) AccountGroups(ctx context.Context, id engine.AccountID) (*AccountGroups, error) {
	return get[AccountGroups](ctx, c, "/v1/accounts/"+id.String()+"/groups", nil)
}

// TradableMarkets is Markets of those that the key's account may trade now. A page may
// be empty and still have a next one.
func (c *Client) TradableMarkets(ctx context.Context, after engine.MarketID, limit int) (*MarketPage, error) {
	q := page(limit)
	q.Set("tradable", "true")
	if after != 0 {
		q.Set("after", after.String())
	}
	return get[MarketPage](ctx, c, "/v1/markets", q)
}
