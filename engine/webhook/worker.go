package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// maxReason bounds what the record says of a failure, in bytes.
const maxReason = 128

// worker delivers to one endpoint.
type worker struct {
	x    *Dispatcher
	w    engine.Webhook // as it was at the start; not changed
	end  context.CancelFunc
	done chan struct{} // closed when it has ended

	// Owned by the goroutine of run.
	events []Event
	bytes  int
	noted  time.Time  // when the journal was told last how far it is
	told   bool       // something was delivered since
	placed engine.Seq // of what the journal says

	mu       sync.Mutex // of what follows
	after    engine.Seq
	since    time.Time // when the message that is being sent was tried first; zero: none is
	failures int
}

// start runs a worker from where its endpoint is.
func (x *Dispatcher) start(ctx context.Context, w engine.Webhook) *worker {
	ctx, end := context.WithCancel(ctx)
	k := &worker{x: x, w: w, end: end, done: make(chan struct{}), after: x.places.of(&w, x.cfg.Writer.Durable()), placed: w.Placed, noted: time.Now()}
	go func() {
		defer close(k.done)
		k.run(ctx)
	}()
	return k
}

// serves reports whether a webhook is the one that the worker delivers to: only where
// the journal says that it is may differ, if the worker said so itself.
func (k *worker) serves(w *engine.Webhook) bool {
	a, b := k.w, *w
	if b.Placed == k.x.places.placed(b.ID) {
		a.After, a.Placed = b.After, b.Placed
	}
	return reflect.DeepEqual(a, b)
}

// run follows the journal until ctx ends or the endpoint fails.
func (k *worker) run(ctx context.Context) {
	next := k.after + 1
	err := k.x.cfg.Writer.Follow(ctx, next, func(c sequencer.Committed) error {
		events, err := tell(&k.w, c.Decision)
		if err != nil {
			return err
		}
		for i := range events {
			k.bytes += len(events[i].Data)
		}
		k.events = append(k.events, events...)
		next = c.Decision.Seq + 1
		if len(k.events) < maxEvents && k.bytes < maxBytes && c.Decision.Seq < k.x.cfg.Writer.Durable() {
			return nil // more is there at once
		}
		return k.flush(ctx, c.Decision.Seq)
	})
	switch {
	case ctx.Err() != nil || errors.Is(err, errFailed):
	case errors.Is(err, journal.ErrArchived):
		k.fail(ctx, fmt.Sprintf("decision %d is in the archive: replay from a later one", next))
	default:
		k.x.cfg.Logger.Error("a webhook is told nothing more until the next start", "webhook", k.w.ID.String(), "err", err)
	}
}

// flush sends what has come, and moves the place of the endpoint to a decision.
func (k *worker) flush(ctx context.Context, seq engine.Seq) error {
	if len(k.events) > 0 {
		if err := k.deliver(ctx); err != nil {
			return err
		}
		k.events, k.bytes, k.told = k.events[:0], 0, true
		if cap(k.events) > 2*maxEvents {
			k.events = nil
		}
	}
	k.mu.Lock()
	k.after = seq
	k.mu.Unlock()
	k.x.places.move(k.w.ID, place{After: seq, Placed: k.placed})
	if k.told && time.Since(k.noted) >= k.x.cfg.Pace.Note {
		k.note(ctx, seq)
	}
	return nil
}

// errFailed ends the worker of an endpoint that takes nothing.
var errFailed = errors.New("the endpoint has failed")

// deliver sends one message until it is taken, or the endpoint fails.
func (k *worker) deliver(ctx context.Context) error {
	first, last := k.events[0], k.events[len(k.events)-1]
	body, err := json.Marshal(Message{"events", last.At, k.w.ID, first.Seq, last.Seq, k.events})
	if err != nil {
		return fmt.Errorf("encode a message: %w", err)
	}
	id := fmt.Sprintf("%s-%d-%d", k.w.ID, first.Seq, last.Seq)
	begin := time.Now()
	k.set(begin, 0)
	for n := 1; ; n++ {
		a := k.x.send(ctx, &k.w, id, body)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		a.First, a.Last, a.Attempt = first.Seq, last.Seq, n
		k.x.logs.add(k.w.ID, a)
		if a.ok() {
			k.x.metrics.delivered.Inc()
			k.set(time.Time{}, 0)
			return nil
		}
		k.x.metrics.failed.Inc()
		k.set(begin, n)
		if (n >= k.x.cfg.Pace.Attempts || a.gone()) && k.fail(ctx, a.why(n)) {
			return errFailed
		}
		if err := pause(ctx, max(a.later, backoff(k.x.cfg.Pace, n))); err != nil {
			return err
		}
	}
}

func (k *worker) set(since time.Time, failures int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.since, k.failures = since, failures
}

// backoff is how long to wait after so many failures: between half and the whole of
// what doubles each time, so that endpoints of one host do not come back together.
func backoff(p Pace, n int) time.Duration {
	d := p.Last
	if n < 30 { // beyond, it is far above any last one
		d = min(p.Last, p.First<<(n-1))
	}
	return d/2 + rand.N(d/2+1) //nolint:gosec // it spreads load, and is no secret
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// fail puts on record that an endpoint has failed, and reports whether it is: where it
// is not, because the writer is busy or somebody changes the webhook, sending goes on.
func (k *worker) fail(ctx context.Context, why string) bool {
	if len(why) > maxReason {
		why = why[:maxReason]
	}
	d, err := k.decide(ctx, engine.ChangeWebhook{Change: engine.WebhookFail, Reason: why})
	failed := err == nil && d.Code == engine.OK
	if failed {
		k.x.cfg.Logger.Warn("a webhook has failed, and is told nothing until it is resumed", "webhook", k.w.ID.String(), "reason", why)
	}
	return failed
}

// note tells the journal how far the endpoint is.
func (k *worker) note(ctx context.Context, seq engine.Seq) {
	d, err := k.decide(ctx, engine.ChangeWebhook{Change: engine.WebhookPlace, From: seq + 1})
	if err != nil || d.Code != engine.OK {
		return // it is tried again with the next message
	}
	k.placed, k.noted, k.told = d.Seq, time.Now(), false
	k.x.places.move(k.w.ID, place{After: seq, Placed: d.Seq})
}

// decide has the platform itself change the webhook, unless it was placed elsewhere
// meanwhile.
func (k *worker) decide(ctx context.Context, x engine.ChangeWebhook) (*engine.Decision, error) {
	x.Webhook, x.Placed = k.w.ID, k.placed
	got, err := k.x.cfg.Writer.Submit(ctx, sequencer.Request{Principal: engine.System, Command: &x})
	return got.Decision, err
}

func (k *worker) status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	past := k.x.logs.newest(k.w.ID)
	if past == nil {
		past = []Attempt{} // none yet, and not unknown
	}
	return Status{After: k.after, Failures: k.failures, Attempts: past}
}
