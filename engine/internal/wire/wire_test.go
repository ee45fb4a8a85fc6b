package wire_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/wire"
)

// thing has a field of every kind.
type thing struct {
	n    uint16
	s    int64
	f    bool
	raw  [3]byte
	text string
}

func (x *thing) fields(c *wire.Codec) {
	wire.Num(c, &x.n)
	wire.Signed(c, &x.s)
	c.Flag(&x.f)
	c.Raw(x.raw[:])
	c.Text(&x.text, 40)
}

func draw(t *rapid.T) thing {
	return thing{
		n: rapid.Uint16().Draw(t, "n"), s: rapid.Int64().Draw(t, "s"), f: rapid.Bool().Draw(t, "f"),
		raw: [3]byte(rapid.SliceOfN(rapid.Byte(), 3, 3).Draw(t, "raw")), text: rapid.StringN(0, 10, 40).Draw(t, "text"),
	}
}

func TestRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		x := draw(t)
		out := wire.Codec{}
		x.fields(&out)
		var y thing
		in := wire.Codec{B: out.B, Decoding: true}
		y.fields(&in)
		if out.Err != nil || in.Err != nil || len(in.B) != 0 || x != y {
			t.Fatalf("%+v comes back as %+v (%v, %v)", x, y, out.Err, in.Err)
		}
		for n := range out.B {
			cut := wire.Codec{B: out.B[:n], Decoding: true}
			if y.fields(&cut); !errors.Is(cut.Err, wire.ErrFormat) {
				t.Fatalf("cut to %d of %d bytes: %v", n, len(out.B), cut.Err)
			}
		}
	})
}

// Numbers are those of the standard library, but that a longer form is none; and once
// one could not be read, none can.
func TestNumbers(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		u := rapid.Uint64().Draw(t, "u") >> rapid.IntRange(0, 63).Draw(t, "shift")
		b := binary.AppendUvarint([]byte("before"), u)
		if got := wire.Put([]byte("before"), u); !bytes.Equal(got, b) {
			t.Fatalf("%d is % x, want % x", u, got, b)
		}
		if got, end := wire.Next(b, 6); got != u || end != len(b) {
			t.Fatalf("% x is %d up to %d, want %d", b, got, end, u)
		}
		if s := rapid.Int64().Draw(t, "s"); wire.Zagzig(wire.Zigzag(s)) != s {
			t.Fatalf("%d comes back as %d", s, wire.Zagzig(wire.Zigzag(s)))
		}
		raw := rapid.SliceOfN(rapid.SampledFrom([]byte{0, 1, 2, 0x7f, 0x80, 0x81, 0xff}), 0, 12).Draw(t, "raw")
		want, n := binary.Uvarint(raw)
		got, end := wire.Next(raw, 0)
		if good := n > 0 && raw[n-1] != 0 || n == 1; good != (end <= len(raw)) || good && (got != want || end != n) {
			t.Fatalf("% x is %d up to %d, want %d up to %d", raw, got, end, want, n)
		} else if !good {
			if _, next := wire.Next(raw, end); next <= len(raw) {
				t.Fatalf("% x: something is read after what is none", raw)
			}
		}
	})
}

// Encoding only reads: what readers share may be encoded by all of them. The
// race detector is the judge.
func TestEncodingOnlyReads(t *testing.T) {
	x := thing{n: 300, s: -5, f: true, text: "shared"}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 100 {
				var c wire.Codec
				x.fields(&c)
			}
		})
	}
	wg.Wait()
}

func TestWhatIsRefused(t *testing.T) {
	for name, b := range map[string][]byte{
		"nothing":         {},
		"long form":       {0x80, 0x00},
		"too large":       {0x80, 0x80, 0x04},
		"no end":          {0x80},
		"flag":            {1, 1, 2},
		"text over limit": {1, 1, 1, 0, 0, 0, 41},
		"text over input": {1, 1, 1, 0, 0, 0, 5, 'a'},
	} {
		var x thing
		c := wire.Codec{B: b, Decoding: true}
		if x.fields(&c); !errors.Is(c.Err, wire.ErrFormat) {
			t.Errorf("%s: %v", name, c.Err)
		}
	}
	x := thing{text: strings.Repeat("a", 41)}
	var c wire.Codec
	if x.fields(&c); !errors.Is(c.Err, wire.ErrFormat) {
		t.Errorf("a text over its limit is written: %v", c.Err)
	}
	c = wire.Codec{B: []byte{9}, Decoding: true}
	if n := c.Count(0, 100); n != 0 || c.Err == nil {
		t.Errorf("a list of 9 in no bytes: %d, %v", n, c.Err)
	}
}
