package retain

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
)

// grown is a journal of small segments with an archive.
func grown(t *testing.T, fs *faultfs.FS, records uint64) *file.Log {
	t.Helper()
	l, err := file.Open(file.Config{Dir: "log", Archive: "archive", FS: fs, SegmentSize: 8192})
	if err != nil {
		t.Fatal(err)
	}
	for l.Next() <= records {
		if err := l.Append(l.Next(), 1, [][]byte{bytes.Repeat([]byte{byte(l.Next())}, 500)}); err != nil {
			t.Fatal(err)
		}
	}
	return l
}

// places are what the readers say.
type places struct{ snapshot, lake, audit atomic.Uint64 }

func (p *places) config(l Log) Config {
	return Config{
		Log: l, Snapshot: p.snapshot.Load, Keep: 10, Registerer: prometheus.NewRegistry(),
		Readers: []Reader{{"lake", p.lake.Load}, {"audit", p.audit.Load}},
	}
}

func TestFloor(t *testing.T) {
	l := grown(t, faultfs.New(), 100)
	for name, c := range map[string]struct {
		snapshot, lake, audit, want uint64
		by                          string
	}{
		"no snapshot yet":         {0, 101, 101, 0, "snapshot"},
		"the snapshot is slowest": {40, 80, 90, 40, "snapshot"},
		"the lake is slowest":     {80, 33, 90, 33, "lake"},
		"the lake does not know":  {80, 0, 90, 0, "lake"},
		"the audit is slowest":    {80, 50, 7, 7, "audit"},
		"all are at the end":      {101, 101, 101, 91, "keep"},
	} {
		var p places
		p.snapshot.Store(c.snapshot)
		p.lake.Store(c.lake)
		p.audit.Store(c.audit)
		k, err := New(p.config(l))
		if err != nil {
			t.Fatal(err)
		}
		if seq, by := k.Floor(); seq != c.want || by != c.by {
			t.Errorf("%s: %d by %s, want %d by %s", name, seq, by, c.want, c.by)
		}
	}
	cfg := (&places{}).config(l)
	cfg.Snapshot = nil
	k, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if seq, _ := k.Floor(); seq != 0 {
		t.Errorf("nobody makes snapshots, and %d may be released", seq)
	}
	if cfg.Keep = 1000; l.First() != 1 {
		t.Errorf("first is %d", l.First())
	}
	cfg.Snapshot, cfg.Registerer = func() uint64 { return 101 }, prometheus.NewRegistry()
	cfg.Readers = nil
	if k, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	if seq, _ := k.Floor(); seq != 0 {
		t.Errorf("more is to be kept than there is, and %d may be released", seq)
	}
	if _, err := New(Config{}); err == nil {
		t.Error("made of nothing")
	}
}

// TestRunReleases: the journal follows the slowest reader, stays readable from its
// first record, and gets over an archive that is full.
func TestRunReleases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := faultfs.New()
		l := grown(t, fs, 100)
		var p places
		cfg := p.config(l)
		registry := prometheus.NewRegistry()
		cfg.Registerer = registry
		k, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		ctx, end := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- k.Run(ctx) }()
		first := func() uint64 {
			time.Sleep(10 * DefaultEvery)
			synctest.Wait()
			return l.First()
		}
		p.lake.Store(101)
		p.audit.Store(101)
		if got := first(); got != 1 {
			t.Errorf("without a snapshot the journal begins at %d", got)
		}
		p.snapshot.Store(60)
		p.lake.Store(30)
		if got := first(); got < 20 || got > 30 {
			t.Errorf("the lake is at 30, the journal begins at %d", got)
		}
		was := l.First()
		fs.SetPlan(func(op faultfs.Op) faultfs.Fault {
			if op.Kind == faultfs.Write && strings.HasPrefix(op.Name, "archive") {
				return faultfs.Fault{Err: syscall.ENOSPC}
			}
			return faultfs.Fault{}
		})
		p.lake.Store(101)
		if got := first(); got != was {
			t.Errorf("with a full archive the journal begins at %d, was %d", got, was)
		}
		metric := func(want string) {
			t.Helper()
			if err := testutil.GatherAndCompare(registry, strings.NewReader("# HELP mbp_journal_release_failed 1 while segments of the journal cannot be released into the archive.\n# TYPE mbp_journal_release_failed gauge\nmbp_journal_release_failed "+want+"\n"), "mbp_journal_release_failed"); err != nil {
				t.Error(err)
			}
		}
		metric("1")
		fs.SetPlan(nil)
		if got := first(); got < 50 || got > 60 {
			t.Errorf("the snapshot is at 60, the journal begins at %d", got)
		}
		metric("0")
		seen := uint64(0)
		if err := l.Read(1, func(r journal.Record) error { seen++; return nil }); err != nil || seen != 100 {
			t.Errorf("%d records, %v", seen, err)
		}
		end()
		if err := errors.Join(<-done, l.Close()); err != nil {
			t.Error(err)
		}
	})
}
