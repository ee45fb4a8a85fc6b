package enginetest

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

func (w *world) say(format string, v ...any) { fmt.Fprintf(&w.out, format+"\n", v...) }

// num writes micros as a decimal number without needless digits.
func num[T ~int64](v T) string {
	sign := ""
	if v < 0 {
		sign, v = "-", -v
	}
	s := strings.TrimRight(fmt.Sprintf("%06d", int64(v)%engine.One), "0")
	whole := sign + strconv.FormatInt(int64(v)/engine.One, 10)
	if s == "" {
		return whole
	}
	return whole + "." + s
}

// clock is a time as scripts write it: @10m, ten minutes after the script began.
func clock(t engine.Time) string {
	s := "@" + t.Time().Sub(start.Time()).String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}

func (w *world) who(a engine.AccountID) string {
	if n, ok := w.names[a]; ok {
		return n
	}
	return a.String()
}

func (w *world) where(m engine.MarketID) string {
	if n, ok := w.titles[m]; ok {
		return n
	}
	return m.String()
}

// label is the outcome as its market calls it.
func (w *world) label(m engine.MarketID, o engine.Outcome) string {
	if v, ok := w.state.Market(m, w.now); ok && v.Kind == engine.Categorical && o.Index() < len(v.Outcomes) {
		return v.Outcomes[o.Index()].Label
	}
	return o.String()
}

// number is the #n of an order that rested in the script.
func (w *world) number(id engine.OrderID) string {
	for i, o := range w.orders {
		if o == id {
			return "#" + strconv.Itoa(i+1)
		}
	}
	return id.String()
}

// tell writes what a decision did.
func (w *world) tell(d *engine.Decision) {
	if d.Code != engine.OK {
		w.rejected("", d.Code, d.Detail)
	}
	if len(d.Results) == 0 {
		w.events(d, d.Events)
		return
	}
	first := 0
	for i, r := range d.Results {
		w.say("%d:", i+1)
		if r.Code != engine.OK {
			w.rejected("", r.Code, r.Detail)
		}
		w.events(d, d.Events[first:first+int(r.Events)])
		first += int(r.Events)
	}
}

func (w *world) rejected(prefix string, code engine.Code, detail string) {
	if detail != "" {
		detail = ": " + detail
	}
	w.say("%srejected %s%s", prefix, code, detail)
}

func (w *world) events(d *engine.Decision, events []engine.Event) {
	for _, e := range events {
		if !w.traded(e) && !w.grouped(e) && !w.scheduled(e) && !w.compared(e) && !w.lived(d, e) {
			w.ended(d, e)
		}
	}
}

// traded tells the events of orders.
func (w *world) traded(e engine.Event) bool {
	switch x := e.(type) {
	case *engine.OrderFilled:
		w.filled(x)
	case *engine.OrderRested:
		w.orders = append(w.orders, x.Order)
		until := ""
		if x.Expires != 0 {
			until = " until " + clock(x.Expires)
		}
		w.say("%s rests: %s %s %s at %s%s", w.number(x.Order), x.Side, num(x.Shares), w.label(x.Market, x.Outcome), num(x.Limit), until)
	case *engine.OrdersClosed:
		for _, o := range x.Orders {
			why, _ := x.Reason.MarshalText()
			w.say("%s closed by %s with %s left", w.number(o.Order), why, num(o.Shares))
		}
	case *engine.OrderReduced:
		w.say("%s reduced to %s", w.number(x.Order), num(x.Shares))
	case *engine.SetsSplit:
		w.say("%s splits %s sets", w.who(x.Account), num(x.Amount))
	case *engine.SetsMerged:
		w.say("%s merges %s sets", w.who(x.Account), num(x.Amount))
	case *engine.LiquidityAdded:
		w.say("%s adds %s: %s units, pools take %s", w.who(x.Account), num(x.Amount), num(x.Units), list(x.Taken))
	case *engine.LiquidityRemoved:
		w.say("%s removes %s units: %s credits, pools give %s", w.who(x.Account), num(x.Units), num(x.Amount), list(x.Given))
	default:
		return false
	}
	return true
}

