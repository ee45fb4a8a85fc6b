package core

import (
	"github.com/mbp-market/mbp/engine"
)

// dice is where the choices of a history come from: drawn, or read from the bytes
// of a fuzzer.
type dice interface {
	pick(n int) int // 0..n−1
}

// bytesDice reads choices from a program of bytes; it says zero at its end.
type bytesDice struct{ b []byte }

func (d *bytesDice) pick(n int) int {
	if len(d.b) == 0 || n < 2 {
		return 0
	}
	v := int(d.b[0])
	d.b = d.b[1:]
	if n > 256 && len(d.b) > 0 {
		v = v<<8 | int(d.b[0])
		d.b = d.b[1:]
	}
	return v % n
}

func among[T any](d dice, of ...T) T { return of[d.pick(len(of))] }

// size is an amount of micros: mostly a sensible one.
func size(d dice) int64 {
	switch d.pick(16) {
	case 0:
		return int64(d.pick(4)) - 1
	case 1:
		return 1 + int64(d.pick(60_000))
	case 2:
		return 1 << (d.pick(54))
	case 3:
		return int64(d.pick(20_000)) * engine.One
	}
	return int64(1+d.pick(60_000)) * int64(1+d.pick(5_000))
}

var principals = []string{"ana", "bob", "carol", "dave"}

// templates are markets of all kinds with all rules that a template can have.
func templates() []engine.Template {
	plain := engine.DefaultTemplate()
	plain.Truth.DisputeWindow = int64(30 * sec)

	charged := engine.DefaultTemplate()
	charged.ID, charged.Collar = "charged", 150_000
	charged.Fee = engine.FeeRule{Kind: engine.FeeNotional, Rate: 20_000, LP: 400_000, Creator: 100_000}
	charged.Guard = engine.GuardRule{Window: int64(20 * sec), Bound: 10_000, Outliers: 3, Floor: 2_000, ReopenAfter: int64(90 * sec)}
	charged.Truth.SLA = int64(300 * sec)
	charged.End = engine.EndRule{VoidTrades: 25, VoidWindow: int64(3600 * sec)}

	many := engine.DefaultTemplate()
	many.ID, many.Kind, many.MinPrice, many.MaxPrice = "many", engine.Categorical, 100, 999_900
	many.Fee = engine.FeeRule{Kind: engine.FeeCurve, Rate: 70_000, LP: 1_000_000}
	many.Truth.Approvals = 3
	many.Guard = engine.GuardRule{Window: int64(60 * sec), Bound: 50_000, Relative: true}
	many.End = engine.EndRule{Uniform: true, Clawback: true, VoidTrades: 1000, VoidWindow: int64(3600 * sec)}

	scalar := engine.DefaultTemplate()
	scalar.ID, scalar.Kind = "scalar", engine.Scalar
	scalar.Fee = engine.FeeRule{Kind: engine.FeeCurve, Rate: 50_000, LP: 300_000, Creator: 300_000}
	scalar.Risk = engine.RiskRule{
		MaxPosition: 2_000 * engine.One, MaxExposure: 1_500 * one, MaxInterest: 6_000 * one,
		OrderInterval: int64(40 * ms), OrderBurst: 20, SpikeMove: 100_000, SpikeSpan: int64(10 * sec), CoolDown: int64(5 * sec),
	}
	scalar.Truth = engine.TruthRule{
		Source: engine.SourceQuorum, Approvals: 2, DisputeWindow: int64(20 * sec), Reporters: []string{"ana", "bob", "carol"}, Quorum: 2,
		MaxAge: int64(600 * sec), MaxDivergence: 50_000,
	}
	return []engine.Template{plain, charged, many, scalar}
}

