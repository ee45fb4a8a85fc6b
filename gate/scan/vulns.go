package scan

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Vulns is security/govulncheck.json. A vulnerability is counted once, at the
// deepest level it reaches: Called (our code reaches a vulnerable function),
// Imported (the package is compiled in), Required (the module is listed).
type Vulns struct {
	Called    int          `json:"called"`
	Imported  int          `json:"imported"`
	Required  int          `json:"required"`
	Scanner   string       `json:"scanner"`
	GoVersion string       `json:"go_version"`
	Modules   int          `json:"modules"` // looked at
	Packages  []string     `json:"packages"`
	Findings  []VulnFind   `json:"findings"`
	Canary    CanaryResult `json:"canary"`
}

// VulnFind is one vulnerability of one module.
type VulnFind struct {
	OSV      string `json:"osv"`
	Level    string `json:"level"`
	Module   string `json:"module"`
	Version  string `json:"version"`
	Fixed    string `json:"fixed,omitempty"`
	Package  string `json:"package,omitempty"`
	Function string `json:"function,omitempty"`
}

// canaryVulns are long-known faults of golang.org/x/text v0.3.5.
var canaryVulns = []string{"GO-2021-0113", "GO-2022-1059"}

// canaryModule needs no download: the dependency is vendored under the name
// and version of the vulnerable one, with a function of the vulnerable name.
var canaryModule = map[string]string{
	"go.mod":             "module canary.invalid/vulnerable\n\ngo 1.21\n\nrequire golang.org/x/text v0.3.5\n",
	"vendor/modules.txt": "# golang.org/x/text v0.3.5\n## explicit\ngolang.org/x/text/language\n",
	"vendor/golang.org/x/text/language/language.go": "package language\n\n// ParseAcceptLanguage stands where the fault was.\nfunc ParseAcceptLanguage(string) {}\n",
	"main.go": "package main\n\nimport \"golang.org/x/text/language\"\n\nfunc main() { language.ParseAcceptLanguage(\"pt\") }\n",
}

// Govulncheck scans the repository with the database at path, after the same
// database has found the planted vulnerable dependency. It writes
// govulncheck.db.json and govulncheck.json.
func (s Scanner) Govulncheck(ctx context.Context, path string, required bool, now time.Time) (Vulns, Database, error) {
	var v Vulns
	db, err := s.FindDatabase(ctx, path, required, now)
	if err != nil {
		return v, db, err
	}
	if err := s.writeReport("govulncheck.db.json", db); err != nil {
		return v, db, err
	}
	dir, err := s.folder("canary-module")
	if err != nil {
		return v, db, err
	}
	if err := writeAll(dir, canaryModule); err != nil {
		return v, db, err
	}
	planted, err := s.govulncheck(ctx, dir, db, "GOFLAGS=-mod=vendor", "GOPROXY=off", "GOWORK=off")
	if err != nil {
		return v, db, fmt.Errorf("canary: %w", err)
	}
	canary := CanaryResult{Planted: canaryVulns, Found: []string{}}
	for _, f := range planted.Findings {
		if f.Level == levelCalled && slices.Contains(canaryVulns, f.OSV) {
			canary.Found = append(canary.Found, f.OSV)
		}
	}
	if !canary.Awake() {
		return v, db, fmt.Errorf("govulncheck found %v of the planted %v: its silence proves nothing", canary.Found, canary.Planted)
	}
	if v, err = s.govulncheck(ctx, s.Root, db); err != nil {
		return v, db, err
	}
	v.Canary = canary
	return v, db, s.writeReport("govulncheck.json", v)
}

const (
	levelCalled   = "called"
	levelImported = "imported"
	levelRequired = "required"
)

// vulnMessage is one value of govulncheck's stream.
type vulnMessage struct {
	Config *struct {
		ScannerVersion string `json:"scanner_version"`
		GoVersion      string `json:"go_version"`
		DB             string `json:"db"`
	} `json:"config"`
	SBOM *struct {
		Modules []struct{ Path string } `json:"modules"`
		Roots   []string                `json:"roots"`
	} `json:"SBOM"`
	Finding *struct {
		OSV   string `json:"osv"`
		Fixed string `json:"fixed_version"`
		Trace []struct {
			Module, Version, Package, Function, Receiver string
		} `json:"trace"`
	} `json:"finding"`
}

// govulncheck runs one scan. The exit status of its JSON mode is 0 even with
// findings; what counts is a stream that names configuration, modules and
// packages.
func (s Scanner) govulncheck(ctx context.Context, dir string, db Database, env ...string) (Vulns, error) {
	out, err := s.Exec(ctx, Command{Argv: []string{s.Tool, "-format", "json", "-db", db.url, "./..."}, Dir: dir, Env: env})
	if err != nil {
		return Vulns{}, fmt.Errorf("govulncheck: %w", err)
	}
	v, err := parseVulns(out.Stdout, db.url)
	if err != nil {
		return v, fmt.Errorf("govulncheck gave no full answer (status %d, %s): %w", out.Exit, lastLine(out.Stderr), err)
	}
	if out.Exit != 0 {
		return v, fmt.Errorf("govulncheck ended with status %d: %s", out.Exit, lastLine(out.Stderr))
	}
	return v, nil
}

func parseVulns(stream []byte, url string) (Vulns, error) {
	v := Vulns{Findings: []VulnFind{}}
	deepest := map[string]VulnFind{}
	configured := false
	for d := json.NewDecoder(bytes.NewReader(stream)); ; {
		var m vulnMessage
		if err := d.Decode(&m); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return v, fmt.Errorf("read stream: %w", err)
		}
		switch {
		case m.Config != nil:
			v.Scanner, v.GoVersion, configured = m.Config.ScannerVersion, m.Config.GoVersion, m.Config.DB == url
		case m.SBOM != nil:
			v.Modules, v.Packages = len(m.SBOM.Modules), m.SBOM.Roots
		case m.Finding != nil && len(m.Finding.Trace) > 0:
			t := m.Finding.Trace[0]
			f := VulnFind{OSV: m.Finding.OSV, Level: levelRequired, Module: t.Module, Version: t.Version, Fixed: m.Finding.Fixed, Package: t.Package, Function: t.Function}
			if f.Package != "" {
				f.Level = levelImported
			}
			if f.Function != "" {
				f.Level = levelCalled
			}
			key := f.OSV + " " + f.Module
			if old, ok := deepest[key]; !ok || depth(f) > depth(old) {
				deepest[key] = f
			}
		}
	}
	if !configured || v.Modules == 0 || len(v.Packages) == 0 {
		return v, fmt.Errorf("the stream names %d modules and %d packages", v.Modules, len(v.Packages))
	}
	for _, f := range deepest {
		v.Findings = append(v.Findings, f)
		switch f.Level {
		case levelCalled:
			v.Called++
		case levelImported:
			v.Imported++
		default:
			v.Required++
		}
	}
	slices.SortFunc(v.Findings, func(a, b VulnFind) int { return strings.Compare(a.OSV+a.Module, b.OSV+b.Module) })
	return v, nil
}

func depth(f VulnFind) int {
	return slices.Index([]string{levelRequired, levelImported, levelCalled}, f.Level)
}
