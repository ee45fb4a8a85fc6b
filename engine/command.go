package engine

import "github.com/mbp-market/mbp/engine/internal/wire"

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

// Command is one of the commands of this file.
type Command interface {
	// Type returns the stable word of the command.
	Type() string
	commandKind() uint8
	fields(*wire.Codec)
}

// Initialise is the first command of every journal: it sets the policy, the
// first template and the first key.
type Initialise struct {
	Policy   Policy   `json:"policy"`
	Template Template `json:"template"`
	Admin    Key      `json:"admin"`
}

// AddTemplate registers a version of a market template; versions never change.
type AddTemplate struct {
	Template Template `json:"template"`
}

// AddKey registers an API key by its digest. The secret never reaches the
// engine.
type AddKey struct {
	Key Key `json:"key"`
}

// RevokeKey ends an API key.
type RevokeKey struct {
	SHA256 Digest `json:"sha256"`
}

// OpenAccount makes a trading account.
type OpenAccount struct{}

// GrantCredits issues credits to an account.
type GrantCredits struct {
	Account AccountID `json:"account"`
	Amount  Micros    `json:"amount_micros"`
}

// OpenMarket makes a binary market from a template and seeds its pool with the
// creator's credits at an opening price of YES.
type OpenMarket struct {
	Template  string    `json:"template"` // id@version
	Title     string    `json:"title"`
	Creator   AccountID `json:"creator"`
	Liquidity Micros    `json:"liquidity_micros"`
	Price     Price     `json:"price_micros"`
	CloseAt   Time      `json:"close_at,omitzero"` // 0: never by itself
}

// PauseMarket halts trading until ResumeMarket.
type PauseMarket struct {
	Market MarketID `json:"market"`
}

// ResumeMarket reopens a paused market.
type ResumeMarket struct {
	Market MarketID `json:"market"`
}

// PlaceOrder trades against the maker. A buy names either the credits to spend
// or the shares to get; a sale names shares.
type PlaceOrder struct {
	Account AccountID `json:"account"`
	Market  MarketID  `json:"market"`
	Outcome Outcome   `json:"outcome"`
	Side    Side      `json:"side"`
	TIF     TIF       `json:"tif"`
	Amount  Micros    `json:"amount_micros,omitempty"` // buys: credits to spend
	Shares  Shares    `json:"shares_micros,omitempty"` // shares to buy or to sell
	Limit   Price     `json:"limit_price_micros,omitempty"`
	// Limit bounds the marginal price of the outcome that the order may reach
	// (its slippage); 0 means the template's bounds alone.
}

// ProposeResolution names the outcome of a market with its evidence and halts
// trading.
type ProposeResolution struct {
	Market         MarketID `json:"market"`
	Outcome        Outcome  `json:"outcome"`
	EvidenceURI    string   `json:"evidence_uri"`
	EvidenceSHA256 Digest   `json:"evidence_sha256"`
}

// ApproveResolution accepts the proposal; the principal must not be the one who
// proposed it.
type ApproveResolution struct {
	Market MarketID `json:"market"`
}

// RejectResolution drops the proposal; the market is paused then.
type RejectResolution struct {
	Market MarketID `json:"market"`
}

// SettleMarket pays the next holders of a market whose resolution was approved,
// at most SettleLimit of them. State.Due gives the command.
type SettleMarket struct {
	Market MarketID `json:"market"`
}

// Malformed stands in the record for a request that the record cannot hold: a
// text longer than any valid one, or a principal of another form. It is always
// rejected.
type Malformed struct{}

// SettleLimit bounds the holders that one decision pays, so that a large market
// does not hold up the others.
const SettleLimit = 1000

// Type implements Command.
func (*Initialise) Type() string { return "initialise" }

// Type implements Command.
func (*AddTemplate) Type() string { return "add_template" }

// Type implements Command.
func (*AddKey) Type() string { return "add_key" }

// Type implements Command.
func (*RevokeKey) Type() string { return "revoke_key" }

// Type implements Command.
func (*OpenAccount) Type() string { return "open_account" }

// Type implements Command.
func (*GrantCredits) Type() string { return "grant_credits" }

// Type implements Command.
func (*OpenMarket) Type() string { return "open_market" }

// Type implements Command.
func (*PauseMarket) Type() string { return "pause_market" }

// Type implements Command.
func (*ResumeMarket) Type() string { return "resume_market" }

// Type implements Command.
func (*PlaceOrder) Type() string { return "place_order" }

// Type implements Command.
func (*ProposeResolution) Type() string { return "propose_resolution" }

// Type implements Command.
func (*ApproveResolution) Type() string { return "approve_resolution" }

// Type implements Command.
func (*RejectResolution) Type() string { return "reject_resolution" }

// Type implements Command.
func (*SettleMarket) Type() string { return "settle_market" }

// Type implements Command.
func (*Malformed) Type() string { return "malformed" }

// The numbers are journalled: never change or reuse one.
func (*Initialise) commandKind() uint8        { return 1 }
func (*AddTemplate) commandKind() uint8       { return 2 }
func (*AddKey) commandKind() uint8            { return 3 }
func (*RevokeKey) commandKind() uint8         { return 4 }
func (*OpenAccount) commandKind() uint8       { return 5 }
func (*GrantCredits) commandKind() uint8      { return 6 }
func (*OpenMarket) commandKind() uint8        { return 7 }
func (*PauseMarket) commandKind() uint8       { return 8 }
func (*ResumeMarket) commandKind() uint8      { return 9 }
func (*PlaceOrder) commandKind() uint8        { return 10 }
func (*ProposeResolution) commandKind() uint8 { return 11 }
func (*ApproveResolution) commandKind() uint8 { return 12 }
func (*RejectResolution) commandKind() uint8  { return 13 }
func (*SettleMarket) commandKind() uint8      { return 14 }
func (*Malformed) commandKind() uint8         { return 15 }

func newCommand(kind uint8) Command {
	switch kind {
	case 1:
		return &Initialise{}
	case 2:
		return &AddTemplate{}
	case 3:
		return &AddKey{}
	case 4:
		return &RevokeKey{}
	case 5:
		return &OpenAccount{}
	case 6:
		return &GrantCredits{}
	case 7:
		return &OpenMarket{}
	case 8:
		return &PauseMarket{}
	case 9:
		return &ResumeMarket{}
	case 10:
		return &PlaceOrder{}
	case 11:
		return &ProposeResolution{}
	case 12:
		return &ApproveResolution{}
	case 13:
		return &RejectResolution{}
	case 14:
		return &SettleMarket{}
	case 15:
		return &Malformed{}
	}
	return nil
}
