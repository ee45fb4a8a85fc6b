package sequencer_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// result is what a Submit in the background returned.
type result struct {
	sequencer.Answer
	err error
}

// submit gives a request in the background.
func (h *hall) submit(ctx context.Context, r sequencer.Request) <-chan result {
	out := make(chan result, 1)
	go func() {
		a, err := h.Submit(ctx, r)
		out <- result{a, err}
	}()
	return out
}

func pending(t *testing.T, results ...<-chan result) {
	t.Helper()
	synctest.Wait()
	for i, r := range results {
		if len(r) > 0 {
			got := <-r
			t.Fatalf("request %d was answered while its batch was not durable: %+v %v", i, got.Decision, got.err)
		}
	}
}

// The same key at once is decided once, whether the first one is durable, in
// flight, or in the same batch; nobody hears of it before it is durable, not even
// through a conflict.
func TestSameKeyDecidesOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g}, 2)
		before := h.Durable()
		g.closed.Store(true)
		ctx := t.Context()
		other, stranger := buy("same", 1, 1), buy("same", 2, 1)
		other.Input = []byte("something else")
		stranger.Principal = "stranger"
		first := h.submit(ctx, buy("same", 1, 1)) // with the journal
		pending(t, first)
		var repeats []<-chan result
		for range 64 {
			repeats = append(repeats, h.submit(ctx, buy("same", 1, 1))) // in flight, or in the next batch
		}
		conflict, foreign, twin := h.submit(ctx, other), h.submit(ctx, stranger), h.submit(ctx, stranger)
		pending(t, append(repeats, first, conflict, foreign, twin)...)
		if h.Durable() != before {
			t.Error("an undurable decision is visible")
		}
		h.View(func(s *core.State) {
			if m, _ := s.Market(1, 0); m.Trades != 0 {
				t.Error("an undurable trade is visible")
			}
		})
		g.release()
		want := <-first
		if want.err != nil || want.Replayed {
			t.Fatalf("first: %+v", want)
		}
		for _, r := range repeats {
			if got := <-r; got.err != nil || !got.Replayed || digest(got.Decision) != digest(want.Decision) || got.At != want.At {
				t.Errorf("repeat: %+v", got)
			}
		}
		if got := <-conflict; !errors.Is(got.err, sequencer.ErrConflict) {
			t.Errorf("another request with the key: %+v", got)
		}
		a, b := <-foreign, <-twin
		if a.err != nil || b.err != nil || a.Replayed == b.Replayed || a.Decision.Seq != b.Decision.Seq || a.Decision.Seq == want.Decision.Seq {
			t.Errorf("the key of somebody else: %+v %+v", a, b)
		}
		if h.Durable() != before+2 {
			t.Errorf("%d decisions, want 2", h.Durable()-before)
		}
		// Long after, when it is in no memory but the journal's, and after a restart.
		for range 1100 {
			h.must(t, "trader", buy("", 2, 1).Command)
		}
		if got := <-h.submit(ctx, buy("same", 1, 1)); got.err != nil || !got.Replayed || digest(got.Decision) != digest(want.Decision) || got.At != want.At {
			t.Errorf("repeat from the journal: %+v", got)
		}
		again, err := sequencer.New(sequencer.Config{Log: g})
		if err != nil {
			t.Fatal(err)
		}
		if c, err := again.Decision(want.Decision.Seq); err != nil || digest(c.Decision) != digest(want.Decision) || c.At != want.At {
			t.Errorf("after a restart: %+v %v", c, err)
		}
	})
}

// An internal command without a key is decided each time.
func TestNoKeyNoRepetition(t *testing.T) {
	h := open(t, sequencer.Config{}, 1)
	a, b := h.must(t, "x", &engine.OpenAccount{}), h.must(t, "x", &engine.OpenAccount{})
	if a.Seq == b.Seq || a.Key != (engine.Tag{}) || a.Input != (engine.Tag{}) {
		t.Errorf("%+v %+v", a, b)
	}
}

