package httpapi

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/mbp-market/mbp/engine"
)

// eventSchemas is what the data of each kind of event is.
var eventSchemas = map[string]string{
	"trade": "StreamTrade", "quote": "StreamQuote", "market": "MarketAt", "heartbeat": "StreamHeartbeat", "gap": "StreamGap",
	"fill": "StreamFill", "order": "StreamOrder", "grant": "StreamGrant", "payout": "StreamPayout", "sets": "StreamHolding",
	"liquidity": "StreamHolding", "settled": "StreamSettled", "account": "StreamStanding",
}

// event validates an event of a stream.
func (c *contract) event(ev event) {
	c.t.Helper()
	doc, err := jsonschema.UnmarshalJSON(strings.NewReader(ev.data))
	if err != nil {
		c.t.Fatalf("%+v: %v", ev, err)
	}
	name := eventSchemas[ev.kind]
	if ev.kind == "snapshot" {
		if name = "StreamSnapshot"; strings.Contains(ev.data, `"orders":`) {
			name = "AccountSnapshot"
		}
	}
	if err := c.schema("/components/schemas/" + name).Validate(doc); err != nil {
		c.t.Errorf("%s: %v\n%s", ev.kind, err, ev.data)
	}
}

// TestStreamFollowsTheContract validates the events, and those of the examples.
func TestStreamFollowsTheContract(t *testing.T) {
	c := openContract(t)
	e := start(t, options{})
	owner := e.funded(100_000)
	e.market(owner)
	trader := e.key("ana", engine.RoleTrader, owner)
	next, leave := e.listen(trader, "")
	c.event(next())
	e.post("/v1/orders", trader, buyTen)
	c.event(next())
	c.event(next())
	r := e.post("/v1/markets/mkt_1/pause", e.admin, `{}`)
	c.event(next())
	leave()
	next, _ = e.listen(trader, fmt.Sprintf("%.0f", r.doc(t)["seq"]))
	beat := next()
	if beat.kind != "heartbeat" {
		t.Errorf("%+v", beat)
	}
	c.event(beat)
	shown := 0
	for _, path := range []string{"/v1/stream", "/v1/markets/{market}/stream", "/v1/accounts/{account}/stream"} {
		example, _ := c.at("paths", path, "get", "responses", "200", "content", "text/event-stream", "example")
		for text := range strings.SplitSeq(strings.TrimSpace(example.(string)), "\n\n") {
			var ev event
			for line := range strings.Lines(text) {
				switch name, value, _ := strings.Cut(strings.TrimSpace(line), ": "); name {
				case "event":
					ev.kind = value
				case "data":
					ev.data = value
				}
			}
			c.event(ev)
			shown++
		}
	}
	if shown < 10 {
		t.Errorf("%d events are shown in examples", shown)
	}
}

// TestMarketStream: the stream of a market begins with it alone and tells of it alone;
// whoever resumes where a heartbeat was is told nothing of others again.
func TestMarketStream(t *testing.T) {
	c := openContract(t)
	e := start(t, options{})
	owner := e.funded(100_000)
	one, two := e.market(owner), e.market(owner)
	e.market(owner)
	trader := e.key("ana", engine.RoleTrader, owner)
	path := "/v1/markets/" + two.String() + "/stream"
	next, leave := e.listenTo(path, trader, "")
	first := next()
	c.event(first)
	if all := first.doc(t)["markets"].([]any); len(all) != 1 || all[0].(map[string]any)["market"] != two.String() {
		t.Errorf("it begins with %s", first.data)
	}
	order := func(m engine.MarketID) string {
		r := e.post("/v1/orders", trader, strings.Replace(buyTen, "mkt_1", m.String(), 1))
		return fmt.Sprintf("%.0f", r.doc(t)["seq"])
	}
	order(one)
	mine := order(two)
	trade, quote := next(), next()
	c.event(trade)
	c.event(quote)
	if trade.kind != "trade" || trade.doc(t)["market"] != two.String() || quote.kind != "quote" || quote.id != mine {
		t.Errorf("%+v %+v", trade, quote)
	}
	// One decision about both is told of the part that is of each.
	both := e.post("/v1/orders/batch", trader, fmt.Sprintf(`{"items":[{"type":"place_order",%s,{"type":"place_order",%s]}`, buyTen[1:], strings.Replace(buyTen, "mkt_1", two.String(), 1)[1:]))
	if both.status != http.StatusCreated {
		t.Fatal(both.body)
	}
	trade, quote = next(), next()
	if trade.kind != "trade" || trade.doc(t)["market"] != two.String() || quote.kind != "quote" || quote.id != fmt.Sprintf("%.0f", both.doc(t)["seq"]) {
		t.Errorf("%+v %+v", trade, quote)
	}
	e.post("/v1/markets/"+two.String()+"/pause", e.admin, `{}`)
	if m := next(); m.kind != "market" || m.doc(t)["state"] != "paused" {
		t.Errorf("%+v", m)
	}
	last := order(one)
	e.seqReached(last)
	leave()
	next, leave = e.listenTo(path, trader, mine)
	got := []string{}
	for range 4 {
		got = append(got, next().kind)
	}
	if !slices.Equal(got, []string{"trade", "quote", "market", "heartbeat"}) {
		t.Errorf("it resumes with %v", got)
	}
	leave()
	next, _ = e.listenTo(path, trader, last)
	if beat := next(); beat.kind != "heartbeat" || beat.id != last {
		t.Errorf("after what was looked at comes %+v, want a heartbeat at %s", beat, last)
	}
}

