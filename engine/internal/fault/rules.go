package fault

import (
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/form"
)

const (
	second = 1_000_000 // µs
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour
)

// Policy returns what is wrong with the policy, "" if nothing is.
func Policy(p *engine.Policy) string {
	const far = 1 << 40
	for _, v := range []int64{p.OrderInterval, p.OrderBurst, p.MaxAccounts, p.MaxMarkets, p.MaxKeys, p.MaxTemplates} {
		if v < 1 || v > far {
			return "policy: every limit lies in 1..2^40"
		}
	}
	switch {
	case !form.Semver(p.Version):
		return "policy: version has the form 1.0.0"
	case p.OrderInterval > hour || p.OrderBurst > 1_000_000:
		return "policy: order_interval_us is at most an hour and order_burst at most 1000000"
	case p.MaxOpenOrders < 1 || p.MaxOpenOrders > 1000 || p.MaxFills < 1 || p.MaxFills > 1000:
		return "policy: max_open_orders and max_fills_of_order lie in 1..1000"
	case p.TradeInterval < 0 || p.TradeInterval > hour || p.TradeBurst < 0 || p.TradeBurst > 1_000_000 || (p.TradeInterval == 0) != (p.TradeBurst == 0):
		return "policy: trade_interval_us is at most an hour, and trade_burst goes with it"
	case burst(&p.Burst) || burst(&p.AccountBurst):
		return "policy: burst and account_burst have sigmas in 0..100 and floor in 0..1000000"
	case !counts(p.Wash.Times, p.Wash.Window):
		return "policy: wash.times lies in 0..8 and wash.window_us in 1..a day, or 0 if times is 0"
	case p.Degrade.PushInterval < 0 || p.Degrade.PushInterval > minute || p.Degrade.ShedDivisor < 1 || p.Degrade.ShedDivisor > 100:
		return "policy: degrade.push_interval_us is at most a minute, and degrade.shed_divisor lies in 1..100"
	case !counts(p.SelfTrades.Times, p.SelfTrades.Window):
		return "policy: self_trades.times lies in 0..8 and self_trades.window_us in 1..a day, or 0 if times is 0"
	}
	return ""
}

// counts reports whether a rule that counts within a window can: without one it
// would count what comes in the same µs.
func counts(times, window int64) bool {
	return times >= 0 && times <= 8 && window >= 0 && window <= day && (times == 0 || window > 0)
}

// Template returns what is wrong with the template, "" if nothing is.
func Template(t *engine.Template) string {
	lowest := engine.Price(100)
	switch {
	case !form.Slug(t.ID) || !form.Slug(t.Category):
		return "template: id and category have 1..64 characters a-z, 0-9, -"
	case !form.Semver(t.Version):
		return "template: version has the form 1.0.0"
	case t.Kind < engine.Binary || t.Kind > engine.Scalar:
		return "template: kind is binary, categorical or scalar"
	case t.MaxTitle < 1 || t.MaxTitle > form.MaxText:
		return "template: max_title lies in 1..512"
	case t.MaxDuration < 0 || t.MaxDuration > 100*366*day:
		return "template: max_duration_us is at most a hundred years"
	case t.MinLiquidity < engine.One || t.MinLiquidity > t.MaxLiquidity || t.MaxLiquidity > engine.MaxAmount/4:
		return "template: 1 credit <= min_liquidity_micros <= max_liquidity_micros <= 2^50"
	case t.MinPrice < lowest || t.MinPrice >= t.MaxPrice || t.MaxPrice > engine.One-lowest:
		return "template: 100 <= min_price_micros < max_price_micros <= 999900"
	case t.MaxOrder < engine.One || t.MaxOrder > engine.MaxAmount/4:
		return "template: max_order_micros lies in 1 credit..2^50"
	case t.Collar < 0 || t.Collar >= engine.One:
		return "template: collar_micros lies in 0..999999"
	}
	for _, fault := range []string{fee(&t.Fee), guard(&t.Guard), risk(&t.Risk), truth(&t.Truth), end(&t.End)} {
		if fault != "" {
			return "template: " + fault
		}
	}
	return ""
}

func fee(f *engine.FeeRule) string {
	switch {
	case f.Kind > engine.FeeNotional || (f.Kind == engine.FeeNone) != (f.Rate == 0):
		return "fee.kind is none without a rate, or curve or notional with one"
	case f.Rate < 0 || f.Rate > engine.One/10:
		return "fee.rate_ppm lies in 0..100000"
	case f.LP < 0 || f.Creator < 0 || f.LP > engine.One || f.Creator > engine.One-f.LP:
		return "fee.lp_ppm and fee.creator_ppm are at most 1000000 together"
	}
	return ""
}

