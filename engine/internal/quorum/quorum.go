// Package quorum finds which of the reports on the truth about a market agree.
//
// It promises: a group of reports in which each says the same as every other, the
// largest one with a given report in it, the same on every platform whatever order they
// came in; what is stale counts nowhere. It refuses to know who may report and how many
// are enough: that is the template's, and package core's to ask. The rules are those of
// engine.TruthRule.
package quorum

import (
	"slices"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// Fact is a reporter's last word on the truth.
type Fact struct {
	Principal string
	Outcome   engine.Outcome
	Value     int64
	Cancel    engine.CancelKind // the market has no outcome
	At        engine.Time       // when it was observed
	Rule      engine.Digest     // by which it was found
}

// Terms are what reports are held against each other by.
type Terms struct {
	Rule  *engine.TruthRule
	Range int64 // of the values of a scalar market
	Now   engine.Time
}

// Agreeing lists the reporters that say the same as mine, mine first: reports by
// the same rule that are fresh, of the same outcome or way to cancel, and of a
// scalar market with values that all lie within the template's part of the range.
// Of several such groups with mine in them it is the largest, the lowest among equals.
func Agreeing(all []Fact, mine Fact, by Terms) []Fact {
	same := []Fact{mine}
	for _, f := range all {
		if f.Principal != mine.Principal && f.Outcome == mine.Outcome && f.Cancel == mine.Cancel && f.Rule == mine.Rule && by.fresh(f) {
			same = append(same, f)
		}
	}
	best := []Fact{}
	for _, low := range same { // a group begins at one of its values
		group := []Fact{}
		for _, f := range same {
			if f.Value >= low.Value && by.near(low.Value, f.Value) {
				group = append(group, f)
			}
		}
		if low.Value <= mine.Value && by.near(low.Value, mine.Value) &&
			(len(group) > len(best) || len(group) == len(best) && lowest(group) < lowest(best)) {
			best = group
		}
	}
	return best
}

// Against counts the fresh reports that are not of a group.
func Against(all, group []Fact, by Terms) (n int64) {
	for _, f := range all {
		in := false
		for _, g := range group {
			in = in || g.Principal == f.Principal
		}
		if !in && by.fresh(f) {
			n++
		}
	}
	return n
}

func (t Terms) fresh(f Fact) bool { return int64(t.Now-f.At) <= t.Rule.MaxAge }

// near reports whether two values, the lower one first, are within the template's
// part of the range.
func (t Terms) near(low, high int64) bool {
	bound := fixed.Mul(uint64(t.Range), uint64(t.Rule.MaxDivergence))
	return !bound.Less(fixed.Mul(uint64(high-low), engine.One))
}

func lowest(group []Fact) int64 {
	low := group[0].Value
	for _, f := range group {
		low = min(low, f.Value)
	}
	return low
}

// Median is the middle value of a group, the lower one of two.
func Median(group []Fact) int64 {
	values := make([]int64, len(group))
	for i, f := range group {
		values[i] = f.Value
	}
	slices.Sort(values)
	return values[(len(values)-1)/2]
}
