package file_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// TestReleaseToAnArchive: what is released is in the archive byte for byte, and is
// read from there; First moves as far as whole segments allow; a copy that goes
// back into the folder makes the log whole again.
func TestReleaseToAnArchive(t *testing.T) {
	fs := faultfs.New()
	l, err := openArchived(fs, "archive")
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 200)
	before := map[string][]byte{}
	for _, n := range fs.Names() {
		before[n] = fs.Bytes(n)
	}
	if err := l.Release(1); err != nil || l.First() != 1 {
		t.Fatalf("released nothing: %v, first %d", err, l.First())
	}
	last := l.First()
	for seq := uint64(1); seq <= l.Next()+5; seq += 7 {
		if err := l.Release(seq); err != nil {
			t.Fatal(err)
		}
		if l.First() < last || l.First() > seq {
			t.Fatalf("first is %d after %d was released, was %d", l.First(), seq, last)
		}
		last = l.First()
		for _, from := range []uint64{1, 2, last - 1, last, last + 1} {
			whole(t, l, max(1, from))
		}
		if got, err := contents(l, 0); err != nil || got[0].Seq != last {
			t.Fatalf("from 0: %v", err)
		}
	}
	kept := segments(fs, "archive")
	if len(kept) < 5 || last == 1 {
		t.Fatalf("archive %v, first %d", kept, last)
	}
	for _, n := range kept {
		if !bytes.Equal(fs.Bytes("archive/"+n), before["log/"+n]) {
			t.Errorf("%s is not what it was in the log", n)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	back := faultfs.New()
	for _, n := range kept {
		back.SetBytes("log/"+n, fs.Bytes("archive/"+n))
	}
	for _, n := range segments(fs, "log") {
		if !slices.Contains(kept, n) {
			back.SetBytes("log/"+n, fs.Bytes("log/"+n))
		}
	}
	l = newLog(t, back)
	whole(t, l, 1)
}

// TestArchiveOfAnother: two logs never share an archive, a damaged copy is replaced
// by what the log has, and what is damaged in the log is not archived.
func TestArchiveOfAnother(t *testing.T) {
	fs := faultfs.New()
	l, err := openArchived(fs, "archive")
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 60)
	first := "archive/seg-0000000000000001.log"
	other := faultfs.New()
	m, err := file.Open(file.Config{Dir: dir, FS: other, SegmentSize: 8192, Salt: func() uint64 { return 99 }})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, m, 60)
	fs.SetBytes(first, other.Bytes("log/seg-0000000000000001.log"))
	if err := l.Release(15); err == nil || !strings.Contains(err.Error(), "archive of its own") || l.First() != 1 {
		t.Fatalf("over another log's segment: %v, first %d", err, l.First())
	}
	good := fs.Bytes("log/seg-0000000000000001.log")
	bad := bytes.Clone(good)
	bad[5000] ^= 1
	fs.SetBytes(first, bad)
	if err := l.Release(15); err != nil || !bytes.Equal(fs.Bytes(first), good) {
		t.Fatalf("over a damaged copy: %v", err)
	}
	name := "log/seg-0000000000000002.log"
	bad = fs.Bytes(name)
	bad[5000] ^= 1
	fs.SetBytes(name, bad)
	was := l.First()
	var corrupt *journal.CorruptError
	if err := l.Release(l.Next()); !errors.As(err, &corrupt) || corrupt.Place != name || l.First() != was {
		t.Fatalf("a damaged segment: %v, first %d", err, l.First())
	}
	fill(t, l, 90)
	if slices.Contains(segments(fs, "archive"), "seg-0000000000000002.log") {
		t.Error("the damaged segment is in the archive")
	}
}

// TestReleaseFails: an archive without room keeps the records in the log, and the
// log goes on; a later call does what was left.
func TestReleaseFails(t *testing.T) {
	for kind, errno := range map[string]syscall.Errno{faultfs.Write: syscall.ENOSPC, faultfs.Sync: syscall.EIO, faultfs.Rename: syscall.EROFS, faultfs.Create: syscall.EROFS, faultfs.SyncDir: syscall.EIO} {
		fs := faultfs.New()
		l, err := openArchived(fs, "archive")
		if err != nil {
			t.Fatal(err)
		}
		fill(t, l, 60)
		fs.SetPlan(func(op faultfs.Op) faultfs.Fault {
			if op.Kind == kind && strings.HasPrefix(op.Name, "archive") {
				return faultfs.Fault{Err: errno}
			}
			return faultfs.Fault{}
		})
		if err := l.Release(50); !errors.Is(err, errno) || l.First() != 1 {
			t.Errorf("%s: %v, first %d", kind, err, l.First())
		}
		fill(t, l, 70)
		fs.SetPlan(nil)
		if err := l.Release(50); err != nil || l.First() == 1 {
			t.Errorf("%s: later: %v, first %d", kind, err, l.First())
		}
		whole(t, l, 1)
	}
}

// TestArchiveWithAGap: below a gap nothing is read, from the log's own archive and
// from a reader's alike.
func TestArchiveWithAGap(t *testing.T) {
	fs := faultfs.New()
	l, err := openArchived(fs, "archive")
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 120)
	for range 6 {
		if err := l.Release(100); err != nil {
			t.Fatal(err)
		}
	}
	if err := fs.Remove("archive/seg-0000000000000002.log"); err != nil {
		t.Fatal(err)
	}
	if _, err := contents(l, 1); !errors.Is(err, journal.ErrArchived) {
		t.Errorf("below the gap: %v", err)
	}
	r, err := file.OpenReader(file.ReaderConfig{Dir: dir, Archive: "archive", FS: fs})
	if err != nil {
		t.Fatal(err)
	}
	if r.First() < 10 || r.First() >= l.First() {
		t.Errorf("the reader begins at %d, the log at %d", r.First(), l.First())
	}
	if _, err := contents(r, 1); !errors.Is(err, journal.ErrArchived) {
		t.Errorf("a reader below the gap: %v", err)
	}
	whole(t, l, r.First())
}

// TestLostArchiveFolder: a log whose archive is gone opens and goes on.
func TestLostArchiveFolder(t *testing.T) {
	base := t.TempDir()
	cfg := file.Config{Dir: filepath.Join(base, "log"), Archive: filepath.Join(base, "a", "b"), SegmentSize: 8192}
	l, err := file.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 60)
	if err := errors.Join(l.Release(50), l.Close(), os.RemoveAll(cfg.Archive)); err != nil {
		t.Fatal(err)
	}
	if l, err = file.Open(cfg); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if _, err := contents(l, 1); !errors.Is(err, journal.ErrArchived) {
		t.Errorf("without the archive: %v", err)
	}
	fill(t, l, 120)
	if err := l.Release(110); err != nil {
		t.Fatal(err)
	}
	whole(t, l, l.First())
}
