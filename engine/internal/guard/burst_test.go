package guard_test

import (
	"math"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/guard"
)

const (
	second = int64(1_000_000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// slots is the burst detector with its whole history, in exact rationals: the
// weight of a slot of age a is α(1−α)^a, and nothing is kept but the counts.
type slots struct {
	start  int64
	counts map[int64]int64 // as folded: a slot that was over counts as its bound
	open   int64
	over   map[int64]bool
}

// moments are the mean and σ² of the closed slots.
func (s *slots) moments(shift uint8) (mean, variance float64) {
	const prec = 400
	alpha := new(big.Float).SetPrec(prec).Quo(big.NewFloat(1), big.NewFloat(float64(int64(1)<<shift)))
	keep := new(big.Float).SetPrec(prec).Sub(big.NewFloat(1), alpha)
	m1, m2 := new(big.Float).SetPrec(prec), new(big.Float).SetPrec(prec)
	for slot := range s.open {
		x := new(big.Float).SetPrec(prec).SetInt64(s.counts[slot])
		m1.Add(m1.Mul(m1, keep), new(big.Float).Mul(x, alpha))
		x.Mul(x, x)
		m2.Add(m2.Mul(m2, keep), x.Mul(x, alpha))
	}
	mean, _ = m1.Float64()
	variance, _ = m2.Sub(m2, new(big.Float).Mul(m1, m1)).Float64()
	return mean, max(0, variance)
}

func burstParams(t *rapid.T) guard.BurstParams {
	return guard.BurstParams{
		Slot:   rapid.Int64Range(100_000, 20*second).Draw(t, "slot"),
		Shift:  uint8(rapid.IntRange(3, 10).Draw(t, "shift")),
		Sigmas: rapid.Int64Range(1, 12).Draw(t, "sigmas"),
		Floor:  rapid.Int64Range(0, 20).Draw(t, "floor"),
		Arm:    rapid.Int64Range(0, 20).Draw(t, "arm"),
	}
}

// The two moments of the detector follow the ones computed from the whole
// history, its verdict is theirs wherever rounding cannot decide, and an episode
// is a chain of slots that were over.
func TestBurstFollowsItsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := burstParams(t)
		now := rapid.Int64Range(1, 1<<50).Draw(t, "start")
		ref := slots{start: now, counts: map[int64]int64{}, over: map[int64]bool{}}
		var b guard.Burst
		b.Charge(p, now)
		count := int64(1)
		ref.over[0] = p.Arm == 0 && p.Floor == 0
		for range rapid.IntRange(1, 40).Draw(t, "groups") {
			if rapid.Bool().Draw(t, "near") {
				now += rapid.Int64Range(0, 2*p.Slot).Draw(t, "wait")
			} else {
				now += rapid.Int64Range(0, 40).Draw(t, "idle") * p.Slot
			}
			if slot := (now - ref.start) / p.Slot; slot > ref.open {
				mean, variance := ref.moments(p.Shift)
				if ref.over[ref.open] {
					count = min(count, max(p.Floor, int64(mean+float64(p.Sigmas)*math.Sqrt(variance))))
				}
				ref.counts[ref.open] = count
				ref.open, count = slot, 0
			}
			mean, variance := ref.moments(p.Shift)
			edge := mean + float64(p.Sigmas)*math.Sqrt(variance)
			for range rapid.IntRange(1, 30).Draw(t, "events") {
				if peek, v := b.Peek(p, now), b.Charge(p, now); peek != v {
					t.Fatalf("peek %+v, charge %+v", peek, v)
				} else {
					count++
					x := float64(count)
					over := count > p.Floor && ref.open >= p.Arm && x > edge
					if math.Abs(x-edge) > 1+edge/500 && over != v.Over {
						t.Fatalf("event %d of slot %d: %+v, the history says over %v (mean %f, edge %f)", count, ref.open, v, over, mean, edge)
					}
					if v.Over && math.Abs(float64(v.Bound)-max(edge, float64(p.Floor))) > 1+edge/500 {
						t.Fatalf("bound %d, the history says %f", v.Bound, edge)
					}
					if v.Over && v.Observed <= v.Bound {
						t.Fatalf("%+v is not over its own bound", v)
					}
					if raise := v.Over && !ref.over[ref.open] && !ref.over[ref.open-1]; raise != v.Raise || v.Observed != count {
						t.Fatalf("%+v, want raise %v, observed %d", v, raise, count)
					}
					ref.over[ref.open] = ref.over[ref.open] || v.Over
				}
			}
		}
	})
}

// Bound is exact: in the same slot, that many events are not over and one more
// is.
func TestBurstBoundIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := burstParams(t)
		p.Arm = 0
		var b guard.Burst
		now := int64(1)
		for range rapid.IntRange(0, 30).Draw(t, "slots") {
			for range rapid.IntRange(0, 20).Draw(t, "events") {
				b.Charge(p, now)
			}
			now += p.Slot
		}
		last := guard.Verdict{}
		for range 2000 {
			v := b.Charge(p, now)
			if v.Over {
				if v.Bound != max(last.Observed, p.Floor) && last.Observed != 0 {
					t.Fatalf("the first over is %+v after %+v", v, last)
				}
				return
			}
			last = v
		}
	})
}

// However long nothing happened, one step over the gap gives the baseline that
// its slots give one by one: an empty slot multiplies both moments by 1 − α.
func TestBurstIdleIsEmptySlots(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := burstParams(t)
		p.Arm, p.Floor = 0, 0
		var b guard.Burst
		now := int64(1)
		ref := slots{start: now, counts: map[int64]int64{}}
		for range rapid.IntRange(1, 10).Draw(t, "slots") {
			n := rapid.Int64Range(1, 1000).Draw(t, "events")
			p.Floor = 1_000_000 // so that nothing is over and clipped
			for range n {
				b.Charge(p, now)
			}
			ref.counts[ref.open] = n
			ref.open++
			now += p.Slot
		}
		p.Floor = 0
		gap := rapid.Int64Range(1, 300).Draw(t, "gap")
		ref.open += gap
		now += gap * p.Slot
		mean, variance := ref.moments(p.Shift)
		edge := int64(mean + float64(p.Sigmas)*math.Sqrt(variance))
		for range edge + 2 {
			b.Charge(p, now)
		}
		if v := b.Peek(p, now); !v.Over || v.Bound < edge-1-edge/500 || v.Bound > edge+1+edge/500 {
			t.Fatalf("after %d empty slots %+v, the history says %d", gap, v, edge)
		}
		// After e^-64 nothing is left of any past.
		if v := b.Peek(p, now+rapid.Int64Range(65<<p.Shift, 1<<37).Draw(t, "long")*p.Slot); !v.Raise || v.Bound != 0 {
			t.Fatalf("after a long time the baseline is %+v", v)
		}
	})
}

// A count beyond what a slot holds stays at the largest and overflows nothing.
func TestBurstSaturates(t *testing.T) {
	p := guard.BurstParams{Slot: second, Shift: 3, Sigmas: 100, Floor: 1_000_000}
	var b guard.Burst
	now := int64(1)
	for ; now < 4*second; now += second {
		for range 1_100_000 {
			b.Charge(p, now)
		}
	}
	if v := b.Peek(p, now); v.Over || v.Observed != 1 {
		t.Fatalf("%+v", v)
	}
	enc := b.Append(nil)
	var c guard.Burst
	if rest, ok := c.Load(enc); !ok || len(rest) != 0 || c != b {
		t.Fatal("a full detector does not survive its own form")
	}
}
