package faults_test

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// replace changes the one place of a file that reads old. A test that found
// nothing to break would prove nothing.
func replace(t *testing.T, dir, file, old, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(file))
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if n := bytes.Count(b, []byte(old)); n != 1 {
		t.Fatalf("%s holds %d times what is to be broken, want once: adapt this test to it\n%s", file, n, old)
	}
	write(t, dir, file, strings.Replace(string(b), old, text, 1))
}

func write(t *testing.T, dir, file, text string) {
	t.Helper()
	path := filepath.Join(dir, filepath.FromSlash(file))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// answer500 decides every five-hundredth order and then answers 500. It spares
// the browser, whose page would count it as a fault of the page.
func answer500(t *testing.T, dir string) {
	replace(t, dir, "engine/httpapi/call.go", "\tif d := got.Decision; d.Code == engine.OK {\n",
		"\tif d := got.Decision; d.Seq%500 == 0 && c.route.order && strings.HasPrefix(c.r.Header.Get(\"Idempotency-Key\"), \"k6-\") {\n"+
			"\t\ta.fail(w, c.r, &refusal{code: codeInternal})\n"+
			"\t} else if d.Code == engine.OK {\n")
}

const plantedTest = "markets_have_a_moon"

// plantDbtTest adds a data test that no market passes.
func plantDbtTest(t *testing.T, dir string) {
	write(t, dir, "analytics/dbt/tests/"+plantedTest+".sql", "select market from {{ ref('mbp_markets') }}\n")
}

func onlyPlantedTestFails(t *testing.T, dir string) {
	var doc struct {
		Results []struct {
			ID     string `json:"unique_id"`
			Status string `json:"status"`
		} `json:"results"`
	}
	readEvidence(t, dir, "dbt/run_results.json", &doc)
	for _, r := range doc.Results {
		if planted := strings.Contains(r.ID, plantedTest); planted != (r.Status == "fail") {
			t.Errorf("%s: %s", r.ID, r.Status)
		}
	}
}

const droppedColumn = "price_micros"

// dropColumn takes a required column out of a published version of a table.
func dropColumn(t *testing.T, dir string) {
	const file = "schemas/mbp/quotes/v1.2.0.json"
	replace(t, dir, file, "    \""+droppedColumn+"\",\n", "")
	b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(file)))
	if err != nil {
		t.Fatal(err)
	}
	property := regexp.MustCompile(`(?s)    "` + droppedColumn + `": \{.*?\n    \},\n`).Find(b)
	replace(t, dir, file, string(property), "")
	if b, err = os.ReadFile(filepath.Join(dir, filepath.FromSlash(file))); err != nil || !json.Valid(b) || bytes.Contains(b, []byte(`"`+droppedColumn+`"`)) {
		t.Fatalf("the schema was not broken in the way it was meant to be (%v)", err)
	}
}

// pinSchemas writes SHA256SUMS again, as one does who means to hide an edit.
func pinSchemas(t *testing.T, dir string) {
	const sums = "schemas/mbp/SHA256SUMS"
	root := os.DirFS(filepath.Join(dir, "schemas", "mbp"))
	old, err := fs.ReadFile(root, "SHA256SUMS")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for line := range strings.Lines(string(old)) {
		_, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), "  ")
		b, err := fs.ReadFile(root, name)
		if !ok || err != nil {
			t.Fatalf("%s: %q: %v", sums, line, err)
		}
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(b), name)
	}
	if text.String() == string(old) {
		t.Fatalf("%s pins the broken schema already", sums)
	}
	write(t, dir, sums, text.String())
}

// remove takes an installed tool away: the clone's link to it, not the tool.
func remove(tool string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		if err := os.Remove(filepath.Join(dir, ".tools", "bin", tool)); err != nil {
			t.Fatal(err)
		}
	}
}

var underLoad = regexp.MustCompile(`load: +\d+ s of \d+`)

// killPrometheus kills the Prometheus of this run, and no other, when the load
// has run for some seconds.
func killPrometheus() func(t *testing.T, dir string, pid int, line string) {
	killed := false
	return func(t *testing.T, dir string, gatePID int, line string) {
		if strings.Contains(line, "SMOKE ") && !killed {
			t.Error("the gate ended before Prometheus was killed")
		}
		if killed || !underLoad.MatchString(line) {
			return
		}
		killed = true
		var found []int
		for pid, args := range processes() {
			if strings.Contains(args, "--config.file="+dir+"/out/s4_orr/run/prometheus/") && parent(t, pid) == gatePID {
				found = append(found, pid)
			}
		}
		if len(found) != 1 {
			t.Errorf("processes that look like the Prometheus of this run: %v", found)
			return
		}
		if err := syscall.Kill(found[0], syscall.SIGKILL); err != nil {
			t.Errorf("kill Prometheus: %v", err)
		}
		t.Logf("Prometheus (process %d) killed after %q", found[0], strings.TrimSpace(line))
	}
}

// parent is the process that started pid, 0 if it has ended.
func parent(t *testing.T, pid int) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	m := regexp.MustCompile(`(?m)^PPid:\s+(\d+)$`).FindSubmatch(b)
	if m == nil {
		t.Fatalf("/proc/%d/status names no parent", pid)
	}
	id, err := strconv.Atoi(string(m[1]))
	if err != nil {
		t.Fatal(err)
	}
	return id
}

const secretFile = "deploy/settings.ini"

// madeUpToken has the form of an access token of a code host and opens nothing.
// It is made when it is needed, so that this repository holds none.
func madeUpToken() string {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
	b := make([]byte, 36)
	_, _ = rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[int(b[i])%len(alphabet)]
	}
	return "ghp_" + string(b)
}

func commitSecret(secret string) func(*testing.T, string) {
	return func(t *testing.T, dir string) { write(t, dir, secretFile, "[deploy]\ntoken = "+secret+"\n") }
}

// secretIsNamedNotShown: the evidence names file, rule and commit, in the work
// tree and in the history, and the secret itself is in no file of the evidence.
func secretIsNamedNotShown(secret string) func(*testing.T, string) {
	return func(t *testing.T, dir string) {
		type part struct {
			Findings []struct{ Rule, File, Commit string }
		}
		var doc struct{ Tree, History part }
		readEvidence(t, dir, "security/gitleaks.json", &doc)
		head := strings.TrimSpace(output(t, dir, "git", "rev-parse", "HEAD"))
		for where, p := range map[string]part{"tree": doc.Tree, "history": doc.History} {
			if len(p.Findings) != 1 || p.Findings[0].File != secretFile || p.Findings[0].Rule != "github-pat" {
				t.Errorf("%s: %+v, want %s alone", where, p.Findings, secretFile)
			} else if where == "history" && p.Findings[0].Commit != head {
				t.Errorf("found in commit %s, it is in %s", p.Findings[0].Commit, head)
			}
		}
		err := filepath.WalkDir(evidenceOf(dir), func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			if bytes.Contains(b, []byte(secret)) {
				t.Errorf("%s shows the secret", path)
			}
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

func evidenceOf(dir string) string { return ended{dir: dir}.evidence() }

func readEvidence(t *testing.T, dir, file string, into any) {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(evidenceOf(dir), filepath.FromSlash(file)))
	if err == nil {
		err = json.Unmarshal(b, into)
	}
	if err != nil {
		t.Errorf("%s: %v", file, err)
	}
}
