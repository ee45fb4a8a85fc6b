// Package faults_test breaks one thing at a time and lets the real gate look.
//
// Each fault gets a fresh clone of the committed state, one change, a build as
// everybody does it, and `prega run --profile smoke`. The gate has to refuse
// (exit 1, SMOKE FAIL), name what is broken in its report, and say of
// everything else what it says of an unbroken clone: a fault that hides another
// one is a fault of the gate. The pack of a refused run has to verify like any
// other, and nothing that the gate started may outlive it.
//
// The first clone is not broken at all. Without its SMOKE PASS the others would
// prove nothing.
package faults_test

import (
	"os"
	"testing"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// fault is one thing to break. Source changes the clone before it is built and
// is committed; installed changes what is there when the gate begins; said sees
// each line that the gate prints while it runs, with the gate's process id.
type fault struct {
	name      string
	env       []string
	source    func(t *testing.T, dir string)
	installed func(t *testing.T, dir string)
	said      func(t *testing.T, dir string, pid int, line string)
	want      want
}

// want is what the gate has to make of a fault. Rows and steps that are not
// named have to be PASS and OK.
type want struct {
	exit     int
	decision string
	rows     map[string]states // by kpi_id
	steps    map[string]gate.StepState
	idle     string   // a stage whose steps may not be OK: one of them was asked for
	faults   []string // the start of each of "Also blocking"
	report   []string // what the report has to say, word by word
	evidence func(t *testing.T, dir string)
}

// states are those that a row may have. The second is for rows about a thing
// that was never there: which of two empty hands they name is no matter.
type states []gate.State

var (
	fails   = states{gate.Fail}
	passes  = states{gate.Pass}
	notRun  = states{gate.NotRun}
	nothing = states{gate.NoData, gate.NotRun}
)

// limit bounds one run of the gate; it takes two to three minutes.
const limit = 10 * time.Minute

func TestTheGateNamesEachFault(t *testing.T) {
	if os.Getenv("MBP_LONG") != "1" {
		t.Skip("NOT TESTED: whether the gate notices what is broken. `make faults` does, in about 15 minutes")
	}
	h := newHouse(t)
	defer h.table(t)
	for _, f := range faults(h) {
		t.Run(f.name, func(t *testing.T) {
			h.judge(t, f, h.run(t, f))
		})
	}
}

// faults lists what is broken, cheap and usual things first.
func faults(h *house) []fault {
	secret := madeUpToken()
	refused := func(w want) want {
		w.exit, w.decision = 1, gate.SmokeFail
		return w
	}
	return []fault{
		{name: "nothing", want: want{exit: 0, decision: gate.SmokePass}},
		{
			name: "an order in five hundred is answered with 500", source: answer500,
			want: refused(want{
				rows:  map[string]states{"dec_client_5xx": fails, "http_5xx": fails},
				steps: map[string]gate.StepState{"load.k6": gate.StepFailed}, // k6's own thresholds
			}),
		},
		{
			name: "a dbt test fails", source: plantDbtTest,
			want: refused(want{
				rows:     map[string]states{"dbt_tests_failed": fails, "dbt_nodes_not_passed": fails},
				steps:    map[string]gate.StepState{"models": gate.StepFailed, "data": gate.StepFailed},
				report:   []string{"1 is not == 0: test.mbp." + plantedTest + "; see dbt/run_results.json"},
				evidence: onlyPlantedTestFails,
			}),
		},
		{name: "a published schema loses a required column", source: dropColumn, want: refused(h.breakingSchema(fails))},
		{
			name: "a published schema loses a required column and is pinned again", want: refused(h.breakingSchema(passes)),
			source: func(t *testing.T, dir string) { dropColumn(t, dir); pinSchemas(t, dir) },
		},
		{name: "k6 is not there", installed: remove("k6"), want: refused(h.noLoad())},
		{name: "Prometheus is killed under load", said: killPrometheus(), want: refused(h.noPrometheus())},
		{
			name: "a secret is committed", source: commitSecret(secret),
			want: refused(want{
				rows:     map[string]states{"secrets_found": fails},
				report:   []string{"2 is not == 0; see security/gitleaks.json"}, // in the work tree and in the history
				evidence: secretIsNamedNotShown(secret),
			}),
		},
		{
			name: "there is no browser", env: []string{"CHROME_BIN=/nonexistent"}, installed: remove("chromium"),
			want: refused(want{
				rows:   map[string]states{"browser_trades": notRun, "inp_within_200ms_ratio": nothing},
				steps:  map[string]gate.StepState{"load.browser": gate.StepNotRun, "collect.rum": gate.StepFailed},
				report: []string{"load.browser  NOT_RUN  chromium is not there (.tools/bin/chromium): install chromium or set CHROME_BIN, then run make tools"},
			}),
		},
	}
}

// breakingSchema: the platform carries its schemas and refuses to start with
// these, so all that asks it, or Prometheus about it, has nothing; the check
// itself and all that looks at the sources still does its work.
func (h *house) breakingSchema(pins states) want {
	w := want{
		rows: map[string]states{"schema_breaking": fails, "schema_pins_broken": pins},
		steps: map[string]gate.StepState{"up.services": gate.StepFailed, "schema": gate.StepFailed, "down": gate.StepFailed,
			"up.scraped": gate.StepNotRun, "seed.accounts": gate.StepNotRun, "seed.lake": gate.StepNotRun, "models": gate.StepNotRun,
			"load.k6": gate.StepNotRun, "load.browser": gate.StepNotRun, "lake": gate.StepNotRun, "data": gate.StepNotRun,
			"docs": gate.StepNotRun, "collect.prometheus": gate.StepNotRun, "collect.rum": gate.StepFailed},
		idle:   "import",
		faults: []string{"run.json: there was no load"},
		report: []string{`mbp_quotes 1.2.0: REQUIRED_REMOVED #/required: "` + droppedColumn + `"`},
	}
	for _, r := range h.sheet.Rows {
		if r.Source == gate.SourceProm || r.Source == gate.SourceK6 || reads(r, "k6/", "browser/", "dbt/") {
			w.rows[r.KPI] = nothing
		}
	}
	return w
}

// noLoad: without a load there is no window that Prometheus could be asked
// about; the browser, dbt, the schemas and the scanners do not need one.
func (h *house) noLoad() want {
	w := want{
		rows:   map[string]states{},
		steps:  map[string]gate.StepState{"env": gate.StepFailed, "load.k6": gate.StepNotRun, "collect.prometheus": gate.StepNotRun},
		faults: []string{"run.json: there was no load"},
		report: []string{"load.k6  NOT_RUN  k6 is not there (.tools/bin/k6): run make tools"},
	}
	for _, r := range h.sheet.Rows {
		if r.Source == gate.SourceProm || r.Source == gate.SourceK6 || reads(r, "k6/") {
			w.rows[r.KPI] = notRun
		}
	}
	return w
}

// noPrometheus: what only Prometheus knows is unknown; k6, the browser,
// dbt and the scanners are as good as ever.
func (h *house) noPrometheus() want {
	w := want{
		rows:   map[string]states{},
		steps:  map[string]gate.StepState{"lake": gate.StepNotRun, "collect.prometheus": gate.StepFailed, "down": gate.StepFailed},
		report: []string{"service prometheus died during the run (signal: killed"},
	}
	for _, r := range h.sheet.Rows {
		if r.Source == gate.SourceProm {
			w.rows[r.KPI] = nothing
		}
	}
	return w
}
