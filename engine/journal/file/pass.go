package file

import (
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/engine/journal"
)

// walk calls see with every intact frame from off on. It returns where the first
// place without one is, and why there is none. A frame for which see returns an
// error that wraps errNoFrame is not intact; any other error of see ends the walk.
func (w *window) walk(seg segment, off int64, see func(off int64, fr frame) error) (end int64, why, err error) {
	for {
		fr, err := w.frameAt(off, seg.size, seg.base)
		if err == nil {
			err = see(off, fr)
		}
		if errors.Is(err, errNoFrame) {
			return off, err, nil
		}
		if err != nil {
			return off, nil, err
		}
		off += int64(fr.size)
	}
}

// stretch is what is known of the frames in a segment.
type stretch struct {
	segment
	first uint64 // sequence of the first frame; 0 if there is none
	next  uint64 // sequence after the last frame that was looked at
	end   int64  // offset after it
	why   error  // why there is no frame at end
}

// corrupt says that a segment, which the record follows comes after, ends early.
func (s stretch) corrupt(follows uint64) error {
	return &journal.CorruptError{Place: s.name, Offset: s.end, Seq: s.next,
		Reason: fmt.Sprintf("%v; the next segment starts at sequence %d", s.why, follows)}
}

// opened calls fn with a window on a segment.
func opened(fs FS, name string, id uint64, fn func(*window, segment) error) (err error) {
	f, err := fs.Open(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w, seg, err := openWindow(f, name, id)
	if err != nil {
		return err
	}
	return fn(w, seg)
}

// peek looks at the header of a segment and at the head of its first frame.
func peek(fs FS, name string, id uint64) (s stretch, err error) {
	err = opened(fs, name, id, func(w *window, seg segment) error {
		s = stretch{segment: seg, end: headerBlock}
		w.ahead = frameHeader
		fr, err := w.frameAt(headerBlock, seg.size, seg.base)
		if errors.Is(err, errNoFrame) {
			s.why = err
			return nil
		}
		s.first, s.next = fr.first, fr.first
		return err
	})
	return s, err
}

// pass reads a segment whose first record must be want, and hands the records from
// a sequence on to fn, after their check values. A nil fn checks. seen hears of
// every frame that is done; it may be nil.
func pass(fs FS, name string, id, want, from uint64, fn func(journal.Record) error, seen func(fr frame) error) (s stretch, err error) {
	if fn == nil {
		fn = func(journal.Record) error { return nil }
	}
	err = opened(fs, name, id, func(w *window, seg segment) error {
		s = stretch{segment: seg, next: want}
		s.end, s.why, err = w.walk(seg, headerBlock, func(off int64, fr frame) error {
			if fr.first != s.next {
				return &journal.CorruptError{Place: name, Offset: off, Seq: s.next, Reason: fmt.Sprintf("batch starts at sequence %d", fr.first)}
			}
			if fr.end() > from {
				if err := fr.each(seg.base, int(max(from, fr.first)-fr.first), fn); err != nil {
					return err
				}
			}
			s.first, s.next = want, fr.end()
			if seen == nil {
				return nil
			}
			return seen(fr)
		})
		return err
	})
	return s, err
}
