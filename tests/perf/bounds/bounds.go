// Package bounds judges what a benchmark measured against a table of limits.
//
// It promises: a limit is a metric, or its ratio to another of the same round, and the
// median of the rounds counts; one that was not measured has not passed; where a limit
// names a condition of the machine and that does not hold, what lies beyond is BUSY and
// neither a pass nor a failure. It refuses to measure anything itself.
//
// The tables are CSV with the columns name, metric, over, op, bound, when, when_max
// and why.
package bounds

import (
	"cmp"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// Limit is a row of a table: a metric, or its ratio to another one of the same
// round, and what it may be.
type Limit struct {
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
	Pass   = "PASS"
	Fail   = "FAIL"
	NotRun = "NOT_RUN"
	Busy   = "BUSY" // the machine did not meet the condition under which it is judged
)

// Judged is a limit with what was found.
type Judged struct {
	Limit
	Value float64 `json:"value"` // median of the rounds
	Least float64 `json:"least"`
	Most  float64 `json:"most"`
	State string  `json:"state"`
}

// Results are the rounds of each metric, by name.
type Results map[string][]float64

// Read reads a table, which has a head line.
func Read(text string) ([]Limit, error) {
	rows, err := csv.NewReader(strings.NewReader(text)).ReadAll()
	if err != nil {
		return nil, fmt.Errorf("limits: %w", err)
	}
	var out []Limit
	for _, r := range rows[1:] {
		l := Limit{Name: r[0], Metric: r[1], Over: r[2], Op: r[3], When: r[5], Why: r[7]}
		if l.Bound, err = strconv.ParseFloat(r[4], 64); err == nil && l.When != "" {
			l.WhenMax, err = strconv.ParseFloat(r[6], 64)
		}
		if err != nil {
			return nil, fmt.Errorf("limits: %s: %w", l.Name, err)
		}
		if l.Op != "min" && l.Op != "max" || l.Bound < 0 || l.Op == "min" && l.Bound == 0 {
			return nil, fmt.Errorf("limits: %s: a min above 0, or a max", l.Name)
		}
		out = append(out, l)
	}
	return out, nil
}

// values returns the rounds of a limit's metric, or of its ratio.
func (l *Limit) values(got Results) []float64 {
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

// Judge holds the rounds against the limits.
func Judge(limits []Limit, got Results) []Judged {
	var out []Judged
	for _, l := range limits {
		j := Judged{Limit: l, State: NotRun}
		if v := l.values(got); len(v) > 0 {
			j.Value, j.Least, j.Most = Median(v), slices.Min(v), slices.Max(v)
			switch within := l.Op == "min" && j.Value >= l.Bound || l.Op == "max" && j.Value <= l.Bound; {
			case within:
				j.State = Pass
			case l.When != "" && (len(got[l.When]) == 0 || Median(got[l.When]) > l.WhenMax):
				j.State = Busy
			default:
				j.State = Fail
			}
		}
		out = append(out, j)
	}
	return out
}

// Median is of an unsorted list that is not empty: the middle one, the better
// known of two.
func Median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}

// Report writes metrics and limits, and returns the exit code: 0 all within, 1 one is
// beyond its bound or was not measured, 3 none is, but the machine was too busy to judge
// one.
func Report(got Results, all []Judged, asJSON bool, w io.Writer) (code int) {
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
			}{name, Median(got[name]), got[name]})
			continue
		}
		fmt.Fprintf(w, "%-16s %14.3f\n", name, Median(got[name]))
	}
	if !asJSON {
		fmt.Fprintf(w, "\n%-16s %9s %9s %9s %4s %7s  %s\n", "what", "median", "least", "most", "", "bound", "state")
	}
	for i := range all {
		j := &all[i]
		switch {
		case j.State == Busy && code == 0:
			code = 3
		case j.State == Fail || j.State == NotRun:
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
