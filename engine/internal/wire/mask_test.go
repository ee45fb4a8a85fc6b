package wire_test

import (
	"errors"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/wire"
)

// group has an optional field of every kind.
type group struct {
	n    uint16
	s    int64
	f    bool
	text string
	raw  [2]byte
}

func (x *group) fields(c *wire.Codec) {
	m := c.Mask(x.n != 0, x.s != 0, x.f, x.text != "", wire.Given(x.raw[:]))
	wire.OptNum(c, m.Has(0), &x.n)
	wire.OptSigned(c, m.Has(1), &x.s)
	c.OptFlag(m.Has(2), &x.f)
	c.OptText(m.Has(3), &x.text, 5)
	c.OptRaw(m.Has(4), x.raw[:])
}

// shorter is group before its last fields were added.
type shorter struct {
	n uint16
	s int64
}

func (x *shorter) fields(c *wire.Codec) {
	m := c.Mask(x.n != 0, x.s != 0)
	wire.OptNum(c, m.Has(0), &x.n)
	wire.OptSigned(c, m.Has(1), &x.s)
}

func TestZerosCostABit(t *testing.T) {
	for want, x := range map[int]group{
		1:         {},
		1 + 1:     {s: -1},
		1 + 2 + 2: {f: true, text: "a", raw: [2]byte{0, 1}},
	} {
		var c wire.Codec
		if x.fields(&c); c.Err != nil || len(c.B) != want {
			t.Errorf("%+v takes %d bytes (%v), want %d", x, len(c.B), c.Err, want)
		}
	}
}

// Decoding sets every field, also of a value that was used before.
func TestMaskClearsWhatItLacks(t *testing.T) {
	x := group{1, 2, true, "text", [2]byte{3, 4}}
	c := wire.Codec{B: []byte{0}, Decoding: true}
	if x.fields(&c); c.Err != nil || x != (group{}) {
		t.Errorf("%+v, %v", x, c.Err)
	}
}

// A field at the end of a group leaves older records readable, and an older
// binary refuses the newer ones that use it.
func TestGroupsGrowAtTheEnd(t *testing.T) {
	old := shorter{n: 7, s: -7}
	var c wire.Codec
	old.fields(&c)
	var x group
	in := wire.Codec{B: c.B, Decoding: true}
	if x.fields(&in); in.Err != nil || x != (group{n: 7, s: -7}) {
		t.Errorf("an old record is read as %+v (%v)", x, in.Err)
	}
	x.f = true
	c = wire.Codec{}
	x.fields(&c)
	in = wire.Codec{B: c.B, Decoding: true}
	if old.fields(&in); !errors.Is(in.Err, wire.ErrFormat) {
		t.Errorf("a new record is read by an old binary: %+v", old)
	}
}

func TestMaskRefuses(t *testing.T) {
	for name, b := range map[string][]byte{
		"no mask":            {},
		"unknown bit":        {1 << 5},
		"no number":          {1},
		"zero number":        {1, 0},
		"number too large":   {1, 0x80, 0x80, 0x04},
		"zero signed number": {2, 0},
		"empty text":         {8, 0},
		"text over limit":    {8, 6, 'a', 'b', 'c', 'd', 'e', 'f'},
		"zero bytes":         {16, 0, 0},
		"half the bytes":     {16, 1},
		"long mask":          {0x80, 0},
	} {
		var x group
		c := wire.Codec{B: b, Decoding: true}
		if x.fields(&c); !errors.Is(c.Err, wire.ErrFormat) {
			t.Errorf("%s: %+v, %v", name, x, c.Err)
		}
	}
}

// All 64 bits can be used.
func TestWidestMask(t *testing.T) {
	given := make([]bool, wire.MaxMask)
	given[0], given[wire.MaxMask-1] = true, true
	var c wire.Codec
	m := c.Mask(given...)
	in := wire.Codec{B: c.B, Decoding: true}
	if got := in.Mask(make([]bool, wire.MaxMask)...); got != m || in.Err != nil || !got.Has(63) || !got.Has(0) || got.Has(1) {
		t.Errorf("mask %b comes back as %b (%v)", m, got, in.Err)
	}
}
