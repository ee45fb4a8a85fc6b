package file_test

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
)

// witness is what a client of the log knows: the payloads that were acknowledged,
// and the batch whose append did not return.
type witness struct {
	acked  [][]byte
	flight [][]byte
}

// errLost: an acknowledged record is gone, or a batch is there in part.
var errLost = errors.New("lost or torn")

// wrap puts a defect between the log and the disk.
type wrap func(file.FS) file.FS

func honest(fs file.FS) file.FS { return fs }

// workload appends about 25 batches of random sizes over several segments of
// 8 KiB, makes some segments ahead, and reopens the log once. It ends at the
// first error.
func workload(fs file.FS, seed uint64, w *witness) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 2 {
		l, err := openSmall(fs)
		if err != nil {
			return err
		}
		for range 12 {
			if rng.IntN(3) == 0 {
				if err := l.Prepare(); err != nil {
					return err
				}
			}
			first := l.Next()
			w.flight = journaltest.Batch(first, 1+rng.IntN(6), seed)
			if err := l.Append(first, int64(first), w.flight); err != nil {
				return err
			}
			w.acked, w.flight = append(w.acked, w.flight...), nil
		}
		if err := l.Close(); err != nil {
			return err
		}
	}
	return nil
}

// verify opens the log and compares it with the witness: every acknowledged
// record byte for byte, the batch in flight whole or not at all, nothing else.
// It returns the witness of what the log now holds.
func verify(fs file.FS, w witness) (*file.Log, witness, error) {
	l, err := openSmall(fs)
	if err != nil {
		return nil, w, fmt.Errorf("open: %w", err)
	}
	got, err := contents(l)
	if err != nil {
		return nil, w, err
	}
	want := w.acked
	if len(got) > len(w.acked) {
		want = append(append([][]byte(nil), w.acked...), w.flight...)
	}
	if len(got) != len(want) {
		return nil, w, fmt.Errorf("%w: %d records found, %d acknowledged, %d in flight", errLost, len(got), len(w.acked), len(w.flight))
	}
	for i, r := range got {
		if r.Seq != uint64(i)+1 || !bytes.Equal(r.Payload, want[i]) {
			return nil, w, fmt.Errorf("record %d differs", i+1)
		}
	}
	if l.Next() != uint64(len(want))+1 {
		return nil, w, fmt.Errorf("next is %d, %d records exist", l.Next(), len(want))
	}
	return l, witness{acked: want}, nil
}

// crashOnce crashes the workload before operation at/2, optionally crashes the
// repair before its operation again, and checks the promises: after the repair,
// after a power loss that follows it at once, and after one more batch.
func crashOnce(defect wrap, keep faultfs.Keep, seed uint64, at, again int) (finished bool, err error) {
	disk := faultfs.New()
	fs := defect(disk)
	disk.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == at/2} })
	var w witness
	if err := workload(fs, seed, &w); err != nil && !errors.Is(err, faultfs.ErrCrashed) {
		return false, err
	} else if err == nil {
		finished = true
	}
	disk.Restart(keep, seed+uint64(at))
	if again > 0 {
		limit := disk.Ops() + again
		disk.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == limit} })
		if l, err := openSmall(fs); err == nil {
			finished = true // the repair needs fewer operations
			_ = l.Close()
		} else if !errors.Is(err, faultfs.ErrCrashed) {
			return false, fmt.Errorf("repair: %w", err)
		}
		disk.Restart(keep, seed+uint64(at+again))
	}
	return finished, aftermath(disk, fs, w, seed, at%2 == 0)
}

