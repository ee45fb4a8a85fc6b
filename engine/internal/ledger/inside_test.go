package ledger

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// The ring is a plain queue that its limits cut, over many chunks.
func TestRingIsAQueue(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		limits := RingLimits{Deltas: rapid.SampledFrom([]int{1, 5, 256, 257, 700, 5000}).Draw(t, "deltas"), Window: rapid.Int64Range(1, 3000).Draw(t, "window")}
		r, now := newRing(limits), int64(0)
		var model []delta
		lost := int64(-1)
		for range rapid.IntRange(1, 12).Draw(t, "bursts") {
			now += rapid.SampledFrom([]int64{0, 1, 100, 2000, 10_000}).Draw(t, "wait")
			pace := rapid.Int64Range(0, 3).Draw(t, "pace")
			for range rapid.IntRange(1, 800).Draw(t, "pushes") {
				now += pace
				d := delta{at: now, amount: int64(len(model))}
				r.push(d)
				model = append(model, d)
				for len(model) > limits.Deltas || now-model[0].at > limits.Window {
					lost, model = model[0].at, model[1:]
				}
			}
			if r.n != len(model) || r.lost != lost {
				t.Fatalf("%d kept, lost %d; want %d, %d", r.n, r.lost, len(model), lost)
			}
			for i, d := range model {
				if *r.get(i) != d {
					t.Fatalf("change %d is %v, want %v", i, *r.get(i), d)
				}
			}
			if most := len(model)/chunkLen + 2; len(r.chunks) > most {
				t.Fatalf("%d chunks for %d changes", len(r.chunks), len(model))
			}
		}
	})
}

// Sums are found again when the table grows and when epochs begin again.
func TestTallySurvivesGrowthAndEpochs(t *testing.T) {
	for _, epoch := range []uint32{0, 7, math.MaxUint32 - 1, math.MaxUint32} {
		var l tally
		var hints [300]uint32
		l.reset()
		l.epoch = epoch
		for range 3 { // the table is new, then large enough, then old
			l.reset()
			for round := range int64(2) {
				for a := range uint32(300) {
					l.take(a*a*a+1, Asset{Market: a%2 + 1, Outcome: 1}, 1+round)
					l.takeCredits(a+1, &hints[(a*7)%300], 5-round)
				}
			}
			if len(l.moves) != 600 {
				t.Fatalf("after epoch %d: %d sums", epoch, len(l.moves))
			}
			for _, m := range l.moves {
				if want := int64(3); m.asset.Market != 0 && m.amount != want {
					t.Fatalf("account %d has %d shares, want %d", m.account, m.amount, want)
				} else if m.asset.Market == 0 && m.amount != 9 {
					t.Fatalf("account %d has %d credits, want 9", m.account, m.amount)
				}
			}
		}
	}
}

