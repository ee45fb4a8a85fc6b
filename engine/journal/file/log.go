// Package file is the embedded journal: segment files in one folder, written by
// one process. It promises what journal.Log promises on any disk that keeps its
// word about fdatasync and writes sectors of 512 bytes whole: an accepted batch
// survives the death of process and machine, a batch that was under way is found
// whole or not at all, and damage in the middle refuses to open. It refuses a
// folder that another process holds, and everything after a failed write or
// sync, because after a failed sync nobody knows what is on the disk.
//
// The crash story, step by step. A segment is zero-written and synced under a
// temporary name, renamed, and the folder synced, all before its first use; a
// crash in between leaves garbage that Open removes, or an unused segment. An
// append is one write and one fdatasync; only one is ever under way, so after a
// crash all frames but the last are whole, and the last is whole, absent or torn.
// Open cuts a torn one by zeroing it, writes the last whole one again (a page
// that the kernel marked clean after a failed sync is then written for real) and
// syncs before it reports anything as durable. A torn frame with an intact one
// after it cannot come from a crash: that is damage.
//
// Release moves segments out of the log, into an archive if there is one; its
// crash story stands beside it. The file FIRST says where the log begins since.
//
// One loss cannot be seen from here: damage to the very last frame after it was
// acknowledged looks like a torn one and is cut. Open logs every cut with its
// place. Config.Holds is the remedy: who knows from outside how many records the
// log has, as from a signed checkpoint, has Open refuse to cut below that.
package file

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"

	"github.com/mbp-market/mbp/engine/journal"
)

const (
	defaultSegmentSize = 64 << 20
	minSegmentSize     = 2 * headerBlock
	markEvery          = 32 << 10 // bytes between index marks: 32 KiB in memory per GiB of log
	keepBuffer         = 1 << 20  // a larger encoding buffer is dropped after its batch
	lockName           = "LOCK"
)

