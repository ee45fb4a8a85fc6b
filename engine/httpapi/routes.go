package httpapi

import (
	"net/http"
	"slices"
	"strings"

	"github.com/mbp-market/mbp/engine"
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

	command func(*call) engine.Command // of a mutation
	read    func(*call) (any, error)   // of a read
	stream  bool
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
)

// routes is the whole face of the server. openapi.yaml documents each line, and
// a test compares the two.
func (a *API) routes() []route {
	const get, post = http.MethodGet, http.MethodPost
	return []route{
		{method: get, path: "/v1/me", roles: everyone, read: a.me},
		{method: post, path: "/v1/accounts", roles: operators, command: openAccount},
		{method: get, path: "/v1/accounts/{account}", roles: overseers, owner: true, read: a.account},
		{method: post, path: "/v1/accounts/{account}/grants", roles: operators, command: grantCredits},
		{method: post, path: "/v1/keys", roles: engine.RoleAdmin, command: addKey},
		{method: post, path: "/v1/keys/{sha256}/revoke", roles: engine.RoleAdmin, command: revokeKey},
		{method: get, path: "/v1/templates", roles: everyone, read: a.templates},
		{method: post, path: "/v1/templates", roles: operators, command: addTemplate},
		{method: get, path: "/v1/markets", roles: everyone, read: a.markets},
		{method: post, path: "/v1/markets", roles: operators, command: openMarket},
		{method: get, path: "/v1/markets/{market}", roles: everyone, read: a.market},
		{method: post, path: "/v1/markets/{market}/pause", roles: wardens, command: pauseMarket},
		{method: post, path: "/v1/markets/{market}/resume", roles: wardens, command: resumeMarket},
		{method: post, path: "/v1/markets/{market}/resolution", roles: resolvers, command: proposeResolution},
		{method: post, path: "/v1/markets/{market}/resolution/approve", roles: resolvers, command: approveResolution},
		{method: post, path: "/v1/markets/{market}/resolution/reject", roles: resolvers, command: rejectResolution},
		{method: get, path: "/v1/quotes", roles: everyone, read: a.quote},
		{method: post, path: "/v1/orders", roles: engine.RoleTrader, order: true, command: placeOrder},
		{method: get, path: "/v1/orders/{order}", roles: overseers, owner: true, read: a.order},
		{method: get, path: "/v1/decisions", roles: auditors, read: a.decisions},
		{method: get, path: "/v1/decisions/{seq}", roles: auditors, owner: true, read: a.decision},
		{method: get, path: "/v1/stream", roles: everyone, stream: true},
		{method: get, path: "/healthz", open: a.healthz},
		{method: get, path: "/readyz", open: a.readyz},
		{method: get, path: "/metrics", open: a.exposition()},
		{method: get, path: "/panel.json", open: a.panelConfig},
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
// for the rest of /v1, and the panel for everything else.
func (a *API) mount(routes []route) {
	methods := map[string][]string{}
	for _, r := range routes {
		a.mux.Handle(r.pattern(), a.measured(r.pattern(), a.handler(r)))
		methods[r.path] = append(methods[r.path], r.method)
		if r.method == http.MethodGet {
			methods[r.path] = append(methods[r.path], http.MethodHead)
		}
	}
	for path, known := range methods {
		slices.Sort(known)
		allow := strings.Join(known, ", ")
		a.mux.Handle(path, a.measured(labelOther, func(w http.ResponseWriter, r *http.Request) {
			a.fail(w, r, &refusal{code: codeMethod, detail: "allowed: " + allow, allow: allow})
		}))
	}
	a.mux.Handle("/v1/", a.measured(labelOther, func(w http.ResponseWriter, r *http.Request) {
		a.fail(w, r, &refusal{code: codeNotFound})
	}))
	a.mux.Handle("/", a.measured(labelPanel, a.panel()))
}

func (a *API) handler(r route) http.HandlerFunc {
	switch {
	case r.open != nil:
		return r.open
	case r.stream:
		return a.keyed(r, a.serveStream)
	case r.command != nil:
		return a.keyed(r, a.mutate)
	}
	return a.keyed(r, a.answer)
}
