// Package cdctest makes histories of real engine decisions for the tests of the
// data plane. It promises that a history is a function of its seed and start,
// that it touches every hot table in every phase (openings, fills, refusals,
// pauses, a rejected, an approved and a settled resolution, two abuse episodes
// of one account, one of another on a market that does not exist), and that each
// decision folds. It refuses to fake: rows come from engine.Decide alone.
package cdctest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

// The cast of a history.
const (
	Accounts = 6
	Markets  = 5
	Paused   = engine.MarketID(3) // paused and resumed once
	Settled  = engine.MarketID(4) // rejected once, then approved and settled
	Pending  = engine.MarketID(5) // proposed at the end
)

// world drives an engine and keeps what it decided.
type world struct {
	rng   *rand.Rand
	state *engine.State
	now   engine.Time
	log   []*engine.Decision
	err   error // first failure
}

// History returns the decisions of a small market day that begins at start: a
// fixed frame of events around about the given number of random orders, each 0
// to 20 s after the one before.
func History(seed uint64, start engine.Time, orders int) ([]*engine.Decision, error) {
	w := &world{rng: rand.New(rand.NewPCG(seed, 0)), state: engine.NewState(), now: start} //nolint:gosec // reproducible, not secret
	w.open()
	w.orders(orders / 4)
	w.flood(1, 1)
	w.act("mod", &engine.PauseMarket{Market: Paused})
	w.orders(orders / 4)
	w.act("mod", &engine.ResumeMarket{Market: Paused})
	w.act("res-1", &engine.ProposeResolution{Market: Settled, Outcome: engine.No, EvidenceURI: "https://example.org/1", EvidenceSHA256: sha256.Sum256([]byte("first"))})
	w.act("res-2", &engine.RejectResolution{Market: Settled})
	w.act("mod", &engine.ResumeMarket{Market: Settled})
	w.orders(orders / 4)
	w.flood(1, 2)
	w.flood(2, 99)
	w.act("res-1", &engine.ProposeResolution{Market: Settled, Outcome: engine.Yes, EvidenceURI: "https://example.org/2", EvidenceSHA256: sha256.Sum256([]byte("second"))})
	w.act("res-1", &engine.ApproveResolution{Market: Settled}) // refused: the proposer
	w.act("res-2", &engine.ApproveResolution{Market: Settled})
	w.orders(orders / 4)
	w.act("res-1", &engine.ProposeResolution{Market: Pending, Outcome: engine.Yes, EvidenceURI: "https://example.org/3", EvidenceSHA256: sha256.Sum256([]byte("third"))})
	return w.log, w.err
}

// act decides and folds one command, and whatever the engine then owes.
func (w *world) act(principal string, c engine.Command) {
	for p, c := principal, c; c != nil && w.err == nil; p, c = engine.System, w.state.Due() {
		d := &engine.Decision{}
		w.state.Decide(engine.Request{At: w.now, Principal: p, Command: c}, d)
		if err := w.state.Evolve(d); err != nil {
			w.err = fmt.Errorf("make history: %w", err)
			return
		}
		w.log = append(w.log, d)
		w.now += engine.Time(1 + w.rng.Int64N(1000))
	}
}

func (w *world) open() {
	w.act("root", &engine.Initialise{
		Policy: engine.DefaultPolicy(), Template: engine.DefaultTemplate(),
		Admin: engine.Key{SHA256: sha256.Sum256(fmt.Append(nil, "admin", w.now)), Principal: "root", Roles: engine.RoleAdmin},
	})
	for i := range engine.AccountID(Accounts) {
		w.act("ops", &engine.OpenAccount{})
		w.act("ops", &engine.GrantCredits{Account: i + 1, Amount: 5000 * engine.One})
	}
	for i := range engine.MarketID(Markets) {
		x := &engine.OpenMarket{
			Template: "binary@1.0.0", Title: fmt.Sprintf("Will event %d happen?", i+1), Creator: 1,
			Liquidity: engine.Micros(100+w.rng.Int64N(400)) * engine.One, Price: engine.Price(200_000 + w.rng.Int64N(600_000)),
		}
		if i%2 == 0 {
			x.CloseAt = w.now + 30*24*3600*engine.One
		}
		w.act("ops", x)
	}
}

// orders places random orders; many are refused, which is part of the world.
func (w *world) orders(n int) {
	for range n {
		w.now += engine.Time(w.rng.Int64N(20 * engine.One))
		o := &engine.PlaceOrder{
			Account: 1 + engine.AccountID(w.rng.Uint32N(Accounts)), Market: 1 + engine.MarketID(w.rng.Uint32N(Markets)),
			Outcome: [2]engine.Outcome{engine.Yes, engine.No}[w.rng.IntN(2)], Side: engine.Buy, TIF: engine.IOC,
		}
		switch w.rng.IntN(8) {
		case 0, 1, 2:
			o.Side, o.Shares = engine.Sell, engine.Shares(1+w.rng.Int64N(10*engine.One))
		case 3:
			o.Amount = engine.Micros(1 + w.rng.Int64N(50)) // moves no price
		default:
			o.Amount = engine.Micros(1 + w.rng.Int64N(20*engine.One))
		}
		w.act(fmt.Sprintf("trader-%d", o.Account), o)
	}
}

// flood sends orders of one account at one moment until its rate is used up.
func (w *world) flood(a engine.AccountID, m engine.MarketID) {
	w.now += 60 * engine.One
	for range engine.DefaultPolicy().OrderBurst + 5 {
		w.act(fmt.Sprintf("trader-%d", a), &engine.PlaceOrder{Account: a, Market: m, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One / 100})
	}
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
