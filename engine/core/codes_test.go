package core

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
)

// Every code that an order can meet, on one market.
func TestRefusals(t *testing.T) {
	tmpl := engine.DefaultTemplate()
	tmpl.Collar = 300_000
	w := newWorld(t, calm(), tmpl)
	w.rich(3, 1000*one)
	poor := w.rich(1, 5*one)[0]
	m := w.open(engine.OpenMarket{Liquidity: 100 * one})
	closing := w.open(engine.OpenMarket{Liquidity: 50 * one, CloseAt: w.now + sec})
	paused := w.open(engine.OpenMarket{Liquidity: 50 * one})
	w.ok("ops", &engine.PauseMarket{Market: paused})
	w.now += 5 * sec
	w.ok("ops", &engine.SplitSets{Account: 2, Market: m, Amount: 1000})
	for _, c := range []struct {
		name   string
		change func(*engine.PlaceOrder)
		want   engine.Code
	}{
		{"no such outcome", func(x *engine.PlaceOrder) { x.Outcome = engine.Long }, engine.InvalidCommand},
		{"an outcome too many", func(x *engine.PlaceOrder) { x.Outcome = engine.Nth(0) }, engine.InvalidCommand},
		{"no side", func(x *engine.PlaceOrder) { x.Side = 0 }, engine.InvalidCommand},
		{"no tif", func(x *engine.PlaceOrder) { x.TIF = 9 }, engine.InvalidCommand},
		{"limit one", func(x *engine.PlaceOrder) { x.Limit = engine.One }, engine.InvalidCommand},
		{"two sizes", func(x *engine.PlaceOrder) { x.Shares = 1 }, engine.InvalidCommand},
		{"no size", func(x *engine.PlaceOrder) { x.Amount = 0 }, engine.InvalidCommand},
		{"huge", func(x *engine.PlaceOrder) { x.Amount = engine.MaxAmount + 1 }, engine.InvalidCommand},
		{"sale by amount", func(x *engine.PlaceOrder) { x.Side = engine.Sell }, engine.InvalidCommand},
		{"rests without limit", func(x *engine.PlaceOrder) { x.TIF = engine.GTC }, engine.InvalidCommand},
		{"expires without gtd", func(x *engine.PlaceOrder) { x.Expires = w.now + sec }, engine.InvalidCommand},
		{"expired", func(x *engine.PlaceOrder) { x.TIF, x.Limit, x.Expires = engine.GTD, 400_000, w.now }, engine.InvalidCommand},
		{"stranger", func(x *engine.PlaceOrder) { x.Account = 77 }, engine.AccountNotFound},
		{"no market", func(x *engine.PlaceOrder) { x.Market = 77 }, engine.MarketNotFound},
		{"paused", func(x *engine.PlaceOrder) { x.Market = paused }, engine.MarketNotOpen},
		{"closed", func(x *engine.PlaceOrder) { x.Market = closing }, engine.MarketClosed},
		{"above the template", func(x *engine.PlaceOrder) { x.Amount = 100_001 * one }, engine.TemplateBounds},
		{"rests outside the template", func(x *engine.PlaceOrder) { x.TIF, x.Limit = engine.GTC, 9_999 }, engine.TemplateBounds},
		{"poor", func(x *engine.PlaceOrder) { x.Account, x.Amount = poor, 6*one }, engine.InsufficientFunds},
		{"poor for what waits", func(x *engine.PlaceOrder) {
			x.Account, x.Amount, x.Shares, x.TIF, x.Limit = poor, 0, 20*engine.One, engine.GTC, 300_000
		}, engine.InsufficientFunds},
		{"short sale", func(x *engine.PlaceOrder) { x.Side, x.Amount, x.Shares = engine.Sell, 0, 1_000_000 }, engine.InsufficientShares},
		{"at the limit already", func(x *engine.PlaceOrder) { x.Limit = 500_000 }, engine.PriceLimit},
		{"fok over the limit", func(x *engine.PlaceOrder) { x.TIF, x.Limit, x.Amount = engine.FOK, 510_000, 900*one }, engine.FOKUnfilled},
		{"fok over the collar", func(x *engine.PlaceOrder) { x.TIF, x.Amount = engine.FOK, 900*one }, engine.FOKUnfilled},
		{"post-only that takes", func(x *engine.PlaceOrder) { x.TIF, x.PostOnly, x.Limit = engine.GTC, true, 600_000 }, engine.PostOnlyTakes},
		{"less than a micro", func(x *engine.PlaceOrder) { x.Side, x.Amount, x.Shares = engine.Sell, 0, 1 }, engine.TooSmall},
	} {
		w.now += sec
		x := buy(2, m, engine.Yes, one)
		c.change(x)
		d := w.do("ana", x)
		if d.Code != c.want || len(d.Events) != 0 {
			t.Errorf("%s: %s %q with %d events, want %s", c.name, d.Code, d.Detail, len(d.Events), c.want)
		}
		if d.Code == engine.InvalidCommand && d.Detail == "" {
			t.Errorf("%s: no word about what is wrong", c.name)
		}
	}
}

