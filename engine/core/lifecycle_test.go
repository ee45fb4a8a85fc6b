package core

import (
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/tests/given"
)

// stage is a world with one market in a state, in which every command about a
// market has what it needs but for that state: account 2 has an order that
// waits, complete sets and credits; account 1 made the market.
func stage(t *testing.T, to engine.MarketState) (w *world, order engine.OrderID) {
	t.Helper()
	tmpl := engine.DefaultTemplate()
	tmpl.Truth = engine.TruthRule{
		Source: engine.SourceQuorum, Approvals: 3, DisputeWindow: int64(1000 * sec), Reporters: []string{"ana", "bob"}, Quorum: 2, MaxAge: int64(1000 * sec),
	}
	w = newWorld(t, calm(), tmpl)
	w.rich(2, 10_000*one)
	m := w.open(engine.OpenMarket{Draft: to == engine.Draft, CloseAt: w.now + 10_000*sec})
	if to == engine.Draft {
		return w, 0
	}
	w.ok("t", &engine.SplitSets{Account: 2, Market: m, Amount: 100 * one})
	w.now += sec
	for _, e := range w.ok("t", rest(2, m, engine.Yes, engine.Buy, 10*engine.One, 400_000)).Events {
		if x, is := e.(*engine.OrderRested); is {
			order = x.Order
		}
	}
	w.bring(m, to)
	if v, _ := w.s.Market(m, w.now); v.State != to {
		t.Fatalf("the market is %s, not %s", v.State, to)
	}
	return w, order
}

// bring leads an open market to a state by commands, but for the trip of the
// guard.
func (w *world) bring(m engine.MarketID, to engine.MarketState) {
	w.t.Helper()
	cancel := &engine.CancelMarket{Market: m, Kind: engine.CancelPrice, EvidenceURI: "a:b", EvidenceSHA256: digest(1)}
	switch to {
	case engine.Paused:
		w.ok("ops", &engine.PauseMarket{Market: m})
	case engine.Frozen:
		w.fold(&engine.Tick{}, &engine.GuardTripped{Market: m, Kind: engine.Band}, &engine.MarketStateChanged{Market: m, From: engine.Open, To: engine.Frozen})
	case engine.Closed:
		w.ok("ops", &engine.CloseMarket{Market: m})
	case engine.Proposed, engine.Disputed, engine.Resolved:
		w.ok("carol", propose(m, engine.Yes, 0))
		if to == engine.Disputed {
			w.ok("dave", &engine.DisputeResolution{Market: m, EvidenceURI: "a:b", EvidenceSHA256: digest(1)})
		}
		if to == engine.Resolved {
			w.ok("erin", &engine.ApproveResolution{Market: m})
			w.ok("fred", &engine.ApproveResolution{Market: m})
			w.now += 2000 * sec
			w.ticks()
			w.settle()
		}
	case engine.Settling:
		w.owing = true
		w.ok("ops", cancel)
	case engine.Canceled:
		w.ok("ops", cancel)
	}
}

// acts are the commands of the table of what is allowed, each with all it needs.
func acts(now engine.Time, order engine.OrderID) []engine.Command {
	uri, sum := "https://example.org/e", digest(9)
	return []engine.Command{
		buy(2, 1, engine.Yes, one),
		&engine.AmendOrder{Account: 2, Order: order, Shares: 20 * engine.One},
		&engine.SplitSets{Account: 2, Market: 1, Amount: one},
		&engine.MergeSets{Account: 2, Market: 1, Amount: one},
		&engine.AddLiquidity{Account: 2, Market: 1, Amount: one},
		&engine.RemoveLiquidity{Account: 1, Market: 1, Units: engine.One},
		&engine.ActivateMarket{Market: 1},
		&engine.PauseMarket{Market: 1},
		&engine.ResumeMarket{Market: 1},
		&engine.ReopenMarket{Market: 1},
		&engine.CloseMarket{Market: 1},
		&engine.ChangeClose{Market: 1, CloseAt: 1 << 60},
		&engine.SetMarketGroups{Market: 1, Deny: []string{"board"}},
		&engine.ReportFact{Market: 1, Outcome: engine.Yes, ObservedAt: now, EvidenceURI: uri, RuleSHA256: sum, FactsSHA256: sum},
		&engine.ProposeResolution{Market: 1, Outcome: engine.Yes, EvidenceURI: uri, EvidenceSHA256: sum},
		&engine.ApproveResolution{Market: 1},
		&engine.RejectResolution{Market: 1},
		&engine.DisputeResolution{Market: 1, EvidenceURI: uri, EvidenceSHA256: sum},
		&engine.ClarifyMarket{Market: 1, Text: sum},
		&engine.CancelMarket{Market: 1, Kind: engine.CancelRefund, EvidenceURI: uri, EvidenceSHA256: sum},
	}
}

