package client

import (
	"context"
	"net/url"
	"strconv"

	"github.com/mbp-market/mbp/engine"
)

// Past says which rows of what was are asked for; the zero value is the newest ones
// of any kind.
type Past struct {
	Market      engine.MarketID // of an account's trades and orders
	Outcome     *engine.Outcome
	Side        engine.Side
	From, Until engine.Time // from on, before until
	Before      uint64      // the Next of the page before this one
	Limit       int         // rows; 0: as many as the server gives
}

func (p Past) query() url.Values {
	q := page(p.Limit)
	set := func(given bool, name, value string) {
		if given {
			q.Set(name, value)
		}
	}
	set(p.Market != 0, "market", p.Market.String())
	if p.Outcome != nil {
		q.Set("outcome", p.Outcome.String())
	}
	set(p.Side != 0, "side", p.Side.String())
	set(p.From != 0, "from", p.From.String())
	set(p.Until != 0, "until", p.Until.String())
	set(p.Before != 0, "before", strconv.FormatUint(p.Before, 10))
	return q
}

// Candle is how the price of an outcome moved in an interval.
type Candle struct {
	Start  engine.Time   `json:"start"`
	Open   engine.Price  `json:"open_micros"`
	High   engine.Price  `json:"high_micros"`
	Low    engine.Price  `json:"low_micros"`
	Close  engine.Price  `json:"close_micros"`
	Volume engine.Micros `json:"volume_micros"`
	Trades int64         `json:"trades"`
}

// CandlePage is a page of candles, the newest first; intervals in which nothing
// happened have none.
type CandlePage struct {
	Seq      engine.Seq      `json:"seq"`
	Market   engine.MarketID `json:"market"`
	Outcome  engine.Outcome  `json:"outcome"`
	Interval string          `json:"interval"`
	Candles  []Candle        `json:"candles"`
	Next     uint64          `json:"next,omitempty"`
}

// PastTrade is one side of a trade. The order and the role are there for an
// account's own trades alone.
type PastTrade struct {
	Seq     engine.Seq      `json:"seq"`
	At      engine.Time     `json:"decided_at"`
	Order   engine.OrderID  `json:"order,omitempty"`
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	Role    string          `json:"role,omitempty"` // taker or maker
	Amount  engine.Micros   `json:"amount_micros"`
	Shares  engine.Shares   `json:"shares_micros"`
	Fee     engine.Micros   `json:"fee_micros"`
	After   engine.Price    `json:"price_after_micros"`
}

// TradePage is a page of trades, the newest first.
type TradePage struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account,omitempty"`
	Market  engine.MarketID  `json:"market,omitempty"`
	Trades  []PastTrade      `json:"trades"`
	Next    uint64           `json:"next,omitempty"`
}

// PastOrder is an order that is over. One with credits to spend asks for no number
// of shares.
type PastOrder struct {
	Order   engine.OrderID  `json:"order"`
	Market  engine.MarketID `json:"market"`
	Outcome engine.Outcome  `json:"outcome"`
	Side    engine.Side     `json:"side"`
	TIF     engine.TIF      `json:"tif"`
	Limit   engine.Price    `json:"limit_price_micros,omitempty"`
	Spend   engine.Micros   `json:"spend_micros,omitempty"`
	Asked   engine.Shares   `json:"asked_micros,omitempty"`
	Filled  engine.Shares   `json:"filled_micros"`
	Amount  engine.Micros   `json:"amount_micros"`
	Fee     engine.Micros   `json:"fee_micros"`
	Placed  engine.Time     `json:"placed_at"`
	Ended   engine.Time     `json:"ended_at"`
	End     string          `json:"end"` // filled, done, owner, expiry, pause, end, amendment or self_trade
}

// PastOrderPage is a page of orders that are over, the last to end first.
type PastOrderPage struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Orders  []PastOrder      `json:"orders"`
	Next    uint64           `json:"next,omitempty"`
}

// Profit is what was made of a market or of all of them: realised by what came out,
// unrealised by what is held at the pool's prices.
type Profit struct {
	Paid       engine.Micros `json:"paid_micros"` // fees included
	Received   engine.Micros `json:"received_micros"`
	Fees       engine.Micros `json:"fees_micros"`
	Cost       engine.Micros `json:"cost_micros"`  // of what is held
	Value      engine.Micros `json:"value_micros"` // of what is held
	Realised   engine.Micros `json:"realised_micros"`
	Unrealised engine.Micros `json:"unrealised_micros"`
	Profit     engine.Micros `json:"profit_micros"`
}

// Portfolio is what an account made of its markets, and a page of them, the one
// touched last first.
type Portfolio struct {
	Seq     engine.Seq       `json:"seq"`
	Account engine.AccountID `json:"account"`
	Granted engine.Micros    `json:"granted_micros"`
	Profit
	Markets []PortfolioMarket `json:"markets"`
	Next    uint64            `json:"next,omitempty"`
}

// PortfolioMarket is what an account made of a market.
type PortfolioMarket struct {
	Market engine.MarketID    `json:"market"`
	State  engine.MarketState `json:"state"`
	Profit
	Positions []struct {
		Outcome engine.Outcome `json:"outcome"`
		Shares  engine.Shares  `json:"shares_micros"`
		Cost    engine.Micros  `json:"cost_micros"`
		Price   engine.Price   `json:"price_micros"`
		Value   engine.Micros  `json:"value_micros"`
	} `json:"positions"`
	Liquidity *struct {
		Units engine.Shares `json:"units_micros"`
		Cost  engine.Micros `json:"cost_micros"`
		Value engine.Micros `json:"value_micros"`
	} `json:"liquidity,omitempty"`
}

// Candles returns how the price of an outcome moved, in intervals of 1m, 5m, 1h or
// 1d. Outcome, side and market of p do not count.
func (c *Client) Candles(ctx context.Context, id engine.MarketID, o engine.Outcome, interval string, p Past) (*CandlePage, error) {
	q := Past{From: p.From, Until: p.Until, Before: p.Before, Limit: p.Limit}.query()
	q.Set("outcome", o.String())
	q.Set("interval", interval)
	return get[CandlePage](ctx, c, marketPath(id, "candles"), q)
}

// MarketTrades returns what was traded on a market, and not by whom.
func (c *Client) MarketTrades(ctx context.Context, id engine.MarketID, p Past) (*TradePage, error) {
	p.Market = 0
	return get[TradePage](ctx, c, marketPath(id, "trades"), p.query())
}

func accountPath(id engine.AccountID, what string) string {
	return "/v1/accounts/" + id.String() + "/" + what
}

// AccountTrades returns what an account traded. Roles: its owner, operator,
// auditor, admin; of the following, too.
func (c *Client) AccountTrades(ctx context.Context, id engine.AccountID, p Past) (*TradePage, error) {
	return get[TradePage](ctx, c, accountPath(id, "trades"), p.query())
}

// PastOrders returns the orders of an account that are over.
func (c *Client) PastOrders(ctx context.Context, id engine.AccountID, p Past) (*PastOrderPage, error) {
	return get[PastOrderPage](ctx, c, accountPath(id, "orders"), p.query())
}

// Portfolio returns what an account made of its markets, or of those that have not
// paid out.
func (c *Client) Portfolio(ctx context.Context, id engine.AccountID, open bool, p Past) (*Portfolio, error) {
	q := Past{Before: p.Before, Limit: p.Limit}.query()
	if open {
		q.Set("open", "true")
	}
	return get[Portfolio](ctx, c, accountPath(id, "portfolio"), q)
}
