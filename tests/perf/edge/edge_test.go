package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/tests/perf/bounds"
)

// judged runs the command and returns the limits and the figures by name.
func judged(t *testing.T, args ...string) (all map[string]bounds.Judged, figures map[string]float64) {
	t.Helper()
	dir := t.TempDir()
	said, err := os.Create(filepath.Join(dir, "said")) // a file: the servers write to it, too
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	var out bytes.Buffer
	if code := run(t.Context(), append([]string{"--json", "--dir", dir}, args...), &out, said); code == 2 {
		why, err := os.ReadFile(said.Name())
		t.Fatalf("it did not run: %s (%v)", why, err)
	}
	all, figures = map[string]bounds.Judged{}, map[string]float64{}
	for l := range strings.Lines(out.String()) {
		var j struct {
			bounds.Judged
			Median float64 // of a figure
		}
		if err := json.Unmarshal([]byte(l), &j); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		if j.Op != "" { // a limit, and not a figure
			all[j.Name] = j.Judged
		} else {
			figures[j.Metric] = j.Median
		}
	}
	return all, figures
}

// TestUnderStress takes each measure for a moment, with real servers, and whatever the
// time it takes: so many orders are admitted and every other one is told when to come
// again; nobody misses an event or gets one twice, over lost connections and restarts;
// everybody in a crowd is told of everything.
func TestUnderStress(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and starts servers")
	}
	dir := t.TempDir()
	bin, err := build(t.Context(), dir, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	for args, passes := range map[string]string{
		"overload --time 400ms --admit 200 --over 4":  "all_right each_right",
		"streams --cuts 60 --subscribers 21 --seed 7": "streams_missing streams_extra streams_restarts streams_told streams_met",
		"crowd --subscribers 40 --time 400ms":         "crowd_told burst_told",
		"apart --subscribers 40 --time 400ms":         "apart_told apart_burst_told",
	} {
		t.Run(args, func(t *testing.T) {
			t.Parallel()
			all, figures := judged(t, append(strings.Fields(args), "--bin", bin)...)
			for name, j := range all {
				if j.State == bounds.NotRun {
					t.Errorf("%s was not measured", name)
				}
			}
			for name := range strings.FieldsSeq(passes) {
				if all[name].State != bounds.Pass {
					t.Errorf("%+v", all[name])
				}
			}
			if j, is := all["all_accepted_rate"]; is && (j.Value < 100 || j.Value > 400) { // the burst, and the rate
				t.Errorf("%v of 200 a second are admitted", j.Value)
			}
			for _, name := range []string{"overload.all.arrivals", "overload.each.arrivals"} {
				if share, is := figures[name]; is && share != 1 && runtime.GOOS == "linux" {
					t.Errorf("%s is %v: the kernel stamps every segment", name, share)
				}
			}
		})
	}
}

func TestCompare(t *testing.T) {
	own := func(n int) uint64 { return uint64(n) }
	for _, c := range []struct {
		got            []int
		missing, extra int
	}{
		{[]int{3, 4, 5, 6}, 0, 0},
		{[]int{3, 4, 5, 6, 7, 8}, 0, 0}, // it came after the last one that is looked at
		{[]int{3, 5, 6}, 1, 0},
		{[]int{4, 5, 6}, 1, 0},
		{[]int{3, 4, 5}, 1, 0},
		{[]int{3, 4, 4, 5, 6}, 0, 1},
		{[]int{2, 3, 4, 5, 6}, 0, 1}, // the snapshot told it
		{[]int{3, 5, 4, 6}, 1, 1},
		{nil, 4, 0},
	} {
		if missing, extra := compare([]int{1, 2, 3, 4, 5, 6}, c.got, own, 2); missing != c.missing || extra != c.extra {
			t.Errorf("%v: %d missing and %d extra", c.got, missing, extra)
		}
	}
}

func TestLateness(t *testing.T) {
	now := time.Date(2026, 3, 1, 13, 0, 0, 500_000_000, time.UTC)
	for text, want := range map[string]time.Duration{
		`data: {"decided_at":"2026-03-01T13:00:00.250000Z"}`: 250 * time.Millisecond,
		`data: {"decided_at":"2026-03-01T12:59:59.999999Z"}`: 500_001 * time.Microsecond, // another hour
	} {
		if got, ok := lateness([]byte(text+"\n"), now); !ok || got != want {
			t.Errorf("%s: %s, %v", text, got, ok)
		}
	}
	for _, text := range []string{"data: {}\n", `data: {"decided_at":"2026-03-01T13:0x:00.250000Z"}` + "\n"} {
		if _, ok := lateness([]byte(text), now); ok {
			t.Errorf("%q has a time", text)
		}
	}
}

func TestRecovered(t *testing.T) {
	var after []answered
	for i := range 400 { // for a second each answer takes 100 ms, then 1
		a := answered{at: time.Duration(i) * 10 * time.Millisecond, took: time.Millisecond, status: 201}
		if i < 100 {
			a.took = 100 * time.Millisecond
		}
		after = append(after, a)
	}
	if got := recovered(after, 1); got != time.Second {
		t.Errorf("recovered after %s", got)
	}
	if got := recovered(after[100:], 1); got != slice { // nothing came in the first second
		t.Errorf("recovered after %s", got)
	}
	if got := recovered(after, 100); got != 0 {
		t.Errorf("it was never worse, and recovered after %s", got)
	}
}

func TestCount(t *testing.T) {
	s := count([]answered{{status: 201, took: 2}, {status: 429, took: 20 * time.Millisecond, retry: true}, {status: 429, took: 21 * time.Millisecond}, {status: 500}, {status: 201, took: 1}})
	if len(s.accepted) != 2 || s.accepted[0] != 1 || len(s.refused) != 2 || s.silent != 1 || s.strange != 1 {
		t.Errorf("%+v", s)
	}
	if got := share(s.refused, 20*time.Millisecond); got != 0.5 {
		t.Errorf("%v within 20 ms", got)
	}
}

func TestUnseen(t *testing.T) {
	sent := time.Now()
	seen := sent.Add(50 * time.Millisecond)
	wall := func(after time.Duration) time.Time { return sent.Round(0).Add(after) }
	for _, c := range []struct {
		arrived time.Time
		lay     time.Duration
		known   bool
	}{
		{wall(20 * time.Millisecond), 30 * time.Millisecond, true},
		{wall(50 * time.Millisecond), 0, true},
		{wall(0), 50 * time.Millisecond, true},
		{wall(-1), 0, false},                      // the clock was set forward
		{wall(50*time.Millisecond + 1), 0, false}, // and back
		{time.Time{}, 0, false},
	} {
		if lay, known := unseen(sent, seen, c.arrived); lay != c.lay || known != c.known {
			t.Errorf("%s: %s, %v", c.arrived, lay, known)
		}
	}
}

func TestFlags(t *testing.T) {
	for _, bad := range []string{"--time 1ms", "--admit 1", "--over 1", "--cuts 0", "--subscribers 1", "flood", "--what"} {
		if _, _, err := parse(strings.Fields(bad), io.Discard); err == nil || errors.Is(err, flag.ErrHelp) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if code := run(t.Context(), []string{"--help"}, io.Discard, io.Discard); code != 0 {
		t.Errorf("--help ends with %d", code)
	}
	o, which, err := parse(strings.Fields("--json overload --over 3"), io.Discard)
	if err != nil || !o.json || o.over != 3 || len(which) != 1 {
		t.Errorf("%+v %v %v", o, which, err)
	}
}
