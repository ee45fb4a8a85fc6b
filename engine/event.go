package engine

import "github.com/mbp-market/mbp/engine/internal/wire"

// Event is one of the events of this package: a fact that a decision made true.
type Event interface {
	// Type returns the stable word of the event.
	Type() string
	eventKind() uint8
	fields(*wire.Codec)
}

// PolicySet says which limits hold from now on.
//
//wire:event 1 policy_set
type PolicySet struct {
	Policy   Policy `json:"policy"`
	Rollback bool   `json:"rollback,omitempty"` // it is the bundle before the last
}

// TemplateAdded says that a template version exists.
//
//wire:event 2 template_added
type TemplateAdded struct {
	Template Template `json:"template"`
}

// KeyAdded says that an API key is valid.
//
//wire:event 3 key_added
type KeyAdded struct {
	Key Key `json:"key"`
}

// KeyRevoked says that an API key is no longer valid.
//
//wire:event 4 key_revoked
type KeyRevoked struct {
	SHA256 Digest `json:"sha256"`
}

// AccountOpened says that a trading account exists.
//
//wire:event 5 account_opened
type AccountOpened struct {
	Account AccountID `json:"account"`
}

// CreditsGranted says that credits were issued to an account.
//
//wire:event 6 credits_granted
type CreditsGranted struct {
	Account AccountID `json:"account"`
	Amount  Micros    `json:"amount_micros"`
}

// MarketOpened says that a market exists. Liquidity complete sets were minted;
// what is not in the pools is the creator's position, and the creator holds
// Liquidity units.
//
//wire:event 7 market_opened
type MarketOpened struct {
	Market    MarketID  `json:"market"`
	Template  string    `json:"template" wire:"96"`
	Title     string    `json:"title" wire:"512"`
	Creator   AccountID `json:"creator"`
	Liquidity Micros    `json:"liquidity_micros"`
	Outcomes  []string  `json:"outcomes,omitempty" wire:"max=64,text=128"` // labels of a categorical market
	Pools     []Shares  `json:"pools_micros" wire:"max=64"`
	Prices    []Price   `json:"prices_micros" wire:"max=64"`
	Min       int64     `json:"min,omitempty"`
	Max       int64     `json:"max,omitempty"`
	CloseAt   Time      `json:"close_at,omitzero"`
	Draft     bool      `json:"draft,omitempty"`
}

// MarketStateChanged says that a market went from one state to another.
//
//wire:event 8 market_state_changed
type MarketStateChanged struct {
	Market MarketID    `json:"market"`
	From   MarketState `json:"from"`
	To     MarketState `json:"to"`
	Drain  bool        `json:"drain,omitempty"` // the resting orders are being cancelled
}

// CloseChanged says when a market closes from now on.
//
//wire:event 48 close_changed
type CloseChanged struct {
	Market MarketID `json:"market"`
	From   Time     `json:"from,omitzero"` // 0: never by itself, as in To
	To     Time     `json:"to,omitzero"`
}

// OrderFilled says what an order traded at once, with the pool and with resting
// orders. Prices are the published prices of the traded outcome.
//
//wire:event 9 order_filled
type OrderFilled struct {
	Order       OrderID   `json:"order"`
	Account     AccountID `json:"account"`
	Market      MarketID  `json:"market"`
	Outcome     Outcome   `json:"outcome"`
	Side        Side      `json:"side"`
	Amount      Micros    `json:"amount_micros"` // paid or received, without the fee
	Shares      Shares    `json:"shares_micros"`
	Fee         Micros    `json:"fee_micros" wire:"opt"`
	LPFee       Micros    `json:"lp_fee_micros" wire:"opt"` // the part of the fee that is for the liquidity
	Average     Price     `json:"average_price_micros"`     // amount ÷ shares, against the trader
	PriceBefore Price     `json:"price_before_micros"`
	PriceAfter  Price     `json:"price_after_micros"`
	Sets        Micros    `json:"pool_amount_micros"`                        // complete sets that the pool minted or burnt
	PoolShares  Shares    `json:"pool_shares_micros"`                        // of the traded outcome, out of or into the pool
	Fills       []Fill    `json:"fills,omitempty" wire:"max=2001"`           // in order; none: all with the pool
	Own         bool      `json:"stopped_by_own_order,omitempty" wire:"opt"` // self-trade prevention ended the walk
	Met         []Met     `json:"met,omitempty" wire:"max=1000"`             // own orders on the way
}

// Fill is one piece of a walk: with the pool, or with one resting order.
//
//wire:part
type Fill struct {
	Maker   OrderID   `json:"maker,omitempty"`         // 0: the pool
	Account AccountID `json:"maker_account,omitempty"` // of the maker
	Shares  Shares    `json:"shares_micros"`
	Amount  Micros    `json:"amount_micros"`       // the taker's side
	Counter Micros    `json:"maker_amount_micros"` // what the maker paid or received
}

