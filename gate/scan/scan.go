// Package scan drives the security scanners of the gate: gitleaks for secrets,
// govulncheck for known vulnerabilities, cyclonedx-gomod for the bill of
// materials.
//
// It promises that a clean answer means something was looked at. Every scan
// parses the scanner's machine output, counts what was scanned, and proves in
// the same run that the scanner is awake: a planted secret and a planted
// vulnerable dependency must be found (a canary). Secrets, author names and
// paths of the machine never reach a report.
//
// It refuses exit codes as proof, an empty or undated vulnerability database, a
// shallow history, inline waivers and ignore files. A scanner that could not
// look gives an error, never an empty list.
package scan

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// Exec runs a program and returns what it wrote. A nonzero exit status is not
// an error: scanners use it for findings.
type Exec func(ctx context.Context, c Command) (Output, error)

// Command is one call of a program.
type Command struct {
	Argv []string
	Dir  string
	Env  []string // added to the environment of the run
}

// Output is what a program left behind.
type Output struct {
	Stdout, Stderr []byte
	Exit           int
}

// Scanner holds what every scan needs.
type Scanner struct {
	Exec    Exec
	Tool    string // path of the scanner
	Root    string // the repository
	Work    string // an empty folder of this scan, outside the evidence
	Reports string // the folder that takes the reports
}

// ErrUnavailable marks a scan that could not look because something is not
// there; the text says what to do. It is neither clean nor dirty.
var ErrUnavailable = errors.New("not available")

// unavailable builds an error that Is ErrUnavailable.
func unavailable(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrUnavailable, fmt.Sprintf(format, args...))
}

// writeReport writes v as indented JSON into the report folder.
func (s Scanner) writeReport(name string, v any) error {
	b, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return fmt.Errorf("encode %s: %w", name, err)
	}
	if err := os.MkdirAll(s.Reports, 0o755); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.WriteFile(filepath.Join(s.Reports, name), append(b, '\n'), 0o644); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// folder makes an empty folder below Work.
func (s Scanner) folder(name string) (string, error) {
	dir := filepath.Join(s.Work, name)
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make %s: %w", name, err)
	}
	return dir, nil
}

// writeAll writes files, given by path below dir.
func writeAll(dir string, files map[string]string) error {
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return fmt.Errorf("write %s: %w", name, err)
		}
	}
	return nil
}

// lastLine is the last line of a text, for a reason.
func lastLine(b []byte) string {
	line := ""
	for start := 0; start < len(b); {
		end := start
		for end < len(b) && b[end] != '\n' {
			end++
		}
		if end > start {
			line = string(b[start:end])
		}
		start = end + 1
	}
	if len(line) > 300 {
		line = line[:300] + "…"
	}
	return line
}
