package history

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

// market is what prices and holdings need of a market.
type market struct {
	id      engine.MarketID
	kind    engine.MarketKind // Categorical, or Binary for either of the others
	state   engine.MarketState
	pools   []engine.Shares
	prices  []engine.Price // published
	final   []engine.Price // what a share of each outcome is paid, once it ends by prices
	units   engine.Shares  // of its liquidity
	series  []series       // of outcome 0 where the second one mirrors it, else of each
	holders map[engine.AccountID]*holding
	trade   uint64 // the place of its last trade
}

// The intervals of candles, in µs.
const (
	minute    = 60_000_000
	intervals = 4
)

var lengths = [intervals]int64{minute, 5 * minute, 60 * minute, 24 * 60 * minute}

// series is the way to an outcome's candles.
type series struct {
	id   uint32 // counts from 0 over all markets
	last [intervals]uint64
}

// candle is how a price moved in an interval. Prices fit 32 bits.
type candle struct {
	start                  engine.Time
	before                 uint64 // the place of the one before it
	open, high, low, close uint32
	trades                 uint32
	series                 uint32
	volume                 engine.Micros
}

func (h *History) opened(d *engine.Decision, x *engine.MarketOpened) error {
	n := len(x.Pools)
	if int(x.Market) != len(h.markets)+1 || h.account(x.Creator) == nil || n < 2 {
		return fmt.Errorf("market %s is not the next one", x.Market)
	}
	m := &market{
		id: x.Market, kind: engine.Binary, state: engine.Open, units: engine.Shares(x.Liquidity),
		pools: append([]engine.Shares(nil), x.Pools...), holders: map[engine.AccountID]*holding{},
	}
	if x.Draft {
		m.state = engine.Draft
	}
	m.series = make([]series, 1)
	if len(x.Outcomes) != 0 {
		m.kind, m.series = engine.Categorical, make([]series, n)
	} else if x.Min != x.Max {
		m.kind = engine.Scalar
	}
	for i := range m.series {
		m.series[i].id = h.series
		h.series++
	}
	h.markets = append(h.markets, m)
	h.priced(m, d.At)
	h.holding(m, x.Creator).provide(m.prices, x.Liquidity, x.Pools, m.units)
	return nil
}

// priced notes the prices that the pools have now.
func (h *History) priced(m *market, at engine.Time) {
	var room [engine.MaxOutcomes]engine.Price
	was := append(room[:0], m.prices...)
	m.prices = core.Prices(m.pools, m.prices)
	for i := range m.series {
		before := m.prices[i] // of a new market
		if len(was) != 0 {
			before = was[i]
		}
		if len(was) == 0 || before != m.prices[i] {
			h.candle(m, i, at, before)
		}
	}
}

// candle brings the candles of a series to the present price, and returns them.
func (h *History) candle(m *market, i int, at engine.Time, before engine.Price) (now [intervals]*candle) {
	p, of := uint32(m.prices[i]), &m.series[i]
	for k := range intervals {
		start := at - at%engine.Time(lengths[k])
		c := h.candles[k].at(of.last[k])
		if c == nil || c.start != start {
			b := uint32(before)
			of.last[k] = h.candles[k].add(candle{start: start, before: of.last[k], series: of.id, open: b, high: b, low: b})
			c = h.candles[k].at(of.last[k])
		}
		c.high, c.low, c.close = max(c.high, p), min(c.low, p), p
		now[k] = c
	}
	return now
}

// traded counts a trade in the candles of its outcome.
func (h *History) traded(m *market, x *engine.OrderFilled, at engine.Time) {
	i := x.Outcome.Index()
	if len(m.series) == 1 {
		i = 0
	}
	for _, c := range h.candle(m, i, at, m.prices[i]) {
		c.volume += x.Amount
		c.trades++
	}
}
