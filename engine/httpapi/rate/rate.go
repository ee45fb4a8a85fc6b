// Package rate bounds how often each of many may ask, with a token bucket for
// everybody who asked lately.
//
// It promises: memory that is bounded however many ask; a wait that is exact; one
// request at once for everybody, always. It refuses a clock of its own and any
// queue: who has to wait comes again.
//
// It is the generic cell rate algorithm (ITU-T I.371).
package rate

import (
	"errors"
	"sync"
	"time"
)

// Limit bounds how often somebody may ask: PerSecond requests a second on
// average, and Burst at once. The zero value is no limit.
type Limit struct{ PerSecond, Burst int }

// MaxPerSecond is the largest rate and burst that can be told from no limit.
const MaxPerSecond = 1_000_000

// Validate refuses what is neither a limit nor none.
func (l Limit) Validate() error {
	if l != (Limit{}) && (l.PerSecond < 1 || l.Burst < 1 || l.PerSecond > MaxPerSecond || l.Burst > MaxPerSecond) {
		return errors.New("a rate and its burst are both 0, or both 1..1000000")
	}
	return nil
}

// The limits of a platform for people.
var (
	// Traders lies above what the engine lets an account order, so that its own
	// limit and the abuse event that comes with it are reached first. What lies
	// beyond would fill the journal with refusals.
	Traders = Limit{PerSecond: 30, Burst: 100}
	// Staff is more than one writer decides on a small disk: it keeps a script that
	// runs wild from the intake of everybody else.
	Staff = Limit{PerSecond: 5000, Burst: 5000}
	// Reads lets a page load and a script work through a list.
	Reads = Limit{PerSecond: 200, Burst: 400}
	// Everybody is what two processors decide one by one over HTTP, with all that follows a
	// decision and with who asks on the same machine, 99 of 100 within 50 ms; and at once
	// what comes in that time, because who is behind a burst, admitted or not, waits for it.
	Everybody = Limit{PerSecond: 5_000, Burst: 250}
)

// maxBuckets bounds the memory of one limiter to some megabytes. Beyond it, it
// forgets early, which gives somebody a burst and takes nothing from anybody.
const maxBuckets = 1 << 16

// Limiter holds a token bucket for everybody who asked lately. Of a bucket it keeps
// only the time at which it is full again, so one that is full needs no memory. It
// is safe for concurrent use; nil lets everything pass.
type Limiter[K comparable] struct {
	each time.Duration // until the next token
	room time.Duration // how far in the future a bucket may be full and still give one

	mu     sync.Mutex
	fresh  map[K]time.Duration // when each is full, of those that asked since turned
	stale  map[K]time.Duration // of those that asked in the turn before
	turned time.Duration
}

// New returns nil, which lets everything pass, for the zero rate.
func New[K comparable](r Limit) *Limiter[K] {
	if r == (Limit{}) {
		return nil
	}
	each := time.Second / time.Duration(r.PerSecond)
	return &Limiter[K]{each: each, room: time.Duration(r.Burst-1) * each, fresh: map[K]time.Duration{}}
}

// Take takes so many tokens at a time of a clock that never goes back. It returns
// how long to wait if they are not there, else 0. Whoever can never have so many
// gets as many as there can be: one request at once always passes.
func (l *Limiter[K]) Take(who K, at time.Duration, tokens int) time.Duration {
	if l == nil {
		return 0
	}
	each := time.Duration(tokens) * l.each
	room := max(0, l.room+l.each-each)
	l.mu.Lock()
	defer l.mu.Unlock()
	full := l.full(who, at)
	if wait := full - at - room; wait > 0 {
		return wait
	}
	l.fresh[who] = full + each
	return 0
}

// Charge takes tokens for work that is done. They may be owed, up to a burst beyond
// an empty bucket: who owes waits for longer.
func (l *Limiter[K]) Charge(who K, at time.Duration, tokens int) {
	if l == nil || tokens == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh[who] = min(l.full(who, at)+time.Duration(tokens)*l.each, at+2*(l.room+l.each))
}

// Each returns how long a token takes to come back.
func (l *Limiter[K]) Each() time.Duration { return l.each }

// full returns when a bucket is full, and makes room for it; the caller holds mu.
func (l *Limiter[K]) full(who K, at time.Duration) time.Duration {
	// Who has not asked for as long as the emptiest bucket takes to fill has a full one.
	if _, known := l.fresh[who]; at-l.turned > 2*(l.room+l.each) || !known && len(l.fresh) >= maxBuckets {
		l.stale, l.fresh, l.turned = l.fresh, map[K]time.Duration{}, at
	}
	full, known := l.fresh[who]
	if !known {
		full = l.stale[who]
	}
	return max(full, at)
}
