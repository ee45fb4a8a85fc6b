package engine

import (
	"github.com/mbp-market/mbp/engine/internal/ident"
	"github.com/mbp-market/mbp/engine/internal/wire"
	"github.com/mbp-market/mbp/engine/internal/words"
)

//go:generate go run ../tools/wiregen

// Request is a command with everything that Decide may look at besides the
// state.
type Request struct {
	At        Time   // engine time: max(time of the last decision, wall clock)
	Principal string // pseudonymous id of who asks, 1..64 characters, from the API key
	Key       Tag    // of principal and idempotency key; zero: the command cannot be repeated
	Input     Tag    // of the request's content, to tell a retry from a reuse of the key
	Command   Command
}

// System is the principal of commands that the engine gives to itself.
const System = "system"

// Command is one of the commands of this package.
type Command interface {
	// Type returns the stable word of the command.
	Type() string
	commandKind() uint8
	fields(*wire.Codec)
}

// Initialise is the first command of every journal: it sets the policy, the
// first template and the first key.
//
//wire:command 1 initialise
type Initialise struct {
	Policy   Policy   `json:"policy"`
	Template Template `json:"template"`
	Admin    Key      `json:"admin"`
}

// AddTemplate registers a version of a market template; versions never change.
//
//wire:command 2 add_template
type AddTemplate struct {
	Template Template `json:"template"`
}

// AddKey registers an API key by its digest. The secret never reaches the
// engine.
//
//wire:command 3 add_key
type AddKey struct {
	Key Key `json:"key"`
}

// RevokeKey ends an API key.
//
//wire:command 4 revoke_key
type RevokeKey struct {
	SHA256 Digest `json:"sha256"`
}

// OpenAccount makes a trading account.
//
//wire:command 5 open_account
type OpenAccount struct{}

// GrantCredits issues credits to an account.
//
//wire:command 6 grant_credits
type GrantCredits struct {
	Account AccountID `json:"account"`
	Amount  Micros    `json:"amount_micros"`
}

// OpenMarket makes a market from a template and seeds its pools with the
// creator's credits at opening prices: of the first outcome where there are two,
// of all of them otherwise.
//
//wire:command 7 open_market
type OpenMarket struct {
	Template  string    `json:"template" wire:"96"` // id@version
	Title     string    `json:"title" wire:"512"`
	Creator   AccountID `json:"creator"`
	Liquidity Micros    `json:"liquidity_micros"`
	Price     Price     `json:"price_micros,omitempty"`                    // of YES or LONG
	Outcomes  []string  `json:"outcomes,omitempty" wire:"max=64,text=128"` // labels; categorical markets only
	Prices    []Price   `json:"prices_micros,omitempty" wire:"max=64"`     // of each outcome, summing to 1,000,000; empty: equal
	Min       int64     `json:"min,omitempty"`                             // scalar: the value at which LONG pays nothing
	Max       int64     `json:"max,omitempty"`                             // scalar: the value at which LONG pays one credit
	CloseAt   Time      `json:"close_at,omitzero"`                         // 0: never by itself
	Draft     bool      `json:"draft,omitempty"`                           // seeded, but not open before ActivateMarket
}

// ActivateMarket opens a draft.
//
//wire:command 35 activate_market
type ActivateMarket struct {
	Market MarketID `json:"market"`
}

// PauseMarket halts trading until ResumeMarket, and may cancel what rests in the
// book.
//
//wire:command 8 pause_market
type PauseMarket struct {
	Market       MarketID `json:"market"`
	CancelOrders bool     `json:"cancel_orders,omitempty"`
}

// ResumeMarket reopens a paused market.
//
//wire:command 9 resume_market
type ResumeMarket struct {
	Market MarketID `json:"market"`
}

// ReopenMarket reopens a market that its guard froze; the guard's windows start
// afresh.
//
//wire:command 24 reopen_market
type ReopenMarket struct {
	Market MarketID `json:"market"`
}

// CloseMarket ends trading before or without a close time. It is no resolution.
//
//wire:command 36 close_market
type CloseMarket struct {
	Market MarketID `json:"market"`
}

// ChangeClose moves the time at which a market closes, to one that is not over.
//
//wire:command 48 change_close
type ChangeClose struct {
	Market  MarketID `json:"market"`
	CloseAt Time     `json:"close_at,omitzero"` // 0: never by itself
}