// aftermath checks what the log holds after a crash. Then power is lost before
// anything else happens, or after some more batches; both must lose nothing.
func aftermath(disk *faultfs.FS, fs file.FS, w witness, seed uint64, loseFirst bool) error {
	l, w, err := verify(fs, w)
	if err != nil {
		return fmt.Errorf("after the crash: %w", err)
	}
	if loseFirst {
		disk.Restart(faultfs.KeepNone, 0)
		if l, w, err = verify(fs, w); err != nil {
			return fmt.Errorf("after a power loss that follows the repair: %w", err)
		}
	}
	for range 5 {
		first := l.Next()
		more := journaltest.Batch(first, 4, seed+99)
		if err := l.Append(first, 1, more); err != nil {
			return fmt.Errorf("append after the repair: %w", err)
		}
		w.acked = append(w.acked, more...)
	}
	disk.Restart(faultfs.KeepNone, 0)
	if _, _, err = verify(fs, w); err != nil {
		return fmt.Errorf("after appends and a second power loss: %w", err)
	}
	return nil
}

// everyCrash runs the workload with a crash before each of its operations, in
// every way to crash, and returns how many runs it made and the first few breaks
// of a promise.
func everyCrash(defect wrap, seeds int) (runs int, broken []error) {
	for seed := range uint64(seeds) {
		for _, keep := range faultfs.Keeps {
			for at := 2; ; at++ { // each operation twice: see aftermath
				finished, err := crashOnce(defect, keep, seed, at, 0)
				runs++
				if err != nil {
					broken = append(broken, fmt.Errorf("seed %d, keep %v, crash at operation %d: %w", seed, keep, at/2, err))
				}
				if finished || len(broken) >= 100 {
					break
				}
			}
		}
	}
	return runs, broken
}

func TestCrashAtEveryOperation(t *testing.T) {
	seeds := 6
	if testing.Short() {
		seeds = 1
	}
	runs, broken := everyCrash(honest, seeds)
	for _, err := range broken {
		t.Error(err)
	}
	t.Logf("%d crashes, every acknowledged record found", runs)
}

func TestCrashDuringRepair(t *testing.T) {
	runs, step := 0, 5
	if testing.Short() {
		step = 13
	}
	for _, keep := range faultfs.Keeps {
		for at := 2; ; at += step {
			for again := 1; ; again++ {
				finished, err := crashOnce(honest, keep, 7, at, again)
				if runs++; err != nil {
					t.Fatalf("keep %v, crash at %d and again at %d: %v", keep, at/2, again, err)
				}
				if finished {
					break
				}
			}
			if last, _ := crashOnce(honest, keep, 7, at, 0); last {
				break
			}
		}
	}
	t.Logf("%d double crashes", runs)
}

// The defects below are what the crash test must find.

// filter passes everything to the disk but for the calls it overrides, which
// concern only segments under their final names: making a segment stays honest.
type filter struct {
	file.FS
	sync    func(name string, f file.File) error
	syncDir func(dir string) error
	write   func(f file.File, b []byte, off int64) (int, error)
}

func (fs filter) Open(name string) (file.File, error) {
	f, err := fs.FS.Open(name)
	if err != nil {
		return nil, err
	}
	return filtered{f, name, fs}, nil
}

func (fs filter) SyncDir(dir string) error {
	if fs.syncDir == nil {
		return fs.FS.SyncDir(dir)
	}
	return fs.syncDir(dir)
}

type filtered struct {
	file.File
	name string
	fs   filter
}

func (f filtered) Sync() error {
	if f.fs.sync == nil {
		return f.File.Sync()
	}
	return f.fs.sync(f.name, f.File)
}

func (f filtered) WriteAt(b []byte, off int64) (int, error) {
	if f.fs.write == nil {
		return f.File.WriteAt(b, off)
	}
	return f.fs.write(f.File, b, off)
}

// withoutSync is a log whose fdatasync of batches was removed.
func withoutSync(fs file.FS) file.FS {
	return filter{FS: fs, sync: func(string, file.File) error { return nil }}
}

// firstUnsynced is a log that does not sync the first batch of a segment.
func firstUnsynced(fs file.FS) file.FS {
	seen := map[string]bool{}
	return filter{FS: fs, sync: func(name string, f file.File) error {
		if !seen[name] {
			seen[name] = true
			return nil
		}
		return f.Sync()
	}}
}