// tight is a policy whose limits histories meet.
func tight() engine.Policy {
	p := engine.DefaultPolicy()
	p.OrderInterval, p.OrderBurst, p.MaxOpenOrders, p.MaxFills = int64(50*ms), 25, 12, 6
	p.TradeInterval, p.TradeBurst = int64(60*ms), 25
	p.Burst, p.AccountBurst = engine.BurstRule{Sigmas: 3, Floor: 4}, engine.BurstRule{Sigmas: 2, Floor: 3}
	p.Wash, p.SelfTrades = engine.WashRule{Times: 3, Window: int64(60 * sec)}, engine.AttemptsRule{Times: 3, Window: int64(60 * sec)}
	p.MaxMarkets = 30
	return p
}

// small is the world in which histories play: five accounts, one of them poor, a market of each
// template and one that is a draft.
func small(t failer) *world {
	w := newWorld(t, tight(), templates()...)
	w.watch = newWatch()
	w.rich(4, 20_000*one)
	w.rich(1, 30*one) // meets the ends of its means
	w.open(engine.OpenMarket{Price: 300_000, CloseAt: w.now + 1800*sec})
	w.open(engine.OpenMarket{Template: "charged@1.0.0", Liquidity: 300 * one})
	w.open(engine.OpenMarket{Template: "many@1.0.0", Creator: 2, Outcomes: []string{"a", "b", "c", "d"}, Liquidity: 400 * one})
	w.open(engine.OpenMarket{Template: "scalar@1.0.0", Creator: 3, Price: 600_000})
	w.open(engine.OpenMarket{Draft: true, Creator: 4, CloseAt: w.now + 600*sec})
	w.ok("ops", &engine.ClarifyMarket{Market: 2, Text: digest(4)})
	w.rich(1, one)
	w.ok("admin", &engine.ErasePerson{Account: 6})
	return w
}

// turn lets time pass, gives a command of the dice and leaves or does the work
// that markets owe.
func (w *world) turn(r dice) *engine.Decision {
	w.t.Helper()
	w.now += among(r, 0, ms, 20*ms, 100*ms, 100*ms, 500*ms, sec, sec, 5*sec, 10*sec, 10*sec, among(r, 20*sec, 45*sec, 45*sec, 400*sec))
	w.owing = r.pick(2) == 0
	p := principals[r.pick(len(principals))]
	c := w.command(r)
	if r.pick(64) == 0 {
		p = engine.System
	}
	return w.do(p, c)
}

// command is what somebody might want; it may or may not make sense.
func (w *world) command(r dice) engine.Command {
	m := engine.MarketID(1 + r.pick(len(w.s.f.Markets)))
	a := engine.AccountID(1 + r.pick(5))
	switch r.pick(100) { // now and then something that does not exist
	case 98:
		m = 77
	case 99:
		a = 77
	}
	switch k := r.pick(100); {
	case k < 58:
		return w.trading(r, a, m)
	case k < 66:
		items := &engine.Batch{}
		for range r.pick(6) {
			items.Items = append(items.Items, w.trading(r, engine.AccountID(1+r.pick(5)), m))
		}
		return items
	case k < 76:
		return w.sets(r, a, m)
	case k < 88:
		return w.revive(r, m)
	case k < 95:
		return w.life(r, m)
	}
	return w.house(r, a, m)
}

func (w *world) outcome(r dice, m engine.MarketID) engine.Outcome {
	x := w.s.f.Market(m)
	if x == nil || r.pick(60) == 59 {
		return among(r, engine.Yes, engine.Long, engine.Nth(63), engine.Outcome(200))
	}
	return x.Kind.Of(r.pick(x.Outcomes()))
}

