package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Peers lose money in these races: two resolutions that both pay, bets that are
// taken after the outcome is known, orders that overwrite each other. Each runs
// through the whole edge, over a real writer and a real journal.

// together runs n functions at once and waits for them.
func together(n int, do func(i int)) {
	var wg sync.WaitGroup
	gate := make(chan struct{})
	for i := range n {
		wg.Go(func() { <-gate; do(i) })
	}
	close(gate)
	wg.Wait()
}

// decisions reads the whole journal back.
func decisions(t *testing.T, e *edge) []*engine.Decision {
	t.Helper()
	var out []*engine.Decision
	for seq := engine.Seq(1); seq <= e.seq.Durable(); seq++ {
		c, err := e.seq.Decision(seq)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, c.Decision)
	}
	return out
}

// sound checks every invariant of what readers see.
func sound(t *testing.T, e *edge) {
	t.Helper()
	e.seq.View(func(s *core.State) {
		if err := s.Check(); err != nil {
			t.Error(err)
		}
	})
}

// conserved adds up whose every credit is, by what anybody may know: what
// accounts have, what backs the shares of markets, their fees, and the
// platform's. What the rounding of both sides of a meeting in the book leaves
// over, less than two micros, is the market's until it ends and shows nowhere
// before; the ledger's own check, in sound, counts it exactly.
func conserved(t *testing.T, e *edge) {
	t.Helper()
	sound(t, e)
	now, met := e.seq.Now(), map[engine.MarketID]engine.Micros{}
	for _, d := range decisions(t, e) {
		for _, ev := range d.Events {
			if x, ok := ev.(*engine.OrderFilled); ok {
				for _, f := range x.Fills {
					if f.Maker != 0 {
						met[x.Market]++
					}
				}
			}
		}
	}
	e.seq.View(func(s *core.State) {
		sum, room := s.Platform(), engine.Micros(0)
		for id := engine.AccountID(1); int(id) <= s.AccountCount(); id++ {
			a, _ := s.Account(id)
			sum += a.Available + a.Reserved
		}
		for id := engine.MarketID(1); int(id) <= s.MarketCount(); id++ {
			m, _ := s.Market(id, now)
			sum += m.Interest + m.Fees
			if m.State != engine.Resolved {
				room += 2 * met[id]
			}
		}
		if left := s.Issued() - sum; left < 0 || left > room {
			t.Errorf("%d micros were issued, %d are somewhere, and rounding keeps at most %d", s.Issued(), sum, room)
		}
	})
}

// resolved waits until a market has paid everybody.
func resolved(t *testing.T, e *edge) {
	t.Helper()
	end := errors.New("resolved")
	err := e.seq.Follow(t.Context(), 1, func(c sequencer.Committed) error {
		for _, ev := range c.Decision.Events {
			if x, ok := ev.(*engine.MarketStateChanged); ok && x.To == engine.Resolved {
				return end
			}
		}
		return nil
	})
	if !errors.Is(err, end) {
		t.Fatal(err)
	}
}

// traders makes n accounts with a key each.
func traders(e *edge, n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = e.key(fmt.Sprintf("trader-%d", i), engine.RoleTrader, e.funded(1000))
	}
	return keys
}

// TestBetAgainstResolve: no bet is taken after the decision that names the
// outcome, whatever was on its way; who reads the stream sees the same, and no
// credit is lost when the market pays.
func TestBetAgainstResolve(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	keys := traders(e, 16)
	next, _ := e.listen(keys[0], "")
	under, once := make(chan struct{}), sync.Once{}
	var taken, late atomic.Int64
	together(len(keys)+1, func(i int) {
		if i == len(keys) {
			<-under
			e.post("/v1/markets/mkt_1/resolution", e.admin, bodyOf("/v1/markets/mkt_1/resolution").with("effective_at", ""))
			return
		}
		for range 5 {
			switch r := e.post("/v1/orders", keys[i], buyTen); {
			case r.status == http.StatusCreated:
				taken.Add(1)
				once.Do(func() { close(under) })
			case r.code(t) == "market_not_open":
				late.Add(1)
			default:
				t.Errorf("%d %s", r.status, r.body)
			}
		}
	})
	named, bets := false, int64(0)
	for _, d := range decisions(t, e) {
		for _, ev := range d.Events {
			switch ev.(type) {
			case *engine.ResolutionProposed:
				named = true
			case *engine.OrderFilled:
				if bets++; named {
					t.Errorf("decision %d is a bet after the outcome was named", d.Seq)
				}
			}
		}
	}
	if !named || bets != taken.Load() || bets+late.Load() != 80 {
		t.Errorf("named: %v; %d bets in the journal, %d answered as taken, %d as late", named, bets, taken.Load(), late.Load())
	}
	t.Logf("%d of 80 bets came first", bets)
	conserved(t, e)
	e.post("/v1/markets/mkt_1/resolution/approve", e.key("second", engine.RoleResolver, 0), `{}`)
	resolved(t, e)
	conserved(t, e)
	left := false
	for ev := next(); !strings.Contains(ev.data, `"resolved"`); ev = next() {
		if ev.kind == "trade" && left || ev.kind == "" {
			t.Fatalf("%+v after the market was left", ev)
		}
		left = left || ev.kind == "market" && strings.Contains(ev.data, `"proposed"`)
	}
}

