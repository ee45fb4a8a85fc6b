package engine

import "testing"

// BenchmarkDecideEvolve is one order, decided and folded, on a market among a
// thousand accounts.
func BenchmarkDecideEvolve(b *testing.B) {
	for _, c := range []struct {
		name   string
		encode bool
	}{{"state", false}, {"state+record", true}} {
		b.Run(c.name, func(b *testing.B) {
			s, now := busy(b)
			orders := make([]PlaceOrder, 0, 2000)
			for i := range 1000 {
				for _, side := range []Side{Buy, Sell} {
					x := PlaceOrder{Account: AccountID(i + 1), Market: 1, Outcome: Outcome(i % 2), Side: side, TIF: IOC, Amount: One}
					if side == Sell {
						x.Amount, x.Shares = 0, One
					}
					orders = append(orders, x)
				}
			}
			var d Decision
			var buf []byte
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				now += 1000
				s.Decide(Request{At: now, Principal: "bench", Command: &orders[n%len(orders)]}, &d)
				if d.Code != OK {
					b.Fatalf("order %d: %s", n, d.Code)
				}
				if c.encode {
					buf = d.Append(buf[:0])
				}
				if err := s.Evolve(&d); err != nil {
					b.Fatal(err)
				}
				n++
			}
			if c.encode {
				b.ReportMetric(float64(len(buf)), "bytes/record")
			}
		})
	}
}

// busy is a state with a deep market and a thousand funded accounts.
func busy(b *testing.B) (*State, Time) {
	b.Helper()
	s, now := NewState(), testStart
	give := func(c Command) {
		var d Decision
		s.Decide(Request{At: now, Principal: "boot", Command: c}, &d)
		if d.Code != OK {
			b.Fatalf("%s: %s %s", c.Type(), d.Code, d.Detail)
		}
		if err := s.Evolve(&d); err != nil {
			b.Fatal(err)
		}
	}
	policy := DefaultPolicy()
	policy.OrderInterval = 1
	give(&Initialise{Policy: policy, Template: DefaultTemplate(), Admin: Key{SHA256: digest(1), Principal: "boot", Roles: RoleAdmin}})
	for i := range AccountID(1000) {
		give(&OpenAccount{})
		give(&GrantCredits{Account: i + 1, Amount: 1_000_000 * One})
	}
	give(&OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: 1, Liquidity: 900_000 * One, Price: 500_000})
	return s, now
}

func BenchmarkQuote(b *testing.B) {
	s, now := busy(b)
	x := PlaceOrder{Market: 1, Outcome: Yes, Side: Buy, TIF: IOC, Amount: 10 * One}
	b.ReportAllocs()
	for b.Loop() {
		if _, code, _ := s.Quote(&x, now); code != OK {
			b.Fatal(code)
		}
	}
}
