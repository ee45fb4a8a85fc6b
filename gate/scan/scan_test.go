package scan

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// tool is a real scanner of the repository, or the test is skipped.
func tool(t *testing.T, name string) string {
	t.Helper()
	path, err := filepath.Abs("../../.tools/bin/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err != nil {
		t.Skipf("%s is not installed: make tools", name)
	}
	return path
}

func execute(ctx context.Context, c Command) (Output, error) {
	cmd := exec.CommandContext(ctx, c.Argv[0], c.Argv[1:]...)
	cmd.Dir, cmd.Env = c.Dir, append(os.Environ(), c.Env...)
	var out, errOut bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return Output{}, err
	}
	return Output{Stdout: out.Bytes(), Stderr: errOut.Bytes(), Exit: cmd.ProcessState.ExitCode()}, nil
}

// repository makes a git repository of the files.
func repository(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	if err := writeAll(root, files); err != nil {
		t.Fatal(err)
	}
	git(t, root, "init", "-q")
	git(t, root, "add", ".")
	git(t, root, "commit", "-q", "-m", "one")
	return root
}

func git(t *testing.T, root string, args ...string) {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", root, "-c", "user.name=t", "-c", "user.email=t@example.invalid"}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func scanner(t *testing.T, name, root string) Scanner {
	return Scanner{Exec: execute, Tool: tool(t, name), Root: root, Work: t.TempDir(), Reports: t.TempDir()}
}

