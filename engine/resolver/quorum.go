package resolver

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// Verdict is what a quorum of findings comes to.
type Verdict struct {
	Decided bool     `json:"decided"`
	Outcome string   `json:"outcome,omitempty"`
	Value   int64    `json:"value_millionths,omitempty"` // the lower median of those that agree
	Cancel  string   `json:"cancel,omitempty"`
	Agree   []string `json:"agree,omitempty"` // the sources behind it, in order of name
	Reason  string   `json:"reason"`
}

// Combine says what findings, one a source, come to at now (µs since 1970). It
// is for dry runs: the engine decides by its own reading of the reports, one by one
// as they come, and like it Combine counts only findings that are decided, of this rule, and not stale.
// At least k have to agree: on the outcome or the way to cancel, or on values
// that differ by at most max_divergence_ppm of the market's range. Two groups that
// both suffice contradict each other, and nothing is decided. The error is the
// caller's: a source twice, or one the rule does not have.
func (p *Program) Combine(findings []Finding, m Market, now int64) (Verdict, error) {
	seen := map[string]bool{}
	groups := map[[2]string][]Finding{}
	usable := 0
	for _, f := range findings {
		s := p.rule.source(f.Source)
		if s == nil && f.Decided {
			return Verdict{}, fmt.Errorf("combine: the rule has no source %q", f.Source)
		}
		if s == nil {
			continue
		}
		if seen[s.Name] {
			return Verdict{}, fmt.Errorf("combine: two findings of source %s", s.Name)
		}
		seen[s.Name] = true
		if !f.Decided || f.RuleSHA256 != p.hash || f.ObservedAt > now || now-f.ObservedAt > s.maxAge() {
			continue
		}
		usable++
		group := [2]string{f.Outcome, f.Cancel}
		groups[group] = append(groups[group], f)
	}
	var best []Finding
	enough := 0
	for _, group := range groups {
		agreed, clear := []([]Finding){group}, true
		if p.rule.Kind == Scalar && group[0].Cancel == "" {
			agreed, clear = p.cluster(group, m)
		}
		for _, g := range agreed {
			if len(g) >= p.rule.Quorum.K {
				best, enough = g, enough+1
			}
		}
		if !clear {
			enough = 2
		}
	}
	switch {
	case enough > 1:
		return Verdict{Reason: "sources contradict each other"}, nil
	case enough == 0:
		return Verdict{Reason: fmt.Sprintf("%d of %d findings can be used and no %d of them agree", usable, len(p.rule.Sources), p.rule.Quorum.K)}, nil
	}
	byValue(best)
	v := Verdict{Decided: true, Outcome: best[0].Outcome, Cancel: best[0].Cancel, Value: best[(len(best)-1)/2].Value}
	for _, f := range best {
		v.Agree = append(v.Agree, f.Source)
	}
	slices.Sort(v.Agree)
	v.Reason = fmt.Sprintf("%d of %d sources agree", len(best), len(p.rule.Sources))
	return v, nil
}

func byValue(g []Finding) {
	slices.SortStableFunc(g, func(a, b Finding) int {
		switch {
		case a.Value < b.Value:
			return -1
		case a.Value > b.Value:
			return 1
		}
		return 0
	})
}

// cluster returns the largest set of values that lie close enough together, and
// every set of at least k apart from it. It is not clear if another set is as
// large and suffices too.
func (p *Program) cluster(g []Finding, m Market) (sets [][]Finding, clear bool) {
	byValue(g)
	var from, to, ties int
	for i := range g {
		j := i + 1
		for j < len(g) && p.close(g[i].Value, g[j].Value, m) {
			j++
		}
		switch {
		case j-i > to-from:
			from, to, ties = i, j, 1
		case j-i == to-from:
			ties++
		}
	}
	sets = append(sets, g[from:to])
	for _, rest := range [][]Finding{g[:from], g[to:]} {
		for i := range rest {
			if j := i + p.rule.Quorum.K; j <= len(rest) && p.close(rest[i].Value, rest[j-1].Value, m) {
				sets = append(sets, rest[i:j])
			}
		}
	}
	return sets, ties == 1 || to-from < p.rule.Quorum.K
}

// close: (b − a)·10⁶ ≤ divergence·(max − min), exactly; a ≤ b.
func (p *Program) close(a, b int64, m Market) bool {
	diff := func(x, y int64) *big.Int { return new(big.Int).Sub(big.NewInt(x), big.NewInt(y)) }
	left, right := diff(b, a), diff(m.Max, m.Min)
	return left.Mul(left, big.NewInt(million)).Cmp(right.Mul(right, big.NewInt(p.rule.Quorum.MaxDivergence))) <= 0
}

// Proposal is what the engine is told: the outcome, by which rule, from which
// facts. The engine knows neither expressions nor facts, only their digests.
type Proposal struct {
	Outcome     string // binary, categorical: the label; empty for a value or a cancel
	Value       int64  // scalar: millionths of the unit
	Cancel      string // price or refund; empty for an outcome or a value
	RuleSHA256  [32]byte
	FactsSHA256 [32]byte
	EvidenceURI string // where people find the facts and what they were read from
}

// Propose makes the proposal of a decided finding. The evidence is an absolute
// URI; empty takes the one the facts name.
func Propose(f Finding, evidenceURI string) (Proposal, error) {
	if !f.Decided {
		return Proposal{}, fmt.Errorf("propose: not decided: %s", f.Reason)
	}
	if evidenceURI == "" {
		evidenceURI = f.Evidence
	}
	if !evidence(evidenceURI) {
		return Proposal{}, errors.New("propose: evidence is an absolute URI")
	}
	return Proposal{
		Outcome: f.Outcome, Value: f.Value, Cancel: f.Cancel,
		RuleSHA256: f.RuleSHA256, FactsSHA256: f.FactsSHA256, EvidenceURI: evidenceURI,
	}, nil
}
