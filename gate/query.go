package gate

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Query is one question to Prometheus whose raw answer is kept as evidence. It
// is a range query if Step is set, else an instant query at At.
type Query struct {
	Path       string // where the answer goes, within the evidence
	Expr       string // PromQL, $window replaced
	At         time.Time
	Start, End time.Time
	Step       time.Duration
}

// Queries lists what the sheet wants to know of Prometheus over the load
// window, and the scrapes themselves. Rows that a load of this length cannot
// answer have no query; the judge says NOT_EVALUABLE of them.
func (s Sheet) Queries(load Window) []Query {
	qs := []Query{{Path: UpFile, Expr: "up[" + promDuration(load.Duration()) + "]", At: load.End}}
	for _, r := range s.Rows {
		qs = append(qs, r.Queries(load)...)
	}
	return qs
}

// Queries lists the row's questions: its value, then its samples if it counts
// them. Rows of other sources have none.
func (r Row) Queries(load Window) []Query {
	if r.Source != SourceProm {
		return nil
	}
	span, sliced, err := r.span(load)
	if err != nil {
		return nil
	}
	ask := func(path, expr string) Query {
		q := Query{Path: path, Expr: strings.ReplaceAll(expr, "$window", promDuration(span))}
		if sliced {
			n := load.Duration() / span
			q.Start, q.End, q.Step = load.Start.Add(span), load.Start.Add(n*span), span
		} else {
			q.At = load.End
		}
		return q
	}
	qs := []Query{ask(r.valuePath(), r.Query)}
	if _, count, err := r.samples(Smoke); err == nil && count != "" {
		qs = append(qs, ask(r.samplesPath(), count))
	}
	return qs
}

func (r Row) valuePath() string   { return "prom/" + r.KPI + ".json" }
func (r Row) samplesPath() string { return "prom/" + r.KPI + ".samples.json" }

// span is the length $window stands for, and whether the load is cut into
// slices of that length.
func (r Row) span(load Window) (span time.Duration, sliced bool, err error) {
	whole := load.Duration()
	if whole <= 0 {
		return 0, false, fmt.Errorf("the load window is %s long", whole)
	}
	if r.Window == "load" {
		return whole, false, nil
	}
	text, sliced := strings.CutPrefix(r.Window, "load/")
	span, err = parsePromTime(text)
	switch {
	case err != nil:
		return 0, false, err
	case span > whole && sliced:
		return whole, true, nil
	case span > whole:
		return 0, false, fmt.Errorf("the window of %s is longer than the load, %s", text, whole)
	}
	return span, sliced, nil
}

func parsePromTime(s string) (time.Duration, error) {
	if !promTime.MatchString(s) {
		return 0, fmt.Errorf("%q is not a duration like 5m", s)
	}
	n, err := strconv.Atoi(s[:len(s)-1])
	unit := map[byte]time.Duration{'s': time.Second, 'm': time.Minute, 'h': time.Hour, 'd': 24 * time.Hour}[s[len(s)-1]]
	return time.Duration(n) * unit, err
}

// promDuration spells d as PromQL does, exact to the millisecond.
func promDuration(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) + "ms" }
