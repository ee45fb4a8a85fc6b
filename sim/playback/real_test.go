package playback

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/sim/tape"
)

// TestReal plays every executed row of the real recording into the engine.
// Nothing may fail, hardly anything may be refused, and prices that a maker
// made there must come out alike here.
func TestReal(t *testing.T) {
	dir := os.Getenv("MBP_REALDATA")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "shared", "data", "real")
	}
	path := filepath.Join(dir, "trades.csv.gz")
	if _, err := os.Stat(path); err != nil {
		t.Skipf("NO REAL DATA: %v; set MBP_REALDATA to the folder of trades.csv.gz", err)
	}
	opt := tape.Options{Seed: 1, Synthetic: 500, Template: engine.DefaultTemplate()}
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
	t.Log(r.Sources)
	if r.Played != len(tp.Trades) || r.Markets == 0 || r.Accounts == 0 {
		t.Errorf("played %d of %d in %d markets by %d accounts", r.Played, len(tp.Trades), r.Markets, r.Accounts)
	}
}
