package amm

import (
	"math/bits"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// wide is m·2^e with the top bit of m set: a product of many pools, cut to 128
// bits. Cutting is monotone, so products of larger pools are never smaller.
type wide struct {
	m fixed.U128
	e int
}

func widen(a fixed.U128) wide {
	s := 128 - a.Len()
	return wide{a.Lsh(uint(s)), -s}
}

// times returns a·b rounded down: by less than one part in 2^127.
func (a wide) times(b wide) wide {
	low, _ := bits.Mul64(a.m.Lo, b.m.Lo)
	hi1, lo1 := bits.Mul64(a.m.Hi, b.m.Lo)
	hi2, lo2 := bits.Mul64(a.m.Lo, b.m.Hi)
	hi, mid := bits.Mul64(a.m.Hi, b.m.Hi)
	low, c := bits.Add64(low, lo1, 0)
	mid, d := bits.Add64(mid, hi1, c)
	low, c = bits.Add64(low, lo2, 0)
	mid, e := bits.Add64(mid, hi2, c)
	hi += d + e
	if hi>>63 != 0 {
		return wide{fixed.U128{Hi: hi, Lo: mid}, a.e + b.e + 128}
	}
	return wide{fixed.U128{Hi: hi<<1 | mid>>63, Lo: mid<<1 | low>>63}, a.e + b.e + 127}
}

// raised returns a plus n units of its last bit, rounded up.
func (a wide) raised(n uint64) wide {
	var carry uint64
	a.m.Lo, carry = bits.Add64(a.m.Lo, n, 0)
	a.m.Hi, carry = bits.Add64(a.m.Hi, 0, carry)
	if carry != 0 { // what is left of m is below n
		return wide{fixed.U128{Hi: 1 << 63, Lo: a.m.Lo/2 + 1}, a.e + 1}
	}
	return a
}

// ceilOver returns ⌈a/b⌉, or false if that is 2^120 or more.
func (a wide) ceilOver(b wide) (fixed.Fine, bool) {
	switch s := a.e - b.e; { // a.m/b.m is above 1/2 and below 2
	case s < 0:
		return fixed.Fine{Lo: 1}, true
	case s >= 120:
		return fixed.Fine{}, false
	default:
		return fixed.Fine((fixed.U256{Lo: a.m}).Lsh(uint(s)).CeilDiv(b.m)), true
	}
}

// rough is m·2^e with the top bit of m set, or zero: a real number of 64 bits
// for the steps of a search. Each operation cuts: it is low by less than one
// part in 2^62.
type rough struct {
	m uint64
	e int
}

// one is the number one.
var one = rough{1 << 63, -63}

func roughOf(a fixed.U128) rough {
	if a == (fixed.U128{}) {
		return rough{}
	}
	s := 128 - a.Len()
	return rough{a.Lsh(uint(s)).Hi, 64 - s}
}

func (a rough) times(b rough) rough {
	hi, lo := bits.Mul64(a.m, b.m)
	if hi>>63 == 0 {
		if hi == 0 {
			return rough{}
		}
		return rough{hi<<1 | lo>>63, a.e + b.e + 63}
	}
	return rough{hi, a.e + b.e + 64}
}

// over returns a/b for b > 0.
func (a rough) over(b rough) rough {
	q, _ := bits.Div64(a.m>>1, a.m<<63, b.m)
	if q == 0 {
		return rough{}
	}
	s := bits.LeadingZeros64(q) // at most one
	return rough{q << s, a.e - b.e - 63 - s}
}

func (a rough) less(b rough) bool {
	if a.m == 0 || b.m == 0 || a.e == b.e {
		return a.m < b.m
	}
	return a.e < b.e
}

func largest(a, b rough) rough {
	if a.less(b) {
		return b
	}
	return a
}

func (a rough) plus(b rough) rough {
	if a.less(b) {
		a, b = b, a
	}
	if b.m == 0 {
		return a
	}
	sum, carry := bits.Add64(a.m, b.m>>min(uint(a.e-b.e), 64), 0)
	if carry != 0 {
		return rough{sum>>1 | 1<<63, a.e + 1}
	}
	return rough{sum, a.e}
}

// minus returns a−b, or zero if b is larger.
func (a rough) minus(b rough) rough {
	if !b.less(a) {
		return rough{}
	}
	if b.m == 0 {
		return a
	}
	m := a.m - b.m>>min(uint(a.e-b.e), 64)
	if m == 0 {
		return rough{}
	}
	s := bits.LeadingZeros64(m)
	return rough{m << s, a.e - s}
}

func (a rough) root() rough {
	if a.m == 0 {
		return a
	}
	m := fixed.U128{Hi: a.m}
	e := a.e - 64
	if e&1 != 0 {
		m, e = m.Rsh(1), e+1
	}
	return roughOf(fixed.U128{Lo: m.Sqrt()}).scaled(e / 2)
}

func (a rough) scaled(e int) rough { return rough{a.m, a.e + e} }

// floor returns ⌊a⌋, at most 2^120.
func (a rough) floor() fixed.Fine {
	switch {
	case a.m == 0 || a.e <= -64:
		return fixed.Fine{}
	case a.e >= 57:
		return fixed.Fine{Hi: 1 << 56}
	case a.e < 0:
		return fixed.Fine{Lo: a.m >> -a.e}
	}
	return fixed.Fine(fixed.U128{Lo: a.m}.Lsh(uint(a.e)))
}

// bend is how far the curves of log and exp lie off their chords between powers of
// two: bend·x·(1−x) in 2^-16, to one part in a hundred.
const bend = 22_545

// log returns the binary logarithm of a > 0 in 2^-16.
func (a rough) log() int64 {
	x := a.m << 1 >> 48
	return int64(a.e+63)<<16 + int64(x+x*(1<<16-x)>>16*bend>>16)
}

// exp returns 2^(z/2^16).
func exp(z uint64) rough {
	x := z & (1<<16 - 1)
	return rough{(1<<16 + x - x*(1<<16-x)>>16*bend>>16) << 47, int(z>>16) - 63}
}
