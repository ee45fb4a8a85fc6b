package httpapi

import (
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/admit"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/roster"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// route is one line of the edge's table: who may do what, and which function
// turns the request into a command or an answer.
type route struct {
	method, path string
	roles        engine.Roles // any of them; 0: every valid key
	// owner also lets pass whoever the thing belongs to; the function itself then
	// checks that, because only it has the thing.
	owner bool
	// order marks a DEC request: its latency is the platform's first promise.
	order bool
	// several marks a mutation that takes several decisions.
	several bool
	// relief marks trading that only takes something back: the mode shed admits it
	// as ever.
	relief admit.Relief

	command func(*wire.Request) engine.Command            // of a mutation
	quick   func([]byte, engine.AccountID) engine.Command // the same of an ordinary body, nil of others; may be nil
	read    func(*call) (any, error)                      // of a read
	stream  bool
	export  bool
	open    http.HandlerFunc // needs no key
}

func (r route) pattern() string { return r.method + " " + r.path }

// The sets of roles that more than one route names.
const (
	operators = engine.RoleOperator | engine.RoleAdmin
	resolvers = engine.RoleResolver | engine.RoleAdmin
	auditors  = engine.RoleAuditor | engine.RoleAdmin
	overseers = engine.RoleOperator | engine.RoleAuditor | engine.RoleAdmin
	wardens   = engine.RoleOperator | engine.RoleModerator | engine.RoleAdmin
	everyone  = engine.Roles(0)

	moderators = engine.RoleModerator | engine.RoleAdmin
	reporters  = engine.RoleService | engine.RoleResolver
	objectors  = engine.RoleTrader | engine.RoleResolver | engine.RoleModerator | engine.RoleOperator | engine.RoleAdmin
)

// routes is the whole face of the server. openapi.yaml documents each line, and
// a test compares the two.
func (a *API) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return append([]route{
		{method: post, path: "/v1/accounts", roles: operators, command: wire.OpenAccount},
		{method: get, path: "/v1/accounts/{account}", roles: overseers, owner: true, read: a.ofAccount(roster.Account)},
		{method: post, path: "/v1/accounts/{account}/grants", roles: operators, command: wire.GrantCredits},
		{method: get, path: "/v1/accounts/{account}/groups", roles: overseers, owner: true, read: a.ofAccount(roster.AccountGroups)},
		{method: post, path: "/v1/accounts/{account}/groups", roles: operators, command: wire.SetAccountGroups},
		{method: get, path: "/v1/policy", roles: overseers, read: a.policy},
		{method: post, path: "/v1/policy", roles: operators, command: wire.SetPolicy},
		{method: post, path: "/v1/policy/rollback", roles: operators, command: wire.RollbackPolicy},
		{method: post, path: "/v1/mode", roles: operators, command: wire.SetMode},
		{method: post, path: "/v1/deadlines", roles: operators, command: wire.SetDeadlines},
		{method: get, path: "/v1/house", roles: overseers, read: a.house},
		{method: post, path: "/v1/house/upgrade", roles: engine.RoleAdmin, command: wire.UpgradeEngine},
		{method: post, path: "/v1/moderation", roles: moderators, command: wire.Moderate},
		{method: post, path: "/v1/moderation/undo", roles: moderators, command: wire.UndoModeration},
		{method: get, path: "/v1/quotes", roles: everyone, read: a.quote},
		{method: get, path: "/v1/orders", roles: overseers, owner: true, read: a.orders},
		{method: post, path: "/v1/orders", roles: engine.RoleTrader, order: true, command: wire.PlaceOrder, quick: wire.QuickOrder},
		{method: post, path: "/v1/orders/batch", roles: engine.RoleTrader, order: true, command: wire.Batch, quick: wire.QuickBatch},
		{method: post, path: "/v1/orders/batches", roles: engine.RoleTrader, order: true, command: wire.Batches, quick: wire.QuickBatches, several: true},
		{method: post, path: "/v1/orders/cancel-all", roles: engine.RoleTrader, order: true, relief: true, command: wire.CancelAll},
		{method: get, path: "/v1/orders/{order}", roles: overseers, owner: true, read: a.order},
		{method: post, path: "/v1/orders/{order}/amend", roles: engine.RoleTrader, order: true, command: wire.AmendOrder},
		{method: post, path: "/v1/orders/{order}/cancel", roles: engine.RoleTrader, order: true, relief: true, command: wire.CancelOrder},
		{method: get, path: "/v1/decisions", roles: auditors, read: a.decisions},
		{method: get, path: "/v1/decisions/{seq}", roles: auditors, owner: true, read: a.decision},
		{method: get, path: "/v1/exports/{table}", roles: overseers, export: true},
		{method: get, path: "/v1/stream", roles: everyone, stream: true},
		{method: get, path: "/v1/markets/{market}/stream", roles: everyone, stream: true},
		{method: get, path: "/v1/accounts/{account}/stream", roles: overseers, owner: true, stream: true},
		{method: get, path: "/healthz", open: a.healthz},
		{method: get, path: "/readyz", open: a.readyz},
		{method: get, path: "/metrics", open: a.exposition()},
		{method: get, path: "/panel.json", open: a.panelConfig},
	}, slices.Concat(a.doorRoutes(), a.marketRoutes(), a.pastRoutes(), a.auditRoutes(), a.textRoutes(), a.webhookRoutes(), a.seasonRoutes())...)
}

