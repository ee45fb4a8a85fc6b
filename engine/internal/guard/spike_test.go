package guard_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// path is the whole history of a price since the window began.
type path struct {
	anchor int64
	at     []int64
	price  []fixed.Price
}

// reach is the largest distance from price to any price in force since from.
func (h path) reach(from int64, price fixed.Price) (far fixed.Price) {
	for i := range h.at {
		if i+1 < len(h.at) && h.at[i+1] < from {
			continue // replaced before the window began
		}
		far = max(far, h.price[i]-price, price-h.price[i])
	}
	return far
}

// The ring says what the whole history says over its window, which is Span and
// at most an eighth more; cool-downs start, end and do not overlap.
func TestSpikeFollowsItsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := guard.SpikeParams{
			Move: fixed.Price(rapid.Int64Range(1, 500_000).Draw(t, "move")),
			Span: rapid.Int64Range(second, 10*minute).Draw(t, "span"),
			Cool: rapid.Int64Range(0, 10*minute).Draw(t, "cool"),
		}
		width := (p.Span + 7) / 8
		now := rapid.Int64Range(1, 1<<50).Draw(t, "start")
		price := fixed.Price(500_000)
		var s guard.Spike
		var h path
		var until int64
		for range 120 {
			switch rapid.IntRange(0, 3).Draw(t, "wait") {
			case 0:
				now += rapid.Int64Range(0, width).Draw(t, "short")
			case 1:
				now += rapid.Int64Range(0, 3*p.Span).Draw(t, "long")
			case 2:
				now += width
			}
			step := fixed.Price(rapid.Int64Range(-int64(p.Move), int64(p.Move)).Draw(t, "step"))
			price = min(max(price+step, 1), fixed.One-1)
			peek := s.Peek(p, now, price)
			v := s.Charge(p, now, price)
			if peek != v {
				t.Fatalf("peek %+v, charge %+v", peek, v)
			}
			var want guard.Verdict
			if len(h.at) == 0 {
				h.anchor = now
			} else {
				open := h.anchor + (now-h.anchor)/width*width
				want.Observed = int64(h.reach(open-8*width, price))
				if least := int64(h.reach(now-p.Span, price)); want.Observed < least {
					t.Fatalf("the window of the ring is shorter than the span: %d < %d", want.Observed, least)
				}
				want.Over = want.Observed > int64(p.Move)
				want.Raise = want.Over && now >= until
			}
			want.Bound = int64(p.Move)
			if v != want {
				t.Fatalf("%+v, the history says %+v", v, want)
			}
			if v.Raise {
				h, until = path{anchor: now}, now+p.Cool
			}
			h.at, h.price = append(h.at, now), append(h.price, price)
		}
	})
}
