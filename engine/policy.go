package engine

import (
	"crypto/sha256"

	"github.com/mbp-market/mbp/engine/internal/wire"
	"github.com/mbp-market/mbp/engine/internal/words"
)

// Policy is the bundle of limits that hold for the whole engine. It is versioned
// and known by its Digest; changing it is a command, and the bundle before can be
// put back.
//
//wire:part
type Policy struct {
	Version       string       `json:"version" wire:"16"`  // semver, for people; the digest is what identifies
	OrderInterval int64        `json:"order_interval_us"`  // µs between orders of an account on average, > 0
	OrderBurst    int64        `json:"order_burst"`        // orders of an account that may come at once, ≥ 1
	MaxAccounts   int64        `json:"max_accounts"`       // trading accounts
	MaxMarkets    int64        `json:"max_markets"`        // markets, ended ones too
	MaxKeys       int64        `json:"max_keys"`           // API keys, revoked ones too
	MaxTemplates  int64        `json:"max_templates"`      // template versions
	MaxOpenOrders int64        `json:"max_open_orders"`    // resting orders of an account, 1..1000
	MaxFills      int64        `json:"max_fills_of_order"` // resting orders that one order may meet, 1..1000
	TradeInterval int64        `json:"trade_interval_us"`  // µs between trading orders of an account on average; 0: no limit
	TradeBurst    int64        `json:"trade_burst"`
	Burst         BurstRule    `json:"burst"` // of a market
	AccountBurst  BurstRule    `json:"account_burst"`
	Wash          WashRule     `json:"wash"`
	SelfTrades    AttemptsRule `json:"self_trades"`
	Degrade       DegradeRule  `json:"degrade"`
}

// BurstRule raises an alert when a market gets, or an account places, more orders
// in ten seconds than its own history makes likely.
//
//wire:part
type BurstRule struct {
	Sigmas int64 `json:"sigmas"` // standard deviations above the mean; 0: off
	Floor  int64 `json:"floor"`  // orders in a slot below which nothing is a burst
}

// WashRule raises an alert when two accounts trade back and forth.
//
//wire:part
type WashRule struct {
	Times  int64 `json:"times"`     // changes of direction that raise it; 0: off
	Window int64 `json:"window_us"` // µs in which they count, 1..a day
}

// AttemptsRule raises an alert when an account often meets its own orders.
//
//wire:part
type AttemptsRule struct {
	Times  int64 `json:"times"`     // meetings that raise it; 0: off
	Window int64 `json:"window_us"` // µs in which they count, 1..a day
}

// DegradeRule is what the modes lite and shed leave of the service at the edge.
// The engine itself decides as ever.
//
//wire:part
type DegradeRule struct {
	PushInterval int64 `json:"push_interval_us"` // lite and shed: µs for which the streams hold back where prices, pools and books stand; 0: not at all
	ShedDivisor  int64 `json:"shed_divisor"`     // shed: what the edge's limits on admission are divided by, 1..100
}

// DefaultPolicy returns the limits as shipped: ten orders a second for each
// account with bursts of thirty, capacities that fit the memory of a small
// machine, and alerts whose thresholds were chosen on real trades. A degraded
// stream tells where a market stands once a second, as fast as people follow;
// shedding leaves a quarter of what is admitted, so that four times the load that
// the limits were set for is the load again.
func DefaultPolicy() Policy {
	return Policy{
		Version: "1.0.0", OrderInterval: 100_000, OrderBurst: 30,
		MaxAccounts: 1_000_000, MaxMarkets: 100_000, MaxKeys: 1_000_000, MaxTemplates: 1_000,
		MaxOpenOrders: 500, MaxFills: 500,
		Burst: BurstRule{Sigmas: 8, Floor: 50}, AccountBurst: BurstRule{Sigmas: 8, Floor: 20}, Wash: WashRule{Times: 4, Window: 60 * minute},
		SelfTrades: AttemptsRule{Times: 3, Window: 10 * minute},
		Degrade:    DegradeRule{PushInterval: second, ShedDivisor: 4},
	}
}

// Digest is the SHA-256 of the bundle's record form.
func (p Policy) Digest() Digest {
	c := wire.Codec{}
	p.fields(&c)
	return sha256.Sum256(c.B)
}

