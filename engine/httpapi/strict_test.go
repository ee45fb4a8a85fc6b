package httpapi

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

func TestParseBodyRefuses(t *testing.T) {
	for body, want := range map[string]string{
		``:                             "not JSON",
		`null`:                         "not a JSON object",
		`[]`:                           "not a JSON object",
		`"x"`:                          "not a JSON object",
		`{`:                            "not JSON",
		`{"a":1,}`:                     "not JSON",
		`{"a" 1}`:                      "not JSON",
		`{a:1}`:                        "not JSON",
		`{'a':1}`:                      "not JSON",
		`{"a":01}`:                     "not JSON",
		`{"a":+1}`:                     "not JSON",
		`{"a":NaN}`:                    "not JSON",
		`{"a":1}{}`:                    "after the JSON object",
		`{"a":1} x`:                    "after the JSON object",
		`{"a":1,"a":1}`:                "a is given twice",
		`{"a":1,"\u0061":1}`:           "a is given twice",
		`{"a":{"b":1,"b":2}}`:          "a.b is given twice",
		"{\"a\":\"\xff\"}":             "not UTF-8",
		`{"a":"\ud800"}`:               "a is not a text of Unicode",
		"{\"a\":\"\x01\"}":             "not JSON",
		"\xef\xbb\xbf{}":               "not JSON",
		strings.Repeat(`{"a":`, 10000): "nested deeper",
		strings.Repeat(`[`, 10000):     "nested deeper",
		`{"a":` + strings.Repeat(`[`, 7) + strings.Repeat(`]`, 7) + `}`: "",
		`{"a":` + strings.Repeat(`[`, 8) + strings.Repeat(`]`, 8) + `}`: "nested deeper",
		`{"a":[` + strings.Repeat(`1,`, 64) + `1]}`:                     "more than 64 elements",
		manyMembers(65): "more than 64 members",
		manyMembers(64): "",
	} {
		_, err := parseBody([]byte(body))
		switch {
		case want == "" && err != nil:
			t.Errorf("%.60q: %v", body, err)
		case want != "" && (err == nil || !strings.Contains(err.Error(), want)):
			t.Errorf("%.60q: %v, want %q", body, err, want)
		}
	}
}

