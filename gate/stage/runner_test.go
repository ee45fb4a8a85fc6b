package stage

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/gate"
)

const closingStages = `
  - {name: judge, title: verdict, steps: [{kind: judge}]}
  - {name: pack, title: pack, steps: [{kind: pack}]}
`

func TestStagesInOrderAndTheirEvidence(t *testing.T) {
	t.Setenv("STAGE_PASSED", "passed-but-not-recorded")
	t.Setenv("STAGE_KEPT", "kept")
	t.Setenv("STAGE_OUTSIDE", "outside")
	h := newHouse(t, `stages:
  - name: one
    title: the first
    steps:
      - name: env
        argv: ["${tool.helper}", helper, environ, "${run}/env.json"]
        env: {OWN: "${env.STAGE_PASSED}", WHERE: "${run}"}
        timeout: 10s
        evidence: [{from: "${run}/env.json", to: one/env.json}]
        expect: [{file: "${evi}/one/env.json", at: /, min_items: 3}]
      - {name: say, argv: ["${tool.helper}", helper, say, "at ${root}/x in ${load.seconds}"], timeout: 10s}
  - name: two
    title: the second
    after: []
    steps: [{argv: ["${tool.helper}", helper, write, "${run}/two", "${port.web}"], timeout: 10s, after: [one]}]
`+closingStages)
	// A key of a stage that the grammar does not know is refused.
	if _, err := Find(h.root, ""); err == nil || !strings.Contains(err.Error(), "after") {
		t.Fatalf("unknown key: %v", err)
	}
	h.write(PlanFile, strings.Replace(mustRead(t, filepath.Join(h.root, PlanFile)), "    after: []\n", "", 1))
	res, err := Run(context.Background(), h.options())
	if err != nil || len(res.Bad) > 0 || res.Verdict == nil {
		t.Fatalf("%+v, %v\n%s", res, err, h.out.String())
	}
	for _, dir := range []string{"01-one.env", "01-one.say", "02-two"} {
		h.wantStep(dir, gate.StepOK, "")
	}
	if !h.step("01-one.env").EndedAt.Before(h.step("02-two").StartedAt) {
		t.Error("the second stage began before the first had ended")
	}
	var env []string
	if err := json.Unmarshal([]byte(h.read("one/env.json")), &env); err != nil {
		t.Fatal(err)
	}
	all := strings.Join(env, "\n")
	if !strings.Contains(all, "OWN=passed-but-not-recorded") || strings.Contains(all, "STAGE_OUTSIDE") {
		t.Errorf("the child saw\n%s", all)
	}
	rec := h.step("01-one.env")
	if rec.Env["STAGE_KEPT"] != "kept" || rec.Env["OWN"] != "${env.STAGE_PASSED}" || rec.Env["WHERE"] != "${run}" {
		t.Errorf("recorded environment %v", rec.Env)
	}
	if got := h.read("steps/01-one.say/stdout.txt"); got != "at ${root}/x in 2\n" {
		t.Errorf("the log says %q", got)
	}
	var run gate.Run
	if err := json.Unmarshal([]byte(h.read(gate.RunFile)), &run); err != nil {
		t.Fatal(err)
	}
	if run.Subject.Commit == "" || !run.Subject.Dirty || run.EndedAt.IsZero() || len(run.Tools) != 1 || run.Tools[0].SHA256 == "" {
		t.Errorf("run.json: %+v", run)
	}
	if h.read("policy/adr/one.md") != "decided\n" || h.read(gate.SheetFile) != sheetText || !strings.Contains(h.read(gate.PolicyFile), "version: 1") {
		t.Error("the policy was not copied byte for byte")
	}
	if !slices.Equal(h.judged, []string{"smoke"}) {
		t.Errorf("judged %v", h.judged)
	}
	err = filepath.WalkDir(filepath.Join(h.root, "out", "EVI"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(mustRead(t, path), h.root) && !strings.Contains(path, "policy") {
			t.Errorf("%s names a folder of this machine", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func mustRead(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestWhatCannotRunSaysWhyAndTheRestGoesOn(t *testing.T) {
	t.Setenv("STAGE_INPUT", "")
	h := newHouse(t, `stages:
  - {name: tool, title: t, steps: [{tool: absent, argv: [.tools/absent], timeout: 5s}]}
  - {name: file, title: t, steps: [{argv: [./not/there], timeout: 5s}]}
  - {name: later, title: t, steps: [{after: [tool], argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: wish, title: t, steps: [{input: "${env.STAGE_INPUT|not/there}", input_env: STAGE_INPUT, argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: served, title: t, steps: [{needs: [web], argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: exits, title: t, steps: [{argv: ["${tool.helper}", helper, fail, "4"], timeout: 5s}]}
  - {name: empty, title: t, steps: [{argv: ["${tool.helper}", helper, say, "[]"], timeout: 5s, expect: [{file: "${evi}/steps/07-empty/stdout.txt", at: /, min_items: 1}]}]}
  - {name: lost, title: t, steps: [{argv: ["${tool.helper}", helper, say, x], timeout: 5s, evidence: [{from: "${run}/never", to: never}]}]}
  - {name: slow, title: t, steps: [{argv: ["${tool.helper}", helper, sleep, "${run}/slow.pid"], timeout: 300ms}]}
  - {name: fine, title: t, steps: [{argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: moot, title: t, steps: [{after: [tool], input: "${env.STAGE_INPUT|not/there}", input_env: STAGE_INPUT, argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
services:
  - {name: web, title: w, argv: [x], ready: "http://127.0.0.1:${port.web}/readyz"}
`)
	res, err := Run(context.Background(), h.options())
	if err != nil {
		t.Fatal(err)
	}
	h.wantStep("01-tool", gate.StepNotRun, "run make tools")
	h.wantStep("02-file", gate.StepNotRun, "no such file")
	h.wantStep("03-later", gate.StepNotRun, "stage tool, which is NOT_RUN")
	h.wantStep("04-wish", gate.StepDisabled, "not asked for")
	h.wantStep("05-served", gate.StepNotRun, "service web does not run")
	h.wantStep("06-exits", gate.StepFailed, "exit status 4: it went wrong")
	h.wantStep("07-empty", gate.StepFailed, "0 items")
	h.wantStep("08-lost", gate.StepFailed, "left no ${run}/never")
	h.wantStep("09-slow", gate.StepFailed, "longer than 300ms")
	h.wantStep("10-fine", gate.StepOK, "")
	h.wantStep("11-moot", gate.StepDisabled, "not asked for")
	if len(res.Bad) != 8 {
		t.Errorf("bad steps: %s", strings.Join(res.Bad, "\n"))
	}
	if exit := h.step("06-exits").ExitCode; exit == nil || *exit != 4 {
		t.Error("the exit status was not recorded")
	}
	wantGone(t, "the step that took too long", pid(t, filepath.Join(h.root, "out/run/slow.pid")))
	// Asked for by name, a missing input is no free choice any more.
	t.Setenv("STAGE_INPUT", "missing/too")
	if _, err := Run(context.Background(), h.options()); err != nil {
		t.Fatal(err)
	}
	h.wantStep("04-wish", gate.StepNotRun, "STAGE_INPUT names an input that is not there")
}

const webService = `
services:
  - name: web
    title: a service
    argv: ["${tool.helper}", helper, serve, "127.0.0.1:${port.web}", "${run}/web.pid"]
    ready: "http://127.0.0.1:${port.web}/readyz"
    files: [{text: "port ${port.web}", to: "${run}/conf/web.txt"}]
`

func TestServiceRunsAndStops(t *testing.T) {
	h := newHouse(t, `stages:
  - {name: up, title: t, steps: [{kind: services}]}
  - {name: use, title: t, steps: [{needs: [web], argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: down, title: t, steps: [{kind: stop}]}
`+closingStages+webService)
	res, err := Run(context.Background(), h.options())
	if err != nil || len(res.Bad) > 0 {
		t.Fatalf("%+v, %v", res, err)
	}
	wantGone(t, "the service", pid(t, filepath.Join(h.root, "out/run/web.pid")))
	if got := mustRead(t, filepath.Join(h.root, "out/run/conf/web.txt")); !strings.HasPrefix(got, "port ") || strings.Contains(got, "$") {
		t.Errorf("its file says %q", got)
	}
	if got := h.read("steps/01-up/web/stderr.txt"); got != "told to stop\n" {
		t.Errorf("its log says %q", got)
	}
}

func TestServiceThatDiesIsNamed(t *testing.T) {
	h := newHouse(t, `stages:
  - {name: up, title: t, steps: [{kind: services}]}
  - {name: use, title: t, steps: [{needs: [web], argv: ["${tool.helper}", helper, get, "http://127.0.0.1:${port.web}/die"], timeout: 30s}]}
  - {name: again, title: t, steps: [{needs: [web], argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: other, title: t, steps: [{argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: down, title: t, steps: [{kind: stop}]}
`+closingStages+webService)
	began := time.Now()
	if _, err := Run(context.Background(), h.options()); err != nil {
		t.Fatal(err)
	}
	h.wantStep("02-use", gate.StepFailed, "service web died (exit status 3, last words: told to die)")
	h.wantStep("03-again", gate.StepNotRun, "service web died")
	h.wantStep("04-other", gate.StepOK, "")
	h.wantStep("05-down", gate.StepFailed, "service web died during the run (exit status 3")
	if !strings.Contains(h.out.String(), "service web died: exit status 3") {
		t.Errorf("nobody was told:\n%s", h.out.String())
	}
	if took := time.Since(began); took > 8*time.Second {
		t.Errorf("the step waited %s for a dead service", took)
	}
}

func TestServiceThatWillNotStopIsKilled(t *testing.T) {
	h := newHouse(t, `stages:
  - {name: up, title: t, steps: [{kind: services}]}
  - {name: down, title: t, steps: [{kind: stop}]}
services:
  - name: web
    title: a deaf service
    argv: ["${tool.helper}", helper, deaf, "127.0.0.1:${port.web}", "${run}/web.pid"]
    ready: "http://127.0.0.1:${port.web}/readyz"
    stop_timeout: 300ms
  - name: never
    title: it is never ready
    argv: ["${tool.helper}", helper, serve, "127.0.0.1:${port.prom}", "${run}/never.pid"]
    ready: "http://127.0.0.1:${port.k6}/readyz"
    ready_timeout: 400ms
  - name: lame
    title: it ends at once
    argv: ["${tool.helper}", helper, fail, "7"]
    ready: "http://127.0.0.1:${port.k6}/readyz"
`)
	if _, err := Run(context.Background(), h.options()); err != nil {
		t.Fatal(err)
	}
	h.wantStep("01-up", gate.StepFailed, "service never: not ready after 400ms")
	h.wantStep("01-up", gate.StepFailed, "service lame: it ended before it was ready (exit status 7")
	h.wantStep("02-down", gate.StepFailed, "web did not stop within 300ms and was killed")
	wantGone(t, "the deaf service", pid(t, filepath.Join(h.root, "out/run/web.pid")))
}

func TestInterruptLeavesEvidenceAndNoProcess(t *testing.T) {
	h := newHouse(t, `stages:
  - {name: up, title: t, steps: [{kind: services}]}
  - {name: both, title: t, parallel: true, steps: [
      {name: work, argv: ["${tool.helper}", helper, sleep, "${run}/work.pid"], timeout: 60s},
      {name: brood, argv: ["${tool.helper}", helper, brood, "${run}/stray.pid"], timeout: 60s}]}
  - {name: down, title: t, steps: [{kind: stop}]}
`+closingStages+webService)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := Run(ctx, h.options())
		done <- err
	}()
	run := filepath.Join(h.root, "out/run")
	pids := map[string]int{"the service": pid(t, run+"/web.pid"), "the step": pid(t, run+"/work.pid"), "the stray": pid(t, run+"/stray.pid")}
	if _, err := Run(context.Background(), h.options()); err == nil || !strings.Contains(err.Error(), "another prega runs") {
		t.Errorf("a second run: %v", err)
	}
	cancel()
	if err := <-done; !errors.Is(err, ErrInterrupted) {
		t.Fatalf("the run ended with %v", err)
	}
	for what, p := range pids {
		wantGone(t, what, p)
	}
	h.wantStep("02-both.work", gate.StepFailed, "interrupted")
	if !strings.Contains(h.read(interruptedFile), "stage both") || h.judged != nil {
		t.Error("the evidence is not marked, or was judged")
	}
	// What is left cannot be resumed as if it were whole.
	o := h.options()
	o.From = "both"
	if _, err := Run(context.Background(), o); !errors.Is(err, ErrUsage) {
		t.Errorf("resume: %v", err)
	}
}

func TestSecretsStayOutOfTheEvidence(t *testing.T) {
	secret := "key_" + strings.Repeat("a1b2", 5)
	h := newHouse(t, `stages:
  - {name: seed, title: t, steps: [{argv: ["${tool.helper}", helper, write, "${run}/keys.json", '{"key":"`+secret+`"}'], timeout: 5s}]}
  - {name: leak, title: t, steps: [{argv: ["${tool.helper}", helper, say, "xx`+secret+`yy"], timeout: 5s}]}
  - {name: down, title: t, steps: [{kind: stop}]}
`+closingStages)
	// The plan of this test holds the secret itself; it must not, or the policy
	// copy would be the leak that is found.
	plan := filepath.Join(h.root, PlanFile)
	text := strings.ReplaceAll(mustRead(t, plan), secret, "${env.STAGE_PASSED}")
	h.write(PlanFile, text)
	t.Setenv("STAGE_PASSED", secret)
	res, err := Run(context.Background(), h.options())
	if err != nil {
		t.Fatal(err)
	}
	h.wantStep("03-down", gate.StepFailed, "steps/02-leak/stdout.txt")
	if len(res.Bad) != 1 || !slices.Equal(h.packed, []string{secret}) {
		t.Errorf("bad %v, the pack was told %d secrets", res.Bad, len(h.packed))
	}
	err = filepath.WalkDir(filepath.Join(h.root, "out"), func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && strings.Contains(mustRead(t, path), secret) {
			t.Errorf("%s still holds the secret", path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestResumeUsesTheEvidenceThatIsThere(t *testing.T) {
	h := newHouse(t, `stages:
  - {name: one, title: t, steps: [{argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
  - {name: two, title: t, steps: [{after: [one], argv: ["${tool.helper}", helper, say, x], timeout: 5s}]}
`+closingStages)
	o := h.options()
	o.From = "two"
	if _, err := Run(context.Background(), o); !errors.Is(err, ErrUsage) {
		t.Fatalf("resuming nothing: %v", err)
	}
	o = h.options()
	o.Until = "one"
	if res, err := Run(context.Background(), o); err != nil || res.Verdict != nil {
		t.Fatalf("until one: %+v, %v", res, err)
	}
	o = h.options()
	o.From = "two"
	if res, err := Run(context.Background(), o); err != nil || res.Verdict == nil || len(res.Bad) > 0 {
		t.Fatalf("from two: %+v, %v", res, err)
	}
	for _, bad := range []Options{{From: "nowhere"}, {From: "two", Until: "one"}, {Profile: "other"}} {
		o := h.options()
		o.From, o.Until = bad.From, bad.Until
		if bad.Profile != "" {
			o.Profile = bad.Profile
		}
		if _, err := Run(context.Background(), o); !errors.Is(err, ErrUsage) {
			t.Errorf("%+v: %v", bad, err)
		}
	}
}
