package file

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"sort"

	"github.com/mbp-market/mbp/engine/journal"
)

// An archive is a folder of segments under their own names, byte for byte as they
// were in the log: put back beside the others, without the file FIRST, they are
// the log again. A segment is copied under a temporary name, synced, read back
// with every check value, renamed, and the folder synced, before the log lets go
// of it. A crash in between leaves an unfinished copy, which the next one
// replaces, or a segment that is in both places.

// errOtherArchive is for a folder that holds somebody else's segments.
var errOtherArchive = errors.New("the archive has another segment of that name; each log needs an archive of its own")

// archive puts a copy of a segment, whose last record is before next, into the
// archive. ended is asked in between.
func archive(fs FS, dir string, h held, next uint64, ended func() bool) error {
	name := segmentName(dir, h.id)
	names, err := fs.ReadDir(dir)
	if err != nil {
		return err
	}
	if slices.Contains(names, filepath.Base(name)) {
		switch have, err := peek(fs, name, h.id); {
		case err == nil && have.base != h.base:
			return fmt.Errorf("%s: %w", name, errOtherArchive)
		case err == nil && intact(fs, name, h, next) == nil:
			return nil // a crash came after the rename
		}
		// It is this segment, and damaged; what the log has replaces it.
	}
	if err := copySegment(fs, h, name+newSuffix, ended); err != nil {
		return errors.Join(err, fs.Remove(name+newSuffix))
	}
	if err := intact(fs, name+newSuffix, h, next); err != nil {
		return errors.Join(err, fs.Remove(name+newSuffix))
	}
	if err := fs.Rename(name+newSuffix, name); err != nil {
		return err
	}
	return fs.SyncDir(dir)
}

// copySegment copies in pieces that are synced one by one, so that appends beside
// it wait little.
func copySegment(fs FS, h held, to string, ended func() bool) (err error) {
	in, err := fs.Open(h.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, in.Close()) }()
	out, err := fs.Create(to)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, out.Close()) }()
	w := window{f: in, size: h.size, ahead: fullRead}
	for off := int64(0); off < h.size; off += fullRead {
		if ended() {
			return journal.ErrClosed
		}
		b, err := w.bytes(off, int(min(fullRead, h.size-off)))
		if err != nil {
			return err
		}
		if _, err := out.WriteAt(b, off); err != nil {
			return err
		}
		if err := out.Sync(); err != nil {
			return err
		}
	}
	return nil
}

// intact reads a copy back: all frames of the segment, each with its check values.
// What does not hold there did not hold in the log, which is named.
func intact(fs FS, name string, h held, next uint64) error {
	got, err := pass(fs, name, h.id, h.marks[0].seq, 0, nil, nil)
	if err != nil {
		return err
	}
	if got.next != next || got.end != h.end {
		return &journal.CorruptError{Place: h.name, Offset: got.end, Seq: got.next, Reason: fmt.Sprintf("%v; it is not archived", got.why)}
	}
	return nil
}

// archived returns the numbers of the segments in an archive that lead up to an
// origin without a gap, ascending.
func archived(fs FS, dir string, before uint64) ([]uint64, error) {
	if dir == "" {
		return nil, nil
	}
	names, err := fs.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the archive: %w", err)
	}
	var ids []uint64
	for _, n := range slices.Backward(names) {
		if id, ok := parseName(n); ok && id == before-1-uint64(len(ids)) {
			ids = append(ids, id)
		}
	}
	slices.Reverse(ids)
	return ids, nil
}

// readArchive hands the records from a sequence on, up to where the log begins,
// to fn.
func readArchive(fs FS, dir string, to origin, from uint64, fn func(journal.Record) error) error {
	ids, err := archived(fs, dir, to.id)
	if err != nil {
		return err
	}
	at, want, err := locate(fs, dir, ids, from)
	if err != nil {
		return err
	}
	if at < 0 {
		return fmt.Errorf("sequence %d: %w", from, journal.ErrArchived)
	}
	for i, id := range ids[at:] {
		name := segmentName(dir, id)
		got, err := pass(fs, name, id, want, from, fn, nil)
		if err != nil {
			return err
		}
		follows := to.seq
		if at+i+1 < len(ids) {
			s, err := peek(fs, segmentName(dir, ids[at+i+1]), ids[at+i+1])
			if err != nil {
				return err
			}
			follows = s.first
		}
		if got.next != follows {
			return got.corrupt(follows)
		}
		want = got.next
	}
	return nil
}

// locate returns which of some segments holds a sequence, or would if it had more
// records, and its first record; -1 if all of them begin later.
func locate(fs FS, dir string, ids []uint64, seq uint64) (at int, first uint64, err error) {
	firsts := make(map[int]uint64)
	at = sort.Search(len(ids), func(i int) bool {
		s, failed := peek(fs, segmentName(dir, ids[i]), ids[i])
		if failed != nil {
			err = errors.Join(err, failed)
			return true
		}
		if s.first == 0 {
			err = errors.Join(err, &journal.CorruptError{Place: s.name, Offset: headerBlock, Reason: s.why.Error()})
			return true
		}
		firsts[i] = s.first
		return s.first > seq
	}) - 1
	if at >= 0 {
		first = firsts[at] // the search has looked at it, or it is the answer of a failed one
	}
	return at, first, err
}
