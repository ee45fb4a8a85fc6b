package file

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	iofs "io/fs"
	"path/filepath"
	"sort"

	"github.com/mbp-market/mbp/engine/journal"
)

// ReaderConfig says what is read. Only Dir is required.
type ReaderConfig struct {
	// Dir is the folder of the log.
	Dir string
	// Archive is the folder of its released segments; empty: they are not read.
	Archive string
	// FS is the file system; the machine's own, for reading only, by default.
	FS FS
	// Holds is how many records are known to be durable, as from a signed
	// checkpoint; a log that ends earlier is refused. 0: nothing is known.
	Holds uint64
	// Progress, if set, hears from Read and Check after each segment, and each MiB
	// within one, how many bytes of how many are done.
	Progress func(done, total int64)
}

// Reader reads the log of a folder, and its archive, beside the process that holds
// it or without one. It takes no lock, changes nothing, and hands out a prefix of
// the log that is durable: a batch that another one follows is, because only one
// append is ever under way; one that Holds covers is. The last batch is left out
// while a process holds the log, because its sync may not have returned; without
// one it is what the next Open finds and makes durable. A torn batch after that is
// not part of the log.
//
// Segments that the process releases meanwhile are read on in the archive; without
// one, reading ends with journal.ErrArchived.
type Reader struct {
	cfg   ReaderConfig
	begin origin
	parts []part // the segments that hold records, each following the one before
	next  uint64
	empty string // name of the first segment, if none has a record
	held  bool
	torn  int64
	total int64
}

// part is a segment as it was found.
type part struct {
	stretch  // of the last one all of it, of the others the first frame
	archived bool
}

// length is the bytes of a segment that are read: all, but for the last.
func (r *Reader) length(i int) int64 {
	if i == len(r.parts)-1 {
		return r.parts[i].end
	}
	return r.parts[i].size
}

// openAttempts is how often a folder is looked at that changes meanwhile: each
// change takes the release of a segment, so three looks in a row do not miss.
const openAttempts = 3

// OpenReader looks at the folder once; what is appended afterwards is not seen. A
// *journal.CorruptError means damage that no crash explains.
func OpenReader(cfg ReaderConfig) (*Reader, error) {
	if cfg.Dir == "" {
		return nil, errors.New("open journal: its folder is not set")
	}
	if cfg.FS == nil {
		cfg.FS = ReadOnly{}
	}
	var err error
	for range openAttempts {
		var names []string
		if names, err = cfg.FS.ReadDir(cfg.Dir); err != nil {
			break
		}
		r := &Reader{cfg: cfg}
		err = r.look(names)
		now, failed := r.moved()
		if err == nil && failed == nil && now == r.begin {
			return r, nil
		}
		if failed != nil || now == r.begin {
			err = errors.Join(err, failed)
			break
		}
		err = errors.Join(errors.New("its segments are being released; try again"), err)
	}
	return nil, fmt.Errorf("open journal %s: %w", cfg.Dir, err)
}

// moved returns where the log begins now.
func (r *Reader) moved() (origin, error) {
	names, err := r.cfg.FS.ReadDir(r.cfg.Dir)
	if err != nil {
		return origin{}, err
	}
	return readOrigin(r.cfg.FS, r.cfg.Dir, names)
}

// look finds the segments and the end of the last one.
func (r *Reader) look(names []string) (err error) {
	if r.begin, err = readOrigin(r.cfg.FS, r.cfg.Dir, names); err != nil {
		return err
	}
	r.next = r.begin.seq
	old, err := archived(r.cfg.FS, r.cfg.Archive, r.begin.id)
	if err != nil {
		return err
	}
	live, _, err := segmentIDs(r.cfg.Dir, names, r.begin)
	if err != nil {
		return err
	}
	for _, id := range append(old, live...) {
		s, err := peek(r.cfg.FS, r.name(id, id < r.begin.id), id)
		if err != nil {
			return err
		}
		if s.first == 0 && id < r.begin.id {
			return &journal.CorruptError{Place: s.name, Offset: headerBlock, Reason: s.why.Error()}
		}
		r.parts = append(r.parts, part{s, id < r.begin.id})
	}
	if err := r.order(len(old)); err != nil {
		return err
	}
	if r.held, err = r.cfg.FS.Held(filepath.Join(r.cfg.Dir, lockName)); err != nil {
		return err
	}
	if err := r.end(); err != nil {
		return err
	}
	return r.last().holds(r.cfg.Holds)
}

func (r *Reader) name(id uint64, archived bool) string {
	if archived {
		return segmentName(r.cfg.Archive, id)
	}
	return segmentName(r.cfg.Dir, id)
}

