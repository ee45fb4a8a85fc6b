package fixed

import "math/bits"

// The roots follow Zimmermann, Karatsuba Square Root (INRIA RR-3805): the root of
// the upper half gives the upper half of the root; one division by it gives the
// lower half, which is at most one too high.

// Sqrt returns ⌊√a⌋.
func (a U128) Sqrt() uint64 {
	if a.Hi == 0 && a.Lo == 0 {
		return 0
	}
	half := uint(a.leadingZeros()) / 2
	return sqrt128(a.Lsh(2*half)) >> half
}

// SqrtCeil returns ⌈√a⌉; a must be at most (2^64−1)².
func (a U128) SqrtCeil() uint64 {
	r := a.Sqrt()
	if Mul(r, r) == a {
		return r
	}
	return r + 1
}

// Sqrt returns ⌊√a⌋.
func (a U256) Sqrt() U128 {
	zeros := a.Hi.leadingZeros()
	if zeros == 128 {
		return U128{0, a.Lo.Sqrt()}
	}
	half := uint(zeros) / 2
	return sqrt256(a.Lsh(2 * half)).Rsh(half)
}

// SqrtCeil returns ⌈√a⌉; a must be at most (2^128−1)².
func (a U256) SqrtCeil() U128 {
	r := a.Sqrt()
	if r.Mul(r) == a {
		return r
	}
	return r.Add(U128{0, 1})
}

// sqrt64 returns ⌊√a⌋ for a ≥ 2^62. The line through the start is at most 5 %
// off; each of Newton's steps squares that: 2^-10, 2^-21, 2^-42.
func sqrt64(a uint64) uint64 {
	s := (a>>32)/3*2 + 0x59E1_0000
	s = (s + a/s) >> 1
	s = (s + a/s) >> 1
	s = (s + a/s) >> 1
	if s > 1<<32-1 {
		s = 1<<32 - 1
	}
	for s*s > a {
		s--
	}
	for s < 1<<32-1 && (s+1)*(s+1) <= a {
		s++
	}
	return s
}

// sqrt128 returns ⌊√a⌋ for a ≥ 2^126.
func sqrt128(a U128) uint64 {
	s := sqrt64(a.Hi)
	rest := a.Hi - s*s             // at most 2s
	q := (rest<<31 | a.Lo>>33) / s // (rest·2^32 + the next word) / 2s
	s = s<<32 + min(q, 1<<32-1)
	if a.Less(Mul(s, s)) {
		s--
	}
	return s
}

// sqrt256 returns ⌊√a⌋ for a ≥ 2^254.
func sqrt256(a U256) U128 {
	s := sqrt128(a.Hi)
	rest := a.Hi.Sub(Mul(s, s)) // at most 2s
	q := ^uint64(0)
	if top := rest.Hi<<63 | rest.Lo>>1; top < s {
		q, _ = bits.Div64(top, rest.Lo<<63|a.Lo.Hi>>1, s)
	}
	root := U128{s, q}
	if a.Less(root.Mul(root)) {
		root = root.Sub(U128{0, 1})
	}
	return root
}
