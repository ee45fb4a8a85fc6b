package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
)

const bid = `{"market":"mkt_1","outcome":"NO","side":"buy","tif":"gtc","shares_micros":5000000,"limit_price_micros":450000,"post_only":true}`

// at follows a path of names and places into a document.
func at(t *testing.T, doc any, path ...any) any {
	t.Helper()
	for _, p := range path {
		switch p := p.(type) {
		case string:
			m, _ := doc.(map[string]any)
			doc = m[p]
		case int:
			list, _ := doc.([]any)
			if p >= len(list) {
				t.Fatalf("nothing at %v of %v", path, doc)
			}
			doc = list[p]
		}
	}
	return doc
}

// TestOrdersThatWait: from the book's first order to its last, as its owner, a
// stranger and everybody see it.
func TestOrdersThatWait(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	keys := traders(e, 2)
	next, _ := e.listen(keys[1], "")
	next() // the snapshot
	placed := e.post("/v1/orders", keys[0], bid)
	id, _ := at(t, placed.doc(t), "events", 0, "order").(string)
	if placed.status != http.StatusCreated || at(t, placed.doc(t), "events", 0, "type") != "order_rested" || id == "" {
		t.Fatalf("%d %s", placed.status, placed.body)
	}
	if q := next(); q.kind != "quote" || at(t, q.doc(t), "outcomes", 1, "best_bid_micros") != 450_000.0 || at(t, q.doc(t), "outcomes", 0, "best_ask_micros") != 550_000.0 {
		t.Errorf("the streams hear %s %s", q.kind, q.data)
	}
	own := e.get("/v1/orders", keys[0]).doc(t)
	if at(t, own, "orders", 0, "order") != id || at(t, own, "orders", 0, "shares_micros") != 5_000_000.0 {
		t.Errorf("its owner sees %v", own)
	}
	if r := e.get("/v1/orders?account=acc_2", keys[1]); r.status != http.StatusForbidden {
		t.Errorf("a stranger asks: %d %s", r.status, r.body)
	}
	if r := e.get("/v1/orders?account=acc_2", e.admin); at(t, r.doc(t), "orders", 0, "order") != id {
		t.Errorf("an overseer asks: %d %s", r.status, r.body)
	}
	if r := e.get("/v1/orders?account=acc_99", e.admin); r.code(t) != "account_not_found" {
		t.Errorf("%d %s", r.status, r.body)
	}
	for outcome, side := range map[string]string{"NO": "bids", "YES": "asks"} { // the same order from both ends
		book := e.get("/v1/markets/mkt_1/book?outcome="+outcome, keys[1])
		want := map[string]float64{"NO": 450_000, "YES": 550_000}[outcome]
		if at(t, book.doc(t), side, 0, "price_micros") != want || at(t, book.doc(t), side, 0, "orders") != 1.0 || strings.Contains(book.body, "acc_") {
			t.Errorf("the book of %s: %s", outcome, book.body)
		}
	}
	for _, r := range []reply{
		e.post("/v1/orders/"+id+"/cancel", keys[1], `{}`), e.post("/v1/orders/"+id+"/amend", keys[1], `{"shares_micros":1}`),
	} {
		if r.code(t) != "order_not_found" {
			t.Errorf("a stranger touches it: %d %s", r.status, r.body)
		}
	}
	if r := e.post("/v1/orders/"+id+"/amend", keys[0], `{"shares_micros":2000000}`); at(t, r.doc(t), "events", 0, "type") != "order_reduced" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.post("/v1/orders/"+id+"/cancel", keys[0], `{}`); at(t, r.doc(t), "events", 0, "reason") != "owner" {
		t.Errorf("%d %s", r.status, r.body)
	}
	if r := e.get("/v1/orders", keys[0]); !strings.Contains(r.body, `"orders":[]`) {
		t.Errorf("%s", r.body)
	}
}

