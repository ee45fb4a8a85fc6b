package file

import (
	"errors"
	"fmt"

	"github.com/mbp-market/mbp/engine/journal"
)

// maxSpent bounds the released segments that wait to be used again: one that
// becomes the next spare and one after it. More would hold disk space for nothing.
const maxSpent = 2

// Release lets go of segments whose records are all below seq: the caller needs
// none of them in the log any more. The segment that takes appends always stays,
// and so does the one with the newest record, so First moves to at most seq.
//
// With an archive each segment is copied there first, and Read finds its records
// there; without one they are gone. What was released is used again for the next
// segments: nothing is deleted while appends go on, because a file system that
// discards freed blocks stalls every sync meanwhile. When enough wait for that,
// one call deletes one file and leaves the rest of its work to the next; so it
// does while a Read that began earlier is still at a segment.
//
// It may take a second for each segment and is meant for a goroutine of its own.
// After an error everything up to First is as promised; try again later.
//
// The crash story: the copy is durable under its final name, then the new origin
// (see FIRST) is durable, then the segment may be overwritten, which begins with a
// durable rename to an unfinished one. A crash between any two of these leaves the
// segment in the log, or spent.
func (l *Log) Release(seq uint64) error {
	l.releaseMu.Lock()
	defer l.releaseMu.Unlock()
	for trimmed := false; ; {
		h, to, ok := l.releasable(seq)
		if !ok {
			return nil
		}
		if l.isClosed() {
			return journal.ErrClosed
		}
		full, err := l.spentFull(&trimmed)
		if full || err != nil {
			return err
		}
		if l.cfg.Archive != "" {
			if err := archive(l.cfg.FS, l.cfg.Archive, *h, to.seq, l.isClosed); err != nil {
				return fmt.Errorf("archive segment %d: %w", h.id, err)
			}
		}
		if err := to.write(l.cfg.FS, l.cfg.Dir); err != nil {
			return fmt.Errorf("release segment %d: %w", h.id, err)
		}
		l.letGo(h, to)
		l.cfg.Logger.Info("journal: segment released", "file", h.name, "first", to.seq, "archive", l.cfg.Archive)
	}
}

// releasable returns the oldest segment and where the log begins after it, if all
// its records are below seq and a later segment holds one.
func (l *Log) releasable(seq uint64) (*held, origin, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if len(l.held) < 2 || len(l.held[1].marks) == 0 {
		return nil, origin{}, false
	}
	to := origin{id: l.held[1].id, seq: l.held[1].marks[0].seq}
	return l.held[0], to, to.seq <= seq
}

// letGo takes a segment out of the log, whose new origin is durable.
func (l *Log) letGo(h *held, to origin) {
	l.mu.Lock()
	l.held, l.origin = l.held[1:], to
	l.mu.Unlock()
	l.spareMu.Lock()
	l.spent = append(l.spent, *h)
	l.spareMu.Unlock()
}

// spentFull reports whether nothing more may be released now. It makes room by
// deleting one file, once for each value of trimmed.
func (l *Log) spentFull(trimmed *bool) (bool, error) {
	l.spareMu.Lock()
	defer l.spareMu.Unlock()
	if len(l.spent) < maxSpent {
		return false, nil
	}
	if *trimmed {
		return true, nil
	}
	*trimmed = true
	for i, h := range l.spent {
		if h.pins.Load() > 0 {
			continue
		}
		if err := l.cfg.FS.Remove(h.name); err != nil {
			return false, fmt.Errorf("delete spent segment: %w", err)
		}
		l.spent = append(l.spent[:i:i], l.spent[i+1:]...)
		return false, nil
	}
	return true, nil
}

// takeSpent returns the file of a released segment of a size that nobody reads,
// empty if there is none. The caller holds spareMu.
func (l *Log) takeSpent(size int64) string {
	for i, h := range l.spent {
		if h.size == size && h.pins.Load() == 0 {
			l.spent = append(l.spent[:i:i], l.spent[i+1:]...)
			return h.name
		}
	}
	return ""
}

// adoptSpent takes over the files of segments that were released in an earlier
// life: as many as may wait, if they have the size of new ones. Nobody appends yet,
// so the others can be deleted.
func (l *Log) adoptSpent(ids []uint64) error {
	for _, id := range ids {
		h := newHeld(segment{id: id, name: segmentName(l.cfg.Dir, id)})
		f, err := l.cfg.FS.Open(h.name)
		if err != nil {
			return err
		}
		h.size, err = f.Size()
		if err = errors.Join(err, f.Close()); err != nil {
			return err
		}
		if h.size == l.cfg.SegmentSize && len(l.spent) < maxSpent {
			l.spent = append(l.spent, *h)
			continue
		}
		if err := l.cfg.FS.Remove(h.name); err != nil {
			return fmt.Errorf("delete spent segment: %w", err)
		}
	}
	return nil
}
