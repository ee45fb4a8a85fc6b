package ledger

import (
	"fmt"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Past is what a market was at a time S. It comes about in steps, so that a long
// way back does not hold up other markets; read it when Step says done. From then
// on it stays what it is, whatever happens to the market.
type Past struct {
	m    *Market
	s    int64 // µs
	seen uint64
	left int // changes of the ring to look at
	done bool

	holders  int            // copied so far, all of them when done
	shares   []fixed.Shares // index·n + outcome, with the reserved ones
	unitsOf  []fixed.Shares
	received []fixed.Micros // after S
	pools    []fixed.Shares // before sets is taken off
	supply   []fixed.Shares // before sets is taken off
	sets     fixed.Shares   // complete sets that came into existence after S
	units    fixed.Shares
	funds    funds
}

// Rewind begins to work out what the market was after the last change at or
// before time s (µs); nil if the ring does not reach that far. The market must
// not change before Step has done: if it does, the work begins again, and panics
// if the ring has lost what it needs.
func (m *Market) Rewind(s int64) *Past {
	if !m.Reaches(s) {
		return nil
	}
	p := &Past{m: m, s: s}
	p.begin()
	return p
}

// begin copies what is the market's; the holders follow in steps.
func (p *Past) begin() {
	m := p.m
	*p = Past{
		m: m, s: p.s, seen: m.moves, left: m.ring.n,
		shares:  make([]fixed.Shares, 0, len(m.shares)),
		unitsOf: make([]fixed.Shares, 0, len(m.holders)), received: make([]fixed.Micros, len(m.holders)),
		pools: append([]fixed.Shares(nil), m.pools...), supply: append([]fixed.Shares(nil), m.supply...),
		units: m.units, funds: m.funds,
	}
}

// Step does a part of the work: it copies at most n holders or undoes at most n
// changes, n positive. It reports whether nothing is left to do.
func (p *Past) Step(n int) (done bool) {
	if p.done {
		return true
	}
	if p.m.moves != p.seen {
		if !p.m.Reaches(p.s) {
			panic(fmt.Sprintf("ledger: market %d changed during its rewind and forgot time %d", p.m.id, p.s))
		}
		p.begin()
	}
	for ; n > 0 && p.holders < len(p.received); n-- {
		p.take(p.holders)
		p.holders++
	}
	for ; n > 0 && p.left > 0; n-- {
		d := p.m.ring.get(p.left - 1)
		if d.at <= p.s {
			p.left = 0
			break
		}
		p.left--
		p.undo(d)
	}
	p.done = p.holders == len(p.received) && p.left == 0
	return p.done
}

// take copies the present of a holder.
func (p *Past) take(i int) {
	for o := range p.m.n {
		p.shares = append(p.shares, p.m.Shares(i, o)+p.m.Held(i, o))
	}
	p.unitsOf = append(p.unitsOf, p.m.UnitsOf(i))
}

func (p *Past) undo(d *delta) {
	q := fixed.Shares(d.amount)
	switch d.kind {
	case Available:
		switch d.outcome {
		case money:
			p.received[d.holder] += fixed.Micros(d.amount)
		case Units:
			p.unitsOf[d.holder] -= q
			p.units -= q
		default:
			p.shares[int(d.holder)*p.m.n+int(d.outcome)] -= q
			p.pools[d.outcome] += q
		}
	case Collateral:
		p.funds.collateral -= fixed.Micros(d.amount)
		p.sets += q
	case Fees:
		p.funds.fees -= fixed.Micros(d.amount)
	case Rounding:
		p.funds.rounding -= fixed.Micros(d.amount)
	case Supply:
		p.supply[d.outcome] -= q
		p.pools[d.outcome] -= q
	}
}

// At returns the time S it was asked for, µs.
func (p *Past) At() int64 { return p.s }

// Shares returns the shares of an outcome that holder i had, reserved ones
// included; zero for one who came later.
func (p *Past) Shares(i, o int) fixed.Shares { return at(p.shares, i*p.m.n+o) }

// UnitsOf returns the liquidity units that holder i had.
func (p *Past) UnitsOf(i int) fixed.Shares { return at(p.unitsOf, i) }

// Received returns the credits that holder i received from the market after S,
// until the rewind began, less those it paid.
func (p *Past) Received(i int) fixed.Micros { return at(p.received, i) }

// Collateral returns the credits that backed the shares.
func (p *Past) Collateral() fixed.Micros { return p.funds.collateral }

// Fees returns the taker fees that were held.
func (p *Past) Fees() fixed.Micros { return p.funds.fees }

// Rounding returns the credits that directed rounding had left over.
func (p *Past) Rounding() fixed.Micros { return p.funds.rounding }

// Units returns the liquidity units that existed.
func (p *Past) Units() fixed.Shares { return p.units }

// Supply returns the shares of an outcome that existed.
func (p *Past) Supply(o int) fixed.Shares { return p.supply[o] - p.sets }

// Pools appends to dst the shares that the maker held, by outcome.
func (p *Past) Pools(dst []fixed.Shares) []fixed.Shares {
	for _, q := range p.pools {
		dst = append(dst, q-p.sets)
	}
	return dst
}
