package registry

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math/big"
	"slices"
	"strings"
)

// IDBase is the prefix of every $id; the rest is the path of the file.
const IDBase = "https://github.com/mbp-market/mbp/schemas/mbp/"

// sumsFile pins published versions in the format of sha256sum.
const sumsFile = "SHA256SUMS"

// Finding is a breaking difference with the versions it lies between. From is
// empty for a fault of To alone.
type Finding struct {
	From string `json:"from"`
	To   string `json:"to"`
	Difference
}

// Comparison is one pair of versions of a table.
type Comparison struct {
	From, To    string
	Differences []Difference
	NewMajor    bool // breaking differences are allowed
}

// TableReport is the verdict on one table.
type TableReport struct {
	Table       string       `json:"table"`
	Versions    []string     `json:"versions"`
	Latest      string       `json:"latest"`
	Findings    []Finding    `json:"findings"`
	Comparisons []Comparison `json:"-"`
}

// Report is the verdict on a folder of tables.
type Report struct {
	Checked  int `json:"checked"`  // versions looked at
	Breaking int `json:"breaking"` // findings over all tables
	// Drift counts published versions that are not what SHA256SUMS pins:
	// edited, missing, or never pinned.
	Drift  int           `json:"drift"`
	Tables []TableReport `json:"tables"`
}

// add appends findings that belong to no table; none add nothing.
func (r *Report) add(name string, findings []Finding) {
	if len(findings) > 0 {
		r.Tables = append(r.Tables, TableReport{Table: name, Versions: []string{}, Findings: findings})
		r.Breaking += len(findings)
	}
}

func (r Report) first() string {
	for _, t := range r.Tables {
		if len(t.Findings) > 0 {
			return t.Table + " " + t.Findings[0].To + ": " + t.Findings[0].String()
		}
	}
	return "none"
}

// CheckAll judges every version of every table below root: each version against
// all earlier ones of its table. Breaking differences are allowed only into a
// new major, a patch may change annotations only, and name, $id and pinned
// digest must agree with the path. It reads root and changes nothing.
func CheckAll(root fs.FS) Report {
	var rep Report
	files, strangers := listVersions(root)
	byTable := map[string][]versionFile{}
	for _, f := range files {
		byTable[f.table] = append(byTable[f.table], f)
	}
	registryFindings, drift := checkSums(root, files)
	rep.Drift = drift
	for _, s := range strangers {
		registryFindings = append(registryFindings, fault("", "UNEXPECTED_FILE", s, "only <table>/v<semver>.json and %s belong here", sumsFile))
	}
	if len(files) == 0 {
		registryFindings = append(registryFindings, fault("", "REGISTRY_EMPTY", ".", "there is no schema"))
	}
	for _, table := range slices.Sorted(maps.Keys(byTable)) {
		t := checkTable(root, table, byTable[table])
		rep.Tables = append(rep.Tables, t)
		rep.Breaking += len(t.Findings)
	}
	rep.Checked = len(files)
	rep.add("(registry)", registryFindings)
	return rep
}

func fault(version, rule, at, format string, args ...any) Finding {
	return Finding{To: version, Difference: Difference{Rule: rule, Path: at, Side: New, Breaking: true, Message: fmt.Sprintf(format, args...)}}
}

func checkTable(root fs.FS, table string, files []versionFile) TableReport {
	rep := TableReport{Table: Prefix + table, Findings: []Finding{}}
	raws := make([][]byte, len(files))
	for i, f := range files {
		v := f.version.String()
		rep.Versions = append(rep.Versions, v)
		raw, err := readLimited(root, f.path)
		if err != nil {
			rep.Findings = append(rep.Findings, fault(v, "FILE_UNREADABLE", f.path, "%v", err))
		}
		raws[i] = raw
		rep.Findings = append(rep.Findings, lintVersion(raw, f)...)
	}
	rep.Latest = rep.Versions[len(rep.Versions)-1]
	for i := range files {
		for j := i - 1; j >= 0; j-- {
			c, findings := compareVersions(files[j], files[i], raws[j], raws[i])
			rep.Comparisons = append(rep.Comparisons, c)
			rep.Findings = append(rep.Findings, findings...)
		}
	}
	return rep
}

// compareVersions compares from with to. Faults of one document alone are left
// out, lintVersion has them; a check that broke is kept.
func compareVersions(from, to versionFile, old, new []byte) (Comparison, []Finding) {
	c := Comparison{From: from.version.String(), To: to.version.String(), NewMajor: from.version[0] != to.version[0]}
	list, err := Check(old, new)
	patch := from.version[0] == to.version[0] && from.version[1] == to.version[1]
	var findings []Finding
	for _, d := range list {
		if d.Side != Change {
			continue
		}
		c.Differences = append(c.Differences, d)
		switch {
		case d.Breaking && (!c.NewMajor || err != nil):
			findings = append(findings, Finding{From: c.From, To: c.To, Difference: d})
		case patch && !d.annotation && !d.Breaking:
			d.Rule, d.Breaking = "PATCH_"+d.Rule, true
			findings = append(findings, Finding{From: c.From, To: c.To, Difference: d})
		}
	}
	return c, findings
}

