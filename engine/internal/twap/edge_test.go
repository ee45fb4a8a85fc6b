package twap_test

import (
	"bytes"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/twap"
)

// played is a still market at 50 % for half an hour, then one price a minute; it
// returns the trip at the end of the last.
func played(p twap.Params, prices ...fixed.Price) (t twap.Trip) {
	var g twap.Guard
	g.Start(0, 500_000)
	now := int64(1_800 * second)
	if t = g.Observe(p, now); t.Kind != twap.None {
		return t
	}
	for _, price := range prices {
		g.Set(now, price)
		now += 60 * second
		t = g.Observe(p, now)
	}
	return t
}

// The bound itself does not trip, in two windows neither; one part in a million
// more does. After a minute at +b the average has moved by b/5.
func TestBoundIsStrict(t *testing.T) {
	points := twap.Params{Window: 60 * second, Bound: 10_000}
	relative := points
	relative.Relative = true
	for _, c := range []struct {
		p             twap.Params
		first, second fixed.Price
		want          twap.Trip
	}{
		{points, 510_000, 512_000, twap.Trip{}},
		{points, 510_000, 512_001, twap.Trip{}},
		{points, 510_005, 512_001, twap.Trip{}},
		{points, 510_005, 512_002, twap.Trip{Kind: twap.Divergence, Observed: 10_001, Bound: 10_000, Mean: 512_002, TWAP: 502_001}},
		{points, 489_995, 487_998, twap.Trip{Kind: twap.Divergence, Observed: 10_001, Bound: 10_000, Mean: 487_998, TWAP: 497_999}},
		{relative, 505_000, 506_010, twap.Trip{}},
		{relative, 505_005, 506_011, twap.Trip{}},
		{relative, 505_005, 506_012, twap.Trip{Kind: twap.Divergence, Observed: 10_002, Bound: 10_000, Mean: 506_012, TWAP: 501_001}},
	} {
		if got := played(c.p, c.first, c.second); got != c.want {
			t.Errorf("%d then %d, relative=%v: %+v, want %+v", c.first, c.second, c.p.Relative, got, c.want)
		}
	}
}

// Two windows must diverge in a row.
func TestOneWindowIsNotEnough(t *testing.T) {
	p := twap.Params{Window: 60 * second, Bound: 10_000}
	if got := played(p, 900_000); got.Kind != twap.None {
		t.Errorf("one window tripped: %+v", got)
	}
	if got := played(p, 512_500, 502_500, 512_500); got.Kind != twap.None {
		t.Errorf("two windows with one between tripped: %+v", got)
	}
}

// 322/125 of the floor is the band of a still market.
func TestBandIsStrict(t *testing.T) {
	p := twap.Params{Window: 60 * second, Bound: off, Outliers: 1, Floor: 1_250}
	for price, want := range map[fixed.Price]twap.Trip{
		503_220: {}, 496_780: {},
		503_221: {Kind: twap.Band, Observed: 3_221, Bound: 3_220, Mean: 503_221, TWAP: 500_000},
		496_779: {Kind: twap.Band, Observed: 3_221, Bound: 3_220, Mean: 496_779, TWAP: 500_000},
	} {
		if got := played(p, price); got != want {
			t.Errorf("%d: %+v, want %+v", price, got, want)
		}
	}
}

// A market starts at the price that it has when its first moment is over.
func TestStartingPrice(t *testing.T) {
	p := twap.Params{Window: 10 * second, Bound: 1, Outliers: 1}
	var g, plain twap.Guard
	g.Start(0, 1)
	g.Set(0, 700_000)
	plain.Start(0, 700_000)
	if !bytes.Equal(g.Append(nil), plain.Append(nil)) {
		t.Error("a price that never was left something behind")
	}
	if trip := g.Observe(p, 900*second); trip.Kind != twap.None {
		t.Errorf("a market of one price tripped: %+v", trip)
	}
}

// A time before one that was seen counts as the latest seen.
func TestTimeDoesNotRunBackwards(t *testing.T) {
	p := shipped()
	var a, b twap.Guard
	for _, g := range []*twap.Guard{&a, &b} {
		g.Start(0, 500_000)
		g.Observe(p, 100*second)
	}
	a.Set(95*second, 600_000)
	b.Set(100*second, 600_000)
	if !bytes.Equal(a.Append(nil), b.Append(nil)) {
		t.Error("a price was set in a slot that is closed")
	}
	a.Observe(p, 40*second)
	a.Restart(40 * second)
	b.Restart(100 * second)
	if !bytes.Equal(a.Append(nil), b.Append(nil)) {
		t.Error("an earlier time moved the guard")
	}
	a.Set(130*second, 700_000)
	a.Observe(p, 1_000*second)
	for _, now := range []int64{0, 140 * second, 999 * second} {
		if got, want := a.Mean(now, 900), a.Mean(1_000*second, 900); got != want {
			t.Errorf("the mean at %d s is %d, the latest is %d", now/second, got, want)
		}
	}
}

// Without a window nothing is judged, and the averages go on.
func TestWithoutWindow(t *testing.T) {
	var g twap.Guard
	g.Start(0, 100_000)
	for now := int64(0); now < 1_800*second; now += 7 * second {
		if trip := g.Observe(twap.Params{Bound: 1, Outliers: 1}, now); trip.Kind != twap.None {
			t.Fatalf("%+v", trip)
		}
		g.Set(now, fixed.Price(1+now%999_999))
	}
	g.Set(1_800*second, 400_000)
	if got := g.Mean(2_400*second, 300); got != 400_000 {
		t.Errorf("mean %d", got)
	}
}

// Ten samples make a band; a market's first slot is not one of them.
func TestFirstSamplesArm(t *testing.T) {
	p := twap.Params{Window: 60 * second, Bound: off, Outliers: 1, Floor: 1_000}
	for jump, want := range map[int64]uint8{100 * second: twap.None, 110 * second: twap.Band} {
		var g twap.Guard
		g.Start(0, 500_000)
		g.Observe(p, jump)
		g.Set(jump, 600_000)
		if got := g.Observe(p, jump+10*second); got.Kind != want {
			t.Errorf("a jump after %d s: %+v, want kind %d", jump/second, got, want)
		}
	}
}

// A row of samples outside ends when the average has caught up. Without a floor,
// one microsecond at another price is outside for as long as the average holds it.
func TestRowEndsAtRest(t *testing.T) {
	p := twap.Params{Window: 60 * second, Bound: off, Outliers: 3}
	var g twap.Guard
	g.Start(0, 500_000)
	g.Observe(p, 1_800*second-1)
	g.Set(1_800*second-1, 500_001)
	g.Observe(p, 1_800*second)
	g.Set(1_800*second, 500_000)
	if got := g.Observe(p, 2_400*second); got.Kind != twap.Band {
		t.Errorf("the microsecond was overlooked: %+v", got)
	}
	g.Set(2_400*second, 600_000)
	if got := g.Observe(p, 2_420*second); got.Kind != twap.None {
		t.Errorf("two samples made a row of three: %+v", got)
	}
	if got := g.Observe(p, 2_430*second); got.Kind != twap.Band {
		t.Errorf("three samples made none: %+v", got)
	}
}
