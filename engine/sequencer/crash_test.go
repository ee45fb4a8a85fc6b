package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// lateLog acknowledges a batch and appends it when the next one comes: what the
// crash test has to find.
type lateLog struct {
	*file.Log
	next  uint64
	first uint64
	at    int64
	owed  [][]byte
}

func (l *lateLog) Next() uint64 { return l.next }

func (l *lateLog) Append(first uint64, at int64, payloads [][]byte) error {
	if len(l.owed) > 0 {
		if err := l.Log.Append(l.first, l.at, l.owed); err != nil {
			return err
		}
	}
	l.first, l.at, l.owed = first, at, nil
	for _, p := range payloads {
		l.owed = append(l.owed, append([]byte(nil), p...))
	}
	l.next = first + uint64(len(payloads))
	return nil
}

// shift runs a writer on a disk until it stops, granting one micro at a time from
// several goroutines, and returns the keys that were acknowledged.
func shift(fs file.FS, seed int, late bool) (acked []string, err error) {
	l, err := file.Open(file.Config{Dir: "j", FS: fs, SegmentSize: 8 << 10})
	if err != nil {
		return nil, err
	}
	var log journal.Log = l
	if late {
		log = &lateLog{Log: l, next: l.Next()}
	}
	q, err := sequencer.New(sequencer.Config{Log: log})
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	stopped := make(chan error, 1)
	go func() { stopped <- q.Run(ctx) }()
	keys := make(chan string)
	done := make(chan error, 8)
	if err = boot(q); err == nil {
		for w := range 8 {
			go func() {
				for n := range 12 {
					key := fmt.Sprintf("%d-%d-%d", seed, w, n)
					if _, err := q.Submit(ctx, grant(key)); err != nil {
						done <- err
						return
					}
					keys <- key
				}
				done <- nil
			}()
		}
		for running := 8; running > 0; {
			select {
			case k := <-keys:
				acked = append(acked, k)
			case e := <-done:
				err = errors.Join(err, e)
				running--
			}
		}
	}
	cancel()
	return acked, errors.Join(err, <-stopped, l.Close())
}

// lostAfter opens the log again and counts the acknowledged keys that are gone;
// each key that is there must be there once.
func lostAfter(fs file.FS, acked []string) (lost int, err error) {
	q, l, err := open(file.Config{Dir: "j", FS: fs, SegmentSize: 8 << 10})
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	stopped := make(chan error, 1)
	go func() { stopped <- q.Run(ctx) }()
	for _, k := range acked {
		a, err := q.Submit(ctx, grant(k))
		if err != nil || a.Decision.Code != engine.OK {
			lost++ // not even its account is there
		} else if !a.Replayed {
			lost++
		}
	}
	cancel()
	return lost, errors.Join(<-stopped, l.Close())
}

// crashes stops the disk before each of its operations and returns how often
// acknowledged decisions were gone afterwards.
func crashes(t *testing.T, late bool) (runs, losses int) {
	t.Helper()
	for _, keep := range []faultfs.Keep{faultfs.KeepNone, faultfs.KeepRandom, faultfs.KeepCache} {
		for at := 1; ; at++ {
			disk := faultfs.New()
			disk.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == at} })
			acked, err := shift(disk, at, late)
			if err != nil && !errors.Is(err, faultfs.ErrCrashed) && !errors.Is(err, sequencer.ErrUnknown) && !errors.Is(err, sequencer.ErrStopped) {
				t.Fatalf("crash at %d: %v", at, err)
			}
			disk.Restart(keep, uint64(at))
			lost, err2 := lostAfter(disk, acked)
			if err2 != nil {
				t.Fatalf("keep %v, after the crash at %d: %v", keep, at, err2)
			}
			runs++
			if lost > 0 {
				losses++
			}
			if err == nil {
				break
			}
		}
	}
	return runs, losses
}

func TestAcknowledgedSurvivesEveryCrash(t *testing.T) {
	runs, losses := crashes(t, false)
	t.Logf("%d crash points, %d with a loss", runs, losses)
	if losses > 0 || runs < 50 {
		t.Errorf("%d of %d crashes lost acknowledged decisions", losses, runs)
	}
}

func TestLateAppendIsFound(t *testing.T) {
	runs, losses := crashes(t, true)
	t.Logf("%d crash points, %d with a loss", runs, losses)
	if losses == 0 {
		t.Error("a writer that acknowledges before the append goes unnoticed")
	}
}
