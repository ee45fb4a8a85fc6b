package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Text writes the report for people: every table, every pair of versions, every
// difference. Equal folders give equal bytes.
func (r Report) Text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "schema compatibility: strict backward, transitive\ntables %d  breaking %d  drift %d\n", len(r.Tables), r.BreakingTotal, r.Drift)
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

// RunCompat checks the folder dir (schemas/mbp, or schemas), prints the text
// report to stdout, writes it to diffPath and the JSON report to jsonPath (an
// empty path skips that file), and returns the number of breaking findings.
// The caller fails on a number above 0 and on an error alike.
func RunCompat(ctx context.Context, dir, diffPath, jsonPath string, stdout io.Writer) (breaking int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, fmt.Errorf("schema compat: %w", err)
	}
	if st, err := os.Stat(dir); err != nil {
		return 0, fmt.Errorf("schema compat: %w", err)
	} else if !st.IsDir() {
		return 0, fmt.Errorf("schema compat: %s is not a folder", dir)
	}
	root, err := tablesRoot(os.DirFS(dir))
	if err != nil {
		return 0, fmt.Errorf("schema compat: %w", err)
	}
	rep := CheckAll(root)
	text := rep.Text()
	if _, err := io.WriteString(stdout, text); err != nil {
		return rep.BreakingTotal, fmt.Errorf("schema compat: print report: %w", err)
	}
	doc, err := json.MarshalIndent(rep, "", "  ")
	if err != nil {
		return rep.BreakingTotal, fmt.Errorf("schema compat: %w", err)
	}
	if err := writeReport(diffPath, []byte(text)); err != nil {
		return rep.BreakingTotal, err
	}
	return rep.BreakingTotal, writeReport(jsonPath, append(doc, '\n'))
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
