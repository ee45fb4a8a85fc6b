package history

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/problem"
	"github.com/mbp-market/mbp/engine/httpapi/wire"
)

// Bounds of a page. A page of filtered rows looks at so many at most, and then ends
// with its cursor: nobody holds up the fold for longer than some hundred µs.
const (
	normalPage  = 100
	maxPage     = 500
	maxCandles  = 1440 // a day of minutes
	maxLookedAt = 10_000
)

// missing says that there is nothing of the name that was asked for.
func missing(code engine.Code, seq engine.Seq) error {
	return &problem.Refusal{Code: code.String(), Seq: seq}
}

// Candle is how the price of an outcome moved in an interval. It opens at the price
// that the outcome had: nothing moves between two trades.
type Candle struct {
	Start  engine.Time   `json:"start"`
	Open   engine.Price  `json:"open_micros"`
	High   engine.Price  `json:"high_micros"`
	Low    engine.Price  `json:"low_micros"`
	Close  engine.Price  `json:"close_micros"`
	Volume engine.Micros `json:"volume_micros"`
	Trades uint32        `json:"trades"`
}

// Candles is a page of candles, the newest first. Intervals in which nothing
// happened have none.
type Candles struct {
	Seq      engine.Seq      `json:"seq"`
	Market   engine.MarketID `json:"market"`
	Outcome  engine.Outcome  `json:"outcome"`
	Interval string          `json:"interval"`
	Candles  []Candle        `json:"candles"`
	Next     uint64          `json:"next,omitempty"` // the value of before that goes on
}

// words of the intervals, as long as lengths.
var words = [intervals]string{"1m", "5m", "1h", "1d"}

type interval int

// UnmarshalText reads 1m, 5m, 1h or 1d.
func (k *interval) UnmarshalText(b []byte) error {
	for i, w := range words {
		if w == string(b) {
			*k = interval(i)
			return nil
		}
	}
	return fmt.Errorf("%q is not 1m, 5m, 1h or 1d", b)
}

// Candles answers with the candles of an outcome.
func (h *History) Candles(r *wire.Request) (any, error) {
	doc, every := Candles{Candles: []Candle{}}, interval(0)
	r.ID("market", &doc.Market)
	r.Into("outcome", true, &doc.Outcome)
	r.Into("interval", false, &every)
	p := spanOf(r, maxCandles)
	if err := r.End(); err != nil {
		return nil, err
	}
	doc.Interval = words[every]
	h.mu.RLock()
	defer h.mu.RUnlock()
	doc.Seq = h.seq
	m := h.market(doc.Market)
	switch {
	case m == nil:
		return nil, missing(engine.MarketNotFound, h.seq)
	case !m.kind.Has(doc.Outcome, len(m.pools)):
		return nil, &problem.Refusal{Code: engine.InvalidCommand.String(), Detail: "the market has no such outcome", Seq: h.seq}
	}
	i := doc.Outcome.Index()
	mirrored := len(m.series) == 1 && i == 1
	if mirrored {
		i = 0
	}
	of, rows := &m.series[i], &h.candles[every]
	doc.Next = p.walk(of.last[every], func(place uint64) (row, bool) {
		c := rows.at(place)
		if c == nil || c.series != of.id {
			return row{}, false
		}
		return row{c.before, c.start, true}, true
	}, func(place uint64) { doc.Candles = append(doc.Candles, rows.at(place).seen(mirrored)) })
	return doc, nil
}

// seen is a candle of its outcome or, mirrored, of the other one.
func (c *candle) seen(mirrored bool) Candle {
	v := Candle{c.start, engine.Price(c.open), engine.Price(c.high), engine.Price(c.low), engine.Price(c.close), c.volume, c.trades}
	if mirrored {
		v.Open, v.High, v.Low, v.Close = engine.One-v.Open, engine.One-v.Low, engine.One-v.High, engine.One-v.Close
	}
	return v
}

// Trade is one side of a trade; not with whom.
type Trade struct {
	Seq     engine.Seq      `json:"seq"`
	At      engine.Time     `json:"decided_at"`
	Order   engine.OrderID  `json:"order,omitempty"` // of the account's own trades
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	Role    string          `json:"role,omitempty"` // taker or maker, of the account's own trades
	Amount  engine.Micros   `json:"amount_micros"`
	Shares  engine.Shares   `json:"shares_micros"`
	Fee     engine.Micros   `json:"fee_micros"`
	After   engine.Price    `json:"price_after_micros"` // of the outcome
}

