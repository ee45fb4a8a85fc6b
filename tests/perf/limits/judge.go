package main

import (
	"cmp"
	_ "embed"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

//go:embed limits.csv
var limitsCSV string

// limit is a row of limits.csv: a metric, or its ratio to another one of the same
// round, and what it may be.
type limit struct {
	Name    string  `json:"name"`
	Metric  string  `json:"metric"`
	Over    string  `json:"over,omitempty"`
	Op      string  `json:"op"` // min or max
	Bound   float64 `json:"bound"`
	When    string  `json:"when,omitempty"` // judged only if this metric
	WhenMax float64 `json:"when_max,omitempty"`
	Why     string  `json:"why"`
}

// The states of a limit.
const (
	pass   = "PASS"
	fail   = "FAIL"
	notRun = "NOT_RUN"
	busy   = "BUSY" // the machine did not meet the condition under which it is judged
)

// judged is a limit with what was found.
type judged struct {
	limit
	Value float64 `json:"value"` // median of the rounds
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
	State string  `json:"state"`
}

// results are the rounds of each metric, by name.
type results map[string][]float64

func readLimits(text string) ([]limit, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("limits.csv: %w", err)
	}
	var out []limit
	for _, r := range rows[1:] {
		l := limit{Name: r[0], Metric: r[1], Over: r[2], Op: r[3], When: r[5], Why: r[7]}
		if l.Bound, err = strconv.ParseFloat(r[4], 64); err == nil && l.When != "" {
			l.WhenMax, err = strconv.ParseFloat(r[6], 64)
		}
		if err != nil {
			return nil, fmt.Errorf("limits.csv: %s: %w", l.Name, err)
		}
		if l.Op != "min" && l.Op != "max" || l.Bound <= 0 {
			return nil, fmt.Errorf("limits.csv: %s: a min or max above 0", l.Name)
		}
		out = append(out, l)
	}
	return out, nil
}

// values returns the rounds of a limit's metric, or of its ratio.
func (l *limit) values(got results) []float64 {
	out := slices.Clone(got[l.Metric])
	if l.Over == "" {
		return out
	}
	under := got[l.Over]
	out = out[:min(len(out), len(under))]
	for i := range out {
		if under[i] == 0 { // nothing came of it
			return nil
		}
		out[i] /= under[i]
	}
	return out
}

func judge(limits []limit, got results) []judged {
	var out []judged
	for _, l := range limits {
		j := judged{limit: l, State: notRun}
		if v := l.values(got); len(v) > 0 {
			j.Value, j.Least, j.Most = median(v), slices.Min(v), slices.Max(v)
			switch within := l.Op == "min" && j.Value >= l.Bound || l.Op == "max" && j.Value <= l.Bound; {
			case within:
				j.State = pass
			case l.When != "" && (len(got[l.When]) == 0 || median(got[l.When]) > l.WhenMax):
				j.State = busy
			default:
				j.State = fail
			}
		}
		out = append(out, j)
	}
	return out
}

// median is of an unsorted list that is not empty: the middle one, the better
// known of two.
func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// report writes metrics and limits, and returns the exit code.
func report(got results, all []judged, asJSON bool, w io.Writer) (code int) {
	names := make([]string, 0, len(got))
	for name := range got {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int { return cmp.Compare(a, b) })
	for _, name := range names {
		if asJSON {
			_ = json.NewEncoder(w).Encode(struct {
				Metric string    `json:"metric"`
				Median float64   `json:"median"`
				Rounds []float64 `json:"rounds"`
			}{name, median(got[name]), got[name]})
			continue
		}
		fmt.Fprintf(w, "%-16s %14.3f\n", name, median(got[name]))
	}
	if !asJSON {
		fmt.Fprintf(w, "\n%-16s %9s %9s %9s %4s %7s  %s\n", "what", "median", "least", "most", "", "bound", "state")
	}
	for i := range all {
		j := &all[i]
		switch {
		case j.State == busy && code == 0:
			code = 3
		case j.State == fail || j.State == notRun:
			code = 1
		}
		if asJSON {
			_ = json.NewEncoder(w).Encode(j)
			continue
		}
		fmt.Fprintf(w, "%-16s %9.3f %9.3f %9.3f %4s %7.2f  %s\n", j.Name, j.Value, j.Least, j.Most, j.Op, j.Bound, j.State)
	}
	return code
}
