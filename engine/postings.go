package engine

import (
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// ErrLedger means that a decision would break the ledger: the log was not
// written by this engine, or the engine is broken. Stop.
var ErrLedger = errors.New("decision breaks the ledger")

var issuance = ledger.Account{Kind: ledger.Issuance}

func of(kind ledger.Kind, id uint32) ledger.Account { return ledger.Account{Kind: kind, ID: id} }

func holds(a AccountID) ledger.Account { return of(ledger.Available, uint32(a)) }

var credits = ledger.Asset{}

func sharesOf(m MarketID, o Outcome) ledger.Asset {
	return ledger.Asset{Market: uint32(m), Outcome: uint8(o)}
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

// mint pays for n complete sets, which arrive in the pool.
func (e *entry) mint(m MarketID, payer AccountID, n Micros) {
	id := uint32(m)
	e.move(credits, holds(payer), of(ledger.Collateral, id), int64(n))
	for o := Yes; o <= No; o++ {
		e.move(sharesOf(m, o), of(ledger.Supply, id), of(ledger.Pool, id), int64(n))
	}
}

// burn is the inverse of mint.
func (e *entry) burn(m MarketID, payee AccountID, n Micros) { e.mint(m, payee, -n) }

// postings returns the double entry of an event, in scratch that the next call
// reuses; empty for events that move nothing.
func (s *State) postings(ev Event) []ledger.Posting {
	e := entry{p: s.scratch[:0]}
	switch x := ev.(type) {
	case *CreditsGranted:
		e.move(credits, issuance, holds(x.Account), int64(x.Amount))
	case *MarketOpened:
		e.mint(x.Market, x.Creator, x.Liquidity)
		pool := of(ledger.Pool, uint32(x.Market))
		e.move(sharesOf(x.Market, Yes), pool, holds(x.Creator), int64(x.Liquidity)-int64(x.PoolYes))
		e.move(sharesOf(x.Market, No), pool, holds(x.Creator), int64(x.Liquidity)-int64(x.PoolNo))
	case *OrderFilled:
		pool, own := of(ledger.Pool, uint32(x.Market)), sharesOf(x.Market, x.Outcome)
		if x.Side == Buy {
			e.mint(x.Market, x.Account, x.Amount)
			e.move(own, pool, holds(x.Account), int64(x.Shares))
		} else {
			e.move(own, holds(x.Account), pool, int64(x.Shares))
			e.burn(x.Market, x.Account, x.Amount)
		}
	case *PayoutsMade:
		e.payouts(x, s.market(x.Market))
	}
	s.scratch = e.p
	return e.p
}

func (e *entry) payouts(x *PayoutsMade, m *market) {
	supply, collateral := of(ledger.Supply, uint32(x.Market)), of(ledger.Collateral, uint32(x.Market))
	for _, p := range x.Payouts {
		e.move(sharesOf(x.Market, Yes), holds(p.Account), supply, int64(p.Yes))
		e.move(sharesOf(x.Market, No), holds(p.Account), supply, int64(p.No))
		e.move(credits, collateral, holds(p.Account), int64(p.Credits))
	}
	if x.Last && m != nil {
		pool := of(ledger.Pool, uint32(x.Market))
		e.move(sharesOf(x.Market, Yes), pool, supply, int64(x.PoolYes))
		e.move(sharesOf(x.Market, No), pool, supply, int64(x.PoolNo))
		e.move(credits, collateral, holds(m.creator), int64(x.PoolCredits))
	}
}

// post applies the double entry of an event to the balances. The error wraps
// ErrLedger; the state is not usable then.
func (s *State) post(ev Event) error {
	ps := s.postings(ev)
	if !ledger.Balanced(ps) {
		return fmt.Errorf("%w: the postings of %s do not sum to zero", ErrLedger, ev.Type())
	}
	for _, p := range ps {
		if p.Amount > 2*MaxAmount || p.Amount < -2*MaxAmount {
			return fmt.Errorf("%w: %s moves %d", ErrLedger, ev.Type(), p.Amount)
		}
		if err := s.balance(p); err != nil {
			return fmt.Errorf("%w: %s: %w", ErrLedger, ev.Type(), err)
		}
	}
	// Shares pass through pool and holder, so only where they end must hold.
	for _, p := range ps {
		if b := s.read(p); b < 0 || b > MaxAmount {
			return fmt.Errorf("%w: %s leaves %s %d with %d", ErrLedger, ev.Type(), p.Account.Kind, p.Account.ID, b)
		}
	}
	return nil
}

var errNoAccount = errors.New("no such ledger account")

// balance adds a posting to the balance it names. Issuance and Supply are kept
// with their sign turned.
func (s *State) balance(p ledger.Posting) error {
	switch p.Account.Kind {
	case ledger.Issuance:
		s.issued -= Micros(p.Amount)
		return nil
	case ledger.Available:
		return s.hold(AccountID(p.Account.ID), p.Asset, p.Amount)
	}
	m := s.market(MarketID(p.Account.ID))
	if m == nil || p.Asset != credits && p.Asset.Market != p.Account.ID || p.Asset.Outcome > uint8(No) {
		return errNoAccount
	}
	switch {
	case p.Account.Kind == ledger.Collateral && p.Asset == credits:
		m.collateral += Micros(p.Amount)
	case p.Account.Kind == ledger.Supply:
		m.supply[p.Asset.Outcome] -= Shares(p.Amount)
	case p.Account.Kind == ledger.Pool && Outcome(p.Asset.Outcome) == Yes:
		m.pool.Own += Shares(p.Amount)
	case p.Account.Kind == ledger.Pool:
		m.pool.Other += Shares(p.Amount)
	default:
		return errNoAccount
	}
	return nil
}

func (s *State) hold(id AccountID, asset ledger.Asset, amount int64) error {
	a := s.account(id)
	if a == nil {
		return errNoAccount
	}
	if asset == credits {
		a.available += Micros(amount)
		return nil
	}
	m := s.market(MarketID(asset.Market))
	if m == nil || asset.Outcome > uint8(No) {
		return errNoAccount
	}
	i, known := m.index[id]
	if !known {
		i = int32(len(m.holders))
		m.index[id] = i
		m.holders = append(m.holders, holder{account: id})
		a.markets = append(a.markets, m.id)
	}
	m.holders[i].shares[asset.Outcome] += Shares(amount)
	return nil
}

// read returns the balance that a posting changed; it exists.
func (s *State) read(p ledger.Posting) int64 {
	switch p.Account.Kind {
	case ledger.Issuance:
		return int64(s.issued)
	case ledger.Available:
		if p.Asset == credits {
			return int64(s.account(AccountID(p.Account.ID)).available)
		}
		return int64(s.market(MarketID(p.Asset.Market)).held(AccountID(p.Account.ID), Outcome(p.Asset.Outcome)))
	}
	m := s.market(MarketID(p.Account.ID))
	switch p.Account.Kind {
	case ledger.Collateral:
		return int64(m.collateral)
	case ledger.Supply:
		return int64(m.supply[p.Asset.Outcome])
	default:
		return int64(m.side(Outcome(p.Asset.Outcome)).Own)
	}
}
