// Package playback plays a tape of recorded trades into a venue: a running
// server, reached as every trader reaches it, or an engine in the same process.
//
// It promises: the trades of a market come in the order of the tape, whatever
// else happens at the same time; nothing is played twice when a run is
// repeated, because accounts, markets and orders carry keys made from the
// tape's digest and the options; every trade ends in exactly one of accepted,
// rejected under a code, or not played; a stop leaves a true report of what
// happened so far.
//
// It refuses to go on when the venue does not answer, and to start a run again
// that the venue may have half forgotten (its memory for keys lasts a day).
package playback

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/sim/tape"
)

// Account is a trading account at a venue with what its owner needs to use it.
type Account struct {
	ID     engine.AccountID
	Secret string
}

// Fill is an accepted order.
type Fill struct {
	engine.OrderFilled
	Replayed bool // an earlier run had played it
}

// Venue is where trades are played. Implementations are safe for concurrent
// use, and equal keys get equal answers without a second effect. A refusal is a
// *client.Problem.
type Venue interface {
	// Creator returns the account that opens the markets. It is asked first;
	// ErrForgotten refuses the run.
	Creator(ctx context.Context, key string, credits engine.Micros) (Account, error)
	// Account makes a trader.
	Account(ctx context.Context, key string, credits engine.Micros) (Account, error)
	// Market opens a market.
	Market(ctx context.Context, m engine.OpenMarket, key string) (engine.MarketID, error)
	// Order places an order.
	Order(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error)
}

// ErrForgotten says that the venue knows the accounts of this run but not its
// orders any more: playing on would double them. Choose another seed.
var ErrForgotten = errors.New("this recording was played here before, too long ago to tell which of its orders; another seed plays it anew")

// Config says how a tape is played.
type Config struct {
	Tape        *tape.Tape
	Options     tape.Options // those that the tape was made with: they name the run
	Concurrency int          // orders under way at once, ≥ 1
	Speed       float64      // how much faster than it happened; 0: as fast as the venue answers
	MaxGap      time.Duration
	Wait        bool                // wait where the venue says rate_limited; else count it
	Progress    func(done, all int) // called every ProgressEvery, may be nil
}

// ProgressEvery is the time between two calls of Config.Progress.
const ProgressEvery = 2 * time.Second

// run names one way to play one tape.
type run [32]byte

func newRun(t *tape.Tape, o tape.Options) run {
	return sha256.Sum256(fmt.Appendf(nil, "playback 1\n%s\n%d %d %d %s", t.SHA256, o.Seed, o.Synthetic, o.Liquidity, o.Template.Name()))
}

// key is the idempotency key of the n-th thing of a kind in this run.
func (r run) key(kind string, n int) string {
	h := sha256.New()
	h.Write(r[:])
	h.Write([]byte(kind + strconv.Itoa(n)))
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// schedule returns when each trade is due after the start. A pause longer than
// maxGap on the tape counts as maxGap: recordings of many years have nights.
func schedule(trades []tape.Trade, speed float64, maxGap time.Duration) []time.Duration {
	if speed <= 0 {
		return nil
	}
	due := make([]time.Duration, len(trades))
	var at time.Duration
	for i := 1; i < len(trades); i++ {
		gap := time.Duration(min(max(trades[i].At-trades[i-1].At, 0), engine.Time(maxGap/time.Microsecond))) * time.Microsecond
		at += gap
		due[i] = time.Duration(float64(at) / speed)
	}
	return due
}

// Template returns recording@1.0.0: the shipped template without its price guard.
// A recording is played many times faster than it happened, so that its prices
// would look like manipulation to any guard that counts minutes.
func Template() engine.Template {
	t := engine.DefaultTemplate()
	t.ID, t.Guard = "recording", engine.GuardRule{}
	return t
}
