package core

import (
	"math"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

// event is an event that a decision, or an item of a batch, can carry, and how
// often at most.
type event struct {
	kind engine.Event
	most int
}

// ofOrder are the events of an order. An abuse rule raises once.
func ofOrder() []event {
	return []event{
		{&engine.OrdersClosed{}, 1}, {&engine.OrderFilled{}, 1}, {&engine.OrderRested{}, 1}, {&engine.AbuseRaised{}, len(engine.Rules())},
		{&engine.Cooled{}, 1}, {&engine.GuardTripped{}, 1}, {&engine.MarketStateChanged{}, 1},
	}
}

// carries are the events that a command can lead to. Every decision of this
// package's tests is held against it.
func carries(c engine.Command) []event {
	of := func(events ...engine.Event) (out []event) {
		for _, e := range events {
			out = append(out, event{e, 1})
		}
		return out
	}
	trip := of(&engine.GuardTripped{}, &engine.MarketStateChanged{})
	end := of(&engine.SettlementStarted{})
	switch c.(type) {
	case *engine.Malformed, *engine.NoteRefusals:
		return nil
	case *engine.Initialise:
		return of(&engine.PolicySet{}, &engine.TemplateAdded{}, &engine.KeyAdded{})
	case *engine.AddTemplate:
		return of(&engine.TemplateAdded{})
	case *engine.AddKey:
		return of(&engine.KeyAdded{})
	case *engine.RevokeKey:
		return of(&engine.KeyRevoked{})
	case *engine.AllowText:
		return of(&engine.TextsAllowed{})
	case *engine.ClarifyMarket:
		return of(&engine.MarketClarified{})
	case *engine.NoteDecision:
		return of(&engine.DecisionNoted{})
	case *engine.ErasePerson:
		return of(&engine.OrdersClosed{}, &engine.PersonErased{})
	case *engine.OpenAccount:
		return of(&engine.AccountOpened{})
	case *engine.GrantCredits:
		return of(&engine.CreditsGranted{})
	case *engine.OpenMarket:
		return of(&engine.MarketOpened{})
	case *engine.SetGrantSchedule:
		return of(&engine.GrantScheduleSet{})
	case *engine.EndGrantSchedule:
		return of(&engine.GrantScheduleEnded{})
	case *engine.PayGrants:
		return of(&engine.GrantsPaid{})
	case *engine.OpenSeason:
		return of(&engine.SeasonOpened{})
	case *engine.EndSeason:
		return of(&engine.SeasonStopped{})
	case *engine.CountSeason:
		return of(&engine.SeasonCounted{})
	case *engine.SetRanking:
		return of(&engine.RankingSet{})
	case *engine.OpenMarketFor:
		return of(&engine.MarketOpened{}, &engine.MarketGroupsSet{})
	case *engine.SetMarketGroups:
		return of(&engine.MarketGroupsSet{})
	case *engine.SetAccountGroups:
		return of(&engine.AccountGroupsSet{}, &engine.OrdersClosed{})
	case *engine.ActivateMarket, *engine.PauseMarket, *engine.ResumeMarket, *engine.ReopenMarket, *engine.CloseMarket:
		return of(&engine.MarketStateChanged{})
	case *engine.ChangeClose:
		return of(&engine.CloseChanged{})
	case *engine.PlaceOrder:
		return ofOrder()
	case *engine.AmendOrder:
		return append(ofOrder(), event{&engine.OrderReduced{}, 1})
	case *engine.CancelOrder, *engine.CancelAll:
		return of(&engine.OrdersClosed{})
	case *engine.SplitSets:
		return append(trip, of(&engine.SetsSplit{})...)
	case *engine.MergeSets:
		return append(trip, of(&engine.SetsMerged{})...)
	case *engine.AddLiquidity:
		return append(trip, of(&engine.LiquidityAdded{})...)
	case *engine.RemoveLiquidity:
		return append(trip, of(&engine.LiquidityRemoved{})...)
	case *engine.Tick:
		return append(end, of(&engine.OrdersClosed{}, &engine.MarketStateChanged{}, &engine.SLABreached{}, &engine.GrantsBegun{}, &engine.SeasonTurned{})...)
	case *engine.SettleMarket:
		return of(&engine.OrdersClosed{}, &engine.SettlementStepped{}, &engine.MarketStateChanged{}, &engine.MarketSifted{})
	case *engine.ReportFact:
		return append(end, event{&engine.FactReported{}, 1}, event{&engine.ResolutionProposed{}, 1}, event{&engine.MarketStateChanged{}, 2})
	case *engine.ProposeResolution:
		return append(end, event{&engine.ResolutionProposed{}, 1}, event{&engine.MarketStateChanged{}, 2})
	case *engine.ApproveResolution:
		return append(end, of(&engine.ResolutionApproved{}, &engine.MarketStateChanged{})...)
	case *engine.RejectResolution:
		return of(&engine.ResolutionRejected{}, &engine.MarketStateChanged{})
	case *engine.DisputeResolution:
		return of(&engine.ResolutionDisputed{}, &engine.MarketStateChanged{})
	case *engine.CancelMarket:
		return append(end, of(&engine.MarketStateChanged{})...)
	case *engine.SetPolicy, *engine.RollbackPolicy:
		return of(&engine.PolicySet{})
	case *engine.SetMode:
		return of(&engine.ModeSet{})
	case *engine.SetDeadlines:
		return of(&engine.DeadlinesSet{})
	case *engine.Moderate:
		return of(&engine.Moderated{})
	case *engine.UndoModeration:
		return of(&engine.ModerationUndone{})
	case *engine.AddWebhook, *engine.ChangeWebhook:
		return of(&engine.WebhookSet{})
	case *engine.UpgradeEngine:
		return of(&engine.EngineUpgraded{})
	}
	panic("no row for " + c.Type())
}

// sized holds a decision against carries and against the limit on its work.
func (w *world) sized(d *engine.Decision) {
	w.t.Helper()
	if b, is := d.Command.(*engine.Batch); is {
		at := 0
		for i, r := range d.Results {
			w.carried(b.Items[i], d.Events[at:at+int(r.Events)])
			at += int(r.Events)
		}
	} else {
		w.carried(d.Command, d.Events)
	}
	if n := touched(d); n > engine.WorkLimit+engine.BatchLimit {
		w.t.Fatalf("%s works on %d orders", show(d.Command), n)
	}
}

func (w *world) carried(c engine.Command, events []engine.Event) {
	w.t.Helper()
	seen := map[string]int{}
	for _, e := range events {
		seen[e.Type()]++
	}
	for _, e := range carries(c) {
		if seen[e.kind.Type()] <= e.most {
			delete(seen, e.kind.Type())
		}
	}
	if len(seen) != 0 {
		w.t.Fatalf("%s carries %v", show(c), seen)
	}
}

// touched is how many resting orders a decision met or cancelled.
func touched(d *engine.Decision) (n int) {
	for _, e := range d.Events {
		switch x := e.(type) {
		case *engine.OrderFilled:
			n += int(count(x.Fills)) + len(x.Met)
		case *engine.OrdersClosed:
			n += len(x.Orders)
		}
	}
	return n
}

// largest gives every field the value with the longest record form, texts and
// lists as long as their limit; lists have at most n elements.
func largest(v reflect.Value, tag string, n int) {
	limit := func(word string) (most int) {
		for part := range strings.SplitSeq(tag, ",") {
			if part = strings.TrimPrefix(part, word+"="); part != "opt" && !strings.Contains(part, "=") {
				most, _ = strconv.Atoi(part)
			}
		}
		return most
	}
	switch v.Kind() {
	case reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(math.MaxUint64 >> (64 - v.Type().Bits()))
	case reflect.Int64:
		v.SetInt(math.MinInt64)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(strings.Repeat("x", limit("text")))
	case reflect.Array:
		for i := range v.Len() {
			largest(v.Index(i), "", n)
		}
	case reflect.Slice:
		most := min(limit("max"), n)
		v.Set(reflect.MakeSlice(v.Type(), most, most))
		for i := range most {
			largest(v.Index(i), "text="+strconv.Itoa(limit("text")), n)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if tag := v.Type().Field(i).Tag.Get("wire"); tag != "-" {
				largest(v.Field(i), tag, n)
			}
		}
	}
}

// fullest adds to a decision everything that a command can carry. Its lists have
// at most n elements.
func fullest(d *engine.Decision, c engine.Command, n int) (events uint32) {
	largest(reflect.ValueOf(c).Elem(), "", n)
	for _, e := range carries(c) {
		for range e.most {
			x := reflect.New(reflect.TypeOf(e.kind).Elem())
			largest(x.Elem(), "", n)
			d.Add(x.Interface().(engine.Event)) //nolint:forcetypeassert // it is one
			events++
		}
	}
	return events
}

// The largest decision on every command fits the journal, with every number at
// its widest, every text at its longest, all events that the command can carry
// and as much work as one decision does. A decision that did not fit would stop
// the writer, and its retry would stop it again.
func TestLargestDecisionFits(t *testing.T) {
	start := func(c engine.Command) *engine.Decision {
		return &engine.Decision{
			Request: engine.Request{At: math.MinInt64, Principal: strings.Repeat("x", 64), Key: engine.Tag{1}, Input: engine.Tag{1}, Command: c},
			Code:    engine.Draining, Detail: strings.Repeat("x", 200),
		}
	}
	fits := func(d *engine.Decision) {
		if n := len(d.Append(nil)); n > journal.MaxRecord/2 { // half: room for what comes
			t.Errorf("%s: %d bytes of %d", d.Command.Type(), n, journal.MaxRecord)
		} else {
			t.Logf("%s: %d bytes", d.Command.Type(), n)
		}
	}
	for _, c := range append(sound(0, 0), &engine.Malformed{}) {
		if _, batch := c.(*engine.Batch); batch {
			continue
		}
		d := start(c)
		fullest(d, c, 2001)
		fits(d)
	}
	// Of a batch, one item cancels and one meets as much as one decision may, and
	// every item has what stands alone.
	b := &engine.Batch{}
	d := start(b)
	for i := range engine.BatchLimit {
		var c engine.Command = &engine.AmendOrder{}
		n := 1
		switch i {
		case 0:
			c, n = &engine.CancelAll{}, engine.WorkLimit
		case 1:
			c, n = &engine.PlaceOrder{}, 2*engine.WorkLimit+1
		case 2:
			c = &engine.PlaceOrder{}
		}
		b.Items = append(b.Items, c)
		d.Results = append(d.Results, engine.Result{Code: engine.Draining, Detail: strings.Repeat("x", 200), Events: fullest(d, c, n)})
	}
	fits(d)
}

// Fifty orders of one batch that each would meet as many orders as the policy
// lets one meet: the writer used to stop at the record, and again at the retry.
func TestBatchIsBounded(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.bulk = true
	accounts := w.rich(4, 2_000_000*one)
	m := w.open(engine.OpenMarket{Liquidity: 1_000_000 * one})
	for _, a := range accounts[1:] {
		for range 900 {
			w.ok("t", rest(a, m, engine.No, engine.Buy, engine.One, 500_000))
		}
	}
	sweep := func(q engine.Shares) engine.Command {
		return &engine.PlaceOrder{Account: accounts[0], Market: m, Outcome: engine.Yes, Side: engine.Buy, TIF: engine.IOC, Shares: q * engine.One, Limit: 500_000}
	}
	b := &engine.Batch{Items: []engine.Command{sweep(600), sweep(300), sweep(200), &engine.CancelAll{Account: accounts[3]}, sweep(100), sweep(1)}}
	for len(b.Items) < engine.BatchLimit-1 {
		b.Items = append(b.Items, rest(accounts[0], m, engine.Yes, engine.Buy, engine.One, 400_000))
	}
	b.Items = append(b.Items, &engine.CancelOrder{Account: accounts[3], Order: w.s.Orders(accounts[3])[5].Order})
	d := w.ok("t", b)
	for i, r := range d.Results {
		want := engine.OK
		if 2 <= i && i <= 5 {
			want = engine.LimitReached
		}
		if r.Code != want || (r.Code == engine.LimitReached) != (r.Detail == batchWorked) {
			t.Errorf("item %d: %s %q, want %s", i, r.Code, r.Detail, want)
		}
	}
	if n := touched(d); n != 901 {
		t.Errorf("%d orders met or cancelled, want 901", n)
	}
	// What was refused goes through by itself, and a batch ends with the decision.
	for _, i := range []int{2, 3} {
		w.ok("t", b.Items[i])
	}
	if err := w.s.Check(); err != nil {
		t.Error(err)
	}
	if err := w.refold(); err != nil {
		t.Error(err)
	}
}
