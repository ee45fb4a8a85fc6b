package file_test

import (
	"bytes"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
)

// fill appends batches of three until the log has a record of that sequence.
func fill(t *testing.T, l *file.Log, until uint64) {
	t.Helper()
	for l.Next() <= until {
		if err := appendBatch(l, 3); err != nil {
			t.Fatal(err)
		}
	}
}

// whole reads a log or its reader and compares every record from a sequence on.
func whole(t *testing.T, from interface {
	Next() uint64
	Read(from uint64, fn func(journal.Record) error) error
}, first uint64) {
	t.Helper()
	got, err := contents(from, first)
	if err != nil {
		t.Fatalf("from %d: %v", first, err)
	}
	if uint64(len(got)) != from.Next()-first {
		t.Fatalf("%d records from %d to %d", len(got), first, from.Next())
	}
	for i, r := range got {
		if r.Seq != first+uint64(i) || !bytes.Equal(r.Payload, journaltest.Payload(r.Seq, 1)) {
			t.Fatalf("record %d differs", first+uint64(i))
		}
	}
}

func segments(fs *faultfs.FS, folder string) (names []string) {
	for _, n := range fs.Names() {
		if filepath.Dir(n) == folder && strings.HasSuffix(n, ".log") {
			names = append(names, filepath.Base(n))
		}
	}
	return names
}

// TestReleaseWithoutAnArchive: what is released is gone, and said to be.
func TestReleaseWithoutAnArchive(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	fill(t, l, 100)
	if err := l.Release(60); err != nil {
		t.Fatal(err)
	}
	first := l.First()
	if first < 20 || first > 60 {
		t.Fatalf("first is %d", first)
	}
	check := func() {
		t.Helper()
		whole(t, l, first)
		for _, from := range []uint64{1, first - 1} {
			if _, err := contents(l, from); !errors.Is(err, journal.ErrArchived) {
				t.Errorf("from %d: %v", from, err)
			}
		}
		if got, err := contents(l, 0); err != nil || got[0].Seq != first {
			t.Errorf("from 0: %v", err)
		}
	}
	check()
	fs.Restart(faultfs.KeepNone, 0)
	l = newLog(t, fs)
	if l.First() != first {
		t.Fatalf("first is %d after a restart, was %d", l.First(), first)
	}
	check()
	fill(t, l, 150)
	whole(t, l, first)
}

// TestReleasedSegmentsAreUsedAgain: a log that releases as it grows makes, deletes
// and keeps no more files than a few, and its appends cost what they did.
func TestReleasedSegmentsAreUsedAgain(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	made, deleted := 0, 0
	fs.SetPlan(func(op faultfs.Op) faultfs.Fault {
		if op.Kind == faultfs.Create && strings.HasSuffix(op.Name, ".log.new") {
			made++
		}
		if op.Kind == faultfs.Remove {
			deleted++
		}
		return faultfs.Fault{}
	})
	for range 400 {
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		before := fs.Ops()
		if err := appendBatch(l, 3); err != nil {
			t.Fatal(err)
		}
		if n := fs.Ops() - before; n != 2 {
			t.Fatalf("an append took %d operations", n)
		}
		if err := l.Release(l.Next()); err != nil {
			t.Fatal(err)
		}
		if n := len(segments(fs, dir)); n > 5 {
			t.Fatalf("%d segments", n)
		}
	}
	if first := l.First(); first < 1000 || made > 5 || deleted != 0 {
		t.Errorf("first %d; %d segments made, %d deleted", first, made, deleted)
	}
	whole(t, l, l.First())
}

// TestBacklogIsReleasedInPieces: what is more than can be used again is deleted one
// file a call, and a start deletes the rest.
func TestBacklogIsReleasedInPieces(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	fill(t, l, 300)
	deleted := 0
	fs.SetPlan(func(op faultfs.Op) faultfs.Fault {
		if op.Kind == faultfs.Remove {
			deleted++
		}
		return faultfs.Fault{}
	})
	calls := 0
	for last := uint64(0); l.First() != last; calls++ {
		last = l.First()
		was := deleted
		if err := l.Release(300); err != nil {
			t.Fatal(err)
		}
		if deleted > was+1 {
			t.Fatalf("one call deleted %d files", deleted-was)
		}
	}
	if calls < 5 || deleted < 5 || len(segments(fs, dir)) > 4 {
		t.Errorf("%d calls deleted %d files, %v are left", calls, deleted, segments(fs, dir))
	}
	whole(t, l, l.First())
}

