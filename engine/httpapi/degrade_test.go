package httpapi

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/rate"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// mode sets the mode, and degrade the policy's rule for it.
func (e *edge) mode(m engine.Mode) engine.Seq {
	e.t.Helper()
	return e.submit(&engine.SetMode{Mode: m, Reason: "drill"}).Seq
}

func (e *edge) degrade(rule engine.DegradeRule) {
	e.t.Helper()
	p := engine.DefaultPolicy()
	p.Degrade = rule
	e.submit(&engine.SetPolicy{Policy: p})
}

// TestShedAdmitsLess: what passes in the mode normal is refused in the mode shed,
// and passes again afterwards; what takes load off passes throughout.
func TestShedAdmitsLess(t *testing.T) {
	slow := rate.Limit{PerSecond: 1, Burst: 8} // a token comes back too late to matter here
	e := start(t, options{cfg: func(c *Config) { c.Rates.Trader, c.Rates.Read, c.Rates.Staff = slow, slow, slow }})
	e.market(e.funded(100_000))
	burst := func(name, method, path, body string) (passed int, refused reply) {
		secret := e.key(name, engine.RoleTrader, e.funded(1000)) // a full bucket, here and in the engine
		for range slow.Burst {
			if r := e.send(method, path, secret, body); r.status != http.StatusTooManyRequests {
				passed++
			} else {
				refused = r
			}
		}
		return passed, refused
	}
	for i, m := range []engine.Mode{engine.ModeNormal, engine.ModeLite, engine.ModeShed, engine.ModeReadOnly, engine.ModeNormal} {
		if i > 0 {
			e.mode(m)
		}
		want := slow.Burst
		if m == engine.ModeShed {
			want /= int(engine.DefaultPolicy().Degrade.ShedDivisor)
		}
		orders, refused := burst(fmt.Sprintf("order-%d", i), http.MethodPost, "/v1/orders", buyTen)
		reads, _ := burst(fmt.Sprintf("read-%d", i), http.MethodGet, "/v1/me", "")
		if orders != want || reads != want {
			t.Errorf("%s: %d orders and %d reads pass, want %d", m, orders, reads, want)
		}
		if m == engine.ModeShed && (refused.code(t) != problem.TooMany || refused.header.Get("Retry-After") == "" || !strings.Contains(refused.body, "admits less")) {
			t.Errorf("%v %s", refused.header, refused.body)
		}
		if n, _ := burst(fmt.Sprintf("cancel-%d", i), http.MethodPost, "/v1/orders/cancel-all", `{}`); n != slow.Burst {
			t.Errorf("%s: %d of %d cancellations pass", m, n, slow.Burst)
		}
		if r := e.get("/readyz", ""); r.doc(t)["mode"] != m.String() {
			t.Errorf("%s: %s", m, r.body)
		}
	}
	e.quiet()
	if got := e.value("http_shed_total"); got != 12 {
		t.Errorf("%v requests shed, want 12", got)
	}
}

// TestABatchPassesShed: however much less is admitted, a batch passes whose trader
// has asked for nothing else, and the next one is told a wait after which it does.
func TestABatchPassesShed(t *testing.T) {
	e := start(t, options{cfg: func(c *Config) { c.Rates.Trader = rate.Limit{PerSecond: 20, Burst: 10} }})
	e.market(e.funded(100_000))
	key := e.key("ana", engine.RoleTrader, e.funded(1000))
	e.degrade(engine.DegradeRule{ShedDivisor: 4})
	e.mode(engine.ModeShed)
	item := strings.Replace(buyTen, "{", `{"type":"place_order",`, 1)
	batch := `{"items":[` + strings.Repeat(item+",", 9) + item + `]}`
	if r := e.post("/v1/orders/batch", key, batch); r.status != http.StatusCreated {
		t.Fatalf("%d %s", r.status, r.body)
	}
	for end := time.Now().Add(20 * time.Second); ; {
		r := e.post("/v1/orders/batch", key, batch)
		if r.status == http.StatusCreated {
			return
		}
		wait, err := strconv.Atoi(r.header.Get("Retry-After"))
		if err != nil || r.code(t) != problem.TooMany || wait < 1 || wait > 2 || time.Now().After(end) {
			t.Fatalf("after %q: %d %s", r.header.Get("Retry-After"), r.status, r.body)
		}
		time.Sleep(time.Duration(wait) * time.Second)
	}
}

