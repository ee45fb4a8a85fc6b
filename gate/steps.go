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

// required lists the steps that a run had to take, and whether each may be
// DISABLED.
func (p Policy) required() (names []string, optional map[string]bool) {
	optional = map[string]bool{}
	for _, stage := range p.Stages {
		if len(stage.Steps) == 0 && !slices.Contains(closing, stage.Name) {
			names = append(names, stage.Name)
		}
		for _, s := range stage.Steps {
			if slices.Contains(closing, s.Kind) {
				continue
			}
			name := stage.Name
			if s.Name != "" {
				name += "." + s.Name
			}
			names = append(names, name)
			optional[name] = s.Input != ""
		}
	}
	return names, optional
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
	names, optional := policy.required()
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
		case v.State == StepDisabled && !optional[name]:
			v.Blocks, v.Reason = true, "not an optional step: "+v.Reason
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
