package core

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// insiders is what a naive reader of the journal knows of who may trade what.
type insiders struct {
	given, told map[engine.AccountID][]string
	allow, deny map[engine.MarketID][]string
}

// admits is the rule in its plainest form.
func (x *insiders) admits(m engine.MarketID, a engine.AccountID) bool {
	in := slices.Concat(x.given[a], x.told[a])
	any := func(of []string) bool {
		return slices.ContainsFunc(of, func(g string) bool { return slices.Contains(in, g) })
	}
	return !any(x.deny[m]) && (len(x.allow[m]) == 0 || any(x.allow[m]))
}

// see holds a decision against what was known before it and notes what it made true.
func (x *insiders) see(d *engine.Decision) error {
	for _, e := range d.Events {
		switch e := e.(type) {
		case *engine.OrderFilled:
			if !x.admits(e.Market, e.Account) {
				return fmt.Errorf("decision %d: the taker %s is an insider of %s", d.Seq, e.Account, e.Market)
			}
			for _, f := range e.Fills {
				if f.Maker != 0 && !x.admits(e.Market, f.Account) {
					return fmt.Errorf("decision %d: the maker %s is an insider of %s", d.Seq, f.Account, e.Market)
				}
			}
		case *engine.OrderRested:
			if !x.admits(e.Market, e.Account) {
				return fmt.Errorf("decision %d: an order of %s rests, an insider of %s", d.Seq, e.Account, e.Market)
			}
		case *engine.SetsSplit:
			if !x.admits(e.Market, e.Account) {
				return fmt.Errorf("decision %d: %s splits, an insider of %s", d.Seq, e.Account, e.Market)
			}
		case *engine.AccountGroupsSet:
			if e.ToldAt != 0 {
				x.told[e.Account] = e.Groups
			} else {
				x.given[e.Account] = e.Groups
			}
		case *engine.MarketGroupsSet:
			x.allow[e.Market], x.deny[e.Market] = e.Allow, e.Deny
		}
	}
	return nil
}

// some draws a sorted list of groups.
func some(r dice) (out []string) {
	for _, g := range []string{"board", "press", "staff"} {
		if r.pick(3) == 0 {
			out = append(out, g)
		}
	}
	return out
}

// grouping is a command about groups.
func (w *world) grouping(r dice) (principal string, c engine.Command) {
	m, a := engine.MarketID(1+r.pick(w.s.MarketCount())), engine.AccountID(1+r.pick(5))
	switch r.pick(6) {
	case 0:
		return "ops", &engine.OpenMarketFor{Market: *next(r), Allow: some(r), Deny: some(r)}
	case 1, 2:
		return "ops", &engine.SetMarketGroups{Market: m, Allow: some(r), Deny: some(r)}
	case 3:
		return engine.System, &engine.SetAccountGroups{Account: a, Groups: some(r), ToldAt: w.now}
	}
	return "ops", &engine.SetAccountGroups{Account: a, Groups: some(r)}
}

// No fill ever has an insider of its market as taker or maker after the decision that
// made them one, and no order of one waits once the market is open to others: in
// histories of every command among which groups of accounts and markets change, with
// the work that this makes done at once or late.
func TestNoFillHasAnInsider(t *testing.T) {
	seeds, fills, sifts, refused := uint64(24), 0, 0, 0
	if testing.Short() {
		seeds = 4
	}
	for seed := range seeds {
		r := seeded{rand.New(rand.NewPCG(seed, 11))}
		w := small(t)
		w.watch, w.bulk = nil, true
		known := &insiders{map[engine.AccountID][]string{}, map[engine.AccountID][]string{}, map[engine.MarketID][]string{}, map[engine.MarketID][]string{}}
		seen := 0
		for range 500 {
			if r.pick(6) == 0 {
				w.owing = r.pick(2) == 0
				w.do(w.grouping(r))
			} else {
				w.turn(r)
			}
			for ; seen < len(w.log); seen++ {
				d, err := engine.Decode(engine.Seq(seen+1), w.log[seen])
				if err != nil {
					t.Fatal(err)
				}
				if err := known.see(d); err != nil {
					t.Fatal(err)
				}
				if d.Filled() != nil {
					fills++
				}
				if d.Code == engine.NotEligible {
					refused++
				}
				for _, e := range d.Events {
					if x, is := e.(*engine.MarketGroupsSet); is && x.Sift {
						sifts++
					}
				}
			}
			for a := range engine.AccountID(5) {
				for _, o := range w.s.Orders(a + 1) {
					if m := w.s.f.Market(o.Market); m.Drain == 0 && !known.admits(o.Market, a+1) {
						t.Fatalf("decision %d: %s waits of %s, an insider of %s", seen, o.Order, a+1, o.Market)
					}
				}
			}
		}
		w.settle()
		if err := w.s.Check(); err != nil {
			t.Fatal(err)
		}
		if err := w.refold(); err != nil {
			t.Fatal(err)
		}
	}
	if fills < 100 || sifts < 5 || refused < 50 {
		t.Errorf("%d fills, %d markets sifted, %d refusals: the histories say little", fills, sifts, refused)
	}
}

// What a market's new groups take out of its book goes in pieces that each decision
// can bear, and an order of an account that may trade keeps its place.
func TestSiftingInPieces(t *testing.T) {
	p := calm()
	w := newWorld(t, p, engine.DefaultTemplate())
	w.bulk, w.owing = true, true
	accounts := w.rich(6, 10_000*one)
	m := w.open(engine.OpenMarket{Price: 500_000})
	for i, a := range accounts {
		for range 600 {
			w.ok("ana", rest(a, m, engine.Yes, engine.Buy, engine.One, engine.Price(100_000+i)))
		}
		if i%2 == 1 {
			w.ok("ops", &engine.SetAccountGroups{Account: a, Groups: []string{"board"}})
		}
	}
	w.ok("ops", &engine.SetMarketGroups{Market: m, Deny: []string{"board"}})
	if d := w.give("ana", buy(accounts[0], m, engine.Yes, one)); d.Code != engine.Draining {
		t.Errorf("meanwhile: %s", d.Code)
	}
	if d := w.give("ops", &engine.SetMarketGroups{Market: m}); d.Code != engine.Draining {
		t.Errorf("other groups meanwhile: %s", d.Code)
	}
	before := len(w.log)
	if n := w.settle(); n != 2 {
		t.Errorf("%d decisions take 1800 orders out", n)
	}
	closed := 0
	for i := before; i < len(w.log); i++ {
		d, err := engine.Decode(engine.Seq(i+1), w.log[i])
		if err != nil {
			t.Fatal(err)
		}
		closed += touched(d)
	}
	if left := w.s.f.Market(m).Resting(); closed != 1800 || left != 1800 {
		t.Errorf("%d orders left, %d wait", closed, left)
	}
	w.ok("ana", buy(accounts[0], m, engine.Yes, one))
	if !w.s.Tradable(m, accounts[0], w.now) || w.s.Tradable(m, accounts[1], w.now) || !w.s.Tradable(m, 0, w.now) || w.s.Tradable(m, 99, w.now) {
		t.Error("who may trade the market is not told")
	}
	if err := w.s.Check(); err != nil {
		t.Fatal(err)
	}
}
