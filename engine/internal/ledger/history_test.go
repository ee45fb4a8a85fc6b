package ledger_test

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/ledger"
)

// history is a ledger and its reference under the same random decisions.
type history struct {
	l      *ledger.Ledger
	n      naive
	limits []ledger.RingLimits
	now    int64
}

func newHistory(t *rapid.T) *history {
	h := &history{l: ledger.New()}
	for range rapid.IntRange(1, 3).Draw(t, "markets") {
		h.openMarket(t)
	}
	for a := range rapid.Uint32Range(1, 6).Draw(t, "accounts") {
		h.openAccount()
		h.apply(t, 0, move(credits, issuance, avail(a+1), 1000))
	}
	for m := range uint32(len(h.limits)) { // something to trade
		h.apply(t, m+1, mint(m+1, h.n.outcomes[m], avail(1), pool(m+1), 200))
	}
	return h
}

func (h *history) openAccount() {
	h.n.accounts++
	h.l.OpenAccount()
}

func (h *history) openMarket(t *rapid.T) {
	limits := ledger.RingLimits{Deltas: rapid.SampledFrom([]int{3, 20, 1000}).Draw(t, "deltas"), Window: rapid.SampledFrom([]int64{2, 30, 10_000}).Draw(t, "window")}
	n := rapid.SampledFrom([]int{2, 2, 3, 64}).Draw(t, "outcomes")
	h.n.outcomes = append(h.n.outcomes, n)
	h.limits = append(h.limits, limits)
	h.l.OpenMarket(n, limits)
}

// place draws an account for an asset of a market.
func (h *history) place(t *rapid.T, asset ledger.Asset, m uint32) ledger.Account {
	a := rapid.Uint32Range(1, h.n.accounts).Draw(t, "account")
	list := []ledger.Account{avail(a), reserved(a), coll(m), fees(m), rounding(m), platform, issuance}
	switch {
	case asset.Outcome == ledger.Units:
		list = []ledger.Account{avail(a), supply(m)}
	case asset.Market != 0:
		list = []ledger.Account{avail(a), reserved(a), pool(m), supply(m)}
	}
	return rapid.SampledFrom(list).Draw(t, "place")
}

// postings draws a decision: whole sets, and moves of any asset between any two
// places. Whether the balances allow it is for the reference to say.
func (h *history) postings(t *rapid.T) (market uint32, ps []ledger.Posting) {
	market = rapid.Uint32Range(0, uint32(len(h.n.outcomes))).Draw(t, "home")
	amount := func() int64 { return rapid.Int64Range(0, 50).Draw(t, "amount") }
	for range rapid.IntRange(1, 5).Draw(t, "parts") {
		m := market
		if m == 0 || rapid.IntRange(0, 9).Draw(t, "abroad") == 0 {
			m = rapid.Uint32Range(1, uint32(len(h.n.outcomes))).Draw(t, "market")
		}
		n := h.n.outcomes[m-1]
		someone := avail(rapid.Uint32Range(1, h.n.accounts).Draw(t, "who"))
		switch rapid.IntRange(0, 9).Draw(t, "what") {
		case 0, 1:
			ps = append(ps, move(credits, issuance, someone, 10*amount())...)
		case 2, 3:
			to := rapid.SampledFrom([]ledger.Account{pool(m), someone}).Draw(t, "to")
			ps = append(ps, mint(m, n, someone, to, amount()-10)...)
		default:
			asset := rapid.SampledFrom([]ledger.Asset{
				credits, credits, share(m, 0), share(m, uint8(n-1)), units(m),
			}).Draw(t, "asset")
			ps = append(ps, move(asset, h.place(t, asset, m), h.place(t, asset, m), amount())...)
		}
	}
	return market, ps
}

// decide applies a random decision that the reference allows; it says whether
// there was one.
func (h *history) decide(t *rapid.T) bool {
	market, ps := h.postings(t)
	if !h.n.valid(ps) {
		return false
	}
	h.now += rapid.SampledFrom([]int64{0, 0, 1, 3, 20}).Draw(t, "wait")
	h.apply(t, market, ps)
	return true
}

func (h *history) apply(t *rapid.T, market uint32, ps []ledger.Posting) {
	h.n.applied = append(h.n.applied, applied{h.now, market, ps})
	mustApply(t, h.l, h.now, market, ps)
}

func same[T ~int64](t failer, what string, got T, want int64) {
	t.Helper()
	if int64(got) != want {
		t.Fatalf("%s is %d, want %d", what, got, want)
	}
}

// reread goes on with what is read from a dump: it has to be the same.
func (h *history) reread(t *rapid.T, p *ledger.Past) *ledger.Past {
	l, past, err := ledger.Reread(h.l, p)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(ledger.DumpOf(l), ledger.DumpOf(h.l)) || p != nil && !bytes.Equal(ledger.DumpOf(past), ledger.DumpOf(p)) {
		t.Fatal("what was read is dumped otherwise")
	}
	h.l = l
	return past
}

// Every balance is the sum of the postings there ever were.
func TestBalancesAreSumsOfPostings(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(30, 100).Draw(t, "decisions") {
			switch rapid.IntRange(0, 19).Draw(t, "grow") {
			case 0:
				h.openAccount()
			case 1:
				h.openMarket(t)
			case 2:
				h.reread(t, nil)
			}
			h.decide(t)
		}
		h.checkPresent(t)
		if err := h.l.Conserved(); err != nil {
			t.Fatal(err)
		}
	})
}

