package engine

import (
	"fmt"
	"strconv"
	"strings"

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
type Outcome uint8

// The outcomes of markets with two. Long and Short are those of a scalar market.
const (
	Yes   Outcome = 0
	No    Outcome = 1
	Long  Outcome = 2
	Short Outcome = 3
	None  Outcome = 4  // of no market: it is cancelled
	first Outcome = 64 // of a categorical market
)

// MaxOutcomes is the most outcomes of a categorical market.
const MaxOutcomes = 64

// Nth returns the outcome with index i, 0..63, of a categorical market.
func Nth(i int) Outcome { return first + Outcome(i) }

// Index returns the place of the outcome in its market, from 0.
func (o Outcome) Index() int {
	if o >= first {
		return int(o - first)
	}
	return int(o & 1)
}

// Other returns the opposite outcome of a market with two.
func (o Outcome) Other() Outcome { return o ^ 1 }

// Of returns the outcome with an index in a market of a kind.
func (k MarketKind) Of(index int) Outcome {
	switch k {
	case Categorical:
		return Nth(index)
	case Scalar:
		return Long + Outcome(index)
	}
	return Outcome(index)
}

// Has reports whether a market of the kind with n outcomes has this one.
func (k MarketKind) Has(o Outcome, n int) bool {
	return o.Index() < n && k.Of(o.Index()) == o
}

// String returns YES, NO, LONG, SHORT, NONE or O1..O64.
func (o Outcome) String() string {
	if o >= first && o < first+MaxOutcomes {
		return "O" + strconv.Itoa(o.Index()+1)
	}
	return words.Name(outcomeNames, int(o))
}

// MarshalText writes the text form.
func (o Outcome) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads the text form.
func (o *Outcome) UnmarshalText(b []byte) error {
	s := string(b)
	if digits, ok := strings.CutPrefix(s, "O"); ok {
		n, err := strconv.ParseUint(digits, 10, 8)
		if err != nil || n < 1 || n > MaxOutcomes || digits[0] == '0' || digits[0] == '+' {
			return fmt.Errorf("outcome %q is not one of O1 .. O%d", strings.Clone(s), MaxOutcomes)
		}
		*o = Nth(int(n) - 1)
		return nil
	}
	i, err := words.Index(outcomeNames, "outcome", s)
	*o = Outcome(i)
	return err
}

// MarketKind says how many outcomes a market has and how it pays.
type MarketKind uint8

// The kinds of market. The numbers are journalled.
const (
	Binary      MarketKind = 1 // YES and NO; one of them pays
	Categorical MarketKind = 2 // 2..64 outcomes; one of them pays
	Scalar      MarketKind = 3 // LONG and SHORT; they share the credit linearly
)

// String returns binary, categorical or scalar.
func (k MarketKind) String() string { return words.Name(kindNames, int(k)) }

// MarshalText writes the stable word.
func (k MarketKind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// UnmarshalText reads the stable word.
func (k *MarketKind) UnmarshalText(b []byte) error {
	i, err := words.Index(kindNames, "kind", string(b))
	*k = MarketKind(i)
	return err
}

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

var (
	outcomeNames = []string{"YES", "NO", "LONG", "SHORT", "NONE"}
	kindNames    = []string{"", "binary", "categorical", "scalar"}
)
