// Package book keeps the resting orders of all markets in price-time priority.
// It promises that the best order is found in constant time, that every change
// costs at most the logarithm of the number of price levels, that nothing is
// allocated once the store has been as full as it is now, and that what it tells
// of a book depends on the orders in it alone, never on how they got there.
// It refuses to match, to judge prices or to move money: it takes what its
// caller decided, and panics where that cannot be true.
//
// The levels of a side are the leaves of a B+-tree (Comer, The Ubiquitous
// B-Tree, ACM Computing Surveys 11(2), 1979) and a list from the best outwards.
// Balanced by count and not by chance, the tree has no prices that unbalance it.
// Orders are found by linear hashing (Litwin, VLDB 1980), which grows by one
// bucket at a time, so that no single order pays for a table that became full.
package book

import (
	"math"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Order is a resting order. Prices are in the space of its book: the price of
// the book's first outcome, so a bid gains when the price falls. On a
// two-outcome market a buy of the second outcome at q is an ask at 1,000,000−q;
// the caller mirrors.
type Order struct {
	ID      uint64       // unique and increasing with time: the earlier of two at a price has the smaller one
	Account uint32       // its owner
	Market  uint32       // where it rests
	Outcome uint8        // of the order as its owner gave it
	Sell    bool         // of the order as its owner gave it
	Bid     bool         // side in the book
	Book    uint8        // which book of its market: 0 on two outcomes, the outcome's index otherwise
	TIF     uint8        // time in force, of the caller's own numbering
	Price   fixed.Price  // in book space, 1..999,999
	Limit   fixed.Price  // as its owner gave it, of the owner's outcome
	Shares  fixed.Shares // what remains, above 0
	Filled  fixed.Shares // since it rested
	Expires int64        // µs, 0 never
}

// Level is what rests at one price.
type Level struct {
	Price  fixed.Price
	Shares fixed.Shares // the sum of what remains; at most the largest int64, and that if the sum is above it
	Orders int
}

// Book is one book: bids and asks. The zero value is empty and ready. A book
// belongs to the store that its first order went into, and is never copied.
type Book struct{ bids, asks side }

// side is one side of a book. Keys run from the best outwards: see keyOf.
type side struct {
	root   uint32 // block of the tree
	first  uint32 // best level
	best   uint32 // its key; 0 if there is none
	orders uint32
}

func (b *Book) side(bid bool) *side {
	if bid {
		return &b.bids
	}
	return &b.asks
}

// keyOf turns a price into the key of its level, which is the smaller the better
// the price is for a taker; priceOf turns it back.
func keyOf(bid bool, p fixed.Price) uint32 {
	if bid {
		return uint32(fixed.One - p)
	}
	return uint32(p)
}

func priceOf(bid bool, key uint32) fixed.Price {
	if bid {
		return fixed.One - fixed.Price(key)
	}
	return fixed.Price(key)
}

// Best returns the best price of a side, and false if nothing rests there.
func (b *Book) Best(bid bool) (fixed.Price, bool) {
	d := b.side(bid)
	if d.best == 0 {
		return 0, false
	}
	return priceOf(bid, d.best), true
}

// Len returns the number of orders in the book.
func (b *Book) Len() int { return int(b.bids.orders) + int(b.asks.orders) }

// level is one price of one side of a book.
type level struct {
	queue      list       // its orders, oldest first
	key        uint32     // its price
	next, prev uint32     // the level behind it and the one before it, from the best outwards
	total      fixed.U128 // shares: 2,048 orders of the largest size pass 63 bits
}

func (l *level) shares() fixed.Shares {
	if l.total.Hi != 0 || l.total.Lo > math.MaxInt64 {
		return math.MaxInt64
	}
	return fixed.Shares(l.total.Lo)
}

// Levels appends the best n levels of a side to dst, best first, and returns it.
func (s *Store) Levels(b *Book, bid bool, n int, dst []Level) []Level {
	for h := b.side(bid).first; h != none && n > 0; n-- {
		l := s.levels.at(h)
		dst = append(dst, Level{priceOf(bid, l.key), l.shares(), int(l.queue.n)})
		h = l.next
	}
	return dst
}

// Each calls fn for every order of the book: bids, then asks, each from the best
// price outwards, the oldest first inside a price. fn must not change the book.
func (s *Store) Each(b *Book, fn func(*Order)) {
	for _, bid := range [2]bool{true, false} {
		c := s.Cursor(b, bid)
		for o, ok := c.Next(); ok; o, ok = c.Next() {
			fn(o)
		}
	}
}

// Cursor walks one side of a book in price-time priority. Orders it has returned
// may be filled, reduced and removed meanwhile; any other change of the book
// ends its validity.
type Cursor struct {
	s    *Store
	at   uint32  // the order that Next returns
	list []Order // instead of a store: what is left of the list
}

// Over returns a walk over orders that were copied out of a store, as they stand
// in the list.
func Over(list []Order) Cursor { return Cursor{list: list} }

// Cursor returns a walk that begins at the best order of a side.
func (s *Store) Cursor(b *Book, bid bool) Cursor {
	c := Cursor{s: s}
	if first := b.side(bid).first; first != none {
		c.at = s.levels.at(first).queue.head
	}
	return c
}

// Peek returns the order that Next will return, and false at the end.
func (c *Cursor) Peek() (*Order, bool) {
	if len(c.list) != 0 {
		return &c.list[0], true
	}
	if c.at == none {
		return nil, false
	}
	return &c.s.nodes.at(c.at).Order, true
}

// Next returns the next order, and false at the end. The caller must not write
// through the pointer, and may read through it until the order is removed.
func (c *Cursor) Next() (*Order, bool) {
	if len(c.list) != 0 {
		o := &c.list[0]
		c.list = c.list[1:]
		return o, true
	}
	if c.at == none {
		return nil, false
	}
	n := c.s.nodes.at(c.at)
	c.at = n.links[inLevel].next
	if c.at == none {
		if next := c.s.levels.at(n.level).next; next != none {
			c.at = c.s.levels.at(next).queue.head
		}
	}
	return &n.Order, true
}
