package plan

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const whole = `version: 1
sheet: sheet.csv
evidence: out/EVI
scratch: out/run
output: out
environment: {pass: [PATH, WISH], record: [PATH]}
profiles: {smoke: {load_seconds: 60, rate: 120}}
ports: [web]
tools: [{name: k6, path: .tools/bin/k6, install: run make tools}]
services:
  - {name: web, title: w, argv: [bin/web, "${port.web}"], ready: "http://127.0.0.1:${port.web}/readyz"}
stages:
  - {name: up, title: u, steps: [{kind: services}]}
  - {name: load, title: l, steps: [{kind: load, tool: k6, argv: [k6], url: "http://127.0.0.1:1", needs: [web], timeout: 1m}]}
  - {name: judge, title: j, steps: [{kind: judge}]}
`

func load(t *testing.T, text string) (*Config, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "prega.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return Load(path)
}

func TestLoad(t *testing.T) {
	c, err := load(t, whole)
	if err != nil {
		t.Fatal(err)
	}
	if c.Stages[1].Steps[0].Timeout.Or(0).Minutes() != 1 || !c.Stages[2].Closing() || !c.Stages[1].Steps[0].Live() {
		t.Errorf("%+v", c.Stages)
	}
}

// TestFaults breaks the whole plan in one way at a time; each must be refused
// and named.
func TestFaults(t *testing.T) {
	for _, c := range []struct{ old, by, want string }{
		{"version: 1", "version: 2", "version is 2"},
		{"sheet: sheet.csv", "sheet: /etc/x", "no path inside"},
		{"scratch: out/run", "scratch: out/EVI/run", "secrets would become evidence"},
		{"record: [PATH]", "record: [SHELL]", "SHELL is recorded but not passed"},
		{"rate: 120", "rate: 0", "at least 1"},
		{"rate: 120", "rates: 120", "field rates not found"},
		{"${port.web}/readyz", "${port.wob}/readyz", "service web: ${port.wob} is unknown"},
		{"${port.web}\"]", "${port.web\"]", "does not end"},
		{"[bin/web,", "[\"${load.seconds|3}\",", "only env has defaults"},
		{"[bin/web,", "[\"${env.SHELL}\",", "${env.SHELL} is unknown"},
		{"needs: [web]", "needs: [wob]", `no service is named "wob"`},
		{"tool: k6", "tool: k7", `no tool is named "k7"`},
		{"kind: load", "kind: lode", `kind "lode" is none of`},
		{", timeout: 1m", "", "stage load: no timeout"},
		{"timeout: 1m", "timeout: 60", `"60" is no positive duration`},
		{"{name: judge, title: j, steps: [{kind: judge}]}", "{name: judge, title: j, steps: [{kind: judge}]}\n  - {name: late, title: x, steps: [{argv: [x], timeout: 1s}]}", "comes after the verdict"},
		{"name: load, title: l", "name: up, title: l", "stage up: twice"},
		{"name: load, title: l", "name: Load, title: l", "a-z"},
		{"steps: [{kind: judge}]", "steps: []", "no steps"},
		{"needs: [web], timeout", "after: [judge], timeout", "which is no earlier stage"},
		{"needs: [web], timeout", "expect: [{file: x, at: /y}], timeout", "expect needs"},
		{"needs: [web], timeout", "evidence: [{from: x, to: ../y}], timeout", "to below EVI"},
		{"needs: [web], timeout", "input: x, input_env: OTHER, timeout", "a variable that environment passes"},
	} {
		if !strings.Contains(whole, c.old) {
			t.Fatalf("the plan holds no %q", c.old)
		}
		_, err := load(t, strings.Replace(whole, c.old, c.by, 1))
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.by, err, c.want)
		}
	}
}

func TestAllFaultsAtOnce(t *testing.T) {
	_, err := load(t, strings.NewReplacer("version: 1", "version: 3", "tool: k6", "tool: k7", "${port.web}", "${port.x}").Replace(whole))
	for _, want := range []string{"version is 3", "k7", "${port.x} is unknown"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: want %q too", err, want)
		}
	}
	if _, err := load(t, whole+"---\nversion: 1\n"); err == nil {
		t.Error("a second document was read")
	}
}

