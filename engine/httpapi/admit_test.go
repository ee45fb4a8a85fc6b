package httpapi

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
)

// TestEverybodyHasARate: of all traders together so many orders are admitted, whoever
// sends them; to take orders back has an allowance of its own, and who is no trader
// is not kept from work. The refusal is a problem as any other, and nothing is decided.
func TestEverybodyHasARate(t *testing.T) {
	const burst = 6
	e := start(t, options{cfg: func(c *Config) { c.Rates.Admit = rate.Limit{PerSecond: 1, Burst: burst} }})
	account := e.funded(100_000)
	e.market(account)
	var keys []string
	for i := range 3 {
		keys = append(keys, e.key(fmt.Sprint("trader-", i), engine.RoleTrader, account))
	}
	ops := e.key("ops", engine.RoleOperator, 0)
	if r := e.post("/v1/orders", ops, buyTen); r.status != http.StatusForbidden {
		t.Errorf("no trader: %d %s", r.status, r.body)
	}
	before, admitted := e.seq.Durable(), 0
	var refused reply
	for i := range 4 * burst {
		if r := e.post("/v1/orders", keys[i%len(keys)], bid); r.status == http.StatusCreated {
			admitted++
		} else {
			refused = r
		}
	}
	if made := int(e.seq.Durable() - before); admitted < burst || admitted > burst+2 || made != admitted { // a second may pass
		t.Errorf("%d admitted, %d decisions, want %d", admitted, made, burst)
	}
	openContract(t).check(route{method: http.MethodPost, path: "/v1/orders"}, refused)
	if refused.code(t) != problem.Overloaded || refused.header.Get("Retry-After") != "1" || refused.header.Get("Cache-Control") != "no-store" || refused.doc(t)["seq"] != nil {
		t.Errorf("%v %s", refused.header, refused.body)
	}
	for range burst - 1 {
		if r := e.post("/v1/orders/cancel-all", keys[0], `{}`); r.status != http.StatusCreated {
			t.Errorf("cancel: %d %s", r.status, r.body)
		}
	}
	for range 2 * burst {
		if r := e.post("/v1/markets/mkt_1/pause", ops, `{}`); r.status == http.StatusTooManyRequests {
			t.Errorf("an operator: %d %s", r.status, r.body)
		}
	}
	e.quiet()
	if n := e.value("dec_latency_seconds"); int(n) > admitted+burst {
		t.Errorf("%v latencies: refusals are no decisions", n)
	}
}

// TestEverybodysBatches: a batch takes what its items take; one that has more than can
// ever come at once passes when nothing else has come, and a smaller part comes of it in
// the mode shed.
func TestEverybodysBatches(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Admit = rate.Limit{PerSecond: 1, Burst: 8} }})
	account := e.funded(100_000)
	e.market(account)
	key := e.key("ana", engine.RoleTrader, account)
	item := strings.Replace(bid, "{", `{"type":"place_order",`, 1)
	batch := func(n int) string { return `{"items":[` + strings.Repeat(item+",", n-1) + item + `]}` }
	if r := e.post("/v1/orders/batch", key, batch(5)); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	before := e.seq.Durable()
	r := e.post("/v1/orders/batch", key, batch(6)) // 3 of 8 are left, one of which the refusal takes
	if wait := r.header.Get("Retry-After"); r.code(t) != problem.Overloaded || wait != "4" && wait != "3" || e.seq.Durable() != before {
		t.Errorf("%d after %q: %s", r.status, wait, r.body)
	}
	e.degrade(engine.DegradeRule{ShedDivisor: 4})
	e.mode(engine.ModeShed)
	if r := e.post("/v1/orders", key, bid); r.code(t) != problem.Overloaded || !strings.Contains(r.body, "admits less") {
		t.Errorf("in shed: %d %s", r.status, r.body)
	}
}

// TestRefusedBeforeTheBody: who comes too often is told so by the header alone; the
// body, of which there may be much, is not asked for.
func TestRefusedBeforeTheBody(t *testing.T) {
	for what, cfg := range map[string]func(*Config){
		problem.TooMany:    func(c *Config) { c.Rates.Trader = rate.Limit{PerSecond: 1, Burst: 1} },
		problem.Overloaded: func(c *Config) { c.Rates.Admit = rate.Limit{PerSecond: 1, Burst: 1} },
	} {
		e := start(t, options{cfg: cfg})
		ana := e.key("ana", engine.RoleTrader, e.funded(1000))
		e.flood(http.MethodPost, "/v1/orders", ana, bid)
		conn, err := net.Dial("tcp", strings.TrimPrefix(e.url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		fmt.Fprintf(conn, "POST /v1/orders HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\nContent-Length: 60000\r\nExpect: 100-continue\r\n\r\n", ana)
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusTooManyRequests || res.Header.Get("Retry-After") == "" {
			t.Errorf("%s: %d %v", what, res.StatusCode, res.Header)
		}
	}
}
