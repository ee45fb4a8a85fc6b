package sequencer

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Run decides until ctx ends; first it stands by, if Config.Standby says so. Then it
// refuses what comes, decides and answers what has entered, and returns nil; chains
// that the engine gives itself are cut between two decisions and go on after the
// next start. An error means that the writer has stopped for good: everything in
// flight got ErrUnknown, and the journal must be opened again and folded.
func (q *Sequencer) Run(ctx context.Context) (err error) {
	if !q.started.CompareAndSwap(false, true) {
		return errors.New("sequencer: it runs only once")
	}
	if q.cfg.Standby {
		if err := q.standBy(ctx); err != nil || ctx.Err() != nil {
			q.intake.close()
			if err != nil {
				err = fmt.Errorf("sequencer: stand by: %w", err)
			}
			return err
		}
	}
	c := newCommitter(q)
	var committing sync.WaitGroup
	committing.Go(c.run)
	stage := "journal"
	if err = q.decide(ctx, c); err != nil {
		stage = "decide"
	}
	q.intake.close()
	close(c.in) // batches that are being synced are finished and answered
	committing.Wait()
	if err = errors.Join(err, c.err); err == nil {
		err = q.compare()
	}
	if err != nil {
		q.abandonIntake(stage)
		q.cfg.Logger.Error("the writer has stopped", "seq", q.durable.Load(), "err", err)
		return fmt.Errorf("sequencer: %w", err)
	}
	return nil
}

// compare checks that what was shown is what was decided.
func (q *Sequencer) compare() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	w, v := q.writer.Hash(), q.view.Hash()
	if w != v {
		return fmt.Errorf("at decision %d the writer's state %x is not the durable one %x", q.writer.Seq(), w[:8], v[:8])
	}
	q.final.Store(&v)
	return nil
}

// recovered turns a panic into an error: the state behind it is not to be
// trusted, and a process that dies in the middle answers nobody.
func recovered(err *error, stage string) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%s: panic: %v\n%s", stage, p, debug.Stack())
	}
}

// decide is the deciding stage. It owns the writer's state and a batch that takes
// what comes while those before it are being committed.
func (q *Sequencer) decide(ctx context.Context, c *committer) (err error) {
	b := <-c.free
	alarm := time.NewTimer(maxSleep)
	defer alarm.Stop()
	stage := "decide"
	defer func() {
		if !b.empty() || err != nil {
			q.abandon(b, stage)
		}
	}()
	defer recovered(&err, "decide")
	done, draining := ctx.Done(), false
	for {
		if b.empty() && !draining && q.line.empty() && !q.busy() {
			select { // nothing to do
			case <-q.intake.wake:
			case <-q.deadline(alarm):
			case <-c.idle: // bulk work may go on
			case <-done:
			case <-c.failed:
				return nil
			}
		}
		if ctx.Err() != nil {
			done, draining = nil, true // what has entered is still decided
			q.intake.close()
		}
		if err := q.fill(b, !draining, c); err != nil {
			return err
		}
		if b.empty() {
			if draining {
				return nil
			}
			continue
		}
		q.print(b)
		more := q.intake.wake
		if b.full(q.cfg.MaxBatch) {
			more = nil
		}
		bulk := b.due > 0
		in, landed, requests := c.in, (<-chan struct{})(nil), len(b.acks)
		if !c.ready(b) {
			in, landed = nil, c.idle
		}
		select {
		case in <- b: // the committing stage has room for it
			c.leaves(requests)
			if q.sent++; bulk {
				q.bulkAt = q.sent
			}
			b = <-c.free // there is one, see newCommitter
			b.reset()
		case <-more: // it syncs; the batch grows meanwhile
		case <-landed:
		case <-done:
		case <-c.failed:
			stage = "journal"
			return nil
		}
	}
}

// now is the time of the next decision.
func (q *Sequencer) now() engine.Time { return max(q.clock.now(), q.writer.At()) }

// busy reports whether the engine has something to decide by itself that need not
// wait for a piece of bulk work on its way.
func (q *Sequencer) busy() bool {
	if q.distrust() != "" {
		return true
	}
	c := q.writer.Due(q.now())
	return c != nil && (!engine.Bulk(c) || !q.working())
}

// working reports whether a piece of bulk work is on its way to be shown.
func (q *Sequencer) working() bool { return q.bulkAt > q.shown.Load() }

// deadline returns what tells that something falls due, or that it is time to look
// at the clock again.
func (q *Sequencer) deadline(alarm *time.Timer) <-chan time.Time {
	wait := maxSleep
	if at, ok := q.writer.Deadline(); ok {
		wait = q.clock.until(at)
	}
	alarm.Reset(wait)
	return alarm.C
}