func TestGitleaksCleanAndPlanted(t *testing.T) {
	root := repository(t, map[string]string{"a.txt": "nothing here\n", ".gitignore": "out/\n"})
	s := scanner(t, "gitleaks", root)
	r, err := s.Gitleaks(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Findings != 0 || r.Tree.Files != 2 || r.History.Commits != 1 || !r.Canary.Awake() || len(r.Canary.Found) != 4 {
		t.Errorf("a clean repository: %+v", r)
	}
	// In a file that git does not track yet, with a waiver and an ignore file
	// beside it; and one that git ignores, which is no part of the product.
	line := strings.ReplaceAll(plantedSecrets(), "WZTX\n", "WZTX # gitleaks:allow\n")
	if err := writeAll(root, map[string]string{"conf/new.ini": line, "out/x.ini": plantedSecrets(), ".gitleaksignore": "conf/new.ini:aws-access-token:1\n"}); err != nil {
		t.Fatal(err)
	}
	if r, err = s.Gitleaks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(r.Tree.Findings, func(f SecretFind) bool { return f.File == "conf/new.ini" && f.RuleID == "aws-access-token" }) || len(r.History.Findings) != 0 {
		t.Errorf("a planted secret: %+v", r.Tree.Findings)
	}
	for _, f := range r.Tree.Findings {
		if strings.HasPrefix(f.File, "out/") {
			t.Error("build output was scanned")
		}
	}
	// Committed and removed again, it is still in the history.
	git(t, root, "add", "conf")
	git(t, root, "commit", "-q", "-m", "two")
	git(t, root, "rm", "-q", "conf/new.ini")
	git(t, root, "commit", "-q", "-m", "three")
	if r, err = s.Gitleaks(t.Context()); err != nil {
		t.Fatal(err)
	}
	if len(r.Tree.Findings) != 0 || len(r.History.Findings) == 0 || r.Findings != len(r.History.Findings) {
		t.Errorf("in history: %+v", r)
	}
	reports, err := os.ReadFile(filepath.Join(s.Reports, "gitleaks.json"))
	if err != nil || bytes.Contains(reports, []byte("AKIA")) || bytes.Contains(reports, []byte("example.invalid")) || bytes.Contains(reports, []byte(s.Work)) {
		t.Errorf("the report tells too much (%v):\n%s", err, reports)
	}
}

func TestGitleaksRefusesToBeBlind(t *testing.T) {
	root := repository(t, map[string]string{"a.txt": "x\n", ".gitleaks.toml": "title = \"no rules\"\n"})
	if _, err := scanner(t, "gitleaks", root).Gitleaks(t.Context()); err == nil || !strings.Contains(err.Error(), "proves nothing") {
		t.Errorf("a configuration without rules: %v", err)
	}
	clone := filepath.Join(t.TempDir(), "clone")
	deep := repository(t, map[string]string{"a.txt": "x\n"})
	git(t, deep, "commit", "-q", "--allow-empty", "-m", "two")
	git(t, deep, "clone", "-q", "--depth=1", "file://"+deep, clone)
	if _, err := scanner(t, "gitleaks", clone).Gitleaks(t.Context()); !errors.Is(err, ErrUnavailable) || !strings.Contains(err.Error(), "shallow") {
		t.Errorf("a shallow clone: %v", err)
	}
	if _, err := scanner(t, "gitleaks", t.TempDir()).Gitleaks(t.Context()); err == nil {
		t.Error("a folder without git passed")
	}
	s := scanner(t, "gitleaks", deep)
	s.Tool = "true"
	if _, err := s.Gitleaks(t.Context()); err == nil || !strings.Contains(err.Error(), "no report") {
		t.Errorf("a scanner that does nothing: %v", err)
	}
}

var now = time.Date(2026, 11, 25, 0, 0, 0, 0, time.UTC)

// database gives the path of the real database, or skips.
func database(t *testing.T) string {
	t.Helper()
	path := os.Getenv("MBP_VULNDB")
	if path == "" {
		path = "../../../shared/data/vulndb"
	}
	if _, err := os.Stat(path); err != nil {
		t.Skip("no vulnerability database: set MBP_VULNDB")
	}
	abs, err := filepath.Abs(path)
	if err != nil {
		t.Fatal(err)
	}
	return abs
}

func TestGovulncheck(t *testing.T) {
	root := t.TempDir()
	if err := writeAll(root, map[string]string{"go.mod": "module example.invalid/clean\n\ngo 1.21\n", "main.go": "package main\n\nfunc main() { println(1) }\n"}); err != nil {
		t.Fatal(err)
	}
	s := scanner(t, "govulncheck", root)
	v, db, err := s.Govulncheck(t.Context(), database(t), true, now)
	if err != nil {
		t.Fatal(err)
	}
	if v.Called != 0 || v.Modules == 0 || len(v.Packages) == 0 || !v.Canary.Awake() {
		t.Errorf("a clean module: %+v", v)
	}
	if db.Entries < minEntries || db.AgeDays < 1 || db.SHA256 == "" || db.Kind == "live" {
		t.Errorf("the database: %+v", db)
	}
	// The canary's module is a vulnerable one: called, once for each fault.
	if err := writeAll(root, canaryModule); err != nil {
		t.Fatal(err)
	}
	if v, _, err = s.Govulncheck(t.Context(), database(t), true, now); err != nil {
		t.Fatal(err)
	}
	if v.Called < 2 || !slices.ContainsFunc(v.Findings, func(f VulnFind) bool { return f.OSV == "GO-2021-0113" && f.Function == "ParseAcceptLanguage" }) {
		t.Errorf("a vulnerable module: %+v", v)
	}
	if err := writeAll(root, map[string]string{"main.go": "package main\n\nfunc main() { undefined() }\n"}); err != nil {
		t.Fatal(err)
	}
	if _, _, err = s.Govulncheck(t.Context(), database(t), true, now); err == nil {
		t.Error("a module that does not build was called clean")
	}
}

// index writes a database of n entries.
func index(n int, modified string) map[string]string {
	entries := make([]string, n)
	files := map[string]string{"index/db.json": `{"modified":"` + modified + `"}`, "index/modules.json": "[{}]"}
	for i := range entries {
		entries[i] = fmt.Sprintf(`{"id":"GO-2020-%04d"}`, i)
		files[fmt.Sprintf("ID/GO-2020-%04d.json", i)] = "{}"
	}
	files["index/vulns.json"] = "[" + strings.Join(entries, ",") + "]"
	return files
}

func TestDatabaseThatCannotBeTrusted(t *testing.T) {
	s := Scanner{Work: t.TempDir()}
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"empty":      {index(0, "2026-08-21T00:00:00Z"), "0 entries"},
		"few":        {index(20, "2026-08-21T00:00:00Z"), "20 entries"},
		"undated":    {index(minEntries, "0001-01-01T00:00:00Z"), "as of 0001-01-01"},
		"no index":   {map[string]string{"readme": "x"}, "holds neither"},
		"half of it": {map[string]string{"index/db.json": "{}"}, "modules.json"},
	} {
		dir := t.TempDir()
		if err := writeAll(dir, c.files); err != nil {
			t.Fatal(err)
		}
		if _, err := s.FindDatabase(t.Context(), dir, true, now); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
	whole := t.TempDir()
	if err := writeAll(whole, index(minEntries, "2026-11-20T00:00:00Z")); err != nil {
		t.Fatal(err)
	}
	db, err := s.FindDatabase(t.Context(), whole, true, now)
	if err != nil || db.AgeDays != 5 || db.Entries != minEntries || db.Kind != "folder" {
		t.Errorf("a whole one: %+v, %v", db, err)
	}
	if err := os.Remove(filepath.Join(whole, "ID", "GO-2020-0001.json")); err != nil {
		t.Fatal(err)
	}
	if _, err := s.FindDatabase(t.Context(), whole, true, now); err == nil || !strings.Contains(err.Error(), "ID/ holds 999") {
		t.Errorf("an index that lies: %v", err)
	}
	if _, err := s.FindDatabase(t.Context(), filepath.Join(whole, "nowhere"), true, now); !errors.Is(err, ErrUnavailable) {
		t.Errorf("a named one that is not there: %v", err)
	}
}

// TestArchiveStaysInItsFolder: names that leave the folder and links are
// refused, and nothing is written outside.
func TestArchiveStaysInItsFolder(t *testing.T) {
	for _, h := range []*tar.Header{
		{Name: "../escaped", Typeflag: tar.TypeReg, Size: 1},
		{Name: "/escaped", Typeflag: tar.TypeReg, Size: 1},
		{Name: "link", Typeflag: tar.TypeSymlink, Linkname: "/etc/passwd"},
		{Name: "big", Typeflag: tar.TypeReg, Size: maxDatabase + 1},
	} {
		dir := t.TempDir()
		path := filepath.Join(dir, "a.tar.gz")
		var b bytes.Buffer
		z := gzip.NewWriter(&b)
		w := tar.NewWriter(z)
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if h.Size == 1 {
			_, _ = w.Write([]byte("x"))
		}
		_ = w.Flush()
		_ = z.Close()
		if err := os.WriteFile(path, b.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
		in := filepath.Join(dir, "in")
		if err := os.Mkdir(in, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := unpack(path, in); err == nil {
			t.Errorf("%s was unpacked", h.Name)
		}
		if _, err := os.Stat(filepath.Join(dir, "escaped")); err == nil {
			t.Errorf("%s left its folder", h.Name)
		}
	}
}

func TestCycloneDX(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	s := scanner(t, "cyclonedx-gomod", root)
	r, err := s.CycloneDX(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if r.Components < 5 {
		t.Errorf("%+v", r)
	}
	first, err := os.ReadFile(filepath.Join(s.Reports, "sbom.cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.CycloneDX(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again, err := os.ReadFile(filepath.Join(s.Reports, "sbom.cdx.json")); err != nil || !bytes.Equal(first, again) {
		t.Errorf("two bills of one module differ (%v)", err)
	}
	s.Tool = "true"
	if _, err := s.CycloneDX(t.Context()); err == nil {
		t.Error("a tool that wrote nothing passed")
	}
}

// FuzzParseVulns: whatever the stream, an answer without configuration, modules
// and packages is an error.
func FuzzParseVulns(f *testing.F) {
	f.Add([]byte(`{"config":{"db":"u"}}{"SBOM":{"modules":[{"path":"m"}],"roots":["m"]}}{"finding":{"osv":"GO-1","trace":[{"module":"m","package":"p","function":"f"}]}}`))
	f.Add([]byte(`{"config":{}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := parseVulns(b, "u")
		if err == nil && (v.Modules == 0 || len(v.Packages) == 0 || v.Called+v.Imported+v.Required != len(v.Findings)) {
			t.Errorf("%+v", v)
		}
	})
}
