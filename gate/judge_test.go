package gate

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestGoodEvidencePasses(t *testing.T) {
	for profile, want := range map[string]string{Smoke: SmokePass, Full: Approved} {
		if v := newWorld(t, profile).judge(); v.Decision != want {
			t.Errorf("%s: %s, want %s\n%s", profile, v.Decision, want, Report(v))
		}
	}
}

// TestStates bends the good evidence one thing at a time and expects one row
// to be in one state, for one reason, and the decision to be no pass.
func TestStates(t *testing.T) {
	const server = "dec_within_800ms_server_ratio"
	prom := "prom/" + server + ".json"
	samples := "prom/" + server + ".samples.json"
	end := testStart.Add(70 * time.Second)
	for _, c := range []struct {
		name   string
		bend   func(w *world)
		kpi    string
		want   State
		reason string
	}{
		{"value over the bound", func(w *world) { w.values["http_5xx"] = "1" }, "http_5xx", Fail, "1 is not == 0"},
		{"share just below", func(w *world) { w.values[server] = "0.9499999999999999" }, server, Fail, "not >= 0.95"},
		{"NaN", func(w *world) { w.values[server] = "NaN" }, server, NoData, "NaN"},
		{"infinite", func(w *world) { w.values[server] = "+Inf" }, server, Error, "+Inf"},
		{"not a number", func(w *world) { w.values[server] = "ok" }, server, Error, "no number"},
		{"no answer", func(w *world) { w.values[server] = "" }, server, NoData, "missing"},
		{"empty answer", func(w *world) { w.set(prom, "") }, server, NoData, "empty"},
		{"an error page", func(w *world) { w.set(prom, "<html>bad gateway</html>") }, server, Error, "no answer of Prometheus"},
		{"empty vector", func(w *world) {
			w.set(prom, `{"status":"success","data":{"resultType":"vector","result":[]}}`)
		}, server, NoData, "answer is empty"},
		{"two series", func(w *world) {
			w.set(prom, strings.Replace(vectorOf(end, "1"), "[{", `[{"metric":{"a":"b"},"value":[1,"1"]},{`, 1))
		}, server, Error, "2 series"},
		{"matrix for a vector", func(w *world) {
			w.set(prom, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
		}, server, Error, `a "matrix"`},
		{"string for a vector", func(w *world) {
			w.set(prom, `{"status":"success","data":{"resultType":"string","result":[1,"1"]}}`)
		}, server, Error, `a "string"`},
		{"query failed", func(w *world) { w.set(prom, `{"status":"error","error":"query timed out"}`) }, server, Error, "timed out"},
		{"partial data", func(w *world) {
			w.set(prom, strings.Replace(vectorOf(end, "1"), `{"status"`, `{"warnings":["remote read failed"],"status"`, 1))
		}, server, Error, "remote read failed"},
		{"two JSON values", func(w *world) { w.set(prom, vectorOf(end, "1")+vectorOf(end, "1")) }, server, Error, "more than one"},
		{"value of another time", func(w *world) { w.set(prom, vectorOf(end.Add(-time.Minute), "1")) }, server, Error, "asked was"},
		{"series without value", func(w *world) {
			w.set(prom, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{}}]}}`)
		}, server, Error, "without a value"},
		{"too few samples", func(w *world) { w.counts[server] = "6479" }, server, NoData, "6479 samples, at least 6480"},
		{"no sample count", func(w *world) { w.counts[server] = "" }, server, NoData, "samples: " + samples},
		{"sample count is NaN", func(w *world) { w.counts[server] = "NaN" }, server, NoData, "NaN"},
		{"Prometheus killed mid-run", func(w *world) { w.up["mbp"] = 15 }, server, NoData, "0.5000 of the expected scrapes of mbp"},
		{"never scraped", func(w *world) { w.up["mbp"] = 0 }, server, NoData, "0.0000"},
		{"target down", func(w *world) {
			w.set(UpFile, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"mbp"},"values":[`+
				strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`[%s,"0"],`, unix(end)), 30), ",")+`]}]}}`)
		}, server, NoData, "0.0000"},
		{"one scrape told thirty times", func(w *world) {
			w.set(UpFile, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"job":"mbp"},"values":[`+
				strings.TrimSuffix(strings.Repeat(fmt.Sprintf(`[%s,"1"],`, unix(end)), 30), ",")+`]}]}}`)
		}, server, NoData, "0.0333"},
		{"rate of nothing in a row that asks no samples", func(w *world) {
			w.set(SummaryFile, `{"metrics":{"failures":{"type":"rate","values":{"rate":0,"passes":0,"fails":0}}}}`)
			w.add("failures", SourceK6, "failures.rate", "", "==", "0")
		}, "failures", NoData, "0 samples"},
		{"no scrape record", func(w *world) { w.files[UpFile] = nil }, server, NoData, UpFile + " is missing"},
		{"no scrape config", func(w *world) { w.files[PrometheusFile] = nil }, server, Error, PrometheusFile},
		{"no load", func(w *world) { w.run.Load = nil }, server, NotRun, "no load"},
		{"k6 absent", func(w *world) { w.files[SummaryFile] = nil }, "dec_p95_ms", NotRun, SummaryFile + " is missing"},
		{"k6 summary cut off", func(w *world) { w.set(SummaryFile, `{"metrics":{`) }, "dec_p95_ms", Error, SummaryFile},
		{"k6 has no such metric", func(w *world) { w.set(SummaryFile, `{"metrics":{}}`) }, "dec_p95_ms", NoData, "no metric"},
		{"k6 trend of nothing reads 0", func(w *world) {
			w.set(SummaryFile, `{"metrics":{"http_req_duration{kind:dec}":{"type":"trend","values":{"count":0,"p(95)":0}}}}`)
		}, "dec_p95_ms", NoData, "0 samples"},
		{"k6 trend without count", func(w *world) {
			w.set(SummaryFile, `{"metrics":{"http_req_duration{kind:dec}":{"type":"trend","values":{"p(95)":1}}}}`)
		}, "dec_p95_ms", NoData, "has no count"},
		{"k6 counter that counts itself", func(w *world) {
			w.add("counted", SourceK6, "dec_5xx.count", "", "==", "0")["min_samples"] = "0"
		}, "counted", Error, "N of QUERY"},
		{"an answer of 500", func(w *world) {
			w.set(SummaryFile, `{"metrics":{"dec_5xx":{"type":"counter","values":{"count":1}},"dec_completed":{"type":"counter","values":{"count":7200}}}}`)
		}, "dec_client_5xx", Fail, "1 is not == 0"},
		{"k6 null", func(w *world) {
			w.set(SummaryFile, `{"metrics":{"http_req_duration{kind:dec}":{"type":"trend","values":{"count":9999999,"p(95)":null}}}}`)
		}, "dec_p95_ms", Error, "no number"},
		{"report of a scan missing", func(w *world) { w.files["security/gitleaks.json"] = nil }, "secrets_found", NotRun, "missing"},
		{"a planted secret", func(w *world) { w.set("security/gitleaks.json", `{"findings":1,"history":{"commits":9}}`) }, "secrets_found", Fail, "1 is not == 0; see security/gitleaks.json"},
		{"sleeping scanner", func(w *world) { w.set("security/gitleaks.json", `{"canary":{"found":["a"]}}`) }, "secrets_canary", Fail, "1 is not >= 4"},
		{"scan result is text", func(w *world) { w.set("security/gitleaks.json", `{"findings":"0"}`) }, "secrets_found", Error, "no number"},
		{"scan result is null", func(w *world) { w.set("security/gitleaks.json", `{"findings":null}`) }, "secrets_found", NoData, "null"},
		{"scanner that saw no commits", func(w *world) {
			w.set("security/gitleaks.json", `{"findings":0,"history":{"commits":0}}`)
		}, "secrets_found", NoData, "0 samples, at least 1"},
		{"a dbt test that fails", func(w *world) {
			w.set("dbt/run_results.json", `{"results":[{"status":"fail"}`+strings.Repeat(`,{"status":"pass"}`, 40)+`]}`)
		}, "dbt_nodes_not_passed", Fail, "1 is not == 0"},
		{"dbt nodes with names", func(w *world) {
			w.set("dbt/run_results.json", `{"results":[{"status":"error","unique_id":"model.m"},{"status":"skipped","name":"n"}`+
				`,{"status":"fail","id":"i"},{"status":"fail","unique_id":"test.t"}`+strings.Repeat(`,{"status":"pass","unique_id":"p"}`, 40)+`]}`)
		}, "dbt_nodes_not_passed", Fail, "4 is not == 0: model.m, n, i and 1 more; see dbt/run_results.json"},
		{"a dbt run of nothing", func(w *world) { w.set("dbt/run_results.json", `{"results":[]}`) }, "dbt_nodes_not_passed", NoData, "0 samples"},
		{"a breaking schema", func(w *world) { w.set("schema/compat.json", `{"breaking":1,"checked":8}`) }, "schema_breaking", Fail, "1 is not"},
		{"scan result lacks the field", func(w *world) { w.set("security/gitleaks.json", `{}`) }, "secrets_found", NoData, "has no /findings"},
		{"window longer than the load", func(w *world) {
			w.add("slow", SourceProm, "slow[$window]", "1h", "<=", "1")
		}, "slow", NotEvaluable, "longer than the load"},
		{"step failed", func(w *world) {
			w.set("steps/02-load/step.json", `{"stage":"load","state":"FAILED","reason":"k6 ended with 99"}`)
			w.add("load_ok", SourceStep, "load", "", "==", "1")
		}, "load_ok", Fail, "0 is not == 1"},
		{"step never ran", func(w *world) {
			w.add("drill_ok", SourceStep, "drill", "", "==", "1")
		}, "drill_ok", NotRun, "no step drill"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Smoke)
			c.bend(w)
			v := w.judge()
			r := rowOf(t, v, c.kpi)
			if r.State != c.want || !strings.Contains(r.Reason, c.reason) {
				t.Errorf("%s: %s (%s), want %s (…%s…)", c.kpi, r.State, r.Reason, c.want, c.reason)
			}
			if v.Decision != SmokeFail {
				t.Errorf("decision %s", v.Decision)
			}
		})
	}
}

// TestFaultsBlock: what is wrong beside the rows blocks too, by name.
func TestFaultsBlock(t *testing.T) {
	for _, c := range []struct {
		name string
		bend func(w *world)
		want string
	}{
		{"no run.json", func(w *world) { w.files[RunFile] = nil }, RunFile},
		{"run of another profile", func(w *world) { w.run.Profile = Smoke }, `profile "smoke"`},
		{"short load", func(w *world) { w.run.Load.End = w.run.Load.Start.Add(59 * time.Minute) }, "lasted 59m0s"},
		{"load outside the run", func(w *world) { w.run.EndedAt = w.run.Load.End.Add(-time.Second) }, "not within the run"},
		{"dirty tree", func(w *world) { w.run.Subject.Dirty = true }, "only a commit"},
		{"no commit", func(w *world) { w.run.Subject.Commit = "" }, "no commit"},
		{"no policy", func(w *world) { w.files[PolicyFile] = nil }, PolicyFile},
		{"policy without stages", func(w *world) { w.set(PolicyFile, "version: 1\n") }, "no stages"},
		{"another sheet in the evidence", func(w *world) { w.set(SheetFile, string(w.sheet())+"\r\n") }, "not the sheet"},
		{"no sheet in the evidence", func(w *world) { w.files[SheetFile] = nil }, SheetFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Full)
			c.bend(w)
			v := w.judge()
			if v.Decision != Refused || !strings.Contains(strings.Join(v.Faults, "\n"), c.want) {
				t.Errorf("%s, faults %q, want %q", v.Decision, v.Faults, c.want)
			}
			if report := string(Report(v)); !strings.Contains(report, c.want) {
				t.Errorf("the report does not name it:\n%s", report)
			}
		})
	}
}

func TestStepsBlockByName(t *testing.T) {
	for _, c := range []struct {
		name, path, content, stage string
		state                      StepState
		reason                     string
	}{
		{"failed", "steps/03-load.browser/step.json", `{"stage":"load.browser","state":"FAILED","reason":"no browser"}`, "load.browser", StepFailed, "no browser"},
		{"tool missing", "steps/02-load/step.json", `{"stage":"load","state":"NOT_RUN","reason":"k6 is not installed"}`, "load", StepNotRun, "k6 is not installed"},
		{"left nothing", "steps/02-load/step.json", "", "load", StepNotRun, "left no step.json"},
		{"disabled without being optional", "steps/02-load/step.json", `{"stage":"load","state":"DISABLED"}`, "load", StepDisabled, "not an optional step"},
		{"state of its own", "steps/02-load/step.json", `{"stage":"load","state":"PASSED"}`, "load", "ERROR", `state "PASSED"`},
		{"cut off", "steps/02-load/step.json", `{"stage":"lo`, "02-load", "ERROR", "unexpected"},
		{"two for one stage", "steps/09-load/step.json", `{"stage":"load","state":"OK"}`, "load", "ERROR", "two steps"},
		{"failed though nobody required it", "steps/09-drill/step.json", `{"stage":"drill","state":"FAILED","reason":"it broke"}`, "drill", StepFailed, "it broke"},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld(t, Smoke)
			if c.content == "" {
				w.files[c.path] = nil
			} else {
				w.set(c.path, c.content)
			}
			v := w.judge()
			for _, s := range v.Steps {
				if s.Stage == c.stage {
					if !s.Blocks || s.State != c.state || !strings.Contains(s.Reason, c.reason) || v.Decision != SmokeFail {
						t.Errorf("%+v, decision %s", s, v.Decision)
					}
					if report := string(Report(v)); !strings.Contains(report, c.stage) || !strings.Contains(report, c.reason) {
						t.Errorf("the report does not name it:\n%s", report)
					}
					return
				}
			}
			t.Errorf("no verdict on %s in %+v", c.stage, v.Steps)
		})
	}
}

