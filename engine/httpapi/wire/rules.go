package wire

import "github.com/mbp-market/mbp/engine"

// AddTemplate reads a template version. Groups of rules that are absent are off,
// and so are rules that are absent from their group.
func AddTemplate(r *Request) engine.Command {
	f := r.Form
	t := engine.Template{
		ID: f.Text("id", MaxName), Version: f.Text("version", MaxVersion), Category: f.Text("category", MaxName),
		MaxTitle: f.Int64("max_title", true), MaxDuration: f.Int64("max_duration_us", false),
		MinLiquidity: f.micros("min_liquidity_micros"), MaxLiquidity: f.micros("max_liquidity_micros"),
		MinPrice: engine.Price(f.Int64("min_price_micros", true)), MaxPrice: engine.Price(f.Int64("max_price_micros", true)),
		MaxOrder: f.micros("max_order_micros"), Collar: engine.Price(f.Int64("collar_micros", false)),
	}
	f.Into("kind", true, &t.Kind)
	t.Truth = truthRule(f.Object("truth", true))
	if g := f.Object("fee", false); g != nil {
		g.Into("kind", true, &t.Fee.Kind)
		t.Fee.Rate, t.Fee.LP, t.Fee.Creator = g.Int64("rate_ppm", false), g.Int64("lp_ppm", false), g.Int64("creator_ppm", false)
	}
	if g := f.Object("guard", false); g != nil {
		t.Guard = engine.GuardRule{
			Window: g.Int64("window_us", false), Bound: g.Int64("bound_ppm", false), Relative: g.Bool("relative"), Outliers: g.Int64("outliers", false),
			Floor: g.Int64("floor_ppm", false), ReopenAfter: g.Int64("reopen_after_us", false),
		}
	}
	if g := f.Object("risk", false); g != nil {
		t.Risk = engine.RiskRule{
			MaxPosition: engine.Shares(g.Int64("max_position_micros", false)), MaxExposure: engine.Micros(g.Int64("max_exposure_micros", false)),
			MaxInterest:   engine.Micros(g.Int64("max_open_interest_micros", false)),
			OrderInterval: g.Int64("order_interval_us", false), OrderBurst: g.Int64("order_burst", false),
			SpikeMove: engine.Price(g.Int64("spike_move_micros", false)), SpikeSpan: g.Int64("spike_span_us", false), CoolDown: g.Int64("cool_down_us", false),
		}
	}
	if g := f.Object("end", false); g != nil {
		t.End = engine.EndRule{
			Uniform: g.Bool("uniform"), Clawback: g.Bool("clawback"), VoidTrades: g.Int64("void_trades", false), VoidWindow: g.Int64("void_window_us", false),
		}
	}
	return &engine.AddTemplate{Template: t}
}

func truthRule(f *Form) engine.TruthRule {
	t := engine.TruthRule{
		Approvals: f.Int64("approvals", true), DisputeWindow: f.Int64("dispute_window_us", false), MaxDisputes: f.Int64("max_disputes", false), SLA: f.Int64("sla_us", false),
		Reporters: f.Texts("reporters", false, engine.MaxReporters, MaxName), Quorum: f.Int64("quorum", false),
		MaxAge: f.Int64("max_age_us", false), MaxDivergence: f.Int64("max_divergence_ppm", false),
	}
	f.Into("source", true, &t.Source)
	return t
}

// SetPolicy reads a whole bundle, so that none of its limits is left to chance.
func SetPolicy(r *Request) engine.Command {
	f := r.Form
	p := engine.Policy{
		Version: f.Text("version", MaxVersion), OrderInterval: f.Int64("order_interval_us", true), OrderBurst: f.Int64("order_burst", true),
		MaxAccounts: f.Int64("max_accounts", true), MaxMarkets: f.Int64("max_markets", true), MaxKeys: f.Int64("max_keys", true),
		MaxTemplates: f.Int64("max_templates", true), MaxOpenOrders: f.Int64("max_open_orders", true), MaxFills: f.Int64("max_fills_of_order", true),
		TradeInterval: f.Int64("trade_interval_us", true), TradeBurst: f.Int64("trade_burst", true),
	}
	g := f.Object("burst", true)
	p.Burst = engine.BurstRule{Sigmas: g.Int64("sigmas", true), Floor: g.Int64("floor", true)}
	g = f.Object("account_burst", true)
	p.AccountBurst = engine.BurstRule{Sigmas: g.Int64("sigmas", true), Floor: g.Int64("floor", true)}
	g = f.Object("wash", true)
	p.Wash = engine.WashRule{Times: g.Int64("times", true), Window: g.Int64("window_us", true)}
	g = f.Object("self_trades", true)
	p.SelfTrades = engine.AttemptsRule{Times: g.Int64("times", true), Window: g.Int64("window_us", true)}
	g = f.Object("degrade", true)
	p.Degrade = engine.DegradeRule{PushInterval: g.Int64("push_interval_us", true), ShedDivisor: g.Int64("shed_divisor", true)}
	return &engine.SetPolicy{Policy: p}
}
