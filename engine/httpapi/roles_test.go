package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/tests/idp"
)

// allowed is who may use each route, written a second time and by hand: a slip
// in the table of routes has to be made here, too, to go unseen.
var allowed = map[string]string{
	"GET /v1/me":                                   "trader operator resolver moderator auditor admin service",
	"POST /v1/accounts":                            "operator admin",
	"GET /v1/accounts/{account}":                   "operator auditor admin",
	"POST /v1/accounts/{account}/grants":           "operator admin",
	"GET /v1/accounts/{account}/grants":            "operator auditor admin",
	"GET /v1/seasons":                              "trader operator resolver moderator auditor admin service",
	"POST /v1/seasons":                             "operator admin",
	"POST /v1/seasons/{season}/end":                "operator admin",
	"GET /v1/seasons/{season}/standings":           "trader operator resolver moderator auditor admin service",
	"GET /v1/accounts/{account}/ranking":           "operator auditor admin",
	"POST /v1/accounts/{account}/ranking":          "operator admin",
	"GET /v1/grant-schedules":                      "operator auditor admin",
	"POST /v1/grant-schedules":                     "operator admin",
	"GET /v1/grant-schedules/{schedule}":           "operator auditor admin",
	"POST /v1/grant-schedules/{schedule}/end":      "operator admin",
	"GET /v1/accounts/{account}/trades":            "operator auditor admin",
	"GET /v1/accounts/{account}/orders":            "operator auditor admin",
	"GET /v1/accounts/{account}/portfolio":         "operator auditor admin",
	"GET /v1/accounts/{account}/personal-data":     "admin",
	"DELETE /v1/accounts/{account}/personal-data":  "admin",
	"GET /v1/keys":                                 "auditor admin",
	"POST /v1/keys":                                "admin",
	"POST /v1/keys/{sha256}/revoke":                "admin",
	"GET /v1/webhooks":                             "operator auditor admin",
	"POST /v1/webhooks":                            "operator admin",
	"GET /v1/webhooks/{webhook}":                   "operator auditor admin",
	"POST /v1/webhooks/{webhook}/pause":            "operator admin",
	"POST /v1/webhooks/{webhook}/resume":           "operator admin",
	"POST /v1/webhooks/{webhook}/rotate":           "operator admin",
	"POST /v1/webhooks/{webhook}/replay":           "operator admin",
	"POST /v1/webhooks/{webhook}/test":             "operator admin",
	"POST /v1/webhooks/{webhook}/delete":           "operator admin",
	"GET /v1/policy":                               "operator auditor admin",
	"POST /v1/policy":                              "operator admin",
	"POST /v1/policy/rollback":                     "operator admin",
	"POST /v1/mode":                                "operator admin",
	"POST /v1/deadlines":                           "operator admin",
	"GET /v1/house":                                "operator auditor admin",
	"POST /v1/house/upgrade":                       "admin",
	"POST /v1/moderation":                          "moderator admin",
	"POST /v1/moderation/undo":                     "moderator admin",
	"GET /v1/templates":                            "trader operator resolver moderator auditor admin service",
	"POST /v1/templates":                           "operator admin",
	"GET /v1/markets":                              "trader operator resolver moderator auditor admin service",
	"POST /v1/markets":                             "operator admin",
	"GET /v1/markets/{market}":                     "trader operator resolver moderator auditor admin service",
	"GET /v1/markets/{market}/book":                "trader operator resolver moderator auditor admin service",
	"GET /v1/markets/{market}/candles":             "trader operator resolver moderator auditor admin service",
	"GET /v1/markets/{market}/trades":              "trader operator resolver moderator auditor admin service",
	"POST /v1/markets/{market}/clarifications":     "operator admin",
	"POST /v1/markets/{market}/activate":           "operator admin",
	"POST /v1/markets/{market}/pause":              "operator moderator admin",
	"POST /v1/markets/{market}/resume":             "operator moderator admin",
	"POST /v1/markets/{market}/reopen":             "operator moderator admin",
	"GET /v1/markets/{market}/groups":              "operator auditor admin",
	"POST /v1/markets/{market}/groups":             "operator admin",
	"GET /v1/accounts/{account}/groups":            "operator auditor admin",
	"POST /v1/accounts/{account}/groups":           "operator admin",
	"POST /v1/markets/{market}/close-time":         "operator admin",
	"POST /v1/markets/{market}/close":              "operator admin",
	"POST /v1/markets/{market}/cancel":             "operator admin",
	"POST /v1/markets/{market}/split":              "trader",
	"POST /v1/markets/{market}/merge":              "trader",
	"POST /v1/markets/{market}/liquidity/add":      "trader",
	"POST /v1/markets/{market}/liquidity/remove":   "trader",
	"POST /v1/markets/{market}/facts":              "resolver service",
	"POST /v1/markets/{market}/resolution":         "resolver admin",
	"POST /v1/markets/{market}/resolution/approve": "resolver admin",
	"POST /v1/markets/{market}/resolution/reject":  "resolver admin",
	"POST /v1/markets/{market}/resolution/dispute": "trader operator resolver moderator admin",
	"GET /v1/quotes":                               "trader operator resolver moderator auditor admin service",
	"GET /v1/orders":                               "trader operator auditor admin",
	"POST /v1/orders":                              "trader",
	"POST /v1/orders/batch":                        "trader",
	"POST /v1/orders/batches":                      "trader",
	"POST /v1/orders/cancel-all":                   "trader",
	"GET /v1/orders/{order}":                       "operator auditor admin",
	"POST /v1/orders/{order}/amend":                "trader",
	"POST /v1/orders/{order}/cancel":               "trader",
	"GET /v1/decisions":                            "auditor admin",
	"GET /v1/decisions/{seq}":                      "auditor admin",
	"GET /v1/decisions/{seq}/notes":                "operator resolver moderator auditor admin",
	"POST /v1/decisions/{seq}/notes":               "operator resolver moderator auditor admin",
	"GET /v1/audit/checkpoint":                     "auditor admin",
	"GET /v1/audit/proof/{seq}":                    "auditor admin",
	"GET /v1/audit/consistency":                    "auditor admin",
	"GET /v1/exports/{table}":                      "operator auditor admin",
	"GET /v1/markets/{market}/stream":              "trader operator resolver moderator auditor admin service",
	"GET /v1/accounts/{account}/stream":            "operator auditor admin",
	"GET /v1/stream":                               "trader operator resolver moderator auditor admin service",
}

