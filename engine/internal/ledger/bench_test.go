package ledger_test

import (
	"bytes"
	"io"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/dump"
	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// benchMarket is a market of n outcomes with a pool and the given accounts, each
// with credits of its own.
func benchMarket(tb failer, n, accounts int, limits ledger.RingLimits) (*ledger.Ledger, uint32) {
	l := ledger.New()
	m := l.OpenMarket(n, limits)
	for range accounts {
		a := l.OpenAccount()
		mustApply(tb, l, 0, 0, move(credits, issuance, avail(a), 1<<30))
	}
	mustApply(tb, l, 0, m, mint(m, n, avail(1), pool(m), 1<<29))
	return l, m
}

// buy is a plain purchase: mint sets into the pool, take one outcome out, pay a fee.
func buy(ps []ledger.Posting, m, a uint32, o uint8, paid, shares int64) []ledger.Posting {
	in := func(acc ledger.Account, asset ledger.Asset, q int64) {
		ps = append(ps, ledger.Posting{Account: acc, Asset: asset, Amount: q})
	}
	in(avail(a), credits, -paid)
	in(coll(m), credits, paid)
	for i := range uint8(2) {
		in(supply(m), share(m, i), -paid)
		in(pool(m), share(m, i), paid)
	}
	in(pool(m), share(m, o), -shares)
	in(avail(a), share(m, o), shares)
	in(avail(a), credits, -1)
	in(fees(m), credits, 1)
	return ps
}

// The postings are made beforehand: 1,000 accounts buy in turn.
func BenchmarkApplyBuy(b *testing.B) {
	l, m := benchMarket(b, 2, 1000, ledger.RingLimits{})
	var all [1000][]ledger.Posting
	for i := range uint32(1000) {
		all[i] = buy(nil, m, i+1, uint8(i&1), 2, 3)
	}
	i := 0
	b.ReportAllocs()
	for b.Loop() {
		if err := l.Apply(int64(i), m, all[i%1000]); err != nil {
			b.Fatal(err)
		}
		if i++; i == 1<<26 { // begin again before the credits run out
			b.StopTimer()
			l, m = benchMarket(b, 2, 1000, ledger.RingLimits{})
			i = 0
			b.StartTimer()
		}
	}
}

// A book trade: twenty makers, from what they had reserved.
func BenchmarkApplyWalkOfTwentyMakers(b *testing.B) {
	l, m := benchMarket(b, 2, 1000, ledger.RingLimits{})
	var there, back []ledger.Posting
	for i := range uint32(20) {
		there = append(there, move(credits, avail(500), avail(i+10), 7)...)
		back = append(back, move(credits, avail(i+10), avail(500), 7)...)
		there = append(there, move(share(m, 0), pool(m), avail(i+10), 7)...)
		back = append(back, move(share(m, 0), avail(i+10), pool(m), 7)...)
	}
	at := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		at++
		mustApply(b, l, at, m, there)
		mustApply(b, l, at, m, back)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(2*len(there)), "ns/posting")
}

// A payout of a thousand holders of a market of 64 outcomes in one Apply.
func BenchmarkApplyPayout(b *testing.B) {
	l, m := benchMarket(b, 64, 1000, ledger.RingLimits{})
	var there, back []ledger.Posting
	for a := uint32(1); a <= 1000; a++ {
		for o := range uint8(64) {
			there = append(there, move(share(m, o), pool(m), avail(a), 7)...)
			back = append(back, move(share(m, o), avail(a), pool(m), 7)...)
		}
		there = append(there, move(credits, avail(a), coll(m), 7)...)
		back = append(back, move(credits, coll(m), avail(a), 7)...)
	}
	at := int64(0)
	b.ReportAllocs()
	for b.Loop() {
		at++
		mustApply(b, l, at, m, there)
		mustApply(b, l, at, m, back)
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(2*len(there)), "ns/posting")
}

// 80,000 changes undone in steps of 1,000: the cost of one step.
func BenchmarkRewindStep(b *testing.B) {
	l, m := benchMarket(b, 2, 1000, ledger.RingLimits{})
	var ps []ledger.Posting
	for i := range uint32(40_000) {
		ps = buy(ps[:0], m, i%1000+1, uint8(i&1), 2, 3)
		mustApply(b, l, int64(i), m, ps)
	}
	s := int64(20_000)
	if !l.Market(m).Reaches(s) {
		b.Fatal("the ring is too short")
	}
	steps := 0
	b.ReportAllocs()
	for b.Loop() {
		p := l.Market(m).Rewind(s)
		for !p.Step(1000) {
			steps++
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(steps), "ns/step")
}

// What a market costs that was opened and never traded.
func BenchmarkOpenMarket(b *testing.B) {
	l := ledger.New()
	a := l.OpenAccount()
	mustApply(b, l, 0, 0, move(credits, issuance, avail(a), 1<<50))
	b.ReportAllocs()
	for b.Loop() {
		m := l.OpenMarket(2, ledger.RingLimits{})
		mustApply(b, l, 0, m, mint(m, 2, avail(a), pool(m), 1000))
		mustApply(b, l, 0, m, move(share(m, 1), pool(m), avail(a), 10))
	}
}

// A market of 64 outcomes with a thousand holders: the cost of one position.
func BenchmarkConserved(b *testing.B) {
	l, m := benchMarket(b, 64, 1000, ledger.RingLimits{})
	for a := uint32(1); a <= 1000; a++ {
		mustApply(b, l, 0, m, mint(m, 64, avail(a), avail(a), 1000))
	}
	for b.Loop() {
		if err := l.Conserved(); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/64_000, "ns/position")
}

// The same, and a full ring, as bytes for the hash of a state.
func BenchmarkDump(b *testing.B) {
	l, m := benchMarket(b, 64, 1000, ledger.RingLimits{})
	for i := range uint32(3000) {
		mustApply(b, l, int64(i), m, mint(m, 64, avail(i%1000+1), avail(i%1000+1), 1000))
	}
	b.SetBytes(int64(len(ledger.DumpOf(l))))
	b.ReportAllocs()
	for b.Loop() {
		c := dump.To(io.Discard)
		if l.Code(c); c.Close() != nil {
			b.Fatal("it does not end")
		}
	}
}

// The way back.
func BenchmarkLoad(b *testing.B) {
	l, m := benchMarket(b, 64, 1000, ledger.RingLimits{})
	for i := range uint32(3000) {
		mustApply(b, l, int64(i), m, mint(m, 64, avail(i%1000+1), avail(i%1000+1), 1000))
	}
	raw := ledger.DumpOf(l)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		c := dump.From(bytes.NewReader(raw))
		if ledger.New().Code(c); c.Close() != nil {
			b.Fatal("it does not load")
		}
	}
}
