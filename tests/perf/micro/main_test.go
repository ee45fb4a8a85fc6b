package main

import (
	"bytes"
	"strings"
	"testing"
)

const sample = `goos: linux
BenchmarkDecideEvolve-2                    30000     700.4 ns/op       0 B/op       0 allocs/op
BenchmarkDecideEvolve-2                    30000     699.9 ns/op       0 B/op       0 allocs/op
BenchmarkDecideEvolve-2                    30000     10.0 ns/op        0 B/op       3 allocs/op
BenchmarkSweep/resting=1000-2              30000     87490 ns/op     874.9 ns/order   12618 B/op   112 allocs/op
`

// TestJudge: the median counts, what is above a limit fails, what did not run
// does not pass.
func TestJudge(t *testing.T) {
	limits := []limit{
		{Name: "median", Package: "p", Benchmark: "BenchmarkDecideEvolve", OuterNs: 1e6, LimitNs: 700},
		{Name: "slow", Package: "p", Benchmark: "BenchmarkDecideEvolve", OuterNs: 1e6, LimitNs: 699},
		{Name: "allocates", Package: "p", Benchmark: "BenchmarkSweep/resting=1000", OuterNs: 1e6, LimitNs: 1e6, MaxAllocs: 111},
		{Name: "absent", Package: "p", Benchmark: "BenchmarkNone", OuterNs: 1e6, LimitNs: 1e6},
	}
	runs := map[string][]result{}
	for name, rs := range parse(sample) {
		runs["p "+name] = rs
	}
	all := judge(limits, runs)
	got := ""
	for i := range all {
		got += all[i].Name + "=" + all[i].State + " "
	}
	if want := "median=PASS slow=FAIL allocates=FAIL absent=NOT_RUN "; got != want {
		t.Errorf("judged %s, want %s", got, want)
	}
	if code := report(all, true, &bytes.Buffer{}); code != 1 {
		t.Errorf("exit code %d", code)
	}
	if code := report(all[:1], false, &bytes.Buffer{}); code != 0 {
		t.Errorf("exit code %d of one that passes", code)
	}
}

// TestLimits: for the four that the acceptance names, ours is at least 800 times
// tighter.
func TestLimits(t *testing.T) {
	limits, err := readLimits(limitsCSV)
	if err != nil {
		t.Fatal(err)
	}
	outer := map[string]float64{"match_core": 1.2e6, "route_fast": 0.7e6, "twap_update": 0.45e6, "decide_evolve": 1.2e6}
	for _, l := range limits {
		if want, named := outer[l.Name]; named {
			if l.OuterNs != want || l.LimitNs*800 > l.OuterNs {
				t.Errorf("%s: %v ns of %v", l.Name, l.LimitNs, l.OuterNs)
			}
			delete(outer, l.Name)
		}
	}
	if len(outer) != 0 {
		t.Errorf("no limits for %v", outer)
	}
	for _, bad := range []string{"a,p,B,1,2,0,w", "a,p,B,x,2,0,w"} {
		if _, err := readLimits("head,,,,,,\n" + bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
	if !strings.Contains(limitsCSV, "BenchmarkSell64") {
		t.Error("the pool of 64 outcomes has no limit")
	}
}
