package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// script is a suite that runs a line of shell.
func script(name, line string, gate bool) suite {
	return suite{name: name, argv: []string{"sh", "-c", line}, gate: gate}
}

// runIn runs the suites in a folder with the given budget and returns what was
// printed.
func runIn(t *testing.T, budget string, suites ...suite) (string, error) {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "ci"), 0o750); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ci", "budget.tsv"), []byte(budget), 0o600); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	err := run(t.Context(), dir, suites, &out, &out)
	return out.String(), err
}

func lastLine(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return lines[len(lines)-1]
}

func TestRunReportsEverySuite(t *testing.T) {
	for name, c := range map[string]struct {
		budget string
		suites []suite
		last   string
		fails  bool
		says   string
	}{
		"all pass": {
			"a\t60\t60\nb\t60\t60\ntotal\t60\t60\n",
			[]suite{script("a", "echo live", true), script("b", "true", false)},
			"2 passed, 0 failed", false, "live",
		},
		"a failure does not hide the next suite": {
			"a\t60\t60\nb\t60\t60\ntotal\t60\t60\n",
			[]suite{script("a", "exit 3", false), script("b", "echo second", false)},
			"1 passed, 1 failed", true, "second",
		},
		"a failed gate blocks the rest": {
			"a\t60\t60\nb\t60\t60\ntotal\t60\t60\n",
			[]suite{script("a", "exit 3", true), script("b", "echo second", false)},
			"0 passed, 2 failed", true, "not run: a failed",
		},
		"over budget fails": {
			"a\t1\t1\ntotal\t60\t60\n",
			[]suite{script("a", "sleep 1.1", false)},
			"0 passed, 1 failed", true, "over budget",
		},
		"a suite that hangs is ended": {
			"a\t1\t1\ntotal\t60\t60\n",
			[]suite{script("a", "sleep 600", false)},
			"0 passed, 1 failed", true, "times its budget",
		},
		"the total is bounded too": {
			"a\t60\t60\ntotal\t1\t1\n",
			[]suite{script("a", "sleep 1.1", false)},
			"1 passed, 1 failed", true, "total",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := runIn(t, c.budget, c.suites...)
			if errors.Is(err, errFailed) != c.fails {
				t.Errorf("err = %v, want failure %v", err, c.fails)
			}
			if lastLine(out) != c.last || !strings.Contains(out, c.says) {
				t.Errorf("want %q and last line %q in:\n%s", c.says, c.last, out)
			}
		})
	}
}

func TestBudgetNamesEverySuiteOnce(t *testing.T) {
	two := []suite{{name: "a"}, {name: "b"}}
	for name, budget := range map[string]string{
		"missing suite": "a\t1\t1\ntotal\t1\t1\n",
		"missing total": "a\t1\t1\nb\t1\t1\n",
		"unknown suite": "a\t1\t1\nb\t1\t1\nc\t1\t1\ntotal\t1\t1\n",
		"doubled suite": "a\t1\t1\nb\t1\t1\nb\t2\t2\ntotal\t1\t1\n",
		"zero bound":    "a\t1\t0\nb\t1\t1\ntotal\t1\t1\n",
		"spaces":        "a 1 1\nb\t1\t1\ntotal\t1\t1\n",
	} {
		if _, err := readBudget(strings.NewReader(budget), two, false); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

// TestCommittedBudget holds the file to the promises made about CI: 45 minutes
// cold, 20 warm, 8 for the smoke gate.
func TestCommittedBudget(t *testing.T) {
	for cold, total := range map[bool]time.Duration{true: 45 * time.Minute, false: 20 * time.Minute} {
		f, err := os.Open(filepath.Join("..", "budget.tsv"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		b, err := readBudget(f, suites, cold)
		if err != nil {
			t.Fatal(err)
		}
		if b["total"] > total || b["smoke"] > 8*time.Minute {
			t.Errorf("cold=%v: total %v (bound %v), smoke %v (bound 8m)", cold, b["total"], total, b["smoke"])
		}
	}
}
