// Package ledger is the vocabulary of double entry: accounts with a type, assets
// and postings. It promises that a set of postings that Balanced accepts sums to
// zero for every asset, so nothing is created or lost; it refuses to know any
// balance, because balances are a projection of postings kept by the state.
package ledger

// Kind is the type of a ledger account. The numbers are journalled: never
// change or reuse one.
type Kind uint8

// The kinds of ledger account.
const (
	Issuance   Kind = 1 // the source of all credits; its balance is minus what was granted
	Available  Kind = 2 // what a trading account holds: credits and shares
	Collateral Kind = 3 // credits of a market: one per complete set in existence
	Pool       Kind = 4 // shares held by a market's maker
	Supply     Kind = 5 // minus the shares of a market in existence
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
	}
	return "unknown"
}

// Account names a ledger account: a kind and the number of the trading account
// or market it belongs to (zero for Issuance).
type Account struct {
	Kind Kind
	ID   uint32
}

// Asset is credits (Market zero) or the shares of one outcome of a market.
type Asset struct {
	Market  uint32
	Outcome uint8
}

// Posting moves Amount (micros) of an asset into an account; a negative amount
// moves it out.
type Posting struct {
	Account Account
	Asset   Asset
	Amount  int64
}

// Balanced reports whether the postings sum to zero for every asset and no sum
// overflows. It costs O(n·assets) without allocating; a decision has at most a
// handful of assets.
func Balanced(postings []Posting) bool {
	for i := range postings {
		if seenBefore(postings, i) {
			continue
		}
		var sum int64
		for j := i; j < len(postings); j++ {
			if postings[j].Asset != postings[i].Asset {
				continue
			}
			a := postings[j].Amount
			next := sum + a
			if (a > 0 && next < sum) || (a < 0 && next > sum) {
				return false
			}
			sum = next
		}
		if sum != 0 {
			return false
		}
	}
	return true
}

// seenBefore stops at the first posting of the same asset: a decision touches the
// assets of one market, so the first occurrence is near the front.
func seenBefore(postings []Posting, i int) bool {
	for j := 0; j < i; j++ {
		if postings[j].Asset == postings[i].Asset {
			return true
		}
	}
	return false
}