// The rate allows a burst, then an order each interval; a flood raises one abuse
// event, and does not keep itself shut.
func TestOrderRate(t *testing.T) {
	w := newWorld(t, engine.DefaultPolicy(), engine.DefaultTemplate())
	a := w.rich(2, 1000*one)[1]
	m := w.open(engine.OpenMarket{Creator: 1})
	order := buy(a, m, engine.Yes, one)
	burst := int(engine.DefaultPolicy().OrderBurst)
	var raised, limited int
	for range burst + 20 {
		d := w.do("ana", order)
		if d.Code == engine.RateLimited {
			limited++
		}
		for _, e := range d.Events {
			if x, is := e.(*engine.AbuseRaised); is && x.Rule == engine.RuleOrderRate {
				raised++
				if x.Observed <= x.Bound || x.Account != a || x.Market != m {
					t.Errorf("%+v", x)
				}
			}
		}
	}
	if limited != 20 || raised != 1 {
		t.Errorf("%d limited and %d raised, want 20 and 1", limited, raised)
	}
	if wait := w.s.RetryAfter(a, w.now); wait != engine.DefaultPolicy().OrderInterval {
		t.Errorf("retry after %d µs", wait)
	}
	w.now += engine.Time(engine.DefaultPolicy().OrderInterval)
	if d := w.do("ana", order); d.Code != engine.OK {
		t.Errorf("after an interval: %s", d.Code)
	}
	if d := w.do("ana", order); d.Code != engine.RateLimited || len(d.Events) != 1 {
		t.Errorf("next episode: %s with %d events", d.Code, len(d.Events))
	}
}

