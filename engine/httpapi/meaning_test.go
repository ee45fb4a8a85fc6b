package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

const allRoles = engine.Roles(0x7f)

// said is a call of the client and the command that it means.
type said struct {
	do    func(context.Context, *client.Client) (*client.Decision, error)
	means engine.Command
}

// sayings returns calls for every mutation; the key's account is acc_1.
func sayings() []said {
	type ctx = context.Context
	type cl = *client.Client
	type dec = *client.Decision
	d, when := engine.Digest{0: 0xab}, engine.Time(1_700_000_000_000_001)
	const uri = "https://example.org/x"
	policy, template := engine.DefaultPolicy(), engine.DefaultTemplate()
	template.ID, template.Truth.Source, template.Truth.Reporters = "told", engine.SourceQuorum, []string{"p-1", "p-2"}
	template.Fee = engine.FeeRule{Kind: engine.FeeCurve, Rate: 1, LP: 2, Creator: 3}
	template.Guard = engine.GuardRule{Window: 4, Bound: 5, Relative: true, Outliers: 6, Floor: 7, ReopenAfter: 8}
	template.Risk = engine.RiskRule{MaxPosition: 9, MaxExposure: 10, MaxInterest: 11, OrderInterval: 12, OrderBurst: 13, SpikeMove: 14, SpikeSpan: 15, CoolDown: 16}
	template.End = engine.EndRule{Uniform: true, Clawback: true, VoidTrades: 17, VoidWindow: 18}
	template.Truth.MaxDisputes = 5
	template.Truth.DisputeWindow, template.Truth.SLA, template.Truth.Quorum, template.Truth.MaxAge, template.Truth.MaxDivergence = 19, 20, 21, 22, 23
	template.Collar, template.MaxDuration = 24, 25
	policy.TradeInterval, policy.TradeBurst = 26, 27
	market := engine.OpenMarket{Template: "binary@1.0.0", Title: "Rain", Creator: 1, Liquidity: 28, Price: 29, CloseAt: when, Draft: true}
	race := engine.OpenMarket{Template: "race@1.0.0", Title: "Who", Creator: 1, Liquidity: 28, Outcomes: []string{"a", "b"}, Prices: []engine.Price{30, 31}, Min: -32, Max: 33}
	key := engine.Key{SHA256: d, Principal: "x", Roles: engine.RoleTrader | engine.RoleService, Account: 1, ID: "k7", ExpiresAt: when}
	report := engine.ReportFact{Market: 7, Outcome: engine.Long, Value: -34, ObservedAt: when, EvidenceURI: uri, RuleSHA256: d, FactsSHA256: d}
	nothing := engine.ReportFact{Market: 7, Outcome: engine.None, Cancel: engine.CancelRefund, ObservedAt: when, EvidenceURI: uri, RuleSHA256: d, FactsSHA256: d}
	named := engine.ProposeResolution{Market: 7, Outcome: engine.No, EvidenceURI: uri, EvidenceSHA256: d, RuleSHA256: d, EffectiveAt: when}
	valued := engine.ProposeResolution{Market: 7, Outcome: engine.Long, EvidenceURI: uri, EvidenceSHA256: d}
	dispute := engine.DisputeResolution{Market: 7, EvidenceURI: uri, EvidenceSHA256: d}
	cancel := engine.CancelMarket{Market: 7, Kind: engine.CancelRefund, EvidenceURI: uri, EvidenceSHA256: d}
	limit := engine.Moderate{Action: engine.LimitAccount, Account: 1, Until: when, EvidenceURI: uri, EvidenceSHA256: d}
	dismiss := engine.Moderate{Action: engine.DismissAbuse, Abuse: 35, EvidenceURI: uri, EvidenceSHA256: d}
	buy := client.Order{Market: 7, Outcome: engine.No, Side: engine.Buy, TIF: engine.FOK, Amount: 36}
	sell := client.Order{Market: 7, Outcome: engine.Categorical.Of(2), Side: engine.Sell, TIF: engine.GTD, Shares: 37, Limit: 38, Expires: when, PostOnly: true, SelfTrade: engine.Decrement, IfSeq: 50}
	buys := &engine.PlaceOrder{Account: 1, Market: 7, Outcome: engine.No, Side: engine.Buy, TIF: engine.FOK, Amount: 36}
	sells := &engine.PlaceOrder{Account: 1, Market: 7, Outcome: sell.Outcome, Side: engine.Sell, TIF: engine.GTD, Shares: 37, Limit: 38, Expires: when, PostOnly: true, SelfTrade: engine.Decrement, IfSeq: 50}
	id := engine.OrderOf(40, 3)
	hook := engine.AddWebhook{URL: "https://example.org/h", Events: []string{"trade", "cooled"}, Markets: []engine.MarketID{7, 8}}
	weekly := engine.GrantSchedule{Name: "weekly", Period: engine.Weekly, Amount: 53, Cap: 54, Groups: []string{"board", "staff"}, Start: when, End: when + 2_000_000_000_000}
	daily := engine.GrantSchedule{Name: "daily", Period: engine.Daily, Amount: 55}
	amends := &engine.AmendOrder{Account: 1, Order: id, Shares: 41, Limit: 42}
	return []said{
		{func(x ctx, c cl) (dec, error) { return c.OpenAccount(x) }, &engine.OpenAccount{}},
		{func(x ctx, c cl) (dec, error) { return c.Grant(x, 3, 43) }, &engine.GrantCredits{Account: 3, Amount: 43}},
		{func(x ctx, c cl) (dec, error) { return c.SetGrantSchedule(x, weekly) }, &engine.SetGrantSchedule{Schedule: weekly}},
		{func(x ctx, c cl) (dec, error) { return c.SetGrantSchedule(x, daily) }, &engine.SetGrantSchedule{Schedule: daily}},
		{func(x ctx, c cl) (dec, error) { return c.EndGrantSchedule(x, "weekly") }, &engine.EndGrantSchedule{Name: "weekly"}},
		{func(x ctx, c cl) (dec, error) {
			return c.OpenSeason(x, client.NewSeason{Name: "spring", Start: when, End: when + 5})
		}, &engine.OpenSeason{Name: "spring", Start: when, End: when + 5}},
		{func(x ctx, c cl) (dec, error) { return c.OpenSeason(x, client.NewSeason{Name: "now", End: when}) }, &engine.OpenSeason{Name: "now", End: when}},
		{func(x ctx, c cl) (dec, error) { return c.EndSeason(x, "spring") }, &engine.EndSeason{Name: "spring"}},
		{func(x ctx, c cl) (dec, error) { return c.SetRanking(x, 3, true) }, &engine.SetRanking{Account: 3, Ranked: true}},
		{func(x ctx, c cl) (dec, error) { return c.SetRanking(x, 3, false) }, &engine.SetRanking{Account: 3}},
		{func(x ctx, c cl) (dec, error) { return c.AddKey(x, key) }, &engine.AddKey{Key: key}},
		{func(x ctx, c cl) (dec, error) { return c.RevokeKey(x, d) }, &engine.RevokeKey{SHA256: d}},
		{func(x ctx, c cl) (dec, error) { return c.AddTemplate(x, template) }, &engine.AddTemplate{Template: template}},
		{func(x ctx, c cl) (dec, error) { return c.OpenMarket(x, market) }, &market},
		{func(x ctx, c cl) (dec, error) { return c.OpenMarket(x, race) }, &race},
		{func(x ctx, c cl) (dec, error) { return c.ErasePerson(x, 77) }, &engine.ErasePerson{Account: 77}},
		{func(x ctx, c cl) (dec, error) {
			return c.OpenMarketFor(x, engine.OpenMarketFor{Market: market, Allow: []string{"staff"}, Deny: []string{"board"}})
		}, &engine.OpenMarketFor{Market: market, Allow: []string{"staff"}, Deny: []string{"board"}}},
		{func(x ctx, c cl) (dec, error) { return c.SetMarketGroups(x, 7, []string{"b", "a", "b"}, []string{"c"}) }, &engine.SetMarketGroups{Market: 7, Allow: []string{"a", "b"}, Deny: []string{"c"}}},
		{func(x ctx, c cl) (dec, error) { return c.SetAccountGroups(x, 3, []string{"b", "a"}) }, &engine.SetAccountGroups{Account: 3, Groups: []string{"a", "b"}}},
		{func(x ctx, c cl) (dec, error) { return c.Activate(x, 7) }, &engine.ActivateMarket{Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.Pause(x, 7, true) }, &engine.PauseMarket{Market: 7, CancelOrders: true}},
		{func(x ctx, c cl) (dec, error) { return c.Resume(x, 7) }, &engine.ResumeMarket{Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.Reopen(x, 7) }, &engine.ReopenMarket{Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.ChangeClose(x, 7, when) }, &engine.ChangeClose{Market: 7, CloseAt: when}},
		{func(x ctx, c cl) (dec, error) { return c.ChangeClose(x, 7, 0) }, &engine.ChangeClose{Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.Close(x, 7) }, &engine.CloseMarket{Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.CancelMarket(x, cancel) }, &cancel},
		{func(x ctx, c cl) (dec, error) { return c.Split(x, 7, 44) }, &engine.SplitSets{Account: 1, Market: 7, Amount: 44}},
		{func(x ctx, c cl) (dec, error) { return c.Merge(x, 7, 45) }, &engine.MergeSets{Account: 1, Market: 7, Amount: 45}},
		{func(x ctx, c cl) (dec, error) { return c.AddLiquidity(x, 7, 46) }, &engine.AddLiquidity{Account: 1, Market: 7, Amount: 46}},
		{func(x ctx, c cl) (dec, error) { return c.RemoveLiquidity(x, 7, 47) }, &engine.RemoveLiquidity{Account: 1, Market: 7, Units: 47}},
		{func(x ctx, c cl) (dec, error) { return c.Report(x, report) }, &report},
		{func(x ctx, c cl) (dec, error) { return c.Report(x, nothing) }, &nothing},
		{func(x ctx, c cl) (dec, error) { return c.Propose(x, named) }, &named},
		{func(x ctx, c cl) (dec, error) { return c.Propose(x, valued) }, &valued},
		{func(x ctx, c cl) (dec, error) { return c.Approve(x, 7) }, &engine.ApproveResolution{Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.Reject(x, 7) }, &engine.RejectResolution{Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.Dispute(x, dispute) }, &dispute},
		{func(x ctx, c cl) (dec, error) { return c.PlaceOrder(x, buy) }, buys},
		{func(x ctx, c cl) (dec, error) { return c.PlaceOrder(x, sell) }, sells},
		{func(x ctx, c cl) (dec, error) { return c.CancelOrder(x, id) }, &engine.CancelOrder{Account: 1, Order: id}},
		{func(x ctx, c cl) (dec, error) { return c.CancelAll(x, 7) }, &engine.CancelAll{Account: 1, Market: 7}},
		{func(x ctx, c cl) (dec, error) { return c.CancelAll(x, 0) }, &engine.CancelAll{Account: 1}},
		{func(x ctx, c cl) (dec, error) { return c.AmendOrder(x, id, 41, 42) }, amends},
		{func(x ctx, c cl) (dec, error) {
			return c.Batch(x, []client.Item{{Place: &sell}, {Cancel: id}, {CancelAll: true}, {Amend: &client.Amendment{Order: id, Shares: 41, Limit: 42}}})
		}, &engine.Batch{Items: []engine.Command{sells, &engine.CancelOrder{Account: 1, Order: id}, &engine.CancelAll{Account: 1}, amends}}},
		{func(x ctx, c cl) (dec, error) {
			got, err := c.Batches(x, []client.Item{{Cancel: id}, {CancelAll: true}})
			if err != nil {
				return nil, err
			}
			return &got.Decisions[0], nil
		}, &engine.Batch{Items: []engine.Command{&engine.CancelOrder{Account: 1, Order: id}, &engine.CancelAll{Account: 1}}}},
		{func(x ctx, c cl) (dec, error) { return c.SetPolicy(x, policy) }, &engine.SetPolicy{Policy: policy}},
		{func(x ctx, c cl) (dec, error) { return c.RollbackPolicy(x) }, &engine.RollbackPolicy{}},
		{func(x ctx, c cl) (dec, error) { return c.SetMode(x, engine.ModeLite, "drill") }, &engine.SetMode{Mode: engine.ModeLite, Reason: "drill"}},
		{func(x ctx, c cl) (dec, error) { return c.SetDeadlines(x, true, "drill") }, &engine.SetDeadlines{Held: true, Reason: "drill"}},
		{func(x ctx, c cl) (dec, error) { return c.UpgradeEngine(x, 49) }, &engine.UpgradeEngine{Version: 49}},
		{func(x ctx, c cl) (dec, error) { return c.Moderate(x, limit) }, &limit},
		{func(x ctx, c cl) (dec, error) { return c.Moderate(x, dismiss) }, &dismiss},
		{func(x ctx, c cl) (dec, error) { return c.AddWebhook(x, hook) }, &hook},
		{func(x ctx, c cl) (dec, error) { return c.PauseWebhook(x, 51, "drill") }, &engine.ChangeWebhook{Webhook: 51, Change: engine.WebhookPause, Reason: "drill"}},
		{func(x ctx, c cl) (dec, error) { return c.PauseWebhook(x, 51, "") }, &engine.ChangeWebhook{Webhook: 51, Change: engine.WebhookPause}},
		{func(x ctx, c cl) (dec, error) { return c.ResumeWebhook(x, 51) }, &engine.ChangeWebhook{Webhook: 51, Change: engine.WebhookResume}},
		{func(x ctx, c cl) (dec, error) { return c.RotateWebhook(x, 51) }, &engine.ChangeWebhook{Webhook: 51, Change: engine.WebhookRotate}},
		{func(x ctx, c cl) (dec, error) { return c.ReplayWebhook(x, 51, 52) }, &engine.ChangeWebhook{Webhook: 51, Change: engine.WebhookReplay, From: 52}},
		{func(x ctx, c cl) (dec, error) { return c.TestWebhook(x, 51) }, &engine.ChangeWebhook{Webhook: 51, Change: engine.WebhookTest}},
		{func(x ctx, c cl) (dec, error) { return c.DeleteWebhook(x, 51) }, &engine.ChangeWebhook{Webhook: 51, Change: engine.WebhookRemoved}},
		{func(x ctx, c cl) (dec, error) { return c.UndoModeration(x, 48) }, &engine.UndoModeration{Decision: 48}},
	}
}

