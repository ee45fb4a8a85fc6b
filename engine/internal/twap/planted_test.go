package twap_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/twap"
	"github.com/mbp-market/mbp/tests/given"
)

// push is a manipulation: somebody moves a price by size and holds it there.
type push struct {
	size fixed.Price // ppm of a credit
	hold int64       // µs
}

var pushes = []push{
	{10_000, 600 * second}, {20_000, 180 * second}, {20_000, 600 * second}, {50_000, 30 * second}, {50_000, 60 * second},
	{50_000, 180 * second}, {100_000, 30 * second}, {100_000, 60 * second}, {100_000, 180 * second}, {200_000, 180 * second},
}

func (p push) String() string {
	return fmt.Sprintf("%g points, %d s", float64(p.size)/10_000, p.hold/second)
}

const (
	warm  = 1_200 * second // before a push
	after = 300 * second   // and after it
)

// carrier is a stretch of a series into which a push is planted, at its time warm.
type carrier struct {
	at    []int64
	price []fixed.Price
}

// still is a market of one price that starts so that pushes meet the windows at
// every phase.
func still(price fixed.Price) (out []carrier) {
	for phase := range int64(12) {
		out = append(out, carrier{[]int64{phase * 5 * second}, []fixed.Price{price}})
	}
	return out
}

// stretches cuts three out of each busy series of a family.
func stretches(of []*series, family string) (out []carrier) {
	for _, s := range of {
		if s.family != family || len(s.at) < 300 {
			continue
		}
		begin, end := s.at[0], s.at[len(s.at)-1]
		for i := range int64(3) {
			from := begin + (end-begin)/4*(i+1) - warm
			c := carrier{[]int64{0}, []fixed.Price{s.price[0]}}
			for j, at := range s.at {
				if at <= from {
					c.price[0] = s.price[j]
				} else {
					c.at, c.price = append(c.at, at-from), append(c.price, s.price[j])
				}
			}
			out = append(out, c)
		}
	}
	return out
}

// trips plays a carrier with a push and returns when the guard first tripped after
// its begin; the second result is false if it did not, or had before. There is a
// decision every ten seconds, since somebody who moves prices trades.
func (c carrier) trips(p twap.Params, x push) (delay int64, tripped bool) {
	var g twap.Guard
	g.Start(c.at[0], c.price[0])
	next, base := 1, c.price[0]
	for now := c.at[0] + second; now < warm+x.hold+after; now += second {
		for next < len(c.at) && c.at[next] <= now {
			base = c.price[next]
			next++
		}
		if trip := g.Observe(p, now); trip.Kind != twap.None {
			return now - warm, now > warm
		}
		price := base
		if now >= warm && now < warm+x.hold {
			price = min(price+x.size, fixed.One-1)
		}
		g.Set(now, price)
	}
	return 0, false
}

// power tells how many pushes a guard sees, of those in carriers that it leaves
// alone, and the median delay.
func power(p twap.Params, x push, in []carrier) string {
	seen, of := []int64{}, 0
	for _, c := range in {
		if delay, alone := c.trips(p, push{0, x.hold}); alone || delay != 0 {
			continue
		}
		of++
		if delay, tripped := c.trips(p, x); tripped {
			seen = append(seen, delay)
		}
	}
	switch {
	case of == 0:
		return "-"
	case len(seen) == 0:
		return "0"
	}
	slices.Sort(seen)
	return fmt.Sprintf("%.0f%% %ds", 100*float64(len(seen))/float64(of), seen[len(seen)/2]/second)
}

// TestPlantedPushes holds which manipulations each candidate sees, and how soon.
func TestPlantedPushes(t *testing.T) {
	of := realSeries(t)
	var full, brief strings.Builder
	full.WriteString("Pushes that each guard sees, and the median delay from their begin. Stretches in which it trips\nwithout a push are left out.\n")
	brief.WriteString("| guard |")
	for _, x := range pushes {
		brief.WriteString(" " + x.String() + " |")
	}
	brief.WriteString("\n|---" + strings.Repeat("|---", len(pushes)) + "|\n")
	for i, in := range []struct {
		name     string
		carriers []carrier
	}{
		{"a still market at 50 %", still(500_000)}, {"a still market at 5 %", still(50_000)}, {families[0], stretches(of, families[0])},
	} {
		fmt.Fprintf(&full, "\n%s: %d stretches\n%-48s", in.name, len(in.carriers), "")
		for _, x := range pushes {
			fmt.Fprintf(&full, " %16s", x)
		}
		full.WriteByte('\n')
		for _, c := range candidates() {
			fmt.Fprintf(&full, "%-48s", c.name)
			if i == 0 && c.brief {
				fmt.Fprintf(&brief, "| %s |", c.name)
			}
			for _, x := range pushes {
				cell := power(c.p, x, in.carriers)
				fmt.Fprintf(&full, " %16s", cell)
				if i == 0 && c.brief {
					brief.WriteString(" " + cell + " |")
				}
			}
			full.WriteByte('\n')
			if i == 0 && c.brief {
				brief.WriteByte('\n')
			}
		}
	}
	given.Golden(t, "testdata/planted.txt", full.String())
	given.Block(t, benchmarksPage, "planted", "\n"+brief.String()+"\n")
}

// Whoever moves a price of a still market by five points and holds it for three
// minutes is stopped, at whatever phase and price; whoever stays within the bound
// never is. This needs no real data.
func TestShippedGuardStopsManipulation(t *testing.T) {
	for _, price := range []fixed.Price{10_000, 50_000, 200_000, 500_000, 800_000, 940_000} {
		for _, c := range still(price) {
			if delay, ok := c.trips(shipped(), push{50_000, 180 * second}); !ok || delay > 180*second {
				t.Errorf("5 points at %d, begun at %d: tripped=%v after %d s", price, c.at[0], ok, delay/second)
			}
			if delay, ok := c.trips(shipped(), push{100_000, 30 * second}); price < 900_000 && (!ok || delay > 30*second) {
				t.Errorf("10 points for half a minute at %d, begun at %d: tripped=%v after %d s", price, c.at[0], ok, delay/second)
			}
			for _, calm := range []push{{0, 600 * second}, {10_000, 600 * second}} {
				if delay, ok := c.trips(shipped(), calm); ok {
					t.Errorf("%v at %d tripped after %d s", calm, price, delay/second)
				}
			}
		}
	}
}
