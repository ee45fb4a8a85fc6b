package evidence

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/mbp-market/mbp/gate"
)

// Packed says where a pack is and what it is.
type Packed struct {
	Path     string // of the zip; Path + ".sha256" lies beside it
	SHA256   string
	Root     string // hex
	TreeSize int    // leaves: the files and the manifest
	Manifest Manifest
}

// Pack makes a pack of the evidence in dir and puts it and its .sha256 into the
// folder out. The evidence has to be judged: verdict.json and report.txt must
// be what gate.Judge and gate.Report give of it. The name comes from run.json,
// so equal evidence is the same file; a pack of other bytes under that name is
// never replaced. Secrets are the run's keys: evidence that holds one is
// refused with the name of the file.
//
// A crash leaves the old state or a complete pack, at worst without its
// .sha256; packing again completes it.
func Pack(ctx context.Context, dir, out string, secrets []string) (Packed, error) {
	p, err := pack(ctx, dir, out, secrets)
	if err != nil {
		return Packed{}, fmt.Errorf("pack %s: %w", dir, err)
	}
	return p, nil
}

func pack(ctx context.Context, dir, out string, keys []string) (Packed, error) {
	hidden, err := newSecrets(keys)
	if err != nil {
		return Packed{}, err
	}
	tree, err := os.OpenRoot(dir)
	if err != nil {
		return Packed{}, err
	}
	defer tree.Close()
	files, err := collect(ctx, tree.FS(), hidden)
	if err != nil {
		return Packed{}, err
	}
	m, ended, err := describe(tree.FS(), files)
	if err != nil {
		return Packed{}, err
	}
	manifest, all, err := m.seal()
	if err != nil {
		return Packed{}, err
	}
	h, err := root(all)
	if err != nil {
		return Packed{}, err
	}
	p := Packed{Path: filepath.Join(out, packName(m.Profile, ended)), Root: hex.EncodeToString(h[:]), TreeSize: len(all), Manifest: m}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return Packed{}, err
	}
	open := func(f File) (io.ReadCloser, error) {
		if f.Path == ManifestFile {
			return io.NopCloser(bytes.NewReader(manifest)), nil
		}
		return tree.Open(filepath.FromSlash(f.Path))
	}
	digest := sha256.New()
	err = replace(p.Path, func(w io.Writer) error { return writeZip(io.MultiWriter(w, digest), all, open) })
	if err != nil {
		return Packed{}, err
	}
	p.SHA256 = hex.EncodeToString(digest.Sum(nil))
	line := fmt.Sprintf("%s  %s\n", p.SHA256, filepath.Base(p.Path))
	return p, overwrite(p.Path+".sha256", []byte(line))
}