// list writes numbers; more than four equal ones in a row as one.
func list[T ~int64](vs []T) string {
	var out []string
	for i := 0; i < len(vs); {
		n := 1
		for i+n < len(vs) && vs[i+n] == vs[i] {
			n++
		}
		if n > 4 {
			out = append(out, strconv.Itoa(n)+"×"+num(vs[i]))
		} else {
			n = 1
			out = append(out, num(vs[i]))
		}
		i += n
	}
	return strings.Join(out, " ")
}

func (w *world) filled(x *engine.OrderFilled) {
	fee := ""
	if x.Fee != 0 {
		fee = ", fee " + num(x.Fee)
	}
	verb := "bought"
	if x.Side == engine.Sell {
		verb = "sold"
	}
	if x.Shares == 0 && x.Amount == 0 {
		w.say("%s trades nothing", w.who(x.Account))
	} else {
		w.say("%s %s %s %s for %s at %s%s, price %s → %s", w.who(x.Account), verb, num(x.Shares), w.label(x.Market, x.Outcome), num(x.Amount),
			num(x.Average), fee, num(x.PriceBefore), num(x.PriceAfter))
	}
	for _, f := range x.Fills {
		if f.Maker == 0 {
			w.say("  pool %s for %s", num(f.Shares), num(f.Amount))
		} else {
			w.say("  %s of %s %s for %s (maker %s)", w.number(f.Maker), w.who(f.Account), num(f.Shares), num(f.Amount), num(f.Counter))
		}
	}
	for _, m := range x.Met {
		w.say("  %s is its own: %s less", w.number(m.Order), num(m.Shares))
	}
}

// lived tells what happens to markets and accounts while they live.
func (w *world) lived(d *engine.Decision, e engine.Event) bool {
	switch x := e.(type) {
	case *engine.MarketOpened:
		state := "open"
		if x.Draft {
			state = "draft"
		}
		w.say("%s %s at %s, pools %s", w.where(x.Market), state, list(x.Prices), list(x.Pools))
	case *engine.MarketStateChanged:
		drain := ""
		if x.Drain {
			drain = ", its orders are cancelled"
		}
		w.say("%s %s → %s%s", w.where(x.Market), x.From, x.To, drain)
	case *engine.CloseChanged:
		w.say("%s closes %s, before %s", w.where(x.Market), closing(x.To), closing(x.From))
	case *engine.GuardTripped:
		kind, _ := x.Kind.MarshalText()
		w.say("%s guard tripped on %s by %s: %d ppm over %d from %s", w.where(x.Market), w.label(x.Market, x.Outcome), kind, x.Observed, x.Bound, num(x.TWAP))
	case *engine.Cooled:
		w.say("%s cools until %s", w.where(x.Market), clock(x.Until))
	case *engine.AbuseRaised:
		other := ""
		if x.Other != 0 {
			other = " and " + w.who(x.Other)
		}
		w.say("abuse %s by %s%s: %d over %d, %s, %s (decision %d)", x.Rule, w.who(x.Account), other, x.Observed, x.Bound, x.Severity, x.Action, d.Seq)
	case *engine.TemplateAdded:
		w.say("template %s", x.Template.Name())
	case *engine.PolicySet:
		back := ""
		if x.Rollback {
			back = " again"
		}
		w.say("policy %s%s", x.Policy.Version, back)
	case *engine.ModeSet:
		w.say("mode %s", x.Mode)
	case *engine.DeadlinesSet:
		if x.Held {
			w.say("deadlines are held")
		} else {
			w.say("deadlines go on")
		}
	case *engine.Moderated:
		act, _ := x.Action.MarshalText()
		w.say("moderated: %s (decision %d)", act, d.Seq)
	case *engine.ModerationUndone:
		w.say("moderation of decision %d undone", x.Decision)
	case *engine.CreditsGranted:
		w.say("%s gets %s", w.who(x.Account), num(x.Amount))
	case *engine.MarketClarified:
		w.say("%s has clarification %d", w.where(x.Market), x.Number)
	case *engine.DecisionNoted:
		w.say("decision %d has a note", x.Decision)
	case *engine.PersonErased:
		w.say("%s is nobody's, %d keys revoked", w.who(x.Account), len(x.Keys))
	case *engine.KeyAdded, *engine.KeyRevoked, *engine.AccountOpened:
		w.say("%s", e.Type())
	default:
		return false
	}
	return true
}

