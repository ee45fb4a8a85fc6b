package evidence

import (
	"archive/zip"
	"bufio"
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
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/mbp-market/mbp/gate"
)

// Options say how Verify checks; the zero value is the strict way.
type Options struct {
	// Root is a root (hex) that is known from outside, such as a tag. Another
	// root is refused. Empty: whatever lies beside the pack is compared.
	Root string
	// SkipReevaluation leaves verdict and report unjudged: for packs of a prega
	// with other rules, whose bytes are still worth checking.
	SkipReevaluation bool
}

// Result is what a good pack is.
type Result struct {
	Manifest    Manifest
	Root        string
	TreeSize    int
	SHA256      string       // of the pack
	Verdict     gate.Verdict // empty if not re-evaluated
	Reevaluated bool
	Beside      []string // files beside the pack that agree with it
}

// Verify checks a pack without anything but the file and what lies beside it.
// It reads bounded amounts, and the error names the file in the pack that is
// not what was packed, or what else is wrong.
func Verify(ctx context.Context, packPath string, opts Options) (Result, error) {
	r, err := verify(ctx, packPath, opts)
	if err != nil {
		return Result{}, fmt.Errorf("verify %s: %w", filepath.Base(packPath), err)
	}
	return r, nil
}

func verify(ctx context.Context, packPath string, opts Options) (Result, error) {
	f, err := os.Open(packPath)
	if err != nil {
		return Result{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Result{}, err
	}
	if !info.Mode().IsRegular() {
		return Result{}, errors.New("not a file")
	}
	r, err := verifyPack(ctx, f, info.Size(), opts)
	if err != nil {
		return Result{}, err
	}
	if opts.Root != "" && opts.Root != r.Root {
		return Result{}, fmt.Errorf("the root is %s, not %s", r.Root, opts.Root)
	}
	return r, r.compareBeside(packPath)
}

// verifyPack checks everything that is inside.
func verifyPack(ctx context.Context, in io.ReaderAt, size int64, opts Options) (Result, error) {
	d, err := readDirectory(in, size)
	if err != nil {
		return Result{}, err
	}
	if err := d.digest(ctx, in); err != nil {
		return Result{}, err
	}
	m, files, err := d.manifest(in)
	if err != nil {
		return Result{}, err
	}
	sum, err := d.rebuild(in, size)
	if err != nil {
		return Result{}, err
	}
	h, err := root(files)
	if err != nil {
		return Result{}, err
	}
	r := Result{Manifest: m, Root: hex.EncodeToString(h[:]), TreeSize: len(files), SHA256: sum}
	if opts.SkipReevaluation {
		return r, nil
	}
	z, err := zip.NewReader(in, size) // byte for byte what writeZip writes
	if err != nil {
		return Result{}, err
	}
	evidence, err := fs.Sub(z, strings.TrimSuffix(Prefix, "/"))
	if err != nil {
		return Result{}, err
	}
	if err := reevaluate(withoutManifest{evidence}, m); err != nil {
		return Result{}, err
	}
	r.Reevaluated = true
	b, err := fs.ReadFile(evidence, gate.VerdictFile)
	if err != nil {
		return Result{}, err
	}
	return r, json.Unmarshal(b, &r.Verdict)
}

// withoutManifest is the evidence as the packer saw it.
type withoutManifest struct{ fs.FS }

// Open hides the packer's own file.
func (w withoutManifest) Open(name string) (fs.File, error) {
	if name == ManifestFile {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return w.FS.Open(name)
}

// reevaluate judges anew and wants the same manifest, verdict and report.
func reevaluate(evidence fs.FS, m Manifest) error {
	again, err := manifestOf(evidence, m.Profile, m.Files)
	if err != nil {
		return fmt.Errorf("re-evaluate: %w", err)
	}
	want, err1 := gate.Canonical(again)
	got, err2 := gate.Canonical(m)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	if !bytes.Equal(want, got) {
		return fmt.Errorf("re-evaluate: %s does not say what the evidence gives", ManifestFile)
	}
	return nil
}

// entry is a file in the pack and where its local header starts.
type entry struct {
	File
	at int64
}

func (e entry) data() int64 { return e.at + localLen + int64(len(Prefix)+len(e.Path)) }
func (e entry) end() int64  { return e.data() + e.Size }

// directory is the pack as its central directory describes it.
type directory struct {
	entries []entry
	at      int64 // where the central directory starts
}

// digest hashes every file and holds its checksum against the directory.
func (d *directory) digest(ctx context.Context, in io.ReaderAt) error {
	for i := range d.entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		e := &d.entries[i]
		sum, crc := sha256.New(), crc32.NewIEEE()
		if _, err := io.Copy(io.MultiWriter(sum, crc), io.NewSectionReader(in, e.data(), e.Size)); err != nil {
			return fmt.Errorf("%s%s: %w", Prefix, e.Path, err)
		}
		if crc.Sum32() != e.crc {
			return fmt.Errorf("%s%s: its bytes are not those that were packed", Prefix, e.Path)
		}
		e.SHA256 = hex.EncodeToString(sum.Sum(nil))
	}
	return nil
}

// manifest reads the manifest, compares it with the files that are there, and
// returns the leaves.
func (d *directory) manifest(in io.ReaderAt) (Manifest, []File, error) {
	var m Manifest
	files := make([]File, 0, len(d.entries))
	for _, e := range d.entries {
		if e.Path != ManifestFile {
			files = append(files, e.File)
			continue
		}
		if e.Size > maxManifest {
			return m, nil, fmt.Errorf("%s%s has %d bytes", Prefix, ManifestFile, e.Size)
		}
		b := make([]byte, e.Size)
		if _, err := in.ReadAt(b, e.data()); err != nil && !errors.Is(err, io.EOF) {
			return m, nil, err
		}
		j := json.NewDecoder(bytes.NewReader(b))
		j.DisallowUnknownFields()
		if err := j.Decode(&m); err != nil {
			return m, nil, fmt.Errorf("%s%s: %w", Prefix, ManifestFile, err)
		}
		if again, err := gate.Canonical(m); err != nil || !bytes.Equal(again, b) {
			return m, nil, fmt.Errorf("%s%s is not in canonical form", Prefix, ManifestFile)
		}
		files = append([]File{e.File}, files...)
	}
	if len(files) == 0 || files[0].Path != ManifestFile {
		return m, nil, fmt.Errorf("there is no %s%s", Prefix, ManifestFile)
	}
	if m.Format != Format {
		return m, nil, fmt.Errorf("the format is %q, this prega reads %q", m.Format, Format)
	}
	return m, files, compareFiles(m.Files, files[1:])
}

// compareFiles names the first file that is missing, extra or another.
func compareFiles(want, have []File) error {
	if !slices.IsSortedFunc(want, func(a, b File) int { return strings.Compare(a.Path, b.Path) }) {
		return fmt.Errorf("%s%s: its files are not sorted", Prefix, ManifestFile)
	}
	for i := 0; i < len(want) || i < len(have); i++ {
		switch {
		case i == len(have) || i < len(want) && want[i].Path < have[i].Path:
			return fmt.Errorf("%s%s is in the manifest and not in the pack", Prefix, want[i].Path)
		case i == len(want) || want[i].Path > have[i].Path:
			return fmt.Errorf("%s%s is in the pack and not in the manifest", Prefix, have[i].Path)
		case want[i].SHA256 != have[i].SHA256 || want[i].Size != have[i].Size:
			return fmt.Errorf("%s%s: its SHA-256 or size is not the manifest's", Prefix, have[i].Path)
		}
	}
	return nil
}

// rebuild packs the files again and compares every byte; it returns the
// SHA-256 of the pack.
func (d *directory) rebuild(in io.ReaderAt, size int64) (string, error) {
	files := make([]File, len(d.entries))
	at := map[string]entry{}
	for i, e := range d.entries {
		files[i], at[e.Path] = e.File, e
	}
	sum := sha256.New()
	c := &comparer{want: bufio.NewReaderSize(io.TeeReader(io.NewSectionReader(in, 0, size), sum), 1<<20)}
	err := writeZip(c, files, func(f File) (io.ReadCloser, error) {
		return io.NopCloser(io.NewSectionReader(in, at[f.Path].data(), f.Size)), nil
	})
	if errors.Is(err, errDiffers) || err == nil && c.at != size {
		return "", fmt.Errorf("%s is not as the packer writes it (byte %d)", d.place(c.at), c.at)
	}
	return hex.EncodeToString(sum.Sum(nil)), err
}

// place names what lies at an offset.
func (d *directory) place(at int64) string {
	for _, e := range d.entries {
		if at < e.end() {
			return Prefix + e.Path + ": its header"
		}
	}
	return "the central directory"
}

// compareBeside holds the pack against what lies beside it, if anything does.
func (r *Result) compareBeside(packPath string) error {
	base := filepath.Base(packPath)
	b, err := os.ReadFile(packPath + ".sha256")
	if err == nil {
		if want := fmt.Sprintf("%s  %s\n", r.SHA256, base); string(b) != want {
			return fmt.Errorf("%s.sha256 does not name this pack: its SHA-256 is %s", base, r.SHA256)
		}
		r.Beside = append(r.Beside, base+".sha256")
	} else if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	one, err := readAnchor(filepath.Join(filepath.Dir(packPath), AnchorFile))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	chain, err := readChain(filepath.Join(filepath.Dir(packPath), ChainFile))
	if err != nil {
		return err
	}
	for i, a := range append([]Anchor{one}, chain...) {
		if a.Pack != base && a.Root != r.Root {
			continue // the anchor of another run
		}
		file := AnchorFile
		if i > 0 {
			file = ChainFile
		}
		want := r.anchor(a.Pack)
		want.Seq, want.PrevRoot = a.Seq, a.PrevRoot
		if a != want {
			return fmt.Errorf("%s anchors root %s with %q, this pack is root %s with %q", file, a.Root, a.Decision, r.Root, want.Decision)
		}
		r.Beside = append(r.Beside, file)
	}
	return nil
}
