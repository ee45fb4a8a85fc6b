// Package sequencer is the single writer of the market: it takes requests from
// any number of goroutines, decides them one after the other, makes each batch
// durable with one append to the journal, and only then answers.
//
// It promises: what was answered is durable and was decided exactly once; a
// request with an idempotency key that was answered before gets the same answer
// again, read back from the journal; readers see durable state only, and never
// hold up the writer by more than the time of their own look; no decision
// becomes durable that does not read back; a request waits for appends and for
// nothing else, never for a timer or for a batch to fill; what falls due is
// decided when its time comes, whether or not anybody asks for anything, and
// before every request of the same or a later time, unless deadlines are held: that
// it does itself when the wall clock was behind the journal at the start, or jumps
// ahead of the monotonic one, until a person confirms the time. Nothing is written
// while nothing falls due.
//
// It refuses at once when its intake is full, and everything after a failed
// append, a panic, or a decision that does not fold: then it stops for good, what
// was in flight is unknown, and the caller tries again with the same key after a
// restart, which folds the journal from a snapshot or from the start.
//
// The shape is group commit (Gray and Reuter, 1992, 9.4.7) in front of a
// deterministic state machine (Schneider, 1990), in two stages: while one batch
// is being synced, the next one is decided and grows. On a journal.Pipelined log there
// are three, and a batch is shown and answered while the next one is being synced.
package sequencer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
	"github.com/mbp-market/mbp/engine/journal"
)

// Defaults and bounds.
const (
	// DefaultQueue bounds the requests that wait: about 20 ms of work, so that
	// nobody waits long for an answer that a refusal would give at once.
	DefaultQueue = 4096
	// DefaultMaxBatch bounds the decisions of one append, and with it how long
	// readers wait for the fold of a batch: below a millisecond.
	DefaultMaxBatch = 1024
	// maxBatchBytes bounds the same of decisions that are large: a record's bytes
	// are the orders and holders that its fold touches. It leaves room for the
	// largest record after the limit is seen.
	maxBatchBytes = 256 << 10
	// earlyBytes is what a batch holds before it can be early: some thirty orders, whose
	// work is about a third of an append's time.
	earlyBytes = 3 << 10
	// maxDue bounds the pieces of bulk work in one batch, and a piece begins only
	// when the one before is durable and shown. WorkLimit holders take each stage
	// some hundred µs, for which the orders of other markets wait; and while one
	// stage works on them, the other leaves a processor to whoever submits.
	maxDue = 1
	// maxTwinTail is how many decisions two states fold each for itself at a start.
	// Of more, one state folds them all and is copied.
	maxTwinTail = 2_000_000
	// progressEvery is how often a long fold says how far it is.
	progressEvery = 2 * time.Second
)

