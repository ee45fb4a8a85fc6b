package sequencer_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// A writer that starts from a snapshot is the one that folds everything: the same
// state, the same answers to repeated requests, the same decisions from there on.
func TestStartsFromASnapshot(t *testing.T) {
	l := memory(t, 64<<10)
	h, err := enter(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range opening(2) {
		h.must(t, "boot", c)
	}
	var first [30]sequencer.Answer
	for n := range first {
		if first[n], err = h.Submit(t.Context(), buy(string(rune('A'+n)), 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	if _, _, ended := h.Ended(); ended {
		t.Error("it has ended while it runs")
	}
	h.end()
	if err := <-h.done; err != nil {
		t.Fatal(err)
	}
	seq, hash, ended := h.Ended()
	if !ended || uint64(seq) != l.Next()-1 {
		t.Fatalf("%t, at %d", ended, seq)
	}
	at := func(seq uint64) *core.State {
		s := core.New()
		if _, err := catchup.Fold(l, s, seq, nil); err != nil {
			t.Fatal(err)
		}
		return s
	}
	for n, cfg := range []sequencer.Config{
		{Start: at(1)}, {Start: at(10)}, {Start: at(uint64(seq))}, {Start: at(10), Twin: at(10)}, {Start: at(uint64(seq)), Twin: at(uint64(seq))},
	} {
		cfg.Log = l
		q, err := sequencer.New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		q.View(func(s *core.State) {
			if s.Hash() != hash || q.Durable() != seq {
				t.Errorf("from start %d it is another state", n)
			}
		})
	}
	start := at(20)
	again, err := enter(sequencer.Config{Log: l, Start: start, Twin: at(20)})
	if err != nil {
		t.Fatal(err)
	}
	for n := range first {
		got, err := again.Submit(t.Context(), buy(string(rune('A'+n)), 1, 1))
		if err != nil || !got.Replayed || digest(got.Decision) != digest(first[n].Decision) {
			t.Fatalf("request %d: %v, replayed %t", n, err, got.Replayed)
		}
	}
	again.must(t, "boot", market())
	if err := again.leave(); err != nil {
		t.Error(err)
	}
	// A state beyond the log is none of it.
	if _, err := sequencer.New(sequencer.Config{Log: memory(t, 1<<20), Start: start}); err == nil {
		t.Error("it starts after the end of its log")
	}
}

// What the writer shows of its memory is what the journal gives at that sequence;
// it shows it once a second, and keeps a minute.
func TestPrintsAreOfTheJournal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, sequencer.Config{}, 3)
		h.must(t, "boot", &engine.PlaceOrder{Account: 2, Market: 1, Side: engine.Buy, TIF: engine.GTC, Shares: 1000, Limit: 100_000})
		for n := range 200 {
			time.Sleep(500 * time.Millisecond)
			h.must(t, "boot", buy("", engine.AccountID(1+n%3), 1).Command)
		}
		h.must(t, "boot", &engine.CancelAll{Account: 2})
		synctest.Wait()
		s, shown := core.New(), 0
		for p, ok := h.Prints(0); ok; p, ok = h.Prints(p.Seq) {
			if _, err := catchup.Fold(h.log, s, uint64(p.Seq), nil); err != nil || s.Seq() != p.Seq {
				t.Fatalf("prints of %d: %v", p.Seq, err)
			}
			for _, want := range p.Of {
				if got := s.Print(want.Account, want.Market); got != want {
					t.Fatalf("after %d: %+v, want %+v", p.Seq, got, want)
				}
			}
			shown++
		}
		if shown != 60 {
			t.Errorf("%d seconds are shown", shown)
		}
	})
}
