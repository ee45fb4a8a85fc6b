package file

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/mbp-market/mbp/engine/journal"
)

// scan is what a walk over the frames of one segment found.
type scan struct {
	stretch
	marks []mark
	last  int64 // offset of the last frame
}

// recover reads the folder and leaves the log ready for Append.
func (l *Log) recover() error {
	ids, spent, err := l.list()
	if err != nil {
		return err
	}
	scans := make([]scan, 0, len(ids))
	for _, id := range ids {
		s, err := scanSegment(l.cfg.FS, segmentName(l.cfg.Dir, id), id)
		if err != nil {
			return err
		}
		scans = append(scans, s)
	}
	tail, err := checkOrder(scans, l.origin)
	if err != nil {
		return err
	}
	if err := l.holds(scans, tail); err != nil {
		return err
	}
	for i := max(tail, 0); i < len(scans); i++ {
		if err := l.repair(&scans[i], i == tail); err != nil {
			return err
		}
	}
	if err := l.adoptSpent(spent); err != nil {
		return err
	}
	return l.adopt(scans, tail)
}

// list reads the origin and returns the numbers of the segments of the log, which
// must follow each other without a gap from there, and of those that are spent. It
// removes files whose making was cut short.
func (l *Log) list() (ids, spent []uint64, err error) {
	names, err := l.cfg.FS.ReadDir(l.cfg.Dir)
	if err != nil {
		return nil, nil, fmt.Errorf("list segments: %w", err)
	}
	for _, n := range names {
		if strings.HasSuffix(n, newSuffix) && (strings.HasPrefix(n, segPrefix) || n == originName+newSuffix) {
			if err := l.cfg.FS.Remove(filepath.Join(l.cfg.Dir, n)); err != nil {
				return nil, nil, fmt.Errorf("remove unfinished file: %w", err)
			}
		}
	}
	if l.origin, err = readOrigin(l.cfg.FS, l.cfg.Dir, names); err != nil {
		return nil, nil, err
	}
	return segmentIDs(l.cfg.Dir, names, l.origin)
}

// segmentIDs sorts the segments among some names into those of the log and those
// that are spent.
func segmentIDs(dir string, names []string, begin origin) (ids, spent []uint64, err error) {
	for _, n := range names {
		id, ok := parseName(n)
		if !ok {
			continue
		}
		if id < begin.id {
			spent = append(spent, id)
			continue
		}
		if want := begin.id + uint64(len(ids)); id != want {
			return nil, nil, &journal.CorruptError{Place: segmentName(dir, want),
				Reason: fmt.Sprintf("segment %d is missing, segment %d exists", want, id)}
		}
		ids = append(ids, id)
	}
	if len(ids) == 0 && begin != start {
		return nil, nil, &journal.CorruptError{Place: segmentName(dir, begin.id), Seq: begin.seq, Reason: "the first segment of the log is missing"}
	}
	return ids, spent, nil
}

// scanSegment walks the frames of a segment up to the first place without one.
func scanSegment(fs FS, name string, id uint64) (s scan, err error) {
	err = opened(fs, name, id, func(w *window, seg segment) error {
		s.segment = seg
		s.end, s.why, err = w.walk(seg, headerBlock, func(off int64, fr frame) error { return s.add(off, fr) })
		return err
	})
	if err != nil {
		var corrupt *journal.CorruptError
		if !errors.As(err, &corrupt) {
			err = fmt.Errorf("scan segment %d: %w", id, err)
		}
	}
	return s, err
}

// add notes a frame after its check values.
func (s *scan) add(off int64, fr frame) error {
	if err := fr.each(s.base, 0, func(journal.Record) error { return nil }); err != nil {
		return err
	}
	if s.next != 0 && fr.first != s.next {
		return &journal.CorruptError{Place: s.name, Offset: off, Seq: s.next, Reason: fmt.Sprintf("batch starts at sequence %d", fr.first)}
	}
	if s.first == 0 {
		s.first = fr.first
	}
	s.marks = addMark(s.marks, mark{seq: fr.first, off: off})
	s.last, s.next = off, fr.end()
	return nil
}