// TestWhatTheClientSays: what a call of the client means is what the journal
// holds, member for member, whether it was accepted or not.
func TestWhatTheClientSays(t *testing.T) {
	e := start(t, options{})
	secret := e.key("all", allRoles, e.funded(1000))
	c, err := client.New(e.url, secret)
	if err != nil {
		t.Fatal(err)
	}
	c = c.With(client.NoRetry())
	written := func(x engine.Command) string {
		b, err := json.Marshal(x)
		if err != nil {
			t.Fatal(err)
		}
		return x.Type() + " " + string(b)
	}
	for _, s := range sayings() {
		d, err := s.do(t.Context(), c)
		var seq engine.Seq
		var p *client.Problem
		switch {
		case err == nil:
			seq = d.Seq
		case errors.As(err, &p) && p.Decided():
			seq = engine.Seq(p.Seq)
		default:
			t.Errorf("%s: %v", s.means.Type(), err)
			continue
		}
		got, err := e.seq.Decision(seq)
		if err != nil {
			t.Fatal(err)
		}
		if have, want := written(got.Decision.Command), written(s.means); have != want {
			t.Errorf("the journal has\n%s, meant was\n%s", have, want)
		}
	}
	sayTexts(t, c)
	e.quiet()
	for _, rt := range e.api.routes() {
		if n := e.value("http_requests_total", "route", rt.pattern(), "class", "2xx") + e.value("http_requests_total", "route", rt.pattern(), "class", "4xx"); rt.command != nil && n == 0 {
			t.Errorf("no call of the client uses %s", rt.pattern())
		}
	}
}

