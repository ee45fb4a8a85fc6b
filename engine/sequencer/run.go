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
	c := committer{q: q, in: make(chan *batch), idle: make(chan struct{}, 1), failed: make(chan struct{})}
	var committing sync.WaitGroup
	committing.Go(c.run)
	stage := "journal"
	if err = q.decide(ctx, &c); err != nil {
		stage = "decide"
	}
	q.intake.close()
	close(c.in) // a batch that is being synced is finished and answered
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

// decide is the deciding stage. It owns the writer's state and two batches: one
// is being committed while the other takes what comes.
func (q *Sequencer) decide(ctx context.Context, c *committer) (err error) {
	b, other := &batch{}, &batch{}
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
		if err := q.fill(b, !draining); err != nil {
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
		select {
		case c.in <- b: // the committing stage has nothing else to do
			if q.sent++; bulk {
				q.bulkAt = q.sent
			}
			b, other = other, b
			b.reset()
		case <-more: // it syncs; the batch grows meanwhile
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
// do not starve it.
func (q *Sequencer) fill(b *batch, bulk bool) error {
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
			break
		}
		held := q.writer.DeadlinesHeld()
		if err := q.take(b, t, now); err != nil {
			return err
		}
		if q.early(b) {
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

// early reports whether a batch goes to the committing stage before all that waits is
// in it: the stage has nothing to do, and the batch is worth an append and holds as
// much as still waits. Else all callers of a few hundred would be in one batch, and the
// two stages would work in turns, not side by side.
func (q *Sequencer) early(b *batch) bool {
	return len(b.buf) >= earlyBytes && q.sent == q.shown.Load() && len(b.decisions) >= q.line.len()
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
	for t := q.line.pop(); t != nil; t = q.line.pop() {
		q.CountOrchestrationError(stage)
		t.answer(outcome{err: ErrUnknown})
	}
}

// committer is the committing stage: the only one that appends, that changes what
// readers see, and that answers.
type committer struct {
	q      *Sequencer
	in     chan *batch   // not buffered: who sends knows that the batch before is done
	idle   chan struct{} // has room for one: told after each batch
	failed chan struct{} // closed after a failure
	err    error         // read after run has returned
}

func (c *committer) run() {
	for b := range c.in {
		if err := c.q.commit(b); err != nil {
			c.err = err
			c.q.abandon(b, "journal")
			close(c.failed)
			return
		}
		c.q.shown.Add(1)
		select {
		case c.idle <- struct{}{}:
		default: // told, and nobody has listened yet
		}
	}
}

// commit makes a batch durable, then visible, then known.
//
// The crash story, between each pair of steps:
//
//   - Before Append nothing of the batch exists outside memory. A crash loses it
//     whole; nobody has heard of it. The batch that is being decided meanwhile
//     builds on this one and is handed over only after it, so it is lost, too.
//   - During Append the journal keeps the batch whole or not at all. Nobody was
//     answered, so either is right. Each record carries the tag of its idempotency
//     key, and the next start folds it before it decides anything: a retry finds
//     the first decision, or is decided for the first time.
//   - After Append and before the answers every decision of the batch is durable.
//     Who was not answered asks again with the same key and gets the same answer.
//   - A command and the ones that follow from it may lie in different batches. The
//     folded state says what is still due; nothing is owed to memory.
//   - An error of Append may mean either. Nothing more is appended, shown or
//     answered by this process; the next start finds out.
func (q *Sequencer) commit(b *batch) (err error) {
	defer recovered(&err, "commit")
	var at engine.Time
	if n := len(b.decisions); n > 0 {
		at = max(q.clock.now(), b.decisions[n-1].At)
		begin := time.Now()
		if err := q.cfg.Log.Append(uint64(b.first), int64(at), b.records()); err != nil {
			return fmt.Errorf("append batch %d: %w", b.first, err)
		}
		q.metrics.appended(n, time.Since(begin))
		if err := q.show(b, at); err != nil {
			return err
		}
	}
	for i := range b.acks {
		a := &b.acks[i]
		switch {
		case a.err != nil:
			a.send(outcome{err: a.err})
		case a.again != 0:
			a.send(outcome{again: a.again})
		default:
			a.send(outcome{committed: Committed{Decision: b.decisions[a.index], At: at}})
		}
	}
	clear(b.acks)
	b.acks = b.acks[:0] // answered
	return nil
}

// show lets readers see a durable batch.
func (q *Sequencer) show(b *batch, at engine.Time) error {
	if err := q.evolve(b); err != nil {
		return err
	}
	last := b.decisions[len(b.decisions)-1]
	q.last.Store(int64(last.At))
	q.durable.Store(uint64(last.Seq))
	q.feed.push(b.decisions, at)
	return nil
}

// evolve folds a durable batch into what readers see, under one lock: a reader
// sees whole batches, and waits for at most one.
func (q *Sequencer) evolve(b *batch) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range b.decisions {
		if err := q.view.Change(d); err != nil {
			return err
		}
		q.watch.see(d)
	}
	q.metrics.folded(b.decisions)
	return nil
}
