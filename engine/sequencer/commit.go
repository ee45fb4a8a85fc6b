package sequencer

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

const (
	// underWay is how many batches are on their way to a journal.Pipelined log: one that
	// it works on and one that it finds when it has done.
	underWay = 2
	// parts is into how many batches the requests that are known are parted, so that
	// some are decided and answered while others are on their way. With one part all of
	// them do everything together, and the log waits for the engine and the engine for
	// the log; each more costs the log another commit.
	parts = 2
)

// committer is the committing stage: the only one that appends, that changes what
// readers see, and that answers. On a journal.Pipelined log it is two stages, and what
// follows an append runs beside the next one.
type committer struct {
	q      *Sequencer
	in     chan *batch       // not buffered: who sends knows that there is room for it
	log    journal.Pipelined // nil if the log is none
	sent   chan *batch       // under way
	free   chan *batch       // has room for all there are
	idle   chan struct{}     // has room for one: told whenever a batch is done with
	failed chan struct{}     // closed after a failure
	once   sync.Once         // of the failure
	err    error             // read after run has returned

	flying atomic.Int32 // batches handed over and not durable; of a Pipelined log only
	asked  atomic.Int32 // requests in them
}

// newCommitter makes the batches, too: one for each place where one can be, so that
// there is one to be filled whenever the committing stage has taken one.
func newCommitter(q *Sequencer) *committer {
	c := &committer{q: q, in: make(chan *batch), idle: make(chan struct{}, 1), failed: make(chan struct{})}
	batches := 2 // one is filled, one committed
	if c.log, _ = q.cfg.Log.(journal.Pipelined); c.log != nil {
		c.sent = make(chan *batch, underWay)
		batches = 2 + underWay
	}
	c.free = make(chan *batch, batches)
	for range batches {
		c.free <- &batch{}
	}
	return c
}

// fair reports whether a batch is as large a part of the requests that are known as it
// should be before another one is put on its way.
func (c *committer) fair(b *batch) bool {
	size := max(len(b.acks), len(b.decisions))
	return size >= (size+c.q.line.len()+int(c.asked.Load()))/parts
}

// ready reports whether a batch that has taken all that waits is to be handed over.
func (c *committer) ready(b *batch) bool {
	n := c.flying.Load()
	return c.log == nil || n == 0 || n < underWay && c.fair(b)
}

// early reports whether a batch is to be handed over before all that waits is in it:
// there is room for it, and it is worth an append and holds as much as still waits.
// Else all callers of a few hundred would be in one batch, and the stages would work in
// turns, not side by side.
func (c *committer) early(b *batch) bool {
	if len(b.buf) < earlyBytes {
		return false
	}
	if c.log == nil {
		return c.q.sent == c.q.shown.Load() && len(b.decisions) >= c.q.line.len()
	}
	return len(b.acks)%sameTime == 0 && c.flying.Load() < underWay && c.fair(b)
}

// leaves counts a batch that is handed over.
func (c *committer) leaves(requests int) {
	if c.log != nil {
		c.asked.Add(int32(requests))
		c.flying.Add(1)
	}
}

// landed counts a batch that is durable, or has failed.
func (c *committer) landed(requests int) {
	c.asked.Add(-int32(requests))
	c.flying.Add(-1)
	c.tell()
}

// tell wakes the deciding stage.
func (c *committer) tell() {
	select {
	case c.idle <- struct{}{}:
	default: // told, and nobody has listened yet
	}
}

func (c *committer) run() {
	if c.log == nil {
		for b := range c.in {
			if !c.done(b, c.q.commit(b)) {
				return
			}
		}
		return
	}
	var finishing sync.WaitGroup
	finishing.Go(c.finish)
	var refused *batch
	var err error
	for b := range c.in {
		if err = c.q.send(c.log, b); err != nil {
			refused = b
			break
		}
		c.sent <- b
	}
	close(c.sent)
	finishing.Wait() // what is under way has its own error, or none
	if refused != nil {
		c.done(refused, err)
	}
}

// finish has what was sent settled, shown and answered. After a failure it shows and
// answers nothing.
func (c *committer) finish() {
	for b := range c.sent {
		err := c.settle(b)
		select {
		case <-c.failed: // whatever became of this one, the one before is unknown
			err = errBefore
		default:
		}
		if err == nil {
			err = c.q.publish(b)
		}
		c.done(b, err)
	}
}

// errBefore: what is under way behind a batch that has failed fails, too.
var errBefore = errors.New("the batch before has failed")

// done tells the deciding stage what became of a batch, which may be filled again.
func (c *committer) done(b *batch, err error) bool {
	if err != nil {
		c.q.abandon(b, "journal")
		c.once.Do(func() {
			c.err = err
			close(c.failed)
		})
		c.free <- b
		return false
	}
	c.free <- b
	c.q.shown.Add(1)
	c.tell()
	return true
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
//
// With a log that is journal.Pipelined the same holds between send and settle, for
// several batches: a later one is in the journal only if those before it are, and is
// answered after them.
func (q *Sequencer) commit(b *batch) (err error) {
	defer recovered(&err, "commit")
	if len(b.decisions) > 0 {
		q.stamp(b)
		if err := q.cfg.Log.Append(uint64(b.first), int64(b.at), b.records()); err != nil {
			return fmt.Errorf("append batch %d: %w", b.first, err)
		}
	}
	return q.publish(b)
}

// send hands a batch to the journal.
func (q *Sequencer) send(log journal.Pipelined, b *batch) (err error) {
	defer recovered(&err, "send")
	if len(b.decisions) > 0 {
		q.stamp(b)
		if err := log.Send(uint64(b.first), int64(b.at), b.records()); err != nil {
			return fmt.Errorf("send batch %d: %w", b.first, err)
		}
	}
	return nil
}

// settle waits until a batch that was sent is durable.
func (c *committer) settle(b *batch) (err error) {
	defer c.landed(len(b.acks))
	defer recovered(&err, "settle")
	if len(b.decisions) > 0 {
		if err := c.log.Settle(); err != nil {
			return fmt.Errorf("settle batch %d: %w", b.first, err)
		}
	}
	return nil
}

// stamp notes when a batch is handed to the journal.
func (q *Sequencer) stamp(b *batch) {
	b.at, b.begin = max(q.clock.now(), b.decisions[len(b.decisions)-1].At), time.Now()
}

// publish shows a durable batch and answers who waits for it.
func (q *Sequencer) publish(b *batch) (err error) {
	defer recovered(&err, "publish")
	if n := len(b.decisions); n > 0 {
		q.metrics.appended(n, time.Since(b.begin))
		if err := q.show(b, b.at); err != nil {
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
			a.send(outcome{committed: Committed{Decision: b.decisions[a.index], At: b.at}})
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
