package nodetest

import (
	"fmt"
	"math/rand/v2"

	"github.com/mbp-market/mbp/engine"
)

const (
	traders   = 4
	maxOrders = 24 // that are remembered, to be cancelled and amended
	second    = engine.Time(1_000_000)
)

// wish makes up what clients want: everything that trades, ends and falls due.
type wish struct {
	rng     *rand.Rand
	opening []engine.Command // what comes first, one after the other
	markets int
	orders  []engine.OrderID
}

func newWish(rng *rand.Rand) *wish {
	policy, template := engine.DefaultPolicy(), engine.DefaultTemplate()
	policy.OrderInterval, policy.OrderBurst = 1, 1_000_000
	template.Truth.DisputeWindow = int64(20 * second)
	w := &wish{rng: rng, opening: []engine.Command{&engine.Initialise{
		Policy: policy, Template: template, Admin: engine.Key{SHA256: engine.Digest{1}, Principal: "boot", Roles: engine.RoleAdmin},
	}}}
	for a := range engine.AccountID(traders) {
		w.opening = append(w.opening, &engine.OpenAccount{}, &engine.GrantCredits{Account: a + 1, Amount: 100_000 * engine.One})
	}
	w.opening = append(w.opening, w.market(0), w.market(0))
	return w
}

// ready reports whether somebody can want something: the opening is asked for
// one by one, so that it is decided in order.
func (w *wish) ready(asks []*ask) bool {
	return len(w.opening) == 0 && w.markets > 0 || len(asks) == 0 || asks[len(asks)-1].answered
}

func (w *wish) learn(d *engine.Decision) {
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.MarketOpened:
			w.markets++
		case *engine.OrderRested:
			w.orders = append(w.orders, x.Order)
			w.orders = w.orders[max(0, len(w.orders)-maxOrders):]
		}
	}
}

// next returns what somebody asks for.
func (w *wish) next(now engine.Time) (principal string, c engine.Command) {
	if len(w.opening) > 0 {
		c, w.opening = w.opening[0], w.opening[1:]
		return "boot", c
	}
	a := engine.AccountID(1 + w.rng.IntN(traders))
	m := engine.MarketID(1 + w.rng.IntN(w.markets))
	if w.rng.IntN(100) < 78 {
		return fmt.Sprint("trader-", a), w.trade(a, m, now)
	}
	return among(w.rng, "ana", "bob"), w.house(a, m, now)
}

func (w *wish) trade(a engine.AccountID, m engine.MarketID, now engine.Time) engine.Command {
	switch w.rng.IntN(12) {
	case 0:
		x := &engine.Batch{}
		for range 1 + w.rng.IntN(3) {
			x.Items = append(x.Items, w.order(a, m, now))
		}
		x.Items = append(x.Items, &engine.CancelOrder{Account: a, Order: w.known()})
		return x
	case 1:
		return &engine.CancelOrder{Account: a, Order: w.known()}
	case 2:
		return &engine.AmendOrder{Account: a, Order: w.known(), Shares: w.shares()}
	case 3:
		return among[engine.Command](w.rng, &engine.CancelAll{Account: a}, &engine.SplitSets{Account: a, Market: m, Amount: 3 * engine.One},
			&engine.MergeSets{Account: a, Market: m, Amount: engine.One})
	}
	return w.order(a, m, now)
}

func (w *wish) shares() engine.Shares { return engine.Shares(1 + w.rng.IntN(20*engine.One)) }

// known is an order that was told of, or one that nobody knows.
func (w *wish) known() engine.OrderID {
	if len(w.orders) == 0 {
		return engine.OrderOf(99, 0)
	}
	return w.orders[w.rng.IntN(len(w.orders))]
}

func (w *wish) order(a engine.AccountID, m engine.MarketID, now engine.Time) engine.Command {
	x := &engine.PlaceOrder{
		Account: a, Market: m, Outcome: engine.Outcome(w.rng.IntN(2)), Side: among(w.rng, engine.Buy, engine.Buy, engine.Sell),
		TIF: among(w.rng, engine.IOC, engine.IOC, engine.GTC, engine.GTC, engine.GTD, engine.FOK), Shares: w.shares(),
	}
	switch {
	case x.TIF.Rests():
		x.Limit = engine.Price(300_000 + w.rng.IntN(400_000))
	case x.Side == engine.Buy:
		x.Amount, x.Shares = engine.Micros(x.Shares), 0
	}
	if x.TIF == engine.GTD {
		x.Expires = now + engine.Time(1+w.rng.IntN(60))*second
	}
	return x
}

func (w *wish) market(closeAt engine.Time) engine.Command {
	return &engine.OpenMarket{Template: "binary@1.0.0", Title: "Will it hold?", Creator: 1, Liquidity: 1_000 * engine.One, Price: 500_000, CloseAt: closeAt}
}

// house is what the staff does.
func (w *wish) house(a engine.AccountID, m engine.MarketID, now engine.Time) engine.Command {
	const evidence = "https://example.org/e"
	switch w.rng.IntN(14) {
	case 0, 1, 2:
		return &engine.GrantCredits{Account: a, Amount: engine.Micros(1 + w.rng.IntN(1000))}
	case 3:
		return &engine.OpenAccount{}
	case 4:
		return w.market(among(w.rng, 0, now+engine.Time(1+w.rng.IntN(120))*second))
	case 5:
		return &engine.ProposeResolution{Market: m, Outcome: engine.Outcome(w.rng.IntN(2)), EvidenceURI: evidence, EvidenceSHA256: engine.Digest{1}}
	case 6, 7:
		return &engine.ApproveResolution{Market: m}
	case 8:
		return &engine.PauseMarket{Market: m, CancelOrders: w.rng.IntN(2) == 0}
	case 9:
		return &engine.ResumeMarket{Market: m}
	case 10:
		return &engine.ReopenMarket{Market: m}
	case 11, 12:
		return &engine.SetDeadlines{Held: w.rng.IntN(5) == 0, Reason: "so it is"}
	}
	return among[engine.Command](w.rng, &engine.RejectResolution{Market: m},
		&engine.CancelMarket{Market: m, Kind: engine.CancelRefund, EvidenceURI: evidence, EvidenceSHA256: engine.Digest{2}},
		&engine.AddLiquidity{Account: a, Market: m, Amount: 10 * engine.One})
}
