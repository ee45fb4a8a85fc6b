// Package history is what was: the candles of every outcome, the trades of every
// market and account, the orders that are over, the credits that each account was
// granted, and what it made of its markets. It is a read model of its own, folded from
// the durable decisions.
//
// It promises: the same journal gives the same answers, whenever it was read; cost
// and proceeds are counted to the micro, so that at the end of a market its profit
// is what came out of it less what went in; memory for what was is fixed, the
// oldest rows making room for the newest, and a page says so by ending. What it
// keeps besides grows as the engine's own state does: a record for each account and
// for each market that an account has touched, one for each order that waits.
//
// It refuses to answer from before a decision that the caller knows of, and to show
// with whom anybody traded. Rows that have made room are in the lake and in exports.
//
// Cost follows the method of average cost: a sale takes its part of what its shares
// had cost, rounded down.
package history

import (
	"context"
	"fmt"
	"sync"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// How many rows are kept, of all markets and accounts together. They take some 25,
// 15, 45, 30 and 25 MB when they are full, and nothing before they are needed.
const (
	minuteCandles = 1 << 19 // of one minute; of each other interval a half
	maxTrades     = 1 << 19 // sides of trades: a day of six in a second
	maxOrders     = 1 << 18 // orders that are over
	maxGrants     = 1 << 19 // of credits: five rounds of 100,000 accounts
)

// History is the read model. Create it with New, and Run it; its readers are safe
// for concurrent use.
type History struct {
	mu    sync.RWMutex
	seq   engine.Seq
	at    engine.Time
	news  chan struct{} // closed at the next decision, or the end; nil if nobody waits
	ended error         // why Run has ended; nil: it has not, or ctx has

	markets  []*market
	series   uint32 // how many there are
	accounts []account
	waiting  map[engine.OrderID]*order // orders in the books
	begun    []*order                  // of the decision being folded
	spare    []*order                  // memory for those of the next one
	replaced *order                    // that ended last in it
	candles  [intervals]ring[candle]
	trades   ring[trade]
	over     ring[order]
	grants   ring[grant]
	rounds   map[string]*Round // the last one of each schedule that had one; at most maxRounds
}

// account is what belongs to a trading account.
type account struct {
	granted  engine.Micros
	holdings []*holding // in the order of their markets' first touch
	trade    uint64     // the place of its last trade
	order    uint64     // the place of its last order that is over
	grant    uint64     // the place of the last grant to it
}

// New returns the read model before the first decision.
func New() *History {
	h := &History{
		waiting: map[engine.OrderID]*order{}, rounds: map[string]*Round{},
		trades: ring[trade]{size: maxTrades}, over: ring[order]{size: maxOrders}, grants: ring[grant]{size: maxGrants},
	}
	for i := range h.candles {
		h.candles[i].size = minuteCandles / 2
	}
	h.candles[0].size = minuteCandles
	return h
}

// Follow calls fn with every durable decision from a sequence on, until ctx ends.
type Follow func(ctx context.Context, from engine.Seq, fn func(sequencer.Committed) error) error

// Run folds the decisions until ctx ends, which is no error. It goes on behind the
// last one that it has. After an error, as where the journal begins later, there is
// no history, and whoever waits for it gets the error.
func (h *History) Run(ctx context.Context, follow Follow) error {
	err := follow(ctx, h.Seq()+1, func(c sequencer.Committed) error { return h.Take(c.Decision) })
	if err == nil || ctx.Err() != nil {
		return nil
	}
	err = fmt.Errorf("follow decisions for the history: %w", err)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ended = err
	h.tell()
	return err
}

// tell wakes who waits. mu is held.
func (h *History) tell() {
	if h.news != nil {
		close(h.news)
		h.news = nil
	}
}

// Seq returns the last decision that is folded.
func (h *History) Seq() engine.Seq {
	h.mu.RLock()
	defer h.mu.RUnlock()
	return h.seq
}

// Wait returns when a decision is folded, or with the error of ctx, or of Run.
func (h *History) Wait(ctx context.Context, seq engine.Seq) error {
	for {
		h.mu.Lock()
		if h.seq >= seq || h.ended != nil {
			defer h.mu.Unlock()
			if h.seq < seq {
				return h.ended
			}
			return nil
		}
		if h.news == nil {
			h.news = make(chan struct{})
		}
		news := h.news
		h.mu.Unlock()
		select {
		case <-news:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Take folds the next decision. What does not follow from those before it is an
// error, and the model is not usable any more.
func (h *History) Take(d *engine.Decision) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if d.Seq != h.seq+1 {
		return fmt.Errorf("history: decision %d comes after decision %d", d.Seq, h.seq)
	}
	h.seq, h.at = d.Seq, d.At
	for _, e := range d.Events {
		if err := h.event(d, e); err != nil {
			return fmt.Errorf("history: decision %d: %w", d.Seq, err)
		}
	}
	h.settleBegun()
	h.tell()
	return nil
}

// event folds what an event says of trades, orders, prices and holdings. Events of
// other matters say nothing of them.
func (h *History) event(d *engine.Decision, e engine.Event) error {
	switch x := e.(type) {
	case *engine.AccountOpened:
		h.accounts = append(h.accounts, account{})
	case *engine.CreditsGranted, *engine.GrantsBegun, *engine.GrantsPaid, *engine.GrantScheduleEnded:
		h.grantEvent(d, e)
	case *engine.MarketOpened:
		return h.opened(d, x)
	case *engine.OrderFilled:
		return h.filled(d, x)
	case *engine.OrderRested:
		return h.rested(d, x)
	case *engine.OrdersClosed:
		for i := range x.Orders {
			h.end(x.Orders[i].Order, ending(x.Reason))
		}
	case *engine.OrderReduced:
		if o := h.waiting[x.Order]; o != nil {
			o.rests = x.Shares
		}
	default:
		return h.marketEvent(d, e)
	}
	return nil
}

func (h *History) marketEvent(d *engine.Decision, e engine.Event) error {
	switch x := e.(type) {
	case *engine.MarketStateChanged:
		return h.with(x.Market, func(m *market) { m.state = x.To })
	case *engine.SetsSplit:
		return h.held(x.Market, x.Account, func(m *market, p *holding) { p.split(m.prices, x.Amount) })
	case *engine.SetsMerged:
		return h.held(x.Market, x.Account, func(_ *market, p *holding) { p.merge(x.Amount) })
	case *engine.LiquidityAdded:
		return h.held(x.Market, x.Account, func(m *market, p *holding) {
			p.provide(m.prices, x.Amount, x.Taken, x.Units)
			m.units += x.Units
			for i, q := range x.Taken {
				m.pools[i] += q
			}
			h.priced(m, d.At)
		})
	case *engine.LiquidityRemoved:
		return h.held(x.Market, x.Account, func(m *market, p *holding) {
			p.withdraw(m.prices, x)
			m.units -= x.Units
			for i, q := range x.Given {
				m.pools[i] -= q
			}
			h.priced(m, d.At)
		})
	case *engine.SettlementStarted:
		return h.with(x.Market, func(m *market) {
			if len(x.Payouts) == len(m.prices) {
				m.final = x.Payouts
			}
		})
	case *engine.SettlementStepped:
		return h.paid(x)
	}
	return nil
}

// account returns an account, nil if there is none of that id.
func (h *History) account(id engine.AccountID) *account {
	if id == 0 || int(id) > len(h.accounts) {
		return nil
	}
	return &h.accounts[id-1]
}

// market returns a market, nil if there is none of that id.
func (h *History) market(id engine.MarketID) *market {
	if id == 0 || int(id) > len(h.markets) {
		return nil
	}
	return h.markets[id-1]
}

func (h *History) with(id engine.MarketID, fn func(*market)) error {
	m := h.market(id)
	if m == nil {
		return fmt.Errorf("there is no market %s", id)
	}
	fn(m)
	return nil
}

func (h *History) held(id engine.MarketID, of engine.AccountID, fn func(*market, *holding)) error {
	m, a := h.market(id), h.account(of)
	if m == nil || a == nil {
		return fmt.Errorf("there is no market %s or no account %s", id, of)
	}
	fn(m, h.holding(m, of))
	return nil
}
