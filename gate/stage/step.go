package stage

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/gate"
	"github.com/mbp-market/mbp/gate/plan"
)

// cookieName is the variable that marks every process of a run.
const cookieName = "PREGA_RUN"

// outcome is how a step went.
type outcome struct {
	state  gate.StepState
	reason string
}

func ok() outcome { return outcome{state: gate.StepOK} }

func failed(format string, args ...any) outcome {
	return outcome{gate.StepFailed, fmt.Sprintf(format, args...)}
}

func notRun(format string, args ...any) outcome {
	return outcome{gate.StepNotRun, fmt.Sprintf(format, args...)}
}

// severity orders states from weightless to bad. OK outweighs DISABLED: one
// part of a stage that nobody asked for does not take the rest away.
var severity = []gate.StepState{"", gate.StepDisabled, gate.StepOK, gate.StepNotRun, gate.StepFailed}

func worse(a, b gate.StepState) gate.StepState {
	if slices.Index(severity, b) > slices.Index(severity, a) {
		return b
	}
	return a
}

// stage runs the steps of a stage and notes the worst of their states. One
// after the other means that each needs the one before it; steps that do not
// run at the same time.
func (r *runner) stage(ctx context.Context, s plan.Stage) {
	outcomes := make([]outcome, len(s.Steps))
	if s.Parallel {
		var wg sync.WaitGroup
		for i := range s.Steps {
			wg.Go(func() { outcomes[i] = r.step(ctx, s, i, ok()) })
		}
		wg.Wait()
	} else {
		before := ok()
		for i, st := range s.Steps {
			outcomes[i] = r.step(ctx, s, i, before)
			if o := outcomes[i]; o.state == gate.StepFailed || o.state == gate.StepNotRun {
				before = notRun("the step %s before it is %s", st.Name, o.state)
			}
		}
	}
	var worst gate.StepState
	for _, o := range outcomes {
		worst = worse(worst, o.state)
	}
	r.states[s.Name] = worst
}

// job is one step while it runs.
type job struct {
	plan.Step
	full string // "stage" or "stage.step"
	dir  string // of its step.json
	rec  *gate.Step
}

// step runs one step and writes its step.json, whatever happens.
func (r *runner) step(ctx context.Context, s plan.Stage, i int, before outcome) outcome {
	j := job{Step: s.Steps[i], full: s.Name}
	if j.Name != "" {
		j.full += "." + j.Name
	}
	nn := slices.IndexFunc(r.cfg.Stages, func(o plan.Stage) bool { return o.Name == s.Name }) + 1
	j.dir = filepath.Join(r.evi, "steps", fmt.Sprintf("%02d-%s", nn, j.full))
	j.rec = &gate.Step{Stage: j.full, Argv: []string{}, Env: map[string]string{}, StartedAt: time.Now().UTC()}
	o := before
	if o.state == gate.StepOK && ctx.Err() != nil {
		o = notRun("interrupted before it began")
	}
	if o.state == gate.StepOK {
		o = r.possible(j.Step)
	}
	if err := os.MkdirAll(j.dir, 0o755); err != nil {
		o = failed("make its folder: %v", err)
	}
	if o.state == gate.StepOK {
		o = r.bounded(ctx, j)
	}
	j.rec.EndedAt, j.rec.State, j.rec.Reason = time.Now().UTC(), o.state, r.scrub(o.reason)
	if err := writeJSON(filepath.Join(j.dir, "step.json"), j.rec); err != nil {
		o = failed("%v", err)
	}
	if o.state == gate.StepFailed || o.state == gate.StepNotRun {
		r.mu.Lock()
		r.bad = append(r.bad, fmt.Sprintf("%s %s: %s", j.full, o.state, r.scrub(o.reason)))
		r.mu.Unlock()
	}
	if o.state != gate.StepOK {
		r.ui.note(fmt.Sprintf("%s %s: %s", j.full, o.state, r.scrub(o.reason)))
	}
	return o
}

