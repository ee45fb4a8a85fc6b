package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

// wrong are values that no member takes.
var wrong = []string{`1.5`, `1e3`, `-0`, `1.0`, `9223372036854775808`, `-9223372036854775809`, `true`, `{}`, `{"x":1}`, `[1]`, `[["x"]]`, `"` + strings.Repeat("x", 1001) + `"`}

// nonsense calls try with every value that a member does not take; "" is none.
func nonsense(b body, name, good string, try func(value string)) {
	if !b.may(name) {
		try("")
		try("null")
	}
	for _, bad := range wrong {
		switch {
		case bad == "true" && (good == "true" || good == "false"):
		case bad == "{}" && strings.HasPrefix(good, "{") && b.may(name+".any"):
		case bad == "[1]" && strings.HasSuffix(good, "000]"): // a list of numbers
		default:
			try(bad)
		}
	}
	if strings.ContainsAny(good[:1], `"[`) {
		try("5")
	} else {
		try(`"5"`)
	}
}

// TestEveryFieldRefusesNonsense sends every body with every member missing,
// null, of every wrong type, given twice and misspelt. Each is a 400 whose detail
// names the member, and none reaches a decision.
func TestEveryFieldRefusesNonsense(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(1_000_000))
	trader := e.key("ana", engine.RoleTrader|engine.RoleAdmin|engine.RoleResolver, 1)
	before := e.seq.Durable()
	covered := map[string]bool{}
	check := func(b body, name, text string) {
		t.Helper()
		r := e.post(b.path, trader, text)
		detail, _ := r.doc(t)["detail"].(string)
		if r.status != http.StatusBadRequest || r.code(t) != problem.Malformed || !strings.Contains(detail, name) {
			t.Errorf("%s %.80s: %d %.200s", b.path, text, r.status, r.body)
		}
	}
	for _, b := range bodies {
		covered[templated.Replace(b.path)] = true
		for name, good := range b.members {
			nonsense(b, name, good, func(value string) { check(b, name, b.with(name, value)) })
			check(b, name, strings.TrimSuffix(b.with("", ""), "}")+fmt.Sprintf(",%q:%s}", name, good))
			check(b, strings.ToUpper(name), b.with(strings.ToUpper(name), good))
			members := group(good)
			for inner, good := range members {
				at := name + "." + inner
				nonsense(b, at, good, func(value string) { check(b, at, b.with(name, object(members, inner, value))) })
				check(b, at+"s", b.with(name, object(members, inner+"s", good)))
			}
		}
		check(b, "surplus", b.with("surplus", "1"))
	}
	for _, rt := range e.api.routes() {
		if rt.command != nil && rt.method == http.MethodPost && !covered[rt.path] {
			t.Errorf("no body for POST %s in this test", rt.path)
		}
	}
	if after := e.seq.Durable(); after != before {
		t.Errorf("%d decisions on nonsense", after-before)
	}
}

