package core

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/form"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// tooFast rejects an order that is above a rate; the first of an episode raises
// abuse.
func (s *State) tooFast(d *engine.Decision, a *fold.Account, x *engine.PlaceOrder) bool {
	now := int64(d.At)
	rates := [3]struct {
		rate guard.Rate
		tat  int64
		on   bool
		rule string
	}{
		{s.f.OrderRate(), a.Orders, a.Flags&fold.OrderRateOn != 0, engine.RuleOrderRate},
		{s.f.TradeRate(), a.Trades, a.Flags&fold.TradeRateOn != 0, engine.RuleTradeRate},
	}
	if m := s.f.Market(x.Market); m != nil {
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
func (s *State) bursts(d *engine.Decision, account engine.AccountID, market engine.MarketID) {
	now := int64(d.At)
	add := func(rule string, v guard.Verdict) {
		if v.Raise {
			d.Add(&engine.AbuseRaised{
				Market: market, Account: account, Rule: rule, Severity: "medium", Action: "alert", Observed: v.Observed, Bound: v.Bound,
			})
		}
	}
	if s.f.Policy.AccountBurst.Sigmas != 0 {
		own := s.f.Account(account).Burst
		if own == nil {
			own = &guard.Burst{}
		}
		add(engine.RuleAccountBurst, own.Peek(s.f.AccountBurstParams(), now))
	}
	if s.f.Policy.Burst.Sigmas != 0 {
		add(engine.RuleBurst, s.f.Market(market).Burst.Peek(s.f.BurstParams(), now))
	}
}

// signals adds what an accepted order says about its account and its market.
func (s *State) signals(d *engine.Decision, x *engine.PlaceOrder) {
	m, w, now := s.f.Market(x.Market), &s.walk, int64(d.At)
	s.bursts(d, x.Account, x.Market)
	if m.Template.Risk.SpikeMove != 0 && w.total != 0 {
		i, p := m.Watched(w.outcome, s.filled.PriceAfter)
		if v := m.Spikes[i].Peek(m.SpikeParams(), now, p); v.Raise {
			d.Add(&engine.Cooled{Market: x.Market, Until: d.At + engine.Time(m.Template.Risk.CoolDown)})
			d.Add(&engine.AbuseRaised{
				Market: x.Market, Account: x.Account, Rule: engine.RuleSpike, Severity: "medium", Action: "pause",
				Observed: v.Observed, Bound: v.Bound,
			})
		}
	}
	if len(w.met) != 0 || w.itself {
		s.attempt(d, x)
	}
	if s.f.Policy.Wash.Times != 0 && w.matched {
		s.washed(d, x)
	}
}

// attempt raises abuse if the account meets its own orders too often.
func (s *State) attempt(d *engine.Decision, x *engine.PlaceOrder) {
	if s.f.Policy.SelfTrades.Times == 0 {
		return
	}
	a := s.f.Account(x.Account)
	if v := a.Attempts.Peek(s.f.SelfParams(), int64(d.At)); v.Raise {
		d.Add(&engine.AbuseRaised{
			Account: x.Account, Market: x.Market, Rule: engine.RuleSelfTrade, Severity: "medium", Action: "alert",
			Observed: v.Observed, Bound: v.Bound,
		})
	}
}

// washed raises abuse for the first maker with whom the account trades back and
// forth.
func (s *State) washed(d *engine.Decision, x *engine.PlaceOrder) {
	for i := range s.walk.fills {
		f := &s.walk.fills[i]
		if f.Maker == 0 {
			continue
		}
		v := s.wash(x.Account).Peek(s.f.WashParams(), int64(d.At), s.party(f.Account, f.Shares, true))
		if !v.Raise {
			v = s.wash(f.Account).Peek(s.f.WashParams(), int64(d.At), s.party(x.Account, f.Shares, false))
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
func (s *State) wash(id engine.AccountID) *guard.Wash {
	if a := s.f.Account(id); a.Wash != nil {
		return a.Wash
	}
	return &guard.Wash{}
}

// party is a fill of the walked order as one of its two accounts sees it.
func (s *State) party(other engine.AccountID, q engine.Shares, taker bool) guard.Fill {
	w := &s.walk
	return fold.PartyOf(w.m, w.outcome, w.sell, other, q, taker)
}

// trip adds what freezes the market if its price guard's condition is complete:
// the decision that finds it executes, and is the last one.
func (s *State) trip(d *engine.Decision, m *fold.Market) {
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

// evidence returns what is wrong with the evidence of an act.
func evidence(uri string, digest engine.Digest) string {
	switch {
	case !form.URI(uri):
		return "evidence_uri is a URI of at most 512 visible ASCII characters"
	case digest == engine.Digest{}:
		return "evidence_sha256 is missing"
	}
	return ""
}

func printable(s string) bool { return form.Title(s, 128) }
