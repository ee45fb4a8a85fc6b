package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestJudge: a report passes for what it shows, and fails for a single failure,
// error, or none at all.
func TestJudge(t *testing.T) {
	const head, foot = `<?xml version="1.0"?><testsuites><testsuite name="s">`, `</testsuite></testsuites>`
	ok := `<testcase name="GET /v1/me"/><testcase name="POST /v1/orders"/><testcase name="DELETE /v1/x"/><testcase name="Stateful tests"/>`
	if n, err := judge([]byte(head + ok + foot)); n != 3 || err != nil {
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
// operationId of its own, and the streams are not.
func TestOperations(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", contract))
	if err != nil {
		t.Fatal(err)
	}
	want := 0
	for line := range strings.Lines(string(b)) {
		switch line {
		case "    get:\n", "    post:\n", "    put:\n", "    patch:\n", "    delete:\n":
			want++
		case "      tags: [stream]\n":
			want--
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

// TestChains: a chain that failed, or ended in an error, is told from one that passed,
// and a link counts once it has had an answer.
func TestChains(t *testing.T) {
	c, err := readChains(strings.NewReader(`{"Initialize":{}}
{"ScenarioFinished":{"status":"success","recorder":{"cases":{"a":{},"b":{"transition":{"id":"x"}},"c":{"transition":{"id":"x"}}},"interactions":{"a":{"response":{}},"b":{"response":{"status_code":404}},"c":{"response":{}}}}}}
{"ScenarioFinished":{"status":"failure","recorder":{"cases":{"d":{"transition":{"id":"y"}}},"interactions":{"d":{"response":null}}}}}
{"ScenarioFinished":{"status":"error"}}
{"ScenarioFinished":{"status":"skip"}}
`))
	if err != nil || c.ended != 4 || c.failed != 1 || c.errors != 1 || len(c.followed) != 1 || !c.followed["x"] {
		t.Errorf("%+v, %v", c, err)
	}
	if _, err := readChains(strings.NewReader("no record")); err == nil {
		t.Error("nonsense is a record")
	}
}

// TestAnErrorIsNoPass: whatever the tool says at the end.
func TestAnErrorIsNoPass(t *testing.T) {
	t.Chdir(filepath.Join("..", ".."))
	dir := t.TempDir()
	for name, text := range map[string]string{
		junit(dir, chainsPart):  `<testsuites><testsuite name="s"><testcase name="Stateful tests"/></testsuite></testsuites>`,
		ndjson(dir, chainsPart): `{"ScenarioFinished":{"status":"error"}}`,
	} {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := judgeChains(dir, nil, io.Discard); !errors.Is(err, errBroken) {
		t.Errorf("%v", err)
	}
	if err := os.WriteFile(ndjson(dir, chainsPart), []byte(`{"ScenarioFinished":{"status":"success"}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := judgeChains(dir, nil, io.Discard); err == nil || errors.Is(err, errBroken) {
		t.Errorf("no link was followed: %v", err)
	}
}

// TestLinks: every link of the contract is counted.
func TestLinks(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("..", "..", contract))
	if err != nil {
		t.Fatal(err)
	}
	if n, all := links(b), strings.Count(string(b), "{operationId: "); n != all || n < 30 {
		t.Errorf("%d links, the document has %d", n, all)
	}
}
