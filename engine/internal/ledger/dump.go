package ledger

import (
	"math"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// Code writes or reads the ledger: everything that a later Apply or Rewind can
// depend on. Equal histories give equal bytes on every platform, however memory
// lies. What is read into is New; a reader refuses balances that cannot be, not
// those that do not add up: for that there is Conserved.
func (l *Ledger) Code(c *dump.Codec) {
	wire.Signed(&c.Codec, &l.at)
	balance(c, &l.issued)
	balance(c, &l.platform)
	dump.List(c, &l.accounts, math.MaxInt32, func(a *account) {
		balance(c, &a.available)
		balance(c, &a.reserved)
		dump.List(c, &a.markets, math.MaxInt32, func(m *uint32) { wire.Num(&c.Codec, m) })
	})
	dump.List(c, &l.markets, math.MaxInt32, func(m **Market) {
		if c.Decoding {
			*m = &Market{}
		}
		(*m).code(c, len(l.accounts))
	})
	if !c.Decoding {
		return
	}
	for i, m := range l.markets {
		m.id = uint32(i + 1)
	}
	for i := range l.accounts {
		for _, m := range l.accounts[i].markets {
			if l.Market(m) == nil {
				c.Fail("account %d takes part in market %d, which is none", i+1, m)
			}
		}
	}
	if l.at < 0 {
		c.Fail("time %d of the ledger", l.at)
	}
}

// balance codes a number that lies within 0..MaxBalance.
func balance[T ~int64](c *dump.Codec, v *T) {
	wire.Signed(&c.Codec, v)
	if c.Decoding && uint64(*v) > MaxBalance {
		c.Fail("a balance of %d", *v)
		*v = 0
	}
}

func (m *Market) code(c *dump.Codec, accounts int) {
	m.n = c.Len(m.n, MaxOutcomes)
	if c.Decoding {
		if m.n < 2 {
			c.Fail("a market of %d outcomes", m.n)
			return
		}
		stock := make([]fixed.Shares, 2*m.n)
		m.pools, m.supply = stock[:m.n:m.n], stock[m.n:]
	}
	balance(c, &m.units)
	balance(c, &m.funds.collateral)
	balance(c, &m.funds.fees)
	balance(c, &m.funds.rounding)
	for o := range m.n {
		balance(c, &m.pools[o])
		balance(c, &m.supply[o])
	}
	n := c.Len(len(m.holders), math.MaxInt32)
	if c.Decoding { // a holder takes some bytes, so this is bounded by what is there
		room := min(n, len(c.B))
		m.holders, m.net, m.shares = make([]uint32, 0, room), make([]fixed.Micros, 0, room), make([]fixed.Shares, 0, room*m.n)
	}
	for i := 0; i < n && c.Err == nil; i++ {
		c.Next()
		m.codeHolder(c, i, accounts)
	}
	m.ring.code(c, len(m.holders), m.n)
	if c.Decoding {
		m.lacks()
	}
}

func (m *Market) codeHolder(c *dump.Codec, i, accounts int) {
	id := uint32(0)
	if !c.Decoding {
		id = m.holders[i]
	}
	wire.Num(&c.Codec, &id)
	if c.Decoding {
		if id-1 >= uint32(accounts) || m.index.find(m.holders, id) >= 0 {
			c.Fail("holder %d is account %d", i, id)
			return
		}
		m.join(id)
	}
	wire.Signed(&c.Codec, &m.net[i])
	if uint64(m.net[i]+maxSum) > 2*maxSum && c.Decoding {
		c.Fail("account %d paid %d", id, m.net[i])
	}
	units := m.UnitsOf(i)
	balance(c, &units)
	if c.Decoding && units != 0 {
		m.unitsOf = stretch(m.unitsOf, i+1)
		m.unitsOf[i] = units
	}
	for o := range m.n {
		balance(c, &m.shares[i*m.n+o])
	}
	for o := range m.n {
		held := m.Held(i, o)
		balance(c, &held)
		if c.Decoding && held != 0 {
			m.held = stretch(m.held, (i+1)*m.n)
			m.held[i*m.n+o] = held
		}
	}
}

// lacks works out which sets are not whole.
func (m *Market) lacks() {
	for o, s := range m.supply {
		if d := s - fixed.Shares(m.funds.collateral); d != 0 {
			m.lack = stretch(m.lack, m.n)
			m.lack[o] = d
		}
	}
}

func (r *ring) code(c *dump.Codec, holders, outcomes int) {
	r.limit = c.Len(r.limit, math.MaxInt)
	wire.Signed(&c.Codec, &r.window)
	wire.Signed(&c.Codec, &r.newest)
	wire.Signed(&c.Codec, &r.lost)
	if c.Decoding && (r.window < 0 || r.newest < -1 || r.lost < -1 || r.lost > r.newest) {
		c.Fail("a ring of %d changes, %d µs, from %d to %d", r.limit, r.window, r.lost, r.newest)
		return
	}
	n := c.Len(r.n, r.limit)
	before := int64(0)
	for i := 0; i < n && c.Err == nil; i++ {
		c.Next()
		var d delta
		if !c.Decoding {
			d = *r.get(i)
		}
		d.at -= before
		wire.Signed(&c.Codec, &d.at)
		d.at += before
		wire.Signed(&c.Codec, &d.amount)
		wire.Num(&c.Codec, &d.holder)
		what := uint16(d.outcome)<<4 | uint16(d.kind)
		wire.Num(&c.Codec, &what)
		d.outcome, d.kind = uint8(what>>4), Kind(what&15)
		if c.Decoding {
			if what>>12 != 0 || d.at < before || d.at > r.newest || !d.fits(holders, outcomes) {
				c.Fail("change %d of a ring is none", i)
				return
			}
			r.keep(d)
		}
		before = d.at
	}
}

// fits reports whether a change can be of a market.
func (d *delta) fits(holders, outcomes int) bool {
	if uint64(d.amount+maxSum) > 2*maxSum {
		return false
	}
	switch d.kind {
	case Available:
		return int64(d.holder) < int64(holders) && (int(d.outcome) < outcomes || d.outcome == Units || d.outcome == money)
	case Supply:
		return d.holder == 0 && int(d.outcome) < outcomes
	case Collateral, Fees, Rounding:
		return d.holder == 0 && d.outcome == money
	}
	return false
}

// CodePast writes or reads a rewind of the market, nil if there is none. Of one
// that is not done, what it was asked for and how far it is; the rest follows from
// the market. It comes after the ledger.
func (m *Market) CodePast(c *dump.Codec, p **Past) {
	there := *p != nil
	if c.Flag(&there); !there {
		return
	}
	if c.Decoding {
		*p = &Past{m: m}
	}
	(*p).code(c)
}

func (p *Past) code(c *dump.Codec) {
	m := p.m
	stale := p.seen != m.moves && !p.done // it begins again with its next step
	wire.Signed(&c.Codec, &p.s)
	c.Flag(&p.done)
	c.Flag(&stale)
	switch {
	case p.done && stale:
		c.Fail("a rewind that is done begins again")
	case p.done:
		p.codeDone(c)
	case stale:
		p.seen = m.moves - 1
	default:
		at, left := c.Len(p.holders, len(m.holders)), c.Len(p.left, m.ring.n)
		if c.Decoding {
			p.resume(c, at, left)
		}
	}
}

// resume brings a rewind to where it was.
func (p *Past) resume(c *dump.Codec, holders, left int) {
	for p.begin(); p.holders < holders; p.holders++ {
		p.take(p.holders)
	}
	if left != p.left && holders < len(p.received) {
		c.Fail("a rewind is at change %d before all holders", left)
		return
	}
	for p.left > left {
		p.left--
		p.undo(p.m.ring.get(p.left))
	}
}

func (p *Past) codeDone(c *dump.Codec) {
	m := p.m
	if c.Decoding {
		p.seen = m.moves
		p.pools, p.supply = make([]fixed.Shares, m.n), make([]fixed.Shares, m.n)
	}
	for _, v := range []*fixed.Micros{&p.funds.collateral, &p.funds.fees, &p.funds.rounding} {
		wire.Signed(&c.Codec, v)
	}
	wire.Signed(&c.Codec, &p.sets)
	wire.Signed(&c.Codec, &p.units)
	for o := range m.n {
		wire.Signed(&c.Codec, &p.pools[o])
		wire.Signed(&c.Codec, &p.supply[o])
	}
	n := c.Len(p.holders, len(m.holders))
	for i := 0; i < n && c.Err == nil; i++ {
		c.Next()
		if c.Decoding {
			p.holders++
			p.unitsOf, p.received = append(p.unitsOf, 0), append(p.received, 0)
			p.shares = stretch(p.shares, p.holders*m.n)
		}
		wire.Signed(&c.Codec, &p.unitsOf[i])
		wire.Signed(&c.Codec, &p.received[i])
		for o := range m.n {
			wire.Signed(&c.Codec, &p.shares[i*m.n+o])
		}
	}
}