// TestRecordedRow: a row that does not block in a profile decides nothing there
// and everything where it blocks.
func TestRecordedRow(t *testing.T) {
	for profile, want := range map[string]string{Smoke: SmokePass, Full: Refused} {
		w := newWorld(t, profile)
		w.set("db.json", `{"age_days":7.5}`)
		w.add("age", SourceFile, "db.json#/age_days", "", "<=", "7")["profiles"] = Full
		v := w.judge()
		if r := rowOf(t, v, "age"); v.Decision != want || r.State != Fail || r.Value != "7.5" {
			t.Errorf("%s: %s, row %+v", profile, v.Decision, r)
		}
	}
}

func TestNothingAskedNothingPasses(t *testing.T) {
	w := newWorld(t, Smoke)
	evidence, _ := w.evidence()
	if v := judged(t, evidence, Sheet{}, Smoke); v.Decision != SmokeFail {
		t.Errorf("an empty sheet: %s", v.Decision)
	}
	for _, r := range w.rows {
		r["profiles"] = Full
	}
	if v := w.judge(); v.Decision != SmokeFail || !strings.Contains(strings.Join(v.Faults, ""), "nothing was asked") {
		t.Errorf("no row applies: %s %q", v.Decision, v.Faults)
	}
	if _, err := Judge(evidence, Sheet{}, "demo"); err == nil {
		t.Error("judged a profile that does not exist")
	}
}