// Evolve refuses what does not follow from the state, and says so.
func TestEvolveRefusesStrangers(t *testing.T) {
	filled := func(f func(*engine.OrderFilled)) func(*engine.Decision) {
		return func(d *engine.Decision) { f(d.Events[0].(*engine.OrderFilled)) }
	}
	event := func(e engine.Event) func(*engine.Decision) {
		return func(d *engine.Decision) { d.Events[0] = e }
	}
	for name, spoil := range map[string]func(*engine.Decision){
		"gap":             func(d *engine.Decision) { d.Seq++ },
		"time backwards":  func(d *engine.Decision) { d.At = 1 },
		"sets":            filled(func(f *engine.OrderFilled) { f.Sets -= 1000 }),
		"pool shares":     filled(func(f *engine.OrderFilled) { f.PoolShares += 1_000_000 }),
		"amount":          filled(func(f *engine.OrderFilled) { f.Amount = engine.MaxAmount }),
		"overflow":        filled(func(f *engine.OrderFilled) { f.Sets, f.Amount = 1<<62, 1<<62 }),
		"account":         filled(func(f *engine.OrderFilled) { f.Account = 77 }),
		"outcome":         filled(func(f *engine.OrderFilled) { f.Outcome = 7 }),
		"market":          filled(func(f *engine.OrderFilled) { f.Market = 7 }),
		"maker":           filled(func(f *engine.OrderFilled) { f.Fills = []engine.Fill{{Maker: 9, Account: 1, Shares: 1}} }),
		"met":             filled(func(f *engine.OrderFilled) { f.Met = []engine.Met{{Order: 9, Shares: 1}} }),
		"state":           event(&engine.MarketStateChanged{Market: 1, From: engine.Paused, To: engine.Open}),
		"end":             event(&engine.MarketStateChanged{Market: 1, From: engine.Open, To: engine.Resolved}),
		"no state":        event(&engine.MarketStateChanged{Market: 1, From: engine.Open, To: 99}),
		"settlement":      event(&engine.SettlementStarted{Market: 1, Ending: engine.EndByPrice}),
		"payout":          event(&engine.SettlementStepped{Market: 1, Phase: engine.PhasePay}),
		"account id":      event(&engine.AccountOpened{Account: 77}),
		"market id":       event(&engine.MarketOpened{Market: 77}),
		"order again":     event(&engine.OrderRested{Order: engine.OrderOf(1, 0), Account: 2, Market: 1, Shares: 0}),
		"order of nobody": event(&engine.OrderRested{Order: engine.OrderOf(9, 0), Account: 77, Market: 1, Side: engine.Buy, Shares: 1, Limit: 1}),
		"no order":        event(&engine.OrdersClosed{Orders: []engine.ClosedOrder{{Order: 1, Account: 1, Market: 1, Shares: 1}}}),
		"reduced":         event(&engine.OrderReduced{Order: 1, Market: 1, Shares: 1}),
		"sets merged":     event(&engine.SetsMerged{Account: 2, Market: 1, Amount: 1}),
		"liquidity":       event(&engine.LiquidityAdded{Account: 2, Market: 1, Amount: 1, Taken: []engine.Shares{1}}),
		"liquidity gone":  event(&engine.LiquidityRemoved{Account: 2, Market: 1, Units: 1, Given: []engine.Shares{1, 1}, Amount: 1}),
		"moderation":      event(&engine.ModerationUndone{Decision: 4}),
	} {
		w := newWorld(t, calm(), engine.DefaultTemplate())
		w.rich(2, 1000*one)
		m := w.open(engine.OpenMarket{Liquidity: 100 * one})
		var d engine.Decision
		w.s.Decide(engine.Request{At: w.now, Principal: "ana", Command: buy(2, m, engine.Yes, one)}, &d)
		spoil(&d)
		w.s.Ahead([]*engine.Decision{&d}) // takes what does not fit
		if err := w.s.Evolve(&d); !errors.Is(err, ErrFold) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A request with a key is found again for a day, by whoever folded it; with
// other content, or of another key, it is not the same.
func TestRepeats(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	key, input := engine.Tag{9}, engine.Tag{8}
	var d engine.Decision
	if err := w.s.Step(engine.Request{At: w.now, Principal: "ana", Key: key, Input: input, Command: &engine.OpenAccount{}}, &d); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		key, input engine.Tag
		wait       engine.Time
		found      engine.Seq
		same       bool
	}{
		{key, input, 0, d.Seq, true},
		{key, engine.Tag{7}, 0, d.Seq, false},
		{engine.Tag{7}, input, 0, 0, false},
		{key, input, RepeatWindow - sec, d.Seq, true},
		{key, input, RepeatWindow, 0, false},
	} {
		if c.wait != 0 { // what is too old leaves with the next request that has a key
			var other engine.Decision
			w.now = testStart + c.wait
			if err := w.s.Step(engine.Request{At: w.now, Principal: "ana", Key: engine.Tag{1, byte(c.wait >> 20)}, Command: &engine.OpenAccount{}}, &other); err != nil {
				t.Fatal(err)
			}
		}
		if found, same := w.s.Repeat(c.key, c.input); found != c.found || same != c.same {
			t.Errorf("%x %x after %s: %d %t, want %d %t", c.key, c.input, c.wait.Time().Sub(engine.Time(0).Time()), found, same, c.found, c.same)
		}
	}
}

// FuzzEvolve folds whatever decodes into a state: it is an error, or everything
// still holds.
func FuzzEvolve(f *testing.F) {
	base := func(t failer) *world {
		w := newWorld(t, calm(), templates()...)
		w.rich(5, 10_000*one)
		w.open(engine.OpenMarket{})
		w.open(engine.OpenMarket{Template: "many@1.0.0"})
		w.ok("t", rest(2, 1, engine.Yes, engine.Buy, engine.One, 400_000))
		return w
	}
	w := base(f)
	start := len(w.log)
	w.watch = newWatch()
	d := seeded{rand.New(rand.NewPCG(1, 3))}
	for range 400 {
		w.turn(d)
	}
	for _, b := range w.log[start:] {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		w := base(t)
		d, err := engine.Decode(w.s.Seq()+1, b)
		if err != nil {
			return
		}
		w.s.Ahead([]*engine.Decision{d})
		if w.s.Evolve(d) != nil {
			return
		}
		if err := w.s.f.Ledger.Conserved(); err != nil {
			t.Fatalf("%s %+v: %v", show(d.Command), d.Events, err)
		}
		w.s.Hash()
	})
}

