package file

import (
	"errors"
	"io"
	"os"
	"syscall"
)

// datasync calls fdatasync(2), which spares the write of the modification time.
// Only an interrupted call is repeated; a failed one never is.
func datasync(f *os.File) error {
	for {
		err := syscall.Fdatasync(int(f.Fd()))
		if !errors.Is(err, syscall.EINTR) {
			return os.NewSyscallError("fdatasync", err)
		}
	}
}

// Commands of fcntl(2) for locks that belong to an open file, as flock(2)'s do, and
// that can be asked for without taking them, as flock(2)'s cannot. Package syscall
// does not name them; they are the same on every architecture of Linux.
const (
	ofdGetLock = 36 // F_OFD_GETLK
	ofdSetLock = 37 // F_OFD_SETLK
)

// showLock puts up a sign beside the lock of flock(2), which alone decides who has
// the log. A system without such locks goes without the sign.
func showLock(f *os.File) error {
	err := syscall.FcntlFlock(f.Fd(), ofdSetLock, &syscall.Flock_t{Type: syscall.F_WRLCK, Whence: io.SeekStart})
	if errors.Is(err, syscall.EINVAL) {
		return nil
	}
	return os.NewSyscallError("fcntl", err)
}

// lockShown reports whether the sign is up; yes where there are no such signs.
func lockShown(f *os.File) (bool, error) {
	lock := syscall.Flock_t{Type: syscall.F_RDLCK, Whence: io.SeekStart}
	err := syscall.FcntlFlock(f.Fd(), ofdGetLock, &lock)
	if errors.Is(err, syscall.EINVAL) {
		return true, nil
	}
	return lock.Type != syscall.F_UNLCK, os.NewSyscallError("fcntl", err)
}
