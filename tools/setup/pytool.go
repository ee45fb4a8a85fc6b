package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
)

// inspect.py runs inside an environment: it evaluates the lock's markers for
// this platform and prints every pin with what is installed.
//
//go:embed inspect.py
var inspectPy string

func (t pyTool) group() group {
	links := binLinks(filepath.Join("venv", "bin"), t.bins)
	if t.named != "" {
		links[filepath.Join(".tools", t.named)] = "venv"
	}
	return group{
		name: t.name, lane: laneNetwork, locks: []string{t.lock}, links: links,
		recipe: "venv; pip install --require-hashes --no-deps --only-binary :all:",
		toolchain: func(h *house) (string, error) {
			py, err := h.py()
			return py.String(), err
		},
		build: t.build, verify: t.verify,
	}
}

// build makes the environment at its final place, because its scripts carry
// absolute paths. The lock is complete, so pip resolves nothing (--no-deps)
// and refuses whatever has no hash in it.
func (t pyTool) build(ctx context.Context, h *house, dir string, s *sink) error {
	py, err := h.py()
	if err != nil {
		return err
	}
	venv := filepath.Join(dir, "venv")
	if err := s.exec(ctx, h.root, nil, py.path, "-m", "venv", venv); err != nil {
		return fmt.Errorf("make a virtual environment (on Debian: apt install python3-venv): %w", err)
	}
	return s.exec(ctx, h.root, []string{"PIP_DISABLE_PIP_VERSION_CHECK=1", "PIP_NO_INPUT=1"},
		filepath.Join(venv, "bin", "python"), "-m", "pip", "install", "--quiet",
		"--require-hashes", "--no-deps", "--only-binary", ":all:", "-r", t.lock)
}

// verify compares every pin of the lock with the installed distribution.
func (t pyTool) verify(ctx context.Context, h *house, dir string) ([]item, error) {
	bin := filepath.Join(dir, "venv", "bin")
	cmd := command(ctx, filepath.Join(bin, "python"), "-c", inspectPy, filepath.Join(h.root, t.lock))
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("inspect the environment: %w", err)
	}
	var pins []struct{ Name, Locked, Installed string }
	if err := json.Unmarshal(out, &pins); err != nil {
		return nil, fmt.Errorf("inspect the environment: %w", err)
	}
	var items []item
	var wrong []string
	for _, p := range pins {
		if p.Installed != p.Locked {
			wrong = append(wrong, fmt.Sprintf("%s is %s, %s pins %s", p.Name, orNone(p.Installed), t.lock, orNone(p.Locked)))
		}
		items = append(items, item{Name: p.Name, Version: p.Installed, Source: t.lock})
	}
	if len(wrong) > 0 {
		return nil, fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return items, nil
}

func orNone(version string) string {
	if version == "" {
		return "absent"
	}
	return version
}