// TestQuoteIsTheOrder: what a quote says is what the order then does, and it does
// not say with whom.
func TestQuoteIsTheOrder(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	keys := traders(e, 2)
	e.post("/v1/orders", keys[0], bid)
	const limit = 560_000
	quote := e.get(fmt.Sprintf("/v1/quotes?market=mkt_1&outcome=YES&side=buy&tif=gtc&shares_micros=400000000&limit_price_micros=%d", limit), keys[1])
	order := e.post("/v1/orders", keys[1], fmt.Sprintf(
		`{"market":"mkt_1","outcome":"YES","side":"buy","tif":"gtc","shares_micros":400000000,"limit_price_micros":%d}`, limit))
	q, filled, rested := quote.doc(t), at(t, order.doc(t), "events", 0), at(t, order.doc(t), "events", 1)
	for _, name := range []string{"amount_micros", "shares_micros", "fee_micros", "average_price_micros", "price_before_micros", "price_after_micros"} {
		if v := at(t, q, name); v == nil || v != at(t, filled, name) {
			t.Errorf("%s: quoted %v, filled %v", name, v, at(t, filled, name))
		}
	}
	if v := at(t, q, "rests_micros"); v == 0.0 || v != at(t, rested, "shares_micros") {
		t.Errorf("quoted to rest %v, rests %v", v, at(t, rested, "shares_micros"))
	}
	if impact := at(t, filled, "price_after_micros").(float64) - at(t, filled, "price_before_micros").(float64); at(t, q, "price_impact_micros") != impact || impact <= 0 {
		t.Errorf("quoted an impact of %v, it was %v", at(t, q, "price_impact_micros"), impact)
	}
	sum, with := 0.0, map[string]bool{}
	for i := range at(t, q, "fills").([]any) {
		sum += at(t, q, "fills", i, "shares_micros").(float64)
		with[at(t, q, "fills", i, "with").(string)] = true
	}
	if sum != at(t, q, "shares_micros") || !with["pool"] || !with["book"] || strings.Contains(quote.body, "acc_") || strings.Contains(quote.body, "ord_") {
		t.Errorf("%s", quote.body)
	}
}

// TestBatch: one decision with a verdict for each item; its orders can be read by
// their own ids, by their owner alone.
func TestBatch(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	keys := traders(e, 2)
	item := func(body string) string { return strings.Replace(body, "{", `{"type":"place_order",`, 1) }
	r := e.post("/v1/orders/batch", keys[0], `{"items":[`+item(bid)+`,`+item(bid)+`,{"type":"cancel_order","order":"ord_1"},`+item(buyTen)+`]}`)
	doc := r.doc(t)
	for i, want := range []string{"ok", "ok", "order_not_found", "ok"} {
		if got := at(t, doc, "results", i, "code"); got != want {
			t.Errorf("item %d: %v, want %s", i, got, want)
		}
	}
	seq := at(t, doc, "seq").(float64)
	for place, code := range map[string]string{"": "ok", ".1": "ok", ".2": problem.NotFound, ".3": "ok"} {
		path := fmt.Sprintf("/v1/orders/ord_%.0f%s", seq, place)
		if got := e.get(path, keys[0]); got.code(t) != code {
			t.Errorf("%s: %d %s", path, got.status, got.body)
		}
		if got := e.get(path, keys[1]); code == "ok" && got.status != http.StatusForbidden {
			t.Errorf("%s, by a stranger: %d %s", path, got.status, got.body)
		}
	}
	if got := e.get("/v1/orders", keys[0]).doc(t); at(t, got, "orders", 1, "order") != fmt.Sprintf("ord_%.0f.1", seq) {
		t.Errorf("%v", got)
	}
	amended := e.post(fmt.Sprintf("/v1/orders/ord_%.0f.1/amend", seq), keys[0], `{"shares_micros":9000000}`).doc(t)
	fresh := fmt.Sprintf("ord_%.0f", at(t, amended, "seq"))
	if at(t, amended, "events", 1, "order") != fresh || e.get("/v1/orders/"+fresh, keys[0]).status != http.StatusOK {
		t.Errorf("a larger size is a new order: %v", amended)
	}
}

// TestTooManyAmendments: the engine's refusal says when the next may come.
func TestTooManyAmendments(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	key := e.key("ana", engine.RoleTrader, e.funded(1000))
	id, _ := at(t, e.post("/v1/orders", key, bid).doc(t), "events", 0, "order").(string)
	for n := range 200 {
		r := e.post("/v1/orders/"+id+"/amend", key, fmt.Sprintf(`{"shares_micros":%d}`, 6_000_000+n))
		if r.status == http.StatusCreated {
			id, _ = at(t, r.doc(t), "events", 1, "order").(string)
			continue
		}
		if r.code(t) != "rate_limited" || r.header.Get("Retry-After") == "" {
			t.Errorf("%d %v %s", r.status, r.header, r.body)
		}
		return
	}
	t.Fatal("200 amendments in a row were never too fast")
}

// TestCancelAllCanBeRepeated: who tidies up gets an ok whether or not something
// waits, and sees what left the book.
func TestCancelAllCanBeRepeated(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	key := e.key("ana", engine.RoleTrader, e.funded(1000))
	e.post("/v1/orders", key, bid)
	for n, want := range []int{1, 0, 0} {
		r := e.post("/v1/orders/cancel-all", key, `{"market":"mkt_1"}`)
		events, _ := r.doc(t)["events"].([]any)
		if r.status != http.StatusCreated || r.code(t) != "ok" || events == nil || len(events) != want {
			t.Errorf("time %d: %d %s", n, r.status, r.body)
		}
	}
}

