package book

import (
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// fataler is what a test, a fuzz target and a property have in common.
type fataler interface {
	Helper()
	Fatalf(format string, args ...any)
}

// verify holds a store and all of its books to every rule their parts keep
// among themselves, without knowing what should be in them.
func verify(t fataler, s *Store, books []*Book) {
	t.Helper()
	v := verifier{t: t, s: s, orders: map[uint32]bool{}, levels: map[uint32]bool{}, blocks: map[uint32]bool{}}
	for _, b := range books {
		v.side(&b.bids, true)
		v.side(&b.asks, false)
		if b.Len() != int(b.bids.orders+b.asks.orders) {
			t.Fatalf("book counts %d orders", b.Len())
		}
	}
	v.accounts()
	v.index()
	for what, c := range map[string][3]int{
		"orders": {len(v.orders), len(s.nodes.free), int(s.nodes.top)},
		"levels": {len(v.levels), len(s.levels.free), int(s.levels.top)},
		"blocks": {len(v.blocks), len(s.blocks.free), int(s.blocks.top)},
	} {
		if c[0]+c[1] != c[2] {
			t.Fatalf("%s: %d in use and %d free of %d", what, c[0], c[1], c[2])
		}
	}
}

type verifier struct {
	t                      fataler
	s                      *Store
	orders, levels, blocks map[uint32]bool // seen so far
}

func (v *verifier) side(d *side, bid bool) {
	v.t.Helper()
	if (d.root == none) != (d.first == none) || (d.first == none) != (d.best == 0) || (d.best == 0) != (d.orders == 0) {
		v.t.Fatalf("half-empty side: %+v", *d)
	}
	if d.root == none {
		return
	}
	var leaves []entry
	depth := -1
	v.tree(d.root, true, 1, &depth, 0, fixed.One, &leaves)
	at, prev, orders := d.first, uint32(none), uint32(0)
	for i, e := range leaves {
		l := v.s.levels.at(at)
		if e != newEntry(l.key, at) || l.prev != prev || v.levels[at] || i > 0 && e.key() <= leaves[i-1].key() || l.queue.n == 0 {
			v.t.Fatalf("leaf entry %d is %d/%d; level %d is %+v behind %d", i, e.key(), e.handle(), at, *l, prev)
		}
		v.levels[at] = true
		v.queue(at, l, bid)
		orders += l.queue.n
		prev, at = at, l.next
	}
	if at != none || orders != d.orders || d.best != leaves[0].key() {
		v.t.Fatalf("side %+v has %d orders and goes on to level %d", *d, orders, at)
	}
}

func (v *verifier) tree(h uint32, root bool, depth int, leafDepth *int, low, high uint32, leaves *[]entry) {
	v.t.Helper()
	k := v.s.blocks.at(h)
	least := uint32(blockMin)
	if root && k.inner {
		least = 2
	} else if root {
		least = 1
	}
	if v.blocks[h] || k.n < least || k.n > blockCap || depth > maxDepth {
		v.t.Fatalf("block %d at depth %d has %d entries", h, depth, k.n)
	}
	v.blocks[h] = true
	entries := k.entries[:k.n]
	for i, e := range entries {
		if e.key() < low || e.key() >= high || i > 0 && e.key() <= entries[i-1].key() {
			v.t.Fatalf("block %d: entry %d has key %d outside of %d..%d", h, i, e.key(), low, high)
		}
	}
	if !k.inner {
		if *leafDepth >= 0 && *leafDepth != depth {
			v.t.Fatalf("leaves at depths %d and %d", *leafDepth, depth)
		}
		*leafDepth = depth
		*leaves = append(*leaves, entries...)
		return
	}
	for i, e := range entries {
		end := high
		if i+1 < len(entries) {
			end = entries[i+1].key()
		}
		v.tree(e.handle(), false, depth+1, leafDepth, e.key(), end, leaves)
	}
}

func (v *verifier) queue(at uint32, l *level, bid bool) {
	v.t.Helper()
	var total fixed.U128
	prev, n := uint32(none), uint32(0)
	for h := l.queue.head; h != none; n++ {
		o := v.s.nodes.at(h)
		if v.orders[h] || o.links[inLevel].prev != prev || o.level != at || o.Bid != bid || keyOf(bid, o.Price) != l.key || o.Shares <= 0 {
			v.t.Fatalf("order %+v in level %+v", *o, *l)
		}
		if prev != none && v.s.nodes.at(prev).ID >= o.ID {
			v.t.Fatalf("order %d waits behind %d", o.ID, v.s.nodes.at(prev).ID)
		}
		v.orders[h] = true
		total = total.Add(fixed.U128{Lo: uint64(o.Shares)})
		prev, h = h, o.links[inLevel].next
	}
	if prev != l.queue.tail || n != l.queue.n || total != l.total {
		v.t.Fatalf("level %+v has %d orders with %v shares", *l, n, total)
	}
}

func (v *verifier) accounts() {
	v.t.Helper()
	seen := 0
	for a, l := range v.s.accounts {
		account := uint32(a)
		prev, n := uint32(none), uint32(0)
		for h := l.head; h != none; n++ {
			o := v.s.nodes.at(h)
			if !v.orders[h] || o.Account != account || o.links[inAccount].prev != prev {
				v.t.Fatalf("order %+v in the list of account %d", *o, account)
			}
			if prev != none && v.s.nodes.at(prev).ID >= o.ID {
				v.t.Fatalf("account %d: order %d after %d", account, o.ID, v.s.nodes.at(prev).ID)
			}
			prev, h = h, o.links[inAccount].next
		}
		if l.tail != prev || l.n != n {
			v.t.Fatalf("account %d: list %+v has %d orders", account, l, n)
		}
		seen += int(n)
	}
	if seen != len(v.orders) {
		v.t.Fatalf("%d orders in books, %d with accounts", len(v.orders), seen)
	}
}

func (v *verifier) index() {
	v.t.Helper()
	x := &v.s.index
	if x.n != len(v.orders) || x.n > int(x.size) {
		v.t.Fatalf("index counts %d orders in %d buckets, there are %d", x.n, x.size, len(v.orders))
	}
	for h := range v.orders {
		if got := v.s.find(v.s.nodes.at(h).ID); got != h {
			v.t.Fatalf("order %d is found at %d, it is at %d", v.s.nodes.at(h).ID, got, h)
		}
	}
}

// TestVerifyBites damages a store in each of its parts and expects a complaint.
func TestVerifyBites(t *testing.T) {
	for name, damage := range map[string]func(*Store, *Book){
		"order count":   func(_ *Store, b *Book) { b.bids.orders++ },
		"best":          func(_ *Store, b *Book) { b.asks.best++ },
		"level total":   func(s *Store, b *Book) { s.levels.at(b.bids.first).total.Lo++ },
		"level link":    func(s *Store, b *Book) { s.levels.at(s.levels.at(b.bids.first).next).prev = none },
		"tree key":      func(s *Store, b *Book) { s.blocks.at(b.asks.root).entries[0] += 1 << 32 },
		"block filling": func(s *Store, b *Book) { s.blocks.at(s.blocks.at(b.asks.root).entries[1].handle()).n = 3 },
		"priority":      func(s *Store, _ *Book) { s.nodes.at(s.find(1)).ID = 99 },
		"owner":         func(s *Store, _ *Book) { s.nodes.at(s.find(1)).Account++ },
		"index":         func(s *Store, _ *Book) { s.leave(s.find(1)) },
		"leak":          func(s *Store, _ *Book) { s.levels.take() },
	} {
		s, b := NewStore(), &Book{}
		for i := range 80 {
			s.Add(b, Order{ID: uint64(i), Account: uint32(i % 3), Bid: i%2 == 0, Price: fixed.Price(1 + i/2%37*1000), Shares: 5})
		}
		verify(t, s, []*Book{b})
		damage(s, b)
		if !complains(s, b) {
			t.Errorf("%s: verify is silent", name)
		}
	}
}

type complaint struct{}

func (complaint) Helper()               {}
func (complaint) Fatalf(string, ...any) { panic(complaint{}) }
func complains(s *Store, b *Book) (loud bool) {
	defer func() { _, loud = recover().(complaint) }() // another panic is none
	verify(complaint{}, s, []*Book{b})
	return false
}