// Config of a Sequencer. Only Log is required.
type Config struct {
	// Log is where decisions become durable. Nobody else appends to it while this
	// process holds it.
	Log journal.Log
	// Standby starts without holding Log, which is a journal.Shared then: Run folds
	// what the holder appends, and decides once it holds the log itself. Until then
	// requests get ErrStandby, and readers see the fold.
	Standby bool
	// Start is the state to fold from, of a snapshot; nobody else uses it from then
	// on. The empty one by default.
	Start *core.State
	// Twin is a second one that is the same as Start and shares nothing with it, for
	// who can make both at once; by default it is made after the fold.
	Twin *core.State
	// Now is the wall clock; time.Now by default.
	Now func() time.Time
	// Mono is the monotonic clock, from any origin; that of Now by default. Engine time
	// goes on with it, and deadlines are held when Now jumps ahead of it.
	Mono func() time.Duration
	// Queue is how many requests may wait for a batch; DefaultQueue by default.
	// One more is refused with ErrOverloaded.
	Queue int
	// MaxBatch is the largest number of decisions of one append, DefaultMaxBatch
	// by default, at most journal.MaxBatchRecords - 1.
	MaxBatch int
	// Registerer takes the metrics; nobody sees them by default.
	Registerer prometheus.Registerer
	// Logger hears of long folds and of the end; silent by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	var errs []error
	if c.Log == nil {
		errs = append(errs, errors.New("the journal is missing"))
	}
	if _, shared := c.Log.(journal.Shared); c.Standby && !shared {
		errs = append(errs, errors.New("a standby needs a journal that processes share"))
	}
	if c.Start == nil {
		c.Start = core.New()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Queue == 0 {
		c.Queue = DefaultQueue
	}
	if c.Queue < 1 {
		errs = append(errs, fmt.Errorf("a queue of %d requests", c.Queue))
	}
	if c.MaxBatch == 0 {
		c.MaxBatch = DefaultMaxBatch
	}
	if c.MaxBatch < 1 || c.MaxBatch > journal.MaxBatchRecords-maxDue {
		errs = append(errs, fmt.Errorf("batches of %d decisions, must be 1..%d", c.MaxBatch, journal.MaxBatchRecords-maxDue))
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, errors.Join(errs...)
}

// Request is a command on its way to a decision.
type Request struct {
	Principal string         // pseudonym from the API key
	Key       string         // idempotency key; empty: the command cannot be repeated
	Input     []byte         // what was asked, to tell a retry from a reuse of the key
	Command   engine.Command // not changed by anybody after Submit
	// APIKey is the digest of the key that asks; zero for the platform itself. One
	// that is revoked in the order of decisions, or expired by their time, gets
	// ErrRevoked.
	APIKey engine.Digest
	// Taken, if set, is called when the request gets a decision of its own, before
	// that is durable: once, never for a repetition or a refusal, and whether or not
	// anybody still waits. It returns at once.
	Taken func()
	// Patience is how long the caller waits, after which it gets
	// context.DeadlineExceeded as if ctx had that deadline; 0: as long as ctx.
	Patience time.Duration
}

// Committed is a durable decision as the journal holds it. It is shared: nobody
// changes it.
type Committed struct {
	Decision *engine.Decision
	At       engine.Time // when its batch was handed to the journal, wall time
}

// Answer is what Submit returns.
type Answer struct {
	Committed
	Replayed bool // the request had been decided before
}

// The errors of a Sequencer. Each says what the caller has to do.
var (
	// ErrOverloaded: the intake is full and nothing was decided; try again later.
	ErrOverloaded = errors.New("too many requests wait; try again later")
	// ErrConflict: the idempotency key was used for another request and nothing
	// was decided; use a new one.
	ErrConflict = errors.New("the idempotency key was used for another request")
	// ErrRevoked: the API key was revoked, or expired, before this request's turn
	// came, and nothing was decided; use another key.
	ErrRevoked = errors.New("the API key was revoked or has expired")
	// ErrUnknown: the writer has failed while the request was in flight, so it may
	// or may not be decided; or it is decided, and the journal cannot be read. Try
	// again with the same idempotency key.
	ErrUnknown = errors.New("the outcome is unknown; try again with the same idempotency key")
	// ErrStopped: the writer takes no requests and nothing was decided; try again
	// later, or elsewhere.
	ErrStopped = errors.New("the writer has stopped; try again later")
	// ErrStandby: another process decides, and nothing was decided here; ask that one,
	// or try again later.
	ErrStandby = fmt.Errorf("%w: another process decides", ErrStopped)
	// ErrNotFound: there is no durable decision with that sequence.
	ErrNotFound = errors.New("no such decision")
)

// Sequencer is the single writer. Make it with New and run it once.
type Sequencer struct {
	cfg     Config
	metrics *metrics

	intake  *intake
	tickets sync.Pool // of *ticket
	started atomic.Bool
	leading chan struct{} // closed once this process decides

	clock   *clock          // its behind is owned by the deciding stage
	writer  *core.State     // what was decided, durable or not; owned by the deciding stage
	scratch engine.Decision // owned by the deciding stage
	sent    uint64          // batches handed over; owned by the deciding stage
	printed engine.Time     // when prints were taken last; owned by the deciding stage
	bulkAt  uint64          // the last of them with bulk work; owned by the deciding stage
	shown   atomic.Uint64   // batches that are committed
	line    line            // requests on their way from the intake; owned by the deciding stage

	mu    sync.RWMutex // the committing stage takes it for the fold of a batch
	view  *core.State  // what is durable; requests are remembered by the writer's state alone
	watch watch        // guarded by mu

	durable atomic.Uint64 // sequence of the last decision in view
	last    atomic.Int64  // its time, µs
	feed    feed
	prints  prints

	final atomic.Pointer[engine.Digest] // of the state at the end, once Run has returned nil
}

// New folds the journal from the state that it starts with. It starts nothing.
func New(cfg Config) (*Sequencer, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("sequencer: %w", err)
	}
	q := &Sequencer{
		cfg: cfg, intake: newIntake(cfg.Queue, cfg.Standby), leading: make(chan struct{}), view: cfg.Start,
	}
	q.line = line{in: q.intake, expect: func(key engine.Tag) uint64 { return q.writer.Expect(key) }}
	if err := q.fold(); err != nil {
		return nil, fmt.Errorf("sequencer: fold the journal: %w", err)
	}
	q.clock = startClock(cfg.Now, cfg.Mono, q.view.At(), q.view.DeadlinesHeld())
	if !cfg.Standby {
		close(q.leading)
	}
	q.watch = newWatch(q.view)
	q.feed.start(q.view.Seq() + 1)
	if q.metrics, err = newMetrics(cfg.Registerer, q.gauges()); err != nil {
		return nil, fmt.Errorf("sequencer: %w", err)
	}
	return q, nil
}

// fold brings one state to the end of the journal, and makes the other one of it.
// Decisions that the engine owes itself, because a crash cut a chain, are due in the
// folded state and are given by Run. What a holder appends meanwhile, a standby folds
// later.
func (q *Sequencer) fold() (err error) {
	begin, from := q.cfg.Now(), q.view.Seq()
	told, end := begin, q.cfg.Log.Next()
	twin := make(chan error, 1)
	if q.writer = q.cfg.Twin; q.writer != nil && end-uint64(from) > maxTwinTail {
		q.writer = nil // folding one and copying it is faster
	}
	go func() {
		var err error
		if q.writer != nil {
			_, err = catchup.Fold(q.cfg.Log, q.writer, end-1, nil)
		}
		twin <- err
	}()
	_, err = catchup.Fold(q.cfg.Log, q.view, end-1, func(d *engine.Decision, _ int64) error {
		if d.Seq%4096 == 0 {
			if now := q.cfg.Now(); now.Sub(told) >= progressEvery {
				told = now
				q.cfg.Logger.Info("folding the journal", "seq", uint64(d.Seq), "of", end-1)
			}
		}
		return nil
	})
	if err = errors.Join(err, <-twin); err != nil {
		return err
	}
	seq := q.view.Seq()
	if next := q.cfg.Log.Next(); next != uint64(seq)+1 && (!q.cfg.Standby || next <= uint64(seq)) {
		return fmt.Errorf("the journal continues at %d after decision %d", next, seq)
	}
	if q.writer == nil {
		if q.writer, err = catchup.Clone(q.view); err != nil {
			return err
		}
	}
	if q.writer.Seq() != seq {
		return fmt.Errorf("the two states to start from are not the same: one ends at %d, the other at %d", seq, q.writer.Seq())
	}
	q.view.Borrow(q.writer)
	q.durable.Store(uint64(seq))
	q.last.Store(int64(q.view.At()))
	q.cfg.Logger.Info("journal folded", "from", uint64(from), "seq", uint64(seq), "seconds", q.cfg.Now().Sub(begin).Seconds())
	return nil
}

// Now returns engine time, never before the last decision; see clock.
func (q *Sequencer) Now() engine.Time {
	return max(q.clock.now(), engine.Time(q.last.Load()))
}

// Durable returns the sequence of the last durable decision. View shows at least
// that one.
func (q *Sequencer) Durable() engine.Seq { return engine.Seq(q.durable.Load()) }

// Ended returns the last decision and the hash of the state after it, once Run has
// returned nil; false before that, or if it failed.
func (q *Sequencer) Ended() (engine.Seq, engine.Digest, bool) {
	if h := q.final.Load(); h != nil {
		return q.Durable(), *h, true
	}
	return 0, engine.Digest{}, false
}

// View calls fn with the durable state. fn is short, because the next batch
// waits for it; it neither changes nor keeps the state, does not call View, and
// has a dry run made by Quote, not by the state, whose memory that would use.
func (q *Sequencer) View(fn func(*core.State)) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	fn(q.view)
}

