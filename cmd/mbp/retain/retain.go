// Package retain lets the journal go on without the records that nobody needs in
// it. It promises that nothing is released which a snapshot does not cover, or that
// one of its named readers has not taken; that without a snapshot nothing is
// released at all, because a start folds the journal from its first record; and that
// a release that fails is told, tried again, and stops nothing else.
//
// It refuses to know what the readers do: each says from where on it reads. The idea
// is that of replication slots in PostgreSQL, with a floor instead of a slot's file,
// because all readers live in this process.
package retain

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// DefaultEvery is how often the readers are asked: a segment takes far longer to
// fill.
const DefaultEvery = 10 * time.Second

// Log is the part of the journal that is needed.
type Log interface {
	First() uint64
	Next() uint64
	Release(seq uint64) error
}

// Reader is who reads the journal.
type Reader struct {
	Name string
	// Needs returns the first sequence that it may still read in the log; 0: all of
	// them, as long as it does not know.
	Needs func() uint64
}

// Config of a Keeper. Log and Registerer are required.
type Config struct {
	// Log is what is released.
	Log Log
	// Snapshot returns the sequence after the last record that the oldest snapshot
	// which is kept covers; 0: there is none. A nil function means that nobody makes
	// snapshots.
	Snapshot func() uint64
	// Readers are asked each time; the slowest decides.
	Readers []Reader
	// Keep is how many of the newest records stay in any case.
	Keep uint64
	// Every is how often that is; DefaultEvery by default.
	Every time.Duration
	// Registerer takes the metrics.
	Registerer prometheus.Registerer
	// Logger hears of failures.
	Logger *slog.Logger
}

// Keeper releases segments. Make it with New; one goroutine runs it.
type Keeper struct {
	cfg    Config
	failed atomic.Bool
}

// New makes a Keeper and starts nothing.
func New(cfg Config) (*Keeper, error) {
	if cfg.Log == nil || cfg.Registerer == nil {
		return nil, errors.New("retain: the journal and the metrics are required")
	}
	if cfg.Every <= 0 {
		cfg.Every = DefaultEvery
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	k := &Keeper{cfg: cfg}
	first := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mbp_journal_first_sequence", Help: "Sequence of the oldest record in the journal; older ones are in the archive.",
	}, func() float64 { return float64(cfg.Log.First()) })
	if err := errors.Join(cfg.Registerer.Register(first), cfg.Registerer.Register(failing(&k.failed))); err != nil {
		return nil, fmt.Errorf("retain: %w", err)
	}
	return k, nil
}

func failing(failed *atomic.Bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "mbp_journal_release_failed", Help: "1 while segments of the journal cannot be released into the archive.",
	}, func() float64 {
		if failed.Load() {
			return 1
		}
		return 0
	})
}

// Off registers the same for a process that releases nothing, at zero: that it is
// absent would mean that nobody knows.
func Off(reg prometheus.Registerer) error { return reg.Register(failing(new(atomic.Bool))) }

// Run releases what may be released, again and again until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	tick := time.NewTicker(k.cfg.Every)
	defer tick.Stop()
	for {
		k.once()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// once releases what may be released now.
func (k *Keeper) once() {
	seq, by := k.Floor()
	if seq <= k.cfg.Log.First() {
		return
	}
	err := k.cfg.Log.Release(seq)
	k.failed.Store(err != nil)
	if err != nil {
		k.cfg.Logger.Error("segments of the journal are not released; the journal goes on and keeps them", "below", seq, "needed_by", by, "err", err)
	}
}

// Floor returns the sequence below which nothing is needed in the log, 0 if all of
// it is, and who needs the record there.
func (k *Keeper) Floor() (seq uint64, by string) {
	if k.cfg.Snapshot == nil {
		return 0, "snapshot"
	}
	next := k.cfg.Log.Next()
	seq, by = next-min(next, k.cfg.Keep), "keep"
	for _, r := range append([]Reader{{"snapshot", k.cfg.Snapshot}}, k.cfg.Readers...) {
		if needs := r.Needs(); needs < seq {
			seq, by = needs, r.Name
		}
	}
	return seq, by
}
