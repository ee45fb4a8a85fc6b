package lake

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"github.com/mbp-market/mbp/schemas/registry"
)

// Drift is a file whose columns are not those of the schema version it names.
type Drift struct{ Table, Path, Reason string }

// Drifts compares the lake with the registry: in the newest hour of every
// table, the newest file and every file that does not follow the naming of this
// package (somebody else wrote it). It only reads and may run beside Commit.
func Drifts(fsys FS, reg *registry.Registry) ([]Drift, error) {
	var out []Drift
	for _, table := range reg.Tables() {
		dir, err := newestHour(fsys, table)
		if err != nil {
			return nil, err
		}
		if dir == "" {
			continue
		}
		files, err := list(fsys, dir)
		if err != nil {
			return nil, err
		}
		newest := ""
		for _, f := range files {
			name := f.Name()
			switch {
			case !strings.HasSuffix(name, ".parquet"):
			case strings.HasPrefix(name, "part-") && len(name) == len("part-0000000000000000.parquet"):
				newest = name // entries are sorted
			default:
				out = append(out, inspect(fsys, reg, table, path.Join(dir, name))...)
			}
		}
		if newest != "" {
			out = append(out, inspect(fsys, reg, table, path.Join(dir, newest))...)
		}
	}
	return out, nil
}

func inspect(fsys FS, reg *registry.Registry, table, name string) []Drift {
	drift := func(format string, args ...any) []Drift {
		return []Drift{{Table: table, Path: name, Reason: fmt.Sprintf(format, args...)}}
	}
	raw, err := fsys.ReadFile(name)
	if err != nil {
		return drift("unreadable: %v", err)
	}
	gotTable, version, columns, err := fileColumns(raw)
	if err != nil {
		return drift("not a Parquet file: %v", err)
	}
	if gotTable != table {
		return drift("the file says it is of table %q", gotTable)
	}
	s, err := reg.Version(table, version)
	if err != nil {
		return drift("%v", err)
	}
	want, err := wantColumns(s)
	if err != nil {
		return drift("%v", err)
	}
	for _, c := range columns {
		if !slices.Contains(want, c) {
			return drift("column %q is not in v%s", c, version)
		}
	}
	for _, c := range want {
		if !slices.Contains(columns, c) {
			return drift("column %q of v%s is missing", c, version)
		}
	}
	return nil
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