// Trades is a page of trades, the newest first.
type Trades struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account,omitempty"`
	Market  engine.MarketID  `json:"market,omitempty"`
	Trades  []Trade          `json:"trades"`
	Next    uint64           `json:"next,omitempty"` // the value of before that goes on
}

// MarketTrades answers with what was traded on a market, as anybody may know it.
func (h *History) MarketTrades(r *wire.Request) (any, error) {
	doc := Trades{Trades: []Trade{}}
	r.ID("market", &doc.Market)
	p := pageOf(r)
	if err := r.End(); err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	doc.Seq = h.seq
	m := h.market(doc.Market)
	if m == nil {
		return nil, missing(engine.MarketNotFound, h.seq)
	}
	doc.Next = p.walk(m.trade, func(place uint64) (row, bool) {
		t := h.trades.at(place)
		if t == nil || t.market != m.id || t.maker {
			return row{}, false
		}
		return row{t.ofMarket, t.at, p.wants(t.market, t.outcome, t.side)}, true
	}, func(place uint64) {
		v := h.trades.at(place).seen()
		v.Order, v.Role = 0, ""
		doc.Trades = append(doc.Trades, v)
	})
	return doc, nil
}

// AccountTrades answers with what an account traded.
func (h *History) AccountTrades(r *wire.Request) (any, error) {
	doc := Trades{Trades: []Trade{}}
	r.ID("account", &doc.Account)
	p := pageOf(r)
	p.marketOf(r)
	if err := r.End(); err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	doc.Seq = h.seq
	a := h.account(doc.Account)
	if a == nil {
		return nil, missing(engine.AccountNotFound, h.seq)
	}
	doc.Next = p.walk(a.trade, func(place uint64) (row, bool) {
		t := h.trades.at(place)
		if t == nil || t.account != doc.Account {
			return row{}, false
		}
		return row{t.ofAccount, t.at, p.wants(t.market, t.outcome, t.side)}, true
	}, func(place uint64) { doc.Trades = append(doc.Trades, h.trades.at(place).seen()) })
	return doc, nil
}

func (t *trade) seen() Trade {
	role := "taker"
	if t.maker {
		role = "maker"
	}
	return Trade{t.seq, t.at, t.order, t.market, t.outcome, t.side, role, t.amount, t.shares, t.fee, engine.Price(t.after)}
}

// Order is an order that is over.
type Order struct {
	Order   engine.OrderID  `json:"order"`
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	TIF     engine.TIF      `json:"tif"`
	Limit   engine.Price    `json:"limit_price_micros,omitempty"`
	Spend   engine.Micros   `json:"spend_micros,omitempty"` // credits to spend: such an order asks for no number of shares
	Asked   engine.Shares   `json:"asked_micros,omitempty"`
	Filled  engine.Shares   `json:"filled_micros"`
	Amount  engine.Micros   `json:"amount_micros"` // paid or received for them, without the fee
	Fee     engine.Micros   `json:"fee_micros"`
	Placed  engine.Time     `json:"placed_at"`
	Ended   engine.Time     `json:"ended_at"`
	End     string          `json:"end"`
}

// Orders is a page of orders that are over, the last to end first.
type Orders struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Orders  []Order          `json:"orders"`
	Next    uint64           `json:"next,omitempty"` // the value of before that goes on
}

// AccountOrders answers with the orders of an account that are over.
func (h *History) AccountOrders(r *wire.Request) (any, error) {
	doc := Orders{Orders: []Order{}}
	r.ID("account", &doc.Account)
	p := pageOf(r)
	p.marketOf(r)
	if err := r.End(); err != nil {
		return nil, err
	}
	h.mu.RLock()
	defer h.mu.RUnlock()
	doc.Seq = h.seq
	a := h.account(doc.Account)
	if a == nil {
		return nil, missing(engine.AccountNotFound, h.seq)
	}
	doc.Next = p.walk(a.order, func(place uint64) (row, bool) {
		o := h.over.at(place)
		if o == nil || o.account != doc.Account {
			return row{}, false
		}
		return row{o.ofAccount, o.ended, p.wants(o.market, o.outcome, o.side)}, true
	}, func(place uint64) {
		o := h.over.at(place)
		doc.Orders = append(doc.Orders, Order{
			o.id, o.market, o.outcome, o.side, o.tif, o.limit, o.spend, o.asked, o.filled, o.amount, o.fee, o.placed, o.ended, o.end.String(),
		})
	})
	return doc, nil
}