// lastUnsynced is a log that does not sync the batches at the end of a segment,
// after which no further one or only a small one fits.
func lastUnsynced(fs file.FS) file.FS {
	last := false
	return filter{FS: fs,
		write: func(f file.File, b []byte, off int64) (int, error) {
			last = off+int64(len(b)) > 8192-1024
			return f.WriteAt(b, off)
		},
		sync: func(_ string, f file.File) error {
			if last {
				return nil
			}
			return f.Sync()
		},
	}
}

// ackBeforeSync is a log that answers first and syncs when the next batch comes.
func ackBeforeSync(fs file.FS) file.FS {
	var owed file.File
	return filter{FS: fs,
		sync: func(_ string, f file.File) error { owed = f; return nil },
		write: func(f file.File, b []byte, off int64) (int, error) {
			if owed != nil {
				_ = owed.Sync() // fails if a restart came between
				owed = nil
			}
			return f.WriteAt(b, off)
		},
	}
}

// withoutSyncDir is a log that syncs its folder for the first segment only.
func withoutSyncDir(fs file.FS) file.FS {
	first := true
	return filter{FS: fs, syncDir: func(dir string) error {
		if first {
			first = false
			return fs.SyncDir(dir)
		}
		return nil
	}}
}

// unsyncedZeros is a log that gives a segment its name before its header and
// zeros are on the disk.
type unsyncedZeros struct{ file.FS }

func (fs unsyncedZeros) Create(name string) (file.File, error) {
	f, err := fs.FS.Create(name)
	if err != nil {
		return nil, err
	}
	lie := filter{FS: fs.FS, sync: func(string, file.File) error { return nil }}
	return filtered{f, name, lie}, nil
}

// splitWrite is a log that syncs a batch in two halves, so that the first half
// may be durable alone; the format must still see that it is not whole.
func splitWrite(fs file.FS) file.FS {
	return filter{FS: fs, write: func(f file.File, b []byte, off int64) (int, error) {
		n, err := f.WriteAt(b[:len(b)/2], off)
		if err != nil {
			return n, err
		}
		if err := f.Sync(); err != nil {
			return n, err
		}
		m, err := f.WriteAt(b[len(b)/2:], off+int64(len(b)/2))
		return n + m, err
	}}
}

func TestCrashTestHasTeeth(t *testing.T) {
	for name, defect := range map[string]wrap{
		"sync removed":               withoutSync,
		"first batch not synced":     firstUnsynced,
		"last batch not synced":      lastUnsynced,
		"acknowledged before sync":   ackBeforeSync,
		"folder sync removed":        withoutSyncDir,
		"segment used before synced": func(fs file.FS) file.FS { return unsyncedZeros{fs} },
	} {
		runs, broken := everyCrash(defect, 1)
		lost := 0
		for _, err := range broken {
			if errors.Is(err, errLost) {
				lost++
			}
		}
		if len(broken) == 0 || lost == 0 && name != "segment used before synced" {
			t.Errorf("%s: %d crashes, %d broken promises, %d losses: the crash test is blind to it", name, runs, len(broken), lost)
			continue
		}
		t.Logf("%s: found in %d crashes: %d broken promises, %d of them lost acknowledged records; first: %v", name, runs, len(broken), lost, broken[0])
	}
	if runs, broken := everyCrash(splitWrite, 1); len(broken) > 0 {
		t.Errorf("a batch torn in the middle: %v (of %d in %d crashes)", broken[0], len(broken), runs)
	}
}

// TestClosedJournalSurvivesPowerLoss crashes at rest, where nothing may be lost.
func TestClosedJournalSurvivesPowerLoss(t *testing.T) {
	for _, keep := range faultfs.Keeps {
		disk := faultfs.New()
		var w witness
		if err := workload(disk, 3, &w); err != nil {
			t.Fatal(err)
		}
		disk.Restart(keep, 1)
		l, _, err := verify(disk, w)
		if err != nil {
			t.Fatalf("keep %v: %v", keep, err)
		}
		if _, err := openSmall(disk); !errors.Is(err, journal.ErrLocked) {
			t.Fatalf("second open: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
