package evidence

import (
	"archive/zip"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/fstest"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// goodRun writes the evidence of a run that passed into a new folder.
func goodRun(t testing.TB) string {
	t.Helper()
	var files map[string]string
	if err := json.Unmarshal(read(t, "../testdata/smoke.json"), &files); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "EVI")
	for path, content := range files {
		put(t, dir, path, content)
	}
	return dir
}

func put(t testing.TB, dir, path, content string) {
	t.Helper()
	full := filepath.Join(dir, filepath.FromSlash(path))
	if err := errors.Join(os.MkdirAll(filepath.Dir(full), 0o755), os.WriteFile(full, []byte(content), 0o644)); err != nil {
		t.Fatal(err)
	}
}

// rejudge writes verdict and report anew after the evidence was bent.
func rejudge(t testing.TB, dir string) gate.Verdict {
	t.Helper()
	v, verdict, report, err := judge(os.DirFS(dir), gate.Smoke)
	if err != nil {
		t.Fatal(err)
	}
	put(t, dir, gate.VerdictFile, string(verdict))
	put(t, dir, gate.ReportFile, string(report))
	return v
}

func packed(t testing.TB, dir, out string) Packed {
	t.Helper()
	p, err := Pack(t.Context(), dir, out, nil)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func read(t testing.TB, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestPackAndVerify(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	p := packed(t, goodRun(t), out)
	if want := "smoke_evidence_bundle_20261125T020140Z.zip"; filepath.Base(p.Path) != want {
		t.Errorf("the pack is called %s, want %s", filepath.Base(p.Path), want)
	}
	r, err := Verify(t.Context(), p.Path, Options{Root: p.Root})
	if err != nil {
		t.Fatal(err)
	}
	if r.Root != p.Root || r.SHA256 != p.SHA256 || r.TreeSize != p.TreeSize || !r.Reevaluated || r.Verdict.Decision != gate.SmokePass ||
		len(r.Beside) != 1 || r.TreeSize != len(r.Manifest.Files)+1 {
		t.Errorf("packed %+v\nverified %+v", p, r)
	}
	if _, err := Verify(t.Context(), p.Path, Options{Root: strings.Repeat("0", 64)}); err == nil {
		t.Error("another root than the one from outside passes")
	}
}

// TestOtherReaders: Go's reader and Python's take the pack for a whole zip.
func TestOtherReaders(t *testing.T) {
	p := packed(t, goodRun(t), t.TempDir())
	z, err := zip.OpenReader(p.Path)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	for _, f := range z.File {
		r, err := f.Open()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.Copy(io.Discard, r); err != nil || len(f.Extra) > 0 || f.Flags != 0 || !f.Modified.Equal(time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)) {
			t.Errorf("%s: %v, %+v", f.Name, err, f.FileHeader)
		}
	}
	if got := python(t, "-m", "zipfile", "-t", p.Path); !strings.Contains(got, "Done testing") {
		t.Errorf("python: %s", got)
	}
}

// python runs the interpreter of the machine; the script needs nothing else.
func python(t *testing.T, args ...string) string {
	t.Helper()
	bin, err := exec.LookPath("python3")
	if err != nil {
		t.Skip("python3 is not on this machine")
	}
	out, err := exec.CommandContext(t.Context(), bin, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestAnchorScriptAgrees: Python's standard library computes the same root.
func TestAnchorScriptAgrees(t *testing.T) {
	p := packed(t, goodRun(t), t.TempDir())
	if _, err := AnchorPack(t.Context(), p.Path); err != nil {
		t.Fatal(err)
	}
	script := "../../scripts/anchor_root.py"
	if got := strings.TrimSpace(python(t, script, p.Path)); got != p.Root {
		t.Errorf("python says %q, go says %s", got, p.Root)
	}
	python(t, script, "--check", filepath.Join(filepath.Dir(p.Path), AnchorFile), p.Path)
}

// TestSameEvidenceSameBytes: neither times, modes, the order of creation, the
// umask nor the time zone reach the pack.
func TestSameEvidenceSameBytes(t *testing.T) {
	dir := goodRun(t)
	first := packed(t, dir, t.TempDir())
	again := filepath.Join(t.TempDir(), "EVI")
	old := syscall.Umask(0o077)
	zone := time.Local
	time.Local = time.FixedZone("far", 13*3600)
	t.Cleanup(func() { syscall.Umask(old); time.Local = zone })
	for i := len(first.Manifest.Files) - 1; i >= 0; i-- {
		path := first.Manifest.Files[i].Path
		put(t, again, path, string(read(t, filepath.Join(dir, path))))
		full := filepath.Join(again, path)
		if err := errors.Join(os.Chmod(full, 0o700), os.Chtimes(full, time.Time{}, time.Unix(int64(i)*1e6, 0))); err != nil {
			t.Fatal(err)
		}
	}
	second := packed(t, again, t.TempDir())
	if first.SHA256 != second.SHA256 || first.Root != second.Root || !bytes.Equal(read(t, first.Path), read(t, second.Path)) ||
		!bytes.Equal(read(t, first.Path+".sha256"), read(t, second.Path+".sha256")) {
		t.Error("equal evidence, other packs")
	}
	if third := packed(t, dir, filepath.Dir(first.Path)); third.SHA256 != first.SHA256 {
		t.Error("packing again made another pack")
	}
	info, err := os.Stat(second.Path)
	if err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the pack's mode is %v (%v): others cannot read it", info.Mode(), err)
	}
}

func TestPackRefuses(t *testing.T) {
	const key = "mbp_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
	for _, c := range []struct {
		name    string
		bend    func(t *testing.T, dir string)
		secrets []string
		want    string
	}{
		{"a secret", func(t *testing.T, dir string) {
			put(t, dir, "steps/02-load/stdout.txt", strings.Repeat("x", 256<<10+len(key)-10)+key+"\n")
		}, []string{"another-secret-of-the-run", key}, "steps/02-load/stdout.txt holds a secret"},
		{"a secret as a name", func(t *testing.T, dir string) { put(t, dir, key, "") }, []string{key}, "name of a file"},
		{"a secret too short to search", func(*testing.T, string) {}, []string{"abc"}, "3 bytes"},
		{"a link", func(t *testing.T, dir string) { os.Symlink("/etc/hostname", filepath.Join(dir, "link")) }, nil, "link is a"},
		{"the packer's name", func(t *testing.T, dir string) { put(t, dir, ManifestFile, "{}") }, nil, "packer's own"},
		{"a name in another case", func(t *testing.T, dir string) { put(t, dir, "RUN.json", "{}") }, nil, "where case does not count"},
		{"a name that is not ASCII", func(t *testing.T, dir string) { put(t, dir, "relatório.txt", "") }, nil, "not plain"},
		{"a name with a backslash", func(t *testing.T, dir string) { put(t, dir, `a\b`, "") }, nil, "not plain"},
		{"not judged", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, gate.VerdictFile)) }, nil, "not judged"},
		{"an edited report", func(t *testing.T, dir string) { put(t, dir, gate.ReportFile, "SMOKE PASS\n") }, nil, "report.txt is not what the evidence gives"},
		{"evidence changed after the judgement", func(t *testing.T, dir string) {
			put(t, dir, "security/gitleaks.json", `{"findings":1,"history":{"commits":9}}`)
		}, nil, "verdict.json is not what the evidence gives"},
		{"no run", func(t *testing.T, dir string) { os.Remove(filepath.Join(dir, gate.RunFile)) }, nil, gate.RunFile},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, out := goodRun(t), t.TempDir()
			c.bend(t, dir)
			_, err := Pack(t.Context(), dir, out, c.secrets)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
			for _, s := range c.secrets {
				if err != nil && len(s) >= minSecret && strings.Contains(err.Error(), s) {
					t.Error("the error repeats the secret")
				}
			}
			if left, _ := os.ReadDir(out); len(left) > 0 {
				t.Errorf("it left %v", left)
			}
		})
	}
}