// An amendment that is an order anew counts like one: against the rate of its
// market, and in what is told once of a burst. To take shares off an order is free.
func TestAmendmentsCount(t *testing.T) {
	policy := calm()
	policy.AccountBurst = engine.BurstRule{Sigmas: 8, Floor: 20}
	tmpl := engine.DefaultTemplate()
	tmpl.Risk.OrderInterval, tmpl.Risk.OrderBurst = 1_000_000, 40
	w := newWorld(t, policy, tmpl)
	a := w.rich(2, 1000*one)[1]
	m := w.open(engine.OpenMarket{Creator: 1})
	id := w.ok("ana", rest(a, m, engine.Yes, engine.Buy, 100_000_000, 100_000)).Events[0].(*engine.OrderRested).Order
	raised, limited := map[string]int64{}, 0
	for i := range engine.Shares(60) {
		w.ok("ana", &engine.AmendOrder{Account: a, Order: id, Shares: 100_000_000 - 2*i - 1})
		d := w.do("ana", &engine.AmendOrder{Account: a, Order: id, Shares: 100_000_000 - 2*i - 2, Limit: 100_001 + engine.Price(i)})
		if d.Code == engine.RateLimited {
			limited++
		} else if d.Code != engine.OK {
			t.Fatalf("amendment %d: %s %s", i, d.Code, d.Detail)
		}
		for _, e := range d.Events {
			switch e := e.(type) {
			case *engine.OrderRested:
				id = e.Order
			case *engine.AbuseRaised:
				if raised[e.Rule] != 0 {
					t.Errorf("%s is told twice", e.Rule)
				}
				raised[e.Rule] = e.Observed
			}
		}
	}
	if limited != 21 || raised[engine.RuleMarketRate] == 0 || raised[engine.RuleAccountBurst] != 21 {
		t.Errorf("%d refused, raised %v", limited, raised)
	}
	if err := w.refold(); err != nil {
		t.Error(err)
	}
}

// Amendments of an order that is not there keep to the rate, too, and do not shut
// the account for longer than it takes to wait.
func TestAmendingNothingKeepsToTheRate(t *testing.T) {
	w := newWorld(t, engine.DefaultPolicy(), engine.DefaultTemplate())
	a := w.rich(1, 1000*one)[0]
	codes := map[engine.Code]int{}
	for range 100 {
		codes[w.do("ana", &engine.AmendOrder{Account: a, Order: 77, Shares: 1}).Code]++
	}
	if burst := int(engine.DefaultPolicy().OrderBurst); codes[engine.OrderNotFound] != burst || codes[engine.RateLimited] != 100-burst {
		t.Errorf("%v", codes)
	}
	if wait := w.s.RetryAfter(a, w.now); wait != engine.DefaultPolicy().OrderInterval {
		t.Errorf("retry after %d µs", wait)
	}
}

