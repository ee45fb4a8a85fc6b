package sequencer

import (
	"context"
	"crypto/sha256"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// ticket is a request that waits for its answer.
type ticket struct {
	principal  string
	key, input engine.Tag // zero: cannot be repeated
	command    engine.Command
	apiKey     engine.Digest
	taken      func()
	group      *group        // nil: it stands alone
	out        outcome       // written by the writer before it tells done
	done       chan struct{} // holds one; told exactly once, as the last use by the writer
	alarm      *time.Timer   // of who waits, once anybody's patience had an end
}

// group is what requests that were submitted together have in common.
type group struct {
	refused error // of the first one that got no decision: nor does any after it; owned by the deciding stage
}

// answer tells who waits. The outcome lies in the ticket, because to send it would
// be to write into the stack of a goroutine that has slept since the last batch.
func (t *ticket) answer(out outcome) {
	t.out = out
	t.done <- struct{}{}
}

// outcome is what becomes of a ticket.
type outcome struct {
	committed Committed
	again     engine.Seq // not 0: the answer is this decision, which is durable
	err       error
}

// wait returns when the ticket is answered, or with the error of ctx, or with
// context.DeadlineExceeded after patience, if that is not 0: then it is nobody's any
// more. Whatever becomes of the writer, it answers every ticket that has entered.
func (t *ticket) wait(ctx context.Context, patience time.Duration) error {
	if patience == 0 && ctx.Done() == nil {
		<-t.done
		return nil
	}
	var over <-chan time.Time
	if patience != 0 { // a context with a deadline would cost ten times as much
		if t.alarm == nil {
			t.alarm = time.NewTimer(patience)
		} else {
			t.alarm.Reset(patience)
		}
		defer t.alarm.Stop()
		over = t.alarm.C
	}
	select {
	case <-t.done:
		return nil
	case <-over:
		return context.DeadlineExceeded
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ticket makes the ticket of a request, from one that was given back if possible.
func (q *Sequencer) ticket(r Request) *ticket {
	t, used := q.tickets.Get().(*ticket)
	if !used {
		t = &ticket{done: make(chan struct{}, 1)}
	}
	t.principal, t.command, t.apiKey, t.taken = r.Principal, r.Command, r.APIKey, r.Taken
	t.key, t.input = engine.Tag{}, engine.Tag{}
	if r.Key != "" {
		t.key, t.input = keyTag(r.Principal, r.Key), tag(r.Input)
	}
	return t
}

// release takes back a ticket whose outcome was received: nobody else has it.
func (q *Sequencer) release(t *ticket) {
	t.principal, t.command, t.taken, t.group, t.out = "", nil, nil, nil, outcome{}
	q.tickets.Put(t)
}

// keyTag scopes an idempotency key to its principal, which has no zero bytes.
func keyTag(principal, key string) engine.Tag {
	var room [160]byte
	b := append(append(append(room[:0], principal...), 0), key...)
	return tag(b)
}

func tag(b []byte) engine.Tag {
	sum := sha256.Sum256(b)
	return engine.Tag(sum[:16])
}

// batch is what one append makes durable, and who waits for it.
type batch struct {
	first     engine.Seq
	at        engine.Time        // when it is handed to the journal
	begin     time.Time          // the same, to measure by
	decisions []*engine.Decision // in order, as read back from buf
	coder     engine.Coder       // of their records
	buf       []byte             // the records, one after the other
	ends      []int              // where each record ends in buf
	payloads  [][]byte           // for Append; parts of buf
	acks      []ack
	due       int // commands that the engine gave itself
}

// ack is what a ticket gets once everything decided so far is durable: decision
// index of this batch, an earlier decision, or an error.
type ack struct {
	t     *ticket // nil: answered
	index int
	again engine.Seq
	err   error
}

// send answers the ticket and lets go of it first: a ticket that was answered
// may be another request's by now.
func (a *ack) send(out outcome) {
	t := a.t
	a.t = nil
	t.answer(out)
}

func (b *batch) empty() bool { return len(b.decisions) == 0 && len(b.acks) == 0 }

// full leaves room for the engine's own command. Tickets that need no decision
// count, too, or a flood of repetitions would hold up the batch.
func (b *batch) full(limit int) bool {
	return len(b.decisions) >= limit || len(b.acks) >= 2*limit || len(b.buf) >= maxBatchBytes
}

// reset forgets the batch and keeps its room, unless that is unusually large.
func (b *batch) reset() {
	const keep = 1 << 20 // bytes
	clear(b.decisions)
	clear(b.payloads)
	clear(b.acks)
	b.decisions, b.ends, b.payloads, b.acks, b.due = b.decisions[:0], b.ends[:0], b.payloads[:0], b.acks[:0], 0
	if cap(b.buf) > keep {
		b.buf = nil
	}
	b.buf = b.buf[:0]
}

// add encodes a decision and reads it back. What is returned, shown and answered
// is what was read: a decision that the next start could not read is found here,
// before it is in the journal for ever. No record is above journal.MaxRecord,
// because a decision's work is bounded (engine.WorkLimit; the tests of package core
// make the largest decision on each command). It keeps nothing of d.
func (b *batch) add(d *engine.Decision) (*engine.Decision, error) {
	start := len(b.buf)
	b.buf = b.coder.Append(b.buf, d)
	read, err := b.coder.Reread(d, b.buf[start:])
	if err != nil {
		return nil, err
	}
	if len(b.decisions) == 0 {
		b.first = d.Seq
	}
	b.decisions, b.ends = append(b.decisions, read), append(b.ends, len(b.buf))
	return read, nil
}

// records returns the batch for Append, valid until reset.
func (b *batch) records() [][]byte {
	start := 0
	for _, end := range b.ends {
		b.payloads = append(b.payloads, b.buf[start:end:end])
		start = end
	}
	return b.payloads
}
