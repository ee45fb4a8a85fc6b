package evidence

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/mbp-market/mbp/gate"
)

// The files beside a pack.
const (
	AnchorFile     = "ANCHOR.json"
	AnchorTextFile = "ANCHOR.txt"
	ChainFile      = "ANCHOR_CHAIN.jsonl"
)

// maxChain bounds the chain: 16 MiB are some forty thousand runs.
const maxChain = 16 << 20

// Anchor is ANCHOR.json, and one line of the chain: what a run was, in one
// number, and the number of the run before it. Runs that did not pass are
// anchored like the others, so that repeating until green shows.
type Anchor struct {
	Root       string `json:"root"`
	TreeSize   int    `json:"tree_size"`
	Pack       string `json:"pack"` // file name
	PackSHA256 string `json:"pack_sha256"`
	Profile    string `json:"profile"`
	Decision   string `json:"decision"`
	Commit     string `json:"commit"`
	PrevRoot   string `json:"prev_root"` // empty for the first
	Seq        int    `json:"seq"`       // from 1
}

// Tag is the name of the git tag that an approved run is anchored with; empty
// for every other run, which gets none.
func (a Anchor) Tag() string {
	if a.Profile != gate.Full || a.Decision != gate.Approved {
		return ""
	}
	return "anchor-M2-" + a.Root
}

// Text is ANCHOR.txt: the anchor for people.
func (a Anchor) Text() []byte {
	var b strings.Builder
	line := func(name string, value any) { fmt.Fprintf(&b, "%-12s %v\n", name, value) }
	line("root", a.Root)
	line("tree-size", a.TreeSize)
	line("pack", a.Pack)
	line("pack-sha256", a.PackSHA256)
	line("profile", a.Profile)
	line("decision", a.Decision)
	line("commit", a.Commit)
	if a.PrevRoot == "" {
		line("prev-root", "none")
	} else {
		line("prev-root", a.PrevRoot)
	}
	line("seq", a.Seq)
	if t := a.Tag(); t != "" {
		line("tag", t)
	}
	return []byte(b.String())
}

// anchor is what the anchor of a verified pack says, before its place in the
// chain.
func (r Result) anchor(pack string) Anchor {
	return Anchor{Root: r.Root, TreeSize: r.TreeSize, Pack: pack, PackSHA256: r.SHA256, Profile: r.Manifest.Profile,
		Decision: r.Manifest.Decision, Commit: r.Manifest.Subject.Commit}
}

// AnchorPack verifies a pack, appends it to the chain beside it and writes
// ANCHOR.json and ANCHOR.txt. A pack that is in the chain already keeps its
// place. A chain that does not hold together is refused, not repaired.
//
// The chain is written first and as a whole (temporary file, sync, rename): a
// crash before the rename leaves nothing, a crash after it leaves a chain
// without ANCHOR files, which the next call writes.
func AnchorPack(ctx context.Context, packPath string) (Anchor, error) {
	dir, base := filepath.Dir(packPath), filepath.Base(packPath)
	r, err := Verify(ctx, packPath, Options{})
	if err != nil {
		return Anchor{}, fmt.Errorf("anchor: %w", err)
	}
	a, err := chainUp(dir, r.anchor(base))
	if err != nil {
		return Anchor{}, fmt.Errorf("anchor %s: %w", base, err)
	}
	b, err := gate.Canonical(a)
	if err != nil {
		return Anchor{}, err
	}
	err = errors.Join(overwrite(filepath.Join(dir, AnchorFile), b), overwrite(filepath.Join(dir, AnchorTextFile), a.Text()))
	if err != nil {
		return Anchor{}, fmt.Errorf("anchor %s: %w", base, err)
	}
	return a, nil
}

// chainUp finds the anchor in the chain or appends it, alone.
func chainUp(dir string, a Anchor) (Anchor, error) {
	lock, err := os.Open(dir)
	if err != nil {
		return Anchor{}, err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return Anchor{}, fmt.Errorf("lock %s: %w", dir, err)
	}
	path := filepath.Join(dir, ChainFile)
	chain, err := readChain(path)
	if err != nil {
		return Anchor{}, err
	}
	var all bytes.Buffer
	for _, old := range chain {
		a.Seq, a.PrevRoot = old.Seq, old.PrevRoot
		if a == old {
			return a, nil
		}
		b, err := gate.Canonical(old)
		if err != nil {
			return Anchor{}, err
		}
		all.Write(b)
	}
	a.Seq, a.PrevRoot = len(chain)+1, ""
	if len(chain) > 0 {
		a.PrevRoot = chain[len(chain)-1].Root
	}
	b, err := gate.Canonical(a)
	if err != nil {
		return Anchor{}, err
	}
	all.Write(b)
	return a, overwrite(path, all.Bytes())
}

// readChain reads the chain and checks every link. No chain is an empty one.
func readChain(path string) ([]Anchor, error) {
	b, err := readSmall(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var chain []Anchor
	prev := ""
	for line := range bytes.Lines(b) {
		a, err := parseAnchor(line)
		if err != nil {
			return nil, fmt.Errorf("%s, line %d: %w", ChainFile, len(chain)+1, err)
		}
		if a.Seq != len(chain)+1 || a.PrevRoot != prev {
			return nil, fmt.Errorf("%s, line %d does not follow the line before it", ChainFile, len(chain)+1)
		}
		prev = a.Root
		chain = append(chain, a)
	}
	return chain, nil
}

func readAnchor(path string) (Anchor, error) {
	b, err := readSmall(path)
	if err != nil {
		return Anchor{}, err
	}
	a, err := parseAnchor(b)
	if err != nil {
		return Anchor{}, fmt.Errorf("%s: %w", AnchorFile, err)
	}
	return a, nil
}

// parseAnchor reads one anchor in exactly the form in which it is written.
func parseAnchor(b []byte) (Anchor, error) {
	var a Anchor
	if err := json.Unmarshal(b, &a); err != nil {
		return a, err
	}
	if again, err := gate.Canonical(a); err != nil || !bytes.Equal(again, b) {
		return a, errors.New("not as prega writes it")
	}
	return a, nil
}

func readSmall(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxChain+1))
	if err == nil && len(b) > maxChain {
		err = fmt.Errorf("%s has more than %d bytes", filepath.Base(path), maxChain)
	}
	return b, err
}