// trading is a command of those that may be in a batch.
func (w *world) trading(r dice, a engine.AccountID, m engine.MarketID) engine.Command {
	k := r.pick(20)
	if mine := w.s.Orders(a); k < 6 && len(mine) > 0 {
		o := mine[r.pick(len(mine))]
		switch k {
		case 0, 1:
			return &engine.CancelOrder{Account: a, Order: o.Order}
		case 2:
			return &engine.AmendOrder{Account: a, Order: o.Order, Shares: o.Shares / 2}
		default:
			x := &engine.AmendOrder{Account: a, Order: o.Order, Shares: engine.Shares(size(r)), Limit: o.Limit}
			x.Limit += engine.Price(r.pick(200_000) - 100_000)
			return x
		}
	}
	switch k {
	case 6:
		return &engine.CancelAll{Account: a, Market: m * engine.MarketID(r.pick(2))}
	case 7:
		return &engine.CancelOrder{Account: a, Order: engine.OrderOf(engine.Seq(r.pick(100)), r.pick(2))}
	}
	return w.order(r, a, m)
}

func (w *world) order(r dice, a engine.AccountID, m engine.MarketID) *engine.PlaceOrder {
	x := &engine.PlaceOrder{
		Account: a, Market: m, Outcome: w.outcome(r, m), Side: among(r, engine.Buy, engine.Buy, engine.Sell),
		TIF:      among(r, engine.IOC, engine.GTC, engine.GTC, engine.GTC, engine.GTD, engine.FOK),
		PostOnly: r.pick(8) == 0, SelfTrade: engine.SelfTrade(r.pick(3)),
	}
	if x.TIF == engine.GTD {
		x.Expires = w.now + among(r, ms, 200*ms, sec, 20*sec, 400*sec)
	}
	if x.PostOnly && !x.TIF.Rests() && r.pick(4) != 0 {
		x.PostOnly = false
	}
	view, _ := w.s.Market(m, w.now)
	p := view.PriceOf(x.Outcome)
	if x.TIF.Rests() || r.pick(2) == 0 {
		x.Limit = p + engine.Price(among(r, 0, 1, -1, r.pick(60_000)-30_000, r.pick(60_000)-30_000, r.pick(600_000)-300_000))
	}
	n := size(r)
	if x.Side == engine.Sell && r.pick(4) != 0 && view.Market != 0 && x.Outcome.Index() < len(view.Outcomes) {
		free, _ := w.s.f.Market(m).Held(a, x.Outcome.Index())
		n = int64(free) / int64(1+r.pick(3))
	}
	if x.Side == engine.Buy && r.pick(2) == 0 || r.pick(50) == 49 {
		x.Amount = engine.Micros(n)
	} else {
		x.Shares = engine.Shares(n)
	}
	return x
}

// sets is a command that makes or takes complete sets and liquidity.
func (w *world) sets(r dice, a engine.AccountID, m engine.MarketID) engine.Command {
	n := size(r)
	switch r.pick(4) {
	case 0:
		return &engine.SplitSets{Account: a, Market: m, Amount: engine.Micros(n)}
	case 1:
		if x := w.s.f.Market(m); x != nil && r.pick(2) == 0 {
			n = engine.MaxAmount
			for o := range x.Outcomes() {
				free, _ := x.Held(a, o)
				n = min(n, int64(free))
			}
		}
		return &engine.MergeSets{Account: a, Market: m, Amount: engine.Micros(n)}
	case 2:
		return &engine.AddLiquidity{Account: a, Market: m, Amount: engine.Micros(n)}
	}
	if u := w.s.Units(a, m); u != 0 && r.pick(3) != 0 {
		n = int64(u) / int64(1+r.pick(4))
	}
	return &engine.RemoveLiquidity{Account: a, Market: m, Units: engine.Shares(n)}
}

