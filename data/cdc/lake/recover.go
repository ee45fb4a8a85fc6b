package lake

import (
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// recover brings files and manifest back to the checkpoint. It may be cut off
// anywhere and run again: it only drops what the checkpoint does not cover.
func (l *Lake) recover() error {
	known := map[string]Entry{}
	rows := map[string]int{}
	for _, h := range slices.Sorted(maps.Keys(l.hours)) {
		m := l.hours[h]
		if m.trim(l.at.Seq) {
			if err := l.writeJSON(h.manifestPath(), m); err != nil {
				return fmt.Errorf("trim manifest: %w", err)
			}
		}
		for _, e := range m.Files {
			if _, dup := known[e.Path]; dup || e.LastSeq > l.at.Seq {
				return fmt.Errorf("manifest %s: entry %s is doubled or crosses the checkpoint %d", h, e.Path, l.at.Seq)
			}
			known[e.Path] = e
			rows[e.Table] += e.Rows
		}
	}
	for table, n := range l.at.Rows {
		if rows[table] != n {
			return fmt.Errorf("manifest lists %d rows of %s, the checkpoint %d", rows[table], table, n)
		}
	}
	for _, table := range l.reg.Tables() {
		if err := l.recoverTable(table, known); err != nil {
			return err
		}
	}
	for name := range known {
		return fmt.Errorf("manifest names %s, which is gone; restore it or start an empty lake", name)
	}
	return nil
}

// recoverTable takes the files it finds out of known and sets the rest aside.
func (l *Lake) recoverTable(table string, known map[string]Entry) error {
	return walk(l.fs, table, func(name string, e fs.DirEntry) error {
		if entry, ok := known[name]; ok {
			delete(known, name)
			info, err := e.Info()
			if err != nil {
				return fmt.Errorf("stat %s: %w", name, err)
			}
			if info.Size() != int64(entry.Bytes) {
				return fmt.Errorf("%s has %d bytes, the manifest says %d", name, info.Size(), entry.Bytes)
			}
			return nil
		}
		return l.setAside(name)
	})
}

const maxOrphans = 1000 // of one name; beyond it somebody loops

// setAside moves a file below _orphans, never over an older orphan.
func (l *Lake) setAside(name string) error {
	dir := path.Join(orphanDir, path.Dir(name))
	if err := l.dirs.ensure(dir); err != nil {
		return err
	}
	taken, err := list(l.fs, dir)
	if err != nil {
		return err
	}
	for n := range maxOrphans {
		to := fmt.Sprintf("%s.%d", strings.TrimPrefix(path.Base(name), "."), n)
		if slices.ContainsFunc(taken, func(e fs.DirEntry) bool { return e.Name() == to }) {
			continue
		}
		if err := l.fs.Rename(name, path.Join(dir, to)); err != nil {
			return fmt.Errorf("set %s aside: %w", name, err)
		}
		for _, d := range []string{dir, path.Dir(name)} {
			if err := l.fs.SyncDir(d); err != nil {
				return fmt.Errorf("sync folder %s: %w", d, err)
			}
		}
		return nil
	}
	return fmt.Errorf("set %s aside: %d orphans of this name already", name, maxOrphans)
}

// walk calls f for every file below dir, in name order.
func walk(fsys FS, dir string, f func(name string, e fs.DirEntry) error) error {
	entries, err := list(fsys, dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		name := path.Join(dir, e.Name())
		if e.IsDir() {
			err = walk(fsys, name, f)
		} else {
			err = f(name, e)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