// TestStaffIsNotShed: whoever puts the platform right is not kept from it.
func TestStaffIsNotShed(t *testing.T) {
	slow := rate.Limit{PerSecond: 1, Burst: 4}
	e := start(t, options{cfg: func(c *Config) { c.Rates.Staff, c.Rates.Read = slow, slow }})
	audit := e.key("audit", engine.RoleAuditor, 0)
	e.degrade(engine.DegradeRule{ShedDivisor: 100})
	e.mode(engine.ModeShed)
	for _, m := range []string{"normal", "shed", "lite", "normal"} {
		if r := e.post("/v1/mode", e.admin, `{"mode":"`+m+`","reason":"drill"}`); r.status != http.StatusCreated {
			t.Errorf("%s: %d %s", m, r.status, r.body)
		}
		if m == "shed" {
			for range slow.Burst {
				if r := e.get("/v1/policy", audit); r.status != http.StatusOK {
					t.Errorf("a look in %s: %d %s", m, r.status, r.body)
				}
			}
		}
	}
}

// slowWriter lets a request wait until it is told to go on.
type slowWriter struct {
	Sequencer
	entered chan bool
	release chan bool
}

func (s *slowWriter) Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error) {
	if _, is := r.Command.(*engine.PlaceOrder); is {
		s.entered <- true
		<-s.release
	}
	return s.Sequencer.Submit(ctx, r)
}

// TestShedBoundsTheIntake: no more orders are with the writer than the part that
// is left; operators and cancellations do not count against it.
func TestShedBoundsTheIntake(t *testing.T) {
	s := &slowWriter{entered: make(chan bool), release: make(chan bool)}
	e := start(t, options{seq: func(q Sequencer) Sequencer { s.Sequencer = q; return s }, cfg: func(c *Config) { c.MaxIntake = 8 }})
	account := e.funded(100_000)
	e.market(account)
	ana := e.key("ana", engine.RoleTrader, account)
	e.mode(engine.ModeShed) // two of eight are left
	answers := make(chan reply, 3)
	order := func() { answers <- e.post("/v1/orders", ana, buyTen) }
	for range 2 {
		go order()
		<-s.entered
	}
	if r := e.post("/v1/orders", ana, buyTen); r.code(t) != problem.Overloaded || r.header.Get("Retry-After") == "" || !strings.Contains(r.body, "admits less") {
		t.Errorf("%d %v %s", r.status, r.header, r.body)
	}
	if r := e.post("/v1/orders/cancel-all", ana, `{}`); r.status == http.StatusTooManyRequests {
		t.Errorf("a cancellation: %s", r.body)
	}
	if r := e.post("/v1/mode", e.admin, `{"mode":"normal","reason":"drill"}`); r.status != http.StatusCreated {
		t.Errorf("%d %s", r.status, r.body)
	}
	go order()
	<-s.entered // in the mode normal it passes
	close(s.release)
	for range 3 {
		if r := <-answers; r.status != http.StatusCreated {
			t.Errorf("%d %s", r.status, r.body)
		}
	}
}

