package gate

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"
	"time"
)

// world is a run whose evidence the tests bend: a sheet that satisfies the
// floor, and answers that pass it.
type world struct {
	t       *testing.T
	profile string
	rows    []map[string]string
	run     Run
	values  map[string]string  // by kpi, what Prometheus says
	counts  map[string]string  // by kpi, what its sample query says
	files   map[string]*string // overrides; nil removes
	up      map[string]int     // scrapes with up = 1, by job
}

const testPolicy = `version: 1
stages:
  - name: env
  - name: load
    steps:
      - {kind: load, argv: [k6]}
      - {name: browser, argv: [node]}
  - name: import
    steps: [{argv: [mbp], input: trades.csv}]
  - name: judge
    steps: [{kind: judge}]
`

var testStart = time.Date(2026, 11, 25, 2, 0, 0, 0, time.UTC)

func newWorld(t *testing.T, profile string) *world {
	length := time.Minute
	if profile == Full {
		length = time.Hour
	}
	load := Window{testStart.Add(10 * time.Second), testStart.Add(10*time.Second + length)}
	w := &world{t: t, profile: profile, values: map[string]string{}, counts: map[string]string{}, files: map[string]*string{},
		up: map[string]int{"mbp": int(length/time.Second) / 2, "rum": int(length/time.Second) / 2},
		run: Run{Profile: profile, RunID: "run-1", StartedAt: testStart, EndedAt: load.End.Add(30 * time.Second),
			Subject: Subject{Commit: strings.Repeat("c", 40), Tree: strings.Repeat("d", 40)}, Load: &load, Tools: []Tool{}, Binaries: []Tool{}}}
	for _, b := range Floor() {
		if b.Source == SourceProm {
			w.values[b.KPI], w.counts[b.KPI] = b.Threshold, "1e9"
		}
		row := map[string]string{"kpi_id": b.KPI, "requirement": b.Requirement, "description": "What " + b.KPI + " means", "unit": b.Unit,
			"source": b.Source, "query": b.Query, "window": b.Window, "op": b.Op, "threshold": b.Threshold,
			"profiles": strings.Join(b.Profiles, " "), "owner": "dec"}
		if b.LeastSamples != nil {
			row["min_samples"] = fmt.Sprintf("smoke=%.0f full=%.0f", b.LeastSamples[Smoke], b.LeastSamples[Full])
			if b.Samples != "" {
				row["min_samples"] += " of " + b.Samples
			}
		}
		if b.LeastCoverage > 0 {
			row["min_coverage"] = fmt.Sprintf("%g of %s", b.LeastCoverage, b.Job)
		}
		w.rows = append(w.rows, row)
	}
	w.set("security/gitleaks.json", `{"findings":0,"history":{"commits":9},"canary":{"found":["a","b","c","d"]}}`)
	w.set("security/govulncheck.json", `{"called":0,"canary":{"found":["GO-2021-0113"]}}`)
	w.set("security/govulncheck.db.json", `{"entries":4291,"age_days":6.5}`)
	w.set("security/sbom.cdx.json", `{"components":[{"name":"x"}]}`)
	w.set("schema/compat.json", `{"breaking":0,"checked":8}`)
	w.set("dbt/run_results.json", `{"results":[{"status":"success"}`+strings.Repeat(`,{"status":"pass"}`, 40)+`]}`)
	return w
}

// row finds a row to change.
func (w *world) row(kpi string) map[string]string {
	for _, r := range w.rows {
		if r["kpi_id"] == kpi {
			return r
		}
	}
	w.t.Fatalf("no row %s", kpi)
	return nil
}

// add appends a row that blocks and is no part of the floor.
func (w *world) add(kpi, source, query, window, op, threshold string) map[string]string {
	r := map[string]string{"kpi_id": kpi, "requirement": "R1", "description": "Extra", "unit": "x", "source": source, "query": query,
		"window": window, "op": op, "threshold": threshold, "profiles": "smoke full", "owner": "dec"}
	w.rows = append(w.rows, r)
	return r
}

func (w *world) set(path, content string) { w.files[path] = &content }

func (w *world) sheet() []byte {
	var b bytes.Buffer
	c := csv.NewWriter(&b)
	c.Write(Columns)
	for _, r := range w.rows {
		var rec []string
		for _, name := range Columns {
			rec = append(rec, r[name])
		}
		c.Write(rec)
	}
	c.Flush()
	return b.Bytes()
}

func vectorOf(at time.Time, value string) string {
	return fmt.Sprintf(`{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%s,%q]}]}}`, unix(at), value)
}

