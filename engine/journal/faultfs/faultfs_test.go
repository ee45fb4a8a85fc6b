package faultfs_test

import (
	"bytes"
	"errors"
	"io"
	"syscall"
	"testing"

	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func create(t *testing.T, fs *faultfs.FS, name string, b []byte) file.File {
	t.Helper()
	f, err := fs.Create(name)
	must(t, err)
	_, err = f.WriteAt(b, 0)
	must(t, err)
	return f
}

func TestWhatSurvives(t *testing.T) {
	data := bytes.Repeat([]byte{7}, 2000)
	for _, c := range []struct {
		sync, syncDir bool
		keep          faultfs.Keep
		size          int // -1: no such file
	}{
		{false, false, faultfs.KeepNone, -1},
		{true, false, faultfs.KeepNone, -1},
		{false, true, faultfs.KeepNone, 0},
		{true, true, faultfs.KeepNone, 2000},
		{false, false, faultfs.KeepAll, 2000},
		{false, false, faultfs.KeepCache, 2000},
	} {
		fs := faultfs.New()
		f := create(t, fs, "d/a", data)
		if c.sync {
			must(t, f.Sync())
		}
		if c.syncDir {
			must(t, fs.SyncDir("d"))
		}
		fs.Restart(c.keep, 1)
		if _, err := f.Size(); !errors.Is(err, faultfs.ErrCrashed) {
			t.Errorf("%+v: a handle survived the crash", c)
		}
		if exists := len(fs.Names()) == 1; exists != (c.size >= 0) {
			t.Errorf("%+v: exists is %v", c, exists)
		} else if exists && len(fs.Bytes("d/a")) != c.size {
			t.Errorf("%+v: %d bytes", c, len(fs.Bytes("d/a")))
		}
	}
}

func TestRandomCrashTearsSectors(t *testing.T) {
	kept := map[byte]int{}
	for seed := range uint64(50) {
		fs := faultfs.New()
		f := create(t, fs, "d/a", make([]byte, 4096))
		must(t, f.Sync())
		must(t, fs.SyncDir("d"))
		_, err := f.WriteAt(bytes.Repeat([]byte{9}, 4096), 0)
		must(t, err)
		fs.Restart(faultfs.KeepRandom, seed)
		b := fs.Bytes("d/a")
		for i := 0; i < len(b); i += 512 {
			if !bytes.Equal(b[i:i+512], bytes.Repeat(b[i:i+1], 512)) {
				t.Fatal("a sector is torn")
			}
			kept[b[i]]++
		}
	}
	if kept[0] < 100 || kept[9] < 100 {
		t.Fatalf("sectors kept: %v", kept)
	}
}

func TestFailedSyncDropsDirtyPages(t *testing.T) {
	fs := faultfs.New()
	f := create(t, fs, "d/a", []byte("old"))
	must(t, f.Sync())
	must(t, fs.SyncDir("d"))
	_, err := f.WriteAt([]byte("new"), 0)
	must(t, err)
	fs.SetPlan(func(faultfs.Op) faultfs.Fault { return faultfs.Fault{Err: syscall.EIO} })
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	fs.SetPlan(nil)
	must(t, f.Sync())
	if string(fs.Bytes("d/a")) != "new" {
		t.Fatal("the page cache lost the write")
	}
	fs.Restart(faultfs.KeepNone, 0)
	if string(fs.Bytes("d/a")) != "old" {
		t.Fatal("a second sync made the dropped page durable")
	}
}

func TestFullDisk(t *testing.T) {
	fs := faultfs.New()
	fs.SetCapacity(1000)
	f := create(t, fs, "d/a", make([]byte, 600))
	g, err := fs.Create("d/b")
	must(t, err)
	if n, err := g.WriteAt(make([]byte, 600), 0); n != 400 || !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("wrote %d, error %v", n, err)
	}
	if _, err := f.WriteAt(make([]byte, 600), 0); err != nil {
		t.Fatalf("overwriting needs no room: %v", err)
	}
	must(t, fs.Remove("d/b"))
	if n, err := f.ReadAt(make([]byte, 10), 595); n != 5 || !errors.Is(err, io.EOF) {
		t.Fatalf("read %d, error %v", n, err)
	}
}