func (h *history) checkPresent(t failer) {
	const ever = 1 << 62
	b := func(acc ledger.Account, asset ledger.Asset) int64 { return h.n.balance(cell{acc, asset}, ever) }
	same(t, "issued", h.l.Issued(), -b(issuance, credits))
	same(t, "platform", h.l.Platform(), b(platform, credits))
	where, who := map[uint32][]uint32{}, map[uint32][]uint32{}
	for _, p := range h.n.parts() {
		where[p.account] = append(where[p.account], p.market)
		who[p.market] = append(who[p.market], p.account)
	}
	for id := uint32(1); int(id) <= h.l.Markets(); id++ {
		m := h.l.Market(id)
		same(t, "collateral", m.Collateral(), b(coll(id), credits))
		same(t, "fees", m.Fees(), b(fees(id), credits))
		same(t, "rounding", m.Rounding(), b(rounding(id), credits))
		same(t, "units", m.Units(), -b(supply(id), units(id)))
		for o := range m.Outcomes() {
			same(t, "pool", m.Pools()[o], b(pool(id), share(id, uint8(o))))
			same(t, "supply", m.Supply(o), -b(supply(id), share(id, uint8(o))))
		}
		if m.Holders() != len(who[id]) {
			t.Fatalf("market %d has %d holders, want %v", id, m.Holders(), who[id])
		}
		for i, a := range who[id] {
			if j, ok := m.Index(a); m.Holder(i) != a || j != i || !ok {
				t.Fatalf("holder %d is account %d at %d, want %d", i, m.Holder(i), j, a)
			}
			same(t, "units of a holder", m.UnitsOf(i), b(avail(a), units(id)))
			same(t, "net", m.Net(i), h.n.paid(a, id, -1))
			for o := range m.Outcomes() {
				same(t, "shares", m.Shares(i, o), b(avail(a), share(id, uint8(o))))
				same(t, "held", m.Held(i, o), b(reserved(a), share(id, uint8(o))))
			}
		}
	}
	for a := uint32(1); int(a) <= h.l.Accounts(); a++ {
		same(t, "available", h.l.Available(a), b(avail(a), credits))
		same(t, "reserved", h.l.Reserved(a), b(reserved(a), credits))
		if got := h.l.MarketsOf(a); !slices.Equal(got, where[a]) {
			t.Fatalf("account %d takes part in %v, want %v", a, got, where[a])
		}
	}
}

// A market at S is the sum of the postings up to S, as far as the ring reaches;
// and the ring reaches exactly as far as its limits say.
func TestRewindIsReplayFromTheStart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := newHistory(t)
		for range rapid.IntRange(30, 100).Draw(t, "decisions") {
			h.decide(t)
		}
		id := rapid.Uint32Range(1, uint32(h.l.Markets())).Draw(t, "rewound")
		m := h.l.Market(id)
		s := rapid.Int64Range(0, h.now).Draw(t, "s")
		reaches := s >= h.n.lost(id, h.limits[id-1])
		if m.Reaches(s) != reaches {
			t.Fatalf("market %d reaches %d: %v, want %v", id, s, m.Reaches(s), reaches)
		}
		p := m.Rewind(s)
		if !reaches {
			if p != nil {
				t.Fatal("a rewind beyond the ring")
			}
			return
		}
		n := rapid.IntRange(1, 20).Draw(t, "step")
		steps := 1
		for !p.Step(n) {
			if steps++; rapid.IntRange(0, 3).Draw(t, "reread") == 0 {
				p = h.reread(t, p)
				m = h.l.Market(id)
			}
		}
		if most := (m.Holders()+len(h.n.changes(id)))/n + 2; steps > most {
			t.Fatalf("%d steps, at most %d are needed", steps, most)
		}
		h.checkPast(t, id, p, s)
		seen := ledger.DumpOf(p)
		for range 5 { // what happens next does not reach the past
			h.decide(t)
		}
		p = h.reread(t, p)
		if p.Step(n); !bytes.Equal(seen, ledger.DumpOf(p)) {
			t.Fatal("the past changed")
		}
	})
}

func (h *history) checkPast(t failer, id uint32, p *ledger.Past, s int64) {
	b := func(acc ledger.Account, asset ledger.Asset) int64 { return h.n.balance(cell{acc, asset}, s) }
	m := h.l.Market(id)
	same(t, "time", p.At(), s)
	same(t, "collateral", p.Collateral(), b(coll(id), credits))
	same(t, "fees", p.Fees(), b(fees(id), credits))
	same(t, "rounding", p.Rounding(), b(rounding(id), credits))
	same(t, "units", p.Units(), -b(supply(id), units(id)))
	pools := p.Pools([]fixed.Shares{7})
	same(t, "what Pools appends to", pools[0], 7)
	for o := range m.Outcomes() {
		same(t, "pool", pools[o+1], b(pool(id), share(id, uint8(o))))
		same(t, "supply", p.Supply(o), -b(supply(id), share(id, uint8(o))))
	}
	for i := range m.Holders() {
		a := m.Holder(i)
		same(t, "units of a holder", p.UnitsOf(i), b(avail(a), units(id)))
		same(t, "received", p.Received(i), -h.n.paid(a, id, s))
		for o := range m.Outcomes() {
			both := b(avail(a), share(id, uint8(o))) + b(reserved(a), share(id, uint8(o)))
			same(t, "shares", p.Shares(i, o), both)
		}
	}
	same(t, "units of one who came later", p.UnitsOf(m.Holders()), 0)
	same(t, "shares of one who came later", p.Shares(m.Holders(), 0), 0)
}
