package guard_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// The arrival-time form equals a bucket of tokens that refills continuously.
func TestRateIsATokenBucket(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := guard.Rate{Interval: rapid.Int64Range(1, 1000).Draw(t, "interval"), Burst: rapid.Int64Range(1, 20).Draw(t, "burst")}
		now, tat := int64(1_000_000), int64(0)
		filled, last := r.Burst*r.Interval, now // tokens × interval
		for range 100 {
			now += rapid.Int64Range(0, 2*r.Interval).Draw(t, "wait")
			filled = min(r.Burst*r.Interval, filled+now-last)
			last = now
			allowed := r.Allows(tat, now)
			if want := filled >= r.Interval; allowed != want {
				t.Fatalf("allowed %v, the bucket says %v", allowed, want)
			}
			if wait := r.RetryAfter(tat, now); (wait == 0) != allowed || !r.Allows(tat, now+wait) || wait > 0 && r.Allows(tat, now+wait-1) {
				t.Fatalf("retry after %d", wait)
			}
			if allowed {
				tat = r.Charge(tat, now)
				filled -= r.Interval
			}
		}
	})
}

// A rate's verdict is Allows with its numbers.
func TestRatePeek(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := guard.Rate{Interval: rapid.Int64Range(1, 1000).Draw(t, "interval"), Burst: rapid.Int64Range(1, 20).Draw(t, "burst")}
		tat, now := rapid.Int64Range(0, 50_000).Draw(t, "tat"), rapid.Int64Range(1, 50_000).Draw(t, "now")
		v := r.Peek(tat, now)
		if v.Over == r.Allows(tat, now) || v.Over != (v.Observed > v.Bound) || v.Observed != max(0, tat-now) {
			t.Fatalf("%+v", v)
		}
	})
	if v := (guard.Rate{}).Peek((guard.Rate{}).Charge(7, 7), 7); v.Over {
		t.Fatalf("a rate that is off: %+v", v)
	}
}

// Parameters of zero turn a detector off: nothing is over and nothing is kept.
func TestOff(t *testing.T) {
	var b guard.Burst
	var s guard.Spike
	var w guard.Wash
	var o guard.Self
	f := guard.Fill{Party: 1, Shares: fixed.One}
	for now := int64(1); now < 100; now++ {
		for _, v := range []guard.Verdict{
			b.Peek(guard.BurstParams{}, now), b.Charge(guard.BurstParams{}, now),
			s.Peek(guard.SpikeParams{}, now, 1), s.Charge(guard.SpikeParams{}, now, fixed.One-1),
			w.Peek(guard.WashParams{}, now, f), w.Charge(guard.WashParams{}, now, f),
			o.Peek(guard.SelfParams{}, now), o.Charge(guard.SelfParams{}, now),
		} {
			if v != (guard.Verdict{}) {
				t.Fatalf("%+v", v)
			}
		}
	}
	if b != (guard.Burst{}) || s != (guard.Spike{}) || w != (guard.Wash{}) || o != (guard.Self{}) {
		t.Fatal("a detector that is off kept something")
	}
}