// TestSecretsAreFoundAnywhere: at each place around the edges of what is read
// at a time, among a thousand others with the same beginning.
func TestSecretsAreFoundAnywhere(t *testing.T) {
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf("mbp_%040d", i*7919))
	}
	hidden, err := newSecrets(list)
	if err != nil {
		t.Fatal(err)
	}
	const chunk = 256 << 10
	for _, base := range []int{0, chunk + 44} {
		for at := max(0, base-50); at < base+50; at++ {
			for secret, want := range map[string]bool{list[at%1000]: true, list[at%1000][:43] + "x": false} {
				content := bytes.Repeat([]byte("mbp_"), 70_000)
				copy(content[at:], secret)
				_, err := digestFile(fstest.MapFS{"f": {Data: content}}, "f", hidden)
				if (err != nil) != want {
					t.Fatalf("%s at byte %d: %v", secret, at, err)
				}
			}
		}
	}
}

// TestPackIsNeverReplaced: other evidence under the same name is refused, and
// the pack that is there stays.
func TestPackIsNeverReplaced(t *testing.T) {
	dir, out := goodRun(t), t.TempDir()
	p := packed(t, dir, out)
	before := read(t, p.Path)
	put(t, dir, "note.txt", "one file more")
	if _, err := Pack(t.Context(), dir, out, nil); err == nil || !strings.Contains(err.Error(), "holds something else") {
		t.Errorf("got %v", err)
	}
	if !bytes.Equal(before, read(t, p.Path)) {
		t.Error("the pack was replaced")
	}
}

