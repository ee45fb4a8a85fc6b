package history

import (
	"fmt"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// BenchmarkTake folds trades of a market with so many outcomes: what the history
// costs beside the decision itself.
func BenchmarkTake(b *testing.B) {
	for _, n := range []int{2, 64} {
		b.Run(fmt.Sprint("outcomes=", n), func(b *testing.B) {
			h := New()
			d := &engine.Decision{Seq: 1, Events: []engine.Event{&engine.AccountOpened{Account: 1}}}
			open := &engine.MarketOpened{Market: 1, Creator: 1, Liquidity: 1000 * engine.One}
			for i := range n {
				open.Pools = append(open.Pools, 1000*engine.One)
				if n > 2 {
					open.Outcomes = append(open.Outcomes, fmt.Sprint(i))
				}
			}
			d.Events = append(d.Events, open)
			if err := h.Take(d); err != nil {
				b.Fatal(err)
			}
			outcome := engine.Yes
			if n > 2 {
				outcome = engine.Nth(5)
			}
			trade := &engine.OrderFilled{Account: 1, Market: 1, Outcome: outcome, Amount: 10, Shares: 20, PriceAfter: 1, Sets: 10, PoolShares: 20}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				trade.Side = engine.Buy
				if i%2 == 1 {
					trade.Side = engine.Sell
				}
				trade.Order = engine.OrderOf(engine.Seq(i+2), 0)
				d := &engine.Decision{Seq: engine.Seq(i + 2), Request: engine.Request{At: engine.Time(i) * 10_000}, Events: []engine.Event{trade}}
				if err := h.Take(d); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
