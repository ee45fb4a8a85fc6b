package twap_test

import (
	"bytes"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

const slot = twap.SlotMicros

// naive is the guard as the rules state it: the whole history of prices, rational
// numbers, and conditions that look back from an edge. It keeps no sums.
type naive struct {
	p        twap.Params
	times    []int64 // of changes, the first is the start
	prices   []fixed.Price
	anchors  []int64 // times at which windows began afresh
	variance []*big.Int
	still    []int
	first    int64 // edge of the first variance; one follows at each
	seen     int64 // last edge observed
}

func newNaive(p twap.Params, now int64, price fixed.Price) *naive {
	return &naive{p: p, times: []int64{now}, prices: []fixed.Price{price}, anchors: []int64{now}, seen: now / slot}
}

// mean is the time-weighted price over [from, to), or the opening price if that is
// empty.
func (n *naive) mean(from, to int64) *big.Rat {
	from = max(from, n.times[0])
	if to <= from {
		return big.NewRat(int64(n.prices[0]), 1)
	}
	sum := new(big.Int)
	for i, at := range n.times {
		end := to
		if i+1 < len(n.times) {
			end = min(n.times[i+1], to)
		}
		if begin := max(at, from); end > begin {
			sum.Add(sum, new(big.Int).Mul(big.NewInt(int64(n.prices[i])), big.NewInt(end-begin)))
		}
	}
	return new(big.Rat).SetFrac(sum, big.NewInt(to-from))
}

func (n *naive) average(e int64) *big.Rat { return n.mean((e-30)*slot, e*slot) }

func (n *naive) sample(e int64) *big.Rat { return n.mean((e-1)*slot, e*slot) }

func distance(a, b *big.Rat) *big.Rat { d := new(big.Rat).Sub(a, b); return d.Abs(d) }

func floor(r *big.Rat) *big.Int { return new(big.Int).Quo(r.Num(), r.Denom()) }

func ceil(r *big.Rat) int64 {
	q, m := new(big.Int).QuoRem(r.Num(), r.Denom(), new(big.Int))
	if m.Sign() > 0 {
		q.Add(q, big.NewInt(1))
	}
	return q.Int64()
}

// learn extends the variances to edge e.
func (n *naive) learn(e int64) {
	for next := n.seen + 1; next <= e; next++ {
		n.seen = next
		if (next-1)*slot <= n.times[0] {
			continue
		}
		v, still := new(big.Int), 0
		if i := len(n.variance); i > 0 {
			v.Set(n.variance[i-1])
			still = n.still[i-1]
		}
		d := distance(n.sample(next), n.average(next-1))
		if still++; d.Sign() != 0 {
			still = 0
		}
		if still >= 90 {
			v.SetInt64(0)
		} else {
			q := floor(new(big.Rat).Mul(d, big.NewRat(1024, 1)))
			q.Mul(q, q).Sub(q, v).Mul(q, big.NewInt(2)).Quo(q, big.NewInt(91))
			v.Add(v, q)
		}
		if len(n.variance) == 0 {
			n.first = next
		}
		n.variance, n.still = append(n.variance, v), append(n.still, still)
	}
}

// anchor is the edge from which windows and samples counted at edge e.
func (n *naive) anchor(e int64) int64 {
	first := n.anchors[0]
	for _, a := range n.anchors {
		if a <= e*slot {
			first = a
		}
	}
	return (first + slot - 1) / slot
}

// diverges says whether the window that ends at edge e does.
func (n *naive) diverges(e int64) (observed, mean, ref *big.Rat, over bool) {
	w := n.p.Window / slot
	mean, ref = n.mean((e-w)*slot, e*slot), n.average(e-w)
	observed = distance(mean, ref)
	if n.p.Relative {
		observed.Quo(observed, ref).Mul(observed, big.NewRat(fixed.One, 1))
	}
	return observed, mean, ref, observed.Cmp(big.NewRat(n.p.Bound, 1)) > 0
}

// outside says whether the sample that ends at edge e is outside the band that the
// variance before it draws.
func (n *naive) outside(e int64) bool {
	if len(n.variance) == 0 || e-n.first < 10 {
		return false
	}
	before := e - 1 - n.first // index of the variance before it
	v := new(big.Rat).SetFrac(n.variance[before], big.NewInt(1<<20))
	if least := big.NewRat(n.p.Floor*n.p.Floor, 1); v.Cmp(least) < 0 {
		v = least
	}
	d := distance(n.sample(e), n.average(e-1))
	d.Mul(d, d)
	band := big.NewRat(2576*2576, 1_000_000)
	return d.Cmp(band.Mul(band, v)) > 0
}

// complete is the trip whose condition holds at edge e.
func (n *naive) complete(e int64) twap.Trip {
	w, first := n.p.Window/slot, n.anchor(e)
	if since := e - first; since >= 2*w && since%w == 0 {
		observed, mean, ref, over := n.diverges(e)
		if _, _, _, before := n.diverges(e - w); over && before {
			return twap.Trip{
				Kind: twap.Divergence, Observed: ceil(observed), Bound: n.p.Bound,
				Mean: fixed.Price(floor(mean).Int64()), TWAP: fixed.Price(floor(ref).Int64()),
			}
		}
	}
	if n.p.Outliers == 0 || e-first < n.p.Outliers {
		return twap.Trip{}
	}
	for i := range n.p.Outliers {
		if !n.outside(e - i) {
			return twap.Trip{}
		}
	}
	ref := n.average(e - 1)
	return twap.Trip{
		Kind: twap.Band, Observed: ceil(distance(n.sample(e), ref)),
		Mean: fixed.Price(floor(n.sample(e)).Int64()), TWAP: fixed.Price(floor(ref).Int64()),
	}
}

// observe returns the first trip at an edge after the last look.
func (n *naive) observe(now int64) twap.Trip {
	var first twap.Trip
	for e := n.seen + 1; e <= now/slot; e++ {
		n.learn(e)
		if first.Kind == twap.None {
			first = n.complete(e)
		}
	}
	return first
}

func (n *naive) set(now int64, price fixed.Price) {
	if now == n.times[0] {
		*n = *newNaive(n.p, now, price)
		return
	}
	if now/slot > n.seen {
		n.restart(now)
	}
	n.times, n.prices = append(n.times, now), append(n.prices, price)
}

func (n *naive) restart(now int64) {
	n.learn(now / slot)
	n.anchors = append(n.anchors, now)
}

// draw gives an integer in lo..hi.
type draw func(lo, hi int64) int64

func (d draw) params() twap.Params {
	return twap.Params{
		Window: []int64{1, 3, 6, 30, 90}[d(0, 4)] * slot, Bound: []int64{1, 5_000, 10_000, 50_000, 1_000_000}[d(0, 4)],
		Relative: d(0, 1) == 1, Outliers: []int64{0, 1, 3, 7}[d(0, 3)], Floor: []int64{0, 1, 3_000, 20_000}[d(0, 3)],
	}
}

// wait mixes steps within a slot, to its very edge, of some slots, and idle times.
func (d draw) wait(now int64) int64 {
	switch d(0, 9) {
	case 0:
		return 0
	case 1:
		return slot - now%slot
	case 2, 3:
		return d(1, slot)
	case 9:
		return d(0, 500) * slot
	}
	return d(0, 8*slot)
}

// price mixes small moves, large ones, and back to where it was.
func (d draw) price(last fixed.Price) fixed.Price {
	switch d(0, 5) {
	case 0:
		return fixed.Price(d(1, 999_999))
	case 1:
		return last
	case 2:
		return min(max(last+fixed.Price(d(-1, 1)), 1), 999_999)
	}
	return min(max(last+fixed.Price(d(-30_000, 30_000)), 1), 999_999)
}

// failer is a test of either kind.
type failer interface {
	Helper()
	Fatalf(format string, args ...any)
}

// drive runs one history through the guard, through a second one that is looked at
// more often, and through the naive one.
func drive(t failer, d draw, steps int64, hits *[3]int) {
	t.Helper()
	p := d.params()
	now := d(0, 3*slot)
	if d(0, 3) == 0 {
		now = d(0, 1<<50)
	}
	price := fixed.Price(d(1, 999_999))
	var g, often twap.Guard
	g.Start(now, price)
	often.Start(now, price)
	n := newNaive(p, now, price)
	for range steps {
		if now/slot-n.times[0]/slot > 3_000 {
			return // the naive guard is slow
		}
		before := now
		now += d.wait(now)
		op := d(0, 15)
		if op != 1 {
			look := before + (now-before)/3
			often.Peek(p, look)
			often.Observe(p, look)
			often.Observe(p, look+(now-before)/3)
			often.Observe(p, now)
			peeked, had := g.Peek(p, now), g
			if g != had {
				t.Fatalf("Peek changed the guard")
			}
			got, want := g.Observe(p, now), n.observe(now)
			hits[got.Kind]++
			if got != peeked {
				t.Fatalf("at %d: Peek said %+v, Observe %+v", now, peeked, got)
			}
			if got.Kind == twap.Band {
				if got.Bound >= got.Observed {
					t.Fatalf("at %d: %+v is not over its bound", now, got)
				}
				want.Bound = got.Bound
			}
			if got != want {
				t.Fatalf("at %d with %+v:\n got %+v\nwant %+v", now, p, got, want)
			}
			if again := g.Observe(p, now); again.Kind != twap.None {
				t.Fatalf("at %d: told twice: %+v", now, again)
			}
		}
		switch op {
		case 0:
			g.Restart(now)
			often.Restart(now)
			n.restart(now)
		default:
			price = d.price(price)
			g.Set(now, price)
			often.Set(now, price)
			n.set(now, price)
		}
		if a, b := g.Append(nil), often.Append(nil); !bytes.Equal(a, b) {
			t.Fatalf("at %d: looking more often left another state\n%x\n%x", now, a, b)
		}
		for _, s := range []int64{60, 300, 900} {
			want := n.mean((now-s*1_000_000)/slot*slot, now)
			if got := g.Mean(now, s); int64(got) != floor(want).Int64() {
				t.Fatalf("at %d: mean over %d s is %d, want %v", now, s, got, want)
			}
		}
	}
}

// Whatever the history, the guard says that a condition is complete at the first
// look at or after it is, and never otherwise.
func TestGuardAgainstTheRules(t *testing.T) {
	var hits [3]int
	rapid.Check(t, func(t *rapid.T) {
		drive(t, func(lo, hi int64) int64 { return rapid.Int64Range(lo, hi).Draw(t, "n") }, 60, &hits)
	})
	if hits[twap.None] == 0 || hits[twap.Divergence] == 0 || hits[twap.Band] == 0 {
		t.Errorf("of the verdicts some never came: %v", hits)
	}
	t.Logf("none %d, divergence %d, band %d", hits[0], hits[1], hits[2])
}

// FuzzGuard is the same over arbitrary bytes.
func FuzzGuard(f *testing.F) {
	f.Add([]byte("\x01\x01\x00\x02\x01\x00\x00\x10\x00"))
	f.Add(bytes.Repeat([]byte{5, 200, 30, 7, 9, 1, 80}, 90))
	f.Add(bytes.Repeat([]byte{9, 255, 1, 0, 3, 3, 77, 4}, 60))
	f.Fuzz(func(t *testing.T, data []byte) {
		d := func(lo, hi int64) int64 {
			var v uint64
			for range 3 {
				if len(data) > 0 {
					v, data = v<<8|uint64(data[0]), data[1:]
				}
			}
			if hi-lo < 1<<24 {
				return lo + int64(v%uint64(hi-lo+1))
			}
			return lo + int64(v)*((hi-lo)>>24)
		}
		steps := min(int64(len(data)/6), 60)
		drive(t, d, steps, new([3]int))
	})
}
