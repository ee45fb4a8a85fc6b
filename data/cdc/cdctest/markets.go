package cdctest

import (
	"crypto/sha256"
	"fmt"

	"github.com/mbp-market/mbp/engine"
)

// policy counts sooner than the one that is shipped, so that a short history
// raises every rule.
func policy() engine.Policy {
	p := engine.DefaultPolicy()
	p.TradeInterval, p.TradeBurst = int64(engine.One), 25
	p.Burst = engine.BurstRule{Sigmas: 1, Floor: 40}
	p.Wash.Times, p.SelfTrades.Times = 2, 3
	return p
}

// templates are the versions that the markets are made from.
func templates() []engine.Template {
	base := engine.DefaultTemplate()
	base.Guard = engine.GuardRule{} // the markets that are watched have their own
	choice := base
	choice.ID, choice.Kind, choice.MinPrice, choice.MaxPrice = "choice", engine.Categorical, 1_000, 990_000
	choice.Fee = engine.FeeRule{Kind: engine.FeeCurve, Rate: 20_000, LP: 500_000, Creator: 200_000}
	gauge := base
	gauge.ID, gauge.Kind = "gauge", engine.Scalar
	gauge.Fee = engine.FeeRule{Kind: engine.FeeNotional, Rate: 5_000, LP: 1_000_000}
	gauge.Truth = engine.TruthRule{Source: engine.SourceManual, Approvals: 2, DisputeWindow: int64(20 * minute), SLA: int64(hour)}
	sensor := gauge
	sensor.ID, sensor.Truth = "sensor", engine.TruthRule{
		Source: engine.SourceQuorum, Approvals: 2, DisputeWindow: int64(30 * minute), Reporters: []string{"rep-1", "rep-2", "rep-3"},
		Quorum: 2, MaxAge: int64(hour), MaxDivergence: 50_000,
	}
	watched := base
	watched.ID, watched.Guard = "watched", engine.GuardRule{Window: int64(minute), Bound: 10_000}
	cooling := base
	cooling.ID, cooling.Risk = "cooling", engine.RiskRule{
		OrderInterval: int64(engine.One), OrderBurst: 10, SpikeMove: 100_000, SpikeSpan: int64(minute), CoolDown: int64(2 * minute),
	}
	return []engine.Template{base, choice, gauge, sensor, watched, cooling}
}

// open makes the house, the accounts and the markets.
func (w *world) open() {
	all := templates()
	w.act("root", &engine.Initialise{
		Policy: policy(), Template: all[0],
		Admin: engine.Key{SHA256: sha256.Sum256(fmt.Append(nil, "admin", w.now)), Principal: "root", Roles: engine.RoleAdmin},
	})
	for _, t := range all[1:] {
		w.act("root", &engine.AddTemplate{Template: t})
	}
	for i := range engine.AccountID(Accounts) {
		w.act("ops", &engine.OpenAccount{})
		w.act("ops", &engine.GrantCredits{Account: i + 1, Amount: 20_000 * engine.One})
	}
	w.grants()
	w.seasons()
	for id := Plain; id <= lastOne; id++ {
		w.act("ops", w.market(id))
	}
	w.act("ops", &engine.SetMarketGroups{Market: Unopened, Allow: []string{"guests", "staff"}, Deny: []string{"board"}})
	w.act("ops", &engine.SetMarketGroups{Market: Unopened, Allow: []string{"staff"}, Deny: []string{"audit", "board"}})
}

// seasons announces some: one that ends while the markets trade, one that begins then and
// runs on, and one that is withdrawn. All in one moment: the rest of a history is as it
// would be without them.
func (w *world) seasons() {
	w.step("ops", &engine.SetRanking{Account: 1})
	w.step("ops", &engine.OpenSeason{Name: "qualifying", End: w.now + hour})
	w.step("ops", &engine.OpenSeason{Name: "finals", Start: w.now + 2*hour, End: w.now + 90*24*hour})
	w.step("ops", &engine.OpenSeason{Name: "never", Start: w.now + 100*24*hour, End: w.now + 101*24*hour})
	w.step("ops", &engine.EndSeason{Name: "never"})
}

