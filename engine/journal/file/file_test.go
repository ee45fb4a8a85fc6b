package file_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
)

const dir = "log"

func TestConformance(t *testing.T) {
	big := int64(12 << 20) // holds the largest batch
	places := map[string]func(t *testing.T) file.Config{
		"disk": func(t *testing.T) file.Config {
			return file.Config{Dir: filepath.Join(t.TempDir(), "a", "b"), SegmentSize: big}
		},
		"memory": func(*testing.T) file.Config { return file.Config{Dir: dir, FS: faultfs.New(), SegmentSize: big} },
	}
	for name, config := range places {
		t.Run(name, func(t *testing.T) {
			journaltest.Run(t, func(t *testing.T) journaltest.Place {
				cfg := config(t)
				return journaltest.Place{Open: func() (journal.Log, error) {
					l, err := file.Open(cfg)
					if err != nil {
						return nil, err
					}
					return l, nil
				}}
			})
		})
	}
}

// newLog opens a log with small segments on fs.
func newLog(t *testing.T, fs file.FS) *file.Log {
	t.Helper()
	l, err := openSmall(fs)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func openSmall(fs file.FS) (*file.Log, error) { return openArchived(fs, "") }

func openArchived(fs file.FS, archive string) (*file.Log, error) {
	salt := uint64(0)
	return file.Open(file.Config{Dir: dir, Archive: archive, FS: fs, SegmentSize: 8192, Salt: func() uint64 { salt++; return salt }})
}

// contents returns the records from a sequence on.
func contents(l interface {
	Read(from uint64, fn func(journal.Record) error) error
}, from uint64) ([]journal.Record, error) {
	var out []journal.Record
	err := l.Read(from, func(r journal.Record) error {
		r.Payload = bytes.Clone(r.Payload)
		out = append(out, r)
		return nil
	})
	return out, err
}

func appendBatch(l *file.Log, n int) error {
	first := l.Next()
	return l.Append(first, int64(first), journaltest.Batch(first, n, 1))
}

func TestSegmentsAreMadeAhead(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.Run(ctx) }()
	for range 60 {
		if err := appendBatch(l, 3); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if err := l.Prepare(); !errors.Is(err, journal.ErrClosed) {
		t.Fatalf("prepare after close: %v", err)
	}
	if n := len(fs.Names()); n < 5 {
		t.Fatalf("%d segments", n)
	}
	if l = newLog(t, fs); l.Next() != 181 {
		t.Fatalf("next is %d", l.Next())
	}
}

// TestAppendIsOneWriteAndOneSync keeps the price of a batch: segments made ahead
// leave exactly two operations on the hot path, also when a segment begins.
func TestAppendIsOneWriteAndOneSync(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	for i := range 40 {
		if err := l.Prepare(); err != nil {
			t.Fatal(err)
		}
		before := fs.Ops()
		if err := appendBatch(l, 3); err != nil {
			t.Fatal(err)
		}
		if n := fs.Ops() - before; n != 2 {
			t.Fatalf("batch %d took %d operations", i, n)
		}
	}
}

func TestFailuresStopTheLog(t *testing.T) {
	faults := map[string]func(op faultfs.Op) faultfs.Fault{
		"write":       failing(faultfs.Write, syscall.EIO, 0),
		"short write": failing(faultfs.Write, syscall.EIO, 700),
		"disk full":   failing(faultfs.Write, syscall.ENOSPC, 512),
		"read-only":   failing(faultfs.Write, syscall.EROFS, 0),
		"sync":        failing(faultfs.Sync, syscall.EIO, 0),
	}
	for name, plan := range faults {
		for _, keep := range faultfs.Keeps {
			t.Run(fmt.Sprintf("%s/%v", name, keep), func(t *testing.T) { failOnce(t, plan, keep) })
		}
	}
}

func failing(kind string, err error, short int) func(faultfs.Op) faultfs.Fault {
	return func(op faultfs.Op) faultfs.Fault {
		if op.Kind != kind {
			return faultfs.Fault{}
		}
		return faultfs.Fault{Err: err, Short: short}
	}
}

// failOnce fails one operation of an append, checks that the log refuses what
// follows though the disk is well again, and that whatever the next Open calls
// durable survives a power loss right after it.
func failOnce(t *testing.T, plan func(faultfs.Op) faultfs.Fault, keep faultfs.Keep) {
	fs := faultfs.New()
	l := newLog(t, fs)
	if err := appendBatch(l, 3); err != nil {
		t.Fatal(err)
	}
	fs.SetPlan(plan)
	if err := appendBatch(l, 5); err == nil || errors.Is(err, journal.ErrFailed) {
		t.Fatalf("append with the fault: %v", err)
	}
	fs.SetPlan(nil)
	if err := appendBatch(l, 1); !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("append after the fault: %v", err)
	}
	if l.Next() != 4 {
		t.Fatalf("next is %d", l.Next())
	}
	fs.Restart(keep, 3)
	l = newLog(t, fs)
	next := l.Next()
	if next != 4 && next != 9 {
		t.Fatalf("next is %d after restart: the batch is not all or nothing", next)
	}
	fs.Restart(faultfs.KeepNone, 0)
	if l = newLog(t, fs); l.Next() != next {
		t.Fatalf("next was %d, is %d after a power loss", next, l.Next())
	}
}

// TestDiskFullAhead fills the disk while a spare segment is made: the log goes on
// until the segment in use is full, fails then, and goes on after a restart with
// room.
func TestDiskFullAhead(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	if err := appendBatch(l, 1); err != nil {
		t.Fatal(err)
	}
	fs.SetCapacity(8192 + 5000)
	if err := l.Prepare(); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("prepare: %v", err)
	}
	var err error
	for err == nil {
		err = appendBatch(l, 1)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if err := appendBatch(l, 1); !errors.Is(err, journal.ErrFailed) {
		t.Fatalf("append after the fault: %v", err)
	}
	next := l.Next()
	fs.Restart(faultfs.KeepNone, 0)
	fs.SetCapacity(0)
	if l = newLog(t, fs); l.Next() != next {
		t.Fatalf("next is %d, was %d", l.Next(), next)
	}
	if err := appendBatch(l, 5); err != nil {
		t.Fatal(err)
	}
}

func TestSegmentSizeMayGrow(t *testing.T) {
	fs := faultfs.New()
	l := newLog(t, fs)
	if err := appendBatch(l, 3); err != nil {
		t.Fatal(err)
	}
	if err := l.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l, err := file.Open(file.Config{Dir: dir, FS: fs, SegmentSize: 64 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if err := appendBatch(l, 100); err != nil {
		t.Fatal(err)
	}
	fs.Restart(faultfs.KeepNone, 0)
	if l = newLog(t, fs); l.Next() != 104 {
		t.Fatalf("next is %d", l.Next())
	}
}

func TestConfig(t *testing.T) {
	for name, cfg := range map[string]file.Config{
		"no folder":   {},
		"too small":   {Dir: dir, SegmentSize: 4096},
		"not aligned": {Dir: dir, SegmentSize: 8193},
	} {
		if _, err := file.Open(cfg); err == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	name := filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := file.Open(file.Config{Dir: name}); err == nil || !strings.Contains(err.Error(), "not a folder") {
		t.Errorf("a plain file as folder: %v", err)
	}
}