func TestExpand(t *testing.T) {
	t.Setenv("WISH", "")
	c, err := load(t, whole)
	if err != nil {
		t.Fatal(err)
	}
	sc := c.Scope("smoke", map[string]string{"root": "/r", "run": "/r/out/run"}, map[string]int{"web": 4711})
	for in, want := range map[string]string{
		"${root}/a:${port.web}":       "/r/a:4711",
		"${load.seconds}s ${profile}": "60s smoke",
		"${env.WISH|../data}":         "../data",
		"$${root} $root {x}":          "${root} $root {x}",
		"${tool.k6}":                  "/r/.tools/bin/k6",
	} {
		if got, err := sc.Expand(in); err != nil || got != want {
			t.Errorf("%s gives %q, %v", in, got, err)
		}
	}
	if _, err := sc.All([]string{"${a}", "x", "${b}"}); err == nil || !strings.Contains(err.Error(), "${a}") || !strings.Contains(err.Error(), "${b}") {
		t.Errorf("faults of a list: %v", err)
	}
}

func TestExpect(t *testing.T) {
	var doc any
	if err := json.Unmarshal([]byte(`{"results":[{"status":"pass","n":2},{"status":"error","n":5}],"none":[],"a/b":{"c":1}}`), &doc); err != nil {
		t.Fatal(err)
	}
	two := 2.0
	for _, c := range []struct {
		e    Expect
		want string
	}{
		{Expect{At: "/results", MinItems: 2}, ""},
		{Expect{At: "/results", MinItems: 3}, "2 items"},
		{Expect{At: "/none", MinItems: 1}, "0 items"},
		{Expect{At: "/results/*/status", Only: []string{"pass", "error"}}, ""},
		{Expect{At: "/results/*/status", Only: []string{"pass"}}, "error, allowed are pass"},
		{Expect{At: "/results/*/n", Min: &two}, ""},
		{Expect{At: "/results/*/n", Max: &two}, "5, at most 2"},
		{Expect{At: "/a~1b/c", Min: &two}, "1, at least 2"},
		{Expect{At: "/missing", Min: &two}, "nothing is there"},
		{Expect{At: "/none/*/x", Min: &two}, "nothing is there"},
		{Expect{At: "/results/*/status", Min: &two}, "at least 2"},
	} {
		err := c.e.Check(doc)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v: %v, want %q", c.e, err, c.want)
		}
	}
}

// FuzzLoad: any bytes give a plan that is valid, or an error.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(whole))
	f.Fuzz(func(t *testing.T, b []byte) {
		path := filepath.Join(t.TempDir(), "p.yaml")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := Load(path)
		if err == nil && c.Validate() != nil {
			t.Error("a plan was loaded that is not valid")
		}
	})
}

// TestUnless: what stands in for a step says for which one, and only that.
func TestUnless(t *testing.T) {
	with := func(steps string) error {
		_, err := load(t, strings.Replace(whole, "  - {name: judge", "  - {name: feed, title: f, "+steps+"}\n  - {name: judge", 1))
		return err
	}
	step := func(name, rest string) string { return "{name: " + name + ", argv: [x], timeout: 1s, " + rest + "}" }
	if err := with("steps: [" + step("real", "input: data/x") + ", " + step("made", "unless: data/x") + "]"); err != nil {
		t.Error(err)
	}
	for _, steps := range []string{
		"steps: [" + step("made", "unless: data/x") + "]",
		"steps: [" + step("real", "input: data/y") + ", " + step("made", "unless: data/x") + "]",
		"steps: [" + step("real", "input: data/x") + ", " + step("twin", "input: data/x") + ", " + step("made", "unless: data/x") + "]",
		"steps: [" + step("real", "input: data/x") + ", " + step("made", "unless: data/x") + ", " + step("more", "unless: data/x") + "]",
		"steps: [" + step("real", "input: data/x, unless: data/x") + "]",
		"parallel: true, steps: [" + step("real", "input: data/x") + ", " + step("made", "unless: data/x") + "]",
	} {
		if err := with(steps); err == nil || !strings.Contains(err.Error(), "exactly one other step") {
			t.Errorf("%s: %v", steps, err)
		}
	}
	if err := with(`steps: [` + step("real", `input: "${env.SHELL}"`) + ", " + step("made", `unless: "${env.SHELL}"`) + "]"); err == nil || !strings.Contains(err.Error(), "feed.made: ${env.SHELL} is unknown") {
		t.Errorf("%v", err)
	}
}