// openWindow reads the header of a segment and checks its length.
func openWindow(f File, name string, id uint64) (*window, segment, error) {
	size, err := f.Size()
	if err != nil {
		return nil, segment{}, err
	}
	w := &window{f: f, size: size, ahead: firstRead}
	b, err := w.bytes(0, int(min(size, headerSize)))
	if err != nil {
		return nil, segment{}, err
	}
	seg, err := decodeHeader(b, id)
	if err == nil && seg.size > size {
		err = fmt.Errorf("file has %d of %d bytes", size, seg.size)
	}
	if err != nil {
		return nil, segment{}, &journal.CorruptError{Place: name, Reason: err.Error()}
	}
	seg.name = name
	return w, seg, nil
}

// checkOrder checks that the segments continue each other from an origin on, and
// returns the index of the last one that holds records, -1 if none does.
func checkOrder(scans []scan, begin origin) (int, error) {
	tail := -1
	for i, s := range scans {
		if s.first != 0 {
			tail = i
		}
	}
	if tail < 0 && begin != start {
		return 0, &journal.CorruptError{Place: scans[0].name, Offset: scans[0].end, Seq: begin.seq,
			Reason: fmt.Sprintf("%v; the records before it were released", scans[0].why)}
	}
	next := begin.seq
	for i, s := range scans[:tail+1] {
		if s.first != next {
			// Too high a start means that the end of the segment before is missing.
			at, off := s, int64(headerBlock)
			if i > 0 && s.first > next {
				at, off = scans[i-1], scans[i-1].end
			}
			return 0, &journal.CorruptError{Place: at.name, Offset: off, Seq: next,
				Reason: fmt.Sprintf("%v; segment %d starts at sequence %d", at.why, s.id, s.first)}
		}
		next = s.next
	}
	return tail, nil
}

// holds refuses a log that ends before what is known to be durable, before
// anything in it is cut: the bytes of a damaged last batch are worth keeping.
func (l *Log) holds(scans []scan, tail int) error {
	end := stretch{next: start.seq, why: errNoFrame, segment: segment{name: l.cfg.Dir}}
	if tail >= 0 {
		end = scans[tail].stretch
	}
	return end.holds(l.cfg.Holds)
}

// holds says that a log ends here, if more records of it are known.
func (s stretch) holds(known uint64) error {
	if s.next > known {
		return nil
	}
	return &journal.CorruptError{Place: s.name, Offset: s.end, Seq: s.next,
		Reason: fmt.Sprintf("%v, and %d records are known to have been durable", s.why, known)}
}

