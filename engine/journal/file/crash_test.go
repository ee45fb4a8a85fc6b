package file_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"

	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/journal/journaltest"
)

// witness is what a client of the log knows: the payloads that were acknowledged,
// the batch whose append did not return, and below which sequence it has given
// records up.
type witness struct {
	acked  [][]byte
	flight [][]byte
	given  uint64
}

// errLost: an acknowledged record is gone, or a batch is there in part.
var errLost = errors.New("lost or torn")

// scene is what is crashed: a log behind a defect, which may release segments, and
// may have an archive.
type scene struct {
	defect  wrap
	release bool
	archive string
	keeps   []faultfs.Keep // the ways to crash; nil: all
}

func (s scene) open(fs file.FS) (*file.Log, error) { return openArchived(fs, s.archive) }

// wrap puts a defect between the log and the disk.
type wrap func(file.FS) file.FS

func honest(fs file.FS) file.FS { return fs }

// workload appends about 25 batches of random sizes over several segments of
// 8 KiB, makes some segments ahead, releases some if it shall, and reopens the log
// once. It ends at the first error.
func (s scene) workload(fs file.FS, seed uint64, w *witness) error {
	rng := rand.New(rand.NewPCG(seed, 1))
	for range 2 {
		l, err := s.open(fs)
		if err != nil {
			return err
		}
		for range 12 {
			if rng.IntN(3) == 0 {
				if err := l.Prepare(); err != nil {
					return err
				}
			}
			if s.release && rng.IntN(2) == 0 {
				seq := 1 + rng.Uint64N(l.Next())
				w.given = max(w.given, seq)
				if err := l.Release(seq); err != nil {
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
// record byte for byte, the batch in flight whole or not at all, nothing else, and
// nothing gone that was not given up, or that the archive has to have. A reader
// that looks before the repair sees the same. It returns the witness of what the
// log now holds.
func (s scene) verify(fs file.FS, w witness) (*file.Log, witness, error) {
	var before []journal.Record
	r, err := file.OpenReader(file.ReaderConfig{Dir: dir, Archive: s.archive, FS: fs})
	if err == nil {
		before, err = contents(r, 0)
	}
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, w, fmt.Errorf("read before the repair: %w", err)
	}
	l, err := s.open(fs)
	if err != nil {
		return nil, w, fmt.Errorf("open: %w", err)
	}
	first := l.First()
	if first > max(w.given, 1) {
		return nil, w, fmt.Errorf("%w: it begins at %d, %d was given up", errLost, first, w.given)
	}
	if s.archive != "" {
		first = 1
	}
	got, err := contents(l, first)
	if err != nil {
		return nil, w, err
	}
	want := w.acked
	if len(got)+int(first)-1 > len(w.acked) {
		want = append(append([][]byte(nil), w.acked...), w.flight...)
	}
	if len(got)+int(first)-1 != len(want) || len(before) != len(got) {
		return nil, w, fmt.Errorf("%w: %d records found from %d on, %d before the repair, %d acknowledged, %d in flight", errLost, len(got), first, len(before), len(w.acked), len(w.flight))
	}
	for i, r := range got {
		if r.Seq != uint64(i)+first || !bytes.Equal(r.Payload, want[r.Seq-1]) || !bytes.Equal(before[i].Payload, r.Payload) {
			return nil, w, fmt.Errorf("record %d differs", r.Seq)
		}
	}
	if l.Next() != uint64(len(want))+1 {
		return nil, w, fmt.Errorf("next is %d, %d records exist", l.Next(), len(want))
	}
	return l, witness{acked: want, given: w.given}, nil
}

// crashOnce crashes the workload before operation at/2, optionally crashes the
// repair before its operation again, and checks the promises: after the repair,
// after a power loss that follows it at once, and after one more batch.
func (s scene) crashOnce(keep faultfs.Keep, seed uint64, at, again int) (finished bool, err error) {
	disk := faultfs.New()
	fs := s.defect(disk)
	disk.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == at/2} })
	var w witness
	if err := s.workload(fs, seed, &w); err != nil && !errors.Is(err, faultfs.ErrCrashed) {
		return false, err
	} else if err == nil {
		finished = true
	}
	disk.Restart(keep, seed+uint64(at))
	if again > 0 {
		limit := disk.Ops() + again
		disk.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == limit} })
		if l, err := s.open(fs); err == nil {
			finished = true // the repair needs fewer operations
			_ = l.Close()
		} else if !errors.Is(err, faultfs.ErrCrashed) {
			return false, fmt.Errorf("repair: %w", err)
		}
		disk.Restart(keep, seed+uint64(at+again))
	}
	return finished, s.aftermath(disk, fs, w, seed, at%2 == 0)
}

