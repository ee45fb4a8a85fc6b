package engine

import (
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/ledger"
	"github.com/mbp-market/mbp/engine/internal/repeat"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// State is everything that the decisions so far have made true. One goroutine
// owns it; it is not safe for concurrent use. The zero value is not usable.
type State struct {
	seq  Seq
	at   Time
	init bool

	policy    Policy
	templates []Template // in the order of their registration
	keys      map[Digest]*Key
	added     []Digest // keys ever added, in order; revoked ones too
	accounts  []account
	markets   []*market
	issued    Micros     // minus the balance of the issuance account
	settling  []MarketID // markets that still owe payouts, in the order of approval
	repeats   *repeat.Set
	scratch   []ledger.Posting
}

// account is what a trading account has besides its shares, which lie in the
// markets.
type account struct {
	available Micros
	markets   []MarketID // where it ever held shares, in order of the first time
	tat       int64      // theoretical arrival time of its order rate, µs
	flagged   bool       // an abuse episode is on
}

type market struct {
	id         MarketID
	template   *Template
	title      string
	creator    AccountID
	liquidity  Micros
	closeAt    Time
	state      MarketState
	pool       amm.Pair // Own is YES
	supply     [2]Shares
	collateral Micros
	holders    []holder // in order of the first time
	index      map[AccountID]int32
	twap       twap.Ring
	volume     Micros
	trades     int64
	resolution resolution
}

type holder struct {
	account AccountID
	shares  [2]Shares
}

type resolution struct {
	outcome  Outcome
	evidence Digest
	proposer string
	decided  bool // the outcome is approved
	paid     int  // holders paid so far
}

// NewState returns the state before the first decision.
func NewState() *State {
	return &State{keys: map[Digest]*Key{}, repeats: repeat.New(int64(RepeatWindow), RepeatLimit)}
}

// Seq returns the sequence of the last decision, 0 before the first.
func (s *State) Seq() Seq { return s.seq }

// At returns the time of the last decision.
func (s *State) At() Time { return s.at }

// Initialised reports whether the first command was given.
func (s *State) Initialised() bool { return s.init }

// Due returns the command that the engine gives to itself next, nil if there is
// none. Ask again after each decision.
func (s *State) Due() Command {
	if len(s.settling) == 0 {
		return nil
	}
	return &SettleMarket{Market: s.settling[0]}
}

func (s *State) account(id AccountID) *account {
	if id == 0 || int(id) > len(s.accounts) {
		return nil
	}
	return &s.accounts[id-1]
}

func (s *State) market(id MarketID) *market {
	if id == 0 || int(id) > len(s.markets) {
		return nil
	}
	return s.markets[id-1]
}

func (s *State) template(name string) *Template {
	for i := range s.templates {
		if s.templates[i].Name() == name {
			return &s.templates[i]
		}
	}
	return nil
}

// side returns the pool as seen from an outcome.
func (m *market) side(o Outcome) amm.Pair {
	if o == No {
		return amm.Pair{Own: m.pool.Other, Other: m.pool.Own}
	}
	return m.pool
}

// held returns the shares of an outcome that an account holds.
func (m *market) held(a AccountID, o Outcome) Shares {
	if i, ok := m.index[a]; ok {
		return m.holders[i].shares[o]
	}
	return 0
}

// bounds returns the prices between which the walk for an outcome must stay.
func (m *market) bounds(o Outcome) (low, high Price) {
	if o == No {
		return One - m.template.MaxPrice, One - m.template.MinPrice
	}
	return m.template.MinPrice, m.template.MaxPrice
}

// How long and how many answered requests are remembered.
const (
	RepeatWindow = Time(24 * 3600 * 1_000_000) // µs
	RepeatLimit  = 1_000_000
)

// Repeat looks up a request that was answered before. found is the decision; same
// says whether the content was equal, too.
func (s *State) Repeat(key, input Tag) (found Seq, same bool) {
	e, ok := s.repeats.Find(key)
	return Seq(e.Seq), ok && e.Input == input
}
