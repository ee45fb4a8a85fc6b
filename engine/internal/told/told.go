// Package told remembers what the state has to know of texts and persons: which
// texts were added to each market, and which accounts were erased, in order.
//
// It promises that a set that is read from its dump goes on as before, and one form
// for equal sets. It refuses to know what a text says: it has the ids alone, which
// say nothing once their salts are gone.
package told

import (
	"math"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// Text is a text that was added to a market.
type Text struct {
	Seq uint64 // of the decision that added it
	At  int64  // of that decision, µs
	ID  [32]byte
}

// Set is what is remembered. The zero value is empty.
type Set struct {
	texts   map[uint32][]Text // by market, in order; none has an empty list
	erased  []uint32          // accounts, in order
	nobodys map[uint32]bool   // the same
}

// Texts returns those of a market, in order; they are not changed.
func (s *Set) Texts(market uint32) []Text { return s.texts[market] }

// Add adds a text to a market.
func (s *Set) Add(market uint32, t Text) {
	if s.texts == nil {
		s.texts = map[uint32][]Text{}
	}
	s.texts[market] = append(s.texts[market], t)
}

// Erased reports whether an account was.
func (s *Set) Erased(account uint32) bool { return s.nobodys[account] }

// Erasures returns the accounts that were erased, in order, but for the first so
// many.
func (s *Set) Erasures(after int) []uint32 { return slices.Clone(s.erased[min(after, len(s.erased)):]) }

// Erase remembers that an account is nobody's; false if it was already.
func (s *Set) Erase(account uint32) bool {
	if s.nobodys[account] {
		return false
	}
	if s.nobodys == nil {
		s.nobodys = map[uint32]bool{}
	}
	s.nobodys[account] = true
	s.erased = append(s.erased, account)
	return true
}

// Code writes or reads the set; what is read into is empty. Of markets and accounts
// there are so many, and a market has at most so many texts.
func (s *Set) Code(c *dump.Codec, markets, accounts, each int, last uint64) {
	ids := make([]uint32, 0, len(s.texts))
	for id := range s.texts {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	before := uint32(0)
	dump.List(c, &ids, markets, func(id *uint32) {
		wire.Num(&c.Codec, id)
		texts := s.texts[*id]
		dump.List(c, &texts, each, func(t *Text) {
			wire.Num(&c.Codec, &t.Seq)
			wire.Signed(&c.Codec, &t.At)
			if c.Raw(t.ID[:]); c.Decoding && t.Seq > last {
				c.Fail("a text of sequence %d", t.Seq)
			}
		})
		if c.Decoding {
			if *id <= before || uint64(*id) > uint64(markets) || len(texts) == 0 {
				c.Fail("texts of market %d", *id)
			}
			for _, t := range texts {
				s.Add(*id, t)
			}
		}
		before = *id
	})
	accountsOf := s.erased
	if c.Decoding {
		s.erased = nil
	}
	dump.List(c, &accountsOf, min(accounts, math.MaxInt32), func(a *uint32) {
		if wire.Num(&c.Codec, a); c.Decoding && (*a == 0 || uint64(*a) > uint64(accounts) || !s.Erase(*a)) {
			c.Fail("account %d is erased", *a)
		}
	})
}
