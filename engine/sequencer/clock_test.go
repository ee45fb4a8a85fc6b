package sequencer_test

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// A key that was revoked earlier in the order of decisions decides nothing,
// whatever was known of it when its request arrived.
func TestRevokedKeyDecidesNothing(t *testing.T) {
	h := open(t, sequencer.Config{}, 1)
	key := engine.Digest{7}
	h.must(t, "boot", &engine.AddKey{Key: engine.Key{SHA256: key, Principal: "ana", Roles: engine.RoleTrader, Account: 1}})
	r := buy("before", 1, 1)
	r.APIKey = key
	if _, err := h.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	h.must(t, "boot", &engine.RevokeKey{SHA256: key})
	end := h.Durable()
	for _, k := range []string{"before", "after"} { // an answer from before is refused, too
		r := buy(k, 1, 1)
		r.APIKey = key
		if _, err := h.Submit(t.Context(), r); !errors.Is(err, sequencer.ErrRevoked) {
			t.Errorf("%s: %v", k, err)
		}
	}
	if h.Durable() != end {
		t.Errorf("the journal grew from %d to %d", end, h.Durable())
	}
}

// A key that has expired by the time of its decision decides nothing, and needs
// nobody to revoke it.
func TestExpiredKeyDecidesNothing(t *testing.T) {
	var wall atomic.Int64
	wall.Store(time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC).UnixMicro())
	h := open(t, sequencer.Config{Now: func() time.Time { return time.UnixMicro(wall.Load()) }}, 1)
	key := engine.Digest{7}
	h.must(t, "boot", &engine.AddKey{Key: engine.Key{
		SHA256: key, Principal: "ana", Roles: engine.RoleTrader, Account: 1, ExpiresAt: engine.Time(wall.Load() + 1_000_000),
	}})
	r := buy("before", 1, 1)
	r.APIKey = key
	if _, err := h.Submit(t.Context(), r); err != nil {
		t.Fatal(err)
	}
	wall.Add(1_000_001)
	end := h.Durable()
	for _, k := range []string{"before", "after"} {
		r := buy(k, 1, 1)
		r.APIKey = key
		if _, err := h.Submit(t.Context(), r); !errors.Is(err, sequencer.ErrRevoked) {
			t.Errorf("%s: %v", k, err)
		}
	}
	if h.Durable() != end {
		t.Errorf("the journal grew from %d to %d", end, h.Durable())
	}
}

// The wall clock is behind the journal at a start: time still goes on from the
// last decision, so that rates refill and answered requests are not forgotten
// early.
func TestClockBehindTheJournal(t *testing.T) {
	l := memory(t, 1<<20)
	wall := time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)
	ahead, err := enter(sequencer.Config{Log: l, Now: func() time.Time { return wall.Add(25 * time.Hour) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range opening(1) {
		ahead.must(t, "boot", c)
	}
	last := ahead.Now()
	ahead.end()
	if err := <-ahead.done; err != nil {
		t.Fatal(err)
	}
	var passed atomic.Int64
	h, err := enter(sequencer.Config{Log: l, Now: func() time.Time { return wall.Add(time.Duration(passed.Load())) }})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range []time.Duration{0, time.Second, time.Hour} {
		passed.Store(int64(d))
		if got, want := h.Now(), last+engine.Time(d.Microseconds()); got != want {
			t.Errorf("after %s engine time is %s, want %s", d, got, want)
		}
	}
	if err := h.leave(); err != nil {
		t.Fatal(err)
	}
}

// A request that comes while a batch is decided is not decided at a time before it
// came: a summary of what was refused until then is not of the future.
func TestNoDecisionBeforeItsRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := open(t, sequencer.Config{}, 1)
		var came engine.Time
		var summary <-chan result
		r := buy("first", 1, 1)
		r.Taken = func() { // the deciding stage has looked at the clock
			time.Sleep(time.Second) // of the bubble
			came = h.Now()
			summary = h.submit(t.Context(), sequencer.Request{Principal: engine.System, Command: &engine.NoteRefusals{
				From: came, Until: came, Refusals: []engine.Refusal{{Reason: "malformed", Count: 1}},
			}})
			synctest.Wait() // it is in the intake
		}
		first := <-h.submit(t.Context(), r)
		got := <-summary
		if first.err != nil || got.err != nil || first.Decision.At >= came || got.Decision.At < came || got.Decision.Code != engine.OK {
			t.Errorf("%+v, then %+v, which came at %s", first, got, came)
		}
	})
}
