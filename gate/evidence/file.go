package evidence

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// atomically writes a file beside path, syncs it and hands it to settle, which
// moves it into place. A crash leaves a file named like path.tmp*, which
// nobody reads.
func atomically(path string, write func(io.Writer) error, settle func(temp string) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".tmp*")
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		if rm := os.Remove(f.Name()); rm != nil && !errors.Is(rm, fs.ErrNotExist) && err == nil {
			err = rm
		}
	}()
	if err := write(f); err != nil {
		return err
	}
	if err := f.Chmod(0o644); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", path, err)
	}
	if err := settle(f.Name()); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// overwrite puts b in the place of whatever path was.
func overwrite(path string, b []byte) error {
	write := func(w io.Writer) error { _, err := w.Write(b); return err }
	return atomically(path, write, func(temp string) error { return os.Rename(temp, path) })
}

// replace writes path, or leaves it if it holds the same bytes already; other
// bytes under that name are another run's, and stay.
func replace(path string, write func(io.Writer) error) error {
	return atomically(path, write, func(temp string) error {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			return os.Rename(temp, path)
		}
		same, err := sameBytes(temp, path)
		if err != nil {
			return err
		}
		if !same {
			return fmt.Errorf("%s exists and holds something else", path)
		}
		return nil
	})
}

func sameBytes(a, b string) (bool, error) {
	f, err := os.Open(a)
	if err != nil {
		return false, err
	}
	defer f.Close()
	g, err := os.Open(b)
	if err != nil {
		return false, err
	}
	defer g.Close()
	c := &comparer{want: bufio.NewReaderSize(g, 1<<20)}
	if _, err := io.Copy(c, f); errors.Is(err, errDiffers) {
		return false, nil
	} else if err != nil {
		return false, err
	}
	_, err = c.want.ReadByte()
	return errors.Is(err, io.EOF), nil
}

var errDiffers = errors.New("the bytes differ")

// comparer is a writer that holds what it gets against what it wants.
type comparer struct {
	want *bufio.Reader
	buf  []byte
	at   int64 // how many bytes were equal
}

// Write fails at the first byte that differs, or that is one too many.
func (c *comparer) Write(p []byte) (int, error) {
	if cap(c.buf) < len(p) {
		c.buf = make([]byte, len(p))
	}
	n, err := io.ReadFull(c.want, c.buf[:len(p)])
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return 0, err
	}
	for i := range p {
		if i == n || c.buf[i] != p[i] {
			c.at += int64(i)
			return i, errDiffers
		}
	}
	c.at += int64(n)
	return n, nil
}

// syncDir makes a new name in a folder durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
