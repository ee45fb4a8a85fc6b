package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mbp-market/mbp/engine/sequencer"
)

// A client that goes away loses its answer and nothing else.
func TestCancelledClient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g}, 1)
		before := h.Durable()
		g.closed.Store(true)
		ctx, cancel := context.WithCancel(t.Context())
		gone := []<-chan result{h.submit(ctx, buy("a", 1, 1)), h.submit(ctx, buy("b", 1, 1))}
		pending(t, gone...)
		cancel()
		for _, r := range gone {
			if got := <-r; !errors.Is(got.err, context.Canceled) {
				t.Errorf("%+v", got)
			}
		}
		g.release()
		for _, key := range []string{"a", "b"} {
			if got := <-h.submit(t.Context(), buy(key, 1, 1)); got.err != nil || !got.Replayed {
				t.Errorf("asked again: %+v", got)
			}
		}
		if h.Durable() != before+2 {
			t.Errorf("%d decisions, want 2", h.Durable()-before)
		}
	})
}

// A caller whose patience ends loses its answer and nothing else, and the next one's
// begins anew.
func TestPatienceEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g}, 1)
		patient := func(key string, d time.Duration) sequencer.Request {
			r := buy(key, 1, 1)
			r.Patience = d
			return r
		}
		for i := range 3 { // tickets with their alarms are used again
			if got := <-h.submit(t.Context(), patient(fmt.Sprint(i), time.Nanosecond<<i)); got.err != nil {
				t.Fatal(got.err)
			}
		}
		before := h.Durable()
		g.closed.Store(true)
		begin := time.Now()
		short, long := h.submit(t.Context(), patient("a", time.Second)), h.submit(t.Context(), patient("b", time.Hour))
		if got := <-short; !errors.Is(got.err, context.DeadlineExceeded) || time.Since(begin) != time.Second {
			t.Errorf("after %s: %+v", time.Since(begin), got)
		}
		pending(t, long)
		g.release()
		if got := <-long; got.err != nil {
			t.Error(got.err)
		}
		if got := <-h.submit(t.Context(), buy("a", 1, 1)); got.err != nil || !got.Replayed || h.Durable() != before+2 {
			t.Errorf("asked again: %+v", got)
		}
	})
}
