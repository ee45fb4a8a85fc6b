// Package faultfs is a file system in memory that loses what it may lose. It
// promises to keep written and synced state apart, per 512-byte sector and per
// directory entry, so that a crash can discard everything not yet synced, keep a
// random part of it, or keep the page cache of a killed process. A sync of a folder
// is for the names in that folder alone. It can fail any operation, write short, run
// full, and drop dirty pages at a failed sync as Linux does (Rebello et al., USENIX
// ATC 2020). It refuses nothing that a real file system allows the log to do; it has
// no hard links, and its folders are there from the start.
package faultfs

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"sync"
	"syscall"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// ErrCrashed is returned by everything between the crash and Restart.
var ErrCrashed = errors.New("faultfs: the machine is down")

// sector is the unit that a disk writes whole.
const sector = 512

// The kinds of operations that change state.
const (
	Write   = "write"
	Sync    = "sync"
	Create  = "create"
	Rename  = "rename"
	Remove  = "remove"
	SyncDir = "syncdir"
)

// Op is an operation that changes state, numbered from 1.
type Op struct {
	N    int
	Kind string
	Name string
	Len  int // bytes of a write
}

// Fault is what happens instead of an operation. The zero value lets it happen.
type Fault struct {
	Crash bool  // the machine stops before the operation
	Err   error // the operation fails; a failed sync drops the dirty pages
	Short int   // of a write that fails: bytes that still reach the page cache
}

// change gives a name a file, or none.
type change struct {
	name string
	node *node
}

// entries are the changes of one operation, all in one folder.
type entries struct {
	dir     string
	changes []change
}

// span is a write that is not durable.
type span struct {
	off  int64
	data []byte
}

type node struct {
	cur   []byte // what readers see
	dur   []byte // what a crash leaves
	dirty []span // in cur, not in dur, reached by the next sync
}

// FS implements file.FS. The zero value is not usable; see New.
type FS struct {
	mu       sync.Mutex
	plan     func(Op) Fault
	capacity int64
	ops      int
	life     int // counts restarts; handles of an earlier life are dead
	down     bool
	names    map[string]*node // what lookups see
	durable  map[string]*node
	pending  []entries // directory operations not yet synced, in order
	locks    map[string]bool
}

var _ file.FS = (*FS)(nil)

// New returns an empty disk.
func New() *FS {
	return &FS{names: map[string]*node{}, durable: map[string]*node{}, locks: map[string]bool{}}
}

// SetPlan sets the faults to come; nil means none. Operation numbers go on.
func (fs *FS) SetPlan(plan func(Op) Fault) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.plan = plan
}

// SetCapacity bounds the sum of all file sizes in bytes; 0 means no bound.
func (fs *FS) SetCapacity(n int64) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	fs.capacity = n
}

// Ops returns how many operations were started.
func (fs *FS) Ops() int {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	return fs.ops
}

// begin numbers an operation and applies the plan; the caller holds mu.
func (fs *FS) begin(kind, name string, n int) (Fault, error) {
	if fs.down {
		return Fault{}, ErrCrashed
	}
	fs.ops++
	if fs.plan == nil {
		return Fault{}, nil
	}
	f := fs.plan(Op{N: fs.ops, Kind: kind, Name: name, Len: n})
	if f.Crash {
		fs.down = true
		return f, ErrCrashed
	}
	if f.Err != nil {
		return f, &os.PathError{Op: kind, Path: name, Err: f.Err}
	}
	return f, nil
}

// MkdirAll does nothing: folders are durable from the start.
func (fs *FS) MkdirAll(string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.down {
		return ErrCrashed
	}
	return nil
}

// Create implements file.FS.
func (fs *FS) Create(name string) (file.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, err := fs.begin(Create, name, 0); err != nil {
		return nil, err
	}
	n := &node{}
	fs.link(change{name, n})
	return &handle{fs: fs, node: n, name: name, life: fs.life}, nil
}

// link changes names now and in the durable folder at the next SyncDir.
func (fs *FS) link(changes ...change) {
	for _, c := range changes {
		apply(fs.names, c)
	}
	fs.pending = append(fs.pending, entries{filepath.Dir(changes[0].name), changes})
}

func apply(names map[string]*node, c change) {
	if c.node == nil {
		delete(names, c.name)
		return
	}
	names[c.name] = c.node
}

// Open implements file.FS.
func (fs *FS) Open(name string) (file.File, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.down {
		return nil, ErrCrashed
	}
	n := fs.names[name]
	if n == nil {
		return nil, &os.PathError{Op: "open", Path: name, Err: os.ErrNotExist}
	}
	return &handle{fs: fs, node: n, name: name, life: fs.life}, nil
}

