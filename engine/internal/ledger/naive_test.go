package ledger_test

import (
	"math/big"
	"slices"

	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// naive is the reference: it keeps every posting there ever was and adds them up
// when asked. It shares nothing with the ledger but the words.
type naive struct {
	accounts uint32
	outcomes []int // of markets 1, 2, …
	applied  []applied
}

type applied struct {
	at     int64
	market uint32
	ps     []ledger.Posting
}

type cell struct {
	account ledger.Account
	asset   ledger.Asset
}

// exists says whether there is such an account of that asset.
func (n *naive) exists(c cell) bool {
	isCredits := c.asset == ledger.Asset{}
	known := c.asset.Market >= 1 && int(c.asset.Market) <= len(n.outcomes)
	isShare := known && int(c.asset.Outcome) < n.outcomes[c.asset.Market-1]
	isUnit := known && c.asset.Outcome == ledger.Units
	account := c.account.ID >= 1 && c.account.ID <= n.accounts
	market := c.account.ID >= 1 && int(c.account.ID) <= len(n.outcomes)
	own := c.account.ID == c.asset.Market
	switch c.account.Kind {
	case ledger.Issuance, ledger.Platform:
		return isCredits && c.account.ID == 0
	case ledger.Available:
		return account && (isCredits || isShare || isUnit)
	case ledger.Reserved:
		return account && (isCredits || isShare)
	case ledger.Collateral, ledger.Fees, ledger.Rounding:
		return market && isCredits
	case ledger.Pool:
		return own && isShare
	case ledger.Supply:
		return own && (isShare || isUnit)
	}
	return false
}

// valid says whether Apply must accept the postings; balances that leave 2^62 on
// the way are the callers' to avoid.
func (n *naive) valid(ps []ledger.Posting) bool {
	sums := map[ledger.Asset]*big.Int{}
	ends := map[cell]*big.Int{}
	for _, p := range ps {
		c := cell{p.Account, p.Asset}
		if !n.exists(c) || p.Amount > 2*ledger.MaxBalance || p.Amount < -2*ledger.MaxBalance {
			return false
		}
		if ends[c] == nil {
			ends[c] = big.NewInt(n.balance(c, 1<<62))
		}
		if sums[p.Asset] == nil {
			sums[p.Asset] = new(big.Int)
		}
		ends[c].Add(ends[c], big.NewInt(p.Amount))
		sums[p.Asset].Add(sums[p.Asset], big.NewInt(p.Amount))
	}
	for _, s := range sums {
		if s.Sign() != 0 {
			return false
		}
	}
	for c, b := range ends {
		if c.account.Kind == ledger.Issuance || c.account.Kind == ledger.Supply {
			b.Neg(b)
		}
		if b.Sign() < 0 || b.Cmp(big.NewInt(ledger.MaxBalance)) > 0 {
			return false
		}
	}
	return true
}

// balance adds up the postings of an account up to a time.
func (n *naive) balance(c cell, until int64) int64 {
	var sum int64
	for _, d := range n.applied {
		for _, p := range d.ps {
			if d.at <= until && p.Account == c.account && p.Asset == c.asset {
				sum += p.Amount
			}
		}
	}
	return sum
}

// paid is the net credits that an account paid into a market in (after, …].
func (n *naive) paid(account, market uint32, after int64) int64 {
	var sum int64
	for _, d := range n.applied {
		for _, p := range d.ps {
			if d.at > after && d.market == market && p.Asset == credits && (p.Account == avail(account) || p.Account == reserved(account)) {
				sum -= p.Amount
			}
		}
	}
	return sum
}

// part is that an account takes part in a market.
type part struct{ market, account uint32 }

// parts lists who took part in what, in order: a posting of shares counts at once,
// what was paid at the end of its decision.
func (n *naive) parts() []part {
	var list []part
	join := func(p part) {
		if p.market != 0 && !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	trading := func(p ledger.Posting) bool {
		return p.Account.Kind == ledger.Available || p.Account.Kind == ledger.Reserved
	}
	for _, d := range n.applied {
		for _, p := range d.ps {
			if trading(p) {
				join(part{p.Asset.Market, p.Account.ID})
			}
		}
		for _, p := range d.ps {
			if trading(p) && p.Asset == credits && n.decisionNet(d, p.Account.ID, credits) != 0 {
				join(part{d.market, p.Account.ID})
			}
		}
	}
	return list
}

// decisionNet is what one decision gave a trading account of an asset, available
// and reserved together.
func (n *naive) decisionNet(d applied, account uint32, asset ledger.Asset) int64 {
	var sum int64
	for _, p := range d.ps {
		if p.Asset == asset && (p.Account == avail(account) || p.Account == reserved(account)) {
			sum += p.Amount
		}
	}
	return sum
}

// changes returns the times of the changes that a market's ring should have seen:
// one per trading account and asset, one per account of its own credits, one per
// outcome whose supply moved away from the collateral.
func (n *naive) changes(m uint32) []int64 {
	var times []int64
	for _, d := range n.applied {
		seen := map[cell]bool{}
		note := func(c cell, net int64) {
			if !seen[c] && net != 0 {
				seen[c] = true
				times = append(times, d.at)
			}
		}
		sum := func(c cell) (s int64) {
			for _, p := range d.ps {
				if p.Account == c.account && p.Asset == c.asset {
					s += p.Amount
				}
			}
			return s
		}
		for _, p := range d.ps {
			c := cell{p.Account, p.Asset}
			switch p.Account.Kind {
			case ledger.Available, ledger.Reserved:
				c.account = avail(p.Account.ID)
				if p.Asset.Market == m || p.Asset == credits && d.market == m {
					note(c, n.decisionNet(d, p.Account.ID, p.Asset))
				}
			case ledger.Collateral, ledger.Fees, ledger.Rounding:
				if p.Account.ID == m {
					note(c, sum(c))
				}
			}
		}
		for o := range n.outcomes[m-1] {
			c := cell{supply(m), share(m, uint8(o))}
			note(c, -sum(c)-sum(cell{coll(m), credits}))
		}
	}
	return times
}

// lost returns the time of the newest change that a ring of these limits cannot
// hold; -1 if it holds all.
func (n *naive) lost(m uint32, limits ledger.RingLimits) int64 {
	lost, times := int64(-1), n.changes(m)
	for i, at := range times {
		if len(times)-i > limits.Deltas || times[len(times)-1]-at > limits.Window {
			lost = at
		}
	}
	return lost
}
