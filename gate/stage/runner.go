// Package stage runs the stages of the gate and collects what they leave: it
// starts the services that are judged, drives the load, asks Prometheus the
// questions of the sheet, runs the scanners, and hands the evidence to package
// gate. What it runs is written in prega.yaml; it knows no system but that file.
//
// It promises that each step ends as OK, FAILED, NOT_RUN or DISABLED with a
// reason that says what to do, that a missing tool or a service that dies stops
// what depends on it and nothing else, that the evidence so far survives an
// interrupt, and that no process it started outlives it. Secrets of a run stay
// in its scratch folder and end with it; a secret that reached the evidence is
// removed and fails the run.
//
// It refuses to trust an exit status alone (see Expect and package scan), to
// judge, to start while another run holds the lock, and to pass on any
// environment variable that prega.yaml does not name.
package stage

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mbp-market/mbp/gate"
	"github.com/mbp-market/mbp/gate/plan"
)

// ErrInterrupted says that the run was stopped from outside. The evidence so
// far is kept and marked; it cannot pass.
var ErrInterrupted = errors.New("interrupted")

// ErrUsage says that the run was asked for in a way that makes no sense.
var ErrUsage = errors.New("usage")

// interruptedFile marks the evidence of a run that was stopped.
const interruptedFile = "INTERRUPTED"

// Options say what to run.
type Options struct {
	Place
	Profile  string
	From     string // first stage; empty: all of a new run
	Until    string // last stage; empty: all
	Progress io.Writer
	Closing  Closing
}

// Closing is what happens to finished evidence. Each function writes beside or
// into the folders of the configuration; Forbidden are the secrets of the run,
// which must not be in a pack.
type Closing struct {
	Judge  func(profile string) (gate.Verdict, error)
	Pack   func(forbidden []string) error
	Anchor func() error
	Report func() error
}

// Result is how a run ended. Verdict is nil if it ended before the judge.
type Result struct {
	Verdict *gate.Verdict
	Bad     []string // steps that are neither OK nor DISABLED
	Took    time.Duration
}

// runner is one run.
type runner struct {
	Options
	cfg       *plan.Config
	evi       string // folders, absolute
	scratch   string
	out       string
	scope     plan.Scope // values for what is run
	shown     plan.Scope // the same for evidence: no path of the machine, no unlisted variable
	ui        *progress
	run       gate.Run
	cookie    string   // variable that marks every process of this run
	forbidden []string // secrets of this run
	lockFile  *os.File

	mu       sync.Mutex
	services []*service
	states   map[string]gate.StepState // by stage: the worst of its steps
	bad      []string
	result   Result
}

// Run executes the stages and returns what they came to. The error is for a
// run that could not take place or was interrupted; a gate that refuses is a
// Result.
func Run(ctx context.Context, o Options) (Result, error) {
	began := time.Now()
	r := &runner{
		Options: o, cfg: o.Plan, states: map[string]gate.StepState{},
		evi:     o.Evidence(),
		scratch: filepath.Join(o.Root, o.Plan.Scratch),
		out:     o.Output(),
		ui:      newProgress(o.Progress),
	}
	defer r.ui.close()
	stages, err := r.selected()
	if err != nil {
		return Result{}, err
	}
	unlock, err := r.lock()
	if err != nil {
		return Result{}, err
	}
	defer unlock()
	if err := r.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			err = fmt.Errorf("%w before the first stage", ErrInterrupted)
		}
		return Result{}, err
	}
	// Whatever happens, nothing of this run stays behind.
	defer r.leave()
	err = r.stages(ctx, stages)
	r.result.Bad = r.bad
	r.result.Took = time.Since(began)
	return r.result, err
}

