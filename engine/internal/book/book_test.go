package book

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Any program leads to the content that a sorted list has.
func TestAgainstSortedList(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwin(t, rapid.IntRange(1, 3).Draw(t, "books"))
		for range rapid.IntRange(1, 8).Draw(t, "parts") {
			w.run(rapid.SliceOfN(rapid.Byte(), 300, 900).Draw(t, "program"))
			w.compare()
		}
	})
}

func FuzzAgainstSortedList(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, n := range []int{1, 10, 100, 1000} {
		f.Add(noise(r, n))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		w := newTwin(t, 2)
		w.run(program[:min(len(program), 6000)])
		w.compare()
	})
}

// A tree of four storeys grows and shrinks at either end and in the middle.
func TestTallTrees(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	for name, next := range map[string]func(i int) fixed.Price{
		"rising":  func(i int) fixed.Price { return fixed.Price(1 + i) },
		"falling": func(i int) fixed.Price { return fixed.Price(fixed.One - 1 - i) },
		"random":  func(int) fixed.Price { return fixed.Price(1 + r.IntN(fixed.One-1)) },
	} {
		t.Run(name, func(t *testing.T) {
			const n = 40_000
			w := newTwin(t, 1)
			for i := range n {
				w.s.Add(w.books[0], Order{ID: uint64(i), Bid: i%2 == 0, Price: next(i), Shares: 1})
			}
			verify(t, w.s, w.books)
			left := make([]uint64, n)
			for i := range left {
				left[i] = uint64(i)
			}
			r.Shuffle(n, func(i, j int) { left[i], left[j] = left[j], left[i] })
			if name == "rising" {
				slices.Sort(left)
			}
			for i, id := range left {
				if _, ok := w.s.Remove(w.books[0], id); !ok {
					t.Fatalf("order %d is lost", id)
				}
				if i%4000 == 0 || n-i < 100 {
					verify(t, w.s, w.books)
				}
			}
			if *w.books[0] != (Book{}) || len(w.s.blocks.free) != int(w.s.blocks.top) {
				t.Fatalf("empty book is %+v", *w.books[0])
			}
		})
	}
}

// A long mixed life, with books that become large, against the model.
func TestLongLife(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	w := newTwin(t, 2)
	for range 10 {
		w.run(noise(r, 2000))
		for range 300 { // more orders than programs leave
			w.run([]byte{0, byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), byte(r.Uint32()), 0})
		}
		w.compare()
	}
	for len(w.m.orders) > 0 {
		w.remove(int(r.Uint32()))
		if len(w.m.orders)%100 == 0 {
			w.compare()
		}
	}
}

// What is told depends on the content, not on the way to it: a store with a
// history tells the same as one that was filled by id, and as one that was
// filled in any order with detours.
func TestHistoryDoesNotShow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newTwin(t, 2)
		w.run(rapid.SliceOfN(rapid.Byte(), 600, 1800).Draw(t, "program"))
		plain, mixed := newTwin(t, 2), newTwin(t, 2)
		orders := slices.Clone(w.m.orders)
		slices.SortFunc(orders, byID)
		for _, o := range orders {
			plain.add(o)
		}
		if len(orders) > 0 {
			orders = rapid.Permutation(orders).Draw(t, "order")
		}
		for i, o := range orders {
			detour := o
			detour.ID, detour.Price = 1<<40+uint64(i), fixed.Price(1+i*7919%(fixed.One-1))
			mixed.add(detour)
			mixed.add(o)
		}
		for i := range orders {
			mixed.remove(mixed.m.find(1<<40 + uint64(i)))
		}
		for _, other := range []*twin{plain, mixed} {
			other.compare()
			for i := range w.books {
				if a, b := each(w.s, w.books[i]), each(other.s, other.books[i]); !slices.Equal(a, b) {
					t.Fatalf("book %d: %v and %v", i, a, b)
				}
			}
		}
	})
}

// The sum of a level may pass 63 and 64 bits; it is told as the largest number,
// and is exact again when it fits.
func TestLevelOfHugeOrders(t *testing.T) {
	s, b := NewStore(), &Book{}
	const n = 4100 // 2^52 shares each
	for i := range n {
		s.Add(b, Order{ID: uint64(i), Price: 7, Shares: fixed.MaxPool})
	}
	sum := func() fixed.Shares { return s.Levels(b, false, 1, nil)[0].Shares }
	for i := range n - 1 {
		want := fixed.Shares(math.MaxInt64)
		if left := n - i; left < 2048 {
			want = fixed.Shares(left) * fixed.MaxPool
		}
		if got := sum(); got != want {
			t.Fatalf("%d orders: %d shares, want %d", n-i, got, want)
		}
		s.Remove(b, uint64(i))
	}
	verify(t, s, []*Book{b})
}

