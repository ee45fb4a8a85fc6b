package fixed

// Fine is an amount of credits or shares in 2^-32 micros, not negative: the guard
// digits of one walk along a pool, rounded to micros once at its end. Every
// amount of the market, in micros up to 2^60, fits with room to spare.
type Fine U128

// FromMicros returns m whole micros; m must not be negative.
func FromMicros(m int64) Fine {
	if m < 0 {
		panic("fixed: a negative amount has no guard digits")
	}
	return Fine{uint64(m) >> 32, uint64(m) << 32}
}

// Floor returns the whole micros in a; they must fit an int64.
func (a Fine) Floor() int64 {
	if a.Hi >= 1<<31 {
		panic("fixed: whole micros exceed 63 bits")
	}
	return int64(a.Hi<<32 | a.Lo>>32)
}

// Ceil returns a in micros, rounded up; it must fit an int64.
func (a Fine) Ceil() int64 {
	if a.Lo<<32 == 0 {
		return a.Floor()
	}
	return a.Floor() + 1
}

// Add returns a+b and panics on overflow.
func (a Fine) Add(b Fine) Fine { return Fine(U128(a).Add(U128(b))) }

// Sub returns a−b and panics if b > a.
func (a Fine) Sub(b Fine) Fine { return Fine(U128(a).Sub(U128(b))) }

// Less reports whether a < b.
func (a Fine) Less(b Fine) bool { return U128(a).Less(U128(b)) }

// Min returns the smaller of a and b.
func (a Fine) Min(b Fine) Fine {
	if b.Less(a) {
		return b
	}
	return a
}

// Max returns the larger of a and b.
func (a Fine) Max(b Fine) Fine {
	if a.Less(b) {
		return b
	}
	return a
}

// IsZero reports whether a is zero.
func (a Fine) IsZero() bool { return a == Fine{} }

// MulDiv returns ⌊a·m/d⌋; the quotient must fit 128 bits. d must not be zero.
func (a Fine) MulDiv(m, d uint64) Fine {
	q, _ := U128(a).Mul(U128{0, m}).QuoRem(U128{0, d})
	return Fine(q)
}

// MulDivCeil returns ⌈a·m/d⌉; the quotient must fit 128 bits. d must not be zero.
func (a Fine) MulDivCeil(m, d uint64) Fine {
	return Fine(U128(a).Mul(U128{0, m}).CeilDiv(U128{0, d}))
}