// While an append is under way, one batch and the intake fill up; what is above
// is refused at once; who is inside gets an answer when the disk goes on, and the
// requests that waited go out together.
func TestOverloadIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const queue, batch, burst = 8, 4, 100
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g, Queue: queue, MaxBatch: batch}, 1)
		g.closed.Store(true)
		stuck := h.submit(t.Context(), buy("stuck", 1, 1))
		synctest.Wait()
		appends := g.batches.Load()
		results := make(chan result, burst)
		for i := range burst {
			go func() { results <- <-h.submit(t.Context(), buy(fmt.Sprint(i), 1, 1)) }()
		}
		synctest.Wait() // nobody waits but those inside
		refused := len(results)
		for range refused {
			if got := <-results; !errors.Is(got.err, sequencer.ErrOverloaded) {
				t.Fatalf("%+v", got)
			}
		}
		// How far the writer emptied the intake in between is up to the scheduler.
		if inside := burst - refused; inside < queue || inside > queue+batch {
			t.Errorf("%d of %d got inside; %d wait and a batch has %d", inside, burst, queue, batch)
		}
		g.release()
		if got := <-stuck; got.err != nil {
			t.Error(got.err)
		}
		for range burst - refused {
			if got := <-results; got.err != nil || got.Decision.Code != engine.OK {
				t.Errorf("%+v", got)
			}
		}
		if n := g.batches.Load() - appends - 1; n > 1+(queue+batch)/batch {
			t.Errorf("%d appends for %d decisions", n, burst-refused)
		}
	})
}

// When the context of Run ends, who is inside is answered and nobody else.
func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGate(t)
		h := open(t, sequencer.Config{Log: g, MaxBatch: 2}, 1)
		g.closed.Store(true)
		var inside []<-chan result
		for i := range 10 {
			inside = append(inside, h.submit(t.Context(), buy(fmt.Sprint(i), 1, 1)))
		}
		pending(t, inside...)
		h.end()
		pending(t, inside...)
		if _, err := h.Submit(t.Context(), buy("late", 1, 1)); !errors.Is(err, sequencer.ErrStopped) {
			t.Errorf("during the drain: %v", err)
		}
		g.release()
		for _, r := range inside {
			if got := <-r; got.err != nil || got.Decision.Code != engine.OK {
				t.Errorf("%+v", got)
			}
		}
		err := <-h.done
		h.done <- err // for the clean-up
		if _, late := h.Submit(t.Context(), buy("late", 1, 1)); err != nil || !errors.Is(late, sequencer.ErrStopped) {
			t.Errorf("run ended with %v; afterwards: %v", err, late)
		}
		if err := h.Run(t.Context()); err == nil {
			t.Error("it runs twice")
		}
	})
}

// Whoever races with the end is answered truly: stopped means that nothing was
// decided, an answer that it is in the journal.
func TestRaceWithTheEnd(t *testing.T) {
	const clients, rounds = 8, 30
	l := memory(t, 1<<20)
	answered, refused := map[engine.Tag]bool{}, map[engine.Tag]bool{}
	var mu sync.Mutex
	for n := range rounds {
		h, err := enter(sequencer.Config{Log: l})
		if err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			for _, c := range opening(clients) {
				h.must(t, "boot", c)
			}
		}
		var wg sync.WaitGroup
		for i := range clients {
			wg.Go(func() {
				for k := 0; ; k++ {
					if i == 0 && k == n%10 {
						h.end()
					}
					r := buy(fmt.Sprint(n, "-", i, "-", k), engine.AccountID(i+1), 1)
					_, err := h.Submit(t.Context(), r)
					mu.Lock()
					(map[bool]map[engine.Tag]bool{true: answered, false: refused})[err == nil][tagOf(r)] = true
					mu.Unlock()
					if err != nil {
						if !errors.Is(err, sequencer.ErrStopped) {
							t.Error(err)
						}
						return
					}
				}
			})
		}
		wg.Wait()
		if err := <-h.done; err != nil {
			t.Fatal(err)
		}
	}
	err := l.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err == nil && refused[d.Key] {
			t.Errorf("decision %d was refused as if it were not there", d.Seq)
		}
		delete(answered, d.Key)
		return err
	})
	if err != nil || len(answered) > 0 || len(refused) < rounds {
		t.Errorf("%d answers are not in the journal, %d refusals: %v", len(answered), len(refused), err)
	}
}