// Met says what self-trade prevention did to a resting order.
//
//wire:part
type Met struct {
	Order  OrderID `json:"order"`
	Shares Shares  `json:"shares_micros"` // taken off the resting order
}

// OrderRested says that an order, or what is left of it, waits in the book.
//
//wire:event 15 order_rested
type OrderRested struct {
	Order   OrderID   `json:"order"`
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Outcome Outcome   `json:"outcome"`
	Side    Side      `json:"side"`
	TIF     TIF       `json:"tif"`
	Limit   Price     `json:"limit_price_micros"`
	Shares  Shares    `json:"shares_micros"`
	Expires Time      `json:"expires_at,omitzero" wire:"opt"`
}

// OrdersClosed says that orders left the book; what was reserved for them is
// available again.
//
//wire:event 16 orders_closed
type OrdersClosed struct {
	Reason Reason        `json:"reason"`
	Orders []ClosedOrder `json:"orders" wire:"max=1000"`
}

// ClosedOrder is one of them.
//
//wire:part
type ClosedOrder struct {
	Order   OrderID   `json:"order"`
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Shares  Shares    `json:"shares_micros"` // that waited
}

// OrderReduced says that an order waits with a smaller size, its priority kept.
//
//wire:event 17 order_reduced
type OrderReduced struct {
	Order   OrderID   `json:"order"`
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Shares  Shares    `json:"shares_micros"` // that wait from now on
}

// SetsSplit says that credits became complete sets.
//
//wire:event 18 sets_split
type SetsSplit struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Amount  Micros    `json:"amount_micros"`
}

// SetsMerged says that complete sets became credits.
//
//wire:event 19 sets_merged
type SetsMerged struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Amount  Micros    `json:"amount_micros"`
}

// LiquidityAdded says that the pools grew at unchanged prices. Amount complete
// sets were minted; what the pools did not take is the account's.
//
//wire:event 20 liquidity_added
type LiquidityAdded struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Amount  Micros    `json:"amount_micros"`
	Taken   []Shares  `json:"taken_micros" wire:"max=64"` // into each pool
	Units   Shares    `json:"units_micros"`
}

// LiquidityRemoved says that the pools shrank at unchanged prices.
//
//wire:event 21 liquidity_removed
type LiquidityRemoved struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Units   Shares    `json:"units_micros"`
	Given   []Shares  `json:"given_micros" wire:"max=64"` // out of each pool
	Amount  Micros    `json:"amount_micros"`              // complete sets among them, paid as credits
}

// GuardTripped says that the price guard stops a market from the next decision
// on.
//
//wire:event 22 guard_tripped
type GuardTripped struct {
	Market   MarketID `json:"market"`
	Outcome  Outcome  `json:"outcome"`
	Kind     TripKind `json:"kind"`
	Observed int64    `json:"observed_ppm"`
	Bound    int64    `json:"bound_ppm"`
	TWAP     Price    `json:"twap_micros"` // the five-minute average it was held against
}

// AbuseRaised says that a behaviour crossed a bound. It is raised once per
// episode: an episode ends with the next conforming event of the same rule.
//
//wire:event 10 abuse_raised
type AbuseRaised struct {
	Account  AccountID `json:"account,omitempty"`
	Other    AccountID `json:"other,omitempty"` // the second account of a pair
	Market   MarketID  `json:"market,omitempty"`
	Rule     string    `json:"rule" wire:"64"`
	Severity string    `json:"severity" wire:"16"` // low, medium, high
	Action   string    `json:"action" wire:"16"`   // limit, pause, alert
	Observed int64     `json:"observed"`           // in the unit of the rule
	Bound    int64     `json:"bound"`
}

// The rules of AbuseRaised, with the unit of Observed and Bound.
const (
	RuleOrderRate    = "order_rate"    // µs that the account is ahead of its allowance
	RuleMarketRate   = "market_rate"   // µs that the market is ahead of its allowance
	RuleTradeRate    = "trade_rate"    // µs that the account's trades are ahead of their allowance
	RuleAccountBurst = "account_burst" // orders of an account in a slot of ten seconds
	RuleBurst        = "burst"         // orders on a market in a slot of ten seconds
	RuleSpike        = "spike"         // ppm that the price moved
	RuleWash         = "wash"          // changes of direction between the two accounts
	RuleSelfTrade    = "self_trade"    // meetings with own orders
)

// Rules returns every rule of AbuseRaised, for counters that start at zero.
func Rules() []string {
	return []string{RuleOrderRate, RuleMarketRate, RuleTradeRate, RuleAccountBurst, RuleBurst, RuleSpike, RuleWash, RuleSelfTrade}
}

// Cooled says that a market takes no orders until a time.
//
//wire:event 33 cooled
type Cooled struct {
	Market MarketID `json:"market"`
	Until  Time     `json:"until"`
}

