package core

import (
	"math/big"
	"testing"

	"github.com/mbp-market/mbp/engine"
)

// referenceBits is enough for 60 decimal digits through a walk.
const referenceBits = 320

// level is a resting order as a buyer meets it.
type level struct {
	id    string
	price *big.Float // of the buyer's outcome
	size  *big.Float // micros of shares
}

// step is what a buyer has after a fill, in micros: the sums so far, and not
// the fill's own figures, because sums are what is rounded.
type step struct {
	maker          string // "" is the pool
	shares, amount *big.Float
}

// bought is a whole purchase.
type bought struct {
	steps      []step
	own, other *big.Float // pools, of the outcome that was bought and of the other
}

func big320(x float64) *big.Float        { return new(big.Float).SetPrec(referenceBits).SetFloat64(x) }
func ofRat(r *big.Rat) *big.Float        { return big320(0).SetRat(r) }
func plus(a, b *big.Float) *big.Float    { return big320(0).Add(a, b) }
func minus(a, b *big.Float) *big.Float   { return big320(0).Sub(a, b) }
func product(a, b *big.Float) *big.Float { return big320(0).Mul(a, b) }
func ratio(a, b *big.Float) *big.Float   { return big320(0).Quo(a, b) }
func off(got int64, want *big.Float) float64 {
	f, _ := minus(big320(0).SetInt64(got), want).Float64()
	return f
}

func (b *bought) total() step {
	if len(b.steps) == 0 {
		return step{shares: big320(0), amount: big320(0)}
	}
	return b.steps[len(b.steps)-1]
}

// reference is a purchase for credits along pool and book, in the mathematics
// of the market and nothing else: no micros, no rounding, no state. Levels stand
// best first; limit is the last price the buyer or the market allows.
func reference(own, other, credits, limit *big.Float, levels []level) *bought {
	b := &bought{own: own, other: other}
	k, left, sum := product(own, other), credits, step{shares: big320(0), amount: big320(0)}
	fill := func(maker string, shares, amount *big.Float) {
		left = minus(left, amount)
		sum = step{maker, plus(sum.shares, shares), plus(sum.amount, amount)}
		b.steps = append(b.steps, sum)
	}
	for i := 0; ; i++ {
		target := limit
		resting := i < len(levels) && levels[i].price.Cmp(limit) <= 0
		if resting {
			target = levels[i].price
		}
		// The price is other/(own+other), so at a price t the other pool is √(k·t/(1−t)).
		there := big320(0).Sqrt(ratio(product(k, target), minus(big320(1), target)))
		add := minus(there, b.other)
		enough := add.Cmp(left) >= 0
		if enough {
			add = left
		}
		if add.Sign() > 0 {
			after := plus(b.other, add)
			rest := ratio(k, after)
			out := plus(minus(b.own, rest), add)
			b.own, b.other = rest, after
			fill("", out, add)
		}
		if enough || !resting {
			return b
		}
		l := levels[i]
		q := ratio(left, l.price)
		enough = q.Cmp(l.size) < 0
		if !enough {
			q = l.size
		}
		fill(l.id, q, product(q, l.price))
		if enough {
			return b
		}
	}
}

// reference runs a row, with the makers' sizes as given.
func (v vector) reference(t *testing.T, size func(maker) *big.Rat) *bought {
	t.Helper()
	own, other := ofRat(micros(t, v.PoolYes)), ofRat(micros(t, v.PoolNo))
	limit := big.NewRat(99, 100)
	if v.Outcome == engine.No {
		own, other = other, own
	}
	if v.Limit != nil {
		limit = big.NewRat(int64(v.price(t, *v.Limit)), engine.One)
	}
	if most := big.NewRat(99, 100); limit.Cmp(most) > 0 {
		limit = most
	}
	var levels []level
	for _, o := range v.side(t, opposite(v.Outcome)) {
		if q := size(o); q.Sign() > 0 {
			levels = append(levels, level{o.ID, ofRat(new(big.Rat).Sub(big.NewRat(1, 1), o.price(t))), ofRat(q)})
		}
	}
	return reference(own, other, ofRat(micros(t, v.Amount)), ofRat(limit), levels)
}

func opposite(o engine.Outcome) engine.Outcome {
	if o == engine.Yes {
		return engine.No
	}
	return engine.Yes
}

// agrees compares the reference with the row's 60 digits.
func (b *bought) agrees(t *testing.T, v vector) {
	t.Helper()
	same := func(what string, got *big.Float, want string) {
		t.Helper()
		if d := minus(got, ofRat(micros(t, want))); d.Abs(d).Cmp(big320(1e-20)) > 0 {
			t.Errorf("%s: the reference has %s %s, want %s", v.ID, what, got.Text('f', 30), want)
		}
	}
	if len(b.steps) != len(v.HP.Fills) {
		t.Fatalf("%s: the reference has %d fills, want %d", v.ID, len(b.steps), len(v.HP.Fills))
	}
	for i, f := range v.HP.Fills {
		name := ""
		if f.Order != nil {
			name = *f.Order
		}
		if b.steps[i].maker != name {
			t.Errorf("%s: the reference's fill %d is with %q, want %q", v.ID, i, b.steps[i].maker, name)
		}
	}
	same("shares", b.total().shares, v.HP.Shares)
	same("credits", b.total().amount, v.HP.Filled)
	yes, no := b.own, b.other
	if v.Outcome == engine.No {
		yes, no = no, yes
	}
	same("YES pool", yes, v.HP.PoolYes)
	same("NO pool", no, v.HP.PoolNo)
}
