package book

import (
	"iter"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Store holds the orders of all books of an engine. Use NewStore. Its memory
// follows the largest number of orders it ever held.
type Store struct {
	nodes    slab[node]
	levels   slab[level]
	blocks   slab[block]
	index    index
	accounts []list // orders of each account, by its number: numbers are dense
}

// node is an order and its places. A level and an account reach their orders
// through links inside them.
type node struct {
	Order
	links [2]links
	chain uint32 // the next order in its bucket of the index
	level uint32
}

// The lists that an order is in.
const (
	inLevel = iota
	inAccount
)

type links struct{ next, prev uint32 }

// list is a queue of orders by id.
type list struct{ head, tail, n uint32 }

// NewStore returns an empty store.
func NewStore() *Store { return &Store{} }

// Len returns the number of orders in all books.
func (s *Store) Len() int { return s.index.n }

// Count returns the number of orders of an account.
func (s *Store) Count(account uint32) int {
	if int64(account) < int64(len(s.accounts)) {
		return int(s.accounts[account].n)
	}
	return 0
}

// Add puts an order into its book. Orders may come in any order of their ids,
// but each walks over the later ones of its price and of its account, so a store
// that is filled again should be given them by id. It panics if the id is known,
// the price is not within 1..999,999, or there is nothing to trade.
func (s *Store) Add(b *Book, o Order) {
	switch {
	case o.Price < 1 || o.Price >= fixed.One:
		panic("book: price of an order is out of range")
	case o.Shares <= 0:
		panic("book: order without shares")
	case s.find(o.ID) != none:
		panic("book: order id is taken")
	}
	if n := int(o.Account) + 1; n > len(s.accounts) {
		s.accounts = append(s.accounts, make([]list, n-len(s.accounts))...)
	}
	h := s.nodes.take()
	d := b.side(o.Bid)
	lev := s.place(d, keyOf(o.Bid, o.Price))
	*s.nodes.at(h) = node{Order: o, level: lev}
	l := s.levels.at(lev)
	s.push(&l.queue, inLevel, h)
	l.total = l.total.Add(fixed.U128{Lo: uint64(o.Shares)})
	d.orders++
	s.push(&s.accounts[o.Account], inAccount, h)
	s.enter(h)
}

// Get returns an order. The caller must not write through the pointer, and may
// read through it until the order is removed.
func (s *Store) Get(id uint64) (*Order, bool) {
	h := s.find(id)
	if h == none {
		return nil, false
	}
	return &s.nodes.at(h).Order, true
}

// Fill takes q shares from an order of the book, counts them as filled, and
// removes the order if that was all. It panics if the order is not there or has
// less than q, or if q is not positive.
func (s *Store) Fill(b *Book, id uint64, q fixed.Shares) (done bool) {
	h := s.shrink(id, q)
	n := s.nodes.at(h)
	n.Filled += q
	if n.Shares > 0 {
		return false
	}
	s.drop(b, h)
	return true
}

// Reduce takes q shares from an order of the book without a fill; the order
// keeps its priority, and is removed if that was all. It panics as Fill does.
func (s *Store) Reduce(b *Book, id uint64, q fixed.Shares) (done bool) {
	h := s.shrink(id, q)
	if s.nodes.at(h).Shares > 0 {
		return false
	}
	s.drop(b, h)
	return true
}

// Remove takes an order out of the book and returns it as it was; false if the
// store does not have it.
func (s *Store) Remove(b *Book, id uint64) (Order, bool) {
	h := s.find(id)
	if h == none {
		return Order{}, false
	}
	o := s.nodes.at(h).Order
	s.drop(b, h)
	return o, true
}

// ByAccount yields the orders of an account in the order of their ids. The order
// just yielded may be changed or removed meanwhile, no other of the account.
func (s *Store) ByAccount(account uint32) iter.Seq[*Order] {
	return func(yield func(*Order) bool) {
		if int64(account) >= int64(len(s.accounts)) {
			return
		}
		for h := s.accounts[account].head; h != none; {
			n := s.nodes.at(h)
			h = n.links[inAccount].next
			if !yield(&n.Order) {
				return
			}
		}
	}
}

// shrink takes q shares from an order and from its level.
func (s *Store) shrink(id uint64, q fixed.Shares) (h uint32) {
	h = s.find(id)
	if h == none {
		panic("book: no such order")
	}
	n := s.nodes.at(h)
	if q <= 0 || q > n.Shares {
		panic("book: taking more shares than an order has, or none")
	}
	n.Shares -= q
	l := s.levels.at(n.level)
	l.total = l.total.Sub(fixed.U128{Lo: uint64(q)})
	return h
}

// drop removes an order with what remains of it.
func (s *Store) drop(b *Book, h uint32) {
	n := s.nodes.at(h)
	d := b.side(n.Bid)
	if d.orders == 0 {
		panic("book: the order rests in another book")
	}
	d.orders--
	l := s.levels.at(n.level)
	l.total = l.total.Sub(fixed.U128{Lo: uint64(n.Shares)})
	s.pull(&l.queue, inLevel, h)
	if l.queue.n == 0 {
		s.unplace(d, n.level)
	}
	s.pull(&s.accounts[n.Account], inAccount, h)
	s.leave(h)
	s.nodes.give(h)
}

// push puts an order into a list behind all with a smaller id.
func (s *Store) push(l *list, which int, h uint32) {
	n := s.nodes.at(h)
	prev, next := l.tail, uint32(none)
	for prev != none && s.nodes.at(prev).ID > n.ID {
		prev, next = s.nodes.at(prev).links[which].prev, prev
	}
	n.links[which] = links{next, prev}
	s.join(l, which, prev, h)
	s.join(l, which, h, next)
	l.n++
}

// pull takes an order out of a list.
func (s *Store) pull(l *list, which int, h uint32) {
	k := s.nodes.at(h).links[which]
	s.join(l, which, k.prev, k.next)
	l.n--
}

// join makes two orders neighbours in a list; none is the end of it.
func (s *Store) join(l *list, which int, prev, next uint32) {
	if prev == none {
		l.head = next
	} else {
		s.nodes.at(prev).links[which].next = next
	}
	if next == none {
		l.tail = prev
	} else {
		s.nodes.at(next).links[which].prev = prev
	}
}
