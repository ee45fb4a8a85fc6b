package gate

import "strings"

// Samples that the load has to give: 120 decisions a second for the length of
// the profile are 7,200 and 432,000. A tenth less is what a slow first scrape
// may cost; a load that misses more was not the load that was asked for.
var decisions = map[string]float64{Smoke: 6_480, Full: 388_800}

// Interactions with the page: fewer than ten make one slow click a quarter of
// them, as in the rule WebCWVRegression.
var interactions = map[string]float64{Smoke: 10, Full: 100}

// Scrapes of a gauge every 2 s over the load, a tenth less.
var scraped = map[string]float64{Smoke: 27, Full: 1_620}

// Changes or heartbeats of a table that reached the lake.
var arrivals = map[string]float64{Smoke: 3, Full: 300}

// always is a least count that does not depend on the length of the load.
func always(n float64) map[string]float64 { return map[string]float64{Smoke: n, Full: n} }

// served is the least share of scrapes a criterion of the load may rest on.
const served = 0.9

// The queries that count what a criterion rests on.
const (
	countDecisions = "sum(increase(dec_latency_seconds_count[$window]))"
	countAnswers   = "sum(increase(http_requests_total[$window]))"
	countCompleted = "dec_completed.count"
)

// Floor lists what no sheet may leave out or soften: R1 to R6 as far as they
// are measured today. R4 blocks only in full until its drills exist; R7 is the
// pack itself. Stricter rows, and more of them, are welcome. Whoever changes a
// query of the sheet changes it here too, and so says that it is meant.
func Floor() []Bound {
	list := decisionBounds()
	list = append(list, dataBounds()...)
	return append(list, peopleBounds()...)
}

// decisionBounds are R1: the clients' side first, then the server's.
func decisionBounds() []Bound {
	row := func(kpi, unit, source, query, op, threshold, samples string) Bound {
		b := Bound{KPI: kpi, Requirement: "R1", Unit: unit, Source: source, Query: query, Op: op, Threshold: threshold,
			Samples: samples, LeastSamples: decisions, Profiles: []string{Smoke, Full}}
		if source == SourceProm {
			b.Window, b.LeastCoverage, b.Job = "load", served, "mbp"
		}
		return b
	}
	const within = `sum(increase(dec_latency_seconds_bucket{le="0.8"}[$window])) / sum(increase(dec_latency_seconds_count[$window]))`
	slices := row("dec_within_800ms_worst_5m_ratio", "ratio", SourceProm, within, ">=", "0.95", countDecisions)
	slices.Window, slices.LeastSamples = "load/5m", map[string]float64{Smoke: 6_480, Full: 32_400}
	faults := row("mbp_faults_enabled", "switch", SourceProm, "max(max_over_time(mbp_faults_enabled[$window]))", "==", "0",
		"sum(count_over_time(mbp_faults_enabled[$window]))")
	faults.LeastSamples = scraped
	dropped := row("dec_dropped", "requests", SourceFile, "k6/summary.json#/gate/dropped", "==", "0", "k6/summary.json#/gate/expected_iterations")
	dropped.LeastSamples = map[string]float64{Smoke: 7_200, Full: 432_000}
	return []Bound{
		row("dec_p95_ms", "ms", SourceK6, loadMetric+".p(95)", "<=", "800", ""),
		row("dec_within_800ms_client_ratio", "ratio", SourceK6, "dec_within_800ms.rate", ">=", "0.95", ""),
		row("dec_effective_ratio", "ratio", SourceK6, "dec_effective_ratio.rate", ">=", "0.95", ""),
		dropped,
		row("dec_client_5xx", "requests", SourceK6, "dec_5xx.count", "==", "0", countCompleted),
		row("dec_within_800ms_server_ratio", "ratio", SourceProm, within, ">=", "0.95", countDecisions),
		slices,
		row("http_5xx", "requests", SourceProm, `sum(increase(http_requests_total{class="5xx"}[$window]))`, "==", "0", countAnswers),
		row("dec_orchestration_errors", "errors", SourceProm, "sum(increase(dec_orchestration_errors_total[$window]))", "==", "0", countDecisions),
		row("decision_gap", "decisions", SourceProm,
			"(sum(dec_admitted_total) - sum(dec_admitted_total offset $window)) - (sum(dec_journalled_total) - sum(dec_journalled_total offset $window))",
			"==", "0", "sum(dec_admitted_total) - sum(dec_admitted_total offset $window)"),
		faults,
	}
}