// aftermath checks what the log holds after a crash. Then power is lost before
// anything else happens, or after some more batches; both must lose nothing.
func (s scene) aftermath(disk *faultfs.FS, fs file.FS, w witness, seed uint64, loseFirst bool) error {
	l, w, err := s.verify(fs, w)
	if err != nil {
		return fmt.Errorf("after the crash: %w", err)
	}
	if loseFirst {
		disk.Restart(faultfs.KeepNone, 0)
		if l, w, err = s.verify(fs, w); err != nil {
			return fmt.Errorf("after a power loss that follows the repair: %w", err)
		}
	}
	batches := 5
	if s.release {
		batches = 20 // segments that were spent are used again
	}
	for n := range batches {
		if s.release && n%10 == 9 {
			w.given = l.Next()
			if err := l.Release(w.given); err != nil {
				return fmt.Errorf("release after the repair: %w", err)
			}
		}
		first := l.Next()
		more := journaltest.Batch(first, 4, seed+99)
		if err := l.Append(first, 1, more); err != nil {
			return fmt.Errorf("append after the repair: %w", err)
		}
		w.acked = append(w.acked, more...)
	}
	disk.Restart(faultfs.KeepNone, 0)
	if _, _, err = s.verify(fs, w); err != nil {
		return fmt.Errorf("after appends and a second power loss: %w", err)
	}
	return nil
}

// maxBroken bounds the breaks of a promise that are told: the first say it all.
const maxBroken = 20

// everyCrash runs the workload with a crash before each of its operations, in
// every way to crash, for as many seeds as make so many runs. It returns how many
// runs it made and the first few breaks of a promise.
func (s scene) everyCrash(least int) (runs int, broken []error) {
	keeps := s.keeps
	if keeps == nil {
		keeps = faultfs.Keeps[:]
	}
	for seed := uint64(0); runs < least && len(broken) < maxBroken; seed++ {
		for _, keep := range keeps {
			for at := 2; ; at++ { // each operation twice: see aftermath
				finished, err := s.crashOnce(keep, seed, at, 0)
				runs++
				if err != nil {
					broken = append(broken, fmt.Errorf("seed %d, keep %v, crash at operation %d: %w", seed, keep, at/2, err))
				}
				if finished || len(broken) >= maxBroken {
					break
				}
			}
		}
	}
	return runs, broken
}

// crashes is at least how many crash points are simulated for each scene; one seed
// has about a thousand. `make sim` sets it.
var crashes = flag.Int("crashes", 1, "simulate at least so many crash points of each kind of log")

// scenes are the kinds of log that are crashed.
var scenes = map[string]scene{
	"keeps everything":      {defect: honest},
	"releases":              {defect: honest, release: true},
	"releases into archive": {defect: honest, release: true, archive: "archive"},
}

func TestCrashAtEveryOperation(t *testing.T) {
	for name, s := range scenes {
		runs, broken := s.everyCrash(*crashes)
		for _, err := range broken {
			t.Errorf("%s: %v", name, err)
		}
		t.Logf("%s: %d crashes, every acknowledged record found", name, runs)
	}
}

func TestCrashDuringRepair(t *testing.T) {
	runs, step := 0, 13
	if testing.Short() {
		step = 29
	}
	s := scenes["releases into archive"]
	for _, keep := range faultfs.Keeps {
		for at := 2; ; at += step {
			for again := 1; ; again++ {
				finished, err := s.crashOnce(keep, 7, at, again)
				if runs++; err != nil {
					t.Fatalf("keep %v, crash at %d and again at %d: %v", keep, at/2, again, err)
				}
				if finished {
					break
				}
			}
			if last, _ := s.crashOnce(keep, 7, at, 0); last {
				break
			}
		}
	}
	t.Logf("%d double crashes", runs)
}

// TestClosedJournalSurvivesPowerLoss crashes at rest, where nothing may be lost.
func TestClosedJournalSurvivesPowerLoss(t *testing.T) {
	for _, keep := range faultfs.Keeps {
		disk := faultfs.New()
		var w witness
		s := scenes["releases into archive"]
		if err := s.workload(disk, 3, &w); err != nil {
			t.Fatal(err)
		}
		disk.Restart(keep, 1)
		l, _, err := s.verify(disk, w)
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
