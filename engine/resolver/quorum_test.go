package resolver

import (
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// panel is a rule of n sources of which k must agree.
func panel(t interface{ Fatal(...any) }, kind string, n, k int, divergence int64) *Program {
	r := &Rule{
		ID: "panel", Version: "1.0.0", Title: "Panel", Kind: kind, Otherwise: Wait, Quorum: Quorum{K: k, MaxDivergence: divergence},
		Conditions: []Condition{{When: "true", Cancel: CancelRefund}},
	}
	if kind == Categorical {
		r.Outcomes = []string{"a", "b", "c"}
	}
	for i := range n {
		r.Sources = append(r.Sources, Source{Name: "s" + string(rune('a'+i)), Type: TypeManual, MaxAge: "1m"})
	}
	p, err := r.Compile()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

const minute = 60 * million

// TestQuorum compares Combine with the definition: some outcome has k usable
// findings behind it, and no other has.
func TestQuorum(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(rt, "n")
		k := rapid.IntRange(1, n).Draw(rt, "k")
		p := panel(rt, Categorical, n, k, 0)
		now := int64(10 * minute)
		votes := map[string]int{}
		var findings []Finding
		for _, s := range p.rule.Sources {
			if rapid.IntRange(0, 9).Draw(rt, "silent") == 0 {
				continue
			}
			f := Finding{Source: s.Name, RuleSHA256: p.hash, ObservedAt: now - rapid.SampledFrom([]int64{-1, 0, minute, minute + 1}).Draw(rt, "age"),
				Decided: rapid.IntRange(0, 4).Draw(rt, "decided") != 0}
			switch what := rapid.SampledFrom([]string{"a", "a", "b", "c", CancelPrice, CancelRefund}).Draw(rt, "what"); what {
			case CancelPrice, CancelRefund:
				f.Cancel = what
			default:
				f.Outcome = what
			}
			if rapid.IntRange(0, 9).Draw(rt, "rule") == 0 {
				f.RuleSHA256[0]++
			}
			if f.Decided && f.RuleSHA256 == p.hash && f.ObservedAt >= now-minute && f.ObservedAt <= now {
				votes[f.Outcome+f.Cancel]++
			}
			findings = append(findings, f)
		}
		var winners []string
		for what, count := range votes {
			if count >= k {
				winners = append(winners, what)
			}
		}
		got, err := p.Combine(rapid.Permutation(findings).Draw(rt, "order"), Market{}, now)
		if err != nil {
			rt.Fatal(err)
		}
		if got.Decided != (len(winners) == 1) || got.Decided && (got.Outcome+got.Cancel != winners[0] || len(got.Agree) != votes[winners[0]]) {
			rt.Fatalf("%+v, votes %v, k %d", got, votes, k)
		}
	})
}

// TestQuorumOfValues compares the choice among values with a search through all
// sets of them.
func TestQuorumOfValues(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		n := rapid.IntRange(1, 7).Draw(rt, "n")
		k := rapid.IntRange(1, n).Draw(rt, "k")
		bound := rapid.Int64Range(0, 5).Draw(rt, "bound") // of a range of a hundred: one is 10,000 ppm
		p, m := panel(rt, Scalar, n, k, bound*10_000), Market{Min: -50, Max: 50}
		var findings []Finding
		var values []int64
		for _, s := range p.rule.Sources {
			v := rapid.Int64Range(-10, 10).Draw(rt, "value")
			values = append(values, v)
			findings = append(findings, Finding{Source: s.Name, RuleSHA256: p.hash, Decided: true, Value: v})
		}
		got, err := p.Combine(rapid.Permutation(findings).Draw(rt, "order"), m, 0)
		if err != nil {
			rt.Fatal(err)
		}
		close := func(set uint) bool {
			var in []int64
			for i, v := range values {
				if set>>i&1 == 1 {
					in = append(in, v)
				}
			}
			return len(in) == 0 || slices.Max(in)-slices.Min(in) <= bound
		}
		size := func(set uint) (c int) {
			for ; set != 0; set &= set - 1 {
				c++
			}
			return c
		}
		var best []uint // the largest sets that lie close together
		for set := uint(1); set < 1<<n; set++ {
			switch {
			case !close(set) || len(best) != 0 && size(set) < size(best[0]):
			case len(best) != 0 && size(set) == size(best[0]):
				best = append(best, set)
			default:
				best = []uint{set}
			}
		}
		rival := false
		for set := uint(1); set < 1<<n; set++ {
			rival = rival || close(set) && size(set) >= k && set&best[0] == 0
		}
		want := size(best[0]) >= k && len(best) == 1 && !rival
		if got.Decided != want {
			rt.Fatalf("%+v, want decided %v: %v, k %d, bound %d", got, want, values, k, bound)
		}
		if !want {
			return
		}
		var in []int64
		for i, v := range values {
			if best[0]>>i&1 == 1 {
				in = append(in, v)
			}
		}
		slices.Sort(in)
		if got.Value != in[(len(in)-1)/2] || len(got.Agree) != len(in) {
			rt.Fatalf("%+v of %v", got, in)
		}
	})
}

func TestQuorumRefusesDoubles(t *testing.T) {
	p := panel(t, Binary, 3, 2, 0)
	f := Finding{Source: "sa", RuleSHA256: p.hash, Decided: true, Outcome: "YES"}
	if got, err := p.Combine([]Finding{f, f}, Market{}, 0); err == nil {
		t.Errorf("one source twice: %+v", got)
	}
	f.Source = "stranger"
	if got, err := p.Combine([]Finding{f}, Market{}, 0); err == nil {
		t.Errorf("a stranger: %+v", got)
	}
}

func TestPropose(t *testing.T) {
	f := Finding{Decided: true, Outcome: "YES", RuleSHA256: Digest{1}, FactsSHA256: Digest{2}, Evidence: "https://x.example/1"}
	got, err := Propose(f, "")
	if want := (Proposal{Outcome: "YES", RuleSHA256: [32]byte{1}, FactsSHA256: [32]byte{2}, EvidenceURI: "https://x.example/1"}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err = Propose(f, "urn:sha256:abc"); err != nil || got.EvidenceURI != "urn:sha256:abc" {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []struct {
		f        Finding
		evidence string
	}{{Finding{Reason: "no condition holds"}, "https://x.example"}, {f, "x"}, {Finding{Decided: true}, ""}, {f, "https://x.example/" + strings.Repeat("x", maxText)}} {
		if got, err := Propose(bad.f, bad.evidence); err == nil {
			t.Errorf("%+v", got)
		}
	}
}