// possible says whether a step can run at all.
func (r *runner) possible(s plan.Step) outcome {
	input := r.inputThere(s)
	if input.state == gate.StepOK {
		input = r.placeFree(s)
	}
	if input.state == gate.StepDisabled {
		return input // nobody asked for it: whatever else is missing is not missed
	}
	for _, a := range s.After {
		if st := r.states[a]; st != gate.StepOK && st != gate.StepDisabled {
			if st == "" {
				st = "not part of this run"
			}
			return notRun("it builds on stage %s, which is %s", a, st)
		}
	}
	for _, n := range s.Needs {
		if sv := r.service(n); sv == nil {
			return notRun("service %s does not run", n)
		} else if death := sv.death(); death != "" {
			return notRun("service %s died (%s)", n, death)
		}
	}
	if o := r.toolThere(s.Tool); o.state != gate.StepOK {
		return o
	}
	return input
}

func (r *runner) toolThere(name string) outcome {
	for _, t := range r.cfg.Tools {
		if t.Name == name {
			if _, err := locate(r.scope["tool."+name]); err != nil {
				return notRun("%s is not there (%s): %s", name, t.Path, t.Install)
			}
		}
	}
	return ok()
}

func (r *runner) inputThere(s plan.Step) outcome {
	if s.Input == "" {
		return ok()
	}
	path, err := r.scope.Expand(s.Input)
	if err != nil {
		return failed("%v", err)
	}
	if _, err := os.Stat(r.abs(path)); err == nil {
		return ok()
	}
	if s.InputEnv != "" && os.Getenv(s.InputEnv) != "" {
		return notRun("%s names an input that is not there: %s", s.InputEnv, s.Input)
	}
	return outcome{gate.StepDisabled, "not asked for: " + s.Input + " is not there"}
}

// placeFree says whether a step has to take the place of the one whose input it
// has in unless. What cannot be looked at is not absent.
func (r *runner) placeFree(s plan.Step) outcome {
	if s.Unless == "" {
		return ok()
	}
	path, err := r.scope.Expand(s.Unless)
	if err != nil {
		return failed("%v", err)
	}
	switch _, err := os.Stat(r.abs(path)); {
	case err == nil:
		return outcome{gate.StepDisabled, "not needed: " + s.Unless + " is there"}
	case errors.Is(err, fs.ErrNotExist):
		return ok()
	default:
		return notRun("nobody can say whether %s is there: %v", s.Unless, err)
	}
}

// abs reads a path from the repository's root.
func (r *runner) abs(path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(r.Root, path)
}

// errTimeout is the cause of a step that took too long.
type errTimeout time.Duration

func (e errTimeout) Error() string { return "it took longer than " + time.Duration(e).String() }

// bounded runs the step until it ends, its time is over, a service that it
// needs dies, or the run is interrupted; then it looks at what the step left.
func (r *runner) bounded(ctx context.Context, j job) outcome {
	limit := j.Timeout.Or(time.Hour)
	if j.DuringLoad || j.Kind == plan.KindLoad {
		limit += time.Duration(r.cfg.Profiles[r.Profile].LoadSeconds) * time.Second
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTimeout(limit))
	defer cancel()
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	for _, n := range j.Needs {
		sv := r.service(n)
		go func() {
			select {
			case <-sv.died:
				stop(fmt.Errorf("service %s died (%s)", sv.cfg.Name, sv.death()))
			case <-ctx.Done():
			}
		}()
	}
	o := r.do(ctx, j)
	if cause := context.Cause(ctx); cause != nil {
		why := cause.Error()
		if errors.Is(cause, context.Canceled) {
			why = "interrupted"
		}
		o = failed("%s", why)
	}
	for _, e := range j.Evidence {
		if err := r.keep(e); err != nil && o.state == gate.StepOK {
			o = failed("%v", err)
		}
	}
	for _, e := range j.Expect {
		if err := r.expect(e); err != nil && o.state == gate.StepOK {
			o = failed("%v", err)
		}
	}
	return o
}

