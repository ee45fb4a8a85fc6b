package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
)

// modulePath marks the root of the repository: the go.mod that declares it.
const modulePath = "github.com/mbp-market/mbp"

// hashChars is the length of a cache folder's name. 80 bits separate any locks
// one machine will meet and keep the #! lines of virtual environments short.
const hashChars = 20

// house is one clone and the cache it uses.
type house struct {
	root  string
	cache string
	node  func() (interpreter, error) // found once, then remembered
	py    func() (interpreter, error)
}

// newHouse finds the repository that contains dir and the user's cache.
func newHouse(ctx context.Context, dir string) (*house, error) {
	root, err := findRoot(dir)
	if err != nil {
		return nil, err
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if !filepath.IsAbs(cache) { // the XDG specification: relative values are ignored
		home, err := os.UserHomeDir()
		if err != nil {
			return nil, fmt.Errorf("locate the cache: set HOME or XDG_CACHE_HOME: %w", err)
		}
		cache = filepath.Join(home, ".cache")
	}
	return &house{
		root: root, cache: filepath.Join(cache, "mbp"),
		node: memo(func() (interpreter, error) { return findNode(ctx) }),
		py:   memo(func() (interpreter, error) { return findPython(ctx) }),
	}, nil
}

// findRoot walks up from dir to the go.mod of this module.
func findRoot(dir string) (string, error) {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	for d := dir; ; d = filepath.Dir(d) {
		b, err := os.ReadFile(filepath.Join(d, "go.mod"))
		if err == nil && bytes.Contains(append([]byte("\n"), b...), []byte("\nmodule "+modulePath+"\n")) {
			return d, nil
		}
		if d == filepath.Dir(d) {
			return "", fmt.Errorf("%s is not inside a clone of %s", dir, modulePath)
		}
	}
}

// dir is the cache folder of g for the locks as they are on disk now.
func (h *house) dir(g group) (string, error) {
	sum, err := h.hash(g)
	if err != nil {
		return "", err
	}
	return filepath.Join(h.cache, sum), nil
}

// hash covers everything that decides the content of g's folder.
func (h *house) hash(g group) (string, error) {
	chain, err := g.toolchain(h)
	if err != nil {
		return "", err
	}
	d := sha256.New()
	fmt.Fprintf(d, "%s\n%s\n%s/%s\n%s\n", g.name, g.recipe, runtime.GOOS, runtime.GOARCH, chain)
	for _, name := range g.locks {
		b, err := os.ReadFile(filepath.Join(h.root, name))
		if err != nil {
			return "", fmt.Errorf("read lock: %w", err)
		}
		fmt.Fprintf(d, "%s %d\n", name, len(b))
		d.Write(b)
	}
	return hex.EncodeToString(d.Sum(nil))[:hashChars], nil
}

// stamp is the last file written into a group's folder; without it the folder
// does not count.
type stamp struct {
	Group string            `json:"group"`
	Hash  string            `json:"hash"`
	Files map[string]string `json:"files"` // linked file → SHA-256 of its content
}

func readStamp(dir string) (stamp, error) {
	var s stamp
	b, err := os.ReadFile(filepath.Join(dir, "stamp.json"))
	if err != nil {
		return s, fmt.Errorf("read stamp: %w", err)
	}
	if err := json.Unmarshal(b, &s); err != nil {
		return s, fmt.Errorf("read stamp %s: %w", dir, err)
	}
	return s, nil
}

// ensure makes g's folder complete and reports whether it had to build. Two
// processes may call it at once: the second waits for the lock and finds the
// stamp. A crash before the stamp leaves a folder the next call removes.
func (h *house) ensure(ctx context.Context, g group, p *progress) (bool, error) {
	dir, err := h.dir(g)
	if err != nil {
		return false, err
	}
	if _, err := readStamp(dir); err == nil {
		return false, nil
	}
	unlock, err := lockFile(ctx, dir+".lock", func() { p.say(g.name, "another clone installs it; waiting") })
	if err != nil {
		return false, err
	}
	defer unlock()
	if _, err := readStamp(dir); err == nil {
		return false, nil
	}
	if err := os.RemoveAll(dir); err != nil {
		return false, fmt.Errorf("remove a half-built folder: %w", err)
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return false, fmt.Errorf("create cache folder: %w", err)
	}
	defer p.begin(g.name, "installing")()
	s, err := newSink(filepath.Join(h.root, ".tools", "log"), g.name)
	if err != nil {
		return false, err
	}
	defer s.close()
	if err := g.build(ctx, h, dir, s); err != nil {
		if rmErr := os.RemoveAll(dir); rmErr != nil {
			return false, errors.Join(err, rmErr)
		}
		return false, err
	}
	return true, writeStamp(dir, g)
}

// writeStamp hashes what will be linked and makes the folder count.
func writeStamp(dir string, g group) error {
	s := stamp{Group: g.name, Hash: filepath.Base(dir), Files: map[string]string{}}
	for _, target := range g.links {
		sum, err := fileSHA256(filepath.Join(dir, target))
		if errors.Is(err, syscall.EISDIR) {
			continue // node_modules and environments are verified against their locks instead
		}
		if err != nil {
			return fmt.Errorf("%s did not produce %s: %w", g.name, target, err)
		}
		s.Files[target] = sum
	}
	b, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return fmt.Errorf("encode stamp: %w", err)
	}
	return writeAtomic(filepath.Join(dir, "stamp.json"), append(b, '\n'))
}

// writeAtomic replaces path in one step, so a reader sees the old or the new.
func writeAtomic(path string, b []byte) error {
	tmp := path + ".tmp"
	if err := os.WriteFile(tmp, b, 0o600); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// link points the clone at g's folder. Right links are left alone.
func (h *house) link(g group) error {
	dir, err := h.dir(g)
	if err != nil {
		return err
	}
	for name, target := range g.links {
		if err := symlink(filepath.Join(dir, target), filepath.Join(h.root, name)); err != nil {
			return err
		}
	}
	return nil
}

// symlink makes path a link to target, in one step if one was there. It never
// replaces what is not a link: that would be somebody's own file.
func symlink(target, path string) error {
	have, err := os.Readlink(path)
	if err == nil && have == target {
		return nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s is in the way of a link to %s: move it away", path, target)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	tmp := fmt.Sprintf("%s.%d.tmp", path, os.Getpid())
	if err := os.Symlink(target, tmp); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("link: %w", err)
	}
	return nil
}