// FactReported says what a reporter said.
//
//wire:event 24 fact_reported
type FactReported struct {
	Market      MarketID `json:"market"`
	Outcome     Outcome  `json:"outcome"`
	Value       int64    `json:"value,omitempty"`
	ObservedAt  Time     `json:"observed_at"`
	EvidenceURI string   `json:"evidence_uri" wire:"512"`
	RuleSHA256  Digest   `json:"rule_sha256"`
	FactsSHA256 Digest   `json:"facts_sha256"`

	Cancel CancelKind `json:"cancel,omitempty"` // the market has no outcome
}

// ResolutionProposed says that an outcome was named, or that there is none.
//
//wire:event 11 resolution_proposed
type ResolutionProposed struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	Value          int64    `json:"value,omitempty"`
	EvidenceURI    string   `json:"evidence_uri" wire:"512"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
	RuleSHA256     Digest   `json:"rule_sha256,omitzero"`
	EffectiveAt    Time     `json:"effective_at,omitzero"`
	FinalAt        Time     `json:"final_at"` // end of the dispute window

	Cancel CancelKind `json:"cancel,omitempty"` // reporters agree that the market has no outcome
}

// ResolutionApproved says that one more principal stands behind the proposal.
//
//wire:event 12 resolution_approved
type ResolutionApproved struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
}

// ResolutionRejected says that the proposal was dropped.
//
//wire:event 13 resolution_rejected
type ResolutionRejected struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
}

// ResolutionDisputed says that somebody objects.
//
//wire:event 23 resolution_disputed
type ResolutionDisputed struct {
	Market         MarketID `json:"market"`
	EvidenceURI    string   `json:"evidence_uri" wire:"512"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
}

// SettlementStarted says that a market ends, and how. From here on everything it
// holds, fees and dust included, is what its holders are paid from.
//
//wire:event 25 settlement_started
type SettlementStarted struct {
	Market         MarketID `json:"market"`
	Ending         Ending   `json:"ending"`
	Outcome        Outcome  `json:"outcome"` // None if it is cancelled
	Value          int64    `json:"value,omitempty"`
	Payouts        []Price  `json:"payouts_micros" wire:"max=64"` // credits per share of each outcome, summing to one; a refund has none
	EffectiveAt    Time     `json:"effective_at,omitzero"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
	Pot            Micros   `json:"pot_micros"` // collateral, fees and dust
}

// Payout is what one holder got; below zero, what was recovered.
//
//wire:part
type Payout struct {
	Account AccountID `json:"account"`
	Credits Micros    `json:"credits_micros"`
}

// SettlementStepped says which holders were worked on. Paying takes all their
// shares and units back; the last step also takes the pool and sweeps what
// rounding left to the platform.
//
//wire:event 14 settlement_stepped
type SettlementStepped struct {
	Market  MarketID `json:"market"`
	Phase   Phase    `json:"phase"`
	Work    uint32   `json:"work"` // holders, or movements rewound
	Payouts []Payout `json:"payouts" wire:"max=1000"`
	Due     Micros   `json:"due_micros" wire:"opt"`   // collect: what these holders are due
	Last    bool     `json:"last" wire:"opt"`         // of the phase
	Swept   Micros   `json:"swept_micros" wire:"opt"` // to the platform, at the end
}

// SLABreached says that a market waits too long for its outcome.
//
//wire:event 29 sla_breached
type SLABreached struct {
	Market MarketID    `json:"market"`
	State  MarketState `json:"state"`
	Since  Time        `json:"since"`
}

// ModeSet says how much of its service the engine gives from now on.
//
//wire:event 26 mode_set
type ModeSet struct {
	Mode   Mode   `json:"mode"`
	Reason string `json:"reason" wire:"128"`
}

// DeadlinesSet says whether deadlines are held from now on.
//
//wire:event 34 deadlines_set
type DeadlinesSet struct {
	Held   bool   `json:"held"`
	Reason string `json:"reason" wire:"128"`
}

// Moderated says what a moderator did.
//
//wire:event 27 moderated
type Moderated struct {
	Action         Moderation `json:"action"`
	Account        AccountID  `json:"account,omitempty"`
	Until          Time       `json:"until,omitzero"`
	Abuse          Seq        `json:"abuse,omitempty"`
	EvidenceURI    string     `json:"evidence_uri" wire:"512"`
	EvidenceSHA256 Digest     `json:"evidence_sha256"`
}

// ModerationUndone says that an act of moderation was taken back.
//
//wire:event 28 moderation_undone
type ModerationUndone struct {
	Decision Seq        `json:"decision"`
	Action   Moderation `json:"action"`
	Account  AccountID  `json:"account,omitempty"`
}

// EngineUpgraded says whose rules decide from now on.
//
//wire:event 30 engine_upgraded
type EngineUpgraded struct { //nolint:revive // the word of the event is engine_upgraded
	Version uint32 `json:"version"`
}
