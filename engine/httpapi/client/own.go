package client

import "github.com/mbp-market/mbp/engine"

// Gap is an event that says that what was decided after one sequence and up to another
// one was not told and will not be. A snapshot follows.
type Gap struct {
	After engine.Seq `json:"after"`
	Seq   engine.Seq `json:"seq"` // of the snapshot
}

// AccountSnapshot is the first event of an account's stream.
type AccountSnapshot struct {
	Seq     engine.Seq         `json:"seq"`
	Account engine.Account     `json:"account"`
	Orders  []engine.OpenOrder `json:"orders"` // that wait
}

// FillEvent is what an order of the account traded. Outcome and side are absent where the
// order of a maker is from before what the server can read.
type FillEvent struct {
	Seq     engine.Seq      `json:"seq"`
	Order   engine.OrderID  `json:"order"`
	Market  engine.MarketID `json:"market"`
	Outcome *engine.Outcome `json:"outcome,omitempty"`
	Side    *engine.Side    `json:"side,omitempty"`
	Role    string          `json:"role"` // taker, maker
	Amount  engine.Micros   `json:"amount_micros"`
	Shares  engine.Shares   `json:"shares_micros"`
	Fee     engine.Micros   `json:"fee_micros"`
	At      engine.Time     `json:"decided_at"`
}

// OrderEvent is what became of an order that waits or waited. Only one that rested has
// its terms, and only one that closed has a reason.
type OrderEvent struct {
	Seq     engine.Seq      `json:"seq"`
	Order   engine.OrderID  `json:"order"`
	Market  engine.MarketID `json:"market"`
	Change  string          `json:"change"` // rested, reduced, closed, met_own
	Outcome *engine.Outcome `json:"outcome,omitempty"`
	Side    *engine.Side    `json:"side,omitempty"`
	TIF     *engine.TIF     `json:"tif,omitempty"`
	Limit   engine.Price    `json:"limit_price_micros,omitempty"`
	Shares  engine.Shares   `json:"shares_micros"` // that wait from now on; closed: that waited; met_own: taken off
	Expires engine.Time     `json:"expires_at,omitzero"`
	Reason  *engine.Reason  `json:"reason,omitempty"`
	At      engine.Time     `json:"decided_at"`
}

// GrantEvent is credits that were issued to the account.
type GrantEvent struct {
	Seq      engine.Seq    `json:"seq"`
	Amount   engine.Micros `json:"amount_micros"`
	Schedule string        `json:"schedule,omitempty"`
	At       engine.Time   `json:"decided_at"`
}

// PayoutEvent is what a settlement paid, or, below zero, recovered.
type PayoutEvent struct {
	Seq     engine.Seq      `json:"seq"`
	Market  engine.MarketID `json:"market"`
	Credits engine.Micros   `json:"credits_micros"`
	At      engine.Time     `json:"decided_at"`
}

// HoldingEvent is complete sets (split, merged) or liquidity (added, removed).
type HoldingEvent struct {
	Seq    engine.Seq      `json:"seq"`
	Market engine.MarketID `json:"market"`
	Change string          `json:"change"`
	Amount engine.Micros   `json:"amount_micros"`
	Units  engine.Shares   `json:"units_micros,omitempty"`
	At     engine.Time     `json:"decided_at"`
}

// SettledEvent says that a market has ended in which the account ever held anything.
type SettledEvent struct {
	Seq    engine.Seq         `json:"seq"`
	Market engine.MarketID    `json:"market"`
	State  engine.MarketState `json:"state"`
	At     engine.Time        `json:"decided_at"`
}

// StandingEvent is where a decision left the account. Its positions are those in Markets;
// an outcome of these that has none is not held.
type StandingEvent struct {
	Seq  engine.Seq `json:"seq"`
	AsOf engine.Seq `json:"as_of"` // it may be decisions ahead
	engine.Account
	Markets []engine.MarketID `json:"markets"`
	At      engine.Time       `json:"decided_at"`
}
