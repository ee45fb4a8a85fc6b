package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/identity"
)

// TestCounterpartiesAreWithheld: a trader learns that an order met others and not
// whom, wherever the decision is read; those who look after the market see all.
func TestCounterpartiesAreWithheld(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	maker, taker := e.funded(1000), e.funded(1000)
	mine := e.key("taker", engine.RoleTrader, taker)
	rested := e.post("/v1/orders", e.key("maker", engine.RoleTrader, maker), bid)
	order, _ := at(t, rested.doc(t), "events", 0, "order").(string)
	body := `{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","shares_micros":400000000}`
	taken := e.post("/v1/orders", mine, body, "Idempotency-Key", "k")
	seq := at(t, taken.doc(t), "seq").(float64)
	decision, placed := fmt.Sprintf("/v1/decisions/%.0f", seq), fmt.Sprintf("/v1/orders/ord_%.0f", seq)
	contract := openContract(t)
	for what, r := range map[string]reply{
		"the answer": taken, "a repetition": e.post("/v1/orders", mine, body, "Idempotency-Key", "k"),
		"the decision": e.get(decision, mine), "the order": e.get(placed, mine),
		"in a batch": e.post("/v1/orders/batch", mine, `{"items":[`+strings.Replace(body, "{", `{"type":"place_order",`, 1)+`]}`),
	} {
		if r.status >= 300 || strings.Contains(r.body, order) || strings.Contains(r.body, maker.String()) || strings.Contains(r.body, "maker") {
			t.Errorf("%s: %d %s", what, r.status, r.body)
		}
	}
	if with := at(t, taken.doc(t), "events", 0, "fills", 1, "with"); with != "book" {
		t.Errorf("the second piece is with the book, not %v: %s", with, taken.body)
	}
	contract.check(route{method: http.MethodGet, path: "/v1/decisions/{seq}"}, e.get(decision, mine))
	for _, role := range []engine.Roles{engine.RoleAuditor, engine.RoleAdmin, engine.RoleAuditor | engine.RoleModerator} {
		r := e.get(decision, e.key("staff", role, 0))
		contract.check(route{method: http.MethodGet, path: "/v1/decisions/{seq}"}, r)
		if at(t, r.doc(t), "events", 0, "fills", 1, "maker") != order || at(t, r.doc(t), "events", 0, "fills", 1, "maker_account") != maker.String() {
			t.Errorf("%s: %s", role.Names(), r.body)
		}
	}
}

// TestAlertsAreNotForSuspects: an alert is for those who look into it; a limit and
// a pause explain themselves to whom they meet. The verdicts of a batch count the
// events that are shown.
func TestAlertsAreNotForSuspects(t *testing.T) {
	raise := func(action string) engine.Event {
		return &engine.AbuseRaised{Account: 7, Rule: engine.RuleWash, Severity: "high", Action: action}
	}
	closed := &engine.OrdersClosed{Reason: engine.ByOwner}
	for _, x := range []struct {
		events  []engine.Event
		results []uint32
		want    string
		counts  []uint32
	}{
		{[]engine.Event{raise("limit")}, nil, "limit", nil},
		{[]engine.Event{closed, raise("alert"), raise("pause")}, nil, "closed pause", nil},
		{[]engine.Event{raise("alert"), closed, raise("alert"), closed, closed}, []uint32{1, 0, 2, 1}, "closed closed closed", []uint32{0, 0, 1, 1}},
		{[]engine.Event{closed, raise("alert")}, []uint32{1}, "closed", []uint32{1}}, // after the items
	} {
		d := &engine.Decision{Seq: 9, Request: engine.Request{Principal: "ana", Command: &engine.CancelAll{}}, Events: x.events}
		for _, n := range x.results {
			d.Results = append(d.Results, engine.Result{Events: n})
		}
		before, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		shown := (&call{key: identity.Principal{Key: engine.Key{Roles: engine.RoleTrader}}}).shown(d)
		got := ""
		for _, ev := range shown.Events {
			if a, raised := ev.(*engine.AbuseRaised); raised {
				got += " " + a.Action
			} else {
				got += " closed"
			}
		}
		if strings.TrimSpace(got) != x.want {
			t.Errorf("a trader sees%s, want %s", got, x.want)
		}
		for i, n := range x.counts {
			if shown.Results[i].Events != n {
				t.Errorf("item %d has %d events, want %d", i, shown.Results[i].Events, n)
			}
		}
		if after, err := json.Marshal(d); err != nil || string(after) != string(before) {
			t.Errorf("the decision on record is changed: %v %s", err, after)
		}
		if staff := (&call{key: identity.Principal{Key: engine.Key{Roles: engine.RoleModerator}}}).shown(d); staff != d {
			t.Error("a moderator does not see it as it is on record")
		}
	}
}