// PlaceOrder trades against the maker's pool and the book. A buy names either
// the credits to spend, fees not included, or the shares to get; a sale names
// shares. What is left of a GTC or GTD order waits in the book at its limit.
//
//wire:command 10 place_order
type PlaceOrder struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Outcome Outcome   `json:"outcome"`
	Side    Side      `json:"side"`
	TIF     TIF       `json:"tif"`
	Amount  Micros    `json:"amount_micros,omitempty" wire:"opt"` // buys: credits to spend
	Shares  Shares    `json:"shares_micros,omitempty" wire:"opt"` // shares to buy or to sell
	// Limit bounds the price of the outcome that the order may reach (its
	// slippage); 0 means the template's bounds alone. Resting orders need one.
	Limit     Price     `json:"limit_price_micros,omitempty" wire:"opt"`
	Expires   Time      `json:"expires_at,omitzero" wire:"opt"` // GTD
	PostOnly  bool      `json:"post_only,omitempty" wire:"opt"` // refused if it would trade at once
	SelfTrade SelfTrade `json:"self_trade,omitzero" wire:"opt"` // what to do on meeting an own order
	// IfSeq pins the order to a quote: it is refused if the market's pools or books, or
	// the rules, were changed by a decision after this one; 0 pins it to nothing.
	IfSeq Seq `json:"if_seq,omitempty" wire:"opt"`
}

// CancelOrder takes an order out of the book.
//
//wire:command 16 cancel_order
type CancelOrder struct {
	Account AccountID `json:"account"`
	Order   OrderID   `json:"order"`
}

// CancelAll takes all orders of an account out of the book, or those of one
// market. Where none waits it is accepted and has no events.
//
//wire:command 17 cancel_all
type CancelAll struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market,omitempty"` // 0: of all markets
}

// AmendOrder changes what waits in the book. A smaller size at the same limit
// keeps its priority; anything else is a new order in place of the old one,
// which stays if the new one is refused.
//
//wire:command 18 amend_order
type AmendOrder struct {
	Account AccountID `json:"account"`
	Order   OrderID   `json:"order"`
	Shares  Shares    `json:"shares_micros"`                // what shall wait from now on
	Limit   Price     `json:"limit_price_micros,omitempty"` // 0: as it is
}

// Batch is a list of PlaceOrder, CancelOrder, CancelAll and AmendOrder: one record, one
// result for each, each decided after the one before. It is not atomic. Once its
// items have met and cancelled WorkLimit orders, an item that would go on with more
// gets LimitReached.
//
//wire:command 19 batch
type Batch struct {
	Items []Command `json:"-" wire:"max=50"`
}

// BatchLimit is the most items of a Batch.
const BatchLimit = ident.BatchLimit

// SplitSets turns credits into complete sets: one share of each outcome for a
// credit.
//
//wire:command 20 split_sets
type SplitSets struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Amount  Micros    `json:"amount_micros"`
}

// MergeSets turns complete sets back into credits.
//
//wire:command 21 merge_sets
type MergeSets struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Amount  Micros    `json:"amount_micros"`
}

// AddLiquidity puts credits into the pools at unchanged prices, for units of the
// liquidity.
//
//wire:command 22 add_liquidity
type AddLiquidity struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Amount  Micros    `json:"amount_micros"`
}

// RemoveLiquidity gives units back for their part of the pools: complete sets as
// credits, the rest as shares.
//
//wire:command 23 remove_liquidity
type RemoveLiquidity struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Units   Shares    `json:"units_micros"`
}

// Tick lets the engine act on the deadlines that have come. State.Due gives the
// command.
//
//wire:command 25 tick
type Tick struct{}

// ReportFact is a reporter's word on the truth about a market: an outcome or, of
// a scalar market, a value; or that it has none and is to be cancelled.
//
//wire:command 34 report_fact
type ReportFact struct {
	Market      MarketID `json:"market"`
	Outcome     Outcome  `json:"outcome"`
	Value       int64    `json:"value,omitempty"`
	ObservedAt  Time     `json:"observed_at"`
	EvidenceURI string   `json:"evidence_uri" wire:"512"`
	RuleSHA256  Digest   `json:"rule_sha256"`
	FactsSHA256 Digest   `json:"facts_sha256"`

	Cancel CancelKind `json:"cancel,omitempty"` // then the outcome is None, without a value
}

