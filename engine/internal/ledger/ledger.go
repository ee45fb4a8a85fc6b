// Package ledger is double entry: it owns every balance of the market and changes
// them by postings alone. It promises that the postings of one decision sum to
// zero for each asset and leave every balance within 0..2^52, so that nothing is
// created, lost or owed; that it can say what each account paid into each market;
// and that it can say what a market was a while ago, from a bounded ring of its
// latest changes. It refuses to know why something is posted: prices, orders,
// fees and who may do what are the engine's business.
//
// That balances which sum to zero are all of double entry, signs and sides being
// notation, is Ellerman, "The Mathematics of Double Entry Bookkeeping"
// (Mathematics Magazine 58, 1985).
package ledger

import (
	"errors"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// ErrLedger wraps every error of this package: postings that do not balance, or a
// balance that cannot be. The ledger is not usable any more; stop.
var ErrLedger = errors.New("postings break the ledger")

// Kind is the type of a ledger account. The numbers are journalled: never
// change or reuse one.
type Kind uint8

// The kinds of ledger account.
const (
	Issuance   Kind = 1 // the source of all credits; its balance is minus what was granted
	Available  Kind = 2 // what a trading account can use: credits, shares and liquidity units
	Collateral Kind = 3 // credits of a market: one per complete set in existence
	Pool       Kind = 4 // shares held by a market's maker
	Supply     Kind = 5 // minus the shares and liquidity units of a market in existence
	Reserved   Kind = 6 // credits and shares of a trading account set aside for its open orders
	Fees       Kind = 7 // credits of a market: taker fees, held until it is final
	Rounding   Kind = 8 // credits of a market: what directed rounding left over
	Platform   Kind = 9 // credits: the income of the house
)

// String returns the word used in documents and the API.
func (k Kind) String() string {
	switch k {
	case Issuance:
		return "issuance"
	case Available:
		return "available"
	case Collateral:
		return "collateral"
	case Pool:
		return "pool"
	case Supply:
		return "supply"
	case Reserved:
		return "reserved"
	case Fees:
		return "fees"
	case Rounding:
		return "rounding"
	case Platform:
		return "platform"
	}
	return "unknown"
}

// Account names a ledger account: a kind, and the number of the trading account
// (Available, Reserved) or market (Collateral, Pool, Supply, Fees, Rounding) it
// belongs to; zero for Issuance and Platform.
type Account struct {
	Kind Kind
	ID   uint32
}

// Asset is credits (the zero value), the shares of one outcome of a market, or
// the liquidity units of its pool (Outcome is Units).
type Asset struct {
	Market  uint32
	Outcome uint8
}

const (
	// MaxOutcomes is how many outcomes a market may have.
	MaxOutcomes = 64
	// Units is the Outcome of the asset that stands for parts of a market's pool.
	Units = 255
	// MaxBalance bounds every balance, in micros.
	MaxBalance = fixed.MaxPool
	// maxAmount bounds one posting, in micros: balances may pass their bound on
	// the way, as a pool does that mints before it hands out.
	maxAmount = 2 * MaxBalance
	// maxSum bounds a running sum, in micros: one more posting cannot wrap it.
	maxSum = 1 << 62
)

// Posting moves Amount (micros) of an asset into an account; a negative amount
// moves it out.
type Posting struct {
	Account Account
	Asset   Asset
	Amount  int64
}
