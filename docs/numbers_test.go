package docs_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

const (
	sheetFile  = "../obs/ops/obs/measurement_s4.csv"
	loadScript = "../tests/perf/dec_120rps_60m.js"
	promDir    = "../obs/ops/prom"
)

// row is one criterion of the sheet by column.
type row map[string]string

func sheet(t *testing.T) []row {
	t.Helper()
	records, err := csv.NewReader(strings.NewReader(read(t, sheetFile))).ReadAll()
	if err != nil || len(records) < 2 {
		t.Fatalf("%s: %d records, %v", sheetFile, len(records), err)
	}
	var rows []row
	for _, rec := range records[1:] {
		r := row{}
		for i, name := range records[0] {
			r[name] = rec[i]
		}
		rows = append(rows, r)
	}
	return rows
}

func find(t *testing.T, rows []row, kpi string) row {
	t.Helper()
	for _, r := range rows {
		if r["kpi_id"] == kpi {
			return r
		}
	}
	t.Fatalf("the sheet has no row %s", kpi)
	return nil
}

// rule is a recording rule or an alert.
type rule struct {
	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

func rules(t *testing.T) []rule {
	t.Helper()
	files, err := filepath.Glob(promDir + "/*rules*.yaml")
	if err != nil || len(files) != 2 {
		t.Fatalf("rule files %v, %v", files, err)
	}
	var all []rule
	for _, f := range files {
		var doc struct {
			Groups []struct{ Rules []rule }
		}
		if err := yaml.Unmarshal([]byte(read(t, f)), &doc); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, g := range doc.Groups {
			all = append(all, g.Rules...)
		}
	}
	return all
}

func alert(t *testing.T, all []rule, name string) rule {
	t.Helper()
	for _, r := range all {
		if r.Alert == name {
			return r
		}
	}
	t.Fatalf("no alert %s", name)
	return rule{}
}

func record(t *testing.T, all []rule, name string) rule {
	t.Helper()
	for _, r := range all {
		if r.Record == name {
			return r
		}
	}
	t.Fatalf("no recording rule %s", name)
	return rule{}
}

var thresholdLine = regexp.MustCompile("(?m)^ +'?([a-z0-9_]+(?:\\{[a-z]+:[a-z]+\\})?)'?: \\[[`']([a-z0-9()]+)(<=|>=|==)([^`']+)[`']\\],$")

// thresholds reads the load script's bounds: metric → statistic, operator, bound.
func thresholds(t *testing.T) map[string][3]string {
	t.Helper()
	text := read(t, loadScript)
	constants := map[string]string{"${EXPECTED}": "EXPECTED"}
	for _, m := range regexp.MustCompile(`(?m)^const ([A-Z_]+) = (\d+);`).FindAllStringSubmatch(text, -1) {
		constants["${"+m[1]+"}"] = m[2]
	}
	found := map[string][3]string{}
	for _, m := range thresholdLine.FindAllStringSubmatch(text, -1) {
		bound := m[4]
		if c, ok := constants[bound]; ok {
			bound = c
		}
		found[m[1]] = [3]string{m[2], m[3], bound}
	}
	if len(found) < 10 {
		t.Fatalf("found only %d thresholds in %s", len(found), loadScript)
	}
	return found
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	v, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// TestLoadAndSheetAgree: every criterion that k6 measures is a threshold of the
// load script with the same number, and the other way round.
func TestLoadAndSheetAgree(t *testing.T) {
	rows, inK6 := sheet(t), thresholds(t)
	// Two thresholds are one row: dropped = expected − completed.
	if got := inK6["dec_completed"]; got != [3]string{"count", "==", "EXPECTED"} {
		t.Errorf("dec_completed is held to %v", got)
	}
	if got := inK6["dropped_iterations{scenario:dec}"]; got != [3]string{"count", "==", "0"} {
		t.Errorf("dropped_iterations is held to %v", got)
	}
	if r := find(t, rows, "dec_dropped"); r["op"]+r["threshold"] != "==0" || r["min_samples"] != "smoke=7200 full=432000 of k6/summary.json#/gate/expected_iterations" {
		t.Errorf("dec_dropped: %v", r)
	}
	seen := map[string]bool{"dec_completed": true, "dropped_iterations{scenario:dec}": true}
	for _, r := range rows {
		if r["source"] != "k6" {
			continue
		}
		dot := strings.LastIndex(r["query"], ".")
		metric, want := r["query"][:dot], [3]string{r["query"][dot+1:], r["op"], r["threshold"]}
		seen[metric] = true
		if got := inK6[metric]; got != want {
			t.Errorf("%s: the sheet says %v, k6 %v", r["kpi_id"], want, got)
		}
	}
	for metric, bound := range inK6 {
		if !seen[metric] && bound != [3]string{"max", ">=", "0"} {
			t.Errorf("k6 holds %s to %v, and no row of the sheet does", metric, bound)
		}
	}
	text := read(t, loadScript)
	for _, want := range []string{"whole('RATE', 120)", "__ENV.DURATION || '60m'", "preAllocatedVUs: VUS, maxVUs: VUS"} {
		if !strings.Contains(text, want) {
			t.Errorf("the load script has no %s", want)
		}
	}
}

// TestAlertsAndSheetAgree: an alert's bound is the edge of the histogram that
// the sheet counts at, and its quantile is the share that the sheet asks for.
func TestAlertsAndSheetAgree(t *testing.T) {
	rows, all := sheet(t), rules(t)
	for _, c := range []struct {
		alert, bound, record, quantile, edge string
		kpis                                 []string
	}{
		{"DECP95High", "dec:p95_seconds:5m > 0.8", "dec:p95_seconds:5m", "0.95", `le="0.8"`,
			[]string{"dec_within_800ms_server_ratio", "dec_within_800ms_worst_5m_ratio"}},
		{"CDCLagHigh", "cdc:lag_p95_seconds:5m > 120", "cdc:lag_p95_seconds:5m", "0.95", `le="120.0"`,
			[]string{"cdc_lag_within_120s_mbp_markets", "cdc_lag_within_120s_mbp_quotes", "cdc_lag_within_120s_mbp_resolutions", "cdc_lag_within_120s_mbp_abuse_events"}},
		{"WebCWVRegression", "web:inp_p75_ms:5m > 200", "web:inp_p75_ms:5m", "0.75", `le="200.0"`, []string{"inp_within_200ms_ratio"}},
	} {
		if expr := alert(t, all, c.alert).Expr; expr != c.bound && !strings.HasPrefix(expr, c.bound+" and ") {
			t.Errorf("%s fires on %q, want %q", c.alert, expr, c.bound)
		}
		if expr := record(t, all, c.record).Expr; !strings.HasPrefix(expr, "histogram_quantile("+c.quantile+", ") {
			t.Errorf("%s is %q, want the quantile %s", c.record, expr, c.quantile)
		}
		for _, kpi := range c.kpis {
			if r := find(t, rows, kpi); !strings.Contains(r["query"], c.edge) || r["op"] != ">=" || r["threshold"] != c.quantile {
				t.Errorf("%s: %q %s %s does not ask for the share %s at %s", kpi, r["query"], r["op"], r["threshold"], c.quantile, c.edge)
			}
		}
	}
	for name, kpi := range map[string]string{"SchemaDrift": "registry_schema_drift", "DataContractBreak": "data_contract_break", "DbtTestFailure": "dbt_tests_failed"} {
		r := find(t, rows, kpi)
		if expr := alert(t, all, name).Expr; expr != kpi+" > 0" || r["op"]+r["threshold"] != "==0" || !strings.Contains(r["query"], kpi) {
			t.Errorf("%s fires on %q, the sheet asks %s %s", name, expr, r["op"], r["threshold"])
		}
	}
	if expr, r := alert(t, all, "DecisionGapHigh").Expr, find(t, rows, "decision_gap"); expr != "decision_gap_ratio:5m > 0" || r["op"]+r["threshold"] != "==0" {
		t.Errorf("DecisionGapHigh fires on %q, the sheet asks %s %s", expr, r["op"], r["threshold"])
	}
	// The bound in k6 is in ms, in Prometheus in seconds.
	if ms, s := number(t, thresholds(t)["http_req_duration{kind:dec}"][2]), 0.8; ms != s*1000 {
		t.Errorf("k6 asks %g ms, Prometheus %g s", ms, s)
	}
	if r := find(t, rows, "dec_p95_ms"); r["threshold"] != "800" {
		t.Errorf("dec_p95_ms asks %s", r["threshold"])
	}
}

// TestPromtoolAgrees runs the rule tests with the pinned tool.
func TestPromtoolAgrees(t *testing.T) {
	tool := pinned(t, "promtool")
	tests, _ := filepath.Glob(promDir + "/tests/*.yaml")
	for _, args := range [][]string{
		{"check", "config", "--lint=all", "--lint-fatal", promDir + "/prometheus.yml"},
		append([]string{"test", "rules"}, tests...),
	} {
		if out, err := exec.Command(tool, args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args[:2], " "), err, out)
		}
	}
}