// Template is a version of the rules that a market is made from.
//
//wire:part
type Template struct {
	ID           string     `json:"id" wire:"64"`       // a-z, 0-9, -, 1..64 characters
	Version      string     `json:"version" wire:"16"`  // semver, digits and dots, 5..16 characters
	Category     string     `json:"category" wire:"64"` // a-z, 0-9, -, 1..64 characters
	Kind         MarketKind `json:"kind"`
	MaxTitle     int64      `json:"max_title"`            // bytes of the title, 1..512
	MaxDuration  int64      `json:"max_duration_us"`      // µs from opening to close_at; 0: a market need not close
	MinLiquidity Micros     `json:"min_liquidity_micros"` // what the creator must seed at least, and what must stay while it is open
	MaxLiquidity Micros     `json:"max_liquidity_micros"`
	MinPrice     Price      `json:"min_price_micros"` // trading stops the walk at these prices of an outcome
	MaxPrice     Price      `json:"max_price_micros"`
	MaxOrder     Micros     `json:"max_order_micros"` // largest amount, or number of shares, of an order
	Collar       Price      `json:"collar_micros"`    // how far one order may move a price; 0: no collar
	Fee          FeeRule    `json:"fee"`
	Guard        GuardRule  `json:"guard"`
	Risk         RiskRule   `json:"risk"`
	Truth        TruthRule  `json:"truth"`
	End          EndRule    `json:"end"`
}

// FeeKind says what a fee is a rate of.
type FeeKind uint8

// The kinds of fee. The numbers are journalled.
const (
	FeeNone     FeeKind = 0
	FeeCurve    FeeKind = 1 // ⌈rate·p·(1−p)·shares⌉: largest where the outcome is least certain
	FeeNotional FeeKind = 2 // ⌈rate·amount⌉
)

var feeNames = []string{"none", "curve", "notional"}

// MarshalText writes none, curve or notional.
func (k FeeKind) MarshalText() ([]byte, error) { return []byte(words.Name(feeNames, int(k))), nil }

// UnmarshalText reads none, curve or notional.
func (k *FeeKind) UnmarshalText(b []byte) error {
	i, err := words.Index(feeNames, "fee kind", string(b))
	*k = FeeKind(i)
	return err
}

// FeeRule is what takers pay on top of the price, for each fill and rounded up.
// Whoever waits in the book pays nothing. Fees stay with the market until its
// end, so that they can be given back.
//
//wire:part
type FeeRule struct {
	Kind    FeeKind `json:"kind"`
	Rate    int64   `json:"rate_ppm"`    // 0..100,000: at most ten per cent
	LP      int64   `json:"lp_ppm"`      // share of the fee for those who gave liquidity
	Creator int64   `json:"creator_ppm"` // share for the creator; the rest is the platform's
}

// GuardRule stops a market whose price runs away from its own average.
//
//wire:part
type GuardRule struct {
	Window      int64 `json:"window_us"`       // µs of open time, a multiple of ten seconds; 0: off
	Bound       int64 `json:"bound_ppm"`       // 10,000 = 1.0 %
	Relative    bool  `json:"relative"`        // of the average, instead of in probability points
	Outliers    int64 `json:"outliers"`        // samples in a row outside the 99 % band; 0: off
	Floor       int64 `json:"floor_ppm"`       // least standard deviation
	ReopenAfter int64 `json:"reopen_after_us"` // µs until it reopens by itself; 0: a command reopens it
}

// RiskRule bounds what one account and one market may come to; 0 is no bound.
//
//wire:part
type RiskRule struct {
	MaxPosition   Shares `json:"max_position_micros"`      // shares of an outcome that an account may hold
	MaxExposure   Micros `json:"max_exposure_micros"`      // credits an account may have paid into the market, on balance
	MaxInterest   Micros `json:"max_open_interest_micros"` // complete sets in existence
	OrderInterval int64  `json:"order_interval_us"`        // µs between orders of the market on average
	OrderBurst    int64  `json:"order_burst"`
	SpikeMove     Price  `json:"spike_move_micros"` // a price that moves further than this
	SpikeSpan     int64  `json:"spike_span_us"`     // within this time
	CoolDown      int64  `json:"cool_down_us"`      // stops orders for this long
}

// Source is where the truth about a market comes from.
type Source uint8