// TestWordsAndBounds are values of the right type that say nothing.
func TestWordsAndBounds(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(1_000_000))
	secret := e.key("ana", engine.RoleTrader|engine.RoleAdmin, 1)
	for _, c := range []struct{ path, name, value, code string }{
		{"/v1/orders", "market", `"mkt_0"`, problem.Malformed},
		{"/v1/orders", "market", `"mkt_01"`, problem.Malformed},
		{"/v1/orders", "market", `"mkt_4294967296"`, problem.Malformed},
		{"/v1/orders", "market", `"acc_1"`, problem.Malformed},
		{"/v1/orders", "market", `"mkt_9"`, "market_not_found"},
		{"/v1/orders", "outcome", `"yes"`, problem.Malformed},
		{"/v1/orders", "side", `""`, problem.Malformed},
		{"/v1/orders", "tif", `"gtx"`, problem.Malformed},
		{"/v1/orders", "outcome", `"LONG"`, "invalid_command"},
		{"/v1/orders", "outcome", `"O65"`, problem.Malformed},
		{"/v1/orders", "self_trade", `"both"`, problem.Malformed},
		{"/v1/orders", "expires_at", `"1970-01-01T00:00:00Z"`, problem.Malformed},
		{"/v1/orders", "expires_at", later, "invalid_command"},
		{"/v1/orders", "post_only", `true`, "invalid_command"},
		{"/v1/orders/batch", "items", `[]`, "invalid_command"},
		{"/v1/orders/batch", "items", "[" + strings.Repeat(`{"type":"cancel_all"},`, 50) + `{"type":"cancel_all"}]`, problem.Malformed},
		{"/v1/orders/batch", "items", `[{"type":"split_sets","market":"mkt_1","amount_micros":5}]`, problem.Malformed},
		{"/v1/orders/batch", "items", `[{"type":"cancel_all","surplus":1}]`, problem.Malformed},
		{"/v1/orders/batch", "items", `[{"type":"cancel_order"}]`, problem.Malformed},
		{"/v1/orders/batch", "items", `[{"type":"cancel_order","order":"ord_5.50"}]`, problem.Malformed},
		{"/v1/orders/batch", "items", `[{"market":"mkt_1"}]`, problem.Malformed},
		{"/v1/orders/batches", "items", `[]`, "invalid_command"},
		{"/v1/orders/batches", "items", "[" + strings.Repeat(`{"type":"cancel_all"},`, 200) + `{"type":"cancel_all"}]`, problem.Malformed},
		{"/v1/orders/batches", "items", "[" + strings.Repeat(`{"type":"cancel_all"},`, 60) + `{"type":"cancel_order"}]`, problem.Malformed},
		{"/v1/orders/ord_5/amend", "shares_micros", `0`, "order_not_found"},
		{"/v1/orders/ord_5/amend", "limit_price_micros", `0`, problem.Malformed},
		{"/v1/orders/cancel-all", "market", `"mkt_9"`, "market_not_found"},
		{"/v1/markets/mkt_1/split", "amount_micros", `0`, "invalid_command"},
		{"/v1/markets/mkt_1/liquidity/remove", "units_micros", `-1`, "invalid_command"},
		{"/v1/markets/mkt_1/cancel", "kind", `"void"`, problem.Malformed},
		{"/v1/mode", "mode", `"off"`, problem.Malformed},
		{"/v1/mode", "mode", `"normal"`, "wrong_state"},
		{"/v1/mode", "reason", `""`, "invalid_command"},
		{"/v1/policy", "order_burst", `0`, "invalid_command"},
		{"/v1/moderation", "action", `"ban"`, problem.Malformed},
		{"/v1/moderation", "until", `"2001-01-01T00:00:00Z"`, "invalid_command"},
		{"/v1/moderation/undo", "decision", `99`, "not_found"},
		{"/v1/markets", "outcomes", `["a","b"]`, "invalid_command"},
		{"/v1/markets/mkt_1/resolution", "effective_at", `"2001-01-01T00:00:00Z"`, "invalid_command"},
		{"/v1/markets/mkt_1/resolution", "outcome", `"O1"`, "invalid_command"},
		{"/v1/orders", "amount_micros", `0`, problem.Malformed},
		{"/v1/orders", "amount_micros", `-5`, problem.Malformed},
		{"/v1/orders", "amount_micros", `9223372036854775807`, "invalid_command"},
		{"/v1/orders", "limit_price_micros", `0`, problem.Malformed},
		{"/v1/orders", "limit_price_micros", `1000000`, "invalid_command"},
		{"/v1/orders", "shares_micros", `5`, "invalid_command"},
		{"/v1/keys", "roles", `["root"]`, problem.Malformed},
		{"/v1/keys", "roles", `[""]`, problem.Malformed},
		{"/v1/keys", "roles", `[]`, "invalid_command"},
		{"/v1/keys", "principal", `"Ana"`, "invalid_command"},
		{"/v1/keys", "principal", `"system"`, "invalid_command"},
		{"/v1/keys", "sha256", `"zz"`, problem.Malformed},
		{"/v1/keys", "account", `"acc_9"`, "account_not_found"},
		{"/v1/markets", "title", `"a\nb"`, "template_bounds"},
		{"/v1/markets", "title", `""`, "template_bounds"},
		{"/v1/markets", "template", `"binary@9.0.0"`, "template_not_found"},
		{"/v1/markets", "close_at", `"1970-01-01T00:00:00Z"`, problem.Malformed},
		{"/v1/markets", "close_at", `"2001-01-01T00:00:00Z"`, "invalid_command"},
		{"/v1/markets", "close_at", `"tomorrow"`, problem.Malformed},
		{"/v1/markets", "creator", `"acc_9"`, "account_not_found"},
		{"/v1/markets", "price_micros", `-1`, "invalid_command"},
		{"/v1/markets/mkt_1/resolution", "evidence_uri", `"no scheme"`, "invalid_command"},
		{"/v1/accounts/acc_1/grants", "amount_micros", `-1`, "invalid_command"},
		{"/v1/templates", "version", `"1"`, "invalid_command"},
	} {
		r := e.post(c.path, secret, bodyOf(c.path).with(c.name, c.value))
		if r.code(t) != c.code || r.status != problem.KindOf(c.code).Status {
			t.Errorf("%s %s=%s: %d %s, want %s", c.path, c.name, c.value, r.status, r.body, c.code)
		}
	}
	for _, path := range []string{"/v1/accounts/acc_x/grants", "/v1/accounts/1/grants", "/v1/keys/zz/revoke", "/v1/markets/mkt_-1/pause"} {
		text := "{}"
		if strings.HasSuffix(path, "grants") {
			text = `{"amount_micros":5}`
		}
		if r := e.post(path, secret, text); r.code(t) != problem.Malformed {
			t.Errorf("%s: %d %s", path, r.status, r.body)
		}
	}
}