// revive is a command that lets a market, or all of them, trade again.
func (w *world) revive(r dice, m engine.MarketID) engine.Command {
	if w.s.DeadlinesHeld() && r.pick(2) == 0 {
		return &engine.SetDeadlines{Reason: "as it was"}
	}
	x := w.s.f.Market(m)
	if owes := w.s.f.Work; len(owes) > 0 && r.pick(2) == 0 {
		return &engine.ResumeMarket{Market: owes[0]} // too early, if it still cancels orders
	}
	if x == nil || w.s.Mode() != engine.ModeNormal {
		return &engine.SetMode{Reason: "as it was"}
	}
	switch x.State {
	case engine.Paused:
		return &engine.ResumeMarket{Market: m}
	case engine.Frozen:
		return &engine.ReopenMarket{Market: m}
	case engine.Draft:
		return &engine.ActivateMarket{Market: m}
	case engine.Proposed, engine.Disputed:
		return among[engine.Command](r, &engine.RejectResolution{Market: m}, &engine.ApproveResolution{Market: m},
			&engine.DisputeResolution{Market: m, EvidenceURI: "a:b", EvidenceSHA256: digest(2)})
	case engine.Resolved, engine.Canceled:
		return next(r)
	case engine.Open:
		if r.pick(10) == 0 {
			return &engine.PauseMarket{Market: m, CancelOrders: true}
		}
		return w.trading(r, engine.AccountID(1+r.pick(5)), m)
	}
	return w.life(r, m)
}

// next is a market that can be made.
func next(r dice) *engine.OpenMarket {
	t := templates()[r.pick(4)]
	x := &engine.OpenMarket{Template: t.Name(), Title: "Next?", Creator: engine.AccountID(1 + r.pick(5)), Liquidity: one * engine.Micros(10+r.pick(800))}
	switch t.Kind {
	case engine.Categorical:
		x.Outcomes = []string{"a", "b", "c", "d", "e", "f", "g"}[:2+r.pick(6)]
		return x
	case engine.Scalar:
		x.Min, x.Max = -10, int64(r.pick(2000))
	}
	x.Price = engine.Price(20_000 + r.pick(960_000))
	return x
}

// life is a command about the life of a market.
func (w *world) life(r dice, m engine.MarketID) engine.Command {
	o, value, effective := w.outcome(r, m), int64(0), engine.Time(0)
	x := w.s.f.Market(m)
	if x != nil && x.Kind == engine.Scalar {
		value = int64(r.pick(500)) - 150
		if r.pick(8) != 0 {
			o = engine.Long
		}
	}
	if x != nil && r.pick(2) == 0 {
		effective = x.OpenedAt + engine.Time(r.pick(1000))*(w.now-x.OpenedAt)/999
	}
	uri, sum := "https://example.org/e", digest(r.pick(5))
	switch r.pick(24) {
	case 0:
		return &engine.ActivateMarket{Market: m}
	case 1, 2:
		return &engine.PauseMarket{Market: m, CancelOrders: r.pick(2) == 0}
	case 3, 4, 5:
		return &engine.ResumeMarket{Market: m}
	case 6, 7:
		return &engine.ReopenMarket{Market: m}
	case 8:
		if k := w.now % 4; k != 0 { // not drawn: that would change what all histories come to
			return &engine.ChangeClose{Market: m, CloseAt: [4]engine.Time{1: 0, 2: w.now - sec, 3: w.now + w.now%2000*sec}[k]}
		}
		return &engine.CloseMarket{Market: m}
	case 9, 10, 11, 12:
		at := w.now - engine.Time(r.pick(40))*20*sec
		cancel := engine.CancelKind(0)
		if r.pick(4) == 0 {
			if cancel = engine.CancelKind(1 + r.pick(3)); r.pick(6) != 0 {
				o, value = engine.None, 0
			}
		}
		return &engine.ReportFact{Market: m, Outcome: o, Value: value, Cancel: cancel, ObservedAt: at, EvidenceURI: uri, RuleSHA256: digest(3), FactsSHA256: sum}
	case 13, 14:
		return &engine.ProposeResolution{Market: m, Outcome: o, Value: value, EvidenceURI: uri, EvidenceSHA256: sum, EffectiveAt: effective}
	case 15, 16, 17:
		return &engine.ApproveResolution{Market: m}
	case 18, 19:
		return &engine.RejectResolution{Market: m}
	case 20:
		return &engine.DisputeResolution{Market: m, Account: engine.AccountID(r.pick(7)), EvidenceURI: uri, EvidenceSHA256: sum}
	case 21:
		return &engine.CancelMarket{Market: m, Kind: engine.CancelKind(r.pick(3)), EvidenceURI: uri, EvidenceSHA256: sum}
	case 22:
		return &engine.SettleMarket{Market: m}
	}
	return &engine.OpenMarket{
		Template: append(templates(), engine.Template{ID: "no"})[r.pick(5)].Name(), Title: "Next?", Creator: engine.AccountID(1 + r.pick(5)), Liquidity: engine.Micros(size(r)),
		Price: engine.Price(r.pick(1_000_000)), CloseAt: w.now + engine.Time(r.pick(900))*sec, Draft: r.pick(8) == 0, Max: int64(r.pick(3)),
	}
}