// built is a market with everything in it.
func built(t *testing.T) *Ledger {
	l := New()
	a, b := l.OpenAccount(), l.OpenAccount()
	m := l.OpenMarket(2, RingLimits{})
	in := func(k Kind, id uint32, as Asset, q int64) Posting { return Posting{Account{k, id}, as, q} }
	yes, no, unit := Asset{m, 0}, Asset{m, 1}, Asset{m, Units}
	for at, ps := range [][]Posting{
		{in(Issuance, 0, Asset{}, -1000), in(Available, a, Asset{}, 600), in(Available, b, Asset{}, 400)},
		{
			in(Available, a, Asset{}, -100), in(Collateral, m, Asset{}, 100),
			in(Supply, m, yes, -100), in(Pool, m, yes, 100), in(Supply, m, no, -100), in(Pool, m, no, 100),
			in(Supply, m, unit, -50), in(Available, a, unit, 50),
		},
		{
			in(Pool, m, yes, -30), in(Available, b, yes, 20), in(Reserved, b, yes, 10),
			in(Available, b, Asset{}, -60), in(Reserved, b, Asset{}, 40), in(Fees, m, Asset{}, 10),
			in(Rounding, m, Asset{}, 3), in(Platform, 0, Asset{}, 7),
		},
	} {
		if err := l.Apply(int64(at), min(uint32(at), m), ps); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Conserved(); err != nil {
		t.Fatal(err)
	}
	return l
}

func dumped(t *testing.T, l *Ledger) string {
	t.Helper()
	return string(coded(l.Code))
}

func coded(code func(*dump.Codec)) []byte {
	var b bytes.Buffer
	c := dump.To(&b)
	code(c)
	if err := c.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// DumpOf is the dump of a ledger, a market or a rewind.
func DumpOf(x any) []byte {
	switch x := x.(type) {
	case *Ledger:
		return coded(x.Code)
	case *Market:
		return coded(func(c *dump.Codec) { x.code(c, 0) })
	case *Past:
		return coded(func(c *dump.Codec) { x.m.CodePast(c, &x) })
	}
	panic("no dump")
}

// Reread returns what is read from the dump of a ledger, and of a rewind of one of
// its markets if p is not nil.
func Reread(l *Ledger, p *Past) (*Ledger, *Past, error) {
	again := New()
	c := dump.From(bytes.NewReader(DumpOf(l)))
	if again.Code(c); c.Close() != nil || p == nil {
		return again, nil, c.Close()
	}
	var past *Past
	c = dump.From(bytes.NewReader(DumpOf(p)))
	again.Market(p.m.id).CodePast(c, &past)
	return again, past, c.Close()
}

// Conserved and the dump see every balance: change any, and both tell.
func TestNothingGoesUnnoticed(t *testing.T) {
	whole := dumped(t, built(t))
	for name, spoil := range map[string]func(l *Ledger, m *Market){
		"issued":           func(l *Ledger, _ *Market) { l.issued++ },
		"platform":         func(l *Ledger, _ *Market) { l.platform-- },
		"available":        func(l *Ledger, _ *Market) { l.accounts[0].available++ },
		"reserved":         func(l *Ledger, _ *Market) { l.accounts[1].reserved-- },
		"debt":             func(l *Ledger, _ *Market) { l.accounts[0].reserved--; l.accounts[1].reserved++ },
		"collateral":       func(l *Ledger, m *Market) { m.funds.collateral++; l.issued++ },
		"fees":             func(_ *Ledger, m *Market) { m.funds.fees++ },
		"rounding":         func(_ *Ledger, m *Market) { m.funds.rounding++ },
		"pool":             func(_ *Ledger, m *Market) { m.pools[1]++ },
		"supply":           func(_ *Ledger, m *Market) { m.supply[0]-- },
		"supply and pool":  func(_ *Ledger, m *Market) { m.supply[0]--; m.pools[0]-- },
		"units":            func(_ *Ledger, m *Market) { m.units++ },
		"units of holder":  func(_ *Ledger, m *Market) { m.unitsOf[0]-- },
		"shares":           func(_ *Ledger, m *Market) { m.shares[2]++ },
		"held":             func(_ *Ledger, m *Market) { m.held[2]++ },
		"debt of shares":   func(_ *Ledger, m *Market) { m.shares[1]--; m.pools[1]++ },
		"holder":           func(_ *Ledger, m *Market) { m.holders[0], m.holders[1] = m.holders[1], m.holders[0] },
		"market of nobody": func(l *Ledger, _ *Market) { l.accounts[0].markets = nil },
		"unknown market":   func(l *Ledger, _ *Market) { l.accounts[0].markets[0] = 9 },
		"market twice":     func(l *Ledger, _ *Market) { l.accounts[0].markets = []uint32{1, 1} },
	} {
		l := built(t)
		spoil(l, l.markets[0])
		if err := l.Conserved(); !errors.Is(err, ErrLedger) {
			t.Errorf("%s: %v", name, err)
		}
		if dumped(t, l) == whole {
			t.Errorf("%s is not in the dump", name)
		}
	}
}

// What does not have to balance is in the dump, too.
func TestDumpHasEverythingElse(t *testing.T) {
	whole := dumped(t, built(t))
	for name, change := range map[string]func(l *Ledger, m *Market){
		"time":        func(l *Ledger, _ *Market) { l.at++ },
		"net":         func(_ *Ledger, m *Market) { m.net[1]++ },
		"limit":       func(_ *Ledger, m *Market) { m.ring.limit++ },
		"window":      func(_ *Ledger, m *Market) { m.ring.window++ },
		"lost":        func(_ *Ledger, m *Market) { m.ring.lost++ },
		"newest":      func(_ *Ledger, m *Market) { m.ring.newest++ },
		"ring":        func(_ *Ledger, m *Market) { m.ring.get(1).amount++ },
		"ring time":   func(_ *Ledger, m *Market) { m.ring.get(1).at++ },
		"ring holder": func(_ *Ledger, m *Market) { m.ring.get(1).holder++ },
		"ring kind":   func(_ *Ledger, m *Market) { m.ring.get(1).kind = Fees },
		"ring asset":  func(_ *Ledger, m *Market) { m.ring.get(1).outcome = 63 },
		"ring shorter": func(_ *Ledger, m *Market) {
			m.ring.pop()
			m.ring.lost = -1
		},
	} {
		l := built(t)
		if change(l, l.markets[0]); dumped(t, l) == whole {
			t.Errorf("%s is not in the dump", name)
		}
	}
}

// A total of impossible balances is none, whatever they sum to.
func TestTotal(t *testing.T) {
	for _, c := range []struct {
		balances []int64
		want     int64
		is       bool
	}{
		{nil, 0, true},
		{[]int64{1, 2}, 3, true},
		{[]int64{1, 2}, 4, false},
		{[]int64{-1, 1}, 0, false},
		{[]int64{MaxBalance, 0}, MaxBalance, true},
		{[]int64{MaxBalance, 1, -1}, MaxBalance, false},
		{[]int64{math.MaxInt64, math.MaxInt64, 2}, 0, false},
	} {
		var s total
		for _, b := range c.balances {
			s.add(b)
		}
		if s.is(c.want) != c.is {
			t.Errorf("%v is %d: %v", c.balances, c.want, !c.is)
		}
	}
}

// What an account paid into a market has a bound of its own.
func TestNetDoesNotWrap(t *testing.T) {
	for _, sign := range []int64{1, -1} {
		l := built(t)
		l.markets[0].net[0] = fixed.Micros(sign * maxSum)
		ps := []Posting{{Account{Available, 1}, Asset{}, -sign}, {Account{Fees, 1}, Asset{}, sign}}
		if err := l.Apply(9, 1, ps); !errors.Is(err, ErrLedger) {
			t.Errorf("net beyond %d: %v", sign*maxSum, err)
		}
	}
}
