package resolver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
)

// archive reads a golden file; put stores it again if MBP_REWRITE is set.
func archive(t *testing.T, name string) (a *txtar.Archive, put func(file, content string)) {
	t.Helper()
	path := filepath.Join("testdata", name)
	a, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	rewrite := os.Getenv("MBP_REWRITE") != ""
	if rewrite {
		t.Cleanup(func() {
			if err := os.WriteFile(path, txtar.Format(a), 0o644); err != nil {
				t.Error(err)
			}
		})
	}
	return a, func(file, content string) {
		t.Helper()
		i := index(a, file)
		switch {
		case rewrite && i < 0:
			a.Files = append(a.Files, txtar.File{Name: file, Data: []byte(content)})
		case rewrite:
			a.Files[i].Data = []byte(content)
		case i < 0:
			t.Errorf("%s has no %s; MBP_REWRITE=1 adds it", name, file)
		case string(a.Files[i].Data) != content:
			t.Errorf("%s: %s is\n%s\nwant\n%s", name, file, content, a.Files[i].Data)
		}
	}
}

func index(a *txtar.Archive, name string) int {
	for i, f := range a.Files {
		if f.Name == name {
			return i
		}
	}
	return -1
}

func file(t *testing.T, a *txtar.Archive, name string) []byte {
	t.Helper()
	i := index(a, name)
	if i < 0 {
		t.Fatalf("no file %s", name)
	}
	return a.Files[i].Data
}

func parse(name string) (*txtar.Archive, error) {
	return txtar.ParseFile(filepath.Join("testdata", name))
}

func contextEnded(t *testing.T) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx, cancel
}

// asked is market.json of a golden file.
type asked struct {
	ID         string
	Close, Now time.Time
	Min, Max   int64
	Params     map[string]string
}

func (q asked) market() Market {
	return Market{ID: q.ID, Close: q.Close.UnixMicro(), Min: q.Min, Max: q.Max, Params: q.Params}
}

// scene loads the rule and the market of a golden file.
func scene(t *testing.T, a *txtar.Archive) (*Program, asked) {
	t.Helper()
	p, err := Load(file(t, a, "rule.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	var q asked
	if err := json.Unmarshal(file(t, a, "market.json"), &q); err != nil {
		t.Fatal(err)
	}
	return p, q
}

func indented(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(v); err != nil {
		panic(err)
	}
	return b.String()
}

func TestFindings(t *testing.T) {
	for _, name := range []string{"match.txtar", "rate.txtar"} {
		t.Run(name, func(t *testing.T) {
			a, put := archive(t, name)
			p, q := scene(t, a)
			canonical, err := p.rule.Canonical()
			if err != nil {
				t.Fatal(err)
			}
			put("rule.canonical", string(canonical)+"\n")
			put("rule.sha256", p.Hash().String()+"\n")
			cases := 0
			for _, f := range a.Files {
				test, ok := strings.CutSuffix(f.Name, ".facts")
				if !ok {
					continue
				}
				cases++
				got, err := p.Evaluate(t.Context(), f.Data, q.market(), q.Now.UnixMicro())
				if err != nil {
					t.Errorf("%s: %v", test, err)
				}
				put(test+".finding", indented(got))
			}
			if cases == 0 {
				t.Error("no facts in the file")
			}
		})
	}
}

func TestFaults(t *testing.T) {
	a, put := archive(t, "faults.txtar")
	cases := 0
	for _, f := range a.Files {
		test, ok := strings.CutSuffix(f.Name, ".yaml")
		if !ok {
			continue
		}
		cases++
		_, err := Load(f.Data)
		var faults Faults
		if !errors.As(err, &faults) {
			t.Errorf("%s: %v, want Faults", test, err)
			continue
		}
		put(test+".faults", faults.Error()+"\n")
	}
	if cases == 0 {
		t.Error("no documents in the file")
	}
}
