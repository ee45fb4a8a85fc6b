package guard_test

import (
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// Each benchmark is one Peek and one Charge: what the engine pays for an event.

func BenchmarkRate(b *testing.B) {
	b.ReportAllocs()
	r := guard.Defaults().AccountOrders
	tat, now := int64(0), int64(1)
	for b.Loop() {
		if v := r.Peek(tat, now); !v.Over {
			tat = r.Charge(tat, now)
		}
		now += 1000
	}
}

func benchmarkBurst(b *testing.B, step int64) {
	b.ReportAllocs()
	p := guard.Defaults().MarketBurst
	var d guard.Burst
	now := int64(1)
	for b.Loop() {
		d.Peek(p, now)
		d.Charge(p, now)
		now += step
	}
}

func BenchmarkBurstSteady(b *testing.B) { benchmarkBurst(b, second/10) }
func BenchmarkBurstSlot(b *testing.B)   { benchmarkBurst(b, 10*second) }
func BenchmarkBurstIdle(b *testing.B)   { benchmarkBurst(b, 1000*10*second) }

// In a flood every event is over and carries the exact bound.
func BenchmarkBurstFlood(b *testing.B) {
	b.ReportAllocs()
	p := guard.Defaults().MarketBurst
	var d guard.Burst
	now := int64(1)
	for range 1000 {
		d.Charge(p, now)
		now += second / 2
	}
	for range 2000 {
		d.Charge(p, now)
	}
	for b.Loop() {
		d.Peek(p, now)
		d.Charge(p, now)
	}
}

func benchmarkSpike(b *testing.B, step int64) {
	b.ReportAllocs()
	p := guard.Defaults().Spike
	var d guard.Spike
	now, price := int64(1), fixed.Price(500_000)
	for b.Loop() {
		d.Peek(p, now, price)
		d.Charge(p, now, price)
		now += step
		price = 400_000 + (price+7_919)%100_000
	}
}

func BenchmarkSpikeSteady(b *testing.B) { benchmarkSpike(b, second/10) }
func BenchmarkSpikeIdle(b *testing.B)   { benchmarkSpike(b, hour) }

func BenchmarkWash(b *testing.B) {
	b.ReportAllocs()
	p := guard.Defaults().Wash
	var d guard.Wash
	f := guard.Fill{Market: 1, Shares: 5 * fixed.One}
	now := int64(1)
	for b.Loop() {
		f.Party = (f.Party + 1) & 1
		f.Shares = fixed.One * (2 + fixed.Shares(now)&7)
		if now&2 == 0 {
			f.Shares = -f.Shares
		}
		d.Peek(p, now, f)
		d.Charge(p, now, f)
		now++
	}
}

func BenchmarkSelf(b *testing.B) {
	b.ReportAllocs()
	p := guard.Defaults().Self
	var d guard.Self
	now := int64(1)
	for b.Loop() {
		d.Peek(p, now)
		d.Charge(p, now)
		now += 3 * minute
	}
}
