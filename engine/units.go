package engine

import (
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/ident"
	"github.com/mbp-market/mbp/engine/internal/words"
)

// Micros is an amount of credits in millionths; one credit is One.
type Micros = fixed.Micros

// Shares is a quantity of outcome shares in millionths; one share pays one
// credit if its outcome wins.
type Shares = fixed.Shares

// Price is the price of one share in Micros, 1..999,999, and at the same time
// the probability in parts per million.
type Price = fixed.Price

// Tag is the first 16 bytes of a SHA-256 value: enough to tell requests apart (a
// collision takes about 2^64 of them), half the size in the journal.
type Tag = ident.Tag

// One is one credit in Micros, one share in Shares, and the sum of the prices
// of a market.
const One = fixed.One

// MaxAmount bounds every amount, order and pool, in micros (2^52).
const MaxAmount = fixed.MaxPool

// Time is µs since the Unix epoch, UTC; its text form is RFC 3339 with µs. The engine
// has no clock: time comes with each command and never runs backwards.
type Time = ident.Time

// Seq is the position of a decision in the journal; the first is 1.
type Seq = ident.Seq

// AccountID numbers trading accounts densely from 1; its text form is acc_<n>.
type AccountID = ident.AccountID

// MarketID numbers markets densely from 1; its text form is mkt_<n>.
type MarketID = ident.MarketID

// OrderID names an order by the decision that took it and, in a batch, its place
// there; its text form is ord_<seq>, or ord_<seq>.<place> from the second item of
// a batch on. Later orders have larger ids.
type OrderID = ident.OrderID

// OrderOf returns the id of the order that an item of a decision placed; item is
// 0 but in a batch.
func OrderOf(seq Seq, item int) OrderID { return ident.OrderOf(seq, item) }

// Digest is a SHA-256 value; its text form is 64 hex digits.
type Digest = ident.Digest

// Outcome names an outcome together with the kind of market it belongs to: Yes
// and No of a binary market, Long and Short of a scalar one, Nth(i) of a
// categorical one.
type Outcome = words.Outcome

// The outcomes of markets with two. Long and Short are those of a scalar market.
const (
	Yes   = words.Yes
	No    = words.No
	Long  = words.Long
	Short = words.Short
	None  = words.None // of no market: it is cancelled
)

// MaxOutcomes is the most outcomes of a categorical market.
const MaxOutcomes = words.MaxOutcomes

// Nth returns the outcome with index i, 0..63, of a categorical market.
func Nth(i int) Outcome { return words.Nth(i) }

// MarketKind says how many outcomes a market has and how it pays.
type MarketKind = words.MarketKind

// The kinds of market. The numbers are journalled.
const (
	Binary      = words.Binary      // YES and NO; one of them pays
	Categorical = words.Categorical // 2..64 outcomes; one of them pays
	Scalar      = words.Scalar      // LONG and SHORT; they share the credit linearly
)

// Side says whether an order buys or sells shares.
type Side = words.Side

// The sides of an order.
const (
	Buy  = words.Buy
	Sell = words.Sell
)

// TIF is the time in force of an order.
type TIF = words.TIF

// The times in force. The numbers are journalled.
const (
	IOC = words.IOC // immediate or cancel: fill what the limit allows, drop the rest
	FOK = words.FOK // fill or kill: all or nothing
	GTC = words.GTC // good till cancelled: the rest waits in the book
	GTD = words.GTD // good till date: the rest waits in the book until it expires
)

// SelfTrade says what happens when an order meets an order of the same account.
type SelfTrade = words.SelfTrade

// The ways of self-trade prevention. The numbers are journalled.
const (
	CancelNewest = words.CancelNewest // the incoming order stops there
	CancelOldest = words.CancelOldest // the resting order is cancelled
	Decrement    = words.Decrement    // both shrink by the smaller size, without a trade
)
