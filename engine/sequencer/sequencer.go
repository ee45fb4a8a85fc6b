// Package sequencer is the single writer of the market: it takes requests from
// any number of goroutines, decides them one after the other, makes each batch
// durable with one append to the journal, and only then answers.
//
// It promises: what was answered is durable, and was decided exactly once; a
// request with an idempotency key that was answered before gets the same answer
// again; readers see durable state only; a request waits for at most one append
// that is under way and its own, never for a timer. It refuses at once when its
// intake is full, and everything after a failed append: then the answers in
// flight are unknown, and the caller tries again with the same key after a
// restart.
//
// The shape is that of a write-ahead log with group commit (Gray and Reuter,
// 1992, 9.4.7) in front of a deterministic state machine (Schneider, 1990).
package sequencer

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

// Defaults and bounds of Config.
const (
	DefaultQueue    = 4096 // requests that may wait: about 10 ms of work
	DefaultMaxBatch = 1024 // decisions of one append
	maxDue          = 4    // commands that the engine gives itself, per batch: others must not wait for a settlement
	foldProgress    = 1_000_000
)

// Config of a Sequencer. Log is required.
type Config struct {
	Log        journal.Log
	Now        func() time.Time      // wall clock; time.Now by default
	Queue      int                   // requests that may wait; 4,096
	MaxBatch   int                   // requests of one append; 1,024, at most half of what the journal takes
	Registerer prometheus.Registerer // metrics; none by default
	Logger     *slog.Logger          // progress and failures; silent by default
}

// Request is a command on its way to a decision.
type Request struct {
	Principal string // pseudonym from the API key
	Key       string // idempotency key; empty: the command cannot be repeated
	Input     []byte // what was asked, to tell a retry from a reuse of the key
	Command   engine.Command
}

// Committed is a durable decision. It is shared: nobody changes it.
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
	// ErrConflict: the idempotency key was used for another request; use a new one.
	ErrConflict = errors.New("the idempotency key was used for another request")
	// ErrUnknown: the append failed, so the decision may or may not be durable;
	// try again with the same idempotency key after the restart.
	ErrUnknown = errors.New("the outcome is unknown; try again with the same idempotency key")
	// ErrStopped: the writer does not run any more and nothing was decided; try
	// again later, or elsewhere.
	ErrStopped = errors.New("the writer has stopped; try again later")
	// ErrNotFound: there is no durable decision with that sequence.
	ErrNotFound = errors.New("no such decision")
)

// Sequencer is the single writer. Create it with New, Run it once.
type Sequencer struct {
	cfg     Config
	metrics *metrics
	intake  chan *call

	gate   sync.RWMutex // held to enter the intake; taken for writing to shut it
	shut   bool         // guarded by gate
	broken chan struct{}

	state *engine.State // what was decided; owned by Run

	mu       sync.RWMutex
	follower *engine.State // what is durable; guarded by mu
	durable  atomic.Uint64

	newsMu sync.Mutex
	news   chan struct{} // closed at the next commit; guarded by newsMu
}

// call is a request that waits for its answer.
type call struct {
	Request
	key, input engine.Tag
	done       chan outcome // holds one
}

type outcome struct {
	answer Answer
	again  engine.Seq // not 0: read the answer of this decision again
	err    error
}

// New folds the whole log. It starts nothing.
func New(cfg Config) (*Sequencer, error) {
	if cfg.Log == nil {
		return nil, errors.New("sequencer: the journal is missing")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Queue <= 0 {
		cfg.Queue = DefaultQueue
	}
	if cfg.MaxBatch <= 0 {
		cfg.MaxBatch = DefaultMaxBatch
	}
	cfg.MaxBatch = min(cfg.MaxBatch, journal.MaxBatchRecords/2)
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Registerer == nil {
		cfg.Registerer = prometheus.NewRegistry()
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, fmt.Errorf("sequencer: %w", err)
	}
	q := &Sequencer{
		cfg: cfg, metrics: m, intake: make(chan *call, cfg.Queue), broken: make(chan struct{}),
		state: engine.NewState(), follower: engine.NewState(), news: make(chan struct{}),
	}
	if err := q.fold(); err != nil {
		return nil, fmt.Errorf("sequencer: %w", err)
	}
	return q, nil
}

func (q *Sequencer) fold() error {
	err := q.cfg.Log.Read(1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err != nil {
			return err
		}
		if r.Seq%foldProgress == 0 {
			q.cfg.Logger.Info("journal is being folded", "seq", r.Seq)
		}
		return errors.Join(q.state.Evolve(d), q.follower.Evolve(d))
	})
	if err != nil {
		return fmt.Errorf("fold: %w", err)
	}
	q.durable.Store(uint64(q.follower.Seq()))
	if next := q.cfg.Log.Next(); next != uint64(q.state.Seq())+1 {
		return fmt.Errorf("fold: the journal continues at %d after decision %d", next, q.state.Seq())
	}
	return nil
}

