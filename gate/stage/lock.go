package stage

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// lock keeps a second run out of the same folders. The kernel drops the lock
// with the process, so a crashed run does not block the next one; what such a
// run left behind is named in the file by its cookie and is killed here.
func (r *runner) lock() (unlock func(), err error) {
	dir := filepath.Dir(r.evi)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	path := filepath.Join(dir, "prega.lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("lock: %w", err)
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("another prega runs in %s; wait for it or stop it", r.cfg.Evidence)
		}
		return nil, fmt.Errorf("lock: %w", err)
	}
	old, err := os.ReadFile(path)
	if err == nil && strings.HasPrefix(string(old), cookieName+"=") {
		strays(strings.TrimSpace(string(old)))
	}
	r.lockFile = f
	return func() {
		_ = f.Truncate(0) // ended in order: nothing to clean up
		f.Close()
	}, nil
}

// mark writes the cookie of this run into the lock.
func (r *runner) mark() error {
	if err := r.lockFile.Truncate(0); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	if _, err := r.lockFile.WriteAt([]byte(r.cookie+"\n"), 0); err != nil {
		return fmt.Errorf("lock: %w", err)
	}
	return nil
}
