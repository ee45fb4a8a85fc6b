package replay_test

import (
	"fmt"
	"math/rand/v2"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// history is a journal in memory that a real core decides.
type history struct {
	rand    *rand.Rand
	state   *core.State
	now     engine.Time
	d       engine.Decision
	records []journal.Record
	codes   map[engine.Code]int
}

const (
	began   = engine.Time(1_767_355_200_000_000) // 2026-01-02T12:00:00Z
	people  = 6
	credits = 5_000 * engine.One
)

func digest(n int) engine.Digest { return engine.Digest{1: byte(n), 31: 1} }

// Next and Read make it a source.
func (h *history) Next() uint64 { return uint64(len(h.records)) + 1 }

func (h *history) Read(from uint64, fn func(journal.Record) error) error {
	for _, r := range h.records[max(from, 1)-1:] {
		if err := fn(r); err != nil {
			return err
		}
	}
	return nil
}

// give decides what is due and then a command, as a writer does.
func (h *history) give(principal string, c engine.Command) {
	for n := 0; n < 1000; n++ {
		due := h.state.Due(h.now)
		if due == nil {
			break
		}
		h.step(engine.System, due)
	}
	if c != nil {
		h.step(principal, c)
	}
}

func (h *history) step(principal string, c engine.Command) {
	r := engine.Request{At: h.now, Principal: principal, Command: c}
	if n := len(h.records); n%3 == 0 {
		r.Key, r.Input = engine.Tag{0: byte(n), 1: byte(n >> 8), 2: 1}, engine.Tag{0: byte(n)}
	}
	if err := h.state.Step(r, &h.d); err != nil {
		panic(fmt.Sprintf("%s does not fold: %v", c.Type(), err))
	}
	h.codes[h.d.Code]++
	h.records = append(h.records, journal.Record{Seq: uint64(h.d.Seq), At: int64(h.now), Payload: h.d.Append(nil)})
}

// play makes a history of so many turns: markets of three kinds, orders that
// trade and wait and expire, liquidity, guards, endings.
func play(seed uint64, turns int) *history {
	h := &history{rand: rand.New(rand.NewPCG(seed, 7)), state: core.New(), now: began, codes: map[engine.Code]int{}}
	t := engine.DefaultTemplate()
	t.Fee = engine.FeeRule{Kind: engine.FeeCurve, Rate: 20_000, LP: 500_000}
	t.Guard = engine.GuardRule{}
	h.give(engine.System, &engine.Initialise{Policy: engine.DefaultPolicy(), Template: t, Admin: engine.Key{SHA256: digest(1), Principal: "admin", Roles: engine.RoleAdmin}})
	for i := range people {
		h.give("admin", &engine.OpenAccount{})
		h.give("admin", &engine.GrantCredits{Account: engine.AccountID(i + 1), Amount: credits})
	}
	race, index := t, t
	race.ID, race.Kind, race.Fee = "race", engine.Categorical, engine.FeeRule{}
	index.ID, index.Kind, index.Guard = "index", engine.Scalar, engine.DefaultTemplate().Guard
	h.give("admin", &engine.AddTemplate{Template: race})
	h.give("admin", &engine.AddTemplate{Template: index})
	for m := range 6 {
		x := &engine.OpenMarket{Template: "binary@1.0.0", Title: fmt.Sprint("market ", m), Creator: 1, Liquidity: 200 * engine.One, Price: 400_000}
		switch m % 3 {
		case 1:
			x.Template, x.Price, x.Outcomes = "race@1.0.0", 0, []string{"a", "b", "c"}
		case 2:
			x.Template, x.Min, x.Max, x.CloseAt = "index@1.0.0", -5, 17, began+engine.Time(m)*100_000_000
		}
		h.give("admin", x)
	}
	for range turns {
		h.turn()
	}
	h.give("", nil)
	return h
}

// turn is one thing that somebody does.
func (h *history) turn() {
	h.now += engine.Time(h.rand.Int64N(3_000_000))
	who := engine.AccountID(1 + h.rand.IntN(people))
	m := engine.MarketID(1 + h.rand.IntN(6))
	amount := engine.Micros(1 + h.rand.Int64N(8*engine.One))
	switch n := h.rand.IntN(100); {
	case n < 50:
		h.give("trader", h.order(who, m))
	case n < 60:
		h.give("trader", &engine.Batch{Items: []engine.Command{h.order(who, m), h.order(who, m), &engine.CancelAll{Account: who, Market: m}}})
	case n < 70:
		for _, o := range h.state.Orders(who) {
			h.give("trader", &engine.AmendOrder{Account: who, Order: o.Order, Shares: o.Shares / 2, Limit: o.Limit + engine.Price(h.rand.Int64N(2)*1000)})
			break
		}
	case n < 76:
		h.give("trader", &engine.SplitSets{Account: who, Market: m, Amount: amount})
	case n < 80:
		h.give("trader", &engine.MergeSets{Account: who, Market: m, Amount: amount})
	case n < 86:
		h.give("trader", &engine.AddLiquidity{Account: who, Market: m, Amount: amount})
	case n < 92:
		h.give("trader", &engine.RemoveLiquidity{Account: who, Market: m, Units: engine.Shares(amount)})
	case n < 94:
		h.give("admin", &engine.PauseMarket{Market: m, CancelOrders: n == 92})
		h.give("admin", &engine.ResumeMarket{Market: m})
	case n < 95:
		h.end(m)
	default:
		h.give("admin", &engine.GrantCredits{Account: who, Amount: amount})
	}
}

func (h *history) order(who engine.AccountID, m engine.MarketID) *engine.PlaceOrder {
	view, _ := h.state.Market(m, h.now)
	o := view.Outcomes[h.rand.IntN(len(view.Outcomes))]
	x := &engine.PlaceOrder{
		Account: who, Market: m, Outcome: o.Outcome, Side: engine.Side(1 + h.rand.IntN(2)), TIF: engine.TIF(1 + h.rand.IntN(4)),
		Shares: engine.Shares(1 + h.rand.Int64N(20*engine.One)), SelfTrade: engine.SelfTrade(h.rand.IntN(3)),
	}
	if x.Side == engine.Buy && x.TIF == engine.IOC {
		x.Amount, x.Shares = engine.Micros(x.Shares), 0
	}
	if n := h.rand.IntN(20); n == 0 && x.Side == engine.Buy { // more than anybody has
		x.Amount, x.Shares = 0, 90_000*engine.One
	} else if n == 1 && x.TIF == engine.IOC {
		x.Limit = 500_000
	}
	if x.TIF.Rests() {
		x.Limit = min(max(o.Price+engine.Price(h.rand.Int64N(200_000)-100_000), 20_000), 980_000)
	}
	if x.TIF == engine.GTD {
		x.Expires = h.now + engine.Time(1+h.rand.Int64N(30_000_000))
	}
	return x
}

// end ends a market in one of two ways, half of the time.
func (h *history) end(m engine.MarketID) {
	view, _ := h.state.Market(m, h.now)
	switch h.rand.IntN(4) {
	case 0:
		h.give("admin", &engine.CancelMarket{Market: m, Kind: engine.CancelRefund, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(9)})
	case 1:
		h.give("one", &engine.ProposeResolution{
			Market: m, Outcome: view.Outcomes[0].Outcome, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(9), EffectiveAt: h.now - 20_000_000,
		})
		h.give("two", &engine.ApproveResolution{Market: m})
	}
}