// dataBounds are R2 and R3.
func dataBounds() (list []Bound) {
	prom := func(kpi, req, unit, query, op, threshold, samples string, least map[string]float64) {
		list = append(list, Bound{KPI: kpi, Requirement: req, Unit: unit, Source: SourceProm, Window: "load", Query: query, Op: op, Threshold: threshold,
			Samples: samples, LeastSamples: least, LeastCoverage: served, Job: "mbp", Profiles: []string{Smoke, Full}})
	}
	file := func(kpi, unit, query, samples string, least float64) {
		list = append(list, Bound{KPI: kpi, Requirement: "R3", Unit: unit, Source: SourceFile, Query: query, Op: "==", Threshold: "0",
			Samples: samples, LeastSamples: always(least), Profiles: []string{Smoke, Full}})
	}
	for _, table := range []string{"mbp_markets", "mbp_quotes", "mbp_resolutions", "mbp_abuse_events"} {
		of := strings.NewReplacer("TABLE", table).Replace
		// Prometheus 3 spells the edge of a bucket as a float, older ones as it came.
		prom("cdc_lag_within_120s_"+table, "R2", "ratio", of(`sum(increase(cdc_lag_seconds_bucket{table="TABLE",le="120"}[$window]) `+
			`or increase(cdc_lag_seconds_bucket{table="TABLE",le="120.0"}[$window])) / sum(increase(cdc_lag_seconds_count{table="TABLE"}[$window]))`),
			">=", "0.95", of(`sum(increase(cdc_lag_seconds_count{table="TABLE"}[$window]))`), arrivals)
	}
	for _, gauge := range []struct{ kpi, unit string }{{"registry_schema_drift", "tables"}, {"data_contract_break", "breaks"}} {
		prom(gauge.kpi, "R3", gauge.unit, "max(max_over_time("+gauge.kpi+"[$window]))", "==", "0", "sum(count_over_time("+gauge.kpi+"[$window]))", scraped)
	}
	list = append(list, Bound{KPI: "dbt_tests_failed", Requirement: "R3", Unit: "tests", Source: SourceProm, Window: "load",
		Query: "max(max_over_time(dbt_tests_failed[$window]))", Op: "==", Threshold: "0", Profiles: []string{Smoke, Full}})
	file("dbt_nodes_not_passed", "nodes", "dbt/run_results.json#count:/results?status!=pass,success,no-op", "dbt/run_results.json#count:/results?status=pass", 40)
	file("schema_breaking", "findings", "schema/compat.json#/breaking", "schema/compat.json#/checked", 6)
	return list
}

// peopleBounds are R4 (governance), R5 (the page) and R6 (security).
func peopleBounds() []Bound {
	file := func(kpi, unit, query, op, threshold, samples string, least map[string]float64) Bound {
		return Bound{KPI: kpi, Requirement: "R6", Unit: unit, Source: SourceFile, Query: query, Op: op, Threshold: threshold,
			Samples: samples, LeastSamples: least, Profiles: []string{Smoke, Full}}
	}
	coverage := func(kpi, query, threshold string) Bound {
		return Bound{KPI: kpi, Requirement: "R4", Unit: "ratio", Source: SourceProm, Window: "load", Query: query, Op: ">=", Threshold: threshold,
			Profiles: []string{Full}}
	}
	age := file("vulndb_age_days", "days", "security/govulncheck.db.json#/age_days", "<=", "7", "", nil)
	age.Profiles = []string{Full}
	return []Bound{
		coverage("hook_coverage_ratio", "min(decision_hook_coverage_ratio)", "0.98"),
		coverage("audit_coverage_ratio", "min(audit_log_coverage_ratio)", "0.99"),
		{KPI: "inp_within_200ms_ratio", Requirement: "R5", Unit: "ratio", Source: SourceProm, Window: "load",
			Query: `sum(web_vitals_inp_ms_bucket{le="200"} or web_vitals_inp_ms_bucket{le="200.0"}) / sum(web_vitals_inp_ms_count)`,
			Op:    ">=", Threshold: "0.75", Samples: "sum(web_vitals_inp_ms_count)", LeastSamples: interactions,
			LeastCoverage: served, Job: "rum", Profiles: []string{Smoke, Full}},
		file("secrets_found", "findings", "security/gitleaks.json#/findings", "==", "0", "security/gitleaks.json#/history/commits", always(1)),
		file("secrets_canary", "findings", "security/gitleaks.json#count:/canary/found", ">=", "4", "", nil),
		file("vulnerabilities_found", "findings", "security/govulncheck.json#/called", "==", "0", "security/govulncheck.db.json#/entries", always(1000)),
		file("vulnerabilities_canary", "findings", "security/govulncheck.json#count:/canary/found", ">=", "1", "", nil),
		age,
		file("sbom_components", "components", "security/sbom.cdx.json#count:/components", ">=", "1", "", nil),
	}
}
