package guard_test

import (
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// episode is a run with all its fills.
type episode struct {
	fills   []guard.Fill
	last    int64
	changed bool
	gone    bool // forgotten after a signal, yet it keeps its place
}

func (e episode) size() *big.Int {
	sum := new(big.Int)
	for _, f := range e.fills {
		sum.Add(sum, big.NewInt(int64(f.Shares)))
	}
	return sum.Abs(sum)
}

// alike: the sizes differ by at most tolerance ppm of the larger, in rationals.
func alike(a, b *big.Int, tolerance int64) bool {
	big1, small := a, b
	if a.Cmp(b) < 0 {
		big1, small = b, a
	}
	return new(big.Rat).SetFrac(new(big.Int).Sub(big1, small), big1).Cmp(big.NewRat(tolerance, 1_000_000)) <= 0
}

// history is the wash detector with every fill kept.
type history []episode

func (h *history) charge(p guard.WashParams, now int64, f guard.Fill) (changes int64, over bool) {
	recent := func(e episode) bool { return !e.gone && e.fills[0].Party == f.Party && now-e.last <= p.Window }
	same := func(e episode) bool {
		return recent(e) && e.fills[0].Market == f.Market && e.fills[0].Outcome == f.Outcome
	}
	window := func() history { return (*h)[max(0, len(*h)-8):] }
	var mine []*episode
	for i := range window() {
		if e := &window()[i]; same(*e) {
			mine = append(mine, e)
		}
	}
	if n := len(mine); n > 0 && (mine[n-1].fills[0].Shares > 0) == (f.Shares > 0) {
		run := mine[n-1]
		run.fills, run.last = append(run.fills, f), now
		if n > 1 && (mine[n-2].fills[0].Shares > 0) != (f.Shares > 0) && alike(mine[n-2].size(), run.size(), p.Tolerance) {
			run.changed = true
		}
	} else {
		e := episode{fills: []guard.Fill{f}, last: now}
		e.changed = n > 0 && alike(mine[n-1].size(), e.size(), p.Tolerance)
		*h = append(*h, e)
	}
	for _, e := range window() {
		if recent(e) && e.changed {
			changes++
		}
	}
	if over = changes >= p.Times; over {
		for i := range *h {
			if (*h)[i].fills[0].Party == f.Party {
				(*h)[i].gone = true
			}
		}
		// A run that only the signal saw never took a place.
		if last := (*h)[len(*h)-1]; len(last.fills) == 1 && last.last == now && last.fills[0] == f {
			*h = (*h)[:len(*h)-1]
		}
	}
	return changes, over
}

func TestWashFollowsItsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := guard.WashParams{
			Times:     rapid.Int64Range(1, 8).Draw(t, "times"),
			Window:    rapid.Int64Range(second, hour).Draw(t, "window"),
			Tolerance: rapid.SampledFrom([]int64{0, 50_000, 100_000, 500_000, 1_000_000}).Draw(t, "tolerance"),
		}
		now := int64(1)
		var w guard.Wash
		var h history
		for i := range 150 {
			now += rapid.Int64Range(1, p.Window/6).Draw(t, "wait")
			f := guard.Fill{
				Party:   uint32(rapid.IntRange(1, 2).Draw(t, "party")),
				Market:  uint32(rapid.SampledFrom([]int{1, 1, 1, 2}).Draw(t, "market")),
				Outcome: uint16(rapid.SampledFrom([]int{0, 0, 0, 1}).Draw(t, "outcome")),
				Shares:  fixed.Shares(rapid.SampledFrom([]int64{10, 95, 100, 105, 200, -10, -95, -100, -105, -1000}).Draw(t, "shares")),
			}
			peek := w.Peek(p, now, f)
			v := w.Charge(p, now, f)
			changes, over := h.charge(p, now, f)
			want := guard.Verdict{Over: over, Raise: over, Observed: changes, Bound: p.Times}
			if peek != v || v != want {
				t.Fatalf("fill %d: peek %+v, charge %+v, the history says %+v", i, peek, v, want)
			}
		}
	})
}

// An order filled in pieces is one run, whichever side is in pieces.
func TestWashPieces(t *testing.T) {
	p := guard.Defaults().Wash
	p.Times = 2
	var w guard.Wash
	now := int64(1)
	fill := func(shares ...fixed.Shares) (v guard.Verdict) {
		for _, s := range shares {
			now += second
			v = w.Charge(p, now, guard.Fill{Party: 7, Market: 1, Shares: s * fixed.One})
		}
		return v
	}
	if v := fill(20, 20, 20, 20, 20); v.Observed != 0 {
		t.Fatalf("buying alone: %+v", v)
	}
	if v := fill(-100); v.Observed != 1 || v.Over {
		t.Fatalf("one sale of the whole: %+v", v)
	}
	if v := fill(30, 30, 20); v.Observed != 1 {
		t.Fatalf("not yet the whole: %+v", v)
	}
	if v := fill(20); v.Observed != 2 || !v.Raise {
		t.Fatalf("the whole again: %+v", v)
	}
	if v := fill(-100); v.Observed != 0 {
		t.Fatalf("after a signal it starts anew: %+v", v)
	}
	w = guard.Wash{}
	p.MinShares = 50 * fixed.One
	if v := fill(49); v.Observed != 0 || w != (guard.Wash{}) {
		t.Fatalf("a small fill was kept: %+v", v)
	}
}

func TestSelfFollowsItsHistory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := guard.SelfParams{Times: rapid.Int64Range(1, 8).Draw(t, "times"), Window: rapid.Int64Range(second, hour).Draw(t, "window")}
		var s guard.Self
		var all []int64
		now := int64(1)
		for range 100 {
			now += rapid.Int64Range(0, p.Window/2).Draw(t, "wait")
			all = append(all, now)
			seen := int64(len(all) - slices.IndexFunc(all, func(at int64) bool { return now-at <= p.Window }))
			want := guard.Verdict{Over: seen >= p.Times, Raise: seen >= p.Times, Observed: seen, Bound: p.Times}
			if peek, v := s.Peek(p, now), s.Charge(p, now); peek != v || v != want {
				t.Fatalf("peek %+v, charge %+v, want %+v", peek, v, want)
			}
			if want.Over {
				all = nil
			}
		}
	})
}

// A fill is within the window up to its last microsecond, as the first half of a
// change and as a change that counts.
func TestWashWindowEdge(t *testing.T) {
	p := guard.WashParams{Times: 8, Window: minute}
	fill := func(w *guard.Wash, now int64, shares fixed.Shares) int64 {
		return w.Charge(p, now, guard.Fill{Party: 7, Shares: shares}).Observed
	}
	for _, late := range []int64{0, 1} {
		var w guard.Wash
		fill(&w, 1, 100)
		if got := fill(&w, 1+minute+late, -100); got != 1-late {
			t.Fatalf("%d µs late: %d changes", late, got)
		}
	}
	var w guard.Wash
	fill(&w, 1, 100)
	fill(&w, second, -100)
	fill(&w, second+1, 100)
	for _, late := range []int64{0, 1} {
		v := w.Peek(p, second+minute+late, guard.Fill{Party: 7, Shares: -100})
		if v.Observed != 3-late {
			t.Fatalf("%d µs late: %+v", late, v)
		}
	}
}
