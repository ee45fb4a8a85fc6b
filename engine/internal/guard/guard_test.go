package guard_test

import (
	"testing"

	"pgregory.net/rapid"

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
