package playback

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/httpapi/client"
)

// Slots bound how many orders are under way at once: one for each.
type Slots chan struct{}

// take waits for a free slot; the caller gives it back.
func (s Slots) take(ctx context.Context) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case s <- struct{}{}:
		return nil
	}
}

// Orders takes orders; it is the part of a Venue that a desk needs.
type Orders interface {
	Order(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error)
}

// Desk gives orders to a venue as a patient trader does.
type Desk struct {
	Orders  Orders
	Slots   Slots
	Wait    bool                // where the venue says rate_limited; else the refusal is the result
	Waited  func()              // told of each wait
	Decided func(time.Duration) // told of each fresh decision and how long it took
}

// maxWaits bounds how often one order waits for its account's rate: an account
// that sixty-four orders share gets its turn well before.
const maxWaits = 100

// Place places an order, and again as long as the account's rate refuses it or
// the venue is too busy.
func (d Desk) Place(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error) {
	refusals := 0 // decisions that said rate_limited
	for n := 0; ; n++ {
		f, err := d.once(ctx, a, o, attemptKey(key, refusals))
		var refused *client.Problem
		if n == maxWaits || !errors.As(err, &refused) || refused.Status != http.StatusTooManyRequests {
			return f, err
		}
		limited := refused.Code == engine.RateLimited.String()
		if limited && !d.Wait {
			return f, err
		}
		if limited && refused.Decided() {
			refusals++
		}
		if refused.Replayed {
			continue // an earlier run waited here
		}
		d.Waited()
		if err := Sleep(ctx, max(refused.RetryAfter, 10*time.Millisecond)); err != nil {
			return f, err
		}
	}
}

// attemptKey is the key after n refusals for the rate: each of them is a
// decision under its own key and had no effect.
func attemptKey(key string, n int) string {
	if n == 0 {
		return key
	}
	return fmt.Sprintf("%s~%d", key, n)
}

func (d Desk) once(ctx context.Context, a Account, o engine.PlaceOrder, key string) (Fill, error) {
	if err := d.Slots.take(ctx); err != nil {
		return Fill{}, err
	}
	defer func() { <-d.Slots }()
	began := time.Now()
	f, err := d.Orders.Order(ctx, a, o, key)
	var refused *client.Problem
	if fresh := err == nil && !f.Replayed || errors.As(err, &refused) && refused.Decided() && !refused.Replayed; fresh {
		d.Decided(time.Since(began))
	}
	return f, err
}
