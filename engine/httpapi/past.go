package httpapi

import (
	"context"
	"errors"
	"net/http"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// pastRoutes is the part of the table that is about what was, and about grants by the
// calendar: how far the last of them came is of what was.
func (a *API) pastRoutes() []route {
	const get, post, market, account, schedules = http.MethodGet, http.MethodPost, "/v1/markets/{market}", "/v1/accounts/{account}", "/v1/grant-schedules"
	h := a.history
	return []route{
		{method: get, path: schedules, roles: overseers, read: a.recent(roster.Schedules(a.seq, h))},
		{method: post, path: schedules, roles: operators, command: wire.SetGrantSchedule},
		{method: get, path: schedules + "/{schedule}", roles: overseers, read: a.recent(roster.Schedule(a.seq, h))},
		{method: post, path: schedules + "/{schedule}/end", roles: operators, command: wire.EndGrantSchedule},
		{method: get, path: market + "/candles", roles: everyone, read: a.past(h.Candles)},
		{method: get, path: market + "/trades", roles: everyone, read: a.past(h.MarketTrades)},
		{method: get, path: account + "/trades", roles: overseers, owner: true, read: a.past(h.AccountTrades)},
		{method: get, path: account + "/orders", roles: overseers, owner: true, read: a.past(h.AccountOrders)},
		{method: get, path: account + "/grants", roles: overseers, owner: true, read: a.past(h.AccountGrants)},
		{method: get, path: account + "/portfolio", roles: overseers, owner: true, read: a.past(h.Portfolio)},
	}
}

// past is a read of the history: by whom it belongs to, and not from before what
// the rest of the edge shows.
func (a *API) past(read func(*wire.Request) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		if !c.privileged() {
			var id engine.AccountID
			if c.ID("account", &id); c.Fault() == nil && c.own(id) != nil {
				return nil, c.own(id)
			}
		}
		if err := a.caughtUp(c); err != nil {
			return nil, err
		}
		return read(c.Request)
	}
}

// recent is a read of what is, with what is known of what was: nothing, where the
// journal begins later.
func (a *API) recent(read func(*wire.Request) (any, error)) func(*call) (any, error) {
	return func(c *call) (any, error) {
		var archived *sequencer.ArchivedError
		if err := a.caughtUp(c); err != nil && !errors.As(err, &archived) {
			return nil, err
		}
		return read(c.Request)
	}
}

// caughtUp returns when the history has what is durable now. It is a moment behind,
// but for a server that has just started and reads its journal.
func (a *API) caughtUp(c *call) error {
	want := a.seq.Durable()
	if a.history.Seq() >= want {
		return nil
	}
	if !a.waiting.Enter(c.key.SHA256) {
		return tooMany(minSeqWait, "too many reads of this API key wait for the history")
	}
	defer a.waiting.Leave(c.key.SHA256)
	ctx, cancel := context.WithTimeout(c.r.Context(), minSeqWait)
	defer cancel()
	err := a.history.Wait(ctx, want)
	var archived *sequencer.ArchivedError
	if err != nil && !errors.As(err, &archived) && c.r.Context().Err() == nil {
		return &problem.Refusal{Code: problem.Behind, Detail: "the history is still being read from the journal", Seq: a.history.Seq()}
	}
	return err
}

// remember feeds the history. Without it trading goes on: only what was cannot be
// read, and its reads say so.
func (a *API) remember(ctx context.Context) {
	if err := a.history.Run(ctx, a.seq.Follow); err != nil {
		a.log.ErrorContext(ctx, "the history has stopped", "err", err)
	}
}
