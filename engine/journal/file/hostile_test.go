package file_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// mountSmall mounts a file system of 300 KiB that is gone with the test. It needs
// the rights to mount; without them the test says that it has not run.
func mountSmall(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := mountTmpfs(dir, "size=300k"); err != nil {
		t.Skipf("SKIPPED: no file system can be mounted here, so a real full disk was not tried: %v", err)
	}
	t.Cleanup(func() {
		if err := unmount(dir); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

// TestRealDiskFull fills a real file system: the log fails for good with what the
// system says, what it has acknowledged stays, and with room it goes on. A release
// gives room without any.
func TestRealDiskFull(t *testing.T) {
	cfg := file.Config{Dir: filepath.Join(mountSmall(t), "log"), SegmentSize: 64 << 10}
	l, err := file.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	for err == nil {
		err = appendBatch(l, 20)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	next := l.Next()
	if err := appendBatch(l, 1); !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("after the failure: %v", err)
	}
	if next < 100 {
		t.Fatalf("it failed at %d", next)
	}
	whole(t, l, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if l, err = file.Open(cfg); err != nil || l.Next() != next {
		t.Fatalf("opened while the disk is full: %v", err)
	}
	defer l.Close()
	// The disk has no room for a new segment, and one that is released needs none.
	if err := l.Release(next); err != nil {
		t.Fatalf("release on a full disk: %v", err)
	}
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := appendBatch(l, 20); err != nil {
			t.Fatalf("after the release: %v", err)
		}
		if err := l.Release(l.Next()); err != nil {
			t.Fatal(err)
		}
	}
	whole(t, l, l.First())
}

// TestReadOnlyFileSystem: a file system that has become read-only, as ext4 makes
// itself after an error, refuses a log at its start and loses nothing of it; a
// reader needs no more.
func TestReadOnlyFileSystem(t *testing.T) {
	mount := mountSmall(t)
	cfg := file.Config{Dir: filepath.Join(mount, "log"), SegmentSize: 32 << 10}
	l, err := file.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 30)
	next := l.Next()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := folderBytes(t, cfg.Dir)
	if err := remountReadOnly(mount); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Open(cfg); !errors.Is(err, syscall.EROFS) {
		t.Fatalf("open: %v", err)
	}
	r, err := file.OpenReader(file.ReaderConfig{Dir: cfg.Dir})
	if err != nil || r.Next() != next {
		t.Fatalf("read: %v", err)
	}
	whole(t, r, 1)
	for name, b := range folderBytes(t, cfg.Dir) {
		if before[name] != b {
			t.Errorf("%s was changed", name)
		}
	}
}

// TestMisdirectedSector writes each sector of a log over each other one, as a disk
// does that loses an address. What comes of it is refused, or is a whole prefix: the
// last batch may be gone, as after a crash, and nothing else ever is in silence.
func TestMisdirectedSector(t *testing.T) {
	disk, records, ends := smallLog(t)
	lastBatch := len(records) - 2
	const sector = 512
	type place struct {
		name string
		off  int
	}
	var places []place
	for _, name := range disk.Names() {
		for off := 0; off < len(disk.Bytes(name)); off += sector {
			if off == 0 || off >= 4096 { // the header's block is used in its first sector only
				places = append(places, place{name, off})
			}
		}
	}
	counts := map[int]int{}
	for _, from := range places {
		for _, to := range places {
			if from == to {
				continue
			}
			clone := disk.Clone()
			b := clone.Bytes(to.name)
			if bytes.Equal(b[to.off:to.off+sector], disk.Bytes(from.name)[from.off:from.off+sector]) {
				continue
			}
			copy(b[to.off:], disk.Bytes(from.name)[from.off:from.off+sector])
			clone.SetBytes(to.name, b)
			n, err := reopen(clone, records, ends)
			if err != nil {
				t.Fatalf("%v over %v: %v", from, to, err)
			}
			if n >= 0 && n < lastBatch {
				t.Fatalf("%v over %v: silently cut to %d of %d records", from, to, n, len(records))
			}
			counts[n]++
		}
	}
	if counts[-1] == 0 || counts[lastBatch] == 0 || counts[len(records)] == 0 {
		t.Errorf("counts %v", counts)
	}
	t.Logf("refused %d, cut the last batch %d, harmless %d", counts[-1], counts[lastBatch], counts[len(records)])
}

// TestReaderEndsWhereItIsDurable: beside the writer a reader never shows a batch
// whose sync is under way or failed, whatever of it is in the cache; it shows one
// that another follows, or a checkpoint covers, and all of them after the end.
func TestReaderEndsWhereItIsDurable(t *testing.T) {
	disk := faultfs.New()
	look := func(holds uint64) uint64 {
		t.Helper()
		r, err := file.OpenReader(file.ReaderConfig{Dir: dir, FS: disk, Holds: holds})
		if err != nil {
			t.Fatal(err)
		}
		whole(t, r, 1)
		return r.Next()
	}
	var l *file.Log
	during := 0
	fs := filter{FS: disk, sync: func(_ string, f file.File) error {
		if l != nil {
			during++
			if next := look(0); next != l.Next() {
				t.Errorf("during the sync the reader ends at %d, the log at %d", next, l.Next())
			}
		}
		return f.Sync()
	}}
	l = newLog(t, fs)
	for range 20 {
		was := l.Next()
		if err := appendBatch(l, 3); err != nil {
			t.Fatal(err)
		}
		if next := look(0); next != was {
			t.Errorf("after the sync the reader ends at %d, want %d", next, was)
		}
		if next := look(was); next != l.Next() { // a checkpoint covers the first of three
			t.Errorf("with a checkpoint the reader ends at %d, want %d", next, l.Next())
		}
	}
	if during < 20 {
		t.Fatalf("looked %d times", during)
	}
	next := l.Next()
	disk.SetPlan(failing(faultfs.Sync, syscall.EIO, 0))
	if err := appendBatch(l, 3); err == nil {
		t.Fatal("the append did not fail")
	}
	disk.SetPlan(nil)
	if got := look(0); got != next {
		t.Errorf("after a failed sync the reader ends at %d, want %d", got, next)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := look(0); got != next+3 {
		t.Errorf("without a writer the reader ends at %d, want %d", got, next+3)
	}
	var corrupt *journal.CorruptError
	if _, err := file.OpenReader(file.ReaderConfig{Dir: dir, FS: disk, Holds: next + 3}); !errors.As(err, &corrupt) || corrupt.Seq != next+3 {
		t.Errorf("a log that is shorter than a checkpoint: %v", err)
	}
}
