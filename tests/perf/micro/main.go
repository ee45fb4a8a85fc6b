// Command micro runs the benchmarks of the decision path and holds them against
// the limits in limits.csv. It promises the median of several runs, each limit's
// outer bound beside ours, and an exit code; it refuses to pass a benchmark that is
// not there. For the four that the acceptance of the platform names, ours is at
// least 800 times tighter.
//
//	go run ./tests/perf/micro            # table
//	go run ./tests/perf/micro --json     # one object a line
//
// Exit codes: 0 all within, 1 one is above its limit or missing, 2 the benchmarks
// did not run.
package main

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed limits.csv
var limitsCSV string

// limit is a row of limits.csv.
type limit struct {
	Name      string  `json:"name"`
	Package   string  `json:"package"`
	Benchmark string  `json:"benchmark"`
	OuterNs   float64 `json:"outer_ns"` // what acceptance allows
	LimitNs   float64 `json:"limit_ns"` // what we hold ourselves to
	MaxAllocs float64 `json:"max_allocs"`
	Why       string  `json:"why"`
}

// measured is a limit with what was found.
type measured struct {
	limit
	Runs   int     `json:"runs"`
	Ns     float64 `json:"ns"` // median
	Allocs float64 `json:"allocs"`
	State  string  `json:"state"` // PASS, FAIL, NOT_RUN
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	f := flag.NewFlagSet("micro", flag.ContinueOnError)
	f.SetOutput(stderr)
	count := f.Int("count", 5, "`runs` of each benchmark; the median counts")
	asJSON := f.Bool("json", false, "one JSON object a line instead of a table")
	if err := f.Parse(args); err != nil {
		return 2
	}
	limits, err := readLimits(limitsCSV)
	if err != nil {
		fmt.Fprintln(stderr, "micro:", err)
		return 2
	}
	runs, err := benchmarks(ctx, limits, *count, stderr)
	if err != nil {
		fmt.Fprintln(stderr, "micro:", err)
		return 2
	}
	return report(judge(limits, runs), *asJSON, stdout)
}

func readLimits(text string) ([]limit, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("limits.csv: %w", err)
	}
	var out []limit
	for _, r := range rows[1:] {
		l := limit{Name: r[0], Package: r[1], Benchmark: r[2], Why: r[6]}
		for i, v := range []*float64{&l.OuterNs, &l.LimitNs, &l.MaxAllocs} {
			if *v, err = strconv.ParseFloat(r[3+i], 64); err != nil {
				return nil, fmt.Errorf("limits.csv: %s: %w", l.Name, err)
			}
		}
		if l.LimitNs <= 0 || l.LimitNs > l.OuterNs {
			return nil, fmt.Errorf("limits.csv: %s: the limit lies in 1..outer bound", l.Name)
		}
		out = append(out, l)
	}
	return out, nil
}

// result is one line of a benchmark.
type result struct{ ns, allocs float64 }

// benchmarks runs what the limits name, package by package.
func benchmarks(ctx context.Context, limits []limit, count int, stderr io.Writer) (map[string][]result, error) {
	patterns := map[string][]string{}
	var packages []string
	for _, l := range limits {
		if patterns[l.Package] == nil {
			packages = append(packages, l.Package)
		}
		top, _, _ := strings.Cut(l.Benchmark, "/")
		patterns[l.Package] = append(patterns[l.Package], "^"+top+"$")
	}
	out := map[string][]result{}
	for _, p := range packages {
		fmt.Fprintf(stderr, "benchmarks of %s, %d times\n", p, count)
		cmd := exec.CommandContext(ctx, "go", "test", "-run", "^$", "-bench", strings.Join(patterns[p], "|"),
			"-benchmem", "-benchtime", "100ms", "-count", strconv.Itoa(count), p)
		var text bytes.Buffer
		cmd.Stdout, cmd.Stderr = &text, stderr
		if err := cmd.Run(); err != nil {
			return nil, errors.Join(fmt.Errorf("go test %s: %w", p, err), errors.New(text.String()))
		}
		for name, rs := range parse(text.String()) {
			out[p+" "+name] = append(out[p+" "+name], rs...)
		}
	}
	return out, nil
}

var line = regexp.MustCompile(`(?m)^(Benchmark\S+?)(?:-\d+)?\s+\d+\s+([\d.]+) ns/op(?:.*?([\d.]+) allocs/op)?`)

func parse(text string) map[string][]result {
	out := map[string][]result{}
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		ns, _ := strconv.ParseFloat(m[2], 64)
		allocs, _ := strconv.ParseFloat(m[3], 64)
		out[m[1]] = append(out[m[1]], result{ns, allocs})
	}
	return out
}

func judge(limits []limit, runs map[string][]result) []measured {
	var out []measured
	for _, l := range limits {
		rs := runs[l.Package+" "+l.Benchmark]
		m := measured{limit: l, Runs: len(rs), State: "NOT_RUN"}
		if len(rs) > 0 {
			slices.SortFunc(rs, func(a, b result) int { return cmp.Compare(a.ns, b.ns) })
			m.Ns, m.Allocs = rs[len(rs)/2].ns, rs[len(rs)/2].allocs
			if m.State = "PASS"; m.Ns > l.LimitNs || m.Allocs > l.MaxAllocs {
				m.State = "FAIL"
			}
		}
		out = append(out, m)
	}
	return out
}

func report(all []measured, asJSON bool, w io.Writer) (code int) {
	if !asJSON {
		fmt.Fprintf(w, "%-16s %12s %12s %14s %8s  %s\n", "what", "median ns", "limit ns", "outer bound", "allocs", "state")
	}
	for i := range all {
		m := &all[i]
		if m.State != "PASS" {
			code = 1
		}
		if asJSON {
			_ = json.NewEncoder(w).Encode(m)
			continue
		}
		fmt.Fprintf(w, "%-16s %12.0f %12.0f %14.0f %8.0f  %s\n", m.Name, m.Ns, m.LimitNs, m.OuterNs, m.Allocs, m.State)
	}
	return code
}
