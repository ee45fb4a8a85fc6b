package stage

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/gate"
)

const k6Script = `import http from 'k6/http';
import { sleep } from 'k6';
export const options = { scenarios: { a: { executor: 'constant-arrival-rate', rate: Number(__ENV.RATE), timeUnit: '1s', duration: __ENV.SECONDS + 's', preAllocatedVUs: 5, maxVUs: 5 } },
  thresholds: JSON.parse(__ENV.THRESHOLDS) };
export function setup() { sleep(1); }
export default function () { http.get(__ENV.URL); }
export function teardown() { sleep(1); }
export function handleSummary(data) { return { [__ENV.SUMMARY]: JSON.stringify(data) }; }
`

// realHouse has the real k6 and Prometheus around a small service. dies is an
// extra step beside the load.
func realHouse(t *testing.T, extra string) *house {
	t.Helper()
	bin, err := filepath.Abs("../../.tools/bin")
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"k6", "prometheus"} {
		if _, err := os.Stat(filepath.Join(bin, tool)); err != nil {
			t.Skipf("%s is not installed: make tools", tool)
		}
	}
	h := newHouse(t, `  - {name: k6, path: `+bin+`/k6, install: run make tools}
  - {name: prometheus, path: `+bin+`/prometheus, install: run make tools}
services:
  - name: web
    title: a service
    argv: ["${tool.helper}", helper, serve, "127.0.0.1:${port.web}", "${run}/web.pid"]
    ready: "http://127.0.0.1:${port.web}/readyz"
  - name: prometheus
    title: the real one
    tool: prometheus
    argv: ["${tool.prometheus}", "--config.file=${run}/prom.yml", "--storage.tsdb.path=${run}/tsdb", "--web.listen-address=127.0.0.1:${port.prom}"]
    ready: "http://127.0.0.1:${port.prom}/-/ready"
    files:
      - to: "${run}/prom.yml"
        text: |
          global: {scrape_interval: 500ms, scrape_timeout: 500ms}
          scrape_configs: [{job_name: web, static_configs: [{targets: ["127.0.0.1:${port.web}"]}]}]
stages:
  - name: up
    title: t
    steps: [{name: services, kind: services}, {name: scraped, kind: wait, query: "count(up == 1) == 1", needs: [prometheus], timeout: 20s}]
  - name: load
    title: t
    parallel: true
    steps:
      - name: k6
        kind: load
        tool: k6
        needs: [web]
        argv: ["${tool.k6}", run, --quiet, --address, "127.0.0.1:${port.k6}", load.js]
        env: {RATE: "${load.rate}", SECONDS: "${load.seconds}", URL: "http://127.0.0.1:${port.web}/", SUMMARY: "${run}/summary.json", THRESHOLDS: "${env.STAGE_PASSED}"}
        url: "http://127.0.0.1:${port.k6}"
        timeout: 30s
        evidence: [{from: "${run}/summary.json", to: k6/summary.json}]
        expect: [{file: "${evi}/k6/summary.json", at: /metrics/iterations/values/count, min: 30}]
`+extra+`
  - {name: collect, title: t, steps: [{kind: collect, timeout: 30s}]}
  - {name: down, title: t, steps: [{kind: stop}]}
`+closingStages)
	h.write("load.js", k6Script)
	return h
}

func TestRealLoadAndQueries(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds of real load")
	}
	t.Setenv("STAGE_PASSED", "{}")
	h := realHouse(t, "")
	res, err := Run(context.Background(), h.options())
	if err != nil || len(res.Bad) > 0 {
		t.Fatalf("%+v, %v\n%s", res, err, h.out.String())
	}
	var run gate.Run
	if err := json.Unmarshal([]byte(h.read(gate.RunFile)), &run); err != nil {
		t.Fatal(err)
	}
	// Two seconds of scenario: the second of set-up and the one of teardown are
	// no load.
	if run.Load == nil || run.Load.Duration() < 1900*time.Millisecond || run.Load.Duration() > 2800*time.Millisecond {
		t.Fatalf("the load window is %+v", run.Load)
	}
	for _, name := range []string{"prom/served.json", gate.UpFile, "prom/buildinfo.json", "prom/rules.json"} {
		if b := h.read(name); !strings.Contains(b, `"status":"success"`) || name == "prom/served.json" && !strings.Contains(b, `"value"`) {
			t.Errorf("%s: %s", name, b)
		}
	}
	if !strings.Contains(h.out.String(), "the scenario has begun") {
		t.Errorf("the progress:\n%s", h.out.String())
	}
}

func TestThresholdThatFailsIsAFailedLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds of real load")
	}
	t.Setenv("STAGE_PASSED", `{"http_req_duration": ["p(95)<0.000001"]}`)
	h := realHouse(t, "")
	if _, err := Run(context.Background(), h.options()); err != nil {
		t.Fatal(err)
	}
	h.wantStep("02-load.k6", gate.StepFailed, "exit status 99")
	h.wantStep("03-collect", gate.StepOK, "")
}

// TestPrometheusKilledMidRun: the load goes on, the questions fail, the rows
// have no data and an error that says why, and the gate does not crash.
func TestPrometheusKilledMidRun(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds of real load")
	}
	t.Setenv("STAGE_PASSED", "{}")
	h := realHouse(t, `      - {name: killer, argv: ["${tool.helper}", helper, quell, "${run}/prom.yml"], timeout: 20s}`)
	if _, err := Run(context.Background(), h.options()); err != nil {
		t.Fatal(err)
	}
	h.wantStep("02-load.k6", gate.StepOK, "")
	h.wantStep("03-collect", gate.StepFailed, "questions to Prometheus got no answer; the first: prom/up.json")
	h.wantStep("04-down", gate.StepFailed, "service prometheus died during the run (signal: killed")
	if got := h.read("prom/served.error.txt"); !strings.Contains(got, "refused") {
		t.Errorf("the error says %q", got)
	}
	if _, err := os.Stat(filepath.Join(h.root, "out/EVI/prom/served.json")); err == nil {
		t.Error("there is an answer to a question that nobody answered")
	}
	if !strings.Contains(h.out.String(), "service prometheus died: signal: killed") {
		t.Errorf("nobody was told:\n%s", h.out.String())
	}
}

// TestLoadThatIsCutShort: the service under load dies. The load stops at once,
// and what was seen of it is asked about all the same.
func TestLoadThatIsCutShort(t *testing.T) {
	if testing.Short() {
		t.Skip("it takes ten seconds of real load")
	}
	t.Setenv("STAGE_PASSED", "{}")
	h := realHouse(t, `      - {name: killer, argv: ["${tool.helper}", helper, late, "http://127.0.0.1:${port.web}/die", 2500ms], timeout: 20s}`)
	if _, err := Run(context.Background(), h.options()); err != nil {
		t.Fatal(err)
	}
	h.wantStep("02-load.k6", gate.StepFailed, "service web died (exit status 3")
	h.wantStep("03-collect", gate.StepOK, "")
	var run gate.Run
	if err := json.Unmarshal([]byte(h.read(gate.RunFile)), &run); err != nil {
		t.Fatal(err)
	}
	if run.Load == nil || run.Load.Duration() > 2*time.Second {
		t.Errorf("the load window is %+v", run.Load)
	}
	if b := h.read(gate.UpFile); !strings.Contains(b, `"status":"success"`) {
		t.Errorf("up: %s", b)
	}
}
