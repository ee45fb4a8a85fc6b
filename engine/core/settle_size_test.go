package core

import (
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// A market with very many holders is paid in chained decisions of at most a
// thousand, each holder once, to the last micro; other markets trade meanwhile.
func TestSettlementAtSize(t *testing.T) {
	holders := 100_000
	if testing.Short() {
		holders = 5_000
	}
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.bulk = true // looking at everything after every decision would be quadratic
	w.rich(1, 20_000_000*one)
	m := w.open(engine.OpenMarket{Liquidity: 10_000_000 * one})
	other := w.open(engine.OpenMarket{})
	expected := map[engine.AccountID]engine.Micros{}
	for i, a := range w.rich(holders, 100*one) {
		d := w.give("t", buy(a, m, engine.Outcome(i%2), 10*one))
		f := d.Filled()
		if f == nil {
			t.Fatalf("holder %d: %s", i, d.Code)
		}
		if expected[a] = 90 * one; f.Outcome == engine.Yes {
			expected[a] += engine.Micros(f.Shares)
		}
	}
	pot := w.s.f.Market(m).Pot()
	w.owing = true
	w.ok("ana", propose(m, engine.Yes, 0))
	if d := w.give("ana", &engine.ApproveResolution{Market: m}); d.Code != engine.SameApprover {
		t.Fatalf("own approval: %s", d.Code)
	}
	w.ok("bob", &engine.ApproveResolution{Market: m})
	if d := w.give("bob", &engine.SettleMarket{Market: m}); d.Code != engine.WrongState {
		t.Fatalf("settled by a person: %s", d.Code)
	}
	steps, swept := w.pay(t, m, other, expected)
	if want := holders/engine.WorkLimit + 1; steps != want {
		t.Errorf("%d decisions, want %d", steps, want)
	}
	sum := swept
	for a, want := range expected {
		got := w.s.f.Ledger.Available(uint32(a))
		if got != want {
			t.Fatalf("%s has %d, want %d", a, got, want)
		}
		sum += got - 90*one
	}
	if v, _ := w.s.Market(m, w.now); v.State != engine.Resolved || v.Outcome == nil || *v.Outcome != engine.Yes || v.Interest != 0 {
		t.Errorf("the market is %+v", v)
	}
	if creator := pot - sum; creator < 0 || swept > 2 {
		t.Errorf("%d of %d for the creator, %d swept", creator, pot, swept)
	}
	if err := w.s.Check(); err != nil {
		t.Error(err)
	}
	if err := w.refold(); err != nil {
		t.Error(err)
	}
	t.Logf("%d holders paid in %d decisions, %d micros of dust", holders, steps, swept)
}

// pay gives the pieces of a settlement, with an order in another market between
// each two, and counts who is paid.
func (w *world) pay(t *testing.T, m, other engine.MarketID, expected map[engine.AccountID]engine.Micros) (steps int, swept engine.Micros) {
	t.Helper()
	paid := map[engine.AccountID]bool{}
	for w.work() {
		steps++
		d, err := engine.Decode(engine.Seq(len(w.log)), w.log[len(w.log)-1])
		if err != nil {
			t.Fatal(err)
		}
		x, is := d.Events[0].(*engine.SettlementStepped)
		if !is || x.Market != m || x.Phase != engine.PhasePay || x.Work > engine.WorkLimit {
			t.Fatalf("%+v", d.Events[0])
		}
		for _, p := range x.Payouts {
			if _, holder := expected[p.Account]; paid[p.Account] || p.Credits <= 0 || !holder && p.Account != 1 {
				t.Fatalf("%+v", p)
			}
			paid[p.Account] = true
		}
		swept += x.Swept
		if got := w.give("t", buy(1, other, engine.Yes, one)); got.Code != engine.OK {
			t.Fatalf("meanwhile: %s", got.Code)
		}
	}
	return steps, swept
}

// A day between a trade and the end of the dispute does not make a market forget
// what a proposal voids: what the proposal found within reach stays there.
func TestVoidReachesWhatItsProposalDid(t *testing.T) {
	for name, rule := range map[string]engine.EndRule{
		"by time":   {VoidTrades: 1000, VoidWindow: int64(100 * sec)},
		"by number": {VoidTrades: 8, VoidWindow: int64(100_000 * sec)},
	} {
		t.Run(name, func(t *testing.T) {
			tmpl := engine.DefaultTemplate()
			tmpl.End = rule
			tmpl.Fee = engine.FeeRule{Kind: engine.FeeNotional, Rate: 10_000}
			tmpl.Truth.DisputeWindow = int64(95 * sec)
			w := newWorld(t, calm(), tmpl)
			w.watch = newWatch()
			w.rich(3, 10_000*one)
			m := w.open(engine.OpenMarket{})
			w.now += 10 * sec
			w.ok("t", buy(2, m, engine.Yes, 100*one))
			w.now += 10 * sec
			effective := w.now
			w.now += sec
			w.ok("t", buy(3, m, engine.No, 200*one)) // is voided
			w.ok("t", rest(2, m, engine.Yes, engine.Buy, engine.One, 100_000))
			w.now += 10 * sec
			x := propose(m, engine.Yes, 0)
			x.EffectiveAt = effective
			w.ok("ana", x)
			w.ok("bob", &engine.ApproveResolution{Market: m})
			w.now += 96 * sec
			w.ticks()
			w.settle()
			if v, _ := w.s.Market(m, w.now); v.State != engine.Resolved || v.Ending != engine.EndByVoid {
				t.Fatalf("the market is %s", v.State)
			}
			if got := w.s.f.Ledger.Available(3); got < 10_000*one-3 || got > 10_000*one {
				t.Errorf("the voided buyer has %d", got)
			}
			if err := w.refold(); err != nil {
				t.Error(err)
			}
		})
	}
}
