package client

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Retry says when a call is repeated: after a network error, 502, 503 and 504
// (the answer is unknown: the same idempotency key makes the repetition safe)
// and after 429 (the server asks to come later).
type Retry struct {
	Attempts int           // how often a call is made at most, ≥ 1
	Base     time.Duration // first wait; it doubles with each further one
	Max      time.Duration // longest wait; a longer Retry-After ends the call
	Limited  bool          // repeat after 429; false hands the *Problem to the caller
}

// DefaultRetry repeats four times over about a second and a half, and waits up
// to five seconds where the server asks for it.
func DefaultRetry() Retry {
	return Retry{Attempts: 5, Base: 100 * time.Millisecond, Max: 5 * time.Second, Limited: true}
}

// NoRetry makes every call once.
func NoRetry() Retry { return Retry{Attempts: 1} }

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}

// attempt repeats a call until it is answered, refused for good, or out of
// attempts.
func (c *Client) attempt(ctx context.Context, x *call, body []byte) (answer, error) {
	refused := 0 // decisions that said rate_limited
	for n := 1; ; n++ {
		key := x.key
		if refused > 0 {
			key = again(x.key, refused)
		}
		a, err := c.once(ctx, x, body, key)
		if err == nil {
			if a.status >= 200 && a.status < 300 {
				return a, nil
			}
			p := problem(a, time.Now())
			if p.Code == engine.RateLimited.String() && p.Decided() {
				refused++
			}
			err = p
		}
		wait, repeat := c.wait(n, err)
		if !repeat || ctx.Err() != nil {
			return answer{}, err
		}
		if c.pause(ctx, wait) != nil {
			return answer{}, fmt.Errorf("%w; gave up after attempt %d: %w", err, n, ctx.Err())
		}
	}
}

// again is the key after the n-th decision that refused the request for its
// rate. Such a refusal is journalled under its key and would be replayed; it
// had no effect, so another key is safe, and it is the same one whenever the
// call is repeated from its first key. A key that leaves no room for the number
// is hashed with it: cut short, two keys could become one.
func again(key string, n int) string {
	next := key + "~" + strconv.Itoa(n)
	if len(next) <= maxKey {
		return next
	}
	sum := sha256.Sum256([]byte(next))
	return hex.EncodeToString(sum[:]) // has maxKey characters
}

// wait returns how long to wait after the n-th attempt, and whether to go on.
func (c *Client) wait(n int, err error) (time.Duration, bool) {
	if n >= c.retry.Attempts {
		return 0, false
	}
	backoff := min(c.retry.Base<<min(n-1, 20), c.retry.Max)
	backoff = backoff/2 + rand.N(backoff/2+1) //nolint:gosec // spreads retries, hides nothing
	var p *Problem
	if errors.As(err, &p) {
		switch p.Status {
		case http.StatusTooManyRequests:
			if !c.retry.Limited || p.Replayed {
				return 0, c.retry.Limited // an earlier life of this call waited here
			}
		case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		default:
			return 0, false
		}
		return max(backoff, p.RetryAfter), p.RetryAfter <= c.retry.Max
	}
	var m *malformed
	return backoff, !errors.As(err, &m)
}
