// Package docs_test holds the rules that bind documents to what they speak of:
// a bound has one number in load script, alert and sheet; every alert can be
// looked up and has been seen to fire; every link leads somewhere.
package docs_test

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// watchers are the ids that hooks will be wired by.
var watchers = map[string]string{
	"DECP95High": "slo_budget_breach", "SLOBudgetBreach": "slo_budget_breach", "CDCLagHigh": "cdc_lag",
	"SchemaDrift": "schema_registry_drift", "DataContractBreak": "data_contract_break", "DbtTestFailure": "dbt_test_failure",
	"ResolutionSLA": "mbp_resolution_sla", "TwapDivergence": "mbp_price_spike_divergence",
	"WebCWVRegression": "web_cwv_regression", "DecisionGapHigh": "metrics_decision_hook_gap",
	"AuditTreeBehind": "audit_tree", "DeadlinesHeld": "deadlines_held", "NoLeader": "ha", "NoSynchronousReplica": "ha",
	"SnapshotFailed": "snapshots", "JournalNotReleased": "journal_archive",
	"CertificateNotUsed": "certificate", "CertificateExpires": "certificate",
	"WebhookFailed": "webhooks", "WebhookLag": "webhooks", "WebhookKeyMissing": "webhooks",
	"Watchdog": "watchdog", "TargetDown": "watchdog", "TargetMissing": "watchdog", "SeriesAbsent": "watchdog", "SeriesLate": "watchdog",
}

var headings = []string{"## Meaning", "## Impact", "## Diagnosis", "## Mitigation"}

// TestEveryAlertHasARunbook: whoever is woken finds the page, by the alert's name.
func TestEveryAlertHasARunbook(t *testing.T) {
	all := rules(t)
	seen := map[string]bool{}
	for _, r := range all {
		if r.Alert == "" {
			continue
		}
		seen[r.Alert] = true
		if want := watchers[r.Alert]; want == "" || r.Labels["watcher"] != want {
			t.Errorf("%s has the watcher %q, want %q", r.Alert, r.Labels["watcher"], want)
		}
		if !slices.Contains([]string{"page", "ticket", "none"}, r.Labels["severity"]) || r.Labels["owner"] == "" || r.Annotations["summary"] == "" {
			t.Errorf("%s lacks severity, owner or summary: %v %v", r.Alert, r.Labels, r.Annotations)
		}
		page := r.Annotations["runbook"]
		if !strings.HasPrefix(page, "docs/runbooks/") {
			t.Errorf("%s names the runbook %q", r.Alert, page)
			continue
		}
		if text := read(t, "../"+page); !strings.Contains(text, r.Alert) {
			t.Errorf("%s does not speak of %s", page, r.Alert)
		}
	}
	for name := range watchers {
		if !seen[name] {
			t.Errorf("no alert %s", name)
		}
	}
}

func TestRunbooksHaveTheirFourParts(t *testing.T) {
	pages, err := filepath.Glob("runbooks/*.md")
	if err != nil || len(pages) < 8 {
		t.Fatalf("runbooks %v, %v", pages, err)
	}
	for _, page := range pages {
		var got []string
		for _, line := range strings.Split(read(t, page), "\n") {
			if strings.HasPrefix(line, "## ") {
				got = append(got, line)
			}
		}
		if !slices.Equal(got, headings) {
			t.Errorf("%s has the parts %v, want %v", page, got, headings)
		}
	}
}

// TestSheetRowsCanBeLookedUp: a red row leads to a page, an owner and, if there
// is one, a watcher that exists.
func TestSheetRowsCanBeLookedUp(t *testing.T) {
	known := map[string]bool{"": true}
	for _, w := range watchers {
		known[w] = true
	}
	for _, r := range sheet(t) {
		if _, err := os.Stat("../" + r["runbook"]); err != nil || !strings.HasPrefix(r["runbook"], "docs/runbooks/") {
			t.Errorf("%s: runbook %q: %v", r["kpi_id"], r["runbook"], err)
		}
		if r["owner"] == "" || !known[r["watcher"]] {
			t.Errorf("%s: owner %q, watcher %q", r["kpi_id"], r["owner"], r["watcher"])
		}
		if strings.Contains(r["query"], "vector(") || strings.Contains(r["query"], "absent") {
			t.Errorf("%s turns an absent series into a number: %s", r["kpi_id"], r["query"])
		}
	}
}

