package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// defect is what a test puts between writer and disk.
type defect struct {
	log func(journal.Log) journal.Log
	fs  func(file.FS) file.FS
}

func (d defect) open(fs file.FS) (*hall, error) {
	if d.fs != nil {
		fs = d.fs(fs)
	}
	salt := uint64(0)
	l, err := file.Open(file.Config{Dir: "j", FS: fs, SegmentSize: 8192, Salt: func() uint64 { salt++; return salt }})
	if err != nil {
		return nil, err
	}
	var log journal.Log = l
	if d.log != nil {
		log = d.log(l)
	}
	return enter(sequencer.Config{Log: log, MaxBatch: 8})
}

// script is what one client asks for, one request after the other.
type script []sequencer.Request

// scripts returns the clients of the crash test: the first sets the market up
// before the others come; then two trade while a third resolves the market.
func scripts() (first script, others []script) {
	ask := func(s *script, principal string, c engine.Command) {
		key := fmt.Sprintf("%s-%d", principal, len(*s))
		*s = append(*s, sequencer.Request{Principal: principal, Key: key, Input: []byte(key), Command: c})
	}
	for _, c := range opening(3) {
		ask(&first, "boot", c)
	}
	ask(&first, "boot", market())
	for a := range engine.AccountID(2) {
		var s script
		for n := range engine.MarketID(8) {
			ask(&s, fmt.Sprint("trader-", a), buy("", a+2, n%2+1).Command)
		}
		others = append(others, s)
	}
	var s script
	ask(&s, "ana", &engine.OpenAccount{})
	ask(&s, "ana", &engine.ProposeResolution{Market: 1, EvidenceURI: "https://example.org/1", EvidenceSHA256: engine.Digest{1}})
	ask(&s, "bob", &engine.ApproveResolution{Market: 1})
	ask(&s, "bob", &engine.OpenAccount{})
	return first, append(others, s)
}

// promise is what clients and followers were told.
type promise struct {
	mu   sync.Mutex
	told map[string]answer // by principal and key: what was acknowledged
	seen []engine.Digest   // what a follower was shown, in order
}

func name(r sequencer.Request) string { return r.Principal + " " + r.Key }

// play runs a script until its first error.
func (p *promise) play(h *hall, s script) error {
	for _, r := range s {
		a, err := h.Submit(context.Background(), r)
		if err != nil {
			return err
		}
		p.mu.Lock()
		p.told[name(r)] = answer{a.Decision.Seq, digest(a.Decision)}
		p.mu.Unlock()
	}
	return nil
}

// shift runs all scripts on a disk until they end or the disk does.
func shift(d defect, fs file.FS) (*promise, error) {
	p := &promise{told: map[string]answer{}}
	h, err := d.open(fs)
	if err != nil {
		return p, err
	}
	watch, stop := context.WithCancel(context.Background())
	var clients, follower sync.WaitGroup
	follower.Go(func() {
		_ = h.Follow(watch, 1, func(c sequencer.Committed) error {
			p.seen = append(p.seen, digest(c.Decision))
			return nil
		})
	})
	first, others := scripts()
	errs := make([]error, len(others))
	if err = p.play(h, first); err == nil {
		for i, s := range others {
			clients.Go(func() { errs[i] = p.play(h, s) })
		}
		clients.Wait()
	}
	shown := h.Durable()
	h.View(func(s *core.State) {
		if s.Seq() != shown {
			errs = append(errs, fmt.Errorf("view of %d, durable is %d", s.Seq(), shown))
		}
	})
	stop()
	follower.Wait()
	return p, errors.Join(append(errs, err, h.leave())...)
}

// down lists the errors that a client may get when the disk stops.
func down(err error) bool {
	for _, ok := range []error{faultfs.ErrCrashed, errDisk, sequencer.ErrUnknown, sequencer.ErrStopped} {
		if errors.Is(err, ok) {
			return true
		}
	}
	return err == nil
}

var errDisk = errors.New("disk error")

// broken is what a crash broke.
type broken struct{ lost, phantom, doubled int }

func (b broken) any() bool { return b.lost+b.phantom+b.doubled > 0 }

// compare looks for everything that was told: lost acknowledgements, decisions
// that were shown and are not there, keys that were decided twice.
func compare(p *promise, log journal.Log) (b broken, err error) {
	digests, keys := []engine.Digest{{}}, map[engine.Tag]bool{}
	err = log.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		digests = append(digests, digest(d))
		if d.Key != (engine.Tag{}) {
			if keys[d.Key] {
				b.doubled++
			}
			keys[d.Key] = true
		}
		return nil
	})
	for _, a := range p.told {
		if int(a.seq) >= len(digests) || digests[a.seq] != a.digest {
			b.lost++
		}
	}
	for i, s := range p.seen {
		if i+1 >= len(digests) || digests[i+1] != s {
			b.phantom++
		}
	}
	return b, err
}

// settled waits until market 1 is resolved: the settlement has no client that
// would wait for it.
func settled(ctx context.Context, h *hall) error { return settledAfter(ctx, h, 1) }

// settledAfter does not look at what was decided before a sequence.
func settledAfter(ctx context.Context, h *hall, from engine.Seq) error {
	end := errors.New("resolved")
	err := h.Follow(ctx, from, func(c sequencer.Committed) error {
		for _, e := range c.Decision.Events {
			if x, ok := e.(*engine.MarketStateChanged); ok && x.To == engine.Resolved {
				return end
			}
		}
		return nil
	})
	if errors.Is(err, end) {
		return nil
	}
	return err
}