// selected checks the profile and gives the stages from From until Until.
func (r *runner) selected() ([]plan.Stage, error) {
	if _, ok := r.cfg.Profiles[r.Profile]; !ok {
		return nil, fmt.Errorf("%w: no profile %q; there are %s", ErrUsage, r.Profile, strings.Join(sortedKeys(r.cfg.Profiles), ", "))
	}
	var names []string
	for _, s := range r.cfg.Stages {
		names = append(names, s.Name)
	}
	first, last := 0, len(names)-1
	if r.From != "" {
		first = slices.Index(names, r.From)
	}
	if r.Until != "" {
		last = slices.Index(names, r.Until)
	}
	if first < 0 || last < 0 || first > last {
		return nil, fmt.Errorf("%w: the stages are %s; from %q until %q is no stretch of them", ErrUsage, strings.Join(names, ", "), r.From, r.Until)
	}
	// Services live in one run: a later one can resume only where none is needed.
	for i, s := range r.cfg.Stages {
		if i < first || r.From == "" {
			continue
		}
		for _, st := range s.Steps {
			if st.Live() {
				return nil, fmt.Errorf("%w: stage %s needs the services of the run; resume after it, or run all", ErrUsage, s.Name)
			}
		}
	}
	return r.cfg.Stages[first : last+1], nil
}

// prepare makes the folders, the scope and run.json of a new run, or reads
// those of the one that is resumed.
func (r *runner) prepare(ctx context.Context) error {
	if r.From != "" {
		if err := r.readRun(); err != nil {
			return fmt.Errorf("%w: resume: %w", ErrUsage, err)
		}
		if r.run.Profile != r.Profile {
			return fmt.Errorf("%w: the evidence is of a %s run, not %s", ErrUsage, r.run.Profile, r.Profile)
		}
	} else if err := r.emptyFolders(); err != nil {
		return err
	}
	ports, err := freePorts(ctx, r.cfg.Ports)
	if err != nil {
		return err
	}
	r.scope = r.cfg.Scope(r.Profile, map[string]string{"root": r.Root, "run": r.scratch, "evi": r.evi, "out": r.out}, ports)
	r.shown = r.cfg.Scope(r.Profile, map[string]string{"root": "${root}", "run": "${run}", "evi": "${evi}", "out": "${out}"}, ports)
	for _, name := range r.cfg.Environment.Pass {
		if !slices.Contains(r.cfg.Environment.Record, name) {
			r.shown["env."+name] = "${env." + name + "}"
		}
	}
	if r.From != "" {
		r.cookie = cookieName + "=" + r.run.RunID
		r.readStates()
		return r.mark()
	}
	now := time.Now().UTC()
	r.run = gate.Run{Profile: r.Profile, RunID: now.Format("20060102T150405Z") + "-" + random(), StartedAt: now, Tools: []gate.Tool{}, Binaries: []gate.Tool{}}
	r.cookie = cookieName + "=" + r.run.RunID
	if err := r.mark(); err != nil {
		return err
	}
	if err := r.identify(ctx); err != nil {
		return err
	}
	if err := r.copyPolicy(); err != nil {
		return err
	}
	return r.writeRun()
}

// emptyFolders starts a run from nothing. Evidence of an earlier run must not
// be taken for this one's.
func (r *runner) emptyFolders() error {
	for _, dir := range []string{r.evi, r.scratch} {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("empty %s: %w", dir, err)
		}
	}
	if err := os.MkdirAll(r.evi, 0o755); err != nil {
		return fmt.Errorf("make evidence folder: %w", err)
	}
	if err := os.MkdirAll(r.scratch, 0o700); err != nil {
		return fmt.Errorf("make scratch folder: %w", err)
	}
	return nil
}

func random() string {
	b := make([]byte, 3)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)
}

// freePorts holds all ports until each name has one, so that none is given
// twice; the services take them over.
func freePorts(ctx context.Context, names []string) (map[string]int, error) {
	ports := map[string]int{}
	var lc net.ListenConfig
	for _, n := range names {
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a port for %s: %w", n, err)
		}
		defer func() { _ = l.Close() }() // taken over by the service
		ports[n] = l.Addr().(*net.TCPAddr).Port
	}
	return ports, nil
}

