package fixed_test

import (
	"cmp"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

func toBig(a fixed.U128) *big.Int {
	b := new(big.Int).SetUint64(a.Hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(a.Lo))
}

func draw(t *rapid.T, name string) fixed.U128 {
	return fixed.U128{Hi: rapid.Uint64Max(1<<60).Draw(t, name+"hi"), Lo: rapid.Uint64().Draw(t, name+"lo")}
}

// Every operation agrees with math/big, an independent implementation.
func TestAgainstBig(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a, b := draw(t, "a"), draw(t, "b")
		if got, want := toBig(a.Add(b)), new(big.Int).Add(toBig(a), toBig(b)); got.Cmp(want) != 0 {
			t.Fatalf("add: %v, want %v", got, want)
		}
		if a.Less(b) != (toBig(a).Cmp(toBig(b)) < 0) {
			t.Fatal("less")
		}
		if !a.Less(b) {
			if got, want := toBig(a.Sub(b)), new(big.Int).Sub(toBig(a), toBig(b)); got.Cmp(want) != 0 {
				t.Fatalf("sub: %v, want %v", got, want)
			}
		}
		d := rapid.Uint64Min(1).Draw(t, "d")
		q, r := a.QuoRem(d)
		wq, wr := new(big.Int).QuoRem(toBig(a), new(big.Int).SetUint64(d), new(big.Int))
		if toBig(q).Cmp(wq) != 0 || wr.Uint64() != r {
			t.Fatalf("quorem: %v %v, want %v %v", toBig(q), r, wq, wr)
		}
		root := new(big.Int).Sqrt(toBig(a))
		if a.Sqrt() != root.Uint64() {
			t.Fatalf("sqrt(%v) = %d, want %v", toBig(a), a.Sqrt(), root)
		}
		ceil := a.SqrtCeil()
		c := new(big.Int).SetUint64(ceil)
		if new(big.Int).Mul(c, c).Cmp(toBig(a)) < 0 {
			t.Fatal("ceil of the square root is below it")
		}
		if c.Sub(c, big.NewInt(1)); c.Sign() >= 0 && new(big.Int).Mul(c, c).Cmp(toBig(a)) >= 0 {
			t.Fatal("ceil of the square root is too high")
		}
	})
}

func TestSqrtEdges(t *testing.T) {
	for _, a := range []fixed.U128{{}, {Lo: 1}, {Lo: 2}, {Lo: 3}, {Lo: 4}, {Hi: 1}, {Lo: ^uint64(0)}, {Hi: ^uint64(0), Lo: ^uint64(0)}} {
		if got, want := a.Sqrt(), new(big.Int).Sqrt(toBig(a)).Uint64(); got != want {
			t.Errorf("sqrt(%v) = %d, want %d", toBig(a), got, want)
		}
	}
}

func TestMulSmall(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		a := fixed.Mul(rapid.Uint64Max(fixed.MaxPool).Draw(t, "x"), rapid.Uint64Max(fixed.MaxPool).Draw(t, "y"))
		m := rapid.Uint64Max(fixed.One).Draw(t, "m")
		want := new(big.Int).Mul(toBig(a), new(big.Int).SetUint64(m))
		if toBig(a.MulSmall(m)).Cmp(want) != 0 {
			t.Fatal("mulsmall")
		}
	})
}

// The largest remainders get one each, of equal ones the first.
func TestApportion(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		rests := rapid.SliceOfN(rapid.OneOf(rapid.Uint64Max(3), rapid.Uint64()), 1, 64).Draw(t, "rests")
		order, positive := make([]int, len(rests)), 0
		for i, r := range rests {
			order[i] = i
			if r > 0 {
				positive++
			}
		}
		slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(rests[b], rests[a]) })
		left := rapid.IntRange(-1, positive).Draw(t, "left")
		parts, want := make([]fixed.Price, len(rests)), make([]fixed.Price, len(rests))
		for i := range parts {
			parts[i] = fixed.Price(i)
			want[i] = fixed.Price(i)
		}
		for _, i := range order[:max(left, 0)] {
			want[i]++
		}
		fixed.Apportion(parts, slices.Clone(rests), fixed.Price(left))
		if !slices.Equal(parts, want) {
			t.Fatalf("of %v, %d: %v, want %v", rests, left, parts, want)
		}
	})
}