// house is a command about the engine itself.
func (w *world) house(r dice, a engine.AccountID, m engine.MarketID) engine.Command {
	uri, sum := "https://example.org/e", digest(1)
	switch r.pick(15) {
	case 0:
		return &engine.GrantCredits{Account: a, Amount: engine.Micros(size(r))}
	case 1:
		return &engine.OpenAccount{}
	case 2:
		p := tight()
		p.MaxFills, p.MaxOpenOrders, p.OrderBurst = 1+int64(r.pick(20)), 1+int64(r.pick(30)), 1+int64(r.pick(40))
		return &engine.SetPolicy{Policy: p}
	case 3:
		return &engine.RollbackPolicy{}
	case 4:
		return &engine.SetMode{Mode: among(r, engine.ModeNormal, engine.ModeNormal, engine.ModeLite, engine.ModeReadOnly), Reason: "so"}
	case 5:
		return &engine.Moderate{Action: engine.LimitAccount, Account: a, Until: w.now + engine.Time(r.pick(20))*sec, EvidenceURI: uri, EvidenceSHA256: sum}
	case 6:
		return &engine.Moderate{Action: engine.DismissAbuse, Abuse: engine.Seq(r.pick(100)), EvidenceURI: uri, EvidenceSHA256: sum}
	case 7:
		last := engine.Seq(r.pick(100))
		w.s.f.Moderations.Each(func(q engine.Seq, _ *engine.Moderated) { last = q })
		return &engine.UndoModeration{Decision: last}
	case 8:
		return &engine.UpgradeEngine{Version: uint32(r.pick(3))}
	case 9:
		return &engine.AddKey{Key: engine.Key{SHA256: digest(r.pick(9)), Principal: "ana", Roles: engine.Roles(1 + r.pick(100)), Account: a}}
	case 10:
		return &engine.RevokeKey{SHA256: digest(r.pick(9))}
	case 11:
		return &engine.SetDeadlines{Held: r.pick(2) == 0, Reason: "so"}
	case 12:
		return &engine.SetRanking{Account: a, Ranked: r.pick(2) == 0}
	case 13:
		return w.season(r)
	}
	return among[engine.Command](r, &engine.CountSeason{}, &engine.Tick{}, &engine.Malformed{}, &engine.AddTemplate{Template: templates()[r.pick(4)]}, &engine.SettleMarket{Market: m})
}

// season opens or ends one of some seasons.
func (w *world) season(r dice) engine.Command {
	name := among(r, "a", "b", "c")
	if r.pick(4) == 0 {
		return &engine.EndSeason{Name: name}
	}
	x := &engine.OpenSeason{Name: name, Start: w.now + among(r, 0, 0, 10*sec, 400*sec, -1)}
	if r.pick(2) == 0 {
		x.Start = 0
	}
	x.End = max(x.Start, w.now) + among(r, 30*sec, 300*sec, 2000*sec, 0)
	return x
}