func (r *runner) writeRun() error {
	return writeJSON(filepath.Join(r.evi, gate.RunFile), r.run)
}

func (r *runner) readRun() error {
	b, err := os.ReadFile(filepath.Join(r.evi, gate.RunFile))
	if err != nil {
		return fmt.Errorf("there is no run to resume: %w", err)
	}
	if err := json.Unmarshal(b, &r.run); err != nil {
		return fmt.Errorf("read %s: %w", gate.RunFile, err)
	}
	return nil
}

// readStates recalls how the stages before From ended.
func (r *runner) readStates() {
	files, _ := filepath.Glob(filepath.Join(r.evi, "steps", "*", "step.json"))
	for _, path := range files {
		var s gate.Step
		b, err := os.ReadFile(path)
		if err != nil || json.Unmarshal(b, &s) != nil {
			continue // no state: what builds on it does not run
		}
		name, _, _ := strings.Cut(s.Stage, ".")
		r.states[name] = worse(r.states[name], s.State)
	}
}

func writeJSON(path string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", filepath.Base(path), err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	if err := os.WriteFile(path, append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", filepath.Base(path), err)
	}
	return nil
}

// stages runs them in order. Evidence is complete, and run.json says so, when
// the first closing stage begins.
func (r *runner) stages(ctx context.Context, stages []plan.Stage) error {
	sealed := r.From != "" && !r.run.EndedAt.IsZero() && stages[0].Closing()
	for _, s := range stages {
		isClosing := s.Closing()
		if isClosing && !sealed {
			sealed = true
			if err := r.seal(); err != nil {
				return err
			}
		}
		r.ui.begin(slices.IndexFunc(r.cfg.Stages, func(o plan.Stage) bool { return o.Name == s.Name })+1, len(r.cfg.Stages), s)
		var err error
		if isClosing {
			err = r.close(s)
		} else {
			r.stage(ctx, s)
		}
		r.ui.end(r.states[s.Name], err)
		if ctx.Err() != nil {
			return r.interrupted(s.Name)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
	}
	if !sealed {
		return r.seal()
	}
	return nil
}

// seal writes the end of the run.
func (r *runner) seal() error {
	r.run.EndedAt = time.Now().UTC()
	return r.writeRun()
}

func (r *runner) interrupted(at string) error {
	text := fmt.Sprintf("The run was interrupted in stage %s. What lies here is incomplete and cannot pass.\n", at)
	if err := os.WriteFile(filepath.Join(r.evi, interruptedFile), []byte(text), 0o644); err != nil {
		return fmt.Errorf("%w in stage %s (%w)", ErrInterrupted, at, err)
	}
	return fmt.Errorf("%w in stage %s", ErrInterrupted, at)
}

// close does one closing stage.
func (r *runner) close(s plan.Stage) (err error) {
	switch s.Steps[0].Kind {
	case plan.KindJudge:
		var v gate.Verdict
		if v, err = r.Closing.Judge(r.Profile); err == nil {
			r.result.Verdict = &v
		}
	case plan.KindPack:
		err = r.Closing.Pack(r.forbidden)
	case plan.KindAnchor:
		err = r.Closing.Anchor()
	case plan.KindReport:
		err = r.Closing.Report()
	}
	r.states[s.Name] = gate.StepOK
	if err != nil {
		r.states[s.Name] = gate.StepFailed
	}
	return err
}

// leave ends everything that still runs and removes the secrets of the run.
func (r *runner) leave() {
	r.stopServices()
	strays(r.cookie)
	r.gatherSecrets()
	for _, s := range r.cfg.Secrets {
		if path, err := r.scope.Expand(s.File); err == nil {
			_ = os.Remove(path) // not there: nothing to remove
		}
	}
}
