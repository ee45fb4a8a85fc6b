package season

import (
	"cmp"
	"maps"
	"math"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/wire"
	"github.com/mbp-market/mbp/engine/internal/words"
)

// Bounds of what is read.
const (
	maxSeasons  = 64 // more than the commands let there be
	maxName     = 64
	maxOutcomes = 64
)

// Code writes or reads the set; what is read into is empty. There are so many accounts
// and markets.
func (s *Set) Code(c *dump.Codec, accounts, markets int) {
	dump.List(c, &s.all, maxSeasons, func(x **Season) {
		if c.Decoding {
			*x = &Season{}
		}
		(*x).code(c, uint32(accounts))
	})
	dump.List(c, &s.base, accounts, func(v *fixed.Micros) { wire.Signed(&c.Codec, v) })
	counting := s.count != nil
	if c.Flag(&counting); counting && c.Err == nil {
		if c.Decoding {
			s.count = &Count{kept: map[place]fixed.Micros{}, marks: map[uint32]*Mark{}, ranked: map[uint32]bool{}}
		}
		s.count.ends, s.count.begins = s.coded(c, s.count.ends), s.coded(c, s.count.begins)
		s.count.code(c, accounts, markets)
	}
	if c.Decoding {
		s.fits(c)
	}
}

func (x *Season) code(c *dump.Codec, accounts uint32) {
	c.Text(&x.Name, maxName)
	for _, v := range [...]*int64{&x.Start, &x.End, &x.Began, &x.Over} {
		wire.Signed(&c.Codec, v)
	}
	wire.Num(&c.Codec, &x.State)
	last := fixed.Micros(math.MaxInt64)
	dump.List(c, &x.Standings, math.MaxInt32, func(y *Standing) {
		wire.Num(&c.Codec, &y.Account)
		wire.Signed(&c.Codec, &y.Profit)
		if c.Decoding && (y.Account > accounts || y.Profit > last) {
			c.Fail("season %q: account %d with %d", x.Name, y.Account, y.Profit)
		}
		last = y.Profit
	})
	if c.Decoding && (x.State < words.Announced || x.State > words.Ended || x.Start > x.End) {
		c.Fail("season %q in state %d", x.Name, x.State)
	}
}

// coded codes which of the seasons is meant, by its place from 1 on.
func (s *Set) coded(c *dump.Codec, x *Season) *Season {
	i := uint32(slices.Index(s.all, x) + 1)
	if wire.Num(&c.Codec, &i); !c.Decoding {
		return x
	}
	if int64(i) > int64(len(s.all)) {
		c.Fail("season %d is counted", i)
		return nil
	}
	if i == 0 {
		return nil
	}
	return s.all[i-1]
}

func (n *Count) code(c *dump.Codec, accounts, markets int) {
	dump.List(c, &n.was, accounts, func(v *fixed.Micros) { wire.Signed(&c.Codec, v) })
	wire.Num(&c.Codec, &n.from)
	wire.Num(&c.Codec, &n.last)
	wire.Num(&c.Codec, &n.done)
	wire.Signed(&c.Codec, &n.part)
	if c.Decoding && (n.from < 1 || n.from > n.last || int64(n.last) > int64(accounts)) {
		c.Fail("accounts %d to %d are counted", n.from, n.last)
	}
	places := slices.SortedFunc(maps.Keys(n.kept), func(a, b place) int {
		return cmp.Or(cmp.Compare(a.account, b.account), cmp.Compare(a.market, b.market))
	})
	dump.List(c, &places, math.MaxInt32, func(p *place) {
		worth := n.kept[*p]
		wire.Num(&c.Codec, &p.account)
		wire.Num(&c.Codec, &p.market)
		wire.Signed(&c.Codec, &worth)
		n.kept[*p] = worth
	})
	ids := slices.Sorted(maps.Keys(n.marks))
	dump.List(c, &ids, markets, func(id *uint32) {
		m := n.marks[*id]
		if c.Decoding {
			m = &Mark{}
		}
		wire.Num(&c.Codec, id)
		dump.List(c, &m.Prices, maxOutcomes, func(p *fixed.Price) { wire.Signed(&c.Codec, p) })
		wire.Signed(&c.Codec, &m.Pools)
		wire.Signed(&c.Codec, &m.Units)
		n.marks[*id] = m
	})
	changed := slices.Sorted(maps.Keys(n.ranked))
	dump.List(c, &changed, accounts, func(a *uint32) {
		wire.Num(&c.Codec, a)
		ranked := n.ranked[*a]
		c.Flag(&ranked)
		n.ranked[*a] = ranked
	})
	if c.Decoding && c.Err == nil && (len(places) != len(n.kept) || len(ids) != len(n.marks) || len(changed) != len(n.ranked)) {
		c.Fail("something is kept twice of a count")
	}
}

// fits refuses what no set can be.
func (s *Set) fits(c *dump.Codec) {
	names := map[string]bool{}
	running, counting := 0, 0
	for i, x := range s.all {
		names[x.Name] = true
		switch x.State {
		case words.Running:
			running++
		case words.Counting:
			counting++
		}
		if i > 0 && (s.all[i-1].Start > x.Start || s.all[i-1].State < x.State) {
			c.Fail("season %q stands after %q", x.Name, s.all[i-1].Name)
		}
	}
	n := s.count
	switch {
	case c.Err != nil:
	case len(names) != len(s.all) || running > 1 || counting > 1 || running == 0 && len(s.base) != 0:
		c.Fail("two seasons run, or have a name")
	case n == nil && counting != 0 || n != nil && n.ends != nil && n.ends.State != words.Counting ||
		n != nil && n.begins != nil && (n.begins.State != words.Running || len(s.base) < int(n.last)) || n != nil && n.ends == nil && n.begins == nil:
		c.Fail("the count is of no season")
	}
}