// TestResolveAgainstResolve: of two proposals one is taken, of two approvals one
// decides, and every share is paid once.
func TestResolveAgainstResolve(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	for _, k := range traders(e, 8) {
		e.post("/v1/orders", k, buyTen)
	}
	resolvers := []string{e.key("r-1", engine.RoleResolver, 0), e.key("r-2", engine.RoleResolver, 0), e.key("r-3", engine.RoleResolver, 0)}
	var mu sync.Mutex
	proposed, approved := 0, 0
	count := func(n *int, r reply) {
		mu.Lock()
		defer mu.Unlock()
		if r.status == http.StatusCreated {
			*n++
		}
	}
	together(2, func(int) {
		count(&proposed, e.post("/v1/markets/mkt_1/resolution", e.admin, bodyOf("/v1/markets/mkt_1/resolution").with("effective_at", "")))
	})
	together(len(resolvers), func(i int) {
		count(&approved, e.post("/v1/markets/mkt_1/resolution/approve", resolvers[i], `{}`))
	})
	if proposed != 1 || approved != 1 {
		t.Errorf("%d proposals and %d approvals were taken", proposed, approved)
	}
	resolved(t, e)
	pot, paid, once := engine.Micros(0), engine.Micros(0), map[engine.AccountID]int{}
	for _, d := range decisions(t, e) {
		for _, ev := range d.Events {
			switch x := ev.(type) {
			case *engine.SettlementStarted:
				pot += x.Pot
			case *engine.SettlementStepped:
				paid += x.Swept
				for _, p := range x.Payouts {
					paid += p.Credits
					once[p.Account]++
				}
			}
		}
	}
	for a, n := range once {
		if n != 1 {
			t.Errorf("%s was paid %d times", a, n)
		}
	}
	if pot == 0 || paid != pot {
		t.Errorf("%d micros were paid out of a pot of %d", paid, pot)
	}
	conserved(t, e)
}