// public routes need no key.
var public = "GET /healthz GET /readyz GET /metrics GET /panel.json GET /audit/verifier " +
	"GET /auth/session POST /auth/session POST /auth/session/end GET /auth/sign-in GET /auth/callback"

func concrete(path string) string {
	return strings.NewReplacer("{account}", "acc_1", "{market}", "mkt_1", "{order}", "ord_5", "{seq}", "5", "{table}", "trades",
		"{sha256}", strings.Repeat("ab", 32), "{webhook}", "whk_5", "{schedule}", "allowance", "{season}", "spring").Replace(path)
}

// TestEveryRouteWithEveryRole asks every route with every role, by an API key, by a
// token of the identity provider and by a session, and in every way in which nobody
// comes in: those have no decision made.
func TestEveryRouteWithEveryRole(t *testing.T) {
	p := idp.Start(t)
	e := start(t, options{cfg: withProvider(t, p)})
	owner := e.funded(100_000)
	e.market(owner) // decision 4; the order below is decision 6
	ana := e.key("ana", engine.RoleTrader, owner)
	if r := e.post("/v1/orders", ana, buyTen); r.status != http.StatusCreated || !strings.Contains(r.body, `"ord_6"`) {
		t.Fatalf("%d %s", r.status, r.body)
	}
	d := doors(t, e, p)
	for _, rt := range e.api.routes() {
		if rt.open != nil {
			if !strings.Contains(" "+public+" ", " "+rt.pattern()+" ") {
				t.Errorf("%s needs no key", rt.pattern())
			}
			continue
		}
		roles, known := allowed[rt.pattern()]
		if !known {
			t.Errorf("%s is not in the list of this test", rt.pattern())
			continue
		}
		path := strings.Replace(concrete(rt.path), "ord_5", "ord_6", 1)
		if rt.stream {
			path += "?never=1" // a refusal from behind the roles, instead of a stream without end
		}
		before := e.seq.Durable()
		for what, headers := range d.nobody {
			r := e.send(rt.method, path, "", "{}", headers...)
			if r.status != http.StatusUnauthorized || r.code(t) != problem.Unauthenticated || r.header.Get("WWW-Authenticate") == "" {
				t.Errorf("%s with %s: %d %s", rt.pattern(), what, r.status, r.body)
			}
		}
		for what, headers := range d.forged {
			r := e.send(rt.method, path, "", "{}", headers...)
			if write := rt.method == http.MethodPost; write && r.status != http.StatusForbidden {
				t.Errorf("%s with %s: %d %s", rt.pattern(), what, r.status, r.body)
			}
		}
		if got := e.seq.Durable(); got != before {
			t.Errorf("%s: who may not come in has %d decisions made", rt.pattern(), got-before)
		}
		for word, ways := range d.roles {
			may := strings.Contains(" "+roles+" ", " "+word+" ")
			for way, headers := range ways {
				// A person has an account, and so orders of their own.
				may := may || way == "token" && rt.pattern() == "GET /v1/orders"
				r := e.send(rt.method, path, "", "{}", headers...)
				if forbidden := r.status == http.StatusForbidden; forbidden == may || r.status == http.StatusUnauthorized {
					t.Errorf("%s as %s by %s: %d %s", rt.pattern(), word, way, r.status, r.body)
				}
			}
		}
	}
	if open := len(strings.Fields(public)) / 2; len(allowed)+open != len(e.api.routes()) {
		t.Errorf("%d routes, the test knows %d", len(e.api.routes()), len(allowed)+open)
	}
}

