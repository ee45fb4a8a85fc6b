package stage

import (
	"bytes"
	"context"
	"crypto/sha256"
	"debug/buildinfo"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/mbp-market/mbp/gate"
	"github.com/mbp-market/mbp/gate/plan"
)

const (
	// maxKept bounds one file that becomes evidence.
	maxKept = 64 << 20
	// maxEvidence bounds what a run may leave in all.
	maxEvidence = 512 << 20
	// minSecret is the shortest string that is looked for as a secret; shorter
	// ones would be found everywhere.
	minSecret = 16
	// secretPrefix is how many bytes find the secrets that a place may hold.
	secretPrefix = 8
	// versionTimeout bounds the question for a tool's version.
	versionTimeout = 20 * time.Second
)

// identify records what is judged and what judges: commit, binaries, tools. A
// tool that is missing is not recorded; the step that needs it says so.
func (r *runner) identify(ctx context.Context) error {
	var err error
	if r.run.Subject, err = subject(ctx, r.Root); err != nil {
		return err
	}
	for _, path := range r.cfg.Subject {
		if t, err := r.program(path, path); err == nil {
			r.run.Binaries = append(r.run.Binaries, t)
		}
	}
	for _, c := range r.cfg.Tools {
		t, err := r.program(c.Name, c.Path)
		if err != nil {
			continue
		}
		if len(c.Version) > 0 {
			t.Version = r.version(ctx, append([]string{r.scope["tool."+c.Name]}, c.Version...))
		}
		r.run.Tools = append(r.run.Tools, t)
	}
	return nil
}

// program hashes a file, given by its path in the configuration.
func (r *runner) program(name, path string) (gate.Tool, error) {
	p, err := r.scope.Expand(path)
	if err != nil {
		return gate.Tool{}, err
	}
	shown, err := r.shown.Expand(path)
	if err != nil {
		return gate.Tool{}, err
	}
	if strings.ContainsRune(p, '/') {
		p = r.abs(p)
	}
	file, err := locate(p)
	if err != nil {
		return gate.Tool{}, err
	}
	sum, err := fileSHA256(file)
	if err != nil {
		return gate.Tool{}, err
	}
	t := gate.Tool{Name: name, Path: shown, SHA256: sum}
	if info, err := buildinfo.ReadFile(file); err == nil {
		t.Version = strings.TrimSpace(info.Main.Path + " " + info.Main.Version + " " + info.GoVersion)
	}
	return t, nil
}

// locate finds a program: a bare name on PATH, anything else where it says.
func locate(path string) (string, error) {
	if strings.ContainsRune(path, '/') {
		_, err := os.Stat(path)
		return path, err
	}
	return exec.LookPath(path)
}

func fileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

func (r *runner) version(ctx context.Context, argv []string) string {
	out, err := r.output(ctx, r.Root, argv...)
	if err != nil {
		return "unknown: " + r.scrub(err.Error())
	}
	return clip(strings.Join(strings.Fields(out), " "), 200)
}

// output runs a short command in the environment of the run.
func (r *runner) output(ctx context.Context, dir string, argv ...string) (string, error) {
	env, err := r.environ(nil)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, versionTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Dir, cmd.Env, cmd.WaitDelay, cmd.SysProcAttr = dir, env, drain, ownGroup()
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// subject asks git what is judged.
func subject(ctx context.Context, root string) (gate.Subject, error) {
	ask := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", root}, args...)...)
		out, err := cmd.Output()
		if err != nil {
			return "", fmt.Errorf("git %s: %w (the gate judges a commit)", args[0], err)
		}
		return strings.TrimSpace(string(out)), nil
	}
	commit, err1 := ask("rev-parse", "HEAD")
	tree, err2 := ask("rev-parse", "HEAD^{tree}")
	changed, err3 := ask("status", "--porcelain")
	return gate.Subject{Commit: commit, Tree: tree, Dirty: changed != ""}, errors.Join(err1, err2, err3)
}

