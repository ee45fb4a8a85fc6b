package quorum_test

import (
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/quorum"
)

// TestAgreeing compares the reports that agree with one of them, those against
// them and their median with a search through all sets of reports.
func TestAgreeing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.Int64Range(0, 5).Draw(t, "bound") // of a range of a hundred: one is 10,000 ppm
		now := engine.Time(1000)
		terms := quorum.Terms{Rule: &engine.TruthRule{MaxAge: 60, MaxDivergence: bound * 10_000}, Range: 100, Now: now}
		var facts []quorum.Fact
		for i := range rapid.IntRange(1, 7).Draw(t, "n") {
			facts = append(facts, quorum.Fact{
				Principal: string(rune('a' + i)), Value: rapid.Int64Range(-6, 6).Draw(t, "value"), Rule: engine.Digest{uint8(rapid.IntRange(0, 5).Draw(t, "rule") / 5)},
				Outcome: engine.Outcome(rapid.IntRange(0, 5).Draw(t, "outcome") / 5), Cancel: engine.CancelKind(rapid.IntRange(0, 5).Draw(t, "cancel") / 5), At: now - engine.Time(rapid.SampledFrom([]int64{0, 60, 61}).Draw(t, "age")),
			})
		}
		mine := &facts[rapid.IntRange(0, len(facts)-1).Draw(t, "mine")]
		mine.At = now // whoever reports now is fresh
		var best []int64
		for set := uint(1); set < 1<<len(facts); set++ {
			values, has := agreed(facts, *mine, set, bound)
			if has && (len(values) > len(best) || len(values) == len(best) && values[0] < best[0]) {
				best = values
			}
		}
		got := quorum.Agreeing(facts, *mine, terms)
		var values []int64
		for _, f := range got {
			values = append(values, f.Value)
		}
		slices.Sort(values)
		if !slices.Equal(values, best) || !slices.Contains(got, *mine) || quorum.Median(got) != best[(len(best)-1)/2] {
			t.Fatalf("%v agree with %d, want %v: %+v", values, mine.Value, best, facts)
		}
		against := int64(-len(got))
		for _, f := range facts {
			if now-f.At <= 60 {
				against++
			}
		}
		if n := quorum.Against(facts, got, terms); n != against {
			t.Fatalf("%d against, want %d", n, against)
		}
	})
}

// agreed returns the values of a set of reports, in order; false unless mine is
// in it and they all agree.
func agreed(facts []quorum.Fact, mine quorum.Fact, set uint, bound int64) (values []int64, ok bool) {
	for ; set != 0; set &= set - 1 {
		f := facts[bits.TrailingZeros(set)]
		ok = ok || f == mine
		if f.Outcome != mine.Outcome || f.Cancel != mine.Cancel || f.Rule != mine.Rule || f.At < 1000-60 {
			return nil, false
		}
		values = append(values, f.Value)
	}
	slices.Sort(values)
	return values, ok && (values[len(values)-1]-values[0])*10_000 <= bound*10_000
}