// order drops the unused segments at the end, and checks that the log begins with
// the record that it says it does.
func (r *Reader) order(old int) error {
	used := len(r.parts)
	for used > old && r.parts[used-1].first == 0 {
		used--
	}
	if old < len(r.parts) && (used > old || r.begin != start) && r.parts[old].first != r.begin.seq {
		s := r.parts[old].stretch
		return &journal.CorruptError{Place: s.name, Offset: headerBlock, Seq: r.begin.seq,
			Reason: fmt.Sprintf("the log begins at sequence %d, its first segment holds %d: %v", r.begin.seq, s.first, s.why)}
	}
	for _, p := range r.parts[used:] {
		if err := r.unused(p); err != nil {
			return err
		}
	}
	for i, p := range r.parts[old:used] {
		if p.first == 0 {
			return &journal.CorruptError{Place: p.name, Offset: headerBlock, Reason: fmt.Sprintf("%v, but segment %d holds records", p.why, r.parts[old+i+1].id)}
		}
	}
	if used == 0 && len(r.parts) > 0 {
		r.empty = r.parts[0].name
	}
	r.parts = r.parts[:used]
	return nil
}

// unused checks that a segment without a first batch has no later one, unless it
// has been taken into use since it was looked at.
func (r *Reader) unused(p part) error {
	err := opened(r.cfg.FS, p.name, p.id, func(w *window, _ segment) error { return p.notTorn(w) })
	var corrupt *journal.CorruptError
	if !errors.As(err, &corrupt) {
		return err
	}
	if now, failed := peek(r.cfg.FS, p.name, p.id); failed != nil || now.first == 0 {
		return err
	}
	return nil
}

// end finds the last durable record: see Reader.
func (r *Reader) end() error {
	if len(r.parts) == 0 {
		return nil
	}
	tail := &r.parts[len(r.parts)-1]
	if tail.archived { // the log is empty, and was not always: order has refused it
		return &journal.CorruptError{Place: tail.name, Reason: "the archive goes on where the log ends"}
	}
	s, torn, err := r.endOf(*tail)
	if err != nil {
		return err
	}
	tail.end, tail.next, tail.why, r.torn = s.end, s.next, s.why, torn
	if r.held && s.newest > r.cfg.Holds {
		tail.end, tail.next, tail.why = s.last, s.newest, fmt.Errorf("%w: the last one may not be durable yet", errNoFrame)
	}
	if r.next = tail.next; s.next == 0 || r.next == tail.first { // it has no other batch
		r.next = tail.first
		r.parts = r.parts[:len(r.parts)-1]
		if n := len(r.parts); n > 0 {
			r.parts[n-1].end = r.parts[n-1].size
		}
	}
	for i := range r.parts {
		r.total += r.length(i)
	}
	return nil
}

// tailScan is a scan that knows where its last frame begins.
type tailScan struct {
	scan
	newest uint64 // first sequence of the last frame
}

// endOf walks the last segment, and returns how many bytes were written beyond its
// end. What is no trace of a crash there is damage, unless the segment has grown
// while it was read.
func (r *Reader) endOf(tail part) (s tailScan, torn int64, err error) {
	err = opened(r.cfg.FS, tail.name, tail.id, func(w *window, seg segment) error {
		s.segment, s.end = seg, headerBlock
		for {
			from := s.end
			s.end, s.why, err = w.walk(seg, from, func(off int64, fr frame) error {
				s.newest = fr.first
				return s.add(off, fr)
			})
			if err != nil {
				return err
			}
			var corrupt *journal.CorruptError
			if err = s.notTorn(w); err == nil {
				torn, err = written(w, s.end)
			}
			if !errors.As(err, &corrupt) {
				return err
			}
			w.buf = w.buf[:0] // it may have grown since it was read
			if _, again, err := w.walk(seg, s.end, func(_ int64, fr frame) error {
				return errors.Join(fr.each(seg.base, 0, func(journal.Record) error { return nil }), errEnd)
			}); again != nil || !errors.Is(err, errEnd) {
				return corrupt
			}
		}
	})
	return s, torn, err
}

// last is the end of the log.
func (r *Reader) last() stretch {
	if len(r.parts) == 0 {
		return stretch{segment: segment{name: cmp.Or(r.empty, r.cfg.Dir)}, next: r.next, end: headerBlock, why: errNoFrame}
	}
	return stretch{segment: r.parts[len(r.parts)-1].segment, next: r.next, end: r.parts[len(r.parts)-1].end, why: r.parts[len(r.parts)-1].why}
}

// First returns the sequence of the oldest record, in the archive or the log.
func (r *Reader) First() uint64 {
	if len(r.parts) == 0 {
		return r.next
	}
	return r.parts[0].first
}

// Next returns the sequence after the last record that is known to be durable.
func (r *Reader) Next() uint64 { return r.next }

// Held reports whether a process held the log when it was opened.
func (r *Reader) Held() bool { return r.held }

// Torn returns how many bytes of an unfinished batch lie after the end: what a
// crash left, which the next Open cuts, or an append under way.
func (r *Reader) Torn() int64 { return r.torn }

// Bytes returns how many bytes are read: the segments without the unused end.
func (r *Reader) Bytes() int64 { return r.total }