// Quote is what an order would get.
type Quote struct {
	Seq    engine.Seq // of the state that it is made on
	Filled engine.OrderFilled
	Rested engine.OrderRested
	Code   engine.Code
	Detail string
	Work   int // orders met times outcomes moved: what it took
}

// Quote is the dry run of an order, whoever gives it, on the durable state, now; see
// core.State.Quote. The next batch waits for what the dry run needs to be copied,
// not for the dry run.
func (q *Sequencer) Quote(x *engine.PlaceOrder) (out Quote) {
	var e *core.Excerpt
	now := q.Now()
	q.View(func(s *core.State) { e = s.Excerpt(x, now) })
	out.Filled, out.Rested, out.Code, out.Detail = e.Quote(x)
	out.Seq, out.Work = e.Seq(), e.Work()
	return out
}

// Submit hands a request to the writer and waits for its durable decision. A
// rejection by the engine is a decision, not an error. It never blocks on a full
// intake. An error of ctx means that the request was admitted and will be
// decided; a retry with the same key gets the answer.
func (q *Sequencer) Submit(ctx context.Context, r Request) (Answer, error) {
	t := q.ticket(r)
	if err := q.intake.put(t); err != nil {
		q.release(t)
		return Answer{}, err
	}
	if err := t.wait(ctx, r.Patience); err != nil {
		return Answer{}, err
	}
	return q.answer(t)
}

