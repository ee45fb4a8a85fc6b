package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/sequencer"
)

var errEnough = errors.New("seen enough")

// watch follows from a sequence until one and checks order and content.
func watch(h *hall, from, until engine.Seq, pause <-chan struct{}) error {
	next := max(from, 1)
	err := h.Follow(context.Background(), from, func(c sequencer.Committed) error {
		if pause != nil {
			<-pause
		}
		if c.Decision.Seq != next || c.At < c.Decision.At {
			return fmt.Errorf("decision %d at %s, want %d", c.Decision.Seq, c.At, next)
		}
		if next++; next > until {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return fmt.Errorf("following from %d: %w", from, err)
}

// Followers see every decision once and in order while segments roll: those that
// keep up, those that come late, those that are too slow for the memory, and
// those that wait for what is yet to come. None holds up the writer.
func TestFollow(t *testing.T) {
	const clients, each = 8, 400 // more than the memory holds
	h := open(t, sequencer.Config{Log: memory(t, 16<<10), MaxBatch: 16}, clients)
	until := h.Durable() + clients*each
	pause := make(chan struct{})
	var followers, writers sync.WaitGroup
	follow := func(from engine.Seq, pause <-chan struct{}) {
		followers.Go(func() {
			if err := watch(h, from, until, pause); err != nil {
				t.Error(err)
			}
		})
	}
	follow(0, nil)
	follow(5, nil)
	follow(until-10, nil)
	follow(1, pause) // stands still until all is written
	for i := range clients {
		writers.Go(func() {
			for n := range each {
				if _, err := h.Submit(t.Context(), buy(fmt.Sprint(i, "-", n), engine.AccountID(i+1), 1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	writers.Wait()
	close(pause)
	follow(1, nil)
	follow(until, nil)
	followers.Wait()
}

func TestFollowEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, sequencer.Config{}, 1)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- h.Follow(ctx, h.Durable()+1, func(sequencer.Committed) error { return nil }) }()
		synctest.Wait()
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("waiting: %v", err)
		}
		if err := h.Follow(ctx, 1, func(sequencer.Committed) error { return nil }); !errors.Is(err, context.Canceled) {
			t.Errorf("from the start: %v", err)
		}
	})
}

// stuck is a log that ends before what it promised.
type stuck struct{ journal.Log }

func (stuck) Read(uint64, func(journal.Record) error) error { return nil }

// A log that lost what it had is an error, at the start and when it is read.
func TestShortLogIsFound(t *testing.T) {
	l := memory(t, 1<<20)
	h := open(t, sequencer.Config{Log: l}, 1)
	if _, err := sequencer.New(sequencer.Config{Log: stuck{l}}); err == nil {
		t.Error("a fold that ends early goes unnoticed")
	}
	for _, cfg := range []sequencer.Config{{}, {Log: h.log, Queue: -1}, {Log: h.log, MaxBatch: journal.MaxBatchRecords}} {
		if _, err := sequencer.New(cfg); err == nil {
			t.Errorf("accepted: %+v", cfg)
		}
	}
}

// The fold of the journal is the state of the writer that wrote it.
func TestFoldIsTheWritersState(t *testing.T) {
	l := memory(t, 64<<10)
	h, err := enter(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range opening(4) {
		h.must(t, "boot", c)
	}
	for n := range 200 {
		if _, err := h.Submit(t.Context(), operation(n%4, n)); err != nil {
			t.Fatal(err)
		}
	}
	var before, after engine.Digest
	h.View(func(s *core.State) { before = s.Hash() })
	h.end()
	if err := <-h.done; err != nil { // Run compares the writer's state with the view
		t.Fatal(err)
	}
	q, err := sequencer.New(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	q.View(func(s *core.State) { after = s.Hash() })
	if before != after || q.Durable() != h.Durable() {
		t.Errorf("%d decisions fold to %x, want %x", q.Durable(), after, before)
	}
}

func TestMetrics(t *testing.T) {
	reg := prometheus.NewRegistry()
	h := open(t, sequencer.Config{Registerer: reg}, 2)
	if n, err := testutil.GatherAndCount(reg, "decision_events_total"); err != nil || n != len(engine.Codes()) {
		t.Errorf("%d codes from the start, want %d: %v", n, len(engine.Codes()), err)
	}
	for _, key := range []string{"a", "b", "a"} { // one is a repetition
		if _, err := h.Submit(t.Context(), buy(key, 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	poor := buy("poor", 2, 1)
	poor.Command.(*engine.PlaceOrder).Market = 9
	if _, err := h.Submit(t.Context(), poor); err != nil {
		t.Fatal(err)
	}
	// The engine's own decision is journalled, and no edge has admitted it.
	h.must(t, "ana", &engine.ProposeResolution{Market: 1, EvidenceURI: "https://example.org/1", EvidenceSHA256: engine.Digest{1}})
	h.must(t, "bob", &engine.ApproveResolution{Market: 1})
	if err := settled(t.Context(), h); err != nil {
		t.Fatal(err)
	}
	h.CountOrchestrationError("answer")
	opened := len(opening(2))
	want := fmt.Sprintf(`
# HELP trades_total Durable fills.
# TYPE trades_total counter
trades_total 2
# HELP dec_journalled_total Durable decisions on requests from outside, since the process started, counted by the fold that readers see. Equals dec_admitted_total unless requests are under way or lost.
# TYPE dec_journalled_total counter
dec_journalled_total %d
# HELP dec_orchestration_errors_total Admitted requests that ended without decision, record or answer.
# TYPE dec_orchestration_errors_total counter
dec_orchestration_errors_total{stage="answer"} 1
dec_orchestration_errors_total{stage="decide"} 0
dec_orchestration_errors_total{stage="journal"} 0
`, opened+5)
	if err := testutil.GatherAndCompare(reg, strings.NewReader(want), "trades_total", "dec_journalled_total", "dec_orchestration_errors_total"); err != nil {
		t.Error(err)
	}
	got := map[string]float64{}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.Metric {
			switch f.GetName() {
			case "decision_events_total":
				got[m.Label[0].GetValue()] = m.Counter.GetValue()
			case "mbp_journal_batch_records":
				got["records"] = m.Histogram.GetSampleSum()
				got["batches"] = float64(m.Histogram.GetSampleCount())
			case "mbp_journal_append_seconds":
				got["appends"] = float64(m.Histogram.GetSampleCount())
			}
		}
	}
	all := float64(h.Durable())
	if got["ok"] != all-1 || got["market_not_found"] != 1 || got["records"] != all || got["batches"] != got["appends"] || got["batches"] == 0 {
		t.Errorf("of %v decisions: %v", all, got)
	}
}

// unreadable is a log whose records cannot be read for a while.
type unreadable struct {
	journal.Log
	now atomic.Bool
}

func (l *unreadable) Read(from uint64, fn func(journal.Record) error) error {
	if l.now.Load() {
		return errDisk
	}
	return l.Log.Read(from, fn)
}

// A repetition whose answer cannot be read has an unknown outcome, and is answered
// when it is asked again.
func TestUnreadableRepetition(t *testing.T) {
	l := &unreadable{Log: memory(t, 1<<20)}
	h, err := enter(sequencer.Config{Log: l})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range opening(1) {
		h.must(t, "boot", c)
	}
	was, err := h.Submit(t.Context(), buy("a", 1, 1))
	h.end()
	if err := errors.Join(err, <-h.done); err != nil {
		t.Fatal(err)
	}
	if h, err = enter(sequencer.Config{Log: l}); err != nil { // it remembers no answer
		t.Fatal(err)
	}
	l.now.Store(true)
	if a, err := h.Submit(t.Context(), buy("a", 1, 1)); !errors.Is(err, sequencer.ErrUnknown) || !errors.Is(err, errDisk) || a.Decision != nil {
		t.Errorf("%+v, %v", a, err)
	}
	l.now.Store(false)
	if a, err := h.Submit(t.Context(), buy("a", 1, 1)); err != nil || !a.Replayed || digest(a.Decision) != digest(was.Decision) {
		t.Errorf("%+v, %v", a, err)
	}
	if err := h.leave(); err != nil {
		t.Error(err)
	}
}
