package scan

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
)

const (
	// maxTree bounds the copy of the repository that is scanned.
	maxTree = 1 << 30
	// maxReport bounds a report that is read back.
	maxReport = 64 << 20
)

// ignoreFile lists findings to pass over. Gitleaks reads it from the folder it
// scans, whatever it was told; so it is kept out of the tree's copy, and the
// history is scanned from git's own folder, where it has no business.
const ignoreFile = ".gitleaksignore"

// Secrets is security/gitleaks.json.
type Secrets struct {
	Findings     int          `json:"findings"` // in tree and history together
	ConfigSHA256 string       `json:"config_sha256"`
	Tree         SecretsPart  `json:"tree"`
	History      SecretsPart  `json:"history"`
	Canary       CanaryResult `json:"canary"`
}

// SecretsPart says what was looked at and what was found in it.
type SecretsPart struct {
	Files    int          `json:"files,omitempty"`   // scanned as files of the work tree
	Commits  int          `json:"commits,omitempty"` // scanned as history
	Bytes    int64        `json:"bytes"`
	Findings []SecretFind `json:"findings"`
}

// SecretFind names the place of a secret, never the secret or its author.
type SecretFind struct {
	RuleID      string `json:"rule"`
	Description string `json:"description"`
	File        string `json:"file"`
	StartLine   int    `json:"line"`
	Commit      string `json:"commit,omitempty"`
}

// CanaryResult counts planted faults and how many the scanner found.
type CanaryResult struct {
	Planted []string `json:"planted"`
	Found   []string `json:"found"`
}

// Awake is true if everything planted was found.
func (c CanaryResult) Awake() bool {
	have := map[string]bool{}
	for _, f := range c.Found {
		have[f] = true
	}
	for _, p := range c.Planted {
		if !have[p] {
			return false
		}
	}
	return len(c.Planted) > 0
}

// canaryRules are the rules whose secrets are planted; both belong to the
// scanner's own set, so a configuration that drops it is caught.
var canaryRules = []string{"aws-access-token", "private-key"}

// plantedSecrets are made when they are needed, so that this file holds none.
func plantedSecrets() string {
	dashes := strings.Repeat("-", 5)
	key := "AKIA" + "Q3EGRV7UNH2LWZTX"
	body := strings.Repeat("MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJTUt9Us8cKj\n", 4)
	return "aws_access_key_id = " + key + "\n" +
		dashes + "BEGIN RSA PRIVATE " + "KEY" + dashes + "\n" + body + dashes + "END RSA PRIVATE " + "KEY" + dashes + "\n"
}

// Gitleaks scans the files that git tracks or would track, and the whole
// history, after both scans have found what was planted for them. It writes
// gitleaks.json and gitleaks_canary.json.
func (s Scanner) Gitleaks(ctx context.Context) (Secrets, error) {
	var r Secrets
	config, err := s.gitleaksConfig()
	if err != nil {
		return r, err
	}
	sum := sha256.Sum256(config)
	r.ConfigSHA256 = hex.EncodeToString(sum[:])
	r.Canary, err = s.secretsCanary(ctx)
	if err != nil {
		return r, err
	}
	if err := s.writeReport("gitleaks_canary.json", r.Canary); err != nil {
		return r, err
	}
	if !r.Canary.Awake() {
		return r, fmt.Errorf("gitleaks found %v of the planted %v: its silence proves nothing", r.Canary.Found, r.Canary.Planted)
	}
	if r.Tree, err = s.scanTree(ctx); err != nil {
		return r, err
	}
	if r.History, err = s.scanHistory(ctx, s.Root, "history"); err != nil {
		return r, err
	}
	r.Findings = len(r.Tree.Findings) + len(r.History.Findings)
	return r, s.writeReport("gitleaks.json", r)
}

// gitleaksConfig puts the configuration to use into Work: the repository's, or
// the scanner's own rules.
func (s Scanner) gitleaksConfig() ([]byte, error) {
	b, err := os.ReadFile(filepath.Join(s.Root, ".gitleaks.toml"))
	if errors.Is(err, fs.ErrNotExist) {
		b, err = []byte("[extend]\nuseDefault = true\n"), nil
	}
	if err != nil {
		return nil, fmt.Errorf("read gitleaks configuration: %w", err)
	}
	if err := os.MkdirAll(s.Work, 0o700); err != nil {
		return nil, fmt.Errorf("write gitleaks configuration: %w", err)
	}
	return b, writeAll(s.Work, map[string]string{"gitleaks.toml": string(b), "no-waivers": ""})
}