// TestReadOutlastsRelease: what a Read has begun on stays while it lasts, though
// its segments are released and others are made.
func TestReadOutlastsRelease(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	fill(t, l, 150)
	want, first := uint64(1), uint64(0)
	err := l.Read(1, func(r journal.Record) error {
		if r.Seq == 10 {
			for range 10 {
				if err := l.Release(l.Next()); err != nil {
					return err
				}
				fill(t, l, l.Next()+30)
				if err := l.Prepare(); err != nil {
					return err
				}
			}
			first = l.First()
		}
		if r.Seq != want || !bytes.Equal(r.Payload, journaltest.Payload(want, 1)) {
			t.Fatalf("record %d came where %d belongs", r.Seq, want)
		}
		want++
		return nil
	})
	if err != nil || want < 150 || first < 20 {
		t.Fatalf("%v; ended before %d, the log began at %d", err, want, first)
	}
	if err := l.Release(l.Next()); err != nil || l.First() <= first {
		t.Errorf("after the reading: %v, first %d", err, l.First())
	}
}

// TestReleaseBesideEverything: appends, readers, a reader of the files, and
// releases at once.
func TestReleaseBesideEverything(t *testing.T) {
	dir, archive := t.TempDir(), t.TempDir()
	l, err := file.Open(file.Config{Dir: dir, Archive: archive, SegmentSize: 16 << 10})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	var wg sync.WaitGroup
	for _, act := range []func() error{
		func() error { return l.Release(l.Next()) },
		l.Prepare,
		func() error { return readAll(l, l.Next()/2+1) },
		func() error {
			r, err := file.OpenReader(file.ReaderConfig{Dir: dir, Archive: archive})
			if err != nil {
				return err
			}
			return readAll(r, 1)
		},
	} {
		wg.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				if err := act(); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	fill(t, l, 450)
	close(done)
	wg.Wait()
	whole(t, l, 1)
	if l.First() < 200 {
		t.Errorf("first is %d", l.First())
	}
}

func readAll(from interface {
	Read(from uint64, fn func(journal.Record) error) error
}, seq uint64) error {
	got, err := contents(from, seq)
	for i, r := range got {
		if r.Seq != seq+uint64(i) || !bytes.Equal(r.Payload, journaltest.Payload(r.Seq, 1)) {
			return errors.New("a record differs")
		}
	}
	return err
}

// TestStaleRecycledSegment: a disk that loses the zeros over a segment that is used
// again, or its header, gives no old record back.
func TestStaleRecycledSegment(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	fill(t, l, 30)
	old := fs.Bytes("log/seg-0000000000000001.log")
	if err := l.Release(l.Next()); err != nil {
		t.Fatal(err)
	}
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	names := segments(fs, dir)
	spare := "log/" + names[len(names)-1]
	if names[0] == "seg-0000000000000001.log" {
		t.Fatalf("segment 1 was not used again: %v", names)
	}
	made := fs.Bytes(spare)
	for at := 4096; at < len(old); at += 512 { // so much of the zeros reached the disk
		clone := fs.Clone()
		clone.SetBytes(spare, append(bytes.Clone(made[:at]), old[at:]...))
		l := newLog(t, clone)
		whole(t, l, l.First())
		if n := l.Next(); n != 31 {
			t.Fatalf("zeros up to %d: next is %d", at, n)
		}
		fill(t, l, 90)
		whole(t, l, l.First())
	}
	clone := fs.Clone()
	clone.SetBytes(spare, old)
	var corrupt *journal.CorruptError
	if _, err := openSmall(clone); !errors.As(err, &corrupt) || corrupt.Place != spare {
		t.Errorf("the old segment under the new name: %v", err)
	}
}

// TestOriginIsGuarded: no state of the file FIRST but the written one opens a log
// whose segments are not those that it speaks of.
func TestOriginIsGuarded(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	fill(t, l, 30)
	if err := l.Release(l.Next()); err != nil {
		t.Fatal(err)
	}
	early := fs.Bytes("log/FIRST")
	fill(t, l, 90)
	for range 4 {
		if err := l.Release(l.Next()); err != nil {
			t.Fatal(err)
		}
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		fill(t, l, l.Next()+20)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	refuses := func(what string, change func(*faultfs.FS)) {
		t.Helper()
		clone := fs.Clone()
		change(clone)
		var corrupt *journal.CorruptError
		if _, err := openSmall(clone); !errors.As(err, &corrupt) {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := file.OpenReader(file.ReaderConfig{Dir: dir, FS: clone}); !errors.As(err, &corrupt) {
			t.Errorf("%s, for a reader: %v", what, err)
		}
	}
	refuses("lost", func(fs *faultfs.FS) {
		if err := fs.Remove("log/FIRST"); err != nil {
			t.Fatal(err)
		}
	})
	refuses("an older one", func(fs *faultfs.FS) { fs.SetBytes("log/FIRST", early) })
	b := fs.Bytes("log/FIRST")
	for i := range b {
		for bit := range 8 {
			bad := bytes.Clone(b)
			bad[i] ^= 1 << bit
			refuses("a bit flipped", func(fs *faultfs.FS) { fs.SetBytes("log/FIRST", bad) })
		}
		refuses("cut", func(fs *faultfs.FS) { fs.SetBytes("log/FIRST", b[:i]) })
	}
	refuses("longer", func(fs *faultfs.FS) { fs.SetBytes("log/FIRST", append(bytes.Clone(b), 0)) })
}