// trading are the states in which what trades may be given, see tradable.
var trading = []engine.MarketState{engine.Open}

func trades(c engine.Command) bool {
	switch c.(type) {
	case *engine.PlaceOrder, *engine.AmendOrder, *engine.SplitSets, *engine.MergeSets, *engine.AddLiquidity, *engine.RemoveLiquidity:
		return true
	}
	return false
}

// refusals are the codes by which a state refuses.
var refusals = []engine.Code{
	engine.WrongState, engine.MarketNotOpen, engine.MarketClosed, engine.MarketFrozen, engine.OrderNotFound, engine.Draining,
}

// Every command about a market in every state: it takes effect exactly where the
// table says so, and nothing changes otherwise. The table itself is a golden file.
func TestLifecycle(t *testing.T) {
	tried, table, commands := 0, "", map[string]bool{}
	for _, state := range engine.States() {
		table += state.String() + ":"
		for i := range acts(0, 0) {
			w, order := stage(t, state)
			c := acts(w.now, order)[i]
			permitted := trading
			if !trades(c) {
				permitted = allowed[c.Type()]
				commands[c.Type()] = true
			}
			before := w.s.bare(counted(c))
			d := w.give("ana", c)
			tried++
			if d.Code == engine.OK {
				table += " " + c.Type()
			}
			switch {
			case slices.Contains(permitted, state) != (d.Code == engine.OK):
				t.Errorf("%s of a market that is %s: %s %s", c.Type(), state, d.Code, d.Detail)
			case d.Code == engine.OK && len(d.Events) == 0:
				t.Errorf("%s of a market that is %s: nothing happened", c.Type(), state)
			case d.Code != engine.OK && !slices.Contains(refusals, d.Code):
				t.Errorf("%s of a market that is %s: %s %s", c.Type(), state, d.Code, d.Detail)
			case d.Code != engine.OK && (before != w.s.bare(counted(c)) || len(d.Events) != 0):
				t.Errorf("%s of a market that is %s: refused, and something changed", c.Type(), state)
			}
		}
		table += "\n"
	}
	given.Golden(t, "testdata/lifecycle.txt", table)
	t.Logf("%d pairs of command and state", tried)
	for word := range allowed {
		if !commands[word] {
			t.Errorf("%s is in the table, and was not tried", word)
		}
	}
}

// What needs no state of the market: leaving is possible wherever orders wait.
func TestOrdersLeaveInAnyState(t *testing.T) {
	for _, state := range []engine.MarketState{engine.Open, engine.Paused, engine.Frozen, engine.Proposed, engine.Disputed, engine.Settling} {
		for _, c := range []func(engine.OrderID) engine.Command{
			func(o engine.OrderID) engine.Command { return &engine.CancelOrder{Account: 2, Order: o} },
			func(engine.OrderID) engine.Command { return &engine.CancelAll{Account: 2, Market: 1} },
			func(o engine.OrderID) engine.Command {
				return &engine.AmendOrder{Account: 2, Order: o, Shares: engine.One}
			},
		} {
			w, order := stage(t, state)
			if d := w.give("ana", c(order)); d.Code != engine.OK {
				t.Errorf("%s while %s: %s", d.Command.Type(), state, d.Code)
			}
			w.settle()
			if got := w.s.f.Ledger.Reserved(2); got != 0 && len(w.s.Orders(2)) == 0 {
				t.Errorf("%d micros stay reserved", got)
			}
		}
	}
}