// do dispatches on the kind.
func (r *runner) do(ctx context.Context, j job) outcome {
	switch j.Kind {
	case plan.KindCommand:
		return r.command(ctx, j)
	case plan.KindServices:
		return r.startServices(ctx, j)
	case plan.KindStop:
		return r.stopStep()
	case plan.KindWait:
		return r.wait(ctx, j)
	case plan.KindLoad:
		return r.load(ctx, j)
	case plan.KindCollect:
		return r.collect(ctx, j)
	case plan.KindGitleaks, plan.KindGovulncheck, plan.KindSBOM:
		return r.scan(ctx, j)
	}
	return failed("no kind %q", j.Kind)
}

// environ is what a child gets: the variables that the configuration passes,
// those of the step, and the cookie.
func (r *runner) environ(env map[string]string) ([]string, error) {
	list := []string{r.cookie}
	for _, n := range r.cfg.Environment.Pass {
		if v, set := os.LookupEnv(n); set {
			list = append(list, n+"="+v)
		}
	}
	var faults []error
	for _, k := range sortedKeys(env) {
		v, err := r.scope.Expand(env[k])
		if err != nil {
			faults = append(faults, err)
		}
		list = append(list, k+"="+v)
	}
	return list, errors.Join(faults...)
}

// shownEnv is the same as evidence.
func (r *runner) shownEnv(env map[string]string) map[string]string {
	out := map[string]string{}
	for _, n := range r.cfg.Environment.Record {
		if v, set := os.LookupEnv(n); set {
			out[n] = r.scrub(v)
		}
	}
	for k, v := range env {
		out[k], _ = r.shown.Expand(v)
	}
	return out
}

// launchStep starts the program of a step and notes what was run.
func (r *runner) launchStep(j job) (*process, outcome) {
	argv, err := r.scope.All(j.Argv)
	env, err2 := r.environ(j.Env)
	dir, err3 := r.scope.Expand(j.Dir)
	if err := errors.Join(err, err2, err3); err != nil {
		return nil, failed("%v", err)
	}
	j.rec.Argv, _ = r.shown.All(j.Argv)
	j.rec.Env = r.shownEnv(j.Env)
	p, err := start(launch{argv: argv, env: env, dir: r.abs(dir),
		outPath: filepath.Join(j.dir, "stdout.txt"), errPath: filepath.Join(j.dir, "stderr.txt")})
	if errors.Is(err, fs.ErrNotExist) {
		return nil, notRun("%v", err)
	}
	if err != nil {
		return nil, failed("%v", err)
	}
	return p, ok()
}

// await waits for the end of the process or of the context, whichever comes
// first, and fills the record.
func (r *runner) await(ctx context.Context, j job, p *process) outcome {
	select {
	case <-p.done:
	case <-ctx.Done():
		p.stop(grace)
	}
	r.ended(j.rec, p)
	r.scrubFiles(j.dir)
	if p.exit != 0 || p.fault != nil {
		last := p.err.lastLine()
		if last == "" {
			last = p.out.lastLine()
		}
		return failed("%s: %s", p.how(), last)
	}
	return ok()
}

// ended notes how a process ended.
func (r *runner) ended(rec *gate.Step, p *process) {
	rec.Signal = p.signal
	if p.signal == "" && p.fault == nil {
		exit := p.exit
		rec.ExitCode = &exit
	}
}

func (r *runner) command(ctx context.Context, j job) outcome {
	p, o := r.launchStep(j)
	if p == nil {
		return o
	}
	return r.await(ctx, j, p)
}

// expect looks into the JSON that a step left.
func (r *runner) expect(e plan.Expect) error {
	path, err := r.scope.Expand(e.File)
	if err != nil {
		return err
	}
	b, err := os.ReadFile(r.abs(path))
	if err != nil {
		return fmt.Errorf("it left no %s", e.File)
	}
	var doc any
	if err := json.Unmarshal(b, &doc); err != nil {
		return fmt.Errorf("%s is no JSON: %w", e.File, err)
	}
	if err := e.Check(doc); err != nil {
		return fmt.Errorf("%s at %s: %w", e.File, e.At, err)
	}
	return nil
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
