package lake

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
)

// FS is the disk as the lake sees it: slash-separated paths below one root.
// Nothing is durable before Sync (contents) and SyncDir (names) returned nil;
// tests use an FS that forgets the rest. The caller owns a File until Close.
type FS interface {
	Create(name string) (File, error) // truncates
	Rename(from, to string) error     // replaces
	Mkdir(name string) error          // fs.ErrExist if it is there
	SyncDir(name string) error
	ReadFile(name string) ([]byte, error)
	ReadDir(name string) ([]fs.DirEntry, error) // sorted by name
}

// File is a file being written.
type File interface {
	io.Writer
	Sync() error
	Close() error
}

// OS returns the real file system below root.
func OS(root string) FS { return osFS{root} }

type osFS struct{ root string }

func (o osFS) at(name string) string { return filepath.Join(o.root, filepath.FromSlash(name)) }

func (o osFS) Create(name string) (File, error)        { return os.Create(o.at(name)) }
func (o osFS) Rename(from, to string) error            { return os.Rename(o.at(from), o.at(to)) }
func (o osFS) ReadFile(name string) ([]byte, error)    { return os.ReadFile(o.at(name)) }
func (o osFS) ReadDir(n string) ([]fs.DirEntry, error) { return os.ReadDir(o.at(n)) }

func (o osFS) Mkdir(name string) error {
	if name == "." {
		return os.MkdirAll(o.root, 0o755)
	}
	return os.Mkdir(o.at(name), 0o755)
}

func (o osFS) SyncDir(name string) error {
	d, err := os.Open(o.at(name))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// folders creates folders and remembers those whose names it has made durable.
// A folder that is merely there does not count: whoever made it may have been
// killed before the sync, and a synced file in a folder that a crash forgets is
// lost.
type folders struct {
	fs      FS
	durable map[string]bool
}

func (d folders) ensure(dir string) error {
	if dir == "." || d.durable[dir] {
		return nil
	}
	if err := d.ensure(path.Dir(dir)); err != nil {
		return err
	}
	if err := d.fs.Mkdir(dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("make folder %s: %w", dir, err)
	}
	if err := d.fs.SyncDir(path.Dir(dir)); err != nil {
		return fmt.Errorf("sync folder %s: %w", path.Dir(dir), err)
	}
	d.durable[dir] = true
	return nil
}

// replace puts data under name atomically: a reader sees the old bytes or the
// new ones. The new name is durable only after SyncDir of its folder, which the
// caller does once for all files of the folder.
func replace(fsys FS, name string, data []byte) error {
	tmp := path.Join(path.Dir(name), "."+path.Base(name)+".tmp")
	f, err := fsys.Create(tmp)
	if err != nil {
		return fmt.Errorf("create %s: %w", tmp, err)
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write %s: %w", tmp, err)
	}
	if err := fsys.Rename(tmp, name); err != nil {
		return fmt.Errorf("rename %s: %w", name, err)
	}
	return nil
}
