package httpapi

import (
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// wildBodies are bodies that no mutation takes, and how each is declared.
var wildBodies = []struct{ name, kind, text string }{
	{"nothing", "application/json", ""},
	{"no object", "application/json", "[]"},
	{"null", "application/json", "null"},
	{"half an object", "application/json", `{"a":`},
	{"more behind it", "application/json", "{}{}"},
	{"a name twice", "application/json", `{"a":1,"a":1}`},
	{"a member that nobody knows", "application/json", `{"no_such_member":1}`},
	{"30,000 levels", "application/json", strings.Repeat(`{"a":`, 10_000)},
	{"too much", "application/json", `{"a":"` + strings.Repeat("x", DefaultMaxBody) + `"}`},
	{"no UTF-8", "application/json", "{\"a\xff\":\"\xfe\"}"},
	{"half a surrogate pair", "application/json", `{"a":"\udc00"}`},
	{"a number beyond numbers", "application/json", `{"a":1e999999}`},
	{"text", "text/plain", "{}"},
	{"a form", "application/x-www-form-urlencoded", "a=1"},
	{"another charset", "application/json; charset=utf-7", "{}"},
}

// wildQueries are queries that no route takes.
var wildQueries = []string{
	"%zz", "a=%ff", "a;b", "=", "&&&=&", "no_such_parameter=1", "min_seq=-1", "min_seq=1e3", "min_seq=1&min_seq=1",
	"min_seq=99999999999999999999", "limit=0x10", "limit=" + strings.Repeat("9", 5000), "after=..%2f..%2fetc%2fpasswd", strings.Repeat("a=b&", 3000),
}

// wildParts are what stands where a path has a parameter.
var wildParts = []string{"0", "-1", "acc_0", "mkt_99999999999", "ord_1.99", "..", "%00", "%ff%fe", "%2e%2e%2f", strings.Repeat("9", 5000), "'%20or%201=1", "%3cscript%3e"}

// TestEveryRouteRefusesTheWild walks the contract: every operation, with each of these
// bodies, queries and paths, as somebody who may do everything. Nothing fails inside,
// nothing of the inside is shown, every refusal is a problem document, and nothing is
// decided.
func TestEveryRouteRefusesTheWild(t *testing.T) {
	if testing.Short() {
		t.Skip("more than a thousand requests")
	}
	e, c := start(t, options{}), openContract(t)
	account := e.funded(1_000_000)
	e.market(account)
	key := e.key("all", engine.Roles(0x7f), account)
	asked := 0
	ask := func(method, path, kind, text string) {
		t.Helper()
		asked++
		what := []byte(method + " " + path + " " + kind + " " + text)
		r := e.send(method, path, key, text, "Content-Type", kind, "Idempotency-Key", "wild")
		unharmed(t, what, r)
		if r.status >= 400 && strings.HasPrefix(path, "/v1/") && r.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.200q: %d as %s", what, r.status, r.header.Get("Content-Type"))
		}
		if method != http.MethodGet && strings.HasPrefix(path, "/v1/") && r.status < 400 && r.status/100 != 3 {
			t.Errorf("%.200q is taken: %d %.200s", what, r.status, r.body)
		}
	}
	before := e.value("dec_admitted_total")
	paths, _ := c.at("paths")
	for path, item := range paths.(map[string]any) {
		for method := range item.(map[string]any) {
			method = strings.ToUpper(method)
			good := concrete(path)
			if method == http.MethodGet {
				for _, q := range wildQueries {
					ask(method, good+"?"+q, "", "")
				}
			} else {
				for _, b := range wildBodies {
					if b.text != "" || method != http.MethodDelete { // it needs no body
						ask(method, good, b.kind, b.text)
					}
				}
				ask(method, good+"?"+wildQueries[0], "application/json", "{}")
			}
			if begin := strings.Index(path, "{"); begin >= 0 {
				end := strings.Index(path, "}") + 1
				for _, part := range wildParts {
					ask(method, concrete(path[:begin])+part+concrete(path[end:]), "application/json", `{"no_such_member":1}`)
				}
			}
		}
	}
	if got := e.value("dec_admitted_total"); got != before {
		t.Errorf("%v decisions on nonsense", got-before)
	}
	if asked < 1000 {
		t.Errorf("%d requests: the contract is read wrongly", asked)
	}
	if logs := e.logs.String(); strings.Contains(logs, `"level":"ERROR"`) || strings.Contains(logs, "panic") || strings.Contains(logs, key) {
		t.Error(logs)
	}
}
