package engine

import (
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/words"
)

// Code is the verdict of a decision. OK means that the command took effect; any
// other code is a rejection, which is journalled and audited like an acceptance.
// The numbers are journalled and the words are part of the API: never change or
// reuse either.
type Code uint8

// The codes.
const (
	OK                 Code = 0
	InvalidCommand     Code = 1  // a field is out of range; Decision.Detail says which
	AccountNotFound    Code = 2  // no such trading account
	MarketNotFound     Code = 3  // no such market
	TemplateNotFound   Code = 4  // no such template version
	KeyNotFound        Code = 5  // no such API key
	AlreadyExists      Code = 6  // the template version or key exists
	InsufficientFunds  Code = 7  // available credits do not cover the order or the liquidity
	InsufficientShares Code = 8  // available shares do not cover the sale
	RateLimited        Code = 9  // the account's order rate is above the policy
	MarketNotOpen      Code = 10 // paused, proposed, settling or resolved
	MarketClosed       Code = 11 // past its close time
	PriceLimit         Code = 12 // nothing can be filled within the limit or the template's bounds
	FOKUnfilled        Code = 13 // fill-or-kill could not be filled whole
	TooSmall           Code = 14 // the order rounds to nothing
	WrongState         Code = 15 // the market's state does not allow the command
	SameApprover       Code = 16 // a resolution needs an approver other than its proposer
	TemplateBounds     Code = 17 // a parameter is outside the bounds of the template
	LimitReached       Code = 18 // a capacity of the policy is used up, or the work of one decision
	LastAdmin          Code = 19 // without this key nobody could add or revoke keys any more
	MarketFrozen       Code = 20 // the price guard tripped; the market waits to be reopened
	OrderNotFound      Code = 21 // the account has no such open order
	PostOnlyTakes      Code = 22 // a post-only order would trade at once
	SelfTrades         Code = 23 // the order would have met an order of its own account, and nothing else
	PositionLimit      Code = 24 // the position or the exposure of the account would pass the template's cap
	InterestLimit      Code = 25 // the market's open interest would pass the template's cap
	CoolingDown        Code = 26 // the market cools down after a price spike
	AccountLimited     Code = 27 // a moderator limited the account
	ReadOnly           Code = 28 // the engine takes no trades for now
	VoidWindowExceeded Code = 29 // the effective time is before what the market remembers
	NotFound           Code = 30 // nothing of that name or sequence to act on
	Draining           Code = 31 // orders or payouts of the market are still being worked off
	MarketChanged      Code = 32 // the market's prices or books are not those of the sequence that the order is pinned to
	NotEligible        Code = 33 // the account may not trade this market, by the groups that it is in
)

var codeNames = []string{
	"ok", "invalid_command", "account_not_found", "market_not_found", "template_not_found",
	"key_not_found", "already_exists", "insufficient_funds", "insufficient_shares", "rate_limited",
	"market_not_open", "market_closed", "price_limit", "fok_unfilled", "too_small", "wrong_state",
	"same_approver", "template_bounds", "limit_reached", "last_admin", "frozen",
	"order_not_found", "post_only_takes", "self_trades", "position_limit", "interest_limit",
	"cooling_down", "account_limited", "read_only", "void_window_exceeded", "not_found", "draining", "market_changed",
	"not_eligible",
}

// String returns the stable word of the code.
func (c Code) String() string { return words.Name(codeNames, int(c)) }

// MarshalText writes the stable word.
func (c Code) MarshalText() ([]byte, error) { return []byte(c.String()), nil }

// UnmarshalText reads the stable word.
func (c *Code) UnmarshalText(b []byte) error {
	v, err := ParseCode(string(b))
	*c = v
	return err
}

// Codes returns every code in order, for counters that start at zero.
func Codes() []Code {
	out := make([]Code, len(codeNames))
	for i := range out {
		out[i] = Code(i)
	}
	return out
}

// ParseCode returns the code with the given word.
func ParseCode(s string) (Code, error) {
	for i, n := range codeNames {
		if n == s {
			return Code(i), nil
		}
	}
	return 0, fmt.Errorf("unknown code %q", s)
}

// MarketState is the life of a market: draft → open ⇄ paused or frozen → closed →
// proposed ⇄ disputed → settling → resolved or canceled. Package core holds the
// table of what is allowed where.
type MarketState = words.MarketState

// The states of a market. The numbers are journalled.
const (
	Open     = words.Open         // trades
	Paused   = words.MarketPaused // an operator or moderator halted trading
	Proposed = words.Proposed     // an outcome was named; approvals and the dispute window run
	Settling = words.Settling     // the outcome stands or the market is cancelled; holders are being paid
	Resolved = words.Resolved     // everybody was paid by the outcome; the end
	Draft    = words.Draft        // seeded, not yet open
	Frozen   = words.Frozen       // the price guard tripped
	Closed   = words.Closed       // past its close time; waits for its outcome
	Disputed = words.Disputed     // the proposal was disputed; waits for another one
	Canceled = words.Canceled     // everybody was paid back; the end
)

// States returns every state in order.
func States() []MarketState { return words.MarketStates() }

// Mode is how much of its service the engine gives.
type Mode = words.Mode

// The modes, from full service down. The numbers are journalled.
const (
	ModeNormal   = words.ModeNormal
	ModeLite     = words.ModeLite     // the streams tell only now and then where prices, pools and books stand
	ModeShed     = words.ModeShed     // the same, and the edge admits a part of the reads and the trading
	ModeReadOnly = words.ModeReadOnly // read_only: nothing trades, orders can still be cancelled
)

// Roles is a set of roles that an API key carries.
type Roles = words.Roles

// The roles. The bits are journalled.
const (
	RoleTrader    = words.RoleTrader
	RoleOperator  = words.RoleOperator
	RoleResolver  = words.RoleResolver
	RoleModerator = words.RoleModerator
	RoleAuditor   = words.RoleAuditor
	RoleAdmin     = words.RoleAdmin
	RoleService   = words.RoleService
)

// ParseRoles reads role words into a set.
func ParseRoles(texts []string) (Roles, error) { return words.ParseRoles(texts) }
