// Package posting is the double entry of each event that moves credits or shares, and
// what a resting order sets aside, pays and receives.
//
// It promises: the postings of an event sum to zero for each asset; an order's reserve
// less what it was charged is never below zero; what rounding leaves over goes to the
// market's dust, never to a trader. It refuses to decide whether an event may be, and
// to keep balances: those are the ledger's. It follows "The rules of the market",
// sections Orders and Pool.
package posting

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/ledger"
)

var (
	issuance = ledger.Account{Kind: ledger.Issuance}
	platform = ledger.Account{Kind: ledger.Platform}
	credits  = ledger.Asset{}
)

const (
	collateral = ledger.Collateral
	feesOf     = ledger.Fees
	rounding   = ledger.Rounding
	pool       = ledger.Pool
	supply     = ledger.Supply
)

func of(kind ledger.Kind, id uint32) ledger.Account { return ledger.Account{Kind: kind, ID: id} }

func holds(a engine.AccountID) ledger.Account { return of(ledger.Available, uint32(a)) }

func reserved(a engine.AccountID) ledger.Account { return of(ledger.Reserved, uint32(a)) }

func sharesOf(m engine.MarketID, outcome int) ledger.Asset {
	return ledger.Asset{Market: uint32(m), Outcome: uint8(outcome)}
}

func unitsOf(m engine.MarketID) ledger.Asset {
	return ledger.Asset{Market: uint32(m), Outcome: ledger.Units}
}

// Entry is the postings of one event. Each method but move begins afresh, in the room
// of the one before; the zero value is ready to use.
type Entry struct{ P []ledger.Posting }

func (e *Entry) begin() { e.P = e.P[:0] }

// move posts an amount of an asset from one account to another.
func (e *Entry) move(asset ledger.Asset, from, to ledger.Account, amount int64) {
	if amount == 0 {
		return
	}
	e.P = append(e.P, ledger.Posting{Account: from, Asset: asset, Amount: -amount}, ledger.Posting{Account: to, Asset: asset, Amount: amount})
}

// Grants issues credits to several accounts.
func (e *Entry) Grants(to []engine.Payout) {
	e.begin()
	for i := range to {
		e.move(credits, issuance, holds(to[i].Account), int64(to[i].Credits))
	}
}

// Rest sets aside what an order needs that begins to wait.
func (e *Entry) Rest(x *engine.OrderRested) {
	e.begin()
	if x.Side == engine.Sell {
		e.move(sharesOf(x.Market, x.Outcome.Index()), holds(x.Account), reserved(x.Account), int64(x.Shares))
	} else {
		e.move(credits, holds(x.Account), reserved(x.Account), int64(Reserve(x.Shares, x.Limit)))
	}
}

// Release gives back what a resting order does not need any more if it waits with q
// shares less.
func (e *Entry) Release(o *book.Order, q engine.Shares) {
	e.begin()
	owner := engine.AccountID(o.Account)
	if o.Sell {
		e.move(sharesOf(engine.MarketID(o.Market), engine.Outcome(o.Outcome).Index()), reserved(owner), holds(owner), int64(q))
	} else {
		e.move(credits, reserved(owner), holds(owner), int64(Held(o)-HeldAfter(o, o.Shares-q)))
	}
}

// Pool puts the fees and the dust of a market that ends to its collateral: everything is
// paid from there.
func (e *Entry) Pool(m engine.MarketID, b *ledger.Market) {
	e.begin()
	e.move(credits, of(feesOf, uint32(m)), of(collateral, uint32(m)), int64(b.Fees()))
	e.move(credits, of(rounding, uint32(m)), of(collateral, uint32(m)), int64(b.Rounding()))
}

// Opening is the double entry of a new market: the creator pays for complete
// sets; what the pools do not take is the creator's, and so are all units.
func (e *Entry) Opening(x *engine.MarketOpened) {
	e.begin()
	id := uint32(x.Market)
	e.move(credits, holds(x.Creator), of(collateral, id), int64(x.Liquidity))
	for o, q := range x.Pools {
		e.move(sharesOf(x.Market, o), of(supply, id), of(pool, id), int64(q))
		e.move(sharesOf(x.Market, o), of(supply, id), holds(x.Creator), int64(x.Liquidity)-int64(q))
	}
	e.move(unitsOf(x.Market), of(supply, id), holds(x.Creator), int64(x.Liquidity))
}

// Trade is the double entry of an order's fills on a market with n outcomes. Whatever
// the rounding of each side leaves over goes to the market's dust. A fill with an order
// that does not wait, or not with as much, is an error.
func (e *Entry) Trade(x *engine.OrderFilled, n int, orders *book.Store) error {
	e.begin()
	id, o := uint32(x.Market), x.Outcome.Index()
	taker, own, sign := holds(x.Account), sharesOf(x.Market, o), int64(1)
	if x.Side == engine.Sell {
		sign = -1
	}
	// The pool mints or burns sets and hands the traded shares over.
	for i := range n {
		q := sign * int64(x.Sets)
		if i == o {
			q -= sign * int64(x.PoolShares)
		}
		e.move(sharesOf(x.Market, i), of(supply, id), of(pool, id), q)
	}
	e.move(own, of(supply, id), taker, sign*int64(x.PoolShares))
	backing, makers := sign*int64(x.Sets), int64(0) // credits into collateral, and from the makers
	for i := range x.Fills {
		f := &x.Fills[i]
		if f.Maker == 0 {
			continue
		}
		b, paid, err := e.tradeWith(x, f, orders)
		if err != nil {
			return err
		}
		backing, makers = backing+b, makers+paid
	}
	paid := sign * int64(x.Amount)
	dust := paid + makers - backing
	e.move(credits, taker, of(collateral, id), backing)
	e.move(credits, taker, of(rounding, id), dust)
	e.move(credits, taker, of(feesOf, id), int64(x.Fee))
	// What the makers paid or received passed through the taker above.
	return nil
}