// sameTime is how many requests that waited together get their time from one look at
// the clock: a look costs as much as a tenth of a decision, and they are apart by
// some 30 µs.
const sameTime = 16

// fill takes what waits, each request after what has fallen due by its time, and
// then a piece of bulk work, if bulk is set. What falls due while a request's
// deadlines are worked off waits behind that request, so deadlines without end
// do not starve it. The clock is looked at after requests are taken: none is decided
// at a time before it came.
func (q *Sequencer) fill(b *batch, bulk bool, c *committer) error {
	q.line.take()
	now, n := q.now(), 0
	if err := q.watchClock(b, now); err != nil {
		return err
	}
	for !b.full(q.cfg.MaxBatch) {
		if c, ticks := q.writer.Due(now).(*engine.Tick); ticks {
			if err := q.own(b, now, c); err != nil {
				return err
			}
			continue
		}
		t := q.line.pop()
		if t == nil {
			if !q.line.take() {
				break
			}
			now = q.now()
			continue
		}
		held := q.writer.DeadlinesHeld()
		if err := q.take(b, t, now); err != nil {
			return err
		}
		if c.early(b) {
			break
		}
		if n++; n%sameTime == 0 || held { // a confirmation moves the time
			now = q.now()
		}
	}
	if c := q.writer.Due(now); c != nil && engine.Bulk(c) && bulk && !q.working() && b.due < maxDue {
		b.due++
		return q.own(b, now, c)
	}
	return nil
}

// own decides a command that the engine gives to itself.
func (q *Sequencer) own(b *batch, now engine.Time, c engine.Command) error {
	d, err := q.give(b, engine.Request{At: now, Principal: engine.System, Command: c})
	if err == nil && d.Code != engine.OK {
		err = fmt.Errorf("decision %d: the engine rejects its own %s with %s", d.Seq, c.Type(), d.Code)
	}
	return err
}

// take decides a ticket unless its API key is revoked or its idempotency key was
// seen before. An error ends the writer; what concerns the ticket alone waits for
// the batch, because a refusal or a repetition may tell of a decision that is not
// durable yet.
func (q *Sequencer) take(b *batch, t *ticket, now engine.Time) error {
	b.acks = append(b.acks, ack{t: t, index: len(b.decisions)})
	a := &b.acks[len(b.acks)-1] // whatever happens next, the request is answered
	if !q.undecided(a, now) {
		return nil
	}
	if t.taken != nil {
		t.taken()
	}
	d, err := q.give(b, engine.Request{At: now, Principal: t.principal, Key: t.key, Input: t.input, Command: t.command})
	if err == nil {
		q.confirmed(d)
	}
	return err
}

// undecided reports whether a ticket gets a decision of its own. If not, the ack
// says why: with the decision that it has had, or with a refusal.
func (q *Sequencer) undecided(a *ack, now engine.Time) bool {
	t := a.t
	if t.group != nil && t.group.refused != nil {
		a.err = t.group.refused
		return false
	}
	if t.apiKey != (engine.Digest{}) {
		if _, valid := q.writer.Key(t.apiKey, now); !valid {
			a.err = ErrRevoked
		}
	}
	if a.err == nil && t.key != (engine.Tag{}) {
		was, same := q.writer.Repeat(t.key, t.input)
		if same {
			a.again = was
		} else if was != 0 {
			a.err = ErrConflict
		}
	}
	if t.group != nil {
		t.group.refused = a.err
	}
	return a.again == 0 && a.err == nil
}

// give decides one request, which changes the writer's state, and adds it to the
// batch. The decision may lie in memory that the next one uses again, so it is
// encoded here.
func (q *Sequencer) give(b *batch, r engine.Request) (*engine.Decision, error) {
	if err := q.writer.Step(r, &q.scratch); err != nil {
		return nil, err
	}
	return b.add(&q.scratch)
}

// abandon answers who was not answered of a batch that was not made durable, as
// far as anybody knows, or that failed later.
func (q *Sequencer) abandon(b *batch, stage string) {
	n := 0
	for i := range b.acks {
		if a := &b.acks[i]; a.t != nil {
			a.send(outcome{err: ErrUnknown})
			n++
		}
	}
	q.metrics.orchestration.WithLabelValues(stage).Add(float64(max(1, n)))
	b.reset()
}

// abandonIntake answers who waits for a batch that never comes. The deciding
// stage has ended.
func (q *Sequencer) abandonIntake(stage string) {
	for q.line.take() {
		t := q.line.pop()
		q.CountOrchestrationError(stage)
		t.answer(outcome{err: ErrUnknown})
	}
}
