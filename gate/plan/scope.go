package plan

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Scope gives references their values:
//
//	${root} ${run} ${evi} ${out}    folders, absolute
//	${profile} ${load.seconds} ${load.rate}
//	${port.NAME}                    a free port, for each of ports
//	${env.NAME} ${env.NAME|default} a variable that environment passes
//	${tool.NAME}                    the path of a tool, or its name if it is on PATH
//
// $${ is a literal ${.
type Scope map[string]string

var reference = regexp.MustCompile(`\$?\$\{[^}]*\}?`)

// Expand replaces the references of s. Every unknown one is a fault.
func (sc Scope) Expand(s string) (string, error) {
	var f faults
	out := reference.ReplaceAllStringFunc(s, func(m string) string {
		if strings.HasPrefix(m, "$$") {
			return m[1:]
		}
		key, found := strings.CutSuffix(m[2:], "}")
		if !found {
			f.add("%q does not end", m)
			return m
		}
		v, err := sc.lookup(key)
		if err != nil {
			f = append(f, err)
		}
		return v
	})
	return out, errors.Join(f...)
}

func (sc Scope) lookup(key string) (string, error) {
	bare, def, hasDefault := strings.Cut(key, "|")
	v, ok := sc[bare]
	switch {
	case !ok:
		return "", fmt.Errorf("${%s} is unknown", key)
	case hasDefault && !strings.HasPrefix(bare, "env."):
		return "", fmt.Errorf("${%s}: only env has defaults", key)
	case v == "" && hasDefault:
		return def, nil
	}
	return v, nil
}

// All expands a list; the faults name the strings.
func (sc Scope) All(list []string) ([]string, error) {
	out := make([]string, len(list))
	var f faults
	for i, s := range list {
		v, err := sc.Expand(s)
		if err != nil {
			f = append(f, err)
		}
		out[i] = v
	}
	return out, errors.Join(f...)
}

// Scope builds the values for a run from its profile, its absolute folders
// (root, run, evi, out) and the ports that were found.
func (c *Config) Scope(profile string, folders map[string]string, ports map[string]int) Scope {
	p := c.Profiles[profile]
	sc := Scope{
		"profile": profile, "load.seconds": strconv.Itoa(p.LoadSeconds), "load.rate": strconv.Itoa(p.Rate),
		"root": "", "run": "", "evi": "", "out": "",
	}
	maps.Copy(sc, folders)
	for _, n := range c.Ports {
		sc["port."+n] = strconv.Itoa(ports[n])
	}
	for _, n := range c.Environment.Pass {
		sc["env."+n] = os.Getenv(n)
	}
	for _, t := range c.Tools {
		// A tool's own path may use folders and variables, not other tools.
		path, _ := sc.Expand(t.Path)
		if root := sc["root"]; root != "" && strings.ContainsRune(path, '/') && !filepath.IsAbs(path) && !strings.HasPrefix(path, "${") {
			path = filepath.Join(root, path)
		}
		sc["tool."+t.Name] = path
	}
	return sc
}

// validateReferences expands everything once with empty values, so that a
// wrong reference is known before anything has been started.
func (c *Config) validateReferences(f *faults) {
	sc := c.Scope("", nil, nil)
	check := func(where string, texts ...string) {
		for _, s := range texts {
			if _, err := sc.Expand(s); err != nil {
				for line := range strings.Lines(err.Error()) {
					f.add("%s: %s", where, strings.TrimSpace(line))
				}
			}
		}
	}
	check("prometheus", c.Prometheus)
	check("subject", c.Subject...)
	for _, s := range c.Secrets {
		check("secrets", s.File)
	}
	for _, t := range c.Tools {
		check("tool "+t.Name, t.Path)
	}
	for _, s := range c.Services {
		where := "service " + s.Name
		check(where, s.Argv...)
		check(where, slices.Collect(maps.Values(s.Env))...)
		check(where, s.Ready)
		for _, w := range s.Files {
			check(where, w.From, w.Text, w.To)
		}
	}
	for _, st := range c.Stages {
		for _, s := range st.Steps {
			where := strings.TrimSuffix("stage "+st.Name+"."+s.Name, ".")
			check(where, s.Argv...)
			check(where, slices.Collect(maps.Values(s.Env))...)
			check(where, s.Dir, s.Input, s.Unless, s.URL, s.Database)
			for _, e := range s.Evidence {
				check(where, e.From)
			}
			for _, e := range s.Expect {
				check(where, e.File)
			}
		}
	}
}
