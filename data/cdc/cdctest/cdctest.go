// Package cdctest makes histories of real engine decisions for the tests of the
// data plane. It promises that a history is a function of its seed and start;
// that it touches every hot table in every phase: markets of all three kinds in
// every state, orders that wait, expire, meet and are amended, sets and
// liquidity that come and go, resolutions rejected, disputed, reported by a
// quorum and voided back to an effective time, both kinds of cancelling, every
// rule of abuse, groups that accounts and markets get and lose, grants by the
// calendar, and seasons; and that each decision folds. It refuses to fake: rows
// come from the engine's own Step alone.
package cdctest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// Accounts is how many accounts trade.
const Accounts = 8

// The markets of a history, in the order in which they open.
const (
	Plain     engine.MarketID = iota + 1 // binary; stays open, with a flood of orders on it
	Scores                               // categorical of 5; stays open, gains and loses liquidity
	Paused                               // binary; paused with its orders cancelled, and resumed
	Settled                              // binary; rejected once, then approved and settled
	Pending                              // binary; proposed at the end
	Level                                // scalar; a quorum reports its value, final after the window
	Disputed                             // scalar; disputed, rejected, then resolved below its range
	Named                                // categorical of 64; resolved to O3 with fees
	Voided                               // binary; resolved as of an earlier time
	Averaged                             // categorical of 3; cancelled at its average prices
	Refunded                             // binary; cancelled, everybody gets back what they paid
	Timed                                // binary; closes by its time, reopens never
	Drafted                              // binary; activated later
	Unopened                             // binary; stays a draft
	Watched                              // binary; its price guard freezes it, a command reopens it
	Cooling                              // binary; a spike cools it down, its order rate is limited
	Contested                            // scalar; stays disputed, too long
	lastOne   = Contested
)

// Markets is how many markets a history opens.
const Markets = int(lastOne)

// world drives an engine and keeps what it decided.
type world struct {
	rng   *rand.Rand
	state *core.State
	now   engine.Time
	log   []*engine.Decision
	err   error // first failure
}

// History returns the decisions of a small market day that begins at start: a
// fixed frame of events around about the given number of random orders, each 0
// to 20 s after the one before.
func History(seed uint64, start engine.Time, orders int) ([]*engine.Decision, error) {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0)), state: core.New(), now: start} //nolint:gosec // reproducible, not secret
	w.open()
	w.morning(orders / 4)
	w.noon(orders / 4)
	w.afternoon(orders / 4)
	w.evening(orders / 4)
	return w.log, w.err
}

// morning trades, and raises abuse.
func (w *world) morning(orders int) {
	w.orders(orders)
	w.flood(1, Plain)
	w.act("ops", &engine.CloseMarket{Market: Plain + 999}) // refused: there is none
	w.act(trader(2), &engine.PlaceOrder{
		Account: 2, Market: Paused, Outcome: engine.No, Side: engine.Buy, TIF: engine.GTC, Shares: engine.One, Limit: 100_000,
	})
	w.act("mod", &engine.PauseMarket{Market: Paused, CancelOrders: true})
	w.act("ops", &engine.ActivateMarket{Market: Drafted})
	w.crowd(Plain)
	w.wash(Plain, 3, 4)
	w.selfTrades(Plain, 5)
	w.spike(Cooling)
	w.batch(6)
	w.escape(Watched)
}

// noon has the first endings.
func (w *world) noon(orders int) {
	w.orders(orders)
	w.act("mod", &engine.ResumeMarket{Market: Paused})
	w.act("mod", &engine.ReopenMarket{Market: Watched})
	w.propose("res-1", Settled, engine.No, 0, 0)
	w.act("res-2", &engine.RejectResolution{Market: Settled})
	w.act("mod", &engine.ResumeMarket{Market: Settled})
	w.propose("res-1", Disputed, engine.Long, 42, 0)
	w.dispute("res-3", Disputed)
	w.act("res-2", &engine.RejectResolution{Market: Disputed})
	w.report("rep-1", Level, 37)
	w.report("rep-2", Level, 90) // does not agree
	w.report("rep-3", Level, 38) // the quorum; final after the window
	w.act("res-1", &engine.CancelMarket{Market: Averaged, Kind: engine.CancelPrice, EvidenceURI: "https://example.org/void", EvidenceSHA256: digest("averaged")})
}

