package twap_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/engine/internal/fixed"
	"github.com/mbp-market/mbp/engine/internal/twap"
	"github.com/mbp-market/mbp/tests/given"
)

// benchmarksPage shows what was measured here.
const benchmarksPage = "../../../docs/adr/ADR-003-TWAP-Benchmarks.md"

const (
	second   = 1_000_000
	hour     = 3_600 * second
	reopens  = 300 * second // a frozen market reopens by itself after that
	nearHalt = 300 * second // what counts as near a real halt
)

// tally is what a guard did to some series.
type tally struct {
	series, tripped     int // that there are, that tripped at least once
	trips, near         int // of those, near a real halt
	ticks, refused      int // changes of price, those that came while frozen
	open, frozen, close int64
}

func (a *tally) add(b tally) {
	a.series += b.series
	a.tripped += b.tripped
	a.trips += b.trips
	a.near += b.near
	a.ticks += b.ticks
	a.refused += b.refused
	a.open += b.open
	a.frozen += b.frozen
	a.close += b.close
}

// overlap is how much of from..to lies in the spans, which do not overlap.
func overlap(spans [][2]int64, from, to int64) (sum int64) {
	for _, s := range spans {
		sum += max(0, min(to, s[1])-max(from, s[0]))
	}
	return sum
}

// around returns the spans near the halts, joined.
func around(halts []int64) (spans [][2]int64) {
	for _, h := range halts {
		from, to := h-nearHalt, h+nearHalt
		if i := len(spans) - 1; i >= 0 && from <= spans[i][1] {
			spans[i][1] = to
		} else {
			spans = append(spans, [2]int64{from, to})
		}
	}
	return spans
}

// run plays a series against a guard as the engine does: it looks at every change
// of price, the one that completes a condition still executes, then the market is
// frozen. What happens meanwhile is refused, and the market reopens at the price
// that the world has by then.
func run(p twap.Params, s *series) tally {
	r := tally{series: 1, ticks: len(s.at)}
	begin, end := s.at[0], s.at[len(s.at)-1]
	spans := around(s.halts)
	r.close = overlap(spans, begin, end) // time near halts, for comparison
	var g twap.Guard
	g.Start(0, s.price[0])
	var now, lost, frozenAt int64
	frozen, waiting := false, s.price[0]
	for i := 1; i < len(s.at); i++ {
		at := s.at[i]
		if frozen {
			if at < frozenAt+reopens {
				r.refused++
				waiting = s.price[i]
				continue
			}
			frozen = false
			lost += reopens
			g.Restart(now)
			g.Set(now, waiting)
		}
		now = max(now, at-begin-overlap(s.pauses, begin, at)-lost)
		trip := g.Observe(p, now)
		g.Set(now, s.price[i])
		if trip.Kind != twap.None {
			frozen, frozenAt, waiting = true, at, s.price[i]
			r.trips++
			r.frozen += min(reopens, end-at)
			if overlap(spans, at, at+1) > 0 {
				r.near++
			}
		}
	}
	if r.trips > 0 {
		r.tripped = 1
	}
	r.open = end - begin - overlap(s.pauses, begin, end) - r.frozen
	return r
}

func all(p twap.Params, of []*series) map[string]tally {
	out := map[string]tally{}
	for _, s := range of {
		t := out[s.family]
		t.add(run(p, s))
		out[s.family] = t
	}
	return out
}

// candidate is a line of the tables.
type candidate struct {
	name  string
	p     twap.Params
	brief bool // it stands in the ADR too
}

const off = fixed.One // a bound in points that no price exceeds

const shippedName = "shipped: (a) points, 1 %, 60 s; (b) floor 2 %"

// shipped is the guard of the template as ADR-003 decides it.
func shipped() twap.Params {
	return twap.Params{Window: 60 * second, Bound: 10_000, Outliers: 3, Floor: 20_000}
}

func percent(v int64) string { return fmt.Sprintf("%g %%", float64(v)/10_000) }