// The sources. The numbers are journalled.
const (
	SourceManual   Source = 1 // people propose, with evidence, and approve
	SourceTable    Source = 2 // rows of a table
	SourceEndpoint Source = 3 // an address that a resolver fetches
	SourceQuorum   Source = 4 // k of n reporters
)

var sourceNames = []string{"", "manual", "table", "endpoint", "quorum"}

// MarshalText writes the stable word.
func (s Source) MarshalText() ([]byte, error) { return []byte(words.Name(sourceNames, int(s))), nil }

// UnmarshalText reads the stable word.
func (s *Source) UnmarshalText(b []byte) error {
	i, err := words.Index(sourceNames, "source", string(b))
	*s = Source(i)
	return err
}

// MaxReporters is the most principals that may report facts for a market.
const MaxReporters = 16

// TruthRule says how a market learns its outcome.
//
//wire:part
type TruthRule struct {
	Source        Source   `json:"source"`
	Approvals     int64    `json:"approvals"`                                 // principals that must stand behind a proposal, its proposer among them; at least 2 behind one made by hand
	DisputeWindow int64    `json:"dispute_window_us"`                         // µs after a proposal in which it can be disputed
	MaxDisputes   int64    `json:"max_disputes"`                              // disputes of a market, 0..16, after which its next proposal stands; 0: 3
	SLA           int64    `json:"sla_us"`                                    // µs from close, and from a proposal, until an alarm; 0: none
	Reporters     []string `json:"reporters,omitempty" wire:"max=16,text=64"` // principals that report facts; not for manual
	Quorum        int64    `json:"quorum"`                                    // reports that must agree
	MaxAge        int64    `json:"max_age_us"`                                // µs after which a report is stale
	MaxDivergence int64    `json:"max_divergence_ppm"`                        // of the range, between values of a scalar market that agree
}

// EndRule says what happens when a market ends otherwise than by its outcome.
//
//wire:part
type EndRule struct {
	Uniform    bool  `json:"uniform"`        // cancel at price 1/N instead of the last average
	Clawback   bool  `json:"clawback"`       // recover from the available credits of who received more than their due
	VoidTrades int64 `json:"void_trades"`    // movements that a market remembers, so that they can be voided
	VoidWindow int64 `json:"void_window_us"` // µs
}

const (
	second = 1_000_000 // µs
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// DefaultTemplate returns binary@1.0.0, the template as shipped: prices of
// 1 %..99 %, from ten credits of liquidity, orders of at most 100,000 credits, no
// fees, resolved by two principals. Its price guard is the one that ADR-003 chose:
// 1.0 point over two windows of a minute; it reopens after five minutes.
func DefaultTemplate() Template {
	return Template{
		ID: "binary", Version: "1.0.0", Category: "general", Kind: Binary,
		MaxTitle: 240, MinLiquidity: 10 * One, MaxLiquidity: 1_000_000_000 * One,
		MinPrice: 10_000, MaxPrice: 990_000, MaxOrder: 100_000 * One,
		Guard: GuardRule{Window: minute, Bound: 10_000, Outliers: 3, Floor: 20_000, ReopenAfter: 5 * minute},
		Truth: TruthRule{Source: SourceManual, Approvals: 2, SLA: day},
		End:   EndRule{Clawback: true, VoidTrades: 100_000, VoidWindow: day},
	}
}

// Name returns id@version.
func (t Template) Name() string { return t.ID + "@" + t.Version }

// Key is what a principal is known by: the digest of an API key's secret, or that
// of a person whom an identity provider vouches for.
//
//wire:part
type Key struct {
	SHA256    Digest    `json:"sha256"`              // of the whole secret; of an identity, its keyed pseudonym
	Principal string    `json:"principal" wire:"64"` // pseudonym, a-z 0-9 . _ -, 1..64 characters
	Roles     Roles     `json:"roles"`               // of an identity, those of its first sign-in: its provider says which it has
	Account   AccountID `json:"account,omitempty"`   // the trading account it may use; 0 for none

	ID        string `json:"id,omitempty" wire:"16,opt"`      // public part of the secret, a-z 0-9, by which people tell keys apart
	ExpiresAt Time   `json:"expires_at,omitempty" wire:"opt"` // it is valid before this time; 0: for ever
	Identity  bool   `json:"identity,omitempty" wire:"opt"`   // no secret has this digest
}
