// Package registry holds the versions of the hot tables' schemas and decides
// which version may follow which.
//
// Schemas are JSON Schema 2020-12, closed, one file per version:
// <table>/v<semver>.json. The package promises that a version it accepts is
// strictly backward compatible with every earlier version of its major: each
// document valid under the old schema is valid under the new one, and required
// fields and types of the old version survive (invariant I2). It refuses
// whatever it cannot prove: keywords outside an allow-list, open objects,
// references, combinators, duplicate JSON keys, documents that are too large or
// too deep. An unknown difference is an incompatible difference.
//
// The rules follow the BACKWARD_TRANSITIVE level of Confluent's schema
// registry, without the places where that rule table calls a narrowing
// compatible (required with default, oneOf, patternProperties, format, bounds
// compared as doubles).
package registry

import (
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
)

// Prefix starts the public name of every table: folder quotes is mbp_quotes.
const Prefix = "mbp_"

// Kind is the lake type of a column.
type Kind int

// The kinds of columns that tables may have.
const (
	Int64     Kind = iota + 1 // JSON integer, Parquet INT64
	String                    // JSON string, Parquet BYTE_ARRAY (UTF8)
	Timestamp                 // JSON date-time with µs, Parquet TIMESTAMP(MICROS, UTC)
)

// String returns int64, string or timestamp.
func (k Kind) String() string {
	switch k {
	case Int64:
		return "int64"
	case String:
		return "string"
	case Timestamp:
		return "timestamp"
	}
	return "unknown"
}

// Column is one property of a table's schema.
type Column struct {
	Name        string
	Kind        Kind
	FieldID     int  // stable Parquet field id, never reused
	Nullable    bool // null allowed, or the property may be absent
	Unit        string
	Description string
	Enum        []string // allowed values of a string; empty means any
	Pattern     string   // RE2; empty means any
	Minimum     int64    // of an Int64
	Maximum     int64    // of an Int64
}

// Schema is one version of a table.
type Schema struct {
	Table       string // public name, such as mbp_quotes
	Version     string // semver without v
	Description string
	PrimaryKey  []string
	Columns     []Column // in field id order
	compiled    *jsonschema.Schema
}

// Validate checks a row as a JSON document (strings, integers, nil). The error
// names every violation.
func (s *Schema) Validate(row map[string]any) error {
	if err := s.compiled.Validate(row); err != nil {
		return fmt.Errorf("row of %s v%s: %w", s.Table, s.Version, err)
	}
	return nil
}

// Registry is an immutable set of tables.
type Registry struct {
	tables map[string][]*Schema // versions ascending
}

// Load reads every version below fsys (either the folder of the tables or its
// parent) and refuses a set that CheckAll would call breaking.
func Load(fsys fs.FS) (*Registry, error) {
	root, err := tablesRoot(fsys)
	if err != nil {
		return nil, fmt.Errorf("load schemas: %w", err)
	}
	if rep := CheckAll(root); rep.Breaking > 0 {
		return nil, fmt.Errorf("load schemas: %d breaking findings, first: %s", rep.Breaking, rep.first())
	}
	reg := &Registry{tables: map[string][]*Schema{}}
	files, _ := listVersions(root)
	for _, f := range files {
		s, err := loadSchema(root, f)
		if err != nil {
			return nil, fmt.Errorf("load schemas: %w", err)
		}
		reg.tables[s.Table] = append(reg.tables[s.Table], s)
	}
	return reg, nil
}

// Tables returns the public names in alphabetical order.
func (r *Registry) Tables() []string {
	out := make([]string, 0, len(r.tables))
	for t := range r.tables {
		out = append(out, t)
	}
	slices.Sort(out)
	return out
}

// Latest returns the newest version of a table.
func (r *Registry) Latest(table string) (*Schema, error) {
	v := r.tables[table]
	if len(v) == 0 {
		return nil, fmt.Errorf("table %q is not registered", table)
	}
	return v[len(v)-1], nil
}

// Version returns the given version of a table.
func (r *Registry) Version(table, version string) (*Schema, error) {
	for _, s := range r.tables[table] {
		if s.Version == version {
			return s, nil
		}
	}
	return nil, fmt.Errorf("table %q has no registered version %q", table, version)
}

// tablesRoot accepts schemas/ and schemas/mbp/.
func tablesRoot(fsys fs.FS) (fs.FS, error) {
	if st, err := fs.Stat(fsys, "mbp"); err == nil && st.IsDir() {
		return fs.Sub(fsys, "mbp")
	}
	return fsys, nil
}

func loadSchema(root fs.FS, f versionFile) (*Schema, error) {
	raw, err := readLimited(root, f.path)
	if err != nil {
		return nil, err
	}
	doc, err := parseObject(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	compiled, err := compile(doc)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.path, err)
	}
	s := &Schema{
		Table: Prefix + f.table, Version: f.version.String(),
		Description: str(doc["description"]), PrimaryKey: stringList(doc["x-primary-key"]), compiled: compiled,
	}
	required := stringList(doc["required"])
	for name, p := range object(doc["properties"]) {
		prop := object(p)
		s.Columns = append(s.Columns, Column{
			Name: name, Kind: columnKind(prop), FieldID: intValue(prop["x-field-id"]),
			Nullable: slices.Contains(typeSet(prop), "null") || !slices.Contains(required, name),
			Unit:     str(prop["x-unit"]), Description: str(prop["description"]), Enum: stringList(prop["enum"]),
			Pattern: str(prop["pattern"]), Minimum: int64Value(prop["minimum"]), Maximum: int64Value(prop["maximum"]),
		})
	}
	slices.SortFunc(s.Columns, func(a, b Column) int { return a.FieldID - b.FieldID })
	return s, nil
}

// columnKind returns 0 for what a lake column cannot be.
func columnKind(prop map[string]any) Kind {
	types := slices.DeleteFunc(typeSet(prop), func(t string) bool { return t == "null" })
	if len(types) != 1 {
		return 0
	}
	switch {
	case types[0] == "integer":
		return Int64
	case types[0] == "string" && prop["format"] == "date-time":
		return Timestamp
	case types[0] == "string" && prop["format"] == nil:
		return String
	}
	return 0
}

// versionFile is one <table>/v<semver>.json.
type versionFile struct {
	table, path string
	version     semver
}

// listVersions returns the version files sorted by table and version, and the
// names of everything that has no business in the tree.
func listVersions(root fs.FS) (files []versionFile, strangers []string) {
	_ = fs.WalkDir(root, ".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			strangers = append(strangers, p)
			return nil //nolint:nilerr // what cannot be read is reported as a stranger
		}
		table, base := path.Split(p)
		switch v, ok := parseVersionName(base); {
		case p == "." || p == sumsFile:
		case d.IsDir() && !strings.Contains(p, "/"):
		case !d.IsDir() && ok && strings.Count(p, "/") == 1:
			files = append(files, versionFile{table: strings.TrimSuffix(table, "/"), path: p, version: v})
		default:
			strangers = append(strangers, p)
		}
		return nil
	})
	slices.SortFunc(files, func(a, b versionFile) int {
		if c := strings.Compare(a.table, b.table); c != 0 {
			return c
		}
		return a.version.compare(b.version)
	})
	return files, strangers
}
