package history

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// world is a machine that decides, with the read model behind it.
type world struct {
	t       *testing.T
	s       *core.State
	h       *History
	now     engine.Time
	orders  []engine.OrderID
	ended   map[engine.Ending]int
	traders int
}

const second = engine.Time(1_000_000)

func newWorld(t *testing.T, h *History) *world {
	w := &world{t: t, s: core.New(), h: h, now: 1_700_000_000 * second, ended: map[engine.Ending]int{}}
	policy := engine.DefaultPolicy()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	admin := engine.Key{SHA256: engine.Digest{1}, Principal: "boot", Roles: engine.RoleAdmin}
	w.must(&engine.Initialise{Policy: policy, Template: templateOf(engine.Binary), Admin: admin})
	w.must(&engine.AddTemplate{Template: templateOf(engine.Categorical)})
	w.must(&engine.AddTemplate{Template: templateOf(engine.Scalar)})
	return w
}

func templateOf(k engine.MarketKind) engine.Template {
	x := engine.DefaultTemplate()
	x.ID, x.Kind, x.Truth.Approvals, x.Guard = k.String(), k, 2, engine.GuardRule{}
	x.Fee = engine.FeeRule{Kind: engine.FeeCurve, Rate: 20_000, LP: 300_000, Creator: 200_000}
	return x
}

// must has a command of the house decided, which has to be accepted.
func (w *world) must(c engine.Command) {
	w.t.Helper()
	if d := w.do("boot", c); d.Code != engine.OK {
		w.t.Fatalf("%s: %s %s", c.Type(), d.Code, d.Detail)
	}
}

// do has a command decided, then whatever is due, and shows it to the read model.
func (w *world) do(principal string, c engine.Command) *engine.Decision {
	w.t.Helper()
	d := w.step(principal, c)
	for {
		due := w.s.Due(w.now)
		if due == nil {
			return d
		}
		w.step(engine.System, due)
	}
}

func (w *world) step(principal string, c engine.Command) *engine.Decision {
	w.t.Helper()
	d := &engine.Decision{}
	if err := w.s.Step(engine.Request{At: w.now, Principal: principal, Command: c}, d); err != nil {
		w.t.Fatal(err)
	}
	d = d.Clone()
	if err := w.h.Take(d); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderRested:
			w.orders = append(w.orders, x.Order)
		case *engine.AccountOpened:
			w.traders++
		case *engine.SettlementStarted:
			w.ended[x.Ending]++
		}
	}
	return d
}

func (w *world) account(credits engine.Micros) engine.AccountID {
	w.must(&engine.OpenAccount{})
	id := engine.AccountID(w.traders)
	w.must(&engine.GrantCredits{Account: id, Amount: credits * engine.One})
	return id
}

func (w *world) market(k engine.MarketKind, n int, creator engine.AccountID) engine.MarketID {
	w.t.Helper()
	x := &engine.OpenMarket{Template: k.String() + "@1.0.0", Title: "t", Creator: creator, Liquidity: 200 * engine.One}
	switch k {
	case engine.Categorical:
		for i := range n {
			x.Outcomes = append(x.Outcomes, fmt.Sprint("o", i))
		}
	case engine.Scalar:
		x.Min, x.Max, x.Price = 0, 100, 400_000
	default:
		x.Price = 300_000
	}
	w.must(x)
	return engine.MarketID(w.s.MarketCount())
}

// wish makes up a command.
func (w *world) wish(r *rand.Rand) engine.Command {
	m := engine.MarketID(1 + r.IntN(w.s.MarketCount()))
	v, _ := w.s.Market(m, w.now)
	a := engine.AccountID(1 + r.IntN(w.traders))
	amount := engine.Micros(1 + r.Int64N(20*engine.One))
	switch r.IntN(24) {
	case 0:
		return &engine.SplitSets{Account: a, Market: m, Amount: amount}
	case 1:
		return &engine.MergeSets{Account: a, Market: m, Amount: amount / 4}
	case 2:
		return &engine.AddLiquidity{Account: a, Market: m, Amount: amount}
	case 3:
		return &engine.RemoveLiquidity{Account: a, Market: m, Units: 1 + w.s.Units(a, m)/engine.Shares(2+r.IntN(5))}
	case 4:
		return &engine.CancelAll{Account: a}
	case 5, 6:
		if n := len(w.orders); n > 0 {
			id := w.orders[max(0, n-1-r.IntN(12))]
			if o, waits := w.s.Order(id); waits {
				return &engine.AmendOrder{Account: o.Account, Order: id, Shares: o.Shares/2 + engine.Shares(r.Int64N(int64(o.Shares))), Limit: o.Limit + engine.Price(r.IntN(3))}
			}
		}
	case 7:
		return &engine.Batch{Items: []engine.Command{w.order(r, a, &v), &engine.CancelAll{Account: a, Market: m}, w.order(r, a, &v)}}
	}
	return w.order(r, a, &v)
}

func (w *world) order(r *rand.Rand, a engine.AccountID, m *engine.Market) engine.Command {
	o := m.Outcomes[r.IntN(len(m.Outcomes))]
	x := &engine.PlaceOrder{
		Account: a, Market: m.Market, Outcome: o.Outcome, Side: engine.Buy, TIF: engine.TIF(1 + r.IntN(3)),
		Shares: engine.Shares(1 + r.Int64N(40*engine.One)), SelfTrade: engine.SelfTrade(r.IntN(4)),
	}
	if r.IntN(2) == 0 {
		x.Side = engine.Sell
	}
	x.Limit = min(max(o.Price+engine.Price(r.IntN(160_000)-80_000), 10_000), 990_000)
	if x.TIF == engine.IOC && x.Side == engine.Buy && r.IntN(2) == 0 {
		x.Shares, x.Amount = 0, engine.Micros(1+r.Int64N(20*engine.One))
	}
	return x
}

