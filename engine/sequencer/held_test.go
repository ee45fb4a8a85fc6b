package sequencer_test

import (
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// clocks are the two of a machine: a wall clock that somebody sets, and a monotonic
// one that nobody can. They live in a bubble, whose time they tell.
type clocks struct {
	skew  atomic.Int64 // ns that the wall clock is ahead
	begin time.Time
}

func newClocks() *clocks { return &clocks{begin: time.Now()} }

func (c *clocks) jump(d time.Duration) { c.skew.Add(int64(d)) }

func (c *clocks) wall() time.Time { return time.Now().Add(time.Duration(c.skew.Load())) }

// config is that of a writer with these clocks.
func (c *clocks) config(l journal.Log) sequencer.Config {
	return sequencer.Config{Log: l, Now: c.wall, Mono: func() time.Duration { return time.Since(c.begin) }, Registerer: prometheus.NewRegistry()}
}

// begun is a writer over a log with an account and a market.
func begun(t *testing.T, cfg sequencer.Config) *hall {
	t.Helper()
	h, err := enter(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if h.Durable() == 0 {
		for _, c := range opening(1) {
			h.must(t, "boot", c)
		}
	}
	synctest.Wait()
	return h
}

func (h *hall) held() (held bool) {
	h.View(func(s *core.State) { held = s.DeadlinesHeld() })
	return held
}

// told lists decisions in a word or two each.
func told(ds []*engine.Decision) string {
	var out []string
	for _, d := range ds {
		word := d.Command.Type()
		switch x := d.Command.(type) {
		case *engine.SetDeadlines:
			word = map[bool]string{true: "hold", false: "confirm"}[x.Held]
		case *engine.Tick:
			word = d.Events[0].Type()
		}
		out = append(out, word)
	}
	return strings.Join(out, " ")
}

func confirm() engine.Command { return &engine.SetDeadlines{Reason: "the clock is right"} }

// The wall clock jumps: deadlines are held, whoever asks for anything, and trading
// goes on at the time of the monotonic clock. When a person confirms the time, engine
// time goes on at the wall clock, and what is due then is decided in order.
func TestForwardJumpHoldsDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newClocks()
		cfg := c.config(memory(t, 1<<20))
		h := begun(t, cfg)
		h.must(t, "ana", rests(1, in(h, 2*time.Hour)))
		h.must(t, "ana", rests(1, in(h, time.Hour)))
		h.must(t, "ana", rests(1, in(h, 9*time.Hour)))
		last := h.must(t, "ana", rests(1, in(h, 5*time.Hour))).Seq
		c.jump(3 * time.Hour)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		got := since(t, h, last)
		if told(got) != "hold" || got[0].Principal != engine.System || !h.held() {
			t.Fatalf("after the jump: %s, held %t", told(got), h.held())
		}
		if v := gauged(t, cfg.Registerer.(*prometheus.Registry), "mbp_deadlines_held"); v != 1 {
			t.Errorf("the gauge is %v", v)
		}
		time.Sleep(90 * time.Minute) // one order's time is over by any clock
		before := h.Now()
		d := h.must(t, "ana", buy("k", 1, 1).Command)
		if d.At != before || d.Seq != got[0].Seq+1 {
			t.Errorf("traded at %s, sequence %d; want %s and %d: nothing fell due", d.At, d.Seq, before, got[0].Seq+1)
		}
		at := engine.Time(c.wall().UnixMicro())
		said := h.must(t, "ops", confirm())
		synctest.Wait()
		got = since(t, h, said.Seq)
		if told(got) != "orders_closed" || said.At != before {
			t.Fatalf("after the confirmation at %s: %s", said.At, told(got))
		}
		closed := got[0].Events[0].(*engine.OrdersClosed).Orders
		if len(closed) != 2 || closed[0].Order != engine.OrderOf(last-2, 0) || closed[1].Order != engine.OrderOf(last-3, 0) || got[0].At != at {
			t.Errorf("at %s %+v, want at %s the order of one hour and then that of two", got[0].At, closed, at)
		}
		if h.held() || h.Now() != at {
			t.Errorf("held %t, engine time %s, the wall clock %s", h.held(), h.Now(), at)
		}
		time.Sleep(30 * time.Minute) // by the wall clock 5 hours
		synctest.Wait()
		if got := since(t, h, said.Seq+1); told(got) != "orders_closed" {
			t.Errorf("half an hour later: %s", told(got))
		}
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
}

// What counts as a jump, and that it is seen before anything that falls due.
func TestJumps(t *testing.T) {
	const hour = time.Hour
	for _, c := range []struct {
		name  string
		jumps []time.Duration
		want  string
	}{
		{"none", nil, "orders_closed"},
		{"a minute", []time.Duration{time.Minute}, "orders_closed"},
		{"a minute and a microsecond", []time.Duration{time.Minute + time.Microsecond}, "hold"},
		{"backwards", []time.Duration{-hour}, "orders_closed"},
		{"there and back", []time.Duration{hour, -hour}, "orders_closed"},
		{"in steps", []time.Duration{30 * time.Second, 20 * time.Second, 11 * time.Second}, "hold"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newClocks()
				h := begun(t, k.config(memory(t, 1<<20)))
				time.Sleep(9 * time.Second)
				last := h.must(t, "ana", rests(1, in(h, 10*time.Second))).Seq
				time.Sleep(10*time.Second - time.Nanosecond)
				for _, d := range c.jumps {
					k.jump(d)
				}
				time.Sleep(time.Nanosecond) // it falls due
				synctest.Wait()
				if got := since(t, h, last); told(got) != c.want {
					t.Errorf("%s, want %s", told(got), c.want)
				}
				if err := h.leave(); err != nil {
					t.Error(err)
				}
			})
		})
	}
}

