package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// The least load that a profile may be judged on. Less of it is a fault, so
// that a full run cannot be shortened from the environment.
var leastLoad = map[string]time.Duration{Smoke: time.Minute, Full: time.Hour}

// loadSlack is how much shorter than leastLoad a window may be measured: k6
// stops the scenario, not the last request.
const loadSlack = time.Second

// Judge gives the verdict on the evidence: one row verdict for each row of the
// sheet and each required row that the sheet lacks, one step verdict for each
// step that the policy asks for or the evidence holds. It reads nothing but the
// evidence, so equal evidence gives equal bytes. The error is for a question
// that makes no sense (an unknown profile); whatever is wrong with evidence is
// in the verdict, and blocks.
func Judge(evidence fs.FS, sheet Sheet, profile string) (Verdict, error) {
	if profile != Smoke && profile != Full {
		return Verdict{}, fmt.Errorf("judge: profile %q is neither %s nor %s", profile, Smoke, Full)
	}
	v := Verdict{Profile: profile, SheetSHA256: sheet.SHA256, Faults: []string{}, Rows: []RowVerdict{}}
	fault := func(format string, args ...any) { v.Faults = append(v.Faults, fmt.Sprintf(format, args...)) }
	run := readRun(evidence, profile, fault)
	v.RunID, v.Subject = run.RunID, run.Subject
	if !run.EndedAt.IsZero() {
		v.EndedAt = run.EndedAt.UTC().Format(time.RFC3339Nano)
	}
	checkSheet(evidence, sheet, fault)
	v.Steps = judgeSteps(evidence, fault)

	j := judgement{evidence: evidence, profile: profile, load: run.Load, steps: v.Steps}
	j.summary, j.noSummary = readSummary(evidence)
	if run.Load != nil {
		j.scrapes = readScrapes(evidence, *run.Load)
	}
	blocking := 0
	for _, r := range sheet.Rows {
		rv := j.row(r)
		v.Rows = append(v.Rows, rv)
		if rv.Blocks {
			blocking++
		}
	}
	if blocking == 0 {
		fault("no row of the sheet blocks in the profile %s: nothing was asked, so nothing passes", profile)
	}
	holdFloor(&v, sheet)
	if j.noSummary.state == "" {
		v.Load = j.summary.load()
	}
	v.decide()
	return v, nil
}

// readRun reads run.json and checks that it is a run of this profile, long
// enough, of a clean tree if it could be approved.
func readRun(evidence fs.FS, profile string, fault func(string, ...any)) Run {
	var run Run
	b, err := readFile(evidence, RunFile)
	if err == nil {
		err = decode(b, &run)
	}
	if err != nil {
		fault("%s: %v", RunFile, err)
		return Run{}
	}
	if run.Profile != profile {
		fault("%s: a run of profile %q, judged as %s", RunFile, run.Profile, profile)
	}
	if run.RunID == "" || run.StartedAt.IsZero() || run.EndedAt.Before(run.StartedAt) {
		fault("%s: run_id, started_at and ended_at have to be there and in order", RunFile)
	}
	if run.Subject.Commit == "" {
		fault("%s: no commit is judged", RunFile)
	}
	if profile == Full && run.Subject.Dirty {
		fault("%s: the tree was changed after commit %s; only a commit can be approved", RunFile, run.Subject.Commit)
	}
	switch {
	case run.Load == nil:
		fault("%s: there was no load", RunFile)
	case run.Load.Start.Before(run.StartedAt) || run.Load.End.After(run.EndedAt) || run.Load.Duration() <= 0:
		fault("%s: the load window is not within the run", RunFile)
		run.Load = nil
	case run.Load.Duration() < leastLoad[profile]-loadSlack:
		fault("%s: the load lasted %s; %s asks for %s", RunFile, run.Load.Duration(), profile, leastLoad[profile])
	}
	return run
}

// checkSheet makes sure that the sheet judged with is the one in the evidence.
func checkSheet(evidence fs.FS, sheet Sheet, fault func(string, ...any)) {
	f, err := evidence.Open(SheetFile)
	if err != nil {
		fault("%s: %v", SheetFile, err)
		return
	}
	defer f.Close() //nolint:errcheck // it was only read
	own, err := ReadSheet(f)
	if err != nil {
		fault("%s: %v", SheetFile, err)
	} else if own.SHA256 != sheet.SHA256 {
		fault("%s is not the sheet of this judgement", SheetFile)
	}
}

