package lake

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"
)

// The folders of the lake that hold no table.
const (
	manifestDir    = "_manifest"
	orphanDir      = "_orphans"
	deadDir        = "_dead_letter"
	checkpointPath = manifestDir + "/checkpoint.json"
	formatVersion  = 1
)

// Entry is one data file in the manifest.
type Entry struct {
	Table         string `json:"table"`
	Path          string `json:"path"` // below the lake's root
	FirstSeq      uint64 `json:"first_seq"`
	LastSeq       uint64 `json:"last_seq"`
	Rows          int    `json:"rows"`
	Bytes         int    `json:"bytes"`
	SHA256        string `json:"sha256"`
	SchemaVersion string `json:"schema_version"`
}

// checkpoint is the commit point of the lake: replaced last, and what it does
// not cover did not happen.
type checkpoint struct {
	Format      int            `json:"format"`
	LogID       string         `json:"log_id,omitempty"`
	Seq         uint64         `json:"seq"`  // every decision up to it is in the lake
	Rows        map[string]int `json:"rows"` // per table, all time
	DeadLetters map[string]int `json:"dead_letters"`
}

// hourManifest lists the files of one hour over all tables, in commit order.
type hourManifest struct {
	Format int     `json:"format"`
	Files  []Entry `json:"files"`
}

// hourKey is dt=YYYY-MM-DD/hr=HH.
type hourKey string

func (h hourKey) manifestPath() string { return path.Join(manifestDir, string(h)+".json") }

func readCheckpoint(fsys FS) (checkpoint, error) {
	c := checkpoint{Format: formatVersion, Rows: map[string]int{}, DeadLetters: map[string]int{}}
	raw, err := fsys.ReadFile(checkpointPath)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	if err != nil {
		return c, fmt.Errorf("read checkpoint: %w", err)
	}
	if err := decodeStrict(raw, &c); err != nil {
		return c, fmt.Errorf("read checkpoint: %w", err)
	}
	if c.Format != formatVersion {
		return c, fmt.Errorf("read checkpoint: format %d, this program reads %d", c.Format, formatVersion)
	}
	return c, nil
}

// readManifests returns the manifest of every hour.
func readManifests(fsys FS) (map[hourKey]*hourManifest, error) {
	out := map[hourKey]*hourManifest{}
	days, err := list(fsys, manifestDir)
	if err != nil {
		return nil, err
	}
	for _, d := range days {
		if !d.IsDir() {
			continue
		}
		hours, err := list(fsys, path.Join(manifestDir, d.Name()))
		if err != nil {
			return nil, err
		}
		for _, h := range hours {
			name, ok := strings.CutSuffix(h.Name(), ".json")
			if !ok || strings.HasPrefix(name, ".") {
				continue // an unfinished replacement
			}
			key := hourKey(path.Join(d.Name(), name))
			raw, err := fsys.ReadFile(key.manifestPath())
			if err != nil {
				return nil, fmt.Errorf("read manifest: %w", err)
			}
			m := &hourManifest{}
			if err := decodeStrict(raw, m); err != nil {
				return nil, fmt.Errorf("read manifest %s: %w", key, err)
			}
			if m.Format != formatVersion {
				return nil, fmt.Errorf("read manifest %s: format %d, this program reads %d", key, m.Format, formatVersion)
			}
			out[key] = m
		}
	}
	return out, nil
}

// trim drops the entries of a commit that never reached its checkpoint.
func (m *hourManifest) trim(through uint64) (dropped bool) {
	n := len(m.Files)
	m.Files = slices.DeleteFunc(m.Files, func(e Entry) bool { return e.FirstSeq > through })
	return len(m.Files) != n
}

func (l *Lake) writeJSON(name string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := l.dirs.ensure(path.Dir(name)); err != nil {
		return err
	}
	if err := replace(l.fs, name, append(raw, '\n')); err != nil {
		return err
	}
	if err := l.fs.SyncDir(path.Dir(name)); err != nil {
		return fmt.Errorf("sync folder of %s: %w", name, err)
	}
	return nil
}

func decodeStrict(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.DisallowUnknownFields()
	return dec.Decode(v)
}

// list reads a folder; an absent one is empty.
func list(fsys FS, dir string) ([]fs.DirEntry, error) {
	entries, err := fsys.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", dir, err)
	}
	return entries, nil
}
