// Package plan reads prega.yaml, the file that says what the gate runs: services,
// stages, tools, folders, and how much load each profile asks for.
//
// It promises that a plan that loads can be followed: every name refers to
// something, every reference is known, evidence and secrets lie apart, nothing
// comes after the verdict that could change it. All faults are reported at once.
//
// It refuses unknown keys, durations without a unit, steps without a time limit
// and a second document in the file. It runs nothing and looks at no file but
// its own.
package plan

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"
)

// Config is prega.yaml: everything the gate runs and where it leaves what it
// saw. Strings marked (expanded) may hold references, see [Scope].
type Config struct {
	// Version is the version of this file's grammar; 1 is the only one.
	Version int `yaml:"version"`
	// Sheet holds the criteria, relative to the repository.
	Sheet string `yaml:"sheet"`
	// Evidence is the folder that is judged and packed. A new run empties it.
	Evidence string `yaml:"evidence"`
	// Scratch holds data, secrets and logs of a run that are no evidence.
	Scratch string `yaml:"scratch"`
	// Output takes the pack and what lies beside it.
	Output string `yaml:"output"`
	// Environment says which variables a child process gets at all, and which
	// of them are written into evidence. Everything else stays outside.
	Environment Environment `yaml:"environment"`
	// Profiles: how much load each profile asks for.
	Profiles map[string]Profile `yaml:"profiles"`
	// Ports are names; each gets a free TCP port when the run starts.
	Ports []string `yaml:"ports"`
	// Prometheus is the base URL that queries go to (expanded).
	Prometheus string `yaml:"prometheus"`
	// Settle is how long after the load the gate waits before it asks
	// Prometheus: at least two scrape intervals, so that the last requests of
	// the load have been scraped.
	Settle Duration `yaml:"settle"`
	// Policy lists what is copied byte for byte into EVI/policy when the run
	// starts: the sheet, this file, rules, load script, decisions.
	Policy []string `yaml:"policy"`
	// Secrets names files whose secrets may never be seen in evidence.
	Secrets []Secret `yaml:"secrets"`
	// Subject are the binaries under judgement; their SHA-256 is recorded.
	Subject []string `yaml:"subject"`
	// Tools are the programs the verdict rests on; recorded like Subject.
	Tools []Tool `yaml:"tools"`
	// Services run from the stage that starts them to the one that stops them.
	Services []Service `yaml:"services"`
	// Stages run in this order.
	Stages []Stage `yaml:"stages"`
}

// Environment is the allow-list of variables.
type Environment struct {
	Pass   []string `yaml:"pass"`   // names a child process inherits
	Record []string `yaml:"record"` // names among Pass whose values are evidence
}

// Profile is one way to run the gate.
type Profile struct {
	LoadSeconds int `yaml:"load_seconds"` // length of the load
	Rate        int `yaml:"rate"`         // requests started per second
}

// Secret is a file of the run and what a secret in it looks like.
type Secret struct {
	File    string `yaml:"file"`    // (expanded)
	Pattern string `yaml:"pattern"` // regular expression; every match is a secret
}

// Tool is a program and how to ask for its version.
type Tool struct {
	Name    string   `yaml:"name"`
	Path    string   `yaml:"path"`    // (expanded) a path, or a bare name on PATH
	Version []string `yaml:"version"` // arguments; none: Go build information
	Install string   `yaml:"install"` // what to do when it is missing
}

// Service is a process that runs beside the stages, in a process group of its
// own. SIGTERM stops it; after StopTimeout SIGKILL does.
type Service struct {
	Name         string            `yaml:"name"`
	Title        string            `yaml:"title"`
	Argv         []string          `yaml:"argv"` // (expanded)
	Env          map[string]string `yaml:"env"`  // (expanded)
	Tool         string            `yaml:"tool"` // name of a tool that must be there
	Needs        []string          `yaml:"needs"`
	Files        []File            `yaml:"files"`         // written before it starts
	Ready        string            `yaml:"ready"`         // URL that answers 200 when it is (expanded)
	ReadyTimeout Duration          `yaml:"ready_timeout"` // default 30s
	StopTimeout  Duration          `yaml:"stop_timeout"`  // default 10s
}

// File is copied from From, or written with Text (both expanded), to To.
type File struct {
	From string `yaml:"from"`
	Text string `yaml:"text"`
	To   string `yaml:"to"`
}

// Stage is a line of the report: one or more steps, one after the other or at
// the same time.
type Stage struct {
	Name     string `yaml:"name"`
	Title    string `yaml:"title"`
	Parallel bool   `yaml:"parallel"`
	Steps    []Step `yaml:"steps"`
}