// marketRoutes is the part of the table that is about markets.
func (a *API) marketRoutes() []route {
	const get, post, one = http.MethodGet, http.MethodPost, "/v1/markets/{market}"
	return []route{
		{method: get, path: "/v1/templates", roles: everyone, read: a.templates},
		{method: post, path: "/v1/templates", roles: operators, command: wire.AddTemplate},
		{method: get, path: "/v1/markets", roles: everyone, read: a.markets},
		{method: post, path: "/v1/markets", roles: operators, command: wire.OpenMarket},
		{method: get, path: one, roles: everyone, read: a.market},
		{method: get, path: one + "/book", roles: everyone, read: a.book},
		{method: post, path: one + "/activate", roles: operators, command: wire.ActivateMarket},
		{method: post, path: one + "/pause", roles: wardens, command: wire.PauseMarket},
		{method: post, path: one + "/resume", roles: wardens, command: wire.ResumeMarket},
		{method: post, path: one + "/reopen", roles: wardens, command: wire.ReopenMarket},
		{method: post, path: one + "/close-time", roles: operators, command: wire.ChangeClose},
		{method: get, path: one + "/groups", roles: overseers, read: a.marketGroups},
		{method: post, path: one + "/groups", roles: operators, command: wire.SetMarketGroups},
		{method: post, path: one + "/close", roles: operators, command: wire.CloseMarket},
		{method: post, path: one + "/cancel", roles: operators, command: wire.CancelMarket},
		{method: post, path: one + "/split", roles: engine.RoleTrader, command: wire.SplitSets},
		{method: post, path: one + "/merge", roles: engine.RoleTrader, command: wire.MergeSets},
		{method: post, path: one + "/liquidity/add", roles: engine.RoleTrader, command: wire.AddLiquidity},
		{method: post, path: one + "/liquidity/remove", roles: engine.RoleTrader, command: wire.RemoveLiquidity},
		{method: post, path: one + "/facts", roles: reporters, command: wire.ReportFact},
		{method: post, path: one + "/resolution", roles: resolvers, command: wire.ProposeResolution},
		{method: post, path: one + "/resolution/approve", roles: resolvers, command: wire.ApproveResolution},
		{method: post, path: one + "/resolution/reject", roles: resolvers, command: wire.RejectResolution},
		{method: post, path: one + "/resolution/dispute", roles: objectors, command: wire.DisputeResolution},
	}
}

// Labels of requests outside the table.
const (
	labelPanel = "GET /"
	labelOther = "other"
)

func labels(routes []route) []string {
	out := []string{labelPanel, labelOther}
	for _, r := range routes {
		out = append(out, r.pattern())
	}
	return out
}

// mount registers the table, a 405 for every other method of its paths, a 404
// for the rest of /v1, and the panel for everything else. The methods are told
// apart here and not by the mux, which would find GET /v1/orders/{order} and
// /v1/orders/batch at odds.
func (a *API) mount(routes []route) {
	paths := map[string]map[string]http.Handler{}
	for _, r := range routes {
		if paths[r.path] == nil {
			paths[r.path] = map[string]http.Handler{}
		}
		h := a.measured(r.pattern(), a.handler(r))
		paths[r.path][r.method] = h
		if r.method == http.MethodGet {
			paths[r.path][http.MethodHead] = h
		}
	}
	for path, methods := range paths {
		allow := strings.Join(slices.Sorted(maps.Keys(methods)), ", ")
		refuse := a.measured(labelOther, func(w http.ResponseWriter, r *http.Request) {
			a.fail(w, r, &problem.Refusal{Code: problem.Method, Detail: "allowed: " + allow, Allow: allow})
		})
		a.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			h, known := methods[r.Method]
			if !known {
				h = refuse
			}
			h.ServeHTTP(w, r)
		})
	}
	a.nowhere = a.measured(labelOther, func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, &problem.Refusal{Code: problem.NotFound})
	})
	a.mux.Handle("/v1/", a.nowhere)
	a.mux.Handle("/", a.measured(labelPanel, a.panel()))
}

func (a *API) handler(r route) http.HandlerFunc {
	switch {
	case r.open != nil:
		return r.open
	case r.stream:
		return a.keyed(r, a.listen)
	case r.export:
		return a.keyed(r, a.exports)
	case r.command != nil:
		return a.keyed(r, a.mutate)
	}
	return a.keyed(r, a.answer)
}