// aftermath opens the disk again, compares, has every script played once more
// from its start, and compares again after a power loss that follows.
func aftermath(disk *faultfs.FS, p *promise) (broken, error) {
	h, err := defect{}.open(disk)
	if err != nil {
		return broken{}, err
	}
	b, err := compare(p, h.log)
	if err != nil || b.any() {
		return b, errors.Join(err, h.leave())
	}
	again := &promise{told: map[string]answer{}, seen: p.seen}
	first, others := scripts()
	for _, s := range append([]script{first}, others...) {
		err = errors.Join(err, again.play(h, s))
	}
	for k, a := range p.told {
		if again.told[k] != a {
			err = errors.Join(err, fmt.Errorf("%s was answered %d, and %d when asked again", k, a.seq, again.told[k].seq))
		}
	}
	err = errors.Join(err, settled(context.Background(), h), sound(h), h.leave())
	if err != nil {
		return b, err
	}
	disk.Restart(faultfs.KeepNone, 0)
	if h, err = (defect{}).open(disk); err != nil {
		return b, err
	}
	b, err = compare(again, h.log)
	return b, errors.Join(err, sound(h), h.leave())
}

// sound checks what holds once all scripts are played, however often.
func sound(h *hall) (err error) {
	payouts, keyed := 0, 0
	err = h.log.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		if d.Key != (engine.Tag{}) {
			keyed++
		}
		for _, e := range d.Events {
			if _, ok := e.(*engine.SettlementStepped); ok {
				payouts++
			}
		}
		return nil
	})
	first, others := scripts()
	want := len(first)
	for _, s := range others {
		want += len(s)
	}
	if payouts != 1 || keyed != want {
		err = errors.Join(err, fmt.Errorf("%d requests decided, want %d; market 1 paid in %d decisions, want 1", keyed, want, payouts))
	}
	h.View(func(s *core.State) { err = errors.Join(err, conserved(s)) })
	return err
}

// tally is the result of many crashes.
type tally struct {
	runs, hurt int
	broken
	errs []error
}

// everyStop runs the scripts with a disk that stops before each of its
// operations in turn, or fails it, in each way to stop.
func everyStop(d defect, fault faultfs.Fault, keeps ...faultfs.Keep) (all tally) {
	for _, keep := range keeps {
		for at := 1; len(all.errs) < 10; at++ {
			disk := faultfs.New()
			disk.SetPlan(func(op faultfs.Op) faultfs.Fault {
				if op.N == at {
					return fault
				}
				return faultfs.Fault{}
			})
			p, err := shift(d, disk)
			reached := disk.Ops() >= at
			if !down(err) {
				all.errs = append(all.errs, fmt.Errorf("keep %v, operation %d: %w", keep, at, err))
			}
			disk.Restart(keep, uint64(at))
			b, err := aftermath(disk, p)
			if all.runs++; b.any() {
				all.hurt++
			}
			all.lost, all.phantom, all.doubled = all.lost+b.lost, all.phantom+b.phantom, all.doubled+b.doubled
			if err != nil && !b.any() {
				all.errs = append(all.errs, fmt.Errorf("keep %v, after operation %d: %w", keep, at, err))
			}
			if !reached {
				break
			}
		}
	}
	return all
}

func (a tally) String() string {
	return fmt.Sprintf("%d stops, %d of them hurt: %d acknowledged decisions lost, %d shown and lost, %d doubled", a.runs, a.hurt, a.lost, a.phantom, a.doubled)
}

// Whatever operation of the disk is the last one, what was acknowledged or shown
// is there, and asking again for everything gives every answer once.
func TestStopAtEveryOperation(t *testing.T) {
	keeps := faultfs.Keeps[:]
	if testing.Short() {
		keeps = []faultfs.Keep{faultfs.KeepNone, faultfs.KeepCache}
	}
	for name, fault := range map[string]faultfs.Fault{
		"crash": {Crash: true}, "error": {Err: errDisk}, "short write": {Err: errDisk, Short: 100},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := everyStop(defect{}, fault, keeps...)
			for _, err := range got.errs {
				t.Error(err)
			}
			if got.any() || got.runs < 30*len(keeps) {
				t.Error("the writer broke its promise, or there were too few places to stop")
			}
			t.Log(got)
		})
	}
}

// unsynced is a disk whose segments in use are never synced.
type unsynced struct{ file.FS }

func (fs unsynced) Open(name string) (file.File, error) {
	f, err := fs.FS.Open(name)
	return lazy{f}, err
}

type lazy struct{ file.File }

func (lazy) Sync() error { return nil }

// The same test finds a writer that answers before the sync, and a log whose
// sync was removed.
func TestStopFindsEarlyAnswers(t *testing.T) {
	for name, d := range map[string]defect{
		"acknowledged before the sync": {log: func(l journal.Log) journal.Log { return newLate(l, 1) }},
		"sync removed":                 {fs: func(fs file.FS) file.FS { return unsynced{fs} }},
	} {
		t.Run(name, func(t *testing.T) {
			got := everyStop(d, faultfs.Fault{Crash: true}, faultfs.KeepNone)
			if got.lost == 0 || got.phantom == 0 {
				t.Errorf("%v: the crash test is blind to it", got)
			}
			t.Log(got)
		})
	}
}
