package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/history"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// TestGrantsArrive: an operator sets a schedule, the first of the month comes, and who is
// in its group finds the credits in account, history and portfolio, where they are no
// profit; the round is told, and its decisions can be audited.
func TestGrantsArrive(t *testing.T) {
	var clock atomic.Int64
	clock.Store(time.Date(2026, 1, 31, 23, 59, 0, 0, time.UTC).UnixMicro())
	e := start(t, options{size: sequencer.Config{Now: func() time.Time { return time.UnixMicro(clock.Load()).UTC() }}})
	e.market(e.funded(10_000))
	insider, guest, rich := e.funded(20), e.funded(1), e.funded(490)
	ops, ana := e.as(e.key("ops", engine.RoleOperator, 0)), e.as(e.key("ana", engine.RoleTrader, insider))
	ctx := t.Context()
	for _, id := range []engine.AccountID{insider, rich} {
		done[client.Decision](t)(ops.SetAccountGroups(ctx, id, []string{"staff"}))
	}
	terms := engine.GrantSchedule{Name: "allowance", Period: engine.Monthly, Amount: 100 * engine.One, Cap: 500 * engine.One, Groups: []string{"staff"}}
	set := done[client.Decision](t)(ops.SetGrantSchedule(ctx, terms, client.Key("once")))
	if again := done[client.Decision](t)(ops.SetGrantSchedule(ctx, terms, client.Key("once"))); !again.Replayed || again.Seq != set.Seq {
		t.Errorf("repeated: %+v", again)
	}
	february := engine.Time(time.Date(2026, 2, 1, 0, 0, 0, 0, time.UTC).UnixMicro())
	if got := done[client.GrantScheduleAt](t)(ops.GrantSchedule(ctx, "allowance")); got.Next != february || got.Round != nil || got.Pays {
		t.Errorf("before the first period: %+v", got)
	}
	bought := done[client.Decision](t)(ana.PlaceOrder(ctx, client.Order{Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Amount: 10 * engine.One}))
	before := done[client.Portfolio](t)(ana.Portfolio(ctx, insider, false, client.Past{}))

	clock.Add(90 * time.Second.Microseconds())
	e.submit(&engine.OpenAccount{}) // engine time goes on; the round is worked off around it
	for got := done[client.GrantScheduleAt](t)(ops.GrantSchedule(ctx, "allowance")); got.Round == nil || got.Round.Done == 0; {
		got = done[client.GrantScheduleAt](t)(ops.GrantSchedule(ctx, "allowance"))
	}
	all := done[client.GrantSchedules](t)(ops.GrantSchedules(ctx))
	if len(all.Schedules) != 1 {
		t.Fatalf("%+v", all)
	}
	got := all.Schedules[0]
	if r := got.Round; r.Period != february || r.Accounts < 4 || r.Seen != r.Accounts || r.Paid != 2 || r.Amount != 110*engine.One || r.Begun < february || r.Done < r.Begun {
		t.Errorf("the round: %+v", r)
	}
	if want := engine.Time(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC).UnixMicro()); got.Next != want || got.Pays {
		t.Errorf("the next one: %+v", got)
	}

	grants := done[client.GrantPage](t)(ana.AccountGrants(ctx, insider, client.Past{}))
	if len(grants.Grants) != 2 || grants.Granted != 120*engine.One || grants.Grants[0].Schedule != "allowance" || grants.Grants[0].Period != february ||
		grants.Grants[0].Amount != 100*engine.One || grants.Grants[1].Schedule != "" || grants.Grants[1].Amount != 20*engine.One {
		t.Errorf("what she was given: %+v", grants)
	}
	if one := done[client.GrantPage](t)(ana.AccountGrants(ctx, insider, client.Past{Limit: 1})); len(one.Grants) != 1 || one.Next == 0 {
		t.Errorf("a page of one: %+v", one)
	} else if two := done[client.GrantPage](t)(ana.AccountGrants(ctx, insider, client.Past{Before: one.Next})); len(two.Grants) != 1 || two.Grants[0] != grants.Grants[1] || two.Next != 0 {
		t.Errorf("the page behind it: %+v", two)
	}
	if none := done[client.GrantPage](t)(ana.AccountGrants(ctx, insider, client.Past{From: february + 3600*1_000_000})); len(none.Grants) != 0 || none.Granted != grants.Granted {
		t.Errorf("nothing came later: %+v", none)
	}
	account, after := done[client.Account](t)(ana.Account(ctx, insider)), done[client.Portfolio](t)(ana.Portfolio(ctx, insider, false, client.Past{}))
	if after.Profit != before.Profit || after.Granted != before.Granted+100*engine.One || account.Available != after.Granted-after.Paid {
		t.Errorf("a grant is no profit: %+v, then %+v; %+v", before, after, account.Account)
	}
	for id, want := range map[engine.AccountID]engine.Micros{guest: engine.One, rich: 500 * engine.One} {
		if x := done[client.Account](t)(ops.Account(ctx, id)); x.Available != want {
			t.Errorf("%s has %d, want %d", id, x.Available, want)
		}
	}

	paid := 0
	for _, d := range done[client.DecisionPage](t)(e.as(e.admin).Decisions(ctx, bought.Seq, 100)).Decisions {
		if strings.Contains(string(d.Command), `"pay_grants"`) {
			paid++
			if d.Principal != engine.System || len(d.Events) != 1 || !strings.Contains(string(d.Events[0]), insider.String()) {
				t.Errorf("who granted: %+v", d)
			}
		}
	}
	if paid != 1 {
		t.Errorf("the audit sees %d pieces of the round", paid)
	}
	if d := done[client.Decision](t)(e.as(e.admin).Decision(ctx, set.Seq)); d.Principal != "ops" || !strings.Contains(string(d.Command), `"set_grant_schedule"`) {
		t.Errorf("who set it: %+v", d)
	}
	done[client.Decision](t)(ops.EndGrantSchedule(ctx, "allowance"))
	if r := e.get("/v1/grant-schedules/allowance", e.admin); r.status != http.StatusNotFound {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.get("/v1/accounts/"+guest.String()+"/grants", e.key("eve", engine.RoleTrader, rich)); r.status != http.StatusForbidden {
		t.Errorf("another's grants: %d %s", r.status, r.body)
	}
}