// Kinds of steps.
const (
	KindCommand     = "command"     // run argv; expect proves what it did
	KindServices    = "services"    // start the services and wait until they are ready
	KindStop        = "stop"        // stop them, in reverse
	KindWait        = "wait"        // ask Prometheus until the query gives a sample
	KindLoad        = "load"        // run k6; its scenario is the load window
	KindCollect     = "collect"     // ask Prometheus every query of the sheet
	KindGitleaks    = "gitleaks"    // scan files and history for secrets
	KindGovulncheck = "govulncheck" // scan the module for known vulnerabilities
	KindSBOM        = "sbom"        // list the module's dependencies
	KindJudge       = "judge"       // verdict and report from the evidence
	KindPack        = "pack"        // the evidence as one file
	KindAnchor      = "anchor"      // root, hash and chain beside the pack
	KindReport      = "report"      // print it
)

var kinds = []string{KindCommand, KindServices, KindStop, KindWait, KindLoad, KindCollect,
	KindGitleaks, KindGovulncheck, KindSBOM, KindJudge, KindPack, KindAnchor, KindReport}

// closing are the kinds that work on finished evidence and leave none.
var closing = []string{KindJudge, KindPack, KindAnchor, KindReport}

// Closing reports whether the stage works on finished evidence.
func (s Stage) Closing() bool { return slices.Contains(closing, s.Steps[0].Kind) }

// Live reports whether the step can only run while the services do.
func (s Step) Live() bool {
	return len(s.Needs) > 0 || slices.Contains([]string{KindServices, KindStop, KindWait, KindLoad, KindCollect}, s.Kind)
}

// Step is one thing the gate does.
type Step struct {
	Name string            `yaml:"name"` // may be empty in a stage of one step
	Kind string            `yaml:"kind"` // default command
	Argv []string          `yaml:"argv"` // (expanded)
	Env  map[string]string `yaml:"env"`  // (expanded)
	Dir  string            `yaml:"dir"`  // (expanded), relative to the repository
	Tool string            `yaml:"tool"` // name of a tool; missing: NOT_RUN
	// Input is a path (expanded) without which the step is DISABLED: an
	// optional part that nobody asked for. If InputEnv is set in the
	// environment, it was asked for, and a missing Input is NOT_RUN.
	Input    string `yaml:"input"`
	InputEnv string `yaml:"input_env"`
	// Unless is the Input of exactly one other step of the stage: this step is
	// DISABLED where that path is there, and takes the other one's place where
	// it is not. Exactly one of the two has to run, and the judge holds them to
	// it.
	Unless string `yaml:"unless"`
	// Needs names services; one that does not run makes the step NOT_RUN, one
	// that dies while it runs stops it.
	Needs []string `yaml:"needs"`
	// After names stages that must be OK, or DISABLED, before this one.
	After []string `yaml:"after"`
	// Timeout bounds the step; DuringLoad adds the length of the load.
	Timeout    Duration `yaml:"timeout"`
	DuringLoad bool     `yaml:"during_load"`
	Query      string   `yaml:"query"` // of wait
	URL        string   `yaml:"url"`   // of fetch, of k6's own API for load (expanded)
	To         string   `yaml:"to"`    // of fetch, below EVI
	// Database is the vulnerability database of govulncheck (expanded): a
	// folder or tar.gz, else the live one is asked. If DatabaseEnv is set in
	// the environment, no other will do.
	Database    string     `yaml:"database"`
	DatabaseEnv string     `yaml:"database_env"`
	Evidence    []Evidence `yaml:"evidence"`
	Expect      []Expect   `yaml:"expect"`
}

// Evidence is a file or folder that a step leaves for the judge.
type Evidence struct {
	From string `yaml:"from"` // (expanded)
	To   string `yaml:"to"`   // below EVI
}

// Expect looks into a JSON file that a step wrote: an exit status alone proves
// nothing. At is a JSON pointer in which * stands for every element.
type Expect struct {
	File     string   `yaml:"file"` // (expanded)
	At       string   `yaml:"at"`
	Min      *float64 `yaml:"min"`       // the number there is at least this
	Max      *float64 `yaml:"max"`       // the number there is at most this
	MinItems int      `yaml:"min_items"` // the list there has at least so many
	Only     []string `yaml:"only"`      // every string there is one of these
}

// Duration is a time.Duration written as 30s or 5m.
type Duration time.Duration