// A writer whose wall clock is behind the journal when it starts holds deadlines,
// once; a restart while they are held changes nothing and takes the wall clock's word
// for nothing; after the confirmation the next start is as any other.
func TestStartBehindTheJournalHoldsDeadlines(t *testing.T) {
	for _, behind := range []time.Duration{0, time.Second, time.Second + time.Microsecond, time.Hour} {
		t.Run(behind.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				k := newClocks()
				l := memory(t, 1<<20)
				again := func() *hall {
					t.Helper()
					h := begun(t, k.config(l))
					synctest.Wait()
					return h
				}
				end := func(h *hall) {
					t.Helper()
					h.end()
					if err := <-h.done; err != nil {
						t.Fatal(err)
					}
				}
				h := again()
				last := h.must(t, "ana", rests(1, in(h, time.Hour))).Seq
				before := h.Now()
				end(h)
				k.jump(-behind)
				h = again()
				want := ""
				if behind > time.Second {
					want = "hold"
				}
				if got := since(t, h, last); told(got) != want || h.Now() != before {
					t.Fatalf("%q at %s, want %q at %s", told(got), h.Now(), want, before)
				}
				end(h)
				if want == "" {
					return
				}
				k.jump(10 * time.Hour) // too far now, while nobody trusts it
				h = again()
				if got := since(t, h, last); told(got) != want || h.Now() != before {
					t.Fatalf("restarted: %q at %s, want %q at %s", told(got), h.Now(), want, before)
				}
				k.jump(behind - 10*time.Hour) // an operator puts it right
				time.Sleep(time.Minute)
				h.must(t, "ops", confirm())
				time.Sleep(time.Hour - time.Minute)
				synctest.Wait()
				if got := since(t, h, last); told(got) != "hold confirm orders_closed" {
					t.Errorf("confirmed: %s", told(got))
				}
				end(h)
				h = again()
				if got := since(t, h, last); told(got) != "hold confirm orders_closed" || h.held() {
					t.Errorf("started again: %s", told(got))
				}
				end(h)
			})
		})
	}
}

// Operators hold and confirm as they like; what is so already is no decision of
// theirs, and an empty journal has nothing to hold.
func TestOperatorsHoldAndConfirm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := newClocks()
		h, err := enter(k.config(memory(t, 1<<20)))
		if err != nil {
			t.Fatal(err)
		}
		k.jump(2 * time.Hour)
		time.Sleep(time.Minute)
		synctest.Wait()
		if h.Durable() != 0 {
			t.Fatal("an empty journal was written to")
		}
		first := opening(1)[0]
		h.must(t, "boot", first)
		synctest.Wait()
		if !h.held() { // the jump is no less a jump
			t.Error("a jump before the first command is forgotten")
		}
		ask := func(held bool) engine.Code {
			a, err := h.Submit(t.Context(), sequencer.Request{Principal: "ops", Command: &engine.SetDeadlines{Held: held, Reason: "drill"}})
			if err != nil {
				t.Fatal(err)
			}
			return a.Decision.Code
		}
		got := fmt.Sprint(ask(true), ask(false), ask(false), ask(true), ask(true), ask(false))
		if got != "wrong_state ok wrong_state ok wrong_state ok" {
			t.Error(got)
		}
		if err := h.leave(); err != nil {
			t.Error(err)
		}
	})
}