// Config says where the log lives. Only Dir is required.
type Config struct {
	// Dir is the folder; it is made if absent. Nothing else may live in it.
	Dir string
	// FS is the file system; the machine's own by default.
	FS FS
	// Holds is how many records are known to be durable; Open refuses a log that
	// ends earlier, and leaves its bytes as they are. 0: nothing is known.
	Holds uint64
	// Archive is the folder that takes copies of released segments, and in which
	// Read finds their records; it is made if absent, and belongs to this log alone.
	// Empty: what is released is gone.
	Archive string
	// SegmentSize is the length of new segments in bytes, 64 MiB by default, at
	// least 8 KiB. A batch must fit into one segment; the default holds any.
	SegmentSize int64
	// Salt returns a fresh random number for each segment; from the machine's
	// secure source by default.
	Salt func() uint64
	// Logger hears of repairs and failures; silent by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("journal folder is not set")
	}
	if c.SegmentSize == 0 {
		c.SegmentSize = defaultSegmentSize
	}
	if c.SegmentSize < minSegmentSize || c.SegmentSize%headerBlock != 0 {
		return c, fmt.Errorf("segment size %d is not a multiple of %d of at least %d", c.SegmentSize, headerBlock, minSegmentSize)
	}
	if c.Archive != "" && filepath.Clean(c.Archive) == filepath.Clean(c.Dir) {
		return c, errors.New("the archive is the journal folder itself")
	}
	if c.FS == nil {
		c.FS = OS{}
	}
	if c.Salt == nil {
		c.Salt = randomSalt
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func randomSalt() uint64 {
	var b [8]byte
	_, _ = rand.Read(b[:]) // never fails: crypto/rand ends the process instead
	return binary.LittleEndian.Uint64(b[:])
}

// mark is a place where the search for a sequence may begin.
type mark struct {
	seq uint64
	off int64
}

// held is a segment that holds records. Marks are only ever appended, so a
// reader may use the slice header that it copied under Log.mu.
type held struct {
	segment
	marks []mark        // the first is the segment's first record
	end   int64         // offset after the last durable frame
	pins  *atomic.Int32 // calls of Read that need the file; rises only under Log.mu, while the log has it
}

func newHeld(seg segment) *held {
	return &held{segment: seg, end: headerBlock, pins: new(atomic.Int32)}
}

// Log is a journal.Log in a folder.
type Log struct {
	cfg  Config
	lock io.Closer
	wake chan struct{} // a spare segment was taken

	appendMu sync.Mutex // held for one Append, or Close
	tail     *held      // active segment, the last of held; nil on an empty log; owned by appendMu
	file     File       // of tail; owned by appendMu
	buf      []byte     // owned by appendMu
	failure  error      // first failure; owned by appendMu

	releaseMu sync.Mutex // held for one Release; taken before the others

	spareMu sync.Mutex // held while a segment is made; taken after appendMu
	spares  []segment  // unused segments that follow the active one; owned by spareMu
	spent   []held     // released segments that wait to be used again; owned by spareMu
	newest  uint64     // highest segment id in the folder; owned by spareMu

	mu     sync.RWMutex // guards what readers see; taken last
	origin origin       // where held begins
	held   []*held
	next   uint64
	closed bool
}

var _ journal.Log = (*Log)(nil)

// Open locks the folder, checks every record in it, repairs a torn end and makes
// the first segment of a new log. It starts nothing. A *journal.CorruptError
// means damage that no crash explains.
func Open(cfg Config) (*Log, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if err := cfg.FS.MkdirAll(cfg.Dir); err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	if cfg.Archive != "" {
		if err := cfg.FS.MkdirAll(cfg.Archive); err != nil {
			return nil, fmt.Errorf("open journal archive: %w", err)
		}
	}
	lock, err := cfg.FS.Lock(filepath.Join(cfg.Dir, lockName))
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	l := &Log{cfg: cfg, lock: lock, wake: make(chan struct{}, 1)}
	if err := l.recover(); err != nil {
		return nil, errors.Join(fmt.Errorf("open journal %s: %w", cfg.Dir, err), lock.Close())
	}
	return l, nil
}

// Run makes the next segment ahead of use until ctx ends. Without it Append makes
// segments itself, which costs one slow append per segment.
func (l *Log) Run(ctx context.Context) error {
	for {
		if err := l.Prepare(); err != nil {
			// Append tries again when it needs the segment, and fails for good then.
			l.cfg.Logger.Error("journal cannot make a segment ahead of use", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		}
	}
}

// Prepare makes a spare segment if there is none.
func (l *Log) Prepare() error {
	l.spareMu.Lock()
	defer l.spareMu.Unlock()
	if l.isClosed() {
		return journal.ErrClosed
	}
	if len(l.spares) > 0 {
		return nil
	}
	return l.addSpare(l.newest+1, l.cfg.SegmentSize)
}

// addSpare makes a segment; the caller holds spareMu.
func (l *Log) addSpare(id uint64, size int64) error {
	seg, err := makeSegment(l.cfg.FS, l.cfg.Dir, l.takeSpent(size), id, l.cfg.Salt(), size)
	if err != nil {
		return err
	}
	l.newest = max(l.newest, id)
	l.spares = append(l.spares, seg)
	return nil
}

// Append implements journal.Log: one write, one fdatasync.
func (l *Log) Append(first uint64, at int64, payloads [][]byte) error {
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	if l.isClosed() {
		return journal.ErrClosed
	}
	if l.failure != nil {
		return fmt.Errorf("%w: %w", journal.ErrFailed, l.failure)
	}
	if err := l.append(first, at, payloads); err != nil {
		l.failure = fmt.Errorf("append batch %d: %w", first, err)
		l.cfg.Logger.Error("journal has failed and takes nothing more", "seq", first, "err", err)
		return l.failure
	}
	return nil
}

func (l *Log) append(first uint64, at int64, payloads [][]byte) error {
	if err := journal.CheckBatch(l.Next(), first, payloads); err != nil {
		return err
	}
	total := 0
	for _, p := range payloads {
		total += len(p)
	}
	size := int64(frameSize(len(payloads), total))
	if headerBlock+size > l.cfg.SegmentSize {
		return fmt.Errorf("%w: a frame of %d bytes does not fit into a segment", journal.ErrBatch, size)
	}
	if l.tail == nil || l.tail.end+size > l.tail.size {
		if err := l.roll(headerBlock + size); err != nil {
			return fmt.Errorf("next segment: %w", err)
		}
	}
	h := l.tail
	l.buf = appendFrame(l.buf[:0], h.base, first, at, payloads)
	if _, err := l.file.WriteAt(l.buf, h.end); err != nil {
		return fmt.Errorf("write: %w", err)
	}
	// Before this sync returns, the batch is not durable and nobody may hear of it.
	if err := l.file.Sync(); err != nil {
		return fmt.Errorf("sync: %w", err)
	}
	if cap(l.buf) > keepBuffer {
		l.buf = nil
	}
	l.publish(first, uint64(len(payloads)), size)
	return nil
}

func (l *Log) publish(first, n uint64, size int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	h := l.tail
	h.marks = addMark(h.marks, mark{seq: first, off: h.end})
	h.end += size
	l.next = first + n
}

func addMark(marks []mark, m mark) []mark {
	if len(marks) > 0 && m.off-marks[len(marks)-1].off < markEvery {
		return marks
	}
	return append(marks, m)
}

// roll makes the next segment the active one. It writes nothing: the segment
// counts as used from its first frame on.
func (l *Log) roll(need int64) error {
	seg, err := l.takeSpare(need)
	if err != nil {
		return err
	}
	f, err := l.cfg.FS.Open(seg.name)
	if err != nil {
		return err
	}
	if l.file != nil {
		if err := l.file.Close(); err != nil {
			return errors.Join(err, f.Close())
		}
	}
	l.file, l.tail = f, newHeld(seg)
	l.mu.Lock()
	l.held = append(l.held, l.tail)
	l.mu.Unlock()
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return nil
}

func (l *Log) takeSpare(need int64) (segment, error) {
	l.spareMu.Lock()
	defer l.spareMu.Unlock()
	if len(l.spares) > 0 && l.spares[0].size < need {
		// A spare from a time of smaller segments is made anew under its own
		// number, and later ones are dropped: used segments must be consecutive.
		for _, s := range l.spares[1:] {
			if err := l.cfg.FS.Remove(s.name); err != nil {
				return segment{}, err
			}
		}
		l.newest = l.spares[0].id
		l.spares = l.spares[:0]
		if err := l.addSpare(l.newest, l.cfg.SegmentSize); err != nil {
			return segment{}, err
		}
	}
	if len(l.spares) == 0 {
		if err := l.addSpare(l.newest+1, l.cfg.SegmentSize); err != nil {
			return segment{}, err
		}
	}
	seg := l.spares[0]
	l.spares = l.spares[1:]
	return seg, nil
}

// First implements journal.Log.
func (l *Log) First() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.origin.seq
}

// Next implements journal.Log.
func (l *Log) Next() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.next
}