// ProposeResolution names the outcome of a market, or the value of a scalar one,
// with its evidence and halts trading. EffectiveAt voids what was traded after
// it.
//
//wire:command 11 propose_resolution
type ProposeResolution struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	Value          int64    `json:"value,omitempty"`
	EvidenceURI    string   `json:"evidence_uri" wire:"512"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
	RuleSHA256     Digest   `json:"rule_sha256,omitzero"`
	EffectiveAt    Time     `json:"effective_at,omitzero"` // 0: nothing is voided
}

// ApproveResolution accepts the proposal; the principal must not stand behind it
// already.
//
//wire:command 12 approve_resolution
type ApproveResolution struct {
	Market MarketID `json:"market"`
}

// RejectResolution drops the proposal, disputed or not; the market is paused
// then, or closed if its time is over.
//
//wire:command 13 reject_resolution
type RejectResolution struct {
	Market MarketID `json:"market"`
}

// DisputeResolution objects to a proposal within its window: for an account that
// holds shares or liquidity of the market, or ex officio. A principal does it once
// for a market.
//
//wire:command 26 dispute_resolution
type DisputeResolution struct {
	Market         MarketID  `json:"market"`
	Account        AccountID `json:"account,omitempty"` // 0: ex officio
	EvidenceURI    string    `json:"evidence_uri" wire:"512"`
	EvidenceSHA256 Digest    `json:"evidence_sha256"`
}

// CancelKind says how a cancelled market pays.
type CancelKind = words.CancelKind

// The kinds of cancelling. The numbers are journalled.
const (
	CancelPrice  = words.CancelPrice  // every share pays the last average price of its outcome
	CancelRefund = words.CancelRefund // who paid in more than they got out is paid back, as far as it goes
)

// CancelMarket ends a market without an outcome.
//
//wire:command 27 cancel_market
type CancelMarket struct {
	Market         MarketID   `json:"market"`
	Kind           CancelKind `json:"kind"`
	EvidenceURI    string     `json:"evidence_uri" wire:"512"`
	EvidenceSHA256 Digest     `json:"evidence_sha256"`
}

// SettleMarket does the next piece of the work that a market's end, or the
// cancelling of its orders, makes; at most WorkLimit holders or orders. State.Due
// gives the command.
//
//wire:command 14 settle_market
type SettleMarket struct {
	Market MarketID `json:"market"`
}

// WorkLimit bounds the holders or orders that one decision works on, so that a
// large market or batch does not hold up the others, and a record stays within
// what the journal takes. The orders of a batch that stand alone, a cancelled, a
// replaced or a new one for each item, come on top.
const WorkLimit = 1000

// SetPolicy puts another bundle in force; the one before is kept.
//
//wire:command 28 set_policy
type SetPolicy struct {
	Policy Policy `json:"policy"`
}

// RollbackPolicy puts the bundle before back in force.
//
//wire:command 29 rollback_policy
type RollbackPolicy struct{}

// SetMode changes how much of its service the engine gives.
//
//wire:command 30 set_mode
type SetMode struct {
	Mode   Mode   `json:"mode"`
	Reason string `json:"reason" wire:"128"`
}

// SetDeadlines holds back everything that would happen because a time has come, or
// lets it happen again. While deadlines are held nothing expires, closes, reopens, is
// final or is overdue, however late it is, and trading goes on. The writer holds them
// when it cannot trust its clock; only a person lets them go.
//
//wire:command 39 set_deadlines
type SetDeadlines struct {
	Held   bool   `json:"held"`
	Reason string `json:"reason" wire:"128"`
}

// Moderation is what a moderator does.
type Moderation = words.Moderation

// The acts of moderation. The numbers are journalled.
const (
	LimitAccount = words.LimitAccount // the account places no orders until a time
	DismissAbuse = words.DismissAbuse // an abuse event was a false alarm
	Freeze       = words.Freeze       // the account places no orders until that is undone
)

// Moderate acts on an account or on an abuse event, with evidence. Markets are
// paused by PauseMarket.
//
//wire:command 31 moderate
type Moderate struct {
	Action         Moderation `json:"action"`
	Account        AccountID  `json:"account,omitempty"` // limit, freeze
	Until          Time       `json:"until,omitzero"`    // limit
	Abuse          Seq        `json:"abuse,omitempty"`   // the decision that raised it
	EvidenceURI    string     `json:"evidence_uri" wire:"512"`
	EvidenceSHA256 Digest     `json:"evidence_sha256"`
}

// UndoModeration takes an act of moderation back.
//
//wire:command 32 undo_moderation
type UndoModeration struct {
	Decision Seq `json:"decision"` // the one that Moderate made
}

// UpgradeEngine lets the rules of another version of the engine decide from now
// on.
//
//wire:command 37 upgrade_engine
type UpgradeEngine struct {
	Version uint32 `json:"version"`
}

// Version is the newest version of the rules that this binary decides by; it can
// fold any journal.
const Version = 1

// NoteRefusals puts on record what the edge refused, before anything could be
// decided, in a span of time: a summary, because who is refused may go on without
// end. The edge gives it as System; nobody else can.
//
//wire:command 38 note_refusals
type NoteRefusals struct {
	From     Time      `json:"from"`
	Until    Time      `json:"until"`
	Refusals []Refusal `json:"refusals" wire:"max=256"`
}

// Refusal counts what a principal was refused for a reason.
//
//wire:part
type Refusal struct {
	Principal string `json:"principal" wire:"64"` // empty: who has no valid key; OtherPrincipals: who was one too many
	Reason    string `json:"reason" wire:"32"`    // the code of the problem
	Count     int64  `json:"count"`
}

// RefusalLimit is the most entries of NoteRefusals.
const RefusalLimit = 256

// OtherPrincipals stands for principals that are not kept apart; it is no
// principal's name.
const OtherPrincipals = "*"

// Malformed stands in the record for a request that the record cannot hold: a
// text longer than any valid one, or a principal of another form. It is always
// rejected.
//
//wire:command 15 malformed
type Malformed struct{}
