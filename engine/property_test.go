package engine

import (
	"testing"

	"pgregory.net/rapid"
)

// action draws a command that may or may not make sense.
func action(rt *rapid.T, d *desk, accounts []AccountID) (string, Command) {
	account := rapid.SampledFrom(accounts).Draw(rt, "account")
	market := MarketID(rapid.IntRange(1, len(d.s.markets)).Draw(rt, "market"))
	outcome := Outcome(rapid.Uint8Range(0, 1).Draw(rt, "outcome"))
	switch rapid.IntRange(0, 40).Draw(rt, "stranger") { // now and then something that does not exist
	case 0:
		account = 99
	case 1:
		market = 77
	case 2:
		outcome = 2
	case 3:
		account, market = 0, 0
	}
	principal := rapid.SampledFrom([]string{"ana", "bob", "carol"}).Draw(rt, "principal")
	size := rapid.OneOf(rapid.Int64Range(-1, 50), rapid.Int64Range(1, 200*One), rapid.Int64Range(1, 200*One), rapid.Int64Range(1, 1<<53))
	switch rapid.IntRange(0, 40).Draw(rt, "kind") {
	case 0:
		return principal, &GrantCredits{Account: account, Amount: Micros(size.Draw(rt, "grant"))}
	case 1:
		return principal, &OpenMarket{
			Template: "binary@1.0.0", Title: "Will it rain?", Creator: account, Liquidity: Micros(size.Draw(rt, "liquidity")),
			Price: Price(rapid.Int64Range(9_000, 991_000).Draw(rt, "price")), CloseAt: d.now + Time(rapid.Int64Range(1, 60_000_000).Draw(rt, "close")),
		}
	case 2:
		return principal, &PauseMarket{Market: market}
	case 3:
		return principal, &ResumeMarket{Market: market}
	case 4:
		return principal, &ProposeResolution{Market: market, Outcome: outcome, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(7)}
	case 5:
		return principal, &ApproveResolution{Market: market}
	case 6:
		return principal, &RejectResolution{Market: market}
	}
	x := &PlaceOrder{
		Account: account, Market: market, Outcome: outcome, Side: Side(rapid.Uint8Range(1, 2).Draw(rt, "side")),
		TIF: TIF(rapid.Uint8Range(1, 2).Draw(rt, "tif")),
	}
	if rapid.IntRange(0, 3).Draw(rt, "limited") == 0 {
		x.Limit = Price(rapid.Int64Range(0, One).Draw(rt, "limit"))
	}
	n := size.Draw(rt, "size")
	if m := d.s.market(market); m != nil && outcome <= No && x.Side == Sell && rapid.Bool().Draw(rt, "all") {
		n = int64(m.held(account, outcome))
	}
	if x.Side == Buy && rapid.Bool().Draw(rt, "by amount") {
		x.Amount = Micros(n)
	} else {
		x.Shares = Shares(n)
	}
	return principal, x
}

// Random histories: the ledger conserves, nothing is negative, products never
// fall, prices sum to one, a rejection changes nothing but the order rate, and
// the log folds and re-decides to the same state.
func TestHistories(t *testing.T) {
	codes := map[Code]int{}
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t, DefaultTemplate())
		accounts := d.rich(3, 10_000*One)
		d.open(accounts[0], 100*One, 300_000)
		for range rapid.IntRange(1, 80).Draw(rt, "length") {
			d.now += Time(rapid.Int64Range(0, 400_000).Draw(rt, "wait"))
			products := map[*market]string{}
			for _, m := range d.s.markets {
				products[m] = productOf(m)
			}
			before := *d.s
			available := before.accounts[0].available
			principal, c := action(rt, d, accounts)
			dec := d.give(principal, c)
			codes[dec.Code]++
			for m, k := range products {
				if m.state < Settling && productOf(m) < k {
					rt.Fatalf("the product of %s fell from %s to %s", m.id, k, productOf(m))
				}
			}
			if dec.Code != OK && (len(d.s.markets) != len(before.markets) || d.s.issued != before.issued || d.s.accounts[0].available != available) {
				rt.Fatalf("%s rejected with %s changed the state", c.Type(), dec.Code)
			}
			d.settle()
		}
		folded, err := refold(d.log)
		if err != nil {
			rt.Fatal(err)
		}
		again, err := replay(d.log)
		if err != nil {
			rt.Fatal(err)
		}
		if folded.Hash() != d.s.Hash() || again.Hash() != d.s.Hash() {
			rt.Fatal("fold, replay and the living state differ")
		}
	})
	t.Logf("decisions by code: %v", codes)
}

// productOf is the pool's product as a number whose text order is its order.
func productOf(m *market) string {
	k := m.pool.Product()
	return hex16(k.Hi) + hex16(k.Lo)
}

func hex16(v uint64) string {
	const digits = "0123456789abcdef"
	b := make([]byte, 16)
	for i := range b {
		b[15-i] = digits[v&15]
		v >>= 4
	}
	return string(b)
}

