// Package conduct holds an order against the bounds on behaviour: rates, bursts,
// spikes, washing, meeting own orders, and the price guard of its market.
//
// It promises: the same events for the same state and order; an abuse is raised once
// per episode, because fold remembers what is on; nothing is changed by looking. It
// refuses to decide on anything but a rate and the guard: what it raises is for people.
// The rules are those of "The rules of the market", section TWAP guard, and of the
// policy.
package conduct

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// TooFast rejects an order that is above a rate; the first of an episode raises
// abuse.
func TooFast(s *fold.State, d *engine.Decision, a *fold.Account, x *engine.PlaceOrder) bool {
	now := int64(d.At)
	rates := [3]struct {
		rate guard.Rate
		tat  int64
		on   bool
		rule string
	}{
		{s.OrderRate(), a.Orders, a.Flags&fold.OrderRateOn != 0, engine.RuleOrderRate},
		{s.TradeRate(), a.Trades, a.Flags&fold.TradeRateOn != 0, engine.RuleTradeRate},
	}
	if m := s.Market(x.Market); m != nil {
		rates[2].rate, rates[2].tat, rates[2].on, rates[2].rule = m.OrderRate(), m.Rate, m.Flags&fold.MarketRateOn != 0, engine.RuleMarketRate
	}
	for i := range rates {
		r := &rates[i]
		v := r.rate.Peek(r.tat, now)
		if r.rate.Interval == 0 || !v.Over {
			continue
		}
		d.Reject(engine.RateLimited, "")
		if !r.on {
			d.Add(&engine.AbuseRaised{
				Account: x.Account, Market: x.Market, Rule: r.rule, Severity: "low", Action: "limit",
				Observed: v.Observed, Bound: v.Bound,
			})
		}
		return true
	}
	return false
}

// bursts raises abuse if an accepted order makes far more of its account, or of its
// market, than their own past makes likely. It counts what fold charges.
func bursts(s *fold.State, d *engine.Decision, account engine.AccountID, market engine.MarketID) {
	now := int64(d.At)
	add := func(rule string, v guard.Verdict) {
		if v.Raise {
			d.Add(&engine.AbuseRaised{
				Market: market, Account: account, Rule: rule, Severity: "medium", Action: "alert", Observed: v.Observed, Bound: v.Bound,
			})
		}
	}
	if s.Policy.AccountBurst.Sigmas != 0 {
		own := s.Account(account).Burst
		if own == nil {
			own = &guard.Burst{}
		}
		add(engine.RuleAccountBurst, own.Peek(s.AccountBurstParams(), now))
	}
	if s.Policy.Burst.Sigmas != 0 {
		add(engine.RuleBurst, s.Market(market).Burst.Peek(s.BurstParams(), now))
	}
}

// Traded is what an accepted order traded at once.
type Traded struct {
	Shares  engine.Shares // 0: nothing
	After   engine.Price  // of its outcome, if it traded
	Fills   []engine.Fill
	Matched bool // one of them is with a resting order
	MetOwn  bool // it met orders of its own account
}

// Signals adds what an accepted order says about its account and its market.
func Signals(s *fold.State, d *engine.Decision, x *engine.PlaceOrder, t *Traded) {
	m, now := s.Market(x.Market), int64(d.At)
	bursts(s, d, x.Account, x.Market)
	if m.Template.Risk.SpikeMove != 0 && t.Shares != 0 {
		i, p := m.Watched(x.Outcome.Index(), t.After)
		if v := m.Spikes[i].Peek(m.SpikeParams(), now, p); v.Raise {
			d.Add(&engine.Cooled{Market: x.Market, Until: d.At + engine.Time(m.Template.Risk.CoolDown)})
			d.Add(&engine.AbuseRaised{
				Market: x.Market, Account: x.Account, Rule: engine.RuleSpike, Severity: "medium", Action: "pause",
				Observed: v.Observed, Bound: v.Bound,
			})
		}
	}
	if t.MetOwn {
		Attempt(s, d, x)
	}
	if s.Policy.Wash.Times != 0 && t.Matched {
		washed(s, d, x, t.Fills)
	}
}

// Attempt raises abuse if the account meets its own orders too often.
func Attempt(s *fold.State, d *engine.Decision, x *engine.PlaceOrder) {
	if s.Policy.SelfTrades.Times == 0 {
		return
	}
	a := s.Account(x.Account)
	if v := a.Attempts.Peek(s.SelfParams(), int64(d.At)); v.Raise {
		d.Add(&engine.AbuseRaised{
			Account: x.Account, Market: x.Market, Rule: engine.RuleSelfTrade, Severity: "medium", Action: "alert",
			Observed: v.Observed, Bound: v.Bound,
		})
	}
}

// washed raises abuse for the first maker with whom the account trades back and
// forth.
func washed(s *fold.State, d *engine.Decision, x *engine.PlaceOrder, fills []engine.Fill) {
	m, o, sell := s.Market(x.Market), x.Outcome.Index(), x.Side == engine.Sell
	for i := range fills {
		f := &fills[i]
		if f.Maker == 0 {
			continue
		}
		v := wash(s, x.Account).Peek(s.WashParams(), int64(d.At), fold.PartyOf(m, o, sell, f.Account, f.Shares, true))
		if !v.Raise {
			v = wash(s, f.Account).Peek(s.WashParams(), int64(d.At), fold.PartyOf(m, o, sell, x.Account, f.Shares, false))
		}
		if v.Raise {
			d.Add(&engine.AbuseRaised{
				Account: x.Account, Other: f.Account, Market: x.Market, Rule: engine.RuleWash, Severity: "high", Action: "alert",
				Observed: v.Observed, Bound: v.Bound,
			})
			return
		}
	}
}

// wash returns what is remembered of an account's fills with others.
func wash(s *fold.State, id engine.AccountID) *guard.Wash {
	if a := s.Account(id); a.Wash != nil {
		return a.Wash
	}
	return &guard.Wash{}
}

// Trip adds what freezes the market if its price guard's condition is complete:
// the decision that finds it executes, and is the last one.
func Trip(d *engine.Decision, m *fold.Market) {
	if m.Template.Guard.Window == 0 || m.State != engine.Open {
		return
	}
	p, now := m.GuardParams(), m.OpenTime(d.At)
	for i := range m.Guards {
		t := m.Guards[i].Peek(p, now)
		if t.Kind == 0 {
			continue
		}
		d.Add(&engine.GuardTripped{
			Market: m.ID, Outcome: m.Kind.Of(i), Kind: engine.TripKind(t.Kind), Observed: t.Observed, Bound: t.Bound, TWAP: t.TWAP,
		})
		d.Add(&engine.MarketStateChanged{Market: m.ID, From: engine.Open, To: engine.Frozen})
		return
	}
}
