package faults_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// house is the repository that is cloned, and what came of its clones.
type house struct {
	root   string
	commit string // all clones are of this one, whatever is committed meanwhile
	sheet  gate.Sheet
	ended  []ended
}

// ended is one run of the gate.
type ended struct {
	name        string
	dir         string
	exit        int
	build, took time.Duration
	stdout      string
	stderr      string
	verdict     gate.Verdict
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := &house{}
	h.root = strings.TrimSpace(output(t, ".", "git", "rev-parse", "--show-toplevel"))
	h.commit = strings.TrimSpace(output(t, h.root, "git", "rev-parse", "HEAD"))
	if changed := output(t, h.root, "git", "status", "--porcelain"); changed != "" {
		t.Logf("the clones are of commit %s; what is not committed is not tested:\n%s", h.commit, changed)
	}
	b := []byte(output(t, h.root, "git", "show", h.commit+":obs/ops/obs/measurement_s4.csv"))
	var err error
	if h.sheet, err = gate.ReadSheet(bytes.NewReader(b)); err != nil {
		t.Fatal(err)
	}
	return h
}

// output runs a program that has to succeed.
func output(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	var out, errOut bytes.Buffer
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = dir, environ(), &out, &errOut
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s %s in %s: %v\n%s%s", name, strings.Join(args, " "), dir, err, out.String(), errOut.String())
	}
	return out.String()
}

// environ is ours without what make and git leave for their children, and
// without the recorded trades: every machine breaks the same things. The
// vulnerability database lies beside the repository, not beside its clones.
func environ(extra ...string) []string {
	list := slices.DeleteFunc(os.Environ(), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return strings.HasPrefix(name, "GIT_") || slices.Contains([]string{"MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MBP_REALDATA", "MBP_LONG"}, name)
	})
	if beside, err := filepath.Abs("../../../shared/data/vulndb"); err == nil && os.Getenv("MBP_VULNDB") == "" {
		if _, err := os.Stat(beside); err == nil {
			list = append(list, "MBP_VULNDB="+beside)
		}
	}
	return append(list, extra...)
}

// clone makes a clone in a folder of its own: in MBP_FAULTS_DIR, where it
// stays, or in one that ends with the test.
func (h *house) clone(t *testing.T, name string) string {
	t.Helper()
	parent := os.Getenv("MBP_FAULTS_DIR")
	if parent == "" {
		parent = t.TempDir()
	}
	dir, err := os.MkdirTemp(parent, strings.ReplaceAll(name, " ", "-")+"-")
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		t.Fatal(err)
	}
	output(t, h.root, "git", "clone", "--quiet", "--no-checkout", h.root, dir)
	output(t, dir, "git", "checkout", "--quiet", "-B", "broken", h.commit)
	return dir
}

// commit makes the fault a commit, as a person would bring it in.
func commit(t *testing.T, dir, message string) {
	t.Helper()
	output(t, dir, "git", "add", "--all")
	output(t, dir, "git", "-c", "user.name=fault", "-c", "user.email=fault@example.invalid", "-c", "commit.gpgsign=false",
		"-c", "core.hooksPath=/dev/null", "commit", "--quiet", "-m", message)
}

// run breaks a clone and runs the gate in it.
func (h *house) run(t *testing.T, f fault) ended {
	t.Helper()
	if f.said != nil && runtime.GOOS != "linux" {
		t.Skip("NOT TESTED: this system does not show its processes under /proc")
	}
	r := ended{name: f.name, dir: h.clone(t, f.name)}
	began := time.Now()
	if f.source != nil {
		f.source(t, r.dir)
		commit(t, r.dir, f.name)
	}
	output(t, r.dir, "make", "build")
	if f.installed != nil {
		f.installed(t, r.dir)
	}
	r.build = time.Since(began)
	h.prega(t, f, &r)
	r.took = time.Since(began) - r.build
	b, err := os.ReadFile(filepath.Join(r.evidence(), gate.VerdictFile))
	if err == nil {
		err = json.Unmarshal(b, &r.verdict)
	}
	if err != nil {
		t.Errorf("no verdict: %v", err)
	}
	h.ended = append(h.ended, r)
	t.Logf("build %.0f s, gate %.0f s, exit %d; not passed: %s", r.build.Seconds(), r.took.Seconds(), r.exit, r.summary())
	return r
}

// prega runs the gate to its end and listens to it.
func (h *house) prega(t *testing.T, f fault, r *ended) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var errOut bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(r.dir, "bin", "prega"), "run", "--profile", gate.Smoke)
	cmd.Dir, cmd.Env, cmd.Stderr = r.dir, environ(f.env...), &errOut
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = time.Minute
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatalf("start the gate: %v", err)
	}
	var all strings.Builder
	lines := bufio.NewScanner(out)
	lines.Buffer(nil, 1<<20) // a reason may be long
	for lines.Scan() {
		all.WriteString(lines.Text() + "\n")
		if f.said != nil {
			f.said(t, r.dir, cmd.Process.Pid, lines.Text())
		}
	}
	err = cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Errorf("the gate: %v", err)
	}
	r.exit, r.stdout, r.stderr = cmd.ProcessState.ExitCode(), all.String(), errOut.String()
	for pid, line := range processes() {
		if strings.Contains(line, r.dir+"/") {
			t.Errorf("process %d outlived the gate: %s", pid, line)
		}
	}
}

func (r ended) evidence() string { return filepath.Join(r.dir, "out", "s4_orr", "EVI") }

// processes gives the command lines of this machine's processes by id; none
// where the kernel does not show them as files.
func processes() map[int]string {
	all := map[int]string{}
	files, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range files {
		if b, err := os.ReadFile(path); err == nil { // else it has ended meanwhile
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
			all[pid] = strings.ReplaceAll(string(b), "\x00", " ")
		}
	}
	return all
}

// summary says in a line what did not pass: rows by state, then steps.
func (r ended) summary() string {
	const named = 3
	byState := map[string][]string{}
	for _, row := range r.verdict.Rows {
		if row.State != gate.Pass && row.Blocks {
			byState[string(row.State)] = append(byState[string(row.State)], row.KPI)
		}
	}
	for _, s := range r.verdict.Steps {
		if s.Blocks {
			byState["step "+string(s.State)] = append(byState["step "+string(s.State)], s.Stage)
		}
	}
	var parts []string
	for state, names := range byState {
		text := strings.Join(names, ", ")
		if len(names) > named+1 {
			text = fmt.Sprintf("%s and %d more", strings.Join(names[:named], ", "), len(names)-named)
		}
		parts = append(parts, state+" "+text)
	}
	if len(parts) == 0 {
		return "nothing"
	}
	slices.Sort(parts)
	return strings.Join(parts, "; ")
}

// table sums the suite up.
func (h *house) table(t *testing.T) {
	var b strings.Builder
	fmt.Fprintf(&b, "\n%-66s  %7s  %6s  %4s  %s\n", "BROKEN", "BUILD s", "GATE s", "EXIT", "NOT PASSED")
	for _, r := range h.ended {
		fmt.Fprintf(&b, "%-66s  %7.0f  %6.0f  %4d  %s\n", r.name, r.build.Seconds(), r.took.Seconds(), r.exit, r.summary())
	}
	t.Log(b.String())
}
