package audit

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/mod/sumdb/tlog"

	"github.com/mbp-market/mbp/engine/journal/file"
)

const (
	treeName         = "tree"
	checkpointPrefix = "checkpoint."
	unfinished       = checkpointPrefix + "new"
	// maxCheckpoints bounds the files of the folder. When there are as many, every
	// other of the older half goes: the whole life stays covered, the further back
	// the sparser, and each thinning removes files for at least an hour of them.
	maxCheckpoints = 1024
)

// folder is where the tree and its checkpoints lie.
//
// tree holds 32 bytes for each hash, in the order of tlog.StoredHashIndex, and
// nothing else. Each checkpoint is a file of its own, named by its size.
//
// The crash story: hashes are written without a sync, so a crash leaves any part
// of them. Before a checkpoint is signed the tree is synced; the checkpoint is
// synced under a temporary name, renamed, and the folder synced. So the hashes
// below the newest checkpoint are whole, which its root confirms at the next
// start, and everything above it is hashed again. If the root does not confirm
// them, the tree is made anew from the journal.
type folder struct {
	fs  file.FS
	dir string

	buf []byte // scratch of write

	mu     sync.Mutex
	tree   file.File // nil until it is opened
	closed bool      // and opens no more
	sizes  []uint64  // of the checkpoints there, ascending
}

// errClosed ends who still works when everything is closed.
var errClosed = errors.New("the tree is closed")

// openFolder lists the checkpoints. The tree is opened by whoever needs it.
func openFolder(fs file.FS, dir string) (*folder, error) {
	names, err := fs.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("open audit folder: %w", err)
	}
	d := &folder{fs: fs, dir: dir}
	for _, n := range names {
		text, ok := strings.CutPrefix(n, checkpointPrefix)
		size, err := strconv.ParseUint(text, 10, 63)
		if ok && err == nil && n == checkpointName(size) {
			d.sizes = append(d.sizes, size)
		}
	}
	slices.Sort(d.sizes)
	return d, nil
}

func checkpointName(size uint64) string { return fmt.Sprintf("%s%020d", checkpointPrefix, size) }

func (d *folder) path(name string) string { return filepath.Join(d.dir, name) }

// has returns the sizes of the checkpoints, ascending.
func (d *folder) has() []uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.sizes)
}

// openTree opens the file of the hashes; made says whether it shall be made if it
// is absent.
func (d *folder) openTree(made bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return errClosed
	}
	if d.tree != nil {
		return nil
	}
	names, err := d.fs.ReadDir(d.dir)
	if err != nil {
		return err
	}
	open := d.fs.Open
	if made && !slices.Contains(names, treeName) {
		open = d.fs.Create
	}
	d.tree, err = open(d.path(treeName))
	return err
}

// opened returns the file of the hashes.
func (d *folder) opened() (file.File, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tree == nil {
		return nil, errClosed
	}
	return d.tree, nil
}

// ReadHashes implements tlog.HashReader.
func (d *folder) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	tree, err := d.opened()
	if err != nil {
		return nil, err
	}
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		if n, err := tree.ReadAt(out[i][:], index*tlog.HashSize); n < tlog.HashSize {
			return nil, fmt.Errorf("read hash %d of the tree: %w", index, err)
		}
	}
	return out, nil
}

// write stores the hashes that follow those of a tree of size records.
func (d *folder) write(size uint64, hashes []tlog.Hash) error {
	d.buf = d.buf[:0]
	for i := range hashes {
		d.buf = append(d.buf, hashes[i][:]...)
	}
	tree, err := d.opened()
	if err != nil {
		return err
	}
	if _, err := tree.WriteAt(d.buf, tlog.StoredHashCount(int64(size))*tlog.HashSize); err != nil {
		return fmt.Errorf("write the tree: %w", err)
	}
	return nil
}

// sync makes the hashes durable.
func (d *folder) sync() error {
	tree, err := d.opened()
	if err != nil {
		return err
	}
	if err := tree.Sync(); err != nil {
		return fmt.Errorf("sync the tree: %w", err)
	}
	return nil
}

// read returns the bytes of a checkpoint file.
func (d *folder) read(size uint64) (b []byte, err error) {
	f, err := d.fs.Open(d.path(checkpointName(size)))
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	n, err := f.Size()
	if err != nil {
		return nil, err
	}
	if n > maxNote {
		return nil, invalid("%s has %d bytes", checkpointName(size), n)
	}
	b = make([]byte, n)
	if _, err := f.ReadAt(b, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b, nil
}

// checkpoint reads and checks the checkpoint of a size.
func (d *folder) checkpoint(size uint64, v Verifier) (Signed, error) {
	b, err := d.read(size)
	if err != nil {
		return Signed{}, fmt.Errorf("read checkpoint %d: %w", size, err)
	}
	c, err := v.Open(b)
	if err == nil && c.Size != size {
		err = invalid("it is named after %d and states %d records", size, c.Size)
	}
	if err != nil {
		return Signed{}, fmt.Errorf("checkpoint %d: %w", size, err)
	}
	return Signed{c, b}, nil
}

// newest returns the newest checkpoint that holds, the zero value if there is
// none, and an error for those after it that do not.
func (d *folder) newest(v Verifier) (Signed, error) {
	var errs []error
	for _, size := range slices.Backward(d.has()) {
		c, err := d.checkpoint(size, v)
		if err == nil {
			return c, errors.Join(errs...)
		}
		errs = append(errs, err)
	}
	return Signed{}, errors.Join(errs...)
}

// keep makes a checkpoint durable; its tree is.
func (d *folder) keep(c Signed) error {
	f, err := d.fs.Create(d.path(unfinished))
	if err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	_, err = f.WriteAt(c.Note, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	if err := d.fs.Rename(d.path(unfinished), d.path(checkpointName(c.Size))); err != nil {
		return fmt.Errorf("keep checkpoint: %w", err)
	}
	if err := d.fs.SyncDir(d.dir); err != nil {
		return fmt.Errorf("keep checkpoint: sync folder: %w", err)
	}
	return d.thin(c.Size)
}

// thin notes a checkpoint, and removes every other of the older half when there
// are too many. A crash in between leaves some more.
func (d *folder) thin(size uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if i, found := slices.BinarySearch(d.sizes, size); !found {
		d.sizes = slices.Insert(d.sizes, i, size)
	}
	if len(d.sizes) < maxCheckpoints {
		return nil
	}
	var kept []uint64
	for i, s := range d.sizes {
		if i%2 == 0 || i >= maxCheckpoints/2 {
			kept = append(kept, s)
			continue
		}
		if err := d.fs.Remove(d.path(checkpointName(s))); err != nil {
			return fmt.Errorf("thin checkpoints: %w", err)
		}
	}
	d.sizes = kept
	return nil
}

// release closes the tree's file; it may be opened again.
func (d *folder) release() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.tree == nil {
		return nil
	}
	err := d.tree.Close()
	d.tree = nil
	return err
}

// close closes the tree for good.
func (d *folder) close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	return d.release()
}
