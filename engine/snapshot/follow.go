package snapshot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/catchup"
	"github.com/mbp-market/mbp/engine/core"
)

// DefaultEvery is how many decisions lie between two snapshots: folding that many
// again takes about half a second.
const DefaultEvery = 250_000

// poll is how often the journal is looked at. A replica that is a second behind is
// as good for a snapshot, and to compare with, what is compared is kept longer; but a
// second's decisions, decoded and folded by several goroutines in one go, would hold up
// who waits for an answer.
const poll = 100 * time.Millisecond

// Config of a Follower. Log and Store are required.
type Config struct {
	// Log is what it follows. It never appends.
	Log catchup.Log
	// Store takes the snapshots.
	Store *Store
	// Every is how many decisions lie between two snapshots, DefaultEvery by default.
	Every uint64
	// Prints returns the oldest prints of the writer after a sequence, false if there
	// are none; by default there never are.
	Prints func(after engine.Seq) (core.Prints, bool)
	// Wait returns when the log may have more than before; after a second by default.
	Wait func(ctx context.Context)
	// Registerer takes the metrics; nobody sees them by default.
	Registerer prometheus.Registerer
	// Logger hears of snapshots and of what is wrong; silent by default.
	Logger *slog.Logger
}

func (c Config) withDefaults() (Config, error) {
	if c.Log == nil || c.Store == nil {
		return c, errors.New("the log or the store is missing")
	}
	if c.Every == 0 {
		c.Every = DefaultEvery
	}
	if c.Prints == nil {
		c.Prints = func(engine.Seq) (core.Prints, bool) { return core.Prints{}, false }
	}
	if c.Wait == nil {
		c.Wait = wait
	}
	if c.Registerer == nil {
		c.Registerer = prometheus.NewRegistry()
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func wait(ctx context.Context) {
	timer := time.NewTimer(poll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// ErrDiffers means that the writer's memory is not what the journal says. What it decided
// since is not to be trusted: stop, keep the journal, and replay it with --verify.
var ErrDiffers = errors.New("the writer's state differs from a fold of the journal")

// Follower folds the journal and writes snapshots. Make it with NewFollower and run
// it once.
type Follower struct {
	cfg     Config
	metrics *metrics
	state   *core.State // owned by Run, and after it by Compare
	next    core.Prints // to compare at their sequence; owned by Run
	waits   bool        // next is something; owned by Run
	tried   uint64      // sequence of the last snapshot, written or not; owned by Run

	seq  atomic.Uint64 // folded
	last atomic.Uint64 // sequence of the newest snapshot
	at   atomic.Int64  // when it was written or found, ns since the epoch
}

// NewFollower starts nothing.
func NewFollower(cfg Config) (*Follower, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	f := &Follower{cfg: cfg}
	f.at.Store(time.Now().UnixNano())
	if f.metrics, err = newMetrics(f, cfg.Registerer); err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	return f, nil
}

// Run loads the newest snapshot, follows the journal and writes snapshots until ctx
// ends; then it returns nil. An error that wraps ErrDiffers, or is of the journal,
// means that the writer must stop; an error of the machine, and a snapshot that
// cannot be written, is told and tried again later: the journal has everything.
func (f *Follower) Run(ctx context.Context) error {
	if err := f.load(); err != nil {
		return fmt.Errorf("snapshot: %w", err)
	}
	for ctx.Err() == nil {
		if err := f.follow(ctx); passing(err) {
			f.metrics.failed.Inc()
			f.cfg.Logger.Warn("the journal cannot be followed; it is tried again", "seq", f.seq.Load(), "err", err)
			f.cfg.Wait(ctx)
			continue
		} else if err != nil {
			return fmt.Errorf("snapshot: follow the journal: %w", err)
		}
		if f.due() {
			f.write()
		}
		if uint64(f.state.Seq())+1 >= f.cfg.Log.Next() {
			f.cfg.Wait(ctx)
		}
	}
	return nil
}

// passing tells an error of the machine, such as too many open files, from one that
// the same records would give again. What was folded before it stands.
func passing(err error) bool {
	var no syscall.Errno
	return errors.As(err, &no)
}

func (f *Follower) load() error {
	last := engine.Seq(f.cfg.Log.Next() - 1)
	state, i, err := f.cfg.Store.Newest(last, f.cfg.Logger)
	if err != nil {
		return err
	}
	if state == nil {
		f.state = core.New()
		return nil
	}
	f.state = state
	f.seq.Store(uint64(i.Seq))
	f.last.Store(uint64(i.Seq))
	f.tried = uint64(i.Seq)
	return nil
}

func (f *Follower) due() bool { return uint64(f.state.Seq())-f.tried >= f.cfg.Every }

// errEnough ends a fold where there is something else to do.
var errEnough = errors.New("enough for now")

// follow folds what the journal has, up to the next snapshot.
func (f *Follower) follow(ctx context.Context) error {
	f.await()
	_, err := catchup.Fold(f.cfg.Log, f.state, f.tried+f.cfg.Every, func(d *engine.Decision, _ int64) error {
		f.seq.Store(uint64(d.Seq))
		if f.waits && d.Seq >= f.next.Seq {
			if err := f.compare(); err != nil {
				return err
			}
			f.await()
		}
		if ctx.Err() != nil {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

// await takes the next prints of the writer.
func (f *Follower) await() {
	if !f.waits || f.next.Seq <= f.state.Seq() {
		f.next, f.waits = f.cfg.Prints(f.state.Seq())
	}
}

// compare looks at what the writer saw right after the decision just folded.
func (f *Follower) compare() error {
	if f.next.Seq != f.state.Seq() {
		return nil // a decision that was never made durable
	}
	for _, p := range f.next.Of {
		if got := f.state.Print(p.Account, p.Market); got != p {
			return fmt.Errorf("%w: after decision %d account %s and market %s have %x, and %x in the journal", ErrDiffers, f.next.Seq, p.Account, p.Market, p.Sum, got.Sum)
		}
	}
	f.metrics.compared.Add(float64(len(f.next.Of)))
	return nil
}

// write writes a snapshot of what is folded.
func (f *Follower) write() {
	begin := time.Now()
	i, err := f.cfg.Store.Write(f.state)
	took := time.Since(begin)
	f.tried = uint64(f.state.Seq())
	if err != nil {
		f.metrics.failed.Inc()
		f.cfg.Logger.Error("a snapshot was not written; it is tried again with the next", "seq", uint64(f.state.Seq()), "err", err)
		return
	}
	f.last.Store(f.tried)
	f.at.Store(time.Now().UnixNano())
	f.metrics.wrote(i, took)
	f.cfg.Logger.Info("snapshot written", "seq", uint64(i.Seq), "hash", i.Hash.String(), "bytes", i.Size, "seconds", took.Seconds())
}

// Compare folds the rest of the journal after Run has returned, and holds the whole
// state against the hash that the writer ended with. An error wraps ErrDiffers, or
// is of the journal.
func (f *Follower) Compare(seq engine.Seq, hash engine.Digest) error {
	if f.state == nil {
		return errors.New("snapshot: the follower has not run")
	}
	if _, err := catchup.Fold(f.cfg.Log, f.state, uint64(seq), nil); err != nil {
		return fmt.Errorf("snapshot: follow the journal: %w", err)
	}
	if got := f.state.Hash(); f.state.Seq() != seq || got != hash {
		return fmt.Errorf("snapshot: %w: it ended at %d with hash %s, the journal at %d with %s", ErrDiffers, seq, hash, f.state.Seq(), got)
	}
	return nil
}
