// Package evidence makes one file of a run's evidence and checks such files. It
// promises that equal evidence gives an equal pack, whatever the clock, the
// umask, the time zone or the file system's order; that the root in the anchor
// binds every byte, path and size of it, and how many there are; and that
// Verify needs nothing but the pack (no network, no clock, no repository).
//
// It refuses what a reader could take for something else: a file more or less
// than the manifest says, names that are absolute, doubled, not plain ASCII,
// that leave the folder or that collide where case does not count; a zip with
// one byte that the packer would not have written; a verdict or report that the
// pack's own evidence does not give; and evidence that holds a secret of the run.
//
// A pack is a zip without compression (Deflate's output changes with the
// toolchain): entries sorted bytewise under EVI/, dated 1980-01-01, no extra
// fields, no data descriptors, no comments. EVI/manifest.json lists all other
// files. The root is that of RFC 6962 over one leaf a file, the manifest first
// and then the others in the order of the manifest; a leaf is the text
//
//	<sha256 in hex>  <size in bytes>  <path below EVI/>\n
//
// scripts/anchor_root.py computes the same root with Python's standard library
// alone. A verdict re-computed by a prega of another version may differ where
// the rules of judging changed; the report then says so, and the root still
// tells whether the evidence is what was anchored.
package evidence

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/gate"
)

// Limits of a pack. An hour's evidence is some tens of megabytes in a few
// hundred files; more than these is not evidence of ours, and a verifier has to
// be safe from what strangers hand it.
const (
	maxFiles    = 20_000
	maxFile     = 512 << 20
	maxTotal    = 1 << 30
	maxPack     = maxTotal + 64<<20 // headers come on top
	maxName     = 240
	maxManifest = 16 << 20
)

// Prefix is the folder inside the pack.
const Prefix = "EVI/"

// ManifestFile is the packer's own file, leaf 0. Evidence may not use the name.
const ManifestFile = "manifest.json"

// Format names the layout of packs. Another layout gets another name.
const Format = "prega-evidence/1"

// File is one file of the evidence.
type File struct {
	Path   string `json:"path"` // below EVI/, slashes
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
	crc    uint32
}

// Leaf is the text that stands for the file in the tree.
func (f File) Leaf() string { return fmt.Sprintf("%s  %d  %s\n", f.SHA256, f.Size, f.Path) }

// Manifest is manifest.json.
type Manifest struct {
	Format   string       `json:"format"`
	Profile  string       `json:"profile"`
	RunID    string       `json:"run_id"`
	EndedAt  string       `json:"ended_at"`
	Subject  gate.Subject `json:"subject"`
	Decision string       `json:"decision"`
	// Expected is every file that the verdict rests on; Missing those of them
	// that are not there, which only a run that did not pass may have.
	Expected []string `json:"expected"`
	Missing  []string `json:"missing"`
	Files    []File   `json:"files"` // sorted bytewise by path
}

// root is the RFC 6962 tree head over the leaves.
func root(files []File) (tlog.Hash, error) {
	var stored hashes
	for i, f := range files {
		h, err := tlog.StoredHashes(int64(i), []byte(f.Leaf()), &stored)
		if err != nil {
			return tlog.Hash{}, fmt.Errorf("leaf %d: %w", i, err)
		}
		stored = append(stored, h...)
	}
	h, err := tlog.TreeHash(int64(len(files)), &stored)
	if err != nil {
		return tlog.Hash{}, fmt.Errorf("root of %d leaves: %w", len(files), err)
	}
	return h, nil
}

// hashes keeps a tree in memory.
type hashes []tlog.Hash

// ReadHashes serves tlog.
func (h *hashes) ReadHashes(at []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(at))
	for i, n := range at {
		if n < 0 || n >= int64(len(*h)) {
			return nil, fmt.Errorf("no hash %d", n)
		}
		out[i] = (*h)[n]
	}
	return out, nil
}

// names keeps paths that a careless unpacker could confuse out of a pack.
type names struct {
	files map[string]string // lower case → as first written
	dirs  map[string]string
}

func newNames() names { return names{map[string]string{}, map[string]string{}} }

// add accepts a path below EVI/ or says what is wrong with it.
func (n names) add(path string) error {
	switch {
	case len(path) > maxName:
		return fmt.Errorf("%q: a name of more than %d bytes", path, maxName)
	case !fs.ValidPath(path) || path == ".":
		return fmt.Errorf("%q is not a path below %s", path, Prefix)
	case strings.ContainsFunc(path, func(r rune) bool { return r <= ' ' || r > '~' || strings.ContainsRune(`\:*?"<>|`, r) }):
		return fmt.Errorf("%q holds a character that is not plain in every file system", path)
	}
	low := strings.ToLower(path)
	if other, taken := n.files[low]; taken {
		return fmt.Errorf("%q and %q are one name where case does not count", other, path)
	}
	if other, taken := n.dirs[low]; taken {
		return fmt.Errorf("%q is a file and %q a folder", path, other)
	}
	for i, c := range path {
		if c != '/' {
			continue
		}
		dir := path[:i]
		if other, taken := n.files[low[:i]]; taken {
			return fmt.Errorf("%q is a file and %q a folder", other, dir)
		}
		if other, taken := n.dirs[low[:i]]; taken && other != dir {
			return fmt.Errorf("the folders %q and %q are one where case does not count", other, dir)
		}
		n.dirs[low[:i]] = dir
	}
	n.files[low] = path
	return nil
}

// expected lists what a verdict rests on, sorted, each once.
func expected(v gate.Verdict) []string {
	set := map[string]bool{gate.RunFile: true, gate.SheetFile: true, gate.PolicyFile: true, gate.VerdictFile: true, gate.ReportFile: true}
	for _, r := range v.Rows {
		for _, p := range r.Evidence {
			set[p] = true
		}
	}
	for _, s := range v.Steps {
		for _, p := range s.Evidence {
			set[p] = true
		}
	}
	return sorted(set)
}

// judge gives the verdict and report that the evidence deserves, with the sheet
// that lies in it.
func judge(evidence fs.FS, profile string) (v gate.Verdict, verdict, report []byte, err error) {
	f, err := evidence.Open(gate.SheetFile)
	if err != nil {
		return v, nil, nil, err
	}
	sheet, err := gate.ReadSheet(f)
	if err = errors.Join(err, f.Close()); err != nil {
		return v, nil, nil, fmt.Errorf("%s: %w", gate.SheetFile, err)
	}
	if v, err = gate.Judge(evidence, sheet, profile); err != nil {
		return v, nil, nil, err
	}
	verdict, err = v.Bytes()
	return v, verdict, gate.Report(v), err
}
