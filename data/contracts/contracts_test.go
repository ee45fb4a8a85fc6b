package contracts

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/mbp-market/mbp/schemas"
	"github.com/mbp-market/mbp/schemas/registry"
)

var rewrite = flag.Bool("rewrite", false, "write the generated contracts")

// The committed contracts are what the registry gives today, no more, no less.
func TestContractsAreGenerated(t *testing.T) {
	reg, err := registry.Load(schemas.FS)
	if err != nil {
		t.Fatal(err)
	}
	var want []string
	for _, table := range reg.Tables() {
		s, err := reg.Latest(table)
		if err != nil {
			t.Fatal(err)
		}
		doc, err := Render(s)
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, FileName(table))
		if *rewrite {
			if err := os.WriteFile(FileName(table), doc, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(FileName(table))
		if err != nil || !bytes.Equal(have, doc) {
			t.Errorf("%s drifted from the registry (%v); run go generate ./data/contracts", FileName(table), err)
		}
	}
	have, err := filepath.Glob("*.odcs.yaml")
	if err != nil || !slices.Equal(have, want) {
		t.Errorf("contracts %v, tables want %v", have, want)
	}
}

// The staging layer of dbt is what the registry gives today: a schema version
// without its columns and tests there cannot be committed.
func TestStagingIsGenerated(t *testing.T) {
	reg, err := registry.Load(schemas.FS)
	if err != nil {
		t.Fatal(err)
	}
	want, err := Staging(reg)
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join("..", "analytics", "dbt", "models", "staging")
	for name, doc := range want {
		if *rewrite {
			if err := os.WriteFile(filepath.Join(dir, name), doc, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		have, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil || !bytes.Equal(have, doc) {
			t.Errorf("%s drifted from the registry (%v); run go generate ./data/contracts", name, err)
		}
	}
	have, err := os.ReadDir(dir)
	if err != nil || len(have) != len(want) {
		t.Errorf("%d files in %s, the registry gives %d (%v)", len(have), dir, len(want), err)
	}
}
