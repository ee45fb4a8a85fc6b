// Package gate judges a release from files. It promises that the verdict and
// the report are pure functions of raw evidence and the policy that lies beside
// it, so that a stranger gets the same bytes from the same pack, and that only
// an explicit PASS passes: an absent number, an empty vector, a step that never
// ran or a row laxer than the compiled-in floor all block.
//
// It refuses to measure: it opens no connection, starts no program, reads no
// clock, and knows nothing of the system under judgement but its evidence. It
// never lets a profile other than full say APPROVED.
//
// The criteria are the sheet ops/obs/measurement_s4.csv, described at Row. The
// evidence is a folder (an fs.FS) laid out like this:
//
//	run.json                     Run
//	policy/measurement_s4.csv    the sheet, byte for byte
//	policy/prega.yaml            Policy: which stages had to run
//	policy/prometheus.yml        which jobs are scraped, how often
//	steps/<nn>-<stage>/step.json Step; steps of judge and later are no evidence
//	k6/summary.json              k6's handleSummary data and a "gate" section
//	prom/<kpi_id>.json           raw answer to the row's query
//	prom/<kpi_id>.samples.json   raw answer to the query after "of" in min_samples
//	prom/up.json                 raw answer to the query up over the load window
//	verdict.json, report.txt     written from Judge and Report, never read by them
package gate

import (
	"encoding/json"
	"fmt"
	"time"

	"github.com/gowebpki/jcs"
)

// The names of the evidence files that have a meaning of their own.
const (
	RunFile        = "run.json"
	SheetFile      = "policy/measurement_s4.csv"
	PolicyFile     = "policy/prega.yaml"
	PrometheusFile = "policy/prometheus.yml"
	SummaryFile    = "k6/summary.json"
	UpFile         = "prom/up.json"
	VerdictFile    = "verdict.json"
	ReportFile     = "report.txt"
)

// The profiles. Full is the only one that can approve a release.
const (
	Smoke = "smoke"
	Full  = "full"
)

// State is what the judge says about one criterion. Only Pass passes.
type State string

// The six states.
const (
	Pass         State = "PASS"
	Fail         State = "FAIL"          // measured, and the bound does not hold
	NoData       State = "NO_DATA"       // measured too little: no value, too few samples, scrapes missing
	NotRun       State = "NOT_RUN"       // the thing that measures never ran
	Error        State = "ERROR"         // the evidence or the row contradicts itself
	NotEvaluable State = "NOT_EVALUABLE" // cannot be known from a run of this length
)

// StepState is how one stage of a run ended.
type StepState string

// The states of a step. Disabled is for an optional stage that nobody asked
// for; a stage whose tool is missing is StepNotRun.
const (
	StepOK       StepState = "OK"
	StepFailed   StepState = "FAILED"
	StepNotRun   StepState = "NOT_RUN"
	StepDisabled StepState = "DISABLED"
)

// Step is steps/<nn>-<stage>/step.json: one program the gate ran, or why not.
type Step struct {
	Stage     string            `json:"stage"` // "data", or "load.k6" for the step k6 of the stage load
	Argv      []string          `json:"argv"`
	Env       map[string]string `json:"env"`              // allow-listed, never secrets
	ExitCode  *int              `json:"exit_code"`        // nil if it never started or was killed
	Signal    string            `json:"signal,omitempty"` // the signal that ended it
	StartedAt time.Time         `json:"started_at"`
	EndedAt   time.Time         `json:"ended_at"`
	State     StepState         `json:"state"`
	Reason    string            `json:"reason,omitempty"` // why not OK, for people
}

// Window is a closed interval of wall time.
type Window struct {
	Start time.Time `json:"start"`
	End   time.Time `json:"end"`
}

// Duration is the length of the window, rounded down to milliseconds, the unit
// in which Prometheus keeps time.
func (w Window) Duration() time.Duration { return w.End.Sub(w.Start).Truncate(time.Millisecond) }

// Subject is what is judged: a commit and whether the tree was changed since.
type Subject struct {
	Commit string `json:"commit"`
	Tree   string `json:"tree"`
	Dirty  bool   `json:"dirty"`
}

// Tool identifies a program that took part, by content.
type Tool struct {
	Name    string `json:"name"`
	Path    string `json:"path"`
	SHA256  string `json:"sha256"`
	Version string `json:"version"`
}

