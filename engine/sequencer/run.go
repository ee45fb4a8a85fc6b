package sequencer

import (
	"context"
	"fmt"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// batch is what one append makes durable.
type batch struct {
	decisions []*engine.Decision
	waiting   [][]*call // who waits for each decision; nobody for the engine's own
	payloads  [][]byte
	buf       []byte // backs payloads
	ends      []int  // where each payload ends in buf
}

// Run decides until ctx ends; then it refuses new requests, decides what has
// entered, and returns nil. An error means that it has stopped for good: open the
// journal again and fold it.
func (q *Sequencer) Run(ctx context.Context) error {
	var b batch
	for {
		calls, more := q.take(ctx)
		if len(calls) == 0 && !more && q.state.Due() == nil {
			return nil
		}
		if err := q.turn(&b, calls); err != nil {
			q.close()
			q.refuseRest()
			q.cfg.Logger.Error("the writer has stopped", "err", err)
			return err
		}
	}
}

// take waits for the first request, unless the engine has something to do by
// itself, and takes whatever else is there. more is false once ctx has ended and
// the intake is empty.
func (q *Sequencer) take(ctx context.Context) (calls []*call, more bool) {
	if q.state.Due() == nil && ctx.Err() == nil {
		select {
		case c := <-q.intake:
			calls = append(calls, c)
		case <-ctx.Done():
		}
	}
	if ctx.Err() != nil {
		q.close()
	}
	for len(calls) < q.cfg.MaxBatch {
		select {
		case c := <-q.intake:
			calls = append(calls, c)
		default:
			return calls, ctx.Err() == nil
		}
	}
	return calls, true
}

// refuseRest answers whoever entered before the intake was shut.
func (q *Sequencer) refuseRest() {
	for {
		select {
		case c := <-q.intake:
			c.done <- outcome{err: ErrStopped}
		default:
			return
		}
	}
}

// turn decides a batch, makes it durable and answers.
//
// The crash story. Before Append: nothing of the batch exists but in memory; it
// is lost whole, and nobody was answered. During Append: the journal keeps the
// batch whole or not at all; nobody was answered, so either is right, and a retry
// with the same key finds out. After Append: every decision is durable, whoever
// was not answered yet asks again with the same key and gets the answer from the
// journal.
func (q *Sequencer) turn(b *batch, calls []*call) (err error) {
	first := q.state.Seq() + 1
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("decide after %d: %v", q.state.Seq(), r)
			q.metrics.orchestration.WithLabelValues("decide").Inc()
		}
		if err != nil {
			q.fail(b, calls)
		}
	}()
	b.reset()
	if err := q.decide(b, calls, first); err != nil {
		q.metrics.orchestration.WithLabelValues("decide").Add(float64(len(calls)))
		return err
	}
	if len(b.decisions) == 0 {
		return nil
	}
	at := q.Now()
	start := time.Now()
	if err := q.cfg.Log.Append(uint64(first), int64(at), b.encode()); err != nil {
		q.metrics.orchestration.WithLabelValues("journal").Add(float64(len(b.decisions)))
		return fmt.Errorf("append batch %d: %w", first, err)
	}
	q.metrics.appendSeconds.Observe(time.Since(start).Seconds())
	q.metrics.batchRecords.Observe(float64(len(b.decisions)))
	if err := q.publish(b); err != nil {
		return err
	}
	for i, d := range b.decisions {
		for n, c := range b.waiting[i] {
			c.done <- outcome{answer: Answer{Committed: Committed{Decision: d, At: at}, Replayed: n > 0}}
		}
		b.waiting[i] = nil
	}
	return nil
}

// decide gives every call a decision or an answer from before, and the engine
// its own commands.
func (q *Sequencer) decide(b *batch, calls []*call, first engine.Seq) error {
	for _, c := range calls {
		if c.key != (engine.Tag{}) {
			if was, same := q.state.Repeat(c.key, c.input); was != 0 {
				switch {
				case !same:
					c.done <- outcome{err: ErrConflict}
				case was >= first:
					b.waiting[was-first] = append(b.waiting[was-first], c)
				default:
					c.done <- outcome{again: was}
				}
				continue
			}
		}
		req := engine.Request{Principal: c.Principal, Key: c.key, Input: c.input, Command: c.Command}
		if err := q.decideOne(b, req, c); err != nil {
			return err
		}
	}
	for range maxDue {
		due := q.state.Due()
		if due == nil {
			break
		}
		if err := q.decideOne(b, engine.Request{Principal: engine.System, Command: due}, nil); err != nil {
			return err
		}
		if last := b.decisions[len(b.decisions)-1]; last.Code != engine.OK {
			return fmt.Errorf("decision %d: the engine rejects its own %s with %s", last.Seq, due.Type(), last.Code)
		}
	}
	return nil
}

func (q *Sequencer) decideOne(b *batch, req engine.Request, c *call) error {
	req.At = q.Now()
	d := &engine.Decision{}
	b.decisions = append(b.decisions, d)
	b.waiting = append(b.waiting, nil)
	if c != nil {
		b.waiting[len(b.waiting)-1] = []*call{c}
	}
	q.state.Decide(req, d)
	return q.state.Evolve(d)
}

// publish makes durable decisions visible to readers.
func (q *Sequencer) publish(b *batch) error {
	q.mu.Lock()
	for _, d := range b.decisions {
		if err := q.follower.Evolve(d); err != nil {
			q.mu.Unlock()
			return fmt.Errorf("publish: %w", err)
		}
	}
	q.mu.Unlock()
	for _, d := range b.decisions {
		q.metrics.count(d)
	}
	q.durable.Store(uint64(b.decisions[len(b.decisions)-1].Seq))
	q.spread()
	return nil
}

// fail answers everybody of a batch that did not become durable.
func (q *Sequencer) fail(b *batch, calls []*call) {
	for _, c := range calls {
		select {
		case c.done <- outcome{err: ErrUnknown}:
		default: // it was answered already
		}
	}
	b.reset()
}

func (b *batch) reset() {
	const keep = 1 << 20 // a larger buffer is dropped after its batch
	clear(b.decisions)
	clear(b.waiting)
	b.decisions, b.waiting = b.decisions[:0], b.waiting[:0]
	b.payloads, b.ends = b.payloads[:0], b.ends[:0]
	if cap(b.buf) > keep {
		b.buf = nil
	}
	b.buf = b.buf[:0]
}

// encode returns the decisions' binary forms, valid until reset.
func (b *batch) encode() [][]byte {
	for _, d := range b.decisions {
		b.buf = d.Append(b.buf)
		b.ends = append(b.ends, len(b.buf))
	}
	start := 0
	for _, end := range b.ends {
		b.payloads = append(b.payloads, b.buf[start:end:end])
		start = end
	}
	return b.payloads
}