// grants puts accounts into groups and grants them credits, over the midnight before the
// markets open.
func (w *world) grants() {
	w.act("ops", &engine.SetAccountGroups{Account: 1, Groups: []string{"board", "staff"}})
	w.act("ops", &engine.SetAccountGroups{Account: 2, Groups: []string{"staff"}})
	w.act(engine.System, &engine.SetAccountGroups{Account: 2, Groups: []string{"guests"}, ToldAt: w.now})
	w.act("ops", &engine.SetAccountGroups{Account: 1, Groups: []string{"staff"}}) // leaves the board
	w.act("ops", &engine.SetGrantSchedule{Schedule: engine.GrantSchedule{
		Name: "allowance", Period: engine.Daily, Amount: 10 * engine.One, Cap: 20_005 * engine.One, Groups: []string{"staff"}, End: w.now + 30*24*hour,
	}})
	w.act("ops", &engine.SetGrantSchedule{Schedule: engine.GrantSchedule{Name: "bonus", Period: engine.Monthly, Amount: engine.One, Start: w.now + 24*hour}})
	w.now += 24 * hour
	w.act("ops", &engine.EndGrantSchedule{Name: "bonus"})
}

// market is the command that opens one of the cast.
func (w *world) market(id engine.MarketID) *engine.OpenMarket {
	x := &engine.OpenMarket{
		Template: "binary@1.0.0", Title: fmt.Sprintf("Will event %d happen?", id), Creator: 1 + engine.AccountID(id)%3,
		Liquidity: engine.Micros(100+w.rng.Int64N(400)) * engine.One,
	}
	price := engine.Price(200_000 + w.rng.Int64N(600_000))
	switch id {
	case Scores, Named, Averaged:
		x.Template, x.Title = "choice@1.0.0", fmt.Sprintf("Who wins game %d?", id)
		x.Outcomes = labels(map[engine.MarketID]int{Scores: 5, Named: engine.MaxOutcomes, Averaged: 3}[id])
		if id == Scores {
			x.Prices = []engine.Price{400_000, 300_000, 150_000, 100_000, 50_000}
		}
		return x
	case Disputed, Contested:
		x.Template, x.Min, x.Max = "gauge@1.0.0", 0, 100
	case Level:
		x.Template, x.Min, x.Max = "sensor@1.0.0", -50, 150
	case Watched:
		x.Template, price = "watched@1.0.0", 500_000
	case Cooling:
		x.Template, price, x.Liquidity = "cooling@1.0.0", 500_000, 200*engine.One
	case Timed:
		x.CloseAt = w.now + 10*minute
	case Drafted, Unopened:
		x.Draft = true
	case Plain:
		x.CloseAt = w.now + 30*24*hour
	}
	x.Price = price
	return x
}

func labels(n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = fmt.Sprintf("team %d", i+1)
	}
	return out
}

func (w *world) propose(who string, m engine.MarketID, o engine.Outcome, value int64, effective engine.Time) {
	uri := fmt.Sprintf("https://example.org/%d/%d", m, len(w.log))
	w.act(who, &engine.ProposeResolution{Market: m, Outcome: o, Value: value, EvidenceURI: uri, EvidenceSHA256: digest(uri), EffectiveAt: effective})
}

func (w *world) dispute(who string, m engine.MarketID) {
	uri := fmt.Sprintf("https://example.org/against/%d/%d", m, len(w.log))
	w.act(who, &engine.DisputeResolution{Market: m, EvidenceURI: uri, EvidenceSHA256: digest(uri)})
}

func (w *world) report(who string, m engine.MarketID, value int64) {
	uri := fmt.Sprintf("https://example.org/facts/%d/%s", m, who)
	w.act(who, &engine.ReportFact{
		Market: m, Outcome: engine.Long, Value: value, ObservedAt: w.now, EvidenceURI: uri, RuleSHA256: digest("rule"), FactsSHA256: digest(uri),
	})
}
