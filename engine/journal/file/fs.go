package file

import "io"

// FS is the little that the log asks of a file system. Names are paths. Nothing
// that a method did is promised to survive a power loss before File.Sync (the
// bytes and size of a file) or SyncDir (names in a folder) has returned nil.
type FS interface {
	// MkdirAll makes the folder and its parents, durably.
	MkdirAll(dir string) error
	// Create makes an empty file for reading and writing; an old one of that
	// name loses its content.
	Create(name string) (File, error)
	// Open opens an existing file for reading and writing.
	Open(name string) (File, error)
	// Rename moves a file within its folder, replacing the target.
	Rename(from, to string) error
	// Remove deletes a file.
	Remove(name string) error
	// ReadDir returns the names in the folder, sorted.
	ReadDir(dir string) ([]string, error)
	// SyncDir makes the names of the folder durable.
	SyncDir(dir string) error
	// Lock takes an exclusive lock that ends with Close or with the process; it
	// returns journal.ErrLocked at once if another holds it.
	Lock(name string) (io.Closer, error)
	// Held reports whether another process, or another open log of this one, has
	// the lock. It takes nothing, not for a moment: a process that starts meanwhile
	// must not meet it. Where the system cannot tell, the answer is yes.
	Held(name string) (bool, error)
}

// File is an open file. WriteAt never keeps p.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer
	// Sync makes the bytes durable, and the size as far as reading them back
	// needs it (fdatasync). After an error the state of unsynced bytes is
	// unknown.
	Sync() error
	// Size returns the length in bytes.
	Size() (int64, error)
}