func (l *Log) isClosed() bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.closed
}

// Read implements journal.Log. It opens the segments for itself, so it never waits
// for an append. Records before First come from the archive, if there is one and
// it reaches so far back. What the log has when Read begins stays until it ends.
func (l *Log) Read(from uint64, fn func(journal.Record) error) error {
	begin, segs, err := l.pin(from)
	if err != nil {
		return err
	}
	defer func() {
		for _, h := range segs {
			h.pins.Add(-1)
		}
	}()
	if from > 0 && from < begin.seq {
		err := readArchive(l.cfg.FS, l.cfg.Archive, begin, from, fn)
		if errors.Is(err, journal.ErrStop) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read journal: %w", err)
		}
	}
	return readHeld(l.cfg.FS, segs, from, fn)
}

// pin returns where the log begins, and the segments that hold records from a
// sequence on, which stay until they are unpinned.
func (l *Log) pin(from uint64) (origin, []held, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if l.closed {
		return origin{}, nil, journal.ErrClosed
	}
	var segs []held
	for _, h := range holding(l.held, from) {
		h.pins.Add(1)
		segs = append(segs, *h)
	}
	return l.origin, segs, nil
}

// Close waits for the append and the release under way, then frees files and lock.
func (l *Log) Close() error {
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	l.releaseMu.Lock()
	defer l.releaseMu.Unlock()
	l.appendMu.Lock()
	defer l.appendMu.Unlock()
	l.spareMu.Lock()
	defer l.spareMu.Unlock()
	var err error
	if l.file != nil {
		err = l.file.Close()
	}
	return errors.Join(err, l.lock.Close())
}