// until returns the events of a decision, and validates them.
func until(c *contract, next func() event, seq engine.Seq) (all []event) {
	c.t.Helper()
	for {
		ev := next()
		if ev.kind == "" {
			c.t.Fatalf("the stream ends before %d, after %+v", seq, all)
		}
		c.event(ev)
		if ev.kind == "heartbeat" {
			continue
		}
		if all = append(all, ev); ev.id == fmt.Sprint(seq) {
			return all
		}
		if ev.id != "" {
			c.t.Fatalf("%+v came instead of %d", all, seq)
		}
	}
}

// kinds are those of events, with what says the most of each.
func kinds(t *testing.T, all []event) string {
	t.Helper()
	var words []string
	for _, ev := range all {
		doc, word := ev.doc(t), ev.kind
		for _, name := range []string{"role", "change", "reason", "state", "schedule"} {
			if v, is := doc[name]; is {
				word += fmt.Sprint(" ", v)
			}
		}
		words = append(words, word)
	}
	return strings.Join(words, ", ")
}

// TestAccountStream: an account is told of what it did and of what others did to it, and
// of nothing else; not with whom it traded.
func TestAccountStream(t *testing.T) {
	c := openContract(t)
	e := start(t, options{})
	e.market(e.funded(100_000))
	ana, bob := e.funded(10_000), e.funded(10_000)
	path := "/v1/accounts/" + ana.String() + "/stream"
	next, leave := e.listenTo(path, e.key("ana", engine.RoleTrader, ana), "")
	defer leave()
	first := next()
	c.event(first)
	if first.kind != "snapshot" || first.doc(t)["account"].(map[string]any)["available_micros"] != 10_000e6 {
		t.Fatalf("%+v", first)
	}
	seen := 0
	expect := func(what string, d *engine.Decision) []event {
		t.Helper()
		all := until(c, next, d.Seq)
		if got := kinds(t, all); got != what {
			t.Errorf("decision %d tells %s, want %s", d.Seq, got, what)
		}
		for _, ev := range all {
			if strings.Contains(strings.ReplaceAll(ev.data, `"account":"`+ana.String()+`"`, ""), "acc_") {
				t.Errorf("somebody else is told of: %s", ev.data)
			}
		}
		a := e.get("/v1/accounts/"+ana.String(), e.admin).doc(t)
		if stand := all[len(all)-1].doc(t); stand["available_micros"] != a["available_micros"] || stand["reserved_micros"] != a["reserved_micros"] {
			t.Errorf("it stands at %v, the stream says %v", a, stand)
		}
		seen++
		return all
	}
	buy := func(a engine.AccountID, o engine.Outcome, tif engine.TIF, shares engine.Shares, limit engine.Price) *engine.Decision {
		return e.submit(&engine.PlaceOrder{Account: a, Market: 1, Outcome: o, Side: engine.Buy, TIF: tif, Shares: shares * engine.One, Limit: limit})
	}
	expect("fill taker, account", buy(ana, engine.Yes, engine.IOC, 10, 0))
	expect("order rested, account", buy(ana, engine.No, engine.GTC, 50, 450_000))
	buy(bob, engine.No, engine.IOC, 1, 0) // not hers
	met := expect("fill maker, account", buy(bob, engine.Yes, engine.IOC, 400, 0))[0].doc(t)
	if met["outcome"] != "NO" || met["side"] != "buy" || met["shares_micros"] != 50e6 {
		t.Errorf("%v", met)
	}
	waits := expect("order rested, account", buy(ana, engine.No, engine.GTC, 5, 10_000))[0].doc(t)
	expect("order closed amendment, order rested, account", e.submit(&engine.AmendOrder{Account: ana, Order: orderOf(t, waits), Limit: 11_000, Shares: 6 * engine.One}))
	paused := e.submit(&engine.PauseMarket{Market: 1, CancelOrders: true})
	expect("order closed pause, account", &engine.Decision{Seq: paused.Seq + 1}) // the engine's own
	e.submit(&engine.ResumeMarket{Market: 1})
	expect("grant, account", e.submit(&engine.GrantCredits{Account: ana, Amount: engine.One}))
	expect("sets split, account", e.submit(&engine.SplitSets{Account: ana, Market: 1, Amount: engine.One}))
	expect("sets merged, account", e.submit(&engine.MergeSets{Account: ana, Market: 1, Amount: engine.One}))
	expect("liquidity added, account", e.submit(&engine.AddLiquidity{Account: ana, Market: 1, Amount: engine.One}))
	if seen != 10 {
		t.Errorf("%d decisions were looked at", seen)
	}
}

