package httpapi

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// TestSeasonAtTheEdge: an operator announces a season, traders compete, everybody reads
// the standings while it runs and when it is over, and who does not want to be seen is
// not.
func TestSeasonAtTheEdge(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMicro())
	now := func() engine.Time { return engine.Time(clock.Load()) }
	e := start(t, options{size: sequencer.Config{Now: func() time.Time { return time.UnixMicro(clock.Load()).UTC() }}})
	creator := e.funded(100_000)
	e.market(creator)
	ana, bob, cyn := e.funded(1000), e.funded(1000), e.funded(1000)
	ops := e.as(e.key("ops", engine.RoleOperator, 0))
	people := map[engine.AccountID]*client.Client{}
	for id, name := range map[engine.AccountID]string{ana: "ana", bob: "bob", cyn: "cyn"} {
		people[id] = e.as(e.key(name, engine.RoleTrader, id))
	}
	ctx := t.Context()
	done[client.Decision](t)(ops.SetRanking(ctx, creator, false))
	end := now() + 3600*1_000_000
	opened := done[client.Decision](t)(ops.OpenSeason(ctx, client.NewSeason{Name: "spring", End: end}, client.Key("once")))
	if again := done[client.Decision](t)(ops.OpenSeason(ctx, client.NewSeason{Name: "spring", End: end}, client.Key("once"))); !again.Replayed || again.Seq != opened.Seq {
		t.Errorf("repeated: %+v", again)
	}
	for _, id := range []engine.AccountID{ana, bob, cyn} { // each pays more, and lifts what those before have
		ran(t, ops, engine.SeasonRunning)
		done[client.Decision](t)(people[id].PlaceOrder(ctx, client.Order{Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: 100 * engine.One}))
	}
	live := done[client.Standings](t)(people[ana].Standings(ctx, "spring", 0, 0))
	if live.Final || live.Own == nil || live.Own.Rank != 1 || live.Own.Profit <= 0 || placed(live) != placedOf(ana, bob, cyn) {
		t.Errorf("while it runs: %+v", live)
	}
	if got := done[client.Standings](t)(people[bob].Standings(ctx, "spring", 1, 1)); len(got.Standings) != 1 || got.Standings[0].Account != bob || got.Next != 2 {
		t.Errorf("its second page: %+v", got)
	}
	done[client.Decision](t)(people[bob].SetRanking(ctx, bob, false))
	if got := done[client.Standings](t)(people[ana].Standings(ctx, "spring", 0, 0)); len(got.Standings) != 2 || got.Standings[1].Account != cyn {
		t.Errorf("who hides is shown: %+v", got)
	}
	if r := e.post("/v1/accounts/"+ana.String()+"/ranking", e.key("eve", engine.RoleTrader, bob), `{"ranked":false}`); r.status != http.StatusForbidden {
		t.Errorf("another's ranking: %d %s", r.status, r.body)
	}
	if got := done[client.Ranking](t)(people[bob].Ranking(ctx, bob)); got.Ranked || got.Wanted {
		t.Errorf("%+v", got)
	}
	done[client.Decision](t)(people[bob].SetRanking(ctx, bob, true))

	clock.Store(int64(end))
	e.submit(&engine.OpenAccount{}) // engine time goes on
	ran(t, ops, engine.SeasonEnded)
	over := done[client.Standings](t)(people[cyn].Standings(ctx, "spring", 0, 2))
	if !over.Final || over.AsOf != end || over.Season.Accounts != 3 || over.Own == nil || over.Own.Rank != 3 || placed(over) != placedOf(ana, bob) || over.Next != 2 {
		t.Errorf("when it is over: %+v", over)
	}
	if rest := done[client.Standings](t)(people[cyn].Standings(ctx, "spring", over.Next, 2)); len(rest.Standings) != 1 || rest.Standings[0] != *over.Own || rest.Next != 0 {
		t.Errorf("the rest: %+v", rest)
	}
	done[client.Decision](t)(people[ana].SetRanking(ctx, ana, false))
	hidden := done[client.Standings](t)(people[ana].Standings(ctx, "spring", 0, 0))
	if len(hidden.Standings) != 2 || hidden.Standings[0].Rank != 2 || hidden.Own == nil || hidden.Own.Rank != 1 {
		t.Errorf("who hides sees where she stands, and nobody else does: %+v", hidden)
	}
	if r := e.get("/v1/seasons/none/standings", e.admin); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
}

// ran waits until the first season is in a state, which it comes to by itself.
func ran(t *testing.T, c *client.Client, state engine.SeasonState) {
	t.Helper()
	for {
		got := done[client.Seasons](t)(c.Seasons(t.Context()))
		if len(got.Seasons) == 1 && got.Seasons[0].State == state {
			return
		}
	}
}

func placed(s *client.Standings) (out string) {
	for _, x := range s.Standings {
		out += fmt.Sprint(x.Rank, " ", x.Account, ";")
	}
	return out
}

// placedOf is what placed says of accounts that come one after another.
func placedOf(ids ...engine.AccountID) (out string) {
	for i, id := range ids {
		out += fmt.Sprint(i+1, " ", id, ";")
	}
	return out
}

// driveSeasons drives the routes of seasons into answers of many kinds.
func driveSeasons(see func(method, pattern, path, secret, body string), admin string) {
	const all = "/v1/seasons"
	one := bodyOf(all)
	see(http.MethodPost, all, all, admin, one.with("start", ""))
	see(http.MethodPost, all, all, admin, one.with("name", `"Spring"`))
	see(http.MethodGet, all, all, admin, "")
	for _, name := range []string{"spring", "none", "A"} {
		see(http.MethodGet, all+"/{season}/standings", all+"/"+name+"/standings?limit=1", admin, "")
		see(http.MethodPost, all+"/{season}/end", all+"/"+name+"/end", admin, `{}`)
		see(http.MethodGet, all+"/{season}/standings", all+"/"+name+"/standings", admin, "")
	}
	for _, a := range []string{"acc_1", "acc_99"} {
		see(http.MethodPost, "/v1/accounts/{account}/ranking", "/v1/accounts/"+a+"/ranking", admin, `{"ranked":false}`)
		see(http.MethodGet, "/v1/accounts/{account}/ranking", "/v1/accounts/"+a+"/ranking", admin, "")
	}
}
