package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/journal/faultfs"
	"github.com/mbp-market/mbp/engine/journal/file"
	"github.com/mbp-market/mbp/engine/sequencer"
)

const holders = 2500 // three payout decisions

var approve = sequencer.Request{Principal: "bob", Key: "approve", Command: &engine.ApproveResolution{Market: 1}}

// crowd gives every account but the first a position in market 1, opens market
// 2, and has an outcome of market 1 proposed.
func crowd(t testing.TB, h *hall) {
	t.Helper()
	var wg sync.WaitGroup
	for w := range 50 {
		wg.Go(func() {
			for a := w + 2; a <= holders+1; a += 50 {
				if got, err := h.Submit(t.Context(), buy("", engine.AccountID(a), 1)); err != nil || got.Decision.Code != engine.OK {
					t.Errorf("%+v %v", got, err)
				}
			}
		})
	}
	wg.Wait()
	h.must(t, "boot", market())
	h.must(t, "ana", &engine.ProposeResolution{Market: 1, EvidenceURI: "https://example.org/1", EvidenceSHA256: engine.Digest{1}})
}

// paid checks that the journal pays every holder of market 1 exactly once, and
// returns the sequences of the payouts.
func paid(log journal.Log) (at []engine.Seq, err error) {
	times := map[engine.AccountID]int{}
	last, work := 0, 0
	err = log.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		for _, e := range d.Events {
			if p, ok := e.(*engine.SettlementStepped); ok {
				at = append(at, d.Seq)
				work += int(p.Work)
				for _, x := range p.Payouts {
					times[x.Account]++
				}
				if p.Last {
					last++
				}
			}
		}
		return nil
	})
	for a, n := range times {
		if n != 1 {
			err = errors.Join(err, fmt.Errorf("%s is paid %d times", a, n))
		}
	}
	// Every second holder has the outcome that pays, and the creator the liquidity.
	if work != holders+1 || len(times) != holders/2+1 || last != 1 || len(at) != (holders+engine.WorkLimit)/engine.WorkLimit {
		err = errors.Join(err, fmt.Errorf("%d holders worked on and %d paid in %d decisions, %d of them the last", work, len(times), len(at), last))
	}
	return at, err
}

// A large market is settled in a chain of decisions, one in a batch, and orders
// of other markets go out between them.
func TestSettlementLeavesRoomForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g}, holders+1)
		crowd(t, h)
		g.closed.Store(true)
		first := h.submit(t.Context(), approve) // and the first payouts, in one batch
		pending(t, first)
		var orders []<-chan result
		for i := range 20 {
			orders = append(orders, h.submit(t.Context(), buy(fmt.Sprint(i), 2, 2)))
		}
		pending(t, orders...) // in the second batch, with the second payouts
		g.pass <- struct{}{}
		if got := <-first; got.err != nil || got.Decision.Code != engine.OK {
			t.Fatalf("%+v", got)
		}
		g.pass <- struct{}{}
		for _, r := range orders {
			if got := <-r; got.err != nil || got.Decision.Code != engine.OK {
				t.Errorf("%+v", got)
			}
		}
		h.View(func(s *core.State) {
			if m, _ := s.Market(1, s.At()); m.State != engine.Settling {
				t.Errorf("market 1 is %s while others have traded", m.State)
			}
		})
		g.release()
		if err := settled(t.Context(), h); err != nil {
			t.Fatal(err)
		}
		at, err := paid(g)
		if err != nil {
			t.Error(err)
		}
		h.View(func(s *core.State) {
			if err := conserved(s); err != nil {
				t.Error(err)
			}
			if a, _ := s.Account(holders); len(a.Positions) != 0 {
				t.Errorf("%s still holds %+v", a.Account, a.Positions)
			}
		})
		t.Logf("payouts are decisions %v, 20 orders lie between them", at)
	})
}

// A settlement that is cut at any operation of the disk goes on after the next
// start, without anybody asking for it, and pays everybody once.
func TestSettlementSurvivesEveryStop(t *testing.T) {
	keeps, step := faultfs.Keeps[:], 1
	if testing.Short() {
		keeps, step = []faultfs.Keep{faultfs.KeepNone, faultfs.KeepAll}, 2
	}
	cfg := file.Config{Dir: "j", FS: faultfs.New(), SegmentSize: 48 << 10} // two payouts do not fit
	enterDisk := func(fs file.FS) *hall {
		cfg.FS = fs
		l, err := file.Open(cfg)
		if err != nil {
			t.Fatal(err)
		}
		h, err := enter(sequencer.Config{Log: l, MaxBatch: 64})
		if err != nil {
			t.Fatal(err)
		}
		return h
	}
	base := faultfs.New()
	h := enterDisk(base)
	for _, c := range opening(holders + 1) {
		h.must(t, "boot", c)
	}
	crowd(t, h)
	if err := h.leave(); err != nil {
		t.Fatal(err)
	}
	runs, cut := 0, map[int]int{} // payouts found after the stop
	for _, keep := range keeps {
		for at := 1; ; at += step {
			disk := base.Clone()
			h := enterDisk(disk)
			from := disk.Ops()
			disk.SetPlan(func(op faultfs.Op) faultfs.Fault { return faultfs.Fault{Crash: op.N == from+at} })
			_, err := h.Submit(t.Context(), approve)
			if err == nil {
				err = settledOrStopped(h)
			}
			if err == nil {
				break // the settlement needs fewer operations
			}
			if !down(err) {
				t.Fatal(err)
			}
			h.end()
			<-h.done
			disk.Restart(keep, uint64(at))
			h = enterDisk(disk)
			found, _ := paid(h.log)
			cut[len(found)]++
			runs++
			if a, err := h.Submit(t.Context(), approve); err != nil || a.Decision.Code != engine.OK {
				t.Fatalf("keep %v, operation %d: %+v %v", keep, at, a, err)
			}
			err = settled(t.Context(), h)
			_, err2 := paid(h.log)
			if err := errors.Join(err, err2, h.leave()); err != nil {
				t.Fatalf("keep %v, operation %d: %v", keep, at, err)
			}
		}
	}
	t.Logf("%d stops; payout decisions found after them, and how often: %v", runs, cut)
	if len(cut) < 3 {
		t.Errorf("the stops did not cut the chain: %v", cut)
	}
}

// settledOrStopped waits for the end of the settlement or of the writer.
func settledOrStopped(h *hall) error {
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	done := make(chan error, 1)
	go func() { done <- settled(ctx, h) }()
	select {
	case err := <-h.done:
		h.done <- err
		return err
	case err := <-done:
		return err
	}
}