// TestFailedRunIsPacked: what went wrong is packed and anchored like what went
// right, with the files that are missing by name.
func TestFailedRunIsPacked(t *testing.T) {
	dir := goodRun(t)
	if err := os.Remove(filepath.Join(dir, gate.SummaryFile)); err != nil {
		t.Fatal(err)
	}
	rejudge(t, dir)
	p := packed(t, dir, t.TempDir())
	if p.Manifest.Decision != gate.SmokeFail || len(p.Manifest.Missing) != 1 || p.Manifest.Missing[0] != gate.SummaryFile {
		t.Errorf("%s, missing %v", p.Manifest.Decision, p.Manifest.Missing)
	}
	a, err := AnchorPack(t.Context(), p.Path)
	if err != nil || a.Decision != gate.SmokeFail || a.Tag() != "" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAnchorChain(t *testing.T) {
	out := t.TempDir()
	dir := goodRun(t)
	first := packed(t, dir, out)
	a1, err := AnchorPack(t.Context(), first.Path)
	if err != nil || a1.Seq != 1 || a1.PrevRoot != "" || a1.Root != first.Root || a1.PackSHA256 != first.SHA256 {
		t.Fatalf("%+v, %v", a1, err)
	}
	var run map[string]any
	if err := json.Unmarshal(read(t, filepath.Join(dir, gate.RunFile)), &run); err != nil {
		t.Fatal(err)
	}
	run["ended_at"] = "2026-11-25T02:03:00Z"
	b, _ := json.Marshal(run)
	put(t, dir, gate.RunFile, string(b))
	rejudge(t, dir)
	second := packed(t, dir, out)
	a2, err := AnchorPack(t.Context(), second.Path)
	if err != nil || a2.Seq != 2 || a2.PrevRoot != a1.Root {
		t.Fatalf("%+v, %v", a2, err)
	}
	chain := read(t, filepath.Join(out, ChainFile))
	if again, err := AnchorPack(t.Context(), second.Path); err != nil || again != a2 || !bytes.Equal(chain, read(t, filepath.Join(out, ChainFile))) {
		t.Errorf("anchored twice: %+v, %v", again, err)
	}
	// The first pack's anchor is in the chain only, and is still compared.
	r, err := Verify(t.Context(), first.Path, Options{})
	if err != nil || len(r.Beside) != 2 || r.Beside[1] != ChainFile {
		t.Errorf("beside %v, %v", r.Beside, err)
	}
	for name, bend := range map[string]func(){
		"does not follow": func() { put(t, out, ChainFile, strings.Replace(string(chain), `"seq":2`, `"seq":3`, 1)) },
		"line 2 does not": func() {
			put(t, out, ChainFile, strings.Replace(string(chain), `"prev_root":"`+a1.Root, `"prev_root":"`+a2.Root, 1))
		},
		"line 1 does not": func() { put(t, out, ChainFile, string(chain[bytes.IndexByte(chain, '\n')+1:])) },
		"does not name":   func() { put(t, out, filepath.Base(second.Path)+".sha256", "0  x\n") },
		"not as prega writes it": func() {
			put(t, out, AnchorFile, " "+string(read(t, filepath.Join(out, AnchorFile))))
		},
		"ANCHOR.json anchors root": func() {
			put(t, out, AnchorFile, strings.Replace(string(read(t, filepath.Join(out, AnchorFile))), a2.Root, a1.Root, 1))
		},
		"SMOKE FAIL": func() {
			put(t, out, AnchorFile, strings.Replace(string(read(t, filepath.Join(out, AnchorFile))), "SMOKE PASS", "SMOKE FAIL", 1))
		},
	} {
		saved := map[string][]byte{}
		for _, f := range []string{ChainFile, AnchorFile, filepath.Base(second.Path) + ".sha256"} {
			saved[f] = read(t, filepath.Join(out, f))
		}
		bend()
		if _, err := Verify(t.Context(), second.Path, Options{}); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: got %v", name, err)
		}
		for f, b := range saved {
			put(t, out, f, string(b))
		}
	}
	if got := (Anchor{Profile: gate.Full, Decision: gate.Approved, Root: "ab"}).Tag(); got != "anchor-M2-ab" {
		t.Errorf("tag %q", got)
	}
}