// A summary of refusals is the edge's to give, and is taken if it says something;
// nothing in the state depends on it but sequence and time.
func TestNoteRefusals(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	good := func() *engine.NoteRefusals {
		return &engine.NoteRefusals{From: w.now - 10, Until: w.now, Refusals: []engine.Refusal{
			{Reason: "unauthenticated", Count: 5}, {Principal: engine.OtherPrincipals, Reason: "malformed", Count: 1}, {Principal: "ana", Reason: "forbidden", Count: 2},
		}}
	}
	before := w.s.bare(false)
	if d := w.do(engine.System, good()); d.Code != engine.OK || len(d.Events) != 0 || w.s.bare(false) != before {
		t.Errorf("%s %s", d.Code, d.Detail)
	}
	if d := w.do("ana", good()); d.Code != engine.WrongState {
		t.Errorf("by somebody: %s", d.Code)
	}
	for name, spoil := range map[string]func(*engine.NoteRefusals){
		"none":         func(x *engine.NoteRefusals) { x.Refusals = nil },
		"no begin":     func(x *engine.NoteRefusals) { x.From = 0 },
		"backwards":    func(x *engine.NoteRefusals) { x.From = x.Until + 1 },
		"future":       func(x *engine.NoteRefusals) { x.Until += 1_000_000 },
		"no reason":    func(x *engine.NoteRefusals) { x.Refusals[1].Reason = "" },
		"prose":        func(x *engine.NoteRefusals) { x.Refusals[1].Reason = "too large" },
		"no principal": func(x *engine.NoteRefusals) { x.Refusals[2].Principal = "Ana" },
		"no count":     func(x *engine.NoteRefusals) { x.Refusals[0].Count = 0 },
	} {
		x := good()
		spoil(x)
		if d := w.do(engine.System, x); d.Code != engine.InvalidCommand || d.Detail == "" {
			t.Errorf("%s: %s", name, d.Code)
		}
	}
	x := good()
	x.Refusals = make([]engine.Refusal, engine.RefusalLimit+1)
	if d := w.do(engine.System, x); d.Command.Type() != "malformed" {
		t.Errorf("too many: %s", d.Command.Type())
	}
}

// What moderators act on is remembered for so many events of a market; a flood
// there does not push out what was raised elsewhere. What was forgotten stands in
// the log, and a limit that is in force stays.
func TestAbusesAreForgotten(t *testing.T) {
	policy := calm()
	policy.OrderInterval, policy.OrderBurst = int64(sec), 1
	policy.AccountBurst.Sigmas, policy.Burst.Sigmas = 0, 0
	w := newWorld(t, policy, engine.DefaultTemplate())
	w.rich(3, 10_000*one)
	flooded, calm := w.open(engine.OpenMarket{Creator: 1}), w.open(engine.OpenMarket{Creator: 1})
	raise := func(a engine.AccountID, m engine.MarketID) engine.Seq {
		t.Helper()
		w.now += sec
		order := rest(a, m, engine.Yes, engine.Sell, 1, 900_000) // it has none to sell
		w.do("bot", order)
		d := w.do("bot", order)
		if d.Code != engine.RateLimited || len(d.Events) != 1 {
			t.Fatalf("%s with %d events", d.Code, len(d.Events))
		}
		return d.Seq
	}
	dismiss := func(q engine.Seq) *engine.Decision {
		return w.do("mod", &engine.Moderate{Action: engine.DismissAbuse, Abuse: q, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(7)})
	}
	quiet, first := raise(3, calm), raise(2, flooded)
	second := engine.Seq(0)
	for range fold.MaxAbusesOfMarket {
		if q := raise(2, flooded); second == 0 {
			second = q
		}
	}
	if d := dismiss(first); d.Code != engine.NotFound || d.Detail == "" {
		t.Errorf("the oldest: %s %q", d.Code, d.Detail)
	}
	for _, q := range []engine.Seq{second, quiet} {
		if d := dismiss(q); d.Code != engine.OK {
			t.Errorf("decision %d: %s", q, d.Code)
		}
	}
	limit := func(a engine.AccountID) engine.Seq {
		return w.ok("mod", &engine.Moderate{
			Action: engine.LimitAccount, Account: a, Until: w.now + 1e6*sec, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(7),
		}).Seq
	}
	old := limit(3)
	for range fold.MaxModerations {
		limit(2)
	}
	if d := w.do("mod", &engine.UndoModeration{Decision: old}); d.Code != engine.NotFound {
		t.Errorf("an act too long ago: %s", d.Code)
	}
	if v, _ := w.s.Account(3); v.Limited == nil {
		t.Error("the limit is gone with its act")
	}
	if err := w.refold(); err != nil {
		t.Error(err)
	}
}
