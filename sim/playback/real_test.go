package playback

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/sim/tape"
	"github.com/mbp-market/mbp/tests/given"
)

// TestReal plays every executed row of the real recording into the engine, twice.
// Nothing may fail, hardly anything may be refused, prices that a maker made
// there must come out alike here, and the second time must change nothing.
func TestReal(t *testing.T) {
	path := given.RealData(t, "trades.csv.gz")
	opt := tape.Options{Seed: 1, Synthetic: 500, Template: Template()}
	tp, err := tape.Load(context.Background(), path, opt)
	if err != nil {
		t.Fatal(err)
	}
	v := newInProcess(10 * time.Millisecond)
	r, err := Play(context.Background(), v, Config{Tape: tp, Options: opt, Concurrency: 8})
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	r.Text(&text)
	t.Log("\n" + text.String())
	if r.Played != len(tp.Trades) || r.Played != r.Executed || r.Accepted < r.Played*99/100 {
		t.Errorf("played %d, accepted %d of %d executed rows", r.Played, r.Accepted, r.Executed)
	}
	known := map[string]bool{"price_limit": true, "rate_limited": true, "too_small": true}
	for code, n := range r.Rejected {
		if !known[code] {
			t.Errorf("%d rows rejected with %s", n, code)
		}
	}
	for _, s := range r.Sources {
		if s.AMM && (s.Price.Median > 1 || s.Impact.Median > 0.25) {
			t.Errorf("%s: price %+v, impact %+v", s.Source, s.Price, s.Impact)
		}
	}
	hash := v.state.Hash()
	again, err := Play(context.Background(), v, Config{Tape: tp, Options: opt, Concurrency: 8})
	if err != nil || again.Replayed != r.Accepted || v.state.Hash() != hash {
		t.Errorf("played again: %d of %d replayed, %v", again.Replayed, r.Accepted, err)
	}
}
