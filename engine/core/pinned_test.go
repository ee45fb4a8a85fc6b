package core

import (
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/internal/book"
)

// shape is what a quote on a market is made of: pools, books, and the rules.
func (w *world) shape(id engine.MarketID) string {
	m := w.s.f.Market(id)
	if m == nil {
		return "none"
	}
	p := w.s.Policy()
	out := fmt.Sprint(m.Balance.Pools(), p.Digest(), w.s.Version())
	for i := range m.Books {
		w.s.f.Orders.Each(&m.Books[i], func(o *book.Order) { out += fmt.Sprint(" ", o.ID, o.Shares, o.Filled) })
	}
	return out
}

// eventful reports whether anything took effect after a sequence.
func (w *world) eventful(after engine.Seq) bool {
	w.t.Helper()
	for i, b := range w.log[after:] {
		d, err := engine.Decode(after+engine.Seq(i+1), b)
		if err != nil {
			w.t.Fatalf("%v", err)
		}
		if len(d.Events) != 0 {
			return true
		}
	}
	return false
}

// An order that is pinned to a quote gets exactly what was quoted, whatever happened
// in between, or nothing; and it is refused for a change only if something took
// effect.
func TestPinnedOrdersGetTheirQuote(t *testing.T) {
	seeds, turns := uint64(40), 100
	if testing.Short() {
		seeds = 10
	}
	done, refused, spared := 0, 0, 0
	for seed := range seeds {
		w := small(t)
		r := seeded{rand.New(rand.NewPCG(seed, 5))}
		for range turns {
			a, m := engine.AccountID(1+r.pick(5)), engine.MarketID(1+r.pick(len(w.s.f.Markets)))
			x, is := w.trading(r, a, m).(*engine.PlaceOrder)
			if !is {
				w.turn(r)
				continue
			}
			w.ticks()
			filled, rested, code, _ := w.s.Quote(x, w.now)
			seq, was := w.s.Seq(), w.shape(x.Market)
			for range r.pick(4) {
				w.turn(r)
			}
			w.ticks()
			same := w.shape(x.Market) == was
			calm := !w.eventful(seq)
			x.IfSeq = seq
			d := w.do("ana", x)
			switch d.Code {
			case engine.OK:
				if code == engine.OK { // else what refused it then is over, such as a mode
					w.watch.quote = &quoted{filled, rested, code, ""}
					w.watch.quotedIsDone(w, d)
				}
				if done++; !same {
					t.Fatalf("seed %d: %s is done on a market that has changed from\n%s", seed, show(x), was)
				}
				if w.eventful(seq) && w.s.Seq() > seq+1 {
					spared++
				}
			case engine.MarketChanged:
				if refused++; calm {
					t.Fatalf("seed %d: %s is refused, and nothing took effect since it was quoted", seed, show(x))
				}
			}
		}
		if err := w.refold(); err != nil {
			t.Fatal(err)
		}
	}
	if t.Logf("%d done, %d of them though something happened elsewhere, %d refused", done, spared, refused); done < 8*int(seeds) || spared < 2*int(seeds) || refused < 4*int(seeds) {
		t.Error("that is too few to say anything")
	}
}

// What a pin may be: a sequence that there is.
func TestPinsThatAreNone(t *testing.T) {
	w := newWorld(t, calm(), engine.DefaultTemplate())
	w.rich(2, 1000*one)
	m := w.open(engine.OpenMarket{})
	for _, c := range []struct {
		pin  engine.Seq
		want engine.Code
	}{
		{0, engine.OK}, {w.s.Seq() + 1, engine.OK}, {w.s.Seq() + 3, engine.InvalidCommand}, {1 << 63, engine.InvalidCommand}, {1, engine.MarketChanged},
	} {
		x := buy(2, m, engine.Yes, one)
		x.IfSeq = c.pin
		if d := w.do("ana", x); d.Code != c.want || c.want != engine.OK && d.Detail == "" {
			t.Errorf("pinned to %d: %s %q, want %s", c.pin, d.Code, d.Detail, c.want)
		}
	}
}
