package amm_test

import (
	"testing"

	"github.com/mbp-market/mbp/engine/internal/amm"
	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// benchPools are n pools of one to sixty-four thousand credits.
func benchPools(n int) []fixed.Shares {
	pools := make([]fixed.Shares, n)
	for i := range pools {
		pools[i] = fixed.Shares(1_000_000_000 + i*1_000_000_007)
	}
	return pools
}

// benchWalk measures a whole walk of one segment, from Begin to the totals.
func benchWalk(b *testing.B, n int, sell bool, t fixed.Price, step func(w *amm.Walk, size fixed.Fine, t fixed.Price)) {
	b.ReportAllocs()
	pools := benchPools(n)
	var w amm.Walk
	size := int64(10_000_000)
	for b.Loop() {
		size += 13
		w.Begin(pools, 0, sell)
		step(&w, fixed.FromMicros(size), t)
		w.Totals()
	}
}

func spend(w *amm.Walk, size fixed.Fine, t fixed.Price) { w.Spend(size, t) }
func take(w *amm.Walk, size fixed.Fine, t fixed.Price)  { w.Take(size, t) }
func give(w *amm.Walk, size fixed.Fine, t fixed.Price)  { w.Give(size, t) }

func BenchmarkBuy2(b *testing.B)  { benchWalk(b, 2, false, 999_999, spend) }
func BenchmarkTake2(b *testing.B) { benchWalk(b, 2, false, 999_999, take) }
func BenchmarkSell2(b *testing.B) { benchWalk(b, 2, true, 1, give) }

// benchStopped measures segments that end at a price, the dearest kind.
func benchStopped(b *testing.B, n int, sell bool) {
	b.ReportAllocs()
	pools := benchPools(n)
	t := amm.Prices(pools, nil)[0] + 200
	if sell {
		t -= 400
	}
	var w amm.Walk
	for b.Loop() {
		w.Begin(pools, 0, sell)
		size := fixed.FromMicros(10_000_000)
		var stopped bool
		if sell {
			_, _, stopped = w.Give(size, t)
		} else {
			_, _, stopped = w.Spend(size, t)
		}
		if credits, _ := w.Exact(); !stopped || credits.IsZero() {
			b.Fatal("not a walk to a price")
		}
	}
}

func BenchmarkBuy2Stopped(b *testing.B)   { benchStopped(b, 2, false) }
func BenchmarkSell2Stopped(b *testing.B)  { benchStopped(b, 2, true) }
func BenchmarkBuy64Stopped(b *testing.B)  { benchStopped(b, 64, false) }
func BenchmarkSell64Stopped(b *testing.B) { benchStopped(b, 64, true) }

func BenchmarkBuy64(b *testing.B)  { benchWalk(b, 64, false, 999_999, spend) }
func BenchmarkTake64(b *testing.B) { benchWalk(b, 64, false, 999_999, take) }
func BenchmarkSell64(b *testing.B) { benchWalk(b, 64, true, 1, give) }

// BenchmarkSell64Deep sells a hundred times the largest pool.
func BenchmarkSell64Deep(b *testing.B) {
	b.ReportAllocs()
	pools := benchPools(64)
	var w amm.Walk
	for b.Loop() {
		w.Begin(pools, 0, true)
		w.Give(fixed.FromMicros(6_400_000_000_000), 1)
	}
}

func BenchmarkRoom(b *testing.B) {
	for _, c := range []struct {
		name string
		n    int
		sell bool
	}{{"buy2", 2, false}, {"sell2", 2, true}, {"buy64", 64, false}, {"sell64", 64, true}} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			var w amm.Walk
			w.Begin(benchPools(c.n), 0, c.sell)
			t := fixed.Price(1)
			if !c.sell {
				t = 999_999
			}
			for b.Loop() {
				w.Room(t)
			}
		})
	}
}

func BenchmarkPrices(b *testing.B) {
	for _, n := range []int{2, 64} {
		b.Run(map[int]string{2: "2", 64: "64"}[n], func(b *testing.B) {
			b.ReportAllocs()
			pools, dst := benchPools(n), make([]fixed.Price, 0, n)
			for b.Loop() {
				dst = amm.Prices(pools, dst)
			}
		})
	}
}

// BenchmarkDepth64 measures every outcome of a market, per outcome.
func BenchmarkDepth64(b *testing.B) {
	b.ReportAllocs()
	pools := benchPools(64)
	prices := amm.Prices(pools, nil)
	i := 0
	for b.Loop() {
		amm.Depth(pools, i%64, prices[i%64], 20_000, 100, 999_900)
		i++
	}
}

func BenchmarkProductFell(b *testing.B) {
	for _, n := range []int{2, 64} {
		b.Run(map[int]string{2: "2", 64: "64"}[n], func(b *testing.B) {
			b.ReportAllocs()
			before, after := benchPools(n), benchPools(n)
			after[0], after[1] = after[0]-1000, after[1]+5000
			for b.Loop() {
				amm.ProductFell(before, after)
			}
		})
	}
}