// Whoever buys and sells at once, in any pieces and around other trades that
// were undone in between, never ends with more.
func TestBuyThenSellNeverProfits(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t, DefaultTemplate())
		a := d.rich(2, 1_000_000*One)
		m := d.open(a[0], Micros(rapid.Int64Range(10*One, 500_000*One).Draw(rt, "liquidity")), Price(rapid.Int64Range(10_001, 989_999).Draw(rt, "price")))
		start := d.s.accounts[1].available
		for range rapid.IntRange(1, 5).Draw(rt, "buys") {
			x := &PlaceOrder{Account: a[1], Market: m, Outcome: Outcome(rapid.Uint8Range(0, 1).Draw(rt, "outcome")), Side: Buy, TIF: IOC}
			if rapid.Bool().Draw(rt, "by amount") {
				x.Amount = Micros(rapid.Int64Range(1, 90_000*One).Draw(rt, "amount"))
			} else {
				x.Shares = Shares(rapid.Int64Range(1, 90_000*One).Draw(rt, "shares"))
			}
			d.now += 1_000_000
			d.give("ana", x)
		}
		for o := Yes; o <= No; o++ {
			for pieces := rapid.Int64Range(1, 4).Draw(rt, "pieces"); pieces > 0; pieces-- {
				if held := d.s.markets[0].held(a[1], o); held > 0 {
					d.now += 1_000_000
					d.give("ana", &PlaceOrder{Account: a[1], Market: m, Outcome: o, Side: Sell, TIF: IOC, Shares: max(1, held/Shares(pieces))})
				}
			}
		}
		// What is left of shares is worth at most its number; with none left the
		// money alone must not have grown.
		mk := d.s.markets[0]
		if mk.held(a[1], Yes) == 0 && mk.held(a[1], No) == 0 && d.s.accounts[1].available > start {
			rt.Fatalf("gained %d micros", d.s.accounts[1].available-start)
		}
	})
}

// A quote equals what execution gives at the same state.
func TestQuoteEqualsExecution(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := newDesk(t, DefaultTemplate())
		accounts := d.rich(3, 10_000*One)
		d.open(accounts[0], 1000*One, 300_000)
		for range 20 {
			d.now += 1_000_000
			_, c := action(rt, d, accounts)
			x, isOrder := c.(*PlaceOrder)
			if !isOrder || d.s.account(x.Account) == nil {
				continue
			}
			q, code, detail := d.s.Quote(x, d.now)
			dec := d.give("ana", x)
			if dec.Code != code || dec.Detail != detail {
				rt.Fatalf("quoted %s %q, executed %s %q", code, detail, dec.Code, dec.Detail)
			}
			if f := dec.Filled(); f != nil {
				q.Order = f.Order
				if q != *f {
					rt.Fatalf("quoted %+v, executed %+v", q, *f)
				}
			}
		}
	})
}

// A market with many holders is paid in chained decisions, each holder once, to
// the last micro.
func TestSettlementPaysEverybodyOnce(t *testing.T) {
	d := newDesk(t, DefaultTemplate())
	accounts := d.rich(2*SettleLimit+7, 100*One)
	d.ok("ops", &GrantCredits{Account: accounts[0], Amount: 100_000 * One})
	m := d.open(accounts[0], 10_000*One, 500_000)
	expected := map[AccountID]Micros{}
	for i, a := range accounts {
		d.now += 100_000
		f := d.ok("t", &PlaceOrder{Account: a, Market: m, Outcome: Outcome(i % 2), Side: Buy, TIF: IOC, Amount: 10 * One}).Filled()
		expected[a] = 90 * One
		if f.Outcome == Yes {
			expected[a] += Micros(f.Shares)
		}
	}
	d.ok("ana", &ProposeResolution{Market: m, Outcome: Yes, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(9)})
	if dec := d.give("ana", &ApproveResolution{Market: m}); dec.Code != SameApprover {
		t.Fatalf("own approval: %s", dec.Code)
	}
	d.ok("bob", &ApproveResolution{Market: m})
	if dec := d.give("bob", &SettleMarket{Market: m}); dec.Code != WrongState {
		t.Fatalf("settled by a person: %s", dec.Code)
	}
	if n := d.settle(); n != 3 {
		t.Errorf("%d decisions, want 3", n)
	}
	for _, a := range accounts[1:] {
		if got := d.s.account(a).available; got != expected[a] {
			t.Errorf("%s has %d, want %d", a, got, expected[a])
		}
	}
	if v, _ := d.s.Market(m, d.now); v.State != Resolved || v.Outcome == nil || *v.Outcome != Yes {
		t.Errorf("market is %+v", v)
	}
	for _, c := range []Command{
		&PlaceOrder{Account: accounts[1], Market: m, Side: Buy, TIF: IOC, Amount: One}, &ApproveResolution{Market: m},
		&PauseMarket{Market: m}, &ResumeMarket{Market: m}, &ProposeResolution{Market: m, EvidenceURI: "a:b", EvidenceSHA256: digest(1)},
	} {
		if dec := d.give("carol", c); dec.Code == OK {
			t.Errorf("%s after the end: %s", c.Type(), dec.Code)
		}
	}
}
