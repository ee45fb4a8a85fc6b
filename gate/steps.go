package gate

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"

	"go.yaml.in/yaml/v3"
)

// maxSteps bounds the folders under steps/; a run has a few dozen.
const maxSteps = 1000

// closing are the kinds of step that work on finished evidence.
var closing = []string{"judge", "pack", "anchor", "report"}

// leave says whether a step may be DISABLED: only beside the step that takes
// its place, if it has one.
type leave struct {
	optional bool
	other    string // the step with its input in unless, or the one whose input it has there
}

// required lists the steps that a run had to take, and what lets each of them
// be DISABLED.
func (p Policy) required() (names []string, may map[string]leave) {
	may = map[string]leave{}
	for _, stage := range p.Stages {
		if len(stage.Steps) == 0 && !slices.Contains(closing, stage.Name) {
			names = append(names, stage.Name)
		}
		for _, s := range stage.Steps {
			if slices.Contains(closing, s.Kind) {
				continue
			}
			names = append(names, stage.step(s))
			may[stage.step(s)] = stage.leave(s)
		}
	}
	return names, may
}

// step is what a step of the stage is called in its step.json.
func (st Stage) step(s PolicyStep) string {
	if s.Name == "" {
		return st.Name
	}
	return st.Name + "." + s.Name
}

func (st Stage) leave(s PolicyStep) leave {
	for _, o := range st.Steps {
		if s.Unless != "" && o.Input == s.Unless || s.Input != "" && o.Unless == s.Input {
			return leave{true, st.step(o)}
		}
	}
	// Unless without its counterpart stands in for nothing.
	return leave{optional: s.Input != "" && s.Unless == ""}
}

func readPolicy(evidence fs.FS) (Policy, error) {
	var p Policy
	b, err := readFile(evidence, PolicyFile)
	if err != nil {
		return p, err
	}
	if err := yaml.Unmarshal(b, &p); err != nil {
		return p, err
	}
	for _, s := range p.Stages {
		if s.Name == "" {
			return p, errors.New("a stage has no name")
		}
	}
	return p, nil
}

// judgeSteps gives one verdict for each step that the policy requires, in its
// order, and then for each other one that left evidence, by name. Two files
// about one step block: nobody can say which of them is true.
func judgeSteps(evidence fs.FS, fault func(string, ...any)) []StepVerdict {
	policy, err := readPolicy(evidence)
	if err != nil {
		fault("%s: %v", PolicyFile, err)
	}
	names, may := policy.required()
	if len(names) == 0 && err == nil {
		fault("%s lists no stages: nothing had to run, so nothing passes", PolicyFile)
	}
	left, extra := readSteps(evidence, names)
	steps := []StepVerdict{}
	for _, name := range slices.Concat(names, extra) {
		v := left[name]
		switch {
		case v.Stage == "":
			v = StepVerdict{Stage: name, State: StepNotRun, Reason: "it left no step.json", Blocks: true, Evidence: []string{}}
		case v.State == StepDisabled && !may[name].optional:
			v.Blocks, v.Reason = true, "not an optional step: "+v.Reason
		case v.State == StepDisabled && may[name].other != "" && left[may[name].other].State != StepOK:
			v.Blocks, v.Reason = true, fmt.Sprintf("neither it nor %s ran: %s", may[name].other, v.Reason)
		case v.State == StepOK && may[name].other != "" && left[may[name].other].State == StepOK:
			v.State, v.Blocks, v.Reason = "ERROR", true, may[name].other+" ran too, and one takes the other's place"
		}
		steps = append(steps, v)
	}
	return steps
}

// readSteps reads every step.json and returns the verdicts by stage, and the
// stages that nobody required.
func readSteps(evidence fs.FS, required []string) (left map[string]StepVerdict, extra []string) {
	left = map[string]StepVerdict{}
	dirs, err := fs.ReadDir(evidence, "steps") // sorted by name
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(dirs) > maxSteps {
		left["steps"] = StepVerdict{Stage: "steps", State: "ERROR", Blocks: true, Evidence: []string{},
			Reason: fmt.Sprintf("%d step folders: %v", len(dirs), err)}
		return left, []string{"steps"}
	}
	for _, d := range dirs {
		v := readStep(evidence, d.Name())
		if first, twice := left[v.Stage]; twice {
			v.State, v.Blocks = "ERROR", true
			v.Evidence = append(first.Evidence, v.Evidence...)
			v.Reason = "two steps say they are this one"
		} else if !slices.Contains(required, v.Stage) {
			extra = append(extra, v.Stage)
		}
		left[v.Stage] = v
	}
	slices.Sort(extra)
	return left, extra
}

func readStep(evidence fs.FS, dir string) StepVerdict {
	path := "steps/" + dir + "/step.json"
	v := StepVerdict{Stage: dir, State: "ERROR", Blocks: true, Evidence: []string{path}}
	b, err := readFile(evidence, path)
	var s Step
	if err == nil {
		err = decode(b, &s)
	}
	if err == nil && s.Stage == "" {
		err = errors.New("no stage")
	}
	if err != nil {
		v.Reason = err.Error()
		return v
	}
	v.Stage, v.Reason = s.Stage, s.Reason
	switch s.State {
	case StepOK, StepDisabled:
		v.State, v.Blocks = s.State, false
	case StepFailed, StepNotRun:
		v.State = s.State
		if v.Reason == "" {
			v.Reason = "no reason given"
		}
	default:
		v.Reason = fmt.Sprintf("state %q", s.State)
	}
	return v
}