// finish ends every market, each in another way.
func (w *world) finish(r *rand.Rand, before engine.Time) {
	for id := range engine.MarketID(w.s.MarketCount()) {
		m, _ := w.s.Market(id+1, w.now)
		propose := &engine.ProposeResolution{Market: id + 1, Outcome: m.Outcomes[r.IntN(len(m.Outcomes))].Outcome, EvidenceURI: "https://example.org/x", EvidenceSHA256: engine.Digest{1}}
		if m.Kind == engine.Scalar {
			propose.Outcome, propose.Value = engine.Long, 37
		}
		switch id % 4 {
		case 1:
			propose.EffectiveAt = before
		case 2, 3:
			w.must(&engine.CancelMarket{Market: id + 1, Kind: engine.CancelKind(id%4 - 1), EvidenceURI: "https://example.org/x", EvidenceSHA256: engine.Digest{1}})
			continue
		}
		for _, c := range []engine.Command{&engine.PauseMarket{Market: id + 1}, propose, &engine.ApproveResolution{Market: id + 1}} {
			if d := w.do(map[bool]string{true: "second", false: "boot"}[c.Type() == "approve_resolution"], c); d.Code != engine.OK {
				w.t.Fatalf("%s: %s %s", c.Type(), d.Code, d.Detail)
			}
		}
	}
}

// check compares what the read model counts with what the engine holds.
func (w *world) check() {
	w.t.Helper()
	for id := range engine.AccountID(w.traders) {
		a, _ := w.s.Account(id + 1)
		held := map[string]engine.Shares{}
		for _, p := range a.Positions {
			held[p.Market.String()+p.Outcome.String()] = p.Shares
		}
		got := &w.h.accounts[id]
		if sum := got.sum(); got.granted+sum.Received-sum.Paid != a.Available+a.Reserved || sum.Profit != sum.Received-sum.Paid+sum.Value {
			w.t.Fatalf("%s: granted %d, %+v; the engine has %d and %d", a.Account, got.granted, sum, a.Available, a.Reserved)
		}
		for _, p := range got.holdings {
			m, _ := w.s.Market(p.market.id, w.now)
			if m.State != p.market.state {
				w.t.Fatalf("%s is %s, not %s", m.Market, m.State, p.market.state)
			}
			if m.State == engine.Resolved || m.State == engine.Canceled {
				continue
			}
			if p.units != w.s.Units(a.Account, m.Market) || p.market.units != m.Liquidity {
				w.t.Fatalf("%s has %d units of %s, not %d", a.Account, w.s.Units(a.Account, m.Market), m.Market, p.units)
			}
			for i, o := range m.Outcomes {
				if p.shares[i] != held[m.Market.String()+o.Outcome.String()] || p.market.prices[i] != o.Price || p.cost[i] < 0 || p.shares[i] == 0 && p.cost[i] != 0 {
					w.t.Fatalf("%s of %s %s: %d at %d, cost %d; the engine has %d at %d",
						a.Account, m.Market, o.Outcome, p.shares[i], p.market.prices[i], p.cost[i], held[m.Market.String()+o.Outcome.String()], o.Price)
				}
				delete(held, m.Market.String()+o.Outcome.String())
			}
		}
		waits := 0
		for _, o := range w.h.waiting {
			if v, there := w.s.Order(o.id); o.account == a.Account {
				if waits++; !there || v.Shares != o.rests || v.Outcome != o.outcome || v.Side != o.side || v.Limit != o.limit {
					w.t.Fatalf("%s waits as %+v, not as %+v", o.id, v, o)
				}
			}
		}
		if orders := w.s.Orders(a.Account); len(orders) != waits {
			w.t.Fatalf("%s has %d orders, not %d", a.Account, len(orders), waits)
		}
		if len(held) != 0 {
			w.t.Fatalf("%s also has %v", a.Account, held)
		}
	}
}

// TestHoldingsAreTheEngines: after every decision of random histories that end in
// every way, shares, units, prices, waiting orders and credits are the engine's, and
// at the end the profit is what came out less what went in.
func TestHoldingsAreTheEngines(t *testing.T) {
	ended := map[engine.Ending]int{}
	for seed := range uint64(6) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld(t, New())
		for range 4 {
			w.account(2000)
		}
		for i, k := range []engine.MarketKind{engine.Binary, engine.Categorical, engine.Scalar, engine.Binary, engine.Categorical} {
			w.market(k, 2+i, 1)
		}
		var before engine.Time
		for n := range 400 {
			w.now += engine.Time(r.Int64N(int64(40 * second)))
			w.do("boot", w.wish(r))
			w.check()
			if n == 300 {
				before = w.now
			}
		}
		w.finish(r, before)
		w.check()
		for i := range w.h.accounts {
			sum := w.h.accounts[i].sum()
			if sum.Value != 0 || sum.Cost != 0 || sum.Unrealised != 0 || sum.Realised != sum.Received-sum.Paid {
				t.Errorf("seed %d: account %d ends with %+v", seed, i+1, sum)
			}
		}
		for k, n := range w.ended {
			ended[k] += n
		}
	}
	for _, k := range []engine.Ending{engine.EndByOutcome, engine.EndByVoid, engine.EndByPrice, engine.EndByRefund} {
		if ended[k] == 0 {
			t.Errorf("no history ended by kind %d: %v", k, ended)
		}
	}
}
