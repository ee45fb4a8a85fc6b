package world

import (
	"math"
	"math/rand/v2"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// venue is an engine in this process with the markets of a plan.
type venue struct {
	state  *core.State
	now    engine.Time
	d      engine.Decision
	frozen int // times that a price guard tripped
}

func (v *venue) give(t *testing.T, c engine.Command) *engine.Decision {
	t.Helper()
	for due := v.state.Due(v.now); due != nil; due = v.state.Due(v.now) {
		v.step(t, engine.System, due)
	}
	v.step(t, "trader", c)
	return &v.d
}

func (v *venue) step(t *testing.T, principal string, c engine.Command) {
	t.Helper()
	if err := v.state.Step(engine.Request{At: v.now, Principal: principal, Command: c}, &v.d); err != nil {
		t.Fatal(err)
	}
	for _, e := range v.d.Events {
		if _, tripped := e.(*engine.GuardTripped); tripped {
			v.frozen++
		}
	}
}

// load opens a plan's markets for so many traders.
func load(t *testing.T, p plan, traders int) *venue {
	t.Helper()
	v := &venue{state: core.New(), now: 1_767_355_200_000_000}
	v.give(t, &engine.Initialise{Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(), Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "admin", Roles: engine.RoleAdmin}})
	for i := range engine.AccountID(traders + 1) {
		v.give(t, &engine.OpenAccount{})
		v.give(t, &engine.GrantCredits{Account: i + 1, Amount: traderCredits})
	}
	v.give(t, &engine.GrantCredits{Account: 1, Amount: 2 * depth})
	for _, m := range p.markets[:len(p.markets)-1] {
		if d := v.give(t, &engine.OpenMarket{Template: "binary@1.0.0", Title: m.title, Creator: 1, Liquidity: m.liquidity, Price: m.price}); d.Code != engine.OK {
			t.Fatalf("%s: %s %s", m.title, d.Code, d.Detail)
		}
	}
	return v
}

// TestLoadIsEffective: the load that a world is made for, 120 orders a second, of
// a credit on average, towards beliefs that lie three points around the opening
// prices, is taken by the shipped template and policy: the price guard does not
// stop what is no manipulation, and nobody runs into a limit. The load script of
// the release gate wants the same of a real server.
func TestLoadIsEffective(t *testing.T) {
	const traders, markets, rate, users = 1000, 20, 120, 100
	seconds := 3600
	if testing.Short() {
		seconds = 300
	}
	p := newPlan(1, markets)
	v := load(t, p, traders)
	r := rand.New(rand.NewPCG(1, 2))
	fair := make([][markets]float64, users) // of each user of the load script
	last := [markets]engine.Price{}
	for m := range markets {
		last[m] = p.markets[m].price
		for u := range fair {
			fair[u][m] = math.Min(math.Max(float64(last[m])+30_000*r.NormFloat64(), 80_000), 920_000)
		}
	}
	effective, refused := 0, map[engine.Code]int{}
	for n := range seconds * rate {
		v.now += engine.Time(1_000_000 / rate)
		m, dice := 0, r.Int64N(weightOne)
		for dice -= p.markets[0].weight; dice >= 0; dice -= p.markets[m].weight {
			m++
		}
		amount := engine.Micros(math.Max(math.Min(math.Exp(0.8*r.NormFloat64()), 5)*engine.One, 50_000))
		x := &engine.PlaceOrder{
			Account: engine.AccountID(2 + n%traders), Market: engine.MarketID(m + 1), Side: engine.Buy, TIF: engine.IOC, Amount: amount,
		}
		up := 0.5 + 5*(fair[r.IntN(users)][m]-float64(last[m]))/engine.One
		if r.Float64() >= math.Min(math.Max(up, 0.1), 0.9) {
			x.Outcome = engine.No
		}
		if r.IntN(5) == 0 {
			x.TIF = engine.FOK
		}
		d := v.give(t, x)
		if d.Code != engine.OK || d.Filled() == nil || d.Filled().Shares == 0 {
			refused[d.Code]++
			continue
		}
		effective++
		if last[m] = d.Filled().PriceAfter; x.Outcome == engine.No {
			last[m] = engine.One - last[m]
		}
	}
	share := float64(effective) / float64(seconds*rate)
	t.Logf("%d orders, %.2f %% effective, %d guard trips, refused %v", seconds*rate, 100*share, v.frozen, refused)
	if share < 0.99 || v.frozen != 0 {
		t.Errorf("%.2f %% effective, %d guard trips, refused %v", 100*share, v.frozen, refused)
	}
	if err := v.state.Check(); err != nil {
		t.Error(err)
	}
}