// TestSlices: of a row over slices the worst one counts, and each has to be there.
func TestSlices(t *testing.T) {
	matrix := func(w *world, values ...string) string {
		var points []string
		for i, v := range values {
			points = append(points, fmt.Sprintf("[%s,%q]", unix(w.run.Load.Start.Add(time.Duration(i+1)*5*time.Minute)), v))
		}
		return `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[` + strings.Join(points, ",") + `]}]}}`
	}
	good := strings.Split(strings.Repeat("1 ", 12), " ")[:12]
	for _, c := range []struct {
		op    string
		bend  func(v []string) []string
		state State
		value string
	}{
		{">=", func(v []string) []string { return v }, Pass, "1"},
		{">=", func(v []string) []string { v[7] = "0.94"; return v }, Fail, "0.94"},
		{"<=", func(v []string) []string { v[7] = "1.06"; return v }, Fail, "1.06"},
		{"==", func(v []string) []string { v[7] = "0.5"; return v }, Fail, "0.5"},
		{">=", func(v []string) []string { v[3] = "NaN"; return v }, NoData, ""},
		{">=", func(v []string) []string { return v[:11] }, NoData, ""},
		{">=", func(v []string) []string { return append(v, "1") }, Error, ""},
	} {
		w := newWorld(t, Full)
		w.add("slices", SourceProm, "share[$window]", "load/5m", c.op, "1")
		w.set("prom/slices.json", matrix(w, c.bend(append([]string{}, good...))...))
		if r := rowOf(t, w.judge(), "slices"); r.State != c.state || r.Value != c.value {
			t.Errorf("%s: %s %q (%s), want %s %q", c.op, r.State, r.Value, r.Reason, c.state, c.value)
		}
	}
	// A load shorter than a slice is one slice.
	w := newWorld(t, Smoke)
	w.add("slices", SourceProm, "share[$window]", "load/5m", ">=", "1")
	w.values["slices"] = "1"
	if r := rowOf(t, w.judge(), "slices"); r.State != Pass {
		t.Errorf("one slice: %s (%s)", r.State, r.Reason)
	}
}

