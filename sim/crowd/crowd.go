// Package crowd lets seeded traders trade with each other's opinions on the
// markets of a running server: value traders who believe something about the
// truth, momentum traders who follow the price, noise traders who follow
// nothing, and closers who turn what they hold back into credits.
//
// It promises: behind each market stands a hidden probability that walks with
// the seed alone; what the traders want is a pure function of the seed and of
// what the venue answered, so that equal seeds and equal answers give equal
// orders; the orders of a market come one after the other, and nobody has two
// orders in a round, so that a venue of their own answers them equally too; no
// account comes near the engine's order rate; nobody spends more than a part of
// what the account had, nor sells what it does not hold; the report says how
// far prices stood from the truth before and after.
//
// It refuses to go on when the venue does not answer, when no market is open,
// and when nobody wants to trade any more. It uses no key but the traders' own.
//
// The value traders size their orders after J. L. Kelly, "A New Interpretation
// of Information Rate" (1956), and take a tenth of what it says.
package crowd

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"math/rand/v2"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
	"github.com/mbp-market/mbp/sim/playback"
	"github.com/mbp-market/mbp/sim/world"
)

// Venue is where the crowd trades. Implementations are safe for concurrent use.
// A refusal is a *client.Problem.
type Venue interface {
	playback.Orders
	// Markets returns the markets from first to last, in the order of their ids.
	Markets(ctx context.Context, first, last engine.MarketID) ([]engine.Market, error)
	// Holdings returns what a trader has.
	Holdings(ctx context.Context, a playback.Account) (engine.Account, error)
}

// Config says who trades, and how much.
type Config struct {
	World       *world.World // markets with their share of the flow, traders with their keys
	Orders      int          // how many are placed in all, ≥ 1
	Seed        uint64
	Concurrency int                 // orders under way at once, ≥ 1
	Progress    func(done, all int) // called about every playback.ProgressEvery, may be nil
}

// Remote is a running server, used through its public API.
type Remote struct {
	*playback.Remote
	client *client.Client
}

// NewRemote returns the server behind a client; whose key it has does not
// matter.
func NewRemote(c *client.Client) *Remote { return &Remote{playback.NewRemote(c), c} }

// Markets implements Venue.
func (r *Remote) Markets(ctx context.Context, first, last engine.MarketID) ([]engine.Market, error) {
	var all []engine.Market
	for after := first - 1; ; {
		page, err := r.client.Markets(ctx, after, 0)
		if err != nil {
			return nil, err
		}
		for _, m := range page.Markets {
			if m.Market > last {
				return all, nil
			}
			all = append(all, m)
		}
		if after = page.Next; after == 0 || after >= last {
			return all, nil
		}
	}
}

// Holdings implements Venue.
func (r *Remote) Holdings(ctx context.Context, a playback.Account) (engine.Account, error) {
	h, err := r.client.As(a.Secret).Account(ctx, a.ID)
	if err != nil {
		return engine.Account{}, err
	}
	return h.Account, nil
}

// The hidden truth, in ppm.
const (
	truthLow  = 150_000
	truthHigh = 850_000 // it starts between these, as the prices of a world do
	truthMin  = 100_000
	truthMax  = 900_000 // it stays between these, away from the bounds of a market
	truthStep = 1_500   // standard deviation of one step
)

// Streams of one seed: the truth does not depend on who looks at it.
const (
	streamTruth = iota + 1
	streamTraders
	streamWishes
	streamOpinions // and one for each trader and market from here on
)

func source(seed, stream uint64) *rand.Rand {
	return rand.New(rand.NewPCG(seed, stream)) //nolint:gosec // a crowd must be repeatable; it makes no secret
}

// bell draws around zero with a standard deviation: the sum of twelve even
// draws, in integers, so that every platform draws the same.
func bell(r *rand.Rand, deviation int64) int64 {
	sum := int64(0)
	for range 12 {
		sum += r.Int64N(deviation+1) - deviation/2
	}
	return sum
}

// part returns ppm millionths of x, rounded down; ppm is at most a million.
func part[T ~int64](x T, ppm int64) T {
	hi, lo := bits.Mul64(uint64(max(x, 0)), uint64(max(ppm, 0)))
	q, _ := bits.Div64(hi, lo, engine.One)
	return T(q)
}

func clamp(p engine.Price, low, high engine.Price) engine.Price { return min(max(p, low), high) }

// truths are the hidden probabilities of YES.
type truths struct {
	rand *rand.Rand
	now  []engine.Price
}

func newTruths(seed uint64, markets int) *truths {
	t := &truths{rand: source(seed, streamTruth), now: make([]engine.Price, markets)}
	for i := range t.now {
		t.now[i] = truthLow + engine.Price(t.rand.Int64N(truthHigh-truthLow+1))
	}
	return t
}

// walk moves each truth by a step.
func (t *truths) walk() {
	for i, p := range t.now {
		t.now[i] = clamp(p+engine.Price(bell(t.rand, truthStep)), truthMin, truthMax)
	}
}

// validate reports what is wrong with the configuration.
func (c Config) validate() error {
	if c.World == nil || c.Orders < 1 || c.Concurrency < 1 {
		return errors.New("a crowd needs a world, at least one order and a concurrency of at least 1")
	}
	return c.World.Validate()
}

// patience is how long after an order its account waits before the next one: a
// quarter longer than the engine wants on average, and no bursts.
func patience() time.Duration {
	return time.Duration(engine.DefaultPolicy().OrderInterval) * time.Microsecond * 5 / 4
}

var (
	errIdle   = fmt.Errorf("nobody wanted to trade in %d rounds", maxIdle)
	errClosed = errors.New("no market of the world is open")
)
