package fixed_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

func wideBig(a fixed.U256) *big.Int {
	b := toBig(a.Hi)
	return b.Lsh(b, 128).Or(b, toBig(a.Lo))
}

func word(t *rapid.T, name string) uint64 {
	// Words of all zeros and all ones are where carries and guesses go wrong.
	switch rapid.IntRange(0, 4).Draw(t, name+"kind") {
	case 0:
		return 0
	case 1:
		return ^uint64(0) - rapid.Uint64Max(2).Draw(t, name)
	case 2:
		return 1<<63 + rapid.Uint64Max(2).Draw(t, name)
	}
	return rapid.Uint64().Draw(t, name)
}

func draw128(t *rapid.T, name string) fixed.U128 {
	return fixed.U128{Hi: word(t, name+"hi"), Lo: word(t, name+"lo")}.Rsh(rapid.UintMax(127).Draw(t, name+"shift"))
}

func draw256(t *rapid.T, name string) fixed.U256 {
	a := fixed.U256{Hi: draw128(t, name+"hi"), Lo: draw128(t, name+"lo")}
	if rapid.Bool().Draw(t, name+"small") {
		a.Hi = fixed.U128{}
	}
	return a
}

// Every 256-bit operation agrees with math/big.
func TestWideAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b, c, d := draw128(t, "a"), draw128(t, "b"), draw256(t, "c"), draw256(t, "d")
		equal := func(what string, got, want *big.Int) {
			if got.Cmp(want) != 0 {
				t.Fatalf("%s: %v, want %v", what, got, want)
			}
		}
		equal("mul", wideBig(a.Mul(b)), new(big.Int).Mul(toBig(a), toBig(b)))
		if a.Len() != toBig(a).BitLen() {
			t.Fatal("len")
		}
		if c.Less(d) != (wideBig(c).Cmp(wideBig(d)) < 0) {
			t.Fatal("less")
		}
		if sum := new(big.Int).Add(wideBig(c), wideBig(d)); sum.BitLen() <= 256 {
			equal("add", wideBig(c.Add(d)), sum)
		}
		if !c.Less(d) {
			equal("sub", wideBig(c.Sub(d)), new(big.Int).Sub(wideBig(c), wideBig(d)))
		}
		m := word(t, "m")
		if product := new(big.Int).Mul(wideBig(c), new(big.Int).SetUint64(m)); product.BitLen() <= 256 {
			equal("mulsmall", wideBig(c.MulSmall(m)), product)
		}
		if m != 0 {
			q, r := c.QuoRemSmall(m)
			wq, wr := new(big.Int).QuoRem(wideBig(c), new(big.Int).SetUint64(m), new(big.Int))
			equal("quoremsmall", wideBig(q), wq)
			equal("quoremsmall rest", new(big.Int).SetUint64(r), wr)
		}
		if c.Hi.Less(a) {
			q, r := c.QuoRem(a)
			wq, wr := new(big.Int).QuoRem(wideBig(c), toBig(a), new(big.Int))
			equal("quorem", toBig(q), wq)
			equal("quorem rest", toBig(r), wr)
			if r != (fixed.U128{}) && q != (fixed.U128{Hi: ^uint64(0), Lo: ^uint64(0)}) {
				wq.Add(wq, big.NewInt(1))
				equal("ceildiv", toBig(c.CeilDiv(a)), wq)
			}
		}
		s := rapid.UintMax(255).Draw(t, "s")
		mask := new(big.Int).Lsh(big.NewInt(1), 256)
		mask.Sub(mask, big.NewInt(1))
		equal("lsh", wideBig(c.Lsh(s)), new(big.Int).And(new(big.Int).Lsh(wideBig(c), s), mask))
	})
}