// judgement is what the rows share.
type judgement struct {
	evidence  fs.FS
	profile   string
	load      *Window
	steps     []StepVerdict
	summary   k6Summary
	noSummary finding
	scrapes   scrapes
}

// row judges one criterion: value, then samples, then scrapes, then bound.
func (j *judgement) row(r Row) RowVerdict {
	v := RowVerdict{KPI: r.KPI, Requirement: r.Requirement, Description: r.Description, Unit: r.Unit,
		Op: r.Op, Threshold: r.Threshold, Blocks: r.Blocks(j.profile), Evidence: []string{}}
	if faults := r.check(); len(faults) > 0 {
		v.State, v.Reason = Error, errors.Join(faults...).Error()
		return v
	}
	f := j.value(r, &v)
	v.Value = f.value
	of := f.of
	if f.state == "" {
		f = j.enough(r, &v)
	}
	if f.state == "" {
		f = j.covered(r, &v)
	}
	if f.state != "" {
		v.State, v.Reason = f.state, f.reason
		return v
	}
	bound, _ := number(r.Threshold) // r.check has read it
	value, err := strconv.ParseFloat(v.Value, 64)
	switch {
	case err != nil:
		v.State, v.Reason = Error, fmt.Sprintf("the value %q is no number", v.Value)
	case ops[r.Op](value, bound):
		v.State = Pass
	default:
		v.State, v.Reason = Fail, fmt.Sprintf("%s is not %s %s", v.Value, r.Op, r.Threshold)
		if of != "" {
			v.Reason += ": " + of
		}
		if r.Source == SourceFile { // it says more than a number
			v.Reason += "; see " + v.Evidence[0]
		}
	}
	return v
}

// value asks the row's source.
func (j *judgement) value(r Row, v *RowVerdict) finding {
	switch r.Source {
	case SourceK6:
		v.Evidence = append(v.Evidence, SummaryFile)
		if j.noSummary.state != "" {
			return j.noSummary
		}
		return j.summary.find(r.Query)
	case SourceFile:
		ref, _ := parseRef(r.Query) // r.check has read it
		v.Evidence = append(v.Evidence, ref.path)
		return ref.find(j.evidence)
	case SourceStep:
		return j.step(r.Query, v)
	}
	v.Evidence = append(v.Evidence, r.valuePath())
	return j.prom(r, 0, r.valuePath(), r.worse)
}

// prom reads the answer to one of the row's questions.
func (j *judgement) prom(r Row, which int, path string, worse func(a, b float64) bool) finding {
	if j.load == nil {
		return missing(NotRun, "there was no load to measure")
	}
	if _, _, err := r.span(*j.load); err != nil {
		return missing(NotEvaluable, "%v", err)
	}
	return promValue(j.evidence, path, r.Queries(*j.load)[which], worse)
}

// worse says which of two values is farther on the wrong side of the row's
// bound.
func (r Row) worse(a, b float64) bool {
	bound, _ := number(r.Threshold) // r.check has read it
	switch r.Op {
	case ">=", ">":
		return a < b
	case "==":
		return math.Abs(a-bound) > math.Abs(b-bound)
	}
	return a > b
}