// TestEveryAlertWasSeenToFire: promtool runs the unit tests (make rules); this
// makes sure that there is one in which the alert fires, one in which it does
// not, and one without samples.
func TestEveryAlertWasSeenToFire(t *testing.T) {
	files, err := filepath.Glob(promDir + "/tests/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rule tests: %v", err)
	}
	fires, quiet, absent := map[string]bool{}, map[string]bool{}, map[string]bool{}
	for _, f := range files {
		var doc struct {
			Tests []struct {
				Name   string
				Alerts []struct {
					Name string `yaml:"alertname"`
					Exp  []any  `yaml:"exp_alerts"`
				} `yaml:"alert_rule_test"`
				Exprs []struct {
					Expr string
					Exp  []any `yaml:"exp_samples"`
				} `yaml:"promql_expr_test"`
			}
		}
		if err := yaml.Unmarshal([]byte(read(t, f)), &doc); err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		for _, test := range doc.Tests {
			for _, a := range test.Alerts {
				fires[a.Name] = fires[a.Name] || len(a.Exp) > 0
				quiet[a.Name] = quiet[a.Name] || len(a.Exp) == 0
				absent[a.Name] = absent[a.Name] || len(a.Exp) == 0 && strings.HasPrefix(test.Name, "without samples")
			}
			for _, e := range test.Exprs {
				for _, m := range regexp.MustCompile(`ALERTS\{alertname="(\w+)"`).FindAllStringSubmatch(e.Expr, -1) {
					fires[m[1]] = fires[m[1]] || len(e.Exp) > 0
					quiet[m[1]] = quiet[m[1]] || len(e.Exp) == 0
				}
			}
		}
	}
	for _, r := range rules(t) {
		if r.Alert == "" {
			continue
		}
		if !fires[r.Alert] {
			t.Errorf("no unit test in which %s fires", r.Alert)
		}
		if !quiet[r.Alert] && r.Alert != "Watchdog" {
			t.Errorf("no unit test in which %s does not fire", r.Alert)
		}
		if !absent[r.Alert] && watchers[r.Alert] != "watchdog" {
			t.Errorf("no unit test of %s without samples", r.Alert)
		}
	}
}

// ourSeries are the names that alerts read and rules do not record.
var ourSeries = regexp.MustCompile(`\b(?:dec|cdc|http|registry|data|dbt|web|mbp)_[a-z0-9_]+\b`)

// TestNoAlertIsBlindInSilence: whatever series an alert or a rule reads, its
// absence raises an alert of its own.
func TestNoAlertIsBlindInSilence(t *testing.T) {
	all := rules(t)
	guard := alert(t, all, "SeriesAbsent").Expr + alert(t, all, "SeriesLate").Expr
	base := func(s string) string {
		return strings.TrimSuffix(strings.TrimSuffix(s, "_bucket"), "_count")
	}
	for _, r := range all {
		if watchers[r.Alert] == "watchdog" {
			continue
		}
		for _, s := range ourSeries.FindAllString(r.Expr, -1) {
			if !strings.Contains(guard, `"`+base(s)+`"`) {
				t.Errorf("%s%s reads %s, and nobody notices its absence", r.Alert, r.Record, s)
			}
		}
	}
}

var (
	link  = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fence = regexp.MustCompile("(?s)```.*?```")
	title = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// TestLinksResolve: every relative link in our Markdown leads to a file, and to
// a heading if it names one.
func TestLinksResolve(t *testing.T) {
	skip := map[string]bool{".git": true, ".tools": true, "node_modules": true, "bin": true, "out": true, "target": true, "testdata": true}
	pages := 0
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && skip[d.Name()] {
			return fs.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".md" {
			return nil
		}
		pages++
		for _, m := range link.FindAllStringSubmatch(fence.ReplaceAllString(read(t, path), ""), -1) {
			if strings.Contains(m[1], "://") || strings.HasPrefix(m[1], "mailto:") {
				continue
			}
			target, anchor, _ := strings.Cut(m[1], "#")
			file := path
			if target != "" {
				file = filepath.Join(filepath.Dir(path), target)
			}
			if _, err := os.Stat(file); err != nil {
				t.Errorf("%s links to %s, which is not there", path, m[1])
			} else if anchor != "" && filepath.Ext(file) == ".md" && !slices.Contains(anchors(read(t, file)), anchor) {
				t.Errorf("%s links to %s, and %s has no such heading", path, m[1], file)
			}
		}
		return nil
	})
	if err != nil || pages < 10 {
		t.Fatalf("%d pages, %v", pages, err)
	}
}

// anchors are the names that headings get on GitHub.
func anchors(text string) (names []string) {
	for _, m := range title.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		name := strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r > 127:
				return r
			}
			return -1
		}, strings.ToLower(m[1]))
		names = append(names, name)
	}
	return names
}

// TestDecisionsNameTheirConfirmation: a decision record is accepted (L3), and
// says what checks it.
func TestDecisionsNameTheirConfirmation(t *testing.T) {
	records, err := filepath.Glob("adr/ADR-*.md")
	if err != nil || len(records) < 3 {
		t.Fatalf("decision records %v, %v", records, err)
	}
	for _, path := range records {
		text := read(t, path)
		if !strings.Contains(text, "\n- Status: accepted") {
			t.Errorf("%s is not accepted", path)
		}
		_, after, ok := strings.Cut(text, "\n## Confirmation\n")
		if !ok || len(bytes.TrimSpace([]byte(after))) < 40 {
			t.Errorf("%s does not say what confirms it", path)
		}
	}
}
