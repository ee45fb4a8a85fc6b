package world

import (
	"fmt"
	"math/rand/v2"

	"github.com/mbp-market/mbp/engine"
)

// plan is what a seed decides. Its last market is the one that gets resolved.
type plan struct{ markets []planned }

type planned struct {
	title     string
	weight    int64 // in 1/weightOne
	price     engine.Price
	liquidity engine.Micros
}

const (
	weightOne = 1_000_000
	// firstShare is the least share of the first market: a busy venue has one
	// market that everybody trades.
	firstShare = 350_000
)

// resolvedTitle is the question of the market that is resolved at once.
const resolvedTitle = "Did release 4.2 reach all customers in September 2026?"

func newPlan(seed uint64, markets int) plan {
	r := rand.New(rand.NewPCG(seed, 0x6d6270)) //nolint:gosec // a world must be repeatable; its secrets come from crypto/rand
	p := plan{}
	weights := zipf(markets)
	for i, title := range titles(r, markets) {
		p.markets = append(p.markets, planned{
			title: title, weight: weights[i],
			price:     engine.Price(150_000 + 10_000*r.Int64N(71)), // 0.15..0.85 in whole points
			liquidity: max(engine.Micros(int64(depth)/weightOne*weights[i]), minDepth),
		})
	}
	p.markets = append(p.markets, planned{title: resolvedTitle, price: engine.One / 2, liquidity: minDepth})
	return p
}

// zipf returns weights that fall like 1/rank and sum to weightOne; the first
// one is at least firstShare.
func zipf(n int) []int64 {
	const unit = 1 << 32
	shares, sum := make([]int64, n), int64(0)
	for i := range shares {
		shares[i] = unit / int64(i+1)
		sum += shares[i]
	}
	first := max(unit*weightOne/sum, firstShare)
	if n == 1 {
		first = weightOne
	}
	left := int64(weightOne)
	for i := n - 1; i > 0; i-- {
		shares[i] = (weightOne - first) * (shares[i] >> 12) / ((sum - unit) >> 12)
		left -= shares[i]
	}
	shares[0] = left // with what rounding left over
	return shares
}

// titles makes distinct questions of a company's forecast market.
func titles(r *rand.Rand, n int) []string {
	quarters := []string{"Q1 2027", "Q2 2027", "Q3 2027", "Q4 2027"}
	products := []string{"the payments API", "the mobile app", "the data lake", "the checkout", "the partner portal", "the search service", "the billing engine", "the support desk"}
	places := []string{"Brazil", "Mexico", "Portugal", "Germany", "India", "Japan", "Chile", "Canada"}
	pick := func(from []string) string { return from[r.IntN(len(from))] }
	kinds := []func() string{
		func() string {
			return fmt.Sprintf("Will release %d.%d of %s ship before the end of %s?", 2+r.IntN(6), r.IntN(10), pick(products), pick(quarters))
		},
		func() string {
			return fmt.Sprintf("Will revenue in %s grow by more than %d %% in %s?", pick(places), 3+r.IntN(25), pick(quarters))
		},
		func() string {
			return fmt.Sprintf("Will %s stay above 99.%d %% availability in %s?", pick(products), 5+r.IntN(5), pick(quarters))
		},
		func() string {
			return fmt.Sprintf("Will we sign %d or more new customers in %s by %s?", 5*(1+r.IntN(20)), pick(places), pick(quarters))
		},
		func() string {
			return fmt.Sprintf("Will customer churn stay under %d.%d %% in %s?", 1+r.IntN(4), r.IntN(10), pick(quarters))
		},
		func() string {
			return fmt.Sprintf("Will the audit of %s close without a major finding in %s?", pick(products), pick(quarters))
		},
		func() string {
			return fmt.Sprintf("Will the team of %s fill %d open positions by %s?", pick(products), 2+r.IntN(12), pick(quarters))
		},
		func() string {
			return fmt.Sprintf("Will the cost of %s fall by %d %% against the plan of %s?", pick(products), 2+r.IntN(18), pick(quarters))
		},
	}
	seen := map[string]bool{}
	var out []string
	for i := 0; len(out) < n; i++ {
		title := kinds[i%len(kinds)]()
		if !seen[title] {
			seen[title] = true
			out = append(out, title)
		}
	}
	return out
}
