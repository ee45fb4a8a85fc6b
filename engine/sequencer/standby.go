package sequencer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

// standbyRetry is how long a standby waits after an error of the connection, so
// that a database that starts again is not in its way.
const standbyRetry = 200 * time.Millisecond

// errFold: what the log holds does not fold; no waiting helps.
var errFold = errors.New("a decision does not fold")

// Leading returns a channel that is closed once this process decides.
func (q *Sequencer) Leading() <-chan struct{} { return q.leading }

// standBy follows the log until this process holds it, or ctx ends. When it returns
// nil before ctx has ended, everything in the log is folded and nobody else can add
// to it. An error of the connection is waited out: the writer that has lost its
// database is what a standby is for.
func (q *Sequencer) standBy(ctx context.Context) (err error) {
	defer recovered(&err, "stand by")
	q.cfg.Logger.Info("standing by", "seq", q.durable.Load())
	log, told := q.cfg.Log.(journal.Shared), "" // withDefaults has looked
	for {
		held, err := q.watchOnce(ctx, log)
		var damage *journal.CorruptError
		switch {
		case ctx.Err() != nil, held && err == nil:
			return nil
		case held || errors.Is(err, errFold) || errors.Is(err, journal.ErrForked) || errors.Is(err, journal.ErrClosed) || errors.As(err, &damage):
			return err
		case err == nil || errors.Is(err, journal.ErrLocked):
			told = ""
		default:
			if told != err.Error() { // a database that is away is told of once
				told = err.Error()
				q.cfg.Logger.Warn("the standby does not reach the journal, and tries again", "err", err)
			}
			pause(ctx, standbyRetry)
		}
	}
}

// watchOnce waits for news, folds them, and takes the log if it is free: held says
// that it has.
func (q *Sequencer) watchOnce(ctx context.Context, log journal.Shared) (held bool, err error) {
	free, err := log.Await(ctx)
	if err != nil {
		return false, err
	}
	if err := q.catchUp(); err != nil || !free {
		return false, err
	}
	begin := time.Now()
	if err := log.Take(); err != nil {
		return false, err
	}
	// From here on nobody else appends. What the last holder did meanwhile comes first.
	if err := q.catchUp(); err != nil {
		return true, err
	}
	if seq, next := q.durable.Load(), log.Next(); seq+1 != next {
		return true, fmt.Errorf("the journal continues at %d after decision %d", next, seq)
	}
	q.clock.start(q.view.At(), q.view.DeadlinesHeld())
	q.intake.open()
	close(q.leading)
	q.cfg.Logger.Info("this process decides from here on", "seq", q.durable.Load(), "seconds", time.Since(begin).Seconds())
	return true, nil
}

// catchUp folds what another process has made durable, and shows it. It counts none
// of it: that process does.
func (q *Sequencer) catchUp() error {
	return q.cfg.Log.Read(q.durable.Load()+1, func(r journal.Record) error {
		d, err := engine.Decode(engine.Seq(r.Seq), r.Payload)
		if err == nil {
			err = q.writer.Evolve(d)
		}
		if err == nil {
			err = q.reveal(d)
		}
		if err != nil {
			return fmt.Errorf("%w: %d: %w", errFold, r.Seq, err)
		}
		q.last.Store(int64(d.At))
		q.durable.Store(r.Seq)
		q.feed.push([]*engine.Decision{d}, engine.Time(r.At))
		return nil
	})
}

// reveal folds a decision into what readers see.
func (q *Sequencer) reveal(d *engine.Decision) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.watch.see(d)
	return q.view.Change(d)
}

func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
