package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// TestInsidersAtTheEdge: who may not trade a market by their groups is refused at each
// door to it, has it in no list of tradable markets, and learns of the groups of nobody
// else; the key is as old as it wants to be.
func TestInsidersAtTheEdge(t *testing.T) {
	e := start(t, options{})
	owner, insider := e.funded(100_000), e.funded(100)
	ana, bob := e.key("ana", engine.RoleTrader, owner), e.key("bob", engine.RoleTrader, insider)
	e.market(owner)
	e.market(owner)
	must := func(r reply, status int, code string) {
		t.Helper()
		if r.status != status || code != "" && r.code(t) != code {
			t.Errorf("%d %s, want %d %s", r.status, r.body, status, code)
		}
	}
	must(e.post("/v1/markets/mkt_1/groups", e.admin, `{"deny_groups":["board","audit"]}`), http.StatusCreated, "")
	must(e.post("/v1/orders", bob, buyTen), http.StatusCreated, "")
	must(e.post("/v1/accounts/"+insider.String()+"/groups", e.admin, `{"groups":["board"]}`), http.StatusCreated, "")
	must(e.post("/v1/orders", bob, buyTen), http.StatusForbidden, "not_eligible")
	must(e.post("/v1/markets/mkt_1/split", bob, `{"amount_micros":1000000}`), http.StatusForbidden, "not_eligible")
	must(e.post("/v1/orders", ana, buyTen), http.StatusCreated, "")
	quote := "/v1/quotes?market=mkt_1&outcome=YES&side=buy&amount_micros=5000000"
	if r := e.get(quote, bob); at(t, r.doc(t), "code") != "not_eligible" {
		t.Errorf("a quote for an insider: %s", r.body)
	}
	if r := e.get(quote, ana); at(t, r.doc(t), "code") != "ok" {
		t.Errorf("a quote for anybody else: %s", r.body)
	}
	for who, want := range map[string]string{ana: "mkt_1 mkt_2", bob: "mkt_2"} {
		var got []string
		for after := ""; ; {
			doc := e.get("/v1/markets?limit=1&tradable=true"+after, who).doc(t)
			list, _ := doc["markets"].([]any)
			for i := range list {
				got = append(got, fmt.Sprint(at(t, doc, "markets", i, "market")))
			}
			if doc["next"] == nil {
				break
			}
			after = fmt.Sprintf("&after=%v", doc["next"])
		}
		if strings.Join(got, " ") != want {
			t.Errorf("tradable are %s, want %s", got, want)
		}
	}
	if r := e.get("/v1/markets/mkt_1", bob); at(t, r.doc(t), "limited") != true || strings.Contains(r.body, "board") {
		t.Errorf("what anybody sees: %s", r.body)
	}
	must(e.get("/v1/markets/mkt_1/groups", bob), http.StatusForbidden, "forbidden")
	must(e.get("/v1/accounts/"+insider.String()+"/groups", bob), http.StatusOK, "")
	must(e.get("/v1/accounts/"+owner.String()+"/groups", bob), http.StatusForbidden, "forbidden")
	if r := e.get("/v1/markets/mkt_1/groups", e.admin); !strings.Contains(r.body, `"deny_groups":["audit","board"]`) {
		t.Errorf("what those who run the house see: %s", r.body)
	}
	must(e.post("/v1/accounts/"+insider.String()+"/groups", e.admin, `{}`), http.StatusBadRequest, "malformed")
}

// driveGroups drives the routes of groups into answers of many kinds.
func driveGroups(see func(method, pattern, path, secret, body string), admin string) {
	for _, m := range []string{"mkt_1", "mkt_77"} {
		see(http.MethodPost, "/v1/markets/{market}/groups", "/v1/markets/"+m+"/groups", admin, `{"deny_groups":["board"]}`)
		see(http.MethodGet, "/v1/markets/{market}/groups", "/v1/markets/"+m+"/groups", admin, "")
	}
	for _, a := range []string{"acc_1", "acc_99"} {
		see(http.MethodPost, "/v1/accounts/{account}/groups", "/v1/accounts/"+a+"/groups", admin, `{"groups":["staff"]}`)
		see(http.MethodGet, "/v1/accounts/{account}/groups", "/v1/accounts/"+a+"/groups", admin, "")
	}
	see(http.MethodGet, "/v1/markets", "/v1/markets?tradable=true", admin, "")
}

// TestAsManyGroupsAsTheContractSays: an account may be in all of them.
func TestAsManyGroupsAsTheContractSays(t *testing.T) {
	e := start(t, options{})
	path := "/v1/accounts/" + e.funded(100).String() + "/groups"
	groups := make([]string, engine.MaxAccountGroups+1)
	for i := range groups {
		groups[i] = fmt.Sprintf("%q", fmt.Sprint("group-", i))
	}
	body := func(n int) string { return `{"groups":[` + strings.Join(groups[:n], ",") + `]}` }
	if r := e.post(path, e.admin, body(engine.MaxAccountGroups)); r.status != http.StatusCreated {
		t.Errorf("%d groups: %d %s", engine.MaxAccountGroups, r.status, r.body)
	}
	if r := e.post(path, e.admin, body(engine.MaxAccountGroups+1)); r.status != http.StatusBadRequest || r.code(t) != "malformed" {
		t.Errorf("%d groups: %d %s", engine.MaxAccountGroups+1, r.status, r.body)
	}
}
