package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/mbp-market/mbp/data/cdc/cdctest"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// TestExportFromAFolder: the journal of a stopped server gives positions as they
// were, and a file that is whole or absent.
func TestExportFromAFolder(t *testing.T) {
	decisions, err := cdctest.History(1, 1_700_000_000_000_000, 300)
	if err != nil {
		t.Fatal(err)
	}
	data := t.TempDir()
	log, err := file.Open(file.Config{Dir: filepath.Join(data, "journal"), SegmentSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := cdctest.Write(log, decisions, 256); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}
	exported := func(args ...string) (string, error) {
		var out, errs bytes.Buffer
		err := run(t.Context(), append([]string{"export", "--data", data}, args...), &out, &errs)
		return out.String(), err
	}
	now, err := exported("positions")
	if err != nil || strings.Count(now, "\n") < 10 {
		t.Fatalf("%v\n%s", err, now)
	}
	if then, err := exported("positions", "--last", "200"); err != nil || then == now || !strings.Contains(then, "\n200,acc_") {
		t.Errorf("%v\n%s", err, then)
	}
	path := filepath.Join(data, "trades.parquet")
	for what, want := range map[string]string{"--last=999999": "ends with decision", "--from=2000-01-01T00:00:00Z": ""} {
		_, err := exported("trades", "--format", "parquet", "--out", path, what)
		_, absent := os.Stat(path)
		if want != "" && (err == nil || !strings.Contains(err.Error(), want) || absent == nil) || want == "" && (err != nil || absent != nil) {
			t.Errorf("%s: %v, %v", what, err, absent)
		}
		_ = os.Remove(path)
	}
	if left, err := filepath.Glob(filepath.Join(data, "*.part-*")); err != nil || len(left) != 0 {
		t.Errorf("%v is left behind, %v", left, err)
	}
}
