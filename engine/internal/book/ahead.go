package book

import "github.com/mbp-market/mbp/engine/internal/fixed"

// Ahead is an order that will be added, or looked for, soon. Its methods, called in
// their order, each touch memory one step further than the one before, so that a
// caller with several orders takes each step for all of them: the memory then
// fetches for all at once (group prefetching: Chen, Ailamaki, Gibbons and Mowry,
// Improving Hash Join Performance through Prefetching, ICDE 2004). They change
// nothing, and what they return means nothing. Whatever was not foreseen is found
// without them.
type Ahead struct {
	ID      uint64
	Account uint32
	Fresh   bool  // it will be added, to this side of a book, at this price
	Book    uint8 // which of its market's
	Bid     bool
	Price   fixed.Price

	h     uint32 // first of its bucket, or none
	tail  uint32 // last of its account's, if it is fresh
	level uint32
	block uint32
}

// Find touches where the order is looked for.
func (a *Ahead) Find(s *Store) uint64 {
	if s.index.size == 0 {
		return 0
	}
	if a.h = *s.index.bucket(a.ID); a.Fresh && int64(a.Account) < int64(len(s.accounts)) {
		a.tail = s.accounts[a.Account].tail
	}
	return uint64(a.h)
}

// Node touches the order, or where it would be found, and the one before it.
func (a *Ahead) Node(s *Store) uint64 {
	seen := uint64(0)
	if a.h != none {
		n := s.nodes.at(a.h)
		seen ^= n.ID ^ uint64(n.chain)
	}
	if a.tail != none {
		n := s.nodes.at(a.tail)
		seen ^= n.ID ^ uint64(n.level)
	}
	return seen
}

// Links touches what the order hangs together with, and the tree of its side; books
// are those of its market.
func (a *Ahead) Links(s *Store, books []Book) uint64 {
	seen := uint64(0)
	if !a.Fresh {
		for a.h != none && s.nodes.at(a.h).ID != a.ID {
			a.h = s.nodes.at(a.h).chain
		}
		if a.h == none {
			return 0
		}
		n := s.nodes.at(a.h)
		a.Book, a.Bid, a.Price, a.Account, a.level = n.Book, n.Bid, n.Price, n.Account, n.level
		seen ^= uint64(s.levels.at(n.level).key) ^ uint64(s.accounts[n.Account].n)
		for _, k := range n.links {
			if k.prev != none {
				seen ^= uint64(s.nodes.at(k.prev).level)
			}
			if k.next != none {
				seen ^= uint64(s.nodes.at(k.next).level)
			}
		}
	}
	if int(a.Book) >= len(books) {
		return seen
	}
	if a.block = books[a.Book].side(a.Bid).root; a.block != none {
		seen ^= s.blocks.at(a.block).touch()
	}
	return seen
}

// Leaf touches the block below the root.
func (a *Ahead) Leaf(s *Store) uint64 {
	if a.block == none {
		return 0
	}
	k := s.blocks.at(a.block)
	if !k.inner {
		return 0
	}
	a.block = k.entries[max(k.search(keyOf(a.Bid, a.Price))-1, 0)].handle()
	return s.blocks.at(a.block).touch()
}

// Level touches the level of the order, or the one behind which it goes.
func (a *Ahead) Level(s *Store) uint64 {
	if a.level == none && a.block != none {
		if k := s.blocks.at(a.block); !k.inner && k.n != 0 {
			a.level = k.entries[max(k.search(keyOf(a.Bid, a.Price))-1, 0)].handle()
		}
	}
	if a.level == none {
		return 0
	}
	return uint64(s.levels.at(a.level).key)
}

// Ends touches the levels beside it, and its last order.
func (a *Ahead) Ends(s *Store) uint64 {
	if a.level == none {
		return 0
	}
	l := s.levels.at(a.level)
	return uint64(s.levels.at(l.next).key) ^ uint64(s.levels.at(l.prev).key) ^ uint64(s.nodes.at(l.queue.tail).level)
}

// touch looks at each cache line.
func (k *block) touch() uint64 {
	return uint64(k.n) ^ uint64(k.entries[7]) ^ uint64(k.entries[15]) ^ uint64(k.entries[23])
}