// A failed append stops the writer for good: unknown for everybody in flight,
// stopped for those after, and nothing of it visible.
func TestFailedAppendStops(t *testing.T) {
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
		var state engine.Digest
		h.View(func(s *core.State) { state = s.HashShown() })
		g.closed.Store(true)
		var inside []<-chan result // with the journal, in the next batch, in the intake
		for i := range 10 {
			inside = append(inside, h.submit(t.Context(), buy(fmt.Sprint(i), 1, 1)))
		}
		pending(t, inside...)
		g.failing.Store(&errDisk)
		g.pass <- struct{}{}
		for _, r := range inside {
			if got := <-r; !errors.Is(got.err, sequencer.ErrUnknown) {
				t.Errorf("in flight: %+v", got)
			}
		}
		if err := <-h.done; !errors.Is(err, errDisk) {
			t.Errorf("run ended with %v", err)
		}
		if _, err := h.Submit(t.Context(), buy("late", 1, 1)); !errors.Is(err, sequencer.ErrStopped) {
			t.Errorf("afterwards: %v", err)
		}
		if _, err := h.Decision(before + 1); !errors.Is(err, sequencer.ErrNotFound) || h.Durable() != before {
			t.Errorf("decision %d is visible: %v", before+1, err)
		}
		h.View(func(s *core.State) {
			if s.HashShown() != state {
				t.Error("readers see more than before")
			}
		})
		// The next start takes everything that is asked again.
		g.failing.Store(nil)
		g.closed.Store(false)
		if h, err = enter(sequencer.Config{Log: g}); err != nil {
			t.Fatal(err)
		}
		for i := range 10 {
			if got := <-h.submit(t.Context(), buy(fmt.Sprint(i), 1, 1)); got.err != nil || got.Replayed {
				t.Errorf("asked again: %+v", got)
			}
		}
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
}

// A panic of the engine stops the writer like a failed append; what was decided
// before stays, and the command that caused it is in no journal.
func TestPanicStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := memory(t, 1<<20)
		h, err := enter(sequencer.Config{Log: l})
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range opening(1) {
			h.must(t, "boot", c)
		}
		before := h.Durable()
		_, err = h.Submit(t.Context(), sequencer.Request{Principal: "x", Key: "x", Command: (*engine.PlaceOrder)(nil)})
		if !errors.Is(err, sequencer.ErrUnknown) {
			t.Errorf("in flight: %v", err)
		}
		if err := <-h.done; err == nil || !strings.Contains(err.Error(), "panic") {
			t.Errorf("run ended with %v", err)
		}
		if _, err := h.Submit(t.Context(), buy("late", 1, 1)); !errors.Is(err, sequencer.ErrStopped) {
			t.Errorf("afterwards: %v", err)
		}
		if h, err = enter(sequencer.Config{Log: l}); err != nil || h.Durable() != before {
			t.Fatalf("restart: %v", err)
		}
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
}

// A request that no record could hold is refused like any other, and the next
// start reads the refusal.
func TestUnrecordableRequestIsRefused(t *testing.T) {
	l := memory(t, 1<<20)
	h := open(t, sequencer.Config{Log: l}, 1)
	before := h.Durable()
	x := market().(*engine.OpenMarket)
	x.Title = strings.Repeat("x", 5000)
	for _, r := range []sequencer.Request{
		{Principal: "x", Key: "long", Command: x},
		{Principal: strings.Repeat("x", 200), Key: "who", Command: market()},
		{Principal: "x", Key: "nothing"},
	} {
		for _, again := range []bool{false, true} {
			if a, err := h.Submit(t.Context(), r); err != nil || a.Replayed != again || a.Decision.Code != engine.InvalidCommand {
				t.Errorf("%s: %+v %v", r.Key, a, err)
			}
		}
	}
	if h.Durable() != before+3 {
		t.Errorf("%d decisions, want 3", h.Durable()-before)
	}
	if _, err := sequencer.New(sequencer.Config{Log: l}); err != nil {
		t.Errorf("the next start: %v", err)
	}
}