// The ends of the price range are prices.
func TestPriceEnds(t *testing.T) {
	s, b := NewStore(), &Book{}
	for i, p := range []fixed.Price{1, fixed.One - 1, 500_000} {
		s.Add(b, Order{ID: uint64(i), Bid: true, Price: p, Shares: 1})
		s.Add(b, Order{ID: uint64(i) + 10, Price: p, Shares: 1})
	}
	bid, _ := b.Best(true)
	ask, _ := b.Best(false)
	if bid != fixed.One-1 || ask != 1 {
		t.Fatalf("best %d / %d", bid, ask)
	}
	verify(t, s, []*Book{b})
}

// Ids with a regular pattern spread over the index as others do.
func TestIndexSpreads(t *testing.T) {
	for _, shift := range []uint{0, 1, 6, 16, 32, 44} {
		s, b := NewStore(), &Book{}
		const n = 10_000
		for i := range uint64(n) {
			s.Add(b, Order{ID: i << shift, Price: fixed.Price(1 + i), Shares: 1})
		}
		longest := 0
		for i := range s.index.size {
			length := 0
			for h := s.index.buckets[i>>chunkBits][i%chunkSize]; h != none; h = s.nodes.at(h).chain {
				length++
			}
			longest = max(longest, length)
		}
		if longest > 12 {
			t.Errorf("ids in steps of 2^%d: a chain of %d", shift, longest)
		}
	}
}

// Broken logic panics, and leaves the store as it was.
func TestRefuses(t *testing.T) {
	w := newTwin(t, 2)
	good := Order{ID: 1, Bid: true, Price: 10, Shares: 5}
	w.add(good)
	with := func(change func(*Order)) func() {
		o := good
		o.ID = 2
		change(&o)
		return func() { w.s.Add(w.books[0], o) }
	}
	for name, f := range map[string]func(){
		"taken id":       with(func(o *Order) { o.ID = 1 }),
		"no shares":      with(func(o *Order) { o.Shares = 0 }),
		"price 0":        with(func(o *Order) { o.Price = 0 }),
		"price 1":        with(func(o *Order) { o.Price = fixed.One }),
		"fill unknown":   func() { w.s.Fill(w.books[0], 2, 1) },
		"fill too much":  func() { w.s.Fill(w.books[0], 1, 6) },
		"fill nothing":   func() { w.s.Fill(w.books[0], 1, 0) },
		"reduce unknown": func() { w.s.Reduce(w.books[0], 2, 1) },
		"reduce by less": func() { w.s.Reduce(w.books[0], 1, -1) },
		"other book":     func() { w.s.Remove(w.books[1], 1) },
	} {
		func() {
			defer func() {
				if recover() == nil {
					t.Errorf("%s: no panic", name)
				}
			}()
			f()
		}()
		w.compare()
	}
}

// Once a store has been full, neither change nor reading allocates.
func TestSteadyStateAllocatesNothing(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	s, b := NewStore(), &Book{}
	const n = 5000
	id := uint64(0)
	add := func() {
		s.Add(b, Order{ID: id, Account: uint32(id % 50), Bid: r.IntN(2) == 0, Price: fixed.Price(1 + r.IntN(fixed.One-1)), Shares: 10})
		id++
	}
	empty := func() {
		for o, ok := s.first(b); ok; o, ok = s.first(b) {
			s.Remove(b, o)
		}
	}
	for range 2 * n { // twice as full: the number of blocks differs from life to life
		add()
	}
	empty()
	for range n {
		add()
	}
	levels := make([]Level, 0, 100)
	if got := testing.AllocsPerRun(1000, func() {
		add()
		o, _ := s.first(b)
		s.Fill(b, o, 10)
		c := s.Cursor(b, true)
		for range 10 {
			c.Next()
		}
		levels = s.Levels(b, false, 100, levels[:0])
		for o := range s.ByAccount(7) {
			if o.Account != 7 {
				t.Fatal("wrong account")
			}
		}
	}); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

// first returns the id of the best bid, or of the best ask if there is none.
func (s *Store) first(b *Book) (uint64, bool) {
	for _, bid := range []bool{true, false} {
		if c := s.Cursor(b, bid); c.at != none {
			return s.nodes.at(c.at).ID, true
		}
	}
	return 0, false
}