// grouped tells who may trade what.
func (w *world) grouped(e engine.Event) bool {
	switch x := e.(type) {
	case *engine.MarketGroupsSet:
		sift := ""
		if x.Sift {
			sift = ", orders of others are cancelled"
		}
		w.say("%s is for %s but %s%s", w.where(x.Market), names(x.Allow, "everybody"), names(x.Deny, "nobody"), sift)
	case *engine.MarketSifted:
		if x.Next == 0 {
			w.say("%s has no order of others any more", w.where(x.Market))
		}
	case *engine.AccountGroupsSet:
		source := ""
		if x.ToldAt != 0 {
			source = ", the provider says"
		}
		w.say("%s is in %s%s", w.who(x.Account), names(x.Groups, "no group"), source)
	default:
		return false
	}
	return true
}

// scheduled tells what the engine grants by itself.
func (w *world) scheduled(e engine.Event) bool {
	switch x := e.(type) {
	case *engine.GrantScheduleSet:
		period, _ := x.Schedule.Period.MarshalText()
		w.say("%s grants %s %s from %s on", x.Schedule.Name, num(x.Schedule.Amount), period, clock(x.Next))
	case *engine.GrantScheduleEnded:
		w.say("%s grants nothing any more", x.Name)
	case *engine.GrantsBegun:
		w.say("%s begins for %d accounts", x.Name, x.Last)
	case *engine.GrantsPaid:
		for _, p := range x.Grants {
			w.say("%s is granted %s by %s", w.who(p.Account), num(p.Credits), x.Name)
		}
	default:
		return false
	}
	return true
}

func names(groups []string, none string) string {
	if len(groups) == 0 {
		return none
	}
	return strings.Join(groups, ", ")
}

// finding is a truth, or how a market without one is cancelled.
func (w *world) finding(m engine.MarketID, o engine.Outcome, value int64, cancel engine.CancelKind) string {
	if cancel == 0 {
		return w.truth(m, o, value)
	}
	how, _ := cancel.MarshalText()
	return "to cancel by " + string(how)
}

// ended tells the events of the end of a market.
func (w *world) ended(d *engine.Decision, e engine.Event) {
	switch x := e.(type) {
	case *engine.FactReported:
		w.say("%s reports %s", d.Principal, w.finding(x.Market, x.Outcome, x.Value, x.Cancel))
	case *engine.ResolutionProposed:
		void := ""
		if x.EffectiveAt != 0 {
			void = ", effective " + clock(x.EffectiveAt)
		}
		w.say("proposed %s, final %s%s", w.finding(x.Market, x.Outcome, x.Value, x.Cancel), clock(x.FinalAt), void)
	case *engine.ResolutionApproved:
		w.say("%s approves", d.Principal)
	case *engine.ResolutionRejected:
		w.say("%s rejects the proposal", d.Principal)
	case *engine.ResolutionDisputed:
		w.say("%s disputes the proposal", d.Principal)
	case *engine.SLABreached:
		w.say("%s is overdue in state %s since %s", w.where(x.Market), x.State, clock(x.Since))
	case *engine.SettlementStarted:
		how, _ := x.Ending.MarshalText()
		truth, pays := "", ""
		if x.Ending == engine.EndByOutcome || x.Ending == engine.EndByVoid {
			truth = " " + w.truth(x.Market, x.Outcome, x.Value)
		}
		if len(x.Payouts) != 0 {
			pays = ", a share pays " + list(x.Payouts)
		}
		w.say("%s ends by %s%s: %s in the pot%s", w.where(x.Market), how, truth, num(x.Pot), pays)
	case *engine.SettlementStepped:
		w.stepped(x)
	default:
		w.say("%s", e.Type())
	}
}

// truth is the outcome, or the value of a scalar market.
func (w *world) truth(m engine.MarketID, o engine.Outcome, v int64) string {
	if o == engine.Long {
		return strconv.FormatInt(v, 10)
	}
	return w.label(m, o)
}

