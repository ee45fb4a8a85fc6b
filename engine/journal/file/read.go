package file

import (
	"errors"
	"fmt"
	"io"
	"sort"

	"github.com/mbp-market/mbp/engine/journal"
)

const (
	firstRead = 64 << 10 // bytes; covers the distance between two marks
	fullRead  = 1 << 20  // bytes; a long reader's unit
)

// window reads a file through one buffer that grows to the largest request.
type window struct {
	f     File
	size  int64
	ahead int
	buf   []byte
	off   int64 // file offset of buf[0]
}

// bytes returns n bytes at off, valid until the next call.
func (w *window) bytes(off int64, n int) ([]byte, error) {
	if off < w.off || off+int64(n) > w.off+int64(len(w.buf)) {
		if err := w.fill(off, n); err != nil {
			return nil, err
		}
	}
	i := int(off - w.off)
	return w.buf[i : i+n], nil
}

func (w *window) fill(off int64, n int) error {
	want := int(min(int64(max(n, w.ahead)), w.size-off))
	if want < n {
		return fmt.Errorf("read %d bytes at %d of %d: %w", n, off, w.size, io.ErrUnexpectedEOF)
	}
	w.ahead = min(2*w.ahead, fullRead)
	if cap(w.buf) < want {
		w.buf = make([]byte, want)
	}
	w.buf, w.off = w.buf[:want], off
	if _, err := w.f.ReadAt(w.buf, off); err != nil && !errors.Is(err, io.EOF) {
		w.buf = w.buf[:0]
		return err
	}
	return nil
}

// frameAt decodes the frame at off, which must end at or before limit; the error
// wraps errNoFrame if there is none. Records are checked by the caller.
func (w *window) frameAt(off, limit int64, base uint32) (frame, error) {
	if limit-off < frameHeader {
		return frame{}, fmt.Errorf("%w: no room", errNoFrame)
	}
	b, err := w.bytes(off, frameHeader)
	if err != nil {
		return frame{}, err
	}
	size, _, err := frameExtent(b, limit-off)
	if err != nil {
		return frame{}, err
	}
	if b, err = w.bytes(off, size); err != nil {
		return frame{}, err
	}
	return decodeHead(b, base, limit-off)
}

// holding returns the segments that hold the records from a sequence on.
func holding(segs []*held, from uint64) []*held {
	i := sort.Search(len(segs), func(i int) bool {
		return len(segs[i].marks) == 0 || segs[i].marks[0].seq > from
	})
	return segs[max(0, i-1):]
}

// readHeld is Read of journal.Log over segments that follow each other.
func readHeld(fs FS, segs []held, from uint64, fn func(journal.Record) error) error {
	for _, h := range segs {
		if err := readSegment(fs, h, from, fn); err != nil {
			if errors.Is(err, journal.ErrStop) {
				return nil
			}
			return fmt.Errorf("read journal: %w", err)
		}
	}
	return nil
}

// readSegment hands the durable records of one segment, from a sequence on, to fn.
func readSegment(fs FS, h held, from uint64, fn func(journal.Record) error) (err error) {
	if len(h.marks) == 0 {
		return nil
	}
	f, err := fs.Open(h.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	start := h.marks[max(0, sort.Search(len(h.marks), func(i int) bool { return h.marks[i].seq > from })-1)]
	w := window{f: f, size: h.end, ahead: firstRead}
	seq := start.seq
	for off := start.off; off < h.end; {
		fr, err := w.frameAt(off, h.end, h.base)
		if err == nil && fr.first != seq {
			err = fmt.Errorf("%w: it starts at sequence %d", errNoFrame, fr.first)
		}
		if err == nil && fr.end() > from {
			skip := 0
			if from > fr.first {
				skip = int(from - fr.first)
			}
			err = fr.each(h.base, skip, fn)
		}
		if errors.Is(err, errNoFrame) {
			return &journal.CorruptError{Place: h.name, Offset: off, Seq: seq, Reason: err.Error()}
		}
		if err != nil {
			return err
		}
		seq, off = fr.end(), off+int64(fr.size)
	}
	return nil
}