// lintVersion applies the rules of Check to one document, and the rules of a
// lake table on top.
func lintVersion(raw []byte, f versionFile) []Finding {
	v := f.version.String()
	doc, bad := parseSide(raw, New)
	if bad == nil {
		var err error
		if bad, err = guarded(checkTimeout, func() []Difference { return append(lint(doc, New), lintTable(doc, f)...) }); err != nil {
			bad = append(bad, undecided("LINT_UNDECIDED")...)
		}
	}
	out := make([]Finding, len(bad))
	for i, d := range bad {
		out[i] = Finding{To: v, Difference: d}
	}
	return out
}

// maxNameLength bounds table and column names; warehouses allow about 63.
const maxNameLength = 63

func lintTable(doc map[string]any, f versionFile) []Difference {
	l := &linter{side: New}
	if !snakeCase(f.table) {
		l.add("NAME_INVALID", "#", "table folder %q is not snake_case", f.table)
	}
	if want := IDBase + f.path; doc["$id"] != want {
		l.add("ID_MISMATCH", "#/$id", "must be %s", want)
	}
	if doc["$schema"] != Dialect {
		l.add("DIALECT_MISSING", "#/$schema", "must be %s", Dialect)
	}
	if want := Prefix + f.table; doc["title"] != want {
		l.add("TITLE_MISMATCH", "#/title", "must be %s", want)
	}
	if str(doc["description"]) == "" {
		l.add("DESCRIPTION_MISSING", "#/description", "a table says what a row is")
	}
	props, required := object(doc["properties"]), stringList(doc["required"])
	key := stringList(doc["x-primary-key"])
	if len(key) == 0 {
		l.add("PRIMARY_KEY_MISSING", "#/x-primary-key", "a table names its key")
	}
	for _, name := range slices.Concat(key, []string{"seq", "decided_at", "committed_at", "op"}) {
		if !slices.Contains(required, name) {
			l.add("COLUMN_NOT_REQUIRED", "#/required", "%q must be a required column", name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(props)) {
		l.column(name, object(props[name]))
	}
	return l.out
}

func (l *linter) column(name string, p map[string]any) {
	at := child("#/properties", name)
	if !snakeCase(name) {
		l.add("NAME_INVALID", at, "column is not snake_case")
	}
	for _, k := range []string{"title", "description", "x-unit"} {
		if strings.TrimSpace(str(p[k])) == "" {
			l.add("COLUMN_UNDOCUMENTED", child(at, k), "a column has %s", k)
		}
	}
	if intValue(p["x-field-id"]) <= 0 {
		l.add("FIELD_ID_MISSING", child(at, "x-field-id"), "a column has a stable field id")
	}
	switch columnKind(p) {
	case 0:
		l.add("COLUMN_TYPE", child(at, "type"), "a column is an integer, a string or a date-time, each with or without null")
	case Int64:
		low, okLow := rational(p["minimum"])
		high, okHigh := rational(p["maximum"])
		min64, max64 := new(big.Rat).SetInt64(-1<<63), new(big.Rat).SetInt64(1<<63-1)
		if !okLow || !okHigh || low.Cmp(min64) < 0 || high.Cmp(max64) > 0 {
			l.add("INTEGER_UNBOUNDED", at, "minimum and maximum must lie within int64")
		}
	}
}

func snakeCase(s string) bool {
	if s == "" || len(s) > maxNameLength || s[0] < 'a' || s[0] > 'z' {
		return false
	}
	for _, r := range s {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '_' {
			return false
		}
	}
	return true
}

// checkSums compares the files with their pinned digests. Comparing versions
// with one another cannot see an edit of the newest one in place.
func checkSums(root fs.FS, files []versionFile) (findings []Finding, drift int) {
	pins, err := readSums(root)
	if err != nil {
		return []Finding{fault("", "SUMS_INVALID", sumsFile, "%v", err)}, len(files)
	}
	for _, f := range files {
		raw, err := readLimited(root, f.path)
		sum := sha256.Sum256(raw)
		pin, has := pins[f.path]
		delete(pins, f.path)
		switch {
		case !has:
			findings = append(findings, fault(f.version.String(), "VERSION_UNPINNED", f.path, "not listed in %s", sumsFile))
		case err != nil || pin != hex.EncodeToString(sum[:]):
			findings = append(findings, fault(f.version.String(), "VERSION_EDITED", f.path, "a published version never changes; add a version"))
		}
	}
	for _, p := range slices.Sorted(maps.Keys(pins)) {
		findings = append(findings, fault("", "VERSION_REMOVED", p, "a published version never disappears"))
	}
	return findings, len(findings)
}

func readSums(root fs.FS) (map[string]string, error) {
	raw, err := readLimited(root, sumsFile)
	if err != nil {
		return nil, err
	}
	pins := map[string]string{}
	for line := range bytes.Lines(raw) {
		sum, name, ok := strings.Cut(strings.TrimSuffix(string(line), "\n"), "  ")
		if !ok || len(sum) != 2*sha256.Size || name == "" {
			return nil, errors.New("a line is not <sha256>  <path>")
		}
		if _, dup := pins[name]; dup {
			return nil, fmt.Errorf("%s is pinned twice", name)
		}
		pins[name] = sum
	}
	return pins, nil
}
