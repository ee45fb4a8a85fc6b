package file

import (
	"errors"
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
