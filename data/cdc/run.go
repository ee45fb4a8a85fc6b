package cdc

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"runtime"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/mbp-market/mbp/data/cdc/lake"
	"github.com/mbp-market/mbp/engine"
	"github.com/mbp-market/mbp/engine/journal"
)

// nextFunc blocks until there is a decision; io.EOF ends the run.
type nextFunc func(ctx context.Context) (decided, error)

const (
	// queueSize decouples reading the journal from writing files; beyond it the
	// reader waits, which costs the engine nothing.
	queueSize = 1024
	// A failed commit is tried again after firstRetry, doubling up to lastRetry.
	firstRetry = 250 * time.Millisecond
	lastRetry  = 5 * time.Second
	// maxDecisions bounds a commit of decisions that made no rows.
	maxDecisions = 1 << 16
	// yieldDecisions is how many decisions are collected before others are let run. Who
	// yields waits behind all that are ready, so with small pieces the lake takes little
	// from who waits for an answer.
	yieldDecisions = 4
)

// ErrGap means that the source skipped or repeated a decision: run again with a
// new source.
var ErrGap = errors.New("the source skipped or repeated a decision")

// ErrAhead means that the lake holds decisions that the journal does not have:
// give the lake's folder back to its own journal, or move it aside.
var ErrAhead = errors.New("the lake is ahead of the journal")

// Run moves the decisions of src into the lake until ctx or the source ends;
// both ends are no error. Decisions that the lake holds already are folded and
// not written again.
func (p *Pipeline) Run(ctx context.Context, src Source) error {
	first, err := src.Next(ctx)
	if ended(ctx, err) {
		return nil
	}
	if seeker, can := src.(Seeker); can && p.cfg.Start != nil && errors.Is(err, journal.ErrArchived) {
		return p.late(ctx, seeker)
	}
	if err != nil {
		return fmt.Errorf("cdc: read decision 1: %w", err)
	}
	p.logID = identity(first.Decision)
	from, err := p.resume()
	if err != nil {
		return err
	}
	if p.cfg.Head != nil && p.cfg.Head()+1 < from {
		return fmt.Errorf("cdc: %w: the lake is at %d, the journal at %d", ErrAhead, from-1, p.cfg.Head())
	}
	f := newFold()
	next := func(ctx context.Context) (decided, error) {
		for {
			c, err := first, error(nil)
			if f.state.Seq() > 0 {
				c, err = src.Next(ctx)
			}
			if errors.Is(err, io.EOF) && f.state.Seq()+1 < from {
				return decided{}, fmt.Errorf("%w: the lake is at %d, the source ends at %d", ErrAhead, from-1, f.state.Seq())
			}
			if err != nil {
				return decided{}, err
			}
			d, err := f.take(c)
			if err != nil || c.Decision.Seq >= from {
				return d, err
			}
		}
	}
	return p.run(ctx, next)
}

// ended says whether an error of a source only means that there is no more to
// read, or that nobody wants it any more.
func ended(ctx context.Context, err error) bool {
	return errors.Is(err, io.EOF) || err != nil && ctx.Err() != nil
}

// identity tells journals apart by their first decision, which carries the
// digest of a random key.
func identity(first *engine.Decision) string {
	sum := sha256.Sum256(first.Append(nil))
	return hex.EncodeToString(sum[:])
}

// run moves decisions into the lake until the context or the source ends.
func (p *Pipeline) run(ctx context.Context, next nextFunc) error {
	from, err := p.resume()
	if err != nil {
		return err
	}
	p.setRunning(true)
	defer p.setRunning(false)
	stop, cancel := context.WithCancel(ctx)
	defer cancel()
	queue := make(chan decided, queueSize)
	var g errgroup.Group
	g.Go(func() error {
		defer close(queue)
		return p.read(stop, next, uint64(from), queue)
	})
	g.Go(func() error {
		defer cancel() // the writer ends last: reader and heartbeats end with it
		return p.write(ctx, queue)
	})
	g.Go(func() error { p.beat(stop); return nil })
	if err := g.Wait(); err != nil {
		return fmt.Errorf("cdc: %w", err)
	}
	return nil
}

// read queues decisions. Only the tracker is shared.
func (p *Pipeline) read(ctx context.Context, next nextFunc, want uint64, queue chan<- decided) error {
	for ; ; want++ {
		item, err := next(ctx)
		if ended(ctx, err) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read decision %d: %w", want, err)
		}
		if item.seq != want {
			return fmt.Errorf("%w: got %d, expected %d", ErrGap, item.seq, want)
		}
		p.mu.Lock()
		p.track.receive(item.seq, item.committed)
		p.mu.Unlock()
		select {
		case queue <- item:
		case <-ctx.Done():
			return nil
		}
	}
}

// batch is what waits for the next commit.
type batch struct {
	lake.Batch
	rows      int
	committed map[string][]int64 // per table and row, for the lag
}

func newBatch() *batch {
	return &batch{Batch: lake.Batch{Rows: map[string][]lake.Row{}}, committed: map[string][]int64{}}
}

