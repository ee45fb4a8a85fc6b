package fold

import (
	"math/bits"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine"
)

// TestAgreeing compares the reports that agree with one of them, those against
// them and their median with a search through all sets of reports.
func TestAgreeing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		bound := rapid.Int64Range(0, 5).Draw(t, "bound") // of a range of a hundred: one is 10,000 ppm
		m := &Market{Kind: engine.Scalar, Min: -50, Max: 50, Template: &engine.Template{Truth: engine.TruthRule{MaxAge: 60, MaxDivergence: bound * 10_000}}}
		now := engine.Time(1000)
		for i := range rapid.IntRange(1, 7).Draw(t, "n") {
			m.facts = append(m.facts, Fact{
				Principal: string(rune('a' + i)), Value: rapid.Int64Range(-6, 6).Draw(t, "value"), Rule: engine.Digest{uint8(rapid.IntRange(0, 5).Draw(t, "rule") / 5)},
				Outcome: engine.Outcome(rapid.IntRange(0, 5).Draw(t, "outcome") / 5), Cancel: engine.CancelKind(rapid.IntRange(0, 5).Draw(t, "cancel") / 5), At: now - engine.Time(rapid.SampledFrom([]int64{0, 60, 61}).Draw(t, "age")),
			})
		}
		mine := &m.facts[rapid.IntRange(0, len(m.facts)-1).Draw(t, "mine")]
		mine.At = now // whoever reports now is fresh
		var best []int64
		for set := uint(1); set < 1<<len(m.facts); set++ {
			values, has := agreed(m, *mine, set)
			if has && (len(values) > len(best) || len(values) == len(best) && values[0] < best[0]) {
				best = values
			}
		}
		got := m.Agreeing(*mine, now)
		var values []int64
		for _, f := range got {
			values = append(values, f.Value)
		}
		slices.Sort(values)
		if !slices.Equal(values, best) || !slices.Contains(got, *mine) || Median(got) != best[(len(best)-1)/2] {
			t.Fatalf("%v agree with %d, want %v: %+v", values, mine.Value, best, m.facts)
		}
		against := int64(-len(got))
		for _, f := range m.facts {
			if now-f.At <= 60 {
				against++
			}
		}
		if n := m.Against(got, now); n != against {
			t.Fatalf("%d against, want %d", n, against)
		}
	})
}

// agreed returns the values of a set of reports, in order; false unless mine is
// in it and they all agree.
func agreed(m *Market, mine Fact, set uint) (values []int64, ok bool) {
	for ; set != 0; set &= set - 1 {
		f := m.facts[bits.TrailingZeros(set)]
		ok = ok || f == mine
		if f.Outcome != mine.Outcome || f.Cancel != mine.Cancel || f.Rule != mine.Rule || f.At < 1000-60 {
			return nil, false
		}
		values = append(values, f.Value)
	}
	slices.Sort(values)
	return values, ok && (values[len(values)-1]-values[0])*10_000 <= m.Template.Truth.MaxDivergence
}