func unix(t time.Time) string { return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', -1, 64) }

func (w *world) answer(q Query, value string) string {
	if q.Step == 0 {
		return vectorOf(q.At, value)
	}
	var points []string
	for at := q.Start; !at.After(q.End); at = at.Add(q.Step) {
		points = append(points, fmt.Sprintf("[%s,%q]", unix(at), value))
	}
	return `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[` + strings.Join(points, ",") + `]}]}}`
}

// evidence writes the whole folder.
func (w *world) evidence() (fstest.MapFS, Sheet) {
	w.t.Helper()
	csvBytes := w.sheet()
	sheet, err := ReadSheet(bytes.NewReader(csvBytes))
	if err != nil {
		w.t.Fatal(err)
	}
	run, _ := json.Marshal(w.run)
	out := map[string]string{RunFile: string(run), SheetFile: string(csvBytes), PolicyFile: testPolicy,
		PrometheusFile: "global: {scrape_interval: 2s}\nscrape_configs: [{job_name: mbp}, {job_name: rum}]\n",
		SummaryFile: `{"metrics":{
			"http_req_duration{kind:dec}":{"type":"trend","values":{"count":1000000,"med":3.25,"p(95)":799.9,"p(99)":900.5}},
			"dec_within_800ms":{"type":"rate","values":{"rate":0.999,"passes":999000,"fails":1000}},
			"dec_effective_ratio":{"type":"rate","values":{"rate":0.97,"passes":970000,"fails":30000}},
			"dec_5xx":{"type":"counter","values":{"count":0,"rate":0}},
			"dec_completed":{"type":"counter","values":{"count":1000000,"rate":120}}},
			"gate":{"completed":1000000,"achieved_rps":119.98734912,"expected_iterations":1000000,"dropped":0,"mix":{"buy_yes":700000,"sell_yes":300000,"limited":290000},
			"codes":{"ok":970000,"price_limit":30000,"frozen":0}}}`}
	for i, s := range []Step{{Stage: "env", State: StepOK}, {Stage: "load", State: StepOK}, {Stage: "load.browser", State: StepOK},
		{Stage: "import", State: StepDisabled, Reason: "no trades were given"}} {
		b, _ := json.Marshal(s)
		out[fmt.Sprintf("steps/%02d-%s/step.json", i+1, s.Stage)] = string(b)
	}
	if w.run.Load != nil {
		var series []string
		for _, job := range []string{"mbp", "rum"} {
			var points []string
			for i := range w.up[job] {
				points = append(points, fmt.Sprintf(`[%s,"1"]`, unix(w.run.Load.Start.Add(time.Duration(i)*2*time.Second))))
			}
			series = append(series, fmt.Sprintf(`{"metric":{"job":%q},"values":[%s]}`, job, strings.Join(points, ",")))
		}
		out[UpFile] = `{"status":"success","data":{"resultType":"matrix","result":[` + strings.Join(series, ",") + `]}}`
		for _, r := range sheet.Rows {
			for i, q := range r.Queries(*w.run.Load) {
				value := w.values[r.KPI]
				if i == 1 {
					value = w.counts[r.KPI]
				}
				if value != "" {
					out[q.Path] = w.answer(q, value)
				}
			}
		}
	}
	evidence := fstest.MapFS{}
	for path, content := range out {
		evidence[path] = &fstest.MapFile{Data: []byte(content + "\n")}
	}
	evidence[SheetFile].Data = csvBytes
	for path, content := range w.files {
		if content == nil {
			delete(evidence, path)
		} else {
			evidence[path] = &fstest.MapFile{Data: []byte(*content)}
		}
	}
	return evidence, sheet
}

func (w *world) judge() Verdict {
	w.t.Helper()
	evidence, sheet := w.evidence()
	return judged(w.t, evidence, sheet, w.profile)
}

// judged judges, and holds what is true of every verdict.
func judged(t *testing.T, evidence fs.FS, sheet Sheet, profile string) Verdict {
	t.Helper()
	v, err := Judge(evidence, sheet, profile)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Judge(evidence, sheet, profile)
	if err != nil {
		t.Fatal(err)
	}
	b1, err1 := v.Bytes()
	b2, err2 := again.Bytes()
	if err1 != nil || err2 != nil || !bytes.Equal(b1, b2) || !bytes.Equal(Report(v), Report(again)) {
		t.Fatalf("equal evidence, other bytes (%v, %v)", err1, err2)
	}
	for _, r := range v.Rows {
		if (r.State == Pass) == (r.Reason != "") {
			t.Errorf("%s is %s with reason %q", r.KPI, r.State, r.Reason)
		}
		if v.Passed() && r.Blocks && r.State != Pass {
			t.Errorf("%s with %s %s", v.Decision, r.KPI, r.State)
		}
	}
	for _, s := range v.Steps {
		if v.Passed() && s.Blocks {
			t.Errorf("%s with step %s", v.Decision, s.Stage)
		}
	}
	if profile != Full && v.Decision == Approved {
		t.Errorf("%s approves", profile)
	}
	return v
}

func rowOf(t *testing.T, v Verdict, kpi string) RowVerdict {
	t.Helper()
	for _, r := range v.Rows {
		if r.KPI == kpi {
			return r
		}
	}
	t.Fatalf("no verdict on %s", kpi)
	return RowVerdict{}
}
