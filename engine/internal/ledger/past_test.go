package ledger_test

import (
	"bytes"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// Setting shares and credits aside is no change of a market: it fills no ring.
func TestReserveLeavesNoTrace(t *testing.T) {
	l, _ := small(t)
	mustApply(t, l, 1, 1, move(share(1, 0), pool(1), avail(2), 10))
	m := l.Market(1)
	p := m.Rewind(0)
	p.Step(1)
	before := ledger.DumpOf(m)
	mustApply(t, l, 2, 1, join(move(share(1, 0), avail(2), reserved(2), 4), move(credits, avail(1), reserved(1), 9)))
	if got := m.Held(1, 0); got != 4 || m.Shares(1, 0) != 6 || l.Reserved(1) != 9 {
		t.Fatalf("%d are held", got)
	}
	mustApply(t, l, 3, 1, join(move(share(1, 0), reserved(2), avail(2), 4), move(credits, reserved(1), avail(1), 9)))
	if !bytes.Equal(before, ledger.DumpOf(m)) {
		t.Fatal("the market is not what it was")
	}
	if !p.Step(100) || p.Shares(1, 0) != 0 || p.Pools(nil)[0] != 40 {
		t.Fatal("the rewind lost its way")
	}
}

// A rewind of a market that moves begins again, and ends in the same past.
func TestRewindBeginsAgain(t *testing.T) {
	l, _ := small(t)
	buyFor2 := join(mint(1, 2, avail(1), pool(1), 2), move(share(1, 1), pool(1), avail(2), 3))
	mustApply(t, l, 1, 1, buyFor2)
	m := l.Market(1)
	p := m.Rewind(0)
	for range 3 {
		if p.Step(1) {
			t.Fatal("so few steps cannot do")
		}
	}
	mustApply(t, l, 2, 1, join(buyFor2, move(credits, avail(1), fees(1), 5)))
	steps := 0
	for !p.Step(1) {
		steps++
	}
	if steps < 5 {
		t.Fatalf("done after %d steps more", steps)
	}
	q := m.Rewind(0)
	for !q.Step(1000) {
		t.Log("one step was not enough")
	}
	if !bytes.Equal(ledger.DumpOf(p), ledger.DumpOf(q)) {
		t.Fatal("two pasts of one time differ")
	}
	if p.Collateral() != 40 || p.Fees() != 0 || p.Received(0) != -9 || p.Shares(1, 1) != 0 {
		t.Fatalf("collateral %d, fees %d, received %d", p.Collateral(), p.Fees(), p.Received(0))
	}
}

func TestRewindOfAForgottenTimePanics(t *testing.T) {
	l, _ := small(t)
	mustApply(t, l, 1, 1, move(credits, avail(1), fees(1), 1))
	p := l.Market(1).Rewind(0)
	l.Market(1).Seal()
	defer func() {
		if recover() == nil {
			t.Fatal("it goes on")
		}
	}()
	p.Step(1)
}

func TestSealedMarketRemembersNothing(t *testing.T) {
	l, _ := small(t)
	m := l.Market(1)
	m.Seal()
	if !m.Reaches(0) {
		t.Fatal("nothing changed after time 0")
	}
	mustApply(t, l, 7, 1, move(credits, avail(1), fees(1), 1))
	if m.Reaches(6) || !m.Reaches(7) || m.Rewind(6) != nil || !m.Rewind(7).Step(10) {
		t.Fatal("a sealed market remembers")
	}
	mustApply(t, l, 8, 1, move(share(1, 1), pool(1), avail(2), 5))
	p := m.Rewind(8) // no change to undo, but two holders to copy
	if p.Step(1) || !p.Step(1) || p.Shares(1, 1) != 5 {
		t.Fatal("a holder is missing")
	}
}

// A settlement pays outcome by outcome, so that supplies leave the collateral for
// a while; the ring knows that, and every moment of it can be had again.
func TestRewindThroughSettlement(t *testing.T) {
	l, n := small(t)
	h := &history{l: l, n: *n}
	pay := func(from ledger.Account, o uint8, q, worth int64) []ledger.Posting {
		return join(move(share(1, o), from, supply(1), q), move(credits, coll(1), avail(2), worth))
	}
	for i, ps := range [][]ledger.Posting{
		move(share(1, 0), pool(1), avail(2), 30),
		pay(avail(2), 0, 30, 30),
		pay(pool(1), 1, 40, 0),
		pay(pool(1), 0, 10, 10),
		mint(1, 2, avail(1), pool(1), 3),
		join(mint(1, 2, avail(1), pool(1), 3), move(share(1, 1), supply(1), pool(1), 1)),
	} {
		at := int64(i + 1)
		mustApply(t, l, at, 1, ps)
		h.n.applied = append(h.n.applied, applied{at, 1, ps})
		if err := l.Conserved(); err != nil {
			t.Fatal(err)
		}
		for s := range at + 1 {
			p := l.Market(1).Rewind(s)
			for !p.Step(2) {
				continue
			}
			h.checkPast(t, 1, p, s)
		}
	}
}

// The words are part of documents and the API.
func TestKindsHaveWords(t *testing.T) {
	want := []string{"unknown", "issuance", "available", "collateral", "pool", "supply", "reserved", "fees", "rounding", "platform", "unknown"}
	for k, w := range want {
		if got := ledger.Kind(k).String(); got != w {
			t.Errorf("kind %d is %q, want %q", k, got, w)
		}
	}
}
