package twap_test

import (
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// update is what a decision that moves the price costs: Peek before it, then
// Observe and Set. step is the open time from one decision to the next.
func update(b *testing.B, p twap.Params, step int64) {
	b.ReportAllocs()
	var g twap.Guard
	now := int64(0)
	g.Start(now, 500_000)
	trips := 0
	for b.Loop() {
		now += step
		if g.Peek(p, now).Kind != twap.None {
			trips++
		}
		g.Observe(p, now)
		g.Set(now, fixed.Price(500_000+now/7%4_096))
	}
	if trips != 0 {
		b.Fatalf("%d trips: the noise should be within the bounds", trips)
	}
}

// watched are bounds that judge everything and are never crossed here.
func watched() twap.Params {
	return twap.Params{Window: 6 * slot, Bound: 10_000, Outliers: 3, Floor: 5_000}
}

func BenchmarkTwapUpdate(b *testing.B)     { update(b, watched(), 500) }      // 2,000 decisions a second
func BenchmarkTwapUpdateSlot(b *testing.B) { update(b, watched(), slot) }     // each crosses an edge
func BenchmarkTwapUpdateIdle(b *testing.B) { update(b, watched(), 100*slot) } // each after 17 minutes
func BenchmarkTwapUpdateDay(b *testing.B)  { update(b, watched(), 8_640*slot) }

func BenchmarkTwapPeek(b *testing.B) {
	b.ReportAllocs()
	var g twap.Guard
	g.Start(0, 500_000)
	p := watched()
	for b.Loop() {
		if g.Peek(p, 9_000_000).Kind != twap.None {
			b.Fatal("a trip of nothing")
		}
	}
}

func BenchmarkTwapMean(b *testing.B) {
	b.ReportAllocs()
	var g twap.Guard
	g.Start(0, 500_000)
	g.Set(1000*slot, 400_000)
	for b.Loop() {
		if g.Mean(1001*slot, 300) == 0 {
			b.Fatal("no mean")
		}
	}
}