// tradeWith adds the postings of a fill with a resting order. It returns the
// credits that the collateral gains by it and those that the maker paid, below
// zero for received.
func (e *Entry) tradeWith(x *engine.OrderFilled, f *engine.Fill, orders *book.Store) (backing, paid int64, err error) {
	r, ok := orders.Get(uint64(f.Maker))
	if !ok || r.Shares < f.Shares || f.Shares < 1 || r.Market != uint32(x.Market) || engine.AccountID(r.Account) != f.Account {
		return 0, 0, fmt.Errorf("order %s has no %d shares", f.Maker, f.Shares)
	}
	id, q := uint32(x.Market), int64(f.Shares)
	taker, maker := holds(x.Account), holds(f.Account)
	own, theirs := sharesOf(x.Market, x.Outcome.Index()), sharesOf(x.Market, engine.Outcome(r.Outcome).Index())
	sell := x.Side == engine.Sell
	switch {
	case r.Sell && !sell: // transfer to the taker
		e.move(own, reserved(f.Account), taker, q)
	case !r.Sell && sell: // transfer to the maker
		e.move(own, taker, maker, q)
	case !r.Sell: // both buy: a set is minted
		e.move(own, of(supply, id), taker, q)
		e.move(theirs, of(supply, id), maker, q)
		backing = q
	default: // both sell: a set is burnt
		e.move(own, taker, of(supply, id), q)
		e.move(theirs, reserved(f.Account), of(supply, id), q)
		backing = -q
	}
	if r.Sell {
		e.move(credits, taker, maker, int64(f.Counter))
		return backing, -int64(f.Counter), nil
	}
	e.move(credits, reserved(f.Account), taker, int64(f.Counter))
	return backing, int64(f.Counter), nil
}

// Sets splits credits into complete sets of n outcomes; a negative amount merges.
func (e *Entry) Sets(m engine.MarketID, n int, a engine.AccountID, amount engine.Micros) {
	e.begin()
	id := uint32(m)
	e.move(credits, holds(a), of(collateral, id), int64(amount))
	for o := range n {
		e.move(sharesOf(m, o), of(supply, id), holds(a), int64(amount))
	}
}

// Liquidity mints sets, of which the pools take a part and the provider the
// rest, and units.
func (e *Entry) Liquidity(x *engine.LiquidityAdded) {
	e.begin()
	id, a := uint32(x.Market), x.Account
	e.move(credits, holds(a), of(collateral, id), int64(x.Amount))
	for o, q := range x.Taken {
		e.move(sharesOf(x.Market, o), of(supply, id), of(pool, id), int64(q))
		e.move(sharesOf(x.Market, o), of(supply, id), holds(a), int64(x.Amount)-int64(q))
	}
	e.move(unitsOf(x.Market), of(supply, id), holds(a), int64(x.Units))
}

// Withdrawal is the way back: whole sets become credits.
func (e *Entry) Withdrawal(x *engine.LiquidityRemoved) {
	e.begin()
	id, a := uint32(x.Market), x.Account
	e.move(credits, of(collateral, id), holds(a), int64(x.Amount))
	for o, q := range x.Given {
		e.move(sharesOf(x.Market, o), of(pool, id), of(supply, id), int64(x.Amount))
		e.move(sharesOf(x.Market, o), of(pool, id), holds(a), int64(q)-int64(x.Amount))
	}
	e.move(unitsOf(x.Market), holds(a), of(supply, id), int64(x.Units))
}

// Payments are the postings of a step of the settlement of a market with the balances
// b, whose holders before next were worked on; it returns what they sum to. Paying takes
// back all that the holders have; the last step, the pools, and sweeps.
func (e *Entry) Payments(x *engine.SettlementStepped, b *ledger.Market, next int) (sum engine.Micros) {
	e.begin()
	id := uint32(x.Market)
	for i := range x.Payouts {
		p := &x.Payouts[i]
		e.move(credits, of(collateral, id), holds(p.Account), int64(p.Credits))
		sum += p.Credits
	}
	if x.Phase != engine.PhasePay {
		return sum
	}
	for i := next; i < next+int(x.Work); i++ {
		a := holds(engine.AccountID(b.Holder(i)))
		for o := range b.Outcomes() {
			e.move(sharesOf(x.Market, o), a, of(supply, id), int64(b.Shares(i, o)))
		}
		e.move(unitsOf(x.Market), a, of(supply, id), int64(b.UnitsOf(i)))
	}
	if x.Last {
		for o, q := range b.Pools() {
			e.move(sharesOf(x.Market, o), of(pool, id), of(supply, id), int64(q))
		}
		e.move(credits, of(collateral, id), platform, int64(x.Swept))
	}
	return sum
}
