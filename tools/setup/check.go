package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
)

// inventory is the environment as evidence: what ran the gate, byte for byte.
// It holds no time and no host name, so equal environments give equal files.
type inventory struct {
	OS    string `json:"os"`
	Arch  string `json:"arch"`
	CPUs  int    `json:"cpus"`
	Items []item `json:"items"`
}

// check compares every group with its locks without changing anything. It
// reports all differences at once and fails if there is one.
func check(ctx context.Context, h *house, groups []group, jsonPath string, stdout io.Writer) error {
	inv := inventory{OS: runtime.GOOS, Arch: runtime.GOARCH, CPUs: runtime.NumCPU()}
	var faults []error
	hostItems, err := host(ctx, h)
	if err != nil {
		faults = append(faults, err)
	}
	inv.Items = append(inv.Items, hostItems...)
	for _, g := range groups {
		items, err := verifyGroup(ctx, h, g)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", g.name, err))
			fmt.Fprintf(stdout, "%-16s DIFFERS\n", g.name)
			continue
		}
		fmt.Fprintf(stdout, "%-16s ok, %d pinned\n", g.name, len(items))
		inv.Items = append(inv.Items, items...)
	}
	if err := pinsAgree(h.root); err != nil {
		faults = append(faults, err)
	}
	b, err := h.readBrowser()
	switch {
	case err != nil:
		fmt.Fprintf(stdout, "%-16s unavailable: %v\n", "chromium", err)
	default:
		fmt.Fprintf(stdout, "%-16s ok, %s\n", "chromium", b.Version)
		inv.Items = append(inv.Items, item{Group: "chromium", Name: "chromium", Version: b.Version, Source: b.Path, SHA256: b.SHA256})
	}
	if err := errors.Join(faults...); err != nil {
		return fmt.Errorf("the environment differs from the locks (make tools repairs it):\n%w", err)
	}
	if jsonPath == "" {
		return nil
	}
	return writeInventory(jsonPath, inv)
}

func writeInventory(path string, inv inventory) error {
	b, err := json.MarshalIndent(inv, "", "  ")
	if err != nil {
		return fmt.Errorf("encode inventory: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("write inventory: %w", err)
	}
	return writeAtomic(path, append(b, '\n'))
}

// verifyGroup checks stamp, links, the bytes behind the links, then the
// versions against the lock.
func verifyGroup(ctx context.Context, h *house, g group) ([]item, error) {
	dir, err := h.dir(g)
	if err != nil {
		return nil, err
	}
	s, err := readStamp(dir)
	if err != nil {
		return nil, errors.New("not installed for the present locks")
	}
	for target, want := range s.Files {
		got, err := fileSHA256(filepath.Join(dir, target))
		if err != nil {
			return nil, fmt.Errorf("read %s: %w", target, err)
		}
		if got != want {
			return nil, fmt.Errorf("%s was changed after it was installed: sha256 %s, was %s (remove %s and run make tools)", target, got, want, dir)
		}
	}
	for name, target := range g.links {
		if have, err := os.Readlink(filepath.Join(h.root, name)); err != nil || have != filepath.Join(dir, target) {
			return nil, fmt.Errorf("%s does not link to the cache", name)
		}
	}
	items, err := g.verify(ctx, h, dir)
	for i := range items {
		items[i].Group, items[i].LockHash = g.name, s.Hash
	}
	return items, err
}

// host lists the programs of the machine that the build itself uses.
func host(ctx context.Context, h *house) ([]item, error) {
	items := []item{{Group: "host", Name: "go", Version: runtime.Version(), Source: "toolchain"}}
	node, nodeErr := h.node()
	python, pyErr := h.py()
	items = append(items,
		item{Group: "host", Name: "node", Version: node.version, Source: node.path},
		item{Group: "host", Name: "python", Version: python.version, Source: python.path})
	for _, name := range []string{"npm", "git", "make"} {
		path, err := exec.LookPath(name)
		if err != nil {
			return items, fmt.Errorf("%s is not on PATH: install it", name)
		}
		out, err := command(ctx, path, "--version").Output()
		if err != nil {
			return items, fmt.Errorf("%s --version: %w", name, err)
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		items = append(items, item{Group: "host", Name: name, Version: first, Source: path})
	}
	return items, errors.Join(nodeErr, pyErr)
}

// pinsAgree proves that each lock was made from the file people edit.
func pinsAgree(root string) error {
	pairs := map[string]string{"requirements.in": "requirements.lock"}
	for _, t := range pyTools[1:] {
		pairs[strings.TrimSuffix(t.lock, ".lock")+".in"] = t.lock
	}
	var faults []error
	for in, lock := range pairs {
		asked, err := os.ReadFile(filepath.Join(root, in))
		if err != nil {
			faults = append(faults, fmt.Errorf("read pins: %w", err))
			continue
		}
		locked, err := os.ReadFile(filepath.Join(root, lock))
		if err != nil {
			faults = append(faults, fmt.Errorf("read pins: %w", err))
			continue
		}
		for line := range strings.Lines(string(asked)) {
			pin := strings.TrimSpace(line)
			if strings.Contains(pin, "==") && !strings.Contains(pin, "*") && !strings.HasPrefix(pin, "#") &&
				!strings.Contains("\n"+string(locked), "\n"+pin+" ") {
				faults = append(faults, fmt.Errorf("%s asks for %s, %s holds another version (make locks)", in, pin, lock))
			}
		}
	}
	return errors.Join(faults...)
}
