//go:build unix && !linux

package file

import "os"

// datasync calls the system's full sync, which on macOS includes F_FULLFSYNC.
func datasync(f *os.File) error { return f.Sync() }
