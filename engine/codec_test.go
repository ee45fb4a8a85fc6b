package engine

import (
	"bytes"
	"reflect"
	"testing"
)

// sampleLog is a log in which every command and every event occurs.
func sampleLog(t testing.TB) [][]byte {
	d := newDesk(t, DefaultTemplate())
	a := d.rich(3, 1000*One)
	second := DefaultTemplate()
	second.Version = "1.1.0"
	d.ok("ops", &AddTemplate{Template: second})
	d.ok("ops", &AddKey{Key: Key{SHA256: digest(4), Principal: "ana", Roles: RoleTrader, Account: a[1]}})
	d.ok("ops", &RevokeKey{SHA256: digest(4)})
	m := d.open(a[0], 100*One, 500_000)
	d.give("ops", &Malformed{})
	d.ok("ops", &PauseMarket{Market: m})
	d.ok("ops", &ResumeMarket{Market: m})
	for range DefaultPolicy().OrderBurst + 1 {
		d.give("ana", &PlaceOrder{Account: a[1], Market: m, Outcome: No, Side: Buy, TIF: FOK, Amount: One})
	}
	d.give("bob", &PlaceOrder{Account: a[2], Market: m, Outcome: Yes, Side: Sell, TIF: IOC, Shares: One, Limit: 400_000})
	d.ok("ana", &ProposeResolution{Market: m, Outcome: No, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(3)})
	d.ok("ana", &RejectResolution{Market: m})
	d.ok("ana", &ProposeResolution{Market: m, Outcome: Yes, EvidenceURI: "https://example.org/e", EvidenceSHA256: digest(3)})
	d.ok("bob", &ApproveResolution{Market: m})
	d.settle()
	return d.log
}

func TestSampleLogHasEveryKind(t *testing.T) {
	commands, events := map[uint8]bool{}, map[uint8]bool{}
	for i, b := range sampleLog(t) {
		d, err := Decode(Seq(i+1), b)
		if err != nil {
			t.Fatal(err)
		}
		commands[d.Command.commandKind()] = true
		for _, e := range d.Events {
			events[e.eventKind()] = true
		}
	}
	for kind := uint8(1); newCommand(kind) != nil; kind++ {
		if c := newCommand(kind); !commands[kind] || c.commandKind() != kind {
			t.Errorf("%s (%d, says %d) does not occur", c.Type(), kind, c.commandKind())
		}
	}
	for kind := uint8(1); newEvent(kind) != nil; kind++ {
		if e := newEvent(kind); !events[kind] || e.eventKind() != kind {
			t.Errorf("%s (%d, says %d) does not occur", e.Type(), kind, e.eventKind())
		}
	}
}

// A changed bit is refused or gives another decision; a cut is always refused.
func TestTamperedRecords(t *testing.T) {
	for i, b := range sampleLog(t) {
		d, err := Decode(Seq(i+1), b)
		if err != nil {
			t.Fatal(err)
		}
		for n := range b {
			if _, err := Decode(1, b[:n]); err == nil {
				t.Fatalf("record %d cut to %d of %d bytes is accepted", i+1, n, len(b))
			}
			for bit := range 8 {
				c := bytes.Clone(b)
				c[n] ^= 1 << bit
				other, err := Decode(Seq(i+1), c)
				if err == nil && reflect.DeepEqual(other, d) {
					t.Fatalf("record %d with bit %d of byte %d turned is the same decision", i+1, bit, n)
				}
			}
		}
	}
}

// Whatever decodes encodes to the same bytes: one decision has one encoding.
// Whatever folds keeps the ledger whole.
func FuzzDecode(f *testing.F) {
	for _, b := range sampleLog(f) {
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		d, err := Decode(1, b)
		if err != nil {
			return
		}
		if got := d.Append(nil); !bytes.Equal(got, b) {
			t.Fatalf("%x encodes to %x", b, got)
		}
		if _, err := d.MarshalJSON(); err != nil {
			t.Fatal(err)
		}
		s := NewState()
		if s.Evolve(d) == nil {
			if err := s.audit(); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// FuzzCommands reads bytes as a sequence of commands for a small market.
func FuzzCommands(f *testing.F) {
	f.Add([]byte{9, 1, 1, 0, 1, 1, 100, 9, 1, 1, 0, 2, 1, 200, 0, 4, 1, 1, 0, 0, 0, 0, 5, 1, 1, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		d := newDesk(t, DefaultTemplate())
		d.rich(3, 1000*One)
		d.open(1, 100*One, 500_000)
		for ; len(b) >= 7 && len(d.log) < 200; b = b[7:] {
			d.now += Time(b[6]) * 10_000
			size := int64(1+b[5]) << (b[6] % 48)
			x := &PlaceOrder{Account: AccountID(b[1] % 5), Market: MarketID(b[2] % 4), Outcome: Outcome(b[3] % 3), Side: Side(b[4] % 3), TIF: TIF(b[4] / 3 % 3)}
			if b[4]&64 != 0 && x.Side == Buy {
				x.Amount = Micros(size)
			} else {
				x.Shares = Shares(size)
			}
			if b[4]&128 != 0 {
				x.Limit = Price(size % (One + 1))
			}
			commands := []Command{
				&PauseMarket{Market: x.Market}, &ResumeMarket{Market: x.Market}, &ApproveResolution{Market: x.Market}, &RejectResolution{Market: x.Market},
				&ProposeResolution{Market: x.Market, Outcome: x.Outcome, EvidenceURI: "a:b", EvidenceSHA256: digest(1)},
				&GrantCredits{Account: x.Account, Amount: Micros(size)},
				&OpenMarket{Template: "binary@1.0.0", Title: "x", Creator: x.Account, Liquidity: Micros(size), Price: Price(size % One)}, x, x, x, x, x,
			}
			principal := "ana"
			if b[1]&1 != 0 {
				principal = "bob"
			}
			d.give(principal, commands[int(b[0])%len(commands)])
			d.settle()
		}
	})
}
