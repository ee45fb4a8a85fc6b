package core

import (
	"fmt"
	"math/big"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

// claims are exact sums of micros by account.
type claims map[engine.AccountID]*big.Rat

func (c claims) add(a engine.AccountID, v *big.Rat) {
	if c[a] == nil {
		c[a] = new(big.Rat)
	}
	c[a].Add(c[a], v)
}

// copied returns a copy that later additions do not change.
func (c claims) copied() claims {
	out := make(claims, len(c))
	for a, v := range c {
		out[a] = new(big.Rat).Set(v)
	}
	return out
}

// positive is the sum of what is above zero.
func (c claims) positive() *big.Rat {
	sum := new(big.Rat)
	for _, v := range c {
		if v.Sign() > 0 {
			sum.Add(sum, v)
		}
	}
	return sum
}

func whole(n int64) *big.Rat { return new(big.Rat).SetInt64(n) }

func times(a, b *big.Rat) *big.Rat { return new(big.Rat).Mul(a, b) }

func part(n, of int64) *big.Rat {
	if of == 0 {
		return new(big.Rat)
	}
	return big.NewRat(n, of)
}

// reckoning is what a market's end should pay, worked out from what everybody
// holds with exact fractions and without the engine's own arithmetic.
type reckoning struct {
	started   *engine.SettlementStarted
	claims    claims
	paid      map[engine.AccountID]engine.Micros
	recovered engine.Micros
	holders   int
	platform  *big.Rat // of the fees and dust, what nobody else is due
}

// earn spreads the liquidity's part of a fee over those who hold its units.
func (k *watch) earn(m *fold.Market, x *engine.OrderFilled) {
	if x.LPFee == 0 {
		return
	}
	if k.earned[m.ID] == nil {
		k.earned[m.ID] = claims{}
	}
	for i := range m.Balance.Holders() {
		share := part(int64(m.Balance.UnitsOf(i)), int64(m.Balance.Units()))
		k.earned[m.ID].add(engine.AccountID(m.Balance.Holder(i)), times(share, whole(int64(x.LPFee))))
	}
}

// ending works out what everybody is due.
func (k *watch) ending(w *world, x *engine.SettlementStarted) error {
	m := w.s.f.Market(x.Market)
	was := k.holdings[x.Market-1]
	r := &reckoning{started: x, claims: claims{}, paid: map[engine.AccountID]engine.Micros{}, holders: len(was.of), platform: new(big.Rat)}
	if k.ends[x.Market] != nil {
		return fmt.Errorf("the market ends twice")
	}
	k.ends[x.Market] = r
	if err := stoodBehind(w, m, x); err != nil {
		return err
	}
	if len(x.Payouts) != 0 {
		sum := engine.Price(0)
		for _, v := range x.Payouts {
			if v < 0 {
				return fmt.Errorf("a payout is below zero")
			}
			sum += v
		}
		if sum != engine.One {
			return fmt.Errorf("the payouts sum to %d", sum)
		}
	}
	switch x.Ending {
	case engine.EndByRefund:
		for _, h := range was.of {
			r.claims.add(h.account, whole(int64(h.net)))
		}
	case engine.EndByVoid:
		then := k.at(x.Market, x.EffectiveAt)
		r.due(m, then, x.Payouts)
		for i, h := range was.of {
			if net := -int64(h.net); i < len(then.of) {
				r.claims.add(h.account, whole(net+int64(then.of[i].net)).Neg(whole(net+int64(then.of[i].net))))
			} else {
				r.claims.add(h.account, whole(-net))
			}
		}
	default:
		r.due(m, was, x.Payouts)
	}
	return nil
}

// stoodBehind checks that as many different principals as the template asks for
// stand behind an outcome, and that its dispute window is over.
func stoodBehind(w *world, m *fold.Market, x *engine.SettlementStarted) error {
	if x.Ending != engine.EndByOutcome && x.Ending != engine.EndByVoid {
		return nil
	}
	seen := map[string]bool{}
	for _, b := range m.Proposal.Backers {
		seen[b] = true
	}
	if int64(len(seen)) < m.Template.Truth.Approvals {
		return fmt.Errorf("only %v stand behind it", m.Proposal.Backers)
	}
	if w.s.At() < m.Proposal.FinalAt || x.Outcome != m.Proposal.Outcome || x.Value != m.Proposal.Value || x.EvidenceSHA256 != m.Proposal.EvidenceSHA256 {
		return fmt.Errorf("it is not what was proposed, or too early")
	}
	return nil
}

// at is what everybody held after the last decision at or before a time.
func (k *watch) at(id engine.MarketID, s engine.Time) (h holdings) {
	for _, x := range k.past[id] {
		if x.at <= s {
			h = x
		}
	}
	return h
}

// due adds what holdings are worth under a vector of payouts, with the parts of
// the fees.
func (r *reckoning) due(m *fold.Market, h holdings, payouts []engine.Price) {
	value := func(shares []engine.Shares) *big.Rat {
		sum := new(big.Rat)
		for o, q := range shares {
			sum.Add(sum, times(whole(int64(q)), big.NewRat(int64(payouts[o]), engine.One)))
		}
		return sum
	}
	pools := value(h.pools)
	fees, rule := whole(int64(h.fees)), m.Template.Fee
	earned := h.earned
	all := earned.positive()
	for _, x := range h.of {
		r.claims.add(x.account, value(x.shares))
		r.claims.add(x.account, times(pools, part(int64(x.units), int64(h.units))))
	}
	r.claims.add(m.Creator, times(fees, big.NewRat(rule.Creator, engine.One)))
	lp := times(fees, big.NewRat(rule.LP, engine.One))
	if lp.Cmp(all) > 0 { // each fee's part for the liquidity was rounded down
		lp = all
	}
	for a, v := range earned {
		if all.Sign() > 0 {
			r.claims.add(a, times(lp, new(big.Rat).Quo(v, all)))
		}
	}
	r.platform = new(big.Rat).Sub(times(fees, big.NewRat(engine.One-rule.Creator, engine.One)), lp)
}

// step follows a settlement, and compares at its end.
func (k *watch) step(w *world, x *engine.SettlementStepped) error {
	r := k.ends[x.Market]
	if r == nil {
		return fmt.Errorf("no settlement began")
	}
	for _, p := range x.Payouts {
		if _, twice := r.paid[p.Account]; twice && p.Credits > 0 {
			return fmt.Errorf("%s is paid twice", p.Account)
		}
		switch {
		case p.Credits == 0 || p.Credits < 0 && x.Phase != engine.PhaseCollect || p.Credits > 0 && x.Phase != engine.PhasePay:
			return fmt.Errorf("%d for %s in phase %d", p.Credits, p.Account, x.Phase)
		case p.Credits < 0:
			r.recovered -= p.Credits
		default:
			r.paid[p.Account] = p.Credits
		}
	}
	if x.Phase != engine.PhasePay || !x.Last {
		return nil
	}
	k.checked++
	return r.compare(w.s.f.Market(x.Market), x.Swept)
}

// compare checks that all that was there is paid or swept, and that each account
// got its part of what it was due, to some micros of rounding.
func (r *reckoning) compare(m *fold.Market, swept engine.Micros) error {
	sum := swept
	for _, v := range r.paid {
		sum += v
	}
	if sum != r.started.Pot+r.recovered || swept < 0 {
		return fmt.Errorf("%d paid and swept of %d and %d recovered", sum, r.started.Pot, r.recovered)
	}
	scale := whole(1)
	there := whole(int64(r.started.Pot + r.recovered))
	if due := r.claims.positive(); due.Cmp(there) > 0 && (r.started.Ending == engine.EndByVoid || r.started.Ending == engine.EndByRefund) {
		scale.Quo(there, due)
	}
	slack := whole(int64(8 + 2*r.holders))
	for a, due := range r.claims {
		want := new(big.Rat)
		if due.Sign() > 0 {
			want = times(due, scale)
		}
		diff := new(big.Rat).Sub(want, whole(int64(r.paid[a])))
		if diff.Cmp(slack) > 0 || new(big.Rat).Neg(diff).Cmp(slack) > 0 {
			return fmt.Errorf("%s (%s): %s is paid %d, due %s of %s at %s", m.ID, m.Template.ID, a, r.paid[a], want.FloatString(3), due.FloatString(3), scale.FloatString(6))
		}
	}
	for a := range r.paid {
		if r.claims[a] == nil {
			return fmt.Errorf("%s is paid without a claim", a)
		}
	}
	if r.started.Ending == engine.EndByOutcome || r.started.Ending == engine.EndByPrice { // all but the dust is paid
		dust := new(big.Rat).Sub(whole(int64(swept)), r.platform)
		if dust.Cmp(whole(int64(8+3*r.holders)+m.Trades*(int64(maxFillsSeen)+2))) > 0 {
			return fmt.Errorf("%s of dust is swept", dust.FloatString(3))
		}
	}
	return nil
}

// maxFillsSeen bounds the dust that one trade leaves: a micro for each side of
// each fill.
const maxFillsSeen = 20
