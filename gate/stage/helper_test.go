package stage

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// The test binary is also the programs that the plans of these tests run:
//
//	helper write FILE TEXT      write a file
//	helper say TEXT             print a text
//	helper environ FILE         write the environment as JSON
//	helper fail STATUS          end with that status
//	helper sleep FILE           write its process id, then wait for ever
//	helper serve ADDR FILE      a service: /readyz, /metrics; /die ends it with status 3
//	helper deaf ADDR FILE       the same, but SIGTERM is ignored
//	helper get URL              ask once
//	helper late URL WAIT        wait, then ask once
//	helper quell TEXT           kill every process with the text in its command line
//	helper brood FILE           start a process in a session of its own, then wait
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "helper" {
		helper(os.Args[2], os.Args[3:])
	}
	os.Exit(m.Run())
}

func helper(what string, args []string) {
	switch what {
	case "write":
		must(os.MkdirAll(filepath.Dir(args[0]), 0o755))
		must(os.WriteFile(args[0], []byte(args[1]), 0o600))
	case "say":
		fmt.Println(args[0])
	case "environ":
		b, err := json.Marshal(os.Environ())
		must(err)
		must(os.WriteFile(args[0], b, 0o600))
	case "fail":
		fmt.Fprintln(os.Stderr, "it went wrong")
		status := 0
		_, err := fmt.Sscan(args[0], &status)
		must(err)
		os.Exit(status)
	case "sleep":
		pidFile(args[0])
		select {}
	case "serve", "deaf":
		serveHelper(what, args[0], args[1])
	case "get":
		_, err := http.Get(args[0])
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		time.Sleep(10 * time.Second) // the step ends when the service it needs dies
	case "late":
		wait, err := time.ParseDuration(args[1])
		must(err)
		time.Sleep(wait)
		_, _ = http.Get(args[0])
	case "quell":
		quell(args[0])
	case "brood":
		child := exec.Command(os.Args[0], "helper", "sleep", args[0])
		child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
		must(child.Start())
		select {}
	}
	os.Exit(0)
}

func serveHelper(what, addr, file string) {
	pidFile(file)
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	var served atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(http.ResponseWriter, *http.Request) { served.Add(1) })
	mux.HandleFunc("/readyz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ready") })
	mux.HandleFunc("/metrics", func(w http.ResponseWriter, _ *http.Request) {
		served.Add(1)
		fmt.Fprintf(w, "# TYPE served_total counter\nserved_total %d\n", served.Load())
	})
	mux.HandleFunc("/die", func(http.ResponseWriter, *http.Request) {
		fmt.Fprintln(os.Stderr, "told to die")
		os.Exit(3)
	})
	go func() { must(http.ListenAndServe(addr, mux)) }()
	<-stop
	fmt.Fprintln(os.Stderr, "told to stop")
	if what == "deaf" {
		select {}
	}
}