func (w *world) stepped(x *engine.SettlementStepped) {
	if x.Phase == engine.PhaseCollect {
		w.say("due in all: %s", num(x.Due))
	}
	for _, p := range x.Payouts {
		if p.Credits < 0 {
			w.say("%s gives back %s", w.who(p.Account), num(-p.Credits))
		} else {
			w.say("%s is paid %s", w.who(p.Account), num(p.Credits))
		}
	}
	if x.Swept != 0 {
		w.say("the platform gets %s", num(x.Swept))
	}
}

// quote tells what an order would do.
func (w *world) quote(a *args, _ []string) error {
	verb := a.next()
	by := a.text("by", "")
	if by == "" {
		a.named["by"] = "nobody" // a quote for anybody
	}
	x := w.order(verb, a)
	if by == "" {
		x.Account = 0
	}
	if err := a.done(); err != nil {
		return err
	}
	w.quoted = w.state.Seq()
	f, rest, code, detail := w.state.Quote(x, w.now)
	if code != engine.OK {
		w.rejected("quote: ", code, detail)
		return nil
	}
	w.say("quote: %s for %s at %s, fee %s, price %s → %s", num(f.Shares), num(f.Amount), num(f.Average), num(f.Fee), num(f.PriceBefore), num(f.PriceAfter))
	if rest.Shares != 0 {
		w.say("  %s would rest at %s", num(rest.Shares), num(rest.Limit))
	}
	return nil
}

// show tells an account, a market or the platform.
func (w *world) show(a *args, _ []string) error {
	name := a.next()
	if name == "platform" {
		w.say("platform %s", num(w.state.Platform()))
		return a.done()
	}
	if m, ok := w.markets[name]; ok {
		v, _ := w.state.Market(m, w.now)
		w.say("%s %s: %s sets, fees %s, %d trades, %s units", name, v.State, num(v.Interest), num(v.Fees), v.Trades, num(v.Liquidity))
		averages := a.flag("averages")
		for _, o := range v.Outcomes {
			over := ""
			if averages {
				over = fmt.Sprintf(", average of 1m %s, 5m %s, 15m %s", num(o.TWAP1), num(o.TWAP), num(o.TWAP15))
			}
			w.say("  %s at %s, pool %s%s", w.label(m, o.Outcome), num(o.Price), num(o.Pool), over)
		}
		return a.done()
	}
	id, ok := w.accounts[name]
	if !ok {
		return w.standings(name)
	}
	v, _ := w.state.Account(id)
	held := ""
	if v.Reserved != 0 {
		held = ", " + num(v.Reserved) + " reserved"
	}
	w.say("%s has %s%s", name, num(v.Available), held)
	for _, p := range v.Positions {
		held := ""
		if p.Reserved != 0 {
			held = ", " + num(p.Reserved) + " of them reserved"
		}
		w.say("  %s %s of %s%s", num(p.Shares), w.label(p.Market, p.Outcome), w.where(p.Market), held)
	}
	if u := w.state.Units(id, w.current); u != 0 {
		w.say("  %s units of %s", num(u), w.where(w.current))
	}
	return a.done()
}

// book tells the levels of an outcome.
func (w *world) book(a *args, _ []string) error {
	m := a.market()
	o := a.outcome(m, a.next())
	if err := a.done(); err != nil {
		return err
	}
	bids, asks, _ := w.state.Book(m, o, 20)
	for i := len(asks) - 1; i >= 0; i-- {
		w.say("ask %s × %s", num(asks[i].Price), num(asks[i].Shares))
	}
	v, _ := w.state.Market(m, w.now)
	w.say("pool %s", num(v.PriceOf(o)))
	for _, b := range bids {
		w.say("bid %s × %s", num(b.Price), num(b.Shares))
	}
	return nil
}

// openOrders tells the orders of an account.
func (w *world) openOrders(a *args, _ []string) error {
	id := a.account("of")
	if err := a.done(); err != nil {
		return err
	}
	for _, o := range w.state.Orders(id) {
		w.say("%s %s %s %s at %s, %s filled", w.number(o.Order), o.Side, num(o.Shares), w.label(o.Market, o.Outcome), num(o.Limit), num(o.Filled))
	}
	return nil
}

// closing is when a market closes by itself.
func closing(t engine.Time) string {
	if t == 0 {
		return "never"
	}
	return clock(t)
}