// TestHeadersOfMutations: idempotency key, content type, size and query.
func TestHeadersOfMutations(t *testing.T) {
	e := start(t, options{})
	for _, c := range []struct {
		headers []string
		code    string
	}{
		{[]string{"Idempotency-Key", ""}, problem.Malformed},
		{[]string{"Idempotency-Key", strings.Repeat("k", 65)}, problem.Malformed},
		{[]string{"Idempotency-Key", "two words"}, problem.Malformed},
		{[]string{"Idempotency-Key", "schlüssel"}, problem.Malformed},
		{[]string{"Content-Type", ""}, problem.MediaType},
		{[]string{"Content-Type", "text/plain"}, problem.MediaType},
		{[]string{"Content-Type", "application/json; charset=latin1"}, problem.MediaType},
		{[]string{"Content-Type", "application/json; charset=UTF-8"}, ""},
		{[]string{"Idempotency-Key", strings.Repeat("~", 64)}, ""},
	} {
		if r := e.post("/v1/accounts", e.admin, `{}`, c.headers...); r.status == http.StatusCreated != (c.code == "") || c.code != "" && r.code(t) != c.code {
			t.Errorf("%q: %d %s", c.headers, r.status, r.body)
		}
	}
	if r := e.post("/v1/accounts?x=1", e.admin, `{}`); r.code(t) != problem.Malformed {
		t.Errorf("query on a mutation: %d %s", r.status, r.body)
	}
	if r := e.post("/v1/accounts", e.admin, `{"x":"`+strings.Repeat("y", DefaultMaxBody)+`"}`); r.status != http.StatusRequestEntityTooLarge || r.code(t) != problem.TooLarge {
		t.Errorf("large body: %d %s", r.status, r.body)
	}
}

// TestQueriesAreStrict: unknown, doubled and ill-formed parameters.
func TestQueriesAreStrict(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(1_000_000))
	const quote = "/v1/quotes?market=mkt_1&outcome=YES&side=buy"
	for path, name := range map[string]string{
		"/v1/me?x=1": "x", "/v1/me?min_seq=": "min_seq", "/v1/me?min_seq=-1": "min_seq", "/v1/me?min_seq=1.0": "min_seq", "/v1/me?min_seq=+1": "min_seq",
		"/v1/me?min_seq=1&min_seq=1": "min_seq", "/v1/me?%zz": "query", "/v1/me?a=%ff": "UTF-8", "/v1/me?a;b": "query",
		"/v1/markets?limit=0": "limit", "/v1/markets?limit=501": "limit", "/v1/markets?limit=a": "limit", "/v1/markets?after=3": "after",
		"/v1/decisions?limit=1001": "limit", "/v1/decisions?after=-1": "after", "/v1/decisions?after=x": "after", "/v1/decisions/0": "seq", "/v1/decisions/01": "seq",
		"/v1/decisions/-1": "seq", "/v1/orders/5": "order", "/v1/accounts/x": "account", "/v1/markets/x": "market",
		quote + "&amount_micros=0":               "amount_micros",
		quote + "&amount_micros=1&account=acc_1": "account", quote + "&amount_micros=1&post_only=yes": "post_only", quote + "&amount_micros=1&expires_at=0": "expires_at",
		"/v1/orders?account=x": "account", "/v1/orders": "account", "/v1/markets/mkt_1/book": "outcome", "/v1/markets/mkt_1/book?outcome=YES&depth=101": "depth",
		"/v1/orders/ord_5.0": "order", "/v1/orders/ord_5.50": "order", "/v1/quotes?outcome=YES&side=buy&amount_micros=1": "market",
		"/v1/quotes?market=mkt_1&side=buy&amount_micros=1": "outcome", "/v1/quotes?market=mkt_1&outcome=YES&amount_micros=1": "side",
	} {
		r := e.get(path, e.admin)
		if detail, _ := r.doc(t)["detail"].(string); r.status != http.StatusBadRequest || !strings.Contains(detail, name) {
			t.Errorf("%s: %d %s, want a detail with %q", path, r.status, r.body, name)
		}
	}
	for path, name := range map[string]string{ // each parameter is well-formed, and together they mean nothing
		quote: "exactly one", quote + "&amount_micros=1&shares_micros=1": "exactly one", "/v1/markets/mkt_1/book?outcome=O1": "outcome",
	} {
		r := e.get(path, e.admin)
		if detail, _ := r.doc(t)["detail"].(string); r.status != http.StatusUnprocessableEntity || r.code(t) != "invalid_command" || !strings.Contains(detail, name) {
			t.Errorf("%s: %d %s, want a detail with %q", path, r.status, r.body, name)
		}
	}
}
