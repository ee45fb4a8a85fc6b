// Package fixed holds the integer units of the market and the exact 128-bit and
// 256-bit arithmetic they need. It promises that nothing here rounds silently: every
// operation is exact, or names the direction it rounds to, or reports overflow.
// It refuses floating point: Go may fuse multiply-add differently per platform,
// and a journal must fold to the same state everywhere.
//
// Long division is Knuth's algorithm D (TAOCP vol. 2, 4.3.1); square roots are
// Zimmermann's (INRIA RR-3805).
package fixed

import "math/bits"

// Micros is an amount of credits in millionths; one credit is 1,000,000 Micros.
type Micros int64

// Shares is a quantity of outcome shares in millionths; one share pays one
// credit if its outcome wins, so a micro-share pays one Micros.
type Shares int64

// Price is the price of one share in Micros, 1..999,999; it is also the
// probability in parts per million.
type Price int64

// One is one credit, one share, and the sum of the prices of a market.
const One = 1_000_000

// MaxPool bounds every pool and every order, in micros: 2^52 is about 4.5
// billion credits. It keeps JSON numbers exact and leaves head-room so that
// k·price fits 128 bits.
const MaxPool = 1 << 52

// Apportion gives what rounding down left over to the parts with the largest
// remainders, one each, the lower index first among equals. At least as many
// remainders as left are above zero; those that are served become zero.
func Apportion(parts []Price, rests []uint64, left Price) {
	for ; left > 0; left-- {
		next := 0
		for i, r := range rests {
			if r > rests[next] {
				next = i
			}
		}
		parts[next]++
		rests[next] = 0
	}
}

// U128 is an unsigned 128-bit integer.
type U128 struct{ Hi, Lo uint64 }

// Mul returns a·b exactly.
func Mul(a, b uint64) U128 {
	hi, lo := bits.Mul64(a, b)
	return U128{hi, lo}
}

// Less reports whether a < b.
func (a U128) Less(b U128) bool {
	return a.Hi < b.Hi || (a.Hi == b.Hi && a.Lo < b.Lo)
}

// Add returns a+b; the caller bounds its operands so that it cannot overflow,
// and an overflow panics because it is broken logic, not bad input.
func (a U128) Add(b U128) U128 {
	lo, carry := bits.Add64(a.Lo, b.Lo, 0)
	hi, over := bits.Add64(a.Hi, b.Hi, carry)
	if over != 0 {
		panic("fixed: 128-bit addition overflows")
	}
	return U128{hi, lo}
}

// Sub returns a−b and panics if b > a.
func (a U128) Sub(b U128) U128 {
	lo, borrow := bits.Sub64(a.Lo, b.Lo, 0)
	hi, under := bits.Sub64(a.Hi, b.Hi, borrow)
	if under != 0 {
		panic("fixed: 128-bit subtraction underflows")
	}
	return U128{hi, lo}
}

// MulSmall returns a·m and panics on overflow.
func (a U128) MulSmall(m uint64) U128 {
	overHi, hi := bits.Mul64(a.Hi, m)
	carry, lo := bits.Mul64(a.Lo, m)
	hi, over := bits.Add64(hi, carry, 0)
	if overHi != 0 || over != 0 {
		panic("fixed: 128-bit multiplication overflows")
	}
	return U128{hi, lo}
}

// QuoRem returns ⌊a/d⌋ and the remainder. d must not be zero.
func (a U128) QuoRem(d uint64) (q U128, r uint64) {
	q.Hi, r = a.Hi/d, a.Hi%d
	q.Lo, r = bits.Div64(r, a.Lo, d)
	return q, r
}

// CeilDiv returns ⌈a/d⌉; the quotient must fit 64 bits.
func (a U128) CeilDiv(d uint64) uint64 {
	q, r := a.QuoRem(d)
	if r != 0 {
		q = q.Add(U128{0, 1})
	}
	if q.Hi != 0 {
		panic("fixed: quotient exceeds 64 bits")
	}
	return q.Lo
}

func (a U128) leadingZeros() int {
	if a.Hi != 0 {
		return bits.LeadingZeros64(a.Hi)
	}
	return 64 + bits.LeadingZeros64(a.Lo)
}