// enough holds the row to its least number of samples. A trend or rate of k6
// without a single sample reads 0, so those need one even if the row asks none.
func (j *judgement) enough(r Row, v *RowVerdict) finding {
	least, query, _ := r.samples(j.profile) // r.check has read it
	asked := r.MinSamples != ""
	var f finding
	switch {
	case r.Source == SourceK6:
		metric := j.summary.Metrics[first(splitMetric(r.Query))]
		if !asked && metric.Type != "rate" && metric.Type != "trend" {
			return finding{}
		}
		least = max(least, 1)
		if query == "" {
			f = j.summary.samples(r.Query)
		} else {
			f = j.summary.find(query)
		}
	case !asked:
		return finding{}
	case r.Source == SourceProm:
		v.Evidence = append(v.Evidence, r.samplesPath())
		f = j.prom(r, 1, r.samplesPath(), func(a, b float64) bool { return a < b })
	default:
		ref, _ := parseRef(query) // r.check has read it
		v.Evidence = append(v.Evidence, ref.path)
		f = ref.find(j.evidence)
	}
	if asked {
		v.MinSamples = strconv.FormatFloat(least, 'f', -1, 64)
	}
	if f.state != "" {
		f.reason = "samples: " + f.reason
		return f
	}
	v.Samples = f.value
	if n, err := strconv.ParseFloat(f.value, 64); err != nil || !(n >= least) {
		return missing(NoData, "%s samples, at least %s are needed", f.value, strconv.FormatFloat(least, 'f', -1, 64))
	}
	return finding{}
}

func first(metric, _ string, _ error) string { return metric }

// covered holds the row to its share of scrapes.
func (j *judgement) covered(r Row, v *RowVerdict) finding {
	least, jobs, _ := r.coverage() // r.check has read it
	if least == 0 {
		return finding{}
	}
	v.MinCoverage = strconv.FormatFloat(least, 'f', -1, 64)
	v.Evidence = append(v.Evidence, UpFile, PrometheusFile)
	if j.scrapes.fault.state != "" {
		return j.scrapes.fault
	}
	if unknown, ok := j.scrapes.expects(jobs); !ok {
		return missing(Error, "%s scrapes no job %s", PrometheusFile, unknown)
	}
	share, job := j.scrapes.worst(jobs)
	v.Coverage = strconv.FormatFloat(share, 'f', 4, 64)
	if share < least {
		return missing(NoData, "%s of the expected scrapes of %s are there, at least %s are needed", v.Coverage, job, v.MinCoverage)
	}
	return finding{}
}

// step reads how a stage ended: 1 if all of its steps are OK, 0 if one failed.
func (j *judgement) step(name string, v *RowVerdict) finding {
	var f finding
	for _, s := range j.steps {
		if s.Stage != name && !strings.HasPrefix(s.Stage, name+".") {
			continue
		}
		v.Evidence = append(v.Evidence, s.Evidence...)
		switch {
		case s.State == StepOK && f == finding{}:
			f = found("1")
		case s.State == StepFailed && f.state == "":
			f = found("0")
		case s.State == StepNotRun || s.State == StepDisabled:
			f = missing(NotRun, "%s: %s", s.Stage, s.Reason)
		case s.State != StepOK && s.State != StepFailed:
			f = missing(Error, "%s: %s", s.Stage, s.Reason)
		}
	}
	if (f == finding{}) {
		return missing(NotRun, "no step %s", name)
	}
	return f
}

// decide sums up: everything that blocks has to be good.
func (v *Verdict) decide() {
	good := len(v.Faults) == 0 && len(v.Rows) > 0
	for _, r := range v.Rows {
		good = good && (r.State == Pass || !r.Blocks)
	}
	for _, s := range v.Steps {
		good = good && !s.Blocks
	}
	switch {
	case v.Profile == Full && good:
		v.Decision = Approved
	case v.Profile == Full:
		v.Decision = Refused
	case good:
		v.Decision = SmokePass
	default:
		v.Decision = SmokeFail
	}
}

// load sums the summary up for people.
func (s k6Summary) load() *LoadSummary {
	m := s.Metrics[loadMetric].Values
	return &LoadSummary{Metric: loadMetric, Requests: s.Gate.Completed.String(), Rate: s.Gate.Rate.String(),
		P50: m["med"].String(), P95: m["p(95)"].String(), P99: m["p(99)"].String(),
		Mix: counts(s.Gate.Mix), Codes: counts(s.Gate.Codes)}
}

// loadMetric is the latency of the requests that the load is about.
const loadMetric = "http_req_duration{kind:dec}"

// counts sorts named numbers by name.
func counts[N fmt.Stringer](m map[string]N) []Count {
	list := make([]Count, 0, len(m))
	for name, n := range m {
		list = append(list, Count{Name: name, Value: n.String()})
	}
	slices.SortFunc(list, func(a, b Count) int { return strings.Compare(a.Name, b.Name) })
	return list
}