// Run is run.json. EndedAt is set before the judge runs: it names the pack.
type Run struct {
	Profile   string    `json:"profile"`
	RunID     string    `json:"run_id"`
	StartedAt time.Time `json:"started_at"`
	EndedAt   time.Time `json:"ended_at"`
	Subject   Subject   `json:"subject"`
	Load      *Window   `json:"load,omitempty"` // nil if there was no load
	Tools     []Tool    `json:"tools"`
	Binaries  []Tool    `json:"binaries"`
}

// Policy is the part of policy/prega.yaml that the judge reads: which steps a
// run had to take. Every step up to the closing ones needs a step.json that is
// OK; DISABLED is accepted only of one that names an input, which makes it
// optional. Where another step of the stage runs unless that input is there,
// exactly one of the two has to be OK and the other one DISABLED.
type Policy struct {
	Stages []Stage `yaml:"stages"`
}

// Stage is one entry of the policy's list. A stage without steps is one step.
type Stage struct {
	Name  string       `yaml:"name"`
	Steps []PolicyStep `yaml:"steps"`
}

// PolicyStep is one step of a stage. In Step.Stage it is called by the stage's
// name if it has none of its own, else by "stage.step".
type PolicyStep struct {
	Name   string `yaml:"name"`
	Kind   string `yaml:"kind"` // judge, pack, anchor and report work on finished evidence and leave none
	Input  string `yaml:"input"`
	Unless string `yaml:"unless"`
}

// The decisions.
const (
	SmokePass = "SMOKE PASS"
	SmokeFail = "SMOKE FAIL"
	Approved  = "APPROVED"
	Refused   = "REFUSED"
)

// Verdict is the judgement of one run.
type Verdict struct {
	Profile     string        `json:"profile"`
	RunID       string        `json:"run_id"`
	EndedAt     string        `json:"ended_at"` // RFC 3339, as in run.json
	Subject     Subject       `json:"subject"`
	SheetSHA256 string        `json:"sheet_sha256"`
	Decision    string        `json:"decision"`
	Faults      []string      `json:"faults"` // what blocks beyond rows and steps
	Rows        []RowVerdict  `json:"rows"`
	Steps       []StepVerdict `json:"steps"`
	Load        *LoadSummary  `json:"load,omitempty"` // nil if k6 wrote no summary
}

// Passed reports whether the decision is one of the two good ones.
func (v Verdict) Passed() bool { return v.Decision == SmokePass || v.Decision == Approved }

// RowVerdict is the judgement of one criterion. Numbers are text, exactly as
// the evidence or the sheet spells them.
type RowVerdict struct {
	KPI         string   `json:"kpi"`
	Requirement string   `json:"requirement"`
	Description string   `json:"description"`
	Unit        string   `json:"unit"`
	Value       string   `json:"value,omitempty"` // empty if there is none
	Op          string   `json:"op"`
	Threshold   string   `json:"threshold"`
	Samples     string   `json:"samples,omitempty"` // empty if not counted
	MinSamples  string   `json:"min_samples,omitempty"`
	Coverage    string   `json:"coverage,omitempty"` // worst job, 0..1
	MinCoverage string   `json:"min_coverage,omitempty"`
	State       State    `json:"state"`
	Reason      string   `json:"reason,omitempty"` // always set unless PASS
	Blocks      bool     `json:"blocks"`           // false: recorded in this profile, decides nothing
	Evidence    []string `json:"evidence"`         // paths the judgement rests on, present or not
}

// StepVerdict is the judgement of one stage.
type StepVerdict struct {
	Stage    string    `json:"stage"`
	State    StepState `json:"state"`
	Reason   string    `json:"reason,omitempty"`
	Blocks   bool      `json:"blocks"`
	Evidence []string  `json:"evidence"`
}

// LoadSummary is what people want to see of the load beside the criteria.
// Latencies are milliseconds as k6 spells them; empty means k6 gave none.
type LoadSummary struct {
	Metric   string  `json:"metric"`
	Requests string  `json:"requests,omitempty"`
	Rate     string  `json:"rate,omitempty"` // per second
	P50      string  `json:"p50_ms,omitempty"`
	P95      string  `json:"p95_ms,omitempty"`
	P99      string  `json:"p99_ms,omitempty"`
	Mix      []Count `json:"mix"`
	Codes    []Count `json:"codes"`
}

// Count is a named number of the load.
type Count struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Bytes is verdict.json: RFC 8785 JSON and a newline.
func (v Verdict) Bytes() ([]byte, error) { return Canonical(v) }

// Canonical spells v as RFC 8785 JSON and a newline, so that equal values are
// equal bytes.
func Canonical(v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	if b, err = jcs.Transform(b); err != nil {
		return nil, fmt.Errorf("canonical JSON: %w", err)
	}
	return append(b, '\n'), nil
}