// UnmarshalYAML reads Go's notation; a bare number has no unit and is refused.
func (d *Duration) UnmarshalYAML(n *yaml.Node) error {
	v, err := time.ParseDuration(n.Value)
	if err != nil || v <= 0 {
		return fmt.Errorf("line %d: %q is no positive duration such as 30s or 5m", n.Line, n.Value)
	}
	*d = Duration(v)
	return nil
}

// Or gives the default for a duration that was not written.
func (d Duration) Or(def time.Duration) time.Duration {
	if d == 0 {
		return def
	}
	return time.Duration(d)
}

// maxConfig bounds prega.yaml: it is written by hand.
const maxConfig = 1 << 20

// Load reads and checks a configuration. Unknown keys are faults; all faults
// are reported at once.
func Load(path string) (*Config, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	if len(raw) > maxConfig {
		return nil, fmt.Errorf("read configuration: %s is larger than %d bytes", path, maxConfig)
	}
	var c Config
	d := yaml.NewDecoder(bytes.NewReader(raw))
	d.KnownFields(true)
	if err := d.Decode(&c); err != nil {
		return nil, fmt.Errorf("read configuration %s: %w", path, err)
	}
	if err := d.Decode(new(Config)); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read configuration %s: more than one document", path)
	}
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &c, nil
}

var name = regexp.MustCompile(`^[a-z][a-z0-9_]{0,31}$`)

// faults collects what is wrong.
type faults []error

func (f *faults) add(format string, args ...any) { *f = append(*f, fmt.Errorf(format, args...)) }

