// Package fold is the state that decisions make true, and how each event changes
// it. It promises that folding a journal from the start always gives the same
// state, to the byte of its hash, whoever decided and by which rules; that every
// event's postings go through the ledger; and that what does not follow is an
// error, never a guess. It refuses to decide anything.
//
// Its fields are for package core, which decides by looking at them, and for
// nobody else: that is what the internal path is for.
package fold

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/due"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
	"github.com/mbp-market/mbp/engine/internal/ledger"
	"github.com/mbp-market/mbp/engine/internal/member"
	"github.com/mbp-market/mbp/engine/internal/posting"
	"github.com/mbp-market/mbp/engine/internal/quorum"
	"github.com/mbp-market/mbp/engine/internal/recent"
	"github.com/mbp-market/mbp/engine/internal/repeat"
	"github.com/mbp-market/mbp/engine/internal/season"
	"github.com/mbp-market/mbp/engine/internal/told"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// State is everything that the decisions so far have made true. One goroutine
// owns it; it is not safe for concurrent use. The zero value is not usable.
type State struct {
	Seq     engine.Seq
	At      engine.Time
	Init    bool
	Version uint32

	Policy      engine.Policy
	Before      []engine.Policy // bundles that were in force before, the last one last
	Mode        engine.Mode
	DueHeld     bool               // no deadline acts, until somebody lets them go
	Templates   []*engine.Template // in the order of their registration
	Keys        map[engine.Digest]*engine.Key
	Added       []engine.Digest // keys ever added, in order, each once; revoked ones too
	Accounts    []Account
	Roster      *member.Roster   // which groups accounts are in
	Webhooks    []engine.Webhook // in the order of their registration
	Schedules   []*Schedule      // of grants, in the order in which they were first set
	Markets     []*Market
	Ledger      *ledger.Ledger
	Held        Funds // of all markets
	Orders      *book.Store
	Due         *due.Queue
	Ruled       engine.Seq        // the last decision that changed what rules all markets
	Work        []engine.MarketID // markets with orders to cancel or holders to pay, in order
	Moderations *recent.Set[engine.Seq, *engine.Moderated]
	Abuses      *recent.Set[engine.Seq, bool] // decisions that raised abuse; true: dismissed
	Repeats     *repeat.Set
	Seasons     season.Set
	Told        told.Set // texts of markets, and accounts that were erased

	entry posting.Entry // of the event being folded
	pools [engine.MaxOutcomes]engine.Shares
}

// maxPolicies bounds how many bundles back a rollback can go.
const maxPolicies = 16

// Account is what a trading account has besides its balances, which lie in the
// ledger.
type Account struct {
	Orders   int64 // theoretical arrival time of its order rate, µs
	Trades   int64 // the same of its trades
	Flags    flags // abuse episodes that are on
	Unranked bool  // it stands in no standings, by its own will or an operator's
	staff    int32 // its keys that open more than trading
	Limited  engine.Time
	by       engine.Seq   // the decision that limited it
	Wash     *guard.Wash  // nil until a fill with another account
	Burst    *guard.Burst // of its orders; nil until the first one
	Attempts guard.Self
}

// flags are the rules whose episode is on.
type flags uint8

// The rules whose episode a flag remembers.
const (
	OrderRateOn flags = 1 << iota
	TradeRateOn
	MarketRateOn
)

// Market is a market with everything that is not a balance.
type Market struct {
	ID       engine.MarketID
	Template *engine.Template
	Title    string
	Kind     engine.MarketKind
	Labels   []string
	Creator  engine.AccountID
	Min, Max int64
	OpenedAt engine.Time // when it was made
	CloseAt  engine.Time
	State    engine.MarketState
	Books    []book.Book // one for two outcomes, one for each otherwise
	Balance  *ledger.Market
	Moved    engine.Seq // the last decision that changed its pools or its books

	Guards   []twap.Guard   // of outcome 0 of two, of each otherwise
	Prices   []engine.Price // published; they follow the pools
	open     int64          // µs of open time before the present stretch
	since    engine.Time    // begin of the present stretch, if it is open
	Spikes   []guard.Spike  // as many as guards
	Cooling  engine.Time    // orders are refused until then
	Rate     int64          // theoretical arrival time of its order rate, µs
	Burst    guard.Burst
	Flags    flags
	Volume   engine.Micros
	Trades   int64
	lpHeld   engine.Micros // of the fees it holds, what is for its liquidity
	lpRate   fixed.U128    // fees per unit of liquidity so far, times 2^64
	claims   []claim       // of providers, in order of their first units
	marks    []mark        // at each change of its units
	claimOf  map[engine.AccountID]int32
	facts    []Fact
	Proposal proposal
	Disputes []string      // principals that disputed its proposals, in order
	Drain    engine.Reason // why its orders are being cancelled; 0: they are not
	End      ending
	Gate     member.Gate      // whom its groups let trade
	Sift     engine.AccountID // while orders are being cancelled by groups: the next account to look at
}

// claim is what a provider of liquidity earned of the fees.
type claim struct {
	account engine.AccountID
	rate    fixed.U128    // lpRate when its units last changed
	owed    engine.Micros // earned until then
	past    []mark        // what it was at each change, for endings with an effective time
}

// mark is what a market's fees for the liquidity, or a provider's part of them,
// were when units changed.
type mark struct {
	at   engine.Time
	rate fixed.U128
	sum  engine.Micros // of the market: all fees held; of a provider: what it earned
	of   engine.Shares // of the market: units in existence
}

// Fact is a reporter's last word on the truth.
type Fact = quorum.Fact