// SubmitAll is Submit for requests of one caller that belong together: all of them
// enter or none, and they are decided in their order with no other request in
// between. They may become durable apart. After one that is refused, with
// ErrConflict or ErrRevoked, none is decided. The error is the first one's, or that
// of ctx; where the outcome is unknown, or there is an error of ctx, some may be
// decided and others not, and a retry of all with the same keys gets the answers of
// those and has the others decided. Each of them has the caller's patience.
func (q *Sequencer) SubmitAll(ctx context.Context, rs []Request) ([]Answer, error) {
	ts, g := make([]*ticket, len(rs)), &group{}
	for i := range rs {
		ts[i] = q.ticket(rs[i])
		ts[i].group = g
	}
	if err := q.intake.put(ts...); err != nil {
		for _, t := range ts {
			q.release(t)
		}
		return nil, err
	}
	out := make([]Answer, len(rs))
	var first error
	for i, t := range ts {
		if err := t.wait(ctx, rs[i].Patience); err != nil {
			return nil, err
		}
		var err error
		if out[i], err = q.answer(t); first == nil {
			first = err
		}
	}
	if first != nil {
		return nil, first
	}
	return out, nil
}

func (q *Sequencer) answer(t *ticket) (Answer, error) {
	out := t.out
	q.release(t)
	if out.again != 0 {
		was, err := q.Decision(out.again)
		if err != nil { // it is decided, and what cannot be told
			return Answer{}, fmt.Errorf("%w: %w", ErrUnknown, err)
		}
		return Answer{Committed: was, Replayed: true}, nil
	}
	return Answer{Committed: out.committed}, out.err
}
