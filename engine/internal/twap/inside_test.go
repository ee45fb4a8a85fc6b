package twap

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// read makes a guard from its canonical form alone, with garbage where the form
// says nothing.
func read(b []byte) (g Guard) {
	u64 := func() uint64 { v := binary.BigEndian.Uint64(b); b = b[8:]; return v }
	u8 := func() uint8 { v := b[0]; b = b[1:]; return v }
	for i := range g.marks {
		g.marks[i] = 0xdead_beef_dead_beef
	}
	g.edge = int64(u64())
	g.price = fixed.Price(binary.BigEndian.Uint32(b))
	b = b[4:]
	lacks := u64()
	kept := int64(u8()) - 1
	if kept < slots-1 {
		g.start = int64(u64())
	}
	at := uint64(1 << 63) // any sum will do, but that of a young market
	sums := make([]uint64, max(kept, 0))
	for i := range sums {
		sums[i] = u64()
	}
	if kept < slots-1 {
		at = 0
		if kept >= 0 {
			at = u64()
		}
		for _, s := range sums {
			at += s
		}
	}
	g.marks[g.edge%slots] = at
	g.at = max(g.edge*SlotMicros, g.start)
	if lacks != 0 { // there was another price earlier in this slot
		g.at = max(g.edge*SlotMicros+1, g.start)
	}
	g.cum = at + lacks + uint64(g.price)*uint64(g.at-g.edge*SlotMicros)
	for i, s := range sums {
		at -= s
		g.marks[(g.edge-int64(i)-1)%slots] = at
	}
	g.variance, g.samples, g.still, g.run, g.diverged = u64(), u8(), u8(), u8(), u8() == 1
	g.begin = g.edge + 1 - int64(u8())
	if g.begin <= g.edge {
		g.from = g.marks[g.edge%slots] - u64()
		g.ref = mean{u64(), u64()}
	}
	if len(b) != 0 {
		panic("bytes are left over")
	}
	return g
}

// The canonical form holds all that later calls depend on: a guard made from it
// behaves as the one that wrote it, for ever.
func TestAppendIsComplete(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	trips := 0
	for range 300 {
		p := Params{Window: (1 + r.Int64N(12)) * SlotMicros, Bound: 1 + r.Int64N(20_000), Relative: r.Int64N(2) == 0, Outliers: r.Int64N(4), Floor: r.Int64N(5_000)}
		now, price := r.Int64N(5*SlotMicros), fixed.Price(1+r.Int64N(fixed.One-1))
		var g Guard
		g.Start(now, price)
		twin := g
		for range 100 {
			twin = read(twin.Append(nil))
			now += r.Int64N([]int64{SlotMicros / 3, 4 * SlotMicros, 300 * SlotMicros}[r.IntN(3)])
			a, b := g.Observe(p, now), twin.Observe(p, now)
			if a != b {
				t.Fatalf("at %d: %+v and %+v", now, a, b)
			}
			if a.Kind != None {
				trips++
				g.Restart(now)
				twin.Restart(now)
			}
			price = min(max(price+fixed.Price(r.Int64N(20_001)-10_000), 1), fixed.One-1)
			g.Set(now, price)
			twin.Set(now, price)
			if x, y := g.Append(nil), twin.Append(nil); !bytes.Equal(x, y) {
				t.Fatalf("at %d:\n%x\n%x", now, x, y)
			}
			if x, y := g.Mean(now+7, 900), twin.Mean(now+7, 900); x != y {
				t.Fatalf("at %d: means %d and %d", now, x, y)
			}
		}
	}
	if trips == 0 {
		t.Error("no history tripped")
	}
}

// Prices that came and went at one instant leave nothing behind.
func TestAppendForgetsWhatNeverWas(t *testing.T) {
	var a, b Guard
	a.Start(3, 400_000)
	b.Start(3, 400_000)
	b.Set(3, 700_000)
	b.Set(3, 400_000)
	a.Set(90*SlotMicros+5, 500_000)
	b.Set(90*SlotMicros+5, 1)
	b.Set(90*SlotMicros+5, 500_000)
	b.Set(90*SlotMicros+9, 500_000)
	if x, y := a.Append(nil), b.Append(nil); !bytes.Equal(x, y) {
		t.Errorf("\n%x\n%x", x, y)
	}
	if size := unsafe.Sizeof(a); size > 1024 {
		t.Errorf("a guard takes %d bytes", size)
	}
}