// TestHouseShowsWhereCreditsAre: fees and the dust of rounding are in sight while
// markets hold them and after they went to the house, and nothing is missing.
func TestHouseShowsWhereCreditsAre(t *testing.T) {
	e := start(t, options{})
	tmpl := engine.DefaultTemplate()
	tmpl.ID, tmpl.Fee, tmpl.Guard = "fees", engine.FeeRule{Kind: engine.FeeNotional, Rate: 10_000}, engine.GuardRule{}
	e.submit(&engine.AddTemplate{Template: tmpl})
	owner, ana, bob := e.funded(10_000), e.funded(1000), e.funded(1000)
	e.submit(&engine.OpenMarket{Template: "fees@1.0.0", Title: "Rain", Creator: owner, Liquidity: 100 * engine.One, Price: engine.One / 2})
	for i := range engine.Price(9) { // odd sizes at odd prices, so that rounding leaves something over
		e.submit(&engine.PlaceOrder{
			Account: ana, Market: 1, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.GTC, Shares: 1_000_001 + 2*engine.Shares(i), Limit: 333_333 - 7*i,
		})
	}
	e.submit(&engine.PlaceOrder{Account: bob, Market: 1, Outcome: engine.No, Side: engine.Buy, TIF: engine.IOC, Shares: 300 * engine.One, Limit: 700_000})
	house := func() map[string]int64 {
		t.Helper()
		out := map[string]int64{}
		for name, v := range e.get("/v1/house", e.admin).doc(t) {
			if amount, is := v.(float64); is {
				out[name] = int64(amount)
			}
		}
		sum := out["accounts_micros"] + out["collateral_micros"] + out["fees_micros"] + out["rounding_micros"] + out["platform_micros"]
		if out["issued_micros"] != 12_000*engine.One || sum != out["issued_micros"] {
			t.Errorf("%v sum to %d", out, sum)
		}
		return out
	}
	open := house()
	if open["rounding_micros"] == 0 || open["fees_micros"] == 0 || open["collateral_micros"] <= 100*engine.One || open["platform_micros"] != 0 {
		t.Errorf("while it is open: %v", open)
	}
	e.submit(&engine.CancelMarket{Market: 1, Kind: engine.CancelPrice, EvidenceURI: "https://example.org/x", EvidenceSHA256: engine.Digest{1}})
	var ended map[string]int64
	for ended = house(); ended["collateral_micros"] != 0; ended = house() { // it is paid out in steps
	}
	if ended["rounding_micros"] != 0 || ended["fees_micros"] != 0 || ended["platform_micros"] < open["fees_micros"]+open["rounding_micros"] {
		t.Errorf("after its end: %v, before: %v", ended, open)
	}
}

// TestPinnedToAQuote: an order gets what was quoted, or hears that it cannot.
func TestPinnedToAQuote(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	keys := traders(e, 2)
	quote := e.get("/v1/quotes?market=mkt_1&outcome=YES&side=buy&amount_micros=10000000", keys[0]).doc(t)
	pinned := strings.Replace(buyTen, "{", fmt.Sprintf(`{"if_seq":%.0f,`, at(t, quote, "seq")), 1)
	got := e.post("/v1/orders", keys[0], pinned)
	if got.status != http.StatusCreated {
		t.Fatalf("%d %s", got.status, got.body)
	}
	for _, member := range []string{"amount_micros", "shares_micros", "average_price_micros", "price_after_micros"} {
		if is, want := at(t, got.doc(t), "events", 0, member), at(t, quote, member); is != want {
			t.Errorf("%s is %v, quoted %v", member, is, want)
		}
	}
	late := e.post("/v1/orders", keys[1], pinned)
	if late.status != http.StatusConflict || late.code(t) != "market_changed" || at(t, late.doc(t), "detail") != fmt.Sprintf("by decision %.0f", at(t, got.doc(t), "seq")) {
		t.Errorf("after the first: %d %s", late.status, late.body)
	}
	batch := e.post("/v1/orders/batch", keys[1], `{"items":[`+strings.Replace(pinned, "{", `{"type":"place_order",`, 1)+`]}`)
	if at(t, batch.doc(t), "results", 0, "code") != "market_changed" {
		t.Errorf("in a batch: %d %s", batch.status, batch.body)
	}
	if r := e.get("/v1/quotes?market=mkt_1&outcome=YES&side=buy&amount_micros=10000000&if_seq=3", keys[0]); r.code(t) != problem.Malformed {
		t.Errorf("a quote that is pinned: %d %s", r.status, r.body)
	}
}
