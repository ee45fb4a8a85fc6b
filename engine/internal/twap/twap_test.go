package twap_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// The ring agrees with the plain integral over the same window.
func TestMeanIsTheIntegral(t *testing.T) {
	type step struct {
		at    int64
		price fixed.Price
	}
	rapid.Check(t, func(t *rapid.T) {
		now := rapid.Int64Range(1, 1<<50).Draw(t, "start")
		start := now
		price := func() fixed.Price { return fixed.Price(rapid.Int64Range(1, 999_999).Draw(t, "price")) }
		steps := []step{{now, price()}}
		var r twap.Ring
		r.Start(now, steps[0].price)
		for range rapid.IntRange(0, 60).Draw(t, "steps") {
			now += rapid.Int64Range(0, 40_000_000).Draw(t, "wait")
			steps = append(steps, step{now, price()})
			r.Set(now, steps[len(steps)-1].price)
			window := rapid.SampledFrom([]int64{60, 300, 900}).Draw(t, "window")
			at := now + rapid.Int64Range(0, 30_000_000).Draw(t, "later")
			begin := max(start, (at-window*1_000_000)/twap.SlotMicros*twap.SlotMicros)
			var sum, span uint64
			for i, s := range steps {
				end := at
				if i+1 < len(steps) {
					end = steps[i+1].at
				}
				if from := max(s.at, begin); end > from {
					sum += uint64(s.price) * uint64(end-from)
					span += uint64(end - from)
				}
			}
			want := steps[len(steps)-1].price
			if span > 0 {
				want = fixed.Price(sum / span)
			}
			if got := r.Mean(at, window); got != want {
				t.Fatalf("mean over %d s is %d, want %d", window, got, want)
			}
		}
	})
}
