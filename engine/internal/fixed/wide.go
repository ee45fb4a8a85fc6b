package fixed

import "math/bits"

// U256 is an unsigned 256-bit integer: products of U128 and their square roots.
type U256 struct{ Hi, Lo U128 }

// Mul returns a·b exactly.
func (a U128) Mul(b U128) U256 {
	low, cross1 := Mul(a.Lo, b.Lo), Mul(a.Hi, b.Lo)
	cross2, high := Mul(a.Lo, b.Hi), Mul(a.Hi, b.Hi)
	var c, d uint64
	low.Hi, c = bits.Add64(low.Hi, cross1.Lo, 0)
	high.Lo, c = bits.Add64(high.Lo, cross1.Hi, c)
	high.Hi += c
	low.Hi, d = bits.Add64(low.Hi, cross2.Lo, 0)
	high.Lo, d = bits.Add64(high.Lo, cross2.Hi, d)
	high.Hi += d
	return U256{high, low}
}

// Len returns the number of bits of a: 0 for zero, at most 128.
func (a U128) Len() int { return 128 - a.leadingZeros() }

// Lsh returns a shifted left by s bits, 0..127; what leaves at the top is lost.
func (a U128) Lsh(s uint) U128 {
	if s >= 64 {
		return U128{a.Lo << (s - 64), 0}
	}
	return U128{a.Hi<<s | a.Lo>>(64-s), a.Lo << s}
}

// Rsh returns ⌊a/2^s⌋ for s of 0..127.
func (a U128) Rsh(s uint) U128 {
	if s >= 64 {
		return U128{0, a.Hi >> (s - 64)}
	}
	return U128{a.Hi >> s, a.Lo>>s | a.Hi<<(64-s)}
}

// Less reports whether a < b.
func (a U256) Less(b U256) bool { return a.Hi.Less(b.Hi) || a.Hi == b.Hi && a.Lo.Less(b.Lo) }

// Add returns a+b and panics on overflow.
func (a U256) Add(b U256) U256 {
	var c uint64
	a.Lo.Lo, c = bits.Add64(a.Lo.Lo, b.Lo.Lo, 0)
	a.Lo.Hi, c = bits.Add64(a.Lo.Hi, b.Lo.Hi, c)
	a.Hi.Lo, c = bits.Add64(a.Hi.Lo, b.Hi.Lo, c)
	a.Hi.Hi, c = bits.Add64(a.Hi.Hi, b.Hi.Hi, c)
	if c != 0 {
		panic("fixed: 256-bit addition overflows")
	}
	return a
}

// Sub returns a−b and panics if b > a.
func (a U256) Sub(b U256) U256 {
	var c uint64
	a.Lo.Lo, c = bits.Sub64(a.Lo.Lo, b.Lo.Lo, 0)
	a.Lo.Hi, c = bits.Sub64(a.Lo.Hi, b.Lo.Hi, c)
	a.Hi.Lo, c = bits.Sub64(a.Hi.Lo, b.Hi.Lo, c)
	a.Hi.Hi, c = bits.Sub64(a.Hi.Hi, b.Hi.Hi, c)
	if c != 0 {
		panic("fixed: 256-bit subtraction underflows")
	}
	return a
}

// MulSmall returns a·m and panics on overflow.
func (a U256) MulSmall(m uint64) U256 {
	low := a.Lo.Mul(U128{0, m})
	high := a.Hi.Mul(U128{0, m})
	if high.Hi != (U128{}) {
		panic("fixed: 256-bit multiplication overflows")
	}
	return U256{high.Lo.Add(low.Hi), low.Lo}
}

// Lsh returns a shifted left by s bits, 0..255; what leaves at the top is lost.
func (a U256) Lsh(s uint) U256 {
	switch {
	case s == 0:
		return a
	case s >= 128:
		return U256{Hi: a.Lo.Lsh(s - 128)}
	}
	hi, carried := a.Hi.Lsh(s), a.Lo.Rsh(128-s)
	return U256{U128{hi.Hi | carried.Hi, hi.Lo | carried.Lo}, a.Lo.Lsh(s)}
}

// QuoRemSmall returns ⌊a/d⌋ and the remainder. d must not be zero.
func (a U256) QuoRemSmall(d uint64) (q U256, r uint64) {
	q.Hi, r = a.Hi.QuoRem(d)
	q.Lo.Hi, r = bits.Div64(r, a.Lo.Hi, d)
	q.Lo.Lo, r = bits.Div64(r, a.Lo.Lo, d)
	return q, r
}

// QuoRem returns ⌊a/d⌋ and the remainder. The quotient must fit 128 bits: it
// panics unless a/2^128 < d.
func (a U256) QuoRem(d U128) (q, r U128) {
	if !a.Hi.Less(d) {
		panic("fixed: quotient exceeds 128 bits")
	}
	if d.Hi == 0 {
		q.Hi, r.Lo = bits.Div64(a.Hi.Lo, a.Lo.Hi, d.Lo)
		q.Lo, r.Lo = bits.Div64(r.Lo, a.Lo.Lo, d.Lo)
		return q, r
	}
	s := uint(bits.LeadingZeros64(d.Hi))
	a, d = a.Lsh(s), d.Lsh(s)
	q.Hi, r = quoRem3by2(a.Hi, a.Lo.Hi, d)
	q.Lo, r = quoRem3by2(r, a.Lo.Lo, d)
	return q, r.Rsh(s)
}

// CeilDiv returns ⌈a/d⌉; the quotient must fit 128 bits.
func (a U256) CeilDiv(d U128) U128 {
	q, r := a.QuoRem(d)
	if r != (U128{}) {
		q = q.Add(U128{0, 1})
	}
	return q
}

// quoRem3by2 divides (hi, lo) by d, whose top bit is set, for hi < d: a step of
// long division (Knuth, TAOCP vol. 2, 4.3.1, algorithm D). The first guess from
// the top word is at most two too high.
func quoRem3by2(hi U128, lo uint64, d U128) (q uint64, r U128) {
	var rest, over uint64
	if hi.Hi < d.Hi {
		q, rest = bits.Div64(hi.Hi, hi.Lo, d.Hi)
	} else { // equal: the guess is 2^64−1
		q = ^uint64(0)
		rest, over = bits.Add64(hi.Lo, d.Hi, 0)
	}
	for p := Mul(q, d.Lo); over == 0 && (U128{rest, lo}).Less(p); {
		q--
		p = p.Sub(U128{0, d.Lo})
		rest, over = bits.Add64(rest, d.Hi, 0)
	}
	low := Mul(q, d.Lo)
	r.Lo, over = bits.Sub64(lo, low.Lo, 0)
	r.Hi, _ = bits.Sub64(rest, low.Hi, over) // modulo 2^64: the remainder is below d
	return q, r
}