// TestScheduleNames: what is no name of a schedule is told apart from one that is not in
// force.
func TestScheduleNames(t *testing.T) {
	e := start(t, options{})
	for name, want := range map[string]int{"none": 404, "A": 400, "a_b": 400, strings.Repeat("a", 65): 400, strings.Repeat("a", 64): 404} {
		if r := e.get("/v1/grant-schedules/"+name, e.admin); r.status != want {
			t.Errorf("%s: %d %s", name, r.status, r.body)
		}
		if r := e.post("/v1/grant-schedules/"+name+"/end", e.admin, `{}`); r.status != want {
			t.Errorf("end %s: %d %s", name, r.status, r.body)
		}
	}
}

// TestRoundsOfTheHistory: a round is told while it goes on, one without accounts is done
// at once, and of schedules without end only so many rounds are remembered.
func TestRoundsOfTheHistory(t *testing.T) {
	h := history.New()
	seq := engine.Seq(0)
	take := func(at engine.Time, events ...engine.Event) {
		t.Helper()
		seq++
		if err := h.Take(&engine.Decision{Seq: seq, Request: engine.Request{At: at}, Events: events}); err != nil {
			t.Fatal(err)
		}
	}
	take(1, &engine.GrantsBegun{Name: "empty", Period: 1})
	if r, known := h.LastRound("empty"); !known || r.Done != 1 || r.Accounts != 0 {
		t.Errorf("%v %+v", known, r)
	}
	for range 3 {
		take(2, &engine.AccountOpened{Account: engine.AccountID(seq)})
	}
	take(3, &engine.GrantsBegun{Name: "daily", Period: 3, Last: 3})
	take(4, &engine.GrantsPaid{Name: "daily", Period: 3, Next: 3, Grants: []engine.Payout{{Account: 1, Credits: 5}}})
	if r, _ := h.LastRound("daily"); r.Seen != 2 || r.Paid != 1 || r.Amount != 5 || r.Done != 0 || r.Accounts != 3 || r.Begun != 3 {
		t.Errorf("under way: %+v", r)
	}
	take(5, &engine.GrantsPaid{Name: "daily", Period: 3, Grants: []engine.Payout{{Account: 3, Credits: 7}}})
	if r, known := h.LastRound("daily"); !known || r.Seen != 3 || r.Paid != 2 || r.Amount != 12 || r.Done != 5 {
		t.Errorf("done: %+v", r)
	}
	for i := range 70 {
		take(engine.Time(10+i), &engine.GrantsBegun{Name: fmt.Sprint("s", i), Period: 1})
	}
	if _, known := h.LastRound("empty"); known {
		t.Error("the oldest one is remembered without end")
	}
	if _, known := h.LastRound("s69"); !known {
		t.Error("the newest one is forgotten")
	}
	take(100, &engine.GrantScheduleEnded{Name: "s69"})
	if _, known := h.LastRound("s69"); known {
		t.Error("a schedule that ended has a round")
	}
}

// driveGrants drives the routes of schedules into answers of many kinds.
func driveGrants(see func(method, pattern, path, secret, body string), admin string) {
	const all = "/v1/grant-schedules"
	one := bodyOf(all)
	see(http.MethodPost, all, all, admin, one.with("", ""))
	see(http.MethodPost, all, all, admin, one.with("period", `"yearly"`))
	see(http.MethodPost, all, all, admin, one.with("amount_micros", `-1`))
	see(http.MethodGet, all, all, admin, "")
	for _, name := range []string{"allowance", "none"} {
		see(http.MethodGet, all+"/{schedule}", all+"/"+name, admin, "")
		see(http.MethodPost, all+"/{schedule}/end", all+"/"+name+"/end", admin, `{}`)
	}
}