func TestFileReferences(t *testing.T) {
	w := newWorld(t, Smoke)
	w.set("r.json", `{"results":[{"status":"pass"},{"status":"warn"},{"status":"pass"}],"none":[],"null":null,"a/b":{"~":true},"list":[5,6]}`)
	w.set("list.json", `[1,2,3]`)
	w.set("bad.json", `[{"status":"pass"},{}]`)
	for i, c := range []struct {
		query string
		state State
		value string
	}{
		{"r.json#count:/results", Pass, "3"},
		{"r.json#count:/results?status!=pass,success", Pass, "1"},
		{"r.json#count:/results?status=pass,success", Pass, "2"},
		{"r.json#count:/none", Pass, "0"},
		{"r.json#count:/null", Pass, "0"},
		{"r.json#/a~1b/~0", Pass, "1"},
		{"r.json#/list/1", Pass, "6"},
		{"r.json#/list/01", NoData, ""},
		{"r.json#/list/2", NoData, ""},
		{"r.json#/results", Error, ""},
		{"r.json#count:/list/0", Error, ""},
		{"list.json#count:", Pass, "3"},
		{"bad.json#count:?status=pass", Error, ""},
	} {
		kpi := fmt.Sprintf("ref_%d", i)
		w.add(kpi, SourceFile, c.query, "", ">=", "0")
		if r := rowOf(t, w.judge(), kpi); r.State != c.state || r.Value != c.value {
			t.Errorf("%s: %s %q (%s), want %s %q", c.query, r.State, r.Value, r.Reason, c.state, c.value)
		}
	}
}

