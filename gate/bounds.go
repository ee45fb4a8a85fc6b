package gate

// both are the profiles that the floor covers; the numbers of the load differ.
var both = []string{Smoke, Full}

// Samples that the load has to give: 120 decisions a second for the length of
// the profile are 7,200 and 432,000. A tenth less is what a slow first scrape
// may cost; a load that misses more was not the load that was asked for.
var decisions = map[string]float64{Smoke: 6_480, Full: 388_800}

// Interactions with the page: fewer than ten make one slow click a quarter of
// them, as in the rule WebCWVRegression.
var interactions = map[string]float64{Smoke: 10, Full: 100}

// served is the least share of scrapes a criterion of the load may rest on.
const served = 0.9

// floorJob is the scrape job a bound's coverage is about.
func floorJob(b Bound) string {
	if b.Requirement == "R5" {
		return "rum"
	}
	return "mbp"
}

// Floor lists what no sheet may leave out or soften: R1, R2, R3, R5 and R6 as
// far as they are measured today. R4 has no rows until its drills exist; R7 is
// the pack itself. Stricter rows, and more of them, are welcome.
func Floor() []Bound {
	prom := func(kpi, req, unit, op, threshold string, coverage float64, query ...string) Bound {
		return Bound{KPI: kpi, Requirement: req, Unit: unit, Source: SourceProm, Query: query, Op: op, Threshold: threshold,
			LeastCoverage: coverage, Profiles: both}
	}
	load := func(b Bound) Bound { b.LeastSamples = decisions; return b }
	inp := func(b Bound) Bound { b.LeastSamples = interactions; return b }
	k6 := func(kpi, unit, op, threshold, query string) Bound {
		return Bound{KPI: kpi, Requirement: "R1", Unit: unit, Source: SourceK6, Query: []string{query}, Op: op, Threshold: threshold,
			LeastSamples: decisions, Profiles: both}
	}
	file := func(kpi, op, threshold, query string) Bound {
		return Bound{KPI: kpi, Requirement: "R6", Unit: "findings", Source: SourceFile, Query: []string{query}, Op: op, Threshold: threshold, Profiles: both}
	}
	list := []Bound{
		k6("dec_p95_ms", "ms", "<=", "800", "http_req_duration{kind:dec}.p(95)"),
		k6("dec_within_800ms_client_ratio", "ratio", ">=", "0.95", ".rate"),
		k6("dec_effective_ratio", "ratio", ">=", "0.95", "dec_effective_ratio.rate"),
		load(prom("dec_within_800ms_server_ratio", "R1", "ratio", ">=", "0.95", served, "dec_latency_seconds_bucket", `le="0.8"`, "dec_latency_seconds_count", "$window")),
		prom("http_5xx", "R1", "requests", "==", "0", served, "http_requests_total", `class="5xx"`),
		prom("dec_orchestration_errors", "R1", "errors", "==", "0", served, "dec_orchestration_errors_total"),
		prom("registry_schema_drift", "R3", "tables", "==", "0", 0, "registry_schema_drift"),
		prom("data_contract_break", "R3", "breaks", "==", "0", 0, "data_contract_break"),
		prom("dbt_tests_failed", "R3", "tests", "==", "0", 0, "dbt_tests_failed"),
		inp(prom("inp_within_200ms_ratio", "R5", "ratio", ">=", "0.75", 0, "web_vitals_inp_ms_bucket", `le="200"`, "web_vitals_inp_ms_count")),
		file("secrets_found", "==", "0", "security/gitleaks"),
		file("secrets_canary", ">=", "1", "canary"),
		file("vulnerabilities_found", "==", "0", "security/govulncheck"),
	}
	for _, table := range []string{"mbp_markets", "mbp_quotes", "mbp_resolutions", "mbp_abuse_events"} {
		list = append(list, prom("cdc_lag_within_120s_"+table, "R2", "ratio", ">=", "0.95", served,
			"cdc_lag_seconds_bucket", `le="120"`, "cdc_lag_seconds_count", `table="`+table+`"`))
	}
	return list
}
