package main

import (
	"bufio"
	"context"
	"debug/buildinfo"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// goEnv makes a build depend on nothing in the user's environment that the
// hash does not cover.
var goEnv = []string{"CGO_ENABLED=0", "GOFLAGS=-mod=readonly -buildvcs=false", "GOWORK=off", "GOTOOLCHAIN=local"}

func (t goTool) group() group {
	mod := filepath.Join("tools", t.name)
	return group{
		name: t.name, lane: laneCPU,
		locks:     []string{filepath.Join(mod, "go.mod"), filepath.Join(mod, "go.sum")},
		recipe:    "go build -trimpath -s -w tags=" + t.tags + " version=" + t.version,
		links:     binLinks("bin", t.bins),
		toolchain: func(*house) (string, error) { return runtime.Version(), nil },
		build:     t.build,
		verify:    t.verify,
	}
}

// build compiles the tool's packages from its own module.
func (t goTool) build(ctx context.Context, h *house, dir string, s *sink) error {
	src := filepath.Join(h.root, "tools", t.name)
	ldflags := "-s -w"
	if t.version != "" {
		mod, version, err := t.required(src)
		if err != nil {
			return err
		}
		ldflags += fmt.Sprintf(" -X %s=%s", t.version, strings.TrimPrefix(version, "v"))
		fmt.Fprintf(s.file, "module %s %s\n", mod, version)
	}
	args := []string{"build", "-trimpath", "-tags", t.tags, "-ldflags", ldflags, "-o", filepath.Join(dir, "bin") + "/"}
	return s.exec(ctx, src, goEnv, "go", append(args, t.packages...)...)
}

// required finds the module that provides the tool, and its pinned version, in
// the tool's go.mod: the longest required path that prefixes the package.
func (t goTool) required(src string) (module, version string, err error) {
	f, err := os.Open(filepath.Join(src, "go.mod"))
	if err != nil {
		return "", "", fmt.Errorf("read pin: %w", err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		w := strings.Fields(strings.TrimPrefix(strings.TrimSpace(lines.Text()), "require "))
		if len(w) < 2 || !strings.HasPrefix(w[1], "v") || len(w[0]) <= len(module) {
			continue
		}
		if t.packages[0] == w[0] || strings.HasPrefix(t.packages[0], w[0]+"/") {
			module, version = w[0], w[1]
		}
	}
	if err := lines.Err(); err != nil {
		return "", "", fmt.Errorf("read pin: %w", err)
	}
	if module == "" {
		return "", "", fmt.Errorf("%s/go.mod requires no module that has %s", src, t.packages[0])
	}
	return module, version, nil
}

// verify reads what each binary says it was built from and compares it with
// the module's go.mod and go.sum.
func (t goTool) verify(_ context.Context, h *house, dir string) ([]item, error) {
	src := filepath.Join(h.root, "tools", t.name)
	module, version, err := t.required(src)
	if err != nil {
		return nil, err
	}
	sums, err := os.ReadFile(filepath.Join(src, "go.sum"))
	if err != nil {
		return nil, fmt.Errorf("read go.sum: %w", err)
	}
	var items []item
	for _, bin := range t.bins {
		path := filepath.Join(dir, "bin", bin)
		info, err := buildinfo.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", bin, err)
		}
		m := info.Main
		switch {
		case m.Path != module || m.Version != version:
			return nil, fmt.Errorf("%s is built from %s %s, tools/%s/go.mod pins %s %s", bin, m.Path, m.Version, t.name, module, version)
		case !strings.Contains(string(sums), fmt.Sprintf("%s %s %s\n", m.Path, m.Version, m.Sum)):
			return nil, fmt.Errorf("%s: module sum %s is not in tools/%s/go.sum", bin, m.Sum, t.name)
		case info.GoVersion != runtime.Version():
			return nil, fmt.Errorf("%s is built by %s, this is %s", bin, info.GoVersion, runtime.Version())
		}
		sum, err := fileSHA256(path)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", bin, err)
		}
		items = append(items, item{Name: bin, Version: m.Version, SHA256: sum, Source: fmt.Sprintf("%s@%s %s", m.Path, m.Version, m.Sum)})
	}
	return items, nil
}
