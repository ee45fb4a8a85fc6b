package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/tests/perf/bounds"
)

// judged runs the command and returns the limits by name.
func judged(t *testing.T, args ...string) map[string]bounds.Judged {
	t.Helper()
	var out, said bytes.Buffer
	code := run(t.Context(), append([]string{"--json", "--dir", t.TempDir()}, args...), &out, &said)
	if code == 2 {
		t.Fatalf("it did not run: %s", said.String())
	}
	all := map[string]bounds.Judged{}
	for l := range strings.Lines(out.String()) {
		var j bounds.Judged
		if err := json.Unmarshal([]byte(l), &j); err != nil {
			t.Fatalf("%q: %v", l, err)
		}
		if j.Op != "" { // a limit, and not a metric
			all[j.Name] = j
		}
	}
	return all
}

// TestOverloadIsRefusedRight: a short flood of a real server, whatever the time it
// takes: so many are admitted, and every other one is told when to come again.
func TestOverloadIsRefusedRight(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds and starts servers")
	}
	all := judged(t, "overload", "--time", "400ms", "--admit", "200", "--over", "4")
	for name, j := range all {
		if j.State == bounds.NotRun {
			t.Errorf("%s was not measured", name)
		}
	}
	for _, name := range []string{"all_right", "each_right"} {
		if all[name].State != bounds.Pass {
			t.Errorf("%+v", all[name])
		}
	}
	if rate := all["all_accepted_rate"].Value; rate < 100 || rate > 400 { // the burst, and the rate
		t.Errorf("%v of 200 a second are admitted", rate)
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

func TestFlags(t *testing.T) {
	for _, bad := range []string{"--time 1ms", "--admit 1", "--over 1", "flood", "--what"} {
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
