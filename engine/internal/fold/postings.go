package fold

import (
	"fmt"

	"github.com/mbp-market/mbp/engine"
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

// entry collects the postings of one event.
type entry struct{ p []ledger.Posting }

// move posts an amount of an asset from one account to another.
func (e *entry) move(asset ledger.Asset, from, to ledger.Account, amount int64) {
	if amount == 0 {
		return
	}
	e.p = append(e.p, ledger.Posting{Account: from, Asset: asset, Amount: -amount}, ledger.Posting{Account: to, Asset: asset, Amount: amount})
}

// Funds are the credits that markets hold for their holders and for the house.
type Funds struct{ Collateral, Fees, Rounding engine.Micros }

func (f *Funds) add(b *ledger.Market, sign engine.Micros) {
	f.Collateral += sign * b.Collateral()
	f.Fees += sign * b.Fees()
	f.Rounding += sign * b.Rounding()
}

// post applies the postings of a market's decision, and keeps the sums over all
// markets.
func (s *State) post(d *engine.Decision, m *Market, ps []ledger.Posting) error {
	s.Held.add(m.Balance, -1)
	err := s.Ledger.Apply(int64(d.At), uint32(m.ID), ps)
	s.Held.add(m.Balance, 1)
	return err
}

// opening is the double entry of a new market: the creator pays for complete
// sets; what the pools do not take is the creator's, and so are all units.
func (s *State) opening(x *engine.MarketOpened) []ledger.Posting {
	e, id := &s.scratch, uint32(x.Market)
	e.p = e.p[:0]
	e.move(credits, holds(x.Creator), of(collateral, id), int64(x.Liquidity))
	for o, q := range x.Pools {
		e.move(sharesOf(x.Market, o), of(supply, id), of(pool, id), int64(q))
		e.move(sharesOf(x.Market, o), of(supply, id), holds(x.Creator), int64(x.Liquidity)-int64(q))
	}
	e.move(unitsOf(x.Market), of(supply, id), holds(x.Creator), int64(x.Liquidity))
	return e.p
}

// trade is the double entry of an order's fills. Whatever the rounding of each
// side leaves over goes to the market's dust.
func (s *State) trade(m *Market, x *engine.OrderFilled) ([]ledger.Posting, error) {
	e, id, o := &s.scratch, uint32(m.ID), x.Outcome.Index()
	e.p = e.p[:0]
	taker, own, sign := holds(x.Account), sharesOf(m.ID, o), int64(1)
	if x.Side == engine.Sell {
		sign = -1
	}
	// The pool mints or burns sets and hands the traded shares over.
	for i := range m.Outcomes() {
		q := sign * int64(x.Sets)
		if i == o {
			q -= sign * int64(x.PoolShares)
		}
		e.move(sharesOf(m.ID, i), of(supply, id), of(pool, id), q)
	}
	e.move(own, of(supply, id), taker, sign*int64(x.PoolShares))
	backing, makers := sign*int64(x.Sets), int64(0) // credits into collateral, and from the makers
	for i := range x.Fills {
		f := &x.Fills[i]
		if f.Maker == 0 {
			continue
		}
		b, paid, err := s.tradeWith(m, x, f)
		if err != nil {
			return nil, err
		}
		backing, makers = backing+b, makers+paid
	}
	paid := sign * int64(x.Amount)
	dust := paid + makers - backing
	e.move(credits, taker, of(collateral, id), backing)
	e.move(credits, taker, of(rounding, id), dust)
	e.move(credits, taker, of(feesOf, id), int64(x.Fee))
	// What the makers paid or received passed through the taker above.
	return e.p, nil
}

// tradeWith adds the postings of a fill with a resting order. It returns the
// credits that the collateral gains by it and those that the maker paid, below
// zero for received.
func (s *State) tradeWith(m *Market, x *engine.OrderFilled, f *engine.Fill) (backing, paid int64, err error) {
	r, ok := s.Orders.Get(uint64(f.Maker))
	if !ok || r.Shares < f.Shares || f.Shares < 1 || r.Market != uint32(m.ID) || engine.AccountID(r.Account) != f.Account {
		return 0, 0, fmt.Errorf("order %s has no %d shares", f.Maker, f.Shares)
	}
	e, id, q := &s.scratch, uint32(m.ID), int64(f.Shares)
	taker, maker := holds(x.Account), holds(f.Account)
	own, theirs := sharesOf(m.ID, x.Outcome.Index()), sharesOf(m.ID, engine.Outcome(r.Outcome).Index())
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

// setsMoved splits credits into complete sets; a negative amount merges.
func (s *State) setsMoved(m *Market, a engine.AccountID, amount engine.Micros) *entry {
	e, id := &s.scratch, uint32(m.ID)
	e.p = e.p[:0]
	e.move(credits, holds(a), of(collateral, id), int64(amount))
	for o := range m.Outcomes() {
		e.move(sharesOf(m.ID, o), of(supply, id), holds(a), int64(amount))
	}
	return e
}

// liquidity mints sets, of which the pools take a part and the provider the
// rest, and units.
func (s *State) liquidity(m *Market, a engine.AccountID, amount engine.Micros, taken []engine.Shares, units engine.Shares) *entry {
	e, id := &s.scratch, uint32(m.ID)
	e.p = e.p[:0]
	e.move(credits, holds(a), of(collateral, id), int64(amount))
	for o, q := range taken {
		e.move(sharesOf(m.ID, o), of(supply, id), of(pool, id), int64(q))
		e.move(sharesOf(m.ID, o), of(supply, id), holds(a), int64(amount)-int64(q))
	}
	e.move(unitsOf(m.ID), of(supply, id), holds(a), int64(units))
	return e
}

// withdrawal is the way back: whole sets become credits.
func (s *State) withdrawal(m *Market, x *engine.LiquidityRemoved) *entry {
	e, id, a := &s.scratch, uint32(m.ID), x.Account
	e.p = e.p[:0]
	e.move(credits, of(collateral, id), holds(a), int64(x.Amount))
	for o, q := range x.Given {
		e.move(sharesOf(m.ID, o), of(pool, id), of(supply, id), int64(x.Amount))
		e.move(sharesOf(m.ID, o), of(pool, id), holds(a), int64(q)-int64(x.Amount))
	}
	e.move(unitsOf(m.ID), holds(a), of(supply, id), int64(x.Units))
	return e
}

// payments are the postings of a step of a settlement, and their sum. Paying
// takes back all that the holders have; the last step, the pools, and sweeps.
func (s *State) payments(m *Market, x *engine.SettlementStepped) ([]ledger.Posting, engine.Micros) {
	e, id, sum := &s.scratch, uint32(m.ID), engine.Micros(0)
	e.p = e.p[:0]
	for i := range x.Payouts {
		p := &x.Payouts[i]
		e.move(credits, of(collateral, id), holds(p.Account), int64(p.Credits))
		sum += p.Credits
	}
	if x.Phase != engine.PhasePay {
		return e.p, sum
	}
	for i := m.End.next; i < m.End.next+int(x.Work); i++ {
		a := holds(engine.AccountID(m.Balance.Holder(i)))
		for o := range m.Outcomes() {
			e.move(sharesOf(m.ID, o), a, of(supply, id), int64(m.Balance.Shares(i, o)))
		}
		e.move(unitsOf(m.ID), a, of(supply, id), int64(m.Balance.UnitsOf(i)))
	}
	if x.Last {
		for o, q := range m.Balance.Pools() {
			e.move(sharesOf(m.ID, o), of(pool, id), of(supply, id), int64(q))
		}
		e.move(credits, of(collateral, id), platform, int64(x.Swept))
	}
	return e.p, sum
}