// TestFloorHolds: whatever a row is changed to, if it accepts one value that
// the floor refuses it is ERROR; if it accepts none it is not.
func TestFloorHolds(t *testing.T) {
	operators := []string{"<=", "<", ">=", ">", "=="}
	rapid.Check(t, func(rt *rapid.T) {
		b := rapid.SampledFrom(Floor()).Draw(rt, "bound")
		profile := rapid.SampledFrom(b.Profiles).Draw(rt, "profile")
		op := rapid.SampledFrom(operators).Draw(rt, "op")
		floor, _ := number(b.Threshold)
		bound := floor + rapid.SampledFrom([]float64{-1e6, -1, -0.01, 0, 0.01, 1, 1e6}).Draw(rt, "delta")
		w := newWorld(t, profile)
		w.row(b.KPI)["op"], w.row(b.KPI)["threshold"] = op, fmt.Sprint(bound)
		lax := false
		for _, x := range []float64{math.Inf(-1), bound - 1, bound, bound + 1, floor - 1, floor, floor + 1, (bound + floor) / 2, math.Inf(1)} {
			lax = lax || ops[op](x, bound) && !ops[b.Op](x, floor)
		}
		r := rowOf(t, w.judge(), b.KPI)
		if isError := r.State == Error && strings.Contains(r.Reason, "laxer"); isError != lax {
			rt.Errorf("%s %s %v against floor %s %s: %s (%s)", b.KPI, op, bound, b.Op, b.Threshold, r.State, r.Reason)
		}
	})
}

