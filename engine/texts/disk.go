package texts

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"path/filepath"

	"github.com/mbp-market/mbp/engine/journal/file"
)

// sealed puts length and CRC-32C before a payload.
func sealed(payload []byte) []byte {
	b := make([]byte, headSize, headSize+len(payload))
	binary.BigEndian.PutUint32(b, uint32(len(payload)))
	binary.BigEndian.PutUint32(b[4:], crc32.Checksum(payload, castagnoli))
	return append(b, payload...)
}

// whole returns the payload of the record that b begins with; false if there is none.
func whole(b []byte) ([]byte, bool) {
	if len(b) < headSize {
		return nil, false
	}
	n := int(binary.BigEndian.Uint32(b))
	if n == 0 || n > maxFrame || len(b) < headSize+n {
		return nil, false
	}
	payload := b[headSize : headSize+n]
	return payload, crc32.Checksum(payload, castagnoli) == binary.BigEndian.Uint32(b[4:])
}

// load reads a file: its entries, where the last one ends, and whether a record
// behind them was torn by a crash. A torn one is the last, because each is durable
// before the next one is written; what is not whole before a whole one is damage.
func load(f file.File) (entries []*Entry, end int64, torn bool, err error) {
	size, err := f.Size()
	if err != nil {
		return nil, 0, false, err
	}
	if size > MaxBytes+maxFrame+headSize {
		return nil, 0, false, fmt.Errorf("%w: it has %d bytes", ErrDamaged, size)
	}
	b := make([]byte, size)
	if n, err := f.ReadAt(b, 0); int64(n) != size && err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, false, err
	}
	return parse(b)
}

// parse reads the bytes of a file.
func parse(b []byte) (entries []*Entry, end int64, torn bool, err error) {
	if len(b) < len(magic) || string(b[:len(magic)]) != magic {
		return nil, 0, false, fmt.Errorf("%w: it does not begin as a store", ErrDamaged)
	}
	at := len(magic)
	for at < len(b) {
		payload, ok := whole(b[at:])
		if !ok {
			break
		}
		e := &Entry{}
		if err := json.Unmarshal(payload, e); err != nil {
			return nil, 0, false, fmt.Errorf("%w: a record at byte %d does not read", ErrDamaged, at)
		}
		if e.Kind != Identity && IDOf(e.Salt, e.Text) != e.ID {
			return nil, 0, false, fmt.Errorf("%w: the text at byte %d has another id", ErrDamaged, at)
		}
		entries = append(entries, e)
		at += headSize + len(payload)
	}
	rest := b[at:]
	if len(rest) > headSize+maxFrame {
		return nil, 0, false, fmt.Errorf("%w: no record begins at byte %d of %d", ErrDamaged, at, len(b))
	}
	for i := 1; i < len(rest); i++ {
		if _, ok := whole(rest[i:]); ok {
			return nil, 0, false, fmt.Errorf("%w: no record begins at byte %d, and one at %d", ErrDamaged, at, at+i)
		}
	}
	return entries, int64(at), len(rest) > 0, nil
}

// rewrite writes the entries into a file anew, and wipes the old one; the caller
// holds writing, or nobody else has the store.
//
// The crash story: the new file is whole and synced before it takes the name, and the
// folder is synced before the old bytes are wiped through the handle that is still
// open. A crash before the name leaves the old store, and the erasure is asked for
// again, because the log has it; one after leaves the new one, and at worst the old
// bytes where no file is any more.
func (s *Store) rewrite() error {
	err := s.replace()
	if err != nil {
		s.failed = fmt.Errorf("%w: %w", ErrFailed, err)
		return s.failed
	}
	return nil
}

func (s *Store) replace() error {
	temp := filepath.Join(s.dir, unfinished)
	f, err := s.fs.Create(temp)
	if err != nil {
		return err
	}
	b := []byte(magic)
	for _, e := range s.entries {
		one, err := frame(e)
		if err != nil {
			return errors.Join(err, f.Close())
		}
		b = append(b, one...)
	}
	if _, err := f.WriteAt(b, 0); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Sync(); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := s.fs.Rename(temp, filepath.Join(s.dir, name)); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := s.fs.SyncDir(s.dir); err != nil {
		return errors.Join(err, f.Close())
	}
	old := s.f
	s.f, s.end = f, int64(len(b))
	if old == nil {
		return nil
	}
	return errors.Join(wipe(old), old.Close())
}

// wipe overwrites a file that has no name any more. A disk that writes elsewhere, as
// flash does, keeps the old bytes until it uses the place again.
func wipe(f file.File) error {
	size, err := f.Size()
	if err != nil {
		return err
	}
	zeros := make([]byte, 64<<10)
	for at := int64(0); at < size; at += int64(len(zeros)) {
		if _, err := f.WriteAt(zeros[:min(int64(len(zeros)), size-at)], at); err != nil {
			return err
		}
	}
	return f.Sync()
}