// repair looks at everything after the last frame of the tail or of an unused
// segment: what is not zero is damage (see notTorn), or the trace of a crash, and is
// zeroed. Then it makes durable what it found.
func (l *Log) repair(s *scan, tail bool) (err error) {
	f, err := l.cfg.FS.Open(s.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := &window{f: f, size: s.size, ahead: firstRead}
	if err := s.notTorn(w); err != nil {
		return err
	}
	cut, err := zeroRest(f, w, s.end)
	if err != nil {
		return fmt.Errorf("cut torn batch: %w", err)
	}
	if cut > 0 {
		l.cfg.Logger.Warn("journal: torn batch cut", "file", s.name, "offset", s.end, "seq", s.next, "bytes", cut, "why", s.why)
	}
	if tail {
		b, err := w.bytes(s.last, int(s.end-s.last))
		if err != nil {
			return err
		}
		if _, err := f.WriteAt(b, s.last); err != nil {
			return fmt.Errorf("write last batch again: %w", err)
		}
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync segment %d: %w", s.id, err)
	}
	return nil
}

// notTorn says that what follows the last frame of a segment is no trace of a
// crash: an intact frame, which is written only when the one before is durable; or
// anything but zeros beyond the length that a broken frame, whose head is intact,
// has, because nothing was written there yet.
func (s stretch) notTorn(w *window) error {
	off, seq, err := findFrame(w, s.end, s.segment)
	if err != nil {
		return err
	}
	broken := &journal.CorruptError{Place: s.name, Offset: s.end, Seq: max(1, s.next)}
	if off != 0 {
		broken.Reason = fmt.Sprintf("%v, but an intact batch with sequence %d follows at offset %d", s.why, seq, off)
		return broken
	}
	fr, err := w.frameAt(s.end, s.size, s.base)
	if errors.Is(err, errNoFrame) {
		return nil
	} else if err != nil {
		return err
	}
	after := s.end + int64(fr.size) // fr is not valid after this
	n, err := written(w, after)
	if err == nil && n > 0 {
		broken.Reason = fmt.Sprintf("%v, but %d bytes were written after its end at offset %d", s.why, n, after)
		return broken
	}
	return err
}

// written counts the bytes from an offset to the last one that is not zero.
func written(w *window, from int64) (n int64, err error) {
	for off := from; off < w.size; off += headerBlock {
		b, err := w.bytes(off, int(min(headerBlock, w.size-off)))
		if err != nil {
			return n, err
		}
		if !zero(b) {
			n = off + int64(len(bytes.TrimRight(b, "\x00"))) - from
		}
	}
	return n, nil
}

// zeros is read-only.
var zeros [headerBlock]byte

// zero reports whether at most a block of bytes is zero.
func zero(b []byte) bool { return bytes.Equal(b, zeros[:len(b)]) }

// findFrame returns offset and sequence of the first intact frame after off, or 0.
func findFrame(w *window, off int64, seg segment) (int64, uint64, error) {
	for off += alignment; off+frameHeader <= seg.size; off += alignment {
		if off%headerBlock == 0 && off+headerBlock <= seg.size {
			b, err := w.bytes(off, headerBlock)
			if err != nil {
				return 0, 0, err
			}
			if zero(b) { // as nearly all of an unused segment is
				off += headerBlock - alignment
				continue
			}
		}
		b, err := w.bytes(off, 4)
		if err != nil {
			return 0, 0, err
		}
		if binary.LittleEndian.Uint32(b) != frameMagic {
			continue
		}
		fr, err := w.frameAt(off, seg.size, seg.base)
		if err == nil {
			err = fr.each(seg.base, 0, func(journal.Record) error { return nil })
		}
		if err == nil {
			return off, fr.first, nil
		}
		if !errors.Is(err, errNoFrame) {
			return 0, 0, err
		}
	}
	return 0, 0, nil
}

// zeroRest zeroes every block from off on that is not zero and returns how many
// bytes it wrote.
func zeroRest(f File, w *window, off int64) (int64, error) {
	wrote := int64(0)
	for off < w.size {
		n := min(headerBlock-off%headerBlock, w.size-off)
		b, err := w.bytes(off, int(n))
		if err != nil {
			return wrote, err
		}
		if !zero(b) {
			if _, err := f.WriteAt(zeros[:n], off); err != nil {
				return wrote, err
			}
			wrote += n
		}
		off += n
	}
	return wrote, nil
}

// adopt takes the scanned segments over, the tail as the active one.
func (l *Log) adopt(scans []scan, tail int) error {
	l.next = l.origin.seq
	for i, s := range scans {
		l.newest = s.id
		if i > tail {
			l.spares = append(l.spares, s.segment)
			continue
		}
		h := newHeld(s.segment)
		h.marks, h.end = s.marks, s.end
		l.held = append(l.held, h)
		l.next, l.tail = s.next, h
	}
	if err := l.cfg.FS.SyncDir(l.cfg.Dir); err != nil {
		return fmt.Errorf("sync folder: %w", err)
	}
	if tail >= 0 {
		f, err := l.cfg.FS.Open(l.tail.name)
		if err != nil {
			return err
		}
		l.file = f
		return nil
	}
	return l.Prepare()
}