// TestOwnersReadTheirOwn: what needs a role is open to whom it belongs to.
func TestOwnersReadTheirOwn(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(100_000)
	e.market(owner)
	ana := e.key("ana", engine.RoleTrader, owner)
	bob := e.key("bob", engine.RoleTrader, e.funded(1))
	r := e.post("/v1/orders", ana, buyTen)
	seq := r.doc(t)["seq"].(float64)
	order := r.doc(t)["events"].([]any)[0].(map[string]any)["order"].(string)
	for _, path := range []string{"/v1/accounts/" + owner.String(), "/v1/orders/" + order, "/v1/decisions/" + order[4:],
		"/v1/accounts/" + owner.String() + "/trades", "/v1/accounts/" + owner.String() + "/orders", "/v1/accounts/" + owner.String() + "/portfolio", "/v1/accounts/" + owner.String() + "/grants", "/v1/accounts/" + owner.String() + "/ranking"} {
		if r := e.get(path, ana); r.status != http.StatusOK {
			t.Errorf("%s by its owner: %d %s", path, r.status, r.body)
		}
		if r := e.get(path, bob); r.status != http.StatusForbidden || strings.Contains(r.body, "ana") {
			t.Errorf("%s by somebody else: %d %s", path, r.status, r.body)
		}
	}
	refused := e.post("/v1/orders", ana, strings.Replace(buyTen, "}", `,"limit_price_micros":1}`, 1))
	for _, id := range []string{refused.doc(t)["instance"].(string)[len("/v1/decisions/"):], "1", fmt.Sprintf("%.0f", seq+100)} {
		if r := e.get("/v1/orders/ord_"+id, e.admin); r.status != http.StatusNotFound || r.code(t) != problem.NotFound {
			t.Errorf("ord_%s is no order: %d %s", id, r.status, r.body)
		}
	}
}

// TestAuthorizationHeader: only one well-formed bearer header counts.
func TestAuthorizationHeader(t *testing.T) {
	e := start(t, options{})
	for _, h := range []string{e.admin, "Basic " + e.admin, "Bearer", "Bearer ", "Bearer  " + e.admin, "Bearer " + e.admin + " x", "Bearer " + strings.ToLower(e.admin), "Token " + e.admin} {
		if r := e.get("/v1/me", "", "Authorization", h); r.status != http.StatusUnauthorized {
			t.Errorf("%q: %d", strings.ReplaceAll(h, e.admin, "SECRET"), r.status)
		}
	}
	if r := e.get("/v1/me", "", "Authorization", "bearer "+e.admin); r.status != http.StatusOK {
		t.Errorf("the scheme is not case-sensitive: %d", r.status)
	}
	req, _ := http.NewRequest(http.MethodGet, e.url+"/v1/me", nil)
	req.Header["Authorization"] = []string{"Bearer " + e.admin, "Bearer other"}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusUnauthorized {
		t.Errorf("two headers: %d", res.StatusCode)
	}
}