func manyMembers(n int) string {
	var parts []string
	for i := range n {
		parts = append(parts, fmt.Sprintf("%q:1", fmt.Sprint("m", i)))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// FuzzParseBody: what passes is JSON by the standard library's judgement, too,
// and holds the same members.
func FuzzParseBody(f *testing.F) {
	for _, s := range []string{`{}`, `{"a":[1,"x",null,true,{"b":-0.5e3}]}`, `{"a":1,"a":2}`, buyTen, "{\"\xff\":1}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		form, err := parseBody(b)
		if err != nil {
			return
		}
		var other map[string]any
		if !json.Valid(b) || json.Unmarshal(b, &other) != nil {
			t.Fatalf("%q passed and is not JSON", b)
		}
		if len(other) != len(form.members) {
			t.Fatalf("%q has %d members, not %d", b, len(other), len(form.members))
		}
		if _, err := parseQuery(string(b)); err != nil && !strings.HasPrefix(err.Error(), codeMalformed) {
			t.Fatal(err)
		}
	})
}

// body is a good body of a route; optional members may be absent or null.
type body struct {
	path     string
	members  map[string]string // raw JSON
	optional string
}

const digest = `"abababababababababababababababababababababababababababababababab"`

var bodies = []body{
	{path: "/v1/accounts"},
	{path: "/v1/accounts/acc_1/grants", members: map[string]string{"amount_micros": `5`}},
	{path: "/v1/keys", members: map[string]string{"principal": `"x"`, "roles": `["auditor"]`, "sha256": digest, "account": `"acc_1"`}, optional: "account"},
	{path: "/v1/keys/abababababababababababababababababababababababababababababababab/revoke"},
	{path: "/v1/templates", members: map[string]string{
		"id": `"slow"`, "version": `"1.0.0"`, "category": `"general"`, "truth_source": `"manual"`, "max_title": `100`, "min_liquidity_micros": `1000000`,
		"max_liquidity_micros": `9000000`, "min_price_micros": `1000`, "max_price_micros": `999000`, "max_order_micros": `1000000`,
	}},
	{path: "/v1/markets", members: map[string]string{
		"template": `"binary@1.0.0"`, "title": `"Snow"`, "creator": `"acc_1"`, "liquidity_micros": `10000000`, "price_micros": `500000`, "close_at": `"2099-01-01T00:00:00Z"`,
	}, optional: "close_at"},
	{path: "/v1/markets/mkt_1/pause"},
	{path: "/v1/markets/mkt_1/resume"},
	{path: "/v1/markets/mkt_1/resolution", members: map[string]string{"outcome": `"YES"`, "evidence_uri": `"https://example.org/x"`, "evidence_sha256": digest}},
	{path: "/v1/markets/mkt_1/resolution/approve"},
	{path: "/v1/markets/mkt_1/resolution/reject"},
	{path: "/v1/orders", members: map[string]string{
		"market": `"mkt_1"`, "outcome": `"YES"`, "side": `"buy"`, "tif": `"ioc"`, "amount_micros": `5`, "limit_price_micros": `600000`,
	}, optional: "limit_price_micros amount_micros"},
}

func (b body) with(name, value string) string {
	var parts []string
	for _, n := range slices.Sorted(maps.Keys(b.members)) {
		if n != name {
			parts = append(parts, fmt.Sprintf("%q:%s", n, b.members[n]))
		}
	}
	if value != "" {
		parts = append(parts, fmt.Sprintf("%q:%s", name, value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

// wrong are values that no member takes.
var wrong = []string{`1.5`, `1e3`, `-0`, `1.0`, `9223372036854775808`, `-9223372036854775809`, `true`, `{}`, `{"x":1}`, `[1]`, `[["x"]]`, `"` + strings.Repeat("x", 600) + `"`}

// TestEveryFieldRefusesNonsense sends every body with every member missing,
// null, of every wrong type, given twice and misspelt. Each is a 400 whose detail
// names the member, and none reaches a decision.
func TestEveryFieldRefusesNonsense(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(1_000_000))
	trader := e.key("ana", engine.RoleTrader|engine.RoleAdmin|engine.RoleResolver|engine.RoleModerator, 1)
	before := e.seq.Durable()
	covered := map[string]bool{}
	check := func(b body, name, text string) {
		t.Helper()
		r := e.post(b.path, trader, text)
		detail, _ := r.doc(t)["detail"].(string)
		if r.status != http.StatusBadRequest || r.code(t) != codeMalformed || !strings.Contains(detail, name) {
			t.Errorf("%s %.80s: %d %.200s", b.path, text, r.status, r.body)
		}
	}
	for _, b := range bodies {
		for _, rt := range e.api.routes() {
			if rt.command != nil && strings.NewReplacer("{account}", "acc_1", "{market}", "mkt_1", "{sha256}", digest[1:65]).Replace(rt.path) == b.path {
				covered[rt.path] = true
			}
		}
		for name, good := range b.members {
			if !strings.Contains(b.optional, name) {
				check(b, name, b.with(name, ""))
				check(b, name, b.with(name, "null"))
			}
			for _, bad := range wrong {
				check(b, name, b.with(name, bad))
			}
			if strings.HasPrefix(good, `"`) || strings.HasPrefix(good, "[") {
				check(b, name, b.with(name, "5"))
			} else {
				check(b, name, b.with(name, `"5"`))
			}
			check(b, name, strings.TrimSuffix(b.with("", ""), "}")+fmt.Sprintf(",%q:%s}", name, good))
			check(b, strings.ToUpper(name), b.with(strings.ToUpper(name), good))
		}
		check(b, "surplus", b.with("surplus", "1"))
	}
	for _, rt := range e.api.routes() {
		if rt.command != nil && !covered[rt.path] {
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
		{"/v1/orders", "market", `"mkt_0"`, codeMalformed},
		{"/v1/orders", "market", `"mkt_01"`, codeMalformed},
		{"/v1/orders", "market", `"mkt_4294967296"`, codeMalformed},
		{"/v1/orders", "market", `"acc_1"`, codeMalformed},
		{"/v1/orders", "market", `"mkt_9"`, "market_not_found"},
		{"/v1/orders", "outcome", `"yes"`, codeMalformed},
		{"/v1/orders", "side", `""`, codeMalformed},
		{"/v1/orders", "tif", `"gtc"`, codeMalformed},
		{"/v1/orders", "amount_micros", `0`, codeMalformed},
		{"/v1/orders", "amount_micros", `-5`, codeMalformed},
		{"/v1/orders", "amount_micros", `9223372036854775807`, "invalid_command"},
		{"/v1/orders", "limit_price_micros", `0`, codeMalformed},
		{"/v1/orders", "limit_price_micros", `1000000`, "invalid_command"},
		{"/v1/orders", "shares_micros", `5`, "invalid_command"},
		{"/v1/keys", "roles", `["root"]`, codeMalformed},
		{"/v1/keys", "roles", `[""]`, codeMalformed},
		{"/v1/keys", "roles", `[]`, "invalid_command"},
		{"/v1/keys", "principal", `"Ana"`, "invalid_command"},
		{"/v1/keys", "principal", `"system"`, "invalid_command"},
		{"/v1/keys", "sha256", `"zz"`, codeMalformed},
		{"/v1/keys", "account", `"acc_9"`, "account_not_found"},
		{"/v1/markets", "title", `"a\nb"`, "template_bounds"},
		{"/v1/markets", "title", `""`, "template_bounds"},
		{"/v1/markets", "template", `"binary@9.0.0"`, "template_not_found"},
		{"/v1/markets", "close_at", `"1970-01-01T00:00:00Z"`, codeMalformed},
		{"/v1/markets", "close_at", `"2001-01-01T00:00:00Z"`, "invalid_command"},
		{"/v1/markets", "close_at", `"tomorrow"`, codeMalformed},
		{"/v1/markets", "creator", `"acc_9"`, "account_not_found"},
		{"/v1/markets", "price_micros", `-1`, "invalid_command"},
		{"/v1/markets/mkt_1/resolution", "evidence_uri", `"no scheme"`, "invalid_command"},
		{"/v1/accounts/acc_1/grants", "amount_micros", `-1`, "invalid_command"},
		{"/v1/templates", "version", `"1"`, "invalid_command"},
	} {
		for _, b := range bodies {
			if b.path != c.path {
				continue
			}
			r := e.post(c.path, secret, b.with(c.name, c.value))
			if r.code(t) != c.code || r.status != kindOf(c.code).status {
				t.Errorf("%s %s=%s: %d %s, want %s", c.path, c.name, c.value, r.status, r.body, c.code)
			}
		}
	}
	for _, path := range []string{"/v1/accounts/acc_x/grants", "/v1/accounts/1/grants", "/v1/keys/zz/revoke", "/v1/markets/mkt_-1/pause"} {
		text := "{}"
		if strings.HasSuffix(path, "grants") {
			text = `{"amount_micros":5}`
		}
		if r := e.post(path, secret, text); r.code(t) != codeMalformed {
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
		{[]string{"Idempotency-Key", ""}, codeMalformed},
		{[]string{"Idempotency-Key", strings.Repeat("k", 65)}, codeMalformed},
		{[]string{"Idempotency-Key", "two words"}, codeMalformed},
		{[]string{"Idempotency-Key", "schlüssel"}, codeMalformed},
		{[]string{"Content-Type", ""}, codeMediaType},
		{[]string{"Content-Type", "text/plain"}, codeMediaType},
		{[]string{"Content-Type", "application/json; charset=latin1"}, codeMediaType},
		{[]string{"Content-Type", "application/json; charset=UTF-8"}, ""},
		{[]string{"Idempotency-Key", strings.Repeat("~", 64)}, ""},
	} {
		if r := e.post("/v1/accounts", e.admin, `{}`, c.headers...); r.status == http.StatusCreated != (c.code == "") || c.code != "" && r.code(t) != c.code {
			t.Errorf("%q: %d %s", c.headers, r.status, r.body)
		}
	}
	if r := e.post("/v1/accounts?x=1", e.admin, `{}`); r.code(t) != codeMalformed {
		t.Errorf("query on a mutation: %d %s", r.status, r.body)
	}
	if r := e.post("/v1/accounts", e.admin, `{"x":"`+strings.Repeat("y", DefaultMaxBody)+`"}`); r.status != http.StatusRequestEntityTooLarge || r.code(t) != codeTooLarge {
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
		quote: "exactly one", quote + "&amount_micros=0": "amount_micros", quote + "&amount_micros=1&shares_micros=1": "exactly one",
		quote + "&amount_micros=1&account=acc_1": "account", "/v1/quotes?outcome=YES&side=buy&amount_micros=1": "market",
		"/v1/quotes?market=mkt_1&side=buy&amount_micros=1": "outcome", "/v1/quotes?market=mkt_1&outcome=YES&amount_micros=1": "side",
	} {
		r := e.get(path, e.admin)
		if detail, _ := r.doc(t)["detail"].(string); r.status != http.StatusBadRequest || !strings.Contains(detail, name) {
			t.Errorf("%s: %d %s, want a detail with %q", path, r.status, r.body, name)
		}
	}
}
