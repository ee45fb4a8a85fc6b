package audit

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/mbp-market/mbp/engine/journal/file"
)

// CopyCheckpoints copies the checkpoints of at most size records from one folder
// into another, which it makes if there are any, byte by byte and durably, and
// returns how many. The tree is not copied: it is made again from the journal, and
// the newest checkpoint confirms it.
func CopyCheckpoints(fs file.FS, from, to string, size uint64) (n int, err error) {
	d, err := openFolder(fs, from)
	if err != nil {
		return 0, err
	}
	for _, s := range d.has() {
		if s > size {
			break
		}
		if n == 0 {
			if err := fs.MkdirAll(to); err != nil {
				return 0, err
			}
		}
		b, err := d.read(s)
		if err != nil {
			return n, fmt.Errorf("read checkpoint %d: %w", s, err)
		}
		out, err := fs.Create(filepath.Join(to, checkpointName(s)))
		if err != nil {
			return n, fmt.Errorf("copy checkpoint %d: %w", s, err)
		}
		_, err = out.WriteAt(b, 0)
		if err = errors.Join(err, out.Sync(), out.Close()); err != nil {
			return n, fmt.Errorf("copy checkpoint %d: %w", s, err)
		}
		n++
	}
	if n == 0 {
		return 0, nil
	}
	return n, fs.SyncDir(to)
}