// TestFloorNamesEverything: each property of each required row, softened or
// taken away, is ERROR and the reason names it.
func TestFloorNamesEverything(t *testing.T) {
	for _, b := range Floor() {
		for name, bend := range map[string]func(w *world){
			"no such row": func(w *world) { w.row(b.KPI)["kpi_id"] = "renamed" },
			"requirement": func(w *world) { w.row(b.KPI)["requirement"] = "R9" },
			"block":       func(w *world) { w.row(b.KPI)["profiles"] = Smoke },
			"window":      func(w *world) { w.row(b.KPI)["window"] = "30s" },
			"does not count": func(w *world) {
				r := w.row(b.KPI)
				r["min_samples"], _, _ = strings.Cut(r["min_samples"], " of ")
				r["min_samples"] += " of " + map[string]string{SourceProm: "vector(1e9)", SourceK6: "dec_completed.count2", SourceFile: "run.json#/n"}[b.Source]
			},
			"not of": func(w *world) { w.row(b.KPI)["min_coverage"] = "1 of others" },
			"the query": func(w *world) {
				r := w.row(b.KPI)
				r["query"] = map[string]string{SourceProm: "vector(1)", SourceK6: "up.count", SourceFile: "run.json#/n"}[b.Source]
			},
			"min_samples":  func(w *world) { delete(w.row(b.KPI), "min_samples") },
			"min_coverage": func(w *world) { delete(w.row(b.KPI), "min_coverage") },
		} {
			if (name == "min_samples" || name == "does not count") && b.LeastSamples == nil ||
				(name == "min_coverage" || name == "not of") && b.LeastCoverage == 0 || name == "window" && b.Window == "" {
				continue
			}
			w := newWorld(t, Full)
			bend(w)
			v := w.judge()
			if r := rowOf(t, v, b.KPI); r.State != Error || !r.Blocks || !strings.Contains(r.Reason, name) || v.Decision != Refused {
				t.Errorf("%s, %s: %s (%s)", b.KPI, name, r.State, r.Reason)
			}
		}
		w := newWorld(t, Full)
		evidence, sheet := w.evidence()
		for _, r := range sheet.Rows {
			if r.KPI == b.KPI {
				sheet.Rows = append(sheet.Rows, r)
				break
			}
		}
		v := judged(t, evidence, sheet, Full)
		if last := v.Rows[len(v.Rows)-1]; last.State != Error || !strings.Contains(last.Reason, "doubled") {
			t.Errorf("%s doubled: %s (%s)", b.KPI, last.State, last.Reason)
		}
	}
}
