package tape

import (
	"errors"
	"math/bits"
	"strconv"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

// errNumber says that a text is not a decimal number in range.
var errNumber = errors.New("not a decimal number in range")

const (
	maxDigits   = 64       // characters of a number
	maxExponent = 400      // what a double can print
	microDigits = 6        // decimals of a micro
	maxMicros   = 1 << 62  // far above every amount, below overflow
	unknown     = -1 << 62 // an empty field
)

// micros reads a decimal number exactly and drops what is below a micro. It
// accepts a sign, digits with at most one point, and an exponent; nothing else
// (no NaN, no infinity, no hexadecimal, no separators).
func micros(s string) (int64, error) {
	if len(s) > maxDigits {
		return 0, errNumber
	}
	s, negative := strings.CutPrefix(s, "-")
	if !negative {
		s = strings.TrimPrefix(s, "+")
	}
	exponent := 0
	if i := strings.IndexAny(s, "eE"); i >= 0 {
		var err error
		if exponent, err = strconv.Atoi(s[i+1:]); err != nil || exponent > maxExponent || exponent < -maxExponent {
			return 0, errNumber
		}
		s = s[:i]
	}
	whole, fraction, _ := strings.Cut(s, ".")
	digits := whole + fraction
	if digits == "" || strings.Trim(digits, "0123456789") != "" {
		return 0, errNumber
	}
	// The value is digits · 10^(exponent − len(fraction)), here in micros.
	shift := exponent - len(fraction) + microDigits
	if shift < 0 {
		digits = digits[:max(len(digits)+shift, 0)]
		shift = 0
	}
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return 0, nil
	}
	if len(digits)+shift > 18 {
		return 0, errNumber
	}
	v, err := strconv.ParseInt(digits+strings.Repeat("0", shift), 10, 64)
	if err != nil || v > maxMicros {
		return 0, errNumber
	}
	if negative {
		v = -v
	}
	return v, nil
}

// mulDiv is ⌊a·b/c⌋ for values that are not negative; it saturates at
// engine.MaxAmount, which bounds everything that is made of it.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	if c <= 0 || hi >= uint64(c) {
		return int64(engine.MaxAmount)
	}
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(min(q, uint64(engine.MaxAmount)))
}

// root is ⌊√v⌋.
func root(v uint64) uint64 {
	if v == 0 {
		return 0
	}
	x := uint64(1) << ((bits.Len64(v) + 1) / 2) // above the root
	for {
		y := (x + v/x) / 2
		if y >= x {
			return x
		}
		x = y
	}
}

const ratioOne = 1_000_000

// ratio is √(p/(1−p)) in millionths: the opposite pool over the depth at price
// p of a fixed-product maker.
func ratio(p engine.Price) int64 {
	return int64(root(uint64(p) * ratioOne * ratioOne / uint64(engine.One-p)))
}