// A market that holds no money any more holds nobody's orders either.
func TestPauseWithCancelFreesEverybody(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	accounts := w.rich(30, 10_000*one)
	m := w.open(engine.OpenMarket{})
	for _, a := range accounts {
		for i := range 80 {
			w.ok("t", rest(a, m, engine.Outcome(i%2), engine.Buy, engine.One, engine.Price(100_000+i*1000)))
		}
	}
	w.owing = true
	w.ok("ops", &engine.PauseMarket{Market: m, CancelOrders: true})
	if d := w.give("ops", &engine.ResumeMarket{Market: m}); d.Code != engine.Draining {
		t.Errorf("resumed while orders are being cancelled: %s", d.Code)
	}
	if n := w.settle(); n != 3 {
		t.Errorf("2,400 orders left in %d decisions, want 3", n)
	}
	for _, a := range accounts {
		if got := w.s.f.Ledger.Reserved(uint32(a)); got != 0 {
			t.Errorf("%s has %d reserved", a, got)
		}
	}
	w.ok("ops", &engine.ResumeMarket{Market: m})
	if err := w.refold(); err != nil {
		t.Error(err)
	}
}

// What the view says of a proposal is what a dispute of it meets, in every round.
func TestProposalStands(t *testing.T) {
	tmpl := engine.DefaultTemplate()
	tmpl.Truth.DisputeWindow, tmpl.Truth.MaxDisputes = int64(1000*sec), 2
	w := newWorld(t, calm(), tmpl)
	w.rich(2, 1000*one)
	m := w.open(engine.OpenMarket{})
	look := func(round string, stands bool) {
		t.Helper()
		if v, _ := w.s.Market(m, w.now); v.Proposal.Stands != stands {
			t.Errorf("%s: the view says that it stands: %t", round, !stands)
		}
		d := w.give("eve", &engine.DisputeResolution{Market: m, Account: 2, EvidenceURI: "a:b", EvidenceSHA256: digest(1)})
		if d.Code != engine.InsufficientShares {
			t.Errorf("%s: who holds nothing gets %s", round, d.Code)
		}
	}
	approve := func(who ...string) {
		t.Helper()
		for _, p := range who {
			w.ok(p, &engine.ApproveResolution{Market: m})
		}
	}
	dispute := func(who string) {
		t.Helper()
		w.ok(who, &engine.DisputeResolution{Market: m, EvidenceURI: "a:b", EvidenceSHA256: digest(1)})
	}
	w.ok("ana", propose(m, engine.Yes, 0))
	approve("bob", "carol", "dave")
	look("before any dispute", false)
	dispute("dave")
	if v, _ := w.s.Market(m, w.now); v.Proposal.Stands {
		t.Error("a disputed proposal stands")
	}
	w.ok("ana", propose(m, engine.Yes, 0))
	approve("bob", "dave")
	look("with one more that disputed", false)
	approve("carol")
	look("with one more", true)
	if d := w.give("fred", &engine.DisputeResolution{Market: m, EvidenceURI: "a:b", EvidenceSHA256: digest(1)}); d.Code != engine.WrongState {
		t.Errorf("a proposal that stands is disputed: %s", d.Code)
	}
	w.ok("ops", &engine.RejectResolution{Market: m})
	w.ok("ana", propose(m, engine.No, 0))
	dispute("fred")
	w.ok("ana", propose(m, engine.No, 0))
	look("after as many disputes as the template allows", true)
	if err := w.refold(); err != nil {
		t.Error(err)
	}
}
