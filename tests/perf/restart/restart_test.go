package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The measures run this binary again.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == "measure" {
		os.Exit(run(nil, os.Args[1:], os.Stdout, os.Stderr)) //nolint:staticcheck // a measure has no context
	}
	os.Exit(m.Run())
}

// A small journal is made, measured, and started from; everything ends with one
// state, and a bound that is not met is told.
func TestSmall(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	small := []string{"--decisions", "12000", "--accounts", "200", "--markets", "40", "--orders", "3000", "--tail", "1000", "--dir", dir, "--json", "--max-restart", "60", "--min-fold", "1"}
	var out, errs bytes.Buffer
	if code := run(t.Context(), small, &out, &errs); code != 0 {
		t.Fatalf("code %d: %s%s", code, &out, &errs)
	}
	var got struct {
		size
		Measures map[string]result `json:"measures"`
	}
	if err := json.Unmarshal(out.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	made := got.Measures["make"]
	if made.Hash == "" || made.SnapshotHash == "" || made.RecordBytes < 12_000*40 || made.FileBytes < made.RecordBytes || made.DumpBytes == 0 {
		t.Errorf("made %+v", made)
	}
	for name, want := range map[string]struct {
		decisions uint64
		hash      string
	}{
		"load": {11_000, made.SnapshotHash}, "restart": {1000, made.Hash}, "decode": {12_000, ""}, "evolve": {12_000, made.Hash}, "fold": {12_000, made.Hash},
	} {
		if r := got.Measures[name]; r.Decisions != want.decisions || r.Hash != want.hash || r.Seconds <= 0 || r.Peak <= 0 || r.Processor <= 0 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("the journal stays")
	}
}

// Bounds are judged, and what was not measured is beyond them.
func TestReport(t *testing.T) {
	o := options{size: size{Decisions: 10}, maxRestart: 10, minFold: 100}
	good := map[string]result{"restart": {Seconds: 1}, "fold": {Decisions: 1000, Seconds: 1}, "load": {Load: 1, Dump: 1}}
	for name, c := range map[string]struct {
		change func(map[string]result)
		code   int
		says   string
	}{
		"good":         {func(map[string]result) {}, 0, "fold         1000 decisions/s"},
		"slow restart": {func(m map[string]result) { m["restart"] = result{Seconds: 11} }, 1, "BEYOND a restart took 11.0 s"},
		"slow fold":    {func(m map[string]result) { m["fold"] = result{Decisions: 99, Seconds: 1} }, 1, "BEYOND a fold did 99"},
		"no restart":   {func(m map[string]result) { delete(m, "restart") }, 1, "BEYOND a restart"},
	} {
		got := map[string]result{}
		for k, v := range good {
			got[k] = v
		}
		c.change(got)
		var out strings.Builder
		if code := o.report(got, &out); code != c.code || !strings.Contains(out.String(), c.says) {
			t.Errorf("%s: code %d, %s", name, code, &out)
		}
	}
	if code := run(t.Context(), []string{"--loudly"}, os.Stderr, &bytes.Buffer{}); code != 2 {
		t.Errorf("an unknown flag: code %d", code)
	}
}
