package httpapi

import (
	"net/http"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/league"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// seasonRoutes is the part of the table that is about seasons and their standings.
func (a *API) seasonRoutes() []route {
	const get, post, seasons, ranking = http.MethodGet, http.MethodPost, "/v1/seasons", "/v1/accounts/{account}/ranking"
	board := league.New(a.seq)
	asked := func(read func(*wire.Request) (any, error)) func(*call) (any, error) {
		return func(c *call) (any, error) { return read(c.Request) }
	}
	return []route{
		{method: get, path: seasons, roles: everyone, read: asked(board.Seasons)},
		{method: post, path: seasons, roles: operators, command: wire.OpenSeason},
		{method: post, path: seasons + "/{season}/end", roles: operators, command: wire.EndSeason},
		{method: get, path: seasons + "/{season}/standings", roles: everyone, read: asked(board.Standings)},
		{method: get, path: ranking, roles: overseers, owner: true, read: a.ofAccount(func(v roster.State, id engine.AccountID) (any, error) { return league.RankingOf(v, id) })},
		{method: post, path: ranking, roles: operators, owner: true, command: wire.SetRanking},
	}
}
