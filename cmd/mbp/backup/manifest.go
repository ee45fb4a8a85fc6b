package backup

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mbp-market/mbp/engine"
)

const (
	manifestName    = "manifest.json"
	manifestVersion = 1
	maxManifest     = 16 << 20 // bytes: some hundred thousand files
)

// manifest says what a backup is, and lists every other file of it.
type manifest struct {
	Version       int           `json:"version"`
	Seq           uint64        `json:"seq"`            // the cut: everything is of the decisions up to this one
	At            engine.Time   `json:"decided_at"`     // of that decision
	EngineVersion uint32        `json:"engine_version"` // of the rules that decide next
	State         engine.Digest `json:"state_hash"`     // after that decision
	Verifier      string        `json:"verifier,omitempty"`
	Files         []entry       `json:"files"`
}

// entry is a file of a backup.
type entry struct {
	Name   string        `json:"name"` // relative, with slashes
	Bytes  int64         `json:"bytes"`
	SHA256 engine.Digest `json:"sha256"`
}

// readManifest reads and checks a manifest, not the files.
func readManifest(dir string) (*manifest, error) {
	f, err := os.Open(filepath.Join(dir, manifestName))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxManifest+1))
	if err != nil {
		return nil, err
	}
	if len(b) > maxManifest {
		return nil, fmt.Errorf("%s has more than %d bytes", manifestName, maxManifest)
	}
	m := &manifest{}
	if err := json.Unmarshal(b, m); err != nil {
		return nil, fmt.Errorf("%s: %w", manifestName, err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("%s is of version %d, which this binary does not know", manifestName, m.Version)
	}
	for _, e := range m.Files {
		if !fs.ValidPath(e.Name) || e.Name == manifestName || strings.Contains(e.Name, "\\") {
			return nil, fmt.Errorf("%s names the file %q", manifestName, e.Name)
		}
	}
	return m, nil
}

// seal lists the files of a backup and makes everything durable. The manifest comes
// last, under its name only when it is whole: a folder without one is no backup.
func (m *manifest) seal(dir string) error {
	names, err := filesOf(dir)
	if err != nil {
		return err
	}
	for _, name := range names {
		e, err := summed(dir, name, true)
		if err != nil {
			return err
		}
		m.Files = append(m.Files, e)
	}
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	temp := filepath.Join(dir, manifestName+".new")
	if err := writeSynced(temp, append(b, '\n'), 0o600); err != nil {
		return err
	}
	if err := os.Rename(temp, filepath.Join(dir, manifestName)); err != nil {
		return err
	}
	return syncDirs(dir)
}

// check compares the files of a backup with the manifest: all are there, nothing
// else is, and each has its bytes.
func (m *manifest) check(dir string) error {
	names, err := filesOf(dir)
	if err != nil {
		return err
	}
	var errs []error
	for _, want := range m.Files {
		i, found := slices.BinarySearch(names, want.Name)
		if !found {
			errs = append(errs, fmt.Errorf("%s is missing", want.Name))
			continue
		}
		names = slices.Delete(names, i, i+1)
		got, err := summed(dir, want.Name, false)
		if err == nil && got != want {
			err = fmt.Errorf("%s has %d bytes with SHA-256 %s, and should have %d with %s", want.Name, got.Bytes, got.SHA256, want.Bytes, want.SHA256)
		}
		errs = append(errs, err)
	}
	for _, name := range names {
		errs = append(errs, fmt.Errorf("%s is not in the manifest", name))
	}
	return errors.Join(errs...)
}

// filesOf lists the files of a backup but its manifest, sorted.
func filesOf(dir string) (names []string, err error) {
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		name, err := filepath.Rel(dir, path)
		if name = filepath.ToSlash(name); name != manifestName {
			names = append(names, name)
		}
		return err
	})
	slices.Sort(names)
	return names, err
}

// summed hashes a file, and makes it durable if it shall.
func summed(dir, name string, durable bool) (e entry, err error) {
	f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
	if err != nil {
		return e, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return e, errors.Join(fmt.Errorf("%s is no plain file", name), err)
	}
	h := sha256.New()
	e.Name = name
	if e.Bytes, err = io.Copy(h, f); err != nil {
		return e, err
	}
	e.SHA256 = engine.Digest(h.Sum(nil))
	if durable {
		err = f.Sync()
	}
	return e, err
}

// writeSynced writes a file that is durable but for its name.
func writeSynced(name string, b []byte, mode os.FileMode) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// syncDirs makes the names in a folder and below it durable, and its own.
func syncDirs(dir string) error {
	var errs []error
	sync := func(path string) {
		f, err := os.Open(path)
		if err == nil {
			err = errors.Join(f.Sync(), f.Close())
		}
		errs = append(errs, err)
	}
	errs = append(errs, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			sync(path)
		}
		return err
	}))
	sync(filepath.Dir(dir))
	return errors.Join(errs...)
}