// secretsCanary plants secrets in a folder, and in the history of a repository
// whose last commit removed them again.
func (s Scanner) secretsCanary(ctx context.Context) (CanaryResult, error) {
	c := CanaryResult{Found: []string{}}
	dir, err := s.folder("canary-tree")
	if err != nil {
		return c, err
	}
	if err := writeAll(dir, map[string]string{"deploy/settings.ini": plantedSecrets()}); err != nil {
		return c, err
	}
	finds, _, err := s.gitleaks(ctx, "dir", dir, "canary-tree")
	if err != nil {
		return c, err
	}
	c.note("tree", finds)
	repo, err := s.folder("canary-history")
	if err != nil {
		return c, err
	}
	if err := s.plantHistory(ctx, repo); err != nil {
		return c, err
	}
	part, err := s.scanHistory(ctx, repo, "canary-history")
	if err != nil {
		return c, err
	}
	c.note("history", part.Findings)
	return c, nil
}

func (c *CanaryResult) note(where string, finds []SecretFind) {
	for _, rule := range canaryRules {
		c.Planted = append(c.Planted, where+"/"+rule)
		for _, f := range finds {
			if f.RuleID == rule {
				c.Found = append(c.Found, where+"/"+rule)
				break
			}
		}
	}
}

// plantHistory commits the secrets and removes them.
func (s Scanner) plantHistory(ctx context.Context, repo string) error {
	file := filepath.Join(repo, "settings.ini")
	for i, text := range []string{plantedSecrets(), "none\n"} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			return fmt.Errorf("plant secret: %w", err)
		}
		calls := [][]string{{"add", "settings.ini"}, {"-c", "user.name=canary", "-c", "user.email=canary@example.invalid", "-c", "commit.gpgsign=false", "commit", "-q", "-m", "canary " + strconv.Itoa(i)}}
		if i == 0 {
			calls = append([][]string{{"init", "-q"}}, calls...)
		}
		for _, args := range calls {
			if _, err := s.git(ctx, repo, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

// git runs git in dir and gives its standard output.
func (s Scanner) git(ctx context.Context, dir string, args ...string) ([]byte, error) {
	out, err := s.Exec(ctx, Command{Argv: append([]string{"git"}, args...), Dir: dir})
	if err != nil {
		return nil, fmt.Errorf("git %s: %w", args[0], err)
	}
	if out.Exit != 0 {
		return nil, unavailable("git %s ended with status %d: %s", args[0], out.Exit, lastLine(out.Stderr))
	}
	return out.Stdout, nil
}

// scanTree copies what git tracks or would track, and scans the copy: build
// output, caches and the gate's own scratch are not part of the product.
func (s Scanner) scanTree(ctx context.Context) (SecretsPart, error) {
	part := SecretsPart{Findings: []SecretFind{}}
	list, err := s.git(ctx, s.Root, "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--deduplicate")
	if err != nil {
		return part, err
	}
	dir, err := s.folder("tree")
	if err != nil {
		return part, err
	}
	defer func() { _ = os.RemoveAll(dir) }() // the scratch folder ends with the run anyway
	for _, name := range strings.Split(strings.TrimSuffix(string(list), "\x00"), "\x00") {
		if name == ignoreFile {
			continue
		}
		n, err := copyTracked(s.Root, dir, name)
		if err != nil {
			return part, err
		}
		if n >= 0 {
			part.Files++
			part.Bytes += n
		}
		if part.Bytes > maxTree {
			return part, fmt.Errorf("the tracked files are larger than %d bytes", maxTree)
		}
	}
	if part.Files == 0 {
		return part, unavailable("git lists no files")
	}
	finds, stderr, err := s.gitleaks(ctx, "dir", dir, "tree")
	if err != nil {
		return part, err
	}
	if number(scannedBytes, stderr) <= 0 {
		return part, fmt.Errorf("gitleaks scanned nothing of %d files", part.Files)
	}
	part.Findings = finds
	return part, nil
}

// copyTracked copies one regular file and returns its size, or -1 for what is
// none: links point to files that are tracked themselves, and a file deleted
// from the work tree is in the history.
func copyTracked(root, dir, name string) (int64, error) {
	from := filepath.Join(root, name)
	info, err := os.Lstat(from)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return -1, nil
	}
	if err != nil {
		return 0, fmt.Errorf("copy %s: %w", name, err)
	}
	b, err := os.ReadFile(from)
	if err != nil {
		return 0, fmt.Errorf("copy %s: %w", name, err)
	}
	return int64(len(b)), writeAll(dir, map[string]string{name: string(b)})
}

// scanHistory scans every commit that any reference reaches. A shallow clone
// would hide most of them and is refused.
func (s Scanner) scanHistory(ctx context.Context, repo, label string) (SecretsPart, error) {
	part := SecretsPart{Findings: []SecretFind{}}
	shallow, err := s.git(ctx, repo, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return part, err
	}
	if strings.TrimSpace(string(shallow)) != "false" {
		return part, unavailable("this clone is shallow and hides its history (git fetch --unshallow)")
	}
	dir, err := s.git(ctx, repo, "rev-parse", "--absolute-git-dir")
	if err != nil {
		return part, err
	}
	store := strings.TrimSpace(string(dir))
	if _, err := os.Lstat(filepath.Join(store, ignoreFile)); err == nil {
		return part, fmt.Errorf("%s lies in git's own folder and would hide findings", ignoreFile)
	}
	finds, stderr, err := s.gitleaks(ctx, "git", store, label)
	if err != nil {
		return part, err
	}
	part.Commits, part.Bytes = int(number(scannedCommits, stderr)), number(scannedBytes, stderr)
	if part.Commits == 0 || part.Bytes == 0 {
		return part, fmt.Errorf("gitleaks scanned %d commits and %d bytes of the history: %s", part.Commits, part.Bytes, lastLine(stderr))
	}
	part.Findings = finds
	return part, nil
}

var (
	scannedBytes   = regexp.MustCompile(`scanned ~(\d+) bytes`)
	scannedCommits = regexp.MustCompile(`(\d+) commits scanned`)
)

func number(re *regexp.Regexp, text []byte) int64 {
	m := re.FindSubmatch(text)
	if m == nil {
		return 0
	}
	n, err := strconv.ParseInt(string(m[1]), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// gitleaks runs one scan and reads its report. Ignore files and inline waivers
// are switched off; secrets are redacted before they are written anywhere.
func (s Scanner) gitleaks(ctx context.Context, mode, dir, label string) ([]SecretFind, []byte, error) {
	report := filepath.Join(s.Work, label+".json")
	out, err := s.Exec(ctx, Command{Dir: dir, Argv: []string{
		s.Tool, mode, ".", "--no-banner", "--no-color", "--redact=100", "--ignore-gitleaks-allow", "--log-level=info",
		"--config", filepath.Join(s.Work, "gitleaks.toml"), "--gitleaks-ignore-path", filepath.Join(s.Work, "no-waivers"),
		"--report-format=json", "--report-path", report, "--exit-code=9",
	}})
	if err != nil {
		return nil, nil, fmt.Errorf("gitleaks %s: %w", mode, err)
	}
	raw, err := os.ReadFile(report)
	if err != nil || len(raw) > maxReport {
		return nil, nil, fmt.Errorf("gitleaks %s wrote no report (status %d): %s", mode, out.Exit, lastLine(out.Stderr))
	}
	var doc []struct {
		RuleID, Description, File, Commit string
		StartLine                         int
	}
	d := json.NewDecoder(bytes.NewReader(raw))
	if err := d.Decode(&doc); err != nil {
		return nil, nil, fmt.Errorf("gitleaks %s: read report: %w", mode, err)
	}
	if found := len(doc) > 0; out.Exit != 0 && out.Exit != 9 || found != (out.Exit == 9) {
		return nil, nil, fmt.Errorf("gitleaks %s ended with status %d and %d findings: %s", mode, out.Exit, len(doc), lastLine(out.Stderr))
	}
	finds := make([]SecretFind, 0, len(doc))
	for _, f := range doc {
		finds = append(finds, SecretFind{RuleID: f.RuleID, Description: f.Description, File: filepath.ToSlash(f.File), Commit: f.Commit, StartLine: f.StartLine})
	}
	return finds, out.Stderr, nil
}
