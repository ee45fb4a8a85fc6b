package amm

import "github.com/mbp-market/mbp/engine/internal/fixed"

// With two pools everything is exact: the price at c is other/(own+other) with
// own = k/other, so it is t where other² = k·t/(10⁶−t).

func (w *Walk) pastPair(c fixed.Fine, t fixed.Price) bool {
	other := fixed.U128(w.other(1-w.outcome, c))
	is, at := other.Mul(other).MulSmall(uint64(fixed.One-t)), w.k.MulSmall(uint64(t))
	if w.sell {
		return is.Less(at)
	}
	return at.Less(is)
}

func (w *Walk) reachPair(t fixed.Price) fixed.Fine {
	square, rest := w.k.MulSmall(uint64(t)).QuoRemSmall(uint64(fixed.One - t))
	start := fine(w.start[1-w.outcome])
	if !w.sell {
		target := fixed.Fine(square.Sqrt())
		if target.Less(start.Add(w.credits)) {
			return w.credits
		}
		return target.Sub(start)
	}
	if rest != 0 {
		square = square.Add(fixed.U256{Lo: fixed.U128{Lo: 1}})
	}
	target := fixed.Fine(square.SqrtCeil())
	if start.Sub(w.credits).Less(target) {
		return w.credits
	}
	return start.Sub(target)
}

// afterPair solves (own₀ ∓ s ± c)·(other₀ ± c) = k, with s all shares of the walk,
// to the last unit: with a = own₀ ∓ s and b = other₀ the root is
// c = ±(√((a−b)² + 4k) − (a+b))/2, and whole square roots and halves of whole
// numbers round one after the other as they would at once.
func (w *Walk) afterPair(shares fixed.Fine) fixed.Fine {
	s := w.shares().Add(shares)
	own, other := fine(w.start[w.outcome]), fine(w.start[1-w.outcome])
	if w.sell {
		sum, root := own.Add(s).Add(other), w.root(own.Add(s), other)
		return half(sum.Sub(root))
	}
	twice := w.root(own, other.Add(s)).Add(s).Sub(own.Add(other))
	return half(twice.Add(fixed.Fine{Lo: 1}))
}

// root returns ⌈√((a−b)² + 4k)⌉.
func (w *Walk) root(a, b fixed.Fine) fixed.Fine {
	diff := fixed.U128(a.Max(b).Sub(a.Min(b)))
	return fixed.Fine(diff.Mul(diff).Add(w.k.Lsh(2)).SqrtCeil())
}

// half returns ⌊a/2⌋.
func half(a fixed.Fine) fixed.Fine { return fixed.Fine(fixed.U128(a).Rsh(1)) }
