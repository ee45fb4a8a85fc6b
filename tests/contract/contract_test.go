package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestJudge: a report passes for what it shows, and fails for a single failure,
// error, or none at all.
func TestJudge(t *testing.T) {
	const head, foot = `<?xml version="1.0"?><testsuites><testsuite name="s">`, `</testsuite></testsuites>`
	ok := `<testcase name="GET /v1/me"/><testcase name="POST /v1/orders"/><testcase name="Stateful tests"/>`
	if n, err := judge([]byte(head + ok + foot)); n != 2 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{`<testcase name="GET /v1/x"><failure>1</failure></testcase>`, `<testcase name="Stateful tests"><error/></testcase>`} {
		if _, err := judge([]byte(head + ok + bad + foot)); !errors.Is(err, errBroken) {
			t.Errorf("%s: %v", bad, err)
		}
	}
	if _, err := judge([]byte("no report")); err == nil {
		t.Error("nonsense is a report")
	}
	if n, err := judge([]byte(head + foot)); n != 0 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
}

// TestOperations: what is counted is what the contract describes, each with an
// operationId of its own.
func TestOperations(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", contract))
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for line := range strings.Lines(string(b)) {
		if line == "    get:\n" || line == "    post:\n" {
			want++
		}
	}
	if n := operations(b); n != want || n < 50 {
		t.Errorf("%d operations, want %d", n, want)
	}
}

// TestWithoutTheTool: that it is missing is not a pass.
func TestWithoutTheTool(t *testing.T) {
	var out, errs strings.Builder
	err := run(t.Context(), []string{"-tool", filepath.Join(t.TempDir(), "none")}, &out, &errs)
	if err == nil || errors.Is(err, errBroken) || !strings.Contains(err.Error(), "make tools") {
		t.Errorf("%v", err)
	}
}