// TestLiteHoldsQuotesBack: a stream tells every trade in order and without gap,
// and of each market only the last quote.
func TestLiteHoldsQuotesBack(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(100_000)
	one, two := e.market(owner), e.market(owner)
	e.degrade(engine.DegradeRule{PushInterval: 60_000_000, ShedDivisor: 1}) // nobody waits for that here
	e.mode(engine.ModeLite)
	e.seqReached(fmt.Sprint(e.seq.Durable()))
	next, _ := e.listen(e.admin, "")
	if first := next(); first.kind != "snapshot" {
		t.Fatalf("%+v", first)
	}
	var want []string
	trade := func(m engine.MarketID) engine.Seq {
		d := e.submit(&engine.PlaceOrder{Account: owner, Market: m, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One})
		want = append(want, fmt.Sprint(d.Seq))
		return d.Seq
	}
	var last [3]engine.Seq
	for range 10 {
		last[one], last[two] = trade(one), trade(two)
	}
	resting := e.submit(&engine.PlaceOrder{
		Account: owner, Market: one, Side: engine.Buy, TIF: engine.GTC, Shares: engine.One, Limit: 20_000,
	}).Seq
	for i, id := range want {
		if got := next(); got.kind != "trade" || got.id != id {
			t.Fatalf("event %d is %+v, want the trade of %s", i, got, id)
		}
	}
	e.mode(engine.ModeNormal) // what was held goes out at once
	for _, q := range []struct {
		market engine.MarketID
		seq    engine.Seq
		id     string
	}{{one, resting, ""}, {two, last[two], fmt.Sprint(resting)}} {
		got := next()
		if doc := got.doc(t); got.kind != "quote" || got.id != q.id || doc["market"] != q.market.String() || doc["seq"] != float64(q.seq) {
			t.Fatalf("%+v, want the quote of %s at %d", got, q.market, q.seq)
		}
		now := e.get("/v1/markets/"+q.market.String(), e.admin).doc(t)["outcomes"].([]any)[0].(map[string]any)
		said := got.doc(t)["outcomes"].([]any)[0].(map[string]any)
		if said["price_micros"] != now["price_micros"] || said["best_bid_micros"] != now["best_bid_micros"] {
			t.Errorf("%s stands at %v, the last quote says %v", q.market, now, said)
		}
	}
	trade(two)
	if a, b := next(), next(); a.kind != "trade" || b.kind != "quote" || b.id != want[len(want)-1] {
		t.Errorf("in the mode normal: %+v %+v", a, b)
	}
	if got := e.value("http_quotes_held_total"); got != 21 {
		t.Errorf("%v quotes held, want 21", got)
	}
	e.metricsShow(t, "mbp_engine_mode", 0)
}

func (e *edge) metricsShow(t *testing.T, name string, want float64) {
	t.Helper()
	if got := e.value(name); got != want {
		t.Errorf("%s is %v, want %v", name, got, want)
	}
}

// TestHeldQuotesGoOutInTime: no mode has to change for it, and who comes back
// with the id of a decision whose quote was held gets the quote.
func TestHeldQuotesGoOutInTime(t *testing.T) {
	e := start(t, options{})
	owner := e.funded(100_000)
	e.market(owner)
	e.degrade(engine.DegradeRule{PushInterval: 200_000, ShedDivisor: 1})
	e.mode(engine.ModeShed)
	next, leave := e.listen(e.admin, "")
	if first := next(); first.kind != "snapshot" {
		t.Fatalf("%+v", first)
	}
	e.metricsShow(t, "mbp_engine_mode", 2)
	began := time.Now()
	seq := fmt.Sprint(e.submit(&engine.PlaceOrder{Account: owner, Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}).Seq)
	if got := next(); got.kind != "trade" || got.id != seq {
		t.Fatalf("%+v", got)
	}
	if got := next(); got.kind != "quote" || got.id != seq || time.Since(began) < 200*time.Millisecond {
		t.Fatalf("after %s: %+v", time.Since(began), got)
	}
	leave()
	next, _ = e.listen(e.admin, seq) // as if the stream had broken between the two
	if got := next(); got.kind != "quote" || got.id != seq {
		t.Fatalf("%+v", got)
	}
}
