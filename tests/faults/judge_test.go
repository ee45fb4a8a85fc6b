package faults_test

import (
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/gate"
)

// timed are the rows that measure how fast this machine is. Beside other work
// they may miss their bound; then they have to say by how much, and the rest of
// the run counts. The clone that is not broken gets no such leave.
var timed = []string{"dec_p95_ms", "dec_within_800ms_client_ratio", "dec_dropped", "dec_achieved_rps", "dec_within_800ms_server_ratio",
	"dec_within_800ms_worst_5m_ratio", "inp_within_200ms_ratio"}

// judge holds a run against what the fault asks for.
func (h *house) judge(t *testing.T, f fault, r ended) {
	t.Helper()
	if r.exit != f.want.exit {
		t.Errorf("exit %d, want %d\n%s%s", r.exit, f.want.exit, r.stdout, r.stderr)
	}
	if lines := strings.Split(strings.TrimSpace(r.stdout), "\n"); lines[len(lines)-1] != f.want.decision || r.verdict.Decision != f.want.decision {
		t.Errorf("the last line is %q and the verdict %q, want %q", lines[len(lines)-1], r.verdict.Decision, f.want.decision)
	}
	if crash.MatchString(r.stdout + r.stderr) {
		t.Errorf("the gate crashed:\n%s%s", r.stdout, r.stderr)
	}
	if head := strings.TrimSpace(output(t, r.dir, "git", "rev-parse", "HEAD")); r.verdict.Subject.Commit != head || r.verdict.Subject.Dirty {
		t.Errorf("judged was %+v, there is commit %s", r.verdict.Subject, head)
	}
	slow := r.rows(t, f)
	r.steps(t, f, slow)
	r.faults(t, f)
	for _, text := range f.want.report {
		if !strings.Contains(r.report(), text) {
			t.Errorf("the report does not say %q:\n%s", text, r.report())
		}
	}
	if f.want.evidence != nil {
		f.want.evidence(t, r.dir)
	}
	packs, err := filepath.Glob(filepath.Join(r.dir, "out", "smoke_evidence_bundle_*.zip"))
	if err != nil || len(packs) != 1 {
		t.Errorf("packs: %v, %v", packs, err)
		return
	}
	if said := output(t, r.dir, "bin/prega", "verify", packs[0]); !strings.Contains(said, f.want.decision+", judged again with the same result") {
		t.Errorf("verify: %s", said)
	}
}

var crash = regexp.MustCompile(`(?m)^(panic: |fatal error: |goroutine \d+ \[)`)

// report is what the gate printed after its stages.
func (r ended) report() string {
	at := strings.Index(r.stdout, "\nprega  profile ")
	return r.stdout[max(at, 0):]
}

// line is the report's line about a row or a step.
func (r ended) line(name string) string {
	for l := range strings.Lines(r.report()) {
		if slices.Contains(strings.Fields(l), name) {
			return strings.TrimSpace(l)
		}
	}
	return ""
}

// rows checks every criterion and says whether a timed one missed its bound.
func (r ended) rows(t *testing.T, f fault) (slow bool) {
	t.Helper()
	seen := map[string]bool{}
	for _, row := range r.verdict.Rows {
		seen[row.KPI] = true
		allowed, broken := f.want.rows[row.KPI]
		if !broken {
			allowed = passes
		}
		if !row.Blocks && !broken {
			continue // recorded only: it has no say in this profile
		}
		switch {
		case !slices.Contains(allowed, row.State) && !broken && f.want.exit != 0 && row.State == gate.Fail && slices.Contains(timed, row.KPI):
			t.Logf("slow, not broken: %s", r.line(row.KPI))
			slow = true
		case !slices.Contains(allowed, row.State):
			t.Errorf("%s is %s, want one of %v: %s", row.KPI, row.State, allowed, row.Reason)
		case !strings.Contains(r.line(row.KPI), string(row.State)):
			t.Errorf("the report does not say that %s is %s: %q", row.KPI, row.State, r.line(row.KPI))
		case broken && row.State == gate.Fail:
			t.Log(r.line(row.KPI))
		}
	}
	for kpi := range f.want.rows {
		if !seen[kpi] {
			t.Errorf("nothing was said about %s", kpi)
		}
	}
	return slow
}

// steps checks every step. k6 holds its own thresholds, so it may fail where a
// timed row does.
func (r ended) steps(t *testing.T, f fault, slow bool) {
	t.Helper()
	seen := map[string]bool{}
	for _, s := range r.verdict.Steps {
		seen[s.Stage] = true
		state, broken := f.want.steps[s.Stage]
		stage, _, _ := strings.Cut(s.Stage, ".")
		switch {
		case stage == f.want.idle:
			if s.State != gate.StepNotRun && s.State != gate.StepDisabled {
				t.Errorf("step %s is %s, there was nothing to work with", s.Stage, s.State)
			}
		case !broken && (s.State == gate.StepOK || s.State == gate.StepDisabled):
		case !broken && slow && s.Stage == "load.k6" && s.State == gate.StepFailed:
		case !broken:
			t.Errorf("step %s is %s: %s", s.Stage, s.State, s.Reason)
		case s.State != state || !s.Blocks:
			t.Errorf("step %s is %s and blocks: %v, want a blocking %s: %s", s.Stage, s.State, s.Blocks, state, s.Reason)
		case s.Reason == "" || !strings.Contains(r.line(s.Stage), s.Reason):
			t.Errorf("the report does not say why %s is %s: %q", s.Stage, s.State, r.line(s.Stage))
		default:
			t.Log(r.line(s.Stage))
		}
	}
	for stage := range f.want.steps {
		if !seen[stage] {
			t.Errorf("nothing was said about step %s", stage)
		}
	}
}

func (r ended) faults(t *testing.T, f fault) {
	t.Helper()
	if len(r.verdict.Faults) != len(f.want.faults) {
		t.Errorf("also blocking: %q, want %q", r.verdict.Faults, f.want.faults)
		return
	}
	for i, start := range f.want.faults {
		if !strings.HasPrefix(r.verdict.Faults[i], start) || !strings.Contains(r.report(), start) {
			t.Errorf("also blocking: %q, want %q", r.verdict.Faults[i], start)
		}
	}
}

// reads reports whether a row takes its value from a file in one of the folders.
func reads(r gate.Row, folders ...string) bool {
	return r.Source == gate.SourceFile && slices.ContainsFunc(folders, func(f string) bool { return strings.HasPrefix(r.Query, f) })
}
