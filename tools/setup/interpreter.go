package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
)

// The oldest interpreters the locked packages support.
const (
	minNode   = "20.11.0" // @sparticuz/chromium, vite 7
	minPython = "3.11.0"  // the locks are resolved for 3.11 and later
)

// interpreter is a language runtime found on this machine.
type interpreter struct {
	path    string
	version string // dotted numbers, no prefix
}

func (i interpreter) String() string { return i.path + " " + i.version }

func findNode(ctx context.Context) (interpreter, error) {
	path, err := exec.LookPath("node")
	if err != nil {
		return interpreter{}, fmt.Errorf("node is not on PATH: install Node.js %s or newer, with npm", minNode)
	}
	if _, err := exec.LookPath("npm"); err != nil {
		return interpreter{}, errors.New("npm is not on PATH: install it beside node")
	}
	out, err := command(ctx, path, "--version").Output()
	if err != nil {
		return interpreter{}, fmt.Errorf("%s --version: %w", path, err)
	}
	i := interpreter{path: path, version: strings.TrimPrefix(strings.TrimSpace(string(out)), "v")}
	if !atLeast(i.version, minNode) {
		return i, fmt.Errorf("node %s at %s is too old: install %s or newer", i.version, path, minNode)
	}
	return i, nil
}

// findPython takes the first interpreter on PATH that is new enough, plain
// python3 first.
func findPython(ctx context.Context) (interpreter, error) {
	const probe = `import sys; print(sys.executable); print("%d.%d.%d" % sys.version_info[:3])`
	var seen []string
	for _, name := range []string{"python3", "python3.13", "python3.12", "python3.11", "python"} {
		path, err := exec.LookPath(name)
		if err != nil {
			continue
		}
		out, err := command(ctx, path, "-c", probe).Output()
		if err != nil {
			seen = append(seen, fmt.Sprintf("%s (%v)", path, err))
			continue
		}
		exe, version, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		if atLeast(version, minPython) {
			return interpreter{path: exe, version: version}, nil
		}
		seen = append(seen, path+" "+version)
	}
	if len(seen) == 0 {
		return interpreter{}, fmt.Errorf("python3 is not on PATH: install Python %s or newer, with venv", minPython)
	}
	return interpreter{}, fmt.Errorf("no Python %s or newer, only %s", minPython, strings.Join(seen, ", "))
}

// atLeast compares dotted numbers; what is not a number counts as 0.
func atLeast(have, want string) bool {
	h, w := strings.Split(have, "."), strings.Split(want, ".")
	for i := range w {
		var a int
		if i < len(h) {
			a, _ = strconv.Atoi(h[i])
		}
		b, _ := strconv.Atoi(w[i])
		if a != b {
			return a > b
		}
	}
	return true
}
