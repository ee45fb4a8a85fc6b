package file

import (
	"errors"
	"fmt"
	"io"

	"github.com/mbp-market/mbp/engine/journal"
)

// Reader reads the log of a folder beside the process that holds it. It takes no
// lock and changes nothing. It ends where no intact batch follows, and so may hold
// a batch that is written and not yet durable: who needs durable records reads as
// far as a checkpoint of them reaches.
type Reader struct {
	fs   FS
	held []held
	next uint64
}

// OpenReader looks at the folder once; what is appended afterwards is not seen.
// Only Dir and FS of the configuration matter.
func OpenReader(cfg Config) (*Reader, error) {
	if cfg.FS == nil {
		cfg.FS = ReadOnly{}
	}
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	names, err := cfg.FS.ReadDir(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("open journal: %w", err)
	}
	var scans []scan
	l := &Log{cfg: cfg}
	for _, n := range names {
		id, ok := parseName(n)
		if !ok {
			continue
		}
		s, err := l.scan(id)
		if err != nil {
			return nil, fmt.Errorf("open journal %s: %w", cfg.Dir, err)
		}
		scans = append(scans, s)
	}
	tail, err := checkOrder(scans)
	if err != nil {
		return nil, fmt.Errorf("open journal %s: %w", cfg.Dir, err)
	}
	r := &Reader{fs: cfg.FS, next: 1}
	for _, s := range scans[:tail+1] {
		r.held = append(r.held, held{segment: s.segment, marks: s.marks, end: s.end})
		r.next = s.next
	}
	return r, nil
}

// First returns the sequence of the oldest record.
func (r *Reader) First() uint64 {
	if len(r.held) == 0 {
		return r.next
	}
	return r.held[0].marks[0].seq
}

// Next returns the sequence after the last record that was there.
func (r *Reader) Next() uint64 { return r.next }

// Read is like journal.Log's.
func (r *Reader) Read(from uint64, fn func(journal.Record) error) error {
	return readHeld(r.fs, r.held, from, fn)
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

// Lock refuses.
func (ReadOnly) Lock(string) (io.Closer, error) { return nil, errReadOnly }
