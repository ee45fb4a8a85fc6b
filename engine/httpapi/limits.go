package httpapi

import (
	"errors"
	"sync"
	"time"

	"github.com/mbp-market/mbp/engine"
)

// Rate bounds how often somebody may ask: PerSecond requests a second on
// average, and Burst at once. The zero value is no limit.
type Rate struct{ PerSecond, Burst int }

// MaxPerSecond is the largest rate and burst that can be told from no limit.
const MaxPerSecond = 1_000_000

// Validate refuses what is neither a limit nor none.
func (r Rate) Validate() error {
	if r != (Rate{}) && (r.PerSecond < 1 || r.Burst < 1 || r.PerSecond > MaxPerSecond || r.Burst > MaxPerSecond) {
		return errors.New("a rate and its burst are both 0, or both 1..1000000")
	}
	return nil
}

// The limits of a platform for people. They are for Config and the command line:
// a zero Config has no limits.
var (
	// DefaultTraderRate lies above what the engine lets an account order, so that
	// its own limit and the abuse event that comes with it are reached first. What
	// lies beyond would fill the journal with refusals.
	DefaultTraderRate = Rate{PerSecond: 30, Burst: 100}
	// DefaultStaffRate is more than one writer decides on a small disk: it keeps a
	// script that runs wild from the intake of everybody else.
	DefaultStaffRate = Rate{PerSecond: 5000, Burst: 5000}
	// DefaultReadRate lets a page load and a script work through a list.
	DefaultReadRate = Rate{PerSecond: 200, Burst: 400}
)

const (
	// maxBuckets bounds the memory of one limiter to some megabytes. Beyond it, it
	// forgets early, which gives somebody a burst and takes nothing from anybody.
	maxBuckets = 1 << 16
	// maxWaiters is how many reads of one API key may wait for a sequence.
	maxWaiters = 32
)

// limiter holds a token bucket for everybody who asked lately. It is the generic
// cell rate algorithm: of a bucket it keeps only the time at which it is full
// again, so one that is full needs no memory.
type limiter[K comparable] struct {
	each time.Duration // until the next token
	room time.Duration // how far in the future a bucket may be full and still give one

	mu     sync.Mutex
	fresh  map[K]time.Duration // when each is full, of those that asked since turned
	stale  map[K]time.Duration // of those that asked in the turn before
	turned time.Duration
}

// newLimiter returns nil, which lets everything pass, for the zero rate.
func newLimiter[K comparable](r Rate) *limiter[K] {
	if r == (Rate{}) {
		return nil
	}
	each := time.Second / time.Duration(r.PerSecond)
	return &limiter[K]{each: each, room: time.Duration(r.Burst-1) * each, fresh: map[K]time.Duration{}}
}

// take takes so many tokens, at most the burst, at a time of a clock that never
// goes back. It returns how long to wait if they are not there, else 0.
func (l *limiter[K]) take(who K, at time.Duration, tokens int) time.Duration {
	if l == nil {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	each := time.Duration(tokens) * l.each
	full := l.full(who, at)
	if wait := full + each - at - l.room - l.each; wait > 0 {
		return wait
	}
	l.fresh[who] = full + each
	return 0
}

// charge takes tokens for work that is done. They may be owed, up to a burst: who
// owes waits for longer.
func (l *limiter[K]) charge(who K, at time.Duration, tokens int) {
	if l == nil || tokens == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fresh[who] = min(l.full(who, at)+time.Duration(tokens)*l.each, at+2*(l.room+l.each))
}

// full returns when a bucket is full, and makes room for it; the caller holds mu.
func (l *limiter[K]) full(who K, at time.Duration) time.Duration {
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

// payer is whose bucket a mutation empties. To take orders back has one of its own:
// a trader whose machine has run wild can still pull its quotes.
type payer struct {
	principal string
	relief    bool
}

// pace returns how long the owner of a key has to wait before this request; 0 is
// not at all. Reads count by key, mutations by principal: a second key of the
// same trader is not a second allowance.
func (a *API) pace(rt route, key engine.Key) time.Duration {
	at := time.Since(a.began)
	if rt.command == nil {
		return a.reads.take(key.SHA256, at, 1)
	}
	l, _ := a.mutations(key)
	return l.take(payer{key.Principal, rt.relief}, at, 1)
}

// paceItems is pace for the items of a batch after the first, which came with the
// request. A batch of more items than the burst takes that.
func (a *API) paceItems(c *call, items int) time.Duration {
	l, r := a.mutations(c.key)
	more := min(items, r.Burst) - 1
	if more < 1 {
		return 0
	}
	wait := l.take(payer{c.key.Principal, c.route.relief}, time.Since(a.began), more)
	if wait > 0 {
		wait += l.each // for the first one, when it comes again
	}
	return wait
}

// mutations returns what bounds the mutations of a key.
func (a *API) mutations(key engine.Key) (*limiter[payer], Rate) {
	if key.Roles == engine.RoleTrader {
		return a.traders, a.cfg.TraderRate
	}
	return a.staff, a.cfg.StaffRate
}

// What a read may cost for its one token, some 400 µs; beyond, it takes more.
const (
	// outcomesPerToken are those of the markets on a page.
	outcomesPerToken = engine.MaxOutcomes
	// stepsPerToken are those of quotes: an order met moves each pool by one.
	stepsPerToken = 2048
)

// charge takes tokens for what a read turned out to cost.
func (a *API) charge(c *call, tokens int) {
	a.reads.charge(c.key.SHA256, time.Since(a.began), tokens)
}

func tooMany(wait time.Duration, detail string) *refusal {
	return &refusal{code: codeTooMany, detail: detail, retryAfter: wait}
}

// waiters counts the reads of each key that wait for a sequence.
type waiters struct {
	mu    sync.Mutex
	count map[engine.Digest]int
}

func (w *waiters) enter(key engine.Digest) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count[key] >= maxWaiters {
		return false
	}
	w.count[key]++
	return true
}

func (w *waiters) leave(key engine.Digest) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.count[key]--; w.count[key] == 0 {
		delete(w.count, key)
	}
}
