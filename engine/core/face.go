package core

import (
	"io"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/ahead"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/intact"
)

// State is everything that the decisions so far have made true, with what
// deciding needs at hand. One goroutine owns it; it is not safe for concurrent
// use. The zero value is not usable.
type State struct {
	f *fold.State

	item   int  // of the batch being decided
	worked int  // resting orders that the items before it met or cancelled
	walk   walk // of the order being decided
	filled engine.OrderFilled
	rested engine.OrderRested
	kept   []engine.OrderFilled // of the batch being decided
	pools  [engine.MaxOutcomes]engine.Shares
	ahead  *ahead.Look // nil until it is asked for

	cut      bool         // it is an Excerpt's,
	opposite []book.Order // and these are the only orders it has
	barred   bool         // whom it was made for may not trade the market
}

// ErrFold wraps every error of Evolve: the decision does not follow from the
// state it meets. The state is not usable any more; the log is damaged or was
// written by something else.
var ErrFold = fold.ErrFold

// ErrLedger means that a decision would break the ledger: the log was not
// written by this engine, or the engine is broken. Stop.
var ErrLedger = fold.ErrLedger

// ErrDump wraps every error of Load that is not its reader's: what was read is no
// dump, or one of another version. Fold the journal from the start instead.
var ErrDump = fold.ErrDump

// How long and how many answered requests are remembered.
const (
	RepeatWindow = fold.RepeatWindow // µs
	RepeatLimit  = fold.RepeatLimit
)

// New returns the state before the first decision.
func New() *State { return &State{f: fold.New()} }

// Evolve folds a decision into the state. Decisions come in order, without gaps.
// It never decides: what was decided stands, whatever today's rules say.
func (s *State) Evolve(d *engine.Decision) error { return s.f.Evolve(d) }

// Change is Evolve without Remember. The two share nothing, so that another
// goroutine can do the other half, of the same decisions in the same order; until it
// has, the state is not whole, and Repeat, Dump and Hash mean nothing.
func (s *State) Change(d *engine.Decision) error { return s.f.Change(d) }

// Remember remembers the requests of decisions: see Change.
func (s *State) Remember(ds []*engine.Decision) { ahead.Remember(s.f.Repeats, ds) }

// Borrow has s answer Repeat, Dump and Hash with what another state remembers of
// requests, and lets go of its own, which may be a hundred megabytes: for a state that
// follows the other one, by Change alone. Dump and Hash mean something while both are
// at the same decision.
func (s *State) Borrow(from *State) { s.f.Repeats = from.f.Repeats }

// HashShown is Hash of all but what is remembered of requests.
func (s *State) HashShown() engine.Digest {
	f := *s.f
	f.Repeats = fold.New().Repeats
	return f.Hash()
}

// Together is how many decisions Ahead looks at.
const Together = ahead.Together

// Ahead says that some decisions, at most Together, will be folded next, so that they
// wait for the memory together. It changes nothing.
func (s *State) Ahead(ds []*engine.Decision) {
	if s.ahead == nil {
		s.ahead = &ahead.Look{}
	}
	s.ahead.Change(s.f, ds)
}

// Load reads a state that Dump wrote, up to the end of r. It decides and folds on
// as the one that was dumped. Whatever else r has is an error that wraps ErrDump.
// Load looks at form and ranges: whether it is the right dump, its SHA-256 tells,
// which is the Hash.
func Load(r io.Reader) (*State, error) {
	f, err := fold.Load(r)
	if err != nil {
		return nil, err
	}
	return &State{f: f}, nil
}

// Dump writes the state in its one form, in pieces, and changes nothing. The error
// is the writer's.
func (s *State) Dump(w io.Writer) error { return s.f.Dump(w) }

// Hash returns a digest of everything a later decision can depend on, the SHA-256
// of the dump. Equal journals give equal hashes on every platform, and so do a
// state that was folded, one that decided and one that was loaded.
func (s *State) Hash() engine.Digest { return s.f.Hash() }

// Print is a digest of some of a state, cheap to take: see State.Print.
type Print = fold.Print

// Prints are those of some accounts and markets right after a decision.
type Prints struct {
	Seq engine.Seq
	Of  []Print
}

// Print takes the print of an account, a market, and what the account has there. Two
// states of one journal and sequence have the same.
func (s *State) Print(a engine.AccountID, m engine.MarketID) Print { return s.f.Print(a, m) }

// Waiting calls fn for each market that waits for people: frozen by its price guard,
// or longer for its outcome than its template allows.
func (s *State) Waiting(fn func(m engine.MarketID, frozen, overdue bool)) {
	for _, m := range s.f.Markets {
		if frozen, overdue := m.State == engine.Frozen, s.f.Overdue(m); frozen || overdue {
			fn(m.ID, frozen, overdue)
		}
	}
}

// Check looks at everything and says what does not hold: the ledger is conserved,
// what is reserved is what the open orders need, credits back the complete sets,
// the best bid is not above the pool's price nor that above the best ask where
// there is one book, prices are in range. It costs a look at every balance and
// order.
func (s *State) Check() error { return intact.Check(s.f) }

// Seq returns the sequence of the last decision, 0 before the first.
func (s *State) Seq() engine.Seq { return s.f.Seq }

// At returns the time of the last decision.
func (s *State) At() engine.Time { return s.f.At }

// Initialised reports whether the first command was given.
func (s *State) Initialised() bool { return s.f.Init }

// Mode returns how much of its service the engine gives.
func (s *State) Mode() engine.Mode { return s.f.Mode }

// Version returns the version of the rules that decide.
func (s *State) Version() uint32 { return s.f.Version }

// Policy returns the bundle in force.
func (s *State) Policy() engine.Policy { return s.f.Policy }

// Due returns the command that the engine gives to itself at a time, nil if there
// is none. Ask again after each decision, and give it before any other command
// of the same or a later time: an order must not meet one whose time is over. While
// deadlines are held there is no Tick, and an order does meet such a one.
func (s *State) Due(now engine.Time) engine.Command {
	if at, ok := s.Deadline(); ok && at <= now {
		return &engine.Tick{}
	}
	if s.f.Seasons.Counting() != nil { // before all else: what changes until it is done has to be kept
		return &engine.CountSeason{}
	}
	if len(s.f.Work) != 0 {
		return &engine.SettleMarket{Market: s.f.Work[0]}
	}
	if x := s.f.Granting(); x != nil {
		return &engine.PayGrants{Name: x.Name}
	}
	return nil
}

// Deadline returns the time from which on Due has a Tick to give; false if
// nothing is waited for, or deadlines are held.
func (s *State) Deadline() (engine.Time, bool) {
	e, ok := s.f.Due.Next()
	return engine.Time(e.At), ok && !s.f.DueHeld
}

// DeadlinesHeld reports whether deadlines wait for a person.
func (s *State) DeadlinesHeld() bool { return s.f.DueHeld }

// Expect says that Repeat or the fold will look a key up soon; see repeat.Set. What
// it returns means nothing.
func (s *State) Expect(key engine.Tag) uint64 { return s.f.Repeats.Expect(key) }

// Repeat looks up a request that was answered before. found is the decision; same
// says whether the content was equal, too.
func (s *State) Repeat(key, input engine.Tag) (found engine.Seq, same bool) {
	e, ok := s.f.Repeats.Find(key)
	return engine.Seq(e.Seq), ok && e.Input == input
}