// Validate reports every fault of the configuration.
func (c *Config) Validate() error {
	var f faults
	if c.Version != 1 {
		f.add("version is %d, this prega reads 1", c.Version)
	}
	for what, p := range map[string]string{"sheet": c.Sheet, "evidence": c.Evidence, "scratch": c.Scratch, "output": c.Output} {
		if p == "" || !filepath.IsLocal(p) {
			f.add("%s: %q is no path inside the repository", what, p)
		}
	}
	if nested(c.Evidence, c.Scratch) {
		f.add("scratch %q and evidence %q lie in each other: secrets would become evidence", c.Scratch, c.Evidence)
	}
	if len(c.Profiles) == 0 {
		f.add("profiles: none")
	}
	for n, p := range c.Profiles {
		if !name.MatchString(n) || p.LoadSeconds < 1 || p.Rate < 1 {
			f.add("profile %q: load_seconds and rate must be at least 1", n)
		}
	}
	for _, v := range c.Environment.Record {
		if !slices.Contains(c.Environment.Pass, v) {
			f.add("environment: %s is recorded but not passed", v)
		}
	}
	for i, s := range c.Secrets {
		if _, err := regexp.Compile(s.Pattern); err != nil || s.Pattern == "" || s.File == "" {
			f.add("secrets[%d]: a file and a regular expression are needed", i)
		}
	}
	f.unique("port", c.Ports)
	c.validateServices(&f)
	c.validateStages(&f)
	c.validateReferences(&f)
	slices.SortFunc(f, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(f...)
}

func nested(a, b string) bool {
	a, b = filepath.Clean(a)+"/", filepath.Clean(b)+"/"
	return strings.HasPrefix(a, b) || strings.HasPrefix(b, a)
}

func (f *faults) unique(what string, names []string) {
	seen := map[string]bool{}
	for _, n := range names {
		if !name.MatchString(n) {
			f.add("%s %q: a name is a-z, 0-9 and _, at most 32", what, n)
		}
		if seen[n] {
			f.add("%s %s: twice", what, n)
		}
		seen[n] = true
	}
}

func (c *Config) toolNames() (names []string) {
	for _, t := range c.Tools {
		names = append(names, t.Name)
	}
	return names
}

func (c *Config) serviceNames() (names []string) {
	for _, s := range c.Services {
		names = append(names, s.Name)
	}
	return names
}

func (c *Config) validateServices(f *faults) {
	var started []string
	for _, s := range c.Services {
		if len(s.Argv) == 0 || s.Ready == "" {
			f.add("service %s: argv and ready are needed", s.Name)
		}
		if s.Tool != "" && !slices.Contains(c.toolNames(), s.Tool) {
			f.add("service %s: no tool is named %q", s.Name, s.Tool)
		}
		for _, n := range s.Needs {
			if !slices.Contains(started, n) {
				f.add("service %s: needs %q, which is not started before it", s.Name, n)
			}
		}
		for _, w := range s.Files {
			if w.To == "" || (w.From == "") == (w.Text == "") {
				f.add("service %s: a file needs to, and either from or text", s.Name)
			}
		}
		started = append(started, s.Name)
	}
	f.unique("service", started)
	for _, t := range c.Tools {
		if t.Path == "" || t.Install == "" {
			f.add("tool %s: path and install are needed", t.Name)
		}
	}
	tools := c.toolNames()
	slices.Sort(tools)
	if len(slices.Compact(tools)) != len(c.Tools) {
		f.add("tools: a name appears twice")
	}
}

func (c *Config) validateStages(f *faults) {
	var before []string
	closed := false
	for _, st := range c.Stages {
		var names []string
		for i := range st.Steps {
			s := &st.Steps[i]
			where := "stage " + st.Name
			if s.Name != "" {
				where += "." + s.Name
			}
			if s.Name != "" || len(st.Steps) > 1 {
				names = append(names, s.Name)
			}
			if s.Kind == "" {
				s.Kind = KindCommand
			}
			isClosing := slices.Contains(closing, s.Kind)
			if closed && !isClosing {
				f.add("%s: comes after the verdict and could change what was judged", where)
			}
			closed = closed || isClosing
			c.validateStep(f, where, s, before)
		}
		if len(st.Steps) == 0 {
			f.add("stage %s: no steps", st.Name)
		} else if st.Closing() && len(st.Steps) > 1 {
			f.add("stage %s: a %s step is a stage of its own", st.Name, st.Steps[0].Kind)
		}
		f.unique("step of "+st.Name, names)
		f.alternatives(st)
		before = append(before, st.Name)
	}
	f.unique("stage", before)
}

// alternatives: what stands in for another step has to say for which.
func (f *faults) alternatives(st Stage) {
	for _, s := range st.Steps {
		if s.Unless == "" {
			continue
		}
		inputs, twins := 0, 0
		for _, other := range st.Steps {
			if other.Input == s.Unless {
				inputs++
			}
			if other.Unless == s.Unless {
				twins++
			}
		}
		if inputs != 1 || twins != 1 || s.Input != "" || st.Parallel {
			f.add("stage %s.%s: unless is the input of exactly one other step, no other step has it, and they are not parallel", st.Name, s.Name)
		}
	}
}

func (c *Config) validateStep(f *faults, where string, s *Step, before []string) {
	if !slices.Contains(kinds, s.Kind) {
		f.add("%s: kind %q is none of %s", where, s.Kind, strings.Join(kinds, ", "))
	}
	need := func(ok bool, what string) {
		if !ok {
			f.add("%s: a %s step needs %s", where, s.Kind, what)
		}
	}
	switch s.Kind {
	case KindCommand:
		need(len(s.Argv) > 0, "argv")
	case KindLoad:
		need(len(s.Argv) > 0 && s.URL != "", "argv and url")
	case KindWait:
		need(s.Query != "" && c.Prometheus != "", "query, and prometheus at the top")
	case KindCollect:
		need(c.Prometheus != "" && c.Settle > 0, "prometheus and settle at the top")
	case KindGitleaks, KindGovulncheck, KindSBOM:
		need(s.Tool != "", "tool")
	}
	if s.Timeout == 0 && !slices.Contains(closing, s.Kind) && s.Kind != KindServices && s.Kind != KindStop {
		f.add("%s: no timeout", where)
	}
	if s.Tool != "" && !slices.Contains(c.toolNames(), s.Tool) {
		f.add("%s: no tool is named %q", where, s.Tool)
	}
	for _, n := range s.Needs {
		if !slices.Contains(c.serviceNames(), n) {
			f.add("%s: no service is named %q", where, n)
		}
	}
	for _, n := range s.After {
		if !slices.Contains(before, n) {
			f.add("%s: after %q, which is no earlier stage", where, n)
		}
	}
	for _, e := range s.Evidence {
		if e.From == "" || !filepath.IsLocal(e.To) {
			f.add("%s: evidence needs from, and to below EVI", where)
		}
	}
	for _, e := range s.Expect {
		if e.File == "" || !strings.HasPrefix(e.At, "/") || e.Min == nil && e.Max == nil && e.MinItems == 0 && len(e.Only) == 0 {
			f.add("%s: expect needs file, at (/pointer) and one of min, max, min_items, only", where)
		}
	}
	if s.InputEnv != "" && (s.Input == "" || !slices.Contains(c.Environment.Pass, s.InputEnv)) {
		f.add("%s: input_env needs input, and a variable that environment passes", where)
	}
}
