package book

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// bench runs f on books with 100 to 100,000 resting asks, at random prices and
// all at one; price gives the next.
func bench(b *testing.B, f func(b *testing.B, s *Store, k *Book, next uint64, price func() fixed.Price)) {
	for _, spread := range []string{"random", "one"} {
		for _, n := range []int{100, 1_000, 10_000, 100_000} {
			b.Run(fmt.Sprintf("prices=%s/orders=%d", spread, n), func(b *testing.B) {
				r := rand.New(rand.NewPCG(1, 2))
				price := func() fixed.Price { return fixed.Price(1 + r.IntN(fixed.One-1)) }
				if spread == "one" {
					price = func() fixed.Price { return 500_000 }
				}
				s, k := NewStore(), &Book{}
				for i := range n {
					s.Add(k, Order{ID: uint64(i), Account: uint32(i % 1000), Price: price(), Shares: 10})
				}
				b.ReportAllocs()
				f(b, s, k, uint64(n), price)
			})
		}
	}
}

// BenchmarkFill fills the best order in two parts, which removes it, and adds
// another so that the book stays as full: two fills and an Add.
func BenchmarkFill(b *testing.B) {
	bench(b, func(b *testing.B, s *Store, k *Book, next uint64, price func() fixed.Price) {
		for b.Loop() {
			c := s.Cursor(k, false)
			o, _ := c.Next()
			s.Fill(k, o.ID, 4)
			s.Fill(k, o.ID, 6)
			s.Add(k, Order{ID: next, Account: uint32(next % 1000), Price: price(), Shares: 10})
			next++
		}
	})
}

// BenchmarkAddRemove adds an order and removes the oldest, wherever it is.
func BenchmarkAddRemove(b *testing.B) {
	bench(b, func(b *testing.B, s *Store, k *Book, next uint64, price func() fixed.Price) {
		oldest := uint64(0)
		for b.Loop() {
			s.Add(k, Order{ID: next, Account: uint32(next % 1000), Price: price(), Shares: 10})
			s.Remove(k, oldest)
			next++
			oldest++
		}
	})
}

// BenchmarkCursor walks over the best 100 orders.
func BenchmarkCursor(b *testing.B) {
	bench(b, func(b *testing.B, s *Store, k *Book, _ uint64, _ func() fixed.Price) {
		var sum fixed.Shares
		for b.Loop() {
			c := s.Cursor(k, false)
			for range 100 {
				o, _ := c.Next()
				sum += o.Shares
			}
		}
		if sum == 0 {
			b.Fatal("nothing seen")
		}
	})
}

// BenchmarkMemory measures a million orders in ten thousand books at random
// prices, which is nearly a level for each.
func BenchmarkMemory(b *testing.B) {
	const orders, books = 1_000_000, 10_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		r := rand.New(rand.NewPCG(1, 2))
		s, all := NewStore(), make([]Book, books)
		for i := range orders {
			s.Add(&all[r.IntN(books)], Order{
				ID: uint64(i), Account: uint32(r.IntN(20_000)), Bid: i%2 == 0,
				Price: fixed.Price(1 + r.IntN(fixed.One-1)), Shares: 10,
			})
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/1e6, "MB")
		runtime.KeepAlive(all)
		runtime.KeepAlive(s)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/orders, "ns/order")
}