func guard(g *engine.GuardRule) string {
	switch {
	case g.Window == 0 && *g != engine.GuardRule{}:
		return "guard.window_us is missing"
	case g.Window == 0:
		return ""
	case g.Window < 10*second || g.Window > 15*minute || g.Window%(10*second) != 0:
		return "guard.window_us is a multiple of ten seconds, at most 15 minutes"
	case g.Bound < 1 || g.Bound > engine.One:
		return "guard.bound_ppm lies in 1..1000000"
	case g.Outliers < 0 || g.Outliers > 90 || g.Floor < 0 || g.Floor > engine.One:
		return "guard.outliers lies in 0..90 and guard.floor_ppm in 0..1000000"
	case g.ReopenAfter < 0 || g.ReopenAfter > 366*day:
		return "guard.reopen_after_us is at most a year"
	}
	return ""
}

func burst(b *engine.BurstRule) bool {
	return b.Sigmas < 0 || b.Sigmas > 100 || b.Floor < 0 || b.Floor > 1_000_000
}

func risk(r *engine.RiskRule) string {
	for _, v := range []int64{int64(r.MaxPosition), int64(r.MaxExposure), int64(r.MaxInterest)} {
		if v < 0 || v > engine.MaxAmount {
			return "the caps of risk lie in 0..2^52"
		}
	}
	switch {
	case r.OrderInterval < 0 || r.OrderInterval > hour || r.OrderBurst < 0 || r.OrderBurst > 1_000_000 || (r.OrderInterval == 0) != (r.OrderBurst == 0):
		return "risk.order_interval_us is at most an hour, and risk.order_burst goes with it"
	case r.SpikeMove < 0 || r.SpikeMove >= engine.One || r.SpikeSpan < 0 || r.SpikeSpan > hour || r.CoolDown < 0 || r.CoolDown > day:
		return "risk.spike_move_micros is a price, spike_span_us at most an hour, cool_down_us at most a day"
	case (r.SpikeMove == 0) != (r.SpikeSpan == 0) || (r.SpikeMove == 0) != (r.CoolDown == 0):
		return "risk.spike_move_micros, spike_span_us and cool_down_us go together"
	}
	return ""
}

func truth(t *engine.TruthRule) string {
	least := int64(1)
	if t.Source == engine.SourceManual {
		least = 2
	}
	switch {
	case t.Source < engine.SourceManual || t.Source > engine.SourceQuorum:
		return "truth.source is manual, table, endpoint or quorum"
	case t.Approvals < least || t.Approvals > 5:
		return "truth.approvals is at most 5, and at least 2 where people propose"
	case t.DisputeWindow < 0 || t.DisputeWindow > 366*day || t.SLA < 0 || t.SLA > 366*day:
		return "truth.dispute_window_us and truth.sla_us are at most a year"
	case t.MaxDisputes < 0 || t.MaxDisputes > 16:
		return "truth.max_disputes lies in 0..16"
	case len(t.Reporters) > engine.MaxReporters:
		return "truth.reporters has at most 16 names"
	case t.Source == engine.SourceManual && (len(t.Reporters) != 0 || t.Quorum != 0 || t.MaxAge != 0 || t.MaxDivergence != 0):
		return "truth.reporters, quorum, max_age_us and max_divergence_ppm are for sources that report"
	case t.Source != engine.SourceManual && (t.Quorum < 1 || t.Quorum > int64(len(t.Reporters)) || t.MaxAge < 1 || t.MaxAge > 366*day):
		return "truth.quorum lies in 1..the number of reporters, and truth.max_age_us in 1..a year"
	case t.MaxDivergence < 0 || t.MaxDivergence > engine.One:
		return "truth.max_divergence_ppm lies in 0..1000000"
	}
	for i, r := range t.Reporters {
		if !form.Principal(r) || r == engine.System {
			return "truth.reporters are principals"
		}
		for _, earlier := range t.Reporters[:i] {
			if earlier == r {
				return "truth.reporters has a name twice"
			}
		}
	}
	return ""
}

func end(e *engine.EndRule) string {
	if e.VoidTrades < 0 || e.VoidTrades > 10_000_000 || e.VoidWindow < 0 || e.VoidWindow > 366*day {
		return "end.void_trades lies in 0..10000000 and end.void_window_us is at most a year"
	}
	return ""
}
