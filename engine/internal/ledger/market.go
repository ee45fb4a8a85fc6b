package ledger

import (
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Market is what belongs to one market: its own accounts, who holds how much of
// it, and the ring of its latest changes. It changes by Ledger.Apply alone.
type Market struct {
	id     uint32
	n      int            // outcomes
	pools  []fixed.Shares // by outcome
	supply []fixed.Shares // by outcome; minus the balance of Supply
	units  fixed.Shares   // liquidity units in existence; minus the balance of Supply
	funds  funds
	lack   []fixed.Shares // supply − collateral by outcome; nil while all sets have been whole

	// Holders, by index. A position is at index·n + outcome; held and unitsOf are
	// short while the later holders have none.
	holders []uint32
	index   index
	shares  []fixed.Shares // available
	held    []fixed.Shares // reserved
	unitsOf []fixed.Shares
	net     []fixed.Micros // credits paid in, less those received

	lastAccount uint32 // holders[lastIndex]; zero before the first
	lastIndex   int

	ring  ring
	moves uint64 // changes ever noted

	touched bool  // by the Apply under way,
	was     funds // before which the funds were this, and whose tally has its
	sums    int   // sums from here on
}

// funds are the credits of a market.
type funds struct{ collateral, fees, rounding fixed.Micros }

func newMarket(id uint32, outcomes int, limits RingLimits) *Market {
	if outcomes < 2 || outcomes > MaxOutcomes {
		panic(fmt.Sprintf("ledger: a market of %d outcomes", outcomes))
	}
	stock := make([]fixed.Shares, 2*outcomes)
	return &Market{
		id: id, n: outcomes, pools: stock[:outcomes:outcomes], supply: stock[outcomes:],
		ring: newRing(limits),
	}
}

// PoolsOf returns a market that has the pools of m as they are now, and nothing
// else: for a dry run, which moves no credits and no shares.
func PoolsOf(m *Market) *Market {
	return &Market{id: m.id, n: m.n, pools: append([]fixed.Shares(nil), m.pools...)}
}

// Outcomes returns how many outcomes the market has.
func (m *Market) Outcomes() int { return m.n }

// Pools returns the shares that the maker holds, by outcome. The slice is the
// market's: it follows every Apply and must not be written to.
func (m *Market) Pools() []fixed.Shares { return m.pools }

// Supply returns the shares of an outcome in existence.
func (m *Market) Supply(o int) fixed.Shares { return m.supply[o] }

// Units returns the liquidity units in existence.
func (m *Market) Units() fixed.Shares { return m.units }

// Collateral returns the credits that back the shares.
func (m *Market) Collateral() fixed.Micros { return m.funds.collateral }

// Fees returns the taker fees that are held.
func (m *Market) Fees() fixed.Micros { return m.funds.fees }

// Rounding returns the credits that directed rounding left over.
func (m *Market) Rounding() fixed.Micros { return m.funds.rounding }

// Holders returns how many accounts ever held anything of the market or paid
// anything into it; their indexes are 0..Holders−1 in the order of the first time.
func (m *Market) Holders() int { return len(m.holders) }

// Holder returns the account of a holder.
func (m *Market) Holder(i int) uint32 { return m.holders[i] }

// Index returns the index of an account among the holders.
func (m *Market) Index(account uint32) (int, bool) {
	i := m.index.find(m.holders, account)
	return i, i >= 0
}

// Shares returns the available shares of an outcome that holder i has.
func (m *Market) Shares(i, o int) fixed.Shares { return m.shares[i*m.n+o] }

// Held returns the shares of an outcome that holder i has reserved for orders.
func (m *Market) Held(i, o int) fixed.Shares { return at(m.held, i*m.n+o) }

// UnitsOf returns the liquidity units of holder i.
func (m *Market) UnitsOf(i int) fixed.Shares { return at(m.unitsOf, i) }

// Net returns the credits that holder i paid into the market over its life, less
// those it received; negative if it received more.
func (m *Market) Net(i int) fixed.Micros { return m.net[i] }

// at reads a slice that is short while its end is zero.
func at[T ~int64](s []T, i int) T {
	if i >= len(s) {
		return 0
	}
	return s[i]
}

// join adds a holder.
func (m *Market) join(account uint32) int {
	m.holders = append(m.holders, account)
	m.index.add(m.holders)
	m.shares = stretch(m.shares, len(m.holders)*m.n)
	m.net = append(m.net, 0)
	return len(m.holders) - 1
}

// stretch returns s with zeros up to length n.
func stretch[T any](s []T, n int) []T {
	if len(s) < n {
		s = append(s, make([]T, n-len(s))...)
	}
	return s
}

// hold adds to a position, o being n for units, and returns what it is then.
func (m *Market) hold(kind Kind, i, o int, amount int64) (after int64, ok bool) {
	p, at := &m.shares, i*m.n+o
	switch {
	case o == m.n && kind == Reserved:
		return 0, false // no order sells parts of a pool
	case o == m.n:
		m.unitsOf = stretch(m.unitsOf, i+1)
		p, at = &m.unitsOf, i
	case kind == Reserved:
		m.held = stretch(m.held, (i+1)*m.n)
		p = &m.held
	}
	(*p)[at] += fixed.Shares(amount)
	return int64((*p)[at]), true
}

// fund adds to the credits of an account of the market.
func (m *Market) fund(kind Kind, amount int64) (after int64, ok bool) {
	b := &m.funds.collateral
	switch kind {
	case Collateral:
	case Fees:
		b = &m.funds.fees
	case Rounding:
		b = &m.funds.rounding
	default:
		return 0, false
	}
	*b += fixed.Micros(amount)
	return int64(*b), true
}

// stock adds to the shares, or the units if o is n, of an account of the market.
func (m *Market) stock(kind Kind, o int, amount int64) (after int64, ok bool) {
	switch {
	case kind == Supply && o == m.n:
		m.units -= fixed.Shares(amount)
		return int64(m.units), true
	case kind == Supply:
		m.supply[o] -= fixed.Shares(amount)
		return int64(m.supply[o]), true
	case kind == Pool && o < m.n:
		m.pools[o] += fixed.Shares(amount)
		return int64(m.pools[o]), true
	}
	return 0, false
}

// settle notes what an Apply changed in the market's own accounts. The pools need
// no note: they are what is left of the supply. Nor does the supply while every
// set is whole, because then it is the collateral.
func (m *Market) settle(at int64) {
	m.touched = false
	m.noteFund(at, Collateral, m.funds.collateral-m.was.collateral)
	m.noteFund(at, Fees, m.funds.fees-m.was.fees)
	m.noteFund(at, Rounding, m.funds.rounding-m.was.rounding)
	whole := true
	for _, s := range m.supply {
		whole = whole && int64(s) == int64(m.funds.collateral)
	}
	if whole && m.lack == nil {
		return
	}
	m.lack = stretch(m.lack, m.n)
	for o, s := range m.supply {
		if d := s - fixed.Shares(m.funds.collateral) - m.lack[o]; d != 0 {
			m.lack[o] += d
			m.note(delta{at: at, amount: int64(d), outcome: uint8(o), kind: Supply})
		}
	}
}

func (m *Market) noteFund(at int64, kind Kind, d fixed.Micros) {
	if d != 0 {
		m.note(delta{at: at, amount: int64(d), outcome: money, kind: kind})
	}
}

func (m *Market) note(d delta) {
	m.moves++
	m.ring.push(d)
}

// Reaches reports whether the ring still holds everything that changed after
// time s (µs), so that Rewind can go there.
func (m *Market) Reaches(s int64) bool { return s >= m.ring.lost }

// Seal lets go of the ring of a market that has ended, for good: it reaches
// nothing before the last change any more, and changes to come are not kept.
func (m *Market) Seal() {
	m.moves++
	m.ring.seal()
}
