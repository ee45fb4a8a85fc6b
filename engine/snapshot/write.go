package snapshot

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"path/filepath"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

func (i *Info) header() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	binary.BigEndian.PutUint32(b[8:], version)
	binary.BigEndian.PutUint32(b[12:], i.Version)
	binary.BigEndian.PutUint64(b[16:], uint64(i.Seq))
	binary.BigEndian.PutUint64(b[24:], uint64(i.At))
	binary.BigEndian.PutUint64(b[32:], uint64(i.Size))
	copy(b[40:], i.Hash[:])
	binary.BigEndian.PutUint32(b[headerSize-4:], crc32.Checksum(b[:headerSize-4], castagnoli))
	return b
}

func decodeHeader(b []byte) (Info, error) {
	if string(b[:8]) != magic {
		return Info{}, errors.New("it does not begin as a snapshot")
	}
	if binary.BigEndian.Uint32(b[headerSize-4:]) != crc32.Checksum(b[:headerSize-4], castagnoli) {
		return Info{}, errors.New("its header does not match its checksum")
	}
	if v := binary.BigEndian.Uint32(b[8:]); v != version {
		return Info{}, fmt.Errorf("version %d of the file is unknown to this binary", v)
	}
	i := Info{
		Version: binary.BigEndian.Uint32(b[12:]), Seq: engine.Seq(binary.BigEndian.Uint64(b[16:])),
		At: engine.Time(binary.BigEndian.Uint64(b[24:])), Size: int64(binary.BigEndian.Uint64(b[32:])),
	}
	copy(i.Hash[:], b[40:])
	if i.Size < 0 {
		return Info{}, errors.New("its length is negative")
	}
	return i, nil
}

// Write dumps a state into a file of its own, makes it durable, and removes all but
// the newest Keep. Nobody may change the state meanwhile. ErrBusy means that another
// process is writing one.
//
// The crash story: the file is written under a temporary name and synced, header
// last; renamed; the folder synced. A crash before the rename leaves a temporary
// file, which the next Write replaces; one after it leaves a whole snapshot, or
// after a loss of power the old folder without it. Older snapshots are removed only
// when the folder is synced, so there is always one that is whole, if there ever was.
func (s *Store) Write(state *core.State) (i Info, err error) {
	lock, err := s.fs.Lock(filepath.Join(s.dir, lockName))
	if errors.Is(err, journal.ErrLocked) {
		return Info{}, ErrBusy
	}
	if err != nil {
		return Info{}, fmt.Errorf("write snapshot: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	temp := filepath.Join(s.dir, unfinished)
	f, err := s.fs.Create(temp)
	if err != nil {
		return Info{}, fmt.Errorf("write snapshot: %w", err)
	}
	i, err = fill(f, state)
	if err = errors.Join(err, f.Close()); err != nil {
		return Info{}, fmt.Errorf("write snapshot of %d: %w", state.Seq(), errors.Join(err, s.fs.Remove(temp)))
	}
	if err := s.fs.Rename(temp, filepath.Join(s.dir, i.Name())); err != nil {
		return Info{}, fmt.Errorf("write snapshot of %d: %w", state.Seq(), err)
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return Info{}, fmt.Errorf("write snapshot of %d: %w", state.Seq(), err)
	}
	return i, s.thin(i)
}

// fill writes the dump and then the header that says what it is.
func fill(f file.File, state *core.State) (Info, error) {
	w := &pieces{f: f, off: headerSize, sum: sha256.New()}
	if err := state.Dump(w); err != nil {
		return Info{}, err
	}
	w.flush()
	i := Info{Seq: state.Seq(), At: state.At(), Version: state.Version(), Size: w.off - headerSize, Hash: engine.Digest(w.sum.Sum(nil))}
	if w.err != nil {
		return Info{}, w.err
	}
	if _, err := f.WriteAt(i.header(), 0); err != nil {
		return Info{}, err
	}
	return i, f.Sync()
}

// thin removes all snapshots but the newest, and newest itself stays.
func (s *Store) thin(newest Info) error {
	all, err := s.List()
	if err != nil {
		return err
	}
	for n, i := range all {
		if n < Keep || i.Name() == newest.Name() {
			continue
		}
		if err := s.fs.Remove(filepath.Join(s.dir, i.Name())); err != nil {
			return fmt.Errorf("remove an old snapshot: %w", err)
		}
	}
	return nil
}

// pieces gathers a dump into large writes and hashes it on the way.
type pieces struct {
	f   file.File
	off int64
	buf []byte
	sum hash.Hash
	err error
}

// Write implements io.Writer.
func (p *pieces) Write(b []byte) (int, error) {
	if p.buf = append(p.buf, b...); len(p.buf) >= pieceSize {
		p.flush()
	}
	return len(b), p.err
}

func (p *pieces) flush() {
	if p.err != nil || len(p.buf) == 0 {
		return
	}
	p.sum.Write(p.buf)
	if _, err := p.f.WriteAt(p.buf, p.off); err != nil {
		p.err = err
	}
	p.off += int64(len(p.buf))
	p.buf = p.buf[:0]
}
