package guard_test

import (
	"bytes"
	"encoding/binary"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/guard"
)

// all is one detector of each kind.
type all struct {
	burst guard.Burst
	spike guard.Spike
	wash  guard.Wash
	self  guard.Self
}

func (a *all) append(b []byte) []byte {
	return a.self.Append(a.wash.Append(a.spike.Append(a.burst.Append(b))))
}

func (a *all) load(b []byte) bool {
	b, ok := a.burst.Load(b)
	if ok {
		b, ok = a.spike.Load(b)
	}
	if ok {
		b, ok = a.wash.Load(b)
	}
	if ok {
		b, ok = a.self.Load(b)
	}
	return ok && len(b) == 0
}

// feed reads a script: each twelve bytes are a wait, a price, and a fill. It
// checks that every Peek is the Charge that follows and changes nothing.
func (a *all) feed(t *testing.T, now int64, script []byte) int64 {
	p := guard.Defaults()
	p.MarketBurst.Floor, p.Wash.MinShares = 2, 1
	for ; len(script) >= 12; script = script[12:] {
		now += int64(binary.BigEndian.Uint32(script)) << (script[4] % 16) >> 8
		price := fixed.Price(1 + binary.BigEndian.Uint32(script[4:])%999_999)
		f := guard.Fill{
			Party: uint32(script[8]) % 3, Market: uint32(script[9]) % 2, Outcome: uint16(script[10]) % 2,
			Shares: fixed.Shares(int8(script[11])),
		}
		before := *a
		peeks := [...]guard.Verdict{a.burst.Peek(p.MarketBurst, now), a.spike.Peek(p.Spike, now, price), a.wash.Peek(p.Wash, now, f), a.self.Peek(p.Self, now)}
		if *a != before {
			t.Fatal("a peek changed its detector")
		}
		charges := [...]guard.Verdict{a.burst.Charge(p.MarketBurst, now), a.spike.Charge(p.Spike, now, price), a.wash.Charge(p.Wash, now, f), a.self.Charge(p.Self, now)}
		if peeks != charges {
			t.Fatalf("peek %+v, charge %+v", peeks, charges)
		}
	}
	return now
}

// FuzzForm: after any events, what Load reads from Append behaves as the
// original does, and has the same form.
func FuzzForm(f *testing.F) {
	f.Add([]byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789ab"), []byte("zyxwvutsrqponmlkjihgfedcba9876543210zyxwvutsrqpo"))
	f.Add(bytes.Repeat([]byte{0, 0, 1, 0, 9, 9, 9, 9, 1, 0, 0, 100, 0, 0, 1, 0, 0, 9, 9, 9, 1, 0, 0, 156}, 9), bytes.Repeat([]byte{0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}, 12))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		var a, b all
		now := a.feed(t, 1, before)
		form := a.append(nil)
		if !b.load(form) || !bytes.Equal(b.append(nil), form) {
			t.Fatal("a form does not survive")
		}
		a.feed(t, now, after)
		b.feed(t, now, after)
		if !bytes.Equal(a.append(nil), b.append(nil)) {
			t.Fatal("what was loaded behaves differently")
		}
	})
}

// FuzzLoad: bytes that are accepted are the canonical form of what they gave;
// what is refused leaves the detector as it was.
func FuzzLoad(f *testing.F) {
	var a all
	f.Add(a.append(nil))
	a.feed(&testing.T{}, 1, []byte("0123456789abcdefghijklmnopqrstuvwxyz0123456789ab"))
	f.Add(a.append(nil))
	f.Fuzz(func(t *testing.T, raw []byte) {
		form := func(name string, load func([]byte) ([]byte, bool), app func([]byte) []byte) {
			was := app(nil)
			rest, ok := load(raw)
			if ok && !bytes.Equal(app(nil), raw[:len(raw)-len(rest)]) {
				t.Fatalf("%s accepts a form that is not canonical", name)
			}
			if !ok && (!bytes.Equal(app(nil), was) || len(rest) != len(raw)) {
				t.Fatalf("%s refuses and changes", name)
			}
		}
		var a all
		form("burst", a.burst.Load, a.burst.Append)
		form("spike", a.spike.Load, a.spike.Append)
		form("wash", a.wash.Load, a.wash.Append)
		form("self", a.self.Load, a.self.Append)
		a.feed(t, 1<<52, raw) // whatever was accepted can be used
	})
}

// TestFormsTellStatesApart flips every bit of a form: none loads as the same
// state, so no bit is without meaning.
func TestFormsTellStatesApart(t *testing.T) {
	var a all
	a.feed(t, 1, bytes.Repeat([]byte{0, 0, 1, 0, 9, 9, 9, 9, 1, 0, 0, 100, 0, 1, 1, 0, 0, 9, 9, 9, 2, 1, 1, 150}, 4))
	form := a.append(nil)
	loaded := 0
	for bit := range len(form) * 8 {
		flipped := bytes.Clone(form)
		flipped[bit/8] ^= 1 << (bit % 8)
		var b all
		if b.load(flipped) {
			loaded++
			if bytes.Equal(b.append(nil), form) {
				t.Fatalf("bit %d means nothing", bit)
			}
		}
	}
	if loaded == 0 {
		t.Fatal("no flipped form loads: the test proves nothing")
	}
	for n := range form {
		if (&all{}).load(form[:n]) {
			t.Fatalf("a form cut at %d loads", n)
		}
	}
}