func candidates() (out []candidate) {
	for _, relative := range []bool{true, false} {
		measure := "points"
		if relative {
			measure = "relative"
		}
		for _, window := range []int64{60, 300} {
			for _, bound := range []int64{5_000, 10_000, 20_000, 50_000, 100_000} {
				out = append(out, candidate{
					fmt.Sprintf("(a) %s, %s, %d s", measure, percent(bound), window),
					twap.Params{Window: window * second, Bound: bound, Relative: relative}, window == 60 || bound == 10_000,
				})
			}
		}
	}
	for _, floor := range []int64{1_000, 5_000, 10_000, 20_000, 50_000, 100_000} {
		out = append(out, candidate{"(b) alone, floor " + percent(floor), twap.Params{Window: 60 * second, Bound: off, Outliers: 3, Floor: floor}, true})
	}
	return append(out,
		candidate{shippedName, shipped(), true},
		candidate{"volatile: (a) points, 10 %, 60 s; (b) floor 5 %", twap.Params{Window: 60 * second, Bound: 100_000, Outliers: 3, Floor: 50_000}, true},
	)
}

func share(a, b int64) string {
	if b == 0 {
		return "-"
	}
	return fmt.Sprintf("%.1f", 100*float64(a)/float64(b))
}

func hourly(t tally) string {
	if t.open <= 0 {
		return "-"
	}
	return fmt.Sprintf("%.3f", float64(t.trips)*float64(hour)/float64(t.open))
}

// TestTripRatesOnRealPrices holds how often each candidate stops real markets, and
// what of it costs them. The tables are written by MBP_REWRITE=1.
func TestTripRatesOnRealPrices(t *testing.T) {
	of := realSeries(t)
	var full, brief strings.Builder
	results := map[string]map[string]tally{}
	for _, c := range candidates() {
		results[c.name] = all(c.p, of)
	}
	full.WriteString("What each guard would have done to real prices; a frozen market reopens after 5 minutes.\n" +
		"refused: changes of price that came while frozen, % of all; frozen: % of the time;\n" +
		"near: trips within 5 minutes of a real halt, the off or the end, % of all.\n")
	for _, f := range families {
		t := results[candidates()[0].name][f]
		fmt.Fprintf(&full, "\n%s: %d series, %d changes of price, %.0f h", f, t.series, t.ticks, float64(t.open+t.frozen)/hour)
		if t.close > 0 {
			fmt.Fprintf(&full, ", %s %% of it near a real halt", share(t.close, t.open+t.frozen))
		}
		fmt.Fprintf(&full, "\n%-48s %7s %8s %10s %9s %8s %6s\n", "", "trips", "series", "per hour", "refused", "frozen", "near")
		for _, c := range candidates() {
			r := results[c.name][f]
			near := "-"
			if r.close > 0 {
				near = share(int64(r.near), int64(r.trips))
			}
			fmt.Fprintf(&full, "%-48s %7d %8d %10s %9s %8s %6s\n", c.name, r.trips, r.tripped, hourly(r),
				share(int64(r.refused), int64(r.ticks)), share(r.frozen, r.open+r.frozen), near)
		}
	}
	given.Golden(t, "testdata/trips.txt", full.String())
	moving := families[:7] // the others never trip a guard that may be chosen
	moving = append(moving[:5:5], moving[6])
	brief.WriteString("| guard | " + strings.Join(moving, " | ") + " |\n|---" + strings.Repeat("|---", len(moving)) + "|\n")
	for _, c := range candidates() {
		if !c.brief {
			continue
		}
		fmt.Fprintf(&brief, "| %s |", c.name)
		for _, f := range moving {
			r := results[c.name][f]
			fmt.Fprintf(&brief, " %s · %s · %s |", hourly(r), share(int64(r.refused), int64(r.ticks)), share(r.frozen, r.open+r.frozen))
		}
		brief.WriteByte('\n')
	}
	given.Block(t, benchmarksPage, "trips", "\n"+brief.String()+"\n")
	for _, f := range families[7:] {
		if r := results[shippedName][f]; r.trips != 0 || r.ticks == 0 {
			t.Errorf("a quiet market, %s, tripped %d times on %d changes", f, r.trips, r.ticks)
		}
	}
}
