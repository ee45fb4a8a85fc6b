package ledger

import (
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Conserved checks the whole ledger: what was issued is what accounts, markets and
// platform have; the shares and units of each market are those of its pool and
// holders; nothing is outside 0..MaxBalance; and holders and accounts know each
// other. It costs a look at every balance. The error wraps ErrLedger.
func (l *Ledger) Conserved() error {
	var sum total
	sum.add(int64(l.platform))
	for i := range l.accounts {
		a := &l.accounts[i]
		sum.add(int64(a.available))
		sum.add(int64(a.reserved))
	}
	joined := 0
	for _, m := range l.markets {
		if err := m.Conserved(); err != nil {
			return err
		}
		sum.add(int64(m.funds.collateral))
		sum.add(int64(m.funds.fees))
		sum.add(int64(m.funds.rounding))
		joined += len(m.holders)
	}
	if !sum.is(int64(l.issued)) {
		return fmt.Errorf("%w: %d credits are issued, %s exist", ErrLedger, l.issued, sum)
	}
	for i := range l.accounts {
		for _, id := range l.accounts[i].markets {
			m := l.Market(id)
			if m == nil {
				return fmt.Errorf("%w: account %d takes part in market %d, which is none", ErrLedger, i+1, id)
			}
			if _, ok := m.Index(uint32(i + 1)); !ok {
				return fmt.Errorf("%w: market %d does not know account %d", ErrLedger, id, i+1)
			}
			joined--
		}
	}
	if joined != 0 {
		return fmt.Errorf("%w: %d holders do not know their market", ErrLedger, joined)
	}
	return nil
}

// Conserved checks the shares and units of one market as Ledger.Conserved does.
func (m *Market) Conserved() error {
	for i, a := range m.holders {
		if j, ok := m.Index(a); !ok || i != j {
			return fmt.Errorf("%w: holder %d of market %d is not account %d", ErrLedger, i, m.id, a)
		}
	}
	for o := range m.n {
		var sum total
		sum.add(int64(m.pools[o]))
		for i := range m.holders {
			sum.add(int64(m.Shares(i, o)))
			sum.add(int64(m.Held(i, o)))
		}
		if !sum.is(int64(m.supply[o])) {
			return fmt.Errorf("%w: outcome %d of market %d has a supply of %d, %s exist", ErrLedger, o, m.id, m.supply[o], sum)
		}
		if d := m.supply[o] - fixed.Shares(m.funds.collateral); m.lack == nil && d != 0 || m.lack != nil && d != m.lack[o] {
			return fmt.Errorf("%w: outcome %d of market %d is %d off its collateral unnoticed", ErrLedger, o, m.id, d)
		}
	}
	var sum total
	for i := range m.holders {
		sum.add(int64(m.UnitsOf(i)))
	}
	if !sum.is(int64(m.units)) {
		return fmt.Errorf("%w: market %d has %d units, %s exist", ErrLedger, m.id, m.units, sum)
	}
	return nil
}

// total is a sum of balances that sticks to the first impossible one.
type total struct {
	sum int64
	bad bool
}

func (t *total) add(balance int64) {
	if t.bad {
		return
	}
	t.bad = uint64(balance) > MaxBalance
	if t.sum += balance; t.sum > MaxBalance {
		t.bad = true
	}
}

func (t *total) is(want int64) bool { return !t.bad && t.sum == want }

// String says the sum, or where it went wrong.
func (t total) String() string {
	if t.bad {
		return fmt.Sprintf("impossible balances (%d)", t.sum)
	}
	return fmt.Sprint(t.sum)
}
