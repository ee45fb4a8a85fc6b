package lake

import (
	"errors"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

var errCrash = errors.New("crashed")

// crashFS is a disk that loses what was not synced. Names and contents have a
// volatile and a durable life of their own: Sync makes contents durable,
// SyncDir makes the names of one folder durable.
type crashFS struct {
	live    map[string]*node // names as the running process sees them
	durable map[string]*node // names that survive
	ops     int              // operations so far
	crashAt int              // the operation that fails, with all later ones; 0 never
}

type node struct {
	dir          bool
	data, synced []byte
}

func newCrashFS() *crashFS {
	root := &node{dir: true}
	return &crashFS{live: map[string]*node{".": root}, durable: map[string]*node{".": root}}
}

// keep says which unsynced names a crash spares.
type keep func(name string) bool

// reboot returns the disk after the crash: durable names, and those unsynced
// changes that keep spares; contents are what was synced.
func (c *crashFS) reboot(spare keep) *crashFS {
	names := maps.Clone(c.durable)
	for name, n := range c.live {
		if spare(name) {
			names[name] = n
		}
	}
	for name := range c.durable {
		if _, still := c.live[name]; !still && spare(name) {
			delete(names, name)
		}
	}
	out := newCrashFS()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if _, parent := out.live[path.Dir(name)]; !parent {
			continue // its folder is gone
		}
		n := &node{dir: names[name].dir, data: slices.Clone(names[name].synced), synced: slices.Clone(names[name].synced)}
		out.live[name], out.durable[name] = n, n
	}
	return out
}

func (c *crashFS) step() error {
	c.ops++
	if c.crashAt != 0 && c.ops >= c.crashAt {
		return errCrash
	}
	return nil
}

func (c *crashFS) Create(name string) (File, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	if p := c.live[path.Dir(name)]; p == nil || !p.dir {
		return nil, fs.ErrNotExist
	}
	n := &node{}
	c.live[name] = n
	return &crashFile{c, n}, nil
}

func (c *crashFS) Rename(from, to string) error {
	if err := c.step(); err != nil {
		return err
	}
	n := c.live[from]
	if n == nil {
		return fs.ErrNotExist
	}
	c.live[to] = n
	delete(c.live, from)
	return nil
}

func (c *crashFS) Mkdir(name string) error {
	if err := c.step(); err != nil {
		return err
	}
	if c.live[name] != nil {
		return fs.ErrExist
	}
	if c.live[path.Dir(name)] == nil {
		return fs.ErrNotExist
	}
	c.live[name] = &node{dir: true}
	return nil
}

func (c *crashFS) SyncDir(name string) error {
	if err := c.step(); err != nil {
		return err
	}
	for n := range c.durable {
		if path.Dir(n) == name && n != "." && c.live[n] == nil {
			delete(c.durable, n)
		}
	}
	for n, v := range c.live {
		if path.Dir(n) == name && n != "." {
			c.durable[n] = v
		}
	}
	return nil
}

func (c *crashFS) ReadFile(name string) ([]byte, error) {
	n := c.live[name]
	if n == nil || n.dir {
		return nil, fs.ErrNotExist
	}
	return slices.Clone(n.data), nil
}

func (c *crashFS) ReadDir(dir string) ([]fs.DirEntry, error) {
	if n := c.live[dir]; n == nil || !n.dir {
		return nil, fs.ErrNotExist
	}
	var out []fs.DirEntry
	for _, name := range slices.Sorted(maps.Keys(c.live)) {
		if name != "." && path.Dir(name) == dir {
			out = append(out, entry{path.Base(name), c.live[name]})
		}
	}
	return out, nil
}

type crashFile struct {
	c *crashFS
	n *node
}

func (f *crashFile) Write(b []byte) (int, error) {
	if err := f.c.step(); err != nil {
		f.n.data = append(f.n.data, b[:len(b)/2]...)
		return len(b) / 2, err
	}
	f.n.data = append(f.n.data, b...)
	return len(b), nil
}

func (f *crashFile) Sync() error {
	if err := f.c.step(); err != nil {
		return err
	}
	f.n.synced = slices.Clone(f.n.data)
	return nil
}

func (f *crashFile) Close() error { return f.c.step() }

// entry is a fs.DirEntry and its own fs.FileInfo.
type entry struct {
	name string
	n    *node
}

func (e entry) Name() string               { return e.name }
func (e entry) IsDir() bool                { return e.n.dir }
func (e entry) Type() fs.FileMode          { return e.Mode().Type() }
func (e entry) Info() (fs.FileInfo, error) { return e, nil }
func (e entry) Size() int64                { return int64(len(e.n.data)) }
func (e entry) ModTime() time.Time         { return time.Time{} }
func (e entry) Sys() any                   { return nil }

func (e entry) Mode() fs.FileMode {
	if e.n.dir {
		return fs.ModeDir
	}
	return 0
}

// glob returns the data files that a reader would find.
func (c *crashFS) glob(table string) []string {
	var out []string
	for name, n := range c.live {
		if !n.dir && strings.HasPrefix(name, table+"/") && strings.HasSuffix(name, ".parquet") {
			out = append(out, name)
		}
	}
	slices.Sort(out)
	return out
}