// copyPolicy copies what the verdict will be held to, byte for byte, before
// anything has run. The sheet and the plan get the names that the judge knows;
// a pattern keeps its folder: docs/adr/*.md becomes policy/adr/x.md.
func (r *runner) copyPolicy() error {
	copies := map[string]string{gate.SheetFile: filepath.Join(r.Root, r.cfg.Sheet), gate.PolicyFile: r.File}
	for _, pattern := range r.cfg.Policy {
		paths, err := filepath.Glob(filepath.Join(r.Root, pattern))
		if err != nil || len(paths) == 0 {
			return fmt.Errorf("policy: %s matches no file", pattern)
		}
		for _, path := range paths {
			to := "policy/" + filepath.Base(path)
			if strings.ContainsAny(pattern, "*?[") {
				to = "policy/" + filepath.Base(filepath.Dir(path)) + "/" + filepath.Base(path)
			}
			if other, twice := copies[to]; twice {
				return fmt.Errorf("policy: %s and %s would both be %s", other, path, to)
			}
			copies[to] = path
		}
	}
	for _, to := range sortedKeys(copies) {
		b, err := os.ReadFile(copies[to])
		if err != nil {
			return fmt.Errorf("policy: %w", err)
		}
		if err := r.write(to, b); err != nil {
			return err
		}
	}
	return nil
}

// keep copies a file or folder of a step into the evidence.
func (r *runner) keep(e plan.Evidence) error {
	from, err := r.scope.Expand(e.From)
	if err != nil {
		return err
	}
	from = r.abs(from)
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("it left no %s", e.From)
	}
	if !info.IsDir() {
		return r.keepFile(from, e.To)
	}
	return filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		rel, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		return r.keepFile(path, filepath.Join(e.To, rel))
	})
}

func (r *runner) keepFile(from, to string) error {
	info, err := os.Stat(from)
	if err != nil {
		return fmt.Errorf("keep %s: %w", to, err)
	}
	if info.Size() > maxKept {
		return fmt.Errorf("keep %s: %d bytes, at most %d are evidence", to, info.Size(), maxKept)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return fmt.Errorf("keep %s: %w", to, err)
	}
	return r.write(to, r.scrubBytes(b))
}

// scrubBytes replaces the folders of this machine by references in
// text. Nothing else of a file is changed; other bytes are kept as they are.
func (r *runner) scrubBytes(b []byte) []byte {
	if !utf8.Valid(b) {
		return b
	}
	home, _ := os.UserHomeDir()
	for _, p := range []struct{ path, as string }{{r.Root, "${root}"}, {home, "${home}"}} {
		if len(p.path) > 3 {
			b = bytes.ReplaceAll(b, []byte(p.path), []byte(p.as))
		}
	}
	return b
}

func (r *runner) scrub(s string) string { return string(r.scrubBytes([]byte(s))) }

// scrubFiles does the same for the logs in a folder, and opens them to readers.
func (r *runner) scrubFiles(dir string) {
	logs, _ := filepath.Glob(filepath.Join(dir, "*.txt"))
	for _, path := range logs {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		_ = os.WriteFile(path, r.scrubBytes(b), 0o644)
		_ = os.Chmod(path, 0o644)
	}
}

// gatherSecrets reads the secrets of the run, so that they can be looked for.
func (r *runner) gatherSecrets() {
	for _, s := range r.cfg.Secrets {
		path, err := r.scope.Expand(s.File)
		if err != nil {
			continue
		}
		b, err := os.ReadFile(r.abs(path))
		if err != nil {
			continue
		}
		for _, m := range regexp.MustCompile(s.Pattern).FindAll(b, -1) {
			if len(m) >= minSecret {
				r.forbidden = append(r.forbidden, string(m))
			}
		}
	}
	slices.Sort(r.forbidden)
	r.forbidden = slices.Compact(r.forbidden)
}

// leaks finds files of the evidence that hold a secret, removes them and
// returns their names: a pack must not carry them, and the run has failed.
func (r *runner) leaks() (found []string, err error) {
	tree, err := os.OpenRoot(r.evi)
	if err != nil {
		return nil, fmt.Errorf("look for secrets: %w", err)
	}
	defer tree.Close()
	start := map[string][]string{} // secrets by their first bytes
	for _, s := range r.forbidden {
		start[s[:secretPrefix]] = append(start[s[:secretPrefix]], s)
	}
	total := 0
	err = fs.WalkDir(tree.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := tree.ReadFile(path)
		if err != nil {
			return err
		}
		if total += len(b); total > maxEvidence {
			return fmt.Errorf("the evidence is larger than %d bytes", maxEvidence)
		}
		if !holds(b, start) {
			return nil
		}
		found = append(found, path)
		return tree.Remove(path)
	})
	if err != nil {
		return found, fmt.Errorf("look for secrets: %w", err)
	}
	return found, nil
}

// holds reports whether one of the secrets is in b.
func holds(b []byte, start map[string][]string) bool {
	for i := 0; i+secretPrefix <= len(b); i++ {
		for _, s := range start[string(b[i:i+secretPrefix])] {
			if bytes.HasPrefix(b[i:], []byte(s)) {
				return true
			}
		}
	}
	return false
}
