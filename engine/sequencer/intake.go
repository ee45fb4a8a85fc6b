package sequencer

import (
	"sync"
	"sync/atomic"

	"github.com/mbp-market/mbp/engine"
)

// intake is where requests wait for the deciding stage, which takes all of them at
// once: a request costs the lock once, for the time of an append, and only one that
// finds nobody before it wakes the stage.
type intake struct {
	limit int           // of requests that wait; not changed
	wake  chan struct{} // has room for one: told when the first one waits
	taken atomic.Int64  // requests that the stage has taken and not come to

	mu      sync.Mutex
	waiting []*ticket // guarded by mu
	refusal error     // of every request; nil: they are taken; guarded by mu
}

// newIntake is closed with ErrStandby for a writer that stands by.
func newIntake(limit int, standby bool) *intake {
	in := &intake{limit: limit, wake: make(chan struct{}, 1)}
	if standby {
		in.refusal = ErrStandby
	}
	return in
}

// put lets requests wait, all of them and with no other in between, or says why
// none of them does.
func (in *intake) put(ts ...*ticket) error {
	in.mu.Lock()
	n := len(in.waiting)
	switch {
	case in.refusal != nil:
		err := in.refusal
		in.mu.Unlock()
		return err
	case n+int(in.taken.Load())+len(ts) > in.limit:
		in.mu.Unlock()
		return ErrOverloaded
	}
	in.waiting = append(in.waiting, ts...)
	in.mu.Unlock()
	if n == 0 {
		select {
		case in.wake <- struct{}{}:
		default: // told, and the stage has not listened yet
		}
	}
	return nil
}

// take returns what waits, in order, and keeps room, which is empty, for what
// comes.
func (in *intake) take(room []*ticket) []*ticket {
	in.mu.Lock()
	defer in.mu.Unlock()
	all := in.waiting
	in.waiting = room
	in.taken.Store(int64(len(all)))
	return all
}

// open takes what comes from now on.
func (in *intake) open() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.refusal = nil
}

// close refuses what comes from now on. What waits still waits.
func (in *intake) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.refusal = ErrStopped
}

// len is how many requests wait.
func (in *intake) len() int {
	in.mu.Lock()
	defer in.mu.Unlock()
	return len(in.waiting) + int(in.taken.Load())
}

// together is how many requests the set of idempotency keys is told of ahead: about as
// many looks into memory as a processor has under way at once.
const together = 16

// line is the deciding stage's end of the intake: what it has taken and not come
// to. It is used by one goroutine.
type line struct {
	in    *intake
	taken []*ticket
	next  int // in taken

	expect func(engine.Tag) uint64 // of the writer's state
	seen   uint64                  // what it returned, so that it is not optimised away
}

// take takes what waits if it has come to all that it took before, and reports
// whether there is a request to come to.
func (l *line) take() bool {
	if l.next == len(l.taken) {
		l.taken, l.next = l.in.take(l.taken[:0]), 0
	}
	return l.next < len(l.taken)
}

// pop returns the next request that was taken, nil if none is left.
func (l *line) pop() *ticket {
	if l.next == len(l.taken) {
		return nil
	}
	if l.next%together == 0 {
		for _, t := range l.taken[l.next:min(l.next+together, len(l.taken))] {
			l.seen ^= l.expect(t.key)
		}
	}
	t := l.taken[l.next]
	l.taken[l.next] = nil
	l.next++
	l.in.taken.Store(int64(len(l.taken) - l.next))
	return t
}

// len is how many requests wait.
func (l *line) len() int { return l.in.len() }

// empty reports whether no request waits. One that comes after it said so has
// told wake.
func (l *line) empty() bool { return l.next == len(l.taken) && l.in.len() == 0 }