// Now returns engine time: the wall clock in µs.
func (q *Sequencer) Now() engine.Time { return engine.Time(q.cfg.Now().UnixMicro()) }

// Durable returns the sequence of the last durable decision.
func (q *Sequencer) Durable() engine.Seq { return engine.Seq(q.durable.Load()) }

// View calls fn with the durable state. fn must be short, must not change or
// keep the state, and must not call the sequencer.
func (q *Sequencer) View(fn func(*engine.State)) {
	q.mu.RLock()
	defer q.mu.RUnlock()
	fn(q.follower)
}

// Submit hands a request to the writer and waits for the durable answer. A
// rejection is an answer, not an error. If ctx ends first the request may still
// be decided; a retry with the same key tells.
func (q *Sequencer) Submit(ctx context.Context, r Request) (Answer, error) {
	c := &call{Request: r, done: make(chan outcome, 1)}
	if r.Key != "" {
		c.key, c.input = keyTag(r.Principal, r.Key), inputTag(r.Input)
	}
	if err := q.enter(c); err != nil {
		return Answer{}, err
	}
	select {
	case out := <-c.done:
		if out.again != 0 {
			was, err := q.Decision(out.again)
			return Answer{Committed: was, Replayed: true}, err
		}
		return out.answer, out.err
	case <-ctx.Done():
		return Answer{}, ctx.Err()
	}
}

// keyTag scopes an idempotency key to its principal.
func keyTag(principal, key string) engine.Tag {
	sum := sha256.Sum256([]byte(principal + "\x00" + key))
	return engine.Tag(sum[:16])
}

func inputTag(input []byte) engine.Tag {
	sum := sha256.Sum256(input)
	return engine.Tag(sum[:16])
}

func (q *Sequencer) enter(c *call) error {
	q.gate.RLock()
	defer q.gate.RUnlock()
	if q.shut {
		return ErrStopped
	}
	select {
	case q.intake <- c:
		return nil
	default:
		return ErrOverloaded
	}
}

// close shuts the intake: what has entered stays in it, nothing else enters.
func (q *Sequencer) close() {
	q.gate.Lock()
	defer q.gate.Unlock()
	q.shut = true
}

// Decision reads a durable decision from the journal.
func (q *Sequencer) Decision(seq engine.Seq) (Committed, error) {
	if seq == 0 || seq > q.Durable() {
		return Committed{}, ErrNotFound
	}
	var out Committed
	err := q.cfg.Log.Read(uint64(seq), func(r journal.Record) (err error) {
		if out, err = committed(r); err != nil {
			return err
		}
		return journal.ErrStop
	})
	if err != nil {
		return Committed{}, fmt.Errorf("read decision %d: %w", seq, err)
	}
	return out, nil
}

func committed(r journal.Record) (Committed, error) {
	d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
	return Committed{Decision: d, At: engine.Time(r.At)}, err
}

// Follow calls fn with every durable decision from a sequence on (0 means 1), in
// order, and waits for more, until ctx ends or fn fails. It reads the journal by
// itself: a slow follower holds up nobody.
func (q *Sequencer) Follow(ctx context.Context, from engine.Seq, fn func(Committed) error) error {
	next := max(from, 1)
	for {
		news := q.nextNews()
		if end := q.Durable(); next <= end {
			err := q.cfg.Log.Read(uint64(next), func(r journal.Record) error {
				if engine.Seq(r.Seq) > end {
					return journal.ErrStop
				}
				if err := ctx.Err(); err != nil {
					return err
				}
				c, err := committed(r)
				if err == nil {
					err = fn(c)
				}
				next = engine.Seq(r.Seq) + 1
				return err
			})
			if err != nil {
				return err
			}
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-news:
		}
	}
}

func (q *Sequencer) nextNews() <-chan struct{} {
	q.newsMu.Lock()
	defer q.newsMu.Unlock()
	return q.news
}

func (q *Sequencer) spread() {
	q.newsMu.Lock()
	defer q.newsMu.Unlock()
	close(q.news)
	q.news = make(chan struct{})
}