// collect reads every file once: name, size, hashes, and no secret in it.
func collect(ctx context.Context, evidence fs.FS, hidden *secrets) ([]File, error) {
	var files []File
	var total int64
	known := newNames()
	err := fs.WalkDir(evidence, ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return ctx.Err()
		case d.IsDir():
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is a %s, not a file", path, d.Type())
		case strings.EqualFold(path, ManifestFile):
			return fmt.Errorf("%s is the packer's own name", path)
		}
		if err := known.add(path); err != nil {
			return err
		}
		f, err := digestFile(evidence, path, hidden)
		if err != nil {
			return err
		}
		files = append(files, f)
		total += f.Size
		if len(files) > maxFiles-1 || total > maxTotal {
			return fmt.Errorf("more than %d files or %d bytes", maxFiles-1, maxTotal)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(files, func(a, b File) int { return strings.Compare(a.Path, b.Path) })
	return files, nil
}

// digestFile reads a file once and searches it for secrets across the edges of
// what is read at a time. A secret in the name counts too.
func digestFile(evidence fs.FS, path string, hidden *secrets) (File, error) {
	in, err := evidence.Open(path)
	if err != nil {
		return File{}, err
	}
	defer in.Close() //nolint:errcheck // it was only read
	if hidden.in([]byte(path)) {
		return File{}, errors.New("the name of a file holds a secret of the run; it is not repeated here")
	}
	sum, crc := sha256.New(), crc32.NewIEEE()
	f := File{Path: path}
	buf := make([]byte, 0, 256<<10+hidden.longest)
	for {
		n, err := in.Read(buf[len(buf):cap(buf)])
		fresh := buf[len(buf) : len(buf)+n]
		sum.Write(fresh)
		crc.Write(fresh)
		if f.Size += int64(n); f.Size > maxFile {
			return File{}, fmt.Errorf("%s has more than %d bytes", path, maxFile)
		}
		buf = buf[:len(buf)+n]
		if hidden.in(buf) {
			return File{}, fmt.Errorf("%s holds a secret of the run", path)
		}
		if keep := max(0, hidden.longest-1); len(buf) > keep {
			buf = append(buf[:0], buf[len(buf)-keep:]...)
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return File{}, fmt.Errorf("read %s: %w", path, err)
		}
	}
	f.SHA256, f.crc = hex.EncodeToString(sum.Sum(nil)), crc.Sum32()
	return f, nil
}

// describe judges the evidence, makes sure that this is the judgement in it,
// and writes the manifest.
func describe(evidence fs.FS, files []File) (Manifest, time.Time, error) {
	b, err := fs.ReadFile(evidence, gate.RunFile)
	if err != nil {
		return Manifest{}, time.Time{}, err
	}
	var run gate.Run
	if err := json.Unmarshal(b, &run); err != nil {
		return Manifest{}, time.Time{}, fmt.Errorf("%s: %w", gate.RunFile, err)
	}
	if run.EndedAt.IsZero() {
		return Manifest{}, time.Time{}, fmt.Errorf("%s has no ended_at, which names the pack", gate.RunFile)
	}
	m, err := manifestOf(evidence, run.Profile, files)
	return m, run.EndedAt, err
}

// manifestOf is what the manifest of this evidence has to be.
func manifestOf(evidence fs.FS, profile string, files []File) (Manifest, error) {
	v, verdict, report, err := judge(evidence, profile)
	if err != nil {
		return Manifest{}, err
	}
	for _, own := range []struct {
		path string
		want []byte
	}{{gate.VerdictFile, verdict}, {gate.ReportFile, report}} {
		got, err := fs.ReadFile(evidence, own.path)
		if err != nil {
			return Manifest{}, fmt.Errorf("not judged: %w", err)
		}
		if !bytes.Equal(got, own.want) {
			return Manifest{}, fmt.Errorf("%s is not what the evidence gives: the evidence or it was changed after the judgement, or another version of prega judged", own.path)
		}
	}
	m := Manifest{Format: Format, Profile: v.Profile, RunID: v.RunID, EndedAt: v.EndedAt, Subject: v.Subject, Decision: v.Decision,
		Expected: expected(v), Missing: []string{}, Files: files}
	have := map[string]bool{}
	for _, f := range files {
		have[f.Path] = true
	}
	for _, path := range m.Expected {
		if !have[path] {
			m.Missing = append(m.Missing, path)
		}
	}
	if v.Passed() && len(m.Missing) > 0 {
		return Manifest{}, fmt.Errorf("%s without %s", v.Decision, strings.Join(m.Missing, ", "))
	}
	return m, nil
}

// seal spells the manifest and puts it before the files: the leaves.
func (m Manifest) seal() ([]byte, []File, error) {
	b, err := gate.Canonical(m)
	if err != nil {
		return nil, nil, err
	}
	if len(b) > maxManifest {
		return nil, nil, fmt.Errorf("a manifest of %d bytes", len(b))
	}
	sum := sha256.Sum256(b)
	own := File{Path: ManifestFile, Size: int64(len(b)), SHA256: hex.EncodeToString(sum[:]), crc: crc32.ChecksumIEEE(b)}
	return b, slices.Concat([]File{own}, m.Files), nil
}

// packName is the pack's file name: the profile and the end of the run.
func packName(profile string, ended time.Time) string {
	kind := "smoke"
	if profile == gate.Full {
		kind = "s4"
	}
	return kind + "_evidence_bundle_" + ended.UTC().Format("20060102T150405Z") + ".zip"
}

func sorted(set map[string]bool) []string { return slices.Sorted(maps.Keys(set)) }
