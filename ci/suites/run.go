package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// suite is one command and whether the ones after it need it.
type suite struct {
	name string
	argv []string
	gate bool // if it fails, nothing after it can run
}

// suites are what CI runs, in this order.
var suites = []suite{
	{name: "setup", argv: []string{"go", "run", "./tools/setup"}, gate: true},
	{name: "test", argv: []string{"make", "test"}},
	{name: "check", argv: []string{"make", "check"}},
	{name: "fuzz", argv: []string{"make", "fuzz"}},
	{name: "smoke", argv: []string{"make", "prega", "PROFILE=smoke"}},
}

// killFactor times its budget is when a suite that hangs is ended.
const killFactor = 2

// errFailed is the verdict; the report has already said why.
var errFailed = errors.New("")

// result is one line of the report.
type result struct {
	name   string
	took   time.Duration
	budget time.Duration
	fault  string // empty: passed
}

// run runs the suites in dir and prints the report. It returns errFailed if
// one failed or ran over its budget, another error if it could not start.
func run(ctx context.Context, dir string, suites []suite, stdout, stderr io.Writer) error {
	cold := isCold(ctx, dir)
	f, err := os.Open(filepath.Join(dir, "ci", "budget.tsv"))
	if err != nil {
		return fmt.Errorf("read budget: %w", err)
	}
	defer f.Close()
	budget, err := readBudget(f, suites, cold)
	if err != nil {
		return fmt.Errorf("read budget: %w", err)
	}
	results := runAll(ctx, dir, suites, budget, stdout, stderr)
	if !report(stdout, results, budget["total"], cold) {
		return errFailed
	}
	return nil
}

// isCold reports whether the tool cache misses a group. A set-up that cannot
// even be asked counts as cold: its budget is the larger one.
func isCold(ctx context.Context, dir string) bool {
	cmd := exec.CommandContext(ctx, "go", "run", "./tools/setup", "-list")
	cmd.Dir = dir
	out, err := cmd.Output()
	return err != nil || strings.Contains(string(out), " missing ")
}

func runAll(ctx context.Context, dir string, suites []suite, budget map[string]time.Duration, stdout, stderr io.Writer) []result {
	var results []result
	blocked := ""
	for _, s := range suites {
		r := result{name: s.name, budget: budget[s.name]}
		if blocked != "" {
			r.fault = "not run: " + blocked + " failed"
			results = append(results, r)
			continue
		}
		fmt.Fprintf(stdout, "\n######## %s: %s\n", s.name, strings.Join(s.argv, " "))
		start := time.Now()
		err := command(ctx, dir, s.argv, killFactor*r.budget, stdout, stderr)
		r.took = time.Since(start)
		switch {
		case err != nil:
			r.fault = err.Error()
		case r.took > r.budget:
			r.fault = "passed, but over budget"
		}
		if err != nil && s.gate {
			blocked = s.name
		}
		results = append(results, r)
	}
	return results
}

// command runs argv in its own process group and ends the whole group when
// limit has passed or ctx is done.
func command(ctx context.Context, dir string, argv []string, limit time.Duration, stdout, stderr io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 10 * time.Second
	err := cmd.Run()
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return fmt.Errorf("ended after %.0f s, %d times its budget", limit.Seconds(), killFactor)
	}
	return err
}

// report prints one line per suite, the total, and the verdict line. It
// reports whether everything passed within budget.
func report(w io.Writer, results []result, totalBudget time.Duration, cold bool) bool {
	state := "warm"
	if cold {
		state = "cold"
	}
	passed, failed, total := 0, 0, time.Duration(0)
	fmt.Fprintf(w, "\n%-8s %9s %9s  %s\n", "suite", "seconds", "budget", "verdict ("+state+" tool cache)")
	for _, r := range results {
		verdict := "ok"
		if r.fault != "" {
			verdict = "FAILED: " + r.fault
			failed++
		} else {
			passed++
		}
		total += r.took
		fmt.Fprintf(w, "%-8s %9.1f %9.0f  %s\n", r.name, r.took.Seconds(), r.budget.Seconds(), verdict)
	}
	verdict := "ok"
	if total > totalBudget {
		verdict = "FAILED: over budget"
		failed++
	}
	fmt.Fprintf(w, "%-8s %9.1f %9.0f  %s\n\n%d passed, %d failed\n", "total", total.Seconds(), totalBudget.Seconds(), verdict, passed, failed)
	return failed == 0
}
