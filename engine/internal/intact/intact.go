// Package intact looks at a whole state and says what in it cannot be.
//
// It promises: a state that breaks one of the invariants of the ledger, of the reserves,
// of the books or of the prices is told, with the place; a look costs every balance and
// every order once and changes nothing. It refuses to repair, and to be part of a
// decision: tests, fsck and takeovers ask. The rules are those of "The rules of the
// market", sections Orders and Pool.
package intact

import (
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/book"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/posting"
)

// Check looks at everything and says what does not hold: the ledger is conserved,
// what is reserved is what the open orders need, credits back the complete sets,
// the best bid is not above the pool's price nor that above the best ask where
// there is one book, prices are in range. It costs a look at every balance and order.
func Check(s *fold.State) error {
	if err := s.Ledger.Conserved(); err != nil {
		return err
	}
	type asset struct {
		account uint32
		market  uint32
		outcome int
	}
	want := map[asset]int64{}
	for _, m := range s.Markets {
		for i := range m.Books {
			s.Orders.Each(&m.Books[i], func(o *book.Order) {
				if o.Sell {
					want[asset{o.Account, o.Market, engine.Outcome(o.Outcome).Index()}] += int64(o.Shares)
				} else {
					want[asset{o.Account, 0, 0}] += int64(posting.Held(o))
				}
			})
		}
	}
	for i := range s.Accounts {
		id := uint32(i + 1)
		if got := int64(s.Ledger.Reserved(id)); got != want[asset{id, 0, 0}] {
			return fmt.Errorf("account %d has %d credits reserved, its orders need %d", id, got, want[asset{id, 0, 0}])
		}
	}
	var held fold.Funds
	for _, m := range s.Markets {
		held.Add(m.Balance, 1)
		for i := range m.Balance.Holders() {
			for o := range m.Outcomes() {
				a := m.Balance.Holder(i)
				if got := int64(m.Balance.Held(i, o)); got != want[asset{a, uint32(m.ID), o}] {
					return fmt.Errorf("account %d has %d shares of %s reserved, its orders need %d", a, got, m.ID, want[asset{a, uint32(m.ID), o}])
				}
			}
		}
		if err := market(m); err != nil {
			return fmt.Errorf("market %s: %w", m.ID, err)
		}
	}
	if held != s.Held {
		return fmt.Errorf("markets hold %+v, the state says %+v", held, s.Held)
	}
	return nil
}

var errCrossed = errors.New("a resting order stands across the pool's price")

func market(m *fold.Market) error {
	if m.State == engine.Settling || m.State == engine.Resolved || m.State == engine.Canceled {
		return nil
	}
	for o := range m.Outcomes() {
		if m.Balance.Supply(o) != engine.Shares(m.Balance.Collateral()) {
			return fmt.Errorf("%d shares of outcome %d are backed by %d credits", m.Balance.Supply(o), o, m.Balance.Collateral())
		}
	}
	var room [engine.MaxOutcomes]engine.Price
	sum := engine.Price(0)
	for i, p := range amm.Prices(m.Balance.Pools(), room[:0]) {
		bid, ask := m.Best(i)
		// With more than two outcomes a trade in one of them moves the prices of the
		// others past orders that wait there; those stay at their own limits.
		if len(m.Books) == 1 && m.State == engine.Open && (bid > p+1 || ask != 0 && ask < p-1) {
			return fmt.Errorf("%w: bid %d, pool %d, ask %d of outcome %d", errCrossed, bid, p, ask, i)
		}
		sum += p
	}
	if sum != engine.One {
		return fmt.Errorf("prices sum to %d", sum)
	}
	return nil
}