// proposal is a resolution on its way. The zero value is none.
type proposal struct {
	engine.ResolutionProposed
	At       engine.Time
	Backers  []string // principals behind it, its proposer first
	Reported bool     // reporters agreed; else somebody proposed it by hand
}

// ending is how a market is paid out. The zero value is not yet.
type ending struct {
	How         engine.Ending
	Outcome     engine.Outcome
	Payouts     []engine.Price
	evidence    engine.Digest
	effectiveAt engine.Time
	pot         engine.Micros // what there is to pay from, recoveries not counted
	recovered   engine.Micros
	due         engine.Micros // Σ of what is due, counted while collecting
	Phase       engine.Phase
	next        int // holders worked on in this phase
	past        *ledger.Past
	fees        engine.Micros // that were held when it ended
	portions    portions
}

// Funds are the credits that markets hold for their holders and for the house.
type Funds struct{ Collateral, Fees, Rounding engine.Micros }

// Add adds the funds of a market, or takes them off where sign is -1.
func (f *Funds) Add(b *ledger.Market, sign engine.Micros) {
	f.Collateral += sign * b.Collateral()
	f.Fees += sign * b.Fees()
	f.Rounding += sign * b.Rounding()
}

// post applies the entry of a market's event, and keeps the sums over all markets.
func (s *State) post(d *engine.Decision, m *Market) error {
	if s.Seasons.Counting() != nil {
		s.before(m)
	}
	s.Held.Add(m.Balance, -1)
	err := s.Ledger.Apply(int64(d.At), uint32(m.ID), s.entry.P)
	s.Held.Add(m.Balance, 1)
	return err
}

// New returns the state before the first decision.
func New() *State {
	return &State{
		Version: 1,
		Keys:    map[engine.Digest]*engine.Key{}, Roster: member.New(), Ledger: ledger.New(), Orders: book.NewStore(), Due: due.New(),
		// All moderations are of one owner, so both of their limits are one.
		Moderations: recent.New[engine.Seq, *engine.Moderated](MaxModerations, MaxModerations), Abuses: recent.New[engine.Seq, bool](MaxAbuses, MaxAbusesOfMarket),
		Repeats: repeat.New(int64(RepeatWindow), RepeatLimit),
	}
}

// Kinds of deadline, in the order in which those of one time are acted on.
const (
	DueExpiry uint8 = 1 // of an order
	DueClose  uint8 = 2 // of a market, as the following
	DueReopen uint8 = 3
	DueFinal  uint8 = 4
	DueSLA    uint8 = 5
	DueGrant  uint8 = 6 // of a schedule of grants
	DueSeason uint8 = 7 // of the next turn of seasons
)

// Account returns an account, nil if there is none of that id.
func (s *State) Account(id engine.AccountID) *Account {
	if id == 0 || int(id) > len(s.Accounts) {
		return nil
	}
	return &s.Accounts[id-1]
}

// Market returns a market, nil if there is none of that id.
func (s *State) Market(id engine.MarketID) *Market {
	if id == 0 || int(id) > len(s.Markets) {
		return nil
	}
	return s.Markets[id-1]
}

// Template returns a template version by its name, nil if there is none.
func (s *State) Template(name string) *engine.Template {
	for _, t := range s.Templates {
		if t.Name() == name {
			return t
		}
	}
	return nil
}

// Outcomes returns how many outcomes the market has.
func (m *Market) Outcomes() int { return m.Balance.Outcomes() }

// Mirrored reports whether orders of the outcome stand on the other side of the
// book: those of the second outcome of two.
func (m *Market) Mirrored(outcome int) bool { return len(m.Books) == 1 && outcome == 1 }

// Book returns the book in which an outcome trades.
func (m *Market) Book(outcome int) *book.Book {
	if len(m.Books) == 1 {
		return &m.Books[0]
	}
	return &m.Books[outcome]
}

// Bounds returns the prices between which the walk for an outcome must stay.
func (m *Market) Bounds(outcome int) (low, high engine.Price) {
	if m.Mirrored(outcome) {
		return engine.One - m.Template.MaxPrice, engine.One - m.Template.MinPrice
	}
	return m.Template.MinPrice, m.Template.MaxPrice
}

// OpenTime returns how long the market has been open, µs.
func (m *Market) OpenTime(now engine.Time) int64 {
	if m.State != engine.Open {
		return m.open
	}
	return m.open + int64(max(now, m.since)-m.since)
}

// Held returns the shares of an outcome that an account could sell, and those
// that are reserved for open sales.
func (m *Market) Held(a engine.AccountID, outcome int) (free, reserved engine.Shares) {
	i, ok := m.Balance.Index(uint32(a))
	if !ok {
		return 0, 0
	}
	return m.Balance.Shares(i, outcome), m.Balance.Held(i, outcome)
}

// How long and how many answered requests are remembered; where that many are,
// the oldest of the principal that has the most is forgotten.
const (
	RepeatWindow = engine.Time(24 * 3600 * 1_000_000) // µs
	RepeatLimit  = 1_000_000
)

// How much of what moderators look at is remembered. What is older stands in the
// log, where it can be read and not acted on.
const (
	// MaxAbuses bounds the decisions that raised abuse, in all: a few megabytes.
	MaxAbuses = 100_000
	// MaxAbusesOfMarket bounds those of one market, and of none, so that a flood on
	// one does not push out what a hundred others have raised. It is more than a
	// moderator can look at.
	MaxAbusesOfMarket = 1000
	// MaxModerations bounds the acts that can be taken back: a year of 27 a day.
	MaxModerations = 10_000
)