// TestTenBetsAtOnce: each bet starts at the price that the one before left.
func TestTenBetsAtOnce(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	keys := traders(e, 10)
	together(len(keys), func(i int) {
		if r := e.post("/v1/orders", keys[i], buyTen); r.status != http.StatusCreated {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
	price, bets := engine.Price(0), 0
	for _, d := range decisions(t, e) {
		for _, ev := range d.Events {
			if x, ok := ev.(*engine.OrderFilled); ok {
				if bets++; price != 0 && x.PriceBefore != price {
					t.Errorf("decision %d starts at %d, the bet before left %d", d.Seq, x.PriceBefore, price)
				}
				price = x.PriceAfter
			}
		}
	}
	if bets != len(keys) {
		t.Errorf("%d bets of %d", bets, len(keys))
	}
	conserved(t, e)
}

// TestSameKeyTwiceAtOnce: one decision, and both hear of it.
func TestSameKeyTwiceAtOnce(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	key := traders(e, 1)[0]
	for round := range 20 {
		var got [2]reply
		together(2, func(i int) {
			got[i] = e.send(http.MethodPost, "/v1/orders", key, strings.Replace(buyTen, "10000000", "1000000", 1), "Idempotency-Key", fmt.Sprintf("round-%d", round))
		})
		replayed := 0
		for _, r := range got {
			if r.status != http.StatusCreated {
				t.Fatalf("%d %s", r.status, r.body)
			}
			if r.header.Get("Idempotency-Replayed") == "true" {
				replayed++
			}
		}
		if got[0].body != got[1].body || replayed != 1 {
			t.Fatalf("%d of two answers are repetitions:\n%s\n%s", replayed, got[0].body, got[1].body)
		}
	}
	bets := 0
	for _, d := range decisions(t, e) {
		if _, ok := d.Command.(*engine.PlaceOrder); ok {
			bets++
		}
	}
	if bets != 20 {
		t.Errorf("%d decisions for 20 keys", bets)
	}
	conserved(t, e)
}

// fate is what became of the shares of a resting order.
type fate struct{ rested, filled, closed engine.Shares }

// fates follows every resting order through the journal.
func fates(t *testing.T, e *edge) map[engine.OrderID]*fate {
	t.Helper()
	out := map[engine.OrderID]*fate{}
	for _, d := range decisions(t, e) {
		for _, ev := range d.Events {
			switch x := ev.(type) {
			case *engine.OrderRested:
				out[x.Order] = &fate{rested: x.Shares}
			case *engine.OrderFilled:
				for _, f := range x.Fills {
					if f.Maker != 0 {
						out[f.Maker].filled += f.Shares
					}
				}
			case *engine.OrdersClosed:
				for _, o := range x.Orders {
					out[o.Order].closed += o.Shares
				}
			}
		}
	}
	return out
}

// TestCancelAgainstFill: every share of a resting order is filled or cancelled,
// never both and never neither, and nothing stays reserved; half of the makers
// cancel alone, half in a batch that bids again.
func TestCancelAgainstFill(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	const n = 8
	const bid = `"market":"mkt_1","outcome":"NO","side":"buy","tif":"gtc","shares_micros":5000000,"limit_price_micros":490000}`
	keys := traders(e, 2*n)
	cancels := make([]string, n)
	for i, k := range keys[:n] {
		r := e.post("/v1/orders", k, "{"+bid)
		if r.status != http.StatusCreated {
			t.Fatalf("%d %s", r.status, r.body)
		}
		order := fmt.Sprint(r.doc(t)["events"].([]any)[0].(map[string]any)["order"])
		cancels[i] = `{"items":[{"type":"cancel_order","order":"` + order + `"},{"type":"place_order",` + bid + `]}`
	}
	together(2*n, func(i int) {
		var r reply
		switch {
		case i >= n:
			r = e.post("/v1/orders", keys[i], `{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":6000000}`)
		case i%2 == 0:
			r = e.post("/v1/orders/cancel-all", keys[i], `{}`)
		default:
			r = e.post("/v1/orders/batch", keys[i], cancels[i])
		}
		if gone := i < n && i%2 == 0 && r.code(t) == "order_not_found"; r.status != http.StatusCreated && !gone {
			t.Errorf("%d %s", r.status, r.body)
		}
	})
	conserved(t, e)
	for _, k := range keys[:n] {
		e.post("/v1/orders/cancel-all", k, `{}`)
	}
	filled, closed := engine.Shares(0), engine.Shares(0)
	for id, f := range fates(t, e) {
		if f.rested != f.filled+f.closed {
			t.Errorf("%s: of %d shares %d were filled and %d cancelled", id, f.rested, f.filled, f.closed)
		}
		filled, closed = filled+f.filled, closed+f.closed
	}
	t.Logf("%d micro-shares were filled, %d cancelled", filled, closed)
	e.seq.View(func(s *core.State) {
		for id := engine.AccountID(1); int(id) <= s.AccountCount(); id++ {
			a, _ := s.Account(id)
			for _, p := range a.Positions {
				if p.Reserved != 0 {
					t.Errorf("%s has %d shares reserved for no order", id, p.Reserved)
				}
			}
			if a.Reserved != 0 || len(s.Orders(id)) != 0 {
				t.Errorf("%s has %d reserved and %d orders", id, a.Reserved, len(s.Orders(id)))
			}
		}
	})
	conserved(t, e)
	e.post("/v1/markets/mkt_1/resolution", e.admin, bodyOf("/v1/markets/mkt_1/resolution").with("effective_at", ""))
	e.post("/v1/markets/mkt_1/resolution/approve", e.key("second", engine.RoleResolver, 0), `{}`)
	resolved(t, e)
	conserved(t, e) // to the micro
}