func quell(text string) {
	paths, err := filepath.Glob("/proc/[0-9]*/cmdline")
	must(err)
	for _, path := range paths {
		b, err := os.ReadFile(path)
		pid := 0
		_, scanErr := fmt.Sscanf(path, "/proc/%d/", &pid)
		if err == nil && scanErr == nil && pid != os.Getpid() && strings.Contains(string(b), "--config.file="+text) {
			must(syscall.Kill(pid, syscall.SIGKILL))
		}
	}
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func pidFile(path string) {
	must(os.MkdirAll(filepath.Dir(path), 0o755))
	must(os.WriteFile(path+".tmp", fmt.Appendf(nil, "%d", os.Getpid()), 0o600))
	must(os.Rename(path+".tmp", path))
}

// sheetText is a sheet that the real reader accepts.
const sheetText = `kpi_id,requirement,description,unit,source,query,window,op,threshold,min_samples,min_coverage,profiles,owner,runbook,watcher
served,R1,requests were served,requests,prom,sum(served_total),load,>=,1,,,smoke full,gate,,
`

// house is a repository with a plan, as the gate finds one.
type house struct {
	t    *testing.T
	root string
	out  strings.Builder
	// what the closing functions saw
	judged, packed []string
}

// newHouse writes stages and services into a plan; ${tool.helper} is this test
// binary.
func newHouse(t *testing.T, body string) *house {
	t.Helper()
	root, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	h := &house{t: t, root: root}
	h.write("sheet.csv", sheetText)
	h.write("docs/adr/one.md", "decided\n")
	h.write(".gitignore", "/out/\n")
	h.write(PlanFile, `version: 1
sheet: sheet.csv
evidence: out/EVI
scratch: out/run
output: out
environment: {pass: [PATH, HOME, STAGE_PASSED, STAGE_KEPT, STAGE_INPUT], record: [STAGE_KEPT]}
profiles: {smoke: {load_seconds: 2, rate: 20}}
ports: [web, prom, k6]
prometheus: "http://127.0.0.1:${port.prom}"
settle: 2s
policy: ["docs/adr/*.md"]
secrets: [{file: "${run}/keys.json", pattern: "key_[a-z0-9]{20}"}]
tools:
  - {name: helper, path: `+os.Args[0]+`, install: build the tests}
  - {name: absent, path: .tools/absent, install: run make tools}
`+body)
	h.git("init", "-q")
	h.git("add", ".")
	h.git("commit", "-q", "-m", "one")
	return h
}

func (h *house) git(args ...string) {
	h.t.Helper()
	cmd := exec.Command("git", append([]string{"-C", h.root, "-c", "user.name=t", "-c", "user.email=t@example.invalid"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		h.t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func (h *house) write(name, text string) {
	h.t.Helper()
	path := filepath.Join(h.root, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		h.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		h.t.Fatal(err)
	}
}

// options of a run of the house's plan.
func (h *house) options() Options {
	h.t.Helper()
	place, err := Find(filepath.Join(h.root, "docs"), "")
	if err != nil {
		h.t.Fatal(err)
	}
	return Options{Place: place, Profile: "smoke", Progress: &h.out, Closing: Closing{
		Judge: func(profile string) (gate.Verdict, error) {
			h.judged = append(h.judged, profile)
			return gate.Verdict{Decision: gate.SmokePass}, nil
		},
		Pack:   func(secrets []string) error { h.packed = secrets; return nil },
		Anchor: func() error { return nil },
		Report: func() error { return nil },
	}}
}

func (h *house) read(name string) string {
	h.t.Helper()
	b, err := os.ReadFile(filepath.Join(h.root, "out", "EVI", name))
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

// step reads a step.json.
func (h *house) step(dir string) gate.Step {
	h.t.Helper()
	var s gate.Step
	if err := json.Unmarshal([]byte(h.read("steps/"+dir+"/step.json")), &s); err != nil {
		h.t.Fatal(err)
	}
	return s
}

// wantStep checks the state of a step and that its reason says something.
func (h *house) wantStep(dir string, state gate.StepState, reason string) {
	h.t.Helper()
	s := h.step(dir)
	if s.State != state || !strings.Contains(s.Reason, reason) {
		h.t.Errorf("%s is %s (%s), want %s with %q", dir, s.State, s.Reason, state, reason)
	}
}

// pid reads the file a helper wrote, when it has.
func pid(t *testing.T, path string) int {
	t.Helper()
	for range 200 {
		if b, err := os.ReadFile(path); err == nil {
			n := 0
			if _, err := fmt.Sscan(string(b), &n); err == nil {
				return n
			}
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Fatalf("no process id in %s", path)
	return 0
}

// gone reports whether the process has ended or is only waiting to be reaped.
func gone(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func wantGone(t *testing.T, what string, pid int) {
	t.Helper()
	for range 100 {
		if gone(pid) {
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
	t.Errorf("%s (process %d) outlived the run", what, pid)
}
