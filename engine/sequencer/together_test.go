package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// together are so many requests of one caller, with keys of their own.
func together(key string, n int) []sequencer.Request {
	out := make([]sequencer.Request, n)
	for i := range out {
		out[i] = buy(fmt.Sprint(key, "-", i), 1, 1)
	}
	return out
}

// What is submitted together is decided in order with nothing in between, however
// many do so and whatever the batches hold.
func TestTogetherInOrder(t *testing.T) {
	const callers, each = 20, 7
	h := open(t, sequencer.Config{MaxBatch: 5}, 1)
	var wg sync.WaitGroup
	for i := range callers {
		wg.Go(func() {
			got, err := h.SubmitAll(t.Context(), together(fmt.Sprint(i), each))
			if err != nil || len(got) != each {
				t.Error(err, got)
				return
			}
			for k := range got {
				if got[k].Decision.Seq != got[0].Decision.Seq+engine.Seq(k) || got[k].Replayed {
					t.Errorf("caller %d: decision %d of %d comes at %d, the first at %d", i, k, each, got[k].Decision.Seq, got[0].Decision.Seq)
				}
			}
		})
	}
	wg.Wait()
	if got, err := h.SubmitAll(t.Context(), nil); err != nil || len(got) != 0 {
		t.Errorf("nothing at all: %v %v", got, err)
	}
}

// All enter or none, and after one that is refused none is decided.
func TestTogetherOrNotAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g, Queue: 4}, 1)
		before := h.Durable()
		if _, err := h.SubmitAll(t.Context(), together("many", 5)); !errors.Is(err, sequencer.ErrOverloaded) || h.Durable() != before {
			t.Errorf("five into four: %v", err)
		}
		if _, err := h.SubmitAll(t.Context(), together("fit", 4)); err != nil {
			t.Errorf("four into four: %v", err)
		}
		before = h.Durable()
		other := together("fit", 4)
		other[1].Input = []byte("another")
		for i := 2; i < 4; i++ {
			other[i].Key = fmt.Sprint("new-", i)
		}
		if _, err := h.SubmitAll(t.Context(), other); !errors.Is(err, sequencer.ErrConflict) || h.Durable() != before {
			t.Errorf("the second of four conflicts: %v, %d decisions", err, h.Durable()-before)
		}
		for i := 2; i < 4; i++ {
			if got, err := h.Submit(t.Context(), other[i]); err != nil || got.Replayed {
				t.Errorf("request %d alone: %v %+v", i, err, got)
			}
		}
		revoked := together("revoked", 3)
		revoked[0].APIKey = engine.Digest{9}
		before = h.Durable()
		if _, err := h.SubmitAll(t.Context(), revoked); !errors.Is(err, sequencer.ErrRevoked) || h.Durable() != before {
			t.Errorf("the key of the first is not there: %v, %d decisions", err, h.Durable()-before)
		}
		g.closed.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		left := make(chan error, 1)
		go func() { _, err := h.SubmitAll(ctx, together("left", 3)); left <- err }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) {
			t.Errorf("a caller that leaves: %v", err)
		}
		g.release()
		got, err := h.SubmitAll(t.Context(), together("left", 3))
		if err != nil || !got[0].Replayed || !got[2].Replayed {
			t.Errorf("asked again: %v %+v", err, got)
		}
	})
}

// A writer that fails between the appends of what belongs together leaves a part
// of it. A retry with the same keys gets the answers of that part and has the rest
// decided, once.
func TestTogetherOverAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		h, err := enter(sequencer.Config{Log: g, MaxBatch: 2})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range opening(1) {
			h.must(t, "boot", c)
		}
		before := h.Durable()
		g.closed.Store(true)
		failed := make(chan error, 1)
		go func() { _, err := h.SubmitAll(t.Context(), together("a", 6)); failed <- err }()
		synctest.Wait()
		g.pass <- struct{}{} // the first append
		synctest.Wait()
		g.failing.Store(&errDisk)
		g.pass <- struct{}{}
		if err := <-failed; !errors.Is(err, sequencer.ErrUnknown) {
			t.Errorf("in flight: %v", err)
		}
		if err := <-h.done; !errors.Is(err, errDisk) {
			t.Errorf("run ended with %v", err)
		}
		part := h.Durable() - before
		if part != 2 {
			t.Errorf("%d of 6 are durable, want the first batch of 2", part)
		}
		g.failing.Store(nil)
		g.closed.Store(false)
		if h, err = enter(sequencer.Config{Log: g}); err != nil {
			t.Fatal(err)
		}
		got, err := h.SubmitAll(t.Context(), together("a", 6))
		if err != nil {
			t.Fatal(err)
		}
		for i := range got {
			if got[i].Decision.Seq != before+1+engine.Seq(i) || got[i].Replayed != (i < int(part)) {
				t.Errorf("request %d: replayed %v at %d", i, got[i].Replayed, got[i].Decision.Seq)
			}
		}
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
}
