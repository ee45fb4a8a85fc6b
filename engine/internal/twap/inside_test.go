package twap

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"unsafe"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// read makes a guard from its canonical form alone.
func read(b []byte) (g Guard) {
	if rest, ok := g.Load(b); !ok || len(rest) != 0 {
		panic(fmt.Sprintf("%d bytes are left over, %v", len(rest), ok))
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

// FuzzLoad: what is accepted is the form of what it gave, and can be used; what is
// refused leaves the guard as it was.
func FuzzLoad(f *testing.F) {
	var g Guard
	for _, now := range []int64{0, 1, SlotMicros, 3*SlotMicros + 7, 95 * SlotMicros, 4000 * SlotMicros} {
		g.Start(now, 300_000)
		f.Add(g.Append(nil))
		g.Set(now+5*SlotMicros+3, 310_000)
		f.Add(g.Append(nil))
		g.Observe(Params{Window: 20_000_000, Bound: 100, Outliers: 2}, now+700*SlotMicros)
		f.Add(g.Append(nil))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		was := g
		rest, ok := g.Load(raw)
		if !ok && (g != was || len(rest) != len(raw)) {
			t.Fatal("refuses and changes")
		}
		if !ok {
			return
		}
		if !bytes.Equal(g.Append(nil), raw[:len(raw)-len(rest)]) {
			t.Fatal("accepts a form that is not canonical")
		}
		now := (g.edge + 2) * SlotMicros
		g.Mean(now, 300)
		for _, p := range []Params{{}, {Window: 10_000_000, Bound: 1, Relative: true, Outliers: 1}, {Window: 900_000_000, Bound: 1, Outliers: 90}} {
			now += 30 * SlotMicros
			g.Observe(p, now)
			g.Set(now, 1+fixed.Price(len(raw)))
			g.Restart(now + 7)
		}
	})
}
