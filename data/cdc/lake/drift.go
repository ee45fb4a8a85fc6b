package lake

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Drift is a file that does not agree with the registry or the manifest.
type Drift struct{ Table, Path, Reason string }

// Drifts compares the newest hour of every table with manifest and registry:
// the newest file must have the columns of its schema version, and no file may
// be there that this lake did not write. Strangers are named, never parsed: a
// Parquet decoder trusts the sizes a file claims, and a crafted file would cost
// gigabytes.
func (l *Lake) Drifts() ([]Drift, error) {
	var out []Drift
	for _, table := range l.reg.Tables() {
		dir, err := newestHour(l.fs, table)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			continue
		}
		files, err := list(l.fs, dir)
		if err != nil {
			return nil, err
		}
		known := map[string]Entry{}
		if m := l.hours[hourKey(strings.TrimPrefix(dir, table+"/"))]; m != nil {
			for _, e := range m.Files {
				known[e.Path] = e
			}
		}
		var newest Entry
		for _, f := range files {
			name := path.Join(dir, f.Name())
			if e, ok := known[name]; ok {
				newest = e // files are sorted
			} else if strings.HasSuffix(name, ".parquet") && !l.beyondCheckpoint(f.Name()) {
				out = append(out, Drift{table, name, "not written by this pipeline"})
			}
		}
		if newest.Path != "" {
			if reason := l.inspect(newest); reason != "" {
				out = append(out, Drift{table, newest.Path, reason})
			}
		}
	}
	return out, nil
}

// beyondCheckpoint says whether a name belongs to a commit that failed and will
// be tried again.
func (l *Lake) beyondCheckpoint(base string) bool {
	var seq uint64
	n, err := fmt.Sscanf(base, "part-%016d.parquet", &seq)
	return err == nil && n == 1 && seq > l.at.Seq
}

// inspect returns what is wrong with a file of the manifest, or nothing.
func (l *Lake) inspect(e Entry) string {
	raw, err := l.fs.ReadFile(e.Path)
	if err != nil {
		return err.Error()
	}
	if sum := sha256.Sum256(raw); hex.EncodeToString(sum[:]) != e.SHA256 {
		return "its bytes are not those that were written"
	}
	table, version, columns, err := fileColumns(raw)
	if err != nil {
		return err.Error()
	}
	if table != e.Table || version != e.SchemaVersion {
		return fmt.Sprintf("the file is of %s v%s, the manifest says %s v%s", table, version, e.Table, e.SchemaVersion)
	}
	s, err := l.reg.Version(table, version)
	if err != nil {
		return err.Error()
	}
	want, err := wantColumns(s)
	if err != nil {
		return err.Error()
	}
	return compareColumns(want, columns, version)
}

func compareColumns(want, got []string, version string) string {
	for _, c := range got {
		if !slices.Contains(want, c) {
			return fmt.Sprintf("column %q is not in v%s", c, version)
		}
	}
	for _, c := range want {
		if !slices.Contains(got, c) {
			return fmt.Sprintf("column %q of v%s is missing", c, version)
		}
	}
	return ""
}

// newestHour returns the folder of the last dt= and hr= of a table.
func newestHour(fsys FS, table string) (string, error) {
	dir := table
	for _, prefix := range []string{"dt=", "hr="} {
		entries, err := list(fsys, dir)
		if err != nil {
			return "", err
		}
		last := ""
		for _, e := range entries {
			if e.IsDir() && strings.HasPrefix(e.Name(), prefix) {
				last = e.Name()
			}
		}
		if last == "" {
			return "", nil
		}
		dir = path.Join(dir, last)
	}
	return dir, nil
}
