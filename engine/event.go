package engine

import "github.com/mbp-market/mbp/engine/internal/wire"

// Event is one of the events of this file: a fact that a decision made true.
type Event interface {
	// Type returns the stable word of the event.
	Type() string
	eventKind() uint8
	fields(*wire.Codec)
}

// PolicySet says which limits hold from now on.
type PolicySet struct {
	Policy Policy `json:"policy"`
}

// TemplateAdded says that a template version exists.
type TemplateAdded struct {
	Template Template `json:"template"`
}

// KeyAdded says that an API key is valid.
type KeyAdded struct {
	Key Key `json:"key"`
}

// KeyRevoked says that an API key is no longer valid.
type KeyRevoked struct {
	SHA256 Digest `json:"sha256"`
}

// AccountOpened says that a trading account exists.
type AccountOpened struct {
	Account AccountID `json:"account"`
}

// CreditsGranted says that credits were issued to an account.
type CreditsGranted struct {
	Account AccountID `json:"account"`
	Amount  Micros    `json:"amount_micros"`
}

// MarketOpened says that a market trades. Liquidity complete sets were minted;
// what is not in the pools is the creator's position.
type MarketOpened struct {
	Market    MarketID  `json:"market"`
	Template  string    `json:"template"`
	Title     string    `json:"title"`
	Creator   AccountID `json:"creator"`
	Liquidity Micros    `json:"liquidity_micros"`
	CloseAt   Time      `json:"close_at,omitzero"`
	PoolYes   Shares    `json:"pool_yes_micros"`
	PoolNo    Shares    `json:"pool_no_micros"`
	Price     Price     `json:"price_micros"` // published price of YES
}

// MarketStateChanged says that a market went from one state to another.
type MarketStateChanged struct {
	Market MarketID    `json:"market"`
	From   MarketState `json:"from"`
	To     MarketState `json:"to"`
}

// OrderFilled says what an order traded and where it left the pool. Prices are
// the published prices of the traded outcome.
type OrderFilled struct {
	Order       OrderID   `json:"order"`
	Account     AccountID `json:"account"`
	Market      MarketID  `json:"market"`
	Outcome     Outcome   `json:"outcome"`
	Side        Side      `json:"side"`
	Amount      Micros    `json:"amount_micros"`
	Shares      Shares    `json:"shares_micros"`
	Average     Price     `json:"average_price_micros"` // amount ÷ shares, against the trader
	PriceBefore Price     `json:"price_before_micros"`
	PriceAfter  Price     `json:"price_after_micros"`
	PoolYes     Shares    `json:"pool_yes_micros"`
	PoolNo      Shares    `json:"pool_no_micros"`
}

// AbuseRaised says that an account's behaviour crossed a bound. It is raised
// once per episode: an episode ends with the next order that conforms.
type AbuseRaised struct {
	Account  AccountID `json:"account"`
	Market   MarketID  `json:"market,omitempty"`
	Rule     string    `json:"rule"`
	Severity string    `json:"severity"` // low, medium, high
	Action   string    `json:"action"`   // limit, pause, alert
	Observed int64     `json:"observed"` // in the unit of the rule
	Bound    int64     `json:"bound"`
}

// RuleOrderRate is the rule of AbuseRaised for too many orders: Observed is how
// long the account is ahead of its allowance in µs, Bound the allowance in µs.
const RuleOrderRate = "order_rate"

// ResolutionProposed says that an outcome was named.
type ResolutionProposed struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	EvidenceURI    string   `json:"evidence_uri"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
}

// ResolutionApproved says that the proposal stands and payouts begin.
type ResolutionApproved struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
}

// ResolutionRejected says that the proposal was dropped.
type ResolutionRejected struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
}

// Payout is what one holder gave up and got.
type Payout struct {
	Account AccountID `json:"account"`
	Yes     Shares    `json:"yes_micros"`     // YES shares taken back
	No      Shares    `json:"no_micros"`      // NO shares taken back
	Credits Micros    `json:"credits_micros"` // one credit per winning share
}

// PayoutsMade says which holders were paid. The last one of a market also pays
// the pool's shares to the creator.
type PayoutsMade struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
	Payouts        []Payout `json:"payouts"`
	PoolYes        Shares   `json:"pool_yes_micros"` // pool shares taken back, in the last decision only
	PoolNo         Shares   `json:"pool_no_micros"`
	PoolCredits    Micros   `json:"pool_credits_micros"` // paid to the creator for them
	Last           bool     `json:"last"`
}

// Type implements Event.
func (*PolicySet) Type() string { return "policy_set" }

// Type implements Event.
func (*TemplateAdded) Type() string { return "template_added" }

// Type implements Event.
func (*KeyAdded) Type() string { return "key_added" }

// Type implements Event.
func (*KeyRevoked) Type() string { return "key_revoked" }

// Type implements Event.
func (*AccountOpened) Type() string { return "account_opened" }

// Type implements Event.
func (*CreditsGranted) Type() string { return "credits_granted" }

// Type implements Event.
func (*MarketOpened) Type() string { return "market_opened" }

// Type implements Event.
func (*MarketStateChanged) Type() string { return "market_state_changed" }

// Type implements Event.
func (*OrderFilled) Type() string { return "order_filled" }

// Type implements Event.
func (*AbuseRaised) Type() string { return "abuse_raised" }

// Type implements Event.
func (*ResolutionProposed) Type() string { return "resolution_proposed" }

// Type implements Event.
func (*ResolutionApproved) Type() string { return "resolution_approved" }

// Type implements Event.
func (*ResolutionRejected) Type() string { return "resolution_rejected" }

// Type implements Event.
func (*PayoutsMade) Type() string { return "payouts_made" }

// The numbers are journalled: never change or reuse one.
func (*PolicySet) eventKind() uint8          { return 1 }
func (*TemplateAdded) eventKind() uint8      { return 2 }
func (*KeyAdded) eventKind() uint8           { return 3 }
func (*KeyRevoked) eventKind() uint8         { return 4 }
func (*AccountOpened) eventKind() uint8      { return 5 }
func (*CreditsGranted) eventKind() uint8     { return 6 }
func (*MarketOpened) eventKind() uint8       { return 7 }
func (*MarketStateChanged) eventKind() uint8 { return 8 }
func (*OrderFilled) eventKind() uint8        { return 9 }
func (*AbuseRaised) eventKind() uint8        { return 10 }
func (*ResolutionProposed) eventKind() uint8 { return 11 }
func (*ResolutionApproved) eventKind() uint8 { return 12 }
func (*ResolutionRejected) eventKind() uint8 { return 13 }
func (*PayoutsMade) eventKind() uint8        { return 14 }

func newEvent(kind uint8) Event {
	switch kind {
	case 1:
		return &PolicySet{}
	case 2:
		return &TemplateAdded{}
	case 3:
		return &KeyAdded{}
	case 4:
		return &KeyRevoked{}
	case 5:
		return &AccountOpened{}
	case 6:
		return &CreditsGranted{}
	case 7:
		return &MarketOpened{}
	case 8:
		return &MarketStateChanged{}
	case 9:
		return &OrderFilled{}
	case 10:
		return &AbuseRaised{}
	case 11:
		return &ResolutionProposed{}
	case 12:
		return &ResolutionApproved{}
	case 13:
		return &ResolutionRejected{}
	case 14:
		return &PayoutsMade{}
	}
	return nil
}
