package gate

import (
	"fmt"
	"slices"
	"strings"
)

// Bound is one line of the floor: a criterion of SPEC.md's R1–R7 that no sheet
// may leave out or soften.
type Bound struct {
	KPI         string
	Requirement string
	Unit        string // of the row that is reported when the sheet has none
	Source      string
	Window      string // of prom
	// Query and Samples are the row's query and the one after "of" in
	// min_samples. Spaces aside the row has to ask exactly these: of another
	// question nobody could say whether it is laxer.
	Query, Samples string
	Op             string
	Threshold      string
	LeastSamples   map[string]float64 // by profile; nil asks none
	LeastCoverage  float64            // 0 asks none
	Job            string             // that LeastCoverage is about
	Profiles       []string           // where the row has to block
}

// violations says what about the row is laxer than the bound.
func (b Bound) violations(r Row, profile string) []string {
	var lax []string
	note := func(ok bool, format string, args ...any) {
		if !ok {
			lax = append(lax, fmt.Sprintf(format, args...))
		}
	}
	note(r.Requirement == b.Requirement, "requirement %s, not %s", r.Requirement, b.Requirement)
	note(r.Source == b.Source, "source %s, not %s", r.Source, b.Source)
	note(b.Window == "" || r.Window == b.Window, "window %s, not %s", r.Window, b.Window)
	note(tight(r.Query) == tight(b.Query), "the query is not %s", b.Query)
	note(implies(r.Op, r.Threshold, b.Op, b.Threshold), "%s %s is laxer than %s %s", r.Op, r.Threshold, b.Op, b.Threshold)
	note(r.Blocks(profile), "it does not block in %s", profile)
	least, count, err := r.samples(profile)
	note(err == nil && least >= b.LeastSamples[profile], "min_samples %q is less than %g", r.MinSamples, b.LeastSamples[profile])
	note(b.LeastSamples == nil || tight(count) == tight(b.Samples), "min_samples does not count %s", or(b.Samples, "the metric itself"))
	share, jobs, err := r.coverage()
	note(err == nil && share >= b.LeastCoverage, "min_coverage %q is less than %g", r.MinCoverage, b.LeastCoverage)
	note(b.LeastCoverage == 0 || len(jobs) == 0 || slices.Contains(jobs, b.Job), "min_coverage is not of %s", b.Job)
	return lax
}

// tight is a query without spaces, where they do not matter.
func tight(query string) string { return strings.ReplaceAll(query, " ", "") }

// implies reports whether every value that passes (op, t) passes (floorOp, f).
func implies(op, t, floorOp, f string) bool {
	a, err1 := number(t)
	b, err2 := number(f)
	if err1 != nil || err2 != nil || ops[op] == nil {
		return false
	}
	switch floorOp {
	case "<=":
		return (op == "<=" || op == "<" || op == "==") && a <= b
	case "<":
		return op == "<" && a <= b || (op == "<=" || op == "==") && a < b
	case ">=":
		return (op == ">=" || op == ">" || op == "==") && a >= b
	case ">":
		return op == ">" && a >= b || (op == ">=" || op == "==") && a > b
	}
	return op == "==" && a == b
}

// holdFloor compares the sheet with the floor: a required row that is doubled
// or laxer becomes ERROR, a missing one is added as ERROR. Both block.
func holdFloor(v *Verdict, sheet Sheet) {
	for _, b := range Floor() {
		if !slices.Contains(b.Profiles, v.Profile) {
			continue
		}
		var lax []string
		at := -1
		for i, r := range sheet.Rows {
			if r.KPI != b.KPI {
				continue
			}
			if at >= 0 {
				lax = append(lax, "the row is doubled")
			}
			lax = append(lax, b.violations(r, v.Profile)...)
			at = i
		}
		if at < 0 {
			v.Rows = append(v.Rows, RowVerdict{KPI: b.KPI, Requirement: b.Requirement, Unit: b.Unit, Op: b.Op, Threshold: b.Threshold,
				Description: "required row", State: Error, Reason: "the sheet has no such row, and prega demands it", Blocks: true,
				Evidence: []string{SheetFile}})
			continue
		}
		if len(lax) > 0 {
			row := &v.Rows[at]
			row.State, row.Blocks = Error, true
			row.Reason = "laxer than prega demands: " + strings.Join(lax, "; ")
			row.Evidence = append(row.Evidence, SheetFile)
		}
	}
}