// Segments returns how many segments are read, and how many of them in the archive.
func (r *Reader) Segments() (all, archived int) {
	return len(r.parts), sort.Search(len(r.parts), func(i int) bool { return !r.parts[i].archived })
}

// Read is like journal.Log's.
func (r *Reader) Read(from uint64, fn func(journal.Record) error) error {
	if from == 0 {
		from = r.First()
	}
	if from >= r.next {
		return nil
	}
	if from < r.First() {
		return fmt.Errorf("read journal: sequence %d: %w", from, journal.ErrArchived)
	}
	at := sort.Search(len(r.parts), func(i int) bool { return r.parts[i].first > from }) - 1
	p := &progress{r: r}
	for i := range r.parts {
		if i < at {
			p.skip(i)
			continue
		}
		if err := r.part(i, from, fn, p); errors.Is(err, journal.ErrStop) {
			return nil
		} else if err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
	}
	return nil
}

// errEnd ends the reading where the reader ends.
var errEnd = errors.New("the end of what was there")

// part hands the records of one segment to fn.
func (r *Reader) part(i int, from uint64, fn func(journal.Record) error, p *progress) error {
	follows := r.next
	if i+1 < len(r.parts) {
		follows = r.parts[i+1].first
	}
	given := uint64(0) // the last record that fn has had
	hand := func(rec journal.Record) error {
		given = rec.Seq
		return fn(rec)
	}
	for {
		s, err := pass(r.cfg.FS, r.parts[i].name, r.parts[i].id, r.parts[i].first, max(from, given+1), hand, func(fr frame) error {
			p.add(int64(fr.size))
			if fr.end() >= r.next {
				return errEnd
			}
			return nil
		})
		var corrupt *journal.CorruptError
		switch {
		case errors.Is(err, errEnd):
			err = nil
		case err == nil && s.next != follows:
			err = s.corrupt(follows)
		}
		if err == nil {
			p.skip(i)
			return nil
		}
		if !errors.As(err, &corrupt) && !errors.Is(err, iofs.ErrNotExist) {
			return err
		}
		if again, moveErr := r.follow(i); moveErr != nil || !again {
			return errors.Join(err, moveErr)
		}
		p.restart()
	}
}

// follow finds a segment in the archive that the process has released since the
// log was opened, and is perhaps writing over.
func (r *Reader) follow(i int) (bool, error) {
	if r.parts[i].archived {
		return false, nil
	}
	now, err := r.moved()
	if err != nil || r.parts[i].id >= now.id {
		return false, err
	}
	if r.cfg.Archive == "" {
		return false, journal.ErrArchived
	}
	r.parts[i].archived, r.parts[i].name = true, r.name(r.parts[i].id, true)
	return true, nil
}

// Check reads every segment with every check value, and goes on behind damage with
// the next one. It returns how many records are intact, and ctx's error if that
// ended first.
func (r *Reader) Check(ctx context.Context, fault func(*journal.CorruptError)) (records uint64, err error) {
	p := &progress{r: r}
	for i := range r.parts {
		err := r.part(i, 0, func(journal.Record) error { records++; return ctx.Err() }, p)
		var corrupt *journal.CorruptError
		if errors.As(err, &corrupt) {
			fault(corrupt)
			p.skip(i)
		} else if err != nil {
			return records, err
		}
	}
	return records, nil
}

// progress counts for ReaderConfig.Progress.
type progress struct {
	r    *Reader
	base int64 // bytes of the segments that are done
	in   int64 // of the one under way
	told int64
}

func (p *progress) add(n int64) {
	p.in += n
	if p.in-p.told >= fullRead {
		p.told = p.in
		p.tell()
	}
}

// skip ends a segment, whatever was read of it.
func (p *progress) skip(i int) {
	p.base += p.r.length(i)
	p.restart()
	p.tell()
}

func (p *progress) restart() { p.in, p.told = 0, 0 }

func (p *progress) tell() {
	if p.r.cfg.Progress != nil {
		p.r.cfg.Progress(p.base+p.in, p.r.total)
	}
}

// ReadOnly is the file system of the machine for who only reads: files open
// without the right to write, and every change is refused.
type ReadOnly struct{ OS }

// errReadOnly is the answer to every change.
var errReadOnly = fmt.Errorf("opened for reading: %w", errors.ErrUnsupported)

// Open opens an existing file for reading.
func (ReadOnly) Open(name string) (File, error) { return openRead(name) }

// MkdirAll refuses.
func (ReadOnly) MkdirAll(string) error { return errReadOnly }

// Create refuses.
func (ReadOnly) Create(string) (File, error) { return nil, errReadOnly }

// Rename refuses.
func (ReadOnly) Rename(string, string) error { return errReadOnly }

// Remove refuses.
func (ReadOnly) Remove(string) error { return errReadOnly }

// SyncDir refuses.
func (ReadOnly) SyncDir(string) error { return errReadOnly }

// Lock refuses.
func (ReadOnly) Lock(string) (io.Closer, error) { return nil, errReadOnly }
