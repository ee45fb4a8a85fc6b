// Package machine asks the machine what the platform relies on: that nobody else
// can put a secret or a journal in its place, that what was made is still there
// after a power loss, and that clients leave the platform file descriptors. It
// refuses folders and files that somebody else could have replaced or read. The
// order of writing and syncing follows open(2) and fsync(2) of Linux.
package machine

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// maxSecret bounds the file of a secret, which has some 60 bytes.
const maxSecret = 1024

// DataFolder makes the data folder, with its parents, for its owner alone, and
// refuses one in which anybody may write.
//
// The crash story: a folder is durable once its parent is synced, which is before
// anything durable is put into it. A start that is killed in between leaves a
// folder that the next start finds, so the parent is synced in any case.
func DataFolder(dir string) error { return dataFolder(dir, syncDir) }

func dataFolder(dir string, sync func(string) error) error {
	dir = filepath.Clean(dir)
	if err := makeFolder(dir, sync); err != nil {
		return err
	}
	if err := sync(filepath.Dir(dir)); err != nil && !errors.Is(err, fs.ErrPermission) {
		return err // who may not read a parent has not made the folder in it
	}
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if info.Mode().Perm()&0o002 != 0 {
		return fmt.Errorf("anybody may write to %s, and so replace what is in it; look at what is there, then: chmod o-w %s", dir, dir)
	}
	return nil
}

// makeFolder makes a folder and syncs each parent in which it made an entry.
func makeFolder(dir string, sync func(string) error) error {
	if info, err := os.Stat(dir); err == nil {
		if !info.IsDir() {
			return fmt.Errorf("%s is not a folder", dir)
		}
		return nil
	}
	parent := filepath.Dir(dir)
	if parent != dir {
		if err := makeFolder(parent, sync); err != nil {
			return err
		}
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return sync(parent)
}

func syncDir(name string) error {
	d, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// ReadOwn reads a small file that holds a secret of this user. It refuses one
// that somebody else may have put there or may know.
func ReadOwn(name string) ([]byte, error) { return ReadOwnUpTo(name, maxSecret) }

// ReadOwnUpTo reads a file as ReadOwn does, and refuses one of more bytes.
func ReadOwnUpTo(name string, most int64) ([]byte, error) {
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if errors.Is(err, syscall.ELOOP) {
		return nil, foreign(name, "a symbolic link")
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if why := notOwn(info, os.Geteuid()); why != "" {
		return nil, foreign(name, why)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err == nil && int64(len(b)) > most {
		return nil, fmt.Errorf("%s has more than %d bytes", name, most)
	}
	return b, err
}

// notOwn says why a file is not one that only this user can read and write.
func notOwn(info fs.FileInfo, uid int) string {
	st, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.Mode().IsRegular():
		return "not a regular file"
	case !ok || int(st.Uid) != uid:
		return "owned by another user"
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Sprintf("open to other users (mode %04o)", info.Mode().Perm())
	}
	return ""
}

func foreign(name, why string) error {
	return fmt.Errorf("%s is %s, so its secret may be somebody else's; move it away and start again, which makes a new one", name, why)
}

// Connections returns how many connections the process may hold: half of its file
// descriptors stay for the journal, the lake and what it reads.
func Connections(want int) int {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil {
		return want // nobody knows of a limit
	}
	return int(min(uint64(want), max(1, files.Cur/2)))
}

// WriteSecret makes a new file of mode 0600 that holds a secret, durable when it
// returns. It refuses a name that is taken.
func WriteSecret(name, secret string) error { return WriteOwn(name, []byte(secret+"\n")) }

// WriteOwn makes a new file for its owner alone, durable when it returns. It
// refuses a name that is taken.
func WriteOwn(name string, content []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}
