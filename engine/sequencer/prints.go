package sequencer

import (
	"slices"
	"sync"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
)

const (
	// printEvery is how often the writer shows prints of what it just touched, µs.
	printEvery = 1_000_000
	// maxPrints bounds the prints taken at once: below a tenth of a millisecond.
	maxPrints = 64
	// keepPrints bounds what waits for a follower to compare it: a minute.
	keepPrints = 60
)

// prints keeps the latest, the oldest first.
type prints struct {
	mu   sync.Mutex
	kept []core.Prints
}

func (p *prints) push(x core.Prints) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.kept) == keepPrints {
		p.kept = slices.Delete(p.kept, 0, 1)
	}
	p.kept = append(p.kept, x)
}

// Prints returns the oldest prints that are kept of decisions after a sequence, for
// who folds the journal and compares; false if there are none. Their decision may
// not be durable yet.
func (q *Sequencer) Prints(after engine.Seq) (core.Prints, bool) {
	q.prints.mu.Lock()
	defer q.prints.mu.Unlock()
	for _, x := range q.prints.kept {
		if x.Seq > after {
			return x, true
		}
	}
	return core.Prints{}, false
}

// print takes prints of what the newest decisions of a batch touched, once in a
// while. The writer's state is the one right after the last of them.
func (q *Sequencer) print(b *batch) {
	now := q.writer.At()
	if len(b.decisions) == 0 || now-q.printed < printEvery {
		return
	}
	q.printed = now
	x := core.Prints{Seq: q.writer.Seq()}
	seen := make(map[pair]bool, maxPrints)
	for i := len(b.decisions) - 1; i >= 0 && len(x.Of) < maxPrints; i-- {
		for _, e := range b.decisions[i].Events {
			touched(e, func(a engine.AccountID, m engine.MarketID) {
				if len(x.Of) < maxPrints && !seen[pair{a, m}] {
					seen[pair{a, m}] = true
					x.Of = append(x.Of, q.writer.Print(a, m))
				}
			})
		}
	}
	if len(x.Of) != 0 {
		q.prints.push(x)
	}
}

type pair struct {
	account engine.AccountID
	market  engine.MarketID
}

// touched calls fn with the accounts that an event changed, each where it did.
func touched(e engine.Event, fn func(engine.AccountID, engine.MarketID)) {
	switch x := e.(type) {
	case *engine.OrderFilled:
		fn(x.Account, x.Market)
		for i := range x.Fills {
			if f := &x.Fills[i]; f.Maker != 0 {
				fn(f.Account, x.Market)
			}
		}
	case *engine.OrderRested:
		fn(x.Account, x.Market)
	case *engine.OrdersClosed:
		for i := range x.Orders {
			fn(x.Orders[i].Account, x.Orders[i].Market)
		}
	case *engine.SetsSplit:
		fn(x.Account, x.Market)
	case *engine.SetsMerged:
		fn(x.Account, x.Market)
	case *engine.LiquidityAdded:
		fn(x.Account, x.Market)
	case *engine.LiquidityRemoved:
		fn(x.Account, x.Market)
	case *engine.CreditsGranted:
		fn(x.Account, 0)
	case *engine.GrantsPaid:
		for i := range x.Grants {
			fn(x.Grants[i].Account, 0)
		}
	case *engine.RankingSet:
		fn(x.Account, 0)
	case *engine.MarketStateChanged:
		fn(0, x.Market)
	case *engine.SettlementStepped:
		for i := range x.Payouts {
			fn(x.Payouts[i].Account, x.Market)
		}
	}
}