// TestK6ReadsTheLoadScript compares what k6 understands with what the sheet's
// test reads from the text.
func TestK6ReadsTheLoadScript(t *testing.T) {
	tool := pinned(t, "k6")
	fixtures := filepath.Join(t.TempDir(), "fixtures.json")
	if err := os.WriteFile(fixtures, []byte(`{"markets":[{"market":"mkt_1","weight":1}],"traders":[{"account":"acc_1","key":"x"}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(tool, "inspect", "-e", "FIXTURES="+fixtures, loadScript).Output()
	if err != nil {
		t.Fatalf("k6 inspect: %v", err)
	}
	var doc struct {
		Thresholds map[string][]string
		Scenarios  map[string]struct {
			Executor, Duration      string
			Rate                    int
			PreAllocatedVUs, MaxVUs int
		}
	}
	if err := json.Unmarshal(out, &doc); err != nil {
		t.Fatal(err)
	}
	for metric, b := range thresholds(t) {
		want := b[0] + b[1] + strings.Replace(b[2], "EXPECTED", "432000", 1)
		if got := doc.Thresholds[metric]; !slices.Equal(got, []string{want}) {
			t.Errorf("k6 holds %s to %v, the text says %s", metric, got, want)
		}
	}
	dec := doc.Scenarios["dec"]
	if dec.Executor != "constant-arrival-rate" || dec.Rate != 120 || dec.Duration != "1h0m3s" || dec.PreAllocatedVUs != dec.MaxVUs || dec.MaxVUs == 0 {
		t.Errorf("the scenario is %+v", dec)
	}
}

// pinned finds a tool that make tools installs, or skips the test.
func pinned(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../.tools/bin/" + name)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		t.Skipf("%s is not installed (make tools): %v", name, err)
	}
	return path
}
