package core

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/fold"
	"github.com/mbp-market/mbp/engine/internal/recent"
	"github.com/mbp-market/mbp/engine/internal/repeat"
)

// failer is what a test, a benchmark and a drawn history have in common.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world drives a state through real decisions, as a writer would, and looks at
// everything that must hold after each of them.
type world struct {
	t     failer
	s     *State
	now   engine.Time
	log   [][]byte // every decision as the journal holds it
	watch *watch   // what is looked at between decisions; nil: Check alone
	owing bool     // leave the bulk work of markets to be done later
	bulk  bool     // Check is left to the test: it looks at every balance
	forge bool     // decisions were forged: they cannot be decided again
}

const (
	testStart = engine.Time(1_767_355_200_000_000) // 2026-01-02T12:00:00Z
	ms        = engine.Time(1_000)
	sec       = engine.Time(1_000_000)
	one       = engine.Micros(engine.One)
)

func digest(n int) engine.Digest { return engine.Digest{1: byte(n >> 8), 2: byte(n), 31: 1} }

func newWorld(t failer, policy engine.Policy, templates ...engine.Template) *world {
	w := &world{t: t, s: New(), now: testStart}
	admin := engine.Key{SHA256: digest(1), Principal: "admin", Roles: engine.RoleAdmin}
	w.ok("boot", &engine.Initialise{Policy: policy, Template: templates[0], Admin: admin})
	for _, tmpl := range templates[1:] {
		w.ok("boot", &engine.AddTemplate{Template: tmpl})
	}
	return w
}

// calm is a policy whose rates no test meets by accident.
func calm() engine.Policy {
	p := engine.DefaultPolicy()
	p.OrderInterval, p.OrderBurst, p.MaxOpenOrders, p.MaxFills = 1, 1_000_000, 1000, 1000
	return p
}

// do does what is due and then gives a command, as a writer would.
func (w *world) do(principal string, c engine.Command) *engine.Decision {
	w.t.Helper()
	w.ticks()
	d := w.give(principal, c)
	w.ticks()
	if !w.owing {
		w.settle()
	}
	return d
}

// ok is do for a command that must succeed.
func (w *world) ok(principal string, c engine.Command) *engine.Decision {
	w.t.Helper()
	d := w.do(principal, c)
	if d.Code != engine.OK {
		w.t.Fatalf("%s: %s %s", c.Type(), d.Code, d.Detail)
	}
	return d
}

// ticks acts on every deadline that has come.
func (w *world) ticks() {
	w.t.Helper()
	for n := 0; ; n++ {
		c, is := w.s.Due(w.now).(*engine.Tick)
		if !is {
			return
		}
		if d := w.give(engine.System, c); d.Code != engine.OK || n > 10_000 {
			w.t.Fatalf("tick %d: %s %s", n, d.Code, d.Detail)
		}
	}
}

// settle does all bulk work that markets owe.
func (w *world) settle() (decisions int) {
	w.t.Helper()
	for w.work() {
		decisions++
	}
	return decisions
}

// work does one piece of bulk work, if there is any.
func (w *world) work() bool {
	w.t.Helper()
	c := w.s.Due(w.now)
	if c == nil || !engine.Bulk(c) {
		return false
	}
	if d := w.give(engine.System, c); d.Code != engine.OK {
		w.t.Fatalf("settle: %s %s", d.Code, d.Detail)
	}
	return true
}

// give steps, journals and checks.
func (w *world) give(principal string, c engine.Command) *engine.Decision {
	w.t.Helper()
	if w.watch != nil {
		w.watch.before(w, c)
	}
	var live engine.Decision
	req := engine.Request{At: w.now, Principal: principal, Command: c}
	if n := len(w.log); n%3 == 0 { // some can be repeated
		req.Key, req.Input = engine.Tag{1, byte(n), byte(n >> 8), byte(n >> 16)}, engine.Tag{2, byte(n)}
	}
	if err := w.s.Step(req, &live); err != nil {
		w.t.Fatalf("%s: %v", show(c), err)
	}
	b := live.Append(nil)
	w.log = append(w.log, b)
	d, err := engine.Decode(live.Seq, b)
	if err != nil {
		w.t.Fatalf("%s: %v", show(c), err)
	}
	w.sized(d)
	if w.watch != nil {
		w.shown(&live, d)
		w.watch.after(w, d)
	}
	if !w.bulk {
		if err := w.s.Check(); err != nil {
			w.t.Fatalf("after %s (%s): %v", show(c), d.Code, err)
		}
	}
	return d
}

// shown checks that a decision looks the same fresh and read from the journal.
func (w *world) shown(live, read *engine.Decision) {
	w.t.Helper()
	a, err := json.Marshal(live)
	if err != nil {
		w.t.Fatalf("%v", err)
	}
	b, err := json.Marshal(read)
	if err != nil || !bytes.Equal(a, b) {
		w.t.Fatalf("made %s, read %s (%v)", a, b, err)
	}
}

// fold puts a forged decision into the state, for what commands alone cannot
// reach.
func (w *world) fold(c engine.Command, events ...engine.Event) {
	w.t.Helper()
	w.forge = true
	d := &engine.Decision{}
	d.Reset(w.s.f.Seq+1, engine.Request{At: max(w.now, w.s.f.At), Principal: "forger", Command: c})
	for _, e := range events {
		d.Add(e)
	}
	w.log = append(w.log, d.Append(nil))
	if err := w.s.Evolve(d); err != nil {
		w.t.Fatalf("fold: %v", err)
	}
}

func show(c engine.Command) string { return fmt.Sprintf("%s %+v", c.Type(), c) }

