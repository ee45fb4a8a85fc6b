// Package tally counts what the edge refuses before anything is decided, by
// principal and reason, and puts the counts on record now and then.
//
// It promises: memory that does not grow with who is refused or how often; counts
// that are exact, for principals beyond the bound under one name for all of them;
// a list in an order of its own, whatever came first. It refuses to know requests:
// no address, no path, no body.
//
// That only counts are kept follows article 5(1)(c) of the GDPR and article 6(III)
// of the LGPD: no more data than the purpose needs.
package tally

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/sequencer"
)

// Most is how many pairs of principal and reason are kept apart: more people than
// are refused in ten seconds by mistake. What is above is counted by reason alone,
// and there are far fewer reasons than the rest of a record has room for.
const Most = engine.RefusalLimit - 64

type pair struct{ principal, reason string }

// Tally is safe for concurrent use. The zero value is ready.
type Tally struct {
	mu     sync.Mutex
	counts map[pair]int64
}

// Add counts one refusal; principal is empty for who has no valid key.
func (t *Tally) Add(principal, reason string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.add(pair{principal, reason}, 1)
}

func (t *Tally) add(p pair, n int64) {
	if t.counts == nil {
		t.counts = map[pair]int64{}
	}
	if _, known := t.counts[p]; !known && len(t.counts) >= Most {
		p.principal = engine.OtherPrincipals
	}
	t.counts[p] += n
}

// Take returns the counts, by principal and reason, and begins anew; nil if there
// are none.
func (t *Tally) Take() []engine.Refusal {
	t.mu.Lock()
	counts := t.counts
	t.counts = nil
	t.mu.Unlock()
	var out []engine.Refusal
	for p, n := range counts {
		out = append(out, engine.Refusal{Principal: p.principal, Reason: p.reason, Count: n})
	}
	slices.SortFunc(out, func(a, b engine.Refusal) int {
		return cmp.Or(cmp.Compare(a.Principal, b.Principal), cmp.Compare(a.Reason, b.Reason))
	})
	return out
}

// Return gives back what was taken and could not be put on record.
func (t *Tally) Return(refusals []engine.Refusal) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, r := range refusals {
		t.add(pair{r.Principal, r.Reason}, r.Count)
	}
}

const (
	// Every is how much time one record sums up: six records a minute are
	// nothing beside the orders, and an auditor sees an attack while it lasts.
	Every = 10 * time.Second
	// timeout is how long a summary may wait for its decision; nobody waits
	// for it.
	timeout = time.Second
)

// Writer is what puts a summary on record, and the clock of its decisions.
type Writer interface {
	Now() engine.Time
	Submit(ctx context.Context, r sequencer.Request) (sequencer.Answer, error)
}

// Run puts on record what was refused, every so often and when end is closed,
// because the server begins to shut down; nothing if nothing was. It ends with ctx.
//
// What a crash leaves behind: the counts since the last record, of ten seconds at
// most, are lost, and so are those of a summary that gets no answer; nobody was
// told that they are on record. What is refused after end waits for the next
// time, which may not come.
func (t *Tally) Run(ctx context.Context, w Writer, every time.Duration, end <-chan struct{}, log *slog.Logger) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	from := w.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-end:
			end = nil
		}
		until := w.Now()
		x := &engine.NoteRefusals{From: min(from, until), Until: until, Refusals: t.Take()} // a writer that stood by may begin at an earlier time
		if len(x.Refusals) == 0 {
			from = x.Until
			continue
		}
		within, cancel := context.WithTimeout(ctx, timeout)
		got, err := w.Submit(within, sequencer.Request{Principal: engine.System, Command: x})
		cancel()
		switch {
		case errors.Is(err, sequencer.ErrOverloaded), errors.Is(err, sequencer.ErrStopped): // nothing was decided: the next one tells it
			t.Return(x.Refusals)
			continue
		case err != nil:
			log.WarnContext(ctx, "the refusals of a while are not on record", "err", err)
		case got.Decision.Code != engine.OK:
			log.ErrorContext(ctx, "the engine refuses a summary of refusals", "code", got.Decision.Code.String(), "detail", got.Decision.Detail)
			t.Return(x.Refusals) // nor is it on record: the next one tells it
			continue
		}
		from = x.Until
	}
}
