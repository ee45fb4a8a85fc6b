package enginetest

import (
	"fmt"
	"sort"
	"strconv"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

// line runs one line of a script; items are the lines of a batch.
func (w *world) line(line string, items []string) error {
	words := strings.Fields(line)
	if words[0] == "repeat" {
		return w.repeat(words[1:])
	}
	a := w.parse(words[1:])
	verb, ok := verbs[words[0]]
	if !ok {
		if c, principal := w.command(words[0], a); c != nil {
			if err := a.done(); err != nil {
				return err
			}
			return w.do(principal, c)
		}
		if a.err != nil {
			return a.err
		}
		return fmt.Errorf("%q is not a verb of the language", words[0])
	}
	return verb(w, a, items)
}

// verbs are those that are more than one command.
var verbs = map[string]func(*world, *args, []string) error{
	"accounts": (*world).openAccounts, "market": (*world).openMarket, "template": (*world).addTemplate,
	"policy": (*world).setPolicy, "batch": (*world).batch, "wait": (*world).wait, "quote": (*world).quote,
	"show": (*world).show, "book": (*world).book, "orders": (*world).openOrders,
}

func (w *world) openAccounts(a *args, _ []string) error {
	names := make([]string, 0, len(a.named))
	for n := range a.named {
		names = append(names, n)
	}
	sort.Strings(names)
	said := w.said()
	for _, n := range names {
		amount := a.micros(n, 0)
		if a.err != nil {
			return a.err
		}
		if err := w.do("admin", &engine.OpenAccount{}); err != nil {
			return err
		}
		id := engine.AccountID(w.state.AccountCount())
		w.accounts[n], w.names[id] = id, n
		if err := w.do("admin", &engine.GrantCredits{Account: id, Amount: engine.Micros(amount)}); err != nil {
			return err
		}
	}
	w.out.Reset()
	w.out.WriteString(said)
	return a.done()
}

func (w *world) openMarket(a *args, _ []string) error {
	name := a.next()
	x := &engine.OpenMarket{
		Template: a.text("template", "binary@1.0.0"), Title: a.text("title", name), Creator: a.account("by"),
		Liquidity: engine.Micros(a.micros("liquidity", 100*engine.One)), CloseAt: a.at("close"), Draft: a.flag("draft"),
		Min: a.number("min", 0), Max: a.number("max", 0), Price: engine.Price(a.micros("price", 0)),
	}
	if !strings.Contains(x.Template, "@") {
		x.Template += "@1.0.0"
	}
	x.Outcomes = labels(a.text("outcomes", ""))
	allow, deny := a.words("allow"), a.words("deny")
	if prices := a.text("prices", ""); prices != "" {
		for _, p := range strings.Split(prices, ",") {
			x.Prices = append(x.Prices, engine.Price(a.decimal(p)))
		}
	}
	if err := a.done(); err != nil {
		return err
	}
	next := engine.MarketID(w.state.MarketCount() + 1)
	w.titles[next] = name
	var c engine.Command = x
	if len(allow)+len(deny) > 0 {
		c = &engine.OpenMarketFor{Market: *x, Allow: allow, Deny: deny}
	}
	if err := w.do("operator", c); err != nil {
		return err
	}
	if w.state.MarketCount() == int(next) {
		w.markets[name], w.current = next, next
	}
	return nil
}

// labels reads labels with commas between them, or how many to make up.
func labels(v string) (out []string) {
	if n, err := strconv.Atoi(v); err == nil && n >= 0 && n <= 2*engine.MaxOutcomes {
		for i := range n {
			out = append(out, "c"+strconv.Itoa(i+1))
		}
		return out
	}
	if v != "" {
		out = strings.Split(v, ",")
	}
	return out
}

// addTemplate makes a version 1.0.0 of a template out of the shipped one.
func (w *world) addTemplate(a *args, _ []string) error {
	t := engine.DefaultTemplate()
	t.ID, t.Version = a.next(), a.text("version", t.Version)
	t.Kind = word[engine.MarketKind](a, "kind", "binary")
	t.MinPrice, t.MaxPrice = engine.Price(a.micros("min", int64(t.MinPrice))), engine.Price(a.micros("max", int64(t.MaxPrice)))
	t.MaxOrder = engine.Micros(a.micros("max_order", int64(t.MaxOrder)))
	t.MinLiquidity = engine.Micros(a.micros("min_liquidity", int64(t.MinLiquidity)))
	t.MaxLiquidity = engine.Micros(a.micros("max_liquidity", int64(t.MaxLiquidity)))
	t.MaxDuration = a.spanOf("max_duration", 0)
	t.Collar = engine.Price(a.micros("collar", 0))
	t.Fee = engine.FeeRule{
		Kind: word[engine.FeeKind](a, "fee", "none"), Rate: a.micros("rate", 0), LP: a.micros("lp", 0), Creator: a.micros("creator", 0),
	}
	t.Guard = engine.GuardRule{}
	if v := a.text("guard", ""); v != "" {
		t.Guard = engine.GuardRule{
			Window: a.span(v), Bound: a.micros("bound", 10_000), Relative: a.flag("relative"), Outliers: a.number("outliers", 0),
			Floor: a.micros("floor", 1_000), ReopenAfter: a.spanOf("reopen", 0),
		}
	}
	t.Risk = engine.RiskRule{
		MaxPosition: engine.Shares(a.micros("max_position", 0)), MaxExposure: engine.Micros(a.micros("max_exposure", 0)),
		MaxInterest: engine.Micros(a.micros("max_interest", 0)), OrderInterval: a.spanOf("order_every", 0), OrderBurst: a.number("order_burst", 0),
		SpikeMove: engine.Price(a.micros("spike", 0)), SpikeSpan: a.spanOf("spike_span", 0), CoolDown: a.spanOf("cool", 0),
	}
	t.Truth.Source = word[engine.Source](a, "source", "manual")
	t.Truth.Approvals, t.Truth.DisputeWindow = a.number("approvals", t.Truth.Approvals), a.spanOf("window", 0)
	t.Truth.MaxDisputes = a.number("max_disputes", 0)
	t.Truth.SLA, t.Truth.Quorum = a.spanOf("sla", t.Truth.SLA), a.number("quorum", 0)
	t.Truth.MaxAge, t.Truth.MaxDivergence = a.spanOf("max_age", 0), a.micros("divergence", 0)
	if v := a.text("reporters", ""); v != "" {
		t.Truth.Reporters = strings.Split(v, ",")
	}
	t.End.Uniform, t.End.Clawback = a.flag("uniform"), !a.flag("no_clawback")
	t.End.VoidTrades, t.End.VoidWindow = a.number("void_trades", t.End.VoidTrades), a.spanOf("void_window", t.End.VoidWindow)
	if err := a.done(); err != nil {
		return err
	}
	return w.do("operator", &engine.AddTemplate{Template: t})
}

func (w *world) setPolicy(a *args, _ []string) error {
	p := w.state.Policy()
	p.Version = a.text("version", p.Version)
	p.OrderInterval, p.OrderBurst = a.spanOf("order_every", p.OrderInterval), a.number("order_burst", p.OrderBurst)
	p.TradeInterval, p.TradeBurst = a.spanOf("trade_every", p.TradeInterval), a.number("trade_burst", p.TradeBurst)
	p.MaxOpenOrders, p.MaxFills = a.number("max_open_orders", p.MaxOpenOrders), a.number("max_fills", p.MaxFills)
	p.Burst.Sigmas, p.Burst.Floor = a.number("sigmas", p.Burst.Sigmas), a.number("floor", p.Burst.Floor)
	p.AccountBurst.Sigmas, p.AccountBurst.Floor = a.number("account_sigmas", p.AccountBurst.Sigmas), a.number("account_floor", p.AccountBurst.Floor)
	p.Wash.Times, p.SelfTrades.Times = a.number("wash", p.Wash.Times), a.number("self_trades", p.SelfTrades.Times)
	p.MaxAccounts, p.MaxMarkets = a.number("max_accounts", p.MaxAccounts), a.number("max_markets", p.MaxMarkets)
	if err := a.done(); err != nil {
		return err
	}
	return w.do("admin", &engine.SetPolicy{Policy: p})
}

func (w *world) batch(a *args, items []string) error {
	principal := a.text("as", "bot")
	if err := a.done(); err != nil {
		return err
	}
	b := &engine.Batch{}
	for _, item := range items {
		words := strings.Fields(item)
		x := w.parse(words[1:])
		c, _ := w.command(words[0], x)
		if err := x.done(); err != nil {
			return err
		}
		switch c.(type) {
		case *engine.PlaceOrder, *engine.CancelOrder, *engine.CancelAll, *engine.AmendOrder:
		default:
			return fmt.Errorf("%q cannot be in a batch", item)
		}
		b.Items = append(b.Items, c)
	}
	return w.do(principal, b)
}

// farthest is how long a script may wait at once.
const farthest = engine.Time(10 * 365 * 24 * 3600 * engine.One)

// wait lets time pass; the engine acts at each deadline on the way.
func (w *world) wait(a *args, _ []string) error {
	until := w.now + engine.Time(a.span(a.next()))
	if err := a.done(); err != nil {
		return err
	}
	if until < w.now || until > w.now+farthest {
		return fmt.Errorf("time runs forwards, at most %s at once", clock(start+farthest))
	}
	before := w.said()
	for {
		t, ok := w.state.Deadline()
		if !ok || t > until {
			break
		}
		w.now = max(w.now, t)
		if err := w.dues(); err != nil {
			return err
		}
		for _, line := range strings.Split(strings.TrimSuffix(w.said(), "\n"), "\n") {
			before += clock(w.now) + " " + line + "\n"
		}
	}
	w.now = until
	w.out.WriteString(before)
	return w.dues()
}

// repeat gives a line so many times. Of what happens it tells what was refused
// and what was alarming, each once with how often, and how many were accepted.
func (w *world) repeat(words []string) error {
	a := w.parse(words[:min(2, len(words))])
	n, err := strconv.Atoi(a.next())
	every := a.spanOf("every", 0)
	words = words[min(1, len(words)):]
	if len(a.named) == 1 && a.named["every"] != "" {
		words = words[1:]
	}
	if a.err != nil || err != nil || n < 1 || n > 1000 || every < 0 || every > 3600*engine.One || len(words) == 0 || words[0] == "repeat" {
		return fmt.Errorf("it is: repeat 1..1000 [every=10s] and a line")
	}
	before, accepted := w.said(), 0
	var lines []string
	times := map[string]int{}
	for range n {
		if err := w.line(strings.Join(words, " "), nil); err != nil {
			return err
		}
		if w.code == engine.OK {
			accepted++
		}
		for _, line := range strings.Split(w.said(), "\n") {
			if strings.HasPrefix(line, "rejected") || strings.HasPrefix(line, "abuse") || strings.Contains(line, "cools") {
				if times[line]++; times[line] == 1 {
					lines = append(lines, line)
				}
			}
		}
		w.now += engine.Time(every)
	}
	w.out.WriteString(before)
	w.say("%d of %d accepted", accepted, n)
	for _, line := range lines {
		w.say("%d × %s", times[line], line)
	}
	return nil
}

// command reads a verb that is one command, and who gives it.
func (w *world) command(verb string, a *args) (engine.Command, string) {
	switch verb {
	case "buy", "sell":
		x := w.order(verb, a)
		return x, a.text("by", "")
	case "cancel":
		return &engine.CancelOrder{Order: a.order(), Account: a.account("by")}, a.text("by", "")
	case "cancel-all":
		x := &engine.CancelAll{Account: a.account("by")} // on every market if none is named
		if a.text("market", "") != "" {
			x.Market = a.market()
		}
		return x, a.text("by", "")
	case "amend":
		return &engine.AmendOrder{
			Order: a.order(), Account: a.account("by"), Shares: engine.Shares(a.micros("shares", 0)), Limit: engine.Price(a.micros("limit", 0)),
		}, a.text("by", "")
	case "split":
		return &engine.SplitSets{Account: a.account("by"), Market: a.market(), Amount: engine.Micros(a.decimal(a.next()))}, a.text("by", "")
	case "merge":
		return &engine.MergeSets{Account: a.account("by"), Market: a.market(), Amount: engine.Micros(a.decimal(a.next()))}, a.text("by", "")
	case "add-liquidity":
		return &engine.AddLiquidity{Account: a.account("by"), Market: a.market(), Amount: engine.Micros(a.decimal(a.next()))}, a.text("by", "")
	case "remove-liquidity":
		return &engine.RemoveLiquidity{Account: a.account("by"), Market: a.market(), Units: engine.Shares(a.decimal(a.next()))}, a.text("by", "")
	case "grant":
		return &engine.GrantCredits{Account: a.account("to"), Amount: engine.Micros(a.decimal(a.next()))}, "admin"
	}
	return w.operation(verb, a)
}

func (w *world) order(verb string, a *args) *engine.PlaceOrder {
	x := &engine.PlaceOrder{
		Account: a.account("by"), Market: a.market(), Side: engine.Buy, TIF: word[engine.TIF](a, "tif", ""),
		Amount: engine.Micros(a.micros("amount", 0)), Shares: engine.Shares(a.micros("shares", 0)), Limit: engine.Price(a.micros("limit", 0)),
		Expires: a.at("expires"), PostOnly: a.flag("post_only"), SelfTrade: word[engine.SelfTrade](a, "stp", ""),
	}
	if verb == "sell" {
		x.Side = engine.Sell
	}
	if x.TIF == 0 {
		if x.TIF = engine.IOC; x.Expires != 0 {
			x.TIF = engine.GTD
		}
	}
	x.Outcome = a.outcome(x.Market, a.next())
	if a.flag("pinned") {
		x.IfSeq = w.quoted
	}
	return x
}

// evidence makes up a digest for whoever acts with evidence.
func (w *world) evidence() (uri string, digest engine.Digest) {
	w.digests++
	return fmt.Sprintf("https://evidence.example/%d", w.digests), engine.Digest{w.digests}
}

// operation reads a verb of those who run the market.
func (w *world) operation(verb string, a *args) (engine.Command, string) {
	switch verb {
	case "pause":
		return &engine.PauseMarket{Market: a.market(), CancelOrders: a.flag("cancel_orders")}, a.text("by", "operator")
	case "resume":
		return &engine.ResumeMarket{Market: a.market()}, a.text("by", "operator")
	case "reopen":
		return &engine.ReopenMarket{Market: a.market()}, a.text("by", "operator")
	case "activate":
		return &engine.ActivateMarket{Market: a.market()}, a.text("by", "operator")
	case "groups":
		x := &engine.SetAccountGroups{Account: a.account("of"), Groups: a.words("are"), ToldAt: a.at("told")}
		return x, a.text("by", "operator")
	case "schedule":
		x := &engine.SetGrantSchedule{Schedule: engine.GrantSchedule{
			Name: a.next(), Period: word[engine.Period](a, "every", ""), Amount: engine.Micros(a.micros("amount", 0)), Cap: engine.Micros(a.micros("cap", 0)),
			Groups: a.words("groups"), Start: a.at("start"), End: a.at("end"),
		}}
		return x, a.text("by", "operator")
	case "end-schedule":
		return &engine.EndGrantSchedule{Name: a.next()}, a.text("by", "operator")
	case "season":
		return &engine.OpenSeason{Name: a.next(), Start: a.at("start"), End: a.at("end")}, a.text("by", "operator")
	case "end-season":
		return &engine.EndSeason{Name: a.next()}, a.text("by", "operator")
	case "ranked", "unranked":
		return &engine.SetRanking{Account: a.account("of"), Ranked: verb == "ranked"}, a.text("by", "operator")
	case "market-groups":
		return &engine.SetMarketGroups{Market: a.market(), Allow: a.words("allow"), Deny: a.words("deny")}, a.text("by", "operator")
	case "close":
		return &engine.CloseMarket{Market: a.market()}, a.text("by", "operator")
	case "mode":
		return &engine.SetMode{Mode: modeOf(a), Reason: "a script"}, a.text("by", "operator")
	case "deadlines":
		return &engine.SetDeadlines{Held: heldOf(a), Reason: "a script"}, a.text("by", "operator")
	case "rollback-policy":
		return &engine.RollbackPolicy{}, "admin"
	case "change-close":
		return &engine.ChangeClose{Market: a.market(), CloseAt: a.at("to")}, a.text("by", "operator")
	case "clarify":
		_, id := w.evidence()
		return &engine.ClarifyMarket{Market: a.market(), Text: id}, a.text("by", "operator")
	case "note":
		_, id := w.evidence()
		return &engine.NoteDecision{Decision: engine.Seq(a.number("decision", 0)), Text: id}, a.text("by", "operator")
	case "erase":
		return &engine.ErasePerson{Account: a.account("account")}, "admin"
	case "freeze":
		x := &engine.Moderate{Action: engine.Freeze, Account: a.account("account"), Until: a.at("until")}
		x.EvidenceURI, x.EvidenceSHA256 = w.evidence()
		return x, a.text("by", "moderator")
	case "limit":
		x := &engine.Moderate{Action: engine.LimitAccount, Account: a.account("account"), Until: a.at("until")}
		x.EvidenceURI, x.EvidenceSHA256 = w.evidence()
		return x, a.text("by", "moderator")
	case "dismiss":
		x := &engine.Moderate{Action: engine.DismissAbuse, Abuse: engine.Seq(a.number("abuse", 0))}
		x.EvidenceURI, x.EvidenceSHA256 = w.evidence()
		return x, a.text("by", "moderator")
	case "undo":
		return &engine.UndoModeration{Decision: engine.Seq(a.number("decision", 0))}, a.text("by", "moderator")
	}
	return w.ending(verb, a)
}

func modeOf(a *args) (m engine.Mode) {
	if err := m.UnmarshalText([]byte(a.next())); err != nil {
		a.fail("%v", err)
	}
	return m
}

func heldOf(a *args) bool {
	switch word := a.next(); word {
	case "hold":
		return true
	case "confirm":
	default:
		a.fail("deadlines are to hold or to confirm, not to %q", word)
	}
	return false
}

// ending reads a verb of the end of a market.
func (w *world) ending(verb string, a *args) (engine.Command, string) {
	switch verb {
	case "propose":
		x := &engine.ProposeResolution{Market: a.market(), Value: a.number("value", 0), EffectiveAt: a.at("effective")}
		x.Outcome = a.outcome(x.Market, a.next())
		x.EvidenceURI, x.EvidenceSHA256 = w.evidence()
		return x, a.text("by", "resolver")
	case "report":
		x := &engine.ReportFact{Market: a.market(), Value: a.number("value", 0), ObservedAt: w.now, RuleSHA256: engine.Digest{7}}
		if at := a.at("observed"); at != 0 {
			x.ObservedAt = at
		}
		if how := a.text("cancel", ""); how == "" {
			x.Outcome = a.outcome(x.Market, a.next())
		} else if x.Outcome = engine.None; x.Cancel.UnmarshalText([]byte(how)) != nil {
			a.fail("cancel is price or refund")
		}
		x.EvidenceURI, x.FactsSHA256 = w.evidence()
		return x, a.text("by", "resolver")
	case "approve":
		return &engine.ApproveResolution{Market: a.market()}, a.text("by", "resolver")
	case "reject":
		return &engine.RejectResolution{Market: a.market()}, a.text("by", "resolver")
	case "dispute":
		x := &engine.DisputeResolution{Market: a.market()}
		x.EvidenceURI, x.EvidenceSHA256 = w.evidence()
		by := a.text("by", "resolver")
		x.Account = w.accounts[by] // 0, ex officio, for who has none
		return x, by
	case "cancel-market":
		x := &engine.CancelMarket{Market: a.market()}
		if err := x.Kind.UnmarshalText([]byte(a.next())); err != nil {
			a.fail("%v", err)
		}
		x.EvidenceURI, x.EvidenceSHA256 = w.evidence()
		return x, a.text("by", "resolver")
	}
	return nil, ""
}
