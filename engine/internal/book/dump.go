package book

import (
	"math"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/wire"
)

// InOrder calls fn for every order of all books, by id. fn must not change the
// store.
func (s *Store) InOrder(fn func(*Order)) {
	type place struct {
		id uint64
		h  uint32
	}
	all := make([]place, 0, s.Len())
	for i := range s.accounts {
		for h := s.accounts[i].head; h != none; h = s.nodes.at(h).links[inAccount].next {
			all = append(all, place{s.nodes.at(h).ID, h})
		}
	}
	slices.SortFunc(all, func(a, b place) int {
		if a.id < b.id {
			return -1
		}
		return 1
	})
	for _, p := range all {
		fn(&s.nodes.at(p.h).Order)
	}
}

// Code writes or reads all orders, by id, which with their prices is their
// priority. find gives a book for an order that was read, and sets where it stands
// there: Bid, Book and Price follow from what its owner gave and are not written.
// It returns nil for an order that can stand nowhere. What is read into is
// NewStore.
func (s *Store) Code(c *dump.Codec, find func(*Order) *Book) {
	n := c.Len(s.Len(), math.MaxInt32)
	before := uint64(0)
	if !c.Decoding {
		s.InOrder(func(o *Order) {
			c.Next()
			copied := *o
			copied.code(c, before)
			before = o.ID
		})
		return
	}
	for i := 0; i < n && c.Err == nil; i++ {
		var o Order
		c.Next()
		o.code(c, before)
		b := find(&o)
		if c.Err != nil || b == nil || o.ID <= before || o.Price < 1 || o.Price >= fixed.One {
			c.Fail("order %d is none", o.ID)
			return
		}
		s.Add(b, o)
		before = o.ID
	}
}

func (o *Order) code(c *dump.Codec, before uint64) {
	o.ID -= before
	wire.Num(&c.Codec, &o.ID)
	o.ID += before
	wire.Num(&c.Codec, &o.Account)
	wire.Num(&c.Codec, &o.Market)
	wire.Num(&c.Codec, &o.Outcome)
	c.Flag(&o.Sell)
	wire.Num(&c.Codec, &o.TIF)
	wire.Signed(&c.Codec, &o.Limit)
	wire.Signed(&c.Codec, &o.Shares)
	wire.Signed(&c.Codec, &o.Filled)
	wire.Signed(&c.Codec, &o.Expires)
	if c.Decoding && (o.Limit < 1 || o.Limit >= fixed.One || o.Shares < 1 || o.Shares > fixed.MaxPool || o.Filled < 0 || o.Filled > math.MaxInt64-o.Shares) {
		c.Fail("order %d rests %d at %d", o.ID, o.Shares, o.Limit)
	}
}
