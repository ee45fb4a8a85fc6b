package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// The test binary is also prega itself and the program that its plans run.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("PREGA_TEST_MAIN") != "":
		main()
	case len(os.Args) > 2 && os.Args[1] == "sleep":
		if err := os.WriteFile(os.Args[2], fmt.Append(nil, os.Getpid()), 0o600); err != nil {
			os.Exit(1)
		}
		time.Sleep(time.Minute)
		os.Exit(0)
	}
	os.Exit(m.Run())
}

const sheet = `kpi_id,requirement,description,unit,source,query,window,op,threshold,min_samples,min_coverage,profiles,owner,runbook,watcher
looked,R6,the step looked,step,step,look,,==,1,,,smoke full,gate,,
`

// repository makes a git repository with a plan of one step that runs argv.
func repository(t *testing.T, argv string) string {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{"sheet.csv": sheet, ".gitignore": "/out/\n", "prega.yaml": `version: 1
sheet: sheet.csv
evidence: out/EVI
scratch: out/run
output: out
environment: {pass: [PATH, HOME], record: []}
profiles: {smoke: {load_seconds: 60, rate: 1}, full: {load_seconds: 3600, rate: 1}}
tools: [{name: self, path: ` + os.Args[0] + `, install: build the tests}]
stages:
  - {name: look, title: look at something, steps: [{argv: ` + argv + `, timeout: 60s}]}
  - {name: judge, title: j, steps: [{kind: judge}]}
  - {name: pack, title: p, steps: [{kind: pack}]}
  - {name: anchor, title: a, steps: [{kind: anchor}]}
`}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, args := range [][]string{{"init", "-q"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.invalid", "commit", "-q", "-m", "one"}} {
		cmd := exec.Command("git", args...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git: %v\n%s", err, out)
		}
	}
	return root
}

// prega runs the program in a folder of the repository.
func prega(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errOut bytes.Buffer
	code = exitCode(run(context.Background(), args, &out, &errOut), &errOut)
	return code, out.String(), errOut.String()
}

func TestRunRefusesPacksAndVerifies(t *testing.T) {
	root := repository(t, `["git", "--version"]`)
	t.Chdir(root)
	code, out, errOut := prega(t, "run", "--profile", "smoke")
	// Without a load no run passes; it is judged, packed and anchored all the same.
	if code != exitRefused || !strings.HasSuffix(out, "\nSMOKE FAIL\n") {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	for _, want := range []string{"looked", "there was no load", "pack      out/smoke_evidence_bundle_", "root ", "ANCHOR.json, run 1"} {
		if !strings.Contains(out, want) {
			t.Errorf("the output lacks %q:\n%s", want, out)
		}
	}
	if strings.Contains(out, "\x1b") {
		t.Error("colours without a terminal")
	}
	packs, err := filepath.Glob("out/smoke_evidence_bundle_*.zip")
	if err != nil || len(packs) != 1 {
		t.Fatalf("packs: %v, %v", packs, err)
	}
	if code, out, _ := prega(t, "verify", packs[0]); code != exitPassed || !strings.Contains(out, ": OK") {
		t.Errorf("verify: exit %d\n%s", code, out)
	}
	first, err := os.ReadFile(packs[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, verb := range []string{"judge", "report", "pack", "anchor"} {
		want := map[string]int{"judge": exitRefused, "report": exitRefused}[verb]
		if code, out, errOut := prega(t, verb); code != want {
			t.Errorf("%s: exit %d\n%s%s", verb, code, out, errOut)
		}
	}
	if code, out, errOut := prega(t, "run", "--from", "judge"); code != exitRefused || !strings.HasSuffix(out, "\nSMOKE FAIL\n") {
		t.Errorf("resume: exit %d\n%s%s", code, out, errOut)
	}
	again, err := os.ReadFile(packs[0])
	if err != nil || !bytes.Equal(first, again) {
		t.Error("packing the same evidence twice gave other bytes")
	}
	at := bytes.Index(again, []byte("git version"))
	if at < 0 {
		t.Fatal("the pack does not hold what git said")
	}
	again[at] ^= 1
	if err := os.WriteFile("out/flipped.zip", again, 0o600); err != nil {
		t.Fatal(err)
	}
	if code, _, errOut := prega(t, "verify", "out/flipped.zip"); code != exitRefused || !strings.Contains(errOut, "steps/01-look/stdout.txt") {
		t.Errorf("a flipped byte: exit %d, %s", code, errOut)
	}
}

func TestJSON(t *testing.T) {
	root := repository(t, `["git", "--version"]`)
	t.Chdir(root)
	code, out, errOut := prega(t, "run", "--profile", "smoke", "--json")
	var o outcome
	if err := json.Unmarshal([]byte(out), &o); err != nil || code != exitRefused {
		t.Fatalf("exit %d, %v\n%s", code, err, out)
	}
	if o.Decision != gate.SmokeFail || o.Pack == "" || len(o.SHA256) != 64 || len(o.Root) != 64 || o.Verdict == nil || !strings.Contains(errOut, "look at something") {
		t.Errorf("%+v\n%s", o, errOut)
	}
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, args := range [][]string{{"run"}, {"judge"}, {"nonsense"}, {"verify"}, {"run", "--what"}} {
		if code, _, errOut := prega(t, args...); code != exitCouldNotRun || !strings.HasPrefix(errOut, "prega: ") {
			t.Errorf("%v: exit %d, %s", args, code, errOut)
		}
	}
	t.Chdir(repository(t, `["git", "--version"]`))
	for args, want := range map[string]string{
		"run --profile quick":                "there are full, smoke",
		"run --profile smoke --from look":    "no run to resume",
		"run --profile smoke --until nobody": "the stages are look, judge, pack, anchor",
		"report":                             "prega run makes some",
		"anchor":                             "prega pack makes one",
	} {
		if code, _, errOut := prega(t, strings.Fields(args)...); code != exitCouldNotRun || !strings.Contains(errOut, want) {
			t.Errorf("%s: exit %d, %s (want %q)", args, code, errOut, want)
		}
	}
	if code, out, _ := prega(t, "--help"); code != exitPassed || !strings.Contains(out, "Exit codes") {
		t.Errorf("help: exit %d\n%s", code, out)
	}
	if code, out, _ := prega(t, "completion", "bash"); code != exitPassed || !strings.Contains(out, "prega") {
		t.Errorf("completion: exit %d", code)
	}
}

// TestInterruptAndKill starts prega as a process of its own: Ctrl-C ends it
// with 130 and without children; SIGKILL, which it cannot see, leaves none either.
func TestInterruptAndKill(t *testing.T) {
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGKILL} {
		root := repository(t, `["${tool.self}", sleep, "${run}/pid"]`)
		cmd := exec.Command(os.Args[0], "run", "--profile", "smoke")
		cmd.Dir = root
		cmd.Env = append(os.Environ(), "PREGA_TEST_MAIN=1")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		child := 0
		for range 500 {
			if b, err := os.ReadFile(filepath.Join(root, "out/run/pid")); err == nil {
				if _, err := fmt.Sscan(string(b), &child); err == nil {
					break
				}
			}
			time.Sleep(20 * time.Millisecond)
		}
		if child == 0 {
			t.Fatal("the step never began")
		}
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		err := cmd.Wait()
		var exit *exec.ExitError
		if sig == syscall.SIGINT && (!errors.As(err, &exit) || exit.ExitCode() != exitInterrupted) {
			t.Errorf("after Ctrl-C: %v", err)
		}
		if _, err := os.Stat(filepath.Join(root, "out/EVI/INTERRUPTED")); (err == nil) != (sig == syscall.SIGINT) {
			t.Errorf("%v: the mark: %v", sig, err)
		}
		for i := 0; ; i++ {
			if gone(child) {
				break
			}
			if i == 200 {
				t.Fatalf("%v: the step (process %d) outlived prega", sig, child)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

// TestTagOnlyForAnApprovedRunOnItsCommit: no tag for other runs, none on a
// changed tree, one on the judged commit, and the same one again.
func TestTagOnlyForAnApprovedRunOnItsCommit(t *testing.T) {
	root := repository(t, `["git", "--version"]`)
	t.Chdir(root)
	if code, out, errOut := prega(t, "run", "--profile", "smoke"); code != exitRefused {
		t.Fatalf("exit %d\n%s%s", code, out, errOut)
	}
	if _, out, _ := prega(t, "anchor"); !strings.Contains(out, "no tag: SMOKE FAIL") {
		t.Errorf("anchor says %s", out)
	}
	head := strings.TrimSpace(gitOut(t, "rev-parse", "HEAD"))
	h := &gateHouse{}
	h.Root = root
	h.anchor.Profile, h.anchor.Decision, h.anchor.Root, h.anchor.Commit = gate.Full, gate.Approved, strings.Repeat("ab", 32), head
	if err := os.WriteFile("change", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := h.setTag(t.Context()); err == nil || !strings.Contains(err.Error(), "clean") {
		t.Errorf("a changed tree: %v", err)
	}
	if err := os.Remove("change"); err != nil {
		t.Fatal(err)
	}
	t.Setenv("GIT_COMMITTER_NAME", "t")
	t.Setenv("GIT_COMMITTER_EMAIL", "t@example.invalid")
	for _, want := range []string{" set;", "there already"} {
		if said, err := h.setTag(t.Context()); err != nil || !strings.Contains(said, want) {
			t.Errorf("%s, %v (want %q)", said, err, want)
		}
	}
	if kind := gitOut(t, "cat-file", "-t", h.anchor.Tag()); strings.TrimSpace(kind) != "tag" {
		t.Errorf("the tag is a %s", kind)
	}
	h.anchor.Commit = strings.Repeat("0", 40)
	if _, err := h.setTag(t.Context()); err == nil {
		t.Error("a tag on another commit was accepted")
	}
}

func gitOut(t *testing.T, args ...string) string {
	t.Helper()
	out, err := exec.Command("git", args...).Output()
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}