// afternoon resolves what noon left.
func (w *world) afternoon(orders int) {
	w.orders(orders / 2)
	w.act(trader(4), &engine.PlaceOrder{Account: 4, Market: Voided, Outcome: engine.No, Side: engine.Buy, TIF: engine.IOC, Amount: 30 * engine.One})
	effective := w.now
	w.now += minute
	w.act(trader(4), &engine.PlaceOrder{Account: 4, Market: Voided, Outcome: engine.No, Side: engine.Sell, TIF: engine.IOC, Shares: 20 * engine.One}) // recovered
	w.orders(orders - orders/2)
	w.flood(1, Scores)
	w.flood(2, 99)
	w.propose("res-1", Settled, engine.Yes, 0, 0)
	w.act("res-1", &engine.ApproveResolution{Market: Settled}) // refused: the proposer
	w.act("res-2", &engine.ApproveResolution{Market: Settled})
	w.propose("res-1", Disputed, engine.Long, -5, 0)
	w.act("res-2", &engine.ApproveResolution{Market: Disputed}) // final after the window
	w.propose("res-2", Named, engine.Nth(2), 0, 0)
	w.act("res-1", &engine.ApproveResolution{Market: Named})
	w.propose("res-2", Voided, engine.Yes, 0, effective)
	w.act("res-1", &engine.ApproveResolution{Market: Voided})
	w.act("res-1", &engine.CancelMarket{Market: Refunded, Kind: engine.CancelRefund, EvidenceURI: "https://example.org/refund", EvidenceSHA256: digest("refunded")})
	w.propose("res-1", Contested, engine.Long, 7, 0)
	w.dispute("res-2", Contested) // and nobody acts on it
}

// evening leaves some markets on their way.
func (w *world) evening(orders int) {
	w.orders(orders)
	w.now += 2 * hour // beyond every window
	w.act("ops", &engine.GrantCredits{Account: 1, Amount: engine.One})
	w.act("ops", &engine.SetMode{Mode: engine.ModeLite, Reason: "quiet"})
	w.act("mod", &engine.Moderate{Action: engine.LimitAccount, Account: 2, Until: w.now + hour, EvidenceURI: "https://example.org/mod", EvidenceSHA256: digest("mod")})
	w.act("mod", &engine.UndoModeration{Decision: engine.Seq(len(w.log))})
	w.orders(orders / 4)
	w.propose("res-1", Pending, engine.Yes, 0, 0)
}

const (
	hour   = engine.Time(3600 * engine.One)
	minute = engine.Time(60 * engine.One)
)

func digest(s string) engine.Digest { return sha256.Sum256([]byte(s)) }

// act lets the engine do what is due, gives one command, and lets it do what it
// then owes.
func (w *world) act(principal string, c engine.Command) engine.Code {
	w.due()
	code := w.step(principal, c)
	w.due()
	w.now += engine.Time(1 + w.rng.Int64N(1000))
	return code
}

func (w *world) due() {
	for c := w.state.Due(w.now); c != nil && w.err == nil; c = w.state.Due(w.now) {
		w.step(engine.System, c)
	}
}

// step decides and folds, and keeps a copy: the engine uses its events again.
func (w *world) step(principal string, c engine.Command) engine.Code {
	if w.err != nil {
		return engine.OK
	}
	d := &engine.Decision{}
	w.err = w.state.Step(engine.Request{At: w.now, Principal: principal, Command: c}, d)
	if w.err != nil {
		w.err = fmt.Errorf("make history: %s: %w", c.Type(), w.err)
		return engine.OK
	}
	kept, err := engine.Decode(d.Seq, d.Append(nil))
	if err != nil {
		w.err = fmt.Errorf("make history: %w", err)
	}
	w.log = append(w.log, kept)
	return d.Code
}

// Delay is the time from a decision to its commit in Write, in µs.
const Delay = 700

// Write appends decisions to a log in batches of at most size.
func Write(log journal.Log, decisions []*engine.Decision, size int) error {
	for len(decisions) > 0 {
		n := min(size, len(decisions))
		var batch [][]byte
		for _, d := range decisions[:n] {
			batch = append(batch, d.Append(nil))
		}
		last := decisions[n-1]
		if err := log.Append(uint64(decisions[0].Seq), int64(last.At)+Delay, batch); err != nil {
			return errors.Join(errors.New("write history"), err)
		}
		decisions = decisions[n:]
	}
	return nil
}
