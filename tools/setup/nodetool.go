package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sort"
	"strings"
)

func nodeGroup() group {
	return group{
		name: "node", lane: laneNetwork,
		locks:  []string{"package.json", "package-lock.json"},
		recipe: "npm ci --ignore-scripts",
		links:  map[string]string{"node_modules": "node_modules"},
		toolchain: func(h *house) (string, error) {
			n, err := h.node()
			return n.version, err
		},
		build: buildNode, verify: verifyNode,
	}
}

// buildNode runs npm beside copies of the two lock files. No package may run
// a script while it is installed.
func buildNode(ctx context.Context, h *house, dir string, s *sink) error {
	for _, name := range []string{"package.json", "package-lock.json"} {
		b, err := os.ReadFile(filepath.Join(h.root, name))
		if err != nil {
			return fmt.Errorf("read lock: %w", err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
			return fmt.Errorf("copy lock: %w", err)
		}
	}
	return s.exec(ctx, dir, nil, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund")
}

// npmLock is the part of package-lock.json that matters here.
type npmLock struct {
	Packages map[string]struct {
		Version   string `json:"version"`
		Integrity string `json:"integrity"`
		Optional  bool   `json:"optional"`
	} `json:"packages"`
}

func readNpmLock(path string) (npmLock, error) {
	var l npmLock
	b, err := os.ReadFile(path)
	if err != nil {
		return l, fmt.Errorf("read npm lock: %w", err)
	}
	if err := json.Unmarshal(b, &l); err != nil {
		return l, fmt.Errorf("read npm lock %s: %w", path, err)
	}
	return l, nil
}

// verifyNode compares what npm recorded as installed with the lock. Optional
// packages may be absent: they belong to other platforms.
func verifyNode(_ context.Context, h *house, dir string) ([]item, error) {
	want, err := readNpmLock(filepath.Join(h.root, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	have, err := readNpmLock(filepath.Join(dir, "node_modules", ".package-lock.json"))
	if err != nil {
		return nil, err
	}
	var items []item
	var wrong []string
	for path, w := range want.Packages {
		if path == "" {
			continue
		}
		name := path[strings.LastIndex(path, "node_modules/")+len("node_modules/"):]
		got, ok := have.Packages[path]
		onDisk, err := readPackageVersion(filepath.Join(dir, path))
		switch {
		case !ok && w.Optional:
			continue
		case !ok || err != nil || got.Version != w.Version || got.Integrity != w.Integrity || onDisk != w.Version:
			wrong = append(wrong, fmt.Sprintf("%s is %s, package-lock.json pins %s", path, orNone(onDisk), w.Version))
		}
		items = append(items, item{Name: name, Version: w.Version, Source: "package-lock.json " + w.Integrity})
	}
	sort.Slice(items, func(i, j int) bool { return items[i].Name+items[i].Version < items[j].Name+items[j].Version })
	if len(wrong) > 0 {
		sort.Strings(wrong)
		return nil, fmt.Errorf("%s", strings.Join(wrong, "; "))
	}
	return items, nil
}

func readPackageVersion(dir string) (string, error) {
	var p struct {
		Version string `json:"version"`
	}
	b, err := os.ReadFile(filepath.Join(dir, "package.json"))
	if err != nil {
		return "", fmt.Errorf("read package: %w", err)
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return "", fmt.Errorf("read package %s: %w", dir, err)
	}
	return p.Version, nil
}
