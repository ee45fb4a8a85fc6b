package httpapi

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
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
// outcome, whatever was on its way.
func TestBetAgainstResolve(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	keys := traders(e, 16)
	together(len(keys)+1, func(i int) {
		if i == len(keys) {
			e.post("/v1/markets/mkt_1/resolution", e.admin, bodyOf("/v1/markets/mkt_1/resolution").with("effective_at", ""))
			return
		}
		for range 5 {
			e.post("/v1/orders", keys[i], buyTen)
		}
	})
	named, bets := false, 0
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
	if !named {
		t.Error("nobody named the outcome")
	}
	t.Logf("%d of 80 bets came first", bets)
	sound(t, e)
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
	sound(t, e)
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
	sound(t, e)
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
	sound(t, e)
}

// TestCancelAgainstFill: a resting order is filled or cancelled, share by share,
// and nothing stays reserved.
func TestCancelAgainstFill(t *testing.T) {
	e := start(t, options{})
	e.market(e.funded(10_000))
	makers, takers := traders(e, 8), []string{}
	for i := range 8 {
		takers = append(takers, e.key(fmt.Sprintf("taker-%d", i), engine.RoleTrader, e.funded(1000)))
	}
	for _, k := range makers {
		e.post("/v1/orders", k, `{"market":"mkt_1","outcome":"NO","side":"buy","tif":"gtc","shares_micros":5000000,"limit_price_micros":490000}`)
	}
	together(16, func(i int) {
		if i < 8 {
			e.post("/v1/orders/cancel-all", makers[i], `{}`)
		} else {
			e.post("/v1/orders", takers[i-8], `{"market":"mkt_1","outcome":"YES","side":"buy","tif":"ioc","amount_micros":20000000}`)
		}
	})
	e.seq.View(func(s *core.State) {
		for id := engine.AccountID(1); int(id) <= s.AccountCount(); id++ {
			if a, _ := s.Account(id); a.Reserved != 0 {
				t.Errorf("%s has %d reserved for no order", id, a.Reserved)
			}
		}
	})
	sound(t, e)
}