// write owns the lake: it collects rows and commits them every FlushEvery, or
// as soon as FlushRows are there. Decisions without rows move the checkpoint
// with the next heartbeat only.
func (p *Pipeline) write(ctx context.Context, queue <-chan decided) error {
	tick := time.NewTicker(p.cfg.FlushEvery)
	defer tick.Stop()
	look := time.NewTicker(p.cfg.Heartbeat)
	defer look.Stop()
	b := newBatch()
	for {
		var flush, inspect bool
		select {
		case d, open := <-queue:
			if !open {
				return p.commit(ctx, b)
			}
			if err := p.collect(b, d); err != nil {
				return err
			}
			if d.seq%yieldDecisions == 0 {
				runtime.Gosched() // who waits for an answer comes first
			}
			flush = b.rows >= p.cfg.FlushRows || d.seq-p.lake.Checkpoint() >= maxDecisions
		case <-tick.C:
			flush = b.rows > 0
		case <-look.C:
			flush, inspect = true, true
		}
		if flush {
			if err := p.commit(ctx, b); err != nil {
				return err
			}
			b = newBatch()
		}
		if inspect {
			if err := p.inspect(); err != nil {
				p.cfg.Logger.Error("lake inspection", "err", err)
			}
		}
	}
}

// collect validates the rows of a decision; what its schema refuses becomes a
// dead letter of the same commit.
func (p *Pipeline) collect(b *batch, d decided) error {
	b.Through = d.seq
	for n, c := range d.changes {
		s, err := p.reg.Latest(c.table)
		if err != nil {
			return fmt.Errorf("decision %d: %w", d.seq, err)
		}
		e := envelope(s, d, n)
		r, err := row(s, d, e)
		if invalid := s.Validate(e.After); invalid != nil || err != nil {
			letter, lerr := deadLetter(d, n, e, errors.Join(invalid, err))
			if lerr != nil {
				return lerr
			}
			b.DeadLetters = append(b.DeadLetters, letter)
			b.rows++ // it has to be written as well
			continue
		}
		b.Rows[c.table] = append(b.Rows[c.table], r)
		b.committed[c.table] = append(b.committed[c.table], d.committed)
		b.rows++
	}
	return nil
}

// commit makes a batch durable, however often the disk fails, until the
// context ends; after that it tries once.
func (p *Pipeline) commit(ctx context.Context, b *batch) error {
	if b.Through <= p.lake.Checkpoint() {
		return nil
	}
	for wait := firstRetry; ; wait = min(2*wait, lastRetry) {
		err := p.lake.Commit(b.Batch)
		if err == nil {
			break
		}
		p.metrics.commitErrors.Inc()
		p.cfg.Logger.Error("commit to the lake", "err", err, "rows", b.rows, "retry_in", wait)
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("shutting down with %d rows not in the lake, they follow after the restart: %w", b.rows, err)
		case <-timer.C:
		}
	}
	p.account(b)
	return nil
}

// account updates position and metrics after a commit.
func (p *Pipeline) account(b *batch) {
	now := p.cfg.Now()
	counts := map[string]int{}
	for table, stamps := range b.committed {
		counts[table] = len(stamps)
		p.metrics.rows.WithLabelValues(table).Add(float64(len(stamps)))
		lag := p.metrics.lag.WithLabelValues(table)
		for _, at := range stamps {
			lag.Observe(max(0, now.Sub(time.UnixMicro(at)).Seconds()))
		}
	}
	for _, l := range b.DeadLetters {
		p.metrics.deadLetters.WithLabelValues(l.Table).Inc()
		p.metrics.contract.Set(1)
		p.cfg.Logger.Error("row violates its schema", "table", l.Table, "seq", l.Seq)
	}
	p.metrics.position.Set(float64(b.Through))
	p.mu.Lock()
	p.track.made(b.Through, counts)
	p.mu.Unlock()
}

// inspect sets the gauges that depend on what lies in the lake.
func (p *Pipeline) inspect() error {
	drifts, err := p.lake.Drifts()
	if err != nil {
		return fmt.Errorf("look for drift: %w", err)
	}
	tables := map[string]bool{}
	for _, d := range drifts {
		tables[d.Table] = true
		p.cfg.Logger.Error("lake drift", "table", d.Table, "file", d.Path, "reason", d.Reason)
	}
	p.metrics.drift.Set(float64(len(tables)))
	letters, err := p.lake.DeadLetters()
	if err != nil {
		return fmt.Errorf("count dead letters: %w", err)
	}
	broken := 0.0
	for _, n := range letters {
		if n > 0 {
			broken = 1
		}
	}
	p.metrics.contract.Set(broken)
	return nil
}

// beat reports the pipeline's age for tables that had no rows, and for all of
// them once it is older than a heartbeat. It runs beside the writer, so that a
// writer stuck in a commit shows as growing lag.
func (p *Pipeline) beat(ctx context.Context) {
	tick := time.NewTicker(p.cfg.Heartbeat)
	defer tick.Stop()
	var behind time.Time // since when the source has been silent behind the journal's head
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now := p.cfg.Now()
		p.mu.Lock()
		age, rows, received := p.track.age(now), p.track.takeRows(), p.track.received
		p.mu.Unlock()
		if p.cfg.Head == nil || age > 0 || uint64(p.cfg.Head()) <= received {
			behind = time.Time{}
		} else if behind.IsZero() {
			behind = now
		} else {
			age = now.Sub(behind)
		}
		for _, t := range Tables() {
			if rows[t] == 0 || age > p.cfg.Heartbeat {
				p.metrics.lag.WithLabelValues(t).Observe(age.Seconds())
			}
			p.metrics.heartbeat.WithLabelValues(t).Set(float64(now.Add(-age).UnixMicro()) / 1e6)
		}
	}
}
