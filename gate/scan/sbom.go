package scan

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/modfile"
)

// SBOM is what the bill of materials was checked for.
type SBOM struct {
	Components int `json:"components"`
	Direct     int `json:"direct"` // requirements of go.mod found in it
}

// CycloneDX writes sbom.cdx.json: without serial number and time, so that equal
// modules give equal bytes. Every direct requirement of go.mod that the build
// uses must be in it.
func (s Scanner) CycloneDX(ctx context.Context) (SBOM, error) {
	var r SBOM
	if _, err := s.folder("sbom"); err != nil {
		return r, err
	}
	path := filepath.Join(s.Work, "sbom", "sbom.cdx.json")
	out, err := s.Exec(ctx, Command{Dir: s.Root, Argv: []string{s.Tool, "mod", "-json", "-noserial", "-notimestamp", "-std", "-test", "-output", path, "."}})
	if err != nil {
		return r, fmt.Errorf("cyclonedx-gomod: %w", err)
	}
	raw, err := os.ReadFile(path)
	if err != nil || out.Exit != 0 || len(raw) > maxReport {
		return r, fmt.Errorf("cyclonedx-gomod ended with status %d and no bill of materials: %s", out.Exit, lastLine(out.Stderr))
	}
	var doc struct {
		Format     string `json:"bomFormat"`
		Serial     string `json:"serialNumber"`
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(raw, &doc); err != nil {
		return r, fmt.Errorf("read bill of materials: %w", err)
	}
	r.Components = len(doc.Components)
	if doc.Format != "CycloneDX" || doc.Serial != "" || r.Components == 0 {
		return r, fmt.Errorf("the bill of materials has format %q, serial %q and %d components", doc.Format, doc.Serial, r.Components)
	}
	listed := map[string]string{}
	for _, c := range doc.Components {
		listed[c.Name] = c.Version
	}
	missing, err := s.direct(listed, &r)
	if err != nil {
		return r, err
	}
	if len(missing) > 0 {
		return r, fmt.Errorf("the bill of materials lacks %s", strings.Join(missing, ", "))
	}
	if err := os.MkdirAll(s.Reports, 0o755); err != nil {
		return r, fmt.Errorf("write bill of materials: %w", err)
	}
	if err := os.WriteFile(filepath.Join(s.Reports, "sbom.cdx.json"), raw, 0o644); err != nil {
		return r, fmt.Errorf("write bill of materials: %w", err)
	}
	return r, nil
}

// direct compares go.mod's direct requirements with the listed components.
func (s Scanner) direct(listed map[string]string, r *SBOM) (missing []string, err error) {
	b, err := os.ReadFile(filepath.Join(s.Root, "go.mod"))
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	m, err := modfile.Parse("go.mod", b, nil)
	if err != nil {
		return nil, fmt.Errorf("read go.mod: %w", err)
	}
	for _, q := range m.Require {
		switch {
		case q.Indirect:
		case listed[q.Mod.Path] == q.Mod.Version:
			r.Direct++
		default:
			missing = append(missing, q.Mod.String())
		}
	}
	return missing, nil
}