func orderOf(t *testing.T, doc map[string]any) (id engine.OrderID) {
	t.Helper()
	if err := id.UnmarshalText([]byte(doc["order"].(string))); err != nil {
		t.Fatal(err)
	}
	return id
}

// TestAccountStreamAtTheEnd: who wins is told what it is paid; who loses, that nothing is
// left; and both where they stand.
func TestAccountStreamAtTheEnd(t *testing.T) {
	c := openContract(t)
	e := start(t, options{})
	e.market(e.funded(100_000))
	streams := map[string]func() event{}
	for name, o := range map[string]engine.Outcome{"wins": engine.Yes, "loses": engine.No} {
		id := e.funded(1000)
		e.submit(&engine.PlaceOrder{Account: id, Market: 1, Outcome: o, Side: engine.Buy, TIF: engine.IOC, Amount: 10 * engine.One})
		next, leave := e.listenTo("/v1/accounts/"+id.String()+"/stream", e.admin, "")
		defer leave()
		c.event(next())
		streams[name] = next
	}
	bystander, leave := e.listenTo("/v1/accounts/"+e.funded(1).String()+"/stream", e.admin, "")
	defer leave()
	bystander()
	e.post("/v1/markets/mkt_1/resolution", e.admin, bodyOf("/v1/markets/mkt_1/resolution").with("effective_at", ""))
	e.post("/v1/markets/mkt_1/resolution/approve", e.key("second", engine.RoleResolver, 0), `{}`)
	resolved(t, e)
	var words []string
	for name, want := range map[string]string{"wins": "payout, settled resolved, account", "loses": "settled resolved, account"} {
		var all []event
		for len(all) == 0 || all[len(all)-1].kind != "account" || !strings.Contains(kinds(t, all), "settled") {
			ev := streams[name]()
			c.event(ev)
			all = append(all, ev)
		}
		if got := kinds(t, all); got != want {
			t.Errorf("who %s is told %s, want %s", name, got, want)
		}
		stand := all[len(all)-1].doc(t)
		if len(stand["positions"].([]any)) != 0 || fmt.Sprint(stand["markets"]) != "[mkt_1]" {
			t.Errorf("who %s stands at %v", name, stand)
		}
		words = append(words, kinds(t, all))
	}
	e.submit(&engine.OpenAccount{})
	e.submit(&engine.GrantCredits{Account: 4, Amount: engine.One})
	if got := bystander(); got.kind != "grant" {
		t.Errorf("who held nothing is told %+v; the others %v", got, words)
	}
}

// TestAccountStreamIsPrivate: it is the holder's, and of who may read accounts; and it
// ends with the right to it, at once.
func TestAccountStreamIsPrivate(t *testing.T) {
	e := start(t, options{api: func(a *API) { a.streams.Every = time.Hour }}) // no heartbeat finds it out
	ana, bob := e.funded(10), e.funded(10)
	path := "/v1/accounts/" + ana.String() + "/stream"
	own, other := e.key("ana", engine.RoleTrader, ana), e.key("bob", engine.RoleTrader, bob)
	for _, secret := range []string{other, e.key("service", engine.RoleService, 0), e.key("resolver", engine.RoleResolver, 0)} {
		if r := e.get(path, secret); r.status != http.StatusForbidden {
			t.Errorf("somebody else: %d %s", r.status, r.body)
		}
	}
	ends := func(secret string, by engine.Command) {
		t.Helper()
		next, leave := e.listenTo(path, secret, "")
		defer leave()
		if first := next(); first.kind != "snapshot" {
			t.Fatalf("%+v", first)
		}
		e.submit(by)
		for got := next(); got.kind != ""; got = next() {
			if got.kind != "account" {
				t.Errorf("after %s: %+v", by.Type(), got)
			}
		}
	}
	ends(own, &engine.RevokeKey{SHA256: digestOf(own)})
	auditor := e.key("auditor", engine.RoleAuditor, 0)
	ends(auditor, &engine.Moderate{Action: engine.Freeze, Account: ana, EvidenceURI: "urn:case:1", EvidenceSHA256: engine.Digest{1}})
	ends(auditor, &engine.ErasePerson{Account: ana})
	next, leave := e.listenTo("/v1/accounts/"+bob.String()+"/stream", other, "") // the others went on
	defer leave()
	if first := next(); first.kind != "snapshot" {
		t.Errorf("%+v", first)
	}
}
