package registry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Text writes the report for people: every table, every pair of versions, every
// difference. Equal folders give equal bytes.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "schema compatibility: strict backward, transitive\ntables %d  versions %d  breaking %d  drift %d\n", len(r.Tables), r.Checked, r.Breaking, r.Drift)
	for _, t := range r.Tables {
		fmt.Fprintf(&b, "\n%s  versions %s  latest %s  breaking %d\n", t.Table, strings.Join(t.Versions, " "), t.Latest, len(t.Findings))
		for _, c := range t.Comparisons {
			verdict := "compatible"
			switch n := len(Breaking(c.Differences)); {
			case n > 0 && c.NewMajor:
				verdict = fmt.Sprintf("%d breaking, allowed: new major", n)
			case n > 0:
				verdict = fmt.Sprintf("%d BREAKING", n)
			}
			fmt.Fprintf(&b, "  %s → %s  %s\n", c.From, c.To, verdict)
			for _, d := range c.Differences {
				fmt.Fprintf(&b, "    %s %s\n", mark(d.Breaking), d)
			}
		}
		for _, f := range t.Findings {
			fmt.Fprintf(&b, "  BREAKING %s%s\n", span(f), f.Difference)
		}
	}
	return b.String()
}

func mark(breaking bool) string {
	if breaking {
		return "!"
	}
	return "+"
}

func span(f Finding) string {
	switch {
	case f.From != "":
		return f.From + " → " + f.To + " "
	case f.To != "":
		return f.To + " "
	}
	return ""
}

// Options of Compat. An empty path skips that file.
type Options struct {
	// Base is the tree as it was published before, such as the last release:
	// each of its versions must still be there with the same bytes. nil: no base.
	Base fs.FS
	JSON string // file for the report as JSON
	Diff string // file for the report as text, equal to what w receives
}

// Compat judges the tree in fsys (schemas, or schemas/mbp), writes the text
// report to w and both forms where o says. An error means that the tree was not
// judged, or that a report is missing; the caller fails on it as on
// Report.Breaking > 0.
func Compat(fsys fs.FS, w io.Writer, o Options) (Report, error) {
	root, err := readableRoot(fsys)
	if err != nil {
		return Report{}, fmt.Errorf("schema compat: %w", err)
	}
	rep := CheckAll(root)
	if o.Base != nil {
		base, err := readableRoot(o.Base)
		if err != nil {
			return Report{}, fmt.Errorf("schema compat: base: %w", err)
		}
		findings, err := checkBase(base, root)
		if err != nil {
			return Report{}, fmt.Errorf("schema compat: base: %w", err)
		}
		rep.add("(base)", findings)
	}
	text := rep.Text()
	doc, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return rep, fmt.Errorf("schema compat: %w", err)
	}
	if err := writeReport(o.Diff, []byte(text)); err != nil {
		return rep, err
	}
	if err := writeReport(o.JSON, append(doc, '\n')); err != nil {
		return rep, err
	}
	if _, err := io.WriteString(w, text); err != nil {
		return rep, fmt.Errorf("schema compat: print report: %w", err)
	}
	return rep, nil
}

func readableRoot(fsys fs.FS) (fs.FS, error) {
	root, err := tablesRoot(fsys)
	if err != nil {
		return nil, err
	}
	if _, err := fs.ReadDir(root, "."); err != nil {
		return nil, err
	}
	return root, nil
}

// checkBase finds published versions that changed or went away. Every version
// of root is compared with all earlier ones of root anyway, so a base whose
// versions are all still there adds nothing else.
func checkBase(base, root fs.FS) ([]Finding, error) {
	files, _ := listVersions(base)
	if len(files) == 0 {
		return nil, errors.New("it has no schema")
	}
	var out []Finding
	for _, f := range files {
		old, err := readLimited(base, f.path)
		if err != nil {
			return nil, err
		}
		switch now, err := readLimited(root, f.path); {
		case errors.Is(err, fs.ErrNotExist):
			out = append(out, fault(f.version.String(), "BASE_VERSION_REMOVED", f.path, "the base has published it"))
		case err != nil || !bytes.Equal(old, now):
			out = append(out, fault(f.version.String(), "BASE_VERSION_EDITED", f.path, "the base has published other bytes"))
		}
	}
	return out, nil
}

func writeReport(name string, b []byte) error {
	if name == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("schema compat: %w", err)
	}
	if err := os.WriteFile(name, b, 0o644); err != nil {
		return fmt.Errorf("schema compat: %w", err)
	}
	return nil
}
