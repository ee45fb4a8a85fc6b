package core

import (
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// The shipped policy runs the bounds that were chosen on real data; the others are
// off until a policy or a template sets them, as docs/spec/abuse.md says.
func TestShippedPolicyRunsTheChosenBounds(t *testing.T) {
	s, chosen := fold.New(), guard.Defaults()
	s.Policy = engine.DefaultPolicy()
	template := engine.DefaultTemplate()
	m := &fold.Market{Template: &template}
	for rule, c := range map[string]struct{ runs, want any }{
		engine.RuleOrderRate:  {s.OrderRate(), chosen.AccountOrders},
		engine.RuleBurst:      {s.BurstParams(), chosen.MarketBurst},
		engine.RuleWash:       {s.WashParams(), chosen.Wash},
		engine.RuleSelfTrade:  {s.SelfParams(), chosen.Self},
		engine.RuleTradeRate:  {s.TradeRate(), guard.Rate{}},
		engine.RuleMarketRate: {m.OrderRate(), guard.Rate{}},
		engine.RuleSpike:      {m.SpikeParams(), guard.SpikeParams{}},
	} {
		if c.runs != c.want {
			t.Errorf("%s runs with %+v, chosen was %+v", rule, c.runs, c.want)
		}
	}
}
