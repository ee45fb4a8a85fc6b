package amm

import (
	"math/bits"

	"github.com/mbp-market/mbp/engine/internal/fixed"
)

// ProductFell reports whether the product of the pools is smaller after than
// before. It is exact: two pools at once, more by bounds first and in full if
// those overlap. The pools, as many after as before and at most MaxOutcomes, are
// positive.
func ProductFell(before, after []fixed.Shares) bool {
	if len(before) == 2 {
		return fixed.Mul(uint64(after[0]), uint64(after[1])).Less(fixed.Mul(uint64(before[0]), uint64(before[1])))
	}
	fell := false
	for i := range before {
		fell = fell || after[i] < before[i]
	}
	if !fell {
		return false
	}
	// Each product is low by less than n cuts; 2n units of the last bit cover them.
	a, b := cutProduct(after), cutProduct(before)
	slack := 2 * uint64(len(before))
	switch {
	case !a.less(b.raised(slack)):
		return false
	case a.raised(slack).less(b):
		return true
	}
	return lessProduct(after, before)
}

func (a wide) less(b wide) bool { return a.e < b.e || a.e == b.e && a.m.Less(b.m) }

func cutProduct(pools []fixed.Shares) wide {
	p := widen(fixed.U128{Lo: 1})
	for _, x := range pools {
		p = p.times(widen(fixed.U128{Lo: uint64(x)}))
	}
	return p
}

// lessProduct compares the products of two sets of pools word by word.
func lessProduct(a, b []fixed.Shares) bool {
	x, y := fullProduct(a), fullProduct(b)
	for i := len(x) - 1; i >= 0; i-- {
		if x[i] != y[i] {
			return x[i] < y[i]
		}
	}
	return false
}

// fullProduct is the exact product, least word first.
func fullProduct(pools []fixed.Shares) (words [MaxOutcomes]uint64) {
	words[0] = 1
	for n, x := range pools {
		var carry uint64
		for i := range min(n+1, MaxOutcomes) {
			hi, lo := bits.Mul64(words[i], uint64(x))
			var c uint64
			words[i], c = bits.Add64(lo, carry, 0)
			carry = hi + c
		}
		if n+1 < MaxOutcomes {
			words[n+1] = carry
		}
	}
	return words
}