// TestEveryMutationCanBeRefused: each ends in a rejection that is a decision, with
// its own code.
func TestEveryMutationCanBeRefused(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(100_000))
	poor := e.key("poor", allRoles, e.funded(1))
	refused := map[string]bool{}
	for _, c := range []struct{ path, name, value, code string }{
		{"/v1/accounts/acc_1/grants", "amount_micros", `-1`, "invalid_command"},
		{"/v1/grant-schedules", "name", `"All"`, "invalid_command"},
		{"/v1/grant-schedules/allowance/end", "", "", "not_found"},
		{"/v1/seasons", "name", `"Spring"`, "invalid_command"},
		{"/v1/seasons/spring/end", "", "", "not_found"},
		{"/v1/accounts/acc_1/ranking", "ranked", `true`, "already_exists"},
		{"/v1/keys", "account", `"acc_9"`, "account_not_found"},
		{"/v1/keys/" + digest[1:65] + "/revoke", "", "", "key_not_found"},
		{"/v1/templates", "id", `"A"`, "invalid_command"},
		{"/v1/markets", "template", `"none@1.0.0"`, "template_not_found"},
		{"/v1/markets/mkt_1/activate", "", "", "wrong_state"},
		{"/v1/decisions/5/notes", "", "", ""},
		{"/v1/markets/mkt_1/close-time", "close_at", `"2001-01-01T00:00:00Z"`, "invalid_command"},
		{"/v1/markets/mkt_1/resume", "", "", "wrong_state"},
		{"/v1/markets/mkt_1/reopen", "", "", "wrong_state"},
		{"/v1/markets/mkt_1/split", "amount_micros", `1000001`, "insufficient_funds"},
		{"/v1/markets/mkt_1/merge", "amount_micros", `1`, "insufficient_shares"},
		{"/v1/markets/mkt_1/liquidity/add", "amount_micros", `2000000`, "insufficient_funds"},
		{"/v1/markets/mkt_1/liquidity/remove", "units_micros", `1`, "insufficient_shares"},
		{"/v1/accounts/acc_1/groups", "groups", `[" x"]`, "invalid_command"},
		{"/v1/markets/mkt_1/groups", "deny_groups", `[" x"]`, "invalid_command"},
		{"/v1/markets/mkt_1/facts", "", "", "not_found"}, // no such reporter
		{"/v1/markets/mkt_1/resolution", "effective_at", `"2001-01-01T00:00:00Z"`, "invalid_command"},
		{"/v1/markets/mkt_1/resolution/approve", "", "", "wrong_state"},
		{"/v1/markets/mkt_1/resolution/reject", "", "", "wrong_state"},
		{"/v1/markets/mkt_1/resolution/dispute", "", "", "wrong_state"},
		{"/v1/orders", "amount_micros", `2000000`, "insufficient_funds"},
		{"/v1/orders/batch", "items", `[]`, "invalid_command"},
		{"/v1/orders/batches", "items", `[]`, "invalid_command"},
		{"/v1/orders/cancel-all", "market", `"mkt_9"`, "market_not_found"},
		{"/v1/orders/ord_5/cancel", "", "", "order_not_found"},
		{"/v1/orders/ord_5/amend", "", "", "order_not_found"},
		{"/v1/policy", "max_open_orders", `1001`, "invalid_command"},
		{"/v1/policy/rollback", "", "", "not_found"},
		{"/v1/mode", "mode", `"normal"`, "wrong_state"},
		{"/v1/deadlines", "held", `false`, "wrong_state"},
		{"/v1/house/upgrade", "", "", "invalid_command"}, // this binary does not know version 2
		{"/v1/moderation", "account", `"acc_9"`, "account_not_found"},
		{"/v1/moderation/undo", "decision", `1`, "not_found"},
		{"/v1/webhooks", "markets", `["mkt_9"]`, "market_not_found"},
		{"/v1/webhooks/whk_5/pause", "", "", "not_found"},
		{"/v1/webhooks/whk_5/resume", "", "", "not_found"},
		{"/v1/webhooks/whk_5/rotate", "", "", "not_found"},
		{"/v1/webhooks/whk_5/replay", "", "", "not_found"},
		{"/v1/webhooks/whk_5/test", "", "", "not_found"},
		{"/v1/webhooks/whk_5/delete", "", "", "not_found"},
		{"/v1/markets/mkt_1/close", "", "", ""}, // taken: from here on it is closed
		{"/v1/markets/mkt_1/close", "", "", "wrong_state"},
		{"/v1/markets/mkt_1/pause", "", "", "wrong_state"},
		{"/v1/markets/mkt_1/cancel", "", "", ""}, // taken: from here on it is cancelled
		{"/v1/markets/mkt_1/cancel", "", "", "wrong_state"},
	} {
		r := e.post(c.path, poor, bodyOf(c.path).with(c.name, c.value))
		if c.code == "" && r.status != http.StatusCreated || c.code != "" && (r.code(t) != c.code || r.status != problem.KindOf(c.code).Status) {
			t.Errorf("%s %s=%s: %d %s, want %s", c.path, c.name, c.value, r.status, r.body, c.code)
		}
		refused[templated.Replace(c.path)] = refused[templated.Replace(c.path)] || strings.Contains(r.body, "/v1/decisions/")
	}
	for path, code := range map[string]string{"/v1/markets/mkt_1/clarifications": "wrong_state", "/v1/decisions/999/notes": "not_found"} {
		if r := e.post(path, poor, `{"text":"so it is"}`); r.code(t) != code || !strings.Contains(r.body, "/v1/decisions/") {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
	refused["/v1/markets/{market}/clarifications"], refused["/v1/decisions/{seq}/notes"] = true, true
	if r := e.send(http.MethodDelete, "/v1/accounts/acc_9/personal-data", poor, ""); r.code(t) != "account_not_found" || !strings.Contains(r.body, "/v1/decisions/") {
		t.Errorf("%d %s", r.status, r.body)
	}
	refused["/v1/accounts/{account}/personal-data"] = true
	full := engine.DefaultPolicy()
	full.MaxAccounts = 2
	e.submit(&engine.SetPolicy{Policy: full})
	if r := e.post("/v1/accounts", poor, `{}`); r.code(t) != "limit_reached" {
		t.Errorf("%d %s", r.status, r.body)
	}
	refused["/v1/accounts"] = true
	for _, rt := range e.api.routes() {
		if rt.command != nil && !refused[rt.path] {
			t.Errorf("%s was never refused", rt.pattern())
		}
	}
}

// TestReopen freezes a market by prices that run away, under a clock that a test
// can move, and reopens it.
func TestReopen(t *testing.T) {
	var passed atomic.Int64
	begin := time.Now()
	o := options{}
	o.size.Now = func() time.Time { return begin.Add(time.Duration(passed.Load())) }
	e := start(t, o)
	account := e.funded(100_000)
	e.market(account)
	ana := e.key("ana", engine.RoleTrader, account)
	state := func() string { return fmt.Sprint(e.get("/v1/markets/mkt_1", ana).doc(t)["state"]) }
	for minute := 0; state() == "open" && minute < 20; minute++ {
		passed.Add(int64(time.Minute))
		e.post("/v1/orders", ana, strings.Replace(buyTen, "10000000", "60000000", 1))
	}
	if state() != "frozen" {
		t.Fatalf("the market is %s", state())
	}
	if r := e.post("/v1/orders", ana, buyTen); r.code(t) != "frozen" {
		t.Errorf("%d %s", r.status, r.body)
	}
	c := openContract(t)
	for _, rt := range e.api.routes() {
		switch rt.pattern() {
		case "POST /v1/markets/{market}/reopen":
			r := e.post("/v1/markets/mkt_1/reopen", e.admin, `{}`)
			if c.check(rt, r); r.status != http.StatusCreated || state() != "open" {
				t.Errorf("%d %s; the market is %s", r.status, r.body, state())
			}
		case "GET /v1/decisions": // with a tripped guard among them
			c.check(rt, e.get("/v1/decisions", e.admin))
		}
	}
}
