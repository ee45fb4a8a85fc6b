// Package snapshot keeps the folded state on disk, so that a restart folds only
// what came after. It promises that a file under a snapshot's name is whole and is
// the state that folding the journal up to its sequence gives, or is told as
// damaged and passed over for an older one; that writing one pauses nobody; and
// that a writer whose memory differs from a fold of the journal is found out. It
// refuses to be a source of truth: every snapshot can be made again from the
// journal, so one of another version is no error, only time.
//
// The follower that writes them is a replica of a state machine that is fed by the
// log alone (Schneider, ACM Computing Surveys 1990); a snapshot is a fuzzy
// checkpoint that is not fuzzy, because nobody changes the state that is dumped.
package snapshot

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	iofs "io/fs"
	"log/slog"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// Keep is how many snapshots are kept: the newest, and one in case that is damaged.
const Keep = 2

// The file: a header of fixed length, then the dump of the state, whose SHA-256 is
// the hash of the state. Numbers are big-endian.
const (
	magic      = "mbp-snap"
	version    = 1
	headerSize = 128
	prefix     = "snapshot-"
	unfinished = "unfinished"
	lockName   = "LOCK"
	pieceSize  = 256 << 10 // bytes of one write
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Info is what the header of a snapshot says.
type Info struct {
	Seq     engine.Seq    // the last decision in it
	At      engine.Time   // its time
	Version uint32        // of the rules that decide next (engine_version)
	Hash    engine.Digest // of the state
	Size    int64         // of the dump, bytes
}

// Name is the name of its file.
func (i *Info) Name() string { return fmt.Sprintf("%s%020d-%s", prefix, i.Seq, i.Hash) }

// parseName reads sequence and hash off a name.
func parseName(name string) (i Info, ok bool) {
	text, ok := strings.CutPrefix(name, prefix)
	seq, sum, split := strings.Cut(text, "-")
	n, err := strconv.ParseUint(seq, 10, 63)
	h, bad := hex.DecodeString(sum)
	if !ok || !split || err != nil || bad != nil || len(h) != len(i.Hash) {
		return Info{}, false
	}
	i.Seq = engine.Seq(n)
	copy(i.Hash[:], h)
	return i, i.Name() == name
}

// DamagedError says why a file is not the snapshot that its name says.
type DamagedError struct {
	Name   string
	Reason error
}

// Error names the file and the reason.
func (e *DamagedError) Error() string {
	return fmt.Sprintf("snapshot %s is damaged, or of another version: %v", e.Name, e.Reason)
}

// Unwrap returns the reason.
func (e *DamagedError) Unwrap() error { return e.Reason }

// ErrAhead means that the newest snapshot is of a decision that the journal does not have, so
// durable decisions are gone. Restore the journal, or move the snapshots away if
// they belong to another one.
var ErrAhead = errors.New("the journal ends before the newest snapshot: decisions that were durable are gone")

// ErrBusy means that another process writes a snapshot into the folder; try again later.
var ErrBusy = errors.New("another process writes a snapshot here; try again later")

// Store is a folder of snapshots.
type Store struct {
	fs  file.FS
	dir string
}

// OpenStore opens a folder, which it makes if it is absent. Any number may read it,
// and write into it one after the other.
func OpenStore(fs file.FS, dir string) (*Store, error) {
	if err := fs.MkdirAll(dir); err != nil {
		return nil, fmt.Errorf("open snapshots: %w", err)
	}
	return &Store{fs: fs, dir: dir}, nil
}

// ReadStore opens a folder for who only reads. One that is absent has no snapshots.
func ReadStore(fs file.FS, dir string) *Store { return &Store{fs: fs, dir: dir} }

// List returns the snapshots by their names, the newest first; nothing is opened.
func (s *Store) List() ([]Info, error) {
	names, err := s.fs.ReadDir(s.dir)
	if errors.Is(err, iofs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list snapshots: %w", err)
	}
	var all []Info
	for _, n := range names {
		if i, ok := parseName(n); ok {
			all = append(all, i)
		}
	}
	slices.SortStableFunc(all, func(a, b Info) int {
		if a.Seq > b.Seq {
			return -1
		}
		return 1
	})
	return all, nil
}

// Newest returns the newest state that is whole, nil if there is none; a damaged
// one is told and passed over. last is the last sequence of the journal: a newest
// snapshot beyond it is ErrAhead.
func (s *Store) Newest(last engine.Seq, log *slog.Logger) (*core.State, Info, error) {
	states, i, err := s.newest(last, 1, log)
	return states[0], i, err
}

// Twins is Newest for two states that share nothing, read at the same time.
func (s *Store) Twins(last engine.Seq, log *slog.Logger) (a, b *core.State, i Info, err error) {
	states, i, err := s.newest(last, 2, log)
	return states[0], states[1], i, err
}

func (s *Store) newest(last engine.Seq, copies int, log *slog.Logger) (states [2]*core.State, i Info, err error) {
	all, err := s.List()
	if err != nil {
		return states, i, err
	}
	for n, i := range all {
		if i.Seq > last {
			return states, i, fmt.Errorf("%w: it ends at %d, the snapshot is of %d", ErrAhead, last, i.Seq)
		}
		var (
			wg    sync.WaitGroup
			infos [2]Info
			errs  [2]error
		)
		for c := range copies {
			wg.Go(func() { states[c], infos[c], errs[c] = s.Load(i) })
		}
		wg.Wait()
		err := cmp.Or(errs[0], errs[1])
		var damaged *DamagedError
		switch {
		case errors.As(err, &damaged):
			log.Error("a snapshot cannot be used; the one before it, or the journal from its start, takes longer", "snapshot", i.Name(), "older", len(all)-n-1, "err", damaged.Reason)
		case err != nil:
			return [2]*core.State{}, i, err
		default:
			return states, infos[0], nil
		}
	}
	return [2]*core.State{}, i, nil
}

// Load reads a snapshot of List and checks every byte of it. A *DamagedError means
// that an older one is to be tried.
func (s *Store) Load(i Info) (_ *core.State, _ Info, err error) {
	name := i.Name()
	f, err := s.fs.Open(filepath.Join(s.dir, name))
	if err != nil {
		return nil, Info{}, fmt.Errorf("open snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	size, err := f.Size()
	if err != nil {
		return nil, Info{}, fmt.Errorf("open snapshot %s: %w", name, err)
	}
	damaged := func(format string, args ...any) error { return &DamagedError{name, fmt.Errorf(format, args...)} }
	var head [headerSize]byte
	if size < headerSize {
		return nil, Info{}, damaged("it has %d bytes", size)
	}
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return nil, Info{}, fmt.Errorf("read snapshot %s: %w", name, err)
	}
	full, err := decodeHeader(head[:])
	switch {
	case err != nil:
		return nil, Info{}, &DamagedError{name, err}
	case full.Seq != i.Seq || full.Hash != i.Hash:
		return nil, Info{}, damaged("it is the one of sequence %d with hash %s", full.Seq, full.Hash)
	case size != headerSize+full.Size:
		return nil, Info{}, damaged("it has %d bytes, and should have %d", size, headerSize+full.Size)
	}
	sum := sha256.New()
	state, err := core.Load(io.TeeReader(io.NewSectionReader(f, headerSize, full.Size), sum))
	got := engine.Digest(sum.Sum(nil))
	switch {
	case errors.Is(err, core.ErrDump):
		return nil, Info{}, &DamagedError{name, err}
	case err != nil:
		return nil, Info{}, fmt.Errorf("read snapshot %s: %w", name, err)
	case got != full.Hash:
		return nil, Info{}, damaged("its content has hash %s", got)
	case state.Seq() != full.Seq || state.At() != full.At || state.Version() != full.Version:
		return nil, Info{}, damaged("its header is not of its state, which is of sequence %d", state.Seq())
	}
	return state, full, nil
}