// The roots are right at and beside every kind of square.
func TestRootsAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		r := draw128(t, "root")
		square := r.Mul(r)
		step := fixed.U256{Lo: fixed.U128{Lo: rapid.Uint64Max(2).Draw(t, "step")}}
		cases := []fixed.U256{square, draw256(t, "any")}
		if !square.Less(step) {
			cases = append(cases, square.Sub(step))
		}
		if square.Less(fixed.U256{Hi: fixed.U128{Hi: ^uint64(0)}}) {
			cases = append(cases, square.Add(step))
		}
		for _, a := range cases {
			want := new(big.Int).Sqrt(wideBig(a))
			if got := toBig(a.Sqrt()); got.Cmp(want) != 0 {
				t.Fatalf("sqrt(%v) = %v, want %v", wideBig(a), got, want)
			}
			if new(big.Int).Mul(want, want).Cmp(wideBig(a)) < 0 {
				want.Add(want, big.NewInt(1))
			}
			if want.BitLen() <= 128 {
				if got := toBig(a.SqrtCeil()); got.Cmp(want) != 0 {
					t.Fatalf("ceil of sqrt(%v) = %v, want %v", wideBig(a), got, want)
				}
			}
		}
		narrow := fixed.Mul(word(t, "n"), 1).Mul(fixed.U128{Lo: 1}).Lo
		narrow = fixed.Mul(narrow.Lo, narrow.Lo)
		if !narrow.Less(step.Lo) {
			narrow = narrow.Sub(step.Lo)
		}
		if got, want := narrow.Sqrt(), new(big.Int).Sqrt(toBig(narrow)); got != want.Uint64() {
			t.Fatalf("sqrt(%v) = %d, want %v", toBig(narrow), got, want)
		}
	})
}

func TestFine(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := rapid.Int64Range(0, 1<<60).Draw(t, "m")
		a := fixed.FromMicros(m)
		if a.Floor() != m || a.Ceil() != m {
			t.Fatalf("%d micros become %d..%d", m, a.Floor(), a.Ceil())
		}
		guard := fixed.Fine{Lo: rapid.Uint64Range(1, 1<<32-1).Draw(t, "guard")}
		b := a.Add(guard)
		if b.Floor() != m || b.Ceil() != m+1 || b.Sub(guard) != a || !a.Less(b) || b.Min(a) != a || a.Min(b) != a || a.Max(b) != b {
			t.Fatalf("%d micros and %v", m, guard)
		}
		mul, div := rapid.Uint64Range(1, fixed.One).Draw(t, "mul"), rapid.Uint64Range(1, fixed.One).Draw(t, "div")
		product := new(big.Int).Mul(toBig(fixed.U128(b)), new(big.Int).SetUint64(mul))
		want, rest := new(big.Int).QuoRem(product, new(big.Int).SetUint64(div), new(big.Int))
		if toBig(fixed.U128(b.MulDiv(mul, div))).Cmp(want) != 0 {
			t.Fatal("muldiv")
		}
		if rest.Sign() > 0 {
			want.Add(want, big.NewInt(1))
		}
		if toBig(fixed.U128(b.MulDivCeil(mul, div))).Cmp(want) != 0 {
			t.Fatal("muldivceil")
		}
	})
}

func BenchmarkSqrt256(b *testing.B) {
	b.ReportAllocs()
	a := fixed.U256{Hi: fixed.U128{Hi: 1 << 40, Lo: 12345}, Lo: fixed.U128{Hi: 99, Lo: 77}}
	var sum uint64
	for b.Loop() {
		a.Lo.Lo++
		sum += a.Sqrt().Lo
	}
	_ = sum
}

func BenchmarkQuoRem256(b *testing.B) {
	b.ReportAllocs()
	a := fixed.U256{Hi: fixed.U128{Hi: 1 << 20, Lo: 12345}, Lo: fixed.U128{Hi: 99, Lo: 77}}
	d := fixed.U128{Hi: 1 << 21, Lo: 991}
	var sum uint64
	for b.Loop() {
		a.Lo.Lo++
		q, _ := a.QuoRem(d)
		sum += q.Lo
	}
	_ = sum
}