// Time never runs backwards, whatever the clock does, and a batch is never
// committed before it was decided.
func TestTimeNeverRunsBack(t *testing.T) {
	var now atomic.Int64
	now.Store(1_800_000_000_000_000)
	h := open(t, sequencer.Config{Now: func() time.Time { return time.UnixMicro(now.Load()) }}, 1)
	last := engine.Time(0)
	for i, step := range []int64{0, 5, -3_600_000_000, 0, 1, 7_200_000_000, -1} {
		now.Add(step)
		a, err := h.Submit(t.Context(), buy(fmt.Sprint(i), 1, 1))
		if err != nil {
			t.Fatal(err)
		}
		if a.Decision.At < last || a.At < a.Decision.At || h.Now() < a.Decision.At {
			t.Errorf("decided at %s after %s, committed at %s, now %s", a.Decision.At, last, a.At, h.Now())
		}
		last = a.Decision.At
	}
	if last < engine.Time(now.Load()) {
		t.Errorf("decided at %s, the clock says %s", last, engine.Time(now.Load()))
	}
}

// Many submitters, and readers that never pause: everybody is answered once,
// answers are those of the journal, and the writer is not starved.
func TestManySubmittersAndReaders(t *testing.T) {
	const clients, each = 64, 40
	h := open(t, sequencer.Config{Log: memory(t, 64<<10), Queue: clients, MaxBatch: 32}, clients)
	before := h.Durable()
	ctx, stop := context.WithCancel(t.Context())
	var readers, writers sync.WaitGroup
	for range 4 {
		readers.Go(func() {
			last := engine.Seq(0)
			for ctx.Err() == nil {
				at := h.Durable()
				h.View(func(s *core.State) {
					if s.Seq() < last || s.Seq() < at {
						t.Errorf("a view of %d after one of %d, durable %d", s.Seq(), last, at)
					}
					last = s.Seq()
					s.Market(1, h.Now())
					s.Account(1)
					s.Orders(1)
					s.Book(1, engine.Yes, 5)
				})
				if got := h.Quote(&engine.PlaceOrder{Market: 1, Side: engine.Buy, TIF: engine.IOC, Amount: engine.One}); got.Seq < last || got.Code != engine.OK || got.Filled.Shares == 0 {
					t.Errorf("a quote after a view of %d: %+v", last, got)
				}
			}
		})
	}
	var mu sync.Mutex
	told := map[engine.Seq]engine.Digest{}
	for i := range clients {
		writers.Go(func() {
			for n := range each {
				a, err := h.Submit(t.Context(), buy(fmt.Sprint(i, "-", n), engine.AccountID(i+1), 1))
				if err != nil || a.Replayed {
					t.Errorf("%+v %v", a, err)
					return
				}
				mu.Lock()
				if _, twice := told[a.Decision.Seq]; twice {
					t.Errorf("decision %d was given to two clients", a.Decision.Seq)
				}
				told[a.Decision.Seq] = digest(a.Decision)
				mu.Unlock()
			}
		})
	}
	writers.Wait()
	stop()
	readers.Wait()
	for seq := before + 1; seq <= h.Durable(); seq++ {
		c, err := h.Decision(seq)
		if err != nil || digest(c.Decision) != told[seq] {
			t.Errorf("decision %d is not what its client was told: %v", seq, err)
		}
	}
	if n := h.Durable() - before; n != clients*each {
		t.Errorf("%d decisions, want %d", n, clients*each)
	}
	for _, seq := range []engine.Seq{0, h.Durable() + 1, math.MaxUint64} {
		if _, err := h.Decision(seq); !errors.Is(err, sequencer.ErrNotFound) {
			t.Errorf("decision %d: %v", seq, err)
		}
	}
}