// Rename implements file.FS.
func (fs *FS) Rename(from, to string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, err := fs.begin(Rename, from, 0); err != nil {
		return err
	}
	if filepath.Dir(from) != filepath.Dir(to) {
		return &os.PathError{Op: "rename", Path: to, Err: syscall.EXDEV}
	}
	n := fs.names[from]
	if n == nil {
		return &os.PathError{Op: "rename", Path: from, Err: os.ErrNotExist}
	}
	fs.link(change{from, nil}, change{to, n})
	return nil
}

// Remove implements file.FS.
func (fs *FS) Remove(name string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, err := fs.begin(Remove, name, 0); err != nil {
		return err
	}
	if fs.names[name] == nil {
		return &os.PathError{Op: "remove", Path: name, Err: os.ErrNotExist}
	}
	fs.link(change{name, nil})
	return nil
}

// ReadDir implements file.FS.
func (fs *FS) ReadDir(dir string) ([]string, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.down {
		return nil, ErrCrashed
	}
	var out []string
	for name := range fs.names {
		if filepath.Dir(name) == filepath.Clean(dir) {
			out = append(out, filepath.Base(name))
		}
	}
	sort.Strings(out)
	return out, nil
}

// SyncDir implements file.FS.
func (fs *FS) SyncDir(dir string) error {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if _, err := fs.begin(SyncDir, dir, 0); err != nil {
		return err
	}
	left := fs.pending[:0]
	for _, op := range fs.pending {
		if op.dir != filepath.Clean(dir) {
			left = append(left, op)
			continue
		}
		for _, c := range op.changes {
			apply(fs.durable, c)
		}
	}
	fs.pending = left
	return nil
}

// Lock implements file.FS; a restart releases every lock.
func (fs *FS) Lock(name string) (io.Closer, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.down {
		return nil, ErrCrashed
	}
	if fs.locks[name] {
		return nil, fmt.Errorf("%s: %w", name, journal.ErrLocked)
	}
	fs.locks[name] = true
	return unlock{fs, name, fs.life}, nil
}

// Held implements file.FS.
func (fs *FS) Held(name string) (bool, error) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.down {
		return false, ErrCrashed
	}
	return fs.locks[name], nil
}

type unlock struct {
	fs   *FS
	name string
	life int
}

// Close releases the lock unless a restart has done it.
func (u unlock) Close() error {
	u.fs.mu.Lock()
	defer u.fs.mu.Unlock()
	if u.life == u.fs.life {
		delete(u.fs.locks, u.name)
	}
	return nil
}

type handle struct {
	fs   *FS
	node *node
	name string
	life int
}

func (h *handle) dead() bool { return h.fs.down || h.life != h.fs.life }

// ReadAt implements io.ReaderAt on the page cache.
func (h *handle) ReadAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.dead() {
		return 0, ErrCrashed
	}
	if off >= int64(len(h.node.cur)) {
		return 0, io.EOF
	}
	n := copy(p, h.node.cur[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt writes to the page cache.
func (h *handle) WriteAt(p []byte, off int64) (int, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.life != h.fs.life {
		return 0, ErrCrashed
	}
	f, err := h.fs.begin(Write, h.name, len(p))
	if err != nil {
		short := min(f.Short, len(p))
		if !f.Crash && f.Err != nil && short > 0 {
			h.node.write(p[:short], off)
		}
		return short, err
	}
	if room := h.fs.room(h.node); h.fs.capacity > 0 && off+int64(len(p)) > room {
		short := max(0, min(int64(len(p)), room-off))
		h.node.write(p[:short], off)
		return int(short), &os.PathError{Op: "write", Path: h.name, Err: syscall.ENOSPC}
	}
	h.node.write(p, off)
	return len(p), nil
}

// room returns how long n may become.
func (fs *FS) room(n *node) int64 {
	used := int64(0)
	for _, other := range fs.names {
		if other != n {
			used += int64(len(other.cur))
		}
	}
	return max(int64(len(n.cur)), fs.capacity-used)
}

func (n *node) write(p []byte, off int64) {
	n.cur = put(n.cur, p, off)
	n.dirty = append(n.dirty, span{off, append([]byte(nil), p...)})
}

func put(b, p []byte, off int64) []byte {
	if need := int(off) + len(p); len(b) < need {
		b = append(b, make([]byte, need-len(b))...)
	}
	copy(b[off:], p)
	return b
}

// Sync makes the file's bytes durable.
func (h *handle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.life != h.fs.life {
		return ErrCrashed
	}
	f, err := h.fs.begin(Sync, h.name, 0)
	if err != nil {
		if !f.Crash && f.Err != nil {
			h.node.dirty = nil // the kernel marks the pages clean; they stay readable
		}
		return err
	}
	for _, s := range h.node.dirty {
		h.node.dur = put(h.node.dur, s.data, s.off)
	}
	h.node.dirty = nil
	return nil
}

// Size implements file.File.
func (h *handle) Size() (int64, error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.dead() {
		return 0, ErrCrashed
	}
	return int64(len(h.node.cur)), nil
}

// Close implements io.Closer.
func (h *handle) Close() error { return nil }