// rich opens n accounts with credits.
func (w *world) rich(n int, amount engine.Micros) []engine.AccountID {
	w.t.Helper()
	var ids []engine.AccountID
	for range n {
		id := w.ok("ops", &engine.OpenAccount{}).Events[0].(*engine.AccountOpened).Account
		w.ok("ops", &engine.GrantCredits{Account: id, Amount: amount})
		ids = append(ids, id)
	}
	return ids
}

// open makes a market; what x lacks is filled in.
func (w *world) open(x engine.OpenMarket) engine.MarketID {
	w.t.Helper()
	if x.Template == "" {
		x.Template = w.s.f.Templates[0].Name()
	}
	if x.Title == "" {
		x.Title = "Will it ship?"
	}
	if x.Creator == 0 {
		x.Creator = 1
	}
	if x.Liquidity == 0 {
		x.Liquidity = 1000 * one
	}
	switch kind := w.s.f.Template(x.Template).Kind; {
	case kind == engine.Categorical && len(x.Outcomes) == 0:
		x.Outcomes = []string{"red", "green", "blue"}
	case kind != engine.Categorical && x.Price == 0:
		x.Price = 500_000
	}
	if w.s.f.Template(x.Template).Kind == engine.Scalar && x.Max == 0 {
		x.Min, x.Max = -100, 300
	}
	return w.ok("ops", &x).Events[0].(*engine.MarketOpened).Market
}

// pools makes a market of the first template with exactly these pools, which
// opening prices alone cannot always reach.
func (w *world) pools(creator engine.AccountID, pools ...engine.Shares) engine.MarketID {
	w.t.Helper()
	x := &engine.MarketOpened{
		Market: engine.MarketID(len(w.s.f.Markets) + 1), Template: w.s.f.Templates[0].Name(), Title: "x", Creator: creator,
		Pools: pools, Prices: fold.Uniform(len(pools)), Max: 1,
	}
	for i, p := range pools {
		x.Liquidity = max(x.Liquidity, engine.Micros(p))
		if w.s.f.Templates[0].Kind == engine.Categorical {
			x.Outcomes = append(x.Outcomes, fmt.Sprint("outcome ", i))
		}
	}
	w.fold(&engine.OpenMarket{Template: x.Template, Title: "x", Creator: creator, Liquidity: x.Liquidity}, x)
	return x.Market
}

// buy and sell are orders that trade at once.
func buy(a engine.AccountID, m engine.MarketID, o engine.Outcome, amount engine.Micros) *engine.PlaceOrder {
	return &engine.PlaceOrder{Account: a, Market: m, Outcome: o, Side: engine.Buy, TIF: engine.IOC, Amount: amount}
}

func sell(a engine.AccountID, m engine.MarketID, o engine.Outcome, q engine.Shares) *engine.PlaceOrder {
	return &engine.PlaceOrder{Account: a, Market: m, Outcome: o, Side: engine.Sell, TIF: engine.IOC, Shares: q}
}

// rest is an order that waits at a limit.
func rest(a engine.AccountID, m engine.MarketID, o engine.Outcome, side engine.Side, q engine.Shares, limit engine.Price) *engine.PlaceOrder {
	return &engine.PlaceOrder{Account: a, Market: m, Outcome: o, Side: side, TIF: engine.GTC, Shares: q, Limit: limit}
}

func propose(m engine.MarketID, o engine.Outcome, value int64) *engine.ProposeResolution {
	return &engine.ProposeResolution{Market: m, Outcome: o, Value: value, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(7)}
}

// refold folds the log from the start, in halves and after looking ahead, and decides
// every request of it again.
func (w *world) refold() error {
	folded, again := New(), New()
	var now engine.Decision
	var all []*engine.Decision
	for i, b := range w.log {
		was, err := engine.Decode(engine.Seq(i+1), b)
		if err != nil {
			return err
		}
		all = append(all, was)
	}
	for i, b := range w.log {
		was := all[i]
		if i%Together == 0 {
			folded.Ahead(all[i:min(i+Together, len(all))])
		}
		if err := folded.Change(was); err != nil {
			return err
		}
		if w.forge {
			continue
		}
		if err := again.Step(was.Request, &now); err != nil {
			return err
		}
		if !bytes.Equal(now.Append(nil), b) {
			return fmt.Errorf("sequence %d, %s, decides differently: %+v, was %+v", i+1, show(was.Command), now, was)
		}
	}
	folded.Remember(all)
	if folded.Hash() != w.s.Hash() {
		return errors.New("the folded log and the living state differ")
	}
	if !w.forge && again.Hash() != w.s.Hash() {
		return errors.New("the replayed log and the living state differ")
	}
	return nil
}

// bare is the digest of the state without what every refusal may change: the
// sequence, the time, the request's key, what is counted of orders against their
// rates, and abuse.
func (s *State) bare(orders bool) engine.Digest {
	c := *s.f
	c.Seq, c.At, c.Repeats = 0, 0, repeat.New(1, 1)
	if !orders {
		return c.Hash()
	}
	c.Abuses, c.Accounts, c.Markets = &recent.Set[engine.Seq, bool]{}, nil, nil
	for i := range s.f.Accounts {
		a := s.f.Accounts[i]
		a.Orders, a.Flags, a.Attempts = 0, 0, fold.Account{}.Attempts
		c.Accounts = append(c.Accounts, a)
	}
	for _, m := range s.f.Markets {
		n := *m
		n.Rate, n.Flags, n.Burst = 0, 0, fold.Market{}.Burst
		c.Markets = append(c.Markets, &n)
	}
	return c.Hash()
}
